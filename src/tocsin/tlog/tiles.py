"""Tiles and entry bundles (C2SP tlog-tiles): the static files in which a log's hashes and entries are served.

A tile of level L holds up to 256 hashes of height 8 L; level L + 1 hashes only full tiles of level L. An entry bundle
holds the entries under one level 0 tile. A full tile never changes; a partial one is a prefix of the full one, so a
store may keep the longest it has and cut. Partials of every published checkpoint size must be served until the tile
is full.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from .checkpoint import parse_decimal
from .merkle import HASH_SIZE, Frontier, frontier, subtree_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
MAX_ENTRY_SIZE = 65_535
MAX_LEVEL = 63

_TILE_BYTES = TILE_WIDTH * HASH_SIZE
_MAX_INDEX = 2**63 - 1

ReadTile = Callable[[int, int, int], bytes]
"""``(level, index, width)`` -> ``width`` hashes, or the full tile if the partial one was deleted."""


class TileError(ValueError):
    """A tile, bundle, entry or path is not what the format allows."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: ``width`` hashes of 32 bytes in ``data``, 256 if it is full."""

    level: int
    index: int
    width: int
    data: bytes

    @property
    def path(self) -> str:
        return tile_path(self.level, self.index, self.width)


@dataclass(frozen=True, slots=True)
class Bundle:
    """An entry bundle: ``width`` entries, each with its length, in ``data``."""

    index: int
    width: int
    data: bytes

    @property
    def path(self) -> str:
        return bundle_path(self.index, self.width)


@dataclass(frozen=True, slots=True)
class Place:
    """What a path names; ``level`` is None for an entry bundle."""

    level: int | None
    index: int
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """``tile/<level>/<index>[.p/<width>]``, the index in groups of three digits."""
    if not 0 <= level <= MAX_LEVEL:
        raise TileError(f"a log has no tile level {level}")
    return f"tile/{level}/{_index_path(index, width)}"


def bundle_path(index: int, width: int = TILE_WIDTH) -> str:
    """``tile/entries/<index>[.p/<width>]``."""
    return f"tile/entries/{_index_path(index, width)}"


def parse_path(path: str) -> Place:
    """The tile or bundle that a canonical path names; TileError for any other text."""
    # 20 groups of digits are beyond any index, and keep int() away from long input.
    if len(path) > 100:
        raise TileError("not the path of a tile: too long")
    parts = path.split("/")
    width = TILE_WIDTH
    try:
        if len(parts) > 3 and parts[-2].endswith(".p"):
            width = parse_decimal(parts.pop(), TILE_WIDTH - 1)
            parts[-1] = parts[-1].removesuffix(".p")
        level = None if parts[1] == "entries" else parse_decimal(parts[1], MAX_LEVEL)
        digits = "".join(part.removeprefix("x") for part in parts[2:])
        index = parse_decimal(digits.lstrip("0") or "0", _MAX_INDEX)
        place = Place(level, index, width)
        canonical = bundle_path(index, width) if level is None else tile_path(level, index, width)
    except (IndexError, ValueError):
        raise TileError(f"{path!r} is not the path of a tile or entry bundle") from None
    if canonical != path:
        raise TileError(f"{path!r} is not the path of a tile or entry bundle")
    return place


def tile_places(size: int, since: int = 0) -> list[Place]:
    """Tiles of a log of ``size`` leaves that the log of ``since`` leaves did not have, by level and index.

    A partial tile counts as another one when its width changed.
    """
    places = []
    for level in range(MAX_LEVEL + 1):
        hashes, before = size >> TILE_HEIGHT * level, since >> TILE_HEIGHT * level
        if hashes == before:
            break
        places += [Place(level, index, width) for index, width in _changed(hashes, before)]
    return places


def bundle_places(size: int, since: int = 0) -> list[Place]:
    """Entry bundles of a log of ``size`` leaves that the log of ``since`` leaves did not have."""
    return [Place(None, index, width) for index, width in _changed(size, since)]


@dataclass(frozen=True, slots=True)
class TileEdge:
    """The partial tiles at a log's right edge: all that is needed to make the next tiles.

    ``tiles[l]`` are the bytes of the partial tile of level l, empty if there is none; the last is not empty. Values
    are immutable: `extend` gives the new edge beside the tiles to store, so a store swaps it in after its commit.
    """

    size: int = 0
    tiles: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        widths = [self.size >> TILE_HEIGHT * level & TILE_WIDTH - 1 for level in range(_levels(self.size))]
        if [width * HASH_SIZE for width in widths] != [len(tile) for tile in self.tiles]:
            raise TileError(f"these are not the partial tiles of a log of {self.size} leaves")

    @classmethod
    def load(cls, size: int, read_tile: ReadTile) -> "TileEdge":
        """The edge of a stored log; reads one partial tile a level."""
        tiles = []
        for level in range(_levels(size)):
            hashes = size >> TILE_HEIGHT * level
            index, width = hashes >> TILE_HEIGHT, hashes & TILE_WIDTH - 1
            tiles.append(_cut(read_tile(level, index, width), level, index, width) if width else b"")
        return cls(size, tuple(tiles))

    def extend(self, leaves: Sequence[bytes]) -> "tuple[TileEdge, list[Tile]]":
        """The edge after these leaf hashes, and the tiles that are new or grew, by level and index.

        Costs about one node hash a leaf; history is never read. Of a tile that fills on the way only the full
        form is given, of the last one the partial form: one call, one published checkpoint size.
        """
        for leaf in leaves:
            if len(leaf) != HASH_SIZE:
                raise TileError(f"a leaf hash has 32 bytes, not {len(leaf)}")
        new_size = self.size + len(leaves)
        tiles: list[Tile] = []
        edge: list[bytes] = []
        added = list(leaves)
        for level in range(_levels(new_size)):
            data = self.tiles[level] if level < len(self.tiles) else b""
            index = self.size >> TILE_HEIGHT * (level + 1)
            data += b"".join(added)
            grew = bool(added)
            added = []
            start = 0
            while len(data) - start >= _TILE_BYTES:
                full = data[start : start + _TILE_BYTES]
                tiles.append(Tile(level, index, TILE_WIDTH, full))
                added.append(subtree_hash(_hashes(full)))
                index += 1
                start += _TILE_BYTES
            partial = data[start:]
            if partial and grew:
                tiles.append(Tile(level, index, len(partial) // HASH_SIZE, partial))
            edge.append(partial)
        return TileEdge(new_size, tuple(edge)), tiles

    def frontier(self) -> Frontier:
        """The tree's compact range, from the partial tiles alone."""
        return frontier(self.size, HashReader(self._read, self.size))

    def _read(self, level: int, index: int, width: int) -> bytes:
        return self.tiles[level]


class HashReader:
    """`merkle.ReadHash` over stored tiles: complete subtrees of the log of ``size`` leaves.

    Keeps the last ``keep`` tiles (8 KiB each). `at` gives a reader for another size of the same log that shares
    them. Tiles are trusted as they come; a proof built from them is right only if it leads to a checkpoint's root.
    """

    def __init__(self, read_tile: ReadTile, size: int, keep: int = 1024) -> None:
        self.size = size
        self._read: ReadTile = lru_cache(maxsize=keep)(read_tile)

    def at(self, size: int) -> "HashReader":
        other = HashReader.__new__(HashReader)
        other.size, other._read = size, self._read
        return other

    def __call__(self, height: int, index: int) -> bytes:
        """Hash of a complete subtree. Raises ValueError if it is not within the log, TileError for a bad tile."""
        if not 0 <= index < self.size >> height:
            raise ValueError(f"subtree {index} of height {height} is not in a log of {self.size} leaves")
        level, inner = divmod(height, TILE_HEIGHT)
        tile, start = divmod(index << inner, TILE_WIDTH)
        width = min(TILE_WIDTH, (self.size >> TILE_HEIGHT * level) - tile * TILE_WIDTH)
        data = _cut(self._read(level, tile, width), level, tile, width)
        return subtree_hash(_hashes(data[start * HASH_SIZE : (start + (1 << inner)) * HASH_SIZE]))


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """1 to 256 entries as one bundle: each a 2-byte big-endian length and its bytes."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise TileError(f"an entry bundle has 1 to 256 entries, not {len(entries)}")
    return b"".join(_encode_entry(entry) for entry in entries)


def decode_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """The entries of a bundle. Raises TileError unless it holds exactly ``width`` entries and nothing else."""
    entries = []
    position = 0
    while position < len(data):
        start = position + 2
        end = start + int.from_bytes(data[position:start], "big")
        if end > len(data):
            raise TileError("an entry bundle ends within an entry")
        entries.append(data[start:end])
        position = end
    if len(entries) != width:
        raise TileError(f"an entry bundle has {len(entries)} entries where {width} should be")
    return tuple(entries)


def new_bundles(size: int, partial: bytes, entries: Sequence[bytes]) -> list[Bundle]:
    """The bundles that are new or grew when entries are appended to a log of ``size`` leaves.

    ``partial`` is the data of the current partial bundle, empty if ``size`` is a multiple of 256. Raises TileError
    if it is not, or an entry is longer than 65,535 bytes.
    """
    width = size % TILE_WIDTH
    decode_bundle(partial, width)
    index = size >> TILE_HEIGHT
    bundles = []
    done = 0
    while done < len(entries):
        taken = entries[done : done + TILE_WIDTH - width]
        data = partial + b"".join(_encode_entry(entry) for entry in taken)
        bundles.append(Bundle(index, width + len(taken), data))
        done += len(taken)
        index, width, partial = index + 1, 0, b""
    return bundles


def _encode_entry(entry: bytes) -> bytes:
    if len(entry) > MAX_ENTRY_SIZE:
        raise TileError(f"a log entry has at most {MAX_ENTRY_SIZE} bytes, this has {len(entry)}; log its digest")
    return len(entry).to_bytes(2, "big") + entry


def _index_path(index: int, width: int) -> str:
    if not (0 <= index <= _MAX_INDEX and 1 <= width <= TILE_WIDTH):
        raise TileError(f"there is no tile {index} of width {width}")
    groups = [f"{index % 1000:03}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def _changed(hashes: int, before: int) -> list[tuple[int, int]]:
    """Index and width of the tiles that hold hashes ``before`` to ``hashes`` of one level."""
    if hashes <= before:
        return []
    first, full = before >> TILE_HEIGHT, hashes >> TILE_HEIGHT
    partial = hashes & TILE_WIDTH - 1
    return [(index, TILE_WIDTH) for index in range(first, full)] + ([(full, partial)] if partial else [])


def _levels(size: int) -> int:
    """How many tile levels a log has."""
    return -(-size.bit_length() // TILE_HEIGHT)


def _hashes(data: bytes) -> list[bytes]:
    return [data[i : i + HASH_SIZE] for i in range(0, len(data), HASH_SIZE)]


def _cut(data: bytes, level: int, index: int, width: int) -> bytes:
    if len(data) not in (width * HASH_SIZE, _TILE_BYTES):
        raise TileError(f"{tile_path(level, index, width)} has {len(data)} bytes, not {width * HASH_SIZE}")
    return data[: width * HASH_SIZE]
