"""The drawings: labels that can be read, and bars that say what the archive has."""

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.small import case
from tests.lab.test_replay import replayed
from tests.lab.worlds import COUNTY, world
from tocsin.lab import figures
from tocsin.lab.calibrate import default_for
from tocsin.lab.svg import CHARACTER, Label, place_labels

WIDTH = 956.0


@given(st.lists(st.tuples(st.floats(46, 946), st.integers(4, 30)), max_size=12))
def test_no_label_covers_another_and_no_vertical_crosses_one_to_its_left(found: list[tuple[float, int]]) -> None:
    placed = place_labels([Label(x, "x" * long, "signal") for x, long in found], WIDTH)
    assert len(placed) == len(found)
    for (one, row, side), (other, below, other_side) in combinations(placed, 2):
        long, other_long = (len(label.text) * CHARACTER + 8 for label in (one, other))
        left, right = (one.x, one.x + long) if side == "start" else (one.x - long, one.x)
        other_left = other.x if other_side == "start" else other.x - other_long
        if row == below:
            assert right < other_left
        if left < other.x <= right:
            assert below > row
    assert all(label.x + len(label.text) * CHARACTER <= WIDTH for label, _, side in placed if side == "start")


@pytest.mark.parametrize("step", [1, 7])
def test_weekly_counts_are_drawn_as_weeks_and_without_days_of_onset(step: int) -> None:
    weeks = [case(town, 7 * week, notified=7 * week + step - 1, count=3) for week in range(60, 66) for town in range(4)]
    archive = world(weeks, COUNTY, last=7 * 100 - 1, step=step, kind="counts")
    made = replayed(archive, default_for(archive, 1, "Too short."), first=365, last=699)
    wave = made.biggest(365, 699)
    assert wave is not None
    drawn = figures.outbreak(made, wave)
    assert "polyline" not in drawn
    assert ("week to 1971-03-03: 12" in drawn) == (step == 7)
    wide = [float(one) for one in re.findall(r'width="([\d.]+)" height="[\d.]+" class="case"', drawn)]
    assert len(wide) == 6 + 4  # the whole wave, and its beginning
    assert (min(wide) > 5 * 5) == (step == 7)
    assert [one.label for one in made.references(wave)] == ["day 0 (first case)", "first known case"]
