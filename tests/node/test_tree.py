"""A tree of networks on one node: real store, real signatures, real proofs between networks."""

from pathlib import Path
from shutil import copyfile

import pytest

from tocsin import charters
from tocsin.client.signing import Signer
from tocsin.kernel.acts import Finding, Judge, PeerTerms, Subject, Submit
from tocsin.kernel.digest import message_id
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders
from tocsin.kernel.words import Role
from tocsin.node.keys import DevKeys, KeyRole
from tocsin.node.relays.relay import Relay
from tocsin.node.trial.hosted import HostedNetwork
from tocsin.node.trial.tree import Edge, Tree, public_keys
from tocsin.store.watermark import SigningRefused

SUBJECT = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, 0, 2, "actual")
QUOTA = PeerTerms(20, 1, 7 * 86_400)
N1: dict[str, list[Role]] = {"a": ["reporter", "voter"], "b": ["reporter", "voter"], "r": ["relay", "supervisor"]}
N2: dict[str, list[Role]] = {"r": ["relay", "voter"], "t": ["supervisor"]}


def signer(origin: str, member: str, role: KeyRole) -> Signer:
    return DevKeys.derive(b"test", origin, member, role)


def genesis(origin: str, members: dict[str, list[Role]]) -> Genesis:
    founders = [
        Founder(name, f"lei:{name}", roles, public_keys(signer, origin, name)) for name, roles in members.items()
    ]
    log_key = signer(origin, "", "log").public_key
    return Genesis(1, origin, 0, charters.load("figure-4"), log_key, sorted_founders(founders))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "networks" / "node.db"


@pytest.fixture
def tree(path: Path) -> Tree:
    tree = Tree(path, signer)
    tree.found([genesis("x.example/n1", N1), genesis("x.example/n2", N2)])
    tree.link([Edge("x.example/n1", "x.example/n2", "r", QUOTA)], 1000)
    return tree


def settle(tree: Tree, at: int) -> None:
    """Blocks and relays until nothing moves."""
    while True:
        for network in tree.networks.values():
            network.make_block(at)
        if not tree.carry(at):
            return


def recorded(tree: Tree) -> tuple[str, int]:
    """Figure 4 a up to the record in N1: the message and the block time."""
    lower = tree.networks["x.example/n1"]
    envelope = lower.submit("a", [Submit("report.pandemic", None, SUBJECT, None, None)], 2000)
    message = message_id(envelope.digest, 0)
    settle(tree, 2000)
    lower.submit("b", [Judge(message, "endorse", None, "officer", None, None)], 3000)
    settle(tree, 3000)
    at = due(lower)
    settle(tree, at)
    return message, at


def due(network: HostedNetwork) -> int:
    at = network.state.next_deadline()
    assert at is not None
    return at


def test_a_record_goes_up_and_its_outcome_comes_down(tree: Tree) -> None:
    message, at = recorded(tree)
    lower, upper = tree.networks["x.example/n1"], tree.networks["x.example/n2"]
    assert [one.kind for one in upper.state.messages.values()] == ["relayed.report.pandemic"]
    assert lower.state.sent
    settle(tree, due(upper))
    assert not upper.state.messages
    assert not lower.state.sent
    (incident,) = lower.state.incidents.values()
    assert incident.up is not None
    assert (incident.up.message, incident.up.outcome) == (message, "recorded")
    later = at + 4_000_000
    lower.submit("r", [Submit("finding", None, None, Finding(message, "upheld", "field", "a" * 64), None)], later)
    settle(tree, later)
    assert {name: one.credits for name, one in lower.state.accounts.items()} == {"a": 3, "b": 1, "r": 0}


def test_a_node_restarted_between_record_and_relay_goes_on(tree: Tree, path: Path) -> None:
    lower = tree.networks["x.example/n1"]
    envelope = lower.submit("a", [Submit("report.pandemic", None, SUBJECT, None, None)], 2000)
    lower.make_block(2000)
    lower.submit("b", [Judge(message_id(envelope.digest, 0), "endorse", None, "officer", None, None)], 3000)
    lower.make_block(3000)
    at = due(lower)
    lower.make_block(at)
    tree.close()
    again = Tree(path, signer)
    settle(again, at)
    assert len(again.networks["x.example/n2"].state.messages) == 1
    again.close()


def test_two_relays_for_one_edge_do_no_harm(tree: Tree) -> None:
    lower, upper = tree.networks["x.example/n1"], tree.networks["x.example/n2"]
    twin = Relay(lower, upper, "r")
    envelope = lower.submit("a", [Submit("report.pandemic", None, SUBJECT, None, None)], 2000)
    lower.make_block(2000)
    lower.submit("b", [Judge(message_id(envelope.digest, 0), "endorse", None, "officer", None, None)], 3000)
    lower.make_block(3000)
    at = due(lower)
    lower.make_block(at)
    assert twin.carry(at)
    assert tree.carry(at)
    outcome = upper.make_block(at)
    assert outcome is not None
    assert len(outcome.receipts) + len(outcome.dropped) == 2
    assert len(upper.state.messages) == 1


def test_a_second_network_of_one_name_is_refused(tree: Tree) -> None:
    with pytest.raises(ValueError, match=r"x\.example/n1"):
        tree.found([genesis("x.example/n1", N1)])


def test_a_node_restored_from_an_old_backup_does_not_sign_another_past(tree: Tree, path: Path, tmp_path: Path) -> None:
    tree.close()
    backup = tmp_path / "backup.db"
    copyfile(path, backup)
    tree = Tree(path, signer)
    tree.networks["x.example/n1"].submit("a", [Submit("report.pandemic", None, SUBJECT, None, None)], 2000)
    settle(tree, 2000)
    tree.sign_heads()
    tree.close()
    for left in path.parent.glob("node.db-*"):
        left.unlink()
    copyfile(backup, path)
    restored = Tree(path, signer)
    lower = restored.networks["x.example/n1"]
    lower.submit("b", [Submit("report.pandemic", None, SUBJECT, None, None)], 2000)
    lower.make_block(2000)
    with pytest.raises(SigningRefused, match=r"x\.example/n1"):
        lower.head()
    restored.close()
