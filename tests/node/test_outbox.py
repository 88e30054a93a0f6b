"""What goes out, found from the log's end: the same from every number on, before and after a restart."""

from pathlib import Path

import pytest

from tests.node import test_tree as base
from tocsin.kernel.acts import Judge, Submit
from tocsin.kernel.digest import message_id
from tocsin.node.relays import outbox
from tocsin.node.relays.outbox import Outbox
from tocsin.node.trial.tree import Edge, Tree

LOWER, UPPER = "x.example/n1", "x.example/n2"


@pytest.mark.parametrize("stretch", [1, 3, 1024])
def test_every_number_is_found_from_the_end_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int) -> None:
    monkeypatch.setattr(outbox, "_STRETCH", stretch)
    tree = Tree(tmp_path / "networks" / "node.db", base.signer)
    tree.found([base.genesis(LOWER, base.N1), base.genesis(UPPER, base.N2)])
    tree.link([Edge(LOWER, UPPER, "r", base.QUOTA)], 1000)
    network = tree.networks[LOWER]
    early = Outbox(network.store)
    assert early.since(UPPER, 1) == []
    at = 2000
    for _ in range(3):
        envelope = network.submit("a", [Submit("report.pandemic", "new", base.SUBJECT, None, None)], at)
        network.make_block(at)
        message = message_id(envelope.digest, 0)
        network.submit("b", [Judge(message, "endorse", None, "officer", None, None)], at + 1)
        network.make_block(at + 1)
        at = base.due(network)
        network.make_block(at)
    sent = network.outgoing[UPPER]
    assert len(sent) >= 3
    for number in range(len(sent) + 3):
        wanted = [(one.place, one.number) for one in sent if one.number >= number]
        assert early.since(UPPER, number) == wanted
        assert Outbox(network.store).since(UPPER, number) == wanted
    assert early.since("x.example/nowhere", 1) == []
    tree.close()
