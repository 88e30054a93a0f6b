"""One network at full load: one act an envelope, and 64.

Through the embedded engine, as a node does it: bytes in, decoded, signatures checked on all cores, blocks applied,
committed durably; over when the last ticket says that its envelope is final.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tocsin.engine.embedded.engine import CHUNK, CHUNK_BYTES, EmbeddedEngine
from tocsin.engine.embedded.processes import ProcessVerifier
from tocsin.engine.port import Receipt, Ticket
from tocsin.engine.signatures import Verifier
from tocsin.kernel.envelope import Refusal, decode
from tocsin.kernel.genesis import Check
from tocsin.lab.bench.machine import cores, now_ms, verification_s
from tocsin.lab.bench.world import BALLOTS, Sealed, World, stream
from tocsin.store.store import Store

IN_FLIGHT = 2048
"""Envelopes on their way at once: four of the engine's blocks."""
_CHECKS = 256
"""Signatures that V is measured on."""


class Load(NamedTuple):
    """What one run measured. `threads`: checking signatures at once; `wall_s`: first byte in to last envelope final;
    `v_s`: V in the same run."""

    acts: int
    messages: int
    envelopes: int
    wall_s: float
    v_s: float
    threads: int
    bytes_on_disk: int

    @property
    def ratio(self) -> float:
        """Envelopes a second, over what the threads could verify if they did nothing else."""
        return self.envelopes / self.wall_s * self.v_s / self.threads

    @property
    def cost_over_v(self) -> float:
        """Wall time of a recorded message, over V."""
        return self.wall_s / self.messages / self.v_s


def measure(folder: Path, acts: int, messages: int, progress: Callable[[], None], *, in_threads: bool = False) -> Load:
    """Take so many messages to the record once. Raises RuntimeError if one act is not accepted.

    `in_threads`: check signatures in threads of this process and not in processes of their own.
    """
    at = now_ms()
    world = World("bench.example/one", at)
    envelopes = list(stream(world, at, messages, acts, _lag(world, acts)))
    checks = [_check(one) for one in envelopes[:_CHECKS]]
    path = folder / "node.db"
    threads = cores()
    verifier = Verifier(threads) if in_threads else ProcessVerifier(threads)
    with Store.open(path) as store:
        world.found(store)
        engine = EmbeddedEngine(store.network(world.origin), now_ms, verifier)
        before = verification_s(checks)
        start = time.perf_counter()
        receipts = _submit_all(engine, envelopes, progress)
        wall = time.perf_counter() - start
        v = min(before, verification_s(checks))
        engine.stop()
        _all_accepted(receipts, messages)
    verifier.close()
    return Load(acts, messages, len(envelopes), wall, v, threads, path.stat().st_size)


def best_of(
    rounds: int, folder: Path, acts: int, messages: int, progress: Callable[[], None], *, in_threads: bool = False
) -> Load:
    """The shortest of some rounds, each with a store of its own, over the shortest V: what else the machine does only
    ever adds time."""
    found: list[Load] = []
    for _ in range(rounds):
        with TemporaryDirectory(dir=folder) as place:
            found.append(measure(Path(place), acts, messages, progress, in_threads=in_threads))
    v = min(one.v_s for one in found)
    return min(found, key=lambda one: one.wall_s)._replace(v_s=v)


def ceiling(checks_each: int = 2048) -> float:
    """The ratio of verification alone, all cores at it: what cores that share a physical one still give."""
    at = now_ms()
    world = World("bench.example/ceiling", at)
    some = [_check(world.reports(at, place, 1)) for place in range(_CHECKS)]
    threads = cores()
    verifier = ProcessVerifier(threads)
    rows = [[check] for check in some * (threads * checks_each // _CHECKS)]
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        verifier.start(rows).verdicts()
        best = max(best, len(rows) / (time.perf_counter() - start))
    verifier.close()
    return best * verification_s(some) / threads


def beside(load: Load) -> dict[str, float]:
    """What is reported with the ratio."""
    return {
        "acts": load.acts,
        "envelopes": load.envelopes,
        "messages": load.messages,
        "threads": load.threads,
        "v_us": load.v_s * 1e6,
        "envelopes_per_s": load.envelopes / load.wall_s,
        "records_per_s": load.messages / load.wall_s,
        "bytes_per_record": load.bytes_on_disk / load.messages,
    }


def _lag(world: World, acts: int) -> int:
    """Groups between reports and their ballots: more than a block holds, so that no message lives in one block only."""
    envelope = len(world.reports(now_ms(), 0, acts).data)
    return min(CHUNK, CHUNK_BYTES // envelope) // (1 + BALLOTS) + 1


def _submit_all(engine: EmbeddedEngine, envelopes: list[Sealed], progress: Callable[[], None]) -> list[Receipt]:
    waiting: list[Ticket] = []
    receipts: list[Receipt] = []
    for number, envelope in enumerate(envelopes):
        if len(waiting) == IN_FLIGHT:
            # Half of them at once, or this thread would be woken for each.
            receipts += _settled(waiting[: IN_FLIGHT // 2])
            del waiting[: IN_FLIGHT // 2]
        ticket = engine.submit(envelope.data)
        if isinstance(ticket, Refusal):
            raise RuntimeError(f"an envelope was refused: {ticket}")
        waiting.append(ticket)
        if number % CHUNK == 0:
            progress()
    return receipts + _settled(waiting)


def _settled(tickets: list[Ticket]) -> list[Receipt]:
    answers = [ticket.result() for ticket in reversed(tickets)]
    refused = [one for one in answers if isinstance(one, Refusal)]
    if refused:
        raise RuntimeError(f"an envelope was refused: {refused[0]}")
    return [one for one in answers if not isinstance(one, Refusal)]


def _all_accepted(receipts: list[Receipt], messages: int) -> None:
    codes = [code for receipt in receipts for code in receipt.codes]
    if any(codes) or len(codes) != messages * (1 + BALLOTS):
        raise RuntimeError(f"of {len(codes)} acts {sum(map(bool, codes))} were not accepted")


def _check(sealed: Sealed) -> Check:
    envelope = decode(sealed.data)
    assert not isinstance(envelope, Refusal)
    return Check(bytes.fromhex(envelope.key), envelope.signed, envelope.signature)
