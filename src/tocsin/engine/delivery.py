"""Final blocks for whoever follows an engine: each once, in order, as they come (see the port)."""

import threading
from collections.abc import Iterator

from tocsin.engine.ledger import Journal
from tocsin.engine.port import FinalBlock


class Delivery:
    """What one engine has made final. The engine tells; any thread may follow."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._height = journal.durable[0]
        self._ended = False
        self._told = threading.Condition()

    @property
    def height(self) -> int:
        """Of the last final block."""
        return self._height

    def reach(self, height: int) -> None:
        """Blocks up to this height are final; for the engine."""
        with self._told:
            self._height = height
            self._told.notify_all()

    def end(self) -> None:
        """No further block will come; for the engine."""
        with self._told:
            self._ended = True
            self._told.notify_all()

    def blocks(self, after: int) -> Iterator[FinalBlock]:
        """All final blocks above a height, waiting for those to come; ends when the engine has."""
        reached = after
        while True:
            with self._told:
                while self._height <= reached and not self._ended:
                    self._told.wait()
                height = self._height
            if height <= reached:
                return
            yield from self._journal.blocks(reached + 1, height)
            reached = height
