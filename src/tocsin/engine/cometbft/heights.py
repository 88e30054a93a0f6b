"""CometBFT's heights beside ours (ADR 9).

CometBFT counts every block, the kernel those that change something. Which of CometBFT's is the last one kept must
survive a kill at any moment. So each is written here, and synced, before the store commits what it changed; at a
start the store tells whether that came about. So is a snapshot, before its first row is written: until a block
follows it, CometBFT may not have gone on from it, and both must begin anew (ADR 11).
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import msgspec

_SLOT = 512
"""A disk sector: one write of it is torn or whole, and the check sum says which."""


class HeightsLost(Exception):
    """File and store do not belong together."""


class _Entry(NamedTuple):
    """`height`: CometBFT's; `kernel`: of the last changing block up to it. `restoring`: it is that of a snapshot, of
    which any part may be here."""

    height: int
    kernel: int
    restoring: bool = False


_read_entry = msgspec.json.Decoder(_Entry).decode


class Heights:
    """Two slots in a file, written in turn, so that the last entry but one is always whole."""

    def __init__(self, path: Path, kernel: int) -> None:
        """`kernel`: the height of the store's last block. Raises HeightsLost."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        found = _found(self._file, kernel)
        if not found:
            os.close(self._file)
            raise HeightsLost(
                f"{path} does not belong to this store, which ends with block {kernel}: one of them was restored or "
                "removed alone. Restore both from one backup, or reset the node and let it synchronise."
            )
        last = found[-1]
        self.confirmed = kernel - 1
        """The kernel's height of the newest block, at the start, whose hash a header names for certain: that of the
        block after it. Of a block that changed nothing it is the last one that did."""
        if len(found) == 2 and found[0].height == last.height - 1:
            self.confirmed = max(self.confirmed, found[0].kernel)
        self.height = last.height
        """CometBFT's height of the last block that is kept."""
        self.restoring = last.restoring
        """Whether a snapshot was written, or begun, and no block followed."""

    def restore(self, height: int) -> None:
        """A snapshot of CometBFT's block `height` is about to be written; durable on return."""
        self._write(_Entry(height, 0, restoring=True))
        self.restoring = True

    def forget(self) -> None:
        """Nothing is kept any more; durable on return."""
        os.ftruncate(self._file, 0)
        os.fsync(self._file)
        self.height, self.restoring, self.confirmed = 0, False, -1

    def announce(self, height: int, kernel: int) -> None:
        """The store is about to hold CometBFT's block `height`, and so the kernel's `kernel`; durable on return."""
        self._write(_Entry(height, kernel))

    def kept(self, height: int) -> None:
        """The store holds it."""
        self.height, self.restoring = height, False

    def restored(self, height: int) -> None:
        """The store holds a snapshot of it."""
        self.height = height

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, entry: _Entry) -> None:
        content = msgspec.json.encode(entry)
        slot = hashlib.sha256(content).digest() + content
        os.pwrite(self._file, slot.ljust(_SLOT, b"\0"), entry.height % 2 * _SLOT)
        os.fsync(self._file)


def begun(path: Path, kernel: int) -> bool:
    """Whether CometBFT has blocks of its own here, where the store ends with block `kernel`."""
    if not path.exists():
        return False
    file = os.open(path, os.O_RDONLY)
    try:
        found = _found(file, kernel)
    finally:
        os.close(file)
    return not found or (found[-1].height > 0 and not found[-1].restoring)


def _found(file: int, kernel: int) -> list[_Entry]:
    """The entries that came about, by height; none if the last cannot have."""
    found = sorted(filter(None, (_read(file, slot) for slot in (0, 1))))
    while found and found[-1].kernel > kernel:
        found.pop()  # announced, and never committed
    if not found and kernel == 0:
        return [_Entry(0, 0)]
    return found if found and (found[-1].restoring or found[-1].kernel == kernel) else []


def _read(file: int, slot: int) -> _Entry | None:
    data = os.pread(file, _SLOT, slot * _SLOT)
    content = data[32:].rstrip(b"\0")
    if hashlib.sha256(content).digest() != data[:32]:
        return None
    return _read_entry(content)
