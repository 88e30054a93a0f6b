"""What commands print: text for people, one JSON object for machines."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec


class Failure(Exception):
    """Something could not be done; the sentence says what happened and what to do next."""


def unusable(error: OSError) -> Failure:
    """What the machine refused, as a sentence; with the path, where it was one."""
    if error.filename is None:
        return Failure(str(error))
    return Failure(f"{error.filename} cannot be used: {error.strerror}; name another place.")


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
