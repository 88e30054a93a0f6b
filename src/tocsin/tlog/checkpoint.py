"""Checkpoints (C2SP tlog-checkpoint v1.0.0): the text of a note that states a log's size and root."""

from typing import NamedTuple

from .merkle import EMPTY_ROOT, HASH_SIZE
from .note import NoteError, decode_base64, encode_base64

MAX_SIZE = 2**63 - 1

# A type 01 signature over a text with this first line would pass as a cosignature of the same key.
_RESERVED_ORIGIN = "cosignature/v1"


class CheckpointError(ValueError):
    """The text is not a checkpoint, or these values cannot be one."""


class Checkpoint(NamedTuple):
    """A tree head: the log's origin, its number of leaves, and its 32-byte root."""

    origin: str
    size: int
    root: bytes


def format(checkpoint: Checkpoint) -> str:
    """The three lines, without extension lines. Raises CheckpointError for values that cannot stand in one."""
    _check(checkpoint)
    return f"{checkpoint.origin}\n{checkpoint.size}\n{encode_base64(checkpoint.root)}\n"


def parse(text: str, *, extensions: bool = False, any_root: bool = False) -> Checkpoint:
    """Read a note's text as a checkpoint.

    Extension lines are refused unless ``extensions`` is true; then they must not be empty and are left to the
    caller, who has the text. ``any_root``: the caller looks at the root of an empty log. Raises CheckpointError.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "":
        raise CheckpointError("a checkpoint has three lines, each with its newline: origin, size, root")
    origin, size, root, *extra = lines
    if extra and not extensions:
        raise CheckpointError("this checkpoint has extension lines, which no log of ours writes")
    if "" in extra:
        raise CheckpointError("an extension line of a checkpoint must not be empty")
    try:
        checkpoint = Checkpoint(origin, parse_decimal(size, MAX_SIZE), decode_base64(root))
    except (NoteError, ValueError) as error:
        raise CheckpointError(f"bad checkpoint: {error}") from None
    _check(checkpoint, any_root)
    return checkpoint


def parse_decimal(text: str, maximum: int) -> int:
    """A canonical decimal number of at most ``maximum``: ASCII digits, no sign, no leading zero; else ValueError."""
    # The length is compared first: int() of a megabyte of digits is quadratic, or refused by the interpreter.
    if len(text) > len(str(maximum)) or not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0"):
        raise ValueError(f"{text[:40]!r} is not a decimal number without leading zeros")
    value = int(text)
    if value > maximum:
        raise ValueError(f"{value} is more than {maximum}")
    return value


def _check(checkpoint: Checkpoint, any_root: bool = False) -> None:
    origin, size, root = checkpoint
    if not origin or any(character < " " for character in origin):
        raise CheckpointError("the origin of a checkpoint is one line, not empty")
    if origin == _RESERVED_ORIGIN:
        raise CheckpointError(f"{origin} cannot be an origin: the log's signatures would pass as cosignatures")
    if not 0 <= size <= MAX_SIZE:
        raise CheckpointError(f"a log cannot have {size} leaves")
    if len(root) != HASH_SIZE:
        raise CheckpointError(f"a root hash has 32 bytes, not {len(root)}")
    if size == 0 and root != EMPTY_ROOT and not any_root:
        raise CheckpointError("an empty log has the root of the empty tree, this checkpoint names another")
