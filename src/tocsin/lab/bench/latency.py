"""From submit to final, at a given rate: what an officer waits for the receipt.

Envelopes of one act come at fixed times, whether or not the ones before are final, and each is timed from the moment
it should have been submitted, so that a stall is not hidden by what it held back.
"""

import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.engine.port import Ticket
from tocsin.engine.signatures import Verifier
from tocsin.kernel.envelope import Refusal
from tocsin.lab.bench.machine import cores, now_ms
from tocsin.lab.bench.world import World, stream
from tocsin.store.store import Store

LAG = 8
"""Reports that wait for their ballots at any time."""


class Latency(NamedTuple):
    """Submit to final in ms, at `rate` acts a second."""

    rate: int
    acts: int
    p50_ms: float
    p99_ms: float


def measure(folder: Path, rate: int, acts: int, progress: Callable[[], None]) -> Latency:
    """Submit so many acts at a rate. Raises RuntimeError if one is not accepted."""
    at = now_ms()
    world = World(f"bench.example/rate-{rate}", at)
    envelopes = list(islice(stream(world, at, acts, 1, LAG), acts))
    verifier = Verifier(cores())
    finished: dict[int, float] = {}
    tickets: list[Ticket] = []
    with Store.open(folder / f"rate-{rate}.db") as store:
        engine = EmbeddedEngine(world.found(store), now_ms, verifier)
        start = time.perf_counter() + 0.05
        for number, envelope in enumerate(envelopes):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            ticket = engine.submit(envelope.data)
            if isinstance(ticket, Refusal):
                raise RuntimeError(f"an envelope was refused: {ticket}")
            ticket.add_done_callback(partial(_note, finished, number))
            tickets.append(ticket)
            progress()
        for ticket in tickets:
            answer = ticket.result()
            if isinstance(answer, Refusal) or any(answer.codes):
                raise RuntimeError(f"an act was not accepted: {answer}")
        engine.stop()
    verifier.close()
    waited = sorted(finished[number] - (start + number / rate) for number in range(len(envelopes)))
    return Latency(rate, len(waited), waited[len(waited) // 2] * 1000, waited[len(waited) * 99 // 100] * 1000)


def _note(finished: dict[int, float], number: int, _: Ticket) -> None:
    finished[number] = time.perf_counter()
