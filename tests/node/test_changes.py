"""The configuration of a node that runs is changed: what may count at once does, and what is wrong changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.node.net import Nodes, until
from tocsin.kernel.acts import Present
from tocsin.node.home import config as configs
from tocsin.node.home.changes import digest_of
from tocsin.node.home.config import Config, NetworkUse
from tocsin.node.trial import testnet

UPPER, LOWER = "testnet.example/1-1", "testnet.example/2-1"
NODE, OTHER = "2-1-a1", "2-1-a2"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path / "nodes", testnet.shape(3, [1, 1]))
    made.start(NODE)
    for origin in (UPPER, LOWER):
        made.live(NODE, origin)
    yield made
    made.close()


def write(nodes: Nodes, data: str | Config) -> str:
    """Change the file; its digest."""
    text = data if isinstance(data, str) else configs.render(data)
    path = nodes.folder / NODE / configs.NAME
    path.with_suffix(".part").write_text(text)
    path.with_suffix(".part").replace(path)
    return digest_of(text.encode())


def config(nodes: Nodes) -> Config:
    return configs.load(nodes.folder / NODE)


def with_lower(config: Config, **changes: object) -> Config:
    """A configuration with another part for the lower network."""
    networks = [msgspec.structs.replace(one, **(changes if one.origin == LOWER else {})) for one in config.networks]
    return msgspec.structs.replace(config, networks=networks)


def heard(nodes: Nodes) -> str:
    return "\n".join(sentence for who, network, sentence in nodes.said if (who, network) == (NODE, ""))


def test_a_network_goes_on_by_its_new_part_and_no_other_is_touched(nodes: Nodes) -> None:
    agency = nodes.running[NODE]
    before = nodes.station(NODE, UPPER).status()["since"]
    (use,) = (one for one in config(nodes).networks if one.origin == LOWER)
    digest = write(nodes, with_lower(config(nodes), members={**use.members, "new": "http://127.0.0.1:9"}))
    until(lambda: agency.status()["config"] == digest)
    until(lambda: "new" in nodes.station(NODE, LOWER).status().get("members", {}))
    assert nodes.station(NODE, UPPER).status()["since"] == before
    assert nodes.station(NODE, LOWER).restarts == 0
    nodes.act(NODE, LOWER, NODE, Present(1))


def test_what_cannot_be_used_changes_nothing_and_is_said(nodes: Nodes) -> None:
    agency = nodes.running[NODE]
    good, before = config(nodes), agency.status()["config"]
    since = nodes.station(NODE, LOWER).status()["since"]
    write(nodes, "listen 5\n")
    until(lambda: "cannot be used" in heard(nodes))
    assert "line 1" in heard(nodes)
    assert agency.status()["config"] == before
    assert nodes.station(NODE, LOWER).status()["since"] == since
    digest = write(nodes, good)
    until(lambda: agency.status()["config"] == digest)
    assert nodes.station(NODE, LOWER).status()["since"] == since, "it is what it was"


def test_what_waits_for_the_next_start_is_said(nodes: Nodes) -> None:
    agency = nodes.running[NODE]
    good = config(nodes)
    for number in range(2):
        # Twice, for a network that is in the file and does not run here.
        added = NetworkUse("testnet.example/3-1", "follow", None, "x", {"x": f"http://127.0.0.1:{number + 1}"})
        networks = [*good.networks, added]
        digest = write(nodes, msgspec.structs.replace(good, networks=networks, listen="127.0.0.1:1"))
        until(lambda digest=digest: agency.status()["config"] == digest)  # type: ignore[misc]
    assert heard(nodes).count("counts from the next start") == 2
    assert set(agency.stations) == {UPPER, LOWER}


def test_a_network_that_waits_to_start_again_does_so_at_once(nodes: Nodes) -> None:
    """Who mends the configuration does not wait for the back-off."""
    station = nodes.station(NODE, LOWER)
    (use,) = (one for one in config(nodes).networks if one.origin == LOWER)
    good = config(nodes)
    assert use.engine == "embedded"
    write(nodes, with_lower(good, engine="follow", follow="nobody", members={**use.members, "nobody": "http://127.0.0.1:9"}))
    until(lambda: station.changed or station._use.engine == "follow")
    until(lambda: not station.changed)
    write(nodes, good)
    until(lambda: not station.changed and station._use.engine == "embedded")
    nodes.live(NODE, LOWER)
    nodes.act(NODE, LOWER, NODE, Present(2))
