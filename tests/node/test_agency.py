"""One agency's node by its commands, and in many networks: what fails in one is nothing to the others."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.node.net import PATIENCE_S, Nodes, command, until
from tocsin.cli.acting import status_of
from tocsin.client.signing import found_with, prove_possession
from tocsin.kernel.acts import AdmitMotion, Judge, Keys, Present, Submit
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import encode
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.keys import PASSPHRASE_VARIABLE, DevKeys, KdfCost, Keystore
from tocsin.node.trial import testnet
from tocsin.node.trial.testnet import ROLES
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
    """A second start of the same directory ends at once, whatever port it has, and the first can still be found."""
    home = nodes.folder / RELAY
    node = start(home)
    try:
        at = (home / "address").read_text()
        config = home / "node.toml"
        config.write_text(re.sub('^listen = ".*"$', 'listen = "127.0.0.1:0"', config.read_text(), flags=re.MULTILINE))
        assert "runs in" in refused(home)
        assert (home / "address").read_text() == at
        assert f"{LOWER}: block" in command("node", "status", home, code=1)
    finally:
        stop(node)


def test_two_nodes_do_not_share_their_data(nodes: Nodes, tmp_path: Path) -> None:
    """One from elsewhere, on a port of its own, neither orders nor signs."""
    nodes.start(RELAY)
    nodes.live(RELAY, LOWER)
    config = configs.load(nodes.folder / RELAY)
    twin = tmp_path / "twin"
    twin.mkdir()
    written = replace(config, listen="127.0.0.1:0", networks=[one for one in config.networks if one.origin == LOWER])
    (twin / "node.toml").write_text(configs.render(written))
    node = start(twin, runs=False)
    try:
        until(lambda: "in use by another node" in str(status(twin)["error"]))
        assert not status(twin)["runs"]
        assert "two would fork the log" in command("node", "status", twin, code=1)
    finally:
        stop(node)


def test_a_port_that_somebody_has_is_named(nodes: Nodes) -> None:
    nodes.start(RELAY)
    assert "Change listen in node.toml" in refused(nodes.folder / RELAY)


def test_a_member_that_is_misspelt_is_not_taken_for_an_observer(nodes: Nodes) -> None:
    home = nodes.folder / RELAY
    config = home / "node.toml"
    written = config.read_text()
    config.write_text(written.replace(f'member = "{RELAY}"', 'member = "2-1-al"'))
    said = refused(home)
    assert "].member is 2-1-al, of whom" in said
    assert f"it has that of {RELAY}" in said
    config.write_text(written)
    node = start(home)
    try:
        config.write_text(written.replace(f'member = "{RELAY}"', 'member = "2-1-al"'))
        until(lambda: "cannot be used; the node goes on as it is" in (home / "log").read_text())
        assert status(home)["runs"]
    finally:
        stop(node)


def test_the_log_of_who_orders_alone_is_not_dropped_and_comes_back_from_another(nodes: Nodes) -> None:
    net = nodes.tree.net(LOWER)
    first, second = net.own[:2]
    origin = ("node", "reset", nodes.folder / first, "--network", LOWER)
    nodes.start(*net.own)
    nodes.record(LOWER)
    size = nodes.live(first, LOWER).records.durable[1]
    until(lambda: nodes.live(second, LOWER).records.durable[1] == size)
    nodes.stop()
    data = [places.folder(configs.load(nodes.folder / name).data_dir, LOWER) for name in (first, second)]
    for words in (origin, (*origin, "--yes")):
        assert "would begin a second history" in command(*words, code=2)
    shutil.rmtree(data[0] / "networks")
    shutil.copytree(data[1] / "networks", data[0] / "networks")
    nodes.start(*net.own)
    nodes.record(LOWER)
    assert nodes.live(first, LOWER).records.durable[1] > size
    nodes.final(second, LOWER, nodes.live(first, LOWER).records.durable[1])


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
        assert "new is no member here: it observes until it is admitted" in command("node", "status", home)
        public = Keys(*(one.public_key for one in fresh[:3]), fresh[3].public_key, "self")
        proofs = prove_possession(fresh, genesis.digest, "new", public, 2**45)
        motion = AdmitMotion("new", "agency:new", ["reporter", "voter"], public, 2**45, proofs)
        message = message_id(nodes.act(RELAY, LOWER, RELAY, Submit("motion.admit", None, None, motion, None)), 0)
        nodes.act(RELAY, LOWER, net.own[1], Judge(message, "endorse", None, "officer", None, None))
        until(lambda: status(home)["height"] == nodes.live(RELAY, LOWER).records.durable[0])
        assert json.loads(command("node", "join", home, "--json"))["member"] == "new"
        # Whose answer was lost tries again.
        until(lambda: status(home)["height"] == nodes.live(RELAY, LOWER).records.durable[0])
        assert command("node", "join", home) == f"new has joined {LOWER} already.\n"
        until(lambda: status(home)["signers"] == [*net.own, "new"])
        assert "no member here" not in command("node", "status", home)
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


def start(home: Path, *, runs: bool = True) -> subprocess.Popen[bytes]:
    (home / "address").unlink(missing_ok=True)
    with (home / "log").open("ab") as log:
        node = subprocess.Popen(
            [sys.executable, "-m", "tocsin.cli.main", "node", "start", str(home)], stdout=log, stderr=log
        )
    until(lambda: node.poll() is not None or (home / "address").exists())
    assert node.poll() is None, (home / "log").read_text()
    if runs:
        until(lambda: all(one["runs"] for one in statuses(home)))
    return node


def refused(home: Path) -> str:
    """What a node says that must not start; one that does is ended."""
    words = [sys.executable, "-m", "tocsin.cli.main", "node", "start", str(home)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def stop(node: subprocess.Popen[bytes]) -> None:
    node.send_signal(signal.SIGTERM)
    assert node.wait(PATIENCE_S) == 0


def status(home: Path) -> dict[str, object]:
    return statuses(home)[0]


def statuses(home: Path) -> list[dict[str, object]]:
    """What a node says of each of its networks."""
    networks: list[dict[str, object]] = status_of((home / "address").read_text().strip())["networks"]
    return networks
