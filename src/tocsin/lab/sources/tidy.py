"""Any outbreak archive as a tidy CSV: one row for an agency, a date and a count, and a table of who reports where.

Counts: `agency,date,count[,origin]`. `date` is the day, or the first day of the week (`2004-08-23`, or `2004-W35`),
of notification. A row that is not there is a zero; an empty count, `NA` or `NaN` is a gap: nobody knows. `origin` is
where people were infected: an agency, a network, `imported` (from outside the whole area), or empty (not known).
Within one agency and origin dates must not go back. Rows that repeat an agency, a date and an origin are added up, and
the archive's notes say so.

A count is known at the end of its period: the archive gives no delay of reporting, so lead times come out optimistic.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tocsin.lab.archive import IMPORTED, LOCAL, NO_DAY, NOBODY, ORIGIN_UNKNOWN, Archive, Entries, Gap, Place
from tocsin.lab.days import WEEK, day_of, iso, monday_of_iso_week, weekday
from tocsin.lab.sources.errors import SourceError
from tocsin.lab.sources.tables import Row, Table, read_table
from tocsin.lab.sources.territories import Territories, read_territories

__all__ = ["Unit", "load"]

Unit = Literal["auto", "daily", "weekly"]

MAX_COUNT = 1_000_000
"""Cases in one cell; a larger number is taken for a mistake."""

MAX_YEARS = 200
_GAPS = ("", "NA", "NaN", "nan")
_IMPORTED = "imported"
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ISO_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_CAVEAT = (
    "Counts by day of notification as the archive gives them today, corrections included and without any delay of "
    "reporting. Lead times come out optimistic."
)


@dataclass(slots=True)
class _Columns:
    """The rows of an archive while they are read."""

    agency: list[int] = field(default_factory=list)
    origin: list[tuple[int, int, int]] = field(default_factory=list)
    day: list[int] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    repeated: int = 0


def load(
    path: Path,
    territories: Path,
    *,
    unit: str = "auto",
    columns: Mapping[str, str] | None = None,
    territory_columns: Mapping[str, str] | None = None,
    top: str = "All",
    title: str | None = None,
    citation: str = "",
    caveat: str = _CAVEAT,
    source: str = "tidy",
) -> Archive:
    """The counts at `path` with the tree at `territories`, as an `Archive`.

    `unit` is `daily`, `weekly`, or `auto`: weekly if there are at least three dates and all fall on one weekday.
    `columns` and `territory_columns` map the names above to those in the files, where they differ. `top` names the
    network above those that have no parent. Raises `SourceError` with file and line for anything wrong.
    """
    if unit not in get_args(Unit):
        raise SourceError(f"{unit!r} is not a unit of time known here; it is one of {', '.join(get_args(Unit))}")
    tree = read_territories(territories, columns=territory_columns, top=top)
    table = read_table(path, ("agency", "date", "count"), ("origin",), columns)
    days = _days(table)
    step = _step(table, days, unit)
    read = _read(table, days, tree)
    if not read.count:
        raise SourceError("no count above zero in the whole file", path=path)
    onset = np.array(read.day, dtype=np.int32)
    notes = [f"{sum(read.count):,} cases in {len(read.count):,} {'weekly' if step == WEEK else 'daily'} counts"]
    if read.repeated:
        notes.append(f"{read.repeated} rows repeat an agency, a date and an origin; they were added up")
    if read.gaps:
        notes.append(f"{len(read.gaps)} counts are missing (not zero)")
    agencies = tree.agencies
    return Archive(
        source=source,
        title=title or path.stem,
        citation=citation,
        caveat=caveat,
        kind="counts",
        step=step,
        first_day=min(days),
        last_day=max(days) + step - 1,
        networks=tree.networks,
        agencies=agencies,
        places=tuple(Place(agency.name, agency.network) for agency in agencies),
        entries=Entries(
            agency=np.array(read.agency, dtype=np.int32),
            origin_network=np.array([network for network, _, _ in read.origin], dtype=np.int32),
            origin_place=np.array([place for _, place, _ in read.origin], dtype=np.int32),
            onset=onset,
            notified=onset + np.int32(step - 1),
            confirmed=np.full(onset.shape, NO_DAY, dtype=np.int32),
            imported=np.array([flag for _, _, flag in read.origin], dtype=np.int8),
            count=np.array(read.count, dtype=np.int32),
        ),
        gaps=tuple(Gap(agency, day, day + step - 1) for agency, day in sorted(set(read.gaps))),
        notes=tuple(notes),
        digest=hashlib.sha256(
            b"".join(hashlib.sha256(raw).digest() for raw in (table.raw, tree.table.raw))
        ).hexdigest(),
    )


def _read(table: Table, days: Sequence[int], tree: Territories) -> _Columns:
    read = _Columns()
    origins = _origins(tree)
    latest: dict[tuple[int, str], int] = {}
    for row, day in zip(table.rows, days, strict=True):
        agency = tree.agency_index.get(row["agency"])
        if agency is None:
            raise SourceError(
                f"agency {row['agency']!r} is not in {tree.table.path.name}", path=table.path, line=row.line
            )
        origin = row.cells.get("origin", "")
        if origin not in origins:
            raise SourceError(f"origin {origin!r} is no agency, no network and not {_IMPORTED!r}", path=table.path,
                              line=row.line)  # fmt: skip
        before = latest.get((agency, origin))
        if before is not None and day < before:
            raise SourceError(
                f"{iso(day)} comes after {iso(before)} for agency {row['agency']!r}; sort the rows by date",
                path=table.path,
                line=row.line,
            )
        read.repeated += day == before
        latest[agency, origin] = day
        count = _count(row, table.path)
        if count is None:
            read.gaps.append((agency, day))
        elif count:
            read.agency.append(agency)
            read.origin.append(origins[origin])
            read.day.append(day)
            read.count.append(count)
    return read


def _origins(tree: Territories) -> dict[str, tuple[int, int, int]]:
    """What a cell of the column origin means: network, place and flag."""
    meaning = {name: (index, NOBODY, LOCAL) for name, index in tree.network_index.items()}
    for key, index in tree.agency_index.items():
        meaning[key] = (tree.agencies[index].network, index, LOCAL)
    meaning[_IMPORTED] = (NOBODY, NOBODY, IMPORTED)
    meaning[""] = (NOBODY, NOBODY, ORIGIN_UNKNOWN)
    return meaning


def _days(table: Table) -> list[int]:
    known: dict[str, int] = {}
    for row in table.rows:
        cell = row["date"]
        if cell not in known:
            week = _ISO_WEEK.fullmatch(cell)
            try:
                known[cell] = monday_of_iso_week(int(week[1]), int(week[2])) if week else day_of(cell)
            except ValueError:
                raise SourceError(f"{cell!r} is not a date like 2015-07-01 or a week like 2015-W27",
                                  path=table.path, line=row.line) from None  # fmt: skip
    days = [known[row["date"]] for row in table.rows]
    if max(days) - min(days) > MAX_YEARS * 366:
        line = table.rows[days.index(min(days))].line
        raise SourceError(f"the dates span more than {MAX_YEARS} years, from {iso(min(days))} to {iso(max(days))}",
                          path=table.path, line=line)  # fmt: skip
    return days


def _step(table: Table, days: Sequence[int], unit: str) -> int:
    first = weekday(days[0])
    odd = next((i for i, day in enumerate(days) if weekday(day) != first), None)
    if unit == "weekly" and odd is not None:
        raise SourceError(
            f"{iso(days[odd])} is a {_WEEKDAYS[weekday(days[odd])]}, but the weeks of this file begin on a "
            f"{_WEEKDAYS[first]}",
            path=table.path,
            line=table.rows[odd].line,
        )
    if unit == "auto":
        return WEEK if odd is None and len(set(days)) >= 3 else 1
    return WEEK if unit == "weekly" else 1


def _count(row: Row, path: Path) -> int | None:
    """A whole number of cases, or None for a gap."""
    cell = row["count"]
    if cell in _GAPS:
        return None
    digits = cell.removesuffix(".0")
    if digits.isascii() and digits.isdigit():
        count = int(digits) if len(digits) <= 12 else MAX_COUNT + 1
        if count > MAX_COUNT:
            raise SourceError(f"a count of {cell[:20]} is more than {MAX_COUNT:,}", path=path, line=row.line)
        return count
    try:
        number = float(cell)
    except ValueError:
        raise SourceError(f"{cell[:40]!r} is not a number of cases", path=path, line=row.line) from None
    what = "negative" if number < 0 else "not a whole number"
    raise SourceError(f"a count of {cell[:40]} is {what}", path=path, line=row.line)
