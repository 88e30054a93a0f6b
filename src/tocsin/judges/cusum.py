"""CUSUM: small excesses that persist, summed until they are too much (Page, Biometrika 1954;41:100-115).

Counts are standardised against the C2 baseline of EARS (which leaves out the two weeks before, so that a slow rise
does not hide itself): z[t] = (y[t] - mean2(t)) / max(sd2(t), min_sigma). Then S[t] = max(0, S[t-1] + z[t] - k), and
S[t] > h is an alarm. A week without a baseline, or without data, leaves S as it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.judges.data import AgencyData
from tocsin.judges.ears import BASELINE, ears_terms
from tocsin.judges.port import Answer, ReportSummary, parts_per_million

__all__ = ["CusumJudge", "cusum"]

Floats = NDArray[np.float64]


def cusum(
    counts: NDArray[np.integer],
    *,
    reference: float = 0.5,
    baseline: int = BASELINE,
    min_sigma: float = 0.5,
    missing: NDArray[np.bool_] | None = None,
) -> Floats:
    """S for every series at once; `counts` has shape (..., time). `reference` is k, in standard deviations.

    Raises `ValueError` if `min_sigma` is not positive: over a flat baseline the sum would be undefined for ever.
    """
    if min_sigma <= 0:
        raise ValueError("a CUSUM needs min_sigma above 0")
    terms = ears_terms(counts, "C2", baseline=baseline, min_sigma=min_sigma, missing=missing)
    steps = np.nan_to_num((counts - terms.expected) / terms.sigma - reference, nan=0.0)
    sums = np.zeros(counts.shape)
    level = np.zeros(counts.shape[:-1])
    for week in range(counts.shape[-1]):
        level = np.maximum(0.0, level + steps[..., week])
        sums[..., week] = level
    return sums


@dataclass(frozen=True, slots=True)
class CusumJudge:
    """Endorses when the sum over the agency's last `memory_weeks` weeks exceeds `limit` (h), rejects when not.

    Confidence is S / (S + h) for `endorse` and h / (S + h) for `reject`: one half at the limit.
    """

    limit: float = 4.0
    reference: float = 0.5
    baseline: int = BASELINE
    min_sigma: float = 0.5
    memory_weeks: int = 26
    """A bounded memory keeps the answer the same however long an agency has been a member."""

    def __post_init__(self) -> None:
        if self.limit <= 0 or self.memory_weeks < 1:
            raise ValueError("a CUSUM needs a limit above 0 and at least one week of memory")

    def judge(self, report: ReportSummary, data: AgencyData) -> Answer:
        """Abstains with `data-late` on old data, with `other` before one full baseline."""
        if data.stale:
            return Answer("abstain", 0, data.data_through, "own data are too old to judge by", "data-late")
        weeks, blind = data.weekly()
        lead_in = self.baseline + 2
        if weeks.size <= lead_in:
            return Answer("abstain", 0, data.data_through, f"{weeks.size} of {lead_in + 1} weeks of history", "other")
        kept = lead_in + self.memory_weeks
        level = float(
            cusum(
                weeks[-kept:],
                reference=self.reference,
                baseline=self.baseline,
                min_sigma=self.min_sigma,
                missing=blind[-kept:],
            )[-1]
        )
        note = f"CUSUM {level:.2f} against a limit of {self.limit:g}"
        if level > self.limit:
            return Answer("endorse", parts_per_million(level / (level + self.limit)), data.data_through, note)
        return Answer("reject", parts_per_million(self.limit / (level + self.limit)), data.data_through, note)
