"""One charter driven over an archive, and what its records were worth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tocsin.judges.count import CountInWindow
from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import Frozen
from tocsin.lab.chain import Hosted, bare
from tocsin.lab.drive import Drive, Report, day_at, morning
from tocsin.lab.findings import Finder, Found
from tocsin.lab.incidents import incidents_of, national_incidents
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule, plans
from tocsin.lab.supervisors import Supervisor
from tocsin.lab.truth import Truth, Verdicts, classify
from tocsin.lab.unsigned import unsigned_tree
from tocsin.lab.voters import JudgingVoters

__all__ = ["Run", "drive_bare", "drive_hosted", "drive_tree"]

_FOUNDING_MS = 3_600_000
"""Networks are founded and declared to each other an hour before the first morning."""


@dataclass(frozen=True, slots=True)
class Run:
    """One charter driven from the morning of `first` to that of `last`. `verdicts`: on the territories' incidents;
    `nation`: on what the topmost network recorded; `found`: findings by message; `said`: what the page must say."""

    charter: str
    drive: Drive
    said: list[str]
    verdicts: Verdicts
    nation: Verdicts
    found: Mapping[str, Found]
    first: int
    last: int

    def signal(self, network: int, since: int) -> Report | None:
        """The first report of a territory opened on or after a day, whatever became of it."""
        return min(self._of(network, since), key=lambda one: one.opened, default=None)

    def recorded(self, network: int, since: int) -> Report | None:
        """The first report of a territory recorded at home on or after a day."""
        found = [
            (one.final, one.opened, one)
            for one in self.drive.ended
            if one.network == network and one.state == "recorded" and one.final is not None
            and day_at(one.final) >= since
        ]  # fmt: skip
        return min(found, key=lambda one: one[:2])[2] if found else None

    def national(self, network: int, since: int) -> Report | None:
        """The first report of a territory that the topmost network recorded on or after a day."""
        found = [
            (one.national_at, one.opened, one)
            for one in self.drive.ended
            if one.network == network and one.national == "recorded" and one.national_at is not None
            and day_at(one.national_at) >= since
        ]  # fmt: skip
        return min(found, key=lambda one: one[:2])[2] if found else None

    def failed(self, network: int, since: int, until: int) -> list[Report]:
        """Reports of a territory that ended unrecorded within these days."""
        return [
            one
            for one in self.drive.ended
            if one.network == network and one.state != "recorded" and one.final is not None
            and since <= day_at(one.final) <= until
        ]  # fmt: skip

    def _of(self, network: int, since: int) -> list[Report]:
        return [
            one for one in self.drive.reports.values() if one.network == network and day_at(one.opened) >= since
        ]


def drive_hosted(
    archive: Archive, knowledge: Knowledge, charter: str, frozen: Frozen, host: Hosted, first: int, last: int,
    progress: Callable[[int], None] | None = None,
) -> Run:  # fmt: skip
    """Drive hosted networks; each agency asks its judge through the port, and findings follow."""
    built, said = plans(archive, charter, frozen.rule, only=_hosted_leaves(archive, host))
    judge = CountInWindow(frozen.cases, frozen.window_days)
    drive = Drive(
        knowledge, built, host, cases=frozen.cases, window=frozen.window_days, voters=JudgingVoters(knowledge, judge)
    )
    return _driven(Truth(archive), charter, drive, said, first, last, progress)


def drive_tree(
    knowledge: Knowledge, truth: Truth, charter: str, rule: Rule, window: int, first: int, last: int,
    *, supervisor: Supervisor | None = None,
) -> Run:  # fmt: skip
    """Drive the whole tree on unsigned networks, with relays and findings."""
    archive = knowledge.archive
    built, said = plans(archive, charter, rule)
    hosted = unsigned_tree(archive, built, morning(first) - _FOUNDING_MS)
    drive = Drive(knowledge, built, hosted, cases=rule.cases, window=window, supervisor=supervisor)
    return _driven(truth, charter, drive, said, first, last)


def drive_bare(
    knowledge: Knowledge, truth: Truth, charter: str, rule: Rule, window: int, first: int, last: int,
    *, supervisor: Supervisor | None = None,
) -> Run:  # fmt: skip
    """Drive the territories alone on bare chains: nothing goes up."""
    archive = knowledge.archive
    built, said = plans(archive, charter, rule)
    hosted = bare(archive, built, morning(first) - _FOUNDING_MS)
    drive = Drive(knowledge, built, hosted, cases=rule.cases, window=window, supervisor=supervisor)
    return _driven(truth, charter, drive, said, first, last)


def _driven(
    truth: Truth, charter: str, drive: Drive, said: list[str], first: int, last: int,
    progress: Callable[[int], None] | None = None,
) -> Run:  # fmt: skip
    finder = Finder(truth, drive)
    drive.run(first, last, progress, finder.evening)
    return Run(
        charter, drive, said, classify(truth, incidents_of(drive)), classify(truth, national_incidents(drive)),
        finder.found, first, last,
    )  # fmt: skip


def _hosted_leaves(archive: Archive, host: Hosted) -> list[int]:
    return [one for one in archive.leaves if one in host.chains or len(archive.members_of(one)) < 2]
