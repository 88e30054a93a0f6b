"""What fsck says and how it asks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tocsin.kernel.genesis import Check

VerifyAll = Callable[[list[list[Check]]], Sequence[Sequence[bool]]]
"""Rows of signatures -> which hold, in the same shape."""

Progress = Callable[[str, int, int], None]
"""(origin, blocks done, blocks in all)."""


class Finding(NamedTuple):
    """Something wrong. `where`: file, network, block, leaf or tile; `what`: a sentence."""

    where: str
    what: str
