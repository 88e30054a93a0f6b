"""From an archive's tree to founded networks: who is a member where, under which charter (replay 0)."""

from collections.abc import Callable
from dataclasses import dataclass

from tocsin import charters
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders
from tocsin.kernel.words import Role
from tocsin.lab.archive import Archive

BUREAU = "bureau"
"""A territory's own office: supervisor and relay at home, voter and relay above."""
CENTRE = "centre"
"""The office at the top: supervisor of the nation."""
QUIET_DAYS = 28
"""Incidents of a replay close this long after their last record (replay 0)."""
SMALL = 3
"""Below this many voters a network founds itself on the charter for the smallest (charters.md)."""

KeysOf = Callable[[str, str], Keys]
"""(origin, member) -> its public keys."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A network to be founded. `members`: id -> roles; `children`: child networks that send a bureau."""

    network: int
    origin: str
    charter: Charter
    members: dict[str, list[Role]]
    children: tuple[int, ...]
    min_endorsers: int
    notes: tuple[str, ...]

    def genesis(self, created: int, keys: KeysOf, log_key: str) -> Genesis:
        """The genesis of this plan; `created` in ms."""
        founders = [
            Founder(name, f"agency:{self.origin.rpartition('/')[2]}-{name}"[:80], sorted(roles), keys(self.origin, name))
            for name, roles in self.members.items()
        ]
        return Genesis(1, self.origin, created, self.charter, log_key, sorted_founders(founders))


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers of the study: `cases` make an agency see, `endorsers` beside the author record."""

    cases: int
    endorsers: int
    window_days: int = 7
    calibration: str | None = None


def plans(archive: Archive, charter: str, rule: Rule) -> tuple[dict[int, Plan], list[str]]:
    """The networks to found, leaves first, and what the page must say about those that are not."""
    result: dict[int, Plan] = {}
    said: list[str] = []
    prefix = f"tocsin.example/{archive.source}"
    depth = {network: len(archive.path(network)) for network in range(len(archive.networks))}
    for network in sorted(range(len(archive.networks)), key=lambda one: (-depth[one], one)):
        row = archive.networks[network]
        agencies = archive.members_of(network)
        children = tuple(child for child in archive.children_of(network) if child in result)
        members: dict[str, list[Role]] = {archive.agencies[one].id: ["reporter", "voter"] for one in agencies}
        members |= {archive.networks[child].id: ["voter", "relay"] for child in children}
        if len(members) < 2:
            if agencies:
                said.append(f"{row.name} has one agency and founds no network.")
            continue
        top = row.parent is None
        members[CENTRE if top else BUREAU] = ["supervisor"] if top else ["supervisor", "relay"]
        voters = len(members) - 1
        window_s = rule.window_days * 86_400
        built, notes = charters.for_network(
            charter, voters=voters, supervisors=1, k=rule.endorsers, window_s=window_s,
            quiet_s=QUIET_DAYS * 86_400, calibration=rule.calibration, parent=not agencies,
        )  # fmt: skip
        result[network] = Plan(
            network, f"{prefix}/{row.id}"[:150], built, members, children,
            charters.min_endorsers(charter, voters=voters, k=rule.endorsers), tuple(f"{row.name}: {note}" for note in notes),
        )  # fmt: skip
        said += [f"{row.name}: {note}" for note in notes]
    return result, said
