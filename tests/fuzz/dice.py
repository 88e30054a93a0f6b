"""How long to look, and chance that Hypothesis shrinks."""

import os
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

T = TypeVar("T")
TIMES = int(os.environ.get("TOCSIN_FUZZ", "1"))
"""How many times as many examples as in a build; more than one looks elsewhere each time."""

chances = st.randoms(use_true_random=False)
"""Chance of which Hypothesis knows every draw."""


def fuzz(examples: int) -> settings:
    """Settings of a fuzzer that looks at so many examples in a build."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        database=None,
        deadline=None,
        # Shrinking a whole network takes minutes; a build only says that something was found.
        phases=(Phase.generate,) if TIMES == 1 else (Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def one_of(chance: Random, values: Sequence[T]) -> T:
    """One of several."""
    return values[chance.randrange(len(values))]


def percent(chance: Random, n: int) -> bool:
    """True in n of a hundred; Hypothesis shrinks to False."""
    return chance.randrange(100) >= 100 - n


def mutate(chance: Random, data: bytes, dictionary: Sequence[bytes] = ()) -> bytes:
    """The bytes with one to four small changes: flipped, cut, doubled, swapped, or a word of the dictionary put in."""
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.randrange(1, 40))
        match chance.randrange(6):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:]
            case 3:
                data = data[:at]
            case 4:
                to = chance.randrange(len(data) + 1)
                data = data[:to] + data[at:end] + data[to:]
            case _:
                word = one_of(chance, dictionary) if dictionary else b"\xff"
                data = data[:at] + word + data[end if chance.randrange(2) else at :]
    return data
