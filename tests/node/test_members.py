"""Members that come, join and go on a node, and the peers that follow from roster to roster (spec 8.3, 11.4)."""

from pathlib import Path

import pytest

from tests.node import test_tree as base
from tocsin.client.dossier import build_dossier, encode_dossier
from tocsin.client.policy import policy_of_genesis
from tocsin.client.signing import prove_possession
from tocsin.client.verify import verify
from tocsin.kernel.acts import AdmitMotion, Join, Judge, Leave, Submit
from tocsin.kernel.digest import message_id
from tocsin.kernel.genesis import decode_genesis
from tocsin.kernel.statements import signers_of
from tocsin.node.relays.source import LogSource
from tocsin.node.trial.hosted import HostedNetwork
from tocsin.node.trial.tree import MEMBER_KEYS, Edge, Tree, public_keys

LOWER, UPPER = "x.example/n1", "x.example/n2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "networks" / "node.db"


@pytest.fixture
def tree(path: Path) -> Tree:
    made = Tree(path, base.signer)
    made.found([base.genesis(LOWER, base.N1), base.genesis(UPPER, base.N2)])
    made.link([Edge(LOWER, UPPER, "r", base.QUOTA)], 1000)
    return made


def admit(network: HostedNetwork, member: str, at: int) -> None:
    keys = public_keys(base.signer, LOWER, member)
    signers = [base.signer(LOWER, member, role) for role in MEMBER_KEYS]
    proofs = prove_possession(signers, network.state.meta.genesis, member, keys, at + 100_000)
    motion = AdmitMotion(member, f"lei:{member}", ["reporter", "voter"], keys, at + 100_000, proofs)
    envelope = network.submit("a", [Submit("motion.admit", None, None, motion, None)], at)
    network.make_block(at)
    message = message_id(envelope.digest, 0)
    for one in ("b", "r"):
        network.submit(one, [Judge(message, "endorse", None, "officer", None, None)], at)
    network.make_block(at)
    assert member in network.state.members


def signers(network: HostedNetwork) -> list[str]:
    return [one.id for one in signers_of(network.state.members)]


def test_a_member_signs_once_it_has_joined_and_the_node_seals_the_change(tree: Tree) -> None:
    network = tree.networks[LOWER]
    admit(network, "c", 2000)
    assert signers(network) == ["a", "b", "r"]
    assert not network.state.handovers
    network.submit("c", [Join(network.state.meta.height)], 3000)
    network.make_block(3000)
    assert signers(network) == ["a", "b", "c", "r"]
    assert network.state.handovers
    assert network.waiting
    network.make_block(3000)
    assert not network.state.handovers
    tree.close()


def test_peers_and_verifiers_follow_after_a_restart(tree: Tree, path: Path) -> None:
    """From roster to roster, by the checkpoints that the node kept."""
    network = tree.networks[LOWER]
    admit(network, "c", 2000)
    network.submit("c", [Join(network.state.meta.height)], 3000)
    network.make_block(3000)
    network.make_block(3000)
    network.submit("a", [Leave()], 4000)
    network.make_block(4000)
    network.make_block(4000)
    envelope = network.submit("b", [Submit("report.pandemic", None, base.SUBJECT, None, None)], 5000)
    message = message_id(envelope.digest, 0)
    network.make_block(5000)
    network.submit("c", [Judge(message, "endorse", None, "officer", None, None)], 6000)
    network.make_block(6000)
    tree.close()
    again = Tree(path, base.signer)
    lower, upper = again.networks[LOWER], again.networks[UPPER]
    assert len(lower.steps) == 3
    at = base.due(lower)
    lower.make_block(at)
    base.settle(again, at)
    entry = upper.state.peers[LOWER].entry
    assert entry.epoch == lower.state.meta.epoch == 4
    assert [one.id for one in entry.roster if one.active] == signers(lower) == ["b", "c", "r"]
    assert [one.kind for one in upper.state.messages.values()] == ["relayed.report.pandemic"]
    again.sign_heads()
    store = again.store.network(LOWER)
    data = encode_dossier(build_dossier(LogSource(store, message), message))
    report = verify(data, policy_of_genesis(decode_genesis(store.genesis)))
    assert report.ok, [line.text for line in report.lines if not line.ok]
    again.close()
