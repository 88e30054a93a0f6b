"""Which measurements there are, and running them, each in a fresh process of its own."""

import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tocsin.lab.bench import country, history, latency, replaying, throughput
from tocsin.lab.bench.country import COUNTRY, Size
from tocsin.lab.bench.machine import free_gib, machine
from tocsin.lab.bench.report import bars
from tocsin.node.finality import collector

Results = dict[str, Any]
Progress = Callable[[], None]


class Sizes(NamedTuple):
    """How much work each measurement does. The limits are for the standard sizes; smaller ones are for tests."""

    single: int = 2048
    batch: int = 16_384
    batch_acts: int = 64
    rounds: int = 5
    country: Size = COUNTRY
    leaves: int = 10_000_000
    records: int = 1_000_000
    open_messages: int = history.OPEN_MESSAGES
    rates: tuple[tuple[int, int], ...] = ((10, 200), (100, 1000), (1000, 5000))
    """(acts a second, acts)."""


class NoRoom(Exception):
    """The disk has not enough free space for a measurement; the sentence says how much it takes."""


def single(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """One act an envelope."""
    best = throughput.best_of(sizes.rounds, folder, 1, sizes.single, progress)
    threads = throughput.best_of(max(1, sizes.rounds // 2), folder, 1, sizes.single, progress, in_threads=True)
    ceiling = throughput.ceiling()
    also = {"ceiling": ceiling, "ratio_in_threads": threads.ratio}
    return {"single": {"ratio": best.ratio, **also, **throughput.beside(best)}}


def batch(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """Many acts an envelope."""
    best = throughput.best_of(sizes.rounds, folder, sizes.batch_acts, sizes.batch, progress)
    return {"batch": {"cost_over_v": best.cost_over_v, **throughput.beside(best)}}


def nation(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """A country of networks."""
    found = country.measure(folder, sizes.country, progress)
    return {"country": {**found._asdict(), "slowdown": found.slowdown}}


def proofs(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """Proofs from a large log."""
    found = history.measure_proofs(folder, sizes.leaves, progress)
    return {"proof_ms": found.p99_ms, "proofs": found._asdict()}


def opening(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """Opening a network with a long history."""
    found = history.measure_opening(folder, sizes.records, sizes.open_messages, progress)
    return {"open_s": found.seconds, "opening": found._asdict()}


def waiting(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """Submit to final."""
    found = [latency.measure(folder, rate, acts, progress) for rate, acts in sizes.rates]
    return {"latency": [one._asdict() for one in found]}


def replay(folder: Path, sizes: Sizes, progress: Progress) -> Results:
    """The replay."""
    taken = replaying.measure(folder, progress)
    return {} if taken is None else {"replay_s": taken}


class Measurement(NamedTuple):
    """One of them. `gib`: disk space that it takes at the standard sizes."""

    run: Callable[[Path, Sizes, Progress], Results]
    gib: float


MEASUREMENTS: Mapping[str, Measurement] = {
    "single": Measurement(single, 0.5),
    "batch": Measurement(batch, 1),
    "country": Measurement(nation, 4),
    "proofs": Measurement(proofs, 3),
    "open": Measurement(opening, 6),
    "latency": Measurement(waiting, 0.5),
    "replay": Measurement(replay, 1),
}


def run(names: Sequence[str], sizes: Sizes, step: Callable[[], None], folder: Path | None = None) -> Results:
    """Run some measurements one after the other; `step` is called after each.

    `folder`: where their files go, and are removed from; else the system's temporary directory. Raises NoRoom.
    """
    results: Results = {"machine": machine()}
    context = multiprocessing.get_context("spawn")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=folder) as scratch:
            wanted = MEASUREMENTS[name].gib
            if free_gib(Path(scratch)) < wanted:
                raise NoRoom(f"`{name}` takes {wanted:g} GiB of disk; free some, or choose another place with --dir.")
            # A process of its own: its memory is its own peak, and no other measurement's garbage is in its way.
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                results |= pool.submit(_measure, name, Path(scratch), sizes).result()
        step()
    results["bars"] = bars(results)
    return results


def measure(name: str, folder: Path, sizes: Sizes, progress: Progress = lambda: None) -> Results:
    """Run one measurement in this process."""
    return MEASUREMENTS[name].run(folder, sizes, progress)


def _measure(name: str, folder: Path, sizes: Sizes) -> Results:
    collector.calm()
    return measure(name, folder, sizes)
