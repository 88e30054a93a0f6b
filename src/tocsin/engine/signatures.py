"""Signatures of a chunk, checked in threads (spec 3.4).

libsodium runs without the interpreter lock, so threads use all cores; the lock is taken between two checks only.
"""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

from tocsin.engine.ed25519 import holds
from tocsin.kernel.genesis import Check

__all__ = ["INLINE", "Checker", "Part", "Verifier", "Verifying", "current", "holds"]

INLINE = 16
"""So few checks are cheaper where they are: to hand some over takes as long as two or three of them."""


class Part(Protocol):
    """Verdicts on a run of checks, when they are there."""

    def result(self) -> list[bool]: ...


class Verifying:
    """Checks on their way. `verdicts` waits for them."""

    def __init__(self, checks: list[list[Check]], parts: Sequence[Part]) -> None:
        self.checks = checks
        self._parts = parts

    def verdicts(self) -> list[list[bool]]:
        """Which hold, in the shape of the checks."""
        flat = iter([one for part in self._parts for one in part.result()])
        return [list(islice(flat, len(row))) for row in self.checks]


def current(
    wanted: list[list[Check]], checked: list[list[Check]], verdicts: list[list[bool]]
) -> list[list[bool]]:
    """Verdicts on what must hold now. A block in between may have changed which signatures those are."""
    if wanted == checked:
        return verdicts
    known = {
        check: verdict
        for row, told in zip(checked, verdicts, strict=True)
        for check, verdict in zip(row, told, strict=True)
    }
    return [[known[check] if check in known else holds(check) for check in row] for row in wanted]


class Checker(Protocol):
    """What starts checks: threads here, or processes."""

    def start(self, checks: list[list[Check]]) -> Verifying: ...


class Verifier:
    """A pool of threads that check signatures."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="verify")

    def start(self, checks: list[list[Check]]) -> Verifying:
        """Check rows of signatures in the background, split evenly over the threads."""
        flat = [check for row in checks for check in row]
        if len(flat) <= INLINE:
            done: Future[list[bool]] = Future()
            done.set_result(_all(flat))
            return Verifying(checks, [done])
        share = -(-len(flat) // self._threads)
        return Verifying(checks, [self._pool.submit(_all, flat[i : i + share]) for i in range(0, len(flat), share)])

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(cancel_futures=True)


def _all(checks: Sequence[Check]) -> list[bool]:
    return [holds(check) for check in checks]
