"""Small archives, written case by case."""

from collections.abc import Sequence

import numpy as np

from tocsin.lab.archive import LOCAL, NO_DAY, NOBODY, Agency, Archive, Entries, Gap, Network, Place

ROSTER = (("north", 0), ("south", 0), ("east", 0), ("hill", 1), ("lake", 1))
"""Five townships in the counties alpha (three) and beta (two)."""

NETWORKS = (Network("land", "Land", None), Network("alpha", "Alpha", 0), Network("beta", "Beta", 0))


def case(
    town: int,
    onset: int,
    *,
    notified: int | None = None,
    confirmed: int | None = None,
    county: int = NOBODY,
    place: int = NOBODY,
    imported: int = LOCAL,
    count: int = 1,
) -> tuple[int, ...]:
    """One row: residence, then what differs from "fell ill, was notified and confirmed that day, place unknown"."""
    told = onset if notified is None else notified
    return town, county, place, onset, told, told if confirmed is None else confirmed, imported, count


def archive(
    rows: Sequence[tuple[int, ...]],
    *,
    first: int = 0,
    last: int = 1000,
    step: int = 1,
    kind: str = "line-list",
    gaps: tuple[Gap, ...] = (),
    source: str = "small",
) -> Archive:
    """The rows as an archive of five townships in two counties."""
    columns = [np.array(column, dtype=np.int32) for column in zip(*rows, strict=True)]
    columns[6] = columns[6].astype(np.int8)
    agencies = tuple(Agency(name, name, "", 1 + county) for name, county in ROSTER)
    return Archive(
        source=source,
        title="Small",
        citation="",
        caveat="made up",
        kind=kind,  # type: ignore[arg-type]
        step=step,
        first_day=first,
        last_day=last,
        networks=NETWORKS,
        agencies=agencies,
        places=tuple(Place(agency.name, agency.network) for agency in agencies),
        entries=Entries(*columns),
        gaps=gaps,
    )


UNCONFIRMED = NO_DAY
