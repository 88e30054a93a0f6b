"""Small questions that the law answers by a sentence each: need, electorate, invariants, bases."""

from typing import Any

from tests.oracle.book import ABOUT_INCIDENT, CONSTITUTION, Book, Incident, Member, Message, Peer
from tocsin.kernel.acts import PeerEntry
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import encode
from tocsin.kernel.reasons import Reason as R
from tocsin.tlog import cosignature, note


def needed(rule: Rule, kind: str, size: int, asleep: int = 0) -> int:
    """The smallest e that fits, by trying them in turn, never below one (spec 6.4, spec F6)."""
    if rule.threshold is None:
        return 0
    num, den, at_least = rule.threshold.num, rule.threshold.den, rule.threshold.at_least
    if kind in ("motion.charter", "motion.admit", "motion.reinstate"):
        at_least = min(at_least, size + asleep)
    e = 1
    while True:
        share = e * den > num * size if rule.threshold.strict else e * den >= num * size
        if share and e >= at_least:
            return e
        e += 1


def covers(pattern: str, kind: str) -> bool:
    if pattern.endswith(".*"):
        return kind.startswith(pattern[:-1])
    return kind == pattern


def match(charter: Charter, kind: str, stage: str) -> Rule | None:
    """Exact before prefix, longer before shorter, then exact stage before `*` (spec 6.1)."""
    fitting = [rule for rule in charter.rules if covers(rule.kind, kind) and rule.stage in ("*", stage)]
    fitting.sort(key=lambda r: (r.kind.endswith(".*"), -len(r.kind), r.stage == "*"))
    return fitting[0] if fitting else None


def features_digest(incident: Incident) -> str:
    return digest(b"features", encode([incident.category, incident.severity, sorted(incident.areas)]))


def keys_digest(member: Member) -> str:
    return digest(b"keys", encode(member.keys))


def entry_digest(entry: PeerEntry) -> str:
    named = [entry.genesis, entry.relation, entry.log_key, entry.represented_by, entry.quota]
    return digest(b"peer", encode(named))


def subject_of(book: Book, kind: str, incident: Incident | None, terms: Any) -> str | None:
    """The member whom a motion is about (spec 6.5)."""
    if kind.removeprefix("motion.") in ("suspend", "reinstate", "expel", "roles", "rekey", "admit"):
        name: str = terms.member
        return name
    if kind == "motion.lead" and terms.do == "vacate":
        return incident.lead if incident is not None else None
    return None


def key_of(charter: Charter, subject: Any, source: str | None) -> tuple[Any, ...]:
    """What makes two reports belong to one incident (spec 8)."""
    use = charter.incident_key
    return (
        subject.category if use.category else None,
        tuple(sorted(subject.areas)) if use.areas else None,
        source if use.source else None,
    )


def electorate(
    book: Book,
    rule: Rule,
    kind: str,
    author: str,
    incident: Incident | None,
    target: Message | None,
    conflicted: set[str],
) -> tuple[list[str], int, int]:
    """(electors, size, dormant left out) of a message that opens now (spec 6.3)."""
    if rule.threshold is None:
        return [], 0, 0
    motion = kind.startswith("motion.")
    electors: list[str] = []
    suspended = asleep = 0
    for name, member in sorted(book.members.items()):
        if not book.holds(member, list(rule.electorate), incident, target):
            continue
        if not motion and name == author:
            continue
        if rule.veto is not None and book.holds(member, list(rule.veto.by), incident, target):
            continue
        if name in conflicted:
            continue
        if member.status == "active":
            if rule.threshold.num > 0 and name != author and book.dormant(name):
                asleep += 1
            else:
                electors.append(name)
        elif member.status == "suspended" and kind.removeprefix("motion.") in CONSTITUTION and motion:
            suspended += 1
    return electors, len(electors) + suspended, asleep


def eligible(
    book: Book, rule: Rule, author: str, incident: Incident | None, target: Message | None, conflicted: set[str]
) -> list[str]:
    """Who may veto (spec 6.2, spec 6.5)."""
    if rule.veto is None:
        return []
    lead = incident.lead if incident is not None and not incident.closed else None
    return [
        name
        for name, member in sorted(book.members.items())
        if member.status == "active"
        and book.holds(member, list(rule.veto.by), incident, target)
        and name not in (author, lead)
        and name not in conflicted
    ]


def lead_now(book: Book, message: Message, name: str) -> bool:
    """Whether a member is the sitting lead of the message's incident."""
    incident = book.incident_of(message)
    return incident is not None and not incident.closed and incident.lead == name


# What a message assumes (spec 8, spec F8, spec F13). Roster, keys, charter, peers: the next version.


def base_holds(book: Book, message: Message) -> bool:
    terms = message.terms
    kind = message.kind
    if message.motion in ABOUT_INCIDENT:
        incident = book.incident(message.joins)
        return incident is not None and incident_base(book, kind, terms, incident, message.author)
    if message.motion in CONSTITUTION:
        return constitution_base(book, kind, terms)
    if message.peer is not None:
        return True
    if kind == "finding":
        target = book.message(terms.target)
        return target is not None and finding_base(book, target)
    if kind == "finding.review":
        target = book.message(terms.target)
        return target is not None and review_base(target, terms.finding)
    if kind == "order.revoke":
        return book.running(book.order(terms.order))
    if kind.startswith("order."):
        return terms.replaces is None or book.running(book.order(terms.replaces))
    return True


def incident_base(book: Book, kind: str, terms: Any, incident: Incident, author: str) -> bool:
    if incident.closed:
        return False
    if kind == "motion.stage":
        return bool(incident.stage == terms.base)
    if kind == "motion.lead":
        return bool(incident.lead == terms.base) and (terms.do == "vacate" or book.still_active(author))
    if kind == "motion.features":
        return bool(features_digest(incident) == terms.base)
    if incident.stage != terms.base:
        return False
    return terms.duplicate_of is None or good_duplicate(book, incident, terms.duplicate_of)


def good_duplicate(book: Book, incident: Incident, name: str) -> bool:
    end = book.end_of(name)
    return end is not None and end is not incident and not end.closed and end.status == incident.status


def constitution_base(book: Book, kind: str, terms: Any) -> bool:
    if kind == "motion.admit":
        entities = {member.entity for member in book.next_members.values()}
        return (
            terms.member not in book.next_members
            and terms.entity not in entities
            and not book.used_keys.intersection(terms.keys.all())
            and len(book.next_members) < 100
        )
    if kind in ("motion.charter", "motion.upgrade"):
        later = kind == "motion.charter" or terms.protocol > book.protocol
        return bool(terms.base == book.next_charter.digest) and later
    if kind == "motion.peer":
        peer = book.next_peers.get(terms.origin)
        base = entry_digest(peer.entry) if peer is not None else None
        return bool(terms.base == base) and not among_peers(book, terms)
    member = book.next_members.get(terms.member)
    if member is None:
        return False
    if kind == "motion.rekey":
        return bool(keys_digest(member) == terms.base) and not book.used_keys.intersection(terms.keys.all())
    return bool((list(terms.base.roles), terms.base.status) == member.standing())


def among_peers(book: Book, terms: Any) -> list[R]:
    """One parent at most, and origin and genesis of a network belong to each other for ever (spec 11.0)."""
    entry = terms.entry
    if entry is None:
        return []
    found: list[R] = []
    others = [peer.entry for origin, peer in book.next_peers.items() if origin != terms.origin]
    if entry.relation == "parent" and any(one.relation == "parent" for one in others):
        found.append(R.SECOND_PARENT)
    pairs = [*book.known, *((origin, peer.entry.genesis) for origin, peer in book.next_peers.items())]
    if any((origin == terms.origin) != (genesis == entry.genesis) for origin, genesis in pairs):
        found.append(R.PEER_KNOWN)
    return found


def finding_base(book: Book, target: Message) -> bool:
    """The target has none but `undetermined`, and no review (spec F8)."""
    if any(one.review for one in target.findings):
        return False
    return not target.findings or target.findings[-1].verdict == "undetermined"


def review_base(target: Message, finding: str) -> bool:
    return bool(target.findings) and target.findings[-1].id == finding and not any(f.review for f in target.findings)


# Finality (spec 10.3).


def tolerated(n: int) -> int:
    return (n - 1) // 3 if n else 0


def finality(n: int) -> int:
    return (n + tolerated(n)) // 2 + 1


def cosigned(text: str, origin: str, signers: list[tuple[str, str]]) -> set[str]:
    """Keys of those signers who have a line on a signed checkpoint."""
    cosigners = [cosignature.Cosigner(f"{origin}/{name}", bytes.fromhex(key)) for name, key in signers]
    return {line.key.hex() for line in cosignature.final_lines(note.parse(text.encode()), cosigners)}


# Invariants (spec 6.6, spec F6, spec F23): how much each fails, 0 where it holds.


def failures(charter: Charter, members: dict[str, Member], peers: dict[str, Peer]) -> dict[str, int]:
    there = [m for m in members.values() if m.status in ("active", "suspended")]
    suspended = [m for m in there if m.status == "suspended"]
    found: dict[str, int] = {}
    for rule in charter.rules:
        if covers("report.*", rule.kind) or rule.kind.startswith("report."):
            missing = [_short(rule, there, {one.id}) for one in there if _may(one, list(rule.issuers))]
            found[f"{rule.kind} {rule.stage}"] = max([0, *missing])
        if rule.kind.startswith("relayed.report."):
            heads = [peer.entry.represented_by for peer in peers.values() if peer.entry.relation == "child"]
            missing = [_short(rule, there, {head} if head is not None else set()) for head in heads]
            found[f"{rule.kind} {rule.stage}"] = max([0, *missing])
    found["motion.charter"] = _charter_short(charter, there)
    found["third"] = max(0, 3 * len(suspended) - len(there))
    voting = {role for rule in charter.rules for role in rule.electorate}
    for one in members.values():
        found[f"auditor {one.id}"] = int(
            one.status in ("active", "suspended") and "auditor" in one.roles and bool(voting.intersection(one.roles))
        )
    return found


def _may(member: Member, roles: list[str]) -> bool:
    return any(role in ("member", "lead", "party") or role in member.roles for role in roles)


def _short(rule: Rule, there: list[Member], without: set[str]) -> int:
    if rule.threshold is None:
        return 0
    size = 0
    for one in there:
        if one.id in without or not _may(one, list(rule.electorate)):
            continue
        if rule.veto is not None and _may(one, list(rule.veto.by)):
            continue
        size += 1
    return max(0, needed(rule, rule.kind, size) - size)


def _charter_short(charter: Charter, there: list[Member]) -> int:
    rule = match(charter, "motion.charter", "none")
    if rule is None or rule.threshold is None or not any(_may(one, list(rule.issuers)) for one in there):
        return 0
    electors = [one for one in there if _may(one, list(rule.electorate))]
    n = len(electors)
    missing = max((n - 1) // 3 if n else 0, sum(1 for one in electors if one.status == "suspended"))
    return max(0, needed(rule, "motion.charter", n) - (n - missing))


def worse(before: dict[str, int], after: dict[str, int]) -> bool:
    """Whether one fails that held before, or fails by more (spec F6)."""
    return any(amount > before.get(name, 0) for name, amount in after.items())
