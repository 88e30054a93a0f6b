"""A file layer under SQLite that fails on demand: dies at a call, tears a write, loses what was not synced."""

import os
import random
from collections.abc import Callable
from typing import Any

import apsw

DEATH = 77
"""Exit status of a process that died where it was told to."""


class Plan:
    """When and how to fail. `die_at`: number of the storage call; `how`: before, torn, or power (unsynced writes are
    lost in part); `error`: raise this from writes once `fail_after` calls have passed."""

    def __init__(self, die_at: int = 0, how: str = "before", seed: int = 0) -> None:
        self.calls = 0
        self.die_at = die_at
        self.how = how
        self.random = random.Random(seed)
        self.error: Callable[[], Exception] | None = None
        self.unsynced: list[tuple[Any, int, bytes, int]] = []

    def call(self, tear: Callable[[], object] = lambda: None) -> None:
        """One storage call is about to be made; `tear` does half of it."""
        self.calls += 1
        if self.calls == self.die_at:
            if self.how == "torn":
                tear()
            elif self.how == "power":
                self._lose()
            os._exit(DEATH)

    def _lose(self) -> None:
        """Take back a random part of the unsynced writes, the newest first."""
        for file, offset, before, size in reversed(self.unsynced):
            if self.random.random() < 0.5:
                file.restore(offset, before, size)


class FaultVFS(apsw.VFS):
    """Register under `name`; every file opened through it follows the plan."""

    def __init__(self, name: str, plan: Plan) -> None:
        self.plan = plan
        self.name = name
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> "FaultFile":
        self.plan.call()
        return FaultFile(name, flags, self.plan)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.plan.call()
        super().xDelete(filename, syncdir)


class FaultFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], plan: Plan) -> None:
        self.plan = plan
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self.plan.error is not None:
            raise self.plan.error()
        data = bytes(data)
        self.plan.call(lambda: super(FaultFile, self).xWrite(data[: len(data) // 2], offset))
        if self.plan.how == "power":
            size = super().xFileSize()
            before = super().xRead(len(data), offset) if offset < size else b""
            self.plan.unsynced.append((self, offset, bytes(before), size))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self.plan.call()
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        if self.plan.error is not None:
            raise self.plan.error()
        self.plan.call()
        super().xSync(flags)
        self.plan.unsynced = [entry for entry in self.plan.unsynced if entry[0] is not self]

    def restore(self, offset: int, before: bytes, size: int) -> None:
        """Undo a write that was never synced."""
        if before:
            super().xWrite(before, offset)
        if super().xFileSize() > size:
            super().xTruncate(size)


def count_system_calls(plan: Plan) -> None:
    """Let the plan count what the watermark does to its file as well. For a process that will end."""
    write, sync, datasync, cut, move = os.write, os.fsync, os.fdatasync, os.ftruncate, os.replace

    def counted_write(handle: int, data: bytes) -> int:
        if handle > 2:
            plan.call(lambda: write(handle, data[: len(data) // 2]))
        return write(handle, data)

    def counted(call: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            plan.call()
            return call(*args)

        return wrapped

    os.write = counted_write  # type: ignore[assignment]
    os.fsync, os.fdatasync = counted(sync), counted(datasync)
    os.ftruncate, os.replace = counted(cut), counted(move)
