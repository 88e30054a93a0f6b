"""What each agency knows on which morning: the replay's only door to the cases.

Once a day at 08:00 local time an agency knows the cases whose *known day* was yesterday or before. The known day of a
case in a line list is its confirmation, if that came 0 to 30 days after its notification, else notification + 3 days;
of a count it is the last day of its period. Cases belong to the township of residence. Onset and later corrections
are never known. Imported cases are told apart by the archive's flag, which is assumed to be known on the same day.

Variants, each labelled in `label`: `known="notification"` uses the notification of a case known only today to have
been positive, which leaks the laboratory's answer; `imported="unknown"` counts imported cases as if they were local.

Mornings are columns: column j of a matrix is the morning of day `first_morning + j`.
"""

from dataclasses import fields, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tocsin.judges.data import AgencyData
from tocsin.lab.archive import IMPORTED, NO_DAY, NOBODY, Archive, Entries
from tocsin.lab.days import WEEK, iso

__all__ = [
    "CONFIRMATION_LIMIT_DAYS",
    "FALLBACK_DAYS",
    "ImportedRule",
    "Knowledge",
    "KnownRule",
    "known_days",
    "known_until",
]

KnownRule = Literal["confirmation", "notification"]
ImportedRule = Literal["flag", "unknown"]

CONFIRMATION_LIMIT_DAYS = 30
"""A confirmation later than this after notification is a correction or a wrong date."""
FALLBACK_DAYS = 3
"""Days from notification to knowledge where the confirmation is missing or not believed."""

HISTORY_DAYS = 371
"""Days of its own past that a judge is handed: 53 weeks."""

Matrix = NDArray[np.int32]


def known_days(archive: Archive, known: KnownRule = "confirmation") -> NDArray[np.int32]:
    """The known day of every entry, in days since 1970-01-01."""
    e = archive.entries
    if archive.kind == "counts" or known == "notification":
        return e.notified.copy()
    wait = e.confirmed.astype(np.int64) - e.notified
    believed = (e.confirmed != NO_DAY) & (wait >= 0) & (wait <= CONFIRMATION_LIMIT_DAYS)
    return np.where(believed, e.confirmed, e.notified + np.int32(FALLBACK_DAYS)).astype(np.int32)


def known_until(archive: Archive, day: int, *, known: KnownRule = "confirmation") -> Archive:
    """The archive as it could be read on the morning after `day`: entries known later are gone, and so is their truth.

    Calibration runs on this, so that nothing of a test year can reach it. Raises `ArchiveError` if nothing is left.
    """
    kept = known_days(archive, known) <= day
    columns = {f.name: getattr(archive.entries, f.name)[kept] for f in fields(Entries)}
    return replace(
        archive,
        last_day=min(day, archive.last_day),
        entries=Entries(**columns),
        gaps=tuple(replace(gap, last=min(gap.last, day)) for gap in archive.gaps if gap.first <= day),
        notes=(*archive.notes, f"cut off: only what was known by {iso(day)}"),
    )


class Knowledge:
    """Daily knowledge of every agency of an archive, as matrices of shape (agencies, mornings) or one agency's view.

    `first_morning` is the day after the archive's first, `last_morning` the day after its last.
    """

    def __init__(
        self, archive: Archive, *, known: KnownRule = "confirmation", imported: ImportedRule = "flag"
    ) -> None:
        if known not in get_args(KnownRule):
            raise ValueError(f"the known day goes by {' or '.join(get_args(KnownRule))}, not {known!r}")
        if imported not in get_args(ImportedRule):
            raise ValueError(f"imported cases are told by {' or '.join(get_args(ImportedRule))}, not {imported!r}")
        self.archive = archive
        self.known = known
        self.imported = imported
        self.first_morning = archive.first_day + 1
        self.last_morning = archive.last_day + 1
        e = archive.entries
        self.known_day = known_days(archive, known)
        self.known_day.setflags(write=False)
        self.counts_as_local: NDArray[np.bool_] = (
            e.imported != IMPORTED if imported == "flag" else np.ones(len(e), dtype=np.bool_)
        )
        kept = (
            (e.agency != NOBODY)
            & self.counts_as_local
            & (self.known_day >= archive.first_day)
            & (self.known_day <= archive.last_day)
        )
        daily = np.zeros((len(archive.agencies), self.mornings), dtype=np.int32)
        np.add.at(daily, (e.agency[kept], self.known_day[kept] - archive.first_day), e.count[kept])
        daily.setflags(write=False)
        self._daily = daily
        self._blind: dict[int, list[tuple[int, int]]] = {}
        for gap in archive.gaps:
            self._blind.setdefault(gap.agency, []).append((gap.first, gap.last))

    @property
    def mornings(self) -> int:
        """Number of columns."""
        return self.last_morning - self.first_morning + 1

    @property
    def label(self) -> str:
        """A sentence for the page; says `leak` where the laboratory's answer is used before it was given."""
        known = {
            "confirmation": "cases known from the day of confirmation",
            "notification": "LEAK: cases counted from notification, though known to be positive only later",
        }[self.known]
        if self.archive.kind == "counts":
            known = "counts known at the end of their period"
        return known + {"flag": "", "unknown": "; imported cases counted as local"}[self.imported]

    def column(self, day: int) -> int:
        """The column of the morning of `day`; raises `IndexError` outside the archive."""
        if not self.first_morning <= day <= self.last_morning:
            raise IndexError(f"{iso(day)} is outside {iso(self.first_morning)} to {iso(self.last_morning)}")
        return day - self.first_morning

    @property
    def days(self) -> NDArray[np.int32]:
        """The day of each column."""
        return np.arange(self.first_morning, self.last_morning + 1, dtype=np.int32)

    @property
    def daily(self) -> Matrix:
        """Local cases that became known on the day before each morning. Read-only."""
        return self._daily

    @cached_property
    def _running(self) -> Matrix:
        running = np.zeros((self._daily.shape[0], self._daily.shape[1] + 1), dtype=np.int32)
        np.cumsum(self._daily, axis=1, out=running[:, 1:])
        return running

    def window(self, days: int = 14) -> Matrix:
        """Local cases known in the last `days` days (a positive multiple of 7) on each morning."""
        if days <= 0 or days % WEEK:
            raise ValueError(f"a window is a positive multiple of 7 days, not {days}")
        sums = self._running[:, 1:].copy()
        sums[:, days:] -= self._running[:, 1:-days]
        return sums

    def seen(self, cases: int, days: int = 14) -> NDArray[np.bool_]:
        """Whether an agency "sees" on each morning: at least `cases` local cases in the last `days` days."""
        return self.window(days) >= cases

    def by_network(self, matrix: NDArray[np.generic]) -> dict[int, NDArray[np.int64]]:
        """Column sums over the agencies of each leaf network: pooled cases, or agencies that see."""
        homes = self.archive.agency_network
        return {leaf: matrix[homes == leaf].sum(axis=0, dtype=np.int64) for leaf in self.archive.leaves}

    @cached_property
    def blind(self) -> NDArray[np.bool_] | None:
        """Where an agency has no data for the day before a morning, shaped as `daily`; None for an archive without
        gaps."""
        if not self._blind:
            return None
        blind = np.zeros(self._daily.shape, dtype=np.bool_)
        for agency, spans in self._blind.items():
            for begin, end in spans:
                blind[agency, begin - self.archive.first_day : end - self.archive.first_day + 1] = True
        return blind

    def data_through(self, agency: int, day: int) -> int | None:
        """The last day for which `agency` has data on the morning of `day`; None before its first."""
        step, first = self.archive.step, self.archive.first_day
        end = first + (day - first) // step * step - 1
        gaps = self._blind.get(agency, ())
        while end >= first and any(begin <= end <= last for begin, last in gaps):
            end -= step
        return end if end >= first else None

    def agency_data(self, agency: int, day: int, *, history: int = HISTORY_DAYS) -> AgencyData:
        """What `agency` alone may judge by on the morning of `day`: a copy of the last `history` days of its row."""
        last = self.column(day) + 1
        first = max(0, last - history)
        missing = [blind for begin, end in self._blind.get(agency, ()) for blind in range(begin, end + 1)]
        return AgencyData(
            agency=self.archive.agencies[agency].id,
            first_day=self.archive.first_day + first,
            counts=self._daily[agency, first:last],
            data_through=self.data_through(agency, day),
            step=self.archive.step,
            missing=np.array([blind for blind in missing if blind < day], dtype=np.int32),
        )
