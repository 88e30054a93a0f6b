"""Small files that are written whole or not at all, whatever cuts in."""

import os
from contextlib import suppress
from pathlib import Path

from tocsin.store.database import sync_directory


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write beside, flush, rename: after a crash or a power cut the old file is there, or the new. Raises OSError.

    `mode`: permissions of the file from its first byte on.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)  # of a process of this number that was cut off
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(path.parent)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
