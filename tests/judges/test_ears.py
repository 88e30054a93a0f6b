"""EARS against R's published cells, and against a slow oracle written from the formulas."""

import csv
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import SHARED
from tocsin.judges.ears import Method, ears_bounds, ears_terms, upper_quantile
from tocsin.lab.days import day_of

COUNTS = SHARED / "data" / "hepatitis_a_kreis_weekly_2001_2005.csv"
UNITS = SHARED / "data" / "german_kreise_units.csv"
REFERENCE = SHARED / "reference" / "ears_hepA_kreise_2004.csv"

COLUMNS: dict[str, tuple[Method, float]] = {
    "C1_ub": ("C1", 0.0),
    "C2_ub": ("C2", 0.0),
    "C3_ub": ("C3", 0.0),
    "C2_ms05_ub": ("C2", 0.5),
    "C3_ms05_ub": ("C3", 0.5),
}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference data folder is not beside the checkout")
def test_every_cell_of_r_surveillance_is_reproduced() -> None:
    """R `earsC` on 411 districts and the 52 weeks of 2004: same thresholds, same gaps."""
    row_of = {unit["ags"]: i for i, unit in enumerate(read(UNITS))}
    first, last = day_of("2001-01-01"), day_of("2005-12-26")
    counts = np.zeros((len(row_of), (last - first) // 7 + 1), dtype=np.int64)
    for cell in read(COUNTS):
        counts[row_of[cell["ags"]], (day_of(cell["date"]) - first) // 7] += int(cell["count"])
    bounds = {name: ears_bounds(counts, method, min_sigma=floor) for name, (method, floor) in COLUMNS.items()}
    compared = gaps = 0
    for line in read(REFERENCE):
        at = row_of[line["ags"]], (day_of(line["date"]) - first) // 7
        assert counts[at] == int(line["observed"])
        for name, ours in bounds.items():
            compared += 1
            if line[name] == "":
                gaps += 1
                assert math.isnan(ours[at]), (name, line)
            else:
                assert ours[at] == pytest.approx(float(line[name]), abs=1e-8), (name, line)
    assert compared == 5 * 411 * 52
    assert gaps > 10_000


def oracle(series: list[int], t: int, method: Method, z: float, floor: float, baseline: int) -> float:
    """One bound, literally from the formulas; NaN where it does not exist."""

    def mean_sd(at: int, shift: int) -> tuple[float, float]:
        start = at - baseline - shift + 1
        if start < 0:
            return math.nan, math.nan
        past = series[start : start + baseline]
        return statistics.fmean(past), max(statistics.stdev(past), floor)

    if method == "C1":
        mean, sd = mean_sd(t, 1)
        return mean + z * sd
    mean, sd = mean_sd(t, 3)
    if method == "C2":
        return mean + z * sd
    excess = 0.0
    for k in (t - 1, t - 2):
        if k < 0:
            return math.nan
        mean_k, sd_k = mean_sd(k, 3)
        if sd_k == 0.0 and series[k] == mean_k:
            return math.nan
        step = math.inf if sd_k == 0.0 and series[k] > mean_k else -math.inf
        excess += max(0.0, (series[k] - mean_k) / sd_k - 1.0 if sd_k != 0.0 else step)
        if math.isnan(mean_k):
            return math.nan
    if sd == 0.0 and math.isinf(excess):
        return math.nan
    return max(0.0, series[t] + sd * (z - excess))


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.sampled_from(["C1", "C2", "C3"]),
    st.sampled_from([0.0, 0.5]),
    st.integers(2, 8),
)
def test_bounds_are_those_of_the_literal_formulas(
    series: list[int], method: Method, floor: float, baseline: int
) -> None:
    ours = ears_bounds(np.array([series]), method, alpha=0.01, baseline=baseline, min_sigma=floor)[0]
    z = upper_quantile(0.01)
    for t in range(len(series)):
        theirs = oracle(series, t, method, z, floor, baseline)
        assert ours[t] == pytest.approx(theirs, abs=1e-9, nan_ok=True), t


def test_a_missing_week_voids_itself_and_every_baseline_it_is_in() -> None:
    counts, missing = np.ones(30, dtype=np.int64), np.zeros(30, dtype=np.bool_)
    missing[10] = True
    void = np.isnan(ears_bounds(counts, "C1", missing=missing))
    assert set(np.flatnonzero(void)) == {*range(7), *range(10, 18)}


def test_series_do_not_touch_each_other() -> None:
    rng = np.random.default_rng(3)
    many = rng.poisson(2.0, size=(5, 60))
    together = ears_bounds(many, "C3", min_sigma=0.5)
    for i in range(5):
        np.testing.assert_array_equal(together[i], ears_bounds(many[i], "C3", min_sigma=0.5))


def test_a_sweep_over_z_is_the_same_as_asking_for_each_alpha() -> None:
    counts = np.random.default_rng(4).poisson(1.0, size=80)
    terms = ears_terms(counts, "C3", min_sigma=0.5)
    for alpha in (0.2, 0.025, 0.001):
        np.testing.assert_array_equal(
            terms.bounds(upper_quantile(alpha)), ears_bounds(counts, "C3", alpha=alpha, min_sigma=0.5)
        )


def test_quantiles_are_those_of_the_normal_distribution() -> None:
    assert upper_quantile(0.001) == pytest.approx(3.090232306167813, abs=1e-12)
    assert upper_quantile(0.025) == pytest.approx(1.959963984540054, abs=1e-12)


@pytest.mark.parametrize(("baseline", "floor"), [(1, 0.0), (7, -0.1)])
def test_refuses_settings_without_a_standard_deviation(baseline: int, floor: float) -> None:
    with pytest.raises(ValueError, match=r"baseline|min_sigma"):
        ears_terms(np.ones(20, dtype=np.int64), "C1", baseline=baseline, min_sigma=floor)
