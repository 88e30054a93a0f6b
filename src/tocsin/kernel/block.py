"""A block: deadlines, acts, tallies, roster, block leaf, in this order (spec 4).

`apply_block` is pure and total. It checks no signature and loads nothing: `checks` says which
signatures the node must verify and `reads` which archived rows it must load, both against the
state at the start of the block (spec 3.4).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from tocsin.kernel import (
    annotations,
    ballots,
    evidence,
    incidents,
    messages,
    motions,
    orders,
    relays,
    seals,
    standing,
    upgrade,
)
from tocsin.kernel.acts import (
    Acknowledge,
    Act,
    AdmitMotion,
    Annotate,
    CloseMotion,
    Concur,
    Erase,
    ErasedHere,
    Evidence,
    Finding,
    Join,
    Judge,
    Leave,
    Order,
    Present,
    Ready,
    RekeyMotion,
    RelayAct,
    Review,
    Revoke,
    Rotate,
    Seal,
    Share,
    Submit,
    VetoAct,
    Withdraw,
)
from tocsin.kernel.admission import refuse
from tocsin.kernel.archive import EMPTY, archived_writes
from tocsin.kernel.digest import envelopes_digest
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import Envelope, encode
from tocsin.kernel.genesis import PROTOCOL, Check, Genesis, admission_statement, rotation_statement
from tocsin.kernel.leaves import BlockLeaf, CharterLeaf, GenesisLeaf, Overdue, RosterLeaf
from tocsin.kernel.messages import shortfall
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_INCIDENT, OLD_MESSAGE, Member, Meta, Seen, UsedKey
from tocsin.kernel.state import Deadline, State, rows_digest
from tocsin.kernel.submit import submit

LATE_MS = 120_000
"""A vote or veto deadline reached later than this was missed by an outage (spec 4)."""

SNAPSHOT_EVERY = 1024
"""Each such changing block commits to the whole snapshot (spec 10)."""


class Block(NamedTuple):
    """Block time in ms, the envelopes in order, and the keys of validators that the engine caught voting twice at one
    height, in hex and its order (spec 8.6)."""

    at: int
    envelopes: Sequence[Envelope]
    caught: Sequence[str] = ()


class Outcome(NamedTuple):
    """What a block did.

    `receipts`: for each consumed envelope a reason per act, 0 = accepted. `dropped`: (position,
    reason) of envelopes that no block may hold. `leaves`: canonical bytes in log order. `writes`:
    (key, value or None) of the net changed rows, live and archived, sorted. `changes`: the live rows
    for `State.advance`.
    """

    height: int
    at: int
    changed: bool
    consumed: list[Envelope]
    receipts: list[list[int]]
    dropped: list[tuple[int, Reason]]
    leaves: list[bytes]
    writes: list[tuple[str, bytes | None]]
    changes: dict[str, dict[str, Any]]


def checks(state: State, envelopes: Sequence[Envelope]) -> list[list[Check]]:
    """For each envelope the signatures to verify, its own first."""
    result: list[list[Check]] = []
    for envelope in envelopes:
        found = [Check(bytes.fromhex(envelope.key), envelope.signed, envelope.signature)]
        for act in envelope.acts:
            if not isinstance(act, Judge):
                found += _checks_of(state, envelope.header.author, act)
        result.append(found)
    return result


_WITH_PROOFS = (AdmitMotion, RekeyMotion)


def _checks_of(state: State, author: str, act: Act) -> list[Check]:
    if isinstance(act, Submit):
        terms = act.terms
        if not isinstance(terms, _WITH_PROOFS):
            return []
        said = admission_statement(state.meta.genesis, terms.member, terms.keys, terms.expires)
        return [
            Check(bytes.fromhex(key), said, bytes.fromhex(proof))
            for key, proof in zip(terms.keys.all(), terms.proofs, strict=False)
        ]
    if isinstance(act, RelayAct):
        return relays.checks(state, act)
    if isinstance(act, Evidence):
        return evidence.checks(state, act)
    if isinstance(act, Seal):
        return seals.checks(state, act)
    if isinstance(act, Rotate):
        said = rotation_statement(state.meta.genesis, author, act.which, act.key)
        return [Check(bytes.fromhex(act.key), said, bytes.fromhex(act.proof))]
    return []


def reads(state: State, at: int, envelopes: Sequence[Envelope], rows: Mapping[str, bytes | None]) -> list[str]:
    """Archive keys still missing in `rows`; call again with them until none is left."""
    draft = Draft(state, at, rows)
    wanted: dict[str, None] = {}
    live = state.messages
    for envelope in envelopes:
        for act in envelope.acts:
            if isinstance(act, Judge):
                if act.message not in live:
                    wanted[OLD_MESSAGE + act.message] = None
            else:
                _reads_of(draft, act, wanted)
    for name in state.based:
        terms = live[name].terms
        if isinstance(terms, Review):
            wanted[OLD_MESSAGE + terms.target] = None
            _follow(draft, terms.target, wanted)
        elif isinstance(terms, CloseMotion) and terms.duplicate_of is not None:
            _redirects(draft, terms.duplicate_of, wanted)
    for incident in state.named.values():
        if incident not in state.incidents:
            _redirects(draft, incident, wanted)
    for name in list(wanted):
        if name.startswith(OLD_INCIDENT):
            _redirects(draft, name.removeprefix(OLD_INCIDENT), wanted)
    return [key for key in wanted if key not in rows]


_ABOUT_A_MESSAGE = (VetoAct, Concur, Withdraw, Annotate, Erase, ErasedHere)


def _reads_of(draft: Draft, act: Act, wanted: dict[str, None]) -> None:
    if isinstance(act, Submit):
        if act.incident not in (None, "new") and act.incident not in draft.state.incidents:
            wanted[OLD_INCIDENT + str(act.incident)] = None
        if act.terms is None:
            return
        if isinstance(act.terms, CloseMotion) and act.terms.duplicate_of is not None:
            _redirects(draft, act.terms.duplicate_of, wanted)
        if isinstance(act.terms, Finding | Review):
            wanted[OLD_MESSAGE + act.terms.target] = None
            _follow(draft, act.terms.target, wanted)
        if isinstance(act.terms, Share):
            wanted[OLD_MESSAGE + act.terms.record] = None
        if isinstance(act.terms, Order | Revoke):
            order = draft.order((act.terms.order if isinstance(act.terms, Revoke) else act.terms.replaces) or "")
            if order is not None and order.incident is not None:
                wanted[OLD_MESSAGE + order.id] = None
                _redirects(draft, order.incident, wanted)
    elif isinstance(act, _ABOUT_A_MESSAGE):
        if act.message not in draft.state.messages:
            wanted[OLD_MESSAGE + act.message] = None
    elif isinstance(act, Acknowledge):
        if act.order not in draft.state.orders:
            wanted[OLD_MESSAGE + act.order] = None
    elif isinstance(act, RelayAct):
        wanted.update(dict.fromkeys(relays.reads(draft, act)))
    elif isinstance(act, Evidence):
        wanted.update(dict.fromkeys(evidence.keys_of(draft.state, act)))


def _follow(draft: Draft, message: str, wanted: dict[str, None]) -> None:
    """The incident of an archived message, joined or taken at its opening, to the end of its redirects."""
    old = draft.old(OLD_MESSAGE, message)
    for name in () if old is None else (old.incident, old.joins):
        if name not in (None, "new"):
            _redirects(draft, name, wanted)


def _redirects(draft: Draft, name: str, wanted: dict[str, None]) -> None:
    for _ in range(64):
        if name in draft.state.incidents:
            return
        wanted[OLD_INCIDENT + name] = None
        row = draft.old(OLD_INCIDENT, name)
        if row is None or row.duplicate_of is None:
            return
        name = row.duplicate_of


def apply_block(
    state: State, block: Block, verdicts: Sequence[Sequence[bool]], rows: Mapping[str, bytes | None]
) -> Outcome:
    """Apply one block to a state that stays as it is (spec 4).

    `verdicts`: of the signatures in `checks`, same shape. `rows`: what `reads` asked for. Raises UnknownProtocol
    before a block whose rules this program does not have (spec 8.5).
    """
    upgrade.require_known(state)
    draft = Draft(state, max(block.at, state.meta.at), rows)
    reached = _deadlines(draft)
    for key in block.caught:
        evidence.catch(draft, key)
    in_block: dict[str, int] = {}
    dropped = refuse(draft, block.envelopes, verdicts, in_block)
    out = dict(dropped)
    consumed: list[Envelope] = []
    receipts: list[list[int]] = []
    for position, envelope in enumerate(block.envelopes):
        if position not in out:
            consumed.append(envelope)
            receipts.append(_acts(draft, envelope, verdicts[position]))
    if not reached and not consumed and not block.caught:
        return Outcome(state.meta.height + 1, draft.at, False, [], [], dropped, [], [], {})
    while draft.touched:
        touched, draft.touched = draft.touched, {}
        for name in sorted(touched, key=touched.__getitem__):
            messages.tally(draft, name)
    _close(draft)
    _seen(draft, in_block)
    return _outcome(draft, consumed, receipts, dropped)


def _deadlines(draft: Draft) -> bool:
    """Step 1: deadlines at or before T, those created on the way too."""
    draft.watch()
    reached = bool(draft.due)
    while (deadline := draft.next_due()) is not None:
        _reach(draft, deadline)
    return reached


def _reach(draft: Draft, deadline: Deadline) -> None:
    name = deadline.id
    if deadline.what in ("vote", "veto") and draft.at - deadline.at > LATE_MS and _move(draft, deadline):
        return
    if deadline.what == "notice":
        draft.edit_live(name).notice = None
        messages.tally(draft, name)
    elif deadline.what == "vote":
        message = draft.message(name)
        if message is not None and messages.has_passed(draft, message):
            # It has waited for a seal (spec 11.4), and does so beyond its vote.
            draft.edit_live(name).vote_ends = None
            messages.tally(draft, name)
        elif message is not None:
            messages.finish(draft, name, shortfall(message), at_vote_deadline=True)
    elif deadline.what == "veto":
        messages.finish(draft, name, "recorded")
    elif deadline.what == "due":
        orders.due(draft, name)
    elif deadline.what == "expires":
        orders.expire(draft, name)
    elif deadline.what == "term":
        incidents.set_lead(draft, name, None, None)
        messages.void_stale(draft)
    elif deadline.what == "quiet":
        incidents.close(draft, name, None, None)
        messages.void_stale(draft)
    elif deadline.what == "handover":
        seals.over(draft, int(name))
    elif deadline.what == "suspension":
        member: Member = draft.edit("member", name)
        member.status, member.until = "active", None
        draft.awake(name)
        draft.roster_changed = True
        messages.void_stale(draft)
    else:
        sent = draft.edit("sent", name)
        sent.overdue = True
        draft.leaf(Overdue(sent.peer, sent.number, sent.message, draft.at))


def _move(draft: Draft, deadline: Deadline) -> bool:
    """An outage moves a vote or veto deadline once (spec 4, F4); no leaf."""
    row = draft.edit_live(deadline.id)
    rule = draft.rule(row)
    late = draft.at - deadline.at
    grace = max(draft.charter.times.grace_s * 1000, late)
    if deadline.what == "vote" and not row.vote_moved:
        row.vote_ends, row.vote_moved = draft.at + min(rule.window_s * 1000, grace), True
    elif deadline.what == "veto" and not row.veto_moved and rule.veto is not None:
        row.veto_ends, row.veto_moved = draft.at + min(rule.veto.window_s * 1000, grace), True
    else:
        return False
    draft.created("message", row)
    return True


def _acts(draft: Draft, envelope: Envelope, verdicts: Sequence[bool]) -> list[int]:
    """Step 2: the acts of one envelope stand or fall singly, in order (spec 3.2)."""
    author = envelope.header.author
    codes: list[int] = []
    used = 1
    for index, act in enumerate(envelope.acts):
        if isinstance(act, Judge):
            reason = ballots.judge(draft, author, act, envelope.act_digests[index])
        else:
            many = len(_checks_of(draft.state, author, act))
            reason = _act(draft, envelope, index, act, list(verdicts[used : used + many]))
            used += many
        codes.append(int(reason))
    if 0 in codes:
        draft.awake(author)
    return codes


def _act(draft: Draft, envelope: Envelope, index: int, act: Act, verdicts: list[bool]) -> Reason:
    author, name, act_digest = envelope.header.author, envelope.digest, envelope.act_digests[index]
    match act:
        case Submit():
            return submit(draft, author, act, act_digest, name, index, verdicts)
        case Judge():
            return ballots.judge(draft, author, act, act_digest)
        case VetoAct():
            return ballots.veto(draft, author, act)
        case Concur():
            return ballots.concur(draft, author, act)
        case Withdraw():
            return ballots.withdraw(draft, author, act)
        case Annotate():
            return annotations.annotate(draft, author, act, act_digest, name)
        case Acknowledge():
            return orders.acknowledge(draft, author, act, act_digest)
        case Present():
            return standing.present(draft, author, act)
        case RelayAct():
            return relays.relay(draft, author, act, verdicts, act_digest, name)
        case Rotate():
            member = draft.member(author)
            by_root = member is not None and envelope.key == member.keys.root
            return standing.rotate(draft, author, act, by_root, bool(verdicts) and verdicts[0])
        case Leave():
            return standing.leave(draft, author)
        case Join():
            return standing.join(draft, author, act)
        case Ready():
            return upgrade.ready(draft, author, act)
        case Seal():
            return seals.take(draft, act, verdicts)
        case Evidence():
            return evidence.take(draft, author, act, verdicts, act_digest, name)
        case Erase() | ErasedHere():
            return annotations.erase(draft, author, act, act_digest, name)
        case _:
            assert_never(act)


def _close(draft: Draft) -> None:
    """Step 4: leave, rotate and join, then the next version of peers, charter, roster and protocol (spec F1)."""
    for author, act in draft.last:
        standing.apply(draft, author, act)
    if upgrade.decide(draft):
        messages.void_stale(draft)
    motions.settle_peers(draft)
    for origin in sorted(draft.peers_changed):
        draft.leaf(motions.peer_leaf(draft, origin, draft.peers_changed[origin]))
    if draft.meta.charter != draft.state.meta.charter:
        charter = draft.get("charter", draft.meta.charter)
        draft.leaf(CharterLeaf(charter.digest, charter, draft.charter_cause, draft.at))
    if draft.roster_changed:
        draft.meta.epoch += 1
        index = draft.leaf(RosterLeaf(draft.meta.epoch, draft.at, motions.roster_lines(draft)))
        seals.hand_over(draft, index)


def _seen(draft: Draft, in_block: dict[str, int]) -> None:
    """Remember what was consumed; sweep what has expired (spec 3.1)."""
    for name in draft.state.expired(draft.at):
        draft.changes["seen"][name] = None
    if in_block:
        height = draft.meta.height + 1
        draft.put("seen", str(height), Seen(height, max(in_block.values()), list(in_block)))


def _outcome(
    draft: Draft, consumed: list[Envelope], receipts: list[list[int]], dropped: list[tuple[int, Reason]]
) -> Outcome:
    """Step 5: the block leaf over the net changed rows (spec 10)."""
    meta = draft.meta
    meta.height += 1
    meta.at = draft.at
    meta.changing += 1
    meta.size += 1
    draft.put("meta", "", meta)
    writes: list[tuple[str, bytes | None]] = [*archived_writes(draft)]
    for table, rows in draft.changes.items():
        before = draft.state.tables[table]
        for name, row in rows.items():
            # Looked at for a change that was then refused, or changed and back: no net change.
            if row == before.get(name):
                continue
            writes.append((f"{table}:{name}", None if row is None else encode(row)))
    writes.sort()
    snapshot = None
    if meta.changing % SNAPSHOT_EVERY == 0:
        snapshot = _snapshot(draft.state, draft.changes)
    draft.leaves.append(
        encode(
            BlockLeaf(
                meta.height, draft.at, meta.epoch, draft.state.meta.protocol, len(consumed),
                envelopes_digest([one.digest for one in consumed], encode(receipts)), writes_digest(writes), snapshot,
            )
        )
    )  # fmt: skip
    return Outcome(meta.height, draft.at, True, consumed, receipts, dropped, draft.leaves, writes, draft.changes)


def writes_digest(writes: Sequence[tuple[str, bytes | None]]) -> str:
    """Digest of a block's sorted writes, as it stands in the block leaf (spec 10)."""
    return rows_digest(writes)


def _snapshot(state: State, changes: dict[str, dict[str, Any]]) -> str:
    items: dict[str, bytes] = {}
    for table, content in state.tables.items():
        for name, row in (content | changes[table]).items():
            if row is not None:
                items[f"{table}:{name}"] = encode(row)
    return rows_digest(sorted(items.items()))


def found(genesis: Genesis) -> tuple[State, Outcome]:
    """Block 0 of a network: genesis, charter, roster and block leaves at its creation (spec 1)."""
    state = State()
    state.tables["charter"][genesis.charter.digest] = genesis.charter
    state.tables["meta"][""] = Meta(
        genesis.origin,
        genesis.digest,
        genesis.log_key,
        PROTOCOL,
        genesis.charter.digest,
        -1,
        genesis.created,
        0,
        0,
        0,
        0,
    )
    draft = Draft(state, genesis.created, {})
    draft.put("charter", genesis.charter.digest, genesis.charter)
    draft.put("archive", "", EMPTY)
    for founder in genesis.members:
        draft.put(
            "member", founder.id,
            Member(founder.id, founder.entity, list(founder.roles), founder.keys, "active", None, 0, True, None),
        )  # fmt: skip
        draft.put("account", founder.id, motions.new_account(founder.id, genesis.created, genesis.charter))
        for key in founder.keys.all():
            draft.put("key", key, UsedKey(key, founder.id))
    draft.put("key", genesis.log_key, UsedKey(genesis.log_key, ""))
    draft.leaf(GenesisLeaf(genesis.digest, genesis.origin, PROTOCOL, genesis.created))
    draft.leaf(CharterLeaf(genesis.charter.digest, genesis.charter, None, genesis.created))
    draft.meta.epoch = 1
    draft.leaf(RosterLeaf(1, genesis.created, motions.roster_lines(draft)))
    empty = State()
    empty.tables["meta"][""] = state.meta
    draft.state = empty
    outcome = _outcome(draft, [], [], [])
    empty.tables["meta"] = {}
    empty.advance(outcome)
    return empty, outcome
