"""One network's rows as they stand at one moment, read while the node writes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from tocsin.store.codec import unpack_key
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store


class Moment:
    """For one network. What is read within `pinned` is of the commit before it."""

    def __init__(self, store: Store, network: NetworkStore) -> None:
        self._store = store
        self._net = network.net

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """What this thread reads inside is of the moment of entering."""
        with self._store.snapshot():
            # SQLite takes the moment of the first read.
            self._store.one("SELECT 1 FROM network", ())
            yield

    def live(self) -> Iterator[tuple[str, bytes]]:
        """The canonical snapshot: live rows by key."""
        for key, value in self._store.iterate("SELECT key, value FROM live WHERE net = ? ORDER BY key", (self._net,)):
            yield key, bytes(value)

    def archive(self) -> Iterator[tuple[str, bytes]]:
        """Archived rows, in an order that is the same on every node."""
        for key, place in self._store.iterate(
            "SELECT key, place FROM archive WHERE net = ? ORDER BY key", (self._net,)
        ):
            yield unpack_key(bytes(key)), self._store.value_at(place)
