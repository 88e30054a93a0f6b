"""`tocsin keys rotate`: no key that is in force is ever lost, whatever happens on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.net import Liar, Nodes
from tocsin.cli.main import main
from tocsin.node import testnet
from tocsin.node.keys import Keystore

NETS = testnet.shape(2, [1])
ORIGIN = NETS[0].origin
MEMBER = NETS[0].own[0]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("rotate") / "tree", NETS)
    made.start()
    yield made
    made.close()


@pytest.fixture
def keys(nodes: Nodes) -> Path:
    return nodes.folder / MEMBER / "keys.json"


def public(path: Path) -> dict[str, str]:
    entries = Keystore.open(path, warn=lambda _: None).entries()
    return {one.role: one.public for one in entries if one.member == MEMBER}


def rotate(path: Path, url: str, *roles: str) -> int:
    words = [word for role in roles for word in ("--role", role)]
    return main(["keys", "rotate", str(path), "--network", ORIGIN, "--member", MEMBER, "--node", url, *words])


def in_force(nodes: Nodes, key: str) -> bool:
    return key.encode() in (nodes.live(MEMBER, ORIGIN).records.row(f"member:{MEMBER}") or b"")


def test_keys_change_and_the_others_stay(nodes: Nodes, keys: Path) -> None:
    before = public(keys)
    assert rotate(keys, nodes.tree.node(MEMBER).url, "act", "root") == 0
    after = public(keys)
    assert {role for role in after if after[role] != before[role]} == {"act", "root"}
    assert all(in_force(nodes, after[role]) for role in ("act", "root"))
    assert not keys.with_name("keys.json.next").exists()


def test_an_answer_that_is_lost_is_no_key_that_is_lost(nodes: Nodes, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, url = public(keys), nodes.tree.node(MEMBER).url
    liar = Liar(url, lambda path, data: b"?" if "envelopes" in path else data)
    try:
        assert rotate(keys, liar.url, "act", "root") == 2
    finally:
        liar.close()
    assert "Give the same command again" in capsys.readouterr().err
    assert public(keys) == before
    waiting = public(keys.with_name("keys.json.next"))
    assert in_force(nodes, waiting["act"])
    assert rotate(keys, url, "act", "root") == 0
    assert public(keys) == waiting


def test_what_is_refused_leaves_no_keys_behind(nodes: Nodes, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = public(keys)
    store = Keystore.open(keys, warn=lambda _: None)
    wrong = keys.with_name("wrong.json")
    other = nodes.keys.signer(ORIGIN, NETS[0].own[1], "root")
    store.replace(ORIGIN, MEMBER, "root", other)
    store.save_plain(wrong, lambda _: None)
    assert rotate(wrong, nodes.tree.node(MEMBER).url, "act") == 2
    assert "not the author's" in capsys.readouterr().err
    assert not wrong.with_name("wrong.json.next").exists()
    assert in_force(nodes, before["act"])
