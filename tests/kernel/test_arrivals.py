"""A peer whose whole quorum lies: what it can and cannot do here (spec 11.1, 11.3, 11.5)."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.fuzz.living import DAY, ORIGIN, PEERS, SUBJECT, Foreign, Living, grown, hexes, read_leaf
from tocsin.kernel import acts as wire
from tocsin.kernel import leaves as log
from tocsin.kernel.envelope import encode
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Peer
from tocsin.tlog import merkle, note

UP, DOWN, SIDE = "up.example/u", "down.example/d", "side.example/s"


class Liar:
    """The logs of all peers, each with the leaves it has sent so far."""

    def __init__(self) -> None:
        self.living = grown("paper")
        self.sent: dict[str, list[log.Leaf]] = {origin: [] for origin in PEERS}

    def tells(self, origin: str, leaf: Any) -> Reason:
        """The code that the next leaf of a peer meets."""
        number = len(self.sent[origin]) + 1
        self.sent[origin].append(replace(leaf, to=[(ORIGIN, number)]))
        living = self.living
        foreign = Foreign(origin)
        foreign.relay([encode(one) for one in self.sent[origin]])
        pinned = living.state.peers[origin].entry
        act = _newest(foreign, pinned.size, number)
        made = living.envelope("beimen", [act])
        assert made is not None
        outcome = living.block([made])
        assert outcome.receipts == [[Reason.ACCEPTED]]
        found = [one for one in map(read_leaf, outcome.leaves) if isinstance(one, log.Relayed)]
        return Reason(found[-1].code)


def _newest(foreign: Foreign, pinned: int, number: int) -> wire.RelayAct:
    """The leaf of this number alone; its log keeps no `block` leaf behind it, so that it can go on."""
    foreign.leaves = foreign.leaves[:-1]
    size = len(foreign.leaves)
    proofs = [note.encode_base64(one) for one in merkle.inclusion_proof(number, size, foreign._hash)]
    consistency = [note.encode_base64(one) for one in merkle.consistency_proof(pinned, size, foreign._hash)]
    shown = wire.RelayedLeaf(number, foreign.leaves[number].decode(), proofs)
    return wire.RelayAct(foreign.origin, foreign.statement(size), consistency, None, [shown])


def record(living: Living, kind: str, terms: Any = None, **changed: Any) -> log.Recorded:
    subject = SUBJECT if "report." in kind else None
    made = log.Recorded(
        hexes("there", kind), kind, "p1", "actual", None, subject, terms, None, None, hexes("charter"),
        living.state.charter.rules[0], "none", [], 4, 0, [], [], living.at, living.at, None, None, None,
        hexes("envelope"), [],
    )  # fmt: skip
    return replace(made, **changed)


def over(genesis: str, name: str, *more: str) -> log.Source:
    """As if it had begun as `name` in a network, and come over others."""
    path = [genesis, *more]
    return log.Source(path, log.Original(genesis, name), path[-1], hexes("at the last"), 1, 5)


def genesis_of(origin: str) -> str:
    return hexes(origin, "genesis")


def test_a_share_does_not_keep_the_report_itself_out() -> None:
    liar = Liar()
    report = record(liar.living, "report.x")
    share = record(
        liar.living, "relayed.share.x", wire.Share(ORIGIN, hexes("r")), source=over(genesis_of(DOWN), report.id)
    )
    assert liar.tells(SIDE, share) == Reason.ACCEPTED
    assert liar.tells(SIDE, share) == Reason.DUPLICATE
    assert liar.tells(DOWN, report) == Reason.ACCEPTED
    assert liar.tells(DOWN, report) == Reason.DUPLICATE


def test_a_report_of_one_child_does_not_come_over_another() -> None:
    """Else a child could send its sister's report first, in words of its own."""
    liar = Liar()
    rows = dict(liar.living.state.rows())
    sister = replace(Foreign(DOWN).entry(), genesis=hexes("sister"), represented_by=None)
    other = replace_row(liar.living, "sister.example/d", sister)
    rows |= other
    liar.living.state = type(liar.living.state).from_rows(sorted(rows.items()))
    forged = record(liar.living, "relayed.report.x", source=over(hexes("sister"), hexes("its report")))
    assert liar.tells(DOWN, forged) == Reason.WRONG_RELATION
    below = record(liar.living, "relayed.report.x", source=over(hexes("a child of its own"), hexes("its report")))
    assert liar.tells(DOWN, below) == Reason.ACCEPTED


def replace_row(living: Living, origin: str, entry: wire.PeerEntry) -> dict[str, bytes]:
    return {f"peer:{origin}": encode(Peer(origin, entry, "active", 1, 1, []))}


def remark(living: Living, about: str) -> log.Annotated:
    original = log.Original(living.genesis.digest, about)
    return log.Annotated(hexes("t"), original, "object", "p1", None, living.at, hexes("a"), hexes("e"), [])


def finding(living: Living, about: str, **changed: Any) -> log.FindingLeaf:
    original = log.Original(living.genesis.digest, about)
    made = log.FindingLeaf(
        hexes("f"), hexes("t"), original, "refuted", "field", hexes("e"), "p1", False, True, False, living.at, None,
        hexes("e"), [],
    )  # fmt: skip
    return replace(made, **changed)


def outcome(living: Living, about: str, state: str = "rejected") -> log.Final:
    ours = living.genesis.digest
    source = log.Source([ours], log.Original(ours, about), ours, about, 1, 2)
    made = record(living, "relayed.report.cluster.dengue", source=source)
    values = [getattr(made, name) for name in made.__struct_fields__]
    return log.FINAL_LEAVES[state](*values)


STATEMENTS: dict[str, Callable[[Living, str], Any]] = {"a remark": remark, "a finding": finding, "an outcome": outcome}


@pytest.mark.parametrize("what", STATEMENTS)
def test_nobody_speaks_of_what_was_not_shared_with_it(what: str) -> None:
    """Our first record went up and nowhere else; its id is on our log for all to read."""
    liar = Liar()
    ours = liar.living.messages[0]
    before = dict(liar.living.archive)
    assert liar.tells(SIDE, STATEMENTS[what](liar.living, ours)) == Reason.NOTHING_KNOWN
    assert liar.tells(DOWN, STATEMENTS[what](liar.living, ours)) == Reason.NOTHING_KNOWN
    assert liar.living.archive == before
    assert liar.tells(UP, STATEMENTS[what](liar.living, ours)) == Reason.ACCEPTED


def test_what_can_be_said_once_is_taken_once() -> None:
    liar = Liar()
    said = remark(liar.living, liar.living.messages[0])
    assert liar.tells(UP, said) == Reason.ACCEPTED
    assert liar.tells(UP, said) == Reason.ALREADY_ANNOTATED
    assert liar.tells(UP, replace(said, by="p2")) == Reason.ACCEPTED
    assert liar.tells(UP, replace(said, note="update")) == Reason.ACCEPTED
    assert liar.tells(UP, replace(said, note="update")) == Reason.ACCEPTED


def test_statements_do_not_go_round() -> None:
    """Passed on over a path with ourselves in it, or over too many networks."""
    liar = Liar()
    ours, genesis = liar.living.messages[0], liar.living.genesis.digest
    terms = wire.NoteTerms(hexes("their copy"), "update", "q1")

    def said(*path: str) -> log.Recorded:
        source = log.Source(list(path), log.Original(genesis, ours), path[-1], hexes("x"), 1, 0)
        return record(liar.living, "relayed.annotated", terms, source=source)

    assert liar.tells(UP, said(hexes("far"))) == Reason.ACCEPTED
    assert liar.tells(UP, said(genesis, hexes("far"))) == Reason.LOOP
    assert liar.tells(UP, said(*(hexes(number) for number in range(8)))) == Reason.TOO_MANY_HOPS
    assert liar.tells(UP, record(liar.living, "relayed.annotated", terms)) == Reason.BAD_LEAF
    wrong = replace(said(hexes("far")), kind="relayed.finding")
    assert liar.tells(UP, wrong) == Reason.BAD_LEAF


def test_what_is_passed_on_never_counts() -> None:
    """Only the parent's own finding does: one that it passes on is a note here."""
    liar = Liar()
    ours, genesis = liar.living.messages[0], liar.living.genesis.digest
    source = log.Source([hexes("far")], log.Original(genesis, ours), hexes("far"), hexes("x"), 1, 0)
    terms = wire.Finding(hexes("their copy"), "refuted", "field", hexes("e"))
    truth = liar.living.archive[f"old-message:{ours}"]
    assert liar.tells(UP, record(liar.living, "relayed.finding", terms, source=source)) == Reason.ACCEPTED
    assert liar.living.archive[f"old-message:{ours}"] == truth


@pytest.mark.parametrize(("due", "expires", "met"), [
    (DAY, 2 * DAY, Reason.ACCEPTED), (2 * DAY, DAY, Reason.BAD_TIMES), (DAY, 2**53 - 1, Reason.BAD_TIMES),
])  # fmt: skip
def test_orders_end(due: int, expires: int, met: Reason) -> None:
    liar = Liar()
    at = liar.living.at
    order = wire.Order(["p1"], at + due, expires if expires > 2**50 else at + expires, None)
    assert liar.tells(UP, record(liar.living, "order.isolate", order)) == met


def test_a_roster_and_more_in_one_block() -> None:
    """After the step to the next roster no checkpoint of the old keys is taken, not in this block either."""
    living = grown("paper")
    foreign = Foreign(UP)
    keys = wire.Keys(*(hexes("new", role) for role in ("root", "act", "finality")), None, "self")
    roster = encode(log.RosterLeaf(2, living.at, [log.RosterMember("a", "lei:a", ["voter"], keys, "active", None, True)]))
    step = foreign.relay([], roster)
    size = len(foreign.leaves)
    foreign.leaves.append(b"later")
    proof = [note.encode_base64(one) for one in merkle.consistency_proof(size, size + 1, foreign._hash)]
    later = wire.RelayAct(UP, foreign.statement(size + 1), proof, None, [])
    made = living.envelope("beimen", [step])
    more = living.envelope("beimen", [later], ahead=600_001)
    assert made is not None
    assert more is not None
    assert living.block([made, more]).receipts == [[Reason.ACCEPTED], [Reason.NOT_FINAL_CHECKPOINT]]
    assert living.state.peers[UP].entry.size == size
