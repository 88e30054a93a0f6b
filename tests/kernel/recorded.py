"""Histories as they were recorded, so that anybody can play the same blocks again, also another process.

`python -m tests.kernel.recorded` reads histories from its input and prints one digest for each.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Struct

from tests.kernel.histories import Story
from tests.kernel.networks import Chance, Seeded, some_network
from tests.oracle.beside import Kernel, Sealed, Step
from tests.oracle.oracle import Oracle
from tocsin.kernel.block import Outcome
from tocsin.kernel.envelope import Envelope, decode, encode
from tocsin.kernel.genesis import Genesis

BLOCKS = 60


class History(NamedTuple):
    """Steps that a network took, right and wrong ones."""

    genesis: Genesis
    steps: Sequence[Step]


class _Line(Struct):
    """A history as text: of each block its time, and of each envelope its bytes and what the node said of it."""

    genesis: Genesis
    blocks: list[tuple[int, list[tuple[str, bool, bool]]]]


def tell(genesis: Genesis, seed: int) -> History:
    """What happens by this seed; the oracle alone is asked what could."""
    oracle = Oracle(genesis)
    story = Story(Chance(Seeded(seed)), oracle)
    steps = []
    for _ in range(BLOCKS):
        step = story.next()
        oracle.block(step.at, [one.envelope for one in step.sealed], [one[1:] for one in step.sealed])
        steps.append(step)
    return History(genesis, steps)


@cache
def history(seed: int) -> History:
    """The history of a seed, in a network of that seed."""
    return tell(some_network(Chance(Seeded(seed))), seed)


def walk(told: History) -> Iterator[tuple[Kernel, Step, Outcome]]:
    """Each step with its outcome; the kernel still stands before it."""
    kernel = Kernel(told.genesis)
    for step in told.steps:
        outcome = kernel.apply(step)
        yield kernel, step, outcome
        kernel.advance(outcome)


def bytes_of(told: History) -> str:
    """Digest of all that the kernel makes of a history: leaves, writes, receipts, and the rows at its end."""
    made = sha256()
    for kernel, _, outcome in walk(told):
        for part in (outcome.leaves, outcome.writes, outcome.receipts, outcome.dropped, kernel.state.rows()):
            made.update(msgspec.json.encode(part))
    return made.hexdigest()


def write(told: History) -> bytes:
    """One line."""
    blocks = [
        (step.at, [(one.envelope.data.decode(), one.signed, one.proofs) for one in step.sealed]) for step in told.steps
    ]
    return encode(_Line(told.genesis, blocks)) + b"\n"


def read(line: bytes) -> History:
    """A history from its line."""
    found = msgspec.json.decode(line, type=_Line)
    steps = []
    for at, sealed in found.blocks:
        envelopes = [(decode(data.encode()), signed, proofs) for data, signed, proofs in sealed]
        steps.append(Step(at, [Sealed(one, *said) for one, *said in envelopes if isinstance(one, Envelope)]))
    return History(found.genesis, steps)


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        print(bytes_of(read(line)))
