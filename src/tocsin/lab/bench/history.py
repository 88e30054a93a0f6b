"""A network with a long past: proofs out of a log of ten million leaves, and opening one with a million records."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from tocsin.engine.ledger import Ledger
from tocsin.kernel.block import Outcome
from tocsin.kernel.envelope import Envelope, Refusal, decode, encode
from tocsin.kernel.words import MAX_ACTS
from tocsin.lab.bench.machine import now_ms
from tocsin.lab.bench.world import KIND, NOTED, World
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store
from tocsin.tlog.merkle import leaf_hash, verify_inclusion

BLOCK = 65_536
"""Leaves appended at once: far more than a block has, since only the tree above them is of interest."""
PROOFS = 500
OPEN_MESSAGES = 10_000
_CHUNK = 16
"""Envelopes of a block: 4,096 reports."""


class Proofs(NamedTuple):
    """Time of an inclusion proof in ms, over leaves chosen at random, after the store was opened anew."""

    leaves: int
    p50_ms: float
    p99_ms: float


class Opening(NamedTuple):
    """Seconds from a file to a network that takes the next block."""

    records: int
    open_messages: int
    seconds: float
    bytes_on_disk: int


def measure_proofs(folder: Path, leaves: int, progress: Callable[[], None]) -> Proofs:
    """Append so many leaves to a log, then prove some; each proof is verified, outside of its time."""
    world = World("bench.example/log", now_ms())
    path = folder / "log.db"
    with Store.open(path) as store:
        network = world.found(store)
        while network.head.size < leaves:
            _extend(network, min(BLOCK, leaves - network.head.size))
            progress()
    chance = random.Random(leaves)
    times: list[float] = []
    with Store.open(path) as store:
        network = store.network(world.origin)
        size, root = network.head.size, network.head.root
        first = network.block_of_leaf(0).size
        for index in (chance.randrange(first, size) for _ in range(PROOFS)):
            start = time.perf_counter()
            proof = network.inclusion(index, size)
            times.append(time.perf_counter() - start)
            if not verify_inclusion(index, size, leaf_hash(_leaf(index)), proof, root):
                raise RuntimeError(f"the proof of leaf {index} does not lead to the root")
    times.sort()
    return Proofs(size, times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000)


def _extend(network: NetworkStore, number: int) -> None:
    """Append a block of leaves that no act stands behind; the store asks for none."""
    head = network.head
    state = network.load_state()
    meta = replace(state.meta, height=head.height + 1, size=head.size + number)
    leaves = [_leaf(place) for place in range(head.size, head.size + number)]
    network.append(
        Outcome(meta.height, meta.at, True, [], [], [], leaves, [("meta:", encode(meta))], {"meta": {"": meta}})
    )
    network.flush()


def _leaf(place: int) -> bytes:
    return b'{"leaf":"bench","number":%d}' % place


def measure_opening(folder: Path, records: int, open_messages: int, progress: Callable[[], None]) -> Opening:
    """Write so many records by real acts and blocks, leave some messages open, and open the network again."""
    world = World("bench.example/long", now_ms())
    path = folder / "long.db"
    with Store.open(path) as store:
        ledger = Ledger(world.found(store))
        for envelopes in _submissions(world, records, open_messages):
            # Their own author signed them a moment ago: what counts here is what they leave behind.
            outcome = ledger.propose(now_ms(), envelopes, [[True] for _ in envelopes])
            if outcome.dropped or any(code for codes in outcome.receipts for code in codes):
                raise RuntimeError("a report was not accepted")
            ledger.commit(outcome)
            progress()
    start = time.perf_counter()
    with Store.open(path) as store:
        ledger = Ledger(store.network(world.origin))
        taken = time.perf_counter() - start
        if len(ledger.state.messages) != open_messages:
            raise RuntimeError(f"{len(ledger.state.messages)} messages are open, not {open_messages}")
    return Opening(records, open_messages, taken, path.stat().st_size)


def _submissions(world: World, records: int, open_messages: int) -> Iterator[list[Envelope]]:
    todo = [(KIND, open_messages), (NOTED, records)]
    chunk: list[Envelope] = []
    for kind, number in todo:
        for first in range(0, number, MAX_ACTS):
            envelope = decode(world.reports(now_ms(), first, min(MAX_ACTS, number - first), kind).data)
            assert not isinstance(envelope, Refusal)
            chunk.append(envelope)
            if len(chunk) == _CHUNK:
                yield chunk
                chunk = []
    if chunk:
        yield chunk
