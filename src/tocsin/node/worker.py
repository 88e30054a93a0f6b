"""Threads of a network on this node, which are missed when they end."""

import threading
from collections.abc import Callable


class Ended(Exception):
    """A thread has ended that should run; the sentence says which and why. Its `__cause__` is what ended it."""


class Worker(threading.Thread):
    """Runs `work` until that has been told to stop. What ends it before stands in `failed`."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self.failed: BaseException | None = None

    def run(self) -> None:
        """For the thread itself."""
        try:
            self._work()
        except BaseException as error:
            self.failed = error

    def check(self) -> None:
        """Raises Ended if it runs no longer."""
        if not self.is_alive():
            raise Ended(f"{self.name} has ended: {why(self.failed)}") from self.failed


def why(error: BaseException | None) -> str:
    """What an error says, with its kind where the text alone says nothing to a person."""
    if error is None:
        return "nobody told it to."
    text = str(error)
    return text if text.endswith(".") else f"{type(error).__name__}: {text}"
