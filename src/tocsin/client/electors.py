"""Who may judge and veto, recomputed from a roster leaf (spec 6.3, 6.5); a second reading, apart from the kernel."""

from collections.abc import Sequence
from typing import NamedTuple

from tocsin.kernel.acts import (
    AdmitMotion,
    ExpelMotion,
    LeadMotion,
    ReinstateMotion,
    RekeyMotion,
    Review,
    RolesMotion,
    SuspendMotion,
)
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.leaves import Final, PeerLeaf, RosterLeaf
from tocsin.kernel.words import CONSTITUTIONAL


class Electors(NamedTuple):
    """Active members who may judge, sorted; how many suspended count in the size; and for what reason, if any, some
    of the former may be left out that a dossier cannot prove."""

    members: list[str]
    suspended: int
    unless: str


def author_member(record: Final, peer: PeerLeaf | None) -> str | None:
    """The member that stands for a record's author: itself, or the peer's representative (spec 6.5)."""
    if record.source is None:
        return record.author
    return None if peer is None or peer.entry is None else peer.entry.represented_by


def expected_electors(record: Final, rule: Rule, charter: Charter, roster: RosterLeaf, member: str | None) -> Electors:
    """The electorate of a record. `member`: who stands for its author; `roster`: that of the opening block."""
    if rule.threshold is None:
        return Electors([], 0, "")
    out = [_subject(record)]
    if not record.kind.startswith("motion."):
        out.append(member)
    members: list[str] = []
    suspended = 0
    for one in roster.members:
        if one.id in out or not ("member" in rule.electorate or _holds(one.roles, rule.electorate)):
            continue
        if rule.veto is not None and _holds(one.roles, rule.veto.by):
            continue
        if one.status == "active":
            members.append(one.id)
        elif one.status == "suspended" and record.kind in CONSTITUTIONAL:
            suspended += 1
    unless = ""
    if isinstance(record.terms, Review):
        unless = "parties of the record under review, or dormant"
    elif charter.dormant is not None and rule.threshold.num > 0:
        unless = "dormant"
    return Electors(members, suspended, unless)


def expected_vetoers(record: Final, rule: Rule, roster: RosterLeaf, member: str | None) -> list[str]:
    """Who may veto, but for the lead of the incident it joins, whom a dossier does not show."""
    if rule.veto is None:
        return []
    out = [_subject(record), member]
    return [
        one.id
        for one in roster.members
        if one.status == "active" and _holds(one.roles, rule.veto.by) and one.id not in out
    ]


def _subject(record: Final) -> str | None:
    """The member whom a motion is about (spec 6.5); the lead to be vacated is the motion's base."""
    terms = record.terms
    if isinstance(terms, AdmitMotion | SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion | RekeyMotion):
        return terms.member
    return terms.base if isinstance(terms, LeadMotion) and terms.do == "vacate" else None


def _holds(roles: Sequence[str], listed: Sequence[str]) -> bool:
    return any(role in listed for role in roles)
