"""A replay: a frozen rule under one or more charters over an archive, scored against what really happened.

Everything printed or drawn comes from `Replay`. The charters asked for were driven on hosted networks, with every
signature, proof and commit; those that stand beside them on unsigned networks over the whole archive.
"""

from dataclasses import dataclass

from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import CAP, Frozen
from tocsin.lab.chain import Hosted
from tocsin.lab.compare import Comparison, compare
from tocsin.lab.days import day_of, iso
from tocsin.lab.drive import Report, day_at
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.references import Lead, Reference, leads, references_for
from tocsin.lab.runs import Run, drive_hosted
from tocsin.lab.scoring import Curve, Span, tally
from tocsin.lab.truth import JudgedIncident, Outcome, Truth, Wave

__all__ = ["Bar", "Hosted", "Replay", "Run", "bars_for", "compare", "drive_hosted", "when"]

QUIET_TEST = Span(day_of("2016-04-01"), day_of("2018-12-31"))
"""Years in which dengue was rare in Taiwan: false national records are named one by one (replay 14)."""
COMMAND_CENTRE = day_of("2015-09-14")
OUTBREAK = ("tainan-city", day_of("2015-01-01"))
LEAST_LEAD = 60
MOST_FALSE = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise and what came of it. `value` null: nothing to measure. `note`: what else must be known about it."""

    name: str
    value: float | None
    bar: float
    passed: bool
    note: str = ""


@dataclass(slots=True)
class Replay:
    """All of a replay's results. `runs`: hosted, by charter; `split`: last day of the calibration; `first`, `last`:
    the span, after its warm-up."""

    archive: Archive
    knowledge: Knowledge
    truth: Truth
    frozen: Frozen
    runs: dict[str, Run]
    beside: Comparison
    curves: list[Curve]
    bars: list[Bar]
    split: int
    first: int
    last: int

    @property
    def main(self) -> Run:
        """The run of the first charter asked for."""
        return next(iter(self.runs.values()))

    @property
    def span(self) -> Span:
        """The days that count."""
        return Span(self.first, self.last)

    def run_of(self, charter: str) -> Run | None:
        """The hosted run of a charter, or the unsigned one that stands beside."""
        return self.runs.get(charter) or self.beside.runs.get(charter)

    def covering(self, charter: str, first: int, last: int) -> Run | None:
        """The run of a charter that covers these days, hosted if one does."""
        run = self.runs.get(charter)
        return run if run is not None and run.first <= first and last <= run.last else self.beside.runs.get(charter)

    def national(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network that the nation recorded on or after a day."""
        return run.national(network, since)

    def recorded(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network recorded at home on or after a day."""
        return run.recorded(network, since)

    def first_signal(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network opened on or after a day, whatever became of it."""
        return run.signal(network, since)

    def biggest(self, first: int, last: int) -> Wave | None:
        """The largest true outbreak that began within these days in a territory with a network."""
        waves = [w for w in self.truth.outbreaks if first <= w.first <= last and w.network in self.main.drive.leaves]
        return max(waves, key=lambda wave: wave.cases, default=None)

    def references(self, wave: Wave) -> tuple[Reference, ...]:
        """Dates to count leads from."""
        return references_for(self.truth, wave, self.knowledge.known_day)

    def leads(self, run: Run, wave: Wave) -> tuple[Lead, ...]:
        """Signed leads of the first national record of a wave; empty where there is none by its last onset."""
        record = run.national(wave.network, wave.first)
        if record is None or record.national_at is None or day_at(record.national_at) > wave.last:
            return ()
        return leads(self.references(wave), day_at(record.national_at))

    @property
    def doubts(self) -> list[str]:
        """What must be said loudly of the rule: its own notes, and that it comes from elsewhere. The file itself, whose
        digest stands in the charters, stays as it is."""
        said = list(self.frozen.notes)
        if self.frozen.source != self.archive.source:
            said.append(f"The rule was calibrated on {self.frozen.source}, not on this archive.")
        elif self.frozen.archive != self.archive.digest:
            said.append("The archive read is not the one that this rule was calibrated on: its bytes differ.")
        if self.archive.kind == "line-list" and self.frozen.known != self.knowledge.known:
            said.append(f"The rule was calibrated on cases known from {self.frozen.known}.")
        return said

    @property
    def misfit(self) -> str:
        """What must be said where most cases lie in waves that hardly end; empty where definition 4 fits."""
        endless = sum(wave.cases for wave in self.truth.endless)
        every = sum(wave.cases for wave in self.truth.waves)
        if 2 * endless <= every:
            return ""
        return (
            f"DEFINITION 4 DOES NOT FIT: {endless:,} of {every:,} local cases lie in {len(self.truth.endless)} waves "
            "of more than a year. This disease is always there, so true, missed and delay mean little here."
        )

    def continuations(self) -> list[tuple[int, Wave]]:
        """Territories with a record in the span that belongs to a wave from before it: no new lead (replay 8)."""
        found = {
            (one.incident.network, one.wave.first): one.wave
            for one in self.main.verdicts.incidents
            if one.day in self.span and one.wave is not None and one.wave.first < self.first
        }
        return [(network, wave) for (network, _), wave in sorted(found.items())]


def bars_for(replay: Replay, bare: dict[str, Run]) -> list[Bar]:
    """The bars of the study, measured and never tuned for; for other archives those that apply."""
    bars: list[Bar] = []
    pilot = bare["pilot"]
    if replay.archive.source == "dengue-taiwan":
        bars.append(_lead_bar(replay))
        if replay.archive.last_day >= QUIET_TEST.last:
            bars.append(_quiet_bar(replay, pilot))
    else:
        bars += _cap_bar(replay, pilot)
    return bars + _pooled_bar(replay.beside)


def _lead_bar(replay: Replay) -> Bar:
    name, since = OUTBREAK
    run = replay.covering("pilot", since, COMMAND_CENTRE)
    network = replay.archive.network_named(name)
    record = None if run is None else run.national(network, since)
    lead = None if record is None or record.national_at is None else COMMAND_CENTRE - day_at(record.national_at)
    return Bar(
        "Tainan 2015: national record, days before the command centre of 2015-09-14", lead, LEAST_LEAD,
        lead is not None and lead >= LEAST_LEAD, f"at least {LEAST_LEAD}",
    )  # fmt: skip


def _quiet_bar(replay: Replay, pilot: Run) -> Bar:
    found = false_records(pilot, QUIET_TEST)
    named = "; ".join(f"{replay.archive.networks[one.incident.network].name} {iso(one.day)}" for one in found)
    return Bar(
        f"False national records, {iso(QUIET_TEST.first)} to {iso(QUIET_TEST.last)}, all territories", len(found),
        MOST_FALSE, len(found) <= MOST_FALSE, f"at most {MOST_FALSE}; {named or 'none'}",
    )  # fmt: skip


def _cap_bar(replay: Replay, pilot: Run) -> list[Bar]:
    tests = [period.span for period in replay.beside.periods if period.test]
    if not tests:
        return []
    whole = Span(tests[0].first, tests[-1].last)
    rate = round(tally(replay.truth, pilot.nation, whole).false_rate(), 3)
    name = f"False national records a year, {iso(whole.first)} to {iso(whole.last)}"
    return [Bar(name, rate, CAP, rate <= CAP, f"at most {CAP}, the calibration's cap")]


def _pooled_bar(beside: Comparison) -> list[Bar]:
    found = beside.behind_pooled()
    outbreaks = sum(one.tally.waves for one in beside.rows[0].periods)
    if not found or not outbreaks:
        return []
    every = found[-1].median
    parts = [
        f"{period.name} {'-' if one.median is None else f'{one.median:+g}'} ({one.n} outbreak{'s' * (one.n != 1)})"
        for period, one in zip(beside.periods, found, strict=False)
    ]
    return [Bar(
        "County records, median days after the pooled count at the same false rate", every, 0,
        every is not None and every <= 0, f"at most 0; {'; '.join(parts)}",
    )]  # fmt: skip


def false_records(run: Run, span: Span, *, strict: bool = False) -> list[JudgedIncident]:
    """National records of a span that were false, by day."""
    found = [one for one in run.nation.incidents if one.day in span and one.outcome.is_false(strict=strict)]
    return sorted(found, key=lambda one: one.day)


def of_outcome(run: Run, span: Span, outcome: Outcome) -> list[JudgedIncident]:
    """A territory's records of a span with an outcome, by day."""
    return sorted((o for o in run.verdicts.incidents if o.day in span and o.outcome is outcome), key=lambda o: o.day)


def when(at: int | None) -> str:
    """A block time as a day for people, or a dash."""
    return "-" if at is None else iso(day_at(at))
