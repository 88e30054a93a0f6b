"""The words of the protocol as constrained types (spec 1, spec 2).

Every type is a plain `str` or `int` with bounds that the codec enforces on decoding, so a value
inside the kernel is already of the right shape.
"""

from typing import Annotated, Literal

from msgspec import Meta

MAX_INT = 2**53 - 1
"""Integers on the wire lie within +-(2^53-1), so that every JSON reader agrees on them (spec 2)."""

Slug = Annotated[str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=40)]
"""Lower-case identifier: member ids, stages, codes."""

Kind = Annotated[str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*\Z", max_length=80)]
"""Slugs joined by dots: what a message is, for example `report.cluster.dengue`."""

Pattern = Annotated[
    str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*(\.\*)?\Z", max_length=82)
]
"""An exact kind, or `prefix.*`; never a bare `*` (spec 6.1)."""

StagePattern = Annotated[str, Meta(pattern=r"\A(\*|[a-z0-9]+(-[a-z0-9]+)*)\Z", max_length=40)]
"""A stage, or `*` for any."""

IncidentName = Annotated[str, Meta(pattern=r"\A([0-9a-f]{64}|new)\Z")]
"""An incident's id, or `new`."""

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""SHA-256 with a domain prefix, lower-case hex."""

Key = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""Ed25519 public key, lower-case hex."""

Signature = Annotated[str, Meta(pattern=r"\A[0-9a-f]{128}\Z")]
"""Ed25519 signature, lower-case hex."""

Origin = Annotated[str, Meta(pattern=r"\A[!-*,-~]*[./][!-*,-~]*\Z", max_length=150)]
"""A network's name: schema-less URL, printable ASCII without space or `+`. Its dot or slash tells it from a member
wherever either may stand (spec 1.1)."""

Coded = Annotated[str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*:[A-Za-z0-9][A-Za-z0-9._/-]*\Z", max_length=80)]
"""`scheme:code`, for example `icd11:1D2Z` or `iso3166-2:TW-TNN`."""

Millis = Annotated[int, Meta(ge=0, le=MAX_INT)]
"""A moment: integer milliseconds since 1970-01-01T00:00Z."""

Seconds = Annotated[int, Meta(ge=0, le=10**9)]
"""A length of time in seconds."""

Day = Annotated[int, Meta(ge=-200_000, le=200_000)]
"""A civil day: days since 1970-01-01."""

Count = Annotated[int, Meta(ge=0, le=MAX_INT)]

Role = Literal["reporter", "voter", "supervisor", "relay", "auditor"]
RuleRole = Literal["reporter", "voter", "supervisor", "relay", "auditor", "lead", "party", "member"]
Status = Literal["actual", "exercise", "test"]
Verdict = Literal["endorse", "reject", "abstain"]
Truth = Literal["upheld", "refuted", "undetermined"]
EvidenceClass = Literal["laboratory", "field", "statistical", "none"]
Relation = Literal["parent", "child", "peer"]
AbstainCode = Literal["no-patients", "data-late", "conflict", "no-body", "other"]
Note = Literal["update", "correct", "retract", "recant", "object"]
Answer = Literal["received", "done", "cannot"]

MAX_LIST = 16
"""Lists of areas, features and codes hold at most this many (spec 6)."""
MAX_MEMBERS = 100
MAX_ACTS = 256
MAX_HOPS = 8
CONSTITUTIONAL = (
    "motion.admit",
    "motion.charter",
    "motion.expel",
    "motion.peer",
    "motion.reinstate",
    "motion.rekey",
    "motion.roles",
    "motion.suspend",
    "motion.upgrade",
)
"""Motions whose size counts the suspended and whose rules the loader guards (spec 6.3, 6.6)."""
