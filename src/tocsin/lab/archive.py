"""One neutral form for any outbreak archive: a line list of cases or a table of counts, in compact arrays.

Every source is parsed into an `Archive` and every later step reads nothing else. Days are integers since 1970-01-01
in the archive's own calendar; what is not known is `NO_DAY` or `NOBODY`, never a guess.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tocsin.lab.days import iso

__all__ = [
    "IMPORTED",
    "LOCAL",
    "MAX_LEVELS",
    "NOBODY",
    "NO_DAY",
    "ORIGIN_UNKNOWN",
    "Agency",
    "Archive",
    "ArchiveError",
    "Entries",
    "Gap",
    "Kind",
    "Network",
    "Place",
]

Days = NDArray[np.int32]
Kind = Literal["line-list", "counts"]

NO_DAY = -(2**31)
"""A day that the archive does not give."""
NOBODY = -1
"""An agency, network or place that the archive does not give."""
LOCAL, IMPORTED, ORIGIN_UNKNOWN = 0, 1, -1
"""Values of `Entries.imported`."""
MAX_LEVELS = 4


class ArchiveError(ValueError):
    """The parts of an archive contradict one another; the message says which."""


@dataclass(frozen=True, slots=True)
class Network:
    """A territory. `parent` is the index of the network above, None at the top. `name` may be in any script."""

    id: str
    name: str
    parent: int | None


@dataclass(frozen=True, slots=True)
class Agency:
    """A reporting member at the bottom of the tree: a township, a district. `network` is an index.

    `id` is a slug, unique in the archive; `code` the source's own key, empty where it has none.
    """

    id: str
    name: str
    code: str
    network: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody was infected. The first places are the agencies, in order; others never had a resident case."""

    name: str
    network: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Days, both included, for which an agency has no data: not zero cases, but no knowledge."""

    agency: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The cases, one row for each case of a line list or each count of a table; all arrays have one length.

    agency           index of the agency of residence, or NOBODY
    origin_network   index of the network in which they were infected, or NOBODY
    origin_place     index of the place in which they were infected, or NOBODY
    onset            first symptoms; for counts the first day of the period
    notified         notification; for counts the last day of the period
    confirmed        laboratory confirmation, or NO_DAY
    imported         LOCAL, IMPORTED or ORIGIN_UNKNOWN
    count            number of cases, at least 1
    """

    agency: NDArray[np.int32]
    origin_network: NDArray[np.int32]
    origin_place: NDArray[np.int32]
    onset: Days
    notified: Days
    confirmed: Days
    imported: NDArray[np.int8]
    count: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.agency.size)

    @property
    def cases(self) -> int:
        """Cases in all rows together."""
        return int(self.count.sum(dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """An outbreak archive. `step` is 1 (daily) or 7 (weekly) days; `first_day` and `last_day` are both covered.

    `caveat` says in a sentence what the numbers really are (confirmed, consolidated, ...); `citation` how to cite
    them; `notes` what the parser found and did; `digest` is the SHA-256 of the bytes read, in hex.
    Raises `ArchiveError` when the parts contradict one another.
    """

    source: str
    title: str
    citation: str
    caveat: str
    kind: Kind
    step: int
    first_day: int
    last_day: int
    networks: tuple[Network, ...]
    agencies: tuple[Agency, ...]
    places: tuple[Place, ...]
    entries: Entries = field(repr=False)
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ArchiveError(f"an archive is a line list or counts, not {self.kind!r}")
        if self.step not in (1, 7):
            raise ArchiveError(f"counts are daily or weekly (a step of 1 or 7 days), not every {self.step} days")
        if self.last_day < self.first_day:
            raise ArchiveError(f"the archive ends on {iso(self.last_day)}, before it begins on {iso(self.first_day)}")
        self._check_tree()
        self._check_entries()
        if [place.name for place in self.places[: len(self.agencies)]] != [a.name for a in self.agencies]:
            raise ArchiveError("the places do not begin with the agencies")

    def _check_tree(self) -> None:
        for what, ids in (("network", [n.id for n in self.networks]), ("agency", [a.id for a in self.agencies])):
            if len(set(ids)) != len(ids):
                raise ArchiveError(f"two of them have one {what} id")
        roots = [n for n in self.networks if n.parent is None]
        if len(roots) != 1:
            raise ArchiveError(f"a tree has one top, this one has {len(roots)}: {', '.join(n.name for n in roots)}")
        for index in range(len(self.networks)):
            self.path(index)
        above = {n.parent for n in self.networks}
        for agency in self.agencies:
            if agency.network in above:
                name = self.networks[agency.network].name
                raise ArchiveError(f"{name!r} has both agencies and networks below it ({agency.name!r}); split it")

    def _check_entries(self) -> None:
        e = self.entries
        columns = (e.agency, e.origin_network, e.origin_place, e.onset, e.notified, e.confirmed, e.imported, e.count)
        if len({column.shape for column in columns}) != 1 or e.agency.ndim != 1:
            raise ArchiveError("the columns differ in length")
        if not len(e):
            raise ArchiveError("the archive has no case")
        for index, size, what in (
            (e.agency, len(self.agencies), "agency"),
            (e.origin_network, len(self.networks), "network"),
            (e.origin_place, len(self.places), "place"),
        ):
            if int(index.min()) < NOBODY or int(index.max()) >= size:
                raise ArchiveError(f"a case names the {what} number {int(index.max())} of {size}")
        if int(e.count.min()) < 1:
            raise ArchiveError("a row counts fewer than one case")
        if (e.onset == NO_DAY).any() or (e.notified == NO_DAY).any():
            raise ArchiveError("a case has no onset or no notification day")
        for column in columns:
            column.setflags(write=False)

    def path(self, network: int) -> tuple[int, ...]:
        """The networks from the top down to `network`, as indices; raises `ArchiveError` on a circle or too deep."""
        upward = [network]
        while (parent := self.networks[upward[-1]].parent) is not None:
            if parent in upward:
                raise ArchiveError(f"{self.networks[network].name!r} lies below itself")
            upward.append(parent)
            if len(upward) > MAX_LEVELS:
                raise ArchiveError(f"{self.networks[network].name!r} is deeper than {MAX_LEVELS} levels")
        return tuple(reversed(upward))

    @property
    def root(self) -> int:
        """Index of the network at the top."""
        return next(i for i, n in enumerate(self.networks) if n.parent is None)

    @property
    def leaves(self) -> tuple[int, ...]:
        """Indices of the networks that have agencies, in order."""
        return tuple(sorted({agency.network for agency in self.agencies}))

    @property
    def agency_network(self) -> NDArray[np.int32]:
        """The network of each agency, as an array."""
        return np.array([agency.network for agency in self.agencies], dtype=np.int32)

    def members_of(self, network: int) -> tuple[int, ...]:
        """Indices of the agencies directly in `network`, in order."""
        return tuple(i for i, agency in enumerate(self.agencies) if agency.network == network)

    def children_of(self, network: int) -> tuple[int, ...]:
        """Indices of the networks directly below `network`, in order."""
        return tuple(i for i, n in enumerate(self.networks) if n.parent == network)

    def network_named(self, id_or_name: str) -> int:
        """The index of a network by id or name; raises `KeyError` with the names there are."""
        for index, network in enumerate(self.networks):
            if id_or_name in (network.id, network.name):
                return index
        raise KeyError(f"no network {id_or_name!r}; there are: {', '.join(n.id for n in self.networks)}")
