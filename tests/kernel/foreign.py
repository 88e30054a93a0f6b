"""Another network as ours sees it: a log with true Merkle proofs, and what it sends us, right and wrong."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tests.oracle.book import DAY, Message
from tests.oracle.oracle import Oracle
from tocsin.kernel import acts as wire
from tocsin.kernel import leaves as log
from tocsin.kernel.envelope import encode
from tocsin.kernel.words import Relation
from tocsin.tlog import checkpoint, cosignature, merkle, note
from tocsin.tlog.checkpoint import Checkpoint
from tocsin.tlog.cosignature import Cosigner
from tocsin.tlog.note import ED25519, VerifierKey

if TYPE_CHECKING:
    from tests.kernel.networks import Chance

FINALITY = 3
"""Lines that make a checkpoint of four members final (spec 10)."""


def _hex(*words: object) -> str:
    return sha256("/".join(map(str, words)).encode()).hexdigest()


def signed_head(origin: str, log_key: str, size: int, root: str, signers: Sequence[tuple[str, str]], at: int) -> str:
    """A checkpoint with the log's line and those of the signers, (id, key); whether they verify is said elsewhere."""
    text = checkpoint.format(Checkpoint(origin, size, bytes.fromhex(root)))
    signatures = [note.sign_line(VerifierKey(origin, ED25519, bytes.fromhex(log_key)), b"\x02" * 64)]
    for name, key in signers:
        cosigner = Cosigner(f"{origin}/{name}", bytes.fromhex(key))
        signatures.append(cosignature.sign_line(cosigner, at // 1000, b"\x03" * 64))
    return note.format(text, signatures).decode()


class Foreign:
    """A network of four members that keeps a log. `outbox`: indexes of the leaves it sent us, by number."""

    def __init__(self, origin: str, genesis: str, relation: Relation, ours: str, our_genesis: str) -> None:
        self.origin = origin
        self.genesis = genesis
        self.relation = relation
        self.ours = ours
        self.our_genesis = our_genesis
        self.log_key = _hex(origin, "log key")
        self.members = [
            wire.PinnedMember(f"p{i}", f"lei:P{i}", _hex(origin, "finality", i), "self", True) for i in range(4)
        ]
        self.log: list[bytes] = [encode(["first leaf", origin])]
        self.outbox: list[int] = []
        self.made = 0

    # The log.

    def _hash(self, level: int, index: int) -> bytes:
        first = index << level
        return merkle.tree_root([merkle.leaf_hash(one) for one in self.log[first : first + (1 << level)]])

    def root(self, size: int) -> bytes:
        return merkle.tree_root([merkle.leaf_hash(one) for one in self.log[:size]])

    def entry(self, head: str | None, quota: wire.PeerTerms) -> wire.PeerEntry:
        size = len(self.log)
        return wire.PeerEntry(
            self.genesis, self.relation, self.log_key, 1, list(self.members), size, self.root(size).hex(), head, quota
        )

    def checkpoint(self, size: int, at: int, lines: int = FINALITY, root: bytes | None = None) -> str:
        signers = [(one.id, one.finality) for one in self.members[:lines]]
        return signed_head(self.origin, self.log_key, size, (root or self.root(size)).hex(), signers, at)

    def send(self, leaf: Any) -> None:
        """Log a leaf that is addressed to us."""
        self.outbox.append(len(self.log))
        self.log.append(encode(leaf))
        self.log.append(encode(["end of block", len(self.log)]))

    # What is relayed.

    def relay(self, chance: "Chance", book: Oracle, at: int) -> wire.RelayAct:
        """Some new leaves and those still waiting, now and then with something missing or a bad proof."""
        for _ in range(chance.below(3)):
            leaf = self._leaf(chance, book, at)
            if leaf is not None:
                self.send(leaf)
        first = book.next_in.get(self.origin, 1)
        numbers = list(range(first, min(len(self.outbox), first + chance.below(4)) + 1))
        pinned = book.pins[self.origin].size
        lines, wrong = FINALITY, chance.below(100)
        if wrong >= 97 and len(numbers) > 1:
            numbers = numbers[1:]
        if wrong in (95, 96):
            lines = FINALITY - 1
        act = self.shown(numbers, pinned, at, lines)
        if wrong in (93, 94) and act.leaves:
            bad = act.leaves[0]
            leaf = wire.RelayedLeaf(bad.index, bad.leaf, [*bad.proof[:-1], _b64([b"\x07" * 32])[0]])
            return replace(act, leaves=[leaf, *act.leaves[1:]])
        return act

    def shown(
        self, numbers: Sequence[int], pinned: int, at: int, lines: int = FINALITY, size: int = 0,
        roster: int | None = None,
    ) -> wire.RelayAct:  # fmt: skip
        """What was sent to us under these numbers, on the newest checkpoint or that of a size; `roster`: its index."""
        size = size or len(self.log)
        leaves = [self._proven(self.outbox[number - 1], size) for number in numbers]
        step = None if roster is None else self._proven(roster, size)
        proof = merkle.consistency_proof(pinned, size, self._hash) if pinned <= size else ()
        return wire.RelayAct(self.origin, self.checkpoint(size, at, lines), _b64(proof), step, leaves)

    def _proven(self, index: int, size: int) -> wire.RelayedLeaf:
        proof = merkle.inclusion_proof(index, size, self._hash)
        return wire.RelayedLeaf(index, self.log[index].decode(), _b64(proof))

    def contradiction(self, at: int, lines: int | None = None) -> wire.Evidence:
        """Two checkpoints of one size with different roots, final if not said otherwise."""
        size, lines = len(self.log), FINALITY if lines is None else lines
        first = self.checkpoint(size, at, lines)
        second = self.checkpoint(size, at, lines, bytes.fromhex(_hex("other root", size)))
        return wire.Evidence(self.origin, first, second, None, [])

    def _to(self) -> log.To:
        return [(self.ours, len(self.outbox) + 1)]

    def _leaf(self, chance: "Chance", book: Oracle, at: int) -> Any:
        writers: dict[str, list[Any]] = {
            "child": [self._report, self._report, self._report, self._signal, self._outcome, self._receipts,
                      self._finding, self._annotated, self._share, self._passed_on],
            "parent": [self._order, self._outcome, self._outcome, self._finding, self._finding, self._annotated,
                       self._share, self._report, self._passed_on],
            "peer": [self._share, self._share, self._outcome, self._report, self._order],
        }  # fmt: skip
        if chance.percent(2):
            return self._unsendable(chance, book, at)
        return chance.of(writers[self.relation])(chance, book, at)

    def _unsendable(self, chance: "Chance", book: Oracle, at: int) -> Any:
        """A leaf of a kind that does not travel, addressed to us all the same."""
        subject = self._subject(chance, at)
        return self._final(chance, book, at, "lapsed", "report.event.x", subject, None, None, "actual")

    def _subject(self, chance: "Chance", at: int) -> wire.Subject:
        day = at // DAY - 1
        status: Any = chance.of(("actual", "actual", "actual", "exercise"))
        return wire.Subject(
            chance.of(("icd11:1D2Z", "icd11:1E70")), ["iso3166-2:TW-TNN"], None, day, chance.below(5), status
        )

    def _source(self, chance: "Chance", name: str) -> log.Source | None:
        """Mostly its own message; else one that came to it over others, in a wrong way now and then."""
        if not chance.percent(25):
            return None
        pick = chance.below(10)
        path = [_hex("far", i) for i in range(1 + chance.below(3))]
        if pick == 0:
            path = [self.our_genesis, *path]
        if pick == 1:
            path = [_hex("far", i) for i in range(7 + chance.below(3))]
        original = log.Original(path[0], _hex("original", name))
        return log.Source(path, original, path[-1], _hex("there", name), 4, chance.below(4))

    def _final(
        self, chance: "Chance", book: Oracle, at: int, tag: str, kind: str, subject: wire.Subject | None, terms: Any,
        source: log.Source | None, status: Any,
    ) -> log.Final:
        self.made += 1
        name = _hex(self.origin, self.made)
        endorsers = chance.below(4)
        ballots = [log.Ballot(f"p{i}", "endorse", None, "judge", _hex("act"), 1, i == 3) for i in range(endorsers)]
        rule = book.charter.rules[0]
        recorded = at - chance.of((0, 1000, DAY, DAY, 8 * DAY))
        return log.FINAL_LEAVES[tag](
            name, kind, "p1", status, None, subject, terms, None, source, _hex("charter"), rule, "none", [], 4, 2,
            ballots, [], recorded - 1000, recorded, None, None, None, _hex("envelope"), self._to(),
        )

    def _report(self, chance: "Chance", book: Oracle, at: int) -> Any:
        kind = chance.of(("report.cluster.dengue", "report.urgent.x", "report.event.x"))
        subject = self._subject(chance, at)
        if self.outbox and chance.percent(8):
            again: bytes = self.log[chance.of(self.outbox)]
            if again.startswith(b'{"leaf":"recorded","id"') and b'"report.' in again:
                return replace(msgspec.json.decode(again, type=log.Recorded), to=self._to())
        source = self._source(chance, kind)
        if source is not None:
            kind = "relayed." + kind
        return self._final(chance, book, at, "recorded", kind, subject, None, source, subject.status)

    def _signal(self, chance: "Chance", book: Oracle, at: int) -> Any:
        subject = self._subject(chance, at)
        self.made += 1
        return log.Opened(
            _hex(self.origin, self.made), 1, "report.cluster.dengue", "p1", subject.status, None, None, subject, None,
            None, None, _hex("charter"), book.charter.rules[0], "none", ["p2"], 1, 1, [], at, None, at + DAY, None,
            _hex("envelope"), self._to(),
        )

    def _ours(self, chance: "Chance", book: Oracle) -> Message | None:
        went = [m for m in book.messages if self.origin in m.went]
        if chance.percent(5) and book.messages:
            return chance.of(book.messages)
        return chance.of(went[-5:]) if went else None

    def _source_of(self, message: Message) -> log.Source:
        """Our message as this network describes where it has it from."""
        before = message.source
        original = log.Original(self.our_genesis, message.id)
        path = [self.our_genesis]
        if before is not None:
            original = log.Original(before["original"]["genesis"], before["original"]["id"])
            path = [*before["path"], self.our_genesis]
        return log.Source(path, original, self.our_genesis, message.id, 0, 2)

    def _outcome(self, chance: "Chance", book: Oracle, at: int) -> Any:
        ours = self._ours(chance, book)
        if ours is None:
            return None
        source = self._source_of(ours)
        if chance.percent(25):
            return log.Relayed(
                self.ours, self.our_genesis, 0, 432, None, source, "p1", at, _hex("act"), _hex("envelope"), self._to()
            )
        kind = "relayed." + ours.kind.removeprefix("relayed.")
        state = chance.of(("recorded", "vetoed", "lapsed", "rejected"))
        terms = None if isinstance(ours.terms, dict) else ours.terms
        return self._final(chance, book, at, state, kind, ours.subject, terms, source, ours.status)

    def _known(self, chance: "Chance", book: Oracle) -> Message | None:
        """A record that both know: one that went there, or came from there."""
        known = [m for m in book.messages if self.origin in m.went or (m.peer == self.origin and m.is_report)]
        if chance.percent(5) and book.messages:
            return chance.of(book.messages)
        return chance.of(known[-5:]) if known else None

    def _original_of(self, message: Message) -> log.Original:
        return self._source_of(message).original

    def _finding(self, chance: "Chance", book: Oracle, at: int) -> Any:
        known = self._known(chance, book)
        if known is None:
            return None
        self.made += 1
        verdict: Any = chance.of(("upheld", "upheld", "refuted", "undetermined"))
        original = self._original_of(known) if not chance.percent(4) else log.Original(_hex("x"), _hex("y"))
        return log.FindingLeaf(
            _hex(self.origin, self.made), _hex("target"), original, verdict, "laboratory", _hex("evidence"), "p2",
            chance.percent(30), True, False, at, None, _hex("envelope"), self._to(),
        )

    def _passed_on(self, chance: "Chance", book: Oracle, at: int) -> Any:
        """What a network behind this one said of a record that both know."""
        known = self._known(chance, book)
        if known is None:
            return None
        path = [self.our_genesis if chance.percent(5) else _hex("far", i) for i in range(1 + chance.below(2))]
        source = log.Source(path, self._original_of(known), path[-1], _hex("there", self.made), 4, 0)
        kind, terms = chance.of((
            ("relayed.annotated", wire.NoteTerms(_hex("there"), chance.of(("update", "retract")), "q1")),
            ("relayed.finding", wire.Finding(_hex("there"), "upheld", "field", _hex("evidence"))),
            ("relayed.finding", wire.Review(_hex("f"), _hex("there"), "refuted", "field", _hex("evidence"))),
        ))  # fmt: skip
        return self._final(chance, book, at, "recorded", kind, None, terms, source, "actual")

    def _annotated(self, chance: "Chance", book: Oracle, at: int) -> Any:
        known = self._known(chance, book)
        if known is None:
            return None
        return log.Annotated(
            _hex("target"), self._original_of(known), chance.of(("update", "retract", "object")), "p1", None, at,
            _hex("act"), _hex("envelope"), self._to(),
        )

    def _share(self, chance: "Chance", book: Oracle, at: int) -> Any:
        return self._final(
            chance, book, at, "recorded", "share.record", None, wire.Share(self.ours, _hex("record")), None, "actual"
        )

    def _order(self, chance: "Chance", book: Oracle, at: int) -> Any:
        due = at + chance.of((3_600_000, DAY))
        order = wire.Order(["p1"], due, due + chance.of((0, DAY, 2 * DAY)), None)
        return self._final(chance, book, at, "recorded", "order.isolate", None, order, None, "actual")

    def _receipts(self, chance: "Chance", book: Oracle, at: int) -> Any:
        orders = [m for m in book.messages if m.kind.startswith("order.") and self.origin in m.went]
        if not orders:
            return None
        answers = [log.OrderAnswer("p1", at, "done", None, False, _hex("act"))]
        return log.OrderReceipts(
            _hex("order"), "due", at, answers, self._source_of(chance.of(orders)), self._to()
        )


def _b64(hashes: Any) -> list[str]:
    return [note.encode_base64(one) for one in hashes]
