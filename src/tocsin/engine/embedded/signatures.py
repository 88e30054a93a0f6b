"""Ed25519 checks in threads (spec 2, spec 3.4).

libsodium runs without the interpreter lock, so threads use all cores; the lock is taken between two checks only.
"""

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import nacl.bindings
from nacl.exceptions import CryptoError

from tocsin.kernel.genesis import Check

_INLINE = 4
"""So few checks are cheaper here than handed to a thread."""

_open = nacl.bindings.crypto_sign_open


def holds(check: Check) -> bool:
    """Whether one signature holds, exactly as libsodium decides it."""
    key, message, signature = check
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        _open(signature + message, key)
    except CryptoError:
        return False
    return True


class Verifying:
    """Checks on their way. `verdicts` waits for them."""

    def __init__(self, checks: list[list[Check]], parts: list[Future[list[bool]]]) -> None:
        self.checks = checks
        self._parts = parts

    def verdicts(self) -> list[list[bool]]:
        """Which hold, in the shape of the checks."""
        flat = iter([one for part in self._parts for one in part.result()])
        return [[next(flat) for _ in row] for row in self.checks]


class Verifier:
    """A pool of threads that check signatures."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="verify")

    def start(self, checks: list[list[Check]]) -> Verifying:
        """Check rows of signatures in the background, split evenly over the threads."""
        flat = [check for row in checks for check in row]
        if len(flat) <= _INLINE:
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
