"""The life of a message: opening, tally, ends, and what each record does (spec 7, spec 8, spec 9)."""

from copy import deepcopy
from typing import Any

from tests.oracle import law
from tests.oracle.book import (
    ABOUT_INCIDENT,
    CONSTITUTION,
    Book,
    Incident,
    Message,
    Order,
    Remark,
    Sent,
    Verdict,
    Vote,
)
from tests.oracle.motions import amend, stands_for_incident
from tocsin.kernel.charter import Rule
from tocsin.kernel.digest import incident_id

ANSWERED = ("relayed.report.", "relayed.share.", "relayed.order.")
"""Kinds whose sender is told what became of them (spec 11)."""


def open_message(book: Book, **given: Any) -> Message:
    """Number a message and freeze what is frozen at opening; its `opened` leaf unless a broadcast (spec 7)."""
    rule: Rule = given["rule"]
    at = book.at
    ballots = rule.threshold is not None
    message = Message(
        number=book.take_number(),
        charter=book.charter,
        opened=at,
        notice=at + rule.notice_s * 1000 if rule.notice_s and rule.model != "broadcast" else None,
        vote_ends=at + rule.window_s * 1000 if ballots and rule.model != "broadcast" else None,
        **given,
    )
    book.messages.append(message)
    if rule.model != "broadcast":
        leaf = book.emit(
            "opened", id=message.id, number=message.number, kind=message.kind, author=message.author,
            status=message.status, incident=message.incident, joins=message.joins, stage=message.stage,
            electorate=sorted(message.electorate), size=message.size, need=message.need,
            eligible=sorted(message.eligible), at=at, notice=message.notice, ends=message.vote_ends, to=[],
        )
        parent = book.parent()
        if message.is_report and rule.signal and parent is not None:
            leaf["to"] = send(book, message, [parent], wait=False)
    if message.motion is not None and message.author in message.electorate:
        message.votes.append(Vote(message.author, "endorse", None, at, book.height, book.epoch, ""))
    return message


def send(book: Book, message: Message, destinations: list[str], wait: bool) -> list[list[Any]]:
    """Number what goes out, per destination (spec 11)."""
    to: list[list[Any]] = []
    for origin in sorted(set(destinations)):
        if origin not in book.peers:
            continue
        number = book.next_out.get(origin, 1)
        book.next_out[origin] = number + 1
        to.append([origin, number])
        if wait:
            due = book.at + book.charter.times.receipt_s * 1000
            book.sent.append(Sent(origin, number, message.id, book.at, due, book.take_number()))
    return to


def tally(book: Book, message: Message, at_deadline: bool = False) -> None:
    """Decide a message if it can be decided (spec 6.2, spec 6.4, spec F5, spec F7)."""
    if message.state == "endorsed":
        if _all_concurred(book, message):
            record(book, message)
        return
    if message.state != "open" or (message.notice is not None and book.at < message.notice):
        return
    endorse = [v for v in message.votes if v.verdict == "endorse"]
    reject = [v for v in message.votes if v.verdict == "reject"]
    voted = [v.member for v in message.votes]
    unjudged = [name for name in message.electorate if name not in voted]
    hopeless = message.need > message.size
    if not hopeless and len(endorse) >= message.need:
        if at_deadline:
            message.vote_ends = None
        if not book.must_wait(message):
            _pass(book, message)
    elif at_deadline or len(endorse) + len(unjudged) < message.need:
        if at_deadline:
            missed(book, message)
        too_many = not hopeless and message.size - len(reject) < message.need
        end(book, message, "rejected" if too_many else "lapsed")


def missed(book: Book, message: Message) -> None:
    voted = [v.member for v in message.votes]
    for name in message.electorate:
        if name not in voted:
            book.missed.append((book.moment(), name))


def _pass(book: Book, message: Message) -> None:
    if message.rule.model == "supervise" and message.eligible:
        message.state = "endorsed"
        message.decided_block = book.height
        assert message.rule.veto is not None
        message.veto_ends = book.at + message.rule.veto.window_s * 1000
        if _all_concurred(book, message):
            record(book, message)
    else:
        record(book, message)


def _all_concurred(book: Book, message: Message) -> bool:
    """At least one has concurred, and all others are suspended, gone or now lead (spec F7)."""
    others = [name for name in message.eligible if name not in message.concurred]
    idle = [name for name in others if not book.still_active(name) or law.lead_now(book, message, name)]
    return bool(message.concurred) and len(idle) == len(others)


def end(book: Book, message: Message, state: str, by: str | None = None, code: str | None = None) -> dict[str, Any]:
    """One final leaf (spec 7), the outcome to who sent it, and the token back if it may (spec F20)."""
    message.state = state
    message.by, message.code = by, code
    message.final_at = book.at
    if message.decided_block is None:
        message.decided_block = book.height
    joined = message.joins if state == "recorded" and message.is_report else message.incident
    leaf = book.emit(
        state, id=message.id, kind=message.kind, author=message.author, status=message.status, incident=joined,
        stage=message.stage, electorate=sorted(message.electorate), size=message.size, need=message.need,
        ballots=sorted([v.member, v.verdict, v.code, message.late(v), v.epoch] for v in message.votes),
        opened=message.opened, at=book.at, to=[],
    )
    if by is not None:
        leaf["by"], leaf["code"] = by, code
    leaf["to"] = _final_destinations(book, message)
    _return_token(book, message)
    return leaf


def _return_token(book: Book, message: Message) -> None:
    if message.token != "spent":
        return
    ballotless = message.rule.threshold is None
    counted = len(message.counted("endorse"))
    if ballotless:
        return
    if message.state == "recorded" or counted >= message.charter.tokens.return_at:
        give_token(book, message)


def give_token(book: Book, message: Message) -> None:
    if message.token == "spent":
        message.token = "returned"
        book.tokens[message.author].append(book.token_drop(1))


def _final_destinations(book: Book, message: Message) -> list[list[Any]]:
    """Where a final leaf goes, and under which numbers (spec 11)."""
    back: list[str] = []
    on: list[str] = []
    kind = message.kind
    if message.peer is not None and kind.startswith(ANSWERED):
        back.append(message.peer)
    if message.state == "recorded":
        if message.is_report and message.rule.escalate:
            parent = book.parent()
            if parent is not None and may_escalate(book, message):
                on.append(parent)
        if kind.startswith("share."):
            on.append(message.terms.peer)
        if kind == "order.revoke":
            original = book.message(message.terms.order)
            on.extend(original.went if original is not None else [])
        elif kind.startswith("order."):
            on.extend(
                origin
                for origin, peer in book.peers.items()
                if peer.entry.relation == "child" and peer.entry.represented_by in message.terms.to
            )
    if kind in ("relayed.annotated", "relayed.finding") and message.state == "recorded":
        # What a peer told goes on to wherever our copy went; a finding that counts here goes as ours (spec 11.1).
        target = book.message(message.terms["target"])
        assert target is not None
        if kind == "relayed.finding" and finding_counts(book, message) is not None:
            return []
        return send(book, target, [one for one in target.sent_to() if one != message.peer], wait=False)
    on = sorted({one for one in on if one in book.peers})
    to: list[list[Any]] = []
    for origin in sorted({*back, *on}):
        to.extend(send(book, message, [origin], wait=origin in on))
    message.went.extend(on)
    message.told = [one for one in back if one in book.peers]
    return to


def may_escalate(book: Book, message: Message) -> bool:
    """One relayed report an incident; again only after a bad outcome and the retry time (spec 11)."""
    incident = book.incident(message.joins)
    if incident is None:
        return True
    if incident.up is None:
        allowed = True
    else:
        up = incident.up
        allowed = (
            up["outcome"] is not None
            and up["outcome"] != "recorded"
            and book.at - up["answered"] >= book.charter.times.retry_s * 1000
        )
    if allowed:
        incident.up = {"message": message.id, "at": book.at, "outcome": None, "answered": None}
    return allowed


def record(book: Book, message: Message) -> None:
    """A message has passed: its leaf, then its effects, then what they make void (spec 7, spec 8)."""
    if message.motion in CONSTITUTION and not _constitution_passes(book, message):
        end(book, message, "void")
        return
    if message.quiet_leaf:
        message.state = "recorded"
        message.decided_block = book.height
        message.final_at = book.at
    elif message.is_report:
        _record_report(book, message)
    else:
        end(book, message, "recorded")
    if message.motion in ABOUT_INCIDENT:
        incident = book.incident(message.joins)
        assert incident is not None
        _touch(book, incident)
        stands_for_incident(book, message, incident)
    elif message.motion in CONSTITUTION:
        amend(book, message)
        vacate(book, message.id)
    elif message.kind.startswith(("order.", "relayed.order.")):
        _order(book, message)
    elif message.kind in ("finding", "finding.review"):
        terms = message.terms
        target = book.message(terms.target)
        assert target is not None
        review = message.kind == "finding.review"
        conclude(book, target, message.id, terms.verdict, message.author, review, review, None)
    elif message.kind == "relayed.finding":
        _relayed_finding(book, message)
    elif message.kind == "relayed.annotated":
        note, who = message.terms["said"]
        target = book.message(message.terms["target"])
        assert target is not None
        target.remarks.append(Remark(note, who, book.at, book.height))
    void_unfounded(book)


def _touch(book: Book, incident: Incident) -> None:
    incident.last_record = book.at


def _record_report(book: Book, message: Message) -> None:
    """Joining is decided when a report is recorded (spec 8, spec F11)."""
    incident: Incident | None = None
    subject = message.subject
    key = law.key_of(book.charter, subject, message.peer)
    if message.incident not in (None, "new"):
        named = book.end_of(message.incident)
        incident = named if named is not None and not named.closed else None
    if incident is None and message.incident != "new":
        fitting = [i for i in book.incidents if not i.closed and i.status == message.status and i.key == key]
        incident = min(fitting, key=lambda i: i.number) if fitting else None
    opens = incident is None and message.rule.opens_incident
    if opens:
        incident = Incident(
            incident_id(message.id), book.take_number(), message.status, key, book.charter.stages.names[0],
            subject.category, subject.severity, list(subject.areas),
        )
        book.incidents.append(incident)
    message.joins = incident.id if incident is not None else None
    if incident is not None:
        _touch(book, incident)
    end(book, message, "recorded")
    if opens:
        assert incident is not None
        incident_leaf(book, incident, "opened", message.id)


def incident_leaf(book: Book, incident: Incident, change: str, cause: str | None) -> None:
    book.emit(
        "incident", id=incident.id, at=book.at, change=change, status=incident.status, stage=incident.stage,
        lead=incident.lead, lead_until=incident.lead_until, category=incident.category, severity=incident.severity,
        areas=list(incident.areas), duplicate_of=incident.duplicate_of,
    )


def _constitution_passes(book: Book, message: Message) -> bool:
    """Try the effect on a copy of the next version (spec 6.6, spec F6)."""
    if message.motion == "upgrade":
        return law.base_holds(book, message)
    if message.motion in ("suspend", "expel", "rekey") and not book.signs_without(message.terms.member):
        return False
    before = law.failures(book.next_charter, book.next_members, book.next_peers)
    kept = (book.next_charter, deepcopy(book.next_members), deepcopy(book.next_peers))
    counters = (book.counter, book.roster_changed, list(book.peer_leaves), dict(book.owners))
    lists = (list(book.awake), book.moments, dict(book.admitted), dict(book.tokens))
    amend(book, message)
    after = law.failures(book.next_charter, book.next_members, book.next_peers)
    book.next_charter, book.next_members, book.next_peers = kept
    book.counter, book.roster_changed, book.peer_leaves, book.owners = counters
    book.awake, book.moments, book.admitted, book.tokens = lists
    return not law.worse(before, after)


def vacate(book: Book, cause: str | None) -> None:
    """The lead falls vacant when no longer active (spec 8, spec F13)."""
    for incident in sorted(book.incidents, key=lambda i: i.number):
        if not incident.closed and incident.lead is not None and not book.still_active(incident.lead):
            incident.lead, incident.lead_until = None, None
            incident_leaf(book, incident, "lead", cause)


def void_unfounded(book: Book) -> None:
    """After every effect: the open and endorsed ones whose base no longer holds (spec 8)."""
    for message in sorted(book.messages, key=lambda m: m.number):
        if message.live and not law.base_holds(book, message):
            end(book, message, "void")


def _order(book: Book, message: Message) -> None:
    terms = message.terms
    if message.peer is None and message.incident is not None:
        incident = book.end_of(message.incident)
        if incident is not None:
            _touch(book, incident)
    if message.kind.removeprefix("relayed.") == "order.revoke":
        _stop(book, message, terms.order)
        return
    if terms.replaces is not None:
        _stop(book, message, terms.replaces)
    to = list(terms.to)
    if message.peer is not None:
        to = [name for name, member in sorted(book.next_members.items()) if member.status == "active"]
        if terms.expires <= book.at:
            return
    book.orders.append(
        Order(
            message.id, message.number, message.author, message.incident, to, terms.due, terms.expires, message.source
        )
    )


def _stop(book: Book, message: Message, name: str) -> None:
    if message.peer is not None:
        assert message.source is not None
        name = book.originals.get((message.source["original"]["genesis"], name), name)
    order = book.order(name)
    if order is not None:
        order.over = True


# Findings (spec 9).


def conclude(
    book: Book, target: Message, name: str, verdict: str, by: str, review: bool, replaces: bool, came_from: str | None
) -> None:
    """A finding becomes the target's; settlement in the same block, reversals first."""
    old = target.findings[-1] if target.findings else None
    reversed_posts = [(m, p, -a) for m, p, a in old.posts] if old is not None else []
    annulled = list(old.stains) if old is not None else []
    posts: list[tuple[str, str, int]] = []
    stains: list[tuple[str, str]] = []
    target.findings.append(Verdict(name, verdict, by, book.height, review, came_from is None))
    rule, charter = target.rule, target.charter
    excused = _excused(book, target)
    author = book.author_here(target)
    everyone = [(author, "author")] if author is not None else []
    everyone += [(one, "endorser") for one in sorted(target.counted("endorse"))]
    takers = [(member, part) for member, part in everyone if member not in excused]
    if target.status == "actual":
        if verdict == "upheld" and target.state == "recorded":
            reward = charter.reward(rule.reward)
            for member, part in takers if reward is not None else []:
                assert reward is not None
                amount = reward.author if part == "author" else reward.endorser
                if amount:
                    posts.append((member, part, amount))
        if verdict == "refuted" and target.state == "recorded" and charter.stains.refuted:
            stains.extend(takers)
        if verdict == "upheld" and target.state == "vetoed":
            assert target.by is not None
            stains.append((target.by, "vetoer"))
    if verdict == "upheld":
        give_token_when_upheld(book, target)
    target.findings[-1].posts, target.findings[-1].stains = posts, stains
    leaf = book.emit(
        "finding", id=name, target=target.id, verdict=verdict, review=replaces, counts=True,
        overturned=target.state == "vetoed" and verdict == "upheld", at=book.at, to=[],
    )
    leaf["to"] = send(book, target, [one for one in target.sent_to() if one != came_from], wait=False)
    if reversed_posts or posts or stains or annulled:
        book.emit(
            "settled", target=target.id, finding=name, at=book.at,
            posts=[list(one) for one in [*reversed_posts, *posts]],
            stains=sorted(list(one) for one in stains), annulled=sorted(list(one) for one in annulled),
        )
    for member, _part, amount in [*reversed_posts, *posts]:
        book.posts.append((member, amount))
    book.stains = [
        (m, p, r, f, stands and not (r == target.id and old is not None and f == old.id))
        for m, p, r, f, stands in book.stains
    ]
    for member, part in stains:
        book.stains.append((member, part, target.id, name, True))


def give_token_when_upheld(book: Book, target: Message) -> None:
    if target.rule.threshold is None:
        give_token(book, target)


def _excused(book: Book, target: Message) -> set[str]:
    """Who took it back in time (spec 9, spec F10)."""
    grace = target.charter.stains.grace_s * 1000
    if not grace:
        return set()
    first = next((f.block for f in target.findings if f.verdict != "undetermined"), book.height)
    found: set[str] = set()
    for remark in target.remarks:
        if remark.block > first:
            continue
        if remark.note == "retract" and remark.at - target.opened <= grace:
            found.add(remark.by)
        if remark.note == "recant":
            vote = next(v for v in target.votes if v.member == remark.by)
            if remark.at - vote.at <= grace:
                found.add(remark.by)
    return found


def neutrals_short(book: Book, target: Message) -> bool:
    """Whether neutrals cannot reach need in a review (spec F9)."""
    incident = book.incident_of(target)
    stage = incident.stage if incident is not None and not incident.closed else "none"
    rule = law.match(book.charter, "finding.review", stage)
    if rule is None or rule.threshold is None:
        return True
    conflicted = book.parties(target) | {target.findings[-1].by}
    _, size, asleep = law.electorate(book, rule, "finding.review", "", incident, target, conflicted)
    return law.needed(rule, "finding.review", size, asleep) > size


def finding_counts(book: Book, message: Message) -> bool | None:
    """Whether a relayed finding becomes the target's, None for a note: true if it replaces one (spec 9.1, spec F9)."""
    terms = message.terms
    target = book.message(terms["target"])
    assert target is not None
    assert message.peer is not None
    peer = book.peers.get(message.peer)
    parent = peer is not None and peer.entry.relation == "parent" and terms["first_hand"]
    if not parent or target.live or any(one.review for one in target.findings):
        return None
    if law.finding_base(book, target):
        return False
    last = target.findings[-1]
    if last.by == message.peer:
        return True if terms["reviews"] == last.id else None
    return True if neutrals_short(book, target) else None


def _relayed_finding(book: Book, message: Message) -> None:
    """A parent's finding may count; a child's is a note (spec 9, spec F24)."""
    target = book.message(message.terms["target"])
    how = finding_counts(book, message)
    if how is not None:
        assert target is not None
        conclude(book, target, message.id, message.terms["verdict"], message.author, False, how, message.peer)
