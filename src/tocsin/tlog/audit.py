"""A whole log against its root: every entry bundle is hashed again, every tile compared."""

from collections.abc import Callable, Iterator

from .merkle import HASH_SIZE, leaf_hash
from .tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    ReadTile,
    Tile,
    TileEdge,
    TileError,
    bundle_path,
    bundle_places,
    decode_bundle,
)

ReadBundle = Callable[[int, int], bytes]
"""``(index, width)`` -> the data of an entry bundle."""


def audit(size: int, root: bytes, read_tile: ReadTile, read_bundle: ReadBundle) -> Iterator[str]:
    """What is wrong with a stored log, one sentence each; nothing if it is exactly the log of this size and root.

    The readers raise TileError for what they cannot give. A bad bundle ends the audit: what follows it cannot be
    judged. Memory does not grow with the log.
    """
    edge = TileEdge()
    for place in bundle_places(size):
        try:
            entries = decode_bundle(read_bundle(place.index, place.width), place.width)
        except TileError as error:
            yield f"{bundle_path(place.index, place.width)}: {error}"
            return
        edge, tiles = edge.extend([leaf_hash(entry) for entry in entries])
        for tile in tiles:
            # Partial tiles on the way are of no published size; the last ones are compared below.
            if tile.width == TILE_WIDTH:
                yield from _compare(tile, read_tile)
    for level, data in enumerate(edge.tiles):
        if data:
            yield from _compare(Tile(level, size >> TILE_HEIGHT * (level + 1), len(data) // HASH_SIZE, data), read_tile)
    if edge.frontier().root() != root:
        yield f"the entries have the root {edge.frontier().root().hex()}, the checkpoint says {root.hex()}"


def _compare(tile: Tile, read_tile: ReadTile) -> Iterator[str]:
    try:
        stored = read_tile(tile.level, tile.index, tile.width)
    except TileError as error:
        yield f"{tile.path}: {error}"
        return
    # The full tile may stand in for a partial one that was deleted when it filled.
    if len(stored) not in (len(tile.data), TILE_WIDTH * HASH_SIZE) or not stored.startswith(tile.data):
        yield f"{tile.path}: is not made of the entries under it"
