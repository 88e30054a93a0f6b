"""State sync: a new node joins by a snapshot that it has checked, and holds the same as one that was there."""

import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.engine.comet import Node, free_port, new_world, now, wait_for
from tests.engine.conformance import PATIENCE_S, receipt
from tests.store.drive import verify_all
from tests.store.world import World
from tocsin.engine.cometbft import engine, wire
from tocsin.engine.cometbft.home import Sync
from tocsin.engine.cometbft.restore import Restore, SnapshotWrong
from tocsin.engine.cometbft.rpc import Rpc
from tocsin.engine.cometbft.snapshots import Chunk, Snapshots, _hash
from tocsin.engine.ledger import Ledger
from tocsin.kernel import block as kernel
from tocsin.kernel.digest import app_hash
from tocsin.store.fsck import fsck
from tocsin.store.moment import Moment
from tocsin.store.store import Store

EVERY = 8


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots each 8th changing block; a thousand would take minutes."""
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", EVERY)


def ask(node: Node, method: str, **params: str) -> Any:
    rpc = Rpc(node.engine.rpc)
    try:
        return rpc.call(method, **params)
    finally:
        rpc.close()


def test_a_new_node_joins_by_a_snapshot(tmp_path: Path) -> None:
    world, ports = new_world(1), [free_port(), free_port()]
    rpc = f"127.0.0.1:{free_port()}"
    old = Node(world, tmp_path / "old", 0, ports, rpc=rpc)
    for number in range(3):
        for envelope in world.case(now() + number, number):
            receipt(old.engine.submit(envelope.data))
    trusted = ask(old, "commit", height="2")["signed_header"]["commit"]["block_id"]["hash"]
    sync = Sync((rpc, rpc), 2, trusted)
    new = Node(world, tmp_path / "new", 1, ports, validates=False, sync=sync)
    wait_for(lambda: new.engine.final() == old.engine.final() >= 2 * EVERY)
    told = ask(new, "status")["sync_info"]
    assert int(told["earliest_block_height"]) > EVERY, "it replayed the chain"

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
    wait_for(lambda: new.engine.final() == old.engine.final())
    assert "Nobody offered a snapshot" in new.engine.trouble or new.engine.process.why
    old.close()
    new.close()


class Made:
    """A snapshot of a small network without CometBFT, and the store to take it in."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.folder = folder
        self.store = Store.open(folder / "source.db")
        records = self.store.create_network(self.world.genesis_bytes, self.world.founding_bytes)
        ledger = Ledger(records)
        at = self.world.created
        while ledger.state.meta.changing % EVERY or ledger.state.meta.changing < 2 * EVERY:
            at += 1000
            turn = ledger.state.meta.changing % 7
            for part in (self.world.case(at, turn)[:2], self.world.case(at, turn)[2:]):
                if ledger.state.meta.changing < 2 * EVERY:
                    ledger.commit(ledger.propose(at, part))
        errors: list[Exception] = []
        snapshots = Snapshots(folder / "snapshots", Moment(self.store, records), records, errors.append)
        snapshots.take(100, ledger.state.meta.height)
        snapshots.close()
        assert errors == []
        (self.snapshot,) = snapshots.offered()
        self.chunks = [snapshots.chunk(100, 1, number) for number in range(self.snapshot.chunks)]
        self.proven = app_hash(records.head.size, records.head.root)
        self.target = Store.open(folder / "target.db")
        self.network = self.target.create_network(self.world.genesis_bytes, self.world.founding_bytes)
        self.ledger = Ledger(self.network)

    def restore(self, chunks: list[bytes]) -> int:
        hashes = [sha256(data).digest() for data in chunks]
        snapshot = wire.Snapshot(100, 1, len(chunks), _hash(hashes), b"".join(hashes))
        restore = Restore(self.folder / "incoming", snapshot, self.proven)
        for number, data in enumerate(chunks):
            assert restore.add(number, data)
        assert restore.complete
        return restore.finish(self.ledger)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    one = Made(tmp_path)
    yield one
    one.store.close()
    one.target.close()


def test_what_is_taken_in_is_what_was_there(made: Made) -> None:
    assert made.restore(made.chunks) == 2 * EVERY - 1
    assert list(made.network.blocks()) == list(made.store.network(made.world.origin).blocks())
    assert list(fsck(made.target, verify_all)) == []


def test_the_same_bytes_on_every_node(made: Made, tmp_path: Path) -> None:
    made.restore(made.chunks)
    records = made.network
    snapshots = Snapshots(tmp_path / "again", Moment(made.target, records), records, pytest.fail)
    snapshots.take(100, records.head.height)
    snapshots.close()
    assert snapshots.offered() == [made.snapshot]


def test_two_are_kept_and_found_again(made: Made, tmp_path: Path) -> None:
    records = made.store.network(made.world.origin)
    snapshots = Snapshots(tmp_path / "snapshots", Moment(made.store, records), records, pytest.fail)
    for height in (101, 102):
        snapshots.take(height, records.head.height)
        snapshots.close()
    (tmp_path / "snapshots" / "103.part").mkdir()
    again = Snapshots(tmp_path / "snapshots", Moment(made.store, records), records, pytest.fail)
    assert sorted(one.height for one in again.offered()) == [101, 102]
    assert again.oldest() == 101
    assert again.chunk(102, 1, 0) == snapshots.chunk(102, 1, 0) != b""
    assert again.chunk(100, 1, 0) == again.chunk(102, 2, 0) == again.chunk(102, 1, 99) == b""


def changed(data: bytes, change: object) -> bytes:
    content = msgspec.msgpack.decode(data)
    assert callable(change)
    change(content)
    return msgspec.msgpack.encode(content)


def _row(content: list[list[list[object]]]) -> None:
    content[0][3][2] = b"{}"


def _less(content: list[list[list[object]]]) -> None:
    del content[0][0]


def _more(content: list[list[list[object]]]) -> None:
    content[0].insert(0, [True, "account:zz", b"{}"])


def _smuggled(content: list[list[list[object]]]) -> None:
    content[0].append([False, "account:zz", b"{}"])


def _leaf(content: list[list[list[list[bytes]]]]) -> None:
    content[1][3][3][0] += b" "


def _envelope(content: list[list[list[list[bytes]]]]) -> None:
    content[1][3][4][0] = content[1][4][4][0]


def _order(content: list[list[object]]) -> None:
    content[1][3], content[1][4] = content[1][4], content[1][3]


def _time(content: list[list[list[int]]]) -> None:
    content[1][5][1] += 1


def _short(content: list[list[object]]) -> None:
    del content[1][-1]


def _type(content: list[list[object]]) -> None:
    content[1][2] = [1, 2, 3]


@pytest.mark.parametrize("change", [_row, _less, _more, _smuggled, _leaf, _envelope, _order, _time, _short, _type])
def test_a_snapshot_that_was_changed_is_not_written(made: Made, change: object) -> None:
    place = 0 if change in (_row, _less, _more, _smuggled) else 1
    chunks = list(made.chunks)
    chunks[place] = changed(chunks[place], change)
    with pytest.raises(SnapshotWrong):
        made.restore(chunks)
    assert made.network.head.height == 0
    # The right one is still taken.
    assert made.restore(made.chunks) == 2 * EVERY - 1


def test_of_another_network_or_over_blocks_of_ones_own(made: Made, tmp_path: Path) -> None:
    other = World("health.example/elsewhere")
    with Store.open(tmp_path / "other.db") as store:
        made.ledger = Ledger(store.create_network(other.genesis_bytes, other.founding_bytes))
        with pytest.raises(SnapshotWrong, match="another network"):
            made.restore(made.chunks)
    made.ledger = Ledger(made.network)
    made.ledger.commit(made.ledger.propose(made.world.created, made.world.case(made.world.created)[:1]))
    with pytest.raises(SnapshotWrong, match="of its own"):
        made.restore(made.chunks)


def test_chunks_come_in_order_and_are_the_right_ones(made: Made, tmp_path: Path) -> None:
    restore = Restore(tmp_path / "incoming", made.snapshot, made.proven)
    assert not restore.add(1, made.chunks[1])
    assert not restore.add(0, made.chunks[0] + b"x")
    assert restore.add(0, made.chunks[0])
    assert not restore.complete
    for wrong in (
        made.snapshot._replace(format=2),
        made.snapshot._replace(chunks=3),
        made.snapshot._replace(hash=bytes(32)),
        made.snapshot._replace(metadata=made.snapshot.metadata + b"x"),
    ):
        with pytest.raises(SnapshotWrong):
            Restore(tmp_path / "incoming", wrong, made.proven)


def test_a_chunk_may_be_empty() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Chunk()), type=Chunk) == Chunk()


def test_a_wrong_snapshot_is_refused_and_the_next_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer whose rows are not those of the log is found out before anything is written."""
    world, ports = new_world(1), [free_port(), free_port()]
    rpc = f"127.0.0.1:{free_port()}"
    old = Node(world, tmp_path / "old", 0, ports, rpc=rpc)
    for number in range(2):
        for envelope in world.case(now() + number, number):
            receipt(old.engine.submit(envelope.data))
    served = old.engine._application._snapshots
    honest, lied = served.chunk, threading.Event()

    def lie(height: int, format: int, number: int) -> bytes:
        data = honest(height, format, number)
        return changed(data, _row) if number == 0 else data

    def offer() -> list[wire.Snapshot]:
        lied.set()
        offers = []
        for one in Snapshots.offered(served):
            hashes = [sha256(lie(one.height, 1, number)).digest() for number in range(one.chunks)]
            offers.append(one._replace(hash=_hash(hashes), metadata=b"".join(hashes)))
        return offers

    with monkeypatch.context() as lying:
        lying.setattr(served, "chunk", lie)
        lying.setattr(served, "offered", offer)
        trusted = ask(old, "commit", height="2")["signed_header"]["commit"]["block_id"]["hash"]
        new = Node(world, tmp_path / "new", 1, ports, validates=False, sync=Sync((rpc, rpc), 2, trusted))
        assert lied.wait(PATIENCE_S)
        wait_for(lambda: b"REJECT_SNAPSHOT" in log(new) or b"Snapshot rejected" in log(new))
        assert new.engine.final() == 0
    wait_for(lambda: new.engine.final() == old.engine.final())
    assert list(fsck(new.store, verify_all)) == []
    old.close()
    new.close()


def log(node: Node) -> bytes:
    return (node.settings.folder / "cometbft.log").read_bytes()
