"""A new node joins a network with a long past by a snapshot, over CometBFT's own protocol, on one machine.

The past is made by real acts and blocks, but without CometBFT: its chain begins where the past ends, as it would for
a network that ordered by one process before. A node with one validator gives, another one takes; each is a process
with its CometBFT.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.home import Settings, Sync, node_id
from tocsin.engine.cometbft.rpc import Rpc, RpcError, RpcUnreachable
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Verifier
from tocsin.kernel.acts import Present
from tocsin.kernel.block import SNAPSHOT_EVERY
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.lab.bench.machine import free_gib, now_ms
from tocsin.lab.bench.net.load import LoadFailed
from tocsin.lab.bench.net.processes import bytes_in, cpu_s, free_ports
from tocsin.lab.bench.world import NOTED, Sealed, World, signer_of, stream
from tocsin.node.finality import collector
from tocsin.store.moment import Moment
from tocsin.store.store import Store

BLOCK = 128
"""Envelopes of a block of the past: at 64 acts 1,024 records, about what four nodes put into one."""
_LAG = 2
_ALIKE = 50_000
"""Records made ready at a time."""
_LOOK_S = 0.05
_PATIENCE_S = 7200.0
_MIB = 1024 * 1024
_RECORD_GIB = 6 / 1_000_000
"""Of disk, for each record: two stores and what is between them."""


class Joined(NamedTuple):
    """What it took. `past_s`: to make the past; `snapshot_s`: from the block that is due for a snapshot to its offer,
    `snapshot_bytes`: of its rows; `join_s`: from the new node's start to its first block after the snapshot, five of
    them CometBFT looks around, `fetch_s`: until all chunks were there; `fetched_bytes`: what came. Memory: the most.
    """

    records: int
    acts: int
    blocks: int
    leaves: int
    past_s: float
    store_bytes: int
    snapshot_s: float
    snapshot_bytes: int
    join_s: float
    fetch_s: float
    fetched_bytes: int
    giver_cpu_s: float
    taker_cpu_s: float
    giver_mib: int
    giver_comet_mib: int
    taker_mib: int
    taker_comet_mib: int


class _Place(NamedTuple):
    """A node's: its folder, the port others dial, where its CometBFT answers calls, and whom it dials."""

    folder: Path
    listen: str
    rpc: str | None
    peers: tuple[str, ...]
    seed: bytes
    validates: bool
    origin: str
    created: int


class _Cost(NamedTuple):
    cpu_s: float
    mib: int
    comet_mib: int


def measure(folder: Path, records: int, acts: int, say: Callable[[str], None], *, noted: bool = False) -> Joined:
    """Make a past of so many records in an empty folder, and let a node join. Raises LoadFailed, EngineMissing.

    `noted`: records without ballots, which are a third as large, and made in a tenth of the time.
    """
    install.find()
    if free_gib(folder) < records * _RECORD_GIB:
        raise LoadFailed(f"{records} records take {records * _RECORD_GIB:.0f} GiB of disk; free some, or choose --dir.")
    created = now_ms()
    world = World("bench.example/joining", created, validators=1)
    start = time.monotonic()
    blocks, leaves = _past(folder / "giver", world, records, acts, say, noted)
    past_s = time.monotonic() - start
    store_bytes = bytes_in(folder / "giver" / "store")
    say(f"A past of {records} records, {blocks} blocks and {store_bytes // _MIB} MiB was made in {past_s:.0f} s.")
    listens = [f"127.0.0.1:{port}" for port in free_ports(3)]
    seeds = [bytes([number]) * 32 for number in (1, 2)]
    names = [node_id(seed) for seed in seeds]
    giver = _Place(folder / "giver", listens[0], listens[1], (), seeds[0], True, world.origin, created)
    peers = (f"{names[0]}@{listens[0]}",)
    taker = _Place(folder / "taker", listens[2], None, peers, seeds[1], False, world.origin, created)
    with _Running(giver, None) as gives:
        said = gives.ask()
        say(f"The snapshot was written in {said['snapshot_s']:.0f} s.")
        start = time.monotonic()
        with _Running(taker, Sync((listens[1], listens[1]), said["height"], said["hash"])) as takes:
            chunks, fetched, fetch_s = folder / "taker" / "cometbft" / "sync" / "chunks", 0, 0.0
            while not takes.tells():
                if (now := bytes_in(chunks)) > fetched:
                    fetched, fetch_s = now, time.monotonic() - start
            takes.ask()
            join_s = time.monotonic() - start
            taken, given = takes.end(), gives.end()
    return Joined(
        records, acts, blocks, leaves, past_s, store_bytes, said["snapshot_s"],
        bytes_in(folder / "giver" / "cometbft" / "snapshots"), join_s, fetch_s, fetched, given.cpu_s, taken.cpu_s,
        given.mib, given.comet_mib, taken.mib, taken.comet_mib,
    )  # fmt: skip


def _past(
    folder: Path, world: World, records: int, acts: int, say: Callable[[str], None], noted: bool
) -> tuple[int, int]:
    """So many records, then reports until the next block is due for a snapshot; blocks and leaves in the end."""
    collector.calm()
    (folder / "store").mkdir(parents=True)
    with Store.open(folder / "store" / "node.db") as store:
        ledger = Ledger(world.found(store))
        for envelopes in _blocks(_noted(world, records, acts) if noted else _voted(world, records, acts)):
            _commit(ledger, envelopes)
            if ledger.state.meta.height % 100 == 0:
                say(f"{ledger.state.meta.height} blocks")
        while (ledger.state.meta.changing + 1) % SNAPSHOT_EVERY:
            _commit(ledger, [_read(world.reports(now_ms(), 0, 1).data)])
        meta = ledger.state.meta
    # CometBFT's height 0 is this block.
    heights = Heights(folder / "cometbft" / "heights", 0)
    heights.announce(0, meta.height)
    heights.close()
    return meta.height + 1, meta.size


def _voted(world: World, records: int, acts: int) -> Iterator[Sealed]:
    for first in range(0, records, _ALIKE):
        # Signed anew from time to time: else envelopes expire, and reports in the end are like those of the beginning.
        yield from stream(world, now_ms(), min(_ALIKE, records - first), acts, _LAG)


def _noted(world: World, records: int, acts: int) -> Iterator[Sealed]:
    for first in range(0, records, acts):
        yield world.reports(now_ms(), first, min(acts, records - first), NOTED)


def _blocks(envelopes: Iterable[Sealed]) -> Iterator[list[Envelope]]:
    waiting = iter(envelopes)
    while block := [_read(one.data) for one in islice(waiting, BLOCK)]:
        yield block


def _read(data: bytes) -> Envelope:
    envelope = decode(data)
    assert not isinstance(envelope, Refusal)
    return envelope


def _commit(ledger: Ledger, envelopes: list[Envelope]) -> None:
    # Their own author signed them a moment ago: what counts here is what they leave behind.
    outcome = ledger.propose(now_ms(), envelopes, [[True] for _ in envelopes])
    if outcome.dropped or any(code for codes in outcome.receipts for code in codes):
        raise LoadFailed("an act of the past was not accepted")
    ledger.commit(outcome)


class _Running:
    """A node in a process of its own, while inside."""

    def __init__(self, place: _Place, sync: Sync | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_node, args=(place, sync, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "_Running":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def tells(self) -> bool:
        """Whether it has said something, or ended; waits a moment."""
        return self._ours.poll(_LOOK_S)

    def ask(self) -> Any:
        """What it says when it has come to what is waited for."""
        if not self._ours.poll(_PATIENCE_S):
            raise LoadFailed(f"Nothing came about in {_PATIENCE_S:g} s.")
        try:
            return self._ours.recv()
        except EOFError:
            raise LoadFailed("A node ended; standard error says why.") from None

    def end(self) -> _Cost:
        """Have it stop; what it took."""
        self._ours.send("stop")
        cost: _Cost = self.ask()
        self._process.join()
        return cost


def _node(place: _Place, sync: Sync | None, out: Connection) -> None:
    collector.calm()
    world = World(place.origin, place.created, validators=1)
    (place.folder / "store").mkdir(parents=True, exist_ok=True)
    verifier = Verifier()
    with Store.open(place.folder / "store" / "node.db") as store:
        records = store.network(place.origin) if store.networks() else world.found(store)
        settings = Settings(
            place.folder / "cometbft",
            signer_of(place.origin, world.voters[0], "validator").seed if place.validates else None,
            place.seed, place.listen, place.peers, heartbeat_s=5, one_host=True, rpc=place.rpc, sync=sync,
        )  # fmt: skip
        engine = CometEngine(
            records, world.genesis, install.find(), settings, now_ms, verifier, Moment(store, records)
        )
        out.send(_gave(engine, world, place.folder) if sync is None else _took(engine))
        out.recv()
        pid = engine.process.pid
        cost = _Cost(time.process_time() + (cpu_s(pid) if pid else 0), _peak_mib(), _peak_of(pid))
        engine.stop()
    verifier.close()
    out.send(cost)


def _gave(engine: CometEngine, world: World, folder: Path) -> dict[str, Any]:
    """Make the block that is due for a snapshot, and wait until that is offered and its height proven."""
    # Of an author who did nothing like it in the past, whose numbers this process counts from anew.
    ticket = engine.submit(world.seal(world.voters[0], [Present(1)], now_ms()).data)
    taken = ticket if isinstance(ticket, Refusal) else ticket.result()
    if isinstance(taken, Refusal):
        raise LoadFailed(f"The block that is due for a snapshot was not made: {taken}")
    start = time.monotonic()
    snapshots = folder / "cometbft" / "snapshots"
    while not (found := [one for one in snapshots.iterdir() if one.name.isdigit()]):
        if engine.trouble or engine.error:
            raise LoadFailed(engine.trouble or str(engine.error))
        time.sleep(_LOOK_S)
    took = time.monotonic() - start
    height = int(found[0].name)
    rpc = Rpc(engine.rpc)
    while True:
        try:
            # The light client wants two blocks more.
            rpc.call("commit", height=str(height + 3))
            trusted = rpc.call("commit", height=str(height))["signed_header"]["commit"]["block_id"]["hash"]
            break
        except (RpcError, RpcUnreachable):
            time.sleep(_LOOK_S)
    rpc.close()
    return {"snapshot_s": took, "height": height, "hash": trusted}


def _took(engine: CometEngine) -> int:
    """Wait for the first block after the snapshot; its height."""
    while engine.final() <= 0:
        if engine.error is not None:
            raise engine.error
        time.sleep(_LOOK_S)
    return engine.final()


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _peak_of(pid: int | None) -> int:
    """Of another process, where /proc says."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024
