"""A whole tree of networks driven by the kernel alone, with real logs and proofs between them.

Every signature is empty and taken as good; all else is as between strangers: numbered leaves, inclusion and
consistency proofs, pinned heads, quotas. It lets decades of a nation be run in seconds.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from tocsin.client.signing import cosign_checkpoint, sign_checkpoint
from tocsin.kernel.acts import Judge, PeerEntry, PeerMotion, PeerTerms, PinnedMember, RelayAct, RelayedLeaf, Submit
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import message_id
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.quorum import finality
from tocsin.kernel.statements import signers_of, signs
from tocsin.kernel.words import Relation
from tocsin.lab.archive import Archive
from tocsin.lab.chain import BareChain, Hosted, no_key, no_keys
from tocsin.lab.roster import Plan
from tocsin.tlog import Checkpoint, checkpoint, note
from tocsin.tlog.merkle import Frontier, consistency_proof, inclusion_proof, leaf_hash, node_hash
from tocsin.tlog.note import encode_base64

__all__ = ["LoggedChain", "unsigned_tree"]

MOST_LEAVES = 16
"""In one relay act."""


class _Blank:
    """Signs nothing: 64 zero bytes under the key it stands for."""

    def __init__(self, public_key: str) -> None:
        self.public_key = public_key

    def sign(self, _: bytes) -> bytes:
        """An empty signature."""
        return bytes(64)


class _To(msgspec.Struct):
    to: list[tuple[str, int]]


class LoggedChain(BareChain):
    """A bare chain that keeps its log, and what it sends."""

    def __init__(self, genesis: Genesis) -> None:
        super().__init__(genesis)
        self.origin = genesis.origin
        self.sent: dict[str, list[int]] = {}
        """Places of the leaves sent to each destination, in the order of their numbers."""
        self._leaves: list[bytes] = []
        self._hashes: list[list[bytes]] = [[]]
        self._frontier = Frontier()
        self._append(self.first.leaves)

    def make_block(self, at: int) -> Outcome | None:
        """As `BareChain.make_block`; the leaves go to the log."""
        outcome = super().make_block(at)
        if outcome is not None:
            self._append(outcome.leaves)
        return outcome

    def _append(self, leaves: Sequence[bytes]) -> None:
        for place, leaf in enumerate(leaves, start=len(self._leaves)):
            if b',"to":[["' in leaf:
                for destination, _ in msgspec.json.decode(leaf, type=_To).to:
                    self.sent.setdefault(destination, []).append(place)
        hashes = [leaf_hash(leaf) for leaf in leaves]
        self._frontier = self._frontier.extend(hashes)
        self._leaves += leaves
        self._hashes[0] += hashes
        for height, row in enumerate(self._hashes):
            if len(row) < 2:
                break
            if height + 1 == len(self._hashes):
                self._hashes.append([])
            above = self._hashes[height + 1]
            above += [node_hash(row[2 * i], row[2 * i + 1]) for i in range(len(above), len(row) // 2)]

    def head(self) -> tuple[str, int, bytes]:
        """The checkpoint of the present size with a quorum of empty cosignatures; its size and root."""
        head = Checkpoint(self.origin, self._frontier.size, self._frontier.root())
        signers = signers_of(self.state.members)
        lines = [sign_checkpoint(_Blank(self.state.meta.log_key), head)]
        lines += [
            cosign_checkpoint(_Blank(one.key), one.id, head, self.state.meta.at // 1000)
            for one in signers[: finality(len(signers))]
        ]
        return note.format(checkpoint.format(head), lines).decode(), head.size, head.root

    def relayed(self, place: int) -> RelayedLeaf:
        """A leaf with its proof under the present head."""
        proof = inclusion_proof(place, self._frontier.size, self._hash)
        return RelayedLeaf(place, self._leaves[place].decode(), [encode_base64(one) for one in proof])

    def extends(self, size: int) -> list[str]:
        """The proof that the present head extends that of `size`."""
        if size == self._frontier.size:
            return []
        return [encode_base64(one) for one in consistency_proof(size, self._frontier.size, self._hash)]

    def _hash(self, height: int, index: int) -> bytes:
        return self._hashes[height][index]


def unsigned_tree(archive: Archive, built: Mapping[int, Plan], created: int) -> Hosted:
    """All planned networks, founded at `created` ms and declared to one another, with the relays between them."""
    chains = {
        network: LoggedChain(plan.genesis(created, no_keys, no_key(plan.origin, "", "log")))
        for network, plan in built.items()
    }
    edges: list[tuple[LoggedChain, LoggedChain, str]] = []
    for network, plan in built.items():
        if plan.parent is None:
            continue
        child, parent, name = chains[network], chains[plan.parent], archive.networks[network].id
        law = parent.state.charter.peers
        _declare(parent, child, "child", name, PeerTerms(law.per_week, plan.min_endorsers, law.max_age_s), created)
        _declare(child, parent, "parent", None, PeerTerms(0, 0, law.max_age_s), created)
        edges += [(child, parent, name), (parent, child, plan.office)]
    return Hosted(chains, _carrier(edges))


def _declare(
    network: LoggedChain, peer: LoggedChain, relation: Relation, represented_by: str | None, quota: PeerTerms, at: int
) -> None:
    """Pass `motion.peer` with the votes of all electors."""
    meta, (_, size, root) = peer.state.meta, peer.head()
    roster = [
        PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, signs(one))
        for _, one in sorted(peer.state.members.items())
    ]
    entry = PeerEntry(
        meta.genesis, relation, meta.log_key, meta.epoch, roster, size, root.hex(), represented_by, quota
    )
    law = network.state.charter
    rule = law.rules[law.match("motion.peer", "none") or 0]
    mover, *electors = [
        name
        for name, member in sorted(network.state.members.items())
        if any(role in rule.electorate for role in member.roles)
    ]
    motion = Submit("motion.peer", None, None, PeerMotion("add", peer.origin, None, entry), None)
    message = message_id(network.submit(mover, [motion], at).digest, 0)
    network.make_block(at)
    for elector in electors:
        network.submit(elector, [Judge(message, "endorse", None, "officer", None, None)], at)
    network.make_block(at)
    if peer.origin not in network.state.peers:
        raise RuntimeError(f"{network.origin} did not accept {peer.origin} as its peer")


def _carrier(edges: Sequence[tuple[LoggedChain, LoggedChain, str]]) -> Callable[[int], bool]:
    taken = [0] * len(edges)

    def carry(at: int) -> bool:
        carried = False
        for edge, (source, destination, carrier) in enumerate(edges):
            waiting = source.sent.get(destination.origin, [])[taken[edge] : taken[edge] + MOST_LEAVES]
            if waiting:
                text, _, _ = source.head()
                pinned = destination.state.peers[source.origin].entry.size
                leaves = [source.relayed(place) for place in waiting]
                act = RelayAct(source.origin, text, source.extends(pinned), None, leaves)
                destination.submit(carrier, [act], at)
                taken[edge] += len(waiting)
                carried = True
        return carried

    return carry
