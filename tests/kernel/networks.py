"""Chance, and the small networks it makes: charters, members and keys that nobody need own."""

from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import Protocol, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from tests.oracle.beside import Sealed
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
    if chance.percent(25):
        charter = replace(charter, times=replace(charter.times, evidence_s=chance.of((0, 3600, 30 * 86_400))))
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


def some_network(chance: Chance, origin: str = "here.example/n") -> Genesis:
    members = [(f"m{i}", chance.of(ROLES) if i > 2 else ("reporter", "voter")) for i in range(1 + chance.below(7))]
    if len(members) > 3 and chance.percent(60):
        members[-1] = (members[-1][0], ("relay", "supervisor"))
    if len(members) > 1 and chance.percent(60):
        members[1] = (members[1][0], ("relay", "reporter", "voter"))
    if len(members) > 4 and chance.percent(30):
        members[3] = (members[3][0], ("auditor",))
    voters = sum(1 for _, roles in members if "voter" in roles)
    supervisors = sum(1 for _, roles in members if "supervisor" in roles)
    return network(some_charter(chance, max(1, voters), supervisors), members, origin)
