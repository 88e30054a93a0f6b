"""Whom `tocsin node status` names when a node can be asked, and still does not count; real processes."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from tests.engine.comet import cometbft_below, installed
from tests.node.net import command, until
from tests.node.test_agency import status
from tocsin.node.diagnosis import Diagnosis, ask_members, diagnose
from tocsin.node.trial import testnet
from tocsin.node.web.remote import RemoteError, caller, printable

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR = (f"1-1-a{number}" for number in range(1, 5))


class Network(SimpleNamespace):
    """Four nodes in a folder."""

    folder: Path
    client: httpx.Client

    def found(self) -> Diagnosis:
        """What the first node finds."""
        said = status(self.folder / ONE)
        return diagnose(said, ask_members(self.client, said))

    def restart(self, name: str) -> None:
        testnet.stop(self.folder, [name])
        testnet.start(self.folder, [name])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    installed()
    folder = tmp_path_factory.mktemp("missing") / "tree"
    testnet.write(folder, testnet.shape(4, [1]), "cometbft", block_ms=200)
    testnet.start(folder)
    try:
        testnet.wait_ready(folder)
        with caller() as client:
            yield Network(folder=folder, client=client)
    finally:
        testnet.stop(folder)


def test_a_cometbft_that_stands_still(network: Network) -> None:
    until(lambda: network.found().away == {})
    stopped = [pid for name in (TWO, THREE) for pid in cometbft_below(network.folder / name)]
    assert len(stopped) == 2
    for one in stopped:
        os.kill(one, signal.SIGSTOP)
    try:
        found = network.found()

        def both() -> bool:
            nonlocal found
            found = network.found()
            return set(found.away) == {TWO, THREE}

        until(both)
        assert "its CometBFT does not answer" in found.away[TWO]
        assert "it stands still until 1 more of" in found.verdict
        assert f"{TWO} is missing: its CometBFT does not answer" in command("node", "status", network.folder / ONE, code=1)
    finally:
        for one in stopped:
            os.kill(one, signal.SIGCONT)
    until(lambda: network.found().away == {})


def test_a_node_without_the_keys_it_signs_with(network: Network) -> None:
    path = network.folder / FOUR / "node.toml"
    written = path.read_text()
    keys = json.loads((network.folder / "keys.json").read_bytes())
    keys["keys"] = [one for one in keys["keys"] if (one["member"], one["role"]) != (FOUR, "finality")]
    (network.folder / FOUR / "few.json").write_text(json.dumps(keys))
    (network.folder / FOUR / "few.json").chmod(0o600)
    try:
        path.write_text(re.sub("^keystore = .*$", 'keystore = "few.json"', written, flags=re.MULTILINE))
        network.restart(FOUR)
        until(lambda: "its node has no finality key" in network.found().away.get(FOUR, ""))
    finally:
        path.write_text(written)
        network.restart(FOUR)
    until(lambda: network.found().away == {})


def test_what_a_member_says_can_neither_clear_a_screen_nor_forge_a_line() -> None:
    assert printable("\x1b[2Jall\nis well") == "\ufffd[2Jall\ufffdis well"
    assert str(RemoteError("a\x1b[2J")) == "a\ufffd[2J"
