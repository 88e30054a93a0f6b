"""Snapshots, by which a new node joins without replaying what was decided (spec 10, ADR 11).

One is taken at each block whose leaf names the state's digest. It is a list of chunks: the live rows, the archived
rows, and the journal from block 0 on; the metadata are the chunks' hashes. Journal chunks always begin at the same
blocks, so they are read from the store when asked for, and hashed once.
"""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from tocsin.engine.cometbft import wire

FORMAT = 1
KEEP = 2
CHUNK_BYTES = 4 * 1024 * 1024
"""A chunk is full with the row or block that brings it to this size; CometBFT carries 16 MB."""

encode = msgspec.msgpack.Encoder().encode


class Row(NamedTuple):
    """A row of the state. `live`, or archived."""

    live: bool
    key: str
    value: bytes


class JournalBlock(NamedTuple):
    """A block as it stands in the journal."""

    height: int
    at: int
    receipts: list[list[int]]
    leaves: list[bytes]
    envelopes: list[bytes]


class Chunk(NamedTuple):
    """Rows or blocks."""

    rows: tuple[Row, ...] = ()
    blocks: tuple[JournalBlock, ...] = ()


class Rows(Protocol):
    """The state's rows at one moment."""

    def pinned(self) -> AbstractContextManager[None]:
        """What this thread reads inside is of the moment of entering."""
        ...

    def live(self) -> Iterator[tuple[str, bytes]]:
        """Live rows, by key."""
        ...

    def archive(self) -> Iterator[tuple[str, bytes]]:
        """Archived rows, in an order that is the same on every node."""
        ...


class Journal(Protocol):
    """Blocks that can be read back."""

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Any]: ...


class _Part(NamedTuple):
    """Blocks of one journal chunk, and its hash."""

    first: int
    last: int
    hash: bytes


class _Contents(NamedTuple):
    """What a finished snapshot is made of. `height`: CometBFT's; `rows`: hashes of the chunks in files."""

    height: int
    rows: list[bytes]
    journal: list[_Part]

    @property
    def hashes(self) -> list[bytes]:
        return [*self.rows, *(part.hash for part in self.journal)]


class Snapshots:
    """Those that this node offers, in a folder of their own."""

    def __init__(self, folder: Path, rows: Rows, journal: Journal, failed: Callable[[Exception], None]) -> None:
        """`failed`: hears why a snapshot could not be written; the node goes on without it."""
        self._folder = folder
        self._rows = rows
        self._journal = journal
        self._failed = failed
        self._lock = threading.Lock()
        self._writing: threading.Thread | None = None
        self._closing = False
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.part"):
            shutil.rmtree(left)
        self._kept = {one.height: one for one in map(_load, folder.iterdir())}

    def take(self, height: int, kernel: int) -> None:
        """Begin a snapshot of the block just committed: CometBFT's `height`, the kernel's `kernel`.

        Returns when its moment is fixed; it is written beside the work. One that is still being written when the
        next is due has the next left out.
        """
        if self._writing is not None and self._writing.is_alive():
            return
        pinned = threading.Event()
        self._writing = threading.Thread(
            target=self._write, args=(height, kernel, pinned), name="snapshot", daemon=True
        )
        self._writing.start()
        pinned.wait()

    def close(self) -> None:
        """Wait for the one that is being written, which is given up if it has far to go."""
        self._closing = True
        if self._writing is not None:
            self._writing.join()

    def offered(self) -> list[wire.Snapshot]:
        """Finished ones."""
        with self._lock:
            kept = list(self._kept.values())
        return [
            wire.Snapshot(one.height, FORMAT, len(one.hashes), _hash(one.hashes), b"".join(one.hashes)) for one in kept
        ]

    def oldest(self) -> int:
        """Height of the oldest one, 0 if there is none."""
        with self._lock:
            return min(self._kept, default=0)

    def chunk(self, height: int, format: int, number: int) -> bytes:
        """One chunk; empty if it is not here."""
        with self._lock:
            one = self._kept.get(height)
        if one is None or format != FORMAT or not 0 <= number < len(one.hashes):
            return b""
        if number >= len(one.rows):
            part = one.journal[number - len(one.rows)]
            return _journal_chunk(self._journal.blocks(part.first, part.last))
        try:
            return (self._folder / str(height) / str(number)).read_bytes()
        except OSError:
            return b""  # it went while it was asked for

    def _write(self, height: int, kernel: int, pinned: threading.Event) -> None:
        part = self._folder / f"{height}.part"
        try:
            part.mkdir()
            with self._rows.pinned():
                pinned.set()
                hashes = []
                for number, data in enumerate(_row_chunks(self._rows)):
                    if self._closing and number:
                        raise InterruptedError("the node stops")
                    (part / str(number)).write_bytes(data)
                    hashes.append(sha256(data).digest())
            contents = _Contents(height, hashes, self._parts(kernel))
            (part / "contents").write_bytes(encode(contents))
            part.rename(self._folder / str(height))
        except Exception as error:
            # Of the disk or the store: the node can go on, and the store will say so itself if it cannot.
            shutil.rmtree(part, ignore_errors=True)
            self._failed(error)
            return
        finally:
            pinned.set()
        with self._lock:
            self._kept[height] = contents
            gone = sorted(self._kept)[:-KEEP]
            for old in gone:
                del self._kept[old]
        for old in gone:
            shutil.rmtree(self._folder / str(old), ignore_errors=True)

    def _parts(self, kernel: int) -> list[_Part]:
        """Journal chunks up to a block. All but the last of an earlier snapshot are what they were."""
        with self._lock:
            newest = max(self._kept, default=None)
            parts = [] if newest is None else self._kept[newest].journal[:-1]
        first = parts[-1].last + 1 if parts else 0
        blocks: list[Any] = []
        size = 0
        for block in self._journal.blocks(first, kernel):
            blocks.append(block)
            size += sum(map(len, block.leaves)) + sum(map(len, block.envelopes))
            if size >= CHUNK_BYTES:
                parts.append(_part(blocks))
                blocks, size = [], 0
        # There is a last one even if it is empty, so that it is the one to be made anew.
        return [*parts, _part(blocks) if blocks else _Part(kernel + 1, kernel, sha256(_journal_chunk([])).digest())]


def _load(folder: Path) -> _Contents:
    return msgspec.msgpack.decode((folder / "contents").read_bytes(), type=_Contents)


def _hash(hashes: Iterable[bytes]) -> bytes:
    return sha256(b"".join(hashes)).digest()


def _row_chunks(rows: Rows) -> Iterator[bytes]:
    chunk: list[Row] = []
    size = 0
    for live, part in ((True, rows.live()), (False, rows.archive())):
        for key, value in part:
            chunk.append(Row(live, key, value))
            size += len(key) + len(value)
            if size >= CHUNK_BYTES:
                yield encode(Chunk(rows=tuple(chunk)))
                chunk, size = [], 0
    yield encode(Chunk(rows=tuple(chunk)))


def _part(blocks: list[Any]) -> _Part:
    return _Part(blocks[0].height, blocks[-1].height, sha256(_journal_chunk(blocks)).digest())


def _journal_chunk(blocks: Iterable[Any]) -> bytes:
    made = tuple(JournalBlock(one.height, one.at, one.receipts, one.leaves, one.envelopes) for one in blocks)
    return encode(Chunk(blocks=made))


def chunk_hashes(snapshot: wire.Snapshot) -> list[bytes]:
    """The hashes of an offered snapshot's chunks; raises ValueError if they do not lead to its own."""
    data = snapshot.metadata
    hashes = [data[at : at + 32] for at in range(0, len(data), 32)]
    if len(data) % 32 or len(hashes) != snapshot.chunks or _hash(hashes) != snapshot.hash:
        raise ValueError("the hashes of its chunks do not lead to its hash")
    return hashes
