"""A network's log as static C2SP files: checkpoint, tiles, entry bundles, the log's key."""

from pathlib import Path

from tocsin.kernel.genesis import decode_genesis
from tocsin.store.network import NetworkStore
from tocsin.tlog import VerifierKey, checkpoint, note, tiles


def export_log(store: NetworkStore, folder: Path) -> int:
    """Write the log under its newest final checkpoint into `folder`; return the size.

    Tiles first and the checkpoint last, so that a server never shows a head without its tree. Raises
    LookupError if nothing is signed yet, OSError from the file system.
    """
    signed = store.checkpoint()
    if signed is None:
        raise LookupError(f"{store.origin} has no signed checkpoint yet.")
    size = checkpoint.parse(note.parse(signed.note).text).size
    for place in tiles.tile_places(size):
        if place.level is not None:
            data = store.tile(place.level, place.index, place.width)
            _write(folder / tiles.tile_path(place.level, place.index, place.width), data)
    for place in tiles.bundle_places(size):
        _write(folder / tiles.bundle_path(place.index, place.width), store.bundle(place.index, place.width))
    key = VerifierKey(store.origin, 1, bytes.fromhex(decode_genesis(store.genesis).log_key))
    _write(folder / "log.vkey", f"{key}\n".encode())
    _write(folder / "checkpoint", signed.note)
    return size


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
