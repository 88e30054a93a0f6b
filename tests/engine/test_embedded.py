"""The embedded engine: the conformance suite, and what is its own."""

import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.engine.conformance import PATIENCE_S, Bench, EngineConformance, receipt, taken
from tests.store.drive import verify_all
from tests.store.faults import FaultVFS, Plan
from tests.store.world import CREATED, World
from tocsin.engine.ed25519 import holds
from tocsin.engine.embedded import engine as module
from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.engine.embedded.processes import ProcessVerifier, VerifierStopped
from tocsin.engine.ledger import Ledger
from tocsin.engine.port import Engine, EngineBusy, EngineHalted, Ticket
from tocsin.engine.signatures import Verifier
from tocsin.kernel.acts import Present
from tocsin.kernel.block import checks
from tocsin.kernel.genesis import Check
from tocsin.kernel.reasons import Reason
from tocsin.store.errors import StoreFull
from tocsin.store.fsck import fsck
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store


class EmbeddedBench:
    """An embedded engine on a store of its own."""

    lag_ms = 0

    def __init__(self, path: Path, vfs: str | None = None, verifier: Verifier | ProcessVerifier | None = None) -> None:
        self.world = World()
        self._path = path
        self._vfs = vfs
        self._now = CREATED
        self._verifier = verifier or Verifier(2)
        self.store = Store.open(path, vfs=vfs)
        self.store.create_network(self.world.genesis_bytes, self.world.founding_bytes)
        self.engine = self._start()

    def _start(self) -> EmbeddedEngine:
        return EmbeddedEngine(self.store.network(self.world.origin), lambda: self._now, self._verifier)

    def clock(self) -> int:
        return self._now

    def set_clock(self, at: int) -> None:
        self._now = at
        self.engine.wake()

    def restart(self, *, crash: bool = False) -> None:
        if crash:
            # The lock goes, as it would with the process; the old threads find a store that takes no more.
            self.store._lock.release()  # type: ignore[union-attr]
            self.store._lock = None
            abandoned, self.store = self.store, Store.open(self._path, vfs=self._vfs)
            self.engine = self._start()
            abandoned.close()
            return
        self.close()
        self._verifier = Verifier(2)
        self.store = Store.open(self._path, vfs=self._vfs)
        self.engine = self._start()

    def close(self) -> None:
        self.engine.stop()
        self._verifier.close()
        self.store.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EmbeddedBench]:
    made = EmbeddedBench(tmp_path / "store.db")
    yield made
    made.close()


class TestEmbedded(EngineConformance):
    """Everything the port demands."""


def test_it_is_an_engine(bench: EmbeddedBench) -> None:
    port: Engine = bench.engine
    driven: Bench = bench
    assert port is driven.engine


def test_blocks_gather_while_a_commit_runs(bench: EmbeddedBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many envelopes at once make few blocks; none holds more than a chunk."""
    world = bench.world
    bench.set_clock(CREATED + 1000)
    envelopes = [world.present("district-00", 1, CREATED + number) for number in range(1500)]
    # At once, however long it takes here: the first commit runs until the last one is given.
    given, flush = threading.Event(), NetworkStore.flush

    def after(self: NetworkStore) -> None:
        assert given.wait(PATIENCE_S)
        flush(self)

    monkeypatch.setattr(NetworkStore, "flush", after)
    tickets = [bench.engine.submit(envelope.data) for envelope in envelopes]
    given.set()
    heights = [receipt(ticket).height for ticket in tickets]
    assert heights == sorted(heights)
    assert 3 <= len(set(heights)) < 100
    assert max(heights.count(height) for height in set(heights)) <= module.CHUNK


def test_envelopes_of_many_acts_make_blocks_of_few(bench: EmbeddedBench) -> None:
    world = bench.world
    bench.set_clock(CREATED + 1000)
    envelopes = [world.envelope("district-00", [Present(1)] * 256, CREATED + number) for number in range(120)]
    heights = [receipt(ticket).height for ticket in [bench.engine.submit(one.data) for one in envelopes]]
    for height in set(heights):
        block = bench.store.network(world.origin).block(height)
        assert block is not None
        assert sum(map(len, block.envelopes[:-1])) < module.CHUNK_BYTES


def test_a_key_that_changes_between_chunks_is_checked_as_it_now_is(bench: EmbeddedBench) -> None:
    """Signatures are checked while the block before is applied, against the state before it."""
    ledger = Ledger(bench.store.network(bench.world.origin))
    case = bench.world.case(CREATED + 1000)
    verifying = Verifier(2)
    started = verifying.start(checks(ledger.state, case))
    assert started.verdicts() == [[True]] * 7
    assert bench.engine._current(case, started) == [[True]] * 7
    started.checks[0] = []
    assert bench.engine._current(case, started) == [[True]] * 7
    verifying.close()


def test_dropped_envelopes_leave_no_trace(bench: EmbeddedBench) -> None:
    """What is stored follows from the stored envelopes alone, also where a refused one touched an account."""
    world = bench.world
    bench.set_clock(CREATED + 1000)
    ledger = Ledger(bench.store.network(world.origin))
    good = world.case(CREATED + 1000)
    expired = world.present("district-06", 1, CREATED - 10_000_000)
    foreign = World("health.example/other").report("district-00", CREATED)
    outcome = ledger.propose(CREATED + 1000, [expired, *good[:3], foreign, *good[3:], good[0]])
    assert outcome.dropped == [(0, Reason.EXPIRED), (4, Reason.OTHER_GENESIS), (9, Reason.SEEN_BEFORE)]
    assert outcome.consumed == good
    assert outcome.leaves == ledger.propose(CREATED + 1000, good).leaves
    nothing = ledger.propose(CREATED + 1000, [foreign])
    assert not nothing.changed


def test_a_refused_quota_leaves_no_trace(tmp_path: Path) -> None:
    """The bucket of a member over its quota is looked at, which is no reason to write its account."""
    world = World(envelopes=2)
    with Store.open(tmp_path / "store.db") as store:
        ledger = Ledger(store.create_network(world.genesis_bytes, world.founding_bytes))
        at = CREATED + 500
        ledger.commit(ledger.propose(at, [world.present("district-00", 1, at + number) for number in range(2)]))
        over = world.present("district-00", 1, at + 100)
        other = world.present("district-01", 1, at + 101)
        outcome = ledger.propose(at + 300, [over, other])
        assert outcome.dropped == [(0, Reason.QUOTA)]
        assert [key for key, _ in outcome.writes if key.startswith("account:")] == ["account:district-01"]
        ledger.commit(outcome)
        assert list(fsck(store, verify_all)) == []


def test_a_full_disk_halts_the_engine(tmp_path: Path) -> None:
    plan = Plan()
    shim = FaultVFS("full", plan)
    bench = EmbeddedBench(tmp_path / "store.db", shim.name)
    world = bench.world
    bench.set_clock(CREATED + 1000)
    kept = receipt(bench.engine.submit(world.report("district-00", CREATED + 1000).data))
    plan.error = apsw.FullError
    ticket = taken(bench.engine.submit(world.report("district-01", CREATED + 1000).data))
    with pytest.raises(EngineHalted, match="free some space") as halted:
        ticket.result(PATIENCE_S)
    assert isinstance(halted.value.__cause__, StoreFull)
    with pytest.raises(EngineHalted, match="free some space"):
        bench.engine.submit(world.report("district-02", CREATED + 1000).data)
    assert isinstance(bench.engine.error, StoreFull)
    # History stays readable, and subscribers come to an end.
    assert [block.height for block in bench.engine.blocks(-1)] == [0, kept.height]
    plan.error = None
    bench.restart()
    assert receipt(bench.engine.submit(world.report("district-01", CREATED + 1000).data)).height == kept.height + 1
    bench.close()
    with Store.open(tmp_path / "store.db") as store:
        assert list(fsck(store, verify_all)) == []
    shim.unregister()


def test_too_many_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    bench = EmbeddedBench(tmp_path / "store.db")
    with pytest.raises(EngineBusy, match="again"):
        bench.engine.submit(bench.world.report("district-00", CREATED).data)
    bench.close()


def test_callbacks(bench: EmbeddedBench) -> None:
    world = bench.world
    bench.set_clock(CREATED + 1000)
    called = threading.Event()
    ticket = taken(bench.engine.submit(world.report("district-01", CREATED + 1000).data))
    ticket.add_done_callback(lambda _: called.set())
    assert called.wait(PATIENCE_S)
    again: list[Ticket] = []
    ticket.add_done_callback(again.append)
    assert again == [ticket]
    assert ticket.exception() is None
    with pytest.raises(TimeoutError):
        Ticket("").result(0.01)


@pytest.mark.parametrize("made", [Verifier, ProcessVerifier])
def test_malformed_keys_and_signatures_do_not_hold(made: type[Verifier] | type[ProcessVerifier]) -> None:
    world = World()
    envelope = world.report("district-00", CREATED)
    good = Check(bytes.fromhex(envelope.key), envelope.signed, envelope.signature)
    assert holds(good)
    for bad in (
        good._replace(key=bytes(32)),
        good._replace(key=good.key[:31]),
        good._replace(key=good.key + b"x"),
        good._replace(signature=good.signature[:63]),
        good._replace(signature=good.signature + b"x"),
        good._replace(signature=bytes(64)),
        good._replace(message=good.message + b"x"),
    ):
        assert not holds(bad)
    verifier = made(2)
    rows = [[good], [good._replace(message=b"x"), good], [], [good] * 5]
    assert verifier.start(rows).verdicts() == [[True], [False, True], [], [True] * 5]
    assert verifier.start([]).verdicts() == []
    verifier.close()


def test_a_verifying_process_that_ends_halts_the_engine(tmp_path: Path) -> None:
    bench = EmbeddedBench(tmp_path / "store.db", verifier=(verifier := ProcessVerifier(2)))
    world = bench.world
    bench.set_clock(CREATED + 1000)
    assert receipt(bench.engine.submit(world.report("district-00", CREATED + 1000).data)).codes == [0]
    tickets = [taken(bench.engine.submit(one.data)) for one in world.case(CREATED + 1000, 1)]
    assert [receipt(ticket).codes for ticket in tickets] == [[0]] * 7
    verifier._workers[0]._process.kill()
    verifier._workers[0]._process.wait()
    offered = [world.present("district-02", 1, CREATED + number).data for number in range(20)]

    def offer() -> None:
        for ticket in [taken(bench.engine.submit(data)) for data in offered]:
            ticket.result(PATIENCE_S)

    with pytest.raises(EngineHalted, match="checks signatures has ended"):
        offer()
    assert isinstance(bench.engine.error, VerifierStopped)
    bench.close()
