"""`tocsin keys rotate`: no key that is in force is ever lost, whatever happens on the way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.net import Liar, Nodes
from tocsin.cli.acting import hand_in
from tocsin.cli.main import main
from tocsin.client.signing import SeedSigner, rotation
from tocsin.node.keys import Keystore
from tocsin.node.trial import testnet

NETS = testnet.shape(2, [1])
ORIGIN = NETS[0].origin
MEMBER = NETS[0].own[0]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("rotate") / "tree", NETS)
    made.start()
    made.live(MEMBER, ORIGIN)
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


def lost(path: Path, nodes: Nodes, *roles: str) -> None:
    """A rotation that is taken, and whose answer is lost."""
    liar = Liar(nodes.tree.node(MEMBER).url, lambda path, data: b"?" if "envelopes" in path else data)
    try:
        assert rotate(path, liar.url, *roles) == 2
    finally:
        liar.close()


def test_another_rotation_waits_for_the_one_whose_answer_was_lost(
    nodes: Nodes, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The root is in force already; a finality key that was never sent must not be taken for one that is."""
    before, url = public(keys), nodes.tree.node(MEMBER).url
    lost(keys, nodes, "root")
    capsys.readouterr()
    for roles in (("root", "finality"), ("finality",), ("act",)):
        assert rotate(keys, url, *roles) == 2
        assert "with --role root and no other" in capsys.readouterr().err
        assert public(keys) == before
    assert rotate(keys, url, "root") == 0
    assert rotate(keys, url, "finality") == 0
    after = public(keys)
    assert {role for role in after if after[role] != before[role]} == {"root", "finality"}
    assert all(in_force(nodes, after[role]) for role in testnet.ROLES)


def test_what_came_about_of_a_rotation_is_kept_and_the_rest_is_sent(nodes: Nodes, keys: Path) -> None:
    url = nodes.tree.node(MEMBER).url
    assert rotate(keys, "http://127.0.0.1:9", "root", "act") == 2
    beside = keys.with_name("keys.json.next")
    waiting, store = public(beside), Keystore.open(keys, warn=lambda _: None)
    new = Keystore.open(beside, warn=lambda _: None).signer(ORIGIN, MEMBER, "root")
    act = rotation(new, nodes.live(MEMBER, ORIGIN).genesis.digest, MEMBER, "root")
    hand_in(url, ORIGIN, MEMBER, store.signer(ORIGIN, MEMBER, "root"), [act])
    assert rotate(keys, url, "root", "act") == 0
    assert public(keys) == waiting
    assert all(in_force(nodes, waiting[role]) for role in testnet.ROLES)
    assert not beside.exists()


def test_of_two_keys_the_one_that_was_refused_is_not_kept(
    nodes: Nodes, keys: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = public(keys)
    made = [SeedSigner.generate(), nodes.keys.signer(ORIGIN, NETS[0].own[1], "act")]
    monkeypatch.setattr(SeedSigner, "generate", lambda: made.pop(0))
    assert rotate(keys, nodes.tree.node(MEMBER).url, "act", "finality") == 2
    assert "used before" in capsys.readouterr().err
    after = public(keys)
    assert {role for role in after if after[role] != before[role]} == {"act"}
    assert all(in_force(nodes, after[role]) for role in testnet.ROLES)
    assert not keys.with_name("keys.json.next").exists()


def test_new_keys_that_may_be_in_force_outlive_a_refusal(nodes: Nodes, keys: Path) -> None:
    """The first try may yet come about, whatever is said of the second."""
    store = Keystore.open(keys, warn=lambda _: None)
    store.replace(ORIGIN, MEMBER, "root", nodes.keys.signer(ORIGIN, NETS[0].own[1], "root"))
    wrong = keys.with_name("other.json")
    store.save_plain(wrong, lambda _: None)
    assert rotate(wrong, "http://127.0.0.1:9", "act") == 2
    waiting = public(wrong.with_name("other.json.next"))
    assert rotate(wrong, nodes.tree.node(MEMBER).url, "act") == 2
    assert public(wrong.with_name("other.json.next")) == waiting
