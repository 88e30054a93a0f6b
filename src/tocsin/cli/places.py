"""Where a command's results go, tried before the long work begins and not after it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.cli.output import Failure
from tocsin.store.errors import StoreError

__all__ = ["make_room", "told", "try_to_write", "write"]

MARK = "replay-made-this"
"""Stands in a directory that a replay filled and the next one may empty: a node's own directory has none."""


def try_to_write(path: Path | None, option: str) -> None:
    """Make sure that the file an option names can be written; leaves no trace. Raises Failure with a sentence."""
    if path is None:
        return
    try:
        new = not path.exists()
        if new or path.is_file() or path.is_dir():  # Opening and closing a pipe would end it.
            path.open("ab").close()
        if new:
            path.unlink()
    except FileNotFoundError as error:
        raise Failure(f"{option} {path}: there is no directory {path.parent}; make it, or name another.") from error
    except OSError as error:
        raise Failure(f"{option} {path} cannot be written: {error.strerror}; name another file.") from error


def write(path: Path, data: bytes) -> None:
    """Write a result; raises Failure."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}; make room or name another file.") from error


def make_room(folder: Path) -> None:
    """An empty directory for networks, made where it is missing; what an earlier replay left is replaced, anything else
    refused. Raises Failure."""
    try:
        if folder.is_dir() and any(folder.iterdir()) and not _earlier(folder):
            raise Failure(f"--data-dir {folder} holds no earlier replay; name an empty or a new directory.")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).write_text("Made by tocsin replay or demo, and replaced by the next one.\n", encoding="utf-8")
        for name in ("networks", "dossiers", "policy"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("keys.json", "report.html", "signed-heads", "summary.json"):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"--data-dir {folder} cannot be used: {error.strerror}; name another directory.") from error


@contextmanager
def told() -> Iterator[None]:
    """Turns what the disk refuses during the long work into a sentence; raises Failure."""
    try:
        yield
    except StoreError as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"{error.filename or 'A file'} cannot be written: {error.strerror}; make room.") from error


def _earlier(folder: Path) -> bool:
    """A replay's: it left its mark, or, made before there were marks, its summary."""
    return (folder / MARK).is_file() or (folder / "summary.json").is_file()
