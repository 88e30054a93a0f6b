"""Who lives in a node's directory: one process at a time, which also says there where it can be reached."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Occupied(Exception):
    """Another process has the directory; the sentence says which directory."""


@contextmanager
def of(folder: Path) -> Iterator[None]:
    """Have a node's directory to ourselves; the kernel lets go of it at our death. Raises Occupied, OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Occupied(f"A node runs in {folder} already.") from None
        yield
    finally:
        os.close(handle)
