"""Who may issue, judge, veto and concur (spec 6.3, 6.5), and whose conflicts keep them out."""

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
    Submit,
    SuspendMotion,
    Terms,
)
from tocsin.kernel.charter import Rule
from tocsin.kernel.draft import Draft
from tocsin.kernel.leaves import Source
from tocsin.kernel.rows import Account, Incident, Member, Message
from tocsin.kernel.words import CONSTITUTIONAL


class Electorate(NamedTuple):
    """Frozen at opening. `electors`: sorted ids; `size`: with the suspended where they count; `asleep`: how many
    dormant members were left out."""

    electors: list[str]
    size: int
    asleep: int


ABOUT_A_MEMBER = (AdmitMotion, SuspendMotion, ReinstateMotion, ExpelMotion, RolesMotion, RekeyMotion)


def parties(draft: Draft, target: Message) -> list[str]:
    """Parties of a record: author or the peer's representative, endorsers, vetoer (spec 1, F17)."""
    found = [author_member(draft, target.author, target.source)]
    found += [ballot.member for ballot in target.ballots.values() if ballot.verdict == "endorse"]
    if target.state == "vetoed":
        found.append(target.by)
    return sorted({one for one in found if one is not None})


def author_member(draft: Draft, author: str, source: Source | None) -> str | None:
    """The member that stands for a message's author: itself, or the peer's representative (spec 6.5)."""
    if source is None:
        return author
    peer = draft.peer(author)
    return None if peer is None else peer.entry.represented_by


def subject_member(terms: Terms | None, incident: Incident | None) -> str | None:
    """The member whom a motion is about, or None (spec 6.5)."""
    if isinstance(terms, ABOUT_A_MEMBER):
        return terms.member
    if isinstance(terms, LeadMotion) and terms.do == "vacate" and incident is not None:
        return incident.lead
    return None


def may_issue(draft: Draft, rule: Rule, author: str, incident: Incident | None, target: Message | None) -> bool:
    """Whether the rule's issuers include this member (spec 1, spec 6)."""
    member = draft.member(author)
    if member is None or member.status != "active":
        return False
    if _holds(member, rule.issuers) or "member" in rule.issuers:
        return True
    if "lead" in rule.issuers and incident is not None and incident.lead == author:
        return True
    return "party" in rule.issuers and target is not None and author in parties(draft, target)


def conflicted(
    draft: Draft, author: str, source: Source | None, terms: Terms | None, incident: Incident | None
) -> list[str]:
    """Members who neither judge, veto nor concur on a message (spec 6.5); the author included."""
    found = [author_member(draft, author, source), subject_member(terms, incident)]
    if isinstance(terms, Review):
        target = draft.any_message(terms.target)
        if target is not None:
            found += parties(draft, target)
            found.append(target.finding_by)
    return sorted({one for one in found if one is not None})


def dormant(draft: Draft, account: Account) -> bool:
    """Silent long enough, with enough messages missed (spec 6.3, F16)."""
    law = draft.charter.dormant
    if law is None:
        return False
    return draft.at - account.last_act >= law.silent_s * 1000 and account.missed >= law.missed


def electorate(
    draft: Draft,
    rule: Rule,
    kind: str,
    author: str,
    source: Source | None,
    terms: Terms | None,
    incident: Incident | None,
) -> Electorate:
    """Who judges a message (spec 6.3). Empty for a rule without ballots."""
    if rule.threshold is None:
        return Electorate([], 0, 0)
    if terms is not None or source is not None:
        return _electorate(draft, rule, kind, author, source, terms, incident)
    # Reports of one author under one rule have one electorate in a block: members change at its end, and where
    # somebody falls asleep or wakes the draft forgets what is kept.
    key = (rule.kind, rule.stage, author)
    kept: Electorate | None = draft.electorates.get(key)
    if kept is None:
        kept = draft.electorates[key] = _electorate(draft, rule, kind, author, source, terms, incident)
    return kept


def _electorate(
    draft: Draft,
    rule: Rule,
    kind: str,
    author: str,
    source: Source | None,
    terms: Terms | None,
    incident: Incident | None,
) -> Electorate:
    threshold = rule.threshold
    assert threshold is not None
    out = conflicted(draft, author, source, terms, incident)
    if kind.startswith("motion."):
        # The mover counts if it is in the electorate: its submission is its endorsement.
        out = [one for one in out if one != author]
    electors: list[str] = []
    suspended = asleep = 0
    everybody = "member" in rule.electorate
    may_sleep = threshold.num > 0 and draft.charter.dormant is not None
    for member in draft.state.roster:
        if not everybody and not _holds(member, rule.electorate):
            continue
        if member.id in out or (rule.veto is not None and _holds(member, rule.veto.by)):
            continue
        if member.status == "active":
            # The author's own act ends its dormancy.
            if may_sleep and member.id != author and dormant(draft, draft.get("account", member.id)):
                asleep += 1
                continue
            electors.append(member.id)
        elif member.status == "suspended" and kind in CONSTITUTIONAL:
            suspended += 1
    return Electorate(electors, len(electors) + suspended, asleep)


def eligible_to_veto(
    draft: Draft, rule: Rule, author: str, source: Source | None, terms: Terms | None, incident: Incident | None
) -> list[str]:
    """Who may veto, frozen at opening: active, not conflicted, not the sitting lead (spec 6.2, 6.5)."""
    if rule.veto is None:
        return []
    out = conflicted(draft, author, source, terms, incident)
    lead = None if incident is None else incident.lead
    return [
        member.id
        for member in draft.state.roster
        if member.status == "active" and _holds(member, rule.veto.by) and member.id not in out and member.id != lead
    ]


def still_eligible(draft: Draft, message: Message, supervisor: str) -> bool:
    """Whether one of the eligible may still act: not suspended, gone or now lead (spec 6.2, F7)."""
    member = draft.member(supervisor)
    incident = draft.incident(message.joins)
    lead = None if incident is None else incident.lead
    return member is not None and member.status == "active" and lead != supervisor


def target_of(draft: Draft, act: Submit) -> Message | None:
    """The message that a finding or review is about, or None."""
    target = getattr(act.terms, "target", None)
    return None if target is None else draft.any_message(target)


def _holds(member: Member, roles: Sequence[str]) -> bool:
    for role in member.roles:  # noqa: SIM110 - every member of every electorate passes here; a generator costs thrice
        if role in roles:
            return True
    return False
