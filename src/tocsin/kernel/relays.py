"""Between networks: what a relay act brings, and what is made of each leaf (spec 11)."""

from typing import NamedTuple

import msgspec

from tocsin.kernel import annotations, messages
from tocsin.kernel.acts import Finding as FindingTerms
from tocsin.kernel.acts import (
    NoteTerms,
    Order,
    OutcomeTerms,
    ReceiptsTerms,
    RelayAct,
    RelayedLeaf,
    Revoke,
    Subject,
    Terms,
)
from tocsin.kernel.acts import Review as ReviewTerms
from tocsin.kernel.arrivals import advanced, well_formed
from tocsin.kernel.charter_check import required
from tocsin.kernel.digest import relayed_id
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import electorate, may_issue
from tocsin.kernel.findings import PASSED_ON
from tocsin.kernel.genesis import Check
from tocsin.kernel.incidents import key_of
from tocsin.kernel.leaves import (
    Annotated,
    AnyLeaf,
    Final,
    FindingLeaf,
    Opened,
    OrderReceipts,
    Original,
    Recorded,
    Relayed,
    RosterLeaf,
    Source,
)
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_INCIDENT, OLD_MESSAGE, ORIGINAL, Message, Peer, original_key
from tocsin.kernel.state import State
from tocsin.kernel.statements import Statement, cosigners_of_peer, read_statement, signed_by_log
from tocsin.kernel.submit import DAY_MS, check_subject
from tocsin.kernel.tokens import WEEK_MS
from tocsin.kernel.words import MAX_HOPS, Status
from tocsin.tlog import cosignature, merkle, note

decode_leaf = msgspec.json.Decoder(AnyLeaf).decode
"""Decode a leaf; raises msgspec errors."""


def _statement(state: State, act: RelayAct) -> tuple[Statement, list[Check]] | None:
    peer = state.peers.get(act.peer)
    if peer is None:
        return None
    statement = read_statement(act.checkpoint, act.peer, cosigners_of_peer(peer))
    if statement is None:
        return None
    own = signed_by_log(statement, peer.entry.log_key)
    return None if own is None else (statement, own)


def checks(state: State, act: RelayAct) -> list[Check]:
    """The signatures to verify: the log's own, then the pinned members' cosignatures."""
    found = _statement(state, act)
    if found is None:
        return []
    statement, own = found
    return own + [Check(line.key, line.message, line.signature) for line in statement.lines]


def reads(draft: Draft, act: RelayAct) -> list[str]:
    """Archive keys that the leaves of a relay may need."""
    keys: list[str] = []
    for one in act.leaves:
        leaf = _read_leaf(one)
        about = _about(leaf)
        if about is not None:
            keys += [original_key(about.genesis, about.id, share) for share in (False, True)]
            for local in draft.local_ids(about.genesis, about.id):
                keys += [OLD_MESSAGE + local, *_incidents(draft, local)]
        elif isinstance(leaf, Final | Opened | Relayed | OrderReceipts):
            source = leaf.source
            peer = draft.peer(act.peer)
            if source is not None and source.sender == draft.meta.genesis:
                keys.append(OLD_MESSAGE + source.sender_id)
                keys += _incidents(draft, source.sender_id)
            elif peer is not None and isinstance(leaf, Final | Opened):
                original = _original(peer, leaf)
                keys.append(original_key(original.genesis, original.id, _is_share(leaf.kind)))
                ended = leaf.terms.order if isinstance(leaf.terms, Revoke) else None
                ended = leaf.terms.replaces if isinstance(leaf.terms, Order) else ended
                keys += [] if ended is None else [original_key(original.genesis, ended)]
    return keys


def _incidents(draft: Draft, message: str) -> list[str]:
    known = draft.any_message(message)
    named = [] if known is None else [known.incident, known.joins]
    return [OLD_INCIDENT + one for one in named if one not in (None, "new")]


def _about(leaf: AnyLeaf | None) -> Original | None:
    """The record that a statement is about."""
    if isinstance(leaf, Annotated | FindingLeaf):
        return leaf.original
    passed = isinstance(leaf, Recorded) and leaf.kind in PASSED_ON and leaf.source is not None
    return leaf.source.original if passed else None  # type: ignore[union-attr]


def _is_share(kind: str) -> bool:
    return kind.removeprefix("relayed.").startswith("share.")


def _read_leaf(one: RelayedLeaf) -> AnyLeaf | None:
    try:
        leaf: AnyLeaf = decode_leaf(one.leaf.encode())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return leaf


def _original(peer: Peer, leaf: Final | Opened) -> Original:
    return Original(peer.entry.genesis, leaf.id) if leaf.source is None else leaf.source.original


def relay(draft: Draft, author: str, act: RelayAct, verdicts: list[bool], act_digest: str, envelope: str) -> Reason:
    """Accept a relay if all its proofs hold; then each leaf is taken, or refused with a code (spec 11)."""
    peer = draft.peer(act.peer)
    if peer is None or act.peer not in draft.state.peers:
        return Reason.UNKNOWN_PEER
    if peer.state == "frozen":
        return Reason.PEER_FROZEN
    found = _statement(draft.state, act)
    if found is None:
        return Reason.BAD_CHECKPOINT
    statement, own = found
    # A known key with a signature that fails spoils the whole note; so does a missing log line.
    if not all(verdicts):
        return Reason.BAD_CHECKPOINT
    cosigned = cosignature.count(statement.lines, verdicts[len(own) :])
    # By the roster of the block's start, whose keys `checks` named.
    if len(cosigned) < finality(sum(1 for one in draft.state.peers[act.peer].entry.roster if one.active)):
        return Reason.NOT_FINAL_CHECKPOINT
    if peer.entry.epoch != draft.state.peers[act.peer].entry.epoch:
        # A relay before this one brought the next roster; what comes now is under keys that nobody verified (11.2).
        return Reason.NOT_FINAL_CHECKPOINT
    head = statement.checkpoint
    reason = _check_extends(peer, act, statement)
    if reason:
        return reason
    roster: RosterLeaf | None = None
    if act.roster is not None:
        leaf = _read_leaf(act.roster)
        if not _included(act.roster, statement):
            return Reason.BAD_INCLUSION
        if not isinstance(leaf, RosterLeaf) or act.roster.index != head.size - 2 or leaf.epoch != peer.entry.epoch + 1:
            return Reason.BAD_ROSTER
        roster = leaf
    taken: list[tuple[AnyLeaf, int]] = []
    for place, one in enumerate(act.leaves):
        if not _included(one, statement):
            return Reason.BAD_INCLUSION
        read = _read_leaf(one)
        if read is None:
            return Reason.BAD_LEAF
        number = _number(draft, read)
        if number is None:
            return Reason.NOT_FOR_US
        if number != peer.next_in + place:
            return Reason.WRONG_NUMBER
        taken.append((read, number))
    if not taken and roster is None and head.size == peer.entry.size:
        return Reason.NOTHING_TO_RELAY
    entry = advanced(peer.entry, head, roster)
    if entry is None:
        return Reason.BAD_CHECKPOINT if roster is None else Reason.BAD_ROSTER
    draft.edit("peer", act.peer).entry = entry
    for read, number in taken:
        draft.edit("peer", act.peer).next_in = number + 1
        _take(draft, author, act.peer, read, number, act_digest, envelope)
    return Reason.ACCEPTED


def _check_extends(peer: Peer, act: RelayAct, statement: Statement) -> Reason:
    entry, head = peer.entry, statement.checkpoint
    if head.size < entry.size:
        return Reason.CHECKPOINT_BEHIND
    try:
        proof = [note.decode_base64(text) for text in act.consistency]
    except ValueError:
        return Reason.BAD_CONSISTENCY
    root = bytes.fromhex(entry.root)
    if entry.size == 0:
        return Reason.BAD_CONSISTENCY if proof else Reason.ACCEPTED
    if not merkle.verify_consistency(entry.size, head.size, root, head.root, proof):
        return Reason.BAD_CONSISTENCY
    return Reason.ACCEPTED


def _included(one: RelayedLeaf, statement: Statement) -> bool:
    try:
        proof = [note.decode_base64(text) for text in one.proof]
    except ValueError:
        return False
    leaf = merkle.leaf_hash(one.leaf.encode())
    head = statement.checkpoint
    return merkle.verify_inclusion(one.index, head.size, leaf, proof, head.root)


def _number(draft: Draft, leaf: AnyLeaf) -> int | None:
    for origin, number in getattr(leaf, "to", ()):
        if origin == draft.meta.origin:
            return int(number)
    return None


class _Incoming(NamedTuple):
    """A message to be made of a leaf."""

    kind: str
    status: Status
    subject: Subject | None
    terms: Terms | None
    body: str | None
    source: Source
    answered: bool
    refused: Reason = Reason.ACCEPTED


def _take(draft: Draft, carrier: str, origin: str, leaf: AnyLeaf, number: int, act: str, envelope: str) -> None:
    """One leaf: its `relayed` leaf, and with code 0 the message made of it."""
    peer: Peer = draft.peer(origin)  # type: ignore[assignment]
    incoming = _incoming(draft, peer, leaf, number)
    if not isinstance(incoming, Reason) and not well_formed(*incoming[:6]):
        incoming = Reason.BAD_LEAF
    if isinstance(incoming, Reason):
        code, source, answered = incoming, None, False
    else:
        code, source, answered = _refuse(draft, carrier, peer, leaf, incoming), incoming.source, incoming.answered
    name = relayed_id(draft.meta.genesis, peer.entry.genesis, number) if code == 0 else None
    to = [draft.send(origin, name or "", answered=False)] if code and answered else []
    draft.leaf(
        Relayed(origin, peer.entry.genesis, number, int(code), name, source, carrier, draft.at, act, envelope, to)
    )
    if isinstance(incoming, Reason) or name is None:
        return
    if answered:
        original = incoming.source.original
        key = original_key(original.genesis, original.id, _is_share(incoming.kind))
        draft.archive[key] = draft.original_row(name)
    if incoming.kind.startswith("relayed.report."):
        row: Peer = draft.edit("peer", origin)
        row.reports = [one for one in row.reports if one > draft.at - WEEK_MS] + [draft.at]
    joins, stage, index = _place(draft, incoming)
    if index is not None:
        messages.open_message(
            draft, id=name, kind=incoming.kind, author=origin, status=incoming.status, named=None, joins=joins,
            subject=incoming.subject, terms=incoming.terms, body=incoming.body, source=incoming.source,
            rule_index=index, stage=stage, act=act, envelope=envelope,
        )  # fmt: skip


def _place(draft: Draft, incoming: _Incoming) -> tuple[str | None, str, int | None]:
    joins = None
    if incoming.subject is not None and messages.is_report(incoming.kind):
        key = key_of(draft.charter, incoming.subject.category, incoming.subject.areas, incoming.source)
        joins = messages.joins_at_opening(draft, incoming.kind, None, incoming.status, key)
    incident = draft.incident(joins)
    stage = "none" if incident is None else incident.stage
    return joins, stage, draft.charter.match(incoming.kind, stage)


def _incoming(draft: Draft, peer: Peer, leaf: AnyLeaf, number: int) -> _Incoming | Reason:
    """What a leaf becomes here, by its type and whether it answers what we sent (spec 11)."""
    genesis = peer.entry.genesis
    if isinstance(leaf, Final | Relayed | OrderReceipts) and leaf.source is not None:
        if leaf.source.sender == draft.meta.genesis:
            return _answer(draft, peer, leaf, number)
        if not isinstance(leaf, Final):
            return Reason.BAD_LEAF
    if isinstance(leaf, Annotated | FindingLeaf):
        return _statement_on(draft, peer, leaf, number)
    if isinstance(leaf, Recorded) and leaf.kind in PASSED_ON:
        return _passed_on(draft, peer, leaf, number)
    if isinstance(leaf, Opened | Recorded):
        path = [genesis] if leaf.source is None else [*leaf.source.path, genesis]
        ballots = leaf.ballots if isinstance(leaf, Recorded) else []
        endorsers = sum(1 for one in ballots if one.verdict == "endorse" and not one.late)
        if leaf.source is not None:
            endorsers = leaf.source.endorsers
        source = Source(path, _original(peer, leaf), genesis, leaf.id, number, endorsers)
        if isinstance(leaf, Opened):
            if peer.entry.relation != "child":
                return Reason.WRONG_RELATION
            return _Incoming("relayed.signal", leaf.status, leaf.subject, None, leaf.body, source, False)
        own = leaf.kind.removeprefix("relayed.")
        wanted = {"report": "child", "order": "parent"}.get(own.partition(".")[0])
        if own.partition(".")[0] not in ("report", "order", "share"):
            return Reason.BAD_LEAF
        wrong = wanted is not None and peer.entry.relation != wanted
        refused = Reason.WRONG_RELATION if wrong else Reason.ACCEPTED
        return _Incoming("relayed." + own, leaf.status, leaf.subject, leaf.terms, leaf.body, source, True, refused)
    return Reason.BAD_LEAF


def _answer(draft: Draft, peer: Peer, leaf: Final | Relayed | OrderReceipts, number: int) -> _Incoming | Reason:
    genesis, source = peer.entry.genesis, leaf.source
    known = None if source is None else draft.any_message(source.sender_id)
    if known is None or peer.origin not in (origin for origin, _ in known.went):
        return Reason.NOTHING_KNOWN
    here = Source([genesis], Original(draft.meta.genesis, known.id), genesis, _id_of(leaf), number, 0)
    if isinstance(leaf, OrderReceipts):
        done = sum(1 for one in leaf.answers if one.answer == "done")
        cannot = sum(1 for one in leaf.answers if one.answer == "cannot")
        receipts = ReceiptsTerms(known.id, len(leaf.answers), done, cannot)
        return _Incoming("relayed.receipts", known.status, None, receipts, None, here, False)
    if isinstance(leaf, Relayed):
        outcome = OutcomeTerms(known.id, "refused", leaf.code)
    else:
        outcome = OutcomeTerms(known.id, _STATE[type(leaf).__name__], 0)
    return _Incoming("relayed.outcome", known.status, None, outcome, None, here, False)


_STATE = {
    name: name.lower() for name in ("Recorded", "Rejected", "Vetoed", "Lapsed", "Withdrawn", "Void")
}


def _id_of(leaf: Final | Relayed | OrderReceipts) -> str:
    if isinstance(leaf, OrderReceipts):
        return leaf.order
    return leaf.id or (leaf.source.sender_id if leaf.source is not None else "")


def _shared(draft: Draft, peer: Peer, original: Original) -> Message | None:
    """Our copy of what this peer speaks of: one that came from there or went there (spec 11.1)."""
    for local in draft.local_ids(original.genesis, original.id):
        known = draft.any_message(local)
        if known is None:
            continue
        came = known.source is not None and known.source.sender == peer.entry.genesis
        if came or peer.origin in (origin for origin, _ in known.went):
            return known
    return None


def _statement_on(draft: Draft, peer: Peer, leaf: Annotated | FindingLeaf, number: int) -> _Incoming | Reason:
    """What the peer's own members said, or what its finding is."""
    known = _shared(draft, peer, leaf.original)
    if known is None:
        return Reason.NOTHING_KNOWN
    genesis = peer.entry.genesis
    here = Source([genesis], leaf.original, genesis, leaf.id, number, 0)
    if isinstance(leaf, Annotated):
        said = NoteTerms(known.id, leaf.note, leaf.by)
        return _Incoming("relayed.annotated", known.status, None, said, leaf.body, here, False)
    found: Terms = FindingTerms(known.id, leaf.verdict, leaf.evidence_class, leaf.evidence)
    if leaf.review and known.finding is not None:
        found = ReviewTerms(known.finding, known.id, leaf.verdict, leaf.evidence_class, leaf.evidence)
    return _Incoming("relayed.finding", known.status, None, found, None, here, False)


def _passed_on(draft: Draft, peer: Peer, leaf: Recorded, number: int) -> _Incoming | Reason:
    """What others said, over the peer: its record of it, with the path on which it came there (spec 5.6, 9.1)."""
    terms, before = leaf.terms, leaf.source
    if before is None:
        return Reason.BAD_LEAF
    known = _shared(draft, peer, before.original)
    if known is None:
        return Reason.NOTHING_KNOWN
    path = [*before.path, peer.entry.genesis]
    here = Source(path, before.original, peer.entry.genesis, leaf.id, number, 0)
    said: Terms
    if leaf.kind == "relayed.annotated" and isinstance(terms, NoteTerms):
        said = NoteTerms(known.id, terms.note, terms.by)
    elif leaf.kind == "relayed.finding" and isinstance(terms, FindingTerms | ReviewTerms):
        said = FindingTerms(known.id, terms.verdict, terms.evidence_class, terms.evidence)
    else:
        return Reason.BAD_LEAF
    return _Incoming(leaf.kind, known.status, None, said, leaf.body, here, False)


def _refuse(draft: Draft, carrier: str, peer: Peer, leaf: AnyLeaf, incoming: _Incoming) -> Reason:
    """Dedupe, hops, quota, rule: the code of the `relayed` leaf (spec 11)."""
    source = incoming.source
    if incoming.refused:
        return incoming.refused
    if draft.meta.genesis in source.path:
        return Reason.LOOP
    if len(source.path) > MAX_HOPS:
        return Reason.TOO_MANY_HOPS
    if incoming.answered:
        key = original_key(source.original.genesis, source.original.id, _is_share(incoming.kind))
        if draft.old(ORIGINAL, key.removeprefix(ORIGINAL)) is not None:
            return Reason.DUPLICATE
    if isinstance(incoming.terms, Order):
        latest = draft.at + draft.charter.times.order_s * 1000 + DAY_MS
        if not incoming.terms.due <= incoming.terms.expires <= latest:
            return Reason.BAD_TIMES
    if isinstance(incoming.terms, NoteTerms):
        reason = annotations.said_before(draft, peer.origin, source, incoming.terms)
        if reason:
            return reason
    quota = peer.entry.quota
    if incoming.kind.startswith("relayed.report."):
        if any(one in source.path for one in _other_children(draft, peer)):
            return Reason.WRONG_RELATION
        if source.endorsers < quota.min_endorsers:
            return Reason.TOO_FEW_ENDORSERS
        if getattr(leaf, "at", 0) + quota.max_age_s * 1000 < draft.at:
            return Reason.TOO_OLD
        if len([one for one in peer.reports if one > draft.at - WEEK_MS]) >= quota.per_week:
            return Reason.PEER_QUOTA
        if incoming.subject is None:
            return Reason.SUBJECT_MISSING
        reason = check_subject(draft.charter, incoming.kind, incoming.subject, draft.at)
        if reason:
            return reason
    joins, _, index = _place(draft, incoming)
    if index is None:
        return Reason.NO_RULE
    rule = draft.charter.rules[index]
    if not may_issue(draft, rule, carrier, draft.incident(joins), None):
        return Reason.NOT_AN_ISSUER
    if rule.threshold is not None and not rule.signal:
        voters = electorate(draft, rule, incoming.kind, peer.origin, source, None, draft.incident(joins))
        if required(rule, incoming.kind, voters.size, voters.asleep) > voters.size:
            return Reason.CANNOT_PASS
    return Reason.ACCEPTED


def _other_children(draft: Draft, peer: Peer) -> list[str]:
    """Genesis of our other children: they have one parent, so nothing of theirs comes over this one (spec 11.3)."""
    others = [one for origin in draft.names("peer") if (one := draft.peer(origin)) is not None]
    return [one.entry.genesis for one in others if one.entry.relation == "child" and one.origin != peer.origin]
