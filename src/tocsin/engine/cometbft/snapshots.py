"""Snapshots, by which a new node joins without replaying what was decided (spec 10, ADR 11).

One is taken at each block whose leaf names the state's digest. It is two streams, the journal from block 0 on, and
the state's rows, cut into chunks; its metadata are the chunks' hashes. The journal only grows, so all its chunks but
the last are what they were: they are hashed once, and made from the store when somebody asks.
"""

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from msgspec import Meta, Struct

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.packing import pack, unpack
from tocsin.kernel.envelope import encode as canonical

FORMAT = 2
KEEP = 2
CHUNK_BYTES = 4 * 1024 * 1024
"""Of a stream in one chunk, before it is compressed. CometBFT carries 16 MB."""
MAX_CHUNKS = 65_536
"""256 GiB, and 2 MiB of hashes; CometBFT carries 4 MB of them."""
MAX_RECORD = 64 * 1024 * 1024
"""The largest block in the journal, and far more than a row has. A block of CometBFT's has 8 MiB of envelopes."""

MAX_ITEMS = 1 << 20
"""Envelopes or leaves of a block; an act has more than 100 bytes, and makes few leaves."""

_LENGTH = 4
encode = msgspec.msgpack.Encoder().encode


class JournalBlock(Struct, frozen=True, array_like=True, gc=False, tag="block"):
    """A block as it stands in the journal. `receipts`: canonical JSON, as the block leaf's digest covers them."""

    height: int
    at: int
    receipts: bytes
    leaves: Annotated[list[bytes], Meta(max_length=MAX_ITEMS)]
    envelopes: Annotated[list[bytes], Meta(max_length=MAX_ITEMS)]


class Row(Struct, frozen=True, array_like=True, gc=False, tag="row"):
    """A row of the state, live or archived as its key says: first all live ones by key, then the others."""

    key: str
    value: bytes


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
    """A journal chunk: the block in which it begins, after `skip` bytes of it, and its hash."""

    first: int
    skip: int
    hash: bytes


class _Contents(NamedTuple):
    """What a finished snapshot is made of. `height`: CometBFT's; `kernel`: of the journal's last block; `rows`: hashes
    of the chunks in files."""

    height: int
    kernel: int
    journal: list[_Part]
    rows: list[bytes]

    @property
    def hashes(self) -> list[bytes]:
        return [*(part.hash for part in self.journal), *self.rows]


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
        self._kept = {one.height: one for one in filter(None, map(_load, folder.iterdir()))}

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

    def wait(self) -> None:
        """Wait for the one that is being written."""
        if self._writing is not None:
            self._writing.join()

    def close(self) -> None:
        """Wait for the one that is being written, which is given up if it has far to go."""
        self._closing = True
        self.wait()

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

    def newest(self) -> int:
        """Height of the newest one, 0 if there is none."""
        with self._lock:
            return max(self._kept, default=0)

    def chunk(self, height: int, format: int, number: int) -> bytes:
        """One chunk, packed; empty if it is not here."""
        with self._lock:
            one = self._kept.get(height)
        if one is None or format != FORMAT or not 0 <= number < len(one.hashes):
            return b""
        if number < len(one.journal):
            part = one.journal[number]
            records = map(_of_block, self._journal.blocks(part.first, one.kernel))
            return pack(next(_cut(records, part.skip)))
        try:
            return (self._folder / str(height) / str(number - len(one.journal))).read_bytes()
        except OSError:
            return b""  # it went while it was asked for

    def _write(self, height: int, kernel: int, pinned: threading.Event) -> None:
        part = self._folder / f"{height}.part"
        try:
            part.mkdir()
            with self._rows.pinned():
                pinned.set()
                hashes = []
                records = (encode(Row(*row)) for row in chain(self._rows.live(), self._rows.archive()))
                for number, data in enumerate(_cut(records)):
                    if self._closing and number:
                        raise InterruptedError("the node stops")
                    (part / str(number)).write_bytes(pack(data))
                    hashes.append(sha256(data).digest())
            contents = _Contents(height, kernel, self._parts(kernel), hashes)
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
            parts = [] if newest is None else list(self._kept[newest].journal)
        first, skip = parts.pop()[:2] if parts else (0, 0)
        start, size, hash = (first, skip), 0, sha256()
        for block in self._journal.blocks(first, kernel):
            record = _framed(_of_block(block))
            at, skip = skip, 0
            while at < len(record):
                if not size:
                    start = (block.height, at)
                taken = record[at : at + CHUNK_BYTES - size]
                hash.update(taken)
                at, size = at + len(taken), size + len(taken)
                if size == CHUNK_BYTES:
                    parts.append(_Part(*start, hash.digest()))
                    size, hash = 0, sha256()
                    if self._closing:
                        raise InterruptedError("the node stops")
        return [*parts, _Part(*start, hash.digest())] if size else parts


def _load(folder: Path) -> _Contents | None:
    """A snapshot of an earlier run; one that cannot be read, or is of an earlier release, goes."""
    try:
        return msgspec.msgpack.decode((folder / "contents").read_bytes(), type=_Contents)
    except (OSError, msgspec.MsgspecError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _hash(hashes: Iterable[bytes]) -> bytes:
    return sha256(b"".join(hashes)).digest()


def _of_block(block: Any) -> bytes:
    return encode(JournalBlock(block.height, block.at, canonical(block.receipts), block.leaves, block.envelopes))


def _framed(record: bytes) -> bytes:
    if len(record) > MAX_RECORD:
        raise ValueError(f"a block of {len(record)} bytes is larger than any node would take")
    return len(record).to_bytes(_LENGTH, "big") + record


def _cut(records: Iterable[bytes], skip: int = 0) -> Iterator[bytes]:
    """The stream of these records from byte `skip` on, in chunks; the last may be short."""
    stream = bytearray()
    for record in records:
        stream += _framed(record)[skip:]
        skip = 0
        while len(stream) >= CHUNK_BYTES:
            yield bytes(stream[:CHUNK_BYTES])
            del stream[:CHUNK_BYTES]
    if stream:
        yield bytes(stream)


class Reader:
    """Reads a stream chunk by chunk. It holds a chunk, and a record that has begun."""

    def __init__(self) -> None:
        self._begun = b""
        self._decode = msgspec.msgpack.Decoder(JournalBlock | Row).decode

    def feed(self, data: bytes) -> Iterator[JournalBlock | Row]:
        """The records that end in this chunk. Raises ValueError for what is none."""
        stream = self._begun + data
        at = 0
        while (start := at + _LENGTH) <= len(stream):
            length = int.from_bytes(stream[at:start], "big")
            if length > MAX_RECORD:
                raise ValueError(f"a record of {length} bytes is announced")
            if start + length > len(stream):
                break
            yield self._decode(stream[start : start + length])
            at = start + length
        self._begun = stream[at:]

    @property
    def within(self) -> bool:
        """Whether a record has begun and not ended."""
        return bool(self._begun)


def read_chunk(data: bytes) -> bytes:
    """A chunk as it was sent; raises ValueError if it is none, or would be larger than one."""
    return unpack(data, CHUNK_BYTES)


def chunk_hashes(snapshot: wire.Snapshot) -> list[bytes]:
    """The hashes of an offered snapshot's chunks; raises ValueError if they do not lead to its own."""
    data = snapshot.metadata
    if not 0 < snapshot.chunks <= MAX_CHUNKS or len(data) != 32 * snapshot.chunks:
        raise ValueError(f"it names {snapshot.chunks} chunks, and {len(data)} bytes of hashes")
    hashes = [data[at : at + 32] for at in range(0, len(data), 32)]
    if _hash(hashes) != snapshot.hash:
        raise ValueError("the hashes of its chunks do not lead to its hash")
    return hashes
