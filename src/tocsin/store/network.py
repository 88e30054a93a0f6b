"""One network's part of the store: journal, log, state rows (spec 10).

Reads see what is committed and, on top, what this process has staged but not yet written, so that the next block
can be made while the last one is being written.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from tocsin.kernel.block import Outcome, found
from tocsin.kernel.genesis import decode_genesis
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.state import State
from tocsin.store.batch import Batch, Head, Papers, Staged, StagedBlock
from tocsin.store.codec import MAX_LEAF, pack_key
from tocsin.store.errors import StoreCorrupt, StoreStale
from tocsin.store.records import Records
from tocsin.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash, subtree_hash
from tocsin.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileEdge

if TYPE_CHECKING:
    from tocsin.store.store import Store

_HASH = 32


class StoredCheckpoint(NamedTuple):
    """A signed checkpoint with its cosignatures, as a note. `kept`: it stays when newer ones come."""

    size: int
    note: bytes
    kept: bool


class _Growth(NamedTuple):
    """What a block adds to the log that stood at `before`: where it stands then, and the tiles that it fills."""

    outcome: Outcome
    before: Head
    head: Head
    tiles: list[Tile]


class NetworkStore(Records):
    """The records of one network. Made by `Store.network` and `Store.create_network`."""

    def __init__(self, store: "Store", net: int, origin: str, digest: str) -> None:
        super().__init__(store, net, origin)
        self.digest = digest
        self._store = store
        self._stale = False
        self._growth: _Growth | None = None

    # Founding papers.

    @property
    def genesis(self) -> bytes:
        """The genesis file."""
        return self._papers().genesis

    @property
    def founding(self) -> bytes:
        """The founding signatures' file."""
        return self._papers().founding

    def _papers(self) -> Papers:
        for part in self._pending:
            if part.papers is not None:
                return part.papers
        row = self._store.one("SELECT genesis, founding FROM network WHERE net = ?", (self.net,))
        if row is None:
            raise StoreCorrupt(f"{self.origin}: its genesis is missing. Run `tocsin fsck`.")
        return Papers(self.origin, self.digest, bytes(row[0]), bytes(row[1]))

    def found(self, papers: Papers, outcome: Outcome) -> None:
        """Stage the network itself, with its block 0."""
        with self._store.staging:
            self._staged().papers = papers
            self.append(outcome)

    # Where it stands.

    @property
    def head(self) -> Head:
        """Height, time, size, root, staged blocks included. Raises StoreCorrupt if leaves and root disagree."""
        if self._head is None:
            self._head = self._load_head()
        return self._head

    def _load_head(self) -> Head:
        row = self._store.one(
            "SELECT height, at, size, root FROM block WHERE net = ? ORDER BY height DESC LIMIT 1", (self.net,)
        )
        if row is None:
            return Head(-1, 0, 0, EMPTY_ROOT, TileEdge(), Frontier())
        height, at, size, root = row
        edge = TileEdge(size, tuple(self._partial_tile(level, size) for level in range(-(-size.bit_length() // 8))))
        tree = edge.frontier()
        if tree.root() != root:
            raise StoreCorrupt(
                f"{self.origin}: the leaves of the log do not lead to the root that block {height} names. "
                "Run `tocsin fsck` and restore a backup; never sign on."
            )
        return Head(height, at, size, root, edge, tree)

    def _partial_tile(self, level: int, size: int) -> bytes:
        hashes = size >> TILE_HEIGHT * level
        start = hashes & ~(TILE_WIDTH - 1)
        if level == 0:
            return b"".join(leaf_hash(leaf) for leaf in self.leaves(start, hashes))
        return b"".join(
            subtree_hash(_split(self._store.full_tile(self.net, level - 1, n))) for n in range(start, hashes)
        )

    def load_state(self) -> State:
        """The state of the last block; raises StoreCorrupt if its rows and the journal disagree."""
        rows = self._store.all("SELECT key, value FROM live WHERE net = ? ORDER BY key", (self.net,))
        live = {key: bytes(value) for key, value in rows}
        for part in self._pending:
            for key, new in part.live.items():
                if new is None:
                    live.pop(key, None)
                else:
                    live[key] = new
        try:
            state = State.from_rows(live.items())
            meta = state.meta
        except (ValueError, KeyError) as error:
            raise StoreCorrupt(
                f"{self.origin}: a row of the state cannot be read ({error}). Run `tocsin fsck`."
            ) from error
        if (meta.height, meta.size) != (self.head.height, self.head.size):
            raise StoreCorrupt(
                f"{self.origin}: the state is that of block {meta.height}, the journal ends with {self.head.height}. "
                "Run `tocsin fsck` and restore a backup."
            )
        return state

    def row(self, key: str) -> bytes | None:
        """A live row of the state as it is on disk, whatever is being decided meanwhile; None if there is none."""
        found = self._store.one("SELECT value FROM live WHERE net = ? AND key = ?", (self.net, key))
        return None if found is None else bytes(found[0])

    def rows(self, table: str) -> list[tuple[str, bytes]]:
        """The live rows of one table of the state, likewise."""
        found = self._store.all(
            "SELECT key, value FROM live WHERE net = ? AND key BETWEEN ? AND ? ORDER BY key",
            (self.net, f"{table}:", f"{table};"),
        )
        return [(key, bytes(value)) for key, value in found]

    # Writing.

    def after(self, outcome: Outcome) -> Head:
        """Where the log will stand with this block; raises ValueError for one that cannot follow the last one."""
        return self._growth_by(outcome).head

    def _growth_by(self, outcome: Outcome) -> _Growth:
        """Reckoned once, for who asks before the block is appended."""
        head = self.head
        if self._growth is not None and self._growth.outcome is outcome and self._growth.before is head:
            return self._growth
        if not outcome.changed or not outcome.leaves:
            raise ValueError(f"block {outcome.height} changes nothing: it is not stored")
        if outcome.height <= head.height or outcome.at < head.at:
            raise ValueError(f"block {outcome.height} at {outcome.at} cannot follow {head.height} at {head.at}")
        for leaf in outcome.leaves:
            if len(leaf) > MAX_LEAF:
                raise ValueError(f"a leaf of block {outcome.height} has {len(leaf)} bytes, more than {MAX_LEAF}")
        hashes = [leaf_hash(leaf) for leaf in outcome.leaves]
        edge, tiles = head.edge.extend(hashes)
        tree = head.frontier.extend(hashes)
        after = Head(outcome.height, outcome.at, tree.size, tree.root(), edge, tree)
        self._growth = _Growth(outcome, head, after, [tile for tile in tiles if tile.width == TILE_WIDTH])
        return self._growth

    def append(self, outcome: Outcome) -> None:
        """Stage a block that changed something; it is durable after the store's next commit.

        Raises StoreStale after a failed write, ValueError for a block that cannot follow the last one.
        """
        growth = self._growth_by(outcome)
        self._growth = None
        with self._store.staging:
            part = self._staged()
            part.blocks.append(
                StagedBlock(
                    outcome.height, outcome.at, growth.before.size, growth.head.root, outcome.receipts, outcome.leaves,
                    outcome.consumed,
                )
            )  # fmt: skip
            part.tiles.update(((tile.level, tile.index), tile.data) for tile in growth.tiles)
            for key, value in outcome.writes:
                (part.archive if key.startswith(ARCHIVE) else part.live)[key] = value
            self._head = growth.head

    def put_archived(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Stage archived rows that come with a snapshot, apart from the blocks that wrote them."""
        with self._store.staging:
            self._staged().archive.update(rows)

    def unwind(self) -> None:
        """Be as founded: forget what a snapshot brought and nobody has used (ADR 11). Raises as the store's commit."""
        _, outcome = found(decode_genesis(self.genesis))
        self._store.unwind(self.net, outcome)

    def unwound(self) -> None:
        """It was taken back to its founding: look again at what is on disk."""
        self._pending = ()
        self._head = None

    def put_checkpoint(self, size: int, note: bytes, *, keep: bool = False) -> None:
        """Stage a signed checkpoint; older ones that were not to be kept go."""
        if size > self.head.size:
            raise ValueError(f"there is no checkpoint of size {size} in a log of {self.head.size} leaves")
        with self._store.staging:
            part = self._staged()
            kept = keep or part.checkpoints.get(size, (b"", False))[1]
            part.checkpoints[size] = (note, kept)

    def flush(self) -> None:
        """Make what is staged durable, unless this thread has a transaction open whose end will do it."""
        self._store.flush()

    def drop(self) -> None:
        """Forget what is staged and not yet written. Whoever staged it loads the state again."""
        with self._store.staging:
            self._store.batch.parts.pop(self.net, None)
            self._pending = ()
            self._head = None

    def _staged(self) -> Staged:
        if self._stale:
            raise StoreStale(f"{self.origin}: an earlier write failed; open the store and the network again.")
        batch = self._store.batch
        part = batch.parts.get(self.net)
        if part is None:
            part = batch.parts[self.net] = Staged(self.net, self.head.size)
            self._pending = (*self._pending, part)
        return part

    def written(self, batch: Batch) -> None:
        """The batch is on disk: its part need not be kept."""
        done = batch.parts.get(self.net)
        with self._store.staging:
            self._pending = tuple(part for part in self._pending if part is not done)

    def fail(self) -> None:
        """A write failed: forget what was staged; only what is on disk is left to read."""
        with self._store.staging:
            self._stale = True
            self._pending = ()
            self._head = None

    # The state's archive.

    def archived(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Archived rows by key, None for those that are not there (spec 3.4)."""
        return {key: self._archived(key) for key in keys}

    def _archived(self, key: str) -> bytes | None:
        for part in reversed(self._pending):
            if key in part.archive:
                return part.archive[key]
        row = self._store.one("SELECT place FROM archive WHERE net = ? AND key = ?", (self.net, pack_key(key)))
        return None if row is None else self._store.value_at(row[0])

    def find_receipt(self, state: State, digest: str) -> tuple[int, int, list[int]] | None:
        """Height, position and codes of an envelope taken so recently that it is remembered (spec 3.1)."""
        for row in state.tables["seen"].values():
            if digest in row.digests:
                position = row.digests.index(digest)
                block = self.block(row.height)
                return None if block is None else (row.height, position, block.receipts[position])
        return None

    # Checkpoints.

    def checkpoint(self, size: int | None = None) -> StoredCheckpoint | None:
        """The newest checkpoint, or that of one size."""
        for part in reversed(self._pending):
            if part.checkpoints and (size is None or size in part.checkpoints):
                at = max(part.checkpoints) if size is None else size
                note, kept = part.checkpoints[at]
                return StoredCheckpoint(at, note, kept)
        row = self._store.one(
            "SELECT size, note, kept FROM checkpoint WHERE net = ?1 AND (?2 IS NULL OR size = ?2) "
            "ORDER BY size DESC LIMIT 1",
            (self.net, size),
        )
        return None if row is None else StoredCheckpoint(row[0], bytes(row[1]), bool(row[2]))

    def checkpoints(self) -> list[StoredCheckpoint]:
        """All stored checkpoints, smallest first; staged ones are left out."""
        rows = self._store.all("SELECT size, note, kept FROM checkpoint WHERE net = ? ORDER BY size", (self.net,))
        return [StoredCheckpoint(size, bytes(note), bool(kept)) for size, note, kept in rows]


def _split(data: bytes) -> list[bytes]:
    return [data[i : i + _HASH] for i in range(0, len(data), _HASH)]
