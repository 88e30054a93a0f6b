"""Relays over the wire: a record goes up and its outcome comes down, whatever the other side's nodes say."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.node.net import Liar, Nodes, now, until
from tocsin.kernel.acts import Leave
from tocsin.node.home.config import Config
from tocsin.node.relays.carrier import Carrier, Lie, check
from tocsin.node.relays.relay import next_act
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, RemoteError, RemoteLog
from tocsin.tlog import tiles

UPPER, LOWER = "testnet.example/1-1", "testnet.example/2-1"
RELAY = "2-1-a1"


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Nodes]]:
    made: list[Nodes] = []

    def new(change: Callable[[str, Config], Config] | None = None, agencies: int = 3) -> Nodes:
        made.append(Nodes(tmp_path / "nodes", testnet.shape(agencies, [1, 1]), change))
        return made[-1]

    yield new
    for one in made:
        one.close()


def link(nodes: Nodes) -> None:
    """Make the two peers, and wait until the relay has it in both networks."""
    for name, origin in ((RELAY, UPPER), (RELAY, LOWER), ("1-1-a1", UPPER)):
        nodes.live(name, origin)
    testnet.link(nodes.folder)
    until(lambda: nodes.live(RELAY, UPPER).records.row(f"peer:{LOWER}"))


def above(nodes: Nodes) -> list[str]:
    """Kinds of the messages that the upper network has or had, by its leaves."""
    records = nodes.live("1-1-a1", UPPER).records
    return [
        json.loads(leaf).get("kind", "")
        for leaf in records.iter_leaves(0, records.durable[1])
        if leaf.startswith((b'{"leaf":"opened"', b'{"leaf":"recorded"'))
    ]


def arrived(nodes: Nodes) -> bool:
    return "relayed.report.cluster.dengue" in above(nodes)


def answered(nodes: Nodes) -> bool:
    """Whether the lower network has heard what became of what it sent."""
    records = nodes.live(RELAY, LOWER).records
    return any(b'"kind":"relayed.outcome"' in leaf for leaf in records.iter_leaves(0, records.durable[1]))


def decide(nodes: Nodes) -> None:
    """The upper network endorses what came."""
    live = nodes.live("1-1-a1", UPPER)
    rows = [json.loads(value) for _, value in live.records.rows("message")]
    for row in rows:
        if row["kind"].startswith("relayed.report"):
            nodes.vote(UPPER, row["id"])


def through(config: Config, origin: str, urls: list[str]) -> Config:
    """A configuration in which the relay asks these nodes about a network."""
    networks = [
        msgspec.structs.replace(
            use, peers=[msgspec.structs.replace(one, urls=urls) if one.origin == origin else one for one in use.peers]
        )
        for use in config.networks
    ]
    return msgspec.structs.replace(config, networks=networks)


def carrier(nodes: Nodes, *sources: Remote) -> Carrier:
    """A relay into the upper network, by hand."""
    live, signer = nodes.live(RELAY, UPPER), nodes.keys.signer(UPPER, RELAY, "act")
    return Carrier(live.records, live.engine, live.genesis.digest, RELAY, signer, sources, now, lambda sentence: None)


def test_a_record_goes_up_and_its_outcome_comes_down(build: Callable[..., Nodes]) -> None:
    nodes = build()
    nodes.start()
    link(nodes)
    nodes.record(LOWER)
    until(lambda: arrived(nodes))
    decide(nodes)
    until(lambda: answered(nodes))


def test_a_relay_that_was_away_goes_on_where_it_was(build: Callable[..., Nodes]) -> None:
    """All nodes end after the record; nothing but their disks is left."""
    nodes = build(lambda name, config: through(config, LOWER, ["http://127.0.0.1:9"]) if name in blind else config)
    blind = {RELAY}
    nodes.start()
    link(nodes)
    for _ in range(2):
        nodes.record(LOWER)
    assert not arrived(nodes)
    until(lambda: "cannot be reached" in nodes.station(RELAY, UPPER).status()["relays"][LOWER].__repr__())
    nodes.stop()
    blind.clear()
    nodes.start()
    until(lambda: arrived(nodes))


def test_a_relay_follows_the_other_network_from_roster_to_roster(build: Callable[..., Nodes]) -> None:
    """A signer leaves; what the others sign afterwards is carried all the same, after the roster that says so."""
    nodes = build(agencies=5)
    nodes.start()
    link(nodes)
    nodes.act(RELAY, LOWER, "2-1-a2", Leave())
    nodes.stop("2-1-a2")
    until(lambda: not nodes.live(RELAY, LOWER).records.rows("handover"))
    nodes.record(LOWER)
    until(lambda: arrived(nodes))
    row = nodes.live("1-1-a1", UPPER).records.row(f"peer:{LOWER}")
    assert row is not None
    entry = json.loads(row)["entry"]
    assert entry["epoch"] == 2
    assert [one["id"] for one in entry["roster"] if one["active"]] == ["2-1-a1", "2-1-a3", "2-1-a4", "2-1-a5"]


def corrupt(path: str, true: bytes) -> bytes:
    """Another leaf in the place of each of them, or other hashes."""
    if "/tile/entries/" in path:
        width = int(path.rpartition(".p/")[2]) if ".p/" in path else 256
        return tiles.encode_bundle(
            [one.replace(b'"severity":2', b'"severity":4') for one in tiles.decode_bundle(true, width)]
        )
    return true


def flip(path: str, true: bytes) -> bytes:
    return bytes([true[0] ^ 1]) + true[1:] if "/tile/0/" in path else true


DASH = "\u2014 ".encode()


def unsign(path: str, true: bytes) -> bytes:
    """The line of the log, which comes first, and of the members' one only: more may have signed than must."""
    return DASH.join(true.split(DASH)[:3]) if path.endswith("/checkpoint") else true


def misplace(path: str, true: bytes) -> bytes:
    """Another leaf than the one that goes out."""
    return json.dumps([[place - 1, number] for place, number in json.loads(true)]).encode() if "/sent" in path else true


def beyond(path: str, true: bytes) -> bytes:
    return b"[[99999,1]]" if "/sent" in path else true


def garbage(path: str, true: bytes) -> bytes:
    return b"\xff{"


@pytest.mark.parametrize("lie", [corrupt, flip, unsign, misplace, beyond, garbage])
def test_a_lie_is_not_carried_and_the_next_node_is_asked(
    build: Callable[..., Nodes], lie: Callable[[str, bytes], bytes]
) -> None:
    nodes = build(lambda name, config: through(config, LOWER, ["http://127.0.0.1:9"]))
    nodes.start()
    link(nodes)
    nodes.record(LOWER)
    nodes.final("2-1-a2", LOWER, nodes.live(RELAY, LOWER).records.durable[1])
    liar = Liar(nodes.tree.node("2-1-a2").url, lie)
    relay = carrier(nodes, Remote(nodes.client, liar.url, LOWER), nodes.remote("2-1-a2", LOWER))
    if lie is beyond:
        assert not relay.carry()  # what lies beyond its head may only not be final yet
    else:
        with pytest.raises((Lie, RemoteError)):
            relay.carry()
    relay.start()
    until(lambda: arrived(nodes))
    relay.stop()
    # Nobody's block holds a relay that was refused: what was wrong was never sent.
    records = nodes.live("1-1-a1", UPPER).records
    relays = [
        code
        for block in records.blocks(0)
        for envelope, codes in zip(block.envelopes, block.receipts, strict=True)
        for code in codes
        if b'"act":"relay"' in envelope
    ]
    assert relays
    assert not any(relays)
    liar.close()


def test_two_relays_for_one_edge_do_no_harm(build: Callable[..., Nodes]) -> None:
    nodes = build(lambda name, config: through(config, LOWER, ["http://127.0.0.1:9"]))
    nodes.start()
    link(nodes)
    nodes.record(LOWER)
    sources = ("2-1-a2", "2-1-a3")
    for name in sources:
        nodes.final(name, LOWER, nodes.live(RELAY, LOWER).records.durable[1])
    twins = [carrier(nodes, nodes.remote(name, LOWER)) for name in sources]
    for twin in twins:
        twin.start()
    until(lambda: arrived(nodes))
    for twin in twins:
        twin.stop()
        assert twin.errors == {}
    assert above(nodes).count("relayed.report.cluster.dengue") == 1


def test_what_is_checked_is_what_everybody_checks(build: Callable[..., Nodes]) -> None:
    """Each part of a right act changed: refused here, before it is signed."""
    nodes = build(lambda name, config: through(config, LOWER, ["http://127.0.0.1:9"]))
    nodes.start()
    link(nodes)
    nodes.record(LOWER)
    nodes.final("2-1-a2", LOWER, nodes.live(RELAY, LOWER).records.durable[1])
    peer = carrier(nodes, nodes.remote("2-1-a2", LOWER))._peer()
    assert peer is not None
    act = next_act(RemoteLog(nodes.remote("2-1-a2", LOWER), peer.entry.size), peer, UPPER)
    assert act is not None
    check(peer, act, UPPER)
    leaf = act.leaves[0]
    swap = msgspec.structs.replace
    for wrong in (
        swap(act, checkpoint=act.checkpoint.replace("\n4\n", "\n5\n", 1).replace("testnet", "testnot", 1)),
        swap(act, checkpoint=act.checkpoint[:-3] + "A=\n"),
        swap(act, consistency=act.consistency[1:]),
        swap(act, leaves=[swap(leaf, index=leaf.index + 1)]),
        swap(act, leaves=[swap(leaf, proof=leaf.proof[1:])]),
        swap(act, leaves=[leaf, leaf]),
    ):
        with pytest.raises((Lie, ValueError)):
            check(peer, wrong, UPPER)
    with pytest.raises(Lie, match="not what it sends"):
        check(peer, act, "testnet.example/3-1")
    with pytest.raises(RemoteError):
        nodes.remote("2-1-a2", "testnet.example/nowhere").blocks(0)
