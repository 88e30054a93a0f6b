"""The benchmark of networks in small: real nodes, CometBFT's kvstore, and the Go peer where it is built."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.comet import installed
from tocsin.kernel.envelope import Envelope, decode
from tocsin.lab.bench.machine import now_ms
from tocsin.lab.bench.net import group, nodes, report
from tocsin.lab.bench.net.load import Block, Loaded, LoadFailed, figures
from tocsin.lab.bench.net.run import Sizes, run
from tocsin.lab.bench.net.work import ENVELOPES, Work, make, pairs_like
from tocsin.lab.bench.world import AUTHOR, BALLOTS, World

SMALL = Sizes(400, 40, 160, 28, steady_s=5.0, seen_s=0.7, commit_ms=200)


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        yield Path(folder)


def small_work() -> Work:
    return make(World("bench.example/work", now_ms()), now_ms(), 10, 2, 3)


def test_every_ballot_waits_for_its_report() -> None:
    work = small_work()
    assert (len(work.steps), work.messages) == (10 * ENVELOPES, 20)
    reports = [place for place, step in enumerate(work.steps) if _author(step.data) == AUTHOR]
    assert all(work.steps[place].after == -1 for place in reports)
    waiting = [step.after for step in work.steps if _author(step.data) != AUTHOR]
    assert sorted(waiting) == sorted(reports * BALLOTS)
    assert all(step.after < place for place, step in enumerate(work.steps))
    assert all(_author(step.data) == AUTHOR for step in work.steps[: work.first])
    assert all(_author(step.data) != AUTHOR for step in work.steps[work.last :])


def _author(data: bytes) -> str:
    envelope = decode(data)
    assert isinstance(envelope, Envelope)
    return envelope.header.author


def test_the_kvstore_gets_as_many_bytes_in_a_form_that_it_takes() -> None:
    work = small_work()
    pairs = pairs_like(work.steps)
    assert [len(step.data) for step in pairs] == [len(step.data) for step in work.steps]
    assert all(step.data.count(b"=") == 1 for step in pairs)
    assert len({step.data.partition(b"=")[0] for step in pairs}) == len(pairs)


def test_figures_are_of_the_blocks_in_which_the_load_was_whole() -> None:
    work = small_work()
    blocks = [Block(10 + number, 2.0 * number, list(range(8 * number, 8 * number + 8))) for number in range(10)]
    sent = [2.0 * (place // 8) - 0.5 for place in range(len(work.steps))]
    found = figures(Loaded(blocks, sent), work, 0)
    assert (found.tx_per_s, found.block_s) == (4.0, 2.0)
    assert (found.p50_s, found.p99_s) == (0.5, 0.5)
    with pytest.raises(LoadFailed, match="too few"):
        figures(Loaded(blocks[:2], sent), work, 0)


def configuration(acts: int, **changes: Any) -> dict[str, Any]:
    kvstore = {"tx_per_s": 1000.0, "cpu_ms_per_tx": 0.4, "loaded_block_s": 1.5, "block_s": 1.0, "p50_s": 0.7}
    both = {"cometbft": 0.5, "python": 0.5}
    return {
        "validators": 4, "acts": acts, "vs_kvstore": 0.6, "vs_group": 10.0, "p50_s": 1.5, "p99_s": 2.0,
        "final_p50_s": 2.5, "final_p99_s": 3.0, "block_s": 1.0, "loaded_block_s": 1.5, "tx_per_s": 600.0,
        "decided_per_s": 75.0, "tx_bytes": 700.0, "rate_tx_per_s": 240.0, "cores_busy": 0.9, "others_busy": 0.0,
        "cpu_ms_per_tx": both, "cpu_ms_per_record": both, "bytes_per_record": both, "kvstore": kvstore, "group": None,
    } | changes  # fmt: skip


def test_bars_hold_on_the_right_side_and_say_what_bounds_the_rest() -> None:
    good = report.bars([configuration(1), configuration(64)])
    assert [(bar["name"], bar["acts"]) for bar in good] == [
        ("vs_kvstore", 1), ("vs_group", 1), ("p50_s", 1), ("final_p50_s", 1), ("vs_group", 64), ("p50_s", 64),
        ("final_p50_s", 64),
    ]  # fmt: skip
    assert all(bar["pass"] for bar in good)
    bad = configuration(1, vs_kvstore=0.59, vs_group=2.9, p50_s=1.6, final_p50_s=2.6, others_busy=0.3)
    told = report.bars([bad])
    assert not any(bar["pass"] for bar in told)
    assert "0.50 ms of Python" in told[0]["bound"]
    box = {"cores": 2, "cpu": "some", "memory_gib": 4, "system": "Linux", "python": "CPython"}
    shown = list(report.lines({"machine": box, "configurations": [bad], "bars": told}))
    assert sum(line.startswith("FAIL") for line in shown) == 4
    assert any("other programs took 30%" in line for line in shown)


def test_a_peer_that_was_not_run_has_no_bar() -> None:
    assert "vs_group" not in [bar["name"] for bar in report.bars([configuration(1, vs_group=None)])]


@pytest.mark.slow
def test_a_small_run_takes_every_message_to_the_record_and_has_every_figure(short: Path) -> None:
    installed()
    peer = group.place().is_file()  # its build takes minutes: `make bench-net` does it
    results = run([4], [2], lambda acts: SMALL, with_group=peer, folder=short)
    (one,) = results["configurations"]
    assert (one["validators"], one["acts"]) == (4, 2)
    for name in ("decided_per_s", "tx_per_s", "block_s", "p50_s", "final_p50_s", "vs_kvstore", "cores_busy"):
        assert one[name] > 0, name
    assert one["p50_s"] <= one["p99_s"]
    # A block is final only once the next one has named its hash.
    assert one["p50_s"] < one["final_p50_s"] <= one["final_p99_s"]
    for cost in ("cpu_ms_per_tx", "bytes_per_record"):
        assert min(one[cost].values()) > 0
    if peer:
        assert one["group"]["decided"] == SMALL.proposals
        assert one["vs_group"] > 0
    assert {bar["name"] for bar in results["bars"]} >= {"p50_s", "final_p50_s"}
    assert list(report.lines(results))
    assert list(short.iterdir()) == []


def test_a_path_too_long_for_sockets_is_said(tmp_path: Path) -> None:
    world = World("bench.example/long", now_ms(), validators=4)
    with pytest.raises(LoadFailed, match="shorter"), nodes.running(tmp_path / ("x" * 80), world, 4, 200):
        pass


def test_without_its_source_the_peer_is_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "SOURCE", tmp_path)
    with pytest.raises(group.PeerMissing, match="checkout"):
        group.build(print)
