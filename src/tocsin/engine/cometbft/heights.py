"""CometBFT's heights beside ours (ADR 9).

CometBFT counts every block, the kernel those that change something. Which of CometBFT's is the last one kept must
survive a kill at any moment. So each is written here, and synced, before the store commits what it changed; at a
start the store tells whether that came about.
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
    """`height`: CometBFT's; `kernel`: of the last changing block up to it."""

    height: int
    kernel: int


class Heights:
    """Two slots in a file, written in turn, so that the last entry but one is always whole."""

    def __init__(self, path: Path, kernel: int) -> None:
        """`kernel`: the height of the store's last block. Raises HeightsLost."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._path = path
        found = sorted(filter(None, (self._read(slot) for slot in (0, 1))))
        while found and found[-1].kernel > kernel:
            found.pop()  # announced, and never committed
        if not found and kernel == 0:
            found = [_Entry(0, 0)]
        if not found or found[-1].kernel != kernel:
            os.close(self._file)
            raise HeightsLost(
                f"{path} does not belong to this store, which ends with block {kernel}: one of them was restored or "
                "removed alone. Restore both from one backup, or reset the node and let it synchronise."
            )
        self.height = found[-1].height
        """CometBFT's height of the last block that is kept."""

    def announce(self, height: int, kernel: int) -> None:
        """The store is about to hold CometBFT's block `height`, and so the kernel's `kernel`; durable on return."""
        content = msgspec.json.encode(_Entry(height, kernel))
        slot = hashlib.sha256(content).digest() + content
        os.pwrite(self._file, slot.ljust(_SLOT, b"\0"), height % 2 * _SLOT)
        os.fsync(self._file)

    def kept(self, height: int) -> None:
        """The store holds it."""
        self.height = height

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _read(self, slot: int) -> _Entry | None:
        data = os.pread(self._file, _SLOT, slot * _SLOT)
        content = data[32:].rstrip(b"\0")
        if hashlib.sha256(content).digest() != data[:32]:
            return None
        return msgspec.json.decode(content, type=_Entry)
