"""Operating errors of the store: exceptions, each with a sentence that says what happened and what to do.

After any of them while writing, the store takes no more writes until it is opened again; what was committed
before stays intact and readable. A refusal of an act is never one of these (see `tocsin.kernel.reasons`).
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class StoreError(Exception):
    """The store cannot do what was asked; the sentence says why."""


class StoreFull(StoreError):
    """No space is left, or a quota is used up."""


class StoreReadOnly(StoreError):
    """The file or its file system cannot be written."""


class StoreCorrupt(StoreError):
    """Stored bytes are not what was written; `tocsin fsck` says which."""


class StoreBusy(StoreError):
    """Another process has the store open for writing."""


class StoreVersion(StoreError):
    """The file is of a newer release, or no store of ours."""


class StoreStale(StoreError):
    """An earlier write failed: this object is ahead of the disk and must be opened again."""


OPERATIONAL = (
    apsw.FullError, apsw.ReadOnlyError, apsw.CorruptError, apsw.NotADBError, apsw.BusyError, apsw.LockedError,
    apsw.CantOpenError, apsw.PermissionsError, apsw.IOError, apsw.NoMemError,
)  # fmt: skip
"""What the world does to SQLite; its other errors are mistakes of ours and go on as they are."""

FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READ_ONLY_ERRNO = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def sqlite_errors(path: str, connection: apsw.Connection | None = None) -> Iterator[None]:
    """Turn what SQLite raises into a StoreError that names the file."""
    try:
        yield
    except OPERATIONAL as error:
        system = connection.system_errno if connection is not None and isinstance(error, apsw.IOError) else 0
        raise typed(error, path, system) from error


def typed(error: apsw.Error, path: str, system_errno: int = 0) -> StoreError:
    """The StoreError for an error of SQLite; `system_errno` is the operating system's, if known."""
    if isinstance(error, apsw.FullError) or system_errno in FULL_ERRNO:
        return StoreFull(f"The disk that holds {path} is full. Nothing was lost; free some space, then start again.")
    if isinstance(error, apsw.ReadOnlyError) or system_errno in READ_ONLY_ERRNO:
        return StoreReadOnly(
            f"{path} cannot be written: the file or its file system is read-only. Nothing was lost; "
            "make it writable, then start again."
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return StoreCorrupt(f"{path} is damaged ({error}). Run `tocsin fsck` to see what and where.")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreBusy(f"{path} is locked by another program ({error}). Stop that program, then try again.")
    if isinstance(error, apsw.CantOpenError):
        return StoreError(f"{path} cannot be opened ({error}). Check that its directory exists and may be used.")
    return StoreError(f"The store {path} failed ({type(error).__name__}: {error}). Look at the disk, then start again.")
