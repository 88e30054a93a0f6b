"""The network of the benchmarks: real keys and signatures, and envelopes made ready before the clock starts.

Seven voters, all of whom must endorse, and an author who only reports, so that every record takes one report and
seven ballots. Limits and tokens are raised out of the way; nothing else differs from a network in use.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from itertools import count
from typing import NamedTuple

from msgspec.structs import replace

from tocsin import charters
from tocsin.client.signing import SeedSigner, found_with
from tocsin.kernel.acts import Act, Judge, Keys, Subject, Submit
from tocsin.kernel.charter import Charter, Threshold
from tocsin.kernel.digest import digest, message_id
from tocsin.kernel.envelope import encode, unsigned
from tocsin.kernel.genesis import Founder, Genesis, sorted_founders
from tocsin.kernel.words import Role
from tocsin.node.keys import KeyRole
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store

VOTERS = 7
BALLOTS = VOTERS
"""Ballots on a message; with its report these are all its acts."""
AUTHOR = "clinic"
KIND = "report.cluster.dengue"
"""Takes all ballots."""
NOTED = "report.noted.dengue"
"""Of the same form, but a record when it is submitted: for networks that need a long history quickly."""
INCIDENTS = 64
"""Areas reported from in turn: the first reports open as many incidents, which the later ones join."""
DAY_MS = 86_400_000
_VALID_MS = 3_500_000
"""Made ready so long before it counts at most; an hour is what a block accepts (spec 3.1)."""
_TICKS = 100_000
_AMPLE = 10**9
_ROLES: tuple[KeyRole, ...] = ("root", "act", "finality")


@cache
def bench_charter() -> Charter:
    """`pilot` with two rules for reports: one that all voters must endorse, and one for `NOTED`."""
    charter, _ = charters.for_network("pilot", VOTERS, 0, kinds={})
    local = next(rule for rule in charter.rules if rule.kind.startswith("report."))
    voted = replace(
        local, kind="report.*", model="vote", electorate=["voter"], threshold=Threshold(1, 1, False, 1),
        window_s=7 * 86_400, veto=None, escalate=False, signal=False,
    )  # fmt: skip
    noted = replace(voted, kind="report.noted.*", model="broadcast", electorate=[], threshold=None, window_s=0)
    made = replace(
        charter,
        name="bench",
        rules=[voted, noted, *(rule for rule in charter.rules if not rule.kind.startswith("report."))],
        limits=replace(charter.limits, envelopes=_AMPLE, reports_week=0, open_messages=_AMPLE),
        tokens=replace(charter.tokens, bucket=_AMPLE),
    )
    return charters.from_bytes(made.canonical)


@cache
def signer_of(origin: str, member: str, role: KeyRole) -> SeedSigner:
    """A benchmark's key: it follows from its place, so that nobody need keep it. The log's is of member ``""``."""
    return SeedSigner(sha256(f"tocsin bench/{origin}/{member}/{role}".encode()).digest())


class Sealed(NamedTuple):
    """An envelope ready to submit. `digest`: its own, from which its messages take their ids."""

    data: bytes
    digest: str


class World:
    """One network's genesis and keys, and what its members sign."""

    def __init__(self, origin: str, created: int, *, seats: Sequence[str] = (), validators: int = 0) -> None:
        """`created` in ms; `seats`: further members, who do nothing here; `validators`: voters with such a key."""
        self.origin = origin
        self._validators = validators
        self.voters = [f"agency-{number}" for number in range(1, VOTERS + 1)]
        members: list[tuple[str, Role]] = [(AUTHOR, "reporter"), *((name, "voter") for name in self.voters)]
        members += [(name, "relay") for name in seats]
        founders = [self._founder(name, role) for name, role in members]
        log_key = signer_of(origin, "", "log").public_key
        self.genesis = Genesis(1, origin, created, bench_charter(), log_key, sorted_founders(founders))
        self._identity = self.genesis.digest
        self._number = count()

    def _founder(self, name: str, role: Role) -> Founder:
        keys = {one: signer_of(self.origin, name, one).public_key for one in self.key_roles(name)}
        held = Keys(keys["root"], keys["act"], keys["finality"], keys.get("validator"), "self")
        return Founder(name, f"agency:{name}", [role], held)

    def key_roles(self, member: str) -> tuple[KeyRole, ...]:
        """What a member has keys for."""
        return (*_ROLES, "validator") if member in self.voters[: self._validators] else _ROLES

    def founding(self) -> bytes:
        """The genesis's signatures, by every key of every member."""
        signers = {
            one.id: [signer_of(self.origin, one.id, role) for role in self.key_roles(one.id)]
            for one in self.genesis.members
        }
        return encode(found_with(self.genesis, signers))

    def found(self, store: Store) -> NetworkStore:
        """Found the network in a store."""
        return store.create_network(encode(self.genesis), self.founding())

    def seal(self, member: str, acts: Sequence[Act], at: int) -> Sealed:
        """Sign acts. No two envelopes are alike, even if they say the same."""
        draft = unsigned(self._identity, member, at + _VALID_MS + next(self._number) % _TICKS, acts)
        signer = signer_of(self.origin, member, "act")
        return Sealed(draft.seal(signer.public_key, signer.sign(draft.signed)), digest(b"envelope", draft.signed))

    def reports(self, at: int, first: int, number: int, kind: str = KIND) -> Sealed:
        """An envelope of so many reports, about one area after the other from number `first` on."""
        subjects = [
            Subject("icd11:1D2Z", [f"area:{place % INCIDENTS:02}"], None, at // DAY_MS, 1, "actual")
            for place in range(first, first + number)
        ]
        return self.seal(AUTHOR, [Submit(kind, None, subject, None, None) for subject in subjects], at)

    def ballots(self, voter: str, messages: Sequence[str], at: int) -> Sealed:
        """An envelope with one voter's endorsement of each message."""
        return self.seal(voter, [Judge(one, "endorse", None, "officer", None, None) for one in messages], at)


def stream(world: World, at: int, messages: int, acts: int, lag: int) -> Iterator[Sealed]:
    """Envelopes of `acts` acts each that take so many messages from report to record, in order.

    Reports come in groups of `acts`; the ballots on a group follow `lag` groups later, voter by voter, as they do
    where somebody must first look at the report.
    """
    groups: list[list[str]] = []
    for first in range(0, messages + lag * acts, acts):
        if first < messages:
            sealed = world.reports(at, first, acts)
            groups.append([message_id(sealed.digest, index) for index in range(acts)])
            yield sealed
        place = first // acts - lag
        if 0 <= place < len(groups):
            for voter in world.voters:
                yield world.ballots(voter, groups[place], at)
