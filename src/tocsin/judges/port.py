"""The port through which a member makes up its own mind about a report.

A judge is given what everybody may see of a report and the member's own data, and answers with a verdict. The
verdict may leave the agency, as a ballot; the data and the note never do.

A judge MUST
  1. answer from the report's public summary and the `AgencyData` it is handed, and from nothing else;
  2. answer the same for the same two inputs, today and in a replay ten years on: no clock, no randomness, no memory;
  3. answer in integers: confidence in parts per million, days as integers; a float may be used on the way there;
  4. answer `abstain` with a code, not `reject`, when it cannot judge: data too old, too little history, no patients;
  5. carry in `Answer.data_through` the last day its data reach, so that a late answer can be told from a blind one;
  6. leave what it was handed unchanged.

A judge MUST NOT
  1. read another agency's rows, another member's ballot, the number of ballots cast, or who wrote the report in order
     to follow or oppose it;
  2. know the truth, or anything dated after the morning on which it is asked;
  3. weigh the costs of a false record against those of a miss: thresholds are the charter's, evidence is the judge's;
  4. decide *when* to speak: that is the member's policy (`tocsin.judges.patience`);
  5. put personal data, or anything meant for others, in the note: it stays in the agency.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from tocsin.judges.data import AgencyData

__all__ = ["PPM", "AbstainCode", "Answer", "Judge", "ReportSummary", "Verdict", "parts_per_million"]

PPM = 1_000_000
"""One, in parts per million."""

Verdict = Literal["endorse", "reject", "abstain"]
AbstainCode = Literal["no-patients", "data-late", "conflict", "no-body", "other"]


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What every member may see of an open report (spec 5, Subject). Days are days since 1970-01-01, local."""

    kind: str
    category: str
    areas: tuple[str, ...]
    onset_day: int | None
    detected_day: int | None
    opened_day: int
    closes_day: int
    """The day of the last morning on which a ballot still counts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judge's opinion. `verdict`, `confidence_ppm`, `code` and `data_through` may be signed; `note` is private.

    `confidence_ppm` says how strongly this judge holds its verdict, 0 to 1,000,000. It grows with the evidence within
    one judge and is not comparable between different judges. Raises `ValueError` for a combination that no ballot
    can carry.
    """

    verdict: Verdict
    confidence_ppm: int
    data_through: int | None
    note: str
    code: AbstainCode | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.confidence_ppm <= PPM:
            raise ValueError(f"confidence is {self.confidence_ppm} parts per million; it must lie within 0 and {PPM}")
        if (self.verdict == "abstain") != (self.code is not None):
            raise ValueError("an abstention carries a code, and nothing else does")


class Judge(Protocol):
    """Anything that forms an opinion; see this module's page of MUST and MUST NOT."""

    def judge(self, report: ReportSummary, data: AgencyData) -> Answer:
        """The member's opinion of `report` on the morning to which `data` reach."""
        ...


def parts_per_million(share: float) -> int:
    """`share` of 1 as an integer in parts per million, rounded and kept within 0 and 1,000,000. NaN is refused."""
    if share != share:
        raise ValueError("a share that is not a number cannot be signed")
    return round(min(max(share, 0.0), 1.0) * PPM)
