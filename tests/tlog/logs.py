"""A log as its static files, in memory or written to a folder."""

from collections.abc import Sequence
from pathlib import Path

from tests.tlog.keys import signed_checkpoint
from tocsin.tlog.merkle import Frontier, leaf_hash
from tocsin.tlog.tiles import HashReader, TileEdge, TileError, bundle_path, new_bundles, tile_path


class MemoryLog:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.edge = TileEdge()
        self.frontier = Frontier()
        self.reads: list[str] = []

    @property
    def size(self) -> int:
        return self.edge.size

    @property
    def root(self) -> bytes:
        return self.frontier.root()

    def append(self, entries: Sequence[bytes]) -> "MemoryLog":
        leaves = [leaf_hash(entry) for entry in entries]
        width = self.size % 256
        partial = self.files[bundle_path(self.size >> 8, width)] if width else b""
        for bundle in new_bundles(self.size, partial, entries):
            self.files[bundle.path] = bundle.data
        self.edge, tiles = self.edge.extend(leaves)
        for tile in tiles:
            self.files[tile.path] = tile.data
        self.frontier = self.frontier.extend(leaves)
        return self

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        return self._read(tile_path(level, index, width))

    def read_bundle(self, index: int, width: int) -> bytes:
        return self._read(bundle_path(index, width))

    def reader(self) -> HashReader:
        return HashReader(self.read_tile, self.size)

    def write(self, folder: Path, cosigners: int = 3) -> Path:
        for path, data in self.files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint").write_bytes(signed_checkpoint(self.size, self.root, cosigners=cosigners))
        return folder

    def _read(self, path: str) -> bytes:
        self.reads.append(path)
        try:
            return self.files[path]
        except KeyError:
            raise TileError("is missing") from None


def numbered(size: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % i for i in range(start, start + size)]
