"""The work of a run: envelopes in order, and what each has to wait for."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from tocsin.kernel.digest import message_id
from tocsin.lab.bench.world import BALLOTS, World

ENVELOPES = 1 + BALLOTS
"""Of a group: one with reports, and each voter's with its ballots on them."""


class Step(NamedTuple):
    """An envelope, and the place of the one that must be in a block before it is sent; -1 for none."""

    data: bytes
    after: int


class Work(NamedTuple):
    """`acts` of an envelope; between the places `first` and `last` there are as many ballots as belong to reports."""

    acts: int
    steps: list[Step]
    first: int
    last: int

    @property
    def messages(self) -> int:
        """How many of them come to the record."""
        return len(self.steps) // ENVELOPES * self.acts


def make(world: World, at: int, groups: int, acts: int, lag: int) -> Work:
    """So many groups of `acts` messages. Their ballots follow `lag` groups later, or at the end.

    An officer votes on what is on the log: no ballot is sent before its report is in a block.
    """
    steps: list[Step] = []
    named: list[tuple[int, list[str]]] = []
    for place in range(groups + lag):
        if place < groups:
            sealed = world.reports(at, place * acts, acts)
            named.append((len(steps), [message_id(sealed.digest, index) for index in range(acts)]))
            steps.append(Step(sealed.data, -1))
        if place >= lag:
            report, messages = named[place - lag]
            steps += [Step(world.ballots(voter, messages, at).data, report) for voter in world.voters]
    return Work(acts, steps, min(lag, groups), len(steps) - lag * BALLOTS)


def pairs_like(steps: Sequence[Step]) -> list[Step]:
    """For the kvstore: a new key and a value for each envelope, as long as it and in the same order."""
    chance = Random(len(steps))
    return [Step(_pair(number, len(step.data), chance), step.after) for number, step in enumerate(steps)]


def _pair(number: int, size: int, chance: Random) -> bytes:
    key = f"{number:x}-{chance.getrandbits(32):08x}="
    return (key + chance.randbytes(size // 2 + 1).hex())[:size].encode()


def mean_bytes(steps: Iterable[Step]) -> float:
    """Mean length."""
    lengths = [len(step.data) for step in steps]
    return sum(lengths) / len(lengths)
