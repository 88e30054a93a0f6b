"""Seeded mutants: the kernel with one rule changed must fail a test of the rules, or the rule has none."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kernel.mutated import UNCHANGED, Mutant, mutants
from tests.paths import ROOT

pytestmark = pytest.mark.slow
MUTANTS = mutants()
LOT = 10
"""So many mutants share a process that loads what is not ours."""
Runs = dict[str, tuple[int, str]]


def run(names: Sequence[str]) -> Runs:
    """The quick tests on a kernel for each name: code and words of pytest."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernel.mutated", *names], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True
    )
    return {name: (code, said) for name, code, said in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def runs() -> Runs:
    """Every mutant, and the kernel as it is, which takes longest and comes first."""
    names = [one.name for one in MUTANTS]
    lots = [[UNCHANGED], *(names[first : first + LOT] for first in range(0, len(names), LOT))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return {name: said for done in pool.map(run, lots) for name, said in done.items()}


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
