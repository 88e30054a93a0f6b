"""Intervals and closed forms with nothing but the standard library and numpy.

Sources: Garwood, Biometrika 1936 (exact Poisson interval); Clopper and Pearson, Biometrika 1934 (exact binomial
interval); the binomial, Poisson-binomial and beta-binomial forms of a k-of-n rule.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p

import numpy as np

__all__ = [
    "DEFAULT_ICC",
    "Interval",
    "MedianRange",
    "at_least",
    "below",
    "binomial_interval",
    "effective_size",
    "median_range",
    "poisson_at_most",
    "poisson_rate",
    "smallest_threshold",
    "tail_poisson_binomial",
    "veto_miss",
]

DEFAULT_ICC = 0.05
"""Intra-class correlation of agencies' signals where nothing better is known."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided interval; `high` may be infinite."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class MedianRange:
    """Median, smallest and largest of `n` numbers; all None where there is none."""

    n: int
    median: float | None
    low: float | None
    high: float | None


def median_range(values: Iterable[float]) -> MedianRange:
    """The median (mean of the middle two for an even number) with the range."""
    ordered = sorted(values)
    if not ordered:
        return MedianRange(0, None, None, None)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return MedianRange(len(ordered), float(median), float(ordered[0]), float(ordered[-1]))


def poisson_at_most(count: int, mean: float) -> float:
    """P(Poisson(mean) <= count); 0 for a negative count."""
    if count < 0:
        return 0.0
    if mean <= 0.0:
        return 1.0
    return min(1.0, sum(exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(count + 1)))


def poisson_rate(events: int, exposure: float, level: float = 0.95) -> Interval:
    """Events per unit of `exposure` with the exact interval. Raises `ValueError` for no exposure."""
    if exposure <= 0.0 or events < 0:
        raise ValueError("a rate needs an exposure above 0 and no negative number of events")
    tail = (1.0 - level) / 2.0
    top = 10.0 + 2.0 * events + 10.0 * events**0.5
    high = _root(lambda mean: poisson_at_most(events, mean) - tail, 0.0, top)
    low = 0.0 if events == 0 else _root(lambda mean: poisson_at_most(events - 1, mean) - (1.0 - tail), 0.0, top)
    return Interval(events / exposure, low / exposure, high / exposure)


def binomial_interval(hits: int, trials: int, level: float = 0.95) -> Interval:
    """A share with the exact interval. Raises `ValueError` unless 0 <= hits <= trials and trials > 0."""
    if trials <= 0 or not 0 <= hits <= trials:
        raise ValueError("a share needs at least one trial, and no more hits than trials")
    tail = (1.0 - level) / 2.0
    low = 0.0 if hits == 0 else _root(lambda p: tail - _beta_share(hits, trials - hits + 1, p), 0.0, 1.0)
    high = 1.0 if hits == trials else _root(lambda p: 1 - tail - _beta_share(hits + 1, trials - hits, p), 0.0, 1.0)
    return Interval(hits / trials, low, high)


def at_least(k: int, n: int, p: float, icc: float = 0.0) -> float:
    """P(X >= k) for X of n signals with probability p each and intra-class correlation `icc`.

    FR(k) of a k-of-n rule with p = 1 - specificity: the chance of a false record. `icc` 0 is the binomial, above it the
    beta-binomial with mean p.
    """
    return 1.0 if k <= 0 else min(1.0, sum(_mass(x, n, p, icc) for x in range(k, n + 1)))


def below(k: int, n: int, p: float, icc: float = 0.0) -> float:
    """P(X < k): miss(k) of a k-of-n rule with p = sensitivity."""
    return 0.0 if k <= 0 else min(1.0, sum(_mass(x, n, p, icc) for x in range(min(k, n + 1))))


def smallest_threshold(n: int, specificity: float, limit: float, icc: float = DEFAULT_ICC) -> int:
    """The smallest k with FR(k) <= limit; n + 1 where none has."""
    return next((k for k in range(1, n + 1) if at_least(k, n, 1.0 - specificity, icc) <= limit), n + 1)


def tail_poisson_binomial(k: int, probabilities: Sequence[float]) -> float:
    """P(X >= k) for independent signals that differ in probability, exactly, in O(n^2)."""
    mass = np.zeros(len(probabilities) + 1)
    mass[0] = 1.0
    for n, p in enumerate(probabilities, start=1):
        mass[1 : n + 1] = mass[1 : n + 1] * (1.0 - p) + mass[:n] * p
        mass[0] *= 1.0 - p
    return float(mass[max(k, 0) :].sum())


def effective_size(n: int, icc: float) -> float:
    """How many independent signals n correlated ones are worth."""
    return n / (1.0 + (n - 1) * icc)


def veto_miss(miss: float, veto_error: float) -> float:
    """Misses of a rule whose true records are vetoed with probability `veto_error`."""
    return 1.0 - (1.0 - miss) * (1.0 - veto_error)


def _mass(x: int, n: int, p: float, icc: float) -> float:
    if p <= 0.0 or p >= 1.0:
        return float(x == (0 if p <= 0.0 else n))
    ways = lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1)
    if icc <= 0.0:
        return exp(ways + x * log(p) + (n - x) * log1p(-p))
    scale = (1.0 - icc) / icc
    a, b = p * scale, (1.0 - p) * scale
    return exp(ways + _log_beta(x + a, n - x + b) - _log_beta(a, b))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), which is P(Bin(a+b-1, x) >= a): its continued fraction
    (DLMF 8.17.22) by Lentz's method. Fast where the sum over a binomial has hundreds of thousands of terms."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _beta_share(b, a, 1.0 - x)
    tiny = 1e-300
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or tiny)
    value = d
    for m in range(1, 100_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0)),
        ):
            c = 1.0 + step / c or tiny
            d = 1.0 / (1.0 + step * d or tiny)
            value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value * exp(a * log(x) + b * log1p(-x) - _log_beta(a, b)) / a


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero between `low` and `high`, by bisection to machine precision."""
    before = inf
    while high - low < before:
        before = high - low
        middle = (low + high) / 2.0
        low, high = (middle, high) if falling(middle) > 0.0 else (low, middle)
    return (low + high) / 2.0
