"""The log side of a dossier: which leaves are proven, under which checkpoint, final by whose keys (spec 10, 11)."""

from typing import NamedTuple

from tocsin.client.dossier import Dossier, Handover, decode_leaf, signing_epoch
from tocsin.client.policy import Policy, cosigners, pinned
from tocsin.client.report import Line, Refused, count, names, require, short, when
from tocsin.client.signing import verify_signature
from tocsin.kernel import upgrade
from tocsin.kernel.acts import PinnedMember
from tocsin.kernel.leaves import AnyLeaf, BlockLeaf, GenesisLeaf, RosterLeaf
from tocsin.kernel.quorum import finality, tolerated
from tocsin.tlog import Checkpoint, CheckpointError, NoteError, VerifierKey, checkpoint, cosignature, merkle, note


class Final(NamedTuple):
    """A checkpoint that a quorum made final: k of n keys, the time since when by their clocks (s), and who signed."""

    head: Checkpoint
    n: int
    k: int
    signers: list[PinnedMember]
    since: int


class Place(NamedTuple):
    """Where a leaf stands: the block that it is of, and the roster in force when that block began."""

    block: BlockLeaf
    epoch: int
    members: RosterLeaf


class Proven:
    """The leaves of a dossier, each proven to be in the log; and which of them played a part."""

    def __init__(self, leaves: dict[int, AnyLeaf], final: Final, head: BlockLeaf) -> None:
        self.leaves = leaves
        self.final = final
        self.head = head
        self._used: dict[int, None] = {}
        self._rosters = rosters(leaves)
        self._blocks = [(index, leaf) for index, leaf in sorted(leaves.items()) if isinstance(leaf, BlockLeaf)]

    def use(self, index: int) -> None:
        """Note that a leaf was checked for what it says."""
        self._used[index] = None

    def require_all_used(self) -> None:
        """Refuse a file with leaves that no check looked at."""
        for index in sorted(self.leaves):
            require(index in self._used, f"Leaf {index} has no part in this record and was not checked.")

    def block_of(self, index: int, at: int) -> BlockLeaf:
        """The block that ends a leaf of time `at` ms: the first block leaf shown from there on."""
        found = next(((place, leaf) for place, leaf in self._blocks if place >= index), None)
        if found is None or found[1].at != at:
            raise _missing(f"the block leaf of leaf {index}")
        self.use(found[0])
        return found[1]

    def place(self, index: int, at: int) -> Place:
        """Block and roster of a leaf (spec F1: what a block decides is by the roster of its start)."""
        block = self.block_of(index, at)
        epoch = block.epoch
        if self.roster_index(epoch) > index:
            epoch -= 1
        return Place(block, epoch, self.roster(epoch))

    def roster(self, epoch: int) -> RosterLeaf:
        """The roster of an epoch."""
        leaf = self.leaves[self.roster_index(epoch)]
        assert isinstance(leaf, RosterLeaf)
        return leaf

    def roster_index(self, epoch: int) -> int:
        """Where the roster of an epoch stands."""
        if epoch not in self._rosters:
            raise _missing(f"the roster of epoch {epoch}")
        self.use(self._rosters[epoch])
        return self._rosters[epoch]

    def rosters_between(self, first: int, last: int) -> list[RosterLeaf]:
        """The rosters shown of these epochs, both included."""
        return [self.roster(epoch) for epoch in sorted(self._rosters) if first <= epoch <= last]


def rosters(leaves: dict[int, AnyLeaf]) -> dict[int, int]:
    """Epoch -> index of its roster leaf; refuses two of one epoch, or epochs out of order."""
    found: dict[int, int] = {}
    last = 0
    for index in sorted(leaves):
        leaf = leaves[index]
        if isinstance(leaf, RosterLeaf):
            require(leaf.epoch > last, f"The roster of epoch {leaf.epoch} is out of order.")
            found[leaf.epoch] = index
            last = leaf.epoch
    return found


def _in_order(leaves: dict[int, AnyLeaf]) -> None:
    """Height, time and epoch of blocks never go back (spec 4, spec 10), and their rules are known here (spec 8.5)."""
    before = (-1, 0, 0)
    for index in sorted(leaves):
        leaf = leaves[index]
        if isinstance(leaf, BlockLeaf):
            now = (leaf.height, leaf.at, leaf.epoch)
            require(
                now[0] > before[0] and now[1] >= before[1] and now[2] >= before[2],
                f"The block leaf {index} is not later than the one before.",
            )
            require(
                leaf.protocol in upgrade.PROTOCOLS,
                f"Block {leaf.height} was made under protocol {leaf.protocol}, whose rules this program does not have; "
                "verify with a later release.",
            )
            before = now


def _roster_leaves(leaves: dict[int, AnyLeaf], shown: dict[int, int]) -> list[tuple[int, RosterLeaf]]:
    found = [(epoch, leaves[index]) for epoch, index in shown.items()]
    return [(epoch, leaf) for epoch, leaf in found if isinstance(leaf, RosterLeaf)]


def prove(dossier: Dossier, policy: Policy, lines: list[Line]) -> Proven:
    """Check everything about the log; what was checked is appended to `lines`. Raises Refused or DossierError."""
    require(
        dossier.genesis == policy.genesis,
        f"The dossier is of the network with genesis {short(dossier.genesis)}, the policy trusts "
        f"{short(policy.genesis)}; take the policy of that network.",
    )
    head = _head_of(dossier.checkpoint, policy)
    leaves = _leaves(dossier, head)
    lines.append(Line(True, f"{count(len(leaves), 'leaf', 'leaves')} proven to be in the log of {head.size}."))
    first = leaves.get(0)
    require(
        isinstance(first, GenesisLeaf) and first.genesis == policy.genesis and first.origin == policy.origin,
        "The log does not begin with the genesis that the policy trusts.",
    )
    lines.append(Line(True, f"The log begins with genesis {short(policy.genesis)} of {policy.origin}."))
    last = leaves.get(head.size - 1)
    if not isinstance(last, BlockLeaf):
        raise _missing("the block leaf with which the checkpoint ends")
    _in_order(leaves)
    shown = rosters(leaves)
    if last.epoch not in shown:
        raise _missing(f"the roster of epoch {last.epoch}, current at the checkpoint")
    epoch = signing_epoch(head.size, last.epoch, shown[last.epoch])
    roots = _extensions(dossier, head, policy, lines)
    members = {one: pinned(leaf.members) for one, leaf in _roster_leaves(leaves, shown)}
    roster, start = _chain(dossier, policy, members, epoch, roots, lines)
    final = check_final(dossier.checkpoint, policy, roster)
    proven = Proven(leaves, final, last)
    for index in (0, head.size - 1, shown[last.epoch]):
        proven.use(index)
    for one in range(start, epoch + 1):
        if one in shown:
            proven.use(shown[one])
    _say_final(final, epoch, lines)
    return proven


def check_final(text: str, policy: Policy, roster: list[PinnedMember]) -> Final:
    """A checkpoint note in the one form that a dossier has: the log's line, then those of at least k active members
    of this roster, in the order of their names, and no other; all must verify."""
    head = _head_of(text, policy)
    parsed = note.parse(text.encode())
    signing = cosigners(policy.origin, roster)
    order: list[VerifierKey] = [policy.log, *(one.vkey for one in signing)]
    place_of = {(key.name, key.key_id): place for place, key in enumerate(order)}
    places = []
    for signature in parsed.signatures:
        place = place_of.get((signature.name, signature.key_id), -1)
        require(place >= 0, f"The checkpoint bears a line of {signature.name}, which is no key that counts here.")
        places.append(place)
    require(places[:1] == [0], "The checkpoint does not begin with the signature of the log that the policy trusts.")
    require(places == sorted(set(places)), "The lines of the checkpoint are not sorted by name, or one stands twice.")
    try:
        own = note.signature_checks(parsed, policy.log)
        cosigned = cosignature.final_lines(parsed, signing)
        require(all(verify_signature(*one) for one in own), "The log's signature on the checkpoint does not hold.")
        counted = cosignature.count(
            cosigned, [verify_signature(one.key, one.message, one.signature) for one in cosigned]
        )
    except NoteError as error:
        raise Refused(f"The checkpoint's signatures do not hold: {error}.") from None
    k = finality(len(signing))
    keys = [one.key.hex() for one in counted]
    signers = [one for one in roster if one.active and one.finality in keys]
    since = cosignature.final_since(counted, k)
    if since is None:
        raise Refused(
            f"Only {len(signers)} of {len(signing)} finality keys signed the checkpoint of {head.size} leaves, "
            f"{k} are needed: it is not final."
        )
    return Final(head, len(signing), k, signers, since)


def _head_of(text: str, policy: Policy) -> Checkpoint:
    try:
        head = checkpoint.parse(note.parse(text.encode()).text)
    except (NoteError, CheckpointError) as error:
        raise Refused(f"The checkpoint cannot be read: {error}.") from None
    require(
        head.origin == policy.origin,
        f"The checkpoint is of the log {head.origin}, the policy trusts {policy.origin}.",
    )
    return head


def _leaves(dossier: Dossier, head: Checkpoint) -> dict[int, AnyLeaf]:
    indexes = [shown.index for shown in dossier.leaves]
    require(indexes == sorted(set(indexes)), "The leaves are not sorted by index, or one stands twice.")
    found: dict[int, AnyLeaf] = {}
    for shown in dossier.leaves:
        data = bytes(shown.leaf)
        proof = [bytes.fromhex(one) for one in shown.proof]
        require(
            merkle.verify_inclusion(shown.index, head.size, merkle.leaf_hash(data), proof, head.root),
            f"Leaf {shown.index} is not in the checkpoint's log: the leaf, its proof or the checkpoint was changed.",
        )
        found[shown.index] = decode_leaf(data, f"Leaf {shown.index}")
    return found


def _extensions(dossier: Dossier, head: Checkpoint, policy: Policy, lines: list[Line]) -> dict[int, str]:
    """Size -> root of the earlier trees that the checkpoint's tree provably extends; the policy's pin among them."""
    sizes = [one.size for one in dossier.extends]
    require(sizes == sorted(set(sizes)), "The earlier trees are not sorted by size, or one stands twice.")
    roots: dict[int, str] = {head.size: head.root.hex()}
    for one in dossier.extends:
        proof = [bytes.fromhex(value) for value in one.proof]
        require(
            merkle.verify_consistency(one.size, head.size, bytes.fromhex(one.root), head.root, proof),
            f"The log of {head.size} leaves does not extend the one of {one.size} leaves that the file names.",
        )
        roots[one.size] = one.root
    pin = policy.checkpoint
    if pin is not None:
        require(
            pin.size <= head.size,
            f"The policy pins a checkpoint of {pin.size} leaves, newer than the dossier's of {head.size}; "
            "ask for a newer dossier.",
        )
        require(
            pin.size in roots,
            f"The dossier does not show that its log extends the pinned one of {pin.size} leaves.",
        )
        require(
            roots[pin.size] == pin.root,
            f"At {pin.size} leaves the log is another than the pinned one: it was rewritten. Keep both files.",
        )
        lines.append(Line(True, f"The log extends the checkpoint of {pin.size} leaves that the policy pins."))
    return roots


def _chain(
    dossier: Dossier,
    policy: Policy,
    shown: dict[int, list[PinnedMember]],
    epoch: int,
    roots: dict[int, str],
    lines: list[Line],
) -> tuple[list[PinnedMember], int]:
    """From the policy's roster, over the handovers, to the roster that signs the checkpoint of `epoch`; and the epoch
    at which this began. The rosters `shown` of all epochs from there on are compared with what was handed over to."""
    require(
        policy.epoch <= epoch,
        f"The policy is of epoch {policy.epoch}, newer than the dossier's checkpoint of epoch {epoch}; "
        "ask for a newer dossier.",
    )
    start, current = policy.epoch, policy.roster
    if dossier.handovers:
        start = _first_epoch(dossier)
        require(
            start <= policy.epoch,
            f"The dossier starts at epoch {start}, after the policy's epoch {policy.epoch}; "
            "ask for one that starts there.",
        )
    if start < policy.epoch:
        # The file also serves older policies. Where it starts is its own word, and is believed only if the chain
        # arrives at the policy's roster.
        if start not in shown:
            raise _missing(f"the roster of epoch {start}")
        current = shown[start]
    _agree(policy, shown, start, current)
    reached = start
    for handover in dossier.handovers:
        current = pinned(_hand_over(handover, policy, current, reached, roots).members)
        reached += 1
        _agree(policy, shown, reached, current)
        members = count(len(current), "member")
        lines.append(Line(True, f"Epoch {reached - 1} handed over to epoch {reached}, with {members}."))
    require(
        reached == epoch,
        f"The dossier does not lead from the policy's epoch {policy.epoch} to epoch {epoch}, whose members signed.",
    )
    return current, start


def _agree(policy: Policy, shown: dict[int, list[PinnedMember]], epoch: int, current: list[PinnedMember]) -> None:
    require(
        current == shown.get(epoch, current) and (epoch != policy.epoch or current == policy.roster),
        f"The roster of epoch {epoch} in the log is not the one trusted or handed over to.",
    )


def _first_epoch(dossier: Dossier) -> int:
    """The epoch from which the first handover leads; 0 where there is none."""
    if not dossier.handovers:
        return 0
    leaf = decode_leaf(bytes(dossier.handovers[0].roster), "The first roster that took over")
    return leaf.epoch - 1 if isinstance(leaf, RosterLeaf) else 0


def _hand_over(
    handover: Handover, policy: Policy, current: list[PinnedMember], epoch: int, roots: dict[int, str]
) -> RosterLeaf:
    where = f"The roster that took over from epoch {epoch}"
    leaf = decode_leaf(bytes(handover.roster), where)
    if not isinstance(leaf, RosterLeaf) or leaf.epoch != epoch + 1:
        raise Refused(f"{where} is not a roster of epoch {epoch + 1}.")
    head = check_final(handover.checkpoint, policy, current).head
    proof = [bytes.fromhex(one) for one in handover.proof]
    require(
        head.size == handover.index + 2
        and merkle.verify_inclusion(
            handover.index, head.size, merkle.leaf_hash(bytes(handover.roster)), proof, head.root
        ),
        f"{where} is not proven by the last checkpoint under that epoch.",
    )
    require(
        roots.get(head.size) == head.root.hex(),
        f"The dossier's log is not shown to extend the checkpoint with which epoch {epoch} handed over.",
    )
    return leaf


def _say_final(final: Final, epoch: int, lines: list[Line]) -> None:
    signers = names([one.id for one in final.signers])
    held = sum(1 for one in final.signers if one.custody == "self")
    f = tolerated(final.n)
    liars = f"up to {f} may lie" if f else "tolerates no liar"
    lines.append(
        Line(
            True,
            f"The checkpoint is signed by the log and final by epoch {epoch}: {len(final.signers)} of {final.n} keys "
            f"({signers}), {final.k} needed, {held} self-held, {liars}; since {when(final.since * 1000)} by their "
            "clocks.",
        )
    )


def _missing(what: str) -> Refused:
    return Refused(f"The dossier lacks {what}; ask for a whole one.")
