"""An agency's data are its own: nothing else can be reached through them."""

import gc

import numpy as np
import pytest

from tocsin.judges.data import AgencyData


def reachable(start: object) -> list[object]:
    """Everything that can be reached from an object without going through classes and modules."""
    found, queue, seen = [], [start], set()
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type) or type(thing).__name__ in ("module", "function"):
            continue
        seen.add(id(thing))
        found.append(thing)
        queue.extend(gc.get_referents(thing))
        if isinstance(thing, np.ndarray) and thing.base is not None:
            queue.append(thing.base)
    return found


def test_a_row_of_a_matrix_leads_to_no_other_row() -> None:
    everybody = np.arange(60, dtype=np.int32).reshape(3, 20)
    data = AgencyData("b", 100, everybody[1, :15], data_through=114)
    arrays = [thing for thing in reachable(data) if isinstance(thing, np.ndarray)]
    assert arrays
    for array in arrays:
        assert not np.shares_memory(array, everybody)
        assert array.size <= 15
    everybody[1, 0] = 99
    assert data.counts[0] == 20


def test_later_days_are_not_there() -> None:
    data = AgencyData("a", 100, np.arange(10), data_through=109)
    assert data.through == 109
    assert data.counts.size == 10


def test_the_arrays_cannot_be_written() -> None:
    data = AgencyData("a", 0, np.ones(7, dtype=np.int32), data_through=6, missing=np.array([3]))
    for array in (data.counts, data.missing):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_windows_end_on_the_last_day() -> None:
    data = AgencyData("a", 0, np.array([9, 0, 0, 0, 0, 0, 0, 0, 2, 1]), data_through=9)
    assert data.in_window(7) == 3
    assert data.in_window(14) == 12


@pytest.mark.parametrize("days", [0, -7, 10])
def test_refuses_a_window_that_is_no_whole_number_of_weeks(days: int) -> None:
    with pytest.raises(ValueError, match="multiple of 7"):
        AgencyData("a", 0, np.ones(30, dtype=np.int32), data_through=29).in_window(days)


def test_weeks_are_counted_back_from_the_last_day_and_know_their_gaps() -> None:
    data = AgencyData("a", 50, np.arange(17), data_through=66, missing=np.array([10, 53, 60]))
    cases, blind = data.weekly()
    assert cases.tolist() == [sum(range(3, 10)), sum(range(10, 17))]
    assert blind.tolist() == [True, True]
    assert AgencyData("a", 50, np.arange(17), data_through=66, missing=np.array([52])).weekly()[1].tolist() == [
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("through", "step", "stale"),
    [(29, 1, False), (26, 1, False), (25, 1, True), (None, 1, True), (20, 7, False), (19, 7, True)],
)
def test_data_older_than_three_days_beyond_their_period_are_stale(
    through: int | None, step: int, stale: bool
) -> None:
    assert AgencyData("a", 0, np.zeros(30, dtype=np.int32), data_through=through, step=step).stale is stale


@pytest.mark.parametrize(
    ("counts", "through", "step", "word"),
    [
        (np.zeros((2, 3), dtype=np.int32), 0, 1, "axis"),
        (np.array([1, -1]), 1, 1, "negative"),
        (np.array([1.5]), 0, 1, "whole"),
        (np.array([1, 1]), 5, 1, "past the day"),
        (np.array([1, 1]), 1, 30, "1 or 7"),
    ],
)
def test_refuses_what_does_not_fit(counts: "np.ndarray", through: int, step: int, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        AgencyData("a", 0, counts, data_through=through, step=step)
