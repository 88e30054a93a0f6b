"""Choosing the rule's numbers from the past, and freezing them before the test years are read (replay 7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tocsin.kernel.acts import Keys
from tocsin.kernel.digest import digest
from tocsin.kernel.genesis import Genesis
from tocsin.lab.accuracy import Accuracy, accuracy
from tocsin.lab.archive import Archive
from tocsin.lab.chain import BareChain
from tocsin.lab.days import iso, season_of, season_span
from tocsin.lab.drive import Drive, Seat, morning
from tocsin.lab.knowledge import Knowledge, KnownRule, known_until
from tocsin.lab.roster import Plan, Rule, plans
from tocsin.lab.scoring import Choice, Point, Span, bootstrap_choices, choose, leave_one_season_out, tally
from tocsin.lab.truth import Incident, Truth, classify

GRID_CASES = (1, 2, 3, 5)
GRID_ENDORSERS = (1, 2, 3, 4, 5)
CAP = 0.2
"""At most this many false national records a year."""
CAP_SHOWN = 0.5
LEAST_ENDORSERS = 2
WINDOW = 14
"""Days in which an agency's cases count."""

Progress = Callable[[int, int], None]


class Frozen(msgspec.Struct, frozen=True):
    """The calibration file. `cases`, `endorsers`: the frozen rule; rates are per year, delays in days."""

    source: str
    archive: str
    until: str
    seasons: int
    cap: float
    cases: int
    endorsers: int
    window_days: int
    grid: list[dict[str, Any]]
    chosen_at_other_cap: list[int] | None
    leave_one_out: str
    bootstrap: str
    accuracy: dict[str, Any]

    @property
    def digest(self) -> str:
        """What stands in the charter."""
        return digest(b"calibration", msgspec.json.encode(self))

    @property
    def rule(self) -> Rule:
        """The rule as the replay takes it."""
        return Rule(self.cases, self.endorsers, 7, self.digest)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The frozen file, and what it was chosen from."""

    frozen: Frozen
    points: tuple[Point, ...]
    accuracy: Accuracy
    loo: Choice
    boot: Choice


def no_keys(origin: str, member: str) -> Keys:
    """Stand-in keys for chains that check no signature: distinct, and nobody's."""
    root, act, finality = (digest(b"no-key", f"{origin} {member} {use}".encode()) for use in ("root", "act", "finality"))
    return Keys(root, act, finality, None, "self")


def bare_seats(archive: Archive, built: dict[int, Plan], created: int) -> dict[int, Seat]:
    """Leaf networks driven by the kernel alone."""
    seats: dict[int, Seat] = {}
    for network, plan in built.items():
        agencies = archive.members_of(network)
        if agencies:
            log = digest(b"no-key", plan.origin.encode())
            genesis: Genesis = plan.genesis(created, no_keys, log)
            seats[network] = Seat(network, BareChain(genesis), agencies, area_of(archive, network))
    return seats


def area_of(archive: Archive, network: int) -> str:
    """Code of a territory as the area of its reports."""
    return f"territory:{archive.networks[network].id}"


def incidents_of(drive: Drive) -> list[Incident]:
    """The incidents that records made, for scoring: days of the final records, in order."""
    days: dict[tuple[int, str], list[int]] = {}
    for report in drive.reports.values():
        if report.state == "recorded" and report.final is not None and report.incident is not None:
            days.setdefault((report.network, report.incident), []).append(report.final // 86_400_000)
    return [Incident(network, tuple(sorted(found)), ref) for (network, ref), found in sorted(days.items())]


def calibrate(
    archive: Archive, until: int, *, known: KnownRule = "confirmation", progress: Progress | None = None
) -> Calibration:
    """Run the grid through the real rules on what was known by `until`, and choose (replay 7).

    Raises ValueError when no cell of the grid keeps the cap.
    """
    past = known_until(archive, until, known=known)
    knowledge = Knowledge(past, known=known)
    truth = Truth(past)
    first_season, last_season = season_of(past.first_day), season_of(past.last_day)
    span = Span(max(past.first_day, season_span(first_season)[0]), min(past.last_day, season_span(last_season)[1]))
    points: list[Point] = []
    cells = [(cases, endorsers) for cases in GRID_CASES for endorsers in GRID_ENDORSERS]
    for place, (cases, endorsers) in enumerate(cells):
        built, _ = plans(past, "pilot", Rule(cases, endorsers))
        seats = bare_seats(past, built, morning(knowledge.first_morning) - 1)
        drive = Drive(
            knowledge, seats, cases=cases, window=WINDOW, kind="report.cluster.replay", category="study:replay"
        )
        drive.run(knowledge.first_morning, knowledge.last_morning)
        verdicts = classify(truth, incidents_of(drive))
        points.append(Point((cases, endorsers), tally(truth, verdicts, span)))
        if progress is not None:
            progress(place + 1, len(cells))
    eligible = [point for point in points if point.parameters[1] >= LEAST_ENDORSERS]
    best = choose(eligible, CAP)
    if best is None:
        raise ValueError(f"No cell of the grid keeps to {CAP} false national records a year; calibrate on more years.")
    other = choose(eligible, CAP_SHOWN)
    loo = leave_one_season_out(eligible, CAP)
    boot = bootstrap_choices(eligible, CAP)
    cases, endorsers = int(best.parameters[0]), int(best.parameters[1])
    measured = accuracy(knowledge, truth, span, cases, endorsers + 1)
    frozen = Frozen(
        source=archive.source, archive=archive.digest, until=iso(until), seasons=len(best.tally.seasons), cap=CAP,
        cases=cases, endorsers=endorsers, window_days=WINDOW, grid=[_cell(point) for point in points],
        chosen_at_other_cap=None if other is None else [int(one) for one in other.parameters],
        leave_one_out=_share(loo, best), bootstrap=_share(boot, best), accuracy=_accuracy(measured),
    )  # fmt: skip
    return Calibration(frozen, tuple(points), measured, loo, boot)


def _cell(point: Point) -> dict[str, Any]:
    counted = point.tally
    delay = counted.delay.median
    return {
        "cases": int(point.parameters[0]),
        "endorsers": int(point.parameters[1]),
        "false": counted.false(),
        "waves": counted.waves,
        "missed": counted.missed,
        "late": counted.late,
        "delay_days": None if delay is None else round(delay, 1),
    }


def _share(choice: Choice, best: Point) -> str:
    return f"chosen in {choice.chosen.get(best.parameters, 0)} of {choice.times}"


def _accuracy(measured: Accuracy) -> dict[str, Any]:
    return {
        "sensitivity": round(measured.sensitivity.estimate, 3),
        "specificity": round(measured.specificity.estimate, 4),
        "predicted": [
            {"icc": one.icc, "false_blocks_per_year": round(one.false_blocks_per_year, 3), "missed": round(one.missed, 3)}
            for one in measured.predictions
        ],
        "observed_false_blocks_per_year": round(measured.observed_false_blocks_per_year, 3),
        "observed_missed": round(measured.observed_missed, 3),
    }


def load_frozen(data: bytes) -> Frozen:
    """Read a calibration file; raises ValueError with a sentence."""
    if len(data) > 1 << 20:
        raise ValueError("The calibration file is larger than 1 MiB.")
    try:
        return msgspec.json.decode(data, type=Frozen)
    except msgspec.DecodeError as error:
        raise ValueError(f"The calibration file cannot be read: {error}. Make one with `tocsin calibrate`.") from error


