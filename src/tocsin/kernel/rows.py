"""Rows: the state of a network, one canonical record each (spec 3.4, spec 10).

Live rows are held in memory; archived rows (`OLD_*`, `SEEN_ORIGINAL`) live in the store and reach
the kernel only through `reads`. A row's key is `table:id`.
"""

from typing import Literal

from msgspec import Struct

from tocsin.kernel.acts import Keys, PeerEntry, Subject, Terms
from tocsin.kernel.leaves import Ballot, MemberStatus, OrderAnswer, Post, Source, StainMark, To
from tocsin.kernel.words import EvidenceClass, Note, Role, Status

OLD_MESSAGE = "old-message:"
OLD_INCIDENT = "old-incident:"
ORIGINAL = "original:"
"""`original:<genesis>:<id>` -> local message id: the dedupe key of relayed leaves (spec 11)."""
def original_key(genesis: str, name: str, share: bool = False) -> str:
    """Dedupe key of (original genesis, message id). A share has one of its own, so that nobody's share can keep the
    report itself out (spec 11.3)."""
    return f"{ORIGINAL}{'share:' if share else ''}{genesis}:{name}"


ARCHIVE = (OLD_MESSAGE, OLD_INCIDENT, ORIGINAL)


class Row(Struct, gc=False):
    """Base of all rows. A row is a tree of plain values, so it can be in no cycle, and the garbage collector is not
    to walk over thousands of them again and again."""


class Meta(Row):
    """`counter`: the opening order (spec F3); `size`: leaves so far; `changing`: changing blocks."""

    origin: str
    genesis: str
    log_key: str
    protocol: int
    charter: str
    height: int
    at: int
    epoch: int
    counter: int
    size: int
    changing: int


class Member(Row):
    """A line of the roster. `until`: end of a suspension in ms; `number`: of that suspension; `joined`: its finality
    key counts while it is active (spec 8.3); `caught`: when it was last suspended for evidence, in ms (spec 8.6)."""

    id: str
    entity: str
    roles: list[Role]
    keys: Keys
    status: MemberStatus
    until: int | None
    number: int
    joined: bool
    caught: int | None


class Account(Row):
    """The moving part of a member.

    `quota`, `quota_at`: envelope bucket (spec 3.3). `tokens`, `tokens_at`: report tokens, and when
    the bucket was last full or refilled (spec F20). `reports`: times of the reports of the last week.
    `open`, `motions`: messages open or endorsed, and how many of these are motions (spec F21).
    `last_act`, `missed`: dormancy (spec F16). `through`: last day its data reach.
    """

    id: str
    quota: int
    quota_at: int
    tokens: int
    tokens_at: int
    credits: int
    stains: int
    reports: list[int]
    open: int
    motions: int
    last_act: int
    missed: int
    through: int | None


class Stain(Struct, frozen=True, gc=False):
    mark: StainMark
    finding: str
    standing: bool


class Remark(Struct, frozen=True, gc=False):
    """An annotation kept with its message. `at` in ms."""

    note: Note
    by: str
    at: int


class Message(Row):
    """A message: live while open or endorsed, archived when final (spec 7).

    `rule`: index into the charter of its opening. `vote_ends`, `veto_ends`: deadlines in ms, null
    where there is none; `moved`: an outage already moved it. `size`: electors and, where they count,
    the suspended. `counted`: the certificate is closed, later ballots are late. `finding`: id of the
    standing finding; `found_at`: when the first other than `undetermined` came. `went`: where its
    record went, [destination, number].
    """

    id: str
    number: int
    kind: str
    author: str
    status: Status
    incident: str | None
    joins: str | None
    subject: Subject | None
    terms: Terms | None
    body: str | None
    source: Source | None
    charter: str
    rule: int
    stage: str
    electorate: list[str]
    size: int
    need: int
    eligible: list[str]
    concurred: list[str]
    opened: int
    notice: int | None
    vote_ends: int | None
    vote_moved: bool
    veto_ends: int | None
    veto_moved: bool
    act: str | None
    envelope: str
    state: Literal["open", "endorsed", "recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void"]
    counted: bool
    ballots: dict[str, Ballot]
    ballot_times: dict[str, int]
    final_at: int | None
    by: str | None
    code: str | None
    remarks: list[Remark]
    went: To
    truth: Literal["none", "upheld", "refuted", "undetermined"]
    finding: str | None
    finding_by: str | None
    finding_class: EvidenceClass | None
    found_at: int | None
    reviewed: bool
    review_open: bool
    overturned: bool
    token_spent: bool
    posts: list[Post]
    stains: list[Stain]
    outcome: str | None


class Escalation(Struct, frozen=True, gc=False):
    """The last report of an incident that went up, and what became of it (spec 11)."""

    message: str
    at: int
    outcome: str | None
    answered: int | None


class Incident(Row):
    """`key`: what reports join by; `term`: number of the lead's term; `last_record` in ms."""

    id: str
    number: int
    status: Status
    key: str
    opened: int
    stage: str
    category: str
    severity: int
    areas: list[str]
    lead: str | None
    lead_until: int | None
    term: int
    last_record: int
    closed: int | None
    duplicate_of: str | None
    up: Escalation | None


class RunningOrder(Row):
    """An order whose receipts are still taken (spec F19). `due_done`: the leaf at due is written."""

    id: str
    number: int
    author: str
    incident: str | None
    to: list[str]
    due: int
    expires: int
    due_done: bool
    complete: bool
    answers: dict[str, OrderAnswer]
    source: Source | None


class Peer(Row):
    """A peer's entry with its pins and counters. `reports`: times of the accepted reports of the
    last week; `next_in`, `next_out`: numbers expected and to be given. A removed peer's row stays, so that
    its numbers are never given twice."""

    origin: str
    entry: PeerEntry
    state: Literal["active", "frozen", "removed"]
    next_in: int
    next_out: int
    reports: list[int]


class Sent(Row):
    """What went out and still waits for its outcome; `overdue`: said so already."""

    peer: str
    number: int
    message: str
    at: int
    due: int
    order: int
    overdue: bool


class Seen(Row):
    """Envelope digests consumed by one block, remembered until the last `valid_until` (spec 3.1)."""

    height: int
    until: int
    digests: list[str]


class Signer(Struct, frozen=True, gc=False):
    """Whose finality key counts, and which it is."""

    id: str
    key: str


class PendingHandover(Row):
    """A change of the signers that is not sealed yet (spec 11.4). `index`: of its roster leaf; `signers`: those of
    before, who sign for it; `until`: when waiting for them ends, in ms; `number`: in the opening order."""

    index: int
    signers: list[Signer]
    until: int
    number: int


class Upgrade(Row):
    """A protocol number that was voted in by the motion `cause` and waits for its `ready` (spec 8.5)."""

    protocol: int
    cause: str
    ready: list[str]


class UsedKey(Row):
    """A key once used in this network; keys are distinct for ever (spec 1)."""

    key: str
    member: str


class Archive(Row):
    """What proves the archived rows (spec 10.2): how many there are, and their sum in hex."""

    count: int
    sum: str


class OriginalRow(Row):
    """Our id of what is known elsewhere by the row's key (spec 11)."""

    id: str
