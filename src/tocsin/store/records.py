"""Reading a network's log and journal: leaves, tiles, proofs, blocks, and where things stand in them (spec 10)."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.store.batch import BUCKET_BITS, Head, SqlValue, Staged, StagedBlock
from tocsin.store.codec import LANDMARK, decode_receipts, decompress, names_of, short_id, unpack
from tocsin.store.errors import StoreCorrupt
from tocsin.tlog.merkle import consistency_proof, frontier, inclusion_proof
from tocsin.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, HashReader, encode_bundle

BLOCK_COLUMNS = "height, at, first, size, root, receipts, leaves, envelopes"
_HASH = 32
_TILES_KEPT = 64


class Reader(Protocol):
    """What records are read with; `Store` is one."""

    def one(self, sql: str, values: Sequence[SqlValue]) -> Any: ...

    def all(self, sql: str, values: Sequence[SqlValue]) -> list[Any]: ...

    def iterate(self, sql: str, values: Sequence[SqlValue]) -> Iterator[Any]: ...

    def full_tile(self, net: int, level: int, index: int) -> bytes: ...


class StoredBlock(NamedTuple):
    """A block of the journal. `first`, `size`: leaves before and after; `root`: of `size`; `envelopes`: wrappers."""

    height: int
    at: int
    first: int
    size: int
    root: bytes
    receipts: list[list[int]]
    leaves: list[bytes]
    envelopes: list[bytes]


class BlockEnd(NamedTuple):
    """Where a block left the log: its height, and `size` leaves with this root."""

    height: int
    size: int
    root: bytes


class ActPlace(NamedTuple):
    """Where an act stands: block height, position of its envelope there, its own number in it."""

    height: int
    position: int
    act: int
    envelope: Envelope


class Records(ABC):
    """Log and journal of one network: what is on disk, and on top what is staged."""

    def __init__(self, reader: Reader, net: int, origin: str) -> None:
        self._reader = reader
        self.net = net
        self.origin = origin
        self._pending: tuple[Staged, ...] = ()
        self._head: Head | None = None

    @property
    @abstractmethod
    def head(self) -> Head:
        """Where the log stands, staged blocks included."""

    @property
    def durable(self) -> tuple[int, int]:
        """Height and size of the last block on disk; (-1, 0) if there is none."""
        row = self._reader.one("SELECT height, size FROM block WHERE net = ? ORDER BY height DESC LIMIT 1", (self.net,))
        return (-1, 0) if row is None else (row[0], row[1])

    # The log.

    def leaf(self, index: int) -> bytes:
        """Leaf `index` of the log; raises IndexError beyond its end."""
        return self.leaves(index, index + 1)[0]

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Leaves `start` up to `end`; raises IndexError beyond the log's end."""
        return list(self.iter_leaves(start, end))

    def iter_leaves(self, start: int, end: int) -> Iterator[bytes]:
        """Like `leaves`, without holding more than a block at a time."""
        if not 0 <= start <= end:
            raise IndexError(f"there are no leaves {start} to {end}")
        if start == end:
            return
        pending = self._pending
        stored = min(end, pending[0].first) if pending else end
        reached = start
        if start < stored:
            height = self._height_of(start)
            for first, blob in self._reader.iterate(
                "SELECT first, leaves FROM block WHERE net = ? AND height >= ? ORDER BY height", (self.net, height)
            ):
                leaves = unpack(decompress(blob), 2)
                taken = leaves[reached - first : stored - first]
                yield from taken
                reached += len(taken)
                if reached >= stored:
                    break
        for part in pending:
            for block in part.blocks:
                if block.first <= reached < end:
                    taken = block.leaves[reached - block.first : end - block.first]
                    yield from taken
                    reached += len(taken)
        if reached != end:
            raise IndexError(f"the log of {self.origin} ends at {reached}, before leaf {end - 1}")

    def bundle(self, index: int, width: int = TILE_WIDTH) -> bytes:
        """Entry bundle `index` (C2SP tlog-tiles) of `width` entries."""
        start = index * TILE_WIDTH
        return encode_bundle(self.leaves(start, start + width))

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The first `width` hashes of a tile; raises IndexError if the log does not have them."""
        head = self.head
        place = index * TILE_WIDTH
        if not (level >= 0 and index >= 0 and 1 <= width <= TILE_WIDTH and place + width <= head.size >> 8 * level):
            raise IndexError(f"the log of {self.origin} has no tile {level}/{index} of width {width}")
        if index == head.size >> TILE_HEIGHT * (level + 1):
            return head.edge.tiles[level][: width * _HASH]
        for part in self._pending:
            if (level, index) in part.tiles:
                return part.tiles[(level, index)][: width * _HASH]
        return self._reader.full_tile(self.net, level, index)[: width * _HASH]

    def hashes(self, size: int) -> HashReader:
        """A reader of complete subtrees of the log of `size` leaves."""
        if not 0 <= size <= self.head.size:
            raise IndexError(f"the log of {self.origin} has {self.head.size} leaves, not {size}")
        return HashReader(self.tile, size, keep=_TILES_KEPT)

    def root(self, size: int) -> bytes:
        """Root of the log when it had `size` leaves."""
        head = self.head
        return head.root if size == head.size else frontier(size, self.hashes(size)).root()

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Proof that leaf `index` stands in the log of `size` leaves; ValueError if it does not."""
        return inclusion_proof(index, size, self.hashes(size))

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """Proof that the log of `size1` leaves is a prefix of that of `size2`; ValueError where there is none."""
        return consistency_proof(size1, size2, self.hashes(size2))

    def find(self, id: str) -> list[int]:
        """Indexes of the leaves that name a message, incident, order or finding, or are about one, in order."""
        wanted = short_id(id)
        rows = self._reader.all(
            "WITH RECURSIVE b(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM b WHERE n < ?1) "
            "SELECT leaf FROM b CROSS JOIN mention WHERE net = ?2 AND bucket = n AND id = ?3 ORDER BY leaf",
            (self.head.size >> BUCKET_BITS, self.net, wanted),
        )
        found = {leaf: None for (leaf,) in rows if id in names_of(self.leaf(leaf)).all()}
        for part in self._pending:
            for block in part.blocks:
                for index, leaf in enumerate(block.leaves, start=block.first):
                    if id in names_of(leaf).all():
                        found[index] = None
        return list(found)

    def landmarks(self) -> list[int]:
        """Indexes of the leaves of genesis, charters, rosters and peers, in order."""
        return self.find(LANDMARK)

    # The journal.

    def block(self, height: int) -> StoredBlock | None:
        """The block of this height; None if none changed anything at it."""
        return next(self.blocks(height, height), None)

    def block_of_leaf(self, index: int) -> StoredBlock:
        """The block that appended leaf `index`; raises IndexError beyond the log's end."""
        if not 0 <= index < self.head.size:
            raise IndexError(f"the log of {self.origin} has {self.head.size} leaves, not {index + 1}")
        for part in self._pending:
            for block in part.blocks:
                if block.first <= index < block.first + len(block.leaves):
                    return _stored(block)
        return next(self.blocks(self._height_of(index)))

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[StoredBlock]:
        """The blocks from height `first` to `last`, in order, each once."""
        top = self.head.height if last is None else last
        pending = self._pending
        reached = first - 1
        for row in self._reader.iterate(
            f"SELECT {BLOCK_COLUMNS} FROM block WHERE net = ? AND height BETWEEN ? AND ? ORDER BY height",
            (self.net, first, top),
        ):
            read = stored_block(row)
            reached = read.height
            yield read
        for part in pending:
            for block in part.blocks:
                if reached < block.height <= top:
                    yield _stored(block)

    def ends(self, first: int, last: int) -> list[BlockEnd]:
        """Where the blocks from height `first` to `last` left the log, in order; what they hold is not read."""
        ends = [
            BlockEnd(*row)
            for row in self._reader.all(
                "SELECT height, size, root FROM block WHERE net = ? AND height BETWEEN ? AND ? ORDER BY height",
                (self.net, first, last),
            )
        ]
        reached = ends[-1].height if ends else first - 1
        staged = [block for part in self._pending for block in part.blocks if reached < block.height <= last]
        return ends + [BlockEnd(one.height, one.first + len(one.leaves), one.root) for one in staged]

    def find_acts(
        self, wanted: Collection[tuple[str, str]], since: int, until: int, about: str | None = None
    ) -> dict[tuple[str, str], ActPlace]:
        """The acts with these (author, act digest) in blocks with `since` <= T <= `until` (ms), with their envelopes.

        Two members who say the same have the same act digest, so the author is part of the name. There is no index
        of acts: rows and leaves say when each was taken, and only those blocks are read. `about`: a text that the
        envelopes must contain, such as the message id in a ballot; it spares decoding the others.
        """
        left = set(wanted)
        found: dict[tuple[str, str], ActPlace] = {}
        needle = None if about is None else about.encode()
        for block in self.blocks(self._height_at(since)):
            if block.at > until or not left:
                break
            if block.at < since:
                continue
            for position, data in enumerate(block.envelopes):
                if needle is not None and needle not in data:
                    continue
                envelope = decode(data)
                if isinstance(envelope, Refusal):
                    raise StoreCorrupt(
                        f"{self.origin}: envelope {position} of block {block.height} cannot be read "
                        f"({envelope.reason.name}). Run `tocsin fsck`."
                    )
                for index, digest in enumerate(envelope.act_digests):
                    name = (envelope.header.author, digest)
                    if name in left:
                        left.remove(name)
                        found[name] = ActPlace(block.height, position, index, envelope)
        return found

    # Search over the journal: heights, times and leaf numbers all grow together.

    def _height_of(self, leaf: int) -> int:
        """Height of the stored block that holds a leaf."""
        return self._search("first", leaf)

    def _height_at(self, at: int) -> int:
        """A height from which on every block with T >= `at` stands."""
        return self._search("at", at - 1)

    def _search(self, column: str, value: int) -> int:
        """The greatest stored height whose `column` is at most `value`; 0 if there is none."""
        # While the head is being loaded, what is on disk is all there is.
        low, high = 0, self.durable[0] if self._head is None else self._head.height
        best = 0
        while low <= high:
            row = self._reader.one(
                f"SELECT height, {column} FROM block WHERE net = ? AND height <= ? ORDER BY height DESC LIMIT 1",
                (self.net, (low + high) // 2),
            )
            if row is None or row[0] < low:
                low = (low + high) // 2 + 1
            elif row[1] <= value:
                best = row[0]
                low = (low + high) // 2 + 1
            else:
                high = row[0] - 1
        return best


def stored_block(row: Sequence[Any]) -> StoredBlock:
    """The block in a row of `BLOCK_COLUMNS`; raises StoreCorrupt, or MsgspecError for receipts that are none."""
    height, at, first, size, root, receipts, leaves, envelopes = row
    return StoredBlock(
        height, at, first, size, root, decode_receipts(receipts), unpack(decompress(leaves), 2),
        unpack(decompress(envelopes), 4),
    )  # fmt: skip


def _stored(block: StagedBlock) -> StoredBlock:
    return StoredBlock(
        block.height, block.at, block.first, block.first + len(block.leaves), block.root, block.receipts, block.leaves,
        [one.data for one in block.envelopes],
    )  # fmt: skip
