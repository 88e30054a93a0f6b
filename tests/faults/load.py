"""Work for the network while things go wrong, and a book of what became of each envelope."""

import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from msgspec import Struct

from tests.engine.comet import now
from tests.faults.site import Site
from tests.store.world import DAY_MS, World
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.reasons import Reason

NOISE = "noise"
AGAIN_S = 4.0
"""After so long without an answer an envelope is sent again, to another site."""


class Sent(Struct):
    """An envelope on its way. `sites`: whom it was given to; `places`: where receipts say that it stands."""

    data: bytes
    since: float
    sites: list[str]
    places: set[tuple[int, int]]
    receipts: list[list[int]]
    refusals: list[int]

    @property
    def settled(self) -> bool:
        """Whether it has a final answer."""
        return bool(self.places or self.refusals)


class Load:
    """Submits cases from a thread of its own to whatever site is up."""

    def __init__(self, world: World, chance: Random, sites: Callable[[], Sequence[Site]], pause_s: float) -> None:
        self._world = world
        self._chance = chance
        self._sites = sites
        self._pause_s = pause_s
        self.lock = threading.Lock()
        self.book: dict[str, Sent] = {}
        """Envelope digest -> what became of it."""
        self.pairs: list[tuple[str, str]] = []
        """Contradicting ballots of one member on one message."""
        self.refused_noise = 0
        self.silent: set[str] = set()
        """Members that are suspended, as far as faults know: nothing is asked of them."""
        self.running = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._ended.set()
        self._thread.join()

    def send(self, envelope: Envelope, site: Site) -> None:
        """Give an envelope to a site, and wait for no answer."""
        with self.lock:
            sent = self.book.setdefault(envelope.digest, Sent(envelope.data, 0.0, [], set(), [], []))
            sent.since = time.monotonic()
            sent.sites.append(site.name)
        site.submit(envelope.digest, envelope.data)

    def noise(self, data: bytes, site: Site) -> None:
        """Give it bytes that are no good envelope."""
        site.submit(NOISE, data)

    def heard(self, site: Site, line: dict[str, Any]) -> None:
        """What a site says. A site whose clock is wrong refuses what others take: that is no answer."""
        with self.lock:
            if line.get("refused") == NOISE:
                self.refused_noise += 1
            elif "receipt" in line:
                sent = self.book[line["receipt"]]
                sent.places.add((line["height"], line["position"]))
                sent.receipts.append(line["codes"])
            elif "refused" in line and not site.setup.skew_ms:
                self.book[line["refused"]].refusals.append(line["reason"])

    def unanswered(self) -> int:
        """How many wait."""
        with self.lock:
            return sum(1 for sent in self.book.values() if not sent.settled)

    def beat(self, site: Site) -> str:
        """Send the cheapest act there is; its digest."""
        at = now()
        member = self._chance.choice([one for one in self._world.members if one not in self.silent])
        envelope = self._world.present(member, at // DAY_MS, at - self._salt())
        self.send(envelope, site)
        return envelope.digest

    def _salt(self) -> int:
        """An envelope of the same content a moment ago would be the same envelope."""
        return self._chance.randrange(60_000)

    def _run(self) -> None:
        while not self._ended.wait(self._pause_s):
            if self.running.is_set():
                self._case()
            self._again()

    def _case(self) -> None:
        """A report, the ballots, and one more ballot of somebody that says the contrary of his first."""
        world, sites = self._world, self._sites()
        if not sites:
            return
        at = now() - self._salt()
        districts = world.members[:-1]
        author = self._chance.randrange(len(districts))
        case = world.case(at, author)
        liar = self._chance.choice([one for one in districts if one != districts[author]])
        contrary = world.ballot(liar, message_id(case[0].digest, 0), at, "reject")
        honest = next(one for one in case[1:] if one.header.author == liar)
        with self.lock:
            self.pairs.append((honest.digest, contrary.digest))
        # The report first and through one site, or most ballots would find no message.
        self.send(case[0], self._chance.choice(sites))
        time.sleep(self._pause_s)
        for envelope in (*case[1:], contrary):
            if here := self._sites():
                self.send(envelope, self._chance.choice(here))

    def _again(self) -> None:
        late = time.monotonic() - AGAIN_S
        with self.lock:
            waiting = [(digest, one.data) for digest, one in self.book.items() if not one.settled and one.since < late]
        for digest, data in waiting:
            if sites := self._sites():
                site = self._chance.choice(sites)
                with self.lock:
                    self.book[digest].since = time.monotonic()
                    self.book[digest].sites.append(site.name)
                site.submit(digest, data)


def wrong(sent: Sent) -> str:
    """Why the answers to one envelope cannot all be true; nothing if they can."""
    if len(sent.places) > 1:
        return f"stands at {sorted(sent.places)}"
    if any(codes != sent.receipts[0] for codes in sent.receipts):
        return f"has receipts {sent.receipts}"
    if any(code == Reason.ACCEPTED for code in sent.refusals):
        return "is refused without a reason"
    return ""
