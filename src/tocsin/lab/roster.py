"""From an archive's tree to founded networks: who is a member where, under which charter (replay 0)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from tocsin import charters
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import digest
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders
from tocsin.kernel.words import MAX_MEMBERS, Role
from tocsin.lab.archive import Archive

__all__ = [
    "BUREAU", "CENTRE", "QUIET_DAYS", "KeysOf", "Plan", "RosterError", "Rule", "area_of", "below", "category_of",
    "disease_of", "kind_of", "plans",
]  # fmt: skip

BUREAU = "bureau"
"""A territory's own office: supervisor and relay at home, voter and relay above."""
CENTRE = "centre"
"""The office at the top: supervisor of the nation."""
QUIET_DAYS = 28
"""Incidents of a replay close this long after their last record (replay 0)."""

_ENTITY = 80
"""Characters in an entity, spec 2."""

KeysOf = Callable[[str, str], Keys]
"""(origin, member) -> its public keys."""


class RosterError(ValueError):
    """No networks can be founded on this tree; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers of the study: `cases` make an agency see, `endorsers` beside the author record within
    `window_days`; `calibration` is the digest of the file that they come from."""

    cases: int
    endorsers: int
    window_days: int = 7
    calibration: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A network to be founded. `members`: id -> roles; `children`: networks below that send a bureau, whose member id
    here is their own network's id; `parent`: the network above, None at the top; `office`: id of its supervisor;
    `min_endorsers`: what the parent's entry for it asks of a record."""

    network: int
    origin: str
    charter: Charter
    members: dict[str, list[Role]]
    children: tuple[int, ...]
    parent: int | None
    office: str
    min_endorsers: int
    notes: tuple[str, ...]

    def genesis(self, created: int, keys: KeysOf, log_key: str) -> Genesis:
        """The genesis of this plan; `created` in ms."""
        founders = [
            Founder(name, self._entity(name), sorted(roles), keys(self.origin, name))
            for name, roles in self.members.items()
        ]
        return Genesis(1, self.origin, created, self.charter, log_key, sorted_founders(founders))

    def _entity(self, name: str) -> str:
        entity = f"agency:{self.origin.rpartition('/')[2]}-{name}"
        return entity if len(entity) <= _ENTITY else f"agency:{digest(b'replay-entity', entity.encode())[:32]}"


def plans(
    archive: Archive, charter: str, rule: Rule, *, only: Collection[int] | None = None
) -> tuple[dict[int, Plan], list[str]]:
    """The networks to found, the lowest first, by index in the archive; and what the page must say about them.

    A territory of one agency founds no network, nor does one with a single network below it, which then reports to
    the next territory above. `only` keeps to some of the territories that have agencies. Raises `RosterError`.
    """
    chosen = set(archive.leaves) if only is None else set(only)
    members, seated, said = _seats(archive, chosen)
    result: dict[int, Plan] = {}
    for network in members:
        row = archive.networks[network]
        parent = _above(archive, network, members)
        office = _free_id(CENTRE if parent is None and not archive.members_of(network) else BUREAU, members[network])
        roles: list[Role] = ["supervisor"] if parent is None else ["relay", "supervisor"]
        voters = len(members[network])
        if voters + 1 > MAX_MEMBERS:
            raise RosterError(
                f"{row.name} would have {voters + 1} members and a network has at most {MAX_MEMBERS}; put a level of "
                "territories in between."
            )
        built, notes = charters.for_network(
            charter, voters, 1, k=rule.endorsers, window_s=rule.window_days * 86_400, quiet_s=QUIET_DAYS * 86_400,
            calibration=rule.calibration, parent=bool(seated[network]),
        )  # fmt: skip
        spoken = tuple(f"{row.name}: {note}" for note in notes)
        said += spoken
        result[network] = Plan(
            network, f"tocsin.example/{archive.source}/{row.id}"[:150], built, members[network] | {office: roles},
            seated[network], parent, office, charters.min_endorsers(charter, voters=voters, k=rule.endorsers), spoken,
        )  # fmt: skip
    if not result:
        raise RosterError("No territory has two agencies, so no network can be founded; see the table of agencies.")
    return result, said


def _seats(
    archive: Archive, chosen: Collection[int]
) -> tuple[dict[int, dict[str, list[Role]]], dict[int, tuple[int, ...]], list[str]]:
    """Voters of each network to be founded, the networks that send them, and what must be said."""
    said: list[str] = []
    members: dict[int, dict[str, list[Role]]] = {}
    seated: dict[int, tuple[int, ...]] = {}
    sends: dict[int, tuple[int, ...]] = {}
    depth = {network: len(archive.path(network)) for network in range(len(archive.networks))}
    for network in sorted(depth, key=lambda one: (-depth[one], one)):
        row = archive.networks[network]
        agencies = archive.members_of(network)
        below_it = tuple(one for child in archive.children_of(network) for one in sends[child])
        voters: dict[str, list[Role]] = {}
        if agencies and network in chosen:
            voters = {archive.agencies[one].id: ["reporter", "voter"] for one in agencies}
        elif not agencies:
            voters = {archive.networks[one].id: ["relay", "voter"] for one in below_it}
        sends[network] = below_it
        if len(voters) >= 2:
            members[network], seated[network], sends[network] = voters, below_it, (network,)
        elif agencies and network in chosen:
            said.append(f"{row.name} has one agency and founds no network.")
        elif len(below_it) == 1:
            said.append(f"{row.name} has one network below it, {archive.networks[below_it[0]].name}, and founds none.")
    return members, seated, said


def _above(archive: Archive, network: int, founded: Collection[int]) -> int | None:
    """The next founded network on the way up."""
    return next((one for one in reversed(archive.path(network)[:-1]) if one in founded), None)


def _free_id(wanted: str, taken: Collection[str]) -> str:
    """An office's id; a territory may itself be called Centre."""
    while wanted in taken:
        wanted = f"the-{wanted}"
    return wanted


def below(archive: Archive, network: int) -> tuple[int, ...]:
    """All agencies of a territory, at any depth."""
    return tuple(i for i, agency in enumerate(archive.agencies) if network in archive.path(agency.network))


def disease_of(archive: Archive) -> str:
    """The slug of what an archive is about: a named source is called disease-country."""
    disease, dash, _ = archive.source.rpartition("-")
    return disease if dash else "outbreak"


def kind_of(archive: Archive) -> str:
    """Kind of the reports."""
    return f"report.cluster.{disease_of(archive)}"


def category_of(archive: Archive) -> str:
    """Category of the reports, a code of the study's own scheme."""
    return f"study:{disease_of(archive)}"


def area_of(archive: Archive, network: int) -> str:
    """The area of a territory's reports, a code of the study's own scheme."""
    return f"territory:{archive.networks[network].id}"
