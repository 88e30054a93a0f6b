"""Motions: what they may propose, the base they assume, and what they do (spec 8, F6, F13)."""

from copy import copy

from tocsin.kernel import incidents, seals, upgrade
from tocsin.kernel.acts import (
    AdmitMotion,
    CharterMotion,
    CloseMotion,
    ExpelMotion,
    FeaturesMotion,
    Keys,
    LeadMotion,
    PeerEntry,
    PeerMotion,
    ReinstateMotion,
    RekeyMotion,
    RolesMotion,
    StageMotion,
    Standing,
    SuspendMotion,
    Terms,
    UpgradeMotion,
)
from tocsin.kernel.charter import Charter
from tocsin.kernel.charter_check import check_charter, check_roster, worse
from tocsin.kernel.charter_form import MAX_CHARTER
from tocsin.kernel.digest import digest
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import PeerLeaf, RosterMember
from tocsin.kernel.quorum import tolerated
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Account, Incident, Member, Message, Peer, UsedKey
from tocsin.kernel.statements import signers_of
from tocsin.kernel.words import MAX_MEMBERS
from tocsin.tlog import is_small_order

OF_AN_INCIDENT = (StageMotion, LeadMotion, FeaturesMotion, CloseMotion)
TERMS_OF = {
    "motion.stage": StageMotion,
    "motion.lead": LeadMotion,
    "motion.features": FeaturesMotion,
    "motion.close": CloseMotion,
    "motion.admit": AdmitMotion,
    "motion.suspend": SuspendMotion,
    "motion.reinstate": ReinstateMotion,
    "motion.expel": ExpelMotion,
    "motion.roles": RolesMotion,
    "motion.rekey": RekeyMotion,
    "motion.peer": PeerMotion,
    "motion.charter": CharterMotion,
    "motion.upgrade": UpgradeMotion,
}
MAX_ROSTER_LEAF = 48 * 1024
DAY_MS = 86_400_000


def entry_digest(entry: PeerEntry) -> str:
    """Base of `motion.peer`: the entry without pins and counters (spec 8)."""
    named = [entry.genesis, entry.relation, entry.log_key, entry.represented_by, entry.quota]
    return digest(b"peer", encode(named))


def keys_digest(keys: Keys) -> str:
    """Base of `motion.rekey`."""
    return digest(b"keys", encode(keys))


def base_holds(draft: Draft, terms: Terms | None, incident: Incident | None, author: str) -> bool:
    """Whether what a motion assumes is so, by the next version (spec 8, F1, F13)."""
    if isinstance(terms, OF_AN_INCIDENT):
        if incident is None or incident.closed is not None:
            return False
        if isinstance(terms, StageMotion):
            return incident.stage == terms.base
        if isinstance(terms, LeadMotion):
            candidate = draft.next_member(author)
            stands = terms.do == "vacate" or (candidate is not None and candidate.status == "active")
            return incident.lead == terms.base and stands
        if isinstance(terms, FeaturesMotion):
            return incidents.features_digest(incident) == terms.base
        return incident.stage == terms.base and _may_be_duplicate(draft, incident, terms.duplicate_of)
    if isinstance(terms, SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion):
        return standing(draft, terms.member) == terms.base
    if isinstance(terms, RekeyMotion):
        member = draft.next_member(terms.member)
        return member is not None and keys_digest(member.keys) == terms.base and not _used(draft, terms.keys)
    if isinstance(terms, AdmitMotion):
        free = not _used(draft, terms.keys) and draft.next_member(terms.member) is None and _entity_free(draft, terms)
        return free and len(draft.names("member")) < MAX_MEMBERS
    if isinstance(terms, PeerMotion):
        peer = draft.next_peer(terms.origin)
        base = None if peer is None else entry_digest(peer.entry)
        return terms.base == base and _among_peers(draft, terms) == Reason.ACCEPTED
    if isinstance(terms, UpgradeMotion):
        return terms.base == draft.meta.charter and terms.protocol > draft.meta.protocol
    if isinstance(terms, CharterMotion):
        return terms.base == draft.meta.charter
    return True


def standing(draft: Draft, name: str) -> Standing | None:
    """A member's roles and status, the base of motions about it."""
    member = draft.next_member(name)
    return None if member is None else Standing(member.roles, member.status)


def _may_be_duplicate(draft: Draft, incident: Incident, other: str | None) -> bool:
    if other is None:
        return True
    end = draft.incident_end(other)
    return end is not None and end.closed is None and end.status == incident.status and end.id != incident.id


def _used(draft: Draft, keys: Keys) -> bool:
    return any(draft.get("key", key) is not None for key in keys.all())


def _entity_free(draft: Draft, terms: AdmitMotion) -> bool:
    return all(member.entity != terms.entity for member in draft.next_members())


def check(draft: Draft, author: str, terms: Terms | None, incident: Incident | None, proofs: list[bool]) -> Reason:
    """Whether a motion may be put (spec 8); `proofs`: verdicts on the proofs of possession."""
    if isinstance(terms, StageMotion):
        if terms.to not in draft.charter.stages.names:
            return Reason.UNKNOWN_STAGE
        if not any(edge.source == terms.base and edge.target == terms.to for edge in draft.charter.stages.edges):
            return Reason.NO_SUCH_EDGE
    if isinstance(terms, LeadMotion) and terms.do == "vacate":
        if terms.base is None:
            return Reason.NOT_APPLICABLE
        if terms.base == author:
            return Reason.SUBJECT_IS_MOVER
    if isinstance(terms, FeaturesMotion) and terms.areas != sorted(set(terms.areas)):
        return Reason.NOT_SORTED
    if (
        isinstance(terms, CloseMotion)
        and incident is not None
        and not _may_be_duplicate(draft, incident, terms.duplicate_of)
    ):
        return Reason.BAD_DUPLICATE
    reason = _check_member(draft, author, terms, proofs)
    if reason:
        return reason
    if isinstance(terms, PeerMotion):
        reason = _check_peer(draft, terms)
        if reason:
            return reason
    if isinstance(terms, UpgradeMotion) and not upgrade.may_come(draft, terms.protocol):
        return Reason.NOT_APPLICABLE
    if not base_holds(draft, terms, incident, author):
        return Reason.BASE_DOES_NOT_HOLD
    if isinstance(terms, CharterMotion):
        return _check_charter(draft, terms.charter)
    return Reason.ACCEPTED


def _check_member(draft: Draft, author: str, terms: Terms | None, proofs: list[bool]) -> Reason:
    if isinstance(terms, SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion | RekeyMotion):
        if terms.member == author:
            return Reason.SUBJECT_IS_MOVER
        member = draft.next_member(terms.member)
        if member is None:
            return Reason.UNKNOWN_MEMBER
        allowed = {
            SuspendMotion: ("active",),
            ReinstateMotion: ("suspended", "left", "expelled"),
            ExpelMotion: ("active", "suspended"),
            RolesMotion: ("active", "suspended"),
            RekeyMotion: ("active", "suspended"),
        }[type(terms)]
        if member.status not in allowed:
            return Reason.NOT_APPLICABLE
    if isinstance(terms, RolesMotion | AdmitMotion) and list(terms.roles) != sorted(set(terms.roles)):
        return Reason.NOT_SORTED
    if isinstance(terms, RolesMotion) and terms.roles == terms.base.roles:
        return Reason.NOT_APPLICABLE
    if isinstance(terms, AdmitMotion):
        if "supervisor" in terms.roles:
            return Reason.SUPERVISOR_AT_ONCE
        if draft.next_member(terms.member) is not None:
            return Reason.ID_USED
        if not _entity_free(draft, terms):
            return Reason.ENTITY_USED
        if len(draft.names("member")) >= MAX_MEMBERS:
            return Reason.TOO_MANY_MEMBERS
    if isinstance(terms, AdmitMotion | RekeyMotion):
        if any(is_small_order(bytes.fromhex(key)) for key in terms.keys.all()):
            return Reason.WEAK_KEY
        if len(set(terms.keys.all())) != len(terms.keys.all()) or _used(draft, terms.keys):
            return Reason.KEY_USED
        if len(terms.proofs) != len(terms.keys.all()) or not all(proofs):
            return Reason.BAD_PROOF_OF_POSSESSION
        if draft.at >= terms.expires:
            return Reason.PROOFS_EXPIRED
    return Reason.ACCEPTED


def _check_peer(draft: Draft, terms: PeerMotion) -> Reason:
    peer = draft.next_peer(terms.origin)
    if (terms.do == "add") != (peer is None) or (terms.do in ("add", "repin")) != (terms.entry is not None):
        return Reason.NOT_APPLICABLE
    if terms.do == "thaw" and (peer is None or peer.state != "frozen"):
        return Reason.NOT_APPLICABLE
    entry = terms.entry
    if entry is None:
        return Reason.ACCEPTED
    if terms.origin == draft.meta.origin or entry.genesis == draft.meta.genesis:
        return Reason.LOOP
    ids = [one.id for one in entry.roster]
    if ids != sorted(set(ids)) or len({one.finality for one in entry.roster}) != len(ids):
        return Reason.NOT_SORTED
    if any(is_small_order(bytes.fromhex(one.finality)) for one in entry.roster):
        return Reason.WEAK_KEY
    if entry.represented_by is not None:
        member = draft.next_member(entry.represented_by)
        if member is None or member.status not in ("active", "suspended"):
            return Reason.UNKNOWN_MEMBER
    return _among_peers(draft, terms)


def _among_peers(draft: Draft, terms: PeerMotion) -> Reason:
    """Whether an entry may stand beside the others of the next version: at most one parent, and an origin and a genesis
    belong to each other for ever, since ids of relayed messages are made of genesis and number (spec 11.0)."""
    if terms.entry is None:
        return Reason.ACCEPTED
    for name in sorted({*draft.names("peer"), *draft.next_peers}):
        there = draft.next_peer(name)
        known = there or draft.get("peer", name)  # the row of one that was removed stays
        if known is not None and (name == terms.origin) != (known.entry.genesis == terms.entry.genesis):
            return Reason.PEER_KNOWN
        if there is not None and name != terms.origin and there.entry.relation == terms.entry.relation == "parent":
            return Reason.SECOND_PARENT
    return Reason.ACCEPTED


def _check_charter(draft: Draft, charter: Charter) -> Reason:
    if len(charter.canonical) > MAX_CHARTER or charter.digest == draft.meta.charter:
        return Reason.NOT_APPLICABLE if charter.digest == draft.meta.charter else Reason.LEAF_TOO_LARGE
    # What the roster makes of it is judged at the effect alone, so that a broken network can mend itself (F6).
    bad = any(problem.fatal for problem in check_charter(charter))
    return Reason.CHARTER_REFUSED if bad else Reason.ACCEPTED


def _peers(draft: Draft) -> list[Peer]:
    names = sorted({*draft.names("peer"), *draft.next_peers})
    return [peer for name in names if (peer := draft.next_peer(name)) is not None]


def keeps_invariants(draft: Draft, message: Message) -> bool:
    """Whether after this motion's effect no invariant fails that held, or fails by more (F6)."""
    terms = message.terms
    if isinstance(terms, seals.UNSEATS) and not seals.somebody_signs_without(draft, terms.member):
        return False
    if not isinstance(
        terms,
        AdmitMotion | SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion | PeerMotion | CharterMotion,
    ):
        return True
    members, peers, charter = draft.next_members(), _peers(draft), draft.charter
    next_charter = draft.get("charter", draft.meta.charter)
    before = check_roster(next_charter, members, peers)
    if isinstance(terms, CharterMotion):
        charter = terms.charter
        if any(problem.fatal for problem in check_charter(charter)):
            return False
    else:
        charter = next_charter
    if isinstance(terms, PeerMotion):
        peers = [peer for peer in peers if peer.origin != terms.origin]
        if terms.entry is not None:
            peers.append(Peer(terms.origin, terms.entry, "active", 0, 0, []))
    elif not isinstance(terms, CharterMotion):
        members = [_changed(draft, member, terms) for member in members]
        if isinstance(terms, AdmitMotion):
            members.append(_admitted(terms))
            members.sort(key=lambda member: member.id)
        if sum(len(encode(_line(member))) + 1 for member in members) > MAX_ROSTER_LEAF - 256:
            return False
    return not worse(before, check_roster(charter, members, peers))


def _admitted(terms: AdmitMotion) -> Member:
    return Member(terms.member, terms.entity, list(terms.roles), terms.keys, "active", None, 0, False, None)


def _changed(draft: Draft, member: Member, terms: Terms | None) -> Member:
    if not isinstance(terms, SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion) or terms.member != member.id:
        return member
    row = copy(member)
    if isinstance(terms, SuspendMotion):
        row.status, row.until, row.joined = "suspended", draft.at + terms.duration_s * 1000, False
    elif isinstance(terms, ReinstateMotion):
        row.status, row.until = "active", None
    elif isinstance(terms, ExpelMotion):
        row.status, row.until, row.joined = "expelled", None, False
    else:
        row.roles = list(terms.roles)
    return row


def suspend_for_evidence(draft: Draft, name: str) -> list[str]:
    """Suspend a member that is proven to have signed two histories, if the charter says so; who was suspended.

    At most f members a day, and never so that an invariant breaks or nobody signs; else it is only on record (8.6).
    """
    duration = draft.charter.times.evidence_s * 1000
    row = draft.next_member(name)
    if not duration or row is None or row.status != "active" or not seals.somebody_signs_without(draft, name):
        return []
    caught = sum(1 for one in draft.next_members() if one.caught is not None and one.caught > draft.at - DAY_MS)
    if caught >= tolerated(len(signers_of(draft.state.members))):
        return []
    out = copy(row)
    out.status, out.until, out.joined, out.caught = "suspended", draft.at + duration, False, draft.at
    others = [one for one in draft.next_members() if one.id != name]
    charter, peers = draft.get("charter", draft.meta.charter), _peers(draft)
    if worse(check_roster(charter, [*others, row], peers), check_roster(charter, [*others, out], peers)):
        return []
    out.number = draft.number()
    draft.put("member", name, out)
    draft.roster_changed = True
    incidents.vacate_for(draft, name)
    return [name]


def _line(member: Member) -> RosterMember:
    return RosterMember(member.id, member.entity, member.roles, member.keys, member.status, member.until, member.joined)


def roster_lines(draft: Draft) -> list[RosterMember]:
    """The roster as a leaf shows it, sorted by id."""
    return [_line(member) for member in draft.next_members()]


def apply(draft: Draft, message: Message) -> None:
    """The effect of a recorded motion, on the next version (F1)."""
    terms = message.terms
    incident = draft.incident(message.joins)
    if isinstance(terms, OF_AN_INCIDENT) and incident is not None:
        _apply_to_incident(draft, message, terms, incident.id)
    elif isinstance(terms, PeerMotion):
        _apply_peer(draft, terms, message.id)
    elif isinstance(terms, CharterMotion):
        draft.put("charter", terms.charter.digest, terms.charter)
        draft.meta.charter = terms.charter.digest
        draft.charter_cause = message.id
    elif isinstance(terms, UpgradeMotion):
        upgrade.plan(draft, message, terms.protocol)
    elif isinstance(terms, AdmitMotion):
        draft.put("member", terms.member, _admitted(terms))
        draft.put("account", terms.member, new_account(terms.member, draft.at, draft.charter))
        _take_keys(draft, terms.member, terms.keys)
        draft.roster_changed = True
    elif isinstance(terms, RekeyMotion):
        row = draft.edit("member", terms.member)
        row.keys, row.joined = terms.keys, False
        draft.rekeyed.add(terms.member)
        _take_keys(draft, terms.member, terms.keys)
        draft.roster_changed = True
    elif isinstance(terms, SuspendMotion | ReinstateMotion | ExpelMotion | RolesMotion):
        member = draft.next_member(terms.member)
        if member is not None:
            row = _changed(draft, member, terms)
            row.number = draft.number() if isinstance(terms, SuspendMotion) else row.number
            draft.put("member", terms.member, row)
            draft.created("member", row)
            if isinstance(terms, ReinstateMotion):
                draft.awake(terms.member)
            draft.roster_changed = True
            if row.status != "active":
                incidents.vacate_for(draft, terms.member)


def _apply_to_incident(draft: Draft, message: Message, terms: Terms, name: str) -> None:
    if isinstance(terms, StageMotion):
        row: Incident = draft.edit("incident", name)
        row.stage = terms.to
        incidents.write(draft, row, "stage", message.id)
        draft.created("incident", row)
    elif isinstance(terms, LeadMotion):
        incidents.set_lead(draft, name, message.author if terms.do == "stand" else None, message.id)
    elif isinstance(terms, FeaturesMotion):
        row = draft.edit("incident", name)
        row.category, row.severity, row.areas = terms.category, terms.severity, list(terms.areas)
        incidents.write(draft, row, "features", message.id)
    elif isinstance(terms, CloseMotion):
        end = draft.incident_end(terms.duplicate_of)
        incidents.close(draft, name, None if end is None else end.id, message.id)


def _apply_peer(draft: Draft, terms: PeerMotion, cause: str) -> None:
    """Plan the entry; it is current from the block's end (spec 4.4, F1)."""
    draft.peers_changed[terms.origin] = cause
    old = draft.next_peer(terms.origin)
    if terms.do == "remove" or (old is None and terms.entry is None):
        draft.next_peers[terms.origin] = None
    elif old is None and terms.entry is not None:
        draft.next_peers[terms.origin] = Peer(terms.origin, terms.entry, "active", 1, 1, [])
    elif old is not None:
        row = copy(old)
        row.state = "active" if terms.do == "thaw" else row.state
        row.entry = terms.entry or row.entry
        draft.next_peers[terms.origin] = row


def settle_peers(draft: Draft) -> None:
    """Step 4: planned entries become current. Counters go on from the row there is, removed ones' too; so do pins and
    a freeze that acts of this block brought, where the plan left them alone."""
    for origin, planned in draft.next_peers.items():
        start = draft.state.peers.get(origin)
        row: Peer | None = draft.get("peer", origin)
        if row is None:
            if planned is not None:
                draft.put("peer", origin, planned)
            continue
        row = draft.edit("peer", origin)
        if planned is None:
            row.state = "removed"
            continue
        if start is None or planned.state != start.state:
            row.state = planned.state
        if start is None or planned.entry is not start.entry:
            row.entry = planned.entry


def peer_leaf(draft: Draft, origin: str, cause: str | None) -> PeerLeaf:
    """The `peer` leaf of a block's end."""
    peer = draft.peer(origin)
    if peer is None:
        return PeerLeaf(origin, "removed", None, cause, draft.at)
    return PeerLeaf(origin, peer.state, peer.entry, cause, draft.at)


def new_account(name: str, at: int, charter: Charter) -> Account:
    """A full bucket of tokens and quota; founding and admission count as acts (F16, F20)."""
    return Account(
        id=name, quota=charter.limits.envelopes, quota_at=at, tokens=charter.tokens.bucket, tokens_at=at, credits=0,
        stains=0, reports=[], open=0, motions=0, last_act=at, missed=0, through=None,
    )  # fmt: skip


def _take_keys(draft: Draft, member: str, keys: Keys) -> None:
    for key in keys.all():
        draft.put("key", key, UsedKey(key, member))
