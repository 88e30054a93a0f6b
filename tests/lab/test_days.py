"""Days as integers."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.lab.days import day_of, iso, monday_of_iso_week, season_name, season_of, season_span, weekday


@given(st.dates(date(1000, 1, 1), date(2999, 1, 1)))
def test_days_and_dates_are_the_same_thing(when: date) -> None:
    day = day_of(when.isoformat())
    assert date(1970, 1, 1) + timedelta(days=day) == when
    assert iso(day) == when.isoformat()
    assert weekday(day) == when.weekday()
    first, last = season_span(season_of(day))
    assert first <= day <= last
    assert iso(first).endswith("-04-01")
    assert iso(last).endswith("-03-31")


@pytest.mark.parametrize("text", ["2015-7-1", "2015-02-30", "20150701", "1.7.2015", ""])
def test_refuses_what_is_no_iso_date(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        day_of(text)


def test_iso_weeks_begin_on_monday() -> None:
    assert iso(monday_of_iso_week(2004, 53)) == "2004-12-27"
    with pytest.raises(ValueError, match="week"):
        monday_of_iso_week(2005, 53)


def test_seasons_are_named_by_their_years() -> None:
    assert season_name(season_of(day_of("2015-03-31"))) == "2014/15"
    assert season_name(season_of(day_of("1999-04-01"))) == "1999/00"
    assert season_name(season_of(day_of("1999-04-01"), 1), 1) == "1999"
