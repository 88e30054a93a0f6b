"""An archive's tree on a real node: founded networks, dev keys, relays, a commit a day, dossiers."""

from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tocsin.client.dossier import build_dossier, decode_leaf, encode_dossier
from tocsin.client.policy import encode_policy, policy_of_genesis
from tocsin.client.signing import SeedSigner
from tocsin.kernel.acts import PeerTerms
from tocsin.kernel.genesis import decode_genesis
from tocsin.kernel.leaves import Recorded
from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import Frozen
from tocsin.lab.drive import morning
from tocsin.lab.replay import Hosted
from tocsin.lab.roster import Plan, plans
from tocsin.node.keys import DevKeys, KeyRole, Keystore
from tocsin.node.relays.source import LogSource
from tocsin.node.trial.tree import Edge, Tree, public_keys

SEED = b"tocsin replay: development keys, known to everybody"


class ReplayNode:
    """The node of one replay, in `folder`."""

    def __init__(self, archive: Archive, charter: str, frozen: Frozen, folder: Path, first: int) -> None:
        self.archive = archive
        self.folder = folder
        self.plans, self.said = plans(archive, charter, frozen.rule)
        self.tree = Tree(folder / "networks" / "node.db", _signer)
        at = morning(first) - 1
        self.tree.found(
            plan.genesis(at, lambda origin, member: public_keys(_signer, origin, member), _log_key(plan))
            for plan in self.plans.values()
        )
        self.tree.link(self._edges(), at)
        self._day = ExitStack()
        self._day.enter_context(self.tree.store.transaction())

    @property
    def hosted(self) -> Hosted:
        """Chains by network index, and the relays."""
        chains = {network: self.tree.networks[plan.origin] for network, plan in self.plans.items()}
        return Hosted(dict(chains), self.tree.carry)

    def commit(self, _: int = 0) -> None:
        """End the day: one transaction, one fsync for all networks."""
        self._day.close()
        self._day.enter_context(self.tree.store.transaction())

    def finish(self) -> None:
        """Commit, sign a final checkpoint of every network, and write policies and keystore."""
        self._day.close()
        self.tree.sign_heads()
        keystore = Keystore()
        policies = self.folder / "policy"
        policies.mkdir(parents=True, exist_ok=True)
        for network, plan in self.plans.items():
            genesis = decode_genesis(self.tree.store.network(plan.origin).genesis)
            (policies / f"{self.archive.networks[network].id}.policy").write_bytes(
                encode_policy(policy_of_genesis(genesis))
            )
            for founder in genesis.members:
                for role in _ROLES:
                    keystore.add(plan.origin, founder.id, role, _signer(plan.origin, founder.id, role))
            keystore.add(plan.origin, "", "log", _signer(plan.origin, "", "log"))
        keystore.save_plain(self.folder / "keys.json")

    def dossier(self, network: int, message: str, name: str) -> Path:
        """Write the dossier of a message; its path."""
        source = LogSource(self.tree.store.network(self.plans[network].origin), message)
        path = self.folder / "dossiers" / f"{name}.dossier"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_dossier(build_dossier(source, message)))
        return path

    def dossier_above(self, network: int, message: str, name: str) -> Path | None:
        """Write the dossier of what the network above recorded of a message; None if it recorded nothing of it."""
        parent = self.archive.networks[network].parent
        if parent is None or parent not in self.plans:
            return None
        store = self.tree.store.network(self.plans[parent].origin)
        needle = message.encode()
        for leaf in store.iter_leaves(0, store.head.size):
            if leaf.startswith(b'{"leaf":"recorded"') and needle in leaf:
                read = decode_leaf(leaf, self.plans[parent].origin)
                if isinstance(read, Recorded) and read.source is not None and read.source.original.id == message:
                    above = self.archive.networks[parent].id
                    if read.kind.startswith("relayed.report."):
                        return self.dossier(parent, read.id, f"{above}-{name}")
        return None

    def policy(self, network: int) -> Path:
        """Where the policy of a network stands."""
        return self.folder / "policy" / f"{self.archive.networks[network].id}.policy"

    def close(self) -> None:
        """Let go of the store."""
        self._day.close()
        self.tree.close()

    def _edges(self) -> list[Edge]:
        edges = []
        for plan in self.plans.values():
            terms = plan.charter.peers
            for child in plan.children:
                quota = PeerTerms(terms.per_week, self.plans[child].min_endorsers, terms.max_age_s)
                edges.append(Edge(self.plans[child].origin, plan.origin, self.archive.networks[child].id, quota))
        return edges


_ROLES: tuple[KeyRole, ...] = ("root", "act", "finality")


@cache
def _signer(origin: str, member: str, role: KeyRole) -> SeedSigner:
    return DevKeys.derive(SEED, origin, member, role)


def _log_key(plan: Plan) -> str:
    return _signer(plan.origin, "", "log").public_key
