"""What processes and folders cost: CPU seconds from /proc, bytes on disk; and ports for them."""

import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, without its children; 0 where /proc does not say."""
    try:
        return sum(map(int, _stat(pid)[11:13])) / _TICKS
    except OSError:
        return 0.0


def machine_s() -> float:
    """CPU seconds that all processes of the machine have taken; 0 where /proc does not say."""
    try:
        fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / _TICKS


def child_of(pid: int) -> int | None:
    """A process that this one has started, None if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(_stat(int(entry.name))[1]) == pid:
                return int(entry.name)
        except OSError:
            continue
    return None


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold spaces: from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def bytes_in(folder: Path) -> int:
    """Of all files below a folder, 0 if there is none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue  # CometBFT removes files as it goes
    return total


def free_ports(count: int) -> Sequence[int]:
    """Ports of this machine that nobody listens at now."""
    with ExitStack() as stack:
        links = [stack.enter_context(socket.socket()) for _ in range(count)]
        for link in links:
            link.bind(("127.0.0.1", 0))
        return [link.getsockname()[1] for link in links]
