"""Days as integers: days since 1970-01-01, in the local calendar of the archive. No clock, no time zone."""

from datetime import date, timedelta

__all__ = [
    "WEEK",
    "Season",
    "day_of",
    "iso",
    "monday_of_iso_week",
    "season_name",
    "season_of",
    "season_span",
    "weekday",
]

WEEK = 7
_EPOCH = date(1970, 1, 1)

Season = int
"""The year in which a season begins."""


def day_of(text: str) -> int:
    """The day of an ISO date such as `2015-07-01`; raises `ValueError` for anything else."""
    if len(text) != 10:
        raise ValueError(f"{text!r} is not a date of the form YYYY-MM-DD")
    return (date.fromisoformat(text) - _EPOCH).days


def iso(day: int) -> str:
    """`2015-07-01` for the day it stands for."""
    return (_EPOCH + timedelta(days=int(day))).isoformat()


def monday_of_iso_week(year: int, week: int) -> int:
    """The day on which an ISO week begins; raises `ValueError` for a week that year does not have."""
    return (date.fromisocalendar(year, week, 1) - _EPOCH).days


def weekday(day: int) -> int:
    """0 for Monday to 6 for Sunday."""
    return (day + 3) % WEEK


def season_of(day: int, first_month: int = 4) -> Season:
    """The season of a day: seasons run from the first of `first_month` (April) to the eve of the next."""
    when = _EPOCH + timedelta(days=int(day))
    return when.year if when.month >= first_month else when.year - 1


def season_span(season: Season, first_month: int = 4) -> tuple[int, int]:
    """First and last day of a season, both included."""
    first = (date(season, first_month, 1) - _EPOCH).days
    last = (date(season + 1, first_month, 1) - _EPOCH).days - 1
    return first, last


def season_name(season: Season, first_month: int = 4) -> str:
    """`2015/16`, or `2015` where seasons are calendar years."""
    return str(season) if first_month == 1 else f"{season}/{(season + 1) % 100:02d}"
