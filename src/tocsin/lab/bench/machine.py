"""The machine in general terms, and V: the time of one signature check, the unit of the other figures."""

import os
import platform
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import apsw

from tocsin.engine.signatures import holds
from tocsin.kernel.genesis import Check

_CHECKS = 256


class Machine(TypedDict):
    """Nothing that says whose machine it is."""

    cores: int
    cpu: str
    memory_gib: int
    system: str
    python: str
    sqlite: str


def machine() -> Machine:
    """This machine, in general terms."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": cores(),
        "cpu": _cpu(),
        "memory_gib": round(pages / 2**30),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": apsw.sqlite_lib_version(),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def now_ms() -> int:
    """Milliseconds since 1970-01-01T00:00Z."""
    return time.time_ns() // 1_000_000


def free_gib(folder: Path) -> float:
    """Free space where a folder lies, in GiB."""
    return shutil.disk_usage(folder).free / 2**30


def verification_s(checks: Sequence[Check], rounds: int = 5) -> float:
    """V: seconds for one Ed25519 verification in one thread, the best of some rounds over real envelopes."""
    taken = checks[:_CHECKS]
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        held = [holds(check) for check in taken]
        best = min(best, (time.perf_counter() - start) / len(taken))
        assert all(held)
    return best
