"""A replay: one rule under one charter over an archive, scored against what really happened.

Everything printed or drawn comes from `Replay`. The networks are either hosted by a node, with every
signature, proof and commit, or bare kernels for the curves that stand beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tocsin.kernel.acts import Finding, Submit
from tocsin.kernel.digest import digest
from tocsin.lab.archive import Archive
from tocsin.lab.baselines import pooled_count, single_count
from tocsin.lab.calibrate import WINDOW, Frozen, bare_seats, incidents_of
from tocsin.lab.chain import Chain
from tocsin.lab.days import day_of, iso
from tocsin.lab.drive import Drive, Report, Seat, morning
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.references import Lead, Reference, leads, references_for
from tocsin.lab.roster import BUREAU, CENTRE, plans
from tocsin.lab.scoring import Curve, Span, Tally, at_equal_false_rate, curve, detector_incidents, tally
from tocsin.lab.truth import FINDING_AFTER_DAYS, Incident, Truth, Verdicts, Wave, classify

DENGUE_TEST = (day_of("2016-04-01"), day_of("2018-12-31"))
DENGUE_2015 = (day_of("2015-01-01"), day_of("2015-12-31"))


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a node hosts for a replay: chains by network index, and the relays between them."""

    chains: dict[int, Chain]
    carry: Callable[[int], bool]


@dataclass(slots=True)
class Run:
    """One charter driven over the archive."""

    charter: str
    drive: Drive
    said: list[str]
    verdicts: Verdicts


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise and what came of it. `value` null: nothing to measure."""

    name: str
    value: float | None
    bar: float
    passed: bool


def drive_hosted(
    archive: Archive, knowledge: Knowledge, charter: str, frozen: Frozen, host: Hosted, first: int, last: int,
    progress: Callable[[int], None] | None = None,
) -> Run:  # fmt: skip
    """Drive hosted networks from `first` to `last`, with findings by a truth module that no actor sees."""
    truth = Truth(archive)
    built, said = plans(archive, charter, frozen.rule)
    seats = {
        network: Seat(network, host.chains[network], archive.members_of(network), f"territory:{archive.networks[network].id}")
        for network in built
        if archive.members_of(network)
    }
    upper = {network: host.chains[network] for network in built if network not in seats}
    children = {
        network: {archive.networks[child].id: _below(archive, child) for child in built[network].children}
        for network in upper
    }
    drive = Drive(
        knowledge, seats, cases=frozen.cases, window=frozen.window_days, kind=kind_of(archive),
        category=category_of(archive), upper=upper, children=children, centre=CENTRE, carry=host.carry,
    )  # fmt: skip
    findings = _Findings(truth, drive, seats)
    drive.run(first, last, progress, findings.evening)
    return Run(charter, drive, said, classify(truth, incidents_of(drive)))


def drive_bare(archive: Archive, knowledge: Knowledge, charter: str, frozen: Frozen, truth: Truth) -> Run:
    """Drive leaf networks by the kernel alone over the whole archive, for tables and curves."""
    built, said = plans(archive, charter, frozen.rule)
    seats = bare_seats(archive, built, morning(knowledge.first_morning) - 1)
    drive = Drive(
        knowledge, seats, cases=frozen.cases, window=frozen.window_days, kind=kind_of(archive),
        category=category_of(archive),
    )  # fmt: skip
    drive.run(knowledge.first_morning, knowledge.last_morning)
    return Run(charter, drive, said, classify(truth, incidents_of(drive)))


def kind_of(archive: Archive) -> str:
    """Kind of report: the disease is the first word of the source's name."""
    return f"report.cluster.{archive.source.split('-')[0]}"


def category_of(archive: Archive) -> str:
    """Category of the reports, a code of the study's own scheme."""
    return f"study:{archive.source.split('-')[0]}"


def _below(archive: Archive, network: int) -> tuple[int, ...]:
    found = list(archive.members_of(network))
    for child in archive.children_of(network):
        found += _below(archive, child)
    return tuple(found)


class _Findings:
    """Findings on records, `FINDING_AFTER_DAYS` after the wave's last onset (replay 11)."""

    def __init__(self, truth: Truth, drive: Drive, seats: dict[int, Seat]) -> None:
        self._truth = truth
        self._drive = drive
        self._seats = seats
        self._due: dict[int, list[Report]] = {}
        self._known: set[str] = set()

    def evening(self, day: int, at: int) -> None:
        """Schedule what was recorded today, and find on what is due."""
        for report in self._drive.reports.values():
            if report.state == "recorded" and report.message not in self._known and report.final is not None:
                self._known.add(report.message)
                wave = self._wave(report)
                last = day if wave is None else max(day, wave.last)
                self._due.setdefault(last + FINDING_AFTER_DAYS, []).append(report)
        for report in self._due.pop(day, []):
            wave = self._wave(report)
            upheld = wave is not None and self._truth.is_outbreak(wave)
            evidence = digest(b"replay-finding", report.message.encode())
            finding = Finding(report.message, "upheld" if upheld else "refuted", "field", evidence)
            self._seats[report.network].chain.submit(BUREAU, [Submit("finding", None, None, finding, None)], at)
            self._drive.costs.envelopes += 1

    def _wave(self, report: Report) -> Wave | None:
        final = report.opened if report.final is None else report.final
        return self._truth.wave_at(report.network, final // 86_400_000)


@dataclass(frozen=True, slots=True)
class Beside:
    """A baseline or a rule in the table: its tallies before and after the calibration ended."""

    id: str
    label: str
    moves_data: bool
    calibration: Tally
    test: Tally


@dataclass(slots=True)
class Replay:
    """All of a replay's results."""

    archive: Archive
    knowledge: Knowledge
    truth: Truth
    frozen: Frozen
    runs: dict[str, Run]
    beside: list[Beside]
    curves: list[Curve]
    bars: list[Bar]
    split: int
    first: int
    last: int

    @property
    def main(self) -> Run:
        """The run of the first charter asked for."""
        return next(iter(self.runs.values()))

    def national(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network that the nation recorded on or after a day."""
        found = [
            one
            for one in run.drive.reports.values()
            if one.network == network and one.national == "recorded" and (one.national_at or 0) // 86_400_000 >= since
        ]
        return min(found, key=lambda one: one.national_at or 0, default=None)

    def recorded(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network recorded at home on or after a day."""
        found = [
            one
            for one in run.drive.reports.values()
            if one.network == network and one.state == "recorded" and (one.final or 0) // 86_400_000 >= since
        ]
        return min(found, key=lambda one: one.final or 0, default=None)

    def first_signal(self, run: Run, network: int, since: int = 0) -> Report | None:
        """The first report of a network opened on or after a day, whatever became of it."""
        found = [
            one
            for one in run.drive.reports.values()
            if one.network == network and one.opened // 86_400_000 >= since
        ]
        return min(found, key=lambda one: one.opened, default=None)

    def biggest(self, first: int, last: int) -> Wave | None:
        """The largest true outbreak that began within these days."""
        waves = [wave for wave in self.truth.outbreaks if first <= wave.first <= last]
        return max(waves, key=lambda wave: wave.cases, default=None)

    def references(self, wave: Wave) -> tuple[Reference, ...]:
        """Dates to count leads from."""
        return references_for(self.truth, wave, self.knowledge.known_day)

    def leads(self, run: Run, wave: Wave) -> tuple[Lead, ...]:
        """Signed leads of the first national record of a wave; empty where there is none."""
        record = self.national(run, wave.network, wave.first)
        if record is None or record.national_at is None or record.national_at // 86_400_000 > wave.last:
            return ()
        return leads(self.references(wave), record.national_at // 86_400_000)


def compare(archive: Archive, knowledge: Knowledge, truth: Truth, frozen: Frozen, split: int) -> tuple[
    list[Beside], list[Curve], dict[str, Run]
]:  # fmt: skip
    """The table and the curves: charters on bare kernels, and single-agency and pooled alarms (replay 13)."""
    before = Span(archive.first_day, split)
    after = Span(split + 1, archive.last_day) if split < archive.last_day else before
    runs = {name: drive_bare(archive, knowledge, name, frozen, truth) for name in ("pilot", "paper", "broadcast-only")}
    beside = [
        Beside(name, name, False, tally(truth, run.verdicts, before), tally(truth, run.verdicts, after))
        for name, run in runs.items()
    ]
    curves = []
    rate = beside[0].calibration.false_rate()
    for detector in (single_count(knowledge, WINDOW), pooled_count(knowledge, WINDOW)):
        found = curve(detector, truth, before)
        curves.append(found)
        point = at_equal_false_rate(found, rate)
        if point is not None:
            whole = Span(archive.first_day, archive.last_day)
            verdicts = classify(truth, detector_incidents(detector, point.parameters[0], whole))
            label = f"{detector.label}, at least {point.parameters[0]:g}"
            beside.append(
                Beside(detector.id, label, detector.moves_data, tally(truth, verdicts, before), tally(truth, verdicts, after))
            )
    return beside, curves, runs


def dengue_bars(replay: Replay, bare: dict[str, Run]) -> list[Bar]:
    """The three bars of the study, printed as pass or FAIL and never tuned for (issue, section 5)."""
    bars: list[Bar] = []
    run = replay.main
    network = replay.archive.network_named("tainan-city")
    record = replay.national(run, network, DENGUE_2015[0])
    lead = None if record is None or record.national_at is None else day_of("2015-09-14") - record.national_at // 86_400_000
    bars.append(Bar("Tainan 2015: days from national record to command centre", lead, 60, lead is not None and lead >= 60))
    span = Span(*DENGUE_TEST)
    if replay.last >= DENGUE_TEST[1]:
        verdicts = run.verdicts
        counted = tally(replay.truth, verdicts, span).false()
        name = "false national records 2016-04-01 to 2018-12-31, all counties"
    else:
        counted = tally(replay.truth, bare["pilot"].verdicts, span).false()
        name = "false county records 2016-04-01 to 2018-12-31, all counties (bare kernels)"
    bars.append(Bar(name, counted, 1, counted <= 1))
    ours = replay.beside[0].calibration.delay.median
    pooled = next((one for one in replay.beside if one.moves_data), None)
    theirs = None if pooled is None else pooled.calibration.delay.median
    late = None if ours is None or theirs is None else ours - theirs
    bars.append(Bar("median county record, days after pooled detector at the same false rate", late, 0, late is not None and late <= 0))
    return bars


def incidents_list(run: Run) -> list[Incident]:
    """The incidents of a run, first record first."""
    return sorted((one.incident for one in run.verdicts.incidents), key=lambda one: one.days[0])


def when(at: int | None) -> str:
    """A block time as a day for people, or a dash."""
    return "-" if at is None else iso(at // 86_400_000)
