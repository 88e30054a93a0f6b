"""Declaring two networks to each other, by motion on both sides (spec 11)."""

from tocsin.kernel.acts import Judge, PeerEntry, PeerMotion, PeerTerms, PinnedMember, Submit
from tocsin.kernel.block import found
from tocsin.kernel.digest import message_id
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.statements import signs
from tocsin.kernel.words import Relation
from tocsin.node.trial.hosted import HostedNetwork
from tocsin.tlog import leaf_hash, merkle


def entry_for(peer: HostedNetwork, relation: Relation, represented_by: str | None, quota: PeerTerms) -> PeerEntry:
    """A peer's entry pinned at its present head."""
    state = peer.state
    roster = [
        PinnedMember(member.id, member.entity, member.keys.finality, member.keys.custody, signs(member))
        for _, member in sorted(state.members.items())
    ]
    head = peer.head()
    meta = state.meta
    return PeerEntry(
        meta.genesis, relation, meta.log_key, meta.epoch, roster, head.size, head.root.hex(), represented_by, quota
    )


def entry_of_founders(
    genesis: Genesis, relation: Relation, represented_by: str | None, quota: PeerTerms
) -> PeerEntry:
    """A peer's entry pinned at its founding, which nobody has to be asked about but for the genesis."""
    _, founding = found(genesis)
    root = merkle.tree_root([leaf_hash(leaf) for leaf in founding.leaves])
    roster = [PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, True) for one in genesis.members]
    return PeerEntry(
        genesis.digest, relation, genesis.log_key, 1, roster, len(founding.leaves), root.hex(), represented_by, quota
    )


def declare(network: HostedNetwork, peer: HostedNetwork, entry: PeerEntry, at: int) -> None:
    """Pass `motion.peer` in `network` with the votes of all its electors; two blocks at `at`.

    Raises RuntimeError if the motion does not pass, with the codes of its acts.
    """
    state = network.state
    rule = state.charter.rules[state.charter.match("motion.peer", "none") or 0]
    electors = [
        name for name, member in sorted(state.members.items()) if any(role in rule.electorate for role in member.roles)
    ]
    mover = electors[0]
    motion = Submit("motion.peer", None, None, PeerMotion("add", peer.origin, None, entry), None)
    envelope = network.submit(mover, [motion], at)
    first = network.make_block(at)
    message = message_id(envelope.digest, 0)
    for elector in electors[1:]:
        network.submit(elector, [Judge(message, "endorse", None, "officer", None, None)], at)
    second = network.make_block(at)
    if peer.origin not in network.state.peers:
        codes = [outcome.receipts for outcome in (first, second) if outcome is not None]
        raise RuntimeError(f"{network.origin} did not accept {peer.origin} as its peer: {codes}")
