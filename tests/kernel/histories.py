"""Histories: random small networks and what happens in them, right and wrong, from a seed or from Hypothesis.

Acts are chosen by looking at the oracle's book, so that most can succeed; each has wrong siblings
that differ in one thing. No signature is made: the verdict of a check travels with its envelope.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.kernel.foreign import Foreign
from tests.oracle.beside import Sealed, Step
from tests.oracle.book import DAY, Incident, Member, Message
from tests.oracle.law import entry_digest, features_digest, keys_digest
from tests.oracle.oracle import Oracle
from tocsin import charters
from tocsin.kernel import acts as wire
from tocsin.kernel.charter import Charter, Dormant, IncidentKey, Scheme
from tocsin.kernel.envelope import Envelope, decode, unsigned
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders

T = TypeVar("T")
START = 1_767_225_600_000
"""2026-01-01T00:00Z."""
CATEGORIES = ("icd11:1D2Z", "icd11:1E70")
AREAS = ("iso3166-2:TW-TNN", "iso3166-2:TW-KHH")


class Dice(Protocol):
    """Where chance comes from: a seed, or Hypothesis."""

    def below(self, n: int) -> int: ...


class Seeded:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def below(self, n: int) -> int:
        return self.random.randrange(n)


class Drawn:
    """Chance drawn by Hypothesis, so that a failing history shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def below(self, n: int) -> int:
        return self.data.draw(st.integers(0, n - 1)) if n > 1 else 0


class Chance:
    """Choices out of dice."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice

    def below(self, n: int) -> int:
        return self.dice.below(n)

    def of(self, values: Sequence[T]) -> T:
        return values[self.dice.below(len(values))]

    def percent(self, n: int) -> bool:
        """True in n of a hundred; the first choice, to which Hypothesis shrinks, is False."""
        return self.dice.below(100) >= 100 - n


def hexes(*words: object) -> str:
    """32 bytes as hex, fixed by words: a key or digest that nobody need own."""
    return sha256("/".join(map(str, words)).encode()).hexdigest()


def keys_of(name: str, version: int = 0) -> wire.Keys:
    return wire.Keys(
        hexes(name, "root", version), hexes(name, "act", version), hexes(name, "finality", version), None, "self"
    )


def network(charter: Charter, members: Sequence[tuple[str, Sequence[str]]], origin: str = "here.example/n") -> Genesis:
    founders = [
        Founder(name, f"lei:{name.upper()}", sorted(roles), keys_of(name))  # type: ignore[arg-type]
        for name, roles in members
    ]
    return Genesis(1, origin, START, charter, hexes("log", origin), sorted_founders(founders))


def seal(
    genesis: str, author: str, acts: Sequence[wire.Act], valid_until: int, key: str, signed: bool = True,
    proofs: bool = True,
) -> Sealed:
    envelope = decode(unsigned(genesis, author, valid_until, acts).seal(key, b"\x01" * 64))
    assert isinstance(envelope, Envelope), envelope
    return Sealed(envelope, signed, proofs)


# Charters: those that ship, and variations that make rare things frequent.


def some_charter(chance: Chance, voters: int, supervisors: int) -> Charter:
    name = chance.of(("paper", "pilot", "broadcast-only", "figure-4"))
    charter = charters.load(name)
    if voters < 3 and name in ("paper", "pilot") and voters + supervisors >= 2 and chance.percent(70):
        charter = charters.for_network(name, voters, supervisors)[0]
    elif name == "pilot":
        charter = charters.for_network(name, max(2, voters), supervisors, k=1 + chance.below(3))[0]
    if chance.percent(50):
        charter = replace(charter, kinds=[])
    return vary(chance, charter)


def vary(chance: Chance, charter: Charter) -> Charter:
    """A few numbers changed, so that limits, dormancy and notices are met in a short history."""
    if chance.percent(30):
        tight = {"envelopes": 6, "envelope_ms": 60_000, "reports_week": 3, "open_messages": 4, "open_motions": 2}
        charter = replace(charter, limits=replace(charter.limits, **tight))
    if chance.percent(30):
        charter = replace(charter, tokens=replace(charter.tokens, bucket=2, refill_s=2 * 86_400))
    if chance.percent(30):
        charter = replace(charter, dormant=Dormant(2 * 86_400, 1 + chance.below(2)))
    if chance.percent(20):
        charter = replace(charter, incident_key=IncidentKey(True, chance.percent(50), chance.percent(50)))
    if chance.percent(20):
        charter = replace(charter, stains=replace(charter.stains, refuted=True, grace_s=chance.of((0, 86_400))))
    if chance.percent(15):
        schemes = [Scheme("area", "iso3166-2", 6), Scheme("category", "icd11", 4)]
        charter = replace(charter, schemes=schemes)
    if chance.percent(20):
        charter = replace(charter, times=replace(charter.times, quiet_s=3 * 86_400, lead_s=2 * 86_400, retry_s=86_400))
    if chance.percent(25):
        rules = [
            replace(rule, notice_s=min(3600, rule.window_s // 2)) if rule.threshold is not None and chance.percent(30)
            else rule
            for rule in charter.rules
        ]
        charter = replace(charter, rules=rules)
    if chance.percent(15):
        rules = [
            replace(rule, signal=not rule.signal) if rule.kind.startswith(("report.", "relayed.report.")) else rule
            for rule in charter.rules
        ]
        charter = replace(charter, rules=rules)
    return charter


ROLES: tuple[tuple[str, ...], ...] = (
    ("reporter", "voter"), ("reporter", "voter"), ("reporter", "voter"), ("supervisor",), ("relay", "voter"),
    ("relay", "supervisor"), ("auditor",), ("reporter",), ("voter",), ("auditor", "reporter"),
)


def some_network(chance: Chance) -> Genesis:
    members = [(f"m{i}", chance.of(ROLES) if i > 2 else ("reporter", "voter")) for i in range(1 + chance.below(7))]
    if len(members) > 3 and chance.percent(60):
        members[-1] = (members[-1][0], ("relay", "supervisor"))
    voters = sum(1 for _, roles in members if "voter" in roles)
    supervisors = sum(1 for _, roles in members if "supervisor" in roles)
    return network(some_charter(chance, max(1, voters), supervisors), members)


class Story:
    """A history that goes on: `next()` gives a step, and the caller's oracle must have taken it."""

    def __init__(self, chance: Chance, oracle: Oracle) -> None:
        self.chance = chance
        self.book = oracle
        self.at = oracle.at
        self.peers: dict[str, Foreign] = {}
        self.sealed: list[Sealed] = []
        self.versions = 0
        self.relayed_now: set[str] = set()
        self.writers: list[tuple[int, Callable[[], tuple[str, wire.Act] | None]]] = [
            (14, self._report), (22, self._judge), (4, self._veto), (6, self._concur), (2, self._withdraw),
            (5, self._annotate), (9, self._incident_motion), (9, self._constitution), (5, self._order),
            (6, self._acknowledge), (7, self._finding), (5, self._review), (2, self._present), (1, self._last),
            (9, self._relay), (3, self._share), (1, self._strange), (1, self._evidence),
        ]

    # A step.

    def next(self) -> Step:
        self.at = self._time()
        self.relayed_now = set()
        sealed: list[Sealed] = []
        for _ in range(self.chance.of((1, 1, 1, 2, 2, 3, 5))):
            one = self._envelope()
            if one is not None:
                sealed.append(one)
        if self.chance.percent(4):
            sealed = []
        self.sealed.extend(sealed)
        return Step(self.at, sealed)

    def _time(self) -> int:
        chance, now = self.chance, self.at
        pick = chance.below(100)
        if pick < 45:
            return now + chance.of((0, 1, 1000, 60_000, 600_000))
        if pick < 80:
            due = sorted({one[0] for one in self.book.deadlines() if one[0] > now})
            if due:
                near = due[chance.below(min(3, len(due)))]
                return max(now, near + chance.of((0, 0, 0, -1, 1, 60_000, 120_000, 120_001, 3_600_000)))
        if pick < 95:
            return now + chance.of((3_600_000, 6 * 3_600_000, DAY, 2 * DAY))
        return now + chance.of((4 * DAY, 8 * DAY, 31 * DAY, 61 * DAY))

    def _envelope(self) -> Sealed | None:
        chance, book = self.chance, self.book
        if self.sealed and chance.percent(2):
            return chance.of(self.sealed[-20:])
        written = self._act()
        if written is None:
            return None
        author, act = written
        acts = [act]
        if not isinstance(act, wire.RelayAct | wire.Evidence | wire.Rotate) and chance.percent(15):
            for _ in range(1 + chance.below(3)):
                more = self._act()
                if more is not None and not isinstance(more[1], wire.RelayAct | wire.Evidence | wire.Rotate):
                    acts.append(more[1])
        member = book.members.get(author)
        key = member.keys.act if member is not None else hexes("nobody")
        if isinstance(act, wire.Rotate) and member is not None and not chance.percent(10):
            key = member.keys.root
        proofs = not (_proves(act) and chance.percent(8))
        if isinstance(act, wire.RelayAct) and self.peers[act.peer].spoiled:
            proofs = False
        genesis, signed, until = book.genesis, True, self.at + 600_000
        wrong = chance.below(100)
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
        total = sum(weight for weight, _ in self.writers)
        pick = self.chance.below(total)
        for weight, writer in self.writers:
            if pick < weight:
                return self._twist(writer())
            pick -= weight
        return None

    def _twist(self, written: tuple[str, wire.Act] | None) -> tuple[str, wire.Act] | None:
        """The wrong sibling: the same act by another."""
        if written is None or not self.chance.percent(10):
            return written
        return self._anyone(), written[1]

    # Whom and what.

    def _anyone(self) -> str:
        return self.chance.of(sorted(self.book.members))

    def _with(self, *roles: str) -> str:
        """Mostly an active member with one of the roles."""
        fitting = [
            name for name, m in sorted(self.book.members.items())
            if m.status == "active" and set(roles).intersection(m.roles)
        ]
        return self.chance.of(fitting) if fitting and not self.chance.percent(5) else self._anyone()

    def _one_of(self, names: Sequence[str]) -> str:
        return self.chance.of(names) if names and not self.chance.percent(10) else self._anyone()

    def _message(self, fits: Callable[[Message], bool]) -> Message | None:
        """Mostly one that fits, the newest more often; now and then any."""
        everything = self.book.messages
        if not everything:
            return None
        fitting = [m for m in everything if fits(m)]
        if self.chance.percent(6):
            return self.chance.of(everything)
        if not fitting:
            return None
        return self.chance.of(fitting[-6:])

    def _incident(self) -> Incident | None:
        live = [i for i in self.book.incidents if not i.closed]
        if not self.book.incidents:
            return None
        if live and not self.chance.percent(8):
            return self.chance.of(live)
        return self.chance.of(self.book.incidents) if self.chance.percent(20) else None

    # The acts.

    def _subject(self) -> wire.Subject:
        chance = self.chance
        today = self.at // DAY
        areas = [AREAS[1]] if chance.percent(30) else sorted(AREAS) if chance.percent(20) else [AREAS[0]]
        if chance.percent(2):
            areas = areas * 2
        detected = today - chance.below(3) + int(chance.percent(2)) * 4
        return wire.Subject(
            chance.of(CATEGORIES) if not chance.percent(3) else chance.of(("icd11:1D2Z.0", "local:x")),
            areas, None if chance.percent(40) else detected - chance.below(5) + int(chance.percent(2)) * 9, detected,
            chance.below(5), chance.of(("actual", "actual", "actual", "actual", "exercise", "test")),
        )

    def _report(self) -> tuple[str, wire.Act]:
        chance = self.chance
        subject: wire.Subject | None = self._subject()
        pick = chance.below(100)
        incident: str | None = None
        if pick > 90:
            incident = "new"
        elif pick > 60:
            named = self._incident()
            if named is not None:
                incident = named.id
                if subject is not None and chance.percent(80):
                    subject = replace(subject, status=named.status)
        elif pick == 60:
            incident = hexes("no incident")
        kind = chance.of(("report.cluster.dengue", "report.urgent.x", "report.event.x", "report.sensor.x"))
        if chance.percent(2):
            kind = chance.of(("report", "rumour.x", "relayed.report.x", "motion.party", "share", "finding.other"))
        terms: Any = None
        if chance.percent(2):
            subject, terms = (None, None) if chance.percent(50) else (subject, wire.StageMotion("watch", "alert"))
        return self._with("reporter"), wire.Submit(kind, incident, subject, terms, hexes("body", self.at))

    def _judge(self) -> tuple[str, wire.Act] | None:
        chance = self.chance
        message = self._message(lambda m: m.live and any(e not in [v.member for v in m.votes] for e in m.electorate))
        if message is None:
            return None
        free = [e for e in message.electorate if e not in [v.member for v in message.votes]]
        author = chance.of(free) if free and not chance.percent(8) else self._anyone()
        verdict: Any = chance.of(("endorse",) * 7 + ("reject", "reject", "abstain"))
        code: Any = "data-late" if verdict == "abstain" else None
        if chance.percent(3):
            code = None if code else "other"
        through = None if chance.percent(50) else self.at // DAY + chance.of((1, 2)) * int(chance.percent(6))
        name = message.id if not chance.percent(2) else hexes("no message")
        return author, wire.Judge(name, verdict, code, chance.of(("officer", "judge")), through, None)

    def _veto(self) -> tuple[str, wire.Act] | None:
        message = self._message(lambda m: m.live and bool(m.eligible))
        if message is None:
            return None
        author = self._one_of(message.eligible)
        codes = message.charter.codes.veto
        code = self.chance.of(codes) if not self.chance.percent(5) else "no-code"
        return author, wire.VetoAct(message.id, code, None)

    def _concur(self) -> tuple[str, wire.Act] | None:
        message = self._message(lambda m: m.live and bool(m.eligible))
        if message is None:
            return None
        author = self._one_of(message.eligible)
        return author, wire.Concur(message.id)

    def _withdraw(self) -> tuple[str, wire.Act] | None:
        message = self._message(lambda m: m.live and m.peer is None)
        if message is None:
            return None
        return (message.author if message.peer is None else self._anyone()), wire.Withdraw(message.id)

    def _annotate(self) -> tuple[str, wire.Act] | None:
        chance = self.chance
        message = self._message(lambda m: m.live or m.state == "recorded")
        if message is None:
            return None
        note: Any = chance.of(("update", "correct", "retract", "recant", "recant", "object"))
        author = message.author if message.peer is None else self._anyone()
        if note == "recant" and message.votes:
            author = chance.of(message.votes).member
        if note == "object":
            author = self._with("supervisor")
        return author, wire.Annotate(message.id, note, None)

    def _incident_motion(self) -> tuple[str, wire.Act] | None:
        chance = self.chance
        incident = self._incident()
        if incident is None:
            return None
        terms: Any
        stages = self.book.charter.stages
        author = self._with("voter", "supervisor")
        match chance.below(9):
            case 0 | 1 | 2:
                targets = [edge.target for edge in stages.edges if edge.source == incident.stage]
                to = chance.of(targets) if targets and not chance.percent(8) else chance.of((*stages.names, "no-stage"))
                if "response" in targets and chance.percent(50):
                    to = "response"
                kind, terms = "motion.stage", wire.StageMotion(self._stale(incident.stage, "alert"), to)
            case 3 | 4 | 5:
                do: Any = "vacate" if incident.lead is not None and chance.percent(30) else "stand"
                kind, terms = "motion.lead", wire.LeadMotion(do, self._stale(incident.lead, "m0"))
            case 6 | 7:
                changed = replace_features(chance, incident)
                kind = "motion.features"
                terms = wire.FeaturesMotion(self._stale(features_digest(incident), hexes("old")), *changed)
            case _:
                other = self._incident() if chance.percent(50) else None
                kind = "motion.close"
                terms = wire.CloseMotion(self._stale(incident.stage, "alert"), other.id if other is not None else None)
        name: str | None = incident.id
        if chance.percent(3):
            name = chance.of((None, "new", hexes("no incident")))
        return author, wire.Submit(kind, name, None, terms, None)

    def _stale(self, base: Any, other: Any) -> Any:
        return other if self.chance.percent(5) else base

    def _constitution(self) -> tuple[str, wire.Act] | None:
        chance, book = self.chance, self.book
        author = self._with("voter", "supervisor")
        others = [name for name in sorted(book.members) if name != author or chance.percent(15)]
        member = book.members[chance.of(others)] if others else book.members[author]
        terms: Any
        kind = chance.of(("suspend", "suspend", "suspend", "admit", "admit", "roles", "roles", "rekey", "expel",
                          "reinstate", "reinstate", "charter", "peer", "peer", "peer", "upgrade"))  # fmt: skip
        if kind == "reinstate":
            gone = [m for m in book.members.values() if m.status != "active"]
            member = chance.of(gone) if gone else member
        base = self._standing(member)
        match kind:
            case "suspend":
                terms = wire.SuspendMotion(member.id, base, chance.of((3600, 86_400, 10 * 86_400, 90 * 86_400)))
            case "reinstate":
                terms = wire.ReinstateMotion(member.id, base)
            case "expel":
                terms = wire.ExpelMotion(member.id, base)
            case "roles":
                roles = chance.of(ROLES) if not chance.percent(5) else ("voter", "reporter")
                terms = wire.RolesMotion(member.id, base, list(roles) if len(roles) == 2 else sorted(roles))  # type: ignore[arg-type]
            case "rekey":
                self.versions += 1
                keys = keys_of(member.id, 0 if chance.percent(5) else self.versions)
                proofs = [hexes("proof") * 2] * 3
                old = self._stale(keys_digest(member), hexes("old"))
                terms = wire.RekeyMotion(member.id, old, keys, self.at + chance.of((DAY, DAY, DAY, DAY, 0)), proofs)
            case "admit":
                terms = self._admission()
            case "charter":
                changed = vary(chance, book.charter)
                terms = wire.CharterMotion(self._stale(book.charter.digest, hexes("old")), changed)
            case "peer":
                terms = self._peer_motion()
            case _:
                terms = wire.UpgradeMotion(book.charter.digest, 2)
        incident = None if not chance.percent(2) or not book.incidents else book.incidents[0].id
        return author, wire.Submit(f"motion.{kind}", incident, None, terms, None)

    def _standing(self, member: Member) -> wire.Standing:
        status: Any = member.status
        roles: Any = list(member.roles)
        if self.chance.percent(5):
            status = "suspended" if status == "active" else "active"
        return wire.Standing(roles, status)

    def _admission(self) -> wire.AdmitMotion:
        chance, book = self.chance, self.book
        number = len(book.members) + chance.below(2)
        name = f"m{number}" if not chance.percent(6) else self._anyone()
        roles: Any = sorted(chance.of(ROLES))
        keys = keys_of(name) if not chance.percent(5) else keys_of("m0")
        entity = f"lei:{name.upper()}" if not chance.percent(5) else "lei:M0"
        expires = self.at + chance.of((30 * DAY, 30 * DAY, 30 * DAY, 0))
        return wire.AdmitMotion(name, entity, roles, keys, expires, [hexes("proof") * 2] * 3)

    # Orders and findings.

    def _order(self) -> tuple[str, wire.Act] | None:
        chance, book = self.chance, self.book
        leads = [i for i in book.incidents if not i.closed and i.lead is not None]
        incident = chance.of(leads) if leads else self._incident()
        if incident is None:
            return None
        author = incident.lead or self._anyone()
        running = [o for o in book.orders if book.running(o)]
        if running and chance.percent(25):
            return author, wire.Submit("order.revoke", incident.id, None, wire.Revoke(chance.of(running).id), None)
        to = [name for name in sorted(book.members) if chance.percent(50)] or [author]
        if chance.percent(90):
            to = [name for name in to if book.active(name)] or [author]
        due = self.at + chance.of((1, 3_600_000, DAY, 3 * DAY))
        expires = due + chance.of((0, 3_600_000, DAY, 27 * DAY, 30 * DAY)) - int(chance.percent(3)) * 2 * DAY
        replaces = chance.of(running).id if running and chance.percent(30) else None
        kind = chance.of(("order.isolate", "order.close"))
        return author, wire.Submit(kind, incident.id, None, wire.Order(to, due, max(0, expires), replaces), None)

    def _acknowledge(self) -> tuple[str, wire.Act] | None:
        chance, book = self.chance, self.book
        if not book.orders:
            return None
        order = chance.of(book.orders[-4:])
        waiting = [name for name in order.to if name not in order.answers]
        author = chance.of(waiting) if waiting and not chance.percent(10) else self._anyone()
        answer: Any = chance.of(("received", "done", "done", "cannot"))
        code = chance.of(book.charter.codes.cannot) if answer == "cannot" else None
        if chance.percent(5):
            code = None if code else "other"
        return author, wire.Acknowledge(order.id, answer, code)

    def _finding(self) -> tuple[str, wire.Act] | None:
        chance = self.chance
        target = self._message(lambda m: m.is_report and not m.live and (not m.findings or chance.percent(20)))
        if target is None:
            return None
        verdict, kind, digest = self._evidence_class()
        terms = wire.Finding(target.id, verdict, kind, digest)
        return self._with("supervisor", "auditor"), wire.Submit("finding", None, None, terms, None)

    def _evidence_class(self) -> tuple[Any, Any, str | None]:
        chance = self.chance
        verdict = chance.of(("upheld", "upheld", "refuted", "refuted", "undetermined"))
        kind = chance.of(("laboratory", "field", "statistical"))
        if verdict == "undetermined" and chance.percent(50):
            return verdict, "none", None
        if chance.percent(3):
            kind = "none"
        return verdict, kind, None if kind == "none" or chance.percent(3) else hexes("evidence")

    def _review(self) -> tuple[str, wire.Act] | None:
        target = self._message(lambda m: bool(m.findings))
        if target is None or not target.findings:
            return None
        verdict, kind, digest = self._evidence_class()
        name = self._stale(target.findings[-1].id, target.findings[0].id)
        parties = sorted(self.book.parties(target))
        author = self.chance.of(parties) if parties and self.chance.percent(60) else self._with("supervisor", "auditor")
        terms = wire.Review(name, target.id, verdict, kind, digest)
        return author, wire.Submit("finding.review", None, None, terms, None)

    def _present(self) -> tuple[str, wire.Act]:
        return self._anyone(), wire.Present(self.at // DAY - 2 + self.chance.below(5))

    def _last(self) -> tuple[str, wire.Act]:
        author = self._anyone()
        if self.chance.percent(30):
            return author, wire.Leave()
        self.versions += 1
        which: Any = self.chance.of(("act", "root", "finality", "act"))
        key = hexes("rotated", self.versions) if not self.chance.percent(10) else hexes("m0", "act", 0)
        return author, wire.Rotate(which, key, hexes("proof") * 2)

    def _strange(self) -> tuple[str, wire.Act]:
        strange: tuple[wire.Act, ...] = (wire.Join(1), wire.Ready(2), wire.Seal("x"))
        return self._anyone(), self.chance.of(strange)

    # Other networks.

    def _peer_motion(self) -> wire.PeerMotion:
        chance, book = self.chance, self.book
        origin = chance.of(("up.example/u", "down.example/d", "side.example/s"))
        foreign = self.peers.get(origin)
        there = book.peers.get(origin)
        if foreign is None:
            relation: Any = {"up": "parent", "down": "child", "side": "peer"}[origin.split(".")[0]]
            foreign = Foreign(origin, hexes("genesis", origin), relation, book.origin, book.genesis)
            self.peers[origin] = foreign
        do: Any = "add"
        if there is not None and not chance.percent(5):
            do = chance.of(("repin", "repin", "thaw", "remove")) if there.state == "active" else "thaw"
        base = self._stale(entry_digest(there.entry) if there is not None else None, hexes("old"))
        if do == "remove" or (do == "thaw" and not chance.percent(5)):
            return wire.PeerMotion(do, origin, base, None)
        head = chance.of((None, self._anyone(), self._anyone()))
        quota = wire.PeerTerms(chance.of((20, 20, 2)), chance.below(3), chance.of((7 * 86_400, 86_400)))
        return wire.PeerMotion(do, origin, base, foreign.entry(head, quota))

    def _share(self) -> tuple[str, wire.Act] | None:
        record = self._message(lambda m: m.state == "recorded")
        if record is None:
            return None
        origins = sorted(self.book.peers) or ["up.example/u"]
        peer = self.chance.of(origins) if not self.chance.percent(8) else "nowhere.example"
        return self._with("relay"), wire.Submit("share.record", None, None, wire.Share(peer, record.id), None)

    def _relay(self) -> tuple[str, wire.Act] | None:
        known = [o for o in sorted(self.peers) if o in self.book.peers and o not in self.relayed_now]
        if not known:
            return None
        origin = self.chance.of(known)
        self.relayed_now.add(origin)
        act = self.peers[origin].relay(self.chance, self.book, self.at)
        return self._with("relay"), act

    def _evidence(self) -> tuple[str, wire.Act] | None:
        known = [o for o in sorted(self.peers) if o in self.book.peers]
        if not known:
            return None
        return self._anyone(), self.peers[self.chance.of(known)].contradiction(self.at)


def replace_features(chance: Chance, incident: Incident) -> tuple[str, int, list[str]]:
    if chance.percent(8):
        return incident.category, incident.severity, list(incident.areas)
    return chance.of(CATEGORIES), (incident.severity + 1) % 5, [AREAS[0]] if chance.percent(50) else sorted(AREAS)


def _proves(act: wire.Act) -> bool:
    """Whether an act brings signatures of its own, whose checks the node answers."""
    if isinstance(act, wire.Submit):
        return isinstance(act.terms, wire.AdmitMotion | wire.RekeyMotion)
    return isinstance(act, wire.Rotate | wire.RelayAct | wire.Evidence)
