"""A country on one node: 3,035 networks of 90,000 members, beside one network like those of its counties.

The networks are founded with all their signatures, declared to each other by motion, and held in memory, each with
its state, as a node does it. The same messages then go through one network alone and, spread evenly, through all of
them; reports and ballots in as many blocks and as large commits, so that the number of networks is all that differs.
What a network alone gains from full blocks is reported beside.
"""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.embedded.engine import CHUNK
from tocsin.engine.embedded.processes import ProcessVerifier
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Checker, Verifying
from tocsin.kernel.acts import PeerTerms
from tocsin.kernel.block import checks
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Genesis
from tocsin.lab.bench.machine import cores, now_ms
from tocsin.lab.bench.world import VOTERS, World, signer_of
from tocsin.node.trial.tree import Edge, Tree
from tocsin.store.store import Store

COUNTY_MEMBERS = 29
NATION = "bench.example/nation"
_QUOTA = PeerTerms(1000, VOTERS, 14 * 86_400)
_Blocks = list[tuple[Ledger, list[Envelope]]]
_Waiting = list[tuple[Ledger, list[bytes]]]


class Size(NamedTuple):
    """Networks on each level, each a member of one above. `rounds`: messages of each network, of which the fastest
    count."""

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
    included; the others: seconds for a message, among all networks, in one alone, and in one with full blocks."""

    networks: int
    members: int
    founded_s: float
    gib: float
    spread_s: float
    one_s: float
    one_full_s: float

    @property
    def slowdown(self) -> float:
        """A message among all networks, over one in a network alone."""
        return self.spread_s / self.one_s


def measure(folder: Path, size: Size, progress: Callable[[], None]) -> Country:
    """Found a country and drive it. Raises RuntimeError if an act is not accepted."""
    created = now_ms()
    verifier = ProcessVerifier(cores())
    start = time.perf_counter()
    worlds, edges = _country(size, created)
    tree = Tree(folder / "country" / "networks" / "node.db", signer_of)

    def geneses() -> Iterator[Genesis]:
        for world in worlds:
            progress()
            yield world.genesis

    tree.found(geneses())
    tree.link(edges, created)
    founded_s = time.perf_counter() - start
    members = sum(len(world.genesis.members) for world in worlds)
    networks = [(world, tree.networks[world.origin].ledger) for world in worlds]
    alone = _county("bench.example/alone", created)
    with Store.open(folder / "alone.db") as store:
        one = Driver(store, [(alone, Ledger(alone.found(store)))], verifier)
        country = Driver(tree.store, networks, verifier)
        spread, small, full = [], [], []
        # In turn, so that all three meet the same machine.
        for round in range(size.rounds):
            spread.append(country.drive(round, 1, 1))
            small.append(one.drive(round, size.networks, 1))
            full.append(one.drive(round, size.networks, size.networks))
            progress()
    tree.close()
    verifier.close()
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    times = (min(taken) / size.networks for taken in (spread, small, full))
    return Country(size.networks, members, founded_s, gib, *times)


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

    def __init__(self, store: Store, networks: Sequence[tuple[World, Ledger]], verifier: Checker) -> None:
        self._store = store
        self._networks = networks
        self._verifier = verifier

    def drive(self, round: int, each: int, together: int) -> float:
        """`each` messages in every network: a commit of the reports, then one of their ballots. Blocks hold what
        belongs to `together` messages.

        Returns seconds; envelopes are made ready outside of them.
        """
        at = now_ms()
        reports: _Waiting = []
        ballots: _Waiting = []
        for world, ledger in self._networks:
            mine = [world.reports(at, round + place, 1) for place in range(each)]
            for first in range(0, each, together):
                block = mine[first : first + together]
                reports.append((ledger, [one.data for one in block]))
                named = [message_id(one.digest, 0) for one in block]
                ballots.append((ledger, [world.ballots(one, [id], at).data for id in named for one in world.voters]))
        start = time.perf_counter()
        self._commit(reports)
        self._commit(ballots)
        return time.perf_counter() - start

    def _commit(self, waiting: _Waiting) -> None:
        """Blocks of what waits in each network, and one commit. One chunk is verified while another is applied."""
        before: tuple[_Blocks, Verifying] | None = None
        with self._store.transaction():
            for blocks in _chunks(waiting):
                wanted = [checks(ledger.state, envelopes) for ledger, envelopes in blocks]
                verifying = self._verifier.start([row for rows in wanted for row in rows])
                if before is not None:
                    _apply(*before)
                before = blocks, verifying
            if before is not None:
                _apply(*before)


def _chunks(waiting: _Waiting) -> Iterator[_Blocks]:
    """Blocks of at most `CHUNK` envelopes each, about as many envelopes together."""
    blocks: _Blocks = []
    size = 0
    for ledger, data in waiting:
        for first in range(0, len(data), CHUNK):
            blocks.append((ledger, [_read(one) for one in data[first : first + CHUNK]]))
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
