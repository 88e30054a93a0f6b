"""State sync with the real CometBFT: who joins by a snapshot holds the same as one that was there."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.comet import PATIENCE_S, Node, free_port, new_world, now, wait_for
from tests.engine.conformance import receipt
from tests.engine.test_cometbft_snapshots import Content, announced, archived_lie
from tests.store.drive import verify_all
from tests.store.world import World
from tocsin.engine.cometbft import engine, wire
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.home import Sync
from tocsin.engine.cometbft.rpc import Rpc
from tocsin.engine.cometbft.snapshots import FORMAT, pack, read_chunk
from tocsin.kernel import block as kernel
from tocsin.store.fsck import fsck
from tocsin.store.moment import Moment

EVERY = 8


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots each 8th changing block; a thousand would take minutes. Who looks for one on a busy machine may need
    longer than a node is patient."""
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", EVERY)
    monkeypatch.setattr(engine, "_NO_SNAPSHOT_S", PATIENCE_S)


def quiet() -> World:
    """A network in which nothing lapses while it is looked at, however slow the machine is."""
    return new_world(window_s=3_600)


def ask(node: Node, method: str, **params: str) -> Any:
    rpc = Rpc(node.engine.rpc)
    try:
        return rpc.call(method, **params)
    finally:
        rpc.close()


def earliest(node: Node) -> int:
    """CometBFT's first block there. Who has just begun with a snapshot has none for a moment."""
    found = 0

    def there() -> bool:
        nonlocal found
        found = int(ask(node, "status")["sync_info"]["earliest_block_height"])
        return found > 0

    wait_for(there)
    return found


def test_a_new_node_joins_by_a_snapshot(tmp_path: Path) -> None:
    world, ports = quiet(), [free_port(), free_port()]
    rpc = f"127.0.0.1:{free_port()}"
    old = Node(world, tmp_path / "old", 0, ports, rpc=rpc)
    for number in range(3):
        for envelope in world.case(now() + number, number):
            receipt(old.engine.submit(envelope.data))
    trusted = ask(old, "commit", height="2")["signed_header"]["commit"]["block_id"]["hash"]
    sync = Sync((rpc, rpc), 2, trusted)
    new = Node(world, tmp_path / "new", 1, ports, validates=False, sync=sync)
    wait_for(lambda: new.engine.final() == old.engine.final() >= 2 * EVERY)
    assert earliest(new) > EVERY, "it replayed the chain"

    # It goes on with the others, and holds the same, down to what nobody asked for yet.
    last = receipt(new.engine.submit(world.report("district-05", now()).data))
    wait_for(lambda: old.engine.final() >= last.height)
    there, here = (node.store.network(world.origin) for node in (old, new))
    assert list(there.blocks()) == list(here.blocks())
    assert list(Moment(old.store, there).archive()) == list(Moment(new.store, here).archive())
    assert list(Moment(old.store, there).archive())
    assert list(fsck(new.store, verify_all)) == []
    new.restart()
    assert new.engine.final() >= last.height
    old.close()
    new.close()


def test_where_nobody_has_a_snapshot_the_chain_is_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_NO_SNAPSHOT_S", 3.0)
    world, ports = new_world(1), [free_port(), free_port()]
    rpc = f"127.0.0.1:{free_port()}"
    old = Node(world, tmp_path / "old", 0, ports, rpc=rpc)
    height = receipt(old.engine.submit(world.report("district-00", now()).data)).height
    wait_for(lambda: old.engine.confirmed() >= height)
    trusted = ask(old, "commit", height="1")["signed_header"]["commit"]["block_id"]["hash"]
    new = Node(world, tmp_path / "new", 1, ports, validates=False, sync=Sync((rpc, rpc), 1, trusted))
    wait_for(lambda: "Nobody offered a snapshot" in new.engine.trouble)
    wait_for(lambda: new.engine.final() == old.engine.final())
    assert not new.engine.trouble
    old.close()
    new.close()


def test_where_nobody_has_anything_the_engine_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who runs it starts it again then, and asks anew whom to trust."""
    monkeypatch.setattr(engine, "_NO_SNAPSHOT_S", 3.0)
    monkeypatch.setattr(engine, "_NO_BLOCK_S", 1.0)
    world, nobody = new_world(1), f"127.0.0.1:{free_port()}"
    node = Node(world, tmp_path / "new", 1, [free_port(), free_port()], validates=False, sync=Sync((nobody,) * 2, 2, "A" * 64))
    assert node.engine.sync == "looks for a snapshot"
    wait_for(lambda: node.engine.error is not None)
    assert "Neither a snapshot nor the first block came" in str(node.engine.error)
    node.close()


class Three:
    """A network with blocks and snapshots, a second node that has replayed it, and a third to come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = quiet()
        self.ports = [free_port(), free_port(), free_port()]
        self.rpc = f"127.0.0.1:{free_port()}"
        self.nodes = [
            Node(self.world, folder / "liar", 0, self.ports, rpc=self.rpc),
            Node(self.world, folder / "honest", 1, self.ports, validates=False),
        ]
        self.liar, self.honest = self.nodes
        number = 0
        while self.liar.engine.final() < 2 * EVERY:
            for envelope in self.world.case(now() + number, number % 7):
                receipt(self.liar.engine.submit(envelope.data))
            number += 1
        wait_for(lambda: self.honest.engine.final() == self.liar.engine.final())
        for node in self.nodes:
            node.engine._application._snapshots.wait()

    def join(self) -> Node:
        trusted = ask(self.liar, "commit", height="2")["signed_header"]["commit"]["block_id"]["hash"]
        sync = Sync((self.rpc, self.rpc), 2, trusted)
        self.nodes.append(Node(self.world, self.folder / "new", 2, self.ports, validates=False, sync=sync))
        return self.nodes[-1]

    def close(self) -> None:
        for node in reversed(self.nodes):
            node.close()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    one = Three(tmp_path)
    yield one
    one.close()


def test_who_offers_a_wrong_snapshot_is_refused_and_another_one_is_taken(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lie can be told only when all of it is there. Nothing was written, and nobody who sent it is asked again."""
    served = three.liar.engine._application._snapshots
    honest, asked = served.chunk, threading.Event()

    def false(one: wire.Snapshot) -> list[bytes]:
        content = Content([read_chunk(honest(one.height, FORMAT, number)) for number in range(one.chunks)])
        archived_lie(content)
        return content.chunks()

    true = {one.height: one for one in served.offered()}
    lies = {height: false(one) for height, one in true.items()}

    def lie(height: int, format: int, number: int) -> bytes:
        asked.set()
        # Of all heights: the newest snapshots that can be found are lies.
        return pack(lies[height][number])

    monkeypatch.setattr(served, "chunk", lie)
    monkeypatch.setattr(served, "offered", lambda: [announced(chunks, height) for height, chunks in lies.items()])
    # The honest one has only the older snapshot, and none until the liar was heard, so that CometBFT takes up the lie
    # first, whomever it reaches first.
    kept = three.honest.engine._application._snapshots
    monkeypatch.setattr(kept, "offered", lambda: [true[min(true)]] if asked.is_set() else [])
    told: list[str] = []
    monkeypatch.setattr(engine.CometEngine, "refused", lambda self, why: told.append(why))
    new = three.join()
    wait_for(lambda: new.engine.final() == three.honest.engine.final())
    assert asked.is_set()
    assert told == ["its archived rows are not those whose sum is among the live ones"]
    assert list(fsck(new.store, verify_all)) == []
    assert earliest(new) > EVERY, "it replayed the chain"


def test_a_wrong_chunk_is_asked_for_again_elsewhere(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    served = three.liar.engine._application._snapshots
    asked = threading.Event()

    def spoilt(height: int, format: int, number: int) -> bytes:
        asked.set()
        return pack(b"not what was announced")

    honest = three.honest.engine._application._snapshots
    true = honest.chunk

    def late(height: int, format: int, number: int) -> bytes:
        # CometBFT asks one of the two by chance; until the liar was heard there is nobody else.
        return true(height, format, number) if asked.is_set() else b""

    monkeypatch.setattr(served, "chunk", spoilt)
    monkeypatch.setattr(honest, "chunk", late)
    new = three.join()
    assert new.engine.sync == "looks for a snapshot"
    wait_for(lambda: new.engine.final() == three.honest.engine.final())
    assert new.engine.sync.startswith("began with a snapshot of block ")
    assert asked.is_set()
    assert list(fsck(new.store, verify_all)) == []
    assert earliest(new) > EVERY, "it replayed the chain"


def test_a_sync_that_fails_says_so_and_starts_over(three: Three, monkeypatch: pytest.MonkeyPatch) -> None:
    """CometBFT finds that the application does not stand where the snapshot should have brought it, and gives up."""
    with monkeypatch.context() as failing:
        failing.setattr(Heights, "restored", lambda self, height: None)
        new = three.join()
        wait_for(lambda: "No snapshot could be taken in, and CometBFT starts over" in new.engine.trouble)
        assert "verification failed" in new.engine.trouble
        assert new.engine.final() == 0, "it told of a snapshot that CometBFT had not gone on from"
    wait_for(lambda: new.engine.final() == three.honest.engine.final())
    assert new.engine.process.starts == 2
    assert list(fsck(new.store, verify_all)) == []
    assert earliest(new) > EVERY, "it replayed the chain"


def test_pruning_keeps_log_and_journal_whole(tmp_path: Path) -> None:
    """CometBFT forgets its blocks below the oldest snapshot, also where a snapshot is all the past there was."""
    world, ports = quiet(), [free_port(), free_port()]
    rpc = f"127.0.0.1:{free_port()}"
    nodes = [Node(world, tmp_path / "old", 0, ports, rpc=rpc, prune=True)]
    old = nodes[0]
    number = 0

    def go_on(blocks: int) -> None:
        nonlocal number
        until = old.engine.final() + blocks
        while old.engine.final() < until:
            for envelope in world.case(now() + number, number % 7):
                receipt(old.engine.submit(envelope.data))
            number += 1
            # In step: snapshots come so often here that who lags a little finds that all others have forgotten.
            wait_for(lambda: nodes[-1].engine.final() == old.engine.final())

    go_on(3 * EVERY)
    wait_for(lambda: earliest(old) > EVERY)
    height = str(earliest(old) + 1)
    trusted = ask(old, "commit", height=height)["signed_header"]["commit"]["block_id"]["hash"]
    sync = Sync((rpc, rpc), int(height), trusted)
    nodes.append(Node(world, tmp_path / "new", 1, ports, validates=False, sync=sync, prune=True))
    new = nodes[1]
    wait_for(lambda: new.engine.final() == old.engine.final())
    first = earliest(new)
    go_on(3 * EVERY)
    wait_for(lambda: new.engine.final() == old.engine.final() and earliest(new) > first and earliest(old) > first)
    for node in nodes:
        blocks = list(node.store.network(world.origin).blocks())
        assert [block.height for block in blocks] == [*range(node.engine.final() + 1)]
        # The replay of all blocks, with every leaf, tile and proof.
        assert list(fsck(node.store, verify_all)) == []
    new.restart()
    wait_for(lambda: new.engine.final() == old.engine.final())
    for node in reversed(nodes):
        node.close()
