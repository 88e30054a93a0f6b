"""Charters, single agencies and pooled data side by side, on the same knowledge (replay 13)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tocsin.lab.archive import Archive
from tocsin.lab.baselines import Detector, standard_detectors
from tocsin.lab.calibrate import GRID_CASES, Frozen
from tocsin.lab.days import day_of, iso
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule
from tocsin.lab.runs import Run, drive_bare, drive_tree
from tocsin.lab.scoring import (
    Curve,
    Point,
    Span,
    Tally,
    at_equal_false_rate,
    bootstrap,
    curve,
    detector_incidents,
    paired_delays,
    tally,
)
from tocsin.lab.sensitivity import Variant, truth_variants, world_variants
from tocsin.lab.statistics import Interval, MedianRange, binomial_interval, median_range
from tocsin.lab.truth import Truth, Verdicts, classify

__all__ = ["CHARTERS", "Beside", "Comparison", "Measured", "Period", "compare"]

CHARTERS = ("pilot", "paper", "broadcast-only")
"""Every comparison has these three."""
USUAL_Z = {"C1": 3.09, "C2": 3.09, "C3": 1.96}
"""The usual limits of EARS, in standard deviations (one-sided .001 and .025)."""
BOOTSTRAPS = 300
LEAST_SEASONS = 5
"""Fewer seasons are not resampled."""

Level = Literal["county", "nation"]


@dataclass(frozen=True, slots=True)
class Period:
    """A part of the archive that is counted apart. `test`: nothing of it was read when the rule was frozen."""

    name: str
    span: Span
    test: bool

    @property
    def label(self) -> str:
        """Its name with its days."""
        return f"{self.name}, {iso(self.span.first)} to {iso(self.span.last)}"


@dataclass(frozen=True, slots=True)
class Measured:
    """A rule in one period: its tally, and the intervals of the share missed and of the median delay, if any."""

    tally: Tally
    missed: Interval | None
    delay: Interval | None


@dataclass(frozen=True, slots=True)
class Beside:
    """A line of Table 1. `setting`: its threshold in words; `moves_data`: it needs the agencies' cases to leave them;
    `equal`: its threshold was set to the frozen rule's false records in the calibration, not to what is usual."""

    id: str
    label: str
    setting: str
    level: Level
    moves_data: bool
    equal: bool
    verdicts: Verdicts
    periods: tuple[Measured, ...]

    @property
    def charter(self) -> bool:
        """Whether it is a charter, driven through the kernel, and no detector."""
        return self.id in CHARTERS


@dataclass(frozen=True, slots=True)
class Comparison:
    """Table 1 with its periods, the charters' runs behind it, what none of the families could reach (`unequal`), and
    Table 3."""

    periods: tuple[Period, ...]
    rows: tuple[Beside, ...]
    unequal: tuple[str, ...]
    runs: dict[str, Run]
    variants: tuple[Variant, ...] = field(default=())

    def row(self, ident: str, level: Level = "county", *, equal: bool = False) -> Beside | None:
        """A line by id."""
        return next((r for r in self.rows if (r.id, r.level, r.equal) == (ident, level, equal)), None)

    def behind_pooled(self) -> tuple[MedianRange, ...]:
        """Days by which the frozen rule's county records came after the pooled count's at equal false rate, over the
        outbreaks that both reached: in each period, and last in all together. Empty without such a threshold."""
        pooled, ours = self.row("pooled-count", equal=True), self.row("pilot")
        if pooled is None or ours is None:
            return ()
        parts = [paired_delays(ours.verdicts, pooled.verdicts, period.span) for period in self.periods]
        every = [pair for part in parts for pair in part]
        return tuple(median_range(a - b for a, b in part) for part in (*parts, every))


def compare(
    archive: Archive, knowledge: Knowledge, truth: Truth, frozen: Frozen, split: int, *, full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Comparison, list[Curve], dict[str, Run]]:  # fmt: skip
    """The three charters on unsigned networks over the whole archive, the detectors, and the sensitivity of it all.

    `split` is the last day of the calibration. `full` adds the variants that need runs of their own: a minute or so
    for decades of a nation. `progress`: networks' runs done, and in all.
    """
    periods = _periods(archive, frozen, split)
    spans = [(period.name, period.span) for period in periods]
    worlds = world_variants(knowledge, frozen) if full else []
    first, last = knowledge.first_morning, knowledge.last_morning
    runs: dict[str, Run] = {}
    for name in CHARTERS:
        runs[name] = drive_tree(knowledge, truth, name, frozen.rule, frozen.window_days, first, last)
        if progress is not None:
            progress(len(runs), len(CHARTERS) + len(worlds))
    rows = [row for name, run in runs.items() for row in _charter_rows(truth, name, run, frozen, periods)]
    rate = rows[0].periods[0].tally.false_rate()
    warm = Span(first, last)
    curves = _charter_curves(knowledge, truth, frozen, runs, periods[0].span)
    unequal: list[str] = []
    for detector in standard_detectors(knowledge):
        learnt = periods[0].span
        swept = curve(detector, truth, learnt, warm_up=max(0, learnt.first - first))
        curves.append(swept)
        point = at_equal_false_rate(swept, rate)
        if point is None:
            unequal.append(detector.label)
        else:
            rows.append(_detector_row(truth, detector, point.parameters[0], warm, periods, equal=True))
        rows.append(_detector_row(truth, detector, _usual(detector, frozen), warm, periods, equal=False))
    variants = truth_variants(truth, runs["pilot"], spans)
    for done, world in enumerate(worlds, start=len(runs) + 1):
        variants.append(world.run(truth, spans))
        if progress is not None:
            progress(done, len(CHARTERS) + len(worlds))
    return Comparison(periods, tuple(rows), tuple(unequal), runs, tuple(variants)), curves, runs


def _periods(archive: Archive, frozen: Frozen, split: int) -> tuple[Period, ...]:
    """Calibration and test apart; for Taiwan the year of the outbreak and those after it apart as well (replay 7)."""
    if not frozen.calibrated or split >= archive.last_day:
        name = "calibration" if frozen.calibrated else "all days"
        return (Period(name, Span(archive.first_day, archive.last_day), test=False),)
    cuts = [split + 1]
    year = day_of("2016-01-01")
    if archive.source == "dengue-taiwan" and split + 1 < year <= archive.last_day:
        cuts.append(year)
    periods = [Period("calibration", Span(day_of(frozen.first), split), test=False)]
    for first, last in zip(cuts, [*(cut - 1 for cut in cuts[1:]), archive.last_day], strict=True):
        years = dict.fromkeys((iso(first)[:4], iso(last)[:4]))
        periods.append(Period(f"test {'-'.join(years)}", Span(first, last), test=True))
    return tuple(periods)


def _charter_rows(
    truth: Truth, name: str, run: Run, frozen: Frozen, periods: Sequence[Period]
) -> list[Beside]:
    settings = {
        "pilot": f"author and {frozen.endorsers}, c={frozen.cases}",
        "paper": f"over half, c={frozen.cases}",
        "broadcast-only": f"anyone, c={frozen.cases}",
    }
    levels: tuple[tuple[Level, Verdicts], ...] = (("county", run.verdicts), ("nation", run.nation))
    return [
        Beside(name, name, settings[name], level, False, False, verdicts, _measured(truth, verdicts, periods))
        for level, verdicts in levels
    ]


def _charter_curves(
    knowledge: Knowledge, truth: Truth, frozen: Frozen, runs: Mapping[str, Run], learnt: Span
) -> list[Curve]:
    """Each charter's county records over the cases that make an agency see. `pilot` is swept with the frozen endorsers
    where there is no grid, which has it for every number of them."""
    found = []
    for name in CHARTERS:
        if name == "pilot" and frozen.calibrated:
            continue
        points = []
        for cases in GRID_CASES:
            if cases == frozen.cases:
                run = runs[name]
            else:
                rule = Rule(cases, frozen.endorsers, frozen.ballot_days)
                first, last = knowledge.first_morning, min(learnt.last + 1, knowledge.last_morning)
                run = drive_bare(knowledge, truth, name, rule, frozen.window_days, first, last)
            points.append(Point((cases,), tally(truth, run.verdicts, learnt)))
        found.append(Curve(name, name, False, tuple(points)))
    return found


def _detector_row(
    truth: Truth, detector: Detector, threshold: float, warm: Span, periods: Sequence[Period], *, equal: bool
) -> Beside:
    verdicts = classify(truth, detector_incidents(detector, threshold, warm))
    setting = f"z above {threshold:g}" if detector.strict else f"at least {threshold:g}"
    return Beside(
        detector.id, detector.label, setting, "county", detector.moves_data, equal, verdicts,
        _measured(truth, verdicts, periods),
    )  # fmt: skip


def _usual(detector: Detector, frozen: Frozen) -> float:
    """EARS at its usual limits; one agency at the frozen number of cases; pooled, as many as all who record hold."""
    if detector.strict:
        return USUAL_Z[detector.id.rpartition("-")[2]]
    return float(frozen.cases * (frozen.endorsers + 1) if detector.moves_data else frozen.cases)


def _measured(truth: Truth, verdicts: Verdicts, periods: Sequence[Period]) -> tuple[Measured, ...]:
    found = []
    for period in periods:
        counted = tally(truth, verdicts, period.span)
        missed = binomial_interval(counted.missed, counted.waves) if counted.waves else None
        delay = None
        if len(counted.seasons) >= LEAST_SEASONS:
            delay = bootstrap(counted, lambda drawn: drawn.delay.median, times=BOOTSTRAPS)
        found.append(Measured(counted, missed, delay))
    return tuple(found)
