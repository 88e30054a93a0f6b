"""The load: one program that sends transactions to nodes, and sees in which block each of them is.

It is the same for the kvstore and for Tocsin: each gets them where its users hand them in, CometBFT's RPC or a node's
HTTP. Transactions go to the nodes in turn, as many at once as a node takes; a block counts as soon as the first node's
application has executed and kept it. Either as many as possible are on their way (`window`), or they come at fixed
times (`rate`), each timed from when it should have been sent, so that no stall is hidden.
"""

import threading
import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.cometbft.rpc import Rpc, RpcError, RpcUnreachable
from tocsin.engine.cometbft.transactions import envelopes
from tocsin.lab.bench.net.work import Step, Work
from tocsin.node.web.http import BATCH

LOOK_S = 0.02
"""Between looks for a new block, which is how exactly a block's time is known."""
PATIENCE_S = 120.0
"""Without any block of ours after which a run has failed."""


class LoadFailed(RuntimeError):
    """The network did not take the work; the sentence says how far it came."""


class Block(NamedTuple):
    """One that held something. `at`: seconds; `places`: of the transactions in it."""

    height: int
    at: float
    places: list[int]


class Loaded(NamedTuple):
    """What was seen: the blocks in order, and when each transaction was sent, or should have been."""

    blocks: list[Block]
    sent: list[float]


class Figures(NamedTuple):
    """`block_s`: mean time between blocks; `p50_s`, `p99_s`: sent to executed."""

    tx_per_s: float
    block_s: float
    p50_s: float
    p99_s: float


Offer = Callable[[Sequence[bytes]], list[bytes]]
"""Hands transactions to a node; returns those that it has no room for now. Raises LoadFailed."""


def drive(
    offers: Sequence[Offer], rpc: Path, steps: Sequence[Step], window: int, rate: float | None = None
) -> Loaded:
    """Send everything, and wait until it is in blocks. `offers`: a node each; `rpc`: socket of the first one's
    CometBFT; `window`: the most that are on their way, from the oldest without a block to the newest; `rate`: a second.

    Raises LoadFailed.
    """
    with ExitStack() as stack:
        watch = _Watch(Rpc(rpc), steps)
        stack.callback(watch.stop)
        sent = [0.0] * len(steps)
        start = time.perf_counter()
        turn = next_ = 0
        while watch.oldest < len(steps):
            now = time.perf_counter()
            end = min(len(steps), next_ + BATCH, watch.oldest + window)
            if rate is not None:
                end = min(end, int((now - start) * rate))
            upto = next_
            while upto < end and watch.is_done(steps[upto].after):
                sent[upto] = now if rate is None else start + upto / rate
                upto += 1
            if upto == next_:
                watch.wait()
                continue
            _offer(offers[turn % len(offers)], [step.data for step in steps[next_:upto]])
            turn += 1
            next_ = upto
        return Loaded(watch.blocks, sent)


def _offer(offer: Offer, batch: list[bytes]) -> None:
    """Again where there is no room."""
    until = time.perf_counter() + PATIENCE_S
    while batch := offer(batch):
        if time.perf_counter() > until:
            raise LoadFailed(f"A node had no room for {PATIENCE_S:g} s.")
        time.sleep(LOOK_S)


class _Watch:
    """Looks for blocks, in a thread of its own."""

    def __init__(self, rpc: Rpc, steps: Sequence[Step]) -> None:
        self.blocks: list[Block] = []
        self.oldest = 0
        """Place of the first transaction without a block."""
        self._rpc = rpc
        self._places = {step.data: place for place, step in enumerate(steps)}
        self._done = bytearray(len(steps))
        self._last = time.perf_counter()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._failed = ""
        self._height = self._reached()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def is_done(self, place: int) -> bool:
        """Whether a transaction is in a block; -1 is none, and done."""
        return place < 0 or bool(self._done[place])

    def wait(self) -> None:
        """A little, or until there is a new block. Raises LoadFailed if there was none for too long."""
        self._news.wait(LOOK_S)
        self._news.clear()
        if self._failed or time.perf_counter() - self._last > PATIENCE_S:
            left = self._done.count(0)
            raise LoadFailed(self._failed or f"No block for {PATIENCE_S:g} s; {left} of {len(self._done)} have none.")

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()
        self._rpc.close()

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK_S):
                reached = self._reached()
                at = time.perf_counter()
                for height in range(self._height + 1, reached + 1):
                    self._take(height, at)
                self._height = reached
        except (RpcUnreachable, RpcError) as error:
            self._failed = f"The first node does not answer any more: {error}"

    def _reached(self) -> int:
        """Height of the last block that the first node's application has kept."""
        return int(self._rpc.call("abci_info")["response"].get("last_block_height", 0))

    def _take(self, height: int, at: float) -> None:
        held = self._rpc.call("block", height=str(height))["block"]["data"]["txs"]
        places = [self._places[data] for tx in held for data in envelopes(b64decode(tx)) if data in self._places]
        if not places:
            return
        for place in places:
            self._done[place] = 1
        self.blocks.append(Block(height, at, places))
        self.oldest = self._done.find(0, self.oldest)
        if self.oldest < 0:
            self.oldest = len(self._done)
        self._last = at
        self._news.set()


def steady(loaded: Loaded, work: Work, window: int) -> tuple[int, int]:
    """Indices of the first and the last block between which the load was whole: after what was first on its way,
    before only ballots were left. Raises LoadFailed if there are not three blocks.
    """
    ends: list[int] = []
    for block in loaded.blocks:
        ends.append(len(block.places) + (ends[-1] if ends else 0))
    begun = work.first + window
    inside = [index for index, end in enumerate(ends) if begun <= end <= work.last]
    if len(inside) < 3:
        raise LoadFailed(f"{len(inside)} whole blocks are too few to measure; the run must be longer.")
    return inside[0], inside[-1]


def figures(loaded: Loaded, work: Work, window: int) -> Figures:
    """Over the steady part."""
    first, last = steady(loaded, work, window)
    before, inside = loaded.blocks[first], loaded.blocks[first + 1 : last + 1]
    wall = inside[-1].at - before.at
    waited = sorted(block.at - loaded.sent[place] for block in inside for place in block.places)
    return Figures(
        len(waited) / wall, wall / (inside[-1].height - before.height), quantile(waited, 50), quantile(waited, 99)
    )


def quantile(waited: Sequence[float], percent: int) -> float:
    """Of sorted times."""
    return waited[len(waited) * percent // 100]
