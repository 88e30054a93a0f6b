"""The auditor's monitor: content with honest members, and sharp with those who say one thing here and another there."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.node.net import Liar, Nodes, until
from tocsin.client.signing import cosign_checkpoint, sign_checkpoint
from tocsin.engine.signatures import Verifier
from tocsin.kernel.acts import Evidence, Present
from tocsin.kernel.envelope import encode
from tocsin.node import testnet
from tocsin.node.monitor import Finding, Monitor
from tocsin.node.remote import Remote
from tocsin.store.store import Store
from tocsin.tlog import Checkpoint, checkpoint, note

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR = (f"1-1-a{place}" for place in range(1, 5))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("nodes"), testnet.shape(4, [1]))
    made.start()
    made.record(ORIGIN)
    made.final(ONE, ORIGIN, size(made))
    yield made
    made.close()


def size(nodes: Nodes) -> int:
    return nodes.live(ONE, ORIGIN).records.durable[1]


def look(nodes: Nodes, folder: Path, urls: Mapping[str, str] | None = None) -> tuple[list[Finding], int]:
    """What a monitor finds that begins where it left off in `folder`, and the leaves of its copy."""
    told = {name: nodes.tree.node(name).url for name in (ONE, TWO, THREE)} | dict(urls or {})
    members = {name: Remote(nodes.client, url, ORIGIN) for name, url in told.items()}
    genesis = nodes.live(ONE, ORIGIN).genesis
    with Store.open(folder / "node.db") as store, closing(Verifier(1)) as verifier:
        if not store.networks():
            store.create_network(encode(genesis), members[ONE].genesis()[1])
        with closing(Monitor(store.network(ORIGIN), members, genesis.log_key, folder, verifier)) as monitor:
            return monitor.look(), monitor.size


def kinds(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.member, one.kind) for one in found}


def test_the_command_tells_that_all_agree(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "genesis").write_bytes(encode(nodes.live(ONE, ORIGIN).genesis))
    command = ["monitor", str(tmp_path / "genesis"), "--dir", str(tmp_path / "audit"), "--once", "--json"]
    members = [f"--member={name}={nodes.tree.node(name).url}" for name in (ONE, TWO)]
    done = subprocess.run(
        [sys.executable, "-m", "tocsin.cli.main", *command, *members, "--member=away=http://127.0.0.1:9"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["size"] == size(nodes)
    assert [(one["member"], one["kind"]) for one in said["findings"]] == [("away", "away")]


def test_honest_members_agree_and_the_copy_grows_with_them(nodes: Nodes, tmp_path: Path) -> None:
    assert look(nodes, tmp_path) == ([], size(nodes))
    nodes.act(ONE, ORIGIN, TWO, Present(1))
    nodes.final(ONE, ORIGIN, size(nodes))
    assert look(nodes, tmp_path) == ([], size(nodes))


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (lambda path, true: true.replace(b'"at":1', b'"at":2') if "/blocks" in path else true, "forged"),
        (lambda path, true: _other(true) if "/tile/entries/" in path else true, "file"),
        (lambda path, true: bytes([true[0] ^ 1]) + true[1:] if "/tile/0/" in path else true, "file"),
        (lambda path, true: _fewer(true) if path.endswith("/checkpoint") else true, "not final"),
        (lambda path, true: b"nothing" if path.endswith("/checkpoint") else true, "checkpoint"),
        (lambda path, true: b"[" if "/blocks" in path else true, "away"),
    ],
)
def test_what_a_member_serves_wrong_is_told(
    nodes: Nodes, tmp_path: Path, lie: Callable[[str, bytes], bytes], kind: str
) -> None:
    liar = Liar(nodes.tree.node(TWO).url, lie)
    found, _ = look(nodes, tmp_path, {TWO: liar.url})
    liar.close()
    assert kinds(found) == {(TWO, kind)}


def _other(true: bytes) -> bytes:
    return true.replace(b"severity", b"severitx")


def _fewer(true: bytes) -> bytes:
    return true[: true.index("\u2014 ".encode(), true.index(f"\u2014 {ORIGIN}/".encode()) + 4)]


def two_faced(nodes: Nodes, member: str, root: bytes, less: int = 0) -> Callable[[str, bytes], bytes]:
    """To the auditor the member signs another head than to the others, with its real finality key."""

    def change(path: str, true: bytes) -> bytes:
        if not path.endswith("/signed"):
            return true
        head = checkpoint.parse(note.parse(true).text)
        other = Checkpoint(head.origin, head.size - less, root)
        lines = [
            sign_checkpoint(nodes.keys.signer(ORIGIN, "", "log"), other),
            cosign_checkpoint(nodes.keys.signer(ORIGIN, member, "finality"), member, other, 1),
        ]
        return note.format(checkpoint.format(other), lines)

    return change


def test_a_head_off_the_log_is_evidence_beside_a_later_one_on_it(nodes: Nodes, tmp_path: Path) -> None:
    """A root that no block leads to; later the same key signs the true log, which extends another root at that size."""
    until(lambda: nodes.live(FOUR, ORIGIN).finality.own(size(nodes)))
    liar = Liar(nodes.tree.node(FOUR).url, two_faced(nodes, FOUR, b"\x07" * 32, less=1))
    found, _ = look(nodes, tmp_path, {FOUR: liar.url})
    liar.close()
    assert kinds(found) == {("the log", "fork"), (FOUR, "fork")}
    assert [one.evidence for one in found] == [None, None]
    found, _ = look(nodes, tmp_path, {FOUR: nodes.tree.node(FOUR).url})
    (path,) = {one.evidence for one in found if one.member == FOUR}
    assert path is not None
    nodes.act(ONE, ORIGIN, TWO, msgspec.json.decode(Path(path).read_bytes(), type=Evidence))


def test_two_heads_of_one_size_are_evidence_that_the_network_takes(nodes: Nodes, tmp_path: Path) -> None:
    until(lambda: nodes.live(THREE, ORIGIN).finality.own(size(nodes)))
    assert look(nodes, tmp_path)[0] == []
    liar = Liar(nodes.tree.node(THREE).url, two_faced(nodes, THREE, b"\x07" * 32))
    found, _ = look(nodes, tmp_path, {THREE: liar.url})
    liar.close()
    assert (THREE, "equivocation") in kinds(found)
    (path,) = {one.evidence for one in found if one.member == THREE}
    assert path is not None
    act = msgspec.json.decode(Path(path).read_bytes(), type=Evidence)
    nodes.act(ONE, ORIGIN, TWO, act)
    records = nodes.live(ONE, ORIGIN).records
    leaves = records.iter_leaves(0, records.durable[1])
    assert any(leaf.startswith(b'{"leaf":"evidence"') and THREE.encode() in leaf for leaf in leaves)
