"""What a dossier is made from on a node: found by index, read no further than the record's life, nothing left out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node import test_tree as base
from tocsin.client.dossier import build_dossier, encode_dossier
from tocsin.client.policy import policy_of_genesis
from tocsin.client.verify import verify
from tocsin.kernel.acts import Annotate, Finding, Submit
from tocsin.kernel.genesis import decode_genesis
from tocsin.node.relays.source import LogSource
from tocsin.node.trial.tree import Edge, Tree
from tocsin.store.records import StoredBlock

LOWER, UPPER = "x.example/n1", "x.example/n2"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path / "networks" / "node.db", base.signer)
    made.found([base.genesis(LOWER, base.N1), base.genesis(UPPER, base.N2)])
    made.link([Edge(LOWER, UPPER, "r", base.QUOTA)], 1000)
    yield made
    made.close()


def said(tree: Tree, origin: str, message: str) -> list[str]:
    """The lines of the verifier about a message's dossier; it must hold."""
    tree.sign_heads()
    store = tree.store.network(origin)
    data = encode_dossier(build_dossier(LogSource(store, message), message))
    report = verify(data, policy_of_genesis(decode_genesis(store.genesis)))
    assert report.ok, [line.text for line in report.lines if not line.ok]
    return [line.text for line in report.lines]


def test_a_dossier_shows_what_the_peer_said(tree: Tree) -> None:
    """The outcome above, what was said there, and what was found there, beside the record below."""
    message, _ = base.recorded(tree)
    lower, upper = tree.networks[LOWER], tree.networks[UPPER]
    (above,) = upper.state.messages
    base.settle(tree, base.due(upper))
    later = upper.state.meta.at + 1000
    upper.submit("t", [Annotate(above, "object", None)], later)
    base.settle(tree, later)
    upper.submit("t", [Submit("finding", None, None, Finding(above, "upheld", "field", "a" * 64), None)], later + 1000)
    base.settle(tree, later + 1000)
    lines = said(tree, LOWER, message)
    assert any("outcome there recorded" in one for one in lines)
    assert any("object by t" in one for one in lines)
    assert any("found upheld (field)" in one for one in lines)
    assert lower.state.accounts["a"].credits == 3


def test_the_journal_is_read_no_further_than_the_record_goes(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    message, _ = base.recorded(tree)
    lower, upper = tree.networks[LOWER], tree.networks[UPPER]
    base.settle(tree, base.due(upper))
    store = tree.store.network(LOWER)
    end = store.head.height
    for _ in range(5):
        later = lower.state.meta.at + 1000
        lower.submit("a", [Submit("report.pandemic", "new", base.SUBJECT, None, None)], later)
        lower.make_block(later)
    read: list[int] = []
    blocks = store.blocks

    def watched(first: int = 0, last: int | None = None) -> Iterator[StoredBlock]:
        for block in blocks(first, last):
            read.append(block.height)
            yield block

    monkeypatch.setattr(store, "blocks", watched)
    assert LogSource(store, message).closing(message) == []
    assert read
    assert max(read) <= end < store.head.height
