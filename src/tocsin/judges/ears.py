"""EARS C1, C2 and C3: is this week's count aberrant against the agency's own last weeks?

Hutwagner et al., J Urban Health 2003;80(2 Suppl 1):i89-96, in the form of R `surveillance::earsC`, which the tests
reproduce cell by cell. With y the counts, n the baseline length, z the upper quantile of the normal distribution:

    C1(t) bound = mean(y[t-n .. t-1])     + z * max(sd(y[t-n .. t-1]), min_sigma)
    C2(t) bound = mean(y[t-n-2 .. t-3])   + z * max(sd(y[t-n-2 .. t-3]), min_sigma)
    C3(t) bound = max(0, y[t] + sd2(t) * (z - sum over k = t-1, t-2 of max(0, (y[k] - mean2(k)) / sd2(k) - 1)))

sd has n - 1 below the line; mean2 and sd2 are those of C2. A count above its bound is an alarm. Where a bound cannot
be computed (too little history, a gap, C3 over a flat baseline with min_sigma 0) it is NaN, and NaN never alarms.

No Farrington method here: it needs several years of history and a regression fit, which a township's own register
does not carry at the counts that matter.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.judges.data import AgencyData
from tocsin.judges.port import Answer, ReportSummary, parts_per_million

__all__ = ["BASELINE", "EarsJudge", "EarsTerms", "Method", "ears_bounds", "ears_terms", "upper_quantile"]

Method = Literal["C1", "C2", "C3"]
BASELINE = 7
"""Counts in a baseline, as in EARS."""

DEFAULT_ALPHA: dict[Method, float] = {"C1": 0.001, "C2": 0.001, "C3": 0.025}
"""The significance levels of `earsC`."""

_SHIFT: dict[Method, int] = {"C1": 1, "C2": 3, "C3": 3}
_NORMAL = NormalDist()

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EarsTerms:
    """What a bound is made of, before z is chosen; arrays have the shape of the counts, time last.

    `expected` is the baseline mean (for C3 the count itself), `sigma` the floored standard deviation, `excess` the
    sum over the two counts before (0 for C1 and C2). Sweeping z over them costs one line of arithmetic.
    """

    method: Method
    expected: Floats
    sigma: Floats
    excess: Floats

    def bounds(self, z: float) -> Floats:
        """The threshold that a count must exceed, NaN where there is none."""
        with np.errstate(invalid="ignore"):
            bounds: Floats = self.expected + self.sigma * (z - self.excess)
            return np.maximum(0.0, bounds) if self.method == "C3" else bounds


def upper_quantile(alpha: float) -> float:
    """z with probability `alpha` above it under the standard normal distribution; 0 < alpha < 1."""
    return _NORMAL.inv_cdf(1.0 - alpha)


def ears_terms(
    counts: NDArray[np.integer],
    method: Method,
    *,
    baseline: int = BASELINE,
    min_sigma: float = 0.0,
    missing: NDArray[np.bool_] | None = None,
) -> EarsTerms:
    """The terms of C1, C2 or C3 for every series at once; `counts` has shape (..., time), `missing` the same.

    Sums run over integers, so a series of a million weeks is as exact as one of ten. Raises `ValueError` for a
    baseline below 2 (no standard deviation) or a negative `min_sigma`.
    """
    if baseline < 2:
        raise ValueError(f"a baseline of {baseline} has no standard deviation; use at least 2")
    if min_sigma < 0:
        raise ValueError("min_sigma cannot be negative")
    y = counts.astype(np.int64)
    shift = _SHIFT[method]
    total = _before(y, baseline, shift)
    squares = _before(y * y, baseline, shift)
    mean = total / baseline
    sigma = np.maximum(np.sqrt((baseline * squares - total * total) / (baseline * (baseline - 1))), min_sigma)
    void = np.ones(y.shape, dtype=np.bool_)
    void[..., baseline + shift - 1 :] = False
    if missing is not None:
        void |= missing | (_before(missing.astype(np.int64), baseline, shift) > 0)
    mean[void] = np.nan
    sigma[void] = np.nan
    if method != "C3":
        return EarsTerms(method, mean, sigma, np.zeros(y.shape))
    with np.errstate(invalid="ignore", divide="ignore"):
        above = np.maximum(0.0, (y - mean) / sigma - 1.0)
    excess = np.full(y.shape, np.nan)
    excess[..., 2:] = above[..., 1:-1] + above[..., :-2]
    return EarsTerms(method, y.astype(np.float64), sigma, excess)


def ears_bounds(
    counts: NDArray[np.integer],
    method: Method,
    *,
    alpha: float | None = None,
    baseline: int = BASELINE,
    min_sigma: float = 0.0,
    missing: NDArray[np.bool_] | None = None,
) -> Floats:
    """Thresholds with the shape of `counts`; `alpha` defaults to 0.001 for C1 and C2 and 0.025 for C3."""
    terms = ears_terms(counts, method, baseline=baseline, min_sigma=min_sigma, missing=missing)
    return terms.bounds(upper_quantile(DEFAULT_ALPHA[method] if alpha is None else alpha))


def _before(values: NDArray[np.int64], length: int, shift: int) -> NDArray[np.int64]:
    """Sum of the `length` values that end `shift` steps before each position; 0 where they do not all exist."""
    sums = np.zeros(values.shape, dtype=np.int64)
    start = length + shift - 1
    if values.shape[-1] > start:
        running = np.zeros((*values.shape[:-1], values.shape[-1] + 1), dtype=np.int64)
        np.cumsum(values, axis=-1, out=running[..., 1:])
        sums[..., start:] = running[..., length : values.shape[-1] - shift + 1] - running[..., : -start - 1]
    return sums


@dataclass(frozen=True, slots=True)
class EarsJudge:
    """Endorses when the agency's last whole week exceeds its EARS bound, rejects when it does not.

    Confidence is the normal probability of a week less extreme than this one, a strength and not a calibrated
    probability of an outbreak: for C1 and C2 of the count, for C3 of the summed excess against z.
    """

    method: Method = "C2"
    alpha: float | None = None
    baseline: int = BASELINE
    min_sigma: float = 0.5
    """Half a case: without a floor, one case after seven empty weeks would be infinitely significant."""

    def judge(self, report: ReportSummary, data: AgencyData) -> Answer:
        """Abstains with `data-late` on old data, with `other` where there is no bound yet."""
        if data.stale:
            return Answer("abstain", 0, data.data_through, "own data are too old to judge by", "data-late")
        weeks, blind = data.weekly()
        needed = self.baseline + _SHIFT[self.method] + (2 if self.method == "C3" else 0)
        if weeks.size < needed:
            return Answer("abstain", 0, data.data_through, f"{weeks.size} of {needed} weeks of history", "other")
        terms = ears_terms(
            weeks[-needed:], self.method, baseline=self.baseline, min_sigma=self.min_sigma, missing=blind[-needed:]
        )
        z = upper_quantile(DEFAULT_ALPHA[self.method] if self.alpha is None else self.alpha)
        bound = float(terms.bounds(z)[-1])
        if bound != bound:
            return Answer("abstain", 0, data.data_through, "no bound: a gap or a flat baseline", "other")
        count = int(weeks[-1])
        strength = _NORMAL.cdf(_score(terms, count))
        note = f"{self.method}: {count} cases in the last week against a bound of {bound:.2f}"
        if count > bound:
            return Answer("endorse", parts_per_million(strength), data.data_through, note)
        return Answer("reject", parts_per_million(1.0 - strength), data.data_through, note)


def _score(terms: EarsTerms, count: int) -> float:
    """How many standard deviations the last count lies above expectation (C3: the summed excess)."""
    if terms.method == "C3":
        return float(terms.excess[-1])
    gap, sigma = count - float(terms.expected[-1]), float(terms.sigma[-1])
    if sigma == 0.0:
        return 0.0 if gap == 0.0 else float("inf") if gap > 0.0 else float("-inf")
    return gap / sigma
