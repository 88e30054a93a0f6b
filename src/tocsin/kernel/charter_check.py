"""The loader's law (spec 6.6, F6, F23): may these members live under this charter?

`check_charter` needs no roster; `check_roster` holds a charter against members and peers, at
founding and at every change of roster, peers or charter. Fatal problems forbid loading, and are the
invariants that no motion may break or worsen (`worse`); the others warn.

Everything here is without a state: the dormant are counted, since their next act makes them electors
again, and a lead may be anybody.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.charter_form import NONE, Problem, bad, check_charter, constitutional, covers, label, warn
from tocsin.kernel.quorum import need, tolerated
from tocsin.kernel.rows import Member, Peer

__all__ = ["Problem", "Size", "check_charter", "check_roster", "electors", "required", "worse"]

CAPPED = ("motion.admit", "motion.charter", "motion.reinstate")
"""Motions whose `at_least` never exceeds the size, so that `leave` locks nobody out (F6)."""
SUBJECT_IN_ELECTORATE = ("motion.expel", "motion.rekey", "motion.roles", "motion.suspend")
"""Motions about a member that may itself be an elector, and then is conflicted (spec 6.5)."""


class Size(NamedTuple):
    """Electors who can vote now, and the suspended who would be electors were they active."""

    active: int
    suspended: int

    @property
    def both(self) -> int:
        return self.active + self.suspended


def required(rule: Rule, kind: str, size: int, asleep: int = 0) -> int:
    """Endorsements that `kind` needs of an electorate of `size`, at least one; 0 without ballots (spec 6.4).

    Where `at_least` never exceeds the size (F6), the dormant left out count, or one member awake would amend alone.
    """
    if rule.threshold is None:
        return 0
    num, den, strict, at_least = rule.threshold.num, rule.threshold.den, rule.threshold.strict, rule.threshold.at_least
    return max(1, need(num, den, strict, min(at_least, size + asleep) if kind in CAPPED else at_least, size))


def electors(rule: Rule, members: Sequence[Member], out: Sequence[str] = ()) -> Size:
    """Electors of a rule (spec 6.3), without those named in `out`: the author where it does not
    count, the representative of a peer, the subject. The dormant are not known here."""
    if rule.threshold is None:
        return Size(0, 0)
    active = suspended = 0
    for member in members:
        if member.id not in out and _votes(rule, member.roles):
            active += member.status == "active"
            suspended += member.status == "suspended"
    return Size(active, suspended)


def check_roster(charter: Charter, members: Sequence[Member], peers: Sequence[Peer]) -> list[Problem]:
    """Everything wrong with a charter on this roster: members of any status, peers of any relation.

    Pure and total. The clause of a fatal problem names the invariant, so that two rosters, or two
    charters, can be compared by `worse`.
    """
    census = _Census(members)
    found: list[Problem] = []
    for rule in charter.rules:
        if rule.threshold is None:
            continue
        size = census.electors(rule)
        is_local, is_relayed = covers(rule.kind, "report."), covers(rule.kind, "relayed.report.")
        if is_local:
            found += _report(rule, size, census)
        if is_relayed:
            found += _relayed(rule, size, census, peers)
        if rule.kind == "finding.review":
            found += _review(charter, rule, size, census)
        elif not is_local and not is_relayed:
            found += _other(rule, size, census)
    found += _amendment(charter, census)
    excess = census.suspended - census.present // 3
    if excess > 0:
        sentence = f"{census.suspended} of {census.present} members are suspended; at most a third may be at once."
        found.append(bad("too-many-suspended", "members", sentence, excess))
    clash = sum(count.both for roles, count in census.groups if "auditor" in roles and _votes_at_all(charter, roles))
    if clash:
        sentence = f"{clash} auditors hold a role that votes; an auditor is in no electorate, so part the roles."
        found.append(bad("auditor-votes", "members", sentence, clash))
    return found


def worse(before: Sequence[Problem], after: Sequence[Problem]) -> bool:
    """Whether an invariant fails after that held before, or fails by more (F6). Warnings do not count."""
    amounts: dict[tuple[str, str], int] = {}
    for problem in before:
        if problem.fatal:
            amounts[problem.code, problem.clause] = problem.amount
    return any(
        problem.fatal and problem.amount > amounts.get((problem.code, problem.clause), 0) for problem in after
    )


class _Census:
    """Members counted by their roles, because those with the same roles are alike to every rule."""

    def __init__(self, members: Sequence[Member]) -> None:
        counts: dict[tuple[str, ...], tuple[int, int]] = {}
        self.roles_of: dict[str | None, tuple[str, ...]] = {}
        for member in members:
            if member.status not in ("active", "suspended"):
                continue
            roles = tuple(sorted(member.roles))
            self.roles_of[member.id] = roles
            active, suspended = counts.get(roles, (0, 0))
            is_active = member.status == "active"
            counts[roles] = (active + is_active, suspended + (not is_active))
        self.groups = [(roles, Size(*counts[roles])) for roles in sorted(counts)]
        self.suspended = sum(count.suspended for _, count in self.groups)
        self.present = sum(count.both for _, count in self.groups)

    def electors(self, rule: Rule) -> Size:
        """As `electors`, nobody left out."""
        voting = [count for roles, count in self.groups if _votes(rule, roles)]
        return Size(sum(one.active for one in voting), sum(one.suspended for one in voting))

    def issuers(self, rule: Rule) -> list[tuple[tuple[str, ...], Size]]:
        """Groups that may issue; a lead may be anybody, and a party is of no report."""
        anybody = "member" in rule.issuers or "lead" in rule.issuers
        return [
            (roles, count) for roles, count in self.groups if anybody or any(role in rule.issuers for role in roles)
        ]


def _votes(rule: Rule, roles: Sequence[str]) -> bool:
    """Whether a holder of `roles` is an elector of `rule`: a listed role, and not its veto (spec 6.3)."""
    if "member" not in rule.electorate and not any(role in rule.electorate for role in roles):
        return False
    return rule.veto is None or not any(role in rule.veto.by for role in roles)


def _votes_at_all(charter: Charter, roles: Sequence[str]) -> bool:
    return any(
        "member" in rule.electorate or any(role in rule.electorate for role in roles) for rule in charter.rules
    )


def _shortfall(rule: Rule, kind: str, size: int, present: int) -> int:
    """By how many endorsements a rule cannot pass; a vote of nobody is none."""
    return max(required(rule, kind, size), 1) - present


def _report(rule: Rule, size: Size, census: _Census) -> Iterator[Problem]:
    """A report rule passes for each of its issuers, the suspended counted as active (spec 6.6)."""
    issuers = census.issuers(rule)
    if not issuers:
        return
    voters = size.both - any(_votes(rule, roles) for roles, _ in issuers)
    short = _shortfall(rule, rule.kind, voters, voters)
    if short > 0:
        yield bad("report-cannot-pass", label(rule), _lacks(rule, rule.kind, voters, "beside the author"), short)


def _relayed(rule: Rule, size: Size, census: _Census, peers: Sequence[Peer]) -> Iterator[Problem]:
    """A relayed report passes though the member that represents its sender is conflicted (F23). Only
    a child sends reports (spec 11)."""
    children = [peer.entry.represented_by for peer in peers if peer.entry.relation == "child"]
    if not children or not census.issuers(rule):
        return
    conflicted = any(_votes(rule, census.roles_of[one]) for one in children if one in census.roles_of)
    voters = size.both - conflicted
    short = _shortfall(rule, rule.kind, voters, voters)
    if short > 0:
        sentence = _lacks(rule, rule.kind, voters, "beside the member that represents the sender")
        yield bad("relayed-cannot-pass", label(rule), sentence, short)


def _amendment(charter: Charter, census: _Census) -> Iterator[Problem]:
    """`motion.charter` passes, and is moved, whoever is missing of a tolerable number (spec 6.6, F6)."""
    index = charter.match("motion.charter", NONE)
    if index is None or charter.rules[index].threshold is None:
        return
    rule = charter.rules[index]
    size = census.electors(rule)
    missing = max(tolerated(size.both), size.suspended)
    short = _shortfall(rule, "motion.charter", size.both, size.both - missing)
    if short > 0:
        sentence = (
            f"The charter could not be changed with {missing} of {size.both} electors missing: "
            f"{max(required(rule, 'motion.charter', size.both), 1)} must endorse."
        )
        yield bad("charter-cannot-pass", "motion.charter", sentence, short)
    movers = census.issuers(rule)
    safe = sum(count.active for roles, count in movers if not _votes(rule, roles))
    at_risk = sum(count.active for roles, count in movers if _votes(rule, roles))
    short = 1 - safe - max(0, at_risk - (missing - size.suspended))
    if short > 0:
        sentence = f"With {missing} of {size.both} electors missing nobody may be left to move a new charter."
        yield bad("charter-has-no-mover", "motion.charter", sentence, short)


def _review(charter: Charter, rule: Rule, size: Size, census: _Census) -> Iterator[Problem]:
    """Neutrals may be too few for a review even of the smallest certificate (F9)."""
    parties = [
        1 + required(one, one.kind, census.electors(one).active - 1)
        for one in charter.rules
        if covers(one.kind, "report.") and one.threshold is not None
    ]
    neutral = max(0, size.active - min(parties, default=0))
    if required(rule, rule.kind, neutral) > neutral:
        sentence = "Beside a report's parties too few could judge a review; only a parent's finding replaces one."
        yield warn("no-review", label(rule), sentence)


def _other(rule: Rule, size: Size, census: _Census) -> Iterator[Problem]:
    """Other rules that cannot pass only warn; their messages are refused at submit, or lapse."""
    voters, all_told = size.active, size.both if constitutional(rule) else size.active
    out = rule.kind in SUBJECT_IN_ELECTORATE and voters > 0
    if not rule.kind.startswith("motion."):
        out = any(_votes(rule, roles) for roles, _ in census.issuers(rule))
    short = _shortfall(rule, rule.kind, all_told - out, voters - out)
    if short > 0:
        beside = "beside its subject" if rule.kind in SUBJECT_IN_ELECTORATE else "now"
        yield warn("cannot-pass", label(rule), _lacks(rule, rule.kind, voters - out, beside), short)


def _lacks(rule: Rule, kind: str, voters: int, beside: str) -> str:
    wanted = max(required(rule, kind, voters), 1)
    return (
        f"`{label(rule)}` needs {wanted} to endorse and has {voters} who may judge {beside}; "
        "admit members, or lower what the rule asks."
    )
