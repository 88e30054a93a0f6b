"""Sensitivity and specificity of one township, and what they predict for a rule that asks for several.

Unit of specificity: one township in one block of `block_days` mornings (the ballot window) during which its county is
in no true outbreak, tail included. Unit of sensitivity: one township in one true outbreak of its county, which it sees
on some morning from day 0 to the last onset. The prediction is the sheet's: all townships alike, with one sensitivity
and one specificity. Where it differs from what was observed by more than a factor of two, what was observed decides.
Knows the truth: see `truth` for who may not import this.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.lab.knowledge import Knowledge
from tocsin.lab.scoring import DAYS_A_YEAR, Span
from tocsin.lab.statistics import DEFAULT_ICC, Interval, at_least, below, binomial_interval
from tocsin.lab.truth import Truth

__all__ = ["Accuracy", "Prediction", "accuracy", "differs"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Quiet county-blocks a nation-year in which the rule would be met, and the share of outbreaks missed, for one
    intra-class correlation. A false incident may last several blocks, so this is not yet a number of incidents."""

    icc: float
    false_blocks_per_year: float
    missed: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One township's accuracy at `cases` in `window` days, and a rule of `seeing` townships at once, the author
    included: predicted, and observed (as arithmetic on the same counts, without ballots)."""

    cases: int
    seeing: int
    sensitivity: Interval
    specificity: Interval
    predictions: tuple[Prediction, ...]
    observed_false_blocks_per_year: float
    observed_missed: float


def differs(predicted: float, observed: float, factor: float = 2.0) -> bool:
    """Whether the two differ by more than `factor`; zero differs from anything but zero."""
    low, high = sorted((predicted, observed))
    return high > 0.0 and (low == 0.0 or high / low > factor)


def accuracy(
    knowledge: Knowledge,
    truth: Truth,
    span: Span,
    cases: int,
    seeing: int,
    *,
    window: int = 14,
    block_days: int = 7,
    iccs: tuple[float, ...] = (0.0, DEFAULT_ICC),
) -> Accuracy:
    """Measure over `span` and predict. Networks with fewer than two agencies take no part.

    Raises `ValueError` where there is no outbreak or no quiet block to measure on.
    """
    seen = knowledge.seen(cases, window)
    homes = knowledge.archive.agency_network
    quiet_units: list[tuple[int, int, int]] = []
    wave_units: list[tuple[int, int, bool]] = []
    false_blocks = 0
    for leaf in knowledge.archive.leaves:
        own = seen[homes == leaf]
        if own.shape[0] < 2:
            continue
        waves = [w for w in truth.outbreaks if w.network == leaf]
        blocks = _quiet_blocks(knowledge, span, block_days, [(w.first, w.last + truth.rule.tail_days) for w in waves])
        ever = np.array([own[:, a : a + block_days].any(axis=1).sum() for a in blocks], dtype=np.int64)
        quiet_units.append((own.shape[0], len(blocks), int(ever.sum())))
        false_blocks += int((ever >= seeing).sum())
        for wave in waves:
            if wave.first in span:
                first, last = (min(max(d - knowledge.first_morning, 0), own.shape[1]) for d in (wave.first, wave.last))
                during = own[:, first : last + 1]
                reached = bool(during.size) and int(during.sum(axis=0).max()) >= seeing
                wave_units.append((own.shape[0], int(during.any(axis=1).sum()), reached))
    if not wave_units or not sum(n for _, n, _ in quiet_units):
        raise ValueError("no outbreak, or no quiet time, to measure a township's accuracy on")
    sensitivity = binomial_interval(sum(s for _, s, _ in wave_units), sum(n for n, _, _ in wave_units))
    alarmed = binomial_interval(sum(s for _, _, s in quiet_units), sum(n * b for n, b, _ in quiet_units))
    specificity = Interval(1.0 - alarmed.estimate, 1.0 - alarmed.high, 1.0 - alarmed.low)
    years = (span.last - span.first + 1) / DAYS_A_YEAR
    return Accuracy(
        cases=cases,
        seeing=seeing,
        sensitivity=sensitivity,
        specificity=specificity,
        predictions=tuple(
            Prediction(
                icc,
                sum(b * at_least(seeing, n, 1.0 - specificity.estimate, icc) for n, b, _ in quiet_units) / years,
                sum(below(seeing, n, sensitivity.estimate, icc) for n, _, _ in wave_units) / len(wave_units),
            )
            for icc in iccs
        ),
        observed_false_blocks_per_year=false_blocks / years,
        observed_missed=sum(not reached for _, _, reached in wave_units) / len(wave_units),
    )


def _quiet_blocks(knowledge: Knowledge, span: Span, block_days: int, busy: list[tuple[int, int]]) -> list[int]:
    """First columns of the blocks of `span` that meet none of the `busy` spans of days."""
    first = max(span.first, knowledge.first_morning)
    last = min(span.last, knowledge.last_morning)
    starts: NDArray[np.int64] = np.arange(first, last - block_days + 2, block_days, dtype=np.int64)
    free = np.ones(starts.shape, dtype=np.bool_)
    for begin, end in busy:
        free &= (starts + block_days - 1 < begin) | (starts > end)
    return [int(day) - knowledge.first_morning for day in starts[free]]

