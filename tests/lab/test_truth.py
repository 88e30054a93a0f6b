"""Waves, outcomes and leads, against a slow oracle and by example."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.small import ROSTER, archive, case
from tocsin.lab.archive import IMPORTED, LOCAL, NOBODY
from tocsin.lab.knowledge import known_days
from tocsin.lab.references import OFFICIAL, leads, references_for
from tocsin.lab.truth import Incident, JudgedIncident, Outcome, Truth, TruthRule, Verdicts, classify

SMALL = TruthRule(min_cases=6, min_places=2, gap_days=28)


def spread(first: int, last: int, cases: int, towns: tuple[int, ...] = (0, 1), **other: int) -> list[tuple[int, ...]]:
    """`cases` cases with onsets evenly from `first` to `last`, in turn in each town."""
    days = np.linspace(first, last, cases).astype(int).tolist()
    return [case(towns[i % len(towns)], day, **other) for i, day in enumerate(days)]


def judged(rows: list[tuple[int, ...]], *incidents: tuple[int, ...], network: int = 1) -> Verdicts:
    return classify(Truth(archive(rows), SMALL), [Incident(network, days) for days in incidents])


def outcomes(verdicts: Verdicts) -> list[str]:
    return [str(incident.outcome) for incident in verdicts.incidents]


def only(verdicts: Verdicts) -> JudgedIncident:
    (incident,) = verdicts.incidents
    return incident


def test_a_wave_is_chained_by_onset_while_gaps_are_short() -> None:
    truth = Truth(archive([case(0, 100), case(1, 128), case(0, 157)]), SMALL)
    assert [(w.first, w.last, w.cases, w.places) for w in truth.waves] == [(100, 128, 2, 2), (157, 157, 1, 1)]


def test_place_of_infection_makes_the_wave_and_residence_fills_in() -> None:
    rows = [
        case(0, 100),
        case(0, 101, county=2, place=4),
        case(3, 102, county=1),
        case(1, 103, county=1),
        case(NOBODY, 104, county=1, place=2),
        case(NOBODY, 105),
    ]
    alpha, beta = Truth(archive(rows), SMALL).waves
    assert (alpha.network, alpha.cases, alpha.places) == (1, 4, 3)
    assert (beta.network, beta.cases, beta.places) == (2, 1, 1)
    by_home = Truth(archive(rows), TruthRule(by="residence"))
    assert [(w.network, w.cases) for w in by_home.waves] == [(1, 3), (2, 1)]


def test_imported_cases_make_no_wave_and_hold_none_together() -> None:
    rows = [case(0, 100), case(0, 120, imported=IMPORTED), case(0, 140)]
    assert [w.cases for w in Truth(archive(rows), SMALL).waves] == [1, 1]


def test_a_true_outbreak_needs_cases_and_places() -> None:
    two, one, few = spread(100, 130, 6), spread(300, 330, 6, (0,)), spread(500, 530, 5)
    truth = Truth(archive(two + one + few), SMALL)
    assert [w.first for w in truth.outbreaks] == [100]
    assert [w.first for w in truth.single_place] == [300]


def test_half_of_the_cases_had_fallen_ill_by_the_half_day() -> None:
    rows = [case(0, 100), case(1, 110, count=2), case(0, 120), case(1, 130, count=4)]
    assert Truth(archive(rows), SMALL).waves[0].half_day == 120


oracle_rows = st.lists(
    st.tuples(
        st.integers(-1, 4),
        st.integers(0, 150),
        st.sampled_from([NOBODY, 1, 2]),
        st.integers(1, 3),
        st.sampled_from([LOCAL, IMPORTED]),
    ),
    min_size=1,
    max_size=30,
)


@given(oracle_rows, st.sampled_from([14, 28, 56]))
def test_waves_are_those_of_a_walk_through_the_days(rows: list[tuple[int, int, int, int, int]], gap: int) -> None:
    made = archive([case(t, d, county=c, count=n, imported=i) for t, d, c, n, i in rows])
    homes = {-1: -1, **{town: 1 + county for town, (_, county) in enumerate(ROSTER)}}
    expected = []
    for network in (1, 2):
        here = sorted(
            (day, count)
            for town, day, county, count, imported in rows
            if imported != IMPORTED and (county if county != NOBODY else homes[town]) == network
        )
        run: list[tuple[int, int]] = []
        for day, count in [*here, (10_000, 0)]:
            if run and day - run[-1][0] > gap:
                expected.append((network, run[0][0], run[-1][0], sum(n for _, n in run)))
                run = []
            run.append((day, count))
    found = [(w.network, w.first, w.last, w.cases) for w in Truth(made, TruthRule(gap_days=gap, tail_days=7)).waves]
    assert found == expected


OUTBREAK = spread(100, 160, 6)


@pytest.mark.parametrize(
    ("day", "outcome", "late"),
    [(99, "false-nothing", False), (100, "true", False), (124, "true", False), (125, "true", True),
     (160, "true", True), (174, "true", True), (175, "false-nothing", False)],
)  # fmt: skip
def test_a_record_is_true_from_day_0_to_two_weeks_after_the_last_onset(day: int, outcome: str, late: bool) -> None:
    record = only(judged(OUTBREAK, (day,)))
    assert (str(record.outcome), record.late) == (outcome, late)


def test_an_outbreak_without_a_record_by_its_last_onset_is_missed() -> None:
    assert judged(OUTBREAK).waves[0].record_day is None
    assert judged(OUTBREAK, (161,)).waves[0].record_day is None
    assert judged(OUTBREAK, (160,)).waves[0].delay_days == 60
    assert judged(OUTBREAK, (110,), network=2).waves[0].record_day is None


def test_one_wave_one_record() -> None:
    verdicts = judged(OUTBREAK, (110, 112), (150, 151))
    assert outcomes(verdicts) == ["true", "continuation"]
    (wave,) = verdicts.waves
    assert (wave.record_day, wave.delay_days, wave.late, wave.carried) == (110, 10, False, False)


def test_an_incident_open_since_before_day_0_reaches_the_wave_when_a_record_joins_it() -> None:
    verdicts = judged(OUTBREAK, (90, 105), (155,))
    assert outcomes(verdicts) == ["false-nothing", "continuation"]
    assert (verdicts.waves[0].record_day, verdicts.waves[0].carried) == (105, True)


def test_residents_who_fell_ill_elsewhere_are_a_spill_over() -> None:
    rows = spread(100, 130, 8, county=2, place=3) + spread(110, 120, 3)
    truth = Truth(archive(rows), SMALL)
    record = only(classify(truth, [Incident(1, (120,))]))
    assert record.outcome is Outcome.SPILL_OVER
    assert not record.outcome.is_false()
    assert record.outcome.is_false(strict=True)
    at_home = Truth(archive(rows), TruthRule(min_cases=6, by="residence"))
    assert only(classify(at_home, [Incident(1, (120,))])).outcome is Outcome.TRUE


def test_false_records_are_split_by_what_was_behind_them() -> None:
    assert outcomes(judged(spread(100, 120, 5), (110,))) == ["false-cluster"]
    assert outcomes(judged(spread(100, 120, 4), (110,))) == ["false-nothing"]
    assert all(outcome.is_false() for outcome in (Outcome.FALSE_CLUSTER, Outcome.FALSE_NOTHING))


def test_a_large_cluster_in_one_township_is_below_the_joint_rule_and_not_false() -> None:
    record = only(judged(spread(100, 130, 9, (0,)), (120,)))
    assert record.outcome is Outcome.SINGLE_PLACE
    assert not record.outcome.is_false(strict=True)


def test_cases_known_and_still_to_come_add_up() -> None:
    rows = [case(0, 100, confirmed=104), case(1, 101, confirmed=110, count=2), case(0, 103, confirmed=UNKNOWN)]
    made = archive(rows)
    (wave,) = Truth(made, SMALL).waves
    truth = Truth(made, SMALL)
    assert truth.known_and_to_come(wave, 104, known_days(made)) == (0, 4)
    assert truth.known_and_to_come(wave, 105, known_days(made)) == (1, 3)
    assert truth.known_and_to_come(wave, 111, known_days(made)) == (4, 0)
    assert truth.first_known(wave, known_days(made)) == 104


UNKNOWN = -(2**31)


def test_a_wave_at_the_end_of_the_archive_may_have_gone_on() -> None:
    truth = Truth(archive(spread(100, 160, 6), last=180), SMALL)
    assert truth.unfinished(truth.waves[0])
    assert not Truth(archive(spread(100, 160, 6), last=188), SMALL).unfinished(truth.waves[0])


def test_leads_are_signed() -> None:
    made = archive([case(0, 16_571 + i, confirmed=16_576 + i) for i in range(6)], last=20_000, source="dengue-taiwan")
    truth = Truth(made, SMALL)
    (wave,) = truth.waves
    references = references_for(truth, wave, known_days(made))
    assert [r.id for r in references] == ["day-0", "first-confirmed"]
    assert [lead.days for lead in leads(references, 16_581)] == [-10, -5]
    assert [lead.days for lead in leads(references, 16_561)] == [10, 15]


def test_official_dates_are_data() -> None:
    assert {(r.id, r.day) for r in OFFICIAL["dengue-taiwan"]} == {
        ("command-centre", 14_903),
        ("cdc-bulletin", 16_603),
        ("command-centre", 16_692),
    }


@pytest.mark.parametrize(
    "wrong", [{"min_cases": 0}, {"gap_days": 0}, {"tail_days": -1}, {"tail_days": 30}, {"by": "rumour"}]
)
def test_refuses_a_rule_without_meaning(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        TruthRule(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [(), (5, 3)])
def test_refuses_an_incident_without_records_or_order(days: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one record"):
        Incident(1, days)
