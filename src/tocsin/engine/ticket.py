"""Tickets: the answer to an envelope that is on its way.

As `concurrent.futures.Future` would do it, at a tenth of its cost: an engine hands out one for each envelope, and
hardly anybody waits on most of them.
"""

import threading
from collections.abc import Callable
from typing import NamedTuple

from tocsin.kernel.envelope import Refusal


class Receipt(NamedTuple):
    """An envelope in a final block: where it stands, and a reason for each act (0 = accepted)."""

    digest: str
    height: int
    at: int
    position: int
    codes: list[int]


class Ticket:
    """Settled once, when the envelope's fate is final. `digest`: the envelope's."""

    __slots__ = ("_answer", "_callbacks", "_error", "digest")

    _lock = threading.Lock()

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self._answer: Receipt | Refusal | None = None
        self._error: Exception | None = None
        self._callbacks: tuple[Callable[[Ticket], None], ...] | None = ()

    def done(self) -> bool:
        """Whether it is settled."""
        return self._callbacks is None

    def result(self, timeout: float | None = None) -> Receipt | Refusal:
        """Wait for the answer; raises what the engine failed with, or TimeoutError."""
        self._wait(timeout)
        if self._answer is None:
            assert self._error is not None
            raise self._error
        return self._answer

    def exception(self, timeout: float | None = None) -> Exception | None:
        """Wait; what the engine failed with, None if there is an answer."""
        self._wait(timeout)
        return self._error

    def add_done_callback(self, callback: Callable[["Ticket"], None]) -> None:
        """Have it called once the ticket is settled, at once if it is. It runs in the engine's thread: be quick, and
        raise nothing."""
        with self._lock:
            if self._callbacks is not None:
                self._callbacks = (*self._callbacks, callback)
                return
        callback(self)

    def settle(self, answer: Receipt | Refusal) -> None:
        """The answer; for the engine."""
        self._answer = answer
        self._finish()

    def fail(self, error: Exception) -> None:
        """No answer will come; for the engine."""
        self._error = error
        self._finish()

    def _finish(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is None:
            raise RuntimeError("a ticket is settled once")
        for callback in callbacks:
            callback(self)

    def _wait(self, timeout: float | None) -> None:
        if self._callbacks is None:
            return
        settled = threading.Event()
        self.add_done_callback(lambda _: settled.set())
        if not settled.wait(timeout):
            raise TimeoutError("the envelope is not final yet")
