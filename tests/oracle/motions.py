"""Motions: who may move what, and what a recorded one changes (spec 8)."""

from typing import Any

from tests.oracle import law
from tests.oracle.book import ABOUT_INCIDENT, Book, Incident, Member, Message, Peer
from tocsin.kernel.reasons import Reason as R


def stands_for_incident(book: Book, message: Message, incident: Incident) -> None:
    """Stage, lead, features, close: at once, with their `incident` leaf."""
    from tests.oracle.life import incident_leaf

    terms = message.terms
    what = message.motion
    if what == "stage":
        incident.stage = terms.to
    elif what == "features":
        incident.category, incident.severity, incident.areas = terms.category, terms.severity, list(terms.areas)
    elif what == "lead":
        if terms.do == "stand":
            incident.lead = message.author
            incident.lead_until = book.at + book.charter.times.lead_s * 1000
            incident.term = book.take_number()
        else:
            incident.lead, incident.lead_until = None, None
    else:
        close(incident, terms.duplicate_of)
        what = "closed"
    incident_leaf(book, incident, what, message.id)


def close(incident: Incident, duplicate_of: str | None) -> None:
    incident.closed = True
    incident.lead, incident.lead_until = None, None
    incident.duplicate_of = duplicate_of


def amend(book: Book, message: Message) -> None:
    """The effect of a constitutional motion on the next version (spec F1)."""
    terms: Any = message.terms
    what = message.motion
    if what == "charter":
        book.next_charter = terms.charter
    elif what == "upgrade":
        book.upgrade = (terms.protocol, set())
    elif what == "peer":
        _amend_peer(book, terms, message.id)
    elif what == "admit":
        new = Member(terms.member, terms.entity, list(terms.roles), terms.keys, joined=False)
        book.next_members[terms.member] = new
        book.owners |= dict.fromkeys(terms.keys.all(), terms.member)
        book.admitted[terms.member] = book.at
        book.tokens[terms.member] = []
        book.spent[terms.member] = []
        _awake(book, terms.member)
        book.roster_changed = True
    else:
        member = book.next_members[terms.member]
        book.roster_changed = True
        if what == "suspend":
            member.status = "suspended"
            member.until = book.at + terms.duration_s * 1000
            member.number = book.take_number()
            member.joined = False
        elif what == "reinstate":
            member.status, member.until = "active", None
            _awake(book, member.id)
        elif what == "expel":
            member.status, member.until, member.joined = "expelled", None, False
        elif what == "roles":
            member.roles = list(terms.roles)
        else:
            member.keys, member.joined = terms.keys, False
            book.owners |= dict.fromkeys(terms.keys.all(), terms.member)


def _awake(book: Book, name: str) -> None:
    book.awake.append((book.moment(), name, book.at))


def _amend_peer(book: Book, terms: Any, cause: str) -> None:
    if terms.do == "remove":
        del book.next_peers[terms.origin]
        state = "removed"
    else:
        state = "active"
        if terms.do == "repin":
            state = book.next_peers[terms.origin].state
        if terms.do == "thaw":
            book.next_peers[terms.origin].state = state
        else:
            book.next_peers[terms.origin] = Peer(terms.entry, state, cause)
    book.peer_leaves.append({"leaf": "peer", "origin": terms.origin, "state": state, "at": book.at})


# Checks at submit: every reason that applies.


def reasons(book: Book, kind: str, terms: Any, author: str, incident: Incident | None, proofs: bool) -> list[R]:
    what = kind.removeprefix("motion.")
    if what in ABOUT_INCIDENT:
        return _about_incident(book, what, kind, terms, author, incident)
    found: list[R] = []
    if what == "upgrade":
        if terms.base != book.next_charter.digest:
            found.append(R.BASE_DOES_NOT_HOLD)
        if terms.protocol <= book.protocol or (book.upgrade is not None and book.upgrade[0] == terms.protocol):
            found.append(R.NOT_APPLICABLE)
        return found
    if not law.constitution_base(book, kind, terms) and what != "admit":
        found.append(R.BASE_DOES_NOT_HOLD)
    if what == "charter":
        if terms.charter.digest == book.next_charter.digest:
            found.append(R.NOT_APPLICABLE)
        return found
    if what == "peer":
        return found + _peer(book, terms)
    if what == "admit":
        return found + _admit(book, terms, proofs)
    member = book.next_members.get(terms.member)
    if member is None:
        return [*found, R.UNKNOWN_MEMBER]
    if terms.member == author:
        found.append(R.SUBJECT_IS_MOVER)
    present = member.status in ("active", "suspended")
    applies = {
        "suspend": member.status == "active",
        "reinstate": member.status != "active",
        "expel": present,
        "roles": present and list(getattr(terms, "roles", [])) != member.roles,
        "rekey": present,
    }[what]
    if not applies:
        found.append(R.NOT_APPLICABLE)
    if what == "roles":
        found += _roles(book, list(terms.roles))
    if what == "rekey":
        found += _keys(book, terms, proofs)
    return found


def _roles(book: Book, roles: list[str]) -> list[R]:
    return [R.NOT_SORTED] if roles != sorted(set(roles)) else []


def _keys(book: Book, terms: Any, proofs: bool) -> list[R]:
    found: list[R] = []
    keys = terms.keys.all()
    if len(set(keys)) < len(keys) or book.used_keys.intersection(keys):
        found.append(R.KEY_USED)
    if terms.expires <= book.at:
        found.append(R.PROOFS_EXPIRED)
    if not proofs or len(terms.proofs) != len(keys):
        found.append(R.BAD_PROOF_OF_POSSESSION)
    return found


def _admit(book: Book, terms: Any, proofs: bool) -> list[R]:
    found = _roles(book, list(terms.roles)) + _keys(book, terms, proofs)
    if terms.member in book.next_members:
        found.append(R.ID_USED)
    if terms.entity in {member.entity for member in book.next_members.values()}:
        found.append(R.ENTITY_USED)
    if "supervisor" in terms.roles:
        found.append(R.SUPERVISOR_AT_ONCE)
    return found


def _peer(book: Book, terms: Any) -> list[R]:
    found: list[R] = []
    there = book.next_peers.get(terms.origin)
    if terms.do == "add":
        if there is not None:
            found.append(R.NOT_APPLICABLE)
    elif there is None:
        found += [R.UNKNOWN_PEER, R.NOT_APPLICABLE]
    elif terms.do == "thaw" and there.state != "frozen":
        found.append(R.NOT_APPLICABLE)
    if (terms.entry is None) != (terms.do in ("remove", "thaw")):
        return [*found, R.TERMS_MISMATCH, R.NOT_APPLICABLE]
    if terms.entry is None:
        return found
    if terms.entry.genesis == book.genesis or terms.origin == book.origin:
        found.append(R.LOOP)
    found += law.among_peers(book, terms)
    head = terms.entry.represented_by
    if head is not None and (head not in book.next_members or book.next_members[head].status in ("left", "expelled")):
        found.append(R.UNKNOWN_MEMBER)
    return found


def _about_incident(book: Book, what: str, kind: str, terms: Any, author: str, incident: Incident | None) -> list[R]:
    if incident is None:
        return []
    found: list[R] = []
    stages = book.charter.stages
    if what == "stage":
        if incident.stage != terms.base:
            found.append(R.BASE_DOES_NOT_HOLD)
        if terms.to not in stages.names:
            found += [R.UNKNOWN_STAGE, R.NO_SUCH_EDGE]
        elif not any(e.source == terms.base and e.target == terms.to for e in stages.edges):
            found.append(R.NO_SUCH_EDGE)
    elif what == "lead":
        if not law.incident_base(book, kind, terms, incident, author) and not incident.closed:
            found.append(R.BASE_DOES_NOT_HOLD)
        if terms.do == "vacate":
            if incident.lead is None:
                found.append(R.NOT_APPLICABLE)
            if author in (incident.lead, terms.base):
                found.append(R.SUBJECT_IS_MOVER)
    elif what == "features":
        if law.features_digest(incident) != terms.base:
            found.append(R.BASE_DOES_NOT_HOLD)
        found += codes(book, terms.category, list(terms.areas))
    else:
        if incident.stage != terms.base:
            found.append(R.BASE_DOES_NOT_HOLD)
        if terms.duplicate_of is not None and not law.good_duplicate(book, incident, terms.duplicate_of):
            found += [R.BAD_DUPLICATE, R.UNKNOWN_INCIDENT]
    return found


def codes(book: Book, category: str, areas: list[str]) -> list[R]:
    """Schemes and their finest level (spec 5); areas as a sorted set (spec 2)."""
    found: list[R] = []
    for use, coded in [("category", category), *[("area", area) for area in areas]]:
        scheme, code = coded.split(":", 1)
        listed = [one for one in book.charter.schemes if one.use == use and one.scheme == scheme]
        if book.charter.schemes and not listed:
            found.append(R.SCHEME_NOT_ALLOWED)
        elif any(one.finest and len(code) > one.finest for one in listed):
            found.append(R.CODE_TOO_FINE)
    if areas != sorted(set(areas)):
        found.append(R.NOT_SORTED)
    return found
