"""The benchmarks in small: everything still runs the real path, and every figure is there."""

from pathlib import Path
from typing import Any

import pytest

from tocsin.lab.bench import report
from tocsin.lab.bench.country import Size
from tocsin.lab.bench.run import MEASUREMENTS, NoRoom, Sizes, measure, run
from tocsin.lab.bench.throughput import beside, best_of
from tocsin.lab.bench.world import BALLOTS

SMALL = Sizes(
    single=40, batch=160, batch_acts=8, rounds=1, country=Size(6, 2, 1), leaves=3000, records=600, open_messages=20,
    rates=((50, 25),),
)  # fmt: skip
FIGURES = {
    "single": (
        "single.ratio",
        "single.ceiling",
        "single.ratio_in_threads",
        "single.v_us",
        "single.envelopes_per_s",
        "single.bytes_per_record",
    ),
    "batch": ("batch.cost_over_v", "batch.v_us", "batch.records_per_s", "batch.bytes_per_record"),
    "country": ("country.gib", "country.slowdown", "country.founded_s", "country.one_full_s"),
    "proofs": ("proof_ms", "proofs.p50_ms"),
    "open": ("open_s", "opening.bytes_on_disk"),
}


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_figure_is_there_and_positive(name: str, tmp_path: Path) -> None:
    results = measure(name, tmp_path, SMALL)
    for figure in FIGURES[name]:
        value = report.figure(results, figure)
        assert value is not None, figure
        assert value > 0, figure


def test_a_country_has_all_its_networks_and_members(tmp_path: Path) -> None:
    country = measure("country", tmp_path, SMALL)["country"]
    assert country["networks"] == 9
    assert country["members"] == 6 * 29 + (2 * 8 + 6) + (8 + 2)


def test_every_act_is_counted(tmp_path: Path) -> None:
    load = best_of(1, tmp_path, 1, 30, lambda: None)
    assert load.envelopes == 30 * (1 + BALLOTS)
    assert beside(load)["envelopes_per_s"] == pytest.approx(load.envelopes / load.wall_s)


def test_latency_has_a_line_for_each_rate(tmp_path: Path) -> None:
    (one,) = measure("latency", tmp_path, SMALL)["latency"]
    assert (one["rate"], one["acts"]) == (50, 25)
    assert 0 < one["p50_ms"] <= one["p99_ms"]


def test_the_run_says_what_machine_and_holds_figures_against_their_limits(tmp_path: Path) -> None:
    done: list[int] = []
    results = run(["proofs"], SMALL, lambda: done.append(1), tmp_path)
    assert done == [1]
    assert results["machine"]["cores"] >= 1
    assert [bar["name"] for bar in results["bars"]] == ["proof_ms"]
    assert list(tmp_path.iterdir()) == []


def test_figures_pass_on_the_right_side_of_their_limits() -> None:
    good: dict[str, Any] = {"single": {"ratio": 0.6}, "batch": {"cost_over_v": 0.75}, "replay_s": 60.0}
    bad: dict[str, Any] = {"single": {"ratio": 0.59}, "batch": {"cost_over_v": 0.76}, "replay_s": 60.1}
    assert [bar["pass"] for bar in report.bars(good)] == [True, True, True]
    assert [bar["pass"] for bar in report.bars(bad)] == [False, False, False]
    box = {"cores": 2, "cpu": "some", "memory_gib": 4, "system": "Linux", "python": "CPython", "sqlite": "3"}
    shown = list(report.lines({"machine": box, "bars": report.bars(bad)}))
    assert [line.split()[0] for line in shown[1:]] == ["FAIL"] * 3


def test_a_full_disk_is_said_before_it_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASUREMENTS, "proofs", MEASUREMENTS["proofs"]._replace(gib=10**9))  # type: ignore[misc]
    with pytest.raises(NoRoom, match="GiB of disk"):
        run(["proofs"], SMALL, lambda: None, tmp_path)
