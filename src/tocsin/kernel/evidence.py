"""Contradicting statements about a log (spec 8.6, 11.4, 14.4): what proves that somebody lied."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tocsin.kernel import messages, motions
from tocsin.kernel.acts import Evidence
from tocsin.kernel.digest import digest
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Check
from tocsin.kernel.leaves import EvidenceLeaf
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import ORIGINAL
from tocsin.kernel.state import State
from tocsin.kernel.statements import Statement, cosigner_name, cosigners_of_peer, read_statement
from tocsin.tlog import Cosigner, merkle
from tocsin.tlog.note import decode_base64

_read_leaf = msgspec.json.Decoder(EvidenceLeaf).decode


class Contradiction(NamedTuple):
    """Two statements that cannot both be honest, `first` the smaller or equal one."""

    first: Statement
    second: Statement


def cosigners(state: State, origin: str) -> list[Cosigner]:
    """The keys that may be caught on this log: of a peer those that count, of our own every one that a member ever had,
    so that neither leaving nor a new key lets anybody get away (spec 11.4)."""
    if origin != state.meta.origin:
        peer = state.peers.get(origin)
        return [] if peer is None else cosigners_of_peer(peer)
    keys = [(member.id, member.keys.finality) for member in state.roster]
    keys += [(row.member, key) for key, row in sorted(state.tables["key"].items()) if row.member]
    # A note with two keys of one name and id cannot be read; who makes himself such a second key gains nothing by it.
    known: dict[tuple[str, bytes], Cosigner] = {}
    for member, key in keys:
        one = Cosigner(cosigner_name(origin, member), bytes.fromhex(key))
        known.setdefault((one.name, one.vkey.key_id), one)
    return list(known.values())


def contradiction(state: State, act: Evidence) -> Contradiction | None:
    """Read both notes; None unless they contradict each other (ADR 3: a proof that merely fails
    proves nothing, so two sizes need another root that the larger tree provably extends)."""
    known = cosigners(state, act.origin)
    first, second = (read_statement(text, act.origin, known) for text in (act.first, act.second))
    if first is None or second is None or first.checkpoint.size > second.checkpoint.size:
        return None
    one, other = first.checkpoint, second.checkpoint
    if one.size == other.size:
        return Contradiction(first, second) if one.root != other.root and act.root is None else None
    if act.root is None or bytes.fromhex(act.root) == one.root:
        return None
    try:
        proof = [decode_base64(text) for text in act.consistency]
    except ValueError:
        return None
    if not merkle.verify_consistency(one.size, other.size, bytes.fromhex(act.root), other.root, proof):
        return None
    return Contradiction(first, second)


def checks(state: State, act: Evidence) -> list[Check]:
    """The cosignatures to verify, of the first note and then of the second."""
    found = contradiction(state, act)
    if found is None:
        return []
    lines = [*found.first.lines, *found.second.lines]
    return [Check(line.key, line.message, line.signature) for line in lines]


def keys_of(state: State, act: Evidence) -> list[str]:
    """Archive keys that remember a contradiction: one for each signer it may prove, one for the peer frozen by it.

    By heads and keys, not by the notes: those can be had with any choice of lines and times, and neither may the
    same proof stain twice, nor a note with fewer lines keep the others from being caught.
    """
    found = contradiction(state, act)
    if found is None:
        return []
    lines = dict.fromkeys(line.key.hex() for line in (*found.first.lines, *found.second.lines))
    return [_key(act, found, who) for who in ("frozen", *lines)]


def _key(act: Evidence, found: Contradiction, who: str) -> str:
    heads = sorted((one.checkpoint.size, one.checkpoint.root.hex()) for one in (found.first, found.second))
    return ORIGINAL + "evidence:" + digest(b"evidence", encode([act.origin, heads, who]))


def take(draft: Draft, author: str, act: Evidence, verdicts: list[bool], act_digest: str, envelope: str) -> Reason:
    """Log the contradiction; freeze a peer whose quorum contradicts itself; stain a member of ours."""
    found = contradiction(draft.state, act)
    if found is None:
        return Reason.NOT_EVIDENCE
    cut = len(found.first.lines)
    first = {line.key for line, good in zip(found.first.lines, verdicts[:cut], strict=True) if good}
    second = {line.key for line, good in zip(found.second.lines, verdicts[cut:], strict=True) if good}
    signers = sorted(key.hex() for key in first & second)
    if not signers:
        return Reason.NOT_EVIDENCE
    new = [one for one in signers if _unknown(draft, _key(act, found, one))]
    peer = draft.state.peers.get(act.origin)
    frozen = False
    if peer is not None:
        quorum = finality(sum(1 for one in peer.entry.roster if one.active))
        active = draft.edit("peer", act.origin).state == "active"
        frozen = active and min(len(first), len(second)) >= quorum and _unknown(draft, _key(act, found, "frozen"))
    if not new and not frozen:
        return Reason.PROVES_NOTHING_NEW
    shown = new or signers
    suspended: list[str] = []
    if peer is None:
        members = sorted({draft.get("key", one).member for one in shown})
        for one in members:
            draft.account(one).stains += 1
            suspended += motions.suspend_for_evidence(draft, one)
    else:
        members = sorted(one.id for one in peer.entry.roster if one.finality in shown)
    if frozen:
        draft.edit("peer", act.origin).state = "frozen"
        draft.peers_changed[act.origin] = None
    for one in (*new, *(["frozen"] if frozen else [])):
        draft.archive[_key(act, found, one)] = draft.original_row(act_digest)
    draft.leaf(EvidenceLeaf(act.origin, shown, members, suspended, frozen, author, draft.at, act_digest, envelope))
    if suspended:
        messages.void_stale(draft)
    return Reason.ACCEPTED


def catch(draft: Draft, key: str) -> None:
    """The engine proved that the validator of this key voted twice at one height (spec 8.6)."""
    row = draft.get("key", key)
    members = [] if row is None or draft.next_member(row.member) is None else [row.member]
    suspended: list[str] = []
    for one in members:
        draft.account(one).stains += 1
        suspended += motions.suspend_for_evidence(draft, one)
    draft.leaf(EvidenceLeaf(draft.meta.origin, [key], members, suspended, False, None, draft.at, None, None))
    if suspended:
        messages.void_stale(draft)


def caught_in(leaves: Iterable[bytes]) -> list[str]:
    """The keys that the engine caught in a block with these leaves, for who makes that block again."""
    told = [_read_leaf(leaf) for leaf in leaves if leaf.startswith(b'{"leaf":"evidence"')]
    return [leaf.signers[0] for leaf in told if leaf.by is None]


def _unknown(draft: Draft, key: str) -> bool:
    return draft.old(ORIGINAL, key.removeprefix(ORIGINAL)) is None
