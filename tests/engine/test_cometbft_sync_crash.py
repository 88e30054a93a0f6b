"""A state sync that is cut short, wherever that is, begins anew by itself: kill -9 of application, CometBFT, or both."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine import syncing
from tests.engine.comet import PATIENCE_S, Node, free_port, installed, new_world, now
from tests.engine.conformance import receipt
from tests.engine.syncing import EVERY, POINTS, Setup
from tests.engine.test_cometbft_sync import ask
from tests.store.drive import verify_all
from tocsin.engine.cometbft import snapshots
from tocsin.engine.cometbft.home import Sync
from tocsin.kernel import block as kernel
from tocsin.store.fsck import fsck
from tocsin.store.store import Store

CASES = [
    *(("application", point) for point in POINTS),
    # Later it is a CometBFT that ends, as others do.
    *((who, point) for who in ("cometbft", "both") for point in list(POINTS)[:5]),
]


class Founded:
    """A network of one node with a past, and addresses for those to come."""

    def __init__(self, folder: Path) -> None:
        self.world = new_world(1)
        self.ports = [free_port() for _ in range(1 + len(CASES))]
        rpc = f"127.0.0.1:{free_port()}"
        self.node = Node(self.world, folder, 0, self.ports, rpc=rpc, dials=[])
        number = 0
        while self.node.engine.final() < 2 * EVERY:
            for envelope in self.world.case(now() + number, number % 7):
                receipt(self.node.engine.submit(envelope.data))
            number += 1
        self.node.engine._application._snapshots.wait()
        trusted = ask(self.node, "commit", height="2")["signed_header"]["commit"]["block_id"]["hash"]
        self.sync = Sync((rpc, rpc), 2, trusted)


@pytest.fixture
def founded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Founded]:
    installed()
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", EVERY)
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", syncing.CHUNK_BYTES)
    one = Founded(tmp_path / "founded")
    yield one
    one.node.close()


def _joined(founded: Founded, folder: Path, number: int) -> int:
    """Run a new node, again if it died, until it has all blocks; how often it was started."""
    who, point = CASES[number - 1]
    setup = Setup(folder, founded.world.created, founded.ports, number, founded.sync, point, who)
    target = founded.node.engine.final()
    # A fork of a process that has what a node needs: a fifth of the time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.engine.syncing"])
    for start in (1, 2, 3):
        told, out = context.Pipe(duplex=False)
        process = context.Process(target=syncing.run, args=(setup, out))
        process.start()
        out.close()
        until = time.monotonic() + PATIENCE_S
        try:
            while told.recv() < target:
                assert time.monotonic() < until, f"{who} killed at {point!r}: the node has not all blocks"
            return start
        except EOFError:
            pass
        finally:
            process.kill()
            process.join()
    raise AssertionError(f"{who} killed at {point!r}: the node did not come up")


def test_a_sync_that_was_cut_short_begins_anew(founded: Founded, tmp_path: Path) -> None:
    numbers = range(1, 1 + len(CASES))
    with ThreadPoolExecutor(len(CASES)) as pool:
        starts = list(pool.map(lambda number: _joined(founded, tmp_path / str(number), number), numbers))
    assert starts == [1 if who == "cometbft" else 2 for who, _ in CASES]
    source = list(founded.node.store.network(founded.world.origin).blocks())
    for number, case in zip(numbers, CASES, strict=True):
        folder = tmp_path / str(number)
        assert (folder / "struck").exists(), f"{case} never came about"
        log = (folder / "cometbft" / "cometbft.log").read_text(errors="replace")
        if case[1] == "handed over":  # CometBFT had taken over, but nothing shows that it had all it needs
            assert log.count("Snapshot restored") == 2, case
        if case[1] == "kept":
            assert log.count("Snapshot restored") == 1, case
        assert "Applied snapshot chunk" in log
        assert not list((folder / "cometbft" / "sync").iterdir()), case
        with Store.open(folder / "store.db") as store:
            assert list(fsck(store, verify_all)) == [], case
            blocks = list(store.network(founded.world.origin).blocks())
        assert blocks == source[: len(blocks)], case
