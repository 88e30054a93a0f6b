"""Histories: what happens in small networks, right and wrong, from a seed or from Hypothesis.

Acts are chosen by looking at the oracle's book, so that most can succeed; each has wrong siblings
that differ in one thing. No signature is made: the verdict of a check travels with its envelope.
"""

from collections.abc import Callable, Sequence

from tests.kernel.networks import Chance, hexes, seal
from tests.kernel.writers import Writers, Written
from tests.oracle.beside import Sealed, Step
from tests.oracle.book import DAY
from tests.oracle.oracle import Oracle
from tocsin.kernel import acts as wire

ACTS = (
    "report", "judge", "veto", "concur", "withdraw", "annotate", "incident", "constitution", "order", "acknowledge",
    "finding", "review", "present", "last", "relay", "share", "peering", "join", "seal", "ready", "evidence", "erase",
)
"""Sorts of acts that a story can write."""


class Story(Writers):
    """A history that goes on: `next()` gives a step, and the caller's oracle must have taken it."""

    def __init__(self, chance: Chance, oracle: Oracle) -> None:
        super().__init__(chance, oracle)
        self.sealed: list[Sealed] = []
        theme = chance.of(("any", "response", "peers", "roster", "findings"))
        more = {one: 3 if one == theme else 1 for one in ("response", "peers", "roster", "findings")}
        self.writers: dict[str, tuple[int, Callable[[], Written]]] = {
            "report": (14, self._report),
            "judge": (16, self._judge),
            "veto": (3, self._veto),
            "concur": (7, self._concur),
            "withdraw": (1, self._withdraw),
            "annotate": (4 * more["findings"], self._annotate),
            "incident": (12 * more["response"], self._incident_motion),
            "constitution": (8 * more["roster"], self._constitution),
            "order": (8 * more["response"], self._order),
            "acknowledge": (8 * more["response"], self._acknowledge),
            "finding": (8 * more["findings"], self._finding),
            "review": (4 * more["findings"], self._review),
            "present": (2, self._present),
            "last": (more["roster"], self._last),
            "relay": (8 * more["peers"], self._relay),
            "share": (4 * more["peers"], self._share),
            "peering": (4 * more["peers"], self._peering),
            "join": (2 * more["roster"], self._join),
            "seal": (3 * more["roster"], self._sealed),
            "ready": (2, self._ready),
            "evidence": (more["peers"], self._evidence),
            "erase": (1, self._erase),
        }

    # A step.

    def next(self) -> Step:
        self.at = self._time()
        self.relayed_now = set()
        sealed: list[Sealed] = []
        for _ in range(self.chance.of((1, 1, 1, 2, 2, 3, 5))):
            one = self._envelope()
            if one is not None:
                sealed.append(one)
        if self.chance.percent(35):
            sealed.extend(self._push())
        if self.chance.percent(4):
            sealed = []
        return self._step(sealed)

    def only(self, what: str, wrong: bool = False) -> Step:
        """A block with one act of a sort; `wrong`: by any member, and in a doubtful envelope."""
        self.at = self._time()
        self.relayed_now = set()
        written = self.writers[what][1]()
        if written is None or written[0] is None:
            return self._step([])
        author = self._anyone() if wrong else written[0]
        return self._step([self._seal(author, [written[1]], doubtful=wrong)])

    def endorsed(self) -> Step:
        """A block in which a message is mostly endorsed."""
        self.at += 1000
        return self._step(self._push())

    def wait(self) -> Step:
        """Time passes and nobody acts."""
        self.at = self._time()
        return self._step([])

    def _step(self, sealed: list[Sealed]) -> Step:
        self.sealed.extend(sealed)
        return Step(self.at, sealed)

    def _push(self) -> list[Sealed]:
        """Most of who may still judge a message endorse it, so that some pass."""
        chance, book = self.chance, self.book
        message = self._message(lambda m: m.live and bool(self._free(m)))
        if message is None:
            return []
        sealed = []
        for name in self._free(message):
            if book.active(name) and chance.percent(85):
                act = wire.Judge(message.id, "endorse", None, "judge", None, None)
                sealed.append(seal(book.genesis, name, [act], self.at + 600_000, book.members[name].keys.act))
        return sealed

    def _time(self) -> int:
        chance, now = self.chance, self.at
        pick = chance.below(100)
        if pick < 58:
            return now + chance.of((0, 1, 1000, 60_000, 600_000))
        if pick < 85:
            due = sorted({one[0] for one in self.book.deadlines() if one[0] > now})
            if due:
                near = due[chance.below(min(3, len(due)))]
                return max(now, near + chance.of((0, 0, 0, -1, 1, 60_000, 120_000, 120_001, 3_600_000)))
        if pick < 97:
            return now + chance.of((3_600_000, 6 * 3_600_000, DAY, 2 * DAY))
        return now + chance.of((4 * DAY, 8 * DAY, 31 * DAY, 61 * DAY))

    def _envelope(self) -> Sealed | None:
        chance = self.chance
        if self.sealed and chance.percent(2):
            return chance.of(self.sealed[-20:])
        written = self._act()
        if written is None:
            return None
        author, act = written
        acts: list[wire.Act] = [act]
        if not isinstance(act, wire.RelayAct | wire.Evidence | wire.Rotate | wire.Seal) and chance.percent(15):
            for _ in range(1 + chance.below(3)):
                more = self._act()
                if more is not None and not isinstance(more[1], wire.RelayAct | wire.Evidence | wire.Rotate | wire.Seal):
                    acts.append(more[1])
        return self._seal(author, acts, doubtful=True)

    def _seal(self, author: str, acts: Sequence[wire.Act], doubtful: bool) -> Sealed:
        """An envelope; in one of twelve something about a doubtful one is wrong."""
        chance, book, act = self.chance, self.book, acts[0]
        member = book.members.get(author)
        key = member.keys.act if member is not None else hexes("nobody")
        if isinstance(act, wire.Rotate) and member is not None and not chance.percent(10):
            key = member.keys.root
        proofs = not (doubtful and _proves(act) and chance.percent(8))
        genesis, signed, until = book.genesis, True, self.at + 600_000
        wrong = chance.below(100) if doubtful else 0
        if wrong > 92:
            match wrong:
                case 99:
                    genesis = hexes("elsewhere")
                case 98:
                    author = "nobody"
                case 97:
                    key = hexes("other key")
                case 96:
                    signed = False
                case 95:
                    until = self.at + chance.of((0, -1, 1))
                case 94:
                    until = self.at + 3_600_000 + chance.of((0, 1))
                case _ if member is not None:
                    key = member.keys.root
        return seal(genesis, author, acts, until, key, signed, proofs)

    def _act(self) -> tuple[str, wire.Act] | None:
        total = sum(weight for weight, _ in self.writers.values())
        pick = self.chance.below(total)
        for weight, writer in self.writers.values():
            if pick < weight:
                return self._twist(writer())
            pick -= weight
        return None

    def _twist(self, written: Written) -> tuple[str, wire.Act] | None:
        """The wrong sibling: the same act by another."""
        if written is None or written[0] is None:
            return None
        return self._anyone() if self.chance.percent(8) else written[0], written[1]


def _proves(act: wire.Act) -> bool:
    """Whether an act brings signatures of its own, whose checks the node answers."""
    if isinstance(act, wire.Submit):
        return isinstance(act.terms, wire.AdmitMotion | wire.RekeyMotion)
    return isinstance(act, wire.Rotate | wire.RelayAct | wire.Evidence | wire.Seal)
