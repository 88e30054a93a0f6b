"""Intervals against published values; k-of-n rules against the table of the mechanism sheet, section 1.2."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.lab.statistics import (
    at_least,
    below,
    binomial_interval,
    effective_size,
    median_range,
    poisson_at_most,
    poisson_rate,
    smallest_threshold,
    tail_poisson_binomial,
    veto_miss,
)

SIZES = (4, 7, 9, 13, 20, 30)
SHEET = {
    (0.26, 0.96): "2:.71 (3:.93) | 2:.45 (3:.72) | 3:.58 (4:.78) | 3:.37 (5:.73) | 4:.29 (6:.58) | 6:.30 (8:.50)",
    (0.60, 0.90): "3:.52 (3:.52) | 3:.13 (5:.56) | 4:.14 (5:.30) | 5:.08 (7:.28) | 7:.04 (9:.13) | 9:.01 (12:.07)",
    (0.80, 0.95): "2:.04 (3:.19) | 3:.01 (4:.06) | 3:.00 (4:.01) | 4:.00 (5:.00) | 5:.00 (7:.00) | 6:.00 (9:.00)",
}
"""Smallest k with FR <= 5 % (1 %) at an intra-class correlation of .05, and what it misses."""


@pytest.mark.parametrize("accuracy", SHEET)
def test_the_table_of_the_mechanism_sheet_is_reproduced(accuracy: tuple[float, float]) -> None:
    sensitivity, specificity = accuracy

    def cell(n: int, limit: float) -> str:
        k = smallest_threshold(n, specificity, limit, 0.05)
        return f"{k}:{below(k, n, sensitivity, 0.05):.2f}".replace("0.", ".", 1)

    assert " | ".join(f"{cell(n, 0.05)} ({cell(n, 0.01)})" for n in SIZES) == SHEET[accuracy]


@pytest.mark.parametrize(("icc", "expected"), [(0.0, 0.013), (0.05, 0.037), (0.1, 0.058), (0.2, 0.086)])
def test_correlation_hurts_as_the_sheet_says(icc: float, expected: float) -> None:
    assert at_least(4, 10, 0.1, icc) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("k", "false", "missed"), [(6, 0.000, 0.976), (3, 0.006, 0.50), (2, 0.058, 0.22)])
def test_majority_misses_as_the_sheet_says(k: int, false: float, missed: float) -> None:
    assert at_least(k, 10, 0.04) == pytest.approx(false, abs=5e-4)
    assert below(k, 10, 0.26) == pytest.approx(missed, abs=5e-3)


def test_a_veto_that_errs_misses_as_the_sheet_says() -> None:
    assert veto_miss(0.0, 0.3) == pytest.approx(0.3)
    assert veto_miss(0.5, 0.3) == pytest.approx(0.65)


def test_effective_size_shrinks_with_correlation() -> None:
    assert effective_size(10, 0.0) == 10.0
    assert effective_size(10, 0.05) == pytest.approx(10 / 1.45)
    assert effective_size(10, 1.0) == pytest.approx(1.0)


@given(st.integers(1, 25), st.floats(0.01, 0.99), st.sampled_from([0.0, 0.05, 0.3]), st.integers(0, 27))
def test_tails_are_complements_and_ordered(n: int, p: float, icc: float, k: int) -> None:
    assert at_least(k, n, p, icc) + below(k, n, p, icc) == pytest.approx(1.0, abs=1e-9)
    assert at_least(k + 1, n, p, icc) <= at_least(k, n, p, icc) + 1e-12


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9), st.integers(0, 10))
def test_unequal_signals_are_summed_over_every_outcome(probabilities: list[float], k: int) -> None:
    total = 0.0
    for outcome in range(2 ** len(probabilities)):
        said = [outcome >> i & 1 for i in range(len(probabilities))]
        if sum(said) >= k:
            total += math.prod(p if yes else 1.0 - p for p, yes in zip(probabilities, said, strict=True))
    assert tail_poisson_binomial(k, probabilities) == pytest.approx(total, abs=1e-9)


def test_equal_signals_agree_with_the_binomial() -> None:
    assert tail_poisson_binomial(4, [0.1] * 10) == pytest.approx(at_least(4, 10, 0.1), abs=1e-12)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (3, 0.6187, 8.7673), (10, 4.7954, 18.3904), (100, 81.364, 121.627)],
)
def test_poisson_intervals_are_garwoods(events: int, low: float, high: float) -> None:
    interval = poisson_rate(events, 1.0)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_a_rate_scales_with_its_exposure() -> None:
    assert poisson_rate(4, 8.0).estimate == 0.5
    assert poisson_rate(4, 8.0).high == pytest.approx(poisson_rate(4, 1.0).high / 8.0)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (1, 1, 0.025, 1.0), (0, 1, 0.0, 0.975)],
)
def test_shares_have_clopper_and_pearsons_interval(hits: int, trials: int, low: float, high: float) -> None:
    interval = binomial_interval(hits, trials)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_of_a_share_ends_where_the_tails_are_used_up(trial: tuple[int, int]) -> None:
    hits, trials = trial
    interval = binomial_interval(hits, trials)
    assert interval.low <= interval.estimate <= interval.high
    if hits:
        assert at_least(hits, trials, interval.low) == pytest.approx(0.025, abs=1e-9)
    if hits < trials:
        assert below(hits + 1, trials, interval.high) == pytest.approx(0.025, abs=1e-9)


def test_a_share_of_three_hundred_thousand_trials_has_its_interval_too() -> None:
    interval = binomial_interval(1234, 300_000)
    width = 1.96 * (1234**0.5) / 300_000
    assert interval.low == pytest.approx(interval.estimate - width, rel=0.01)
    assert interval.high == pytest.approx(interval.estimate + width, rel=0.01)


def test_refuses_rates_and_shares_of_nothing() -> None:
    with pytest.raises(ValueError, match="exposure"):
        poisson_rate(1, 0.0)
    with pytest.raises(ValueError, match="trial"):
        binomial_interval(0, 0)


def test_poisson_sums() -> None:
    assert poisson_at_most(-1, 2.0) == 0.0
    assert poisson_at_most(0, 2.0) == pytest.approx(math.exp(-2.0))
    assert poisson_at_most(3, 0.0) == 1.0


def test_medians_come_with_their_range_and_number() -> None:
    assert median_range([5, 1, 3]).median == 3.0
    four = median_range([4, 1, 2, 3])
    assert (four.n, four.median, four.low, four.high) == (4, 2.5, 1.0, 4.0)
    assert median_range([]).median is None
