"""A tree of networks on one node: founding, edges, blocks, relays, group commits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tocsin.client.signing import Signer, found_with
from tocsin.kernel.acts import Keys, PeerTerms
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Genesis
from tocsin.node.keys import KeyRole
from tocsin.node.relays.edges import declare, entry_for
from tocsin.node.relays.relay import Relay
from tocsin.node.trial.hosted import HostedNetwork
from tocsin.store.store import Store
from tocsin.store.watermark import Watermark

SignerFor = Callable[[str, str, KeyRole], Signer]
"""(origin, member, role of its key) -> signer."""

MEMBER_KEYS: tuple[KeyRole, ...] = ("root", "act", "finality")


@dataclass(frozen=True, slots=True)
class Edge:
    """A child network and its parent. `representative`: the parent's member that represents the child; `quota`:
    what the parent grants the child."""

    child: str
    parent: str
    representative: str
    quota: PeerTerms


def public_keys(signer: SignerFor, origin: str, member: str) -> Keys:
    """A member's public keys, held by the member itself."""
    root, act, finality = (signer(origin, member, role).public_key for role in MEMBER_KEYS)
    return Keys(root, act, finality, None, "self")


class Tree:
    """Networks that one node hosts, from 1 to thousands, and the relays between them."""

    def __init__(self, path: Path, signer: SignerFor) -> None:
        """Open the store at `path`, with the networks it holds, and the list of signed heads beside its directory.

        Raises StoreError.
        """
        new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.store = Store.open(path)
        self._watermark = Watermark.open(path.parent.parent / "signed-heads", create=new)
        self._signer = signer
        self.networks: dict[str, HostedNetwork] = {
            info.origin: self._host(info.origin) for info in self.store.networks()
        }
        self._relays = self._known_relays()

    def close(self) -> None:
        """Let go of the store; everything committed is on disk."""
        self._watermark.close()
        self.store.close()

    def found(self, geneses: Iterable[Genesis]) -> None:
        """Found networks whose members' keys this node holds, in one commit."""
        origins: list[str] = []
        with self.store.transaction():
            for genesis in geneses:
                signers = {
                    founder.id: [self._signer(genesis.origin, founder.id, role) for role in MEMBER_KEYS]
                    for founder in genesis.members
                }
                founding = found_with(genesis, signers)
                self.store.create_network(encode(genesis), encode(founding))
                origins.append(genesis.origin)
        for origin in origins:
            self.networks[origin] = self._host(origin)

    def link(self, edges: Iterable[Edge], at: int) -> None:
        """Declare parents and children to each other by motion, and relay between them from then on."""
        with self.store.transaction():
            for edge in edges:
                child, parent = self.networks[edge.child], self.networks[edge.parent]
                down = PeerTerms(0, 0, edge.quota.max_age_s)
                declare(child, parent, entry_for(parent, "parent", None, down), at)
                declare(parent, child, entry_for(child, "child", edge.representative, edge.quota), at)
        self._relays = self._known_relays()

    def carry(self, at: int) -> bool:
        """Queue one relay act for each edge where something waits; whether any did."""
        carried = [relay.carry(at) for relay in self._relays]
        return any(carried)

    def sign_heads(self) -> None:
        """Sign a final checkpoint of every network, and keep it in the store."""
        with self.store.transaction():
            for network in self.networks.values():
                network.keep_head()

    def _known_relays(self) -> list[Relay]:
        """One each way between peers that are both here, by who has the duty: the representative, or a relay."""
        relays = []
        for origin, destination in sorted(self.networks.items()):
            for name, peer in sorted(destination.state.peers.items()):
                source = self.networks.get(name)
                carrier = peer.entry.represented_by or _with_relay_role(destination)
                if source is not None and carrier is not None and origin in source.state.peers:
                    relays.append(Relay(source, destination, carrier))
        return relays

    def _host(self, origin: str) -> HostedNetwork:
        def signer(member: str, role: KeyRole) -> Signer:
            return self._signer(origin, member, role)

        return HostedNetwork(self.store.network(origin), signer, self._watermark)


def _with_relay_role(network: HostedNetwork) -> str | None:
    members = sorted(network.state.members.items())
    return next((name for name, member in members if member.status == "active" and "relay" in member.roles), None)
