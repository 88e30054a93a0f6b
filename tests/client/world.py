"""A whole network in memory for the tests: the real kernel, real signatures, real proofs, and a dossier source."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from tocsin import charters
from tocsin.client import dossier as dossiers
from tocsin.client.policy import Pin, Policy, pinned, policy_of_genesis
from tocsin.client.report import Report
from tocsin.client.signing import SeedSigner, cosign_checkpoint, sign_acts, sign_checkpoint, verify_signature
from tocsin.client.verify import verify
from tocsin.kernel.acts import (
    Act,
    Concur,
    Judge,
    Keys,
    PeerEntry,
    PeerMotion,
    PeerTerms,
    RelayAct,
    RelayedLeaf,
    Subject,
    Submit,
    VetoAct,
    Withdraw,
)
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Founder, Genesis
from tocsin.kernel.leaves import AnyLeaf, BlockLeaf, CharterLeaf, PeerLeaf, RosterLeaf
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.statements import signers_of
from tocsin.tlog import Checkpoint, checkpoint, merkle, note

HOUR = 3_600_000
START = 1_438_387_200_000  # 2015-08-01
CATEGORY, AREA = "icd11:1D2Z", "iso3166-2:TW-TNN"
PEOPLE: dict[str, list[Any]] = {
    "annan": ["reporter", "voter"],
    "beimen": ["reporter", "voter"],
    "cigu": ["reporter", "voter"],
    "danei": ["reporter", "voter"],
    "health": ["supervisor"],
}

_decode_leaf = msgspec.json.Decoder(AnyLeaf).decode


def signer(*parts: str) -> SeedSigner:
    return SeedSigner(sha256("|".join(("tests/client", *parts)).encode()).digest())


def keys_of(origin: str, member: str, generation: str = "") -> Keys:
    root, act, final = (signer(origin, member, role + generation).public_key for role in ("root", "act", "finality"))
    return Keys(root, act, final, None, "operator" if member == "danei" else "self")


def subject(**changed: Any) -> Subject:
    values: dict[str, Any] = {
        "category": CATEGORY, "areas": [AREA], "onset_day": 16_640, "detected_day": 16_647, "severity": 2,
        "status": "actual",
    }  # fmt: skip
    return Subject(**(values | changed))


def report(
    kind: str = "report.cluster.dengue", body: str | None = None, incident: str | None = None, **changed: Any
) -> Submit:
    return Submit(kind, incident, subject(**changed), None, body)


def judge(message: str, verdict: Any = "endorse", code: Any = None) -> Judge:
    return Judge(message, verdict, code, "officer", None, None)


class Log:
    """A log in memory with the envelopes behind it, as a source of dossiers."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.leaves: list[bytes] = []
        self.decoded: list[AnyLeaf] = []
        self.hashes: list[bytes] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self.notes: dict[int, bytes] = {}
        self.journal: list[tuple[Envelope, list[int]]] = []

    def append(self, outcome: Outcome) -> None:
        self.leaves += outcome.leaves
        self.decoded += [_decode_leaf(leaf) for leaf in outcome.leaves]
        self.hashes += [merkle.leaf_hash(leaf) for leaf in outcome.leaves]
        self.journal += list(zip(outcome.consumed, outcome.receipts, strict=True))

    def sign(self, log: SeedSigner, signing: Mapping[str, SeedSigner], seconds: int) -> None:
        """Make the present size final."""
        head = Checkpoint(self.genesis.origin, len(self.leaves), self.root(len(self.leaves)))
        lines = [sign_checkpoint(log, head)]
        lines += [cosign_checkpoint(signing[one], one, head, seconds) for one in sorted(signing)]
        self.notes[head.size] = note.format(checkpoint.format(head), lines)

    def root(self, size: int) -> bytes:
        return merkle.tree_root(self.hashes[:size])

    def checkpoint(self) -> bytes:
        return self.notes[max(self.notes)]

    def checkpoint_at(self, size: int) -> bytes | None:
        return self.notes.get(size)

    def leaf(self, index: int) -> bytes:
        return self.leaves[index]

    def _read(self, height: int, index: int) -> bytes:
        if height == 0:
            return self.hashes[index]
        if (height, index) not in self._nodes:
            left, right = (self._read(height - 1, 2 * index + side) for side in (0, 1))
            self._nodes[height, index] = merkle.node_hash(left, right)
        return self._nodes[height, index]

    def inclusion(self, index: int, size: int) -> Sequence[bytes]:
        return merkle.inclusion_proof(index, size, self._read)

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        return merkle.consistency_proof(size1, size2, self._read)

    def of_message(self, message: str) -> Sequence[int]:
        found = []
        for index, leaf in enumerate(self.decoded):
            terms = getattr(leaf, "terms", None)
            of_peer = getattr(leaf, "source", None) is not None and message in (
                getattr(terms, "message", None), getattr(terms, "target", None),
            )  # fmt: skip
            own = message in (getattr(leaf, name, None) for name in ("id", "target", "order"))
            if own or of_peer:
                found.append(index)
        return found

    def _first(self, kind: type, start: int = 0, **fields: Any) -> int:
        for index, leaf in enumerate(self.decoded):
            if index >= start and isinstance(leaf, kind) and all(getattr(leaf, k) == v for k, v in fields.items()):
                return index
        raise LookupError(kind, fields)

    def block_of(self, index: int) -> int:
        return self._first(BlockLeaf, index)

    def roster(self, epoch: int) -> int:
        return self._first(RosterLeaf, epoch=epoch)

    def charter(self, digest: str) -> int:
        return self._first(CharterLeaf, digest=digest)

    def peer(self, origin: str, before: int) -> int | None:
        return max(
            (i for i, one in enumerate(self.decoded[:before]) if isinstance(one, PeerLeaf) and one.origin == origin),
            default=None,
        )

    def envelope(self, author: str, act: str, envelope: str | None) -> bytes | None:
        for one, receipts in self.journal:
            if (
                one.header.author == author
                and act in one.act_digests
                and envelope in (None, one.digest)
                and not receipts[one.act_digests.index(act)]
            ):
                return one.data
        return None

    def closing(self, message: str) -> Sequence[tuple[str, str]]:
        return [
            (one.header.author, digest)
            for one, receipts in self.journal
            for act, digest, code in zip(one.acts, one.act_digests, receipts, strict=True)
            if code == 0 and isinstance(act, Concur | VetoAct | Withdraw) and act.message == message
        ]


class World(Log):
    """One network that lives: `block` applies acts and makes a final checkpoint."""

    def __init__(
        self, origin: str = "health.example/tw/tainan", people: Mapping[str, list[Any]] = PEOPLE,
        charter: Charter | None = None,
    ) -> None:  # fmt: skip
        self.origin = origin
        self.log = signer(origin, "", "log")
        founders = [Founder(one, f"test:{one}", sorted(people[one]), keys_of(origin, one)) for one in sorted(people)]
        charter = charter or charters.load("paper")
        super().__init__(Genesis(1, origin, START, charter, self.log.public_key, founders))
        self.state, outcome = found(self.genesis)
        self.at = START
        self.acting = {one: signer(origin, one, "act") for one in people}
        self.finality = {one: signer(origin, one, "finality") for one in people}
        self.silent: set[str] = set()
        self.believing = False
        self.archive: dict[str, bytes | None] = {}
        self._take(outcome, [(one.id, one.keys.finality) for one in founders])

    # Blocks.

    def block(self, *acts: tuple[str, Act], later: int = 60_000) -> Outcome:
        """One block `later` ms on, an envelope for each (author, act); every act must be accepted."""
        return self.batch(*((author, [act]) for author, act in acts), later=later)

    def batch(self, *envelopes: tuple[str, list[Act]], later: int = 60_000, codes: Sequence[int] = (0,)) -> Outcome:
        self.at += later
        data = [self.envelope_of(author, acts) for author, acts in envelopes]
        read = [decode(one) for one in data]
        assert not any(isinstance(one, Refusal) for one in read), read
        outcome = self.apply([one for one in read if isinstance(one, Envelope)])
        assert not outcome.dropped, outcome.dropped
        assert {code for receipt in outcome.receipts for code in receipt} <= set(codes), outcome.receipts
        return outcome

    def envelope_of(self, author: str, acts: list[Act], key: SeedSigner | None = None) -> bytes:
        return sign_acts(key or self.acting[author], self.genesis.digest, author, self.at + 600_000, acts)

    def apply(self, envelopes: list[Envelope]) -> Outcome:
        signing = [(one.id, one.key) for one in signers_of(self.state.members)]
        verdicts = [
            [self.believing or verify_signature(*check) for check in one] for one in checks(self.state, envelopes)
        ]
        rows: dict[str, bytes | None] = {}
        while wanted := reads(self.state, self.at, envelopes, rows):
            rows |= {key: self.archive.get(key) for key in wanted}
        outcome = apply_block(self.state, Block(self.at, envelopes), verdicts, rows)
        if outcome.changed:
            self.state.advance(outcome)
            self._take(outcome, signing)
        return outcome

    def _take(self, outcome: Outcome, signing: list[tuple[str, str]]) -> None:
        self.append(outcome)
        self.archive |= {key: value for key, value in outcome.writes if key.startswith(ARCHIVE)}
        held = {member: self.finality[member] for member, _ in signing if member not in self.silent}
        assert all(held[member].public_key == key for member, key in signing if member in held)
        self.sign(self.log, held, self.at // 1000 + 1)

    def submit(self, author: str, act: Submit, later: int = 60_000) -> str:
        """Submit in a block of its own; return the message's id."""
        self.block((author, act), later=later)
        return message_id(self.journal[-1][0].digest, 0)

    def recorded(self, author: str = "annan", act: Submit | None = None, window: int = HOUR) -> str:
        """A report that two endorse and the supervisor lets pass in silence."""
        message = self.submit(author, act or report())
        endorsers = [one for one in ("annan", "beimen", "cigu", "danei") if one != author][:2]
        self.block(*((one, judge(message)) for one in endorsers))
        self.block(later=window)
        return message

    # Dossiers and peers.

    def policy(self, pin: Pin | None = None) -> Policy:
        return policy_of_genesis(self.genesis, pin)

    def dossier(self, message: str, **options: Any) -> bytes:
        return dossiers.encode_dossier(dossiers.build_dossier(self, message, **options))

    def verify(self, message: str, **options: Any) -> Report:
        return verify(self.dossier(message, **options), self.policy())

    def entry(self, relation: Any, represented_by: str | None) -> PeerEntry:
        """This network as another's peer entry, pinned as it stands now."""
        epoch = self.state.meta.epoch
        leaf = self.decoded[self.roster(epoch)]
        assert isinstance(leaf, RosterLeaf)
        size = len(self.leaves)
        return PeerEntry(
            self.genesis.digest, relation, self.log.public_key, epoch, pinned(leaf.members), size,
            self.root(size).hex(), represented_by, PeerTerms(20, 1, 7 * 86_400),
        )  # fmt: skip

    def befriend(self, other: "World", relation: Any, represented_by: str | None, movers: Sequence[str]) -> None:
        """Add the other network as a peer by motion of these members."""
        terms = PeerMotion("add", other.origin, None, other.entry(relation, represented_by))
        motion = self.submit(movers[0], Submit("motion.peer", None, None, terms, None))
        self.block(*((one, judge(motion)) for one in movers[1:]))
        assert other.origin in self.state.peers

    def relay_to(self, other: "World", carrier: str) -> Outcome:
        """Carry everything that this network numbered for the other, under its newest checkpoint."""
        peer = other.state.peers[self.origin]
        size = len(self.leaves)
        out = [
            (index, place[1])
            for index, leaf in enumerate(self.decoded)
            for place in getattr(leaf, "to", ())
            if place[0] == other.origin and place[1] >= peer.next_in
        ]
        leaves = [
            RelayedLeaf(
                index, self.leaves[index].decode(), [note.encode_base64(one) for one in self.inclusion(index, size)]
            )
            for index, _ in sorted(out, key=lambda one: one[1])
        ]
        proof = [note.encode_base64(one) for one in self.consistency(peer.entry.size, size)]
        act = RelayAct(self.origin, self.checkpoint().decode(), proof, None, leaves)
        return other.block((carrier, act))
