"""A small real network for tests of store and engine: seven districts and a bureau, real keys and signatures."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

from msgspec.structs import replace

from tocsin import charters
from tocsin.client.signing import SeedSigner, found_with, sign_acts
from tocsin.kernel.acts import Act, Judge, Keys, Present, Subject, Submit
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, Refusal, decode, encode
from tocsin.kernel.genesis import Founder, Genesis

CREATED = 1_700_000_000_000
DAY_MS = 86_400_000
VOTERS = 7
BUREAU = "bureau"
SUBJECT = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, CREATED // DAY_MS, 1, "actual")


def member_names(voters: int = VOTERS) -> list[str]:
    """The districts, then the bureau."""
    return [f"district-{number:02}" for number in range(voters)] + [BUREAU]


@cache
def signer(origin: str, member: str, role: str) -> SeedSigner:
    """A key that follows from its place."""
    return SeedSigner(sha256(f"{origin}/{member}/{role}".encode()).digest())


@cache
def roomy_charter(
    voters: int = VOTERS, *, vote_only: bool = False, envelopes: int = 10**9, window_s: int = 7 * 86_400
) -> Charter:
    """`pilot` with limits that no test reaches. `vote_only`: reports are recorded at the threshold, no veto."""
    charter, _ = charters.for_network("pilot", voters, 1, window_s=window_s, kinds={})
    rules = list(charter.rules)
    if vote_only:
        rules = [
            replace(rule, model="vote", veto=None)
            if rule.kind.startswith("report.") and rule.model == "supervise"
            else rule
            for rule in rules
        ]
    return replace(
        charter,
        rules=rules,
        schemes=[],
        limits=replace(charter.limits, envelopes=envelopes, reports_week=0, open_messages=10**9),
        tokens=replace(charter.tokens, bucket=10**9),
    )


class World:
    """One network's genesis, its keys, and shorthands for its members' acts."""

    def __init__(
        self,
        origin: str = "health.example/tw/tainan",
        voters: int = VOTERS,
        *,
        vote_only: bool = True,
        envelopes: int = 10**9,
        created: int = CREATED,
        window_s: int = 7 * 86_400,
        validators: int = 0,
    ) -> None:
        """`created` in ms; `validators`: so many districts, or with one more the bureau too, have a validator key."""
        self.origin = origin
        self.created = created
        self.window_ms = window_s * 1000
        self.members = member_names(voters)
        self.validators = self.members[:validators]
        founders = []
        for name in sorted(self.members):
            keys = [signer(origin, name, role).public_key for role in self._roles(name)]
            roles = ["relay", "supervisor"] if name == BUREAU else ["reporter", "voter"]
            founders.append(Founder(name, f"agency:{name}", roles, Keys(*keys[:3], keys[3] if keys[3:] else None, "self")))
        charter = roomy_charter(voters, vote_only=vote_only, envelopes=envelopes, window_s=window_s)
        self.genesis = Genesis(1, origin, created, charter, signer(origin, "", "log").public_key, founders)
        self.identity = self.genesis.digest
        self.genesis_bytes = encode(self.genesis)

    def _roles(self, member: str) -> tuple[str, ...]:
        return ("root", "act", "finality", "validator")[: 4 if member in self.validators else 3]

    @property
    def founding_bytes(self) -> bytes:
        """Every key's signature on the genesis."""
        founding = found_with(
            self.genesis,
            {name: [signer(self.origin, name, role) for role in self._roles(name)] for name in self.members},
        )
        return encode(founding)

    def sign(self, member: str, acts: Sequence[Act], at: int) -> bytes:
        """An envelope, valid for ten minutes from `at`."""
        return sign_acts(signer(self.origin, member, "act"), self.identity, member, at + 600_000, acts)

    def envelope(self, member: str, acts: Sequence[Act], at: int) -> Envelope:
        """The same, decoded."""
        read = decode(self.sign(member, acts, at))
        assert not isinstance(read, Refusal), read
        return read

    def report(self, member: str, at: int) -> Envelope:
        """A report of a cluster."""
        subject = replace(SUBJECT, detected_day=at // DAY_MS)
        return self.envelope(member, [Submit("report.cluster.dengue", "new", subject, None, None)], at)

    def ballot(self, member: str, message: str, at: int, verdict: str = "endorse") -> Envelope:
        """A ballot."""
        return self.envelope(member, [Judge(message, verdict, None, "officer", None, None)], at)

    def present(self, member: str, day: int, at: int) -> Envelope:
        """A zero report: the cheapest act there is."""
        return self.envelope(member, [Present(day)], at)

    def case(self, at: int, author: int = 0) -> list[Envelope]:
        """A report and the ballots of all other districts: a record."""
        districts = self.members[:-1]
        report = self.report(districts[author], at)
        message = message_id(report.digest, 0)
        return [report, *(self.ballot(one, message, at) for one in districts if one != districts[author])]
