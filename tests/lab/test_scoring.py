"""Tallies by season, curves, and choices made on them."""

from types import MappingProxyType

import pytest

from tests.lab.small import archive, case
from tocsin.lab.baselines import single_count
from tocsin.lab.days import day_of
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.scoring import (
    Point,
    SeasonTally,
    Span,
    Tally,
    at_equal_false_rate,
    bootstrap,
    bootstrap_choices,
    choose,
    curve,
    detector_incidents,
    leave_one_season_out,
    paired_delays,
    tally,
)
from tocsin.lab.truth import Incident, Outcome, Truth, TruthRule, classify

RULE = TruthRule(min_cases=6, min_places=2)
FIRST, LAST = day_of("1971-04-01"), day_of("1973-03-31")
SPAN = Span(FIRST, LAST)


def outbreak(first: int) -> list[tuple[int, ...]]:
    return [case(i % 2, first + 10 * i) for i in range(6)]


ROWS = outbreak(FIRST + 20) + outbreak(FIRST + 380) + outbreak(FIRST - 60)
TRUTH = Truth(archive(ROWS, last=LAST), RULE)


def tallied(*incidents: tuple[int, ...]) -> Tally:
    return tally(TRUTH, classify(TRUTH, [Incident(1, tuple(FIRST + d for d in days)) for days in incidents]), SPAN)


def test_waves_and_records_belong_to_their_seasons() -> None:
    made = tallied((30,), (200,), (420,))
    assert [s.season for s in made.seasons] == [1971, 1972]
    assert [s.days for s in made.seasons] == [366, 365]
    assert [s.waves for s in made.seasons] == [1, 1]
    assert [dict(s.outcomes) for s in made.seasons] == [
        {Outcome.TRUE: 1, Outcome.FALSE_NOTHING: 1},
        {Outcome.TRUE: 1},
    ]
    assert (made.waves, made.missed, made.late, made.false()) == (2, 0, 1, 1)
    assert made.years == pytest.approx(731 / 365.25)
    assert made.false_per_year().estimate == pytest.approx(365.25 / 731)
    assert (made.delay.median, made.delay.low, made.delay.high) == (25.0, 10.0, 40.0)


def test_a_wave_from_before_the_span_is_a_continuation_and_in_no_denominator() -> None:
    made = tallied((0,))
    assert (made.count(Outcome.TRUE), made.count(Outcome.CONTINUATION)) == (0, 1)
    assert (made.waves, made.missed) == (2, 2)


def test_what_lies_outside_the_span_is_not_counted() -> None:
    assert tallied((-200,)).false() == 0


def test_a_span_of_whole_seasons_leaves_the_rest_to_warm_up() -> None:
    assert Span.of_whole_seasons(FIRST, LAST) == SPAN
    assert Span.of_whole_seasons(FIRST - 1, LAST) == SPAN
    assert Span.of_whole_seasons(FIRST + 1, LAST).first == day_of("1972-04-01")
    with pytest.raises(ValueError, match="no season begins"):
        Span.of_whole_seasons(FIRST + 1, FIRST + 100)


def test_a_curve_has_fewer_false_records_and_more_misses_as_the_threshold_grows() -> None:
    knowledge = Knowledge(archive([*ROWS, case(3, FIRST + 250), case(4, FIRST + 300, count=2)], last=LAST))
    truth = Truth(knowledge.archive, RULE)
    made = curve(single_count(knowledge), truth, SPAN, warm_up=300)
    false = [point.tally.false() for point in made.points]
    missed = [point.tally.missed for point in made.points]
    assert false[:3] == [2, 1, 0]
    assert missed[0] == 0
    assert missed == sorted(missed)
    assert missed[-1] == 2
    equal = at_equal_false_rate(made, 1.0 / SPAN_YEARS)
    assert equal is not None
    assert (equal.parameters, equal.tally.false()) == ((2.0,), 1)


SPAN_YEARS = (LAST - FIRST + 1) / 365.25


def season(year: int, false: int = 0, missed: int = 0, delays: tuple[int, ...] = (30,)) -> SeasonTally:
    outcomes = MappingProxyType({Outcome.FALSE_NOTHING: false})
    return SeasonTally(year, 365, outcomes, len(delays) + missed, missed, 0, delays)


def point(parameters: tuple[float, ...], *seasons: SeasonTally) -> Point:
    return Point(parameters, Tally(seasons))


def test_the_choice_misses_fewest_then_is_fastest_then_has_the_smallest_k() -> None:
    def quiet(parameters: tuple[float, ...], missed: int, delay: int) -> Point:
        return point(parameters, season(2000, 0, missed, (delay,)))

    noisy = point((1, 2), season(2000, 9, 0, (1,)))
    assert choose([noisy, quiet((2, 2), 1, 10), quiet((3, 2), 0, 50)], 0.2).parameters == (3, 2)  # type: ignore[union-attr]
    assert choose([noisy, quiet((2, 2), 1, 10), quiet((3, 2), 1, 50)], 0.2).parameters == (2, 2)  # type: ignore[union-attr]
    assert choose([noisy, quiet((2, 4), 1, 10), quiet((3, 2), 1, 10)], 0.2).parameters == (3, 2)  # type: ignore[union-attr]
    assert choose([noisy], 0.2) is None
    assert choose([noisy, quiet((3, 2), 0, 50)], 10.0) == noisy


def test_a_rule_that_reaches_nothing_is_never_the_fastest() -> None:
    never = point((9, 2), season(2000, 0, 1, ()))
    ever = point((1, 2), season(2000, 0, 1, (80,)))
    assert choose([never, ever], 1.0) == ever


def test_a_choice_that_hangs_on_one_season_is_found_out() -> None:
    bold = point((1, 2), *(season(2000 + i, 1 if i == 0 else 0, 0) for i in range(5)))
    meek = point((2, 2), *(season(2000 + i, 0, 1 if i == 1 else 0) for i in range(5)))
    assert choose([bold, meek], 0.21) == bold
    left = leave_one_season_out([bold, meek], 0.21)
    assert dict(left.chosen) == {(1, 2): 1, (2, 2): 4}
    assert (left.times, left.none) == (5, 0)
    drawn = bootstrap_choices([bold, meek], 0.21, times=400, seed=7)
    assert drawn == bootstrap_choices([bold, meek], 0.21, times=400, seed=7)
    assert sum(drawn.chosen.values()) == 400
    assert drawn.chosen[1, 2] / 400 == pytest.approx(0.8**5 + 5 * 0.2 * 0.8**4, abs=0.08)


def test_refuses_points_of_different_seasons() -> None:
    with pytest.raises(ValueError, match="same seasons"):
        leave_one_season_out([point((1, 2), season(2000)), point((2, 2), season(2000), season(2001))], 1.0)


def test_bootstrap_intervals_come_from_whole_seasons() -> None:
    made = Tally(tuple(season(2000 + i, false=i % 2) for i in range(20)))
    interval = bootstrap(made, Tally.false_rate, times=500, seed=3)
    assert interval is not None
    assert interval.estimate == pytest.approx(0.5, abs=0.01)
    assert 0.2 < interval.low < 0.45
    assert 0.55 < interval.high < 0.8
    assert bootstrap(Tally((season(2000, delays=()),)), lambda t: t.delay.median) is None


def test_delays_are_compared_over_the_same_outbreaks() -> None:
    ours = classify(TRUTH, [Incident(1, (FIRST + 30,)), Incident(1, (FIRST + 420,))])
    theirs = classify(TRUTH, [Incident(1, (FIRST + 35,))])
    assert paired_delays(ours, theirs, SPAN) == ((10, 15),)
    with pytest.raises(ValueError, match="same truth"):
        paired_delays(ours, classify(Truth(TRUTH.archive, RULE), []), SPAN)


def test_a_detector_is_judged_on_the_mornings_of_the_span_only() -> None:
    knowledge = Knowledge(archive(ROWS, last=LAST))
    inside = detector_incidents(single_count(knowledge), 1, Span(FIRST + 100, LAST))
    assert [i.days[0] for i in inside] == [FIRST + 381]
    assert {i.network for i in inside} == {1}
