"""The charter: a network's constitution as data (spec 6), and how a rule is matched."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.json import encode

from tocsin.kernel.digest import digest
from tocsin.kernel.reasons import Reason
from tocsin.kernel.words import (
    MAX_LIST,
    Coded,
    Count,
    Digest,
    Pattern,
    RuleRole,
    Seconds,
    Slug,
    StagePattern,
)

Roles = Annotated[list[RuleRole], Meta(max_length=8)]


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the charter's parts: closed schemas, field order canonical."""


class Threshold(Data, frozen=True):
    """Endorse shares: e*den >= num*size (`>` if strict) and e >= at_least (spec 6.4)."""

    num: Annotated[int, Meta(ge=0, le=100)]
    den: Annotated[int, Meta(ge=1, le=100)]
    strict: bool
    at_least: Annotated[int, Meta(ge=0, le=100)]


class Veto(Data, frozen=True):
    """Who may veto, and for how long after the threshold. No `by` role means nobody."""

    by: Annotated[list[Literal["supervisor", "voter", "auditor"]], Meta(min_length=1, max_length=3)]
    window_s: Seconds


class Rule(Data, frozen=True):
    """Who may issue a kind in a stage, and how it is decided (spec 6)."""

    kind: Pattern
    stage: StagePattern
    model: Literal["broadcast", "vote", "supervise"]
    issuers: Roles
    electorate: Roles
    threshold: Threshold | None
    window_s: Seconds
    notice_s: Seconds
    veto: Veto | None
    escalate: bool
    signal: bool
    opens_incident: bool
    reward: Slug | None

    @property
    def ballotless(self) -> bool:
        """No ballots: the author, or the proof, suffices (spec 6.2)."""
        return self.threshold is None


class Edge(Data, frozen=True):
    source: Slug
    target: Slug


class Stages(Data, frozen=True):
    """Stage names, the first being where an incident opens, and the moves allowed (spec 8)."""

    names: Annotated[list[Slug], Meta(min_length=1, max_length=MAX_LIST)]
    edges: Annotated[list[Edge], Meta(max_length=64)]
    quiet: Annotated[list[Slug], Meta(max_length=MAX_LIST)]
    """Stages in which an incident closes by itself after `times.quiet_s`."""


class KindUse(Data, frozen=True):
    """Which report kinds a category may use."""

    category: Coded
    kinds: Annotated[list[Pattern], Meta(min_length=1, max_length=MAX_LIST)]


class IncidentKey(Data, frozen=True):
    """What makes two reports belong to one incident (spec 8)."""

    category: bool
    areas: bool
    source: bool


class Codes(Data, frozen=True):
    veto: Annotated[list[Slug], Meta(max_length=MAX_LIST)]
    cannot: Annotated[list[Slug], Meta(max_length=MAX_LIST)]


class Scheme(Data, frozen=True):
    """An allowed code scheme. `finest`: most characters of its code, 0 for any length."""

    use: Literal["area", "category"]
    scheme: Slug
    finest: Annotated[int, Meta(ge=0, le=80)]


class Reward(Data, frozen=True):
    name: Slug
    author: Annotated[int, Meta(ge=0, le=1_000_000)]
    endorser: Annotated[int, Meta(ge=0, le=1_000_000)]


class Stains(Data, frozen=True):
    """`refuted`: stain author and counted endorsers of a refuted record. `grace_s`: who retracts or
    recants within it, before the finding, takes neither credit nor blame; 0 for none (spec 9)."""

    refuted: bool
    grace_s: Seconds


class Tokens(Data, frozen=True):
    bucket: Annotated[int, Meta(ge=1, le=10**9)]
    refill_s: Annotated[int, Meta(ge=1, le=10**9)]
    return_at: Annotated[int, Meta(ge=0, le=100)]


class Limits(Data, frozen=True):
    """`envelopes`: bucket size; one back every `envelope_ms` (spec 3.3). `reports_week`: 0 for no cap.
    The rest: spec 9."""

    envelopes: Annotated[int, Meta(ge=1, le=10**9)]
    envelope_ms: Annotated[int, Meta(ge=1, le=10**9)]
    reports_week: Annotated[int, Meta(ge=0, le=10**9)]
    open_messages: Annotated[int, Meta(ge=1, le=10**9)]
    open_motions: Annotated[int, Meta(ge=1, le=10**9)]


class Dormant(Data, frozen=True):
    """Silent for `silent_s` with `missed` messages ended without its ballot (spec 6.3)."""

    silent_s: Annotated[int, Meta(ge=1, le=10**9)]
    missed: Annotated[int, Meta(ge=1, le=1000)]


class Times(Data, frozen=True):
    grace_s: Seconds
    quiet_s: Annotated[int, Meta(ge=1, le=10**9)]
    lead_s: Annotated[int, Meta(ge=1, le=10**9)]
    order_s: Annotated[int, Meta(ge=1, le=10**9)]
    retry_s: Seconds
    receipt_s: Annotated[int, Meta(ge=1, le=10**9)]
    evidence_s: Annotated[int, Meta(ge=0, le=90 * 86_400)]
    """For how long who is proven to have signed two histories is suspended; 0: not at all (spec 8.6)."""


class Quota(Data, frozen=True):
    """What a new peer entry starts from (spec 11)."""

    per_week: Count
    min_endorsers: Annotated[int, Meta(ge=0, le=100)]
    max_age_s: Seconds


class Charter(Data, frozen=True, dict=True):
    """A whole constitution. `calibration`: digest of the file its numbers were frozen in, or null."""

    name: Slug
    rules: Annotated[list[Rule], Meta(min_length=1, max_length=64)]
    stages: Stages
    kinds: Annotated[list[KindUse], Meta(max_length=64)]
    incident_key: IncidentKey
    codes: Codes
    schemes: Annotated[list[Scheme], Meta(max_length=MAX_LIST)]
    rewards: Annotated[list[Reward], Meta(max_length=MAX_LIST)]
    stains: Stains
    tokens: Tokens
    limits: Limits
    dormant: Dormant | None
    times: Times
    peers: Quota
    calibration: Digest | None

    @cached_property
    def canonical(self) -> bytes:
        """The charter's canonical bytes."""
        return encode(self)

    @cached_property
    def digest(self) -> str:
        """The charter's identity: digest of its canonical bytes."""
        return digest(b"charter", self.canonical)

    @cached_property
    def _matches(self) -> dict[tuple[str, str], int | None]:
        return {}

    @cached_property
    def _codes(self) -> dict[tuple[str, ...], Reason]:
        return {}

    def allows(self, kind: str, category: str, areas: Sequence[str]) -> Reason:
        """Whether a report may use these codes: the category's own list and the allowed schemes (spec 5)."""
        place = (kind, category, *areas)
        found = self._codes.get(place)
        if found is None:
            found = _allowed(self, kind, category, areas)
            if len(self._codes) < 4096:
                self._codes[place] = found
        return found

    def match(self, kind: str, stage: str) -> int | None:
        """Index of the rule for `kind` in `stage`, or None (spec 6.1)."""
        found = self._matches.get((kind, stage), -1)
        if found != -1:
            return found
        best: tuple[tuple[int, int, int], int] | None = None
        for index, rule in enumerate(self.rules):
            if rule.stage not in (stage, "*") or not pattern_matches(rule.kind, kind):
                continue
            exact = not rule.kind.endswith(".*")
            rank = (int(exact), len(rule.kind), int(rule.stage != "*"))
            if best is None or rank > best[0]:
                best = (rank, index)
        if len(self._matches) < 4096:
            self._matches[(kind, stage)] = best[1] if best else None
        return best[1] if best else None

    def reward(self, name: str | None) -> Reward | None:
        """The amounts of a named reward, or None."""
        return next((reward for reward in self.rewards if reward.name == name), None)


def _allowed(charter: Charter, kind: str, category: str, areas: Sequence[str]) -> Reason:
    if charter.kinds:
        use = next((use for use in charter.kinds if use.category == category), None)
        own = kind.removeprefix("relayed.")
        if use is None or not any(pattern_matches(pattern, own) for pattern in use.kinds):
            return Reason.CATEGORY_NOT_ALLOWED
    for role, codes in (("category", [category]), ("area", areas)):
        schemes = {scheme.scheme: scheme.finest for scheme in charter.schemes if scheme.use == role}
        for code in codes if schemes else ():
            name, _, value = code.partition(":")
            if name not in schemes:
                return Reason.SCHEME_NOT_ALLOWED
            if schemes[name] and len(value) > schemes[name]:
                return Reason.CODE_TOO_FINE
    return Reason.ACCEPTED


def pattern_matches(pattern: str, kind: str) -> bool:
    """Whether a rule's pattern covers a kind: exact, or `prefix.*` (spec 6.1)."""
    if pattern.endswith(".*"):
        return kind.startswith(pattern[:-1])
    return pattern == kind
