"""The pages about other networks and their logs, played over two small networks that need no CometBFT."""

import shutil
from collections.abc import Iterator

import pytest

from tests.node.net import until
from tests.operating.machines import NET, Consortium
from tocsin import charters
from tocsin.kernel.envelope import encode
from tocsin.node.home import places
from tocsin.store.store import Store

PLAYED = ["relay.md", "witness.md"]
NATIONAL = "health.example/tw"
MEMBERS = {NET: ("annan", "bureau"), NATIONAL: ("south", "center")}

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("curl") is None, reason="the pages use curl")]


def found(consortium: Consortium, origin: str, first: str, second: str) -> None:
    """A network of two, of whom the first orders, that runs."""
    both = [first, second]
    for name, roles in ((first, "--role reporter --role voter"), (second, "--role supervisor")):
        consortium.add(name, roles).words["NET"] = origin
    consortium.at(both, "tocsin keys new node/keys.json --network $NET --member $ME")
    consortium.at(
        both,
        "tocsin founding offer node --network $NET --member $ME --entity agency:$ME $ROLES "
        "--url http://$HOST:8440 --comet $HOST:26656",
    )
    for name in both:
        consortium.send(name, f"{name}.founder", first, "papers", both)
    consortium.at([first], "tocsin founding assemble papers --charter pilot")
    consortium.send(first, "papers", second, "papers", both)
    consortium.at(
        both,
        "tocsin founding check papers\n"
        "tocsin founding sign papers --member $ME --digest DIGEST --keystore node/keys.json",
    )
    consortium.send(second, f"papers/{second}.signatures", first, "papers", both)
    consortium.at([first], "tocsin founding collect papers")
    consortium.send(first, "papers", second, "papers", both)
    for name, engine in ((first, "embedded"), (second, f"follow --follow {first}")):
        consortium.at(
            [name], f"tocsin node init node --papers papers --member $ME --listen 0.0.0.0:8440 --engine {engine}"
        )
    consortium.at(both, "sudo systemctl start tocsin")
    consortium.at(both, "tocsin node status node", 0)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    charter, _ = charters.for_network("pilot", 1, 1, parent=True)
    made = Consortium(tmp_path_factory.mktemp("neighbours"), encode(charter))
    try:
        for origin, (first, second) in MEMBERS.items():
            found(made, origin, first, second)
        yield made
    finally:
        made.close()


def rows(networks: Consortium, name: str, origin: str, table: str) -> list[bytes]:
    """Of the state that a node has."""
    data = networks.machines[name].folder / "node" / "data"
    with Store.open(places.database(data, origin), read_only=True) as store:
        return [data for _, data in store.network(origin).rows(table)]


def test_relay(networks: Consortium) -> None:
    networks.play("relay.md", [])
    until(lambda: any(b"relayed.report.cluster.dengue" in one for one in rows(networks, "south", NATIONAL, "message")))
    for name in ("south", "bureau"):
        status = networks.machines[name].start("tocsin node status node").end()
        assert "relay from" not in status.text
    # One that cannot be reached is named as the page says.
    networks.machines["annan"].stop()
    south = networks.machines["south"]
    until(lambda: "relay from health.example/tw/tainan: " in south.start("tocsin node status node").end().text)
    networks.machines["annan"].run()
    until(lambda: "relay from" not in south.start("tocsin node status node").end().text)


def test_witness(networks: Consortium) -> None:
    networks.play("witness.md", [])
    annan = networks.machines["annan"]
    until(lambda: annan.start("tocsin node status node").end().code == 0)
    assert "witness" not in annan.start("tocsin node status node").end().text
