"""CometBFT as an engine, with the real process."""

import os
import queue
import signal
import threading
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from tests.engine.comet import CometBench, Node, free_port, new_world, node_seed, now, wait_for
from tests.engine.conformance import PATIENCE_S, Bench, EngineConformance, receipt, refusal, taken
from tests.store.drive import verify_all
from tests.store.faults import FaultVFS, Plan
from tocsin.engine.cometbft import engine
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.home import node_id
from tocsin.engine.cometbft.rpc import Rpc
from tocsin.engine.cometbft.transactions import envelopes
from tocsin.engine.port import Engine, EngineBusy, EngineHalted, Ticket
from tocsin.kernel import block as kernel
from tocsin.kernel.acts import Leave
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Refusal
from tocsin.kernel.reasons import Reason
from tocsin.store.errors import StoreFull
from tocsin.store.fsck import fsck


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[CometBench]:
    made = CometBench(tmp_path)
    yield made
    made.close()


class TestCometBFT(EngineConformance):
    """Everything the port demands, of one validator."""


def test_it_is_an_engine(bench: CometBench) -> None:
    port: Engine = bench.engine
    driven: Bench = bench
    assert port is driven.engine


@pytest.fixture
def four(tmp_path: Path) -> Iterator[list[Node]]:
    world = new_world(4)
    ports = [free_port() for _ in range(4)]
    nodes = [Node(world, tmp_path / str(number), number, ports) for number in range(4)]
    yield nodes
    for node in nodes:
        node.close()


def agreed(nodes: list[Node], height: int) -> None:
    """All nodes come to hold the same blocks and state."""
    for node in nodes:
        for block in node.engine.blocks(-1):
            if block.height >= height:
                break
    stores = [node.store.network(node.world.origin) for node in nodes]
    size = next(block.size for block in stores[0].blocks(height, height))
    assert len({store.root(size) for store in stores}) == 1
    assert len({tuple(map(repr, store.blocks(0, height))) for store in stores}) == 1


def test_four_validators_agree_and_go_on_without_one(four: list[Node]) -> None:
    world = four[0].world
    at = now()
    case = world.case(at)
    tickets = [four[number % 4].engine.submit(envelope.data) for number, envelope in enumerate(case)]
    got = [receipt(ticket) for ticket in tickets]
    agreed(four, max(one.height for one in got))

    # Three of four go on; the fourth catches up, by blocks that it never saw proposed.
    four[3].engine.stop()
    got = [receipt(four[number % 3].engine.submit(world.present("district-01", 1, now()).data)) for number in range(3)]
    assert four[3].engine.final() < got[-1].height
    four[3].engine = four[3]._start()
    agreed(four, got[-1].height)

    # What one node takes, another does not take again.
    envelope = world.report("district-05", now())
    last = receipt(four[3].engine.submit(envelope.data))
    agreed(four, last.height)
    assert refusal(four[1].engine.submit(envelope.data)) == Reason.SEEN_BEFORE
    # A deadline is met on all of them at once, with no envelope.
    ends = f'"leaf":"lapsed","id":"{message_id(envelope.digest, 0)}"'.encode()
    lapsed = next(block for block in four[2].engine.blocks(last.height) if any(ends in leaf for leaf in block.leaves))
    assert lapsed.at >= last.at + world.window_ms
    assert list(lapsed.envelopes) == []
    agreed(four, lapsed.height)


def test_a_killed_cometbft_is_started_anew(bench: CometBench) -> None:
    world = bench.world
    receipt(bench.engine.submit(world.present("district-00", 1, now()).data))
    pid = bench.engine.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    receipt(bench.engine.submit(world.present("district-01", 1, now()).data))
    assert bench.engine.process.starts == 2


def test_a_member_may_sign_once_a_header_names_the_hash(bench: CometBench) -> None:
    # Of what has no deadline, which would make a block of its own.
    got = receipt(bench.engine.submit(bench.world.present("district-00", 1, now()).data))
    wait_for(lambda: bench.engine.confirmed() >= got.height)
    bench.restart()
    # The header is there already: nobody waits for the next block, which may be a minute away.
    assert bench.engine.confirmed() == got.height


def test_what_no_header_names_yet_is_not_confirmed_after_a_start(tmp_path: Path) -> None:
    path = tmp_path / "heights"
    heights = Heights(path, 0)
    assert heights.confirmed == -1
    for height, last, confirmed in ((1, 0, -1), (2, 1, 0), (3, 1, 1), (4, 2, 1), (5, 3, 2), (6, 3, 3), (7, 3, 3)):
        heights.announce(height, last)
        heights.close()
        heights = Heights(path, last)
        assert (heights.height, heights.confirmed) == (height, confirmed)
    heights.announce(8, 4)
    heights.close()
    heights = Heights(path, 3)
    assert (heights.height, heights.confirmed) == (7, 2), "announced, not committed: the slot of 6 is gone"
    heights.close()


def test_blocks_come_while_nothing_happens(bench: CometBench) -> None:
    """Time must not stand still: the heartbeat, here two seconds; in between the chain rests."""
    receipt(bench.engine.submit(bench.world.present("district-00", 1, now()).data))
    wait_for(lambda: bench.engine.confirmed() == bench.engine.final())
    began = time.monotonic()
    first = bench.engine._application._heights.height
    final = bench.engine.final()
    wait_for(lambda: bench.engine._application._heights.height >= first + 2)
    # Who looks may be late, on a busy machine.
    assert bench.engine._application._heights.height <= first + 1 + (time.monotonic() - began) / 2
    assert bench.engine.final() == final


def test_rule_13_who_hears_of_a_block_may_submit_the_next(bench: CometBench) -> None:
    """Callbacks run within Commit; what they submit is offered by another thread."""
    told: queue.Queue[Ticket | Refusal] = queue.Queue()
    ticket = taken(bench.engine.submit(bench.world.present("district-00", 1, now()).data))
    ticket.add_done_callback(lambda _: told.put(bench.engine.submit(bench.world.present("district-00", 2, now()).data)))
    assert receipt(told.get(timeout=PATIENCE_S)).height > receipt(ticket).height


def test_cometbft_is_started_again_and_nothing_is_lost(bench: CometBench) -> None:
    world = bench.world
    tickets = []
    killed = 0
    for number in range(120):
        tickets.append(taken(bench.engine.submit(world.present("district-00", 1, now() + number).data)))
        if number % 40 == 20:
            wait_for(lambda: bench.engine.process.starts > killed)  # noqa: B023
            pid = bench.engine.process.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed += 1
        time.sleep(0.01)
    receipts = [receipt(ticket) for ticket in tickets]
    assert len({(one.height, one.position) for one in receipts}) == len(receipts)
    assert bench.engine.process.starts > killed == 3
    assert "status -9" in bench.engine.process.ended
    assert sum(len(block.envelopes) for block in bench.store.network(world.origin).blocks()) == len(receipts)


@pytest.mark.parametrize("part", ["_take", "_heard"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_part_that_dies_halts_the_engine(bench: CometBench, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Of the thread that offers, and of the one that watches over CometBFT."""

    def fail(self: CometEngine, *given: object) -> None:
        raise ZeroDivisionError("who would have thought")

    assert bench.engine.error is None
    monkeypatch.setattr(CometEngine, part, fail)
    bench.restart()
    wait_for(lambda: bench.engine.error is not None)
    assert "ended by itself" in str(bench.engine.error)
    with pytest.raises(EngineHalted, match="ended by itself"):
        bench.engine.submit(bench.world.present("district-00", 1, now()).data)


def test_a_snapshot_that_failed_is_told_until_one_is_written(
    bench: CometBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.engine._no_snapshot(OSError("no room"))
    assert "No snapshot could be written: no room" in bench.engine.trouble
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", 2)
    for number in range(2):
        receipt(bench.engine.submit(bench.world.present("district-00", number, now()).data))
    wait_for(lambda: not bench.engine.trouble)


def test_a_full_disk_halts_the_engine(tmp_path: Path) -> None:
    plan = Plan()
    shim = FaultVFS("comet-full", plan)
    world = new_world(1)
    node = Node(world, tmp_path, 0, [free_port()], vfs=shim.name)
    kept = receipt(node.engine.submit(world.present("district-00", 1, now()).data)).height
    plan.error = apsw.FullError
    ticket = taken(node.engine.submit(world.present("district-00", 2, now()).data))
    with pytest.raises(EngineHalted, match="free some space"):
        ticket.result(PATIENCE_S)
    with pytest.raises(EngineHalted, match="free some space"):
        node.engine.submit(world.present("district-00", 3, now()).data)
    wait_for(lambda: node.engine.process.pid is None)
    assert isinstance(node.engine.error, StoreFull)
    assert [block.height for block in node.engine.blocks(-1)] == [*range(kept + 1)]
    plan.error = None
    node.restart()
    # CometBFT brings the block again that could not be kept.
    assert receipt(node.engine.submit(world.present("district-00", 3, now()).data)).height == kept + 2
    assert list(fsck(node.store, verify_all)) == []
    node.close()
    shim.unregister()


@pytest.mark.parametrize("hangs", [False, True])
def test_who_is_expelled_loses_its_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool) -> None:
    """Also if CometBFT does not say at once whom it is connected to."""
    world, ports = new_world(1), [free_port(), free_port()]
    others = {node_id(node_seed(world.origin, 1)): world.members[6]}
    first = Node(world, tmp_path / "0", 0, ports, welcome=lambda node: node in others)
    second = Node(world, tmp_path / "1", 1, ports, validates=False)
    height = receipt(first.engine.submit(world.present("district-00", 1, now()).data)).height
    wait_for(lambda: second.engine.final() >= height)
    others.clear()
    silent, asked = [None] * hangs, CometEngine._peers
    monkeypatch.setattr(CometEngine, "_peers", lambda self: silent.pop() if silent else asked(self))
    height = receipt(first.engine.submit(world.envelope("district-06", [Leave()], now()).data)).height
    wait_for(lambda: first.engine.process.starts == 2)
    height = receipt(first.engine.submit(world.present("district-00", 1, now()).data)).height
    time.sleep(2)
    assert second.engine.final() < height
    first.close()
    second.close()


def test_who_cannot_be_dialled_takes_part_if_it_may_dial_out(tmp_path: Path) -> None:
    """docs/operating/network.md: at 26656 one direction is enough."""
    world = new_world(4)
    ports = [free_port() for _ in range(4)]
    closed = [*ports[:3], free_port()]
    nodes = [Node(world, tmp_path / str(number), number, ports if number == 3 else closed) for number in range(4)]
    receipt(nodes[0].engine.submit(world.present("district-00", 1, now()).data))
    inner = node_id(node_seed(world.origin, 3))
    wait_for(lambda: all(inner in (node.engine.connected() or []) for node in nodes[:3]))
    for node in nodes[:3]:
        rpc = Rpc(node.engine.rpc)
        dialled = {peer["node_info"]["id"]: peer["is_outbound"] for peer in rpc.call("net_info")["peers"]}
        rpc.close()
        assert dialled[inner] is False
    # Three of four are a quorum, so its vote is in this.
    nodes[0].engine.stop()
    got = receipt(nodes[1].engine.submit(world.present("district-01", 1, now()).data))
    agreed(nodes[1:], got.height)
    for node in nodes:
        node.close()


def test_busy(bench: CometBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MAX_WAITING", 1)
    monkeypatch.setattr(engine.Rpc, "offer", lambda self, txs: [""] * len(txs))
    taken(bench.engine.submit(bench.world.present("district-00", 1, now()).data))
    with pytest.raises(EngineBusy, match="again"):
        bench.engine.submit(bench.world.present("district-00", 2, now()).data)


def test_who_sends_again_what_waits_hears_the_same(bench: CometBench) -> None:
    envelope = bench.world.present("district-00", 1, now())
    first, again = bench.engine.submit(envelope.data), bench.engine.submit(envelope.data)
    assert receipt(first) == receipt(again)
    assert refusal(bench.engine.submit(envelope.data)) == Reason.SEEN_BEFORE


def test_what_is_given_in_a_moment_travels_together(bench: CometBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is refused takes nothing with it."""
    world = bench.world
    receipt(bench.engine.submit(world.present("district-02", 1, now()).data))  # CometBFT has come up
    many = [world.present("district-00", 1, now() + number).data for number in range(300)]
    late = world.present("district-01", 1, now() - 10_000_000).data
    # A moment, however long it takes here: nothing goes to CometBFT before the last one is given.
    given, offer = threading.Event(), Rpc.offer

    def after(self: Rpc, txs: Sequence[bytes]) -> list[str]:
        assert given.wait(PATIENCE_S)
        return offer(self, txs)

    monkeypatch.setattr(Rpc, "offer", after)
    tickets = [bench.engine.submit(data) for data in [*many[:150], late, *many[150:]]]
    given.set()
    assert refusal(tickets.pop(150)) == Reason.EXPIRED
    receipts = [receipt(ticket) for ticket in tickets]
    assert sorted(receipts, key=lambda one: (one.height, one.position)) == receipts
    rpc = Rpc(bench.engine.rpc)
    last = int(rpc.call("status")["sync_info"]["latest_block_height"])
    held = [
        b64decode(tx) for at in range(1, last + 1) for tx in rpc.call("block", height=str(at))["block"]["data"]["txs"]
    ]
    rpc.close()
    assert [data for tx in held for data in envelopes(tx)][1:] == many
    assert len(held) < 20
