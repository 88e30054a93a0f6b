"""One network at full load: one act an envelope, and 64.

Through the embedded engine, as a node does it: bytes in, decoded, signatures checked in threads, blocks applied,
committed durably; over when the last ticket says that its envelope is final.
"""

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.embedded.engine import CHUNK, EmbeddedEngine
from tocsin.engine.embedded.signatures import Verifier
from tocsin.engine.port import Receipt, Ticket
from tocsin.kernel.envelope import Refusal, decode
from tocsin.kernel.genesis import Check
from tocsin.lab.bench.machine import cores, now_ms, verification_s
from tocsin.lab.bench.world import BALLOTS, Sealed, World, stream
from tocsin.store.store import Store

IN_FLIGHT = 2048
"""Envelopes on their way at once: four of the engine's blocks."""


class Load(NamedTuple):
    """What one run measured. `wall_s`: first byte in to last envelope final; `v_s`: V in the same run."""

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


def measure(folder: Path, acts: int, messages: int, progress: Callable[[], None]) -> Load:
    """Take so many messages to the record once. Raises RuntimeError if one act is not accepted."""
    at = now_ms()
    world = World("bench.example/one", at)
    envelopes = list(stream(world, at, messages, acts, _lag()))
    checks = [_check(one) for one in envelopes[:256]]
    path = folder / "node.db"
    threads = cores()
    verifier = Verifier(threads)
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


def best_of(rounds: int, folder: Path, acts: int, messages: int, progress: Callable[[], None]) -> Load:
    """The best of some rounds, each with a store of its own: what else the machine does only ever adds time."""
    found: list[Load] = []
    for round in range(rounds):
        place = folder / str(round)
        place.mkdir()
        found.append(measure(place, acts, messages, progress))
    v = min(one.v_s for one in found)
    return min(found, key=lambda one: one.wall_s)._replace(v_s=v)


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


def _lag() -> int:
    """Groups between a report and its ballots: more than a block holds, so that no message lives in one block only."""
    return CHUNK // (1 + BALLOTS) + 1


def _submit_all(engine: EmbeddedEngine, envelopes: list[Sealed], progress: Callable[[], None]) -> list[Receipt]:
    waiting: deque[Ticket] = deque()
    receipts: list[Receipt] = []

    def settle() -> None:
        answer = waiting.popleft().result()
        if isinstance(answer, Refusal):
            raise RuntimeError(f"an envelope was refused: {answer}")
        receipts.append(answer)

    for number, envelope in enumerate(envelopes):
        while len(waiting) >= IN_FLIGHT:
            settle()
        ticket = engine.submit(envelope.data)
        if isinstance(ticket, Refusal):
            raise RuntimeError(f"an envelope was refused: {ticket}")
        waiting.append(ticket)
        if number % 512 == 0:
            progress()
    while waiting:
        settle()
    return receipts


def _all_accepted(receipts: list[Receipt], messages: int) -> None:
    codes = [code for receipt in receipts for code in receipt.codes]
    if any(codes) or len(codes) != messages * (1 + BALLOTS):
        raise RuntimeError(f"of {len(codes)} acts {sum(map(bool, codes))} were not accepted")


def _check(sealed: Sealed) -> Check:
    envelope = decode(sealed.data)
    assert not isinstance(envelope, Refusal)
    return Check(bytes.fromhex(envelope.key), envelope.signed, envelope.signature)
