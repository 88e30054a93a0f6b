"""CometBFT as an engine, with the real process."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.comet import CometBench, Node, free_port, new_world, now
from tests.engine.conformance import Bench, EngineConformance, receipt, refusal
from tocsin.engine.port import Engine
from tocsin.kernel.digest import message_id
from tocsin.kernel.reasons import Reason


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
    lapsed = next(
        block for block in four[2].engine.blocks(last.height) if any(ends in leaf for leaf in block.leaves)
    )
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
