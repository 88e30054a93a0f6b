"""Seeded mutants: the kernel with one rule changed must fail a test of the rules, or the rule has none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.kernel.mutated import UNCHANGED, Mutant, mutants
from tests.paths import ROOT

pytestmark = pytest.mark.slow
MUTANTS = mutants()
Runs = dict[str, "Future[subprocess.CompletedProcess[str]]"]


def run(name: str) -> subprocess.CompletedProcess[str]:
    """The quick tests on a kernel of their own."""
    return subprocess.run(
        [sys.executable, "-m", "tests.kernel.mutated", name], capture_output=True, text=True, cwd=ROOT, timeout=300
    )


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    """All mutants at once, as many together as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(run, name) for name in (UNCHANGED, *(one.name for one in MUTANTS))}


def test_the_kernel_as_it_is_passes(runs: Runs) -> None:
    """Else every mutant would seem to be noticed."""
    done = runs[UNCHANGED].result()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_noticed(mutant: Mutant, runs: Runs) -> None:
    assert mutant.source
    done = runs[mutant.name].result()
    assert done.returncode != 0, f"no quick test notices that {mutant.clause} is broken: write one"
    # 1: a test failed. Anything else says that the change broke more than a rule.
    assert done.returncode == 1, done.stdout + done.stderr


def test_there_are_enough() -> None:
    assert len({one.name for one in MUTANTS}) == len(MUTANTS) >= 40
    assert len({one.file for one in MUTANTS}) >= 15
