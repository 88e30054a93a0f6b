"""What a network sends, by destination, as the leaves of its log say it (spec 11.2)."""

import threading
from collections.abc import Iterator

import msgspec

from tocsin.node.remote import SentPlace
from tocsin.store.network import NetworkStore

_MARK = b',"to":[["'
MOST = 256
"""Places in one answer."""


class _HasTo(msgspec.Struct):
    to: list[tuple[str, int]]


_decode = msgspec.json.Decoder(_HasTo).decode


class Outbox:
    """An index of the log, made as it is asked for; any thread may ask."""

    def __init__(self, records: NetworkStore) -> None:
        self._records = records
        self._lock = threading.Lock()
        self._reached = 0
        self._sent: dict[str, list[SentPlace]] = {}

    def since(self, destination: str, number: int) -> list[SentPlace]:
        """What goes to a destination from a number on, in order, as far as it is on disk."""
        with self._lock:
            size = self._records.durable[1]
            for place, to in self._new(size):
                for origin, given in to:
                    self._sent.setdefault(origin, []).append(SentPlace(place, given))
            self._reached = size
            # Numbers begin at 1 and have no gaps.
            first = max(0, number - 1)
            return self._sent.get(destination, [])[first : first + MOST]

    def _new(self, size: int) -> Iterator[tuple[int, list[tuple[str, int]]]]:
        for place, leaf in enumerate(self._records.iter_leaves(self._reached, size), start=self._reached):
            if _MARK in leaf:
                yield place, _decode(leaf).to
