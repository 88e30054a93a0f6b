"""Small nations with townships enough for a vote, and ways to drive them through the real kernel."""

from collections.abc import Sequence

import numpy as np

from tests.lab.small import case
from tocsin.lab.archive import Agency, Archive, Entries, Gap, Network, Place
from tocsin.lab.chain import bare
from tocsin.lab.drive import DAY_MS, Drive, Report, day_at, morning
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule, plans
from tocsin.lab.supervisors import Supervisor
from tocsin.lab.unsigned import unsigned_tree
from tocsin.lab.voters import Voters

Tree = Sequence[tuple[str, int | None, int]]
"""Name, index of the parent, number of agencies."""

COUNTY: Tree = (("Land", None, 0), ("Alpha", 0, 5), ("Beta", 0, 4))
"""Townships 0 to 4 in Alpha, 5 to 8 in Beta."""


def world(
    rows: Sequence[tuple[int, ...]],
    tree: Tree = COUNTY,
    *,
    last: int = 200,
    step: int = 1,
    kind: str = "line-list",
    gaps: tuple[Gap, ...] = (),
    source: str = "fever-land",
) -> Archive:
    """An archive over a tree; agencies are numbered through."""
    networks = tuple(Network(f"n{i}" if not name.isascii() else name.lower(), name, parent)
                     for i, (name, parent, _) in enumerate(tree))  # fmt: skip
    agencies = tuple(
        Agency(f"t{home}-{i}", f"Town {home}.{i}", "", home)
        for home, (_, _, many) in enumerate(tree)
        for i in range(many)
    )
    columns = [np.array(column, dtype=np.int32) for column in zip(*(rows or [case(0, 0)]), strict=True)]
    columns[6] = columns[6].astype(np.int8)
    return Archive(
        source=source, title="Fever in the Land", citation="", caveat="Made up.", kind=kind,  # type: ignore[arg-type]
        step=step, first_day=0, last_day=last, networks=networks, agencies=agencies,
        places=tuple(Place(agency.name, agency.network) for agency in agencies), entries=Entries(*columns), gaps=gaps,
        digest="0" * 64,
    )  # fmt: skip


def driven(
    archive: Archive,
    *,
    cases: int = 2,
    endorsers: int = 2,
    window_days: int = 7,
    charter: str = "pilot",
    tree: bool = False,
    voters: Voters | None = None,
    supervisor: Supervisor | None = None,
    first: int | None = None,
    last: int | None = None,
    window: int = 14,
) -> Drive:
    """Drive an archive from its first morning to its last."""
    knowledge = Knowledge(archive)
    built, _ = plans(archive, charter, Rule(cases, endorsers, window_days))
    begin = knowledge.first_morning if first is None else first
    found = unsigned_tree if tree else bare
    drive = Drive(
        knowledge, built, found(archive, built, morning(begin) - DAY_MS // 24), cases=cases, window=window,
        voters=voters, supervisor=supervisor,
    )  # fmt: skip
    drive.run(begin, knowledge.last_morning if last is None else last)
    return drive


def told(reports: Sequence[Report]) -> list[tuple[int, int, str, int | None]]:
    """Agency, day of the report, what became of it and on which day."""
    return [
        (one.agency, day_at(one.opened), one.state, None if one.final is None else day_at(one.final))
        for one in reports
    ]


def cluster(towns: Sequence[int], day: int, each: int = 2, *, every: int = 1) -> list[tuple[int, ...]]:
    """Some cases in each of these townships, from a day on."""
    return [case(town, day + every * i) for town in towns for i in range(each)]
