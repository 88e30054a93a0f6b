"""Validators on one machine, the wires between them, work for them, and what must hold after every fault."""

import threading
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.comet import PATIENCE_S, WINDOW_S, free_port, installed, new_world
from tests.faults.disk import Broken, Disk, agree, placed, read
from tests.faults.links import Links
from tests.faults.load import Load, wrong
from tests.faults.site import Site
from tests.faults.validator import SNAPSHOT_EVERY, Setup
from tests.store.drive import verify_all
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel import block as kernel
from tocsin.kernel.evidence import caught_in
from tocsin.kernel.reasons import Reason
from tocsin.store.fsck import fsck
from tocsin.store.records import StoredBlock
from tocsin.store.store import Store
from tocsin.store.watermark import Watermark

Pair = tuple[int, int]
"""Two sites, the one that dials first."""
LIVE_S = 30.0
"""Once a quorum stands and can talk, an envelope is final after so long at the latest. Lost connections are dialled
again after five to eight seconds; the rest is for a loaded machine. Until the program has started it does not stand."""
CATCH_UP_S = PATIENCE_S
"""Of what no law sets a time for."""


class Network:
    """So many validators and, beside them, a place for each twin: another node with the key of a validator.

    `mounts`: folders by site number that are elsewhere, for a small disk.
    """

    def __init__(
        self, folder: Path, toxiproxy: Path, validators: int, seed: int, *, twins: Sequence[int] = (),
        mounts: dict[int, Path] | None = None, pause_s: float = 0.15,
    ) -> None:  # fmt: skip
        self.chance = Random(seed)
        self.validators = validators
        self.world = new_world(validators, origin=f"health.example/faults/{seed}")
        self.folder = folder
        owners = [*range(validators), *twins]
        self.ports = [free_port() for _ in owners]
        self.rpcs = [free_port() for _ in owners]
        wires: dict[Pair, int] = {pair: self.ports[pair[1]] for pair in combinations(range(len(owners)), 2)}
        self.links = Links(toxiproxy, wires, folder / "toxiproxy.log")
        self.seeds = [sha256(f"{self.world.origin}/site/{number}".encode()).digest() for number in range(len(owners))]
        self._lock = threading.Lock()
        self._wrong: list[str] = []
        self.signed: dict[int, dict[str, str]] = {}
        """Size -> root -> who signed it first."""
        self.expelled: set[str] = set()
        """Sites that are no validators any more."""
        self.lies = 0
        """Bad proposals made."""
        self.sites: list[Site] = []
        for number, owner in enumerate(owners):
            place = (mounts or {}).get(number, folder / f"site-{number}")
            signed = folder / f"signed-{number}"
            self.sites.append(Site(f"site-{number}", self._setup(number, owner, place, signed), self._heard))
            self.sites[-1].small_disk = number in (mounts or {})
        self.honest = self.sites[:validators]
        """Sites that keep the rules, whoever else has their keys."""
        self.twins = self.sites[validators:]
        self.load = Load(self.world, Random(seed + 1), self.up, pause_s)

    def _setup(self, number: int, owner: int, folder: Path, signed: Path) -> Setup:
        peers = [
            f"{node_id(self.seeds[other])}@127.0.0.1:{at}"
            for (one, other), at in self.links.at.items()
            if one == number
        ]
        return Setup(
            str(installed()), str(folder), str(signed), f"{signed}-votes", self.world.origin, self.world.created, WINDOW_S,
            self.validators, owner, self.seeds[number].hex(), f"127.0.0.1:{self.ports[number]}",
            f"127.0.0.1:{self.rpcs[number]}", peers, [node_id(seed) for seed in self.seeds],
        )  # fmt: skip

    @property
    def faulty(self) -> int:
        """How many more may be down or lie (spec 10.3)."""
        return (self.validators - len(self.expelled) - 1) // 3

    @property
    def pairs(self) -> list[Pair]:
        """All wires between validators, and to twins."""
        return list(self.links.at)

    def start(self) -> None:
        """All validators up, and a first envelope final."""
        for site in self.sites[: self.validators]:
            site.start()
        self.live(LIVE_S * 2)
        self.load.running.set()

    def close(self) -> None:
        """Kill what runs."""
        self.load.close()
        for site in self.sites:
            site.kill()
        self.links.close()

    def restart(self, site: Site, **changes: Any) -> None:
        """Start a site that is down, with some of its setup changed."""
        site.start(replace(site.setup, **changes))

    def some(self, count: int) -> list[Site]:
        """So many of the validators that are up, at random."""
        return self.chance.sample([site for site in self.up() if site.name not in self.expelled], count)

    def up(self) -> list[Site]:
        """Honest sites that run."""
        return [site for site in self.honest if site.up]

    # What sites tell.

    def _heard(self, site: Site, line: dict[str, Any]) -> None:
        with self._lock:
            match line:
                case {"ready": _}:
                    site.ready = True
                case {"final": height}:
                    site.final = height
                case {"signed": size, "root": root}:
                    self.signed.setdefault(size, {}).setdefault(root, site.name)
                case {"halted": why} if site.up:
                    site.halted = why
                case {"broken": why} if site.up:
                    self._wrong.append(f"{site.name} broke: {why}")
                case {"trouble": why}:
                    site.trouble = why
                case {"sync": how_far}:
                    site.sync = how_far
                case {"turned down": why}:
                    site.turned_down.append(why)
                case {"lied": _}:
                    self.lies += 1
                case {"receipt": _} | {"refused": _}:
                    self.load.heard(site, line)

    # What must hold.

    def live(self, limit: float = LIVE_S) -> float:
        """Seconds until an envelope that is sent now is final; raises Broken after `limit`."""
        self._until(
            lambda: all(site.ready for site in self.up()), PATIENCE_S, lambda: f"not all have started: {self.where()}"
        )
        start = time.monotonic()
        digest = self.load.beat(self.chance.choice(self.up()))
        sent = self.load.book[digest]
        self._until(lambda: bool(sent.places), limit, lambda: f"no block within {limit:.0f} s: {self.where()}")
        return time.monotonic() - start

    def check(self, *, live_s: float = LIVE_S) -> tuple[float, int]:
        """Everything, with the load paused: seconds to liveness, and the height at which all agree."""
        self.load.running.clear()
        try:
            took = self.live(live_s)
            self._until(
                lambda: not self.load.unanswered(), CATCH_UP_S,
                lambda: f"{self.load.unanswered()} envelopes have no answer: {self.where()}",
            )  # fmt: skip
            top = max(site.final for site in self.up())
            self._until(
                lambda: all(site.final >= top for site in self.up()), CATCH_UP_S,
                lambda: f"not all come to block {top}: {self.where()}",
            )  # fmt: skip
            height = self._agree()
        finally:
            self.load.running.set()
        if self._wrong:
            raise Broken("; ".join(self._wrong))
        return took, height

    def _agree(self) -> int:
        """All logs and states are the same bytes, and the book is right."""
        end = time.monotonic() + CATCH_UP_S
        while time.monotonic() < end:
            blocks = agree({site.name: self.read(site) for site in self.up()})
            if blocks is not None:
                self._audit(blocks)
                return blocks[-1].height
            time.sleep(0.25)
        raise Broken(f"the sites come to no common height: {self.where()}")

    def read(self, site: Site) -> Disk:
        """What stands on a site's disk now."""
        return read(site.folder / "store.db", self.world.origin)

    def _audit(self, blocks: list[StoredBlock]) -> None:
        """No receipt is lost, nothing stands twice, nobody's vote counts twice, and what was signed stands."""
        stands = placed(blocks)
        codes = {block.height: block.receipts for block in blocks}
        with self.load.lock:
            book, pairs = dict(self.load.book), list(self.load.pairs)
        top = blocks[-1].height
        for digest, sent in book.items():
            if why := wrong(sent):
                raise Broken(f"{digest} {why}")
            for height, position in sent.places:
                if height <= top and stands.get(digest) != (height, position):
                    raise Broken(f"{digest} had a receipt for {height, position}, and stands at {stands.get(digest)}")
            if Reason.SEEN_BEFORE in sent.refusals and digest not in stands:
                raise Broken(f"{digest} was refused as seen before, and stands nowhere")
        for one, other in pairs:
            if all(
                digest in stands and codes[stands[digest][0]][stands[digest][1]] == [Reason.ACCEPTED]
                for digest in (one, other)
            ):
                raise Broken(f"both ballots of one member count: {one} and {other}")
        roots = {block.size: block.root.hex() for block in blocks}
        for size, signed in dict(self.signed).items():
            if size <= blocks[-1].size and list(signed) != [roots.get(size)]:
                raise Broken(f"signed of size {size}: {signed}; the log has {roots.get(size)}")

    def leaves(self) -> list[bytes]:
        """The log of one that is up."""
        return [leaf for block in self.read(self.up()[0]).blocks for leaf in block.leaves]

    def caught(self) -> list[str]:
        """Keys of validators that the log says voted twice."""
        return caught_in(self.leaves())

    def examine(self) -> None:
        """Stop all, and look at every disk byte by byte, as an auditor would."""
        self.load.close()
        for site in self.sites:
            site.stop()
        for site in self.honest:
            with Store.open(site.folder / "store.db") as store, Watermark.open(site.signed) as mark:
                head = mark.head(self.world.origin)
                signed = {} if head is None else {self.world.origin: head}
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(kernel, "SNAPSHOT_EVERY", SNAPSHOT_EVERY)
                    found = list(fsck(store, verify_all, fast=True, signed=signed))
            if found:
                raise Broken(f"fsck of {site.name}: {found}")

    def where(self) -> str:
        """Where everybody stands, for a failure's report."""
        return "; ".join(
            f"{site.name} {'up' if site.up else 'down'} at {site.final} {site.halted or site.trouble}".strip()
            for site in self.sites
        )

    def _until(self, done: Callable[[], bool], limit: float, why: Callable[[], str]) -> None:
        end = time.monotonic() + limit
        while not done():
            if time.monotonic() > end:
                raise Broken(why())
            time.sleep(0.02)

    def wait(self, done: Callable[[], bool], limit: float, what: str) -> None:
        """Wait until something is so; raises Broken if it takes too long."""
        self._until(done, limit, lambda: f"{what} within {limit:.0f} s; {self.where()}")
