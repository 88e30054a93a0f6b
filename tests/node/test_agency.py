"""One agency's node by its commands, and in many networks: what fails in one is nothing to the others."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.net import Nodes, command, until
from tocsin.cli.acting import status_of
from tocsin.client.signing import found_with, prove_possession
from tocsin.kernel.acts import AdmitMotion, Judge, Keys, Present, Submit
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import encode
from tocsin.node import config as configs
from tocsin.node import places, testnet
from tocsin.node.keys import PASSPHRASE_VARIABLE, DevKeys, KdfCost, Keystore
from tocsin.node.testnet import ROLES
from tocsin.store.watermark import SignedHead, Watermark

UPPER, LOWER = "testnet.example/1-1", "testnet.example/2-1"
RELAY = "2-1-a1"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path / "nodes", testnet.shape(3, [1, 1]))
    yield made
    made.close()


def test_a_network_that_fails_takes_no_other_with_it(nodes: Nodes) -> None:
    heads = places.signed_heads(nodes.folder / RELAY / "signed-heads", UPPER)
    heads.unlink()
    with Watermark.open(heads, create=True) as mark:
        mark.admit([SignedHead(UPPER, 4, b"\x01" * 32)])
    nodes.start()
    until(lambda: "forked" in nodes.station(RELAY, UPPER).error)
    nodes.act(RELAY, LOWER, RELAY, Present(1))
    nodes.final(RELAY, LOWER, nodes.live(RELAY, LOWER).records.durable[1])
    until(lambda: nodes.station(RELAY, UPPER).restarts > 0)
    assert nodes.station(RELAY, LOWER).restarts == 0


def test_two_nodes_do_not_share_a_directory(nodes: Nodes) -> None:
    """A second start on the same data neither orders nor signs."""
    nodes.start(RELAY)
    nodes.live(RELAY, LOWER)
    twin = subprocess.Popen(
        [sys.executable, "-m", "tocsin.cli.main", "node", "start", str(nodes.folder / RELAY)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said, _ = twin.communicate(timeout=180)
    assert twin.returncode == 2
    assert "Change listen in node.toml" in said
    assert "Traceback" not in said


def test_the_passphrase_comes_from_the_environment_or_a_file(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    home = nodes.folder / RELAY
    Keystore.open(home / "keys.json", warn=lambda _: None).save(home / "keys.json", b"secret", KdfCost(1, 8192))
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    assert PASSPHRASE_VARIABLE in command("node", "start", home, code=2)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "wrong")
    assert "is wrong" in command("node", "start", home, code=2)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "secret")
    stop(start(home))
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    phrase = home / "phrase"
    phrase.write_text("secret\n")
    phrase.chmod(0o600)
    config = home / "node.toml"
    config.write_text(f'passphrase-file = "phrase"\n{config.read_text()}')
    stop(start(home))


def test_an_agency_from_init_to_join_and_through_a_reset(nodes: Nodes, tmp_path: Path) -> None:
    """It observes first, is admitted, joins when it is at the head, and gets everything anew after a reset."""
    net = nodes.tree.net(LOWER)
    nodes.start(*net.own)
    genesis = nodes.live(RELAY, LOWER).genesis
    signers = {one.id: [nodes.keys.signer(LOWER, one.id, role) for role in ROLES] for one in genesis.members}
    (tmp_path / "genesis").write_bytes(encode(genesis))
    (tmp_path / "founding").write_bytes(encode(found_with(genesis, signers)))
    home = tmp_path / "new"
    peers = [word for name in net.own for word in ("--peer", f"{name}={nodes.tree.node(name).url}")]
    said = json.loads(command(
        "node", "init", home, "--genesis", tmp_path / "genesis", "--founding", tmp_path / "founding", "--member", "new",
        "--engine", "follow", "--follow", RELAY, "--listen", "127.0.0.1:0", *peers, "--json",
    ))  # fmt: skip
    assert said["origin"] == LOWER
    command(
        "node", "init", home, "--genesis", tmp_path / "genesis", "--founding", tmp_path / "founding", "--engine",
        "follow", "--follow", RELAY, *peers, code=2,
    )  # fmt: skip
    keys = Keystore()
    fresh = [DevKeys.derive(b"new", LOWER, "new", role) for role in ROLES]
    for role, signer in zip(ROLES, fresh, strict=True):
        keys.add(LOWER, "new", role, signer)
    keys.save_plain(home / "keys.json", lambda _: None)
    assert "Start it with `tocsin node start`" in command("node", "status", home, code=2)
    node = start(home)
    try:
        until(lambda: status(home)["final"])
        assert "cannot be" not in command("node", "status", home)
        public = Keys(*(one.public_key for one in fresh[:3]), fresh[3].public_key, "self")
        proofs = prove_possession(fresh, genesis.digest, "new", public, 2**45)
        motion = AdmitMotion("new", "agency:new", ["reporter", "voter"], public, 2**45, proofs)
        message = message_id(nodes.act(RELAY, LOWER, RELAY, Submit("motion.admit", None, None, motion, None)), 0)
        nodes.act(RELAY, LOWER, net.own[1], Judge(message, "endorse", None, "officer", None, None))
        height = nodes.live(RELAY, LOWER).records.durable[0]
        until(lambda: status(home)["height"] == height)
        assert json.loads(command("node", "join", home, "--json"))["member"] == "new"
        until(lambda: status(home)["signers"] == [*net.own, "new"])
        assert "Stop the node first" in command("node", "reset", home, "--network", LOWER, "--yes", code=2)
    finally:
        stop(node)
    before = nodes.live(RELAY, LOWER).records.durable[1]
    assert "--yes" in command("node", "reset", home, "--network", LOWER, code=2)
    places.database(configs.load(home).data_dir, LOWER).write_bytes(bytes(range(256)) * 32)
    reset = ["node", "reset", home, "--network", LOWER, "--yes"]
    assert "--papers" in command(*reset, code=2)
    (tmp_path / "broken").write_bytes((tmp_path / "founding").read_bytes()[:-9])
    assert "does not hold" in command(*reset, "--genesis", tmp_path / "genesis", "--founding", tmp_path / "broken", code=2)
    command(*reset, "--genesis", tmp_path / "genesis", "--founding", tmp_path / "founding")
    command(*reset)
    node = start(home)
    try:
        until(lambda: status(home)["size"] >= before)
        until(lambda: status(home)["final"] >= before)
    finally:
        stop(node)


def start(home: Path) -> subprocess.Popen[bytes]:
    (home / "address").unlink(missing_ok=True)
    with (home / "log").open("ab") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "tocsin.cli.main", "node", "start", str(home)], stdout=log, stderr=log
        )
    until(lambda: node.poll() is not None or (home / "address").exists())
    assert node.poll() is None, (home / "log").read_text()
    until(lambda: status(home)["runs"])
    return node


def stop(node: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    node.send_signal(signal.SIGTERM)
    assert node.wait(60) == 0
    assert time.monotonic() - begun < 30


def status(home: Path) -> dict[str, object]:
    networks: list[dict[str, object]] = status_of((home / "address").read_text().strip())["networks"]
    return networks[0]
