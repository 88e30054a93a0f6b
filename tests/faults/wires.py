"""The wires of a tree that `tocsin testnet` made: calls between its nodes, and connections between their CometBFTs."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tests.faults.links import Links
from tocsin.node.home import config as configs
from tocsin.node.home.config import NetworkUse, PeerUse
from tocsin.node.trial import testnet

CALLS = "calls"
"""HTTP: what members ask each other for, above all cosignatures, and what a relay asks the other network for."""


class Wire(NamedTuple):
    """From one node to another, or to itself. `what`: CALLS, or the network whose CometBFTs it connects."""

    what: str
    caller: str
    called: str


def connect(folder: Path, program: Path) -> Links[Wire]:
    """Put a proxy before every address that nodes which do not run yet have of each other, in their `node.toml`."""
    nodes = testnet.load(folder).nodes
    homes = {node.name: configs.load(folder / node.name) for node in nodes}
    names = {node.url: node.name for node in nodes}
    wires: dict[Wire, int] = {}
    for name, config in homes.items():
        for use in config.networks:
            for url in (*use.members.values(), *(url for peer in use.peers for url in peer.urls)):
                wires[Wire(CALLS, name, names[url])] = _port(url)
            for member, address in use.cometbft.peers.items():
                wires[Wire(_short(use), name, member)] = _port(address)
    links = Links(program, wires, folder / "toxiproxy.log")
    for name, config in homes.items():
        networks = [_through(links, name, names, use) for use in config.networks]
        (folder / name / configs.NAME).write_text(configs.render(replace(config, networks=networks)), encoding="utf-8")
    return links


def of(links: Links[Wire], names: Iterable[str], what: str | None = None) -> list[Wire]:
    """All wires from and to some nodes, or those of one kind."""
    ends = set(names)
    return [one for one in links.at if ends & {one.caller, one.called} and what in (None, one.what)]


def _through(links: Links[Wire], name: str, names: dict[str, str], use: NetworkUse) -> NetworkUse:
    def call(url: str) -> str:
        return f"http://127.0.0.1:{links.at[Wire(CALLS, name, names[url])]}"

    peers = {
        member: f"{address.partition('@')[0]}@127.0.0.1:{links.at[Wire(_short(use), name, member)]}"
        for member, address in use.cometbft.peers.items()
    }
    return replace(
        use,
        members={member: call(url) for member, url in use.members.items()},
        peers=[PeerUse(peer.origin, [call(url) for url in peer.urls]) for peer in use.peers],
        # Or CometBFT would tell the others where it can be had without a proxy.
        cometbft=replace(use.cometbft, peers=peers, announce="127.0.0.1:9"),
    )


def _short(use: NetworkUse) -> str:
    return use.origin.rpartition("/")[2]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
