"""What this node has signed: the largest head of each log, kept outside the database (spec 10).

A database that is restored from a backup, or loses its last blocks, could be led to another head of a size that was
signed before. So every head is written here, and on disk, before the first key of this node signs it; another root of
the same size, or a smaller size, is never signed again. If this file is lost, so is the knowledge: the finality keys
must be replaced.
"""

import fcntl
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tocsin.store.database import sync_directory
from tocsin.store.errors import (
    FULL_ERRNO,
    READ_ONLY_ERRNO,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
)

_HEADER = b"tocsin-signed-heads/1\n"
_COMPACT_OVER = 1 << 20
"""Bytes beyond twice what counts, after which the file is written anew when opened."""


class SigningRefused(Exception):
    """This node signed something else before: signing would contradict it. The sentence says what."""


class SignedHead(NamedTuple):
    """A log's head: its origin, number of leaves, 32-byte root."""

    origin: str
    size: int
    root: bytes


class Watermark:
    """The file of signed heads: groups of lines that are only added; the last line of an origin counts."""

    def __init__(self, path: Path, handle: int, heads: dict[str, SignedHead]) -> None:
        self.path = path
        self._handle = handle
        self._heads = heads
        self._broken = False

    @classmethod
    def open(cls, path: Path | str, *, create: bool = False) -> "Watermark":
        """Open the file and keep others out. `create`: for a node that has never signed.

        Raises StoreError if it is missing, StoreCorrupt if it is damaged, StoreBusy if another process has it.
        """
        path = Path(path)
        if not create and not path.exists():
            raise StoreError(
                f"{path} is missing: it holds what this node has signed. Bring it back; if it is lost, replace the "
                "finality keys of this node before it signs again."
            )
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _failure(error, path) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = _read(handle)
            heads, good = _parse(data, path)
            if good < len(data) or not data:
                os.ftruncate(handle, good)
            if not good:
                _write(handle, _HEADER)
            os.fsync(handle)
            sync_directory(path.parent)
        except BlockingIOError as error:
            os.close(handle)
            raise StoreBusy(f"{path} is in use by another node; two must not sign for one.") from error
        except OSError as error:
            os.close(handle)
            raise _failure(error, path) from error
        except StoreError:
            os.close(handle)
            raise
        mark = cls(path, handle, heads)
        if good > _COMPACT_OVER + 2 * len(_group(heads.values())):
            mark._compact()
        return mark

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)
        self._broken = True

    def __enter__(self) -> "Watermark":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self, origin: str) -> SignedHead | None:
        """The largest head signed of a log."""
        return self._heads.get(origin)

    def admit(self, heads: Iterable[SignedHead]) -> None:
        """Write down heads that are about to be signed; they may be signed once this returns.

        One write and one fsync for all of them. Raises SigningRefused, with nothing written, if one of them
        contradicts what was signed; StoreFull, StoreReadOnly or StoreError if it cannot be written.
        """
        if self._broken:
            raise StoreError(f"{self.path} could not be written before, or is closed; nothing more is signed.")
        new: dict[str, SignedHead] = {}
        for head in heads:
            last = new.get(head.origin) or self._heads.get(head.origin)
            if last == head:
                continue
            if last is not None and head.size <= last.size:
                raise SigningRefused(_contradiction(head, last))
            new[head.origin] = head
        if not new:
            return
        try:
            _write(self._handle, _group(new.values()))
            os.fdatasync(self._handle)
        except OSError as error:
            # A part may have been written. It is cut off at the next opening; until then nothing may follow it.
            self._broken = True
            raise _failure(error, self.path) from error
        self._heads.update(new)

    def _compact(self) -> None:
        """Write only the heads that count into a new file, and put it in the place of this one."""
        fresh = self.path.with_name(self.path.name + ".new")
        handle = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write(handle, _HEADER + _group(self._heads[origin] for origin in sorted(self._heads)))
        os.fsync(handle)
        os.replace(fresh, self.path)
        sync_directory(self.path.parent)
        os.close(self._handle)
        self._handle = handle


def _group(heads: Iterable[SignedHead]) -> bytes:
    """Heads written together: a line each, then one that seals them."""
    body = "".join(f"{head.size} {head.root.hex()} {head.origin}\n" for head in heads).encode()
    return body + _seal(body)


def _seal(body: bytes) -> bytes:
    return b"sealed " + sha256(body).hexdigest().encode() + b"\n"


def _parse(data: bytes, path: Path) -> tuple[dict[str, SignedHead], int]:
    """Heads, and how many bytes are whole.

    What follows the last good seal was never synced and so never signed: a crash cut it off. Damage before a good
    seal is another matter.
    """
    if not data.startswith(_HEADER):
        if _HEADER.startswith(data):
            return {}, 0
        raise StoreCorrupt(f"{path} is not a list of signed heads, or of a newer release; bring back the right file.")
    heads: dict[str, SignedHead] = {}
    start = place = whole = len(_HEADER)
    damaged = False
    for line in data[whole:].splitlines(keepends=True):
        place += len(line)
        if not line.startswith(b"sealed "):
            continue
        body = data[start : place - len(line)]
        if line != _seal(body):
            damaged = True
        elif damaged:
            raise StoreCorrupt(f"{path} is damaged before byte {start}; bring back a whole copy, or replace the keys.")
        else:
            for size, root, origin in (one.split(" ", 2) for one in body.decode().splitlines()):
                heads[origin] = SignedHead(origin, int(size), bytes.fromhex(root))
            whole = place
        start = place
    return heads, whole


def _contradiction(head: SignedHead, last: SignedHead) -> str:
    if head.size == last.size:
        return (
            f"This node signed another root of {head.origin} at size {head.size}: {last.root.hex()}, and now "
            f"{head.root.hex()}. The log was forked, perhaps by a restored backup; sign nothing and find out why."
        )
    return (
        f"This node signed {head.origin} at size {last.size} already, and is now at {head.size}. The log lost leaves, "
        "perhaps by a restored backup; bring the newer database back."
    )


def _read(handle: int) -> bytes:
    parts: list[bytes] = []
    os.lseek(handle, 0, os.SEEK_SET)
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _failure(error: OSError, path: Path) -> StoreError:
    if error.errno in FULL_ERRNO:
        return StoreFull(
            f"The disk that holds {path} is full, so nothing is signed; free some space, then start again."
        )
    if error.errno in READ_ONLY_ERRNO:
        return StoreReadOnly(f"{path} cannot be written, so nothing is signed; make it writable, then start again.")
    return StoreError(f"{path} cannot be used ({error.strerror}), so nothing is signed; look at the disk.")
