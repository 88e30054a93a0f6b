"""`tocsin testnet` that cannot come to its end: it stops what it started, and nothing else."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.engine.comet import installed
from tests.node.net import PATIENCE_S, command, until
from tocsin.engine.cometbft import install
from tocsin.node.trial import testnet
from tocsin.node.web.remote import RemoteError

WORDS = ("testnet", "2", "--engine", "follow", "--dir")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "tree"
    yield made
    if (made / testnet.FILE).exists():
        testnet.stop(made)


def processes(folder: Path) -> list[str]:
    """Commands that run for a tree, those of CometBFT too."""
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = one.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in words:
            found.append(words)
    return found


def pids(folder: Path) -> list[int]:
    return [node.pid for node in testnet.load(folder).nodes]


def test_a_tree_that_runs_is_not_stopped_by_another_that_cannot_be_made_there(folder: Path) -> None:
    command(*WORDS, folder)
    before = pids(folder)
    assert "not empty" in command(*WORDS, folder, code=2)
    assert "neither a number" in command("testnet", "four", "--dir", folder, code=2)
    assert pids(folder) == before
    assert all(testnet.running(folder, node) for node in testnet.load(folder).nodes)


def test_of_a_tree_that_is_started_again_the_nodes_that_ran_go_on(folder: Path) -> None:
    command(*WORDS, folder)
    first, second = testnet.load(folder).nodes
    testnet.stop(folder, [second.name])
    (folder / second.name / "node.toml").write_text("listen = 5\n")
    assert "has ended" in command("testnet", "start", "--dir", folder, code=2)
    assert testnet.running(folder, first)
    assert not testnet.running(folder, second)


def test_a_missing_cometbft_is_said_before_anything_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(install.ELSEWHERE, str(folder / "nothing"))
    assert "Run `tocsin engine install`" in command("testnet", "2", "--dir", folder, code=2)
    assert not folder.exists()
    tree = testnet.write(folder, testnet.shape(2, [1]), "follow")
    (folder / testnet.FILE).write_bytes(msgspec.json.encode(msgspec.structs.replace(tree, engine="cometbft")))
    assert "Run `tocsin engine install`" in command("testnet", "start", "--dir", folder, code=2)
    assert pids(folder) == [0, 0]


def test_who_waits_in_vain_hears_what_a_network_lacks(folder: Path) -> None:
    tree = testnet.write(folder, testnet.shape(2, [1]), "follow")
    first = folder / tree.nodes[0].name
    (database,) = (first / "data").rglob("node.db")
    database.write_bytes(b"no database")
    testnet.start(folder, [tree.nodes[0].name])
    said = []

    def waited_in_vain() -> bool:
        with pytest.raises(testnet.TestnetError) as caught:
            testnet.wait_ready(folder, 0)
        said.append(str(caught.value))
        return "testnet.example/1-1: " in said[-1]

    until(waited_in_vain)
    assert str(database) in said[-1]


def test_peers_that_cannot_be_declared_end_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(folder: Path) -> None:
        raise RemoteError("nobody answers")

    monkeypatch.setattr(testnet, "link", link)
    assert "nobody answers" in command(*WORDS, folder, code=2)
    assert all(pids(folder))
    assert processes(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_told_to_end_while_it_starts_leaves_nothing_behind(folder: Path, number: signal.Signals) -> None:
    installed()
    starting = subprocess.Popen(
        [sys.executable, "-m", "tocsin.cli.main", "testnet", "2", "--dir", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )  # fmt: skip
    until(lambda: starting.poll() is not None or any("/cometbft start" in one for one in processes(folder)))
    assert starting.poll() is None
    starting.send_signal(number)
    said, _ = starting.communicate(timeout=PATIENCE_S)
    assert starting.returncode == 128 + number, said
    assert b"Traceback" not in said
    assert processes(folder) == []
