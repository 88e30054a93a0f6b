"""Progress of long work, on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def progress(total: int, what: str) -> Iterator["Steps"]:
    """A progress bar on standard error; silent where that is no terminal."""
    console = Console(file=sys.stderr)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(what, total=total)
        yield Steps(bar, task)


class Steps:
    """Moves a progress bar; `step` may be called from the long work."""

    def __init__(self, bar: Progress, task: Any) -> None:
        self._bar = bar
        self._task = task

    def below(self, total: int, what: str) -> "Steps":
        """A further bar below this one, for what comes next."""
        return Steps(self._bar, self._bar.add_task(what, total=total))

    def step(self, _: int = 0) -> None:
        """One more done."""
        self._bar.advance(self._task)

    def to(self, done: int, total: int) -> None:
        """So many of so many done."""
        self._bar.update(self._task, completed=done, total=total)
