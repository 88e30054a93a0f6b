"""One agency's own data, and nothing else.

`AgencyData` owns a private copy of one agency's daily counts, cut off at a day. It holds no reference to the
collection it was taken from, so nobody who is handed one can reach another agency's rows or a later day, by mistake
or on purpose. The arrays are read-only.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["STALE_AFTER_DAYS", "AgencyData"]

STALE_AFTER_DAYS = 3
"""Data older than this many days, beyond the length of one reporting period, are too old to reject a report with."""

WEEK = 7


@dataclass(frozen=True, slots=True, eq=False)
class AgencyData:
    """Daily counts of one agency: `counts[i]` cases became known on day `first_day + i`; the last is `through`.

    `through` is the day before the morning of judging. `data_through` is the last day for which the agency really
    has data (earlier than `through` where its system was down or counts come by the week), None if it has none.
    `step` is the length of a reporting period in days, 1 or 7. `missing` lists days without data; their counts are
    0 and mean nothing. Raises `ValueError` when the parts do not fit together.
    """

    agency: str
    first_day: int
    counts: NDArray[np.int32] = field(repr=False)
    data_through: int | None
    step: int = 1
    missing: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32), repr=False)

    def __post_init__(self) -> None:
        """Copy, so that no view on a larger array is ever kept, and lock the copies."""
        given = np.asarray(self.counts)
        if given.size and given.dtype.kind not in "iu":
            raise ValueError("counts are whole numbers")
        counts = np.array(given, dtype=np.int32, copy=True, order="C")
        missing = np.array(np.unique(self.missing), dtype=np.int32, copy=True)
        if counts.ndim != 1:
            raise ValueError(f"daily counts of one agency have one axis, not {counts.ndim}")
        if self.step not in (1, WEEK):
            raise ValueError(f"a reporting period is 1 or 7 days, not {self.step}")
        if counts.size and counts.min() < 0:
            raise ValueError("a count is negative")
        if self.data_through is not None and self.data_through > self.first_day + counts.size - 1:
            raise ValueError("data cannot reach past the day they were cut off at")
        for name, own in (("counts", counts), ("missing", missing)):
            own.setflags(write=False)
            object.__setattr__(self, name, own)

    @property
    def through(self) -> int:
        """The last day counted, in days since 1970-01-01."""
        return self.first_day + int(self.counts.size) - 1

    @property
    def stale(self) -> bool:
        """Whether the data are too old to say that nothing is there: no data, or older than the limit of three days.

        Counts that come by the week are allowed the six days that their period takes.
        """
        if self.data_through is None:
            return True
        return self.through - self.data_through > STALE_AFTER_DAYS + self.step - 1

    def in_window(self, days: int) -> int:
        """Cases that became known in the last `days` days up to `through`; `days` is a positive multiple of 7."""
        if days <= 0 or days % WEEK:
            raise ValueError(f"a window is a positive multiple of 7 days, not {days}")
        return int(self.counts[-days:].sum())

    def weekly(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Whole weeks counted back from `through`, oldest first: cases, and whether a day of the week has no data."""
        weeks = self.counts.size // WEEK
        tail = self.counts.size - weeks * WEEK
        cases = self.counts[tail:].astype(np.int64).reshape(weeks, WEEK).sum(axis=1)
        blind = np.zeros(self.counts.size, dtype=np.bool_)
        inside = self.missing - self.first_day
        blind[inside[(inside >= 0) & (inside < self.counts.size)]] = True
        return cases, blind[tail:].reshape(weeks, WEEK).max(axis=1, initial=False)
