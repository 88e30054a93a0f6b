"""The auditor's monitor: content with honest members, and sharp with those who say one thing here and another there."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.node.net import PATIENCE_S, Liar, Nodes, command, until
from tocsin.client.signing import cosign_checkpoint, sign_checkpoint
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Verifier
from tocsin.kernel.acts import Evidence, Leave, Present
from tocsin.kernel.envelope import decode, encode
from tocsin.node.audit import monitor as monitoring
from tocsin.node.audit.heads import Finding
from tocsin.node.audit.monitor import Monitor
from tocsin.node.trial import testnet
from tocsin.node.web import http
from tocsin.node.web.remote import BlockFile, Remote
from tocsin.store.store import Store
from tocsin.tlog import Checkpoint, checkpoint, note

ORIGIN = "testnet.example/1-1"
ONE, TWO, THREE, FOUR = (f"1-1-a{place}" for place in range(1, 5))


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    made = Nodes(tmp_path_factory.mktemp("nodes"), testnet.shape(4, [1]))
    made.start()
    made.record(ORIGIN)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def settled(nodes: Nodes) -> None:
    """Each test begins with all that those before it left final at every node."""
    sealed(nodes)
    for name in (ONE, TWO, THREE):
        until(lambda name=name: nodes.live(name, ORIGIN).finality.final == size(nodes))  # type: ignore[misc]


def sealed(nodes: Nodes) -> None:
    """Wait for the block that follows a change of the signers by itself, and until the first node can prove each."""
    live = nodes.live(ONE, ORIGIN)
    until(lambda: not live.records.rows("handover"))
    until(lambda: live.finality.own(size(nodes)))
    until(lambda: all(live.records.checkpoint(step + 2) for step in live.finality.epochs.steps(4)))


def size(nodes: Nodes) -> int:
    return nodes.live(ONE, ORIGIN).records.durable[1]


def look(nodes: Nodes, folder: Path, urls: Mapping[str, str] | None = None) -> tuple[list[Finding], int]:
    """What a monitor finds that begins where it left off in `folder`, and the leaves of its copy."""
    told = {name: nodes.tree.node(name).url for name in (ONE, TWO, THREE)} | dict(urls or {})
    members = {name: Remote(nodes.client, url, ORIGIN) for name, url in told.items()}
    genesis = nodes.live(ONE, ORIGIN).genesis
    folder.mkdir(exist_ok=True)
    with Store.open(folder / "node.db") as store, closing(Verifier(1)) as verifier:
        if not store.networks():
            store.create_network(encode(genesis), members[ONE].genesis()[1])
        monitor = Monitor(store.network(ORIGIN), members, genesis.log_key, folder, verifier)
        return monitor.look(), monitor.size


def kinds(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.member, one.kind) for one in found}


def test_the_command_tells_that_all_agree(nodes: Nodes, tmp_path: Path) -> None:
    (tmp_path / "genesis").write_bytes(encode(nodes.live(ONE, ORIGIN).genesis))
    command = ["monitor", str(tmp_path / "genesis"), "--dir", str(tmp_path / "audit"), "--once", "--json"]
    members = [f"--member={name}={nodes.tree.node(name).url}" for name in (ONE, TWO)]
    done = subprocess.run(
        [sys.executable, "-m", "tocsin.cli.main", *command, *members, "--member=away=http://127.0.0.1:9"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
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
        (lambda path, true: true.replace(b'"height":', b'"height":' + b"9" * 30) if "/blocks" in path else true, "away"),
        (lambda path, true: true.replace(b'"height":2', b'"height":3') if "/blocks" in path else true, "forged"),
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


def signed(nodes: Nodes, *members: str) -> bytes:
    """The newest head with the lines of these members alone; the first one orders, and has the log's key."""
    notes = [note.parse(nodes.remote(one, ORIGIN).cosigned(size(nodes), 30) or b"") for one in members]
    return note.format(notes[0].text, [line for one in notes for line in one.signatures])


def everywhere(url: str) -> dict[str, str]:
    return dict.fromkeys((ONE, TWO, THREE), url)


def forked(nodes: Nodes, folder: Path) -> dict[int, BlockFile]:
    """The network's blocks, the last one a moment later: it follows from its envelopes, and nobody signed it."""
    remote = nodes.remote(ONE, ORIGIN)
    with Store.open(folder / "fork.db") as store, closing(Verifier(1)) as verifier:
        store.create_network(*remote.genesis())
        ledger = Ledger(store.network(ORIGIN), verifier)
        blocks = remote.blocks(0)
        made = {}
        for block in blocks:
            at = block.at + (1 if block is blocks[-1] else 0)
            outcome = ledger.propose(at, [decode(text.encode()) for text in block.envelopes])  # type: ignore[misc]
            ledger.commit(outcome)
            head = ledger.records.head
            made[head.height] = BlockFile(head.height, at, head.size, head.root.hex(), block.envelopes)
    return made


def test_nobody_is_believed_for_being_first(nodes: Nodes, tmp_path: Path) -> None:
    """A valid fork of the member named first: neither it nor the next look finds fault with the honest ones."""
    nodes.final(TWO, ORIGIN, size(nodes))
    fork = forked(nodes, tmp_path)

    def change(path: str, true: bytes) -> bytes:
        if "/blocks" not in path:
            return true
        blocks = [fork.get(one.height, one) for one in msgspec.json.decode(true, type=list[BlockFile])]
        return encode(blocks)

    liar = Liar(nodes.tree.node(ONE).url, change)
    found, checked = look(nodes, tmp_path, {ONE: liar.url})
    liar.close()
    assert kinds(found) == {(ONE, "forged")}
    assert checked == size(nodes)
    assert look(nodes, tmp_path) == ([], size(nodes))


def test_blocks_that_nobody_signed_yet_are_checked_and_wait(nodes: Nodes, tmp_path: Path) -> None:
    """All members serve an older checkpoint: what came after it is made again, but does not stay."""
    head = nodes.final(ONE, ORIGIN, size(nodes))
    old = nodes.remote(ONE, ORIGIN).checkpoint()
    assert old is not None
    nodes.act(ONE, ORIGIN, TWO, Present(3))
    assert size(nodes) > head.size

    def change(path: str, true: bytes) -> bytes:
        return old if path.endswith("/checkpoint") else true

    liar = Liar(nodes.tree.node(ONE).url, change)
    assert look(nodes, tmp_path, everywhere(liar.url)) == ([], head.size)
    liar.close()

    def forge(path: str, true: bytes) -> bytes:
        if "/blocks" not in path:
            return change(path, true)
        *blocks, last = json.loads(true)
        return json.dumps([*blocks, last | {"root": "07" * 32}]).encode()

    liar = Liar(nodes.tree.node(ONE).url, forge)
    found, checked = look(nodes, tmp_path, everywhere(liar.url))
    liar.close()
    assert {one.kind for one in found} == {"forged"}
    assert checked == head.size


def test_a_checkpoint_beyond_the_copy_is_not_passed_over(nodes: Nodes, tmp_path: Path) -> None:
    """A thousand leaves more, a root by chance and a stranger's line: counted at once, whatever the size."""

    def change(path: str, true: bytes) -> bytes:
        if not path.endswith("/checkpoint"):
            return true
        head = checkpoint.parse(note.parse(true).text)
        other = Checkpoint(head.origin, head.size + 1000, b"\x05" * 32)
        return note.format(
            checkpoint.format(other), [cosign_checkpoint(nodes.keys.signer(ORIGIN, FOUR, "act"), "stranger", other, 1)]
        )

    liar = Liar(nodes.tree.node(TWO).url, change)
    found, checked = look(nodes, tmp_path, {TWO: liar.url})
    liar.close()
    assert checked == size(nodes)
    assert kinds(found) == {(TWO, "not final")}
    assert "0 of 3 signatures, and not the log's" in found[0].sentence
    assert found[0].sentence.endswith(f"not checked beyond {checked}")


def test_blocks_that_are_signed_and_not_served_are_told(nodes: Nodes, tmp_path: Path) -> None:
    nodes.final(ONE, ORIGIN, size(nodes))

    def change(path: str, true: bytes) -> bytes:
        return encode([one for one in json.loads(true) if one["size"] < size(nodes)]) if "/blocks" in path else true

    liar = Liar(nodes.tree.node(ONE).url, change)
    found, checked = look(nodes, tmp_path, everywhere(liar.url))
    liar.close()
    assert checked < size(nodes)
    assert kinds(found) == {(name, "withheld") for name in (ONE, TWO, THREE)}


def test_all_is_checked_before_it_is_said_to_agree(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One block an answer and one answer a look: `--once` goes on, and a single look says how far it came."""
    nodes.final(ONE, ORIGIN, size(nodes))
    monkeypatch.setattr(http, "BLOCKS_BYTES", 1)
    monkeypatch.setattr(monitoring, "_BLOCKS_A_ROUND", 1)
    found, checked = look(nodes, tmp_path)
    assert found == []
    assert checked < size(nodes)
    (tmp_path / "genesis").write_bytes(encode(nodes.live(ONE, ORIGIN).genesis))
    members = [f"--member={name}={nodes.tree.node(name).url}" for name in (ONE, TWO)]
    said = command("monitor", tmp_path / "genesis", "--dir", tmp_path / "audit", "--once", *members)
    assert said.endswith(f"with {size(nodes)} leaves checked; all agree\n")


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
    others = signed(nodes, ONE, TWO, THREE)
    lie = two_faced(nodes, FOUR, b"\x07" * 32, less=1)
    liar = Liar(nodes.tree.node(FOUR).url, lambda path, true: others if path.endswith("/checkpoint") else lie(path, true))
    found, _ = look(nodes, tmp_path, everywhere(liar.url))
    liar.close()
    assert kinds(found) == {("the log", "equivocation"), (FOUR, "fork")}
    assert [one.evidence for one in found] == [None, None]
    found, _ = look(nodes, tmp_path, {FOUR: nodes.tree.node(FOUR).url})
    (path,) = {one.evidence for one in found if (one.member, one.kind) == (FOUR, "equivocation")}
    assert path is not None
    nodes.act(ONE, ORIGIN, TWO, msgspec.json.decode(Path(path).read_bytes(), type=Evidence))


def test_two_heads_of_one_size_are_evidence_that_the_network_takes(nodes: Nodes, tmp_path: Path) -> None:
    """From the monitor to the log by commands alone."""
    until(lambda: nodes.live(THREE, ORIGIN).finality.own(size(nodes)))
    (tmp_path / "genesis").write_bytes(encode(nodes.live(ONE, ORIGIN).genesis))

    def watch(url: str, code: int) -> str:
        members = f"--member={ONE}={nodes.tree.node(ONE).url}", f"--member={THREE}={url}"
        return command("monitor", tmp_path / "genesis", "--dir", tmp_path / "audit", "--once", *members, code=code)

    watch(nodes.tree.node(THREE).url, 0)
    liar = Liar(nodes.tree.node(THREE).url, two_faced(nodes, THREE, b"\x07" * 32))
    said = watch(liar.url, 1)
    liar.close()
    assert said.splitlines()[-1] == "A member hands evidence in by `tocsin act evidence DIR FILE`."
    (told,) = [line for line in said.splitlines() if line.startswith(f"{THREE}: equivocation: ")]
    command("act", "evidence", nodes.folder / TWO, told.rpartition("evidence in ")[2])
    records = nodes.live(ONE, ORIGIN).records
    leaves = records.iter_leaves(0, records.durable[1])
    assert any(leaf.startswith(b'{"leaf":"evidence"') and THREE.encode() in leaf for leaf in leaves)
    # A lie of before is told again by whoever looks later.
    assert THREE in watch(nodes.tree.node(THREE).url, 1)


@pytest.mark.parametrize(("lines", "kind"), [(2, "not final"), (3, "handover")])
def test_who_signs_after_a_change_is_known_from_those_before(tmp_path: Path, lines: int, kind: str) -> None:
    """The fourth leaves. The newest head is signed by two of those who are left, or by three, as before."""
    made = Nodes(tmp_path / "nodes", testnet.shape(4, [1]))
    with closing(made):
        made.start()
        made.act(ONE, ORIGIN, FOUR, Leave())
        sealed(made)
        (step,) = made.live(ONE, ORIGIN).finality.epochs.steps(4)
        made.act(ONE, ORIGIN, ONE, Present(1))
        newest = size(made)
        until(lambda: made.live(ONE, ORIGIN).finality.final == newest)
        head = signed(made, *(ONE, TWO, THREE)[:lines])

        def change(path: str, true: bytes) -> bytes:
            return head if path.endswith("/checkpoint") else true

        liar = Liar(made.tree.node(ONE).url, change)
        assert look(made, tmp_path / "honest", everywhere(liar.url)) == ([], newest)
        liar.close()

        # Without the signatures of those before nobody can say who signs now.
        liar = Liar(made.tree.node(ONE).url, lambda path, true: b"none" if "/final/" in path else change(path, true))
        found, checked = look(made, tmp_path / "unsealed", everywhere(liar.url))
        liar.close()
        assert checked <= step
        assert {one.kind for one in found} == {kind}
