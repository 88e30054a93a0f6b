"""A network in the middle of its life, in the kernel alone: what the fuzzers shake.

It has records, open messages, incidents, a running order, a finding, a suspended member, and three peers whose logs
the fuzzer owns: what a quorum of a peer signs can be anything.
"""

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any

from tests.fuzz.dice import percent
from tocsin import charters
from tocsin.kernel import acts as wire
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, decode, encode, unsigned
from tocsin.kernel.genesis import Founder, Genesis
from tocsin.kernel.leaves import AnyLeaf
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import ARCHIVE, Peer
from tocsin.kernel.state import State
from tocsin.tlog import Checkpoint, Cosigner, VerifierKey, checkpoint, cosignature, merkle, note

START = 1_438_387_200_000
DAY = 86_400_000
ORIGIN = "here.example/h"
PEERS: dict[str, Any] = {"up.example/u": "parent", "down.example/d": "child", "side.example/s": "peer"}
PEOPLE: dict[str, list[Any]] = {
    "annan": ["reporter", "voter"],
    "beimen": ["relay", "reporter", "voter"],
    "cigu": ["reporter", "voter"],
    "danei": ["reporter", "voter"],
    "fuxing": ["reporter", "voter"],
    "health": ["supervisor"],
    "reader": ["auditor"],
}
SIGNED = b"\x02" * 64
SUBJECT = wire.Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, START // DAY, 2, "actual")


def hexes(*words: object) -> str:
    """32 bytes as hex, fixed by words."""
    return sha256("/".join(map(str, words)).encode()).hexdigest()


def founders() -> list[Founder]:
    """The members with keys that nobody owns."""
    return [
        Founder(
            name, f"lei:{name}", sorted(PEOPLE[name]),
            wire.Keys(*(hexes(name, role) for role in ("root", "act", "finality")), None, "self"),
        )
        for name in sorted(PEOPLE)
    ]  # fmt: skip


class Foreign:
    """A peer's log, with leaves that the fuzzer chooses and proofs that hold."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.members = [
            wire.PinnedMember(f"p{i}", f"lei:p{i}", hexes(origin, "finality", i), "self", True) for i in range(4)
        ]
        self.leaves = [b"first"]

    def _hash(self, level: int, index: int) -> bytes:
        first = index << level
        return merkle.tree_root([merkle.leaf_hash(one) for one in self.leaves[first : first + (1 << level)]])

    def entry(self) -> wire.PeerEntry:
        """As our state has it pinned, at the first leaf."""
        root = merkle.tree_root([merkle.leaf_hash(self.leaves[0])]).hex()
        represented = "annan" if PEERS[self.origin] == "child" else None
        return wire.PeerEntry(
            hexes(self.origin, "genesis"), PEERS[self.origin], hexes(self.origin, "log"), 1, list(self.members), 1, root,
            represented, wire.PeerTerms(1000, 0, 10**9),
        )  # fmt: skip

    def statement(self, size: int, lines: int = 3, root: bytes | None = None) -> str:
        """A checkpoint with lines that look right; whether they verify, the fuzzer says."""
        head = merkle.tree_root([merkle.leaf_hash(one) for one in self.leaves[:size]]) if root is None else root
        text = checkpoint.format(Checkpoint(self.origin, size, head))
        made = [note.sign_line(VerifierKey(self.origin, 1, bytes.fromhex(hexes(self.origin, "log"))), SIGNED)]
        for one in self.members[:lines]:
            cosigner = Cosigner(f"{self.origin}/{one.id}", bytes.fromhex(one.finality))
            made.append(cosignature.sign_line(cosigner, 1, SIGNED))
        return note.format(text, made).decode()

    def relay(self, leaves: Sequence[bytes], roster: bytes | None = None) -> wire.RelayAct:
        """A relay of these leaves from the pinned first one on; a roster is the last but one leaf of its block."""
        self.leaves = [self.leaves[0], *leaves, *([] if roster is None else [roster]), b"block"]
        size = len(self.leaves)

        def shown(index: int) -> wire.RelayedLeaf:
            proof = [note.encode_base64(one) for one in merkle.inclusion_proof(index, size, self._hash)]
            return wire.RelayedLeaf(index, self.leaves[index].decode(), proof)

        consistency = [note.encode_base64(one) for one in merkle.consistency_proof(1, size, self._hash)]
        last = None if roster is None else shown(size - 2)
        return wire.RelayAct(
            self.origin, self.statement(size), consistency, last, [shown(1 + place) for place in range(len(leaves))]
        )


class Living:
    """State and archive of a network; `block` applies one and checks what always holds."""

    def __init__(self, charter: str) -> None:
        chosen = charters.load(charter)
        self.genesis = Genesis(1, ORIGIN, START, chosen, hexes("log"), founders())
        self.state, _ = found(self.genesis)
        self.archive: dict[str, bytes] = {}
        self.at = START
        self.messages: list[str] = []
        rows = dict(self.state.rows())
        for origin in PEERS:
            rows[f"peer:{origin}"] = encode(Peer(origin, Foreign(origin).entry(), "active", 1, 1, []))
        self.state = State.from_rows(sorted(rows.items()))

    def envelope(self, author: str, acts: Sequence[wire.Act], ahead: int = 600_000) -> Envelope | None:
        """An envelope under the author's own key, or None if these acts make none (too large)."""
        member = self.state.members.get(author)
        key = hexes("nobody") if member is None else member.keys.act
        if member is not None and acts and all(isinstance(one, wire.Rotate) for one in acts):
            key = member.keys.root
        made = decode(unsigned(self.genesis.digest, author, self.at + ahead, acts).seal(key, SIGNED))
        return made if isinstance(made, Envelope) else None

    def block(
        self, envelopes: Sequence[Envelope], later: int = 60_000, false: Random | None = None, advance: bool = True
    ) -> Outcome:
        """One block. Signatures hold, or with `false` some do not."""
        self.at += later
        verdicts = [
            [false is None or not percent(false, 5) for _ in row] for row in checks(self.state, envelopes)
        ]
        before = self.state.rows()
        rows: dict[str, bytes | None] = {}
        while wanted := reads(self.state, self.at, envelopes, rows):
            rows |= {key: self.archive.get(key) for key in wanted}
        outcome = apply_block(self.state, Block(self.at, envelopes), verdicts, rows)
        assert self.state.rows() == before, "applying a block changes nothing"
        if advance:
            self._advance(outcome)
        return outcome

    def _advance(self, outcome: Outcome) -> None:
        for leaf in outcome.leaves:
            assert len(leaf) <= 65_535
            assert encode(read_leaf(leaf)) == leaf
        for key, value in outcome.writes:
            if key.startswith(ARCHIVE):
                assert value is not None
                self.archive[key] = value
        self.state.advance(outcome)
        for envelope, codes in zip(outcome.consumed, outcome.receipts, strict=True):
            assert all(Reason(code) in Reason for code in codes)
            for index, (act, code) in enumerate(zip(envelope.acts, codes, strict=True)):
                if isinstance(act, wire.Submit) and code == 0:
                    self.messages.append(message_id(envelope.digest, index))
        again = State.from_rows(self.state.rows())
        assert again.rows() == self.state.rows()
        assert (again.timeline, again.seen, again.based, again.live_incidents) == (
            self.state.timeline, self.state.seen, self.state.based, self.state.live_incidents,
        )  # fmt: skip

    def act(self, author: str, *acts: wire.Act, later: int = 60_000) -> list[int]:
        """A block with one envelope; the codes of its acts."""
        envelope = self.envelope(author, acts)
        assert envelope is not None
        return self.block([envelope], later).receipts[0]

    def submit(self, author: str, kind: str, incident: str | None = None, subject: Any = None, terms: Any = None) -> str:
        """Submit, and let all others endorse."""
        codes = self.act(author, wire.Submit(kind, incident, subject, terms, None))
        assert codes == [0], (kind, Reason(codes[0]))
        message = self.messages[-1]
        for one in sorted(PEOPLE):
            if message in self.state.messages and one in self.state.messages[message].electorate:
                self.act(one, wire.Judge(message, "endorse", None, "officer", None, None), later=1000)
        return message

    def settle(self, message: str) -> None:
        """Blocks at every deadline until the message is final."""
        while message in self.state.messages:
            deadline = self.state.next_deadline()
            assert deadline is not None
            self.block([], later=deadline - self.at)

    def pools(self) -> dict[str, list[str]]:
        """Ids that mean something here, for random acts to name."""
        state = self.state
        old = [key.rpartition(":")[2] for key in self.archive]
        ids = [*state.messages, *state.incidents, *state.orders, *self.messages[-12:], *old[-12:], state.meta.charter]
        ids += [hexes("nothing"), self.genesis.digest, *(hexes(origin, "genesis") for origin in PEERS)]
        ids += [one.finding for one in map(state.messages.get, state.messages) if one is not None and one.finding]
        return {
            "hexes": ids,
            "members": [*PEOPLE, "stranger"],
            "origins": [*PEERS, ORIGIN],
            "texts": ["watch", "alert", "response", *PEERS, ORIGIN],
            "times": [str(self.at + one) for one in (0, 1, -1, DAY, -DAY, 7 * DAY, 30 * DAY)] + [str(self.at // DAY)],
        }


def read_leaf(data: bytes) -> Any:
    """Decode a leaf as strictly as our schema says."""
    import msgspec

    return msgspec.json.decode(data, type=AnyLeaf)


@cache
def _grown(charter: str) -> Living:
    living = Living(charter)
    submit = living.submit
    kind = "report.pandemic" if charter == "figure-4" else "report.cluster.dengue"
    first = submit("annan", kind, None, SUBJECT)
    living.settle(first)
    (incident,) = living.state.incidents
    stage = living.state.incidents[incident].stage
    living.settle(submit("beimen", "motion.lead", incident, None, wire.LeadMotion("stand", None)))
    if stage != "response":
        living.settle(submit("beimen", "motion.stage", incident, None, wire.StageMotion(stage, "response")))
    order = wire.Order(["annan", "cigu"], living.at + DAY, living.at + 7 * DAY, None)
    living.act("beimen", wire.Submit("order.isolate", incident, None, order, None))
    living.act("health", wire.Submit("finding", None, None, wire.Finding(first, "upheld", "field", hexes("e")), None))
    living.act("cigu", wire.Submit(kind, None, SUBJECT, None, None))
    living.act("danei", wire.Submit(kind, None, SUBJECT, None, None))
    living.act("annan", wire.Judge(living.messages[-1], "endorse", None, "officer", None, None))
    standing = wire.SuspendMotion("fuxing", wire.Standing(["reporter", "voter"], "active"), 86_400)
    living.settle(living.submit("annan", "motion.suspend", None, None, standing))
    return living


def grown(charter: str) -> Living:
    """A copy of a network that has lived for a while."""
    return deepcopy(_grown(charter))
