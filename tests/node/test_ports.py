"""What a closed port costs (docs/operating/network.md); that of CometBFT is tried in `tests/engine/test_cometbft.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.net import Nodes, through, until
from tocsin.kernel.acts import Present
from tocsin.node.home.config import Config
from tocsin.node.trial import testnet
from tocsin.tlog import note

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR = (f"1-1-a{place}" for place in range(1, 5))


def _closed(name: str, config: Config) -> Config:
    """The fourth reaches all others, and none of them it."""
    return config if name == FOUR else through(config, FOUR, "http://127.0.0.1:9")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    one = Nodes(tmp_path / "nodes", testnet.shape(4, [1]), _closed)
    yield one
    one.close()


def signers(nodes: Nodes, name: str) -> set[str]:
    """Whose lines stand on the checkpoint that a node serves."""
    data = nodes.remote(name, ORIGIN).checkpoint()
    assert data is not None
    return {line.name.removeprefix(f"{ORIGIN}/") for line in note.parse(data).signatures} - {ORIGIN}


def test_the_signature_of_who_cannot_be_reached_at_8440_is_not_collected(nodes: Nodes) -> None:
    nodes.start()
    nodes.act(ONE, ORIGIN, ONE, Present(1))
    size = nodes.live(ONE, ORIGIN).records.durable[1]
    for name in (ONE, FOUR):
        nodes.final(name, ORIGIN, size)
    assert nodes.remote(FOUR, ORIGIN).cosigned(size, 30) is not None
    until(lambda: FOUR in signers(nodes, FOUR))
    assert signers(nodes, ONE) == {ONE, TWO, THREE}

    # Where it is needed nothing is final but at itself, which has the lines of those that it asks.
    nodes.stop(THREE)
    nodes.act(ONE, ORIGIN, ONE, Present(2))
    later = nodes.live(ONE, ORIGIN).records.durable[1]
    assert nodes.final(FOUR, ORIGIN, later).size == later > size
    assert signers(nodes, FOUR) == {ONE, TWO, FOUR}
    assert nodes.live(ONE, ORIGIN).finality.wait_final(later, 1.0) == size
    assert "cannot be reached" in nodes.station(ONE, ORIGIN).status()["members"][FOUR]["error"]
    nodes.start(THREE)
    assert nodes.final(ONE, ORIGIN, later).size == later
