"""What a lying peer's quorum may sign: it is refused leaf by leaf, and never becomes a row that cannot be read."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.fuzz.living import DAY, ORIGIN, SUBJECT, Foreign, Living, grown, hexes, read_leaf
from tocsin.kernel import acts as wire
from tocsin.kernel import leaves as log
from tocsin.kernel.envelope import encode
from tocsin.kernel.reasons import Reason
from tocsin.kernel.words import MAX_INT
from tocsin.tlog import merkle, note


def recorded(living: Living, kind: str, terms: Any, **changed: Any) -> log.Recorded:
    """A record of the peer that is addressed to us."""
    made = log.Recorded(
        hexes("there"), kind, "p1", "actual", None, None, terms, None, None, hexes("charter"),
        living.state.charter.rules[0], "none", [], 4, 0, [], [], living.at, living.at, None, None, None, hexes("envelope"),
        [(ORIGIN, 1)],
    )  # fmt: skip
    return replace(made, **changed)


def order(living: Living) -> wire.Order:
    return wire.Order(["p1"], living.at + DAY, living.at + 2 * DAY, None)


def taken(living: Living, origin: str, leaf: log.Leaf) -> Reason:
    """The code of the `relayed` leaf that a relayed leaf makes; the state goes on and reads back."""
    made = living.envelope("beimen", [Foreign(origin).relay([encode(leaf)])])
    assert made is not None
    outcome = living.block([made])
    assert outcome.receipts == [[Reason.ACCEPTED]]
    (relayed,) = [one for one in map(read_leaf, outcome.leaves) if isinstance(one, log.Relayed)]
    return Reason(relayed.code)


def own_record(living: Living) -> str:
    return living.messages[0]


RIGHT: dict[str, tuple[str, Callable[[Living], log.Leaf]]] = {
    "a share": ("side.example/s", lambda here: recorded(here, "share.record", wire.Share(ORIGIN, hexes("r")))),
    "an order": ("up.example/u", lambda here: recorded(here, "order.isolate", order(here))),
    "a report": ("down.example/d", lambda here: recorded(here, "report.x", None, subject=SUBJECT)),
}

WRONG: dict[str, tuple[str, Callable[[Living], log.Leaf]]] = {
    "a share that brings a finding on our record": (
        "side.example/s",
        lambda here: recorded(here, "share.x", wire.Finding(own_record(here), "refuted", "field", hexes("e"))),
    ),
    "a share that brings an order": ("side.example/s", lambda here: recorded(here, "share.x", order(here))),
    "a share that revokes our order": (
        "side.example/s", lambda here: recorded(here, "share.x", wire.Revoke(next(iter(here.state.orders)))),
    ),
    "a share without terms": ("side.example/s", lambda here: recorded(here, "share.x", None)),
    "an order that expels": (
        "up.example/u",
        lambda here: recorded(
            here, "order.x", wire.ExpelMotion("annan", wire.Standing(["reporter", "voter"], "active"))
        ),
    ),
    "an order that revokes by another name": (
        "up.example/u", lambda here: recorded(here, "order.x", wire.Revoke(hexes("o"))),
    ),
    "a report with terms": (
        "down.example/d", lambda here: recorded(here, "report.x", order(here), subject=SUBJECT),
    ),
    "an exercise about something actual": (
        "down.example/d", lambda here: recorded(here, "report.x", None, subject=SUBJECT, status="exercise"),
    ),
    "a kind that is none": ("up.example/u", lambda here: recorded(here, "order.X Y", order(here))),
    "a kind of 200 letters": ("up.example/u", lambda here: recorded(here, "order." + "x" * 200, order(here))),
    "an id that is none": ("up.example/u", lambda here: recorded(here, "order.x", order(here), id="x" * 30_000)),
    "a body that is free text": ("up.example/u", lambda here: recorded(here, "order.x", order(here), body="Mr. N.")),
    "a path of words": (
        "down.example/d",
        lambda here: recorded(
            here, "relayed.report.x", None, subject=SUBJECT,
            source=log.Source(["a" * 30_000], log.Original(hexes(1), hexes(2)), hexes(3), hexes(4), 1, 9),
        ),
    ),
    "more endorsers than integers": (
        "down.example/d",
        lambda here: recorded(
            here, "relayed.report.x", None, subject=SUBJECT,
            source=log.Source([hexes(1)], log.Original(hexes(1), hexes(2)), hexes(3), hexes(4), 1, 2**70),
        ),
    ),
    "a remark by nobody": (
        "up.example/u",
        lambda here: log.Annotated(
            hexes("t"), log.Original(here.genesis.digest, own_record(here)), "object", "Mr. N. of " + "x" * 60, None,
            here.at, hexes("a"), hexes("e"), [(ORIGIN, 1)],
        ),
    ),
    "evidence that is no digest": (
        "up.example/u",
        lambda here: log.FindingLeaf(
            hexes("f"), hexes("t"), log.Original(here.genesis.digest, own_record(here)), "upheld", "field", "see annex",
            "p1", False, True, False, here.at, None, hexes("e"), [(ORIGIN, 1)],
        ),
    ),
    "a negative outcome": (
        "up.example/u",
        lambda here: log.Relayed(
            ORIGIN, here.genesis.digest, 1, -1, None,
            log.Source([here.genesis.digest], log.Original(here.genesis.digest, own_record(here)), here.genesis.digest,
                       own_record(here), 1, 2),
            "p1", here.at, hexes("a"), hexes("e"), [(ORIGIN, 1)],
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", RIGHT)
def test_what_may_come(what: str) -> None:
    origin, leaf = RIGHT[what]
    living = grown("paper")
    assert taken(living, origin, leaf(living)) == Reason.ACCEPTED


@pytest.mark.parametrize("what", WRONG)
def test_what_may_not(what: str) -> None:
    origin, leaf = WRONG[what]
    living = grown("paper")
    before = {key: value for key, value in living.state.rows() if key.startswith(("order:", "message:", "member:"))}
    archived = dict(living.archive)
    assert taken(living, origin, leaf(living)) == Reason.BAD_LEAF
    after = {key: value for key, value in living.state.rows() if key.startswith(("order:", "message:", "member:"))}
    assert after == before
    assert living.archive == archived


def member(name: str, **changed: Any) -> log.RosterMember:
    keys = wire.Keys(*(hexes("new", name, role) for role in ("root", "act", "finality")), None, "self")
    return replace(log.RosterMember(name, f"lei:{name}", ["voter"], keys, "active", None, True), **changed)


def weak(one: log.RosterMember) -> log.RosterMember:
    return replace(one, keys=replace(one.keys, finality="01" + "00" * 31))


ROSTERS: dict[str, list[log.RosterMember]] = {
    "nobody": [],
    "nobody active": [member("a", status="left")],
    "an id twice": [member("a"), member("a", keys=member("b").keys)],
    "a key twice": [member("a"), member("b", keys=member("a").keys)],
    "out of order": [member("b"), member("a")],
    "an id that is none": [member("Mr. N.")],
    "an entity that is none": [member("a", entity="x" * 500)],
    "a weak key": [weak(member("a"))],
    "a hundred and one": [member(f"m{number:03}") for number in range(101)],
}


@pytest.mark.parametrize("what", ROSTERS)
def test_rosters_that_nobody_could_pin(what: str) -> None:
    living = grown("paper")
    before = living.state.rows()
    leaf = encode(log.RosterLeaf(2, living.at, ROSTERS[what]))
    made = living.envelope("beimen", [Foreign("up.example/u").relay([], leaf)])
    assert made is not None
    assert living.block([made]).receipts == [[Reason.BAD_ROSTER]]
    after = dict(living.state.rows())
    assert after["peer:up.example/u"] == dict(before)["peer:up.example/u"]


def test_a_good_roster_is_pinned() -> None:
    living = grown("paper")
    leaf = encode(log.RosterLeaf(2, living.at, [member("a"), member("b")]))
    made = living.envelope("beimen", [Foreign("up.example/u").relay([], leaf)])
    assert made is not None
    assert living.block([made]).receipts == [[Reason.ACCEPTED]]
    assert [one.id for one in living.state.peers["up.example/u"].entry.roster] == ["a", "b"]


def test_a_checkpoint_of_more_leaves_than_integers() -> None:
    """Its proof holds: a peer may make up the right half of a tree (spec 2)."""
    living, foreign = grown("paper"), Foreign("up.example/u")
    old, other = merkle.tree_root([merkle.leaf_hash(foreign.leaves[0])]), merkle.leaf_hash(b"made up")
    # A perfect tree of 2^53 leaves whose first leaf is the pinned one.
    root, proof = old, []
    for _ in range(53):
        proof.append(note.encode_base64(other))
        root = merkle.node_hash(root, other)
    size = MAX_INT + 1
    act = wire.RelayAct(foreign.origin, foreign.statement(size, root=root), proof, None, [])
    made = living.envelope("beimen", [act])
    assert made is not None
    before = dict(living.state.rows())["peer:up.example/u"]
    assert living.block([made]).receipts == [[Reason.BAD_CHECKPOINT]]
    assert dict(living.state.rows())["peer:up.example/u"] == before


def test_contradicting_checkpoints_are_evidence_and_freeze_the_peer() -> None:
    living, foreign = grown("paper"), Foreign("up.example/u")
    first, second = foreign.statement(1), foreign.statement(1, root=b"\x07" * 32)
    assert living.act("annan", wire.Evidence(foreign.origin, first, first, None, [])) == [Reason.NOT_EVIDENCE]
    assert living.act("annan", wire.Evidence(foreign.origin, first, second, None, [])) == [Reason.ACCEPTED]
    assert living.state.peers[foreign.origin].state == "frozen"
    assert living.act("cigu", foreign.relay([b"{}"])) == [Reason.PEER_FROZEN]
    assert living.act("cigu", wire.Evidence(foreign.origin, first, second, None, [])) == [Reason.PROVES_NOTHING_NEW]
