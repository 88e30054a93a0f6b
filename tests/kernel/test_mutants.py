"""Seeded mutants: the kernel with one rule changed must fail a test of the rules, or the rule has none."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.kernel.mutated import UNCHANGED, Mutant, mutants
from tests.paths import ROOT

pytestmark = pytest.mark.slow
MUTANTS = mutants()
Runs = dict[str, tuple[int, str]]


def start(names: Sequence[str]) -> subprocess.Popen[str]:
    """The quick tests on a kernel for each name, one after the other."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.kernel.mutated", *names], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


@pytest.fixture(scope="module")
def runs() -> Runs:
    """Code and words of pytest for every mutant, and for the kernel as it is."""
    names = [UNCHANGED, *(one.name for one in MUTANTS)]
    many = os.cpu_count() or 1
    started = [start(names[first::many]) for first in range(many)]
    return {name: (code, said) for one in started for name, code, said in map(json.loads, one.communicate()[0].splitlines())}


def test_the_kernel_as_it_is_passes(runs: Runs) -> None:
    """Else every mutant would seem to be noticed."""
    code, said = runs[UNCHANGED]
    assert code == 0, said


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant, runs: Runs) -> None:
    assert mutant.source
    code, said = runs[mutant.name]
    assert code != 0, f"no quick test notices that {mutant.clause} is broken: write one"
    # 1: a test failed. Anything else says that the change broke more than a rule.
    assert code == 1, said


def test_there_are_enough() -> None:
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 40
    assert len({one.file for one in MUTANTS}) >= 15
