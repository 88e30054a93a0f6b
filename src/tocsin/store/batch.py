"""What waits to be written, and the one transaction that writes it (spec 10).

Blocks are staged in memory, of one network or of thousands, and written together: one transaction, one fsync.
Rows go in by statements of many rows, because the interpreter lock is taken once a statement and not once a row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import NamedTuple, TypeVar

import apsw

from tocsin.kernel.envelope import Envelope
from tocsin.store.codec import compress, encode_receipts, names_of, pack, pack_key, short_id
from tocsin.tlog.merkle import Frontier
from tocsin.tlog.tiles import TileEdge

BUCKET_BITS = 13
"""Leaves whose mentions lie together: 8,192."""

OFFSET_BITS = 24
"""An archived value's place = segment << 24 | offset."""

_SEGMENT_BYTES = 16_384
"""A segment ends with the value that brings it to this size, uncompressed: reading one value reads little else."""

_WIDTHS = (64, 8, 1)

_Row = TypeVar("_Row")
SqlValue = int | str | bytes | None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a network's log stands. `edge` and `frontier` describe the same tree of `size` leaves."""

    height: int
    at: int
    size: int
    root: bytes
    edge: TileEdge
    frontier: Frontier


class Papers(NamedTuple):
    """What a network is founded on. `digest`: the genesis's; then the two files."""

    origin: str
    digest: str
    genesis: bytes
    founding: bytes


@dataclass(frozen=True, slots=True)
class StagedBlock:
    """A block before it is durable."""

    height: int
    at: int
    first: int
    root: bytes
    receipts: list[list[int]]
    leaves: list[bytes]
    envelopes: list[Envelope]


@dataclass(slots=True)
class Staged:
    """What one network adds to a batch; later writes of one row replace earlier ones."""

    net: int
    first: int
    papers: Papers | None = None
    blocks: list[StagedBlock] = field(default_factory=list)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    live: dict[str, bytes | None] = field(default_factory=dict)
    archive: dict[str, bytes | None] = field(default_factory=dict)
    checkpoints: dict[int, tuple[bytes, bool]] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """Staged parts by network number."""

    parts: dict[int, Staged] = field(default_factory=dict)

    @property
    def blocks(self) -> int:
        """How many blocks wait."""
        return sum(len(part.blocks) for part in self.parts.values())


def write_batch(connection: apsw.Connection, batch: Batch, segment: int) -> int:
    """Write a batch in one durable transaction; return the next free segment number.

    On any error the transaction is rolled back and the error of SQLite goes on.
    """
    parts = list(batch.parts.values())
    connection.execute("BEGIN IMMEDIATE")
    try:
        _insert(connection, "network (net, origin, digest, genesis, founding)", 5, (
            (part.net, *part.papers) for part in parts if part.papers is not None
        ))  # fmt: skip
        _insert(
            connection, "block (net, height, at, first, size, root, receipts, leaves, envelopes)", 9, _blocks(parts)
        )
        _insert(connection, "tile (net, level, n, hashes)", 4, (
            (part.net, level, index, hashes)
            for part in parts
            for (level, index), hashes in part.tiles.items()
        ))  # fmt: skip
        for part in parts:
            _delete_live(connection, part.net, [key for key, value in part.live.items() if value is None])
        _insert(connection, "live (net, key, value)", 3, (
            (part.net, key, value)
            for part in parts
            for key, value in part.live.items()
            if value is not None
        ), "ON CONFLICT (net, key) DO UPDATE SET value = excluded.value")  # fmt: skip
        segments, places = _archive(parts, segment)
        _insert(connection, "segment (id, data)", 2, segments)
        _insert(connection, "archive (net, key, place)", 3, places,
                "ON CONFLICT (net, key) DO UPDATE SET place = excluded.place")  # fmt: skip
        _insert(connection, "mention (net, bucket, id, leaf)", 4, sorted(_mentions(parts)))
        for part in parts:
            for size, (note, kept) in part.checkpoints.items():
                _put_checkpoint(connection, part.net, size, note, kept)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return segment + len(segments)


def _put_checkpoint(connection: apsw.Connection, net: int, size: int, note: bytes, kept: bool) -> None:
    """Store a checkpoint in place of an older one that need not stay."""
    connection.execute("DELETE FROM checkpoint WHERE net = ? AND size < ? AND NOT kept", (net, size))
    connection.execute(
        "INSERT INTO checkpoint (net, size, kept, note) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (net, size) DO UPDATE SET note = excluded.note, kept = max(kept, excluded.kept)",
        (net, size, int(kept), note),
    )


def _blocks(parts: Iterable[Staged]) -> Iterator[Sequence[SqlValue]]:
    for part in parts:
        for block in part.blocks:
            yield (
                part.net, block.height, block.at, block.first, block.first + len(block.leaves), block.root,
                encode_receipts(block.receipts), compress(pack(block.leaves, 2)),
                compress(pack([one.data for one in block.envelopes], 4)),
            )  # fmt: skip


def _archive(
    parts: Iterable[Staged], segment: int
) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes, int | None]]]:
    """Pack archived values into segments; the places of their keys, sorted as the table is."""
    segments: list[tuple[int, bytes]] = []
    places: list[tuple[int, bytes, int | None]] = []
    data = bytearray()
    for part in parts:
        for key, value in part.archive.items():
            if value is None:
                raise ValueError(f"the archived row {key} cannot be deleted: archived rows are for ever")
            places.append((part.net, pack_key(key), segment + len(segments) << OFFSET_BITS | len(data)))
            data += len(value).to_bytes(4, "big")
            data += value
            if len(data) >= _SEGMENT_BYTES:
                segments.append((segment + len(segments), compress(bytes(data))))
                data.clear()
    if data:
        segments.append((segment + len(segments), compress(bytes(data))))
    places.sort()
    return segments, places


def _mentions(parts: Iterable[Staged]) -> Iterator[tuple[int, int, int, int]]:
    for part in parts:
        for block in part.blocks:
            for index, leaf in enumerate(block.leaves, start=block.first):
                for id in names_of(leaf).all():
                    yield part.net, index >> BUCKET_BITS, short_id(id), index


def _delete_live(connection: apsw.Connection, net: int, keys: list[str]) -> None:
    for row in _chunks(keys):
        marks = ", ".join("?" * len(row))
        connection.execute(f"DELETE FROM live WHERE net = ? AND key IN ({marks})", (net, *row))


def _insert(
    connection: apsw.Connection, target: str, columns: int, rows: Iterable[Sequence[SqlValue]], tail: str = ""
) -> None:
    for chunk in _chunks(list(rows)):
        connection.execute(_statement(target, columns, len(chunk), tail), [value for row in chunk for value in row])


def _chunks(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Chunks of few different lengths, so that each statement is prepared once and then cached."""
    source = iter(rows)
    left = len(rows)
    for width in _WIDTHS:
        while left >= width:
            yield list(islice(source, width))
            left -= width


@cache
def _statement(target: str, columns: int, rows: int, tail: str) -> str:
    row = "(" + ", ".join("?" * columns) + ")"
    return f"INSERT INTO {target} VALUES {', '.join([row] * rows)} {tail}"
