"""Count in window: an agency "sees" when it knows of at least c local cases in the last w days.

The simplest rule there is, and the one the replay calibrates: every duty officer can check it by hand.
"""

from dataclasses import dataclass
from math import exp

from tocsin.judges.data import AgencyData
from tocsin.judges.port import Answer, ReportSummary, parts_per_million

__all__ = ["CountInWindow"]


@dataclass(frozen=True, slots=True)
class CountInWindow:
    """Endorses at `cases` or more cases in the last `window_days` days (a multiple of 7), rejects below.

    Confidence is the posterior probability, under a flat prior on the agency's own case rate, that the expected
    count in such a window is at least `cases` (endorse) or below it (reject): a Poisson sum. With 2 cases
    asked for, two seen give 68 %, none seen gives 86 % for `reject`.
    """

    cases: int
    window_days: int = 14

    def __post_init__(self) -> None:
        if self.cases < 1:
            raise ValueError("at least one case must be asked for, or every agency always sees")
        if self.window_days <= 0 or self.window_days % 7:
            raise ValueError(f"a window is a positive multiple of 7 days, not {self.window_days}")

    def judge(self, report: ReportSummary, data: AgencyData) -> Answer:
        """Old data can still endorse, since known cases do not vanish; they cannot reject: `data-late`."""
        seen = data.in_window(self.window_days)
        reaches = _poisson_at_most(seen, float(self.cases))
        note = f"{seen} local cases known in {self.window_days} days, {self.cases} asked for"
        if seen >= self.cases:
            return Answer("endorse", parts_per_million(reaches), data.data_through, note)
        if data.stale:
            return Answer("abstain", 0, data.data_through, note + "; own data are too old to say no", "data-late")
        return Answer("reject", parts_per_million(1.0 - reaches), data.data_through, note)


def _poisson_at_most(count: int, mean: float) -> float:
    """P(Poisson(mean) <= count)."""
    term = total = exp(-mean)
    for k in range(1, count + 1):
        term *= mean / k
        total += term
        if term == 0.0:
            break
    return min(total, 1.0)
