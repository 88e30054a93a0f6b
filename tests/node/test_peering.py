"""Whom the members' CometBFT lets in: their own nodes, observers that they registered, and nobody else; real processes."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest

from tests.engine.comet import free_port, installed
from tests.node.net import PATIENCE_S, command, opened, until
from tests.node.test_agency import start, status, stop
from tocsin.cli import neighbours
from tocsin.client.policy import policy_of_genesis
from tocsin.client.signing import found_with
from tocsin.kernel.acts import ExpelMotion, Judge, Present, Standing, Submit
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Genesis, decode_genesis
from tocsin.node.diagnosis import Diagnosis, ask_members, diagnose
from tocsin.node.home import config as configs
from tocsin.node.keys import Keystore
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, caller
from tocsin.tlog.audit import audit

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR, FIVE = (f"1-1-a{number}" for number in range(1, 6))


def without_notice(net: testnet.Net) -> Charter:
    """A charter by which nobody waits three days to be expelled."""
    charter = testnet.pilot(net)
    return msgspec.structs.replace(
        charter, rules=[msgspec.structs.replace(rule, notice_s=0) for rule in charter.rules]
    )


class Network(SimpleNamespace):
    """A network of five whose nodes are processes. `genesis`."""

    folder: Path
    tree: testnet.Tree
    keys: Keystore
    client: httpx.Client
    genesis: Genesis

    def remote(self, name: str) -> Remote:
        return Remote(self.client, self.tree.node(name).url, ORIGIN)

    def act(self, member: str, *acts: Any) -> str:
        return testnet.act(self.keys, self.remote(ONE), member, acts)

    def connected(self, name: str) -> list[str]:
        return self.remote(name).status().connected or []

    def diagnosis(self, home: Path) -> Diagnosis:
        """What `tocsin node status` finds."""
        said = status(home)
        return diagnose(said, ask_members(self.client, said))

    def observer(self, home: Path) -> str:
        """Make the node of an observer; its CometBFT id."""
        signers = {one.id: [self.keys.signer(ORIGIN, one.id, role) for role in testnet.ROLES]
                   for one in self.genesis.members}  # fmt: skip
        papers = home.with_suffix(".papers")
        papers.mkdir()
        (papers / "genesis").write_bytes(encode(self.genesis))
        (papers / "founding").write_bytes(encode(found_with(self.genesis, signers)))
        use = configs.load(self.folder / ONE).networks[0]
        mine = f"{self.connected_id(ONE)}@{use.cometbft.listen}"
        words = [f"--peer={one}={self.tree.node(one).url}" for one in use.members]
        words += [f"--comet-peer={one}={at}" for one, at in use.cometbft.peers.items()]
        said = json.loads(command(
            "node", "init", home, "--genesis", papers / "genesis", "--founding", papers / "founding",
            "--listen", "127.0.0.1:0", "--comet-listen", f"127.0.0.1:{free_port()}", f"--comet-peer={ONE}={mine}",
            f"--peer={ONE}={self.tree.node(ONE).url}", *words, "--json",
        ))  # fmt: skip
        file = home / "node.toml"
        file.write_text(file.read_text().replace("one-host = false", "one-host = true"))
        return str(said["cometbft"])

    def connected_id(self, name: str) -> str:
        peer = configs.load(self.folder / TWO).networks[0].cometbft.peers[name]
        return peer.partition("@")[0]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    installed()
    folder = tmp_path_factory.mktemp("peering") / "tree"
    testnet.write(folder, testnet.shape(5, [1]), "cometbft", without_notice, block_ms=200)
    testnet.start(folder)
    keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
    with ExitStack() as stack:
        stack.callback(testnet.stop, folder)
        client = stack.enter_context(caller())
        tree = testnet.wait_ready(folder)
        genesis = decode_genesis(Remote(client, tree.node(ONE).url, ORIGIN).genesis()[0])
        yield Network(folder=folder, tree=tree, keys=keys, client=client, genesis=genesis)


def test_a_registered_observer_follows_and_serves_the_log_and_has_no_vote(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "_TAKEN_S", PATIENCE_S)
    home = tmp_path / "observer"
    id = network.observer(home)
    node = start(home)
    try:
        # A stranger at first: it can ask, but is let in by nobody, and says so.
        until(lambda: "they do not let it in" in network.diagnosis(home).verdict)
        # It dials again and again, and is connected for the moment in which it is turned away.
        until(lambda: "they do not let it in" in command("node", "status", home, code=1))
        assert status(home)["height"] == 0
        assert all(id not in network.connected(name) for name in network.tree.net(ORIGIN).members)

        for name in (ONE, TWO):
            said = json.loads(command("node", "observer", network.folder / name, id, "--json"))
            assert said["running"], "it counts from now on, not from the next start"
        until(lambda: network.diagnosis(home).well)
        until(lambda: status(home)["height"] == network.remote(ONE).status().height)
        network.act(THREE, Present(1))
        size = network.remote(ONE).status().size
        until(lambda: int(str(status(home)["final"])) >= size)

        # It serves the whole log with what makes it final, but none of its own line.
        served = Remote(network.client, f"http://{(home / 'address').read_text().strip()}", ORIGIN)
        data = served.checkpoint()
        assert data is not None
        head = opened(data, policy_of_genesis(network.genesis))
        assert list(audit(head.size, head.root, served.tile, served.bundle)) == []
        assert served.cosigned(head.size) is None
        assert status(home)["signers"] == network.remote(ONE).status().signers == [ONE, TWO, THREE, FOUR, FIVE]
        assert status(home)["member"] is None

        # Registered by nobody any more it is let go.
        for name in (ONE, TWO):
            command("node", "observer", network.folder / name, id, "--remove")
            until(lambda name=name: id not in network.connected(name))  # type: ignore[misc]
        until(lambda: status(home)["connected"] == [])
        # It dials again and again, as at first.
        until(lambda: "they do not let it in" in network.diagnosis(home).verdict)
        assert "is not let in" in command("node", "observer", network.folder / ONE, id, "--remove", code=2)
    finally:
        stop(node)


def test_who_is_expelled_is_let_go_and_says_why(network: Network) -> None:
    base = Standing(testnet.roles_of(network.tree.net(ORIGIN), FOUR), "active")
    id = network.connected_id(FOUR)
    until(lambda: id in network.connected(ONE))
    message = message_id(network.act(ONE, Submit("motion.expel", None, None, ExpelMotion(FOUR, base), None)), 0)
    for voter in (TWO, THREE):
        network.act(voter, Judge(message, "endorse", None, "officer", None, None))
    until(lambda: network.remote(ONE).status().signers == [ONE, TWO, THREE, FIVE])
    left = [ONE, TWO, THREE, FIVE]
    until(lambda: not any(id in network.connected(name) for name in left))
    until(lambda: network.connected(FOUR) == [])
    verdict = network.diagnosis(network.folder / FOUR).verdict
    assert f"{FOUR} was expelled" in verdict
    assert "let this one in no more" in verdict
    # The others go on, and nobody counts it as missing.
    size = network.remote(ONE).status().size
    network.act(TWO, Present(2))
    until(lambda: network.remote(ONE).status().final > size)
    assert FOUR not in network.diagnosis(network.folder / ONE).away
    until(lambda: network.diagnosis(network.folder / ONE).away == {})
    # Nor does it come back by being started anew.
    (node,) = [one for one in testnet.load(network.folder).nodes if one.name == FOUR]
    os.kill(node.pid, signal.SIGKILL)
    until(lambda: not testnet.running(network.folder, node))
    testnet.start(network.folder, [FOUR])
    testnet.wait_ready(network.folder)
    until(lambda: network.diagnosis(network.folder / FOUR).verdict.startswith(f"{FOUR} was expelled"))
    assert not any(id in network.connected(name) for name in left)
    # Whoever dials counts a peer until that one, which has asked its filter, hangs up.
    until(lambda: network.connected(FOUR) == [])
