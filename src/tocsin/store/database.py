"""The SQLite file: opening, settings, migrations, and the lock that keeps a second writer out."""

import fcntl
import os
from importlib.resources import files
from pathlib import Path

import apsw

from tocsin.store.errors import StoreBusy, StoreError, StoreReadOnly, StoreVersion, sqlite_errors

APPLICATION_ID = 0x544F4353
"""`TOCS`, in the file's header: what kind of file this is."""

MINIMUM_SQLITE = (3, 53, 0)
"""Older releases can corrupt a WAL database that is reset while being read (fixed in 3.51.3 and 3.53.0)."""

PAGE_BYTES = 8192
"""Measured: a tenth to a sixth less time a record than 4,096, and no more for thousands of small networks."""

CHECKPOINT_PAGES = 4000
"""Pages in the write-ahead log before they are moved into the file: 32 MiB."""

_WRITER_CACHE_KIB = 65_536
_READER_CACHE_KIB = 8_192
_BUSY_MS = 5_000


def check_sqlite() -> None:
    """Refuse to run on an SQLite that may corrupt the file; raises StoreError."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < MINIMUM_SQLITE:
        wanted = ".".join(map(str, MINIMUM_SQLITE))
        raise StoreError(f"SQLite {apsw.sqlite_lib_version()} can damage the store; install apsw {wanted} or newer.")


def migrations() -> list[str]:
    """The numbered SQL files, forward only; the schema's version is how many have run."""
    folder = files("tocsin.store") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    if names != [f"{number:04}.sql" for number in range(1, len(names) + 1)]:
        raise StoreError(f"The migrations of this installation are not complete: {names}. Install Tocsin again.")
    return [(folder / name).read_text(encoding="utf-8") for name in names]


class WriterLock:
    """An advisory lock beside the file, held while it is open for writing; the kernel frees it at death.

    It is a file of its own, since closing any descriptor of the database would drop SQLite's own locks on it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreReadOnly(
                f"{path} cannot be opened for writing ({error.strerror}). Make its directory writable, or open the "
                "store read-only."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreBusy(f"{path} is in use by another node. Stop it first; two would fork the log.") from error

    def release(self) -> None:
        """Let the next one in."""
        os.close(self._file)


def open_writer(path: Path, vfs: str | None = None) -> apsw.Connection:
    """Open for writing, create and migrate as needed. The caller holds the lock."""
    check_sqlite()
    new = not path.exists()
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with sqlite_errors(str(path)):
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    try:
        with sqlite_errors(str(path), connection):
            connection.set_busy_timeout(_BUSY_MS)
            _check_kind(connection, path)
            connection.pragma("page_size", PAGE_BYTES)
            mode = connection.pragma("journal_mode", "wal")
            if mode != "wal":
                raise StoreError(f"{path} lies on a file system without shared memory ({mode}); use a local disk.")
            connection.pragma("synchronous", "full")
            connection.pragma("cache_size", -_WRITER_CACHE_KIB)
            connection.pragma("trusted_schema", False)
            connection.wal_autocheckpoint(CHECKPOINT_PAGES)
            _migrate(connection)
        if new:
            sync_directory(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, vfs: str | None = None, *, immutable: bool = False) -> apsw.Connection:
    """Open for reading. `immutable` for a file that nobody can change, on a file system that cannot be written."""
    check_sqlite()
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    name = path.absolute().as_uri() + ("?immutable=1" if immutable else "")
    with sqlite_errors(str(path)):
        connection = apsw.Connection(name, flags=flags, vfs=vfs)
    try:
        with sqlite_errors(str(path), connection):
            connection.set_busy_timeout(_BUSY_MS)
            _check_kind(connection, path)
            connection.pragma("cache_size", -_READER_CACHE_KIB)
            connection.pragma("trusted_schema", False)
    except BaseException:
        connection.close()
        raise
    return connection


def sync_directory(folder: Path) -> None:
    """Make the creation or renaming of a file in this directory durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_kind(connection: apsw.Connection, path: Path) -> None:
    version, kind = connection.pragma("user_version"), connection.pragma("application_id")
    if (version or connection.pragma("schema_version")) and kind != APPLICATION_ID:
        raise StoreVersion(f"{path} is a database, but no store of Tocsin; choose another path.")
    known = len(migrations())
    if version > known:
        raise StoreVersion(
            f"{path} was written by a newer release (format {version}, this one knows {known}); update Tocsin."
        )


def _migrate(connection: apsw.Connection) -> None:
    done = connection.pragma("user_version")
    for number, script in enumerate(migrations()[done:], start=done + 1):
        with connection:
            connection.execute(script)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", number)
