"""What the oracle remembers: everything, in plain lists, and questions answered by scanning them."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tocsin.kernel.acts import Keys, Leave, PeerEntry, PinnedMember
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.genesis import Genesis

WEEK = 7 * 86_400_000
DAY = 86_400_000
FINALS = ("recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void")
CONSTITUTION = ("admit", "suspend", "reinstate", "expel", "roles", "rekey", "peer", "charter", "upgrade")
ABOUT_MEMBER = ("admit", "suspend", "reinstate", "expel", "roles", "rekey")
ABOUT_INCIDENT = ("stage", "lead", "features", "close")


Drop = tuple[int, int, int, int]
"""(time, how much, size of the bucket, ms for one back): something taken out of or put into a bucket."""


@dataclass
class Member:
    id: str
    entity: str
    roles: list[str]
    keys: Keys
    status: str = "active"
    until: int | None = None
    number: int = 0
    joined: bool = True

    @property
    def signs(self) -> bool:
        """Whether its finality key counts (spec 8.3)."""
        return self.status == "active" and self.joined

    def standing(self) -> tuple[list[str], str]:
        return list(self.roles), self.status


@dataclass
class Vote:
    member: str
    verdict: str
    code: str | None
    at: int
    block: int
    epoch: int
    act: str


@dataclass
class Remark:
    note: str
    by: str
    at: int
    block: int


@dataclass
class Verdict:
    """A finding that counted, in the order they came."""

    id: str
    verdict: str
    by: str
    block: int
    review: bool
    local: bool
    posts: list[tuple[str, str, int]] = field(default_factory=list)
    stains: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Message:
    id: str
    number: int
    kind: str
    author: str
    peer: str | None
    status: str
    incident: str | None
    joins: str | None
    subject: Any
    terms: Any
    source: dict[str, Any] | None
    charter: Charter
    rule: Rule
    stage: str
    electorate: list[str]
    size: int
    need: int
    eligible: list[str]
    opened: int
    notice: int | None
    vote_ends: int | None
    state: str = "open"
    noticed: bool = False
    vote_moved: bool = False
    veto_ends: int | None = None
    veto_moved: bool = False
    concurred: list[str] = field(default_factory=list)
    votes: list[Vote] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    decided_block: int | None = None
    final_at: int | None = None
    by: str | None = None
    code: str | None = None
    missed_by: list[str] = field(default_factory=list)
    went: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    findings: list[Verdict] = field(default_factory=list)
    token: str = "none"
    outcome: str | None = None

    @property
    def live(self) -> bool:
        return self.state in ("open", "endorsed")

    @property
    def is_report(self) -> bool:
        return self.kind.startswith(("report.", "relayed.report."))

    @property
    def motion(self) -> str | None:
        return self.kind.removeprefix("motion.") if self.kind.startswith("motion.") else None

    @property
    def quiet_leaf(self) -> bool:
        """A finding, whose only leaf is `finding` (spec 7)."""
        return self.kind == "finding"

    def sent_to(self) -> list[str]:
        """Where its record went, and the peer that was told what became of it."""
        return [*self.went, *self.told]

    def counted(self, verdict: str) -> list[str]:
        """Members whose ballot of this verdict came by the end of the deciding block."""
        return [v.member for v in self.votes if v.verdict == verdict and not self.late(v)]

    def late(self, vote: Vote) -> bool:
        return self.decided_block is not None and vote.block > self.decided_block


@dataclass
class Incident:
    id: str
    number: int
    status: str
    key: tuple[Any, ...]
    stage: str
    category: str
    severity: int
    areas: list[str]
    lead: str | None = None
    lead_until: int | None = None
    term: int = 0
    last_record: int = 0
    closed: bool = False
    duplicate_of: str | None = None
    up: dict[str, Any] | None = None


@dataclass
class Order:
    id: str
    number: int
    author: str
    incident: str | None
    to: list[str]
    due: int
    expires: int
    source: dict[str, Any] | None
    due_done: bool = False
    complete: bool = False
    over: bool = False
    received: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[str, str | None, int]] = field(default_factory=dict)


@dataclass
class Peer:
    """`brought`: the motion that brought the entry."""

    entry: PeerEntry
    state: str
    brought: str


@dataclass
class Pin:
    """How far we have followed a peer's log, and under whose keys."""

    size: int
    root: str
    epoch: int
    roster: list[PinnedMember]

    def signers(self) -> list[tuple[str, str]]:
        return [(one.id, one.finality) for one in self.roster if one.active]


@dataclass
class Sent:
    peer: str
    number: int
    message: str
    at: int
    due: int
    order: int
    overdue: bool = False
    answered: bool = False


@dataclass
class Handover:
    """A change of the signers that is not sealed (spec 11.4)."""

    index: int
    signers: list[tuple[str, str]]
    until: int
    number: int


class Book:
    """The whole history of one network. `members`, `charter` and `peers` are the version of the
    block's start; `next_*` the version that effects change (spec F1)."""

    def __init__(self, genesis: Genesis) -> None:
        self.origin = genesis.origin
        self.genesis = genesis.digest
        self.log_key = genesis.log_key
        self.charter: Charter = genesis.charter
        self.members: dict[str, Member] = {
            one.id: Member(one.id, one.entity, list(one.roles), one.keys) for one in genesis.members
        }
        self.peers: dict[str, Peer] = {}
        self.next_charter = self.charter
        self.next_members = deepcopy(self.members)
        self.next_peers: dict[str, Peer] = {}
        self.owners = {key: one.id for one in genesis.members for key in one.keys.all()} | {genesis.log_key: ""}
        """Every key there ever was, and whose."""
        self.owners_before: dict[str, str] = {}
        self.at = genesis.created
        self.height = 0
        self.touched: set[int] = set()
        self.epoch = 1
        self.counter = 0
        self.messages: list[Message] = []
        self.incidents: list[Incident] = []
        self.orders: list[Order] = []
        self.sent: list[Sent] = []
        self.seen: list[str] = []
        self.spent: dict[str, list[Drop]] = {one: [] for one in sorted(self.members)}
        """member -> each envelope consumed: what the quota is computed from."""
        self.awake: list[tuple[int, str, int]] = [(0, one, genesis.created) for one in sorted(self.members)]
        """(moment, member, time) of each accepted act, admission, reinstatement and end of suspension."""
        self.missed: list[tuple[int, str]] = []
        """(moment, member) of each message that ended at its vote deadline without that member's ballot."""
        self.moments = 1
        self.tokens: dict[str, list[Drop]] = {one: [] for one in sorted(self.members)}
        """member -> each report token spent (-1) or returned (+1)."""
        self.admitted: dict[str, int] = dict.fromkeys(sorted(self.members), genesis.created)
        self.through: dict[str, int] = {}
        self.next_in: dict[str, int] = {}
        self.next_out: dict[str, int] = {}
        self.pins: dict[str, Pin] = {}
        """Of each peer: by the last relay, or the entry that a motion of a block since brought at its end."""
        self.known: list[tuple[str, str]] = []
        """(origin, genesis) of every network that was a peer at the end of a block."""
        self.pins_before: dict[str, Pin] = {}
        """The same at the block's start: only under these keys were signatures verified."""
        self.peer_reports: list[tuple[str, int]] = []
        self.posts: list[tuple[str, int]] = []
        self.stains: list[tuple[str, str, str, str, bool]] = []
        self.originals: dict[tuple[str, ...], str] = {}
        self.evidence: dict[tuple[str, frozenset[Any]], set[str]] = {}
        """(origin, two heads) -> finality keys that it was shown of; "frozen" if it froze the peer."""
        self.caught: list[int] = []
        """Times of suspensions for evidence."""
        self.leaves: list[dict[str, Any]] = []
        self.leaving: list[tuple[str, Any]] = []
        self.roster_changed = False
        self.peer_leaves: list[dict[str, Any]] = []
        self.size = 4
        """Leaves in the log at the block's start; the founding makes four."""
        self.made = 0
        """Blocks that changed something, but for the founding."""
        self.handovers: list[Handover] = []
        self.protocol = 1
        self.upgrade: tuple[int, set[str]] | None = None
        """The number that waits, and who is ready for it."""

    def take_number(self) -> int:
        self.counter += 1
        return self.counter

    def moment(self) -> int:
        self.moments += 1
        return self.moments

    def emit(self, leaf: str, **fields: Any) -> dict[str, Any]:
        made = {"leaf": leaf, **fields}
        self.leaves.append(made)
        return made

    # Look-ups by scanning.

    def message(self, name: str) -> Message | None:
        return next((m for m in self.messages if m.id == name), None)

    def incident(self, name: str | None) -> Incident | None:
        return next((i for i in self.incidents if i.id == name), None)

    def end_of(self, name: str | None) -> Incident | None:
        """The incident that a name stands for: the end of its redirects (spec F11)."""
        found = self.incident(name)
        while found is not None and found.duplicate_of is not None:
            found = self.incident(found.duplicate_of)
        return found

    def order(self, name: str) -> Order | None:
        return next((o for o in self.orders if o.id == name), None)

    def running(self, order: Order | None) -> bool:
        return order is not None and not order.over and self.at < order.expires

    def active(self, name: str) -> bool:
        member = self.members.get(name)
        return member is not None and member.status == "active"

    def still_active(self, name: str) -> bool:
        member = self.next_members.get(name)
        return member is not None and member.status == "active"

    @property
    def used_keys(self) -> set[str]:
        return set(self.owners)

    def signers(self, members: dict[str, Member]) -> list[tuple[str, str]]:
        """Whose finality key counts (spec 10.3)."""
        return [(name, one.keys.finality) for name, one in sorted(members.items()) if one.signs]

    def signs_without(self, name: str) -> bool:
        """Whether somebody signs beside this one and those who leave now (spec 8.3)."""
        out = {name} | {who for who, act in self.leaving if isinstance(act, Leave)}
        return any(one.signs and one.id not in out for one in self.next_members.values())

    def must_wait(self, message: Message) -> bool:
        """A motion that takes a signer away waits for the seal of the change before (spec 11.4)."""
        if message.motion not in ("suspend", "expel", "rekey") or not self.handovers:
            return False
        subject = self.next_members.get(message.terms.member)
        return subject is not None and subject.signs

    def handed_over(self, one: Handover) -> None:
        self.handovers.remove(one)
        if not self.handovers:
            waiting = [m for m in self.messages if m.live and m.motion in ("suspend", "expel", "rekey")]
            self.touched.update(m.number for m in waiting)

    def parent(self) -> str | None:
        return next((o for o, p in sorted(self.peers.items()) if p.entry.relation == "parent"), None)

    def representative(self, message: Message) -> str | None:
        """Who represents the peer that sent a message (spec 6.5)."""
        if message.peer is None:
            return None
        peer = self.peers.get(message.peer)
        return peer.entry.represented_by if peer is not None else None

    def author_here(self, message: Message) -> str | None:
        """The member who bears credit and blame for having sent a message (spec F18)."""
        return message.author if message.peer is None else self.representative(message)

    def parties(self, message: Message) -> set[str]:
        """Author or representative, endorsers late ones included, vetoer (spec 1, spec F17)."""
        found = {v.member for v in message.votes if v.verdict == "endorse"}
        author = self.author_here(message)
        if author is not None:
            found.add(author)
        if message.state == "vetoed" and message.by is not None:
            found.add(message.by)
        return found

    def incident_of(self, message: Message) -> Incident | None:
        """The incident a message belongs to: joined when recorded, else the one taken at opening."""
        return self.end_of(message.joins)

    def holds(self, member: Member, roles: list[str], incident: Incident | None, target: Message | None) -> bool:
        """Whether a member holds one of a rule's roles (spec 1)."""
        for role in roles:
            if role == "member" or role in member.roles:
                return True
            if role == "lead" and incident is not None and not incident.closed and incident.lead == member.id:
                return True
            if role == "party" and target is not None and member.id in self.parties(target):
                return True
        return False

    # Derived balances.

    def quota(self, member: str) -> int:
        """Envelopes left now: replay every envelope of the member (spec 3.3)."""
        return _bucket([*self.spent[member], self.envelope_drop(0)], self.admitted[member])

    def envelope_drop(self, delta: int) -> Drop:
        limits = self.charter.limits
        return self.at, delta, limits.envelopes, limits.envelope_ms

    def token_drop(self, delta: int) -> Drop:
        tokens = self.charter.tokens
        return self.at, delta, tokens.bucket, tokens.refill_s * 1000

    def token_count(self, member: str) -> int:
        """Report tokens left now: replay what was spent and returned (spec 9, spec F20)."""
        return _bucket([*self.tokens[member], self.token_drop(0)], self.admitted[member])

    def credits(self, member: str) -> int:
        return sum(amount for name, amount in self.posts if name == member)

    def standing_stains(self, member: str) -> int:
        return sum(1 for name, _part, _record, _finding, stands in self.stains if name == member and stands)

    def dormant(self, member: str) -> bool:
        """Silent long enough with enough missed messages (spec 6.3, spec F16)."""
        rule = self.charter.dormant
        if rule is None or not self.active(member):
            return False
        last, _, since = max(one for one in self.awake if one[1] == member)
        missed = [moment for moment, name in self.missed if name == member and moment > last]
        return self.at - since >= rule.silent_s * 1000 and len(missed) >= rule.missed


def _bucket(drops: list[Drop], start: int) -> int:
    """Level of a bucket that was full at `start`, after the drops in turn: one back for each full step
    since it was last full or last refilled, by the charter in force at the drop."""
    level, since = drops[0][2], start
    for at, delta, cap, step in drops:
        while level < cap and since + step <= at:
            level += 1
            since += step
        if level >= cap:
            level, since = cap, at
        level = min(cap, level + delta)
    return level
