"""Ed25519 checks in processes of their own, for a node under full load.

Threads free the interpreter lock during a check, but must take it back after each one, and while the kernel applies a
block they wait for it. A process has a lock of its own. Each gets a share of every chunk by pipe and answers a byte
a check.
"""

import fcntl
import os
import subprocess
import sys
from array import array
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from itertools import accumulate, chain, pairwise
from typing import BinaryIO

from tocsin.engine.ed25519 import holds
from tocsin.engine.signatures import INLINE, Part, Verifying
from tocsin.kernel.genesis import Check

_PIPE_BYTES = 1 << 20
"""So that handing over the next chunk does not wait for the last one."""


class VerifierStopped(Exception):
    """A verifying process has ended, so that signatures cannot be checked."""


class _Answer:
    """The verdicts that one process still owes."""

    def __init__(self, worker: "_Worker", count: int) -> None:
        self._worker = worker
        self._count = count

    def result(self) -> list[bool]:
        return self._worker.receive(self._count)


class _Worker:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tocsin.engine.embedded.processes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self._to, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def send(self, checks: Sequence[Check]) -> _Answer:
        parts = list(chain.from_iterable(checks))
        lengths = array("Q", map(len, parts)).tobytes()
        try:
            self._to.write(b"".join((len(checks).to_bytes(8, sys.byteorder), lengths, *parts)))
            self._to.flush()
        except OSError as error:
            raise self._stopped() from error
        return _Answer(self, len(checks))

    def receive(self, count: int) -> list[bool]:
        told = self._from.read(count)
        if len(told) != count:
            raise self._stopped()
        return [one == 1 for one in told]

    def close(self) -> None:
        # What a process that has ended did not take is still in the buffer, and of no use.
        with suppress(OSError):
            self._to.close()
        self._from.close()
        self._process.wait()

    def _stopped(self) -> VerifierStopped:
        return VerifierStopped(
            f"The process {self._process.pid} that checks signatures has ended (status {self._process.poll()}). "
            "Look for why, then start again."
        )


class ProcessVerifier:
    """A pool of processes that check signatures; for one thread that starts chunks and takes them in order."""

    def __init__(self, processes: int | None = None) -> None:
        self._workers = [_Worker() for _ in range(processes or os.cpu_count() or 1)]

    def start(self, checks: list[list[Check]]) -> Verifying:
        """Check rows of signatures in the background, split evenly over the processes."""
        flat = [check for row in checks for check in row]
        if len(flat) <= INLINE:
            done: Future[list[bool]] = Future()
            done.set_result([holds(check) for check in flat])
            return Verifying(checks, [done])
        share = -(-len(flat) // len(self._workers))
        parts: list[Part] = [
            worker.send(flat[start : start + share])
            for worker, start in zip(self._workers, range(0, len(flat), share), strict=False)
        ]
        return Verifying(checks, parts)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The work of one process: until the other end closes."""
    while len(head := requests.read(8)) == 8:
        count = int.from_bytes(head, sys.byteorder)
        lengths = array("Q", requests.read(24 * count))
        ends = [0, *accumulate(lengths)]
        data = requests.read(ends[-1])
        parts = [data[start:end] for start, end in pairwise(ends)]
        answers.write(bytes(map(holds, zip(parts[::3], parts[1::3], parts[2::3], strict=True))))
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
