"""How good a rule was: outcomes counted by season, curves of false records against delay, and choices made on them.

Everything is kept by season (April to March), because seasons are what there are few of: intervals come from
resampling them, and a choice is checked by leaving one out. A record belongs to the season of its day, a true
outbreak to that of its day 0. Knows the truth: see `truth` for who may not import this.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from tocsin.lab.baselines import Detector, episodes
from tocsin.lab.days import Season, season_of, season_span
from tocsin.lab.statistics import Interval, MedianRange, median_range, poisson_rate
from tocsin.lab.truth import Incident, JudgedWave, Outcome, Truth, Verdicts, classify

__all__ = [
    "DAYS_A_YEAR",
    "Choice",
    "Curve",
    "Point",
    "SeasonTally",
    "Span",
    "Tally",
    "at_equal_false_rate",
    "bootstrap",
    "bootstrap_choices",
    "choose",
    "curve",
    "detector_incidents",
    "leave_one_season_out",
    "paired_delays",
    "tally",
]

DAYS_A_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Span:
    """The days that count, both included."""

    first: int
    last: int

    def __contains__(self, day: int) -> bool:
        return self.first <= day <= self.last

    @classmethod
    def of_whole_seasons(cls, first: int, last: int, *, first_month: int = 4) -> "Span":
        """From the first season that begins on or after `first` to `last`, which may lie within a season.

        What comes before only warms up. Raises `ValueError` where no season begins in time.
        """
        season = season_of(first, first_month)
        begin = season_span(season, first_month)[0]
        begin = begin if begin >= first else season_span(season + 1, first_month)[0]
        if begin > last:
            raise ValueError("no season begins within these days")
        return cls(begin, last)


@dataclass(frozen=True, slots=True)
class SeasonTally:
    """One season's share of a span: its days in it, incidents by outcome, true outbreaks, and the delays in days of
    those reached."""

    season: Season
    days: int
    outcomes: Mapping[Outcome, int]
    waves: int
    missed: int
    late: int
    delays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """Outcomes of one rule over seasons; rates are per nation-year, that is all networks together."""

    seasons: tuple[SeasonTally, ...]

    @property
    def years(self) -> float:
        """Nation-years observed."""
        return sum(s.days for s in self.seasons) / DAYS_A_YEAR

    def count(self, outcome: Outcome) -> int:
        """Incidents with that outcome."""
        return sum(s.outcomes.get(outcome, 0) for s in self.seasons)

    def false(self, *, strict: bool = False) -> int:
        """False records; `strict` counts spill-over among them."""
        return sum(self.count(outcome) for outcome in Outcome if outcome.is_false(strict=strict))

    def false_rate(self, *, strict: bool = False) -> float:
        """False records a nation-year."""
        return self.false(strict=strict) / self.years

    def false_per_year(self, *, strict: bool = False) -> Interval:
        """False records a nation-year with the exact 95 % interval."""
        return poisson_rate(self.false(strict=strict), self.years)

    @property
    def waves(self) -> int:
        """True outbreaks that began in the span."""
        return sum(s.waves for s in self.seasons)

    @property
    def missed(self) -> int:
        """True outbreaks without a record by their last onset."""
        return sum(s.missed for s in self.seasons)

    @property
    def late(self) -> int:
        """True outbreaks recorded only after half of their cases had fallen ill."""
        return sum(s.late for s in self.seasons)

    @property
    def delay(self) -> MedianRange:
        """Days from day 0 to the record, over the outbreaks reached."""
        return median_range(delay for s in self.seasons for delay in s.delays)


def tally(truth: Truth, verdicts: Verdicts, span: Span, *, first_month: int = 4) -> Tally:
    """Count what falls in `span`, by season.

    An outbreak that began before the span is in no denominator, and a record within it is a continuation: a wave that
    never closed has no new lead.
    """
    outcomes: dict[Season, Counter[Outcome]] = {}
    for judged in verdicts.incidents:
        if judged.day in span:
            older = judged.outcome is Outcome.TRUE and judged.wave is not None and judged.wave.first < span.first
            outcome = Outcome.CONTINUATION if older else judged.outcome
            outcomes.setdefault(season_of(judged.day, first_month), Counter())[outcome] += 1
    waves: dict[Season, list[JudgedWave]] = {}
    for reached in verdicts.waves:
        if reached.wave.first in span:
            waves.setdefault(season_of(reached.wave.first, first_month), []).append(reached)
    return Tally(
        tuple(
            _season(season, span, outcomes.get(season, Counter()), waves.get(season, []), first_month)
            for season in range(season_of(span.first, first_month), season_of(span.last, first_month) + 1)
        )
    )


def _season(
    season: Season, span: Span, outcomes: Mapping[Outcome, int], waves: Sequence[JudgedWave], first_month: int
) -> SeasonTally:
    first, last = season_span(season, first_month)
    return SeasonTally(
        season=season,
        days=min(last, span.last) - max(first, span.first) + 1,
        outcomes=MappingProxyType(dict(outcomes)),
        waves=len(waves),
        missed=sum(w.record_day is None for w in waves),
        late=sum(w.late for w in waves),
        delays=tuple(w.delay_days for w in waves if w.delay_days is not None),
    )


@dataclass(frozen=True, slots=True)
class Point:
    """A rule with one setting of its parameters, and how it did."""

    parameters: tuple[float, ...]
    tally: Tally


@dataclass(frozen=True, slots=True)
class Curve:
    """A family of rules swept over its threshold, in order of threshold."""

    id: str
    label: str
    moves_data: bool
    points: tuple[Point, ...]


def detector_incidents(detector: Detector, threshold: float, span: Span, *, quiet_days: int = 28) -> list[Incident]:
    """The incidents a detector would have opened on the mornings of `span`."""
    found = []
    for network in sorted(detector.scores):
        days = detector.alarm_days(network, threshold)
        days = days[(days >= span.first) & (days <= span.last)]
        found += [Incident(network, episode) for episode in episodes(days, quiet_days)]
    return found


def curve(
    detector: Detector, truth: Truth, span: Span, *, warm_up: int = 0, quiet_days: int = 28, first_month: int = 4
) -> Curve:
    """The detector at all its thresholds over `span`, started `warm_up` days before it."""
    warm = Span(span.first - warm_up, span.last)
    return Curve(
        detector.id,
        detector.label,
        detector.moves_data,
        tuple(
            Point(
                (threshold,),
                tally(
                    truth,
                    classify(truth, detector_incidents(detector, threshold, warm, quiet_days=quiet_days)),
                    span,
                    first_month=first_month,
                ),
            )
            for threshold in detector.thresholds
        ),
    )


def choose(points: Sequence[Point], cap: float, *, strict: bool = False) -> Point | None:
    """Of the points with at most `cap` false records a nation-year, the one that misses fewest, then has the shortest
    median delay, then the smallest parameters (from the last to the first: `(c, k)` gives the smallest k). None if no
    point keeps to the cap. Replay definition 7."""
    kept = [point for point in points if point.tally.false_rate(strict=strict) <= cap]
    return min(kept, key=_merit, default=None)


def _merit(point: Point) -> tuple[int, float, tuple[float, ...]]:
    median = point.tally.delay.median
    return point.tally.missed, np.inf if median is None else median, tuple(reversed(point.parameters))


def at_equal_false_rate(curve: Curve, rate: float, *, strict: bool = False) -> Point | None:
    """The point of a curve to set beside a rule with `rate` false records a nation-year: the best with no more."""
    return choose(curve.points, rate, strict=strict)


@dataclass(frozen=True, slots=True)
class Choice:
    """Which parameters were chosen how often, of `times`; `none` counts the times when nothing kept to the cap."""

    chosen: Mapping[tuple[float, ...], int]
    none: int
    times: int


def leave_one_season_out(points: Sequence[Point], cap: float) -> Choice:
    """Choose again without each season in turn: "chosen in x of 17"."""
    seasons = range(len(points[0].tally.seasons))
    return _choices(points, cap, [[i for i in seasons if i != out] for out in seasons])


def bootstrap_choices(points: Sequence[Point], cap: float, *, times: int = 1000, seed: int = 1) -> Choice:
    """Choose again on seasons drawn with replacement, the same ones for every point."""
    seasons = len(points[0].tally.seasons)
    draws = np.random.default_rng(seed).integers(0, seasons, size=(times, seasons))
    return _choices(points, cap, [[int(i) for i in draw] for draw in draws])


def _choices(points: Sequence[Point], cap: float, draws: Sequence[Sequence[int]]) -> Choice:
    if any(len(p.tally.seasons) != len(points[0].tally.seasons) for p in points):
        raise ValueError("the points were not tallied over the same seasons")
    found: Counter[tuple[float, ...]] = Counter()
    for draw in draws:
        drawn = [Point(p.parameters, _drawn(p.tally, draw)) for p in points]
        best = choose(drawn, cap)
        if best is not None:
            found[best.parameters] += 1
    return Choice(MappingProxyType(dict(found)), len(draws) - found.total(), len(draws))


def bootstrap(
    tally: Tally,
    statistic: Callable[[Tally], float | None],
    *,
    times: int = 1000,
    seed: int = 1,
    level: float = 0.95,
) -> Interval | None:
    """A statistic with the percentile interval over seasons drawn with replacement; None where it has no value."""
    estimate = statistic(tally)
    if estimate is None:
        return None
    draws = np.random.default_rng(seed).integers(0, len(tally.seasons), size=(times, len(tally.seasons)))
    values = [v for v in (statistic(_drawn(tally, draw.tolist())) for draw in draws) if v is not None]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high))


def _drawn(tally: Tally, draw: Sequence[int]) -> Tally:
    return Tally(tuple(tally.seasons[i] for i in draw))


def paired_delays(ours: Verdicts, theirs: Verdicts, span: Span) -> tuple[tuple[int, int], ...]:
    """The delays of two rules, side by side, over the outbreaks of `span` that both reached: a median over different
    outbreaks compares nothing. Both must have been judged by one truth."""
    pairs = []
    for a, b in zip(ours.waves, theirs.waves, strict=True):
        if a.wave is not b.wave:
            raise ValueError("the two were not judged by the same truth")
        if a.wave.first in span and a.delay_days is not None and b.delay_days is not None:
            pairs.append((a.delay_days, b.delay_days))
    return tuple(pairs)
