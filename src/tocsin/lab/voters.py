"""What an agency says to a report on a morning, from its own data alone (replay 10).

Two makers of the same ballots: `JudgingVoters` asks a judge through the port, which is handed one agency's own copy
of its own rows; `SeeingVoters` reads the same answers off a matrix, for the hundreds of years that a calibration runs.
A test holds them equal. Nobody here knows the truth, or another agency's rows.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.judges.data import STALE_AFTER_DAYS
from tocsin.judges.patience import speak
from tocsin.judges.port import AbstainCode, Judge, ReportSummary, Verdict
from tocsin.lab.knowledge import Knowledge

__all__ = ["JudgingVoters", "Said", "SeeingVoters", "Voters"]


class Said(NamedTuple):
    """A ballot to cast. `agency` is an index; `through` the last day its data reach."""

    agency: int
    verdict: Verdict
    code: AbstainCode | None
    through: int | None


class Voters(Protocol):
    """Agencies that make up their minds."""

    def say(self, agencies: Sequence[int], report: ReportSummary, day: int) -> list[Said]:
        """The ballots that these agencies cast on the morning of `day`; whoever waits is not in the list."""
        ...


class SeeingVoters:
    """Endorse the morning one sees; on the last morning reject, or abstain where the own data are too old."""

    def __init__(self, knowledge: Knowledge, sees: NDArray[np.bool_]) -> None:
        self._knowledge = knowledge
        self._sees = sees

    def say(self, agencies: Sequence[int], report: ReportSummary, day: int) -> list[Said]:
        """As `Voters.say`."""
        seen = self._sees[agencies, self._knowledge.column(day)]
        if day == report.closes_day:
            return [self._last(agency, bool(sees), day) for agency, sees in zip(agencies, seen, strict=True)]
        return [
            Said(agencies[place], "endorse", None, self._knowledge.data_through(agencies[place], day))
            for place in np.flatnonzero(seen).tolist()
        ]

    def _last(self, agency: int, sees: bool, day: int) -> Said:
        through = self._knowledge.data_through(agency, day)
        if sees:
            return Said(agency, "endorse", None, through)
        allowed = STALE_AFTER_DAYS + self._knowledge.archive.step - 1
        if through is None or day - 1 - through > allowed:
            return Said(agency, "abstain", "data-late", through)
        return Said(agency, "reject", None, through)


class JudgingVoters:
    """Each agency asks its judge, and is patient."""

    def __init__(self, knowledge: Knowledge, judge: Judge) -> None:
        self._knowledge = knowledge
        self._judge = judge

    def say(self, agencies: Sequence[int], report: ReportSummary, day: int) -> list[Said]:
        """As `Voters.say`."""
        said = []
        for agency in agencies:
            answer = speak(self._judge.judge(report, self._knowledge.agency_data(agency, day)), report, day)
            if answer is not None:
                said.append(Said(agency, answer.verdict, answer.code, answer.data_through))
        return said
