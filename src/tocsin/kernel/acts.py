"""Acts: what a member signs (spec 5), as closed schemas.

Field order is the canonical key order. Unknown fields are refused, every field is present, and
`null` is explicit (spec 2).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tocsin.kernel.charter import Charter
from tocsin.kernel.words import (
    MAX_LIST,
    AbstainCode,
    Answer,
    Coded,
    Count,
    Day,
    Digest,
    EvidenceClass,
    IncidentName,
    Key,
    Kind,
    Millis,
    Note,
    Origin,
    Relation,
    Role,
    Seconds,
    Signature,
    Slug,
    Status,
    Truth,
    Verdict,
)

Base64 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z")]
Text = Annotated[str, Meta(max_length=65_536)]
Proof = Annotated[list[Base64], Meta(max_length=64)]


class Wire(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of everything that is read from outside: trees of plain values, of no interest to the garbage collector."""


class Keys(Wire, frozen=True):
    """A member's public keys. `validator` is null outside CometBFT."""

    root: Key
    act: Key
    finality: Key
    validator: Key | None
    custody: Literal["self", "operator"]

    def all(self) -> tuple[str, ...]:
        """Every key, for the law that keys are distinct for ever (spec 1)."""
        keys = (self.root, self.act, self.finality)
        return keys if self.validator is None else (*keys, self.validator)


class Subject(Wire, frozen=True):
    """What a report is about, in codes only (spec 5)."""

    category: Coded
    areas: Annotated[list[Coded], Meta(min_length=1, max_length=MAX_LIST)]
    onset_day: Day | None
    detected_day: Day
    severity: Annotated[int, Meta(ge=0, le=4)]
    status: Status


# Terms: a closed schema for each kind of motion, order, finding or share (spec 5, spec 8, spec 9).


class Share(Wire, frozen=True, tag="share", tag_field="terms"):
    """`share.*`: carry a record to a named peer (spec 11)."""

    peer: Origin
    record: Digest


class StageMotion(Wire, frozen=True, tag="stage", tag_field="terms"):
    base: Slug
    to: Slug


class LeadMotion(Wire, frozen=True, tag="lead", tag_field="terms"):
    """A candidacy by the author, or `vacate`. `base`: the lead it assumes, null for vacant."""

    do: Literal["stand", "vacate"]
    base: Slug | None


class FeaturesMotion(Wire, frozen=True, tag="features", tag_field="terms"):
    """`base`: digest of the features it assumes (spec 8)."""

    base: Digest
    category: Coded
    severity: Annotated[int, Meta(ge=0, le=4)]
    areas: Annotated[list[Coded], Meta(min_length=1, max_length=MAX_LIST)]


class CloseMotion(Wire, frozen=True, tag="close", tag_field="terms"):
    base: Slug
    duplicate_of: Digest | None


class Standing(Wire, frozen=True):
    """The base of a motion about a member: its roles and status (spec 8)."""

    roles: list[Role]
    status: Literal["active", "suspended", "left", "expelled"]


class AdmitMotion(Wire, frozen=True, tag="admit", tag_field="terms"):
    """`proofs`: each key in the order of `Keys.all()` signs `admission_statement` (spec 8)."""

    member: Slug
    entity: Coded
    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]
    keys: Keys
    expires: Millis
    proofs: Annotated[list[Signature], Meta(min_length=3, max_length=4)]


class SuspendMotion(Wire, frozen=True, tag="suspend", tag_field="terms"):
    member: Slug
    base: Standing
    duration_s: Annotated[int, Meta(ge=1, le=90 * 86_400)]


class ReinstateMotion(Wire, frozen=True, tag="reinstate", tag_field="terms"):
    member: Slug
    base: Standing


class ExpelMotion(Wire, frozen=True, tag="expel", tag_field="terms"):
    member: Slug
    base: Standing


class RolesMotion(Wire, frozen=True, tag="roles", tag_field="terms"):
    member: Slug
    base: Standing
    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]


class RekeyMotion(Wire, frozen=True, tag="rekey", tag_field="terms"):
    """`base`: digest of the keys it replaces."""

    member: Slug
    base: Digest
    keys: Keys
    expires: Millis
    proofs: Annotated[list[Signature], Meta(min_length=3, max_length=4)]


class PinnedMember(Wire, frozen=True):
    """What a network must know of a peer's member to check finality and whom it represents. `active`: its finality key
    counts, because it is active and has joined (spec 8.3)."""

    id: Slug
    entity: Coded
    finality: Key
    custody: Literal["self", "operator"]
    active: bool


class PeerTerms(Wire, frozen=True):
    """Quota of a peer (spec 11); the charter's `peers` is what a new entry starts from."""

    per_week: Annotated[int, Meta(ge=0, le=100_000)]
    min_endorsers: Annotated[int, Meta(ge=0, le=100)]
    max_age_s: Seconds


class PeerEntry(Wire, frozen=True):
    """What `motion.peer` sets: who the peer is, and what it may send (spec 11)."""

    genesis: Digest
    relation: Relation
    log_key: Key
    epoch: Count
    roster: Annotated[list[PinnedMember], Meta(min_length=1, max_length=100)]
    size: Count
    root: Digest
    represented_by: Slug | None
    quota: PeerTerms


class PeerMotion(Wire, frozen=True, tag="peer", tag_field="terms"):
    """`base`: digest of the entry without pins and counters, null where there is none (spec 8)."""

    do: Literal["add", "repin", "thaw", "remove"]
    origin: Origin
    base: Digest | None
    entry: PeerEntry | None


class CharterMotion(Wire, frozen=True, tag="charter", tag_field="terms"):
    base: Digest
    charter: Charter


class UpgradeMotion(Wire, frozen=True, tag="upgrade", tag_field="terms"):
    base: Digest
    protocol: Annotated[int, Meta(ge=1, le=1000)]


class Order(Wire, frozen=True, tag="order", tag_field="terms"):
    """`order.*`: addressees explicit, due and expiry in block time (spec 8, spec F19)."""

    to: Annotated[list[Slug], Meta(min_length=1, max_length=100)]
    due: Millis
    expires: Millis
    replaces: Digest | None


class Revoke(Wire, frozen=True, tag="revoke", tag_field="terms"):
    order: Digest


class Finding(Wire, frozen=True, tag="finding", tag_field="terms"):
    """What was true: `target` a final report or relayed report (spec 9)."""

    target: Digest
    verdict: Truth
    evidence_class: EvidenceClass
    evidence: Digest | None


class Review(Wire, frozen=True, tag="review", tag_field="terms"):
    """`finding.review`: names the finding it replaces (spec F9)."""

    finding: Digest
    target: Digest
    verdict: Truth
    evidence_class: EvidenceClass
    evidence: Digest | None


# Terms that only a relay makes (spec 11): what a peer told us of a message that we know.


class OutcomeTerms(Wire, frozen=True, tag="outcome", tag_field="terms"):
    """What became of our `message` there. `code`: reason of its refusal, 0 if it was accepted."""

    message: Digest
    state: Slug
    code: Count


class NoteTerms(Wire, frozen=True, tag="note", tag_field="terms"):
    message: Digest
    note: Note
    by: Slug


class ReceiptsTerms(Wire, frozen=True, tag="receipts", tag_field="terms"):
    """How many answered our `order` there, by answer."""

    message: Digest
    addressees: Count
    done: Count
    cannot: Count


MotionTerms = (
    StageMotion
    | LeadMotion
    | FeaturesMotion
    | CloseMotion
    | AdmitMotion
    | SuspendMotion
    | ReinstateMotion
    | ExpelMotion
    | RolesMotion
    | RekeyMotion
    | PeerMotion
    | CharterMotion
    | UpgradeMotion
)
Terms = Share | MotionTerms | Order | Revoke | Finding | Review | OutcomeTerms | NoteTerms | ReceiptsTerms


# Acts.


class Submit(Wire, frozen=True, tag="submit", tag_field="act"):
    """Put a message. `incident`: an id, `new`, or null."""

    kind: Kind
    incident: IncidentName | None
    subject: Subject | None
    terms: Terms | None
    body: Digest | None


class Judge(Wire, frozen=True, tag="judge", tag_field="act"):
    """A ballot: one per member and message, final."""

    message: str
    verdict: Verdict
    code: AbstainCode | None
    by: Literal["officer", "judge"]
    data_through: Day | None
    evidence: Digest | None


class VetoAct(Wire, frozen=True, tag="veto", tag_field="act"):
    message: Digest
    code: Slug
    body: Digest | None


class Concur(Wire, frozen=True, tag="concur", tag_field="act"):
    message: Digest


class Withdraw(Wire, frozen=True, tag="withdraw", tag_field="act"):
    message: Digest


class Annotate(Wire, frozen=True, tag="annotate", tag_field="act"):
    message: Digest
    note: Note
    body: Digest | None


class Acknowledge(Wire, frozen=True, tag="acknowledge", tag_field="act"):
    order: Digest
    answer: Answer
    code: Slug | None


class Present(Wire, frozen=True, tag="present", tag_field="act"):
    through: Day


class RelayedLeaf(Wire, frozen=True):
    """One leaf of the peer's log with its place and proof (spec 11)."""

    index: Count
    leaf: Text
    proof: Proof


class RelayAct(Wire, frozen=True, tag="relay", tag_field="act"):
    """One checkpoint of a peer, with the proof from the pinned one, and leaves in number order.

    `roster`: a roster leaf whose block this checkpoint ends (index = size - 2); it becomes the
    pinned roster, because a checkpoint up to there is still under the epoch before it (spec 11).
    """

    peer: Origin
    checkpoint: Text
    consistency: Proof
    roster: RelayedLeaf | None
    leaves: Annotated[list[RelayedLeaf], Meta(max_length=64)]


class Rotate(Wire, frozen=True, tag="rotate", tag_field="act"):
    """Replace one key. The envelope is signed by the root key; `proof` is the new key's (spec 8)."""

    which: Literal["root", "act", "finality", "validator"]
    key: Key
    proof: Signature


class Leave(Wire, frozen=True, tag="leave", tag_field="act"):
    """Leave the network; the member's record stays."""


class Join(Wire, frozen=True, tag="join", tag_field="act"):
    """The author's node is at the head: `height` is of the newest block it has (spec 8.3)."""

    height: Count


class Ready(Wire, frozen=True, tag="ready", tag_field="act"):
    """The author's node knows the rules of this protocol number (spec 8.5)."""

    protocol: Count


class Seal(Wire, frozen=True, tag="seal", tag_field="act"):
    """A change of the signers became final: the checkpoint at its block's end, by those of before (spec 11.4)."""

    checkpoint: Text


class Evidence(Wire, frozen=True, tag="evidence", tag_field="act"):
    """Contradicting statements about one log.

    Two notes of one size with different roots; or of two sizes, with `root`, another root at the
    smaller size, and the proof that the larger tree extends that one.
    """

    origin: Origin
    first: Text
    second: Text
    root: Digest | None
    consistency: Proof


class Erase(Wire, frozen=True, tag="erase", tag_field="act"):
    message: Digest


class ErasedHere(Wire, frozen=True, tag="erased-here", tag_field="act"):
    message: Digest


Act = (
    Submit
    | Judge
    | VetoAct
    | Concur
    | Withdraw
    | Annotate
    | Acknowledge
    | Present
    | RelayAct
    | Rotate
    | Leave
    | Join
    | Ready
    | Seal
    | Evidence
    | Erase
    | ErasedHere
)
