"""One run: for each number of validators and of acts, our nodes, then the kvstore and the peer on the same work."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tocsin.engine.cometbft import install
from tocsin.lab.bench.machine import cores, free_gib, machine, now_ms
from tocsin.lab.bench.net import group, kvstore, nodes
from tocsin.lab.bench.net.load import Loaded, LoadFailed, drive, figures, quantile, steady
from tocsin.lab.bench.net.nodes import Cost, Kept
from tocsin.lab.bench.net.report import bars
from tocsin.lab.bench.net.work import ENVELOPES, Work, make, mean_bytes, pairs_like
from tocsin.lab.bench.world import World

Results = dict[str, Any]
GIB = 4.0
"""Disk space that a run needs."""


class Sizes(NamedTuple):
    """How much a configuration does. `envelopes`: at most `window` of them on their way; `proposals`, `group_window`:
    the peer's. `steady_s`: how long at the steady rate, which is `share` of the highest; ballots follow their report
    after `seen_s` there. `commit_ms`: pause after a block."""

    envelopes: int
    window: int
    proposals: int
    group_window: int
    steady_s: float = 20.0
    share: float = 0.4
    seen_s: float = 4.0
    commit_ms: int = 1000


SIZES = {1: Sizes(32_000, 4096, 2800, 2048), 64: Sizes(6_400, 1024, 16_384, 128)}
"""The windows are of more than two cores take from one block to the next. At one act with 2,048 the kvstore's rate was
no more than the window over the time of a block (1,740 by blocks of 1.18 s); at 64 with half of each the peer decided
a twelfth less."""


def sizes_for(acts: int) -> Sizes:
    """Of the standard run, for the nearest number of acts."""
    return SIZES[min(SIZES, key=lambda one: abs(one - acts))]


@dataclass(frozen=True)
class Setting:
    """Where and with what to measure. `peer`: the x/group program, None to leave it out."""

    folder: Path
    comet: Path
    peer: Path | None
    step: Callable[[], None]


def run(
    validators: Sequence[int],
    acts: Sequence[int],
    sizes: Callable[[int], Sizes] = sizes_for,
    *,
    with_group: bool = True,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    step: Callable[[], None] = lambda: None,
) -> Results:
    """All configurations. Raises LoadFailed, TestnetError, EngineMissing, PeerMissing."""
    comet = install.install(say=say)
    peer = group.build(say) if with_group else None
    results: Results = {"machine": machine(), "configurations": []}
    with tempfile.TemporaryDirectory(prefix="tocsin-net-", dir=folder) as scratch:
        if free_gib(Path(scratch)) < GIB:
            raise LoadFailed(f"A run takes {GIB:g} GiB of disk; free some, or choose another place with --dir.")
        setting = Setting(Path(scratch), comet, peer, step)
        for number in validators:
            for each in acts:
                say(f"Measuring {number} validators with {each} acts an envelope; this takes some minutes.")
                results["configurations"].append(configuration(setting, number, each, sizes(each)))
    results["bars"] = bars(results["configurations"])
    return results


def configuration(setting: Setting, validators: int, acts: int, sizes: Sizes) -> Results:
    """One of them: ours, with the others beside it."""
    world = World("bench.example/net", now_ms(), validators=validators)
    groups = sizes.envelopes // ENVELOPES
    full = make(world, now_ms(), groups, acts, sizes.window // ENVELOPES + 1)
    ours, calm, rate = _ours(setting, world, validators, full, sizes)
    setting.step()
    theirs = _kvstore(setting, world, validators, full, calm, rate, sizes)
    setting.step()
    found: Results = {
        "validators": validators,
        "acts": acts,
        **ours,
        "kvstore": theirs,
        "vs_kvstore": ours["tx_per_s"] / theirs["tx_per_s"],
        "group": None,
        "vs_group": None,
    }
    if setting.peer is not None:
        peer = group.measure(
            setting.peer, validators, acts, sizes.proposals, sizes.group_window, sizes.commit_ms
        )  # fmt: skip
        found |= {"group": peer, "vs_group": ours["decided_per_s"] / peer["decided_per_s"]}
    setting.step()
    return found


def _ours(setting: Setting, world: World, validators: int, full: Work, sizes: Sizes) -> tuple[Results, Work, float]:
    """At the highest rate, then at a steady one; also the work and the rate of the latter."""
    with _place(setting.folder / "tocsin") as place:
        with nodes.running(place, world, validators, sizes.commit_ms) as net:
            before = net.cost()
            loaded = drive(net.offers, net.rpc, full.steps, sizes.window)
            cost = net.cost().since(before)
            top = figures(loaded, full, sizes.window)
            calm, rate = _calm(world, full.acts, top.tx_per_s * sizes.share, sizes)
            with net.finals() as finals:
                slow = drive(net.offers, net.rpc, calm.steps, len(calm.steps), rate)
                net.wait_final(finals)
        kept = net.kept()
    _all_recorded(kept, full.messages + calm.messages)
    eased = figures(slow, calm, 0)
    final = sorted(_to_final(slow, calm, kept, finals))
    found = {
        "decided_per_s": _decided_per_s(loaded, full, kept, sizes.window),
        "tx_per_s": top.tx_per_s,
        "loaded_block_s": top.block_s,
        "loaded_p50_s": top.p50_s,
        "tx_bytes": mean_bytes(full.steps),
        "rate_tx_per_s": rate,
        "p50_s": eased.p50_s,
        "p99_s": eased.p99_s,
        "block_s": eased.block_s,
        "final_p50_s": quantile(final, 50),
        "final_p99_s": quantile(final, 99),
    }
    wall = loaded.blocks[-1].at - loaded.sent[0]
    return found | _costs(cost, full, wall), calm, rate


def _kvstore(
    setting: Setting, world: World, validators: int, full: Work, calm: Work, rate: float, sizes: Sizes
) -> Results:
    with (
        _place(setting.folder / "kvstore") as place,
        kvstore.running(setting.comet, place, world.genesis, validators, sizes.commit_ms) as net,
    ):
        cpu = net.cpu()
        steps = pairs_like(full.steps)
        top = figures(drive(net.offers, net.rpc, steps, sizes.window), full, sizes.window)
        cpu = net.cpu() - cpu
        eased = figures(drive(net.offers, net.rpc, pairs_like(calm.steps), len(calm.steps), rate), calm, 0)
    return {
        "tx_per_s": top.tx_per_s,
        "loaded_block_s": top.block_s,
        "loaded_p50_s": top.p50_s,
        "p50_s": eased.p50_s,
        "p99_s": eased.p99_s,
        "block_s": eased.block_s,
        "cpu_ms_per_tx": cpu * 1000 / len(steps),
    }


def _calm(world: World, acts: int, rate: float, sizes: Sizes) -> tuple[Work, float]:
    """Work for some seconds at a rate."""
    rate = max(rate, 2.0)
    groups = max(2, int(rate * sizes.steady_s / ENVELOPES))
    return make(world, now_ms(), groups, acts, int(rate * sizes.seen_s / ENVELOPES) + 1), rate


def _all_recorded(kept: Sequence[Kept], messages: int) -> None:
    refused, recorded = sum(one.refused for one in kept), sum(one.recorded for one in kept)
    if refused or recorded != messages:
        raise LoadFailed(f"{recorded} of {messages} messages came to the record; {refused} acts were refused.")


def _decided_per_s(loaded: Loaded, work: Work, kept: Sequence[Kept], window: int) -> float:
    """Messages recorded in the steady part, as the log has them."""
    first, last = steady(loaded, work, window)
    places = {step.data: place for place, step in enumerate(work.steps)}
    block_of = {place: index for index, block in enumerate(loaded.blocks) for place in block.places}
    decided = 0
    for one in kept:
        index = next((block_of[places[data]] for data in one.envelopes if data in places), -1)
        decided += one.recorded if first < index <= last else 0
    return decided / (loaded.blocks[last].at - loaded.blocks[first].at)


def _to_final(slow: Loaded, calm: Work, kept: Sequence[Kept], finals: Sequence[tuple[float, int]]) -> Iterator[float]:
    """Seconds from each envelope of the steady part to the final checkpoint that covers it."""
    size_of = {data: one.size for one in kept for data in one.envelopes}
    first, last = steady(slow, calm, 0)
    for block in slow.blocks[first + 1 : last + 1]:
        for place in block.places:
            size = size_of[calm.steps[place].data]
            yield next(at for at, reached in finals if reached >= size) - slow.sent[place]


def _costs(cost: Cost, work: Work, wall: float) -> Results:
    """By process, all nodes together."""
    txs, records = len(work.steps), work.messages
    return {
        "cpu_ms_per_tx": {"cometbft": cost.comet_cpu_s * 1000 / txs, "python": cost.python_cpu_s * 1000 / txs},
        "cpu_ms_per_record": {
            "cometbft": cost.comet_cpu_s * 1000 / records,
            "python": cost.python_cpu_s * 1000 / records,
        },
        "bytes_per_record": {"cometbft": cost.comet_bytes / records, "python": cost.python_bytes / records},
        "cores_busy": (cost.comet_cpu_s + cost.python_cpu_s) / wall / cores(),
        "others_busy": max(0.0, cost.others_cpu_s) / wall / cores(),
    }


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    """An empty folder that is removed afterwards."""
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
