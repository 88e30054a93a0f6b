"""What commands print: text for people, one JSON object for machines, progress on a terminal."""

import argparse
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Failure(Exception):
    """Something could not be done; the sentence says what happened and what to do next."""


def print_json(value: Any) -> None:
    """One indented JSON value on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def add_json(parser: argparse.ArgumentParser) -> None:
    """The `--json` flag that every answering verb has."""
    parser.add_argument("--json", action="store_true", help="answer as one JSON object")


def as_typed(command: str | None) -> str | None:
    """A `tocsin ...` command as it can be typed here: by the path this program was started by, where its name alone
    would not find it."""
    if command is None or shutil.which("tocsin") or Path(sys.argv[0]).name != "tocsin":
        return command
    return shlex.quote(sys.argv[0]) + command.removeprefix("tocsin")


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
