"""What a verifier says: one line for each thing it checked, the first failure last."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

MANY = 12
"""Names that a sentence lists."""


class Refused(Exception):
    """The first thing that does not hold, in one sentence; nothing after it was checked."""


class Line(NamedTuple):
    """One thing checked, or told where `ok`; what failed where not."""

    ok: bool
    text: str


class Report(NamedTuple):
    """Everything that was checked, in order. `ok`: all of it held."""

    lines: list[Line]
    ok: bool


def require(holds: bool, sentence: str) -> None:
    """Go on if it holds; else refuse with this sentence."""
    if not holds:
        raise Refused(sentence)


def when(ms: int) -> str:
    """A moment in ms as UTC text; any integer has one."""
    try:
        moment = datetime.fromtimestamp(ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms after 1970"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 leaf`, `2 leaves`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def names(members: Sequence[str]) -> str:
    """A list for a sentence; of a long one the beginning."""
    if len(members) > MANY:
        return f"{', '.join(members[:MANY])} and {len(members) - MANY} more"
    return ", ".join(members) if members else "nobody"


def short(digest: str) -> str:
    """The beginning of a digest, for a sentence."""
    return digest[:12]
