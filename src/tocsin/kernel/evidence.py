"""Contradicting statements about a log (spec 11, spec 14): what proves that somebody lied."""

from typing import NamedTuple

from tocsin.kernel.acts import Evidence
from tocsin.kernel.digest import digest
from tocsin.kernel.draft import Draft
from tocsin.kernel.genesis import Check
from tocsin.kernel.leaves import EvidenceLeaf
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import ORIGINAL
from tocsin.kernel.state import State
from tocsin.kernel.statements import Statement, cosigners_of_members, cosigners_of_peer, read_statement
from tocsin.tlog import Cosigner, merkle
from tocsin.tlog.note import decode_base64


class Contradiction(NamedTuple):
    """Two statements that cannot both be honest, `first` the smaller or equal one."""

    first: Statement
    second: Statement


def cosigners(state: State, origin: str) -> list[Cosigner]:
    """The finality keys of the current epoch that may be caught on this log."""
    if origin == state.meta.origin:
        return cosigners_of_members(origin, state.members)
    peer = state.peers.get(origin)
    return [] if peer is None else cosigners_of_peer(peer)


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


def key_of(act: Evidence) -> str:
    """Archive key that remembers a contradiction already on record."""
    return "evidence:" + digest(b"evidence", "\n".join(sorted([act.first, act.second])).encode())


def take(draft: Draft, author: str, act: Evidence, verdicts: list[bool], act_digest: str, envelope: str) -> Reason:
    """Log the contradiction; freeze a peer whose quorum contradicts itself; stain a member of ours."""
    found = contradiction(draft.state, act)
    if found is None:
        return Reason.NOT_EVIDENCE
    if draft.old(ORIGINAL, key_of(act)) is not None:
        return Reason.PROVES_NOTHING_NEW
    cut = len(found.first.lines)
    first = {line.key for line, good in zip(found.first.lines, verdicts[:cut], strict=True) if good}
    second = {line.key for line, good in zip(found.second.lines, verdicts[cut:], strict=True) if good}
    signers = sorted(key.hex() for key in first & second)
    if not signers:
        return Reason.NOT_EVIDENCE
    own = act.origin == draft.meta.origin
    frozen = False
    members: list[str] = []
    if own:
        members = sorted(m.id for m in draft.state.members.values() if m.keys.finality in signers)
        for one in members:
            draft.account(one).stains += 1
    else:
        peer = draft.edit("peer", act.origin)
        quorum = finality(sum(1 for one in peer.entry.roster if one.active))
        if min(len(first), len(second)) >= quorum and peer.state == "active":
            peer.state, frozen = "frozen", True
            draft.peers_changed[act.origin] = None
        members = sorted(one.id for one in peer.entry.roster if one.finality in signers)
    draft.archive[ORIGINAL + key_of(act)] = draft.original_row(act_digest)
    draft.leaf(EvidenceLeaf(act.origin, signers, members, frozen, author, draft.at, act_digest, envelope))
    return Reason.ACCEPTED
