"""The short set of faults on real processes; `make soak` runs the long one."""

import os
import time
from pathlib import Path
from random import Random

import pytest

from tests.engine.comet import installed, or_skip
from tests.faults import faults, links, tree
from tests.faults.faults import Fault
from tests.faults.run import run

SEED = int(os.environ.get("SEED") or time.time_ns() % 1_000_000)

FOUR: tuple[Fault, ...] = (
    # While the chain is short: of four validators one that was wiped replays ten blocks a second.
    faults.wiped_disk, faults.stranger, faults.reset,
    faults.kill_nodes, faults.kill_cometbft, faults.kill_application, faults.power_cut, faults.pause,
    faults.partition, faults.cut_off, faults.slow_links, faults.wrong_clock, faults.bad_proposals, faults.garbage, faults.two_heads,
    faults.wiped_disk_and_snapshot, faults.disk_full, faults.twin,
)  # fmt: skip
SEVEN: tuple[Fault, ...] = (faults.kill_nodes, faults.partition, faults.cut_off)
TWO_LEVELS: tuple[tree.Fault, ...] = (
    tree.kill_carrier, tree.garbage, tree.disk_full, tree.cut_off, tree.cut_calls, tree.wrong_clock, tree.two_heads,
)  # fmt: skip


def test_groups_are_cut_from_each_other() -> None:
    assert all(len(set(faults.groups(Random(seed), 4))) > 1 for seed in range(500))


@pytest.mark.slow
@pytest.mark.parametrize(("validators", "plan"), [(4, FOUR), (7, SEVEN)])
def test_every_law_holds_after_every_fault(
    tmp_path: Path, validators: int, plan: tuple[Fault, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    installed()
    with or_skip():
        links.install()
    with capsys.disabled():
        print(f"\nfaults with SEED={SEED}, {validators} validators")
    run(tmp_path, SEED, validators, plan, 0, print)


@pytest.mark.slow
def test_every_law_holds_on_two_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed()
    with or_skip():
        links.install()
    with capsys.disabled():
        print(f"\nfaults with SEED={SEED}, two levels")
    tree.run(tmp_path / "tree", SEED, TWO_LEVELS, 0, print)
