"""Fsck of a log: leaves against roots, tiles and the index of ids (spec 10)."""

from collections.abc import Iterator, Sequence

from tocsin.store.batch import BUCKET_BITS
from tocsin.store.codec import names_of, short_id
from tocsin.store.fsck.findings import Finding
from tocsin.store.store import Store
from tocsin.tlog.merkle import Frontier, leaf_hash
from tocsin.tlog.tiles import TILE_WIDTH, TileEdge


class LogCheck:
    """Grows the tree of one network again, leaf by leaf, and compares what is stored about it."""

    def __init__(self, store: Store, net: int, origin: str) -> None:
        self._store = store
        self._net = net
        self._origin = origin
        self._tree = Frontier()
        self._edge = TileEdge()
        self._tiles = 0
        self._named: set[tuple[int, int]] = set()
        self.roots: dict[int, bytes] = {}
        """Size at each block's end -> root."""

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._tree.size

    def block(self, where: str, leaves: Sequence[bytes], root: bytes) -> Iterator[Finding]:
        """Append a block's leaves."""
        first = self.size
        hashes = [leaf_hash(leaf) for leaf in leaves]
        self._tree = self._tree.extend(hashes)
        self._edge, tiles = self._edge.extend(hashes)
        if self._tree.root() != root:
            yield Finding(where, f"its leaves lead to the root {self._tree.root().hex()}, it says {root.hex()}")
        self.roots[self.size] = self._tree.root()
        for tile in tiles:
            if tile.width < TILE_WIDTH:
                continue
            self._tiles += 1
            row = self._store.one(
                "SELECT hashes FROM tile WHERE net = ? AND level = ? AND n = ?", (self._net, tile.level, tile.index)
            )
            if row is None or row[0] != tile.data:
                wrong = "is missing" if row is None else "is not what the leaves hash to"
                yield Finding(f"{self._origin} {tile.path}", wrong)
        for index, leaf in enumerate(leaves, start=first):
            yield from self._leaf(index, leaf)

    def _leaf(self, index: int, leaf: bytes) -> Iterator[Finding]:
        if index and not index & (1 << BUCKET_BITS) - 1:
            yield from self._bucket((index >> BUCKET_BITS) - 1)
        try:
            self._named.update((short_id(id), index) for id in names_of(leaf).all())
        except ValueError as error:
            yield Finding(f"{self._origin} leaf {index}", f"it cannot be read: {error}")

    def _bucket(self, bucket: int) -> Iterator[Finding]:
        rows = self._store.all("SELECT id, leaf FROM mention WHERE net = ? AND bucket = ?", (self._net, bucket))
        stored = set(rows)
        for id, leaf in sorted(self._named ^ stored):
            wrong = "is missing in the index of ids" if (id, leaf) in self._named else "is named there without reason"
            yield Finding(f"{self._origin} leaf {leaf}", f"{wrong} (under {id & (1 << 64) - 1:016x})")
        self._named = set()

    def end(self) -> Iterator[Finding]:
        """After the last block."""
        last = (self.size - 1) >> BUCKET_BITS if self.size else -1
        if last >= 0:
            yield from self._bucket(last)
        for (bucket,) in self._store.all(
            "SELECT DISTINCT bucket FROM mention WHERE net = ? AND bucket > ?", (self._net, last)
        ):
            yield Finding(f"{self._origin} index of ids", f"it names leaves beyond the log (bucket {bucket})")
        (tiles,) = self._store.one("SELECT count(*) FROM tile WHERE net = ?", (self._net,))
        if tiles > self._tiles:
            yield Finding(f"{self._origin} tiles", f"there are {tiles - self._tiles} more than {self.size} leaves fill")
