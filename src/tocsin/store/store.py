"""The store of a node: one SQLite database for all the networks it holds (ADR 2).

Writes are staged in memory and committed in one transaction with one fsync, whether they are of one network or of
thousands. Any thread may stage, commit or read; each has a connection of its own to read with.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import apsw

from tocsin.kernel.block import Outcome, found
from tocsin.kernel.genesis import decode_genesis
from tocsin.store.batch import OFFSET_BITS, Batch, Papers, SqlValue, write_batch
from tocsin.store.codec import decompress
from tocsin.store.database import WriterLock, open_reader, open_writer
from tocsin.store.errors import OPERATIONAL, StoreCorrupt, StoreError, StoreReadOnly, StoreStale, sqlite_errors, typed
from tocsin.store.network import NetworkStore
from tocsin.store.unwind import unwind

_TILES_KEPT = 4096
"""Full tiles in memory, 8 KiB each, over all networks."""


class NetworkInfo(NamedTuple):
    """A network's head on disk; `digest` is that of its genesis."""

    origin: str
    digest: str
    height: int
    at: int
    size: int
    root: bytes


class Store:
    """Open with `Store.open`; close it, or use it as a context manager."""

    def __init__(self, path: Path, writer: apsw.Connection | None, lock: WriterLock | None, vfs: str | None) -> None:
        self.path = path
        self.batch = Batch()
        """What the next commit takes."""
        self.staging = threading.RLock()
        """Held while something is added to the batch."""
        self._writing = threading.Lock()
        self._writer = writer
        self._lock = lock
        self._vfs = vfs
        self._immutable = False
        self._local = threading.local()
        self._readers: list[apsw.Connection] = []
        self._networks: dict[str, NetworkStore] = {}
        self._failed: StoreError | None = None
        self._segment = 1
        self._next_net = 1
        self.full_tile = lru_cache(_TILES_KEPT)(self._full_tile)

    @classmethod
    def open(cls, path: Path | str, *, read_only: bool = False, vfs: str | None = None) -> "Store":
        """Open the database at `path`, creating it unless `read_only`. `vfs`: SQLite's file layer, for tests.

        Raises StoreBusy while another process writes, StoreVersion for a newer or foreign file, StoreReadOnly
        where it cannot be written, StoreCorrupt or StoreError else.
        """
        path = Path(path)
        if read_only:
            return cls._open_reading(path, vfs)
        lock = WriterLock(path)
        try:
            store = cls(path, open_writer(path, vfs), lock, vfs)
            store._segment = store.one("SELECT coalesce(max(id), 0) + 1 FROM segment", ())[0]
            store._next_net = store.one("SELECT coalesce(max(net), 0) + 1 FROM network", ())[0]
        except BaseException:
            lock.release()
            raise
        return store

    @classmethod
    def _open_reading(cls, path: Path, vfs: str | None) -> "Store":
        if not path.exists():
            raise StoreError(f"There is no store at {path}. Check the data directory.")
        store = cls(path, None, None, vfs)
        try:
            store._reader()
        except StoreError:
            # SQLite needs a shared-memory file even to read; where none can be made, nobody can be writing either.
            wal = path.with_name(path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            store._immutable = True
            store._reader()
        return store

    def close(self) -> None:
        """Write nothing more; let go of files and lock. What is staged and not written is dropped."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._local = threading.local()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading."""
        return self._writer is None

    # Networks.

    def networks(self) -> list[NetworkInfo]:
        """All networks with their heads on disk, sorted by origin."""
        return [
            NetworkInfo(origin, digest, height, at, size, bytes(root))
            for origin, digest, height, at, size, root in self.all(
                "SELECT n.origin, n.digest, b.height, b.at, b.size, b.root FROM network n "
                "JOIN block b ON b.net = n.net "
                "WHERE b.height = (SELECT max(height) FROM block WHERE net = n.net) ORDER BY n.origin",
                (),
            )
        ]

    def network(self, origin: str) -> NetworkStore:
        """The network of this origin; KeyError if the store does not hold it."""
        known = self._networks.get(origin)
        if known is None:
            row = self.one("SELECT net, digest FROM network WHERE origin = ?", (origin,))
            if row is None:
                raise KeyError(f"{self.path} holds no network {origin}; `tocsin networks` lists those it holds.")
            known = self._networks[origin] = NetworkStore(self, row[0], origin, row[1])
        return known

    def create_network(self, genesis: bytes, founding: bytes) -> NetworkStore:
        """Take in a network with its block 0.

        Raises GenesisError for a genesis that is none, ValueError if the origin or genesis is here already. The
        founding signatures are the caller's to check first (`tocsin.client.signing.verify_founding`).
        """
        self._writable()
        decoded = decode_genesis(genesis)
        _, outcome = found(decoded)
        known = self.one("SELECT 1 FROM network WHERE origin = ? OR digest = ?", (decoded.origin, decoded.digest))
        staged = [part.papers for part in self.batch.parts.values() if part.papers is not None]
        if known or any(decoded.origin == one.origin or decoded.digest == one.digest for one in staged):
            raise ValueError(f"{self.path} holds the network {decoded.origin} already.")
        papers = Papers(decoded.origin, decoded.digest, genesis, founding)
        network = NetworkStore(self, self._next_net, decoded.origin, decoded.digest)
        with self.transaction():
            self._next_net += 1
            self._networks[decoded.origin] = network
            network.found(papers, outcome)
        return network

    # Writing.

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Blocks that this thread appends inside are written together at its end: one transaction, one fsync.

        For a thread that drives many networks; may be nested. Another thread's commit may write some of the blocks
        earlier. An error inside leaves the store readable only.
        """
        self._writable()
        self._local.depth = self._depth + 1
        try:
            yield
        except BaseException as error:
            # States are ahead of what will ever be written; nobody may go on from here.
            self._fail(StoreStale(f"A transaction on {self.path} broke off ({error}); open the store again."))
            raise
        finally:
            self._local.depth = self._depth - 1
        self.flush()

    @property
    def _depth(self) -> int:
        """How many transactions this thread has open."""
        depth: int = getattr(self._local, "depth", 0)
        return depth

    def flush(self) -> None:
        """Make what is staged durable, unless this thread has a transaction open whose end will do it."""
        if self._depth == 0:
            self.commit()

    def commit(self) -> None:
        """Make all that is staged durable, by whatever thread it was staged: one transaction, one fsync.

        After an error nothing of it is on disk as far as this process can tell, and the store takes no more writes
        until it is opened again; reading goes on. Raises StoreFull, StoreReadOnly, StoreCorrupt, StoreError.
        """
        with self._writing:
            writer = self._writable()
            with self.staging:
                batch, self.batch = self.batch, Batch()
            if not batch.parts:
                return
            try:
                self._segment = write_batch(writer, batch, self._segment)
            except OPERATIONAL as error:
                system = writer.system_errno if isinstance(error, apsw.IOError) else 0
                failure = typed(error, str(self.path), system)
                self._fail(failure)
                raise failure from error
            except BaseException as error:
                self._fail(StoreStale(f"A write to {self.path} broke off ({error}); open the store again."))
                raise
            for network in list(self._networks.values()):
                if network.net in batch.parts:
                    network.written(batch)

    def unwind(self, net: int, founding: Outcome) -> None:
        """Take a network back to its block 0, `founding`. Raises as `commit` does."""
        with self._writing, self.staging:
            writer = self._writable()
            self.batch.parts.pop(net, None)
            with sqlite_errors(str(self.path), writer):
                unwind(writer, net, len(founding.leaves), [(key, row) for key, row in founding.writes])
            self.full_tile.cache_clear()
            for network in self._networks.values():
                if network.net == net:
                    network.unwound()

    def _writable(self) -> apsw.Connection:
        if self._failed is not None:
            raise StoreStale(f"{self._failed} Until then {self.path} can only be read.") from self._failed
        if self._writer is None:
            raise StoreReadOnly(f"{self.path} is open for reading only, or closed.")
        return self._writer

    def _fail(self, error: StoreError) -> None:
        self._failed = error
        with self.staging:
            self.batch = Batch()
        for network in list(self._networks.values()):
            network.fail()

    # Reading; for the store's own modules.

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What this thread reads inside is of one moment, whatever is committed meanwhile."""
        reader = self._reader()
        with sqlite_errors(str(self.path), reader):
            reader.execute("BEGIN")
        try:
            yield
        finally:
            # Nothing was written; a commit would look at pages that may be damaged.
            reader.execute("ROLLBACK")

    def one(self, sql: str, values: Sequence[SqlValue]) -> Any:
        """First row, or None."""
        reader = self._reader()
        with sqlite_errors(str(self.path), reader):
            return reader.execute(sql, values).fetchone()

    def all(self, sql: str, values: Sequence[SqlValue]) -> list[Any]:
        """All rows."""
        reader = self._reader()
        with sqlite_errors(str(self.path), reader):
            return reader.execute(sql, values).fetchall()

    def iterate(self, sql: str, values: Sequence[SqlValue]) -> Iterator[Any]:
        """Rows one by one."""
        reader = self._reader()
        with sqlite_errors(str(self.path), reader):
            yield from reader.execute(sql, values)

    def value_at(self, place: int) -> bytes:
        """The archived value at a place (see the schema)."""
        row = self.one("SELECT data FROM segment WHERE id = ?", (place >> OFFSET_BITS,))
        offset = place & (1 << OFFSET_BITS) - 1
        data = b"" if row is None else decompress(row[0])
        end = offset + 4 + int.from_bytes(data[offset : offset + 4], "big")
        if end > len(data) or end == offset + 4:
            raise StoreCorrupt(f"An archived row of {self.path} is not where it should be. Run `tocsin fsck`.")
        return bytes(data[offset + 4 : end])

    def _full_tile(self, net: int, level: int, index: int) -> bytes:
        row = self.one("SELECT hashes FROM tile WHERE net = ? AND level = ? AND n = ?", (net, level, index))
        if row is None or len(row[0]) != 8192:
            raise StoreCorrupt(f"Tile {level}/{index} of network {net} is not in {self.path}. Run `tocsin fsck`.")
        return bytes(row[0])

    def _reader(self) -> apsw.Connection:
        reader: apsw.Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = open_reader(self.path, self._vfs, immutable=self._immutable)
            self._local.reader = reader
            self._readers.append(reader)
        return reader
