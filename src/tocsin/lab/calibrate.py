"""Choosing the rule's numbers from the past, and freezing them before the test years are read (replay 7)."""

from collections.abc import Callable, Mapping
from importlib.resources import files

import msgspec

from tocsin.kernel.digest import digest
from tocsin.lab.accuracy import Accuracy, accuracy, differs
from tocsin.lab.archive import Archive
from tocsin.lab.chain import bare
from tocsin.lab.days import day_of, iso, season_of, season_span
from tocsin.lab.drive import Drive, morning
from tocsin.lab.incidents import incidents_of
from tocsin.lab.knowledge import Knowledge, KnownRule, known_days, known_until
from tocsin.lab.roster import Rule, plans
from tocsin.lab.scoring import (
    Choice,
    Point,
    Span,
    Tally,
    bootstrap,
    bootstrap_choices,
    choose,
    leave_one_season_out,
    tally,
)
from tocsin.lab.statistics import Interval
from tocsin.lab.truth import Truth, classify

__all__ = [
    "BALLOT_DAYS", "CAP", "CAP_SHOWN", "GRID_CASES", "GRID_ENDORSERS", "LEAST_ENDORSERS", "WINDOW", "Calibration",
    "Cell", "Frozen", "Measured", "Predicted", "calibrate", "default_for", "frozen_for", "load_frozen", "shipped",
    "span_for",
]  # fmt: skip

GRID_CASES = (1, 2, 3, 5)
GRID_ENDORSERS = (1, 2, 3, 4, 5)
CAP = 0.2
"""At most this many false national records a year."""
CAP_SHOWN = 0.5
"""What this cap would have chosen is shown beside."""
LEAST_ENDORSERS = 2
WINDOW = 14
"""Days in which an agency's cases count."""
BALLOT_DAYS = 7
"""Days in which ballots are taken."""
KNOWN_FOR: Mapping[str, tuple[int, int]] = {
    "dengue-taiwan": (day_of("2015-01-01"), day_of("2015-12-31")),
    "hepatitis-a-germany": (day_of("2004-01-01"), day_of("2004-12-31")),
}
"""The year to replay of a named source."""
LEAST_SEASONS = 3
DEFAULT_CASES = 2
DEFAULT_ENDORSERS = 2
MAX_FILE = 1 << 20

Progress = Callable[[int, int], None]
"""(cells done, cells in all)"""
Range = tuple[float, float, float]
"""Estimate, low, high."""


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rule of the grid: false records and true outbreaks of the calibration years, the median delay in days from
    day 0 to the county's record, null where none was reached."""

    cases: int
    endorsers: int
    false: int
    waves: int
    missed: int
    late: int
    delay_days: float | None


class Predicted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the formula of a k-of-n rule says for one intra-class correlation: FR(k) and miss(k)."""

    icc: float
    false_blocks_per_year: float
    missed: float


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One agency's sensitivity and specificity, what they predict for the frozen rule, and what was observed.
    `said`: where the two differ by more than a factor of two."""

    sensitivity: Range
    specificity: Range
    predicted: list[Predicted]
    observed_false_blocks_per_year: float
    observed_missed: float
    said: list[str]


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The calibration file: derived numbers, never cases. `archive`: digest of the bytes it was derived from;
    `first`, `until`: the days that counted; `cases` in `window_days` make an agency see, the author and `endorsers`
    within `ballot_days` record. `notes` is empty unless something must be said loudly wherever the rule is used."""

    study: int
    source: str
    archive: str
    known: KnownRule
    first: str
    until: str
    seasons: int
    cap: float
    cases: int
    endorsers: int
    window_days: int
    ballot_days: int
    grid: list[Cell]
    other_cap: float
    chosen_at_other_cap: list[int] | None
    leave_one_out: str
    bootstrap: str
    missed_share: Range | None
    delay_days: Range | None
    accuracy: Measured | None
    notes: list[str]

    @property
    def digest(self) -> str:
        """What stands in the charter: the digest of the file's compact form."""
        return digest(b"calibration", msgspec.json.encode(self))

    @property
    def rule(self) -> Rule:
        """The rule as the networks take it."""
        return Rule(self.cases, self.endorsers, self.ballot_days, self.digest)

    @property
    def sight(self) -> str:
        """What makes an agency see, in words."""
        return f"{self.cases} local case{'s' * (self.cases > 1)} in {self.window_days} days"

    @property
    def calibrated(self) -> bool:
        """Whether it was chosen from data at all."""
        return bool(self.grid)


class Calibration(msgspec.Struct, frozen=True):
    """The frozen file, and what it was chosen from."""

    frozen: Frozen
    points: tuple[Point, ...]
    accuracy: Accuracy | None
    loo: Choice
    boot: Choice


def calibrate(
    archive: Archive, until: int, *, known: KnownRule = "confirmation", progress: Progress | None = None
) -> Calibration:
    """Run the grid through the real rules on what was known by `until`, and choose.

    Raises ValueError where there is nothing to choose by: no whole season, no true outbreak, or no rule of the grid
    that keeps the cap.
    """
    if int(known_days(archive, known).min()) > until or archive.first_day > until:
        raise ValueError(f"Nothing was known by {iso(until)}: the archive begins on {iso(archive.first_day)}.")
    past = known_until(archive, until, known=known)
    knowledge = Knowledge(past, known=known)
    truth = Truth(past)
    try:
        span = Span.of_whole_seasons(past.first_day, past.last_day)
    except ValueError:
        raise ValueError(f"No season (from April on) begins from {iso(past.first_day)} to {iso(until)}.") from None
    if not any(wave.first in span for wave in truth.outbreaks):
        raise ValueError(f"No true outbreak began from {iso(span.first)} to {iso(span.last)}; calibrate on more years.")
    cells = [(cases, endorsers) for cases in GRID_CASES for endorsers in GRID_ENDORSERS]
    points: list[Point] = []
    for cases, endorsers in cells:
        points.append(Point((cases, endorsers), _run(knowledge, truth, span, Rule(cases, endorsers, BALLOT_DAYS))))
        if progress is not None:
            progress(len(points), len(cells))
    eligible = [point for point in points if point.parameters[1] >= LEAST_ENDORSERS]
    best = choose(eligible, CAP)
    if best is None:
        raise ValueError(f"No rule of the grid keeps to {CAP} false national records a year; calibrate on more years.")
    other = choose(eligible, CAP_SHOWN)
    loo, boot = leave_one_season_out(eligible, CAP), bootstrap_choices(eligible, CAP)
    cases, endorsers = int(best.parameters[0]), int(best.parameters[1])
    measured = _accuracy(knowledge, truth, span, cases, endorsers)
    frozen = Frozen(
        study=1, source=archive.source, archive=archive.digest, known=known, first=iso(span.first), until=iso(until),
        seasons=len(best.tally.seasons), cap=CAP, cases=cases, endorsers=endorsers, window_days=WINDOW,
        ballot_days=BALLOT_DAYS, grid=[_cell(point) for point in points], other_cap=CAP_SHOWN,
        chosen_at_other_cap=None if other is None else [int(one) for one in other.parameters],
        leave_one_out=_share(loo, best), bootstrap=_share(boot, best),
        missed_share=_range(bootstrap(best.tally, _missed_share)), delay_days=_range(bootstrap(best.tally, _delay)),
        accuracy=None if measured is None else _measured(measured), notes=[],
    )  # fmt: skip
    return Calibration(frozen, tuple(points), measured, loo, boot)


def _run(knowledge: Knowledge, truth: Truth, span: Span, rule: Rule) -> Tally:
    """A county's record becomes the nation's on proof, one veto window later: so county records are counted."""
    built, _ = plans(knowledge.archive, "pilot", rule)
    hosted = bare(knowledge.archive, built, morning(knowledge.first_morning) - 1)
    drive = Drive(knowledge, built, hosted, cases=rule.cases, window=WINDOW)
    drive.run(knowledge.first_morning, knowledge.last_morning)
    return tally(truth, classify(truth, incidents_of(drive)), span)


def _accuracy(knowledge: Knowledge, truth: Truth, span: Span, cases: int, endorsers: int) -> Accuracy | None:
    try:
        return accuracy(knowledge, truth, span, cases, endorsers + 1, window=WINDOW, block_days=BALLOT_DAYS)
    except ValueError:
        return None


def _missed_share(counted: Tally) -> float | None:
    return counted.missed / counted.waves if counted.waves else None


def _delay(counted: Tally) -> float | None:
    return counted.delay.median


def _range(interval: Interval | None) -> Range | None:
    return None if interval is None else (round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3))


def _cell(point: Point) -> Cell:
    counted = point.tally
    delay = counted.delay.median
    return Cell(
        int(point.parameters[0]), int(point.parameters[1]), counted.false(), counted.waves, counted.missed,
        counted.late, None if delay is None else round(delay, 1),
    )  # fmt: skip


def _share(choice: Choice, best: Point) -> str:
    """ "chosen in 14 of 17 (else c=1 k=4 in 3)"."""
    share = f"chosen in {choice.chosen.get(best.parameters, 0)} of {choice.times}"
    rest = sorted(((n, p) for p, n in choice.chosen.items() if p != best.parameters), key=lambda one: (-one[0], one[1]))
    others = [f"c={p[0]:g} k={p[1]:g} in {n}" for n, p in rest[:3]]
    others += [f"none in {choice.none}"] if choice.none else []
    return share + (f" (else {', '.join(others)})" if others else "")


def _measured(found: Accuracy) -> Measured:
    said = []
    for one in found.predictions:
        for what, predicted, observed in (
            ("false blocks a year", one.false_blocks_per_year, found.observed_false_blocks_per_year),
            ("share of outbreaks missed", one.missed, found.observed_missed),
        ):
            if differs(predicted, observed):
                said.append(
                    f"At a correlation of {one.icc:g} the formula predicts {predicted:.3g} {what} and {observed:.3g} "
                    "were observed: more than a factor of two apart. What was observed decides."
                )
    return Measured(
        _range(found.sensitivity) or (0.0, 0.0, 0.0), _range(found.specificity) or (0.0, 0.0, 0.0),
        [Predicted(one.icc, round(one.false_blocks_per_year, 3), round(one.missed, 3)) for one in found.predictions],
        round(found.observed_false_blocks_per_year, 3), round(found.observed_missed, 3), said,
    )  # fmt: skip


def load_frozen(data: bytes) -> Frozen:
    """Read a calibration file, in compact form or laid out for reading; raises ValueError with a sentence."""
    if len(data) > MAX_FILE:
        raise ValueError("The calibration file is larger than 1 MiB.")
    try:
        frozen = msgspec.json.decode(data, type=Frozen)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"The calibration file cannot be read: {error}. Make one with `tocsin calibrate`.") from error
    if frozen.cases < 1 or frozen.endorsers < 1 or frozen.window_days % 7 or frozen.window_days < 7:
        raise ValueError("The calibration file asks for no case, no endorser or no whole weeks; make one anew.")
    return frozen


def shipped(source: str) -> Frozen | None:
    """The calibration that ships for a named source, or None."""
    path = files("tocsin.lab") / "calibrations" / f"{source}.json"
    return load_frozen(path.read_bytes()) if path.is_file() else None


def frozen_for(
    archive: Archive, until: int, *, known: KnownRule = "confirmation", progress: Progress | None = None
) -> Frozen:
    """The rule to replay an archive with: the one that ships for it; else one calibrated on what was known by
    `until`; else the default, which says loudly that it was never calibrated."""
    found = shipped(archive.source)
    if found is not None:
        return found
    try:
        return calibrate(archive, until, known=known, progress=progress).frozen
    except ValueError as reason:
        return default_for(archive, until, str(reason), known=known)


def span_for(archive: Archive) -> tuple[int, int]:
    """First and last morning to replay where nobody said: the year that a named source is known for; else the last
    third of the seasons, the others being left to calibrate on; else, with fewer than three seasons, everything."""
    first, last = archive.first_day + 1, archive.last_day + 1
    if archive.source in KNOWN_FOR:
        begin, end = KNOWN_FOR[archive.source]
        return max(first, begin), min(last, end)
    seasons = season_of(archive.last_day) - season_of(archive.first_day)
    if seasons < LEAST_SEASONS:
        return first, last
    return season_span(season_of(archive.last_day) - seasons // 3 + 1)[0], last


def default_for(archive: Archive, until: int, reason: str, *, known: KnownRule = "confirmation") -> Frozen:
    """Two cases, two endorsers, and the sentence that nobody calibrated them."""
    note = f"NOT CALIBRATED. {reason} The default of {DEFAULT_CASES} cases and {DEFAULT_ENDORSERS} endorsers is used."
    return Frozen(
        study=1, source=archive.source, archive=archive.digest, known=known, first=iso(archive.first_day),
        until=iso(until), seasons=0, cap=CAP, cases=DEFAULT_CASES, endorsers=DEFAULT_ENDORSERS, window_days=WINDOW,
        ballot_days=BALLOT_DAYS, grid=[], other_cap=CAP_SHOWN, chosen_at_other_cap=None,
        leave_one_out="not calibrated", bootstrap="not calibrated", missed_share=None, delay_days=None, accuracy=None,
        notes=[note],
    )  # fmt: skip
