"""Detectors: scores against the plain reading of each rule."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.small import archive, case
from tocsin.judges.ears import ears_bounds
from tocsin.lab.archive import Gap
from tocsin.lab.baselines import (
    episodes,
    joint_count,
    pooled_count,
    pooled_ears,
    single_count,
    single_ears,
    standard_detectors,
)
from tocsin.lab.knowledge import Knowledge

cases = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 200), st.integers(1, 3)), min_size=1, max_size=60)


def knowing(rows: list[tuple[int, int, int]], gaps: tuple[Gap, ...] = ()) -> Knowledge:
    return Knowledge(archive([case(a, day, count=n) for a, day, n in rows], last=200, gaps=gaps))


@given(cases, st.integers(1, 4), st.integers(1, 4))
def test_counting_detectors_alarm_where_the_rule_says(
    rows: list[tuple[int, int, int]], least: int, seeing: int
) -> None:
    knowledge = knowing(rows)
    window, days = knowledge.window(14), knowledge.days
    for network, towns in ((1, [0, 1, 2]), (2, [3, 4])):
        own = window[towns]
        for detector, expected in (
            (single_count(knowledge), own.max(axis=0) >= least),
            (joint_count(knowledge, seeing), (own >= least).sum(axis=0) >= seeing),
            (pooled_count(knowledge), own.sum(axis=0) >= least),
        ):
            assert detector.alarm_days(network, least).tolist() == days[expected].tolist(), detector.id


@given(cases, st.sampled_from(["C1", "C2", "C3"]), st.sampled_from([1.0, 2.326, 4.0]))
def test_ears_detectors_are_ears_on_weeks_that_end_this_morning(
    rows: list[tuple[int, int, int]], method: str, z: float
) -> None:
    knowledge = knowing(rows)
    single, pooled = single_ears(knowledge, method), pooled_ears(knowledge, method)  # type: ignore[arg-type]
    for morning in range(190, 202):
        last = morning - knowledge.first_morning + 1
        weeks = last // 7
        own = knowledge.daily[:, last - 7 * weeks : last].reshape(5, weeks, 7).sum(axis=2)
        for network, towns in ((1, [0, 1, 2]), (2, [3, 4])):
            alone = any(exceeds(own[town], method, z) for town in towns)
            assert (morning in single.alarm_days(network, z)) == alone
            assert (morning in pooled.alarm_days(network, z)) == exceeds(own[towns].sum(axis=0), method, z)


def exceeds(weeks: "np.ndarray", method: str, z: float) -> bool:
    """The rule as a judge applies it, with a hair's breadth for the rounding of z into alpha and back."""
    bound = ears_bounds(weeks, method, alpha=1.0 - NormalDist().cdf(z), min_sigma=0.5)[-1]  # type: ignore[arg-type]
    return bool(weeks[-1] > bound + 1e-9)


def test_a_gap_blinds_a_township_and_not_its_neighbours() -> None:
    rows = [(0, 190, 9), (3, 190, 9)]
    clear, blind = knowing(rows), knowing(rows, (Gap(0, 150, 152),))
    assert 191 in single_ears(clear, "C2").alarm_days(1, 3.0)
    assert 191 not in single_ears(blind, "C2").alarm_days(1, 3.0)
    assert 191 in single_ears(blind, "C2").alarm_days(2, 3.0)


def test_more_townships_than_a_county_has_never_see() -> None:
    knowledge = knowing([(3, 100, 9), (4, 100, 9)])
    assert joint_count(knowledge, 2).alarm_days(2, 1).size
    assert not joint_count(knowledge, 3).alarm_days(2, 1).size
    with pytest.raises(ValueError, match="at least one township"):
        joint_count(knowledge, 0)


def test_every_family_says_whether_it_needs_the_data_to_move() -> None:
    detectors = standard_detectors(knowing([(0, 100, 1)]))
    assert [d.id for d in detectors if not d.moves_data] == ["single-count", "single-C1", "single-C2", "single-C3"]
    assert all("needs the data to move" in d.label for d in detectors if d.moves_data)
    assert len({d.id for d in detectors}) == 8


def test_alarms_become_incidents_that_close_when_it_has_been_quiet() -> None:
    days = np.array([5, 6, 34, 63, 64])
    assert episodes(days, 28) == [(5, 6, 34), (63, 64)]
    assert episodes(days, 29) == [(5, 6, 34, 63, 64)]
    assert episodes(np.array([], dtype=np.int64)) == []
