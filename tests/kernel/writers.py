"""What members do: one writer for each sort of act, mostly right, sometimes wrong in one thing."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from tests.kernel.foreign import FINALITY, Foreign, signed_head
from tests.kernel.networks import AREAS, CATEGORIES, ROLES, Chance, hexes, keys_of, vary
from tests.oracle.book import DAY, Incident, Member, Message
from tests.oracle.law import entry_digest, features_digest, finality, keys_digest
from tests.oracle.oracle import Oracle
from tocsin.kernel import acts as wire

Written = tuple[str | None, wire.Act] | None
"""Who does what; None where nobody can."""


class Writers:
    """Writes acts by looking at the oracle's book, as of the block before."""

    def __init__(self, chance: Chance, oracle: Oracle) -> None:
        self.chance = chance
        self.book = oracle
        self.at = oracle.at
        self.peers: dict[str, Foreign] = {}
        self.versions = 0
        self.relayed_now: set[str] = set()

    # Whom and what.

    def _anyone(self) -> str:
        return self.chance.of(sorted(self.book.members))

    def _with(self, *roles: str) -> str | None:
        """Mostly an active member with one of the roles; mostly None where there is none."""
        fitting = [
            name for name, m in sorted(self.book.members.items())
            if m.status == "active" and set(roles).intersection(m.roles)
        ]
        if fitting and not self.chance.percent(5):
            return self.chance.of(fitting)
        return self._anyone() if self.chance.percent(30) else None

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

    def _report(self) -> Written:
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

    def _judge(self) -> Written:
        chance = self.chance
        message = self._message(lambda m: m.live and bool(self._free(m)))
        if message is None:
            return None
        free = self._free(message)
        author = chance.of(free) if free and not chance.percent(8) else self._anyone()
        verdict: Any = chance.of(("endorse",) * 7 + ("reject", "reject", "abstain"))
        code: Any = "data-late" if verdict == "abstain" else None
        if chance.percent(3):
            code = None if code else "other"
        through = None if chance.percent(50) else self.at // DAY + chance.of((1, 2)) * int(chance.percent(6))
        name = message.id if not chance.percent(2) else hexes("no message")
        return author, wire.Judge(name, verdict, code, chance.of(("officer", "judge")), through, None)

    def _veto(self) -> Written:
        message = self._message(lambda m: m.live and bool(m.eligible))
        if message is None:
            return None
        author = self._one_of(message.eligible)
        codes = message.charter.codes.veto
        code = self.chance.of(codes) if not self.chance.percent(5) else "no-code"
        return author, wire.VetoAct(message.id, code, None)

    def _concur(self) -> Written:
        message = self._message(lambda m: m.live and bool(m.eligible))
        if message is None:
            return None
        author = self._one_of(message.eligible)
        return author, wire.Concur(message.id)

    def _withdraw(self) -> Written:
        message = self._message(lambda m: m.live and m.peer is None)
        if message is None:
            return None
        return self._author(message), wire.Withdraw(message.id)

    def _author(self, message: Message) -> str:
        return message.author if message.peer is None else self._anyone()

    def _annotate(self) -> Written:
        chance = self.chance
        message = self._message(lambda m: m.live or m.state == "recorded")
        if message is None:
            return None
        note: Any = chance.of(("update", "correct", "retract", "recant", "recant", "object"))
        author: str | None = self._author(message)
        if note == "recant" and message.votes:
            author = chance.of(message.votes).member
        if note == "object":
            author = self._with("supervisor")
        return author, wire.Annotate(message.id, note, None)

    def _incident_motion(self) -> Written:
        chance = self.chance
        incident = self._incident()
        if incident is None:
            return None
        terms: Any
        stages = self.book.charter.stages
        author = self._with("voter", "supervisor")
        pick = chance.below(9)
        if incident.lead is None and chance.percent(35):
            pick = 3
        elif incident.stage != "response" and chance.percent(35):
            pick = 0
        match pick:
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

    def _constitution(self) -> Written:
        chance, book = self.chance, self.book
        author = self._with("voter", "supervisor")
        others = [name for name in sorted(book.members) if name != author or chance.percent(15)]
        member = book.members[chance.of(others) if others else self._anyone()]
        terms: Any
        kind = chance.of(("suspend", "suspend", "suspend", "admit", "admit", "roles", "roles", "rekey", "rekey",
                          "expel", "charter", "charter", "peer", "peer", "peer", "peer", "peer", "upgrade"))  # fmt: skip
        gone = [m for _, m in sorted(book.members.items()) if m.status != "active"]
        if gone and chance.percent(30):
            kind, member = "reinstate", chance.of(gone)
        if chance.percent(1):
            kind = "upgrade"
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
                number = book.protocol + chance.of((1, 1, 2, 0))
                terms = wire.UpgradeMotion(self._stale(book.charter.digest, hexes("old")), number)
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

    def _order(self) -> Written:
        chance, book = self.chance, self.book
        leads = [i for i in book.incidents if i.lead is not None and i.stage == "response"]
        if not leads and not chance.percent(5):
            return None
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

    def _acknowledge(self) -> Written:
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

    def _finding(self) -> Written:
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

    def _review(self) -> Written:
        target = self._message(lambda m: bool(m.findings))
        if target is None or not target.findings:
            return None
        verdict, kind, digest = self._evidence_class()
        name = self._stale(target.findings[-1].id, target.findings[0].id)
        parties = sorted(self.book.parties(target))
        author = self.chance.of(parties) if parties and self.chance.percent(60) else self._with("supervisor", "auditor")
        terms = wire.Review(name, target.id, verdict, kind, digest)
        return author, wire.Submit("finding.review", None, None, terms, None)

    def _present(self) -> Written:
        return self._anyone(), wire.Present(self.at // DAY - 2 + self.chance.below(5))

    def _last(self) -> Written:
        author = self._anyone()
        if self.chance.percent(30):
            return author, wire.Leave()
        self.versions += 1
        which: Any = self.chance.of(("act", "root", "finality", "act"))
        key = hexes("rotated", self.versions) if not self.chance.percent(10) else hexes("m0", "act", 0)
        return author, wire.Rotate(which, key, hexes("proof") * 2)

    def _join(self) -> Written:
        """Mostly by one that has not joined; its height is mostly that of a block not long ago."""
        chance, book = self.chance, self.book
        waiting = [name for name, m in sorted(book.members.items()) if m.status == "active" and not m.joined]
        if not waiting and not chance.percent(10):
            return None
        height = max(0, book.made - chance.below(4)) if not chance.percent(10) else book.made + 1
        return chance.of(waiting) if waiting else self._anyone(), wire.Join(height)

    def _ready(self) -> Written:
        chance, book = self.chance, self.book
        if book.upgrade is None and not chance.percent(5):
            return None
        number, ready = book.upgrade or (2, set())
        waiting = [name for name in sorted(book.members) if name not in ready and book.active(name)]
        author = chance.of(waiting) if waiting and not chance.percent(10) else self._anyone()
        return author, wire.Ready(number if not chance.percent(5) else number + 1)

    def _sealed(self) -> Written:
        """The checkpoint that a change of the signers waits for, with too few lines or of another size now and then."""
        chance, book = self.chance, self.book
        if not book.handovers:
            return (self._anyone(), wire.Seal("x")) if chance.percent(3) else None
        one = chance.of(book.handovers)
        size = one.index + 2 + int(chance.percent(5))
        signers = one.signers[: finality(len(one.signers)) - int(chance.percent(8))]
        text = signed_head(book.origin, book.log_key, size, hexes("root", size), signers, self.at)
        return self._with("voter", "supervisor"), wire.Seal(text)

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

    def _peering(self) -> Written:
        if len(self.book.peers) > 1 and not self.chance.percent(10):
            return None
        return self._with("voter", "supervisor"), wire.Submit("motion.peer", None, None, self._peer_motion(), None)

    def _share(self) -> Written:
        record = self._message(lambda m: m.state == "recorded")
        if record is None:
            return None
        origins = sorted(self.book.peers) or ["up.example/u"]
        peer = self.chance.of(origins) if not self.chance.percent(8) else "nowhere.example"
        return self._with("relay"), wire.Submit("share.record", None, None, wire.Share(peer, record.id), None)

    def _erase(self) -> Written:
        message = self._message(lambda m: m.peer is None)
        if message is None:
            return None
        if self.chance.percent(50):
            return self._author(message), wire.Erase(message.id)
        return self._anyone(), wire.ErasedHere(message.id)

    def _relay(self) -> Written:
        known = [o for o in sorted(self.peers) if o in self.book.peers and o not in self.relayed_now]
        if not known:
            return None
        origin = self.chance.of(known)
        self.relayed_now.add(origin)
        act = self.peers[origin].relay(self.chance, self.book, self.at)
        return self._with("relay"), act

    def _evidence(self) -> Written:
        chance = self.chance
        known = [o for o in sorted(self.peers) if o in self.book.peers]
        if not known or chance.percent(25):
            return self._anyone(), self._against_ourselves()
        lines = None if chance.percent(70) else chance.below(FINALITY + 1)
        return self._anyone(), self.peers[chance.of(known)].contradiction(self.at, lines)

    def _against_ourselves(self) -> wire.Evidence:
        """Two heads of our own log that some have signed, now and then under a key that does not count any more."""
        book, size = self.book, 5 + self.chance.below(3)
        signers = book.signers(book.members)[: 1 + self.chance.below(3)]
        if self.chance.percent(20):
            key = self.chance.of(sorted(set(book.owners) - {book.log_key}))
            signers = [(book.owners[key], key)]
        first, second = (
            signed_head(book.origin, book.log_key, size, hexes("root", size, one), signers, self.at) for one in (1, 2)
        )
        return wire.Evidence(book.origin, first, second, None, [])

    @staticmethod
    def _free(message: Message) -> list[str]:
        voted = [v.member for v in message.votes]
        return [name for name in message.electorate if name not in voted]


def replace_features(chance: Chance, incident: Incident) -> tuple[str, int, list[str]]:
    if chance.percent(8):
        return incident.category, incident.severity, list(incident.areas)
    return chance.of(CATEGORIES), (incident.severity + 1) % 5, [AREAS[0]] if chance.percent(50) else sorted(AREAS)
