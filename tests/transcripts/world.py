"""Networks as a scenario founds and drives them: real keys, signatures, Merkle logs and final checkpoints.

Nothing here decides anything: it signs what the members of a scenario do, verifies every signature that the kernel
asks for, loads the archived rows it asks for, and holds each outcome against what must be true of any block.
"""

from collections.abc import Sequence
from copy import copy
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from tocsin.client.signing import (
    SeedSigner,
    cosign_checkpoint,
    found_with,
    sign_acts,
    sign_checkpoint,
    verify_signature,
)
from tocsin.kernel import rows
from tocsin.kernel.acts import Act, Keys, PeerEntry, PeerTerms, PinnedMember, RelayAct, RelayedLeaf
from tocsin.kernel.admission import refused
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads, writes_digest
from tocsin.kernel.charter import Charter
from tocsin.kernel.charter_check import check_roster
from tocsin.kernel.envelope import Envelope, Refusal, decode, encode
from tocsin.kernel.genesis import PROTOCOL, Founder, Genesis, decode_genesis
from tocsin.kernel.leaves import AnyLeaf, BlockLeaf
from tocsin.kernel.relays import decode_leaf
from tocsin.kernel.rows import Member
from tocsin.kernel.state import State
from tocsin.kernel.statements import signers_of, signs
from tocsin.kernel.words import Relation, Role
from tocsin.tlog import Checkpoint, checkpoint, merkle, note
from tocsin.tlog.note import encode_base64

START = 1_772_438_400_000
"""2026-03-02T08:00Z: the time 0 of every scenario, in ms."""
VALID_MS = 600_000
ROLES = ("root", "act", "finality")
LARGEST_LEAF = 65_535


class ScenarioError(Exception):
    """The script asks for what cannot be, or the kernel did not do what the script says it must."""


def seed(*words: object) -> bytes:
    """Deterministic bytes for keys and digests."""
    return sha256("/".join(map(str, words)).encode()).digest()


@cache
def signer_of(*words: object) -> SeedSigner:
    """The key of a seed, made once."""
    return SeedSigner(seed(*words))


class Keyring:
    """A member's signers in one network, by role; `turn` counts the generations of each."""

    def __init__(self, network: str, member: str) -> None:
        self._words = (network, member)
        self.turn = dict.fromkeys(ROLES, 0)

    def signer(self, role: str) -> SeedSigner:
        return self.at(role, self.turn[role])

    def at(self, role: str, turn: int) -> SeedSigner:
        return signer_of(*self._words, role, turn)

    def keys(self, turns: dict[str, int] | None = None) -> Keys:
        root, act, finality = (self.at(role, (turns or self.turn)[role]).public_key for role in ROLES)
        return Keys(root, act, finality, None, "self")


class Queued(NamedTuple):
    """An envelope that waits for the next block; `lines`: what its acts are called in the transcript."""

    envelope: Envelope
    lines: list[str]


class Step(NamedTuple):
    """A roster leaf and the checkpoint of its block's end, under the epoch before it, whose members are `before`."""

    index: int
    size: int
    checkpoint: str
    before: dict[str, Member]


class Result(NamedTuple):
    """A block that was made: what went in, what came out, and the live rows before."""

    network: "Network"
    queue: list[Queued]
    outcome: Outcome
    before: dict[str, dict[str, Any]]
    leaves: list[AnyLeaf]


class Loaded(dict[str, bytes | None]):
    """The archived rows of a block. A look at one that was not asked for would differ from block to block by what else
    is in it, so it fails."""

    def __init__(self, archive: dict[str, bytes]) -> None:
        super().__init__()
        self._archive = archive

    def get(self, key: str, default: Any = None) -> Any:
        if self.asked and key not in self and key in self._archive:
            raise AssertionError(f"the kernel reads {key} without having asked for it")
        return super().get(key, default)

    asked = False
    """Whether the kernel has said all that it wants."""


class Network:
    """One network: its state, log and archive, and the keys of all its members."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.origin = f"health.example/{name.lower()}"
        self.shown: dict[str, str] = {}
        self.roles: dict[str, list[Role]] = {}
        self.keyrings: dict[str, Keyring] = {}
        self.state = State()
        self.genesis = ""
        self.log: list[bytes] = []
        self.archive: dict[str, bytes] = {}
        self.queue: list[Queued] = []
        self.steps: list[Step] = []
        self.signed = 0
        self.log_signer = signer_of(name, "log")

    # Founding.

    def add(self, shown: str, roles: Sequence[Role]) -> None:
        """A member to found with, as the script calls it."""
        name = shown.lower()
        self.shown[name] = shown
        self.roles[name] = sorted(roles)
        self.keyring(name)

    def keyring(self, name: str) -> Keyring:
        return self.keyrings.setdefault(name, Keyring(self.name, name))

    def found(self, charter: Charter, at: int) -> Result:
        """Block 0, from a genesis that every key signed."""
        founders = [
            Founder(name, f"lei:{name.upper()}", self.roles[name], self.keyring(name).keys())
            for name in sorted(self.roles)
        ]
        genesis = Genesis(PROTOCOL, self.origin, at, charter, self.log_signer.public_key, founders)
        assert decode_genesis(encode(genesis)) == genesis
        signers = {name: [self.keyring(name).signer(role) for role in ROLES] for name in self.roles}
        found_with(genesis, signers)
        self.state, outcome = found(genesis)
        fatal = [one for one in check_roster(charter, list(self.state.members.values()), []) if one.fatal]
        if fatal:
            raise ScenarioError(f"{self.name} cannot be founded: {fatal[0].sentence}")
        self.genesis = genesis.digest
        self._keep(outcome)
        return Result(self, [], outcome, {}, [decode_leaf(leaf) for leaf in outcome.leaves])

    # Envelopes and blocks.

    def put(self, author: str, acts: Sequence[Act], at: int, lines: list[str], **how: object) -> Envelope:
        """Queue an envelope that a member signs; see `sign`."""
        # A little longer each time, so that two equal acts of one moment are two envelopes.
        self.signed += 1
        envelope = self.sign(author, acts, at, **{"valid": VALID_MS + self.signed} | how)  # type: ignore[arg-type]
        self.queue.append(Queued(envelope, lines))
        return envelope

    def sign(
        self, author: str, acts: Sequence[Act], at: int, valid: int = VALID_MS, key: SeedSigner | None = None,
        genesis: str | None = None,
    ) -> Envelope:  # fmt: skip
        """`valid`: for how long in ms; `key`: another than the member's act key."""
        signer = key or self.keyring(author).signer("act")
        read = decode(sign_acts(signer, genesis or self.genesis, author, at + valid, acts))
        assert not isinstance(read, Refusal)
        return read

    def load(self, at: int, envelopes: Sequence[Envelope]) -> dict[str, bytes | None]:
        """The archived rows that a block wants, asked for until nothing is missing."""
        loaded = Loaded(self.archive)
        for _ in range(200):
            missing = reads(self.state, at, envelopes, loaded)
            if not missing:
                loaded.asked = True
                return loaded
            for key in missing:
                assert key.startswith(rows.ARCHIVE), key
                loaded[key] = self.archive.get(key)
        raise AssertionError("the kernel never stops asking for archived rows")

    def apply(self, at: int, envelopes: Sequence[Envelope]) -> Outcome:
        """What a block of these envelopes would do; nothing is kept."""
        verdicts = [[verify_signature(*one) for one in of] for of in checks(self.state, envelopes)]
        outcome = apply_block(self.state, Block(at, envelopes), verdicts, self.load(at, envelopes))
        assert refused(self.state, at, envelopes, verdicts) == outcome.dropped
        return outcome

    def block(self, at: int) -> Result:
        """Make the next block of what waits."""
        queue, self.queue = self.queue, []
        envelopes = [one.envelope for one in queue]
        digest = self.state.digest()
        outcome, again = self.apply(at, envelopes), self.apply(at, envelopes)
        assert self.state.digest() == digest, "apply_block touched the state"
        assert (outcome.leaves, outcome.writes) == (again.leaves, again.writes), "apply_block is not a function"
        before = {name: dict(table) for name, table in self.state.tables.items()}
        roster, epoch = dict(self.state.members), self.state.meta.epoch
        if not outcome.changed:
            return Result(self, queue, outcome, before, [])
        self.state.advance(outcome)
        self._keep(outcome)
        self._check(outcome)
        if self.state.meta.epoch != epoch:
            size = len(self.log)
            self.steps.append(Step(size - 2, size, self.checkpoint(at, roster), roster))
        return Result(self, queue, outcome, before, [decode_leaf(leaf) for leaf in outcome.leaves])

    def _keep(self, outcome: Outcome) -> None:
        self.log += outcome.leaves
        for key, value in outcome.writes:
            if key.startswith(rows.ARCHIVE):
                assert value is not None
                self.archive[key] = value

    def _check(self, outcome: Outcome) -> None:
        """What must be true after every block."""
        state, last = self.state, decode_leaf(outcome.leaves[-1])
        restored = State.from_rows(state.rows())
        assert restored.digest() == state.digest()
        for derived in ("timeline", "seen", "based", "live_incidents"):
            assert getattr(restored, derived) == getattr(state, derived), f"{derived} differs after a restart"
        assert isinstance(last, BlockLeaf)
        assert last.writes == writes_digest(outcome.writes)
        assert len(self.log) == state.meta.size
        assert max(len(leaf) for leaf in outcome.leaves) <= LARGEST_LEAF
        for name, account in state.accounts.items():
            own = [one for one in state.messages.values() if one.author == name and one.source is None]
            assert account.open == len(own), f"{name} has {len(own)} open messages and not {account.open}"
            assert account.motions == sum(one.kind.startswith("motion.") for one in own)
            assert 0 <= account.tokens <= max(state.charter.tokens.bucket, 1)

    # The log, as others see it.

    def _hash(self, height: int, index: int) -> bytes:
        first = index << height
        return merkle.tree_root([merkle.leaf_hash(one) for one in self.log[first : first + (1 << height)]])

    def root(self, size: int) -> bytes:
        return merkle.tree_root([merkle.leaf_hash(one) for one in self.log[:size]])

    def checkpoint(
        self, at: int, members: dict[str, Member] | None = None, size: int | None = None, lines: int | None = None,
        root: bytes | None = None,
    ) -> str:  # fmt: skip
        """A checkpoint with the log's line and those of the members that sign, of the first `lines` of them."""
        size = len(self.log) if size is None else size
        roster = self.state.members if members is None else members
        head = Checkpoint(self.origin, size, self.root(size) if root is None else root)
        signatures = [sign_checkpoint(self.log_signer, head)]
        for name in [one.id for one in signers_of(roster)][:lines]:
            key = roster[name].keys.finality
            turns = range(self.keyring(name).turn["finality"] + 1)
            signer = next(one for one in (self.keyring(name).at("finality", turn) for turn in turns)
                          if one.public_key == key)  # fmt: skip
            signatures.append(cosign_checkpoint(signer, name, head, at // 1000))
        return note.format(checkpoint.format(head), signatures).decode()

    def entry(self, relation: Relation, represented_by: str | None, quota: PeerTerms) -> PeerEntry:
        """This network as another enters it: pinned at its present head."""
        pinned = [
            PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, signs(one))
            for _, one in sorted(self.state.members.items())
        ]
        meta, size = self.state.meta, len(self.log)
        return PeerEntry(
            self.genesis, relation, meta.log_key, meta.epoch, pinned, size, self.root(size).hex(), represented_by, quota
        )

    def outgoing(self, destination: str, since: int) -> list[int]:
        """Indexes of the leaves for a destination from number `since` on."""
        found = {}
        for index, leaf in enumerate(self.log):
            for origin, number in getattr(decode_leaf(leaf), "to", ()) if b',"to":[["' in leaf else ():
                if origin == destination and number >= since:
                    found[number] = index
        return [found[number] for number in sorted(found)]

    def relay_to(self, other: "Network", at: int, only: int | None = None, skip: int = 0, lines: int | None = None,
                 size: int | None = None, stay: bool = False) -> RelayAct:  # fmt: skip
        """The next relay act from here to another network: a roster step if one is due, else what waits.

        `only`: at most so many leaves; `skip`: leave out the first ones; `lines`: so many cosignatures; `size`: a
        checkpoint of that size; `stay`: take the leaves though a roster step is due.
        """
        peer = other.state.tables["peer"][self.origin]
        pinned = peer.entry.size
        step = next((one for one in self.steps if one.size > pinned), None)
        if step is not None and not stay:
            proof = self.consistency(pinned, step.size)
            return RelayAct(self.origin, step.checkpoint, proof, self.relayed(step.index, step.size), [])
        size = len(self.log) if size is None else size
        places = self.outgoing(other.origin, peer.next_in)[skip:][:only]
        head = self.checkpoint(at, size=size, lines=lines)
        leaves = [self.relayed(index, size) for index in places]
        return RelayAct(self.origin, head, self.consistency(pinned, size), None, leaves)

    def relayed(self, index: int, size: int) -> RelayedLeaf:
        """A leaf with its proof to the root of `size` leaves."""
        proof = merkle.inclusion_proof(index, size, self._hash)
        return RelayedLeaf(index, self.log[index].decode(), [encode_base64(one) for one in proof])

    def forked(self, size: int) -> "Network":
        """The same network with a log that is another from the last leaf before this size on."""
        other = copy(self)
        other.log = [*self.log[: size - 1], b'{"leaf":"another"}', *self.log[size:]]
        return other

    def consistency(self, pinned: int, size: int) -> list[str]:
        """The proof that the log of `size` leaves extends that of `pinned`; empty if it does not."""
        if not 0 < pinned <= size:
            return []
        return [encode_base64(one) for one in merkle.consistency_proof(pinned, size, self._hash)]

    # Reading the state.

    def message(self, name: str) -> rows.Message | None:
        """A message, live or archived."""
        live = self.state.messages.get(name)
        old = self.archive.get(rows.OLD_MESSAGE + name)
        return live or (None if old is None else msgspec.json.decode(old, type=rows.Message))

    def incident(self, name: str) -> rows.Incident | None:
        """An incident, live or closed."""
        live = self.state.incidents.get(name)
        old = self.archive.get(rows.OLD_INCIDENT + name)
        return live or (None if old is None else msgspec.json.decode(old, type=rows.Incident))


def quota_of(charter: Charter, **changes: int) -> PeerTerms:
    """What an entry starts from by a charter, with changes."""
    law = charter.peers
    return replace(PeerTerms(law.per_week, law.min_endorsers, law.max_age_s), **changes)
