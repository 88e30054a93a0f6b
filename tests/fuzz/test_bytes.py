"""Whatever bytes come: nothing raises, and what is accepted is canonical."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.dice import chances, fuzz, mutate, one_of
from tests.fuzz.targets import TARGETS, WORDS, dossier, world
from tocsin.client.verify import verify

SEEDS = Path(__file__).with_name("seeds")
KEPT = sorted(path.relative_to(SEEDS).as_posix() for path in SEEDS.glob("*/*"))
EXAMPLES = {
    "envelope": 600, "leaf": 100, "relay": 60, "note": 800, "dossier": 300, "genesis": 300, "charter": 60, "policy": 400,
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_good_ones_are_accepted_as_they_are(target: str) -> None:
    for data in TARGETS[target].good():
        TARGETS[target].check(data)


@pytest.mark.parametrize("seed", KEPT)
def test_what_was_found_before(seed: str) -> None:
    TARGETS[seed.partition("/")[0]].check((SEEDS / seed).read_bytes())


def test_every_target_has_seeds() -> None:
    assert {seed.partition("/")[0] for seed in KEPT} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_mutants(target: str) -> None:
    check, good = TARGETS[target]
    starts = [*good(), *((SEEDS / seed).read_bytes() for seed in KEPT if seed.startswith(target + "/"))]

    @fuzz(EXAMPLES[target])
    @given(chance=chances)
    def look(chance: Random) -> None:
        check(mutate(chance, one_of(chance, starts), WORDS))

    look()


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes(target: str) -> None:
    @fuzz(40)
    @given(data=st.binary(max_size=200))
    def look(data: bytes) -> None:
        TARGETS[target].check(data)

    look()


@fuzz(400)
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_dossier_with_one_changed_byte_is_refused(place: int, flip: int) -> None:
    data = bytearray(dossier())
    data[place % len(data)] ^= flip
    assert not verify(bytes(data), world().policy()).ok
