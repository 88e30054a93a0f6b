"""Leaves: what the log says happened (spec 10). Closed codes, ids, integers and digests only.

`at` is block time in ms; `to` lists [destination origin, number] for leaves that go out (spec 11);
`act` is the digest of the act behind the leaf and `envelope` that of its envelope.
"""

from typing import Literal

from msgspec import Struct

from tocsin.kernel.acts import Keys, PeerEntry, Subject, Terms
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.words import Answer, EvidenceClass, Note, Role, Status, Truth, Verdict

MemberStatus = Literal["active", "suspended", "left", "expelled"]
To = list[tuple[str, int]]


class Part(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of leaves and of what stands in them: trees of plain values, of no interest to the garbage collector."""


class Leaf(Part, frozen=True, tag_field="leaf"):
    """Base of all leaves."""


class Original(Part, frozen=True):
    """The first network's genesis digest and message id: the same along any path (spec 11)."""

    genesis: str
    id: str


class Source(Part, frozen=True):
    """Where a relayed message came from. `path`: genesis digests, first network first; `sender_id`:
    its id in the last of them; `endorsers`: counted endorsements where it was first decided."""

    path: list[str]
    original: Original
    sender: str
    sender_id: str
    number: int
    endorsers: int


class Ballot(Part, frozen=True):
    """One member's verdict as it stands in a certificate. `late`: after the deciding block."""

    member: str
    verdict: Verdict
    code: str | None
    by: Literal["officer", "judge"]
    act: str
    epoch: int
    late: bool


class GenesisLeaf(Leaf, frozen=True, tag="genesis"):
    genesis: str
    origin: str
    protocol: int
    created: int


class CharterLeaf(Leaf, frozen=True, tag="charter"):
    digest: str
    charter: Charter
    cause: str | None
    at: int


class RosterMember(Part, frozen=True):
    """`until`: end of a suspension in ms, else null; `joined`: its key counts for finality while it is active (8.3)."""

    id: str
    entity: str
    roles: list[Role]
    keys: Keys
    status: MemberStatus
    until: int | None
    joined: bool


class RosterLeaf(Leaf, frozen=True, tag="roster"):
    epoch: int
    at: int
    members: list[RosterMember]


class Opened(Leaf, frozen=True, tag="opened"):
    """`incident`: as the act named it; `joins`: the incident taken for stage, lead and conflicts."""

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
    rule: Rule
    stage: str
    electorate: list[str]
    size: int
    need: int
    eligible: list[str]
    at: int
    notice: int | None
    ends: int | None
    act: str | None
    envelope: str
    to: To


class Final(Leaf, frozen=True):
    """What became of a message, self-contained. `by` and `code`: who ended it and why, or null."""

    id: str
    kind: str
    author: str
    status: Status
    incident: str | None
    subject: Subject | None
    terms: Terms | None
    body: str | None
    source: Source | None
    charter: str
    rule: Rule
    stage: str
    electorate: list[str]
    size: int
    need: int
    ballots: list[Ballot]
    vetoers: list[str]
    opened: int
    at: int
    by: str | None
    code: str | None
    act: str | None
    envelope: str
    to: To


class Recorded(Final, frozen=True, tag="recorded"):
    """A message that passed; `ballots` is its certificate."""


class Rejected(Final, frozen=True, tag="rejected"):
    """More rejected it than the rule can bear."""


class Vetoed(Final, frozen=True, tag="vetoed"):
    """A supervisor stopped it; `by` and `code` say who and why."""


class Lapsed(Final, frozen=True, tag="lapsed"):
    """The time, or the members who could still judge, ran out."""


class Withdrawn(Final, frozen=True, tag="withdrawn"):
    """Its author took it back."""


class Void(Final, frozen=True, tag="void"):
    """What it assumed no longer holds, or it would break an invariant (spec 6.6, spec 8)."""


FINAL_LEAVES: dict[str, type[Final]] = {
    "recorded": Recorded,
    "rejected": Rejected,
    "vetoed": Vetoed,
    "lapsed": Lapsed,
    "withdrawn": Withdrawn,
    "void": Void,
}


class IncidentLeaf(Leaf, frozen=True, tag="incident"):
    """The incident's opening, or a change of stage, lead or features, with its cause (spec 8)."""

    id: str
    at: int
    change: Literal["opened", "stage", "lead", "features", "closed"]
    status: Status
    stage: str
    lead: str | None
    lead_until: int | None
    category: str
    severity: int
    areas: list[str]
    duplicate_of: str | None
    cause: str | None


class Annotated(Leaf, frozen=True, tag="annotated"):
    """A statement that stays with message `id` wherever it goes (spec 5)."""

    id: str
    original: Original
    note: Note
    by: str
    body: str | None
    at: int
    act: str
    envelope: str
    to: To


class OrderAnswer(Part, frozen=True):
    """An addressee's receipt: `answer` null while nothing but `received`, if that, came."""

    member: str
    received: int | None
    answer: Answer | None
    code: str | None
    late: bool
    act: str | None


class OrderReceipts(Leaf, frozen=True, tag="order_receipts"):
    """`cause`: what made the leaf (spec F19)."""

    order: str
    cause: Literal["complete", "due", "expires"]
    at: int
    answers: list[OrderAnswer]
    source: Source | None
    to: To


class FindingLeaf(Leaf, frozen=True, tag="finding"):
    """`counts`: it is the target's finding; else a note (spec 9). `review`: it replaced a finding."""

    id: str
    target: str
    original: Original
    verdict: Truth
    evidence_class: EvidenceClass
    evidence: str | None
    by: str
    review: bool
    counts: bool
    overturned: bool
    at: int
    act: str | None
    envelope: str
    to: To


class Post(Part, frozen=True):
    """Credits posted to a member; a reversal is negative."""

    member: str
    part: Literal["author", "endorser"]
    amount: int


class StainMark(Part, frozen=True):
    """(member, part, record, finding): standing, or annulled by review; never deleted (spec 9)."""

    member: str
    part: Literal["author", "endorser", "vetoer", "misconduct"]


class Settled(Leaf, frozen=True, tag="settled"):
    target: str
    finding: str
    at: int
    posts: list[Post]
    stains: list[StainMark]
    annulled: list[StainMark]


class Relayed(Leaf, frozen=True, tag="relayed"):
    """A peer's leaf, taken in number order. `code` 0: accepted, and message `id` made of it; any
    other is a reason, and the outcome (spec 11)."""

    peer: str
    genesis: str
    number: int
    code: int
    id: str | None
    source: Source | None
    carrier: str
    at: int
    act: str
    envelope: str
    to: To


class Overdue(Leaf, frozen=True, tag="overdue"):
    """No answer to what was sent to `peer` under `number` came in time (spec 11)."""

    peer: str
    number: int
    message: str
    at: int


class PeerLeaf(Leaf, frozen=True, tag="peer"):
    """`entry` null: removed."""

    origin: str
    state: Literal["active", "frozen", "removed"]
    entry: PeerEntry | None
    cause: str | None
    at: int


class EvidenceLeaf(Leaf, frozen=True, tag="evidence"):
    """`signers`: finality keys newly caught signing both statements, or all that did if none is new; `members`: whose
    they are; `suspended`: those of our own suspended for it; `frozen`: the peer was frozen for it. Where the engine
    caught a validator, that is the key in `signers`, and nobody showed it: `by`, `act` and `envelope` are null."""

    origin: str
    signers: list[str]
    members: list[str]
    suspended: list[str]
    frozen: bool
    by: str | None
    at: int
    act: str | None
    envelope: str | None


class Erased(Leaf, frozen=True, tag="erased"):
    """`what`: erasure asked for, or attested by a holder (spec 12)."""

    id: str
    what: Literal["asked", "attested"]
    by: str
    at: int
    act: str
    envelope: str


class BlockLeaf(Leaf, frozen=True, tag="block"):
    """Ends every block that changes something. `envelopes`: how many; `envelopes_digest`: over their
    digests and receipts; `writes`: over the net changed rows; `state`: snapshot digest each 1,024th, else null."""

    height: int
    at: int
    epoch: int
    protocol: int
    envelopes: int
    envelopes_digest: str
    writes: str
    state: str | None


AnyLeaf = (
    GenesisLeaf
    | CharterLeaf
    | RosterLeaf
    | Opened
    | Recorded
    | Rejected
    | Vetoed
    | Lapsed
    | Withdrawn
    | Void
    | IncidentLeaf
    | Annotated
    | OrderReceipts
    | FindingLeaf
    | Settled
    | Relayed
    | Overdue
    | PeerLeaf
    | EvidenceLeaf
    | Erased
    | BlockLeaf
)
