"""Final checkpoints among nodes: a quorum suffices, a restart contradicts nothing, and liars are seen through."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.node.net import Liar, Nodes, through, until
from tocsin.client.signing import cosign_checkpoint, prove_possession, sign_checkpoint
from tocsin.kernel.acts import AdmitMotion, Join, Judge, Keys, Leave, Present, Submit
from tocsin.kernel.digest import message_id
from tocsin.node.home import places
from tocsin.node.home.config import CometUse, Config
from tocsin.node.keys import DevKeys, Keystore
from tocsin.node.trial import testnet
from tocsin.node.trial.testnet import ROLES
from tocsin.store.store import Store
from tocsin.store.watermark import SignedHead, Watermark
from tocsin.tlog import Checkpoint, checkpoint, note

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR = (f"1-1-a{place}" for place in range(1, 5))


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    made: list[Nodes] = []

    def new(change: Callable[[str, Config], Config] | None = None) -> Nodes:
        made.append(Nodes(tmp_path / "nodes", testnet.shape(4, [1]), change))
        return made[-1]

    yield new
    for one in made:
        one.close()


def size(nodes: Nodes) -> int:
    return nodes.live(ONE, ORIGIN).records.durable[1]


def test_three_of_four_make_it_final_and_two_do_not(build: Callable[..., Nodes]) -> None:
    nodes = build()
    nodes.start(ONE, TWO, THREE)
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    assert nodes.final(TWO, ORIGIN, size(nodes)).size == size(nodes)
    nodes.final(ONE, ORIGIN, size(nodes))  # it may need the third's signature for longer than the second does
    nodes.stop(THREE)
    before = size(nodes)
    nodes.act(ONE, ORIGIN, ONE, Present(2))
    assert size(nodes) > before
    assert nodes.live(ONE, ORIGIN).finality.wait_final(before, 1.0) == before
    until(lambda: "cannot be reached" in nodes.station(ONE, ORIGIN).status()["members"][FOUR]["error"])
    nodes.start(FOUR)
    assert nodes.final(ONE, ORIGIN, size(nodes)).size == size(nodes)


def test_a_restarted_node_serves_its_lines_again_and_goes_on(build: Callable[..., Nodes]) -> None:
    nodes = build()
    nodes.start()
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    first = size(nodes)
    nodes.final(TWO, ORIGIN, first)
    nodes.stop(TWO)
    nodes.start(TWO)
    nodes.live(TWO, ORIGIN)
    until(lambda: nodes.remote(TWO, ORIGIN).cosigned(first, 10))
    nodes.act(ONE, ORIGIN, ONE, Present(2))
    assert nodes.final(TWO, ORIGIN, first + 1).size > first


def test_a_restored_backup_catches_up_before_it_signs(build: Callable[..., Nodes], tmp_path: Path) -> None:
    nodes = build()
    nodes.start(ONE, TWO, THREE)
    nodes.final(TWO, ORIGIN, 4)
    nodes.stop(TWO)
    data = nodes.folder / TWO / "data"
    shutil.copytree(data, tmp_path / "backup")
    nodes.start(TWO)
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    signed = nodes.final(TWO, ORIGIN, size(nodes))
    nodes.stop()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data)
    # The others are away: the backup is all there is, and nothing shorter than what was signed is signed.
    nodes.start(TWO)
    live = nodes.live(TWO, ORIGIN)
    assert live.records.durable[1] < signed.size
    assert nodes.remote(TWO, ORIGIN).cosigned(live.records.durable[1], 0.5) is None
    nodes.start(ONE, THREE)
    assert nodes.final(TWO, ORIGIN, signed.size) == signed


def test_what_one_has_collected_makes_it_final_for_others_too(build: Callable[..., Nodes]) -> None:
    """One node cannot reach the third signer; who can passes on what it has collected."""
    urls: dict[str, str] = {ONE: "http://127.0.0.1:9"}
    nodes = build(lambda name, config: through(config, TWO, urls[ONE]) if name == ONE else config)
    nodes.start(ONE, TWO, THREE)
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    nodes.final(THREE, ORIGIN, size(nodes))
    nodes.final(ONE, ORIGIN, size(nodes))


def test_a_forked_log_is_never_signed(build: Callable[..., Nodes]) -> None:
    """What this node signed before is not what its log says now."""
    nodes = build()
    nodes.start(ONE, TWO, THREE)
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    nodes.final(TWO, ORIGIN, size(nodes))
    nodes.stop(TWO)
    heads = places.signed_heads(nodes.folder / TWO / "signed-heads", ORIGIN)
    heads.unlink()
    with Watermark.open(heads, create=True) as mark:
        mark.admit([SignedHead(ORIGIN, 4, b"\x01" * 32)])
    nodes.start(TWO)

    def stands() -> bool:
        # It says why before it has let go of all, and tries again after a second.
        (said,) = nodes.running[TWO].status()["networks"]
        return "forked" in said["error"] and said["runs"] is False

    until(stands)
    assert nodes.final(ONE, ORIGIN, 4)


def lying(nodes: Nodes, member: str) -> Callable[[str, bytes], bytes]:
    """Its own line, with its real keys, on a root that nobody has; whichever way its line is asked for."""

    def change(path: str, true: bytes) -> bytes:
        if "/cosigned/" not in path and "/final/" not in path:
            return true
        head = checkpoint.parse(note.parse(true).text)
        other = Checkpoint(head.origin, head.size, b"\x02" * 32)
        lines = [
            sign_checkpoint(nodes.keys.signer(ORIGIN, "", "log"), other),
            cosign_checkpoint(nodes.keys.signer(ORIGIN, member, "finality"), member, other, 1),
        ]
        return note.format(checkpoint.format(other), lines)

    return change


def test_a_member_that_signs_another_head_is_named_and_the_others_go_on(build: Callable[..., Nodes]) -> None:
    urls: dict[str, str] = {}
    nodes = build(lambda name, config: through(config, THREE, urls.get("liar", "http://127.0.0.1:9")))
    liar = Liar(nodes.tree.node(THREE).url, lying(nodes, THREE))
    urls["liar"] = liar.url
    nodes.start()
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    nodes.final(ONE, ORIGIN, size(nodes))
    nodes.final(TWO, ORIGIN, size(nodes))
    seen, contradictions = nodes.live(ONE, ORIGIN).finality.seen, nodes.live(ONE, ORIGIN).finality.contradictions
    until(lambda: contradictions and THREE in seen)
    theirs, ours = contradictions[THREE]
    assert checkpoint.parse(note.parse(theirs).text).root == b"\x02" * 32
    assert checkpoint.parse(note.parse(ours).text).root != b"\x02" * 32
    # It lies again and again; the first time says all.
    for day in (2, 3):
        before = seen[THREE].at
        nodes.act(ONE, ORIGIN, ONE, Present(day))
        nodes.final(ONE, ORIGIN, size(nodes))
        until(lambda before=before: seen[THREE].at > before)  # type: ignore[misc]
    assert seen[THREE].error == "signed another head of one size than we have"
    assert contradictions == {THREE: (theirs, ours)}
    assert sum(THREE in sentence and "another head" in sentence for who, _, sentence in nodes.said if who == ONE) == 1
    liar.close()


@pytest.mark.parametrize("signed_by", [None, FOUR])
def test_what_a_member_did_not_sign_itself_is_no_contradiction(
    build: Callable[..., Nodes], signed_by: str | None
) -> None:
    """Any text can be served, another one each time; it is not kept."""
    urls: dict[str, str] = {}
    nodes = build(lambda name, config: through(config, THREE, urls.get("liar", "http://127.0.0.1:9")))
    served: list[int] = []

    def change(path: str, true: bytes) -> bytes:
        if "/cosigned/" not in path and "/final/" not in path:
            return true
        head = checkpoint.parse(note.parse(true).text)
        served.append(len(served))
        other = Checkpoint(head.origin, head.size, bytes([len(served)]) * 32)
        who, role = (signed_by, "finality") if signed_by else (THREE, "act")
        signer = nodes.keys.signer(ORIGIN, who, role)
        return note.format(checkpoint.format(other), [cosign_checkpoint(signer, who, other, 1)])

    liar = Liar(nodes.tree.node(THREE).url, change)
    urls["liar"] = liar.url
    nodes.start()
    for day in (1, 2, 3):
        nodes.act(ONE, ORIGIN, ONE, Present(day))
        nodes.final(ONE, ORIGIN, size(nodes))
    until(lambda: len(served) > 2)
    seen = nodes.live(ONE, ORIGIN).finality.seen
    until(lambda: THREE in seen and "did not sign" in seen[THREE].error)
    assert nodes.live(ONE, ORIGIN).finality.contradictions == {}
    assert not any("another head" in sentence for _, _, sentence in nodes.said)
    liar.close()


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"x\n\n\xe2\x80\x94 a b\n", b"y" * 300_000])
def test_garbage_from_a_member_stops_nobody(build: Callable[..., Nodes], garbage: bytes) -> None:
    urls: dict[str, str] = {}
    nodes = build(lambda name, config: through(config, THREE, urls.get("liar", "http://127.0.0.1:9")))
    liar = Liar(nodes.tree.node(THREE).url, lambda path, true: garbage)
    urls["liar"] = liar.url
    nodes.start()
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    nodes.final(ONE, ORIGIN, size(nodes))
    liar.close()


@pytest.mark.parametrize(("lie", "said"), [({"root": "07" * 32}, "root"), ({"caught": ["07" * 32]}, "voted twice")])
def test_who_orders_and_forges_a_block_is_followed_no_further(
    build: Callable[..., Nodes], lie: dict[str, object], said: str
) -> None:
    """Another root than the envelopes lead to, or somebody caught where nobody votes: it halts before it signs."""
    urls: dict[str, str] = {}
    nodes = build(lambda name, config: through(config, ONE, urls["liar"]) if name == TWO else config)

    def change(path: str, true: bytes) -> bytes:
        if "/blocks" not in path:
            return true
        return json.dumps([block | lie for block in json.loads(true)]).encode()

    liar = Liar(nodes.tree.node(ONE).url, change)
    urls["liar"] = liar.url
    nodes.start(ONE, TWO, THREE, FOUR)
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    until(lambda: said in nodes.station(TWO, ORIGIN).error)
    nodes.final(ONE, ORIGIN, size(nodes))
    store = places.database(nodes.folder / TWO / "data", ORIGIN)
    nodes.stop(TWO)
    with Store.open(store, read_only=True) as kept:
        assert kept.network(ORIGIN).head.size == 4
    liar.close()


def test_cometbft_lets_in_who_belongs_to_the_network(build: Callable[..., Nodes]) -> None:
    peers = {id: f"{place:040x}" for place, id in enumerate((ONE, THREE, FOUR))}
    comet = CometUse(peers={id: f"{node}@127.0.0.1:9" for id, node in peers.items()}, observers=["ff" * 20])

    def change(name: str, config: Config) -> Config:
        return replace(config, networks=[replace(one, cometbft=comet) for one in config.networks])

    nodes = build(change)
    nodes.start(ONE, TWO)
    live = nodes.live(TWO, ORIGIN)
    welcome = nodes.station(TWO, ORIGIN)._welcome(live.records)
    assert all(welcome(node) for node in peers.values())
    assert welcome("ff" * 20)
    assert not welcome("ee" * 20)
    nodes.act(ONE, ORIGIN, THREE, Leave())
    until(lambda: live.records.durable == nodes.live(ONE, ORIGIN).records.durable)
    assert welcome(peers[ONE])
    assert not welcome(peers[THREE])


def test_members_come_and_go_and_each_change_is_sealed(build: Callable[..., Nodes]) -> None:
    nodes = build()
    nodes.start()
    net = nodes.tree.networks[0]
    genesis = nodes.live(ONE, ORIGIN).genesis.digest
    signers = [DevKeys.derive(b"new", ORIGIN, "new", role) for role in ROLES]
    keys = Keys(*(one.public_key for one in signers[:3]), signers[3].public_key, "self")
    expires = 2**45
    proofs = prove_possession(signers, genesis, "new", keys, expires)
    motion = AdmitMotion("new", "agency:new", ["reporter", "voter"], keys, expires, proofs)
    message = message_id(nodes.act(ONE, ORIGIN, ONE, Submit("motion.admit", None, None, motion, None)), 0)
    for voter in net.members[1:3]:
        nodes.act(ONE, ORIGIN, voter, Judge(message, "endorse", None, "officer", None, None))
    assert '"new"' in nodes.live(ONE, ORIGIN).records.rows("member").__repr__()
    nodes.keys = _with(nodes.keys, signers)
    nodes.act(ONE, ORIGIN, "new", Join(nodes.live(ONE, ORIGIN).records.durable[0]))
    # The founders sign for the change; a node seals it, without being told.
    until(lambda: not nodes.live(ONE, ORIGIN).records.rows("handover"))
    # Admitted, and joined: two changes of the roster, the second one of who signs.
    # Who sealed it need not be the second, which may come later to both.
    until(lambda: len(nodes.live(TWO, ORIGIN).finality.epochs.steps(4)) == 2)
    _, step = nodes.live(TWO, ORIGIN).finality.epochs.steps(4)
    until(lambda: nodes.remote(TWO, ORIGIN).final(step + 2))
    assert len(nodes.live(TWO, ORIGIN).finality.epochs.signers(step + 3)) == 5
    nodes.act(ONE, ORIGIN, "new", Leave())
    until(lambda: not nodes.live(ONE, ORIGIN).records.rows("handover"))
    until(lambda: nodes.live(TWO, ORIGIN).finality.final == size(nodes))


def _with(keys: Keystore, signers: list[object]) -> Keystore:
    made = Keystore(keys.entries())
    for role, signer in zip(ROLES, signers, strict=True):
        made.add(ORIGIN, "new", role, signer)  # type: ignore[arg-type]
    return made
