"""A country on one node: 3,035 networks of 90,000 members, beside one network like those of its counties.

The networks are founded with all their signatures, declared to each other by motion, and held in memory, each with
its state, as a node does it. Then the same messages go once through one network alone, in blocks as full as the
engine makes them, and once spread evenly over the country, where every network must make blocks of its own.
"""

import gc
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.embedded.engine import CHUNK
from tocsin.engine.embedded.ledger import Ledger
from tocsin.engine.embedded.signatures import Verifier, Verifying
from tocsin.kernel.acts import PeerTerms
from tocsin.kernel.block import checks
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Genesis
from tocsin.lab.bench.machine import cores, now_ms
from tocsin.lab.bench.world import VOTERS, World, signer_of
from tocsin.node.tree import Edge, Tree
from tocsin.store.store import Store

COUNTY_MEMBERS = 29
NATION = "bench.example/nation"
_QUOTA = PeerTerms(1000, VOTERS, 14 * 86_400)
_Blocks = list[tuple[Ledger, list[Envelope]]]


class Size(NamedTuple):
    """Networks on each level, each a member of one above. `rounds`: messages of each network."""

    counties: int
    provinces: int
    rounds: int

    @property
    def networks(self) -> int:
        """All of them, the nation included."""
        return self.counties + self.provinces + 1


COUNTRY = Size(3000, 34, 3)


class Country(NamedTuple):
    """What was measured. `founded_s`: founding and declaring all; `gib`: the process at its largest, founding
    included; `one_s`, `spread_s`: a message in one network, and among all."""

    networks: int
    members: int
    founded_s: float
    gib: float
    one_s: float
    spread_s: float

    @property
    def slowdown(self) -> float:
        """A message among all networks, over one in a network alone."""
        return self.spread_s / self.one_s


def measure(folder: Path, size: Size, progress: Callable[[], None]) -> Country:
    """Found a country and drive it. Raises RuntimeError if an act is not accepted."""
    created = now_ms()
    verifier = Verifier(cores())
    one_s = _alone(folder, size, created, verifier)
    start = time.perf_counter()
    worlds, edges = _country(size, created)
    tree = Tree(folder / "country" / "networks" / "node.db", signer_of)

    def genesis() -> Iterator[Genesis]:
        for world in worlds:
            progress()
            yield world.genesis

    tree.found(genesis())
    tree.link(edges, created)
    founded_s = time.perf_counter() - start
    gc.collect()
    gc.freeze()
    driver = Driver(tree.store, [(world, tree.networks[world.origin].ledger) for world in worlds], verifier)
    spread_s = driver.drive(size.rounds, 1) / (size.networks * size.rounds)
    tree.close()
    verifier.close()
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Country(size.networks, sum(len(world.genesis.members) for world in worlds), founded_s, gib, one_s, spread_s)


def _alone(folder: Path, size: Size, created: int, verifier: Verifier) -> float:
    world = _county("bench.example/alone", created)
    with Store.open(folder / "alone.db") as store:
        driver = Driver(store, [(world, Ledger(world.found(store)))], verifier)
        return driver.drive(size.rounds, size.networks) / (size.networks * size.rounds)


def _country(size: Size, created: int) -> tuple[list[World], list[Edge]]:
    """Counties, provinces and the nation, and who reports to whom."""
    worlds: list[World] = []
    edges: list[Edge] = []
    offices: dict[str, list[str]] = {}

    def below(parent: str, name: str) -> str:
        origin = f"{parent}/{name}"
        offices.setdefault(parent, []).append(name)
        edges.append(Edge(origin, parent, name, _QUOTA))
        return origin

    provinces = [below(NATION, f"province-{number}") for number in range(size.provinces)]
    for number in range(size.counties):
        worlds.append(_county(below(provinces[number % size.provinces], f"county-{number}"), created))
    worlds += [World(origin, created, seats=offices.get(origin, ())) for origin in (*provinces, NATION)]
    return worlds, edges


def _county(origin: str, created: int) -> World:
    return World(origin, created, seats=[f"office-{number}" for number in range(COUNTY_MEMBERS - VOTERS - 1)])


class Driver:
    """Takes messages from report to record in many networks at once, group commit by group commit."""

    def __init__(self, store: Store, networks: Sequence[tuple[World, Ledger]], verifier: Verifier) -> None:
        self._store = store
        self._networks = networks
        self._verifier = verifier

    def drive(self, rounds: int, each: int) -> float:
        """`each` messages in every network, `rounds` times: a commit of the reports, then one of their ballots.

        Returns seconds; envelopes are made ready outside of them.
        """
        taken = 0.0
        for round in range(rounds):
            at = now_ms()
            reports = [[world.reports(at, round + place, 1) for place in range(each)] for world, _ in self._networks]
            ballots = [
                [
                    world.ballots(voter, [message_id(report.digest, 0)], at).data
                    for report in mine
                    for voter in world.voters
                ]
                for (world, _), mine in zip(self._networks, reports, strict=True)
            ]
            start = time.perf_counter()
            self._commit([[report.data for report in mine] for mine in reports])
            self._commit(ballots)
            taken += time.perf_counter() - start
        return taken

    def _commit(self, waiting: list[list[bytes]]) -> None:
        """Blocks of what waits in each network, and one commit. One chunk is verified while another is applied."""
        before: tuple[_Blocks, Verifying] | None = None
        with self._store.transaction():
            for chunk in self._chunks(waiting):
                wanted = [checks(ledger.state, envelopes) for ledger, envelopes in chunk]
                verifying = self._verifier.start([row for rows in wanted for row in rows])
                if before is not None:
                    _apply(*before)
                before = chunk, verifying
            if before is not None:
                _apply(*before)

    def _chunks(self, waiting: list[list[bytes]]) -> Iterator[_Blocks]:
        """Blocks of at most `CHUNK` envelopes, about as many envelopes together."""
        blocks: _Blocks = []
        size = 0
        for (_, ledger), mine in zip(self._networks, waiting, strict=True):
            for first in range(0, len(mine), CHUNK):
                blocks.append((ledger, [_read(data) for data in mine[first : first + CHUNK]]))
                size += len(blocks[-1][1])
                if size >= CHUNK:
                    yield blocks
                    blocks, size = [], 0
        if blocks:
            yield blocks


def _apply(blocks: _Blocks, verifying: Verifying) -> None:
    verdicts = iter(verifying.verdicts())
    for ledger, envelopes in blocks:
        outcome = ledger.propose(now_ms(), envelopes, [next(verdicts) for _ in envelopes])
        if outcome.dropped or any(code for codes in outcome.receipts for code in codes):
            raise RuntimeError(
                f"{ledger.state.meta.origin} did not accept an act: {outcome.dropped or outcome.receipts}"
            )
        ledger.stage(outcome)


def _read(data: bytes) -> Envelope:
    envelope = decode(data)
    assert not isinstance(envelope, Refusal)
    return envelope
