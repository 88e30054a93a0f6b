"""The table agency -> network -> parent, read into the tree of an archive.

One row for each agency: its `agency` key, the `network` it reports in, that network's `parent` (empty at the top) and
optionally a `name` to show. A row with an empty `agency` only says where a network belongs, for trees of three or four
levels. Without a `parent` column, or with several tops, the networks stand under one called `top`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tocsin.lab.archive import MAX_LEVELS, Agency, Network
from tocsin.lab.slugs import unique_slugs
from tocsin.lab.sources.errors import SourceError
from tocsin.lab.sources.tables import Row, Table, read_table

__all__ = ["Territories", "read_territories"]


@dataclass(frozen=True, slots=True)
class Territories:
    """The tree and who reports where. `agency_index` is by the source's key, `network_index` by name."""

    table: Table
    networks: tuple[Network, ...]
    agencies: tuple[Agency, ...]
    agency_index: Mapping[str, int]
    network_index: Mapping[str, int]


def read_territories(path: Path, *, columns: Mapping[str, str] | None = None, top: str = "All") -> Territories:
    """Read the table at `path`; networks and agencies stand in order of name. Raises `SourceError`."""
    table = read_table(path, ("agency", "network"), ("parent", "name"), columns)
    homes: dict[str, tuple[str, str]] = {}
    parents: dict[str, tuple[str, int]] = {}
    for row in table.rows:
        if not row["network"]:
            raise SourceError(f"agency {row['agency']!r} has no network", path=path, line=row.line)
        _place_network(parents, row, path)
        if row["agency"]:
            _place_agency(homes, row, path)
    if not homes:
        raise SourceError("no agency in the table", path=path)
    networks = _tree(parents, top, path)
    index = {network.name: i for i, network in enumerate(networks)}
    above = {network.parent for network in networks}
    for key, (name, _) in sorted(homes.items()):
        if index[name] in above:
            both = f"network {name!r} has both agencies ({key!r}) and networks below it; split it"
            raise SourceError(both, path=path)
    keys = sorted(homes, key=lambda key: (index[homes[key][0]], homes[key][1], key))
    groups = [homes[key][0] for key in keys]
    try:
        ids = unique_slugs([homes[key][1] for key in keys], groups)
    except ValueError as bad:
        raise SourceError(f"{bad}: agencies of one network need different names", path=path) from None
    agencies = tuple(
        Agency(ident, homes[key][1], key if key != homes[key][1] else "", index[homes[key][0]])
        for ident, key in zip(ids, keys, strict=True)
    )
    return Territories(table, networks, agencies, {key: i for i, key in enumerate(keys)}, index)


def _place_agency(homes: dict[str, tuple[str, str]], row: Row, path: Path) -> None:
    key = row["agency"]
    home = (row["network"], row.cells.get("name") or key)
    if key in homes:
        where = "again" if homes[key] == home else f"in {home[0]!r}, but before in {homes[key][0]!r}"
        raise SourceError(f"agency {key!r} stands {where}", path=path, line=row.line)
    homes[key] = home


def _place_network(parents: dict[str, tuple[str, int]], row: Row, path: Path) -> None:
    name, parent = row["network"], row.cells.get("parent", "")
    if name in parents and parents[name][0] != parent:
        before, line = parents[name]
        raise SourceError(
            f"network {name!r} has the parent {parent!r}, but {before!r} on line {line}", path=path, line=row.line
        )
    parents.setdefault(name, (parent, row.line))


def _tree(parents: dict[str, tuple[str, int]], top: str, path: Path) -> tuple[Network, ...]:
    above = {name: parent for name, (parent, _) in parents.items()}
    for _, (parent, _) in sorted(parents.items()):
        if parent:
            above.setdefault(parent, "")
    tops = sorted(name for name, parent in above.items() if not parent)
    alone = len(tops) == 1 and len(above) == 1
    if len(tops) > 1 or alone:
        if top in above:
            raise SourceError(f"the networks {', '.join(tops)} have no parent; give them one", path=path)
        above.update(dict.fromkeys(tops, top))
        above[top] = ""
    depth = {name: _depth(name, above, parents, path) for name in above}
    names = sorted(above, key=lambda name: (depth[name], name))
    if depth[names[-1]] > MAX_LEVELS:
        raise SourceError(f"network {names[-1]!r} is deeper than {MAX_LEVELS} levels", path=path)
    index = {name: i for i, name in enumerate(names)}
    ids = unique_slugs(names, ["network"] * len(names))
    return tuple(
        Network(ident, name, index[above[name]] if above[name] else None)
        for ident, name in zip(ids, names, strict=True)
    )


def _depth(name: str, above: Mapping[str, str], parents: Mapping[str, tuple[str, int]], path: Path) -> int:
    walked = [name]
    while parent := above[walked[-1]]:
        if parent in walked:
            raise SourceError(f"network {name!r} lies below itself", path=path, line=parents[name][1])
        walked.append(parent)
    return len(walked)
