"""Every act has its command, and each of them works; on CometBFT too (test_peering)."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from tests.node.acts import Play
from tests.node.net import Nodes
from tests.node.test_peering import without_notice
from tests.paths import ROOT
from tocsin.cli.main import parser
from tocsin.client.signing import cosign_checkpoint, sign_checkpoint
from tocsin.kernel import acts as kernel
from tocsin.kernel.acts import Evidence
from tocsin.kernel.envelope import encode
from tocsin.node.trial import testnet
from tocsin.tlog import Checkpoint, checkpoint, note

ORIGIN, OTHER = "testnet.example/1-1", "other.example/1-1"
PAGE = ROOT / "docs/reference/acts.md"
BY_NODES = {"relay", "seal", "outcome", "note", "receipts"}
"""What nodes make themselves, and nobody need sign by hand."""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(tmp_path / "nodes", testnet.shape(4, [1]), charter=without_notice)
    made.start()
    yield made
    made.close()


def test_each_act_by_its_command(nodes: Nodes, tmp_path: Path) -> None:
    names = nodes.tree.net(ORIGIN).own
    for name in names:
        nodes.live(name, ORIGIN)
    play = Play(ORIGIN, {name: nodes.folder / name for name in names}, names[:3], names[3])
    record = play.incident()
    play.messages(record)
    play.closing()
    other = Nodes(tmp_path / "other", testnet.shape(2, [1], "other.example"))
    other.start("1-1-a1")
    genesis = tmp_path / "other.genesis"
    genesis.write_bytes(encode(other.live("1-1-a1", OTHER).genesis))
    other.close()
    charter = nodes.live(names[0], ORIGIN).genesis.charter
    file = tmp_path / "charter.json"
    file.write_bytes(encode(msgspec.structs.replace(charter, name="another")))
    play.networks(record, genesis, OTHER, file)
    play.roster()

    # A member signs two histories.
    log, liar = nodes.keys.signer(ORIGIN, "", "log"), nodes.keys.signer(ORIGIN, names[1], "finality")
    heads = [Checkpoint(ORIGIN, 3, bytes([place]) * 32) for place in (1, 2)]
    first, second = (
        note.format(
            checkpoint.format(head), [sign_checkpoint(log, head), cosign_checkpoint(liar, names[1], head, 1)]
        ).decode()
        for head in heads
    )
    evidence = tmp_path / "evidence.json"
    evidence.write_bytes(encode(Evidence(ORIGIN, first, second, None, [])))
    play.act(names[0], "evidence", evidence)
    # The block may have another after it already: who is caught signs no more, and that is sealed.
    records = nodes.live(names[0], ORIGIN).records
    assert any(leaf.startswith(b'{"leaf":"evidence"') for leaf in records.iter_leaves(0, records.durable[1]))
    assert "no evidence" in play.do(names[0], "act", "evidence", genesis, code=2)


def rows() -> dict[str, str]:
    """Act or terms -> its command, as the page has them."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`"):
            found[cells[0].strip("`")] = cells[1]
    return found


def tags(union: Any) -> set[str]:
    return {str(kind.__struct_config__.tag) for kind in get_args(union)}


def test_the_page_has_each_act_with_a_command_that_is_there() -> None:
    told = rows()
    wanted = (tags(kernel.Act) - {"submit"}) | tags(kernel.Terms) | {"report"}
    assert set(told) == wanted
    assert {name for name, words in told.items() if not words.startswith("`tocsin ")} == BY_NODES
    for words in told.values():
        if words.startswith("`tocsin "):
            verbs = words.strip("`").split()[1:]
            with pytest.raises(SystemExit) as ended:
                parser().parse_args([*verbs, "--help"])
            assert ended.value.code == 0, words


def test_each_act_is_made_by_a_command_or_by_a_node() -> None:
    """Of every class of acts and terms, that the program makes one somewhere outside the kernel."""
    made: dict[str, set[str]] = {}
    for path in (ROOT / "src/tocsin").rglob("*.py"):
        for one in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
                made.setdefault(one.func.id, set()).add(path.relative_to(ROOT / "src/tocsin").parts[0])
    lost = []
    for kind in (*get_args(kernel.Act), *get_args(kernel.Terms)):
        where = {"client", "node", "kernel"} if str(kind.__struct_config__.tag) in BY_NODES else {"cli"}
        by_client = {"Rotate", "Evidence"}  # `tocsin keys rotate` and `tocsin act evidence` have theirs made
        if not made.get(kind.__name__, set()) & (where | ({"client", "node"} if kind.__name__ in by_client else set())):
            lost.append(kind.__name__)
    assert lost == []
