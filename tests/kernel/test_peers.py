"""What becomes of a peer's entry and of its statements within one block (spec 4.4, 5.6, 11.2, 11.4)."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.kernel.foreign import Foreign
from tests.kernel.networks import START, hexes, network, seal
from tests.oracle.beside import Pair, Sealed, Step
from tests.oracle.law import entry_digest
from tests.transcripts.test_refusals import play, world
from tocsin import charters
from tocsin.kernel import acts as wire
from tocsin.kernel import leaves as log
from tocsin.kernel.digest import message_id
from tocsin.kernel.reasons import Reason
from tocsin.kernel.relays import decode_leaf

SIDE = "side.example/s"
MEMBERS = ("m0", "m1", "m2", "m3")
HOUR = 3_600_000


class Scene:
    """A network with one peer, in kernel and oracle at once, and two histories of that peer."""

    def __init__(self, notice_s: int = 0) -> None:
        paper = charters.load("paper")
        rules = [replace(one, notice_s=notice_s) if one.kind == "motion.peer" else one for one in paper.rules]
        genesis = network(replace(paper, rules=rules), [(name, ("reporter", "voter")) for name in MEMBERS])
        self.pair = Pair(genesis)
        self.genesis = genesis.digest
        self.at = START
        self.notice = notice_s * 1000
        self.known = Foreign(SIDE, hexes("their genesis"), "peer", genesis.origin, self.genesis)
        self.settle("add", None, self.known.entry(None, wire.PeerTerms(20, 0, 86_400)))

    def seal(self, author: str, act: wire.Act) -> Sealed:
        key = self.pair.oracle.members[author].keys.act
        return seal(self.genesis, author, [act], self.at + 600_000, key)

    def block(self, sealed: Sequence[Sealed], later: int = 1000) -> list[int]:
        """The code of each envelope's one act."""
        self.at += later
        outcome, _ = self.pair.step(Step(self.at, sealed))
        assert not outcome.dropped
        return [codes[0] for codes in outcome.receipts]

    def move(self, do: str, base: str | None, entry: wire.PeerEntry | None) -> list[Sealed]:
        """Have a motion about the peer; the ballots that it still needs."""
        made = self.seal("m0", wire.Submit("motion.peer", None, None, wire.PeerMotion(do, SIDE, base, entry), None))  # type: ignore[arg-type]
        assert self.block([made]) == [Reason.ACCEPTED]
        name = message_id(made.envelope.digest, 0)
        return [self.seal(one, wire.Judge(name, "endorse", None, "officer", None, None)) for one in MEMBERS[1:]]

    def settle(self, do: str, base: str | None, entry: wire.PeerEntry | None) -> None:
        self.block(self.move(do, base, entry))
        self.block([], later=self.notice)

    @property
    def entry(self) -> wire.PeerEntry:
        return self.pair.kernel.state.peers[SIDE].entry

    def relay(self, foreign: Foreign, number: int, pinned: int, author: str = "m0") -> Sealed:
        return self.seal(author, foreign.shown([number], pinned, self.at))


def shared(name: str, ours: str, number: int) -> log.Final:
    """A share that a peer recorded for us."""
    rule = charters.load("paper").rules[0]
    terms = wire.Share(ours, hexes("record"))
    return log.Recorded(
        hexes(name), "share.record", "p1", "actual", None, None, terms, None, None, hexes("charter"), rule, "none", [],
        4, 0, [], [], START, START, None, None, None, hexes("envelope"), [(ours, number)],
    )  # fmt: skip


def fork(scene: Scene, keys: bool) -> Foreign:
    """Another history of the same peer, under the same keys or under new ones."""
    other = Foreign(SIDE, scene.known.genesis, "peer", scene.known.ours, scene.genesis)
    other.log = [b'["another first leaf"]']
    if keys:
        other.members = [replace(one, finality=hexes("new", one.id)) for one in other.members]
    other.send(shared("on the other side", scene.known.ours, 1))
    return other


@pytest.mark.parametrize("keys", [False, True], ids=["another root", "other keys"])
@pytest.mark.parametrize("notice_s", [0, 3600], ids=["by a ballot", "at a deadline"])
def test_a_repin_and_relays_in_one_block(notice_s: int, keys: bool) -> None:
    """Peers change at the block's end: until then the old pin counts and the new one does not; from then on the entry
    that was voted stands as it is, whatever a relay of its block brought, and only the numbers go on (spec 4.4)."""
    scene = Scene(notice_s)
    known, other = scene.known, fork(scene, keys)
    known.send(shared("known", known.ours, 1))
    voted = replace(other.entry(None, wire.PeerTerms(20, 0, 86_400)), size=1, root=other.root(1).hex())
    before = scene.entry
    ballots = scene.move("repin", entry_digest(before), voted)
    if notice_s:
        assert scene.block(ballots) == [Reason.ACCEPTED] * 3
        ballots = []
    scene.at += scene.notice - 2000 if notice_s else 0
    forged, honest = scene.relay(other, 1, 1, "m1"), scene.relay(known, 1, 1, "m2")
    met = Reason.NOT_FINAL_CHECKPOINT if keys else Reason.BAD_CONSISTENCY
    codes = scene.block([*ballots, forged, honest, scene.seal("m3", forged.envelope.acts[0])])
    assert codes[-3:] == [met, Reason.ACCEPTED, met]
    assert scene.entry == voted
    assert scene.pair.kernel.state.peers[SIDE].next_in == 2

    other.send(shared("more there", known.ours, 2))
    known.send(shared("more here", known.ours, 2))
    codes = scene.block([scene.relay(known, 2, len(known.log) - 2), scene.relay(other, 2, 1, "m1")])
    assert codes == [met, Reason.ACCEPTED]
    assert scene.entry.size == len(other.log)


def test_a_motion_that_does_not_pass_moves_no_pin() -> None:
    """Two repins on one base: the second is void, and with it its pins."""
    scene = Scene()
    base = entry_digest(scene.entry)
    first = replace(scene.entry, quota=wire.PeerTerms(5, 0, 86_400))
    second = replace(fork(scene, True).entry(None, wire.PeerTerms(7, 0, 86_400)))
    ballots = [*scene.move("repin", base, first), *scene.move("repin", base, second)]
    scene.block(ballots)
    assert scene.entry == first
    scene.known.send(shared("known", scene.known.ours, 1))
    assert scene.block([scene.relay(scene.known, 1, first.size)]) == [Reason.ACCEPTED]


def opened(scene: Scene, origin: str, genesis: str, relation: str) -> tuple[int, list[Sealed]]:
    """A motion that adds a peer; its code, and the ballots that it needs."""
    foreign = Foreign(origin, genesis, relation, scene.known.ours, scene.genesis)  # type: ignore[arg-type]
    terms = wire.PeerMotion("add", origin, None, foreign.entry(None, wire.PeerTerms(20, 0, 86_400)))
    made = scene.seal("m0", wire.Submit("motion.peer", None, None, terms, None))
    (code,) = scene.block([made])
    ballot = wire.Judge(message_id(made.envelope.digest, 0), "endorse", None, "officer", None, None)
    return code, [scene.seal(one, ballot) for one in MEMBERS[1:]]


@pytest.mark.parametrize("apart", [False, True], ids=["in one block", "in two"])
def test_two_motions_do_not_make_two_parents(apart: bool) -> None:
    """Both could be put; the second is void once the first has passed (spec 11.0)."""
    scene = Scene()
    both = [opened(scene, origin, hexes("of", origin), "parent") for origin in ("up.example/u", "over.example/o")]
    assert [code for code, _ in both] == [Reason.ACCEPTED] * 2
    (_, first), (_, second) = both
    if apart:
        scene.block(first)
        assert scene.block(second) == [Reason.NOT_OPEN] * 3
    else:
        scene.block([*first, *second])
    assert sorted(scene.pair.kernel.state.peers) == [SIDE, "up.example/u"]


def test_a_network_is_a_peer_under_one_origin_for_ever() -> None:
    """And an origin one network's: else numbers and ids of what it sends would come twice (spec 11.0)."""
    scene = Scene()
    theirs = scene.known.genesis
    assert opened(scene, "alias.example", theirs, "peer")[0] == Reason.PEER_KNOWN
    scene.settle("remove", entry_digest(scene.entry), None)
    assert not scene.pair.kernel.state.peers
    assert opened(scene, "alias.example", theirs, "peer")[0] == Reason.PEER_KNOWN
    assert opened(scene, SIDE, hexes("another network"), "peer")[0] == Reason.PEER_KNOWN
    both = [opened(scene, origin, hexes("new"), "peer") for origin in ("a.example", "b.example")]
    scene.block([*both[0][1], *both[1][1]])
    assert sorted(scene.pair.kernel.state.peers) == ["a.example"]
    assert opened(scene, SIDE, theirs, "peer")[0] == Reason.ACCEPTED


def test_what_can_be_said_once_is_taken_once_in_a_block_too() -> None:
    """Before the first of two has been recorded, the second is refused (spec 5.6)."""
    scene = Scene()
    known = scene.known
    known.send(shared("record", known.ours, 1))
    scene.block([scene.relay(known, 1, 1)])
    original = log.Original(known.genesis, hexes("record"))
    for number in (2, 3):
        known.send(log.Annotated(
            hexes("record"), original, "retract", "p1", None, scene.at, hexes("act"), hexes("envelope"),
            [(known.ours, number)],
        ))  # fmt: skip
    at = len(scene.pair.kernel.leaves)
    assert scene.block([scene.seal("m1", known.shown([2, 3], scene.entry.size, scene.at))]) == [Reason.ACCEPTED]
    codes = [
        one.code for leaf in scene.pair.kernel.leaves[at:] if isinstance(one := decode_leaf(leaf), log.Relayed)
    ]
    assert codes == [Reason.ACCEPTED, Reason.ALREADY_ANNOTATED]


LEVELS = """
network N1 charter=figure-4
members A,B: reporter voter; R: supervisor relay
network N2 charter=figure-4
members R,V,Q: voter relay; T: supervisor
network N3 charter=figure-4
members T,Q,Y: voter relay; W: supervisor
found
quietly link N1 under N2, represented by R
quietly link N2 under N3, represented by Q
in N1
at 1h
A submit report.fever as m
block
B endorse m
block
R concur m
block
in N2
R relay N1
block
T concur m@N2
block
in N1
A say retract m
block
in N2
R relay N1
block
"""


def test_what_is_said_about_a_statement_stays_here() -> None:
    """Where the record went, it would be taken for one about the record (spec 5.6)."""
    player = world(LEVELS)
    (said,) = [
        leaf for leaf in map(decode_leaf, player.network.log)
        if isinstance(leaf, log.Recorded) and leaf.kind == "relayed.annotated"
    ]
    assert [origin for origin, _ in said.to] == [player.networks["N3"].origin]
    play(player, f"T say object {said.id}\nT say object m@N2\nblock")
    about, of_record = [leaf for leaf in map(decode_leaf, player.network.log) if isinstance(leaf, log.Annotated)]
    assert about.to == []
    assert [origin for origin, _ in of_record.to] == [player.networks[one].origin for one in ("N1", "N3")]


def test_a_contradiction_freezes_once() -> None:
    """Shown again it proves nothing new, unless the peer was frozen by another one before (spec 11.4)."""
    scene = Scene()
    known = scene.known
    first = known.contradiction(scene.at)
    known.send(shared("more", known.ours, 1))
    second = known.contradiction(scene.at)
    assert scene.block([scene.seal("m0", first), scene.seal("m1", second)]) == [Reason.ACCEPTED] * 2
    assert scene.pair.kernel.state.peers[SIDE].state == "frozen"
    base = entry_digest(scene.entry)
    scene.settle("thaw", base, None)
    assert scene.block([scene.seal("m2", first)]) == [Reason.PROVES_NOTHING_NEW]
    assert scene.pair.kernel.state.peers[SIDE].state == "active"
    assert scene.block([scene.seal("m3", second)]) == [Reason.ACCEPTED]
    assert scene.pair.kernel.state.peers[SIDE].state == "frozen"
    scene.settle("thaw", base, None)
    assert scene.block([scene.seal("m0", second)]) == [Reason.PROVES_NOTHING_NEW]
