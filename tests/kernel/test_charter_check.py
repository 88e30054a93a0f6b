"""The loader's law: one mutation for each problem, sizes as the kernel counts them, and brute force."""

import inspect
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, pairwise, product
from time import process_time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import charters
from tocsin.kernel import charter_check, charter_form, motions
from tocsin.kernel.acts import Keys, PeerEntry, PeerTerms, PinnedMember
from tocsin.kernel.block import found
from tocsin.kernel.charter import Charter, Rule, Threshold, Veto
from tocsin.kernel.charter_check import Problem, check_charter, check_roster, electors, worse
from tocsin.kernel.charter_form import OF_AN_INCIDENT, smaller_share
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import electorate
from tocsin.kernel.genesis import Founder, Genesis
from tocsin.kernel.quorum import need
from tocsin.kernel.rows import Member, Peer
from tocsin.kernel.words import CONSTITUTIONAL

KEYS = Keys("0" * 64, "1" * 64, "2" * 64, None, "self")
Json = dict[str, Any]


def member(name: str, *roles: str, status: str = "active") -> Member:
    return Member(name, f"test:{name}", sorted(roles), KEYS, status, None, 0, True, None)  # type: ignore[arg-type]


def voters(count: int, supervisors: int = 1) -> list[Member]:
    found = [member(f"v{index:02}", "reporter", "voter") for index in range(count)]
    return found + [member(f"s{index}", "supervisor", "relay") for index in range(supervisors)]


def peer(represented_by: str | None, relation: str = "child") -> Peer:
    pinned = [PinnedMember("x", "test:x", "3" * 64, "self", True)]
    quota = PeerTerms(20, 2, 604_800)
    entry = PeerEntry("4" * 64, relation, "5" * 64, 1, pinned, 1, "6" * 64, represented_by, quota)  # type: ignore[arg-type]
    return Peer("child.example", entry, "active", 1, 1, [])


def plain(name: str = "paper") -> Json:
    made: Json = msgspec.to_builtins(charters.load(name))
    return made


def row(charter: Json, kind: str) -> Json:
    found: Json = next(rule for rule in charter["rules"] if rule["kind"] == kind)
    return found


def fatal(problems: list[Problem]) -> list[str]:
    return sorted({problem.code for problem in problems if problem.fatal})


def warnings(problems: list[Problem]) -> list[str]:
    return sorted({problem.code for problem in problems if not problem.fatal})


# One mutation of `paper` for each problem of a charter alone; the exact codes that it must give.

Mutation = Callable[[Json], object]


def edit(which: str, /, **fields: Any) -> Mutation:
    return lambda charter: row(charter, which).update(fields)


def threshold(which: str, **fields: Any) -> Mutation:
    return lambda charter: row(charter, which)["threshold"].update(fields)


def add(kind: str, like: str, **fields: Any) -> Mutation:
    return lambda charter: charter["rules"].append({**row(charter, like), "kind": kind, **fields})


def drop(*kinds: str) -> Mutation:
    def without(charter: Json) -> None:
        charter["rules"] = [rule for rule in charter["rules"] if rule["kind"] not in kinds]

    return without


def both(*mutations: Mutation) -> Mutation:
    return lambda charter: [mutation(charter) for mutation in mutations]


NO_BALLOTS: Json = {"electorate": [], "threshold": None, "window_s": 0}
BAD: dict[str, list[Mutation]] = {
    "same-pair": [add("report.*", "report.*")],
    "unknown-kind": [
        add("rumour.*", "share.*"), add("motion.merge", "motion.stage"), add("report", "share.*"),
        add("relayed.report", "relayed.signal"), add("motion.admit.*", "motion.stage"),
    ],
    "unknown-stage": [
        edit("order.*", stage="panic"),
        lambda charter: charter["stages"]["edges"].append({"source": "watch", "target": "zenith"}),
        lambda charter: charter["stages"].update(quiet=["alert", "panic"]),
    ],
    "reserved-stage": [lambda charter: charter["stages"]["names"].append("none")],
    "never-applies": [
        add("motion.admit", "motion.admit", stage="watch"), edit("motion.stage", stage="none"),
        edit("order.*", stage="none"), edit("share.*", stage="alert"),
        edit("relayed.order.*", stage="response"),
    ],
    "no-issuers": [edit("report.*", issuers=[])],
    "no-such-issuer": [edit("motion.admit", issuers=["lead"]), edit("share.*", issuers=["party"])],
    "not-sorted": [
        edit("motion.admit", issuers=["voter", "supervisor"]),
        lambda charter: charter["rewards"].reverse(), lambda charter: charter["codes"]["veto"].reverse(),
        lambda charter: charter["stages"]["edges"].reverse(), lambda charter: charter["stages"]["quiet"].reverse(),
        lambda charter: charter.update(kinds=[{"category": "x:b", "kinds": ["report.*"]},
                                              {"category": "x:a", "kinds": ["report.*"]}]),
    ],
    "duplicate-name": [
        edit("report.*", issuers=["reporter", "reporter"]),
        lambda charter: charter["stages"]["names"].append("watch"),
        lambda charter: charter["rewards"].append({"name": "report", "author": 9, "endorser": 9}),
        lambda charter: charter.update(kinds=[{"category": "x:a", "kinds": ["report.*"]}] * 2),
        lambda charter: charter.update(schemes=[{"use": "area", "scheme": "iso", "finest": 0}] * 2),
        lambda charter: charter["codes"]["cannot"].append("other"),
    ],
    "unknown-reward": [edit("report.*", reward="bounty")],
    "auditor-elector": [edit("finding.review", electorate=["auditor", "voter"])],
    "not-an-electors-role": [edit("finding.review", electorate=["party", "voter"])],
    "electorate-holds-veto": [edit("report.*", veto={"by": ["voter"], "window_s": 3600})],
    "electorate-without-threshold": [edit("report.*", threshold=None, window_s=0)],
    "threshold-without-electorate": [edit("report.*", electorate=[])],
    "broadcast-with-ballots": [edit("share.*", electorate=["voter"], threshold={"num": 1, "den": 2, "strict": True,
                                                                                 "at_least": 1})],
    "broadcast-that-waits": [edit("share.*", window_s=60), edit("share.*", notice_s=60)],
    "broadcast-with-veto": [edit("share.*", veto={"by": ["supervisor"], "window_s": 60})],
    "vote-without-ballots": [edit("motion.stage", **NO_BALLOTS)],
    "vote-with-veto": [edit("motion.stage", veto={"by": ["supervisor"], "window_s": 60})],
    "supervise-without-veto": [edit("report.*", veto=None)],
    "no-veto-window": [edit("report.*", veto={"by": ["supervisor"], "window_s": 0})],
    "no-window": [edit("report.*", window_s=0)],
    "window-without-ballots": [edit("relayed.report.*", electorate=[], threshold=None)],
    "notice-too-long": [edit("motion.stage", notice_s=3 * 86_400 + 1)],
    "share-above-one": [threshold("report.*", num=3, den=2), threshold("report.*", num=1, den=1)],
    "needs-nobody": [threshold("report.*", at_least=0)],
    "no-amendment": [drop("motion.charter")],
    "constitution-minority": [threshold("motion.charter", strict=False), threshold("motion.charter", num=1, den=3)],
    "constitution-broadcast": [edit("motion.admit", model="broadcast", **NO_BALLOTS),
                               edit("motion.charter", model="broadcast", **NO_BALLOTS)],
    "constitution-veto": [edit("motion.admit", model="supervise", veto={"by": ["supervisor"], "window_s": 60})],
    "constitution-wildcard": [add("motion.*", "motion.stage")],
    "constitution-weaker": [
        threshold("motion.admit", strict=False), threshold("motion.roles", num=1, den=3),
        threshold("motion.peer", at_least=1), threshold("motion.charter", at_least=3),
        threshold("motion.charter", num=2, den=3, strict=False),
    ],
    "constitution-narrower": [edit("motion.roles", electorate=["supervisor"])],
    "review-not-by-vote": [edit("finding.review", model="supervise", veto={"by": ["supervisor"], "window_s": 60}),
                           both(drop("finding.review"), add("finding.*", "finding"))],
    "finding-not-broadcast": [edit("finding", model="vote", electorate=["voter"], window_s=60,
                                   threshold={"num": 1, "den": 2, "strict": True, "at_least": 1})],
    "finding-issuers": [edit("finding", issuers=["supervisor", "voter"])],
    "order-not-by-lead": [edit("order.*", issuers=["supervisor"]),
                          edit("order.revoke", issuers=["lead", "supervisor"])],
    "only-broadcast": [edit("relayed.outcome", model="supervise", veto={"by": ["supervisor"], "window_s": 60})],
    "no-report-rule": [drop("report.*", "relayed.report.*"),
                       both(edit("report.*", stage="alert"), edit("relayed.report.*", stage="alert"))],
    "kinds-not-report": [lambda charter: charter.update(kinds=[{"category": "x:a", "kinds": ["relayed.report.*"]}])],
    "idle-edge": [lambda charter: charter["stages"]["edges"].append({"source": "watch", "target": "watch"})],
    "order-too-long": [lambda charter: charter["times"].update(order_s=30 * 86_400 + 1)],
    "too-large": [lambda charter: charter.update(kinds=[
        {"category": f"x:{index:064}", "kinds": sorted(f"report.{'x' * 40}.y{one}" for one in range(16))}
        for index in range(32)
    ])],
}  # fmt: skip
WARNED: dict[str, list[Mutation]] = {
    "idle-flag": [edit("share.*", escalate=True), edit("motion.stage", reward="report")],
    "carriers-narrowed": [edit("relayed.order.*", issuers=["relay"])],
    "nothing-opens": [both(edit("report.*", opens_incident=False), edit("relayed.report.*", opens_incident=False))],
    "nobody-leads": [drop("motion.lead")],
    "joins-everything": [lambda charter: charter["incident_key"].update(category=False)],
    "kinds-without-rule": [both(
        edit("report.*", kind="report.event.*"),
        lambda charter: charter.update(kinds=[{"category": "x:a", "kinds": ["report.cluster.*"]}]),
    )],
    "unreachable-stage": [lambda charter: charter["stages"].update(edges=[{"source": "watch", "target": "alert"}])],
}  # fmt: skip


def each(table: dict[str, list[Mutation]]) -> list[tuple[str, Mutation]]:
    return [(code, mutate) for code, mutations in table.items() for mutate in mutations]


@pytest.mark.parametrize(("code", "mutate"), each(BAD))
def test_refuses_a_charter_with(code: str, mutate: Mutation) -> None:
    charter = plain()
    mutate(charter)
    problems = check_charter(msgspec.convert(charter, Charter))
    assert fatal(problems) == [code]
    assert all(problem.sentence.endswith(".") and problem.amount >= 1 for problem in problems)


@pytest.mark.parametrize(("code", "mutate"), each(WARNED))
def test_warns_of_a_charter_with(code: str, mutate: Mutation) -> None:
    charter = plain()
    mutate(charter)
    problems = check_charter(msgspec.convert(charter, Charter))
    assert (fatal(problems), warnings(problems)) == ([], [code])


def test_refuses_a_bare_wildcard() -> None:
    """The schema lets none in; a charter made in memory is held to the same."""
    charter = plain()
    charter["rules"][0]["kind"] = "*"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(charter, Charter)
    paper = charters.load("paper")
    made = msgspec.structs.replace(paper, rules=[msgspec.structs.replace(paper.rules[0], kind="*"), *paper.rules[1:]])
    assert fatal(check_charter(made)) == ["bare-wildcard"]


# Rosters: a charter, members and peers for each problem.

PAPER, PILOT = charters.load("paper"), charters.load("pilot")
SMALL_PILOT = charters.for_network("pilot", 5, 1, k=4)[0]


def with_rule(charter: Charter, kind: str, **fields: Any) -> Charter:
    rules = [msgspec.structs.replace(rule, **fields) if rule.kind == kind else rule for rule in charter.rules]
    return msgspec.structs.replace(charter, rules=rules)


SUPERVISORS_MOVE = with_rule(PAPER, "motion.charter", issuers=["supervisor"])
ROSTERS: dict[str, list[tuple[Charter, list[Member], list[Peer], int]]] = {
    "report-cannot-pass": [
        (PAPER, voters(2), [], 1),
        (SMALL_PILOT, voters(4), [], 1),
        (SMALL_PILOT, voters(3), [], 2),
        (PAPER, [*voters(2), member("x", "voter", "supervisor")], [], 1),  # who vetoes does not vote
    ],
    "relayed-cannot-pass": [
        (PAPER, [member("v0", "voter"), member("v1", "voter"), *voters(0)], [peer("v0")], 1),
    ],
    "charter-cannot-pass": [
        (with_rule(PAPER, "motion.charter", threshold=Threshold(3, 4, False, 2)), voters(6), [], 1),
        (with_rule(PAPER, "motion.charter", threshold=Threshold(1, 1, False, 2)), voters(6), [], 2),
        (with_rule(PAPER, "motion.charter", issuers=["relay"]), [member("a", "relay")], [], 1),
    ],
    "charter-has-no-mover": [(SUPERVISORS_MOVE, voters(6), [], 1), (SUPERVISORS_MOVE, voters(6, 0), [], 1)],
    "too-many-suspended": [
        (PAPER, [*voters(4), *(member(f"x{i}", "reporter", status="suspended") for i in range(4))], [], 1),
        (PAPER, [*voters(4), *(member(f"x{i}", "reporter", status="suspended") for i in range(6))], [], 3),
    ],
    "auditor-votes": [
        (PAPER, [*voters(4), member("a", "auditor", "voter"), member("b", "auditor", "supervisor")], [], 2),
    ],
}  # fmt: skip
WARNED_ROSTERS: dict[str, tuple[Charter, list[Member]]] = {
    "cannot-pass": (PILOT, voters(3, 0)),
    "no-review": (PAPER, voters(4)),
}


@pytest.mark.parametrize(
    ("code", "charter", "members", "peers", "amount"),
    [(code, *case) for code, cases in ROSTERS.items() for case in cases],
)
def test_refuses_a_roster_with(
    code: str, charter: Charter, members: list[Member], peers: list[Peer], amount: int
) -> None:
    problems = [one for one in check_roster(charter, members, peers) if one.fatal]
    assert {(one.code, one.amount) for one in problems} == {(code, amount)}


@pytest.mark.parametrize("code", WARNED_ROSTERS)
def test_warns_of_a_roster_with(code: str) -> None:
    charter, members = WARNED_ROSTERS[code]
    assert code in warnings(check_roster(charter, members, []))


def test_every_problem_has_a_mutation() -> None:
    source = inspect.getsource(charter_form) + inspect.getsource(charter_check)
    raised = set(re.findall(r"\b(?:bad|warn)\(\s*\"([a-z-]+)\"", source))
    tested = {"bare-wildcard", *BAD, *WARNED, *ROSTERS, *WARNED_ROSTERS}
    assert raised == tested


def test_the_kinds_are_those_of_the_kernel() -> None:
    assert sorted(motions.TERMS_OF) == sorted((*CONSTITUTIONAL, *OF_AN_INCIDENT))


# What the law lets pass.


@pytest.mark.parametrize(
    ("charter", "members", "peers"),
    [
        (PAPER, voters(3), []),
        (PAPER, [*voters(2, 0), member("c", "voter")], []),
        (PAPER, [member("v0", "voter"), member("v1", "voter"), *voters(0)], [peer("v0", "parent")]),
        (PAPER, [member("v0", "voter"), member("v1", "voter"), *voters(0)], [peer(None)]),
        (PAPER, [*voters(2), member("c", "voter", "reporter", status="suspended")], []),
        (PAPER, [*voters(3), member("gone", "auditor", "voter", status="left")], []),
        (PAPER, [*voters(3), member("a", "auditor", "reporter", "relay")], []),
        (PAPER, [*voters(3), *(member(f"x{index}", "reporter", status="suspended") for index in range(2))], []),
    ],
)  # fmt: skip
def test_accepts(charter: Charter, members: list[Member], peers: list[Peer]) -> None:
    assert fatal(check_roster(charter, members, peers)) == []


def test_suspended_electors_are_among_the_missing() -> None:
    """Of six electors one may be missing; three suspended are three missing (F6)."""
    mostly = [*voters(5), *(member(f"r{index}", "reporter") for index in range(6))]
    for one in mostly[:3]:
        one.status = "suspended"
    problems = check_roster(PAPER, mostly, [])
    assert fatal(problems) == ["charter-cannot-pass"]
    assert next(one.amount for one in problems if one.fatal) == 1


# `worse`.


def test_worse_compares_invariant_by_invariant() -> None:
    one, two = Problem("a", "x", "A.", 1, True), Problem("a", "x", "A.", 2, True)
    elsewhere, said = Problem("a", "y", "A.", 1, True), Problem("b", "z", "B.", 9, False)
    assert not worse([], [])
    assert not worse([two], [one])
    assert not worse([one], [one, said])
    assert worse([], [one])
    assert worse([one], [two])
    assert worse([one], [elsewhere])


def test_leaving_a_lockout_by_degrees_is_never_worse() -> None:
    steps = [check_roster(SMALL_PILOT, voters(count), []) for count in (2, 3, 4, 5)]
    assert [len(fatal(step)) for step in steps] == [1, 1, 1, 0]
    assert not any(worse(before, after) for before, after in pairwise(steps))
    assert all(worse(after, before) for before, after in pairwise(steps))


# Shares.


@given(st.integers(0, 100), st.integers(1, 100), st.integers(0, 100), st.integers(1, 100), st.booleans(), st.booleans())
def test_shares_compare_as_fractions(a: int, b: int, c: int, d: int, strict: bool, other: bool) -> None:
    left, right = Threshold(a, b, strict, 1), Threshold(c, d, other, 1)
    assert smaller_share(left, right) == ((Fraction(a, b), strict) < (Fraction(c, d), other))


@given(st.integers(0, 20), st.integers(1, 20), st.booleans(), st.integers(0, 10), st.integers(0, 100))
def test_need_grows_with_the_size_by_one_at_most(num: int, den: int, strict: bool, at_least: int, size: int) -> None:
    first, then = need(num, den, strict, at_least, size), need(num, den, strict, at_least, size + 1)
    assert first <= then
    if num <= den:
        assert then <= first + 1
    smallest = next(
        e for e in range(2_200) if e >= at_least and (e * den > num * size if strict else e * den >= num * size)
    )
    assert first == smallest


# Brute force: what the loader accepts can be amended, and reported under.

ROLE_SETS = (("reporter",), ("reporter", "voter"), ("supervisor",), ("voter",), ("supervisor", "voter"))
rosters = st.lists(
    st.tuples(st.sampled_from(ROLE_SETS), st.sampled_from(("active", "active", "active", "suspended", "left"))),
    min_size=1, max_size=7,
).map(
    lambda lines: [member(f"m{index}", *roles, status=status) for index, (roles, status) in enumerate(lines)]
)  # fmt: skip
thresholds = st.builds(Threshold, st.integers(1, 4), st.integers(1, 4), st.booleans(), st.integers(1, 4))
voting_roles = st.sampled_from((["voter"], ["supervisor"], ["supervisor", "voter"], ["reporter", "voter"]))


def passes(law: Threshold, at_least: int, endorsers: int, size: int) -> bool:
    share = Fraction(law.num, law.den) * size
    return endorsers >= max(at_least, 1) and (endorsers > share if law.strict else endorsers >= share)


@settings(max_examples=400, deadline=None)
@given(rosters, thresholds, voting_roles, voting_roles)
def test_an_accepted_charter_can_be_amended_whoever_is_missing(
    members: list[Member], law: Threshold, electorate_roles: list[str], issuer_roles: list[str]
) -> None:
    rule_of = {"threshold": law, "electorate": electorate_roles, "issuers": issuer_roles}
    charter = with_rule(PAPER, "motion.charter", **rule_of)
    codes = {one.code for one in check_roster(charter, members, []) if one.fatal}
    present = [one for one in members if one.status in ("active", "suspended")]
    elect = [one for one in present if any(role in electorate_roles for role in one.roles)]
    movers = [one.id for one in present if one.status == "active" and any(role in issuer_roles for role in one.roles)]
    suspended = [one.id for one in elect if one.status == "suspended"]
    active = [one.id for one in elect if one.status == "active"]
    missing = max((len(elect) - 1) // 3, len(suspended))
    votes_suffice = movers_suffice = True
    for away in combinations(active, missing - len(suspended)):
        left = [one for one in active if one not in away]
        votes_suffice = votes_suffice and passes(law, min(law.at_least, len(elect)), len(left), len(elect))
        movers_suffice = movers_suffice and any(one not in away for one in movers)
    assert ("charter-cannot-pass" not in codes) == votes_suffice
    assert ("charter-has-no-mover" not in codes) == movers_suffice


@settings(max_examples=300, deadline=None)
@given(rosters, thresholds, voting_roles, st.booleans(), st.lists(st.integers(0, 7), max_size=3))
def test_an_accepted_charter_lets_every_reporter_and_every_child_report(
    members: list[Member], law: Threshold, electorate_roles: list[str], vetoed: bool, represented: list[int]
) -> None:
    veto = Veto(["supervisor"], 60) if vetoed else None
    fields = {"threshold": law, "electorate": electorate_roles, "veto": veto}
    charter = with_rule(with_rule(PAPER, "report.*", **fields), "relayed.report.*", **fields)
    peers = [peer(None if index == 7 else f"m{index}") for index in represented]
    codes = {one.code for one in check_roster(charter, members, peers) if one.fatal}
    present = [one for one in members if one.status in ("active", "suspended")]
    elect = [one.id for one in present if any(role in electorate_roles for role in one.roles)]
    elect = [one for one in elect if not (vetoed and "supervisor" in next(m.roles for m in present if m.id == one))]

    def can(out: str | None) -> bool:
        left = [one for one in elect if one != out]
        return passes(law, law.at_least, len(left), len(left))

    reporters = [one.id for one in present if "reporter" in one.roles]
    assert ("report-cannot-pass" not in codes) == all(can(one) for one in reporters)
    if present:
        assert ("relayed-cannot-pass" not in codes) == all(can(one.entry.represented_by) for one in peers)


# The kernel counts as the loader does.


def draft_of(charter: Charter, members: list[Member]) -> Draft:
    founders = [
        Founder(one.id, one.entity, one.roles, Keys(f"{index:064x}", f"a{index:063x}", f"b{index:063x}", None, "self"))
        for index, one in enumerate(members)
    ]
    genesis = Genesis(1, "test.example", 0, charter, "f" * 64, founders)
    state, _ = found(genesis)
    for one in members:
        state.tables["member"][one.id].status = one.status
    return Draft(state, 1, {})


@settings(max_examples=60, deadline=None)
@given(rosters, st.sampled_from(charters.names()))
def test_sizes_and_needs_agree_with_the_kernel(members: list[Member], name: str) -> None:
    charter = charters.load(name)
    draft = draft_of(charter, members)
    for rule in charter.rules:
        kind = rule.kind.replace("*", "x")
        author = members[0].id
        out = [] if kind.startswith("motion.") else [author]
        size = electors(rule, members, out)
        names, counted, asleep = electorate(draft, rule, kind, author, None, None, None)
        assert asleep == 0
        assert len(names) == size.active
        assert counted == (size.both if kind in CONSTITUTIONAL else size.active)


def test_a_hundred_members_and_all_rules_are_checked_in_time() -> None:
    """Called at every change of the roster: 5 ms at most, and the best of several runs counts."""
    roles = list(product((["reporter"], ["voter"], ["reporter", "voter"], ["supervisor"], ["relay"]), range(20)))
    members = [member(f"m{index:03}", *one) for index, (one, _) in enumerate(roles)]
    filler = [rule for rule in PAPER.rules if rule.threshold is not None]
    rules: list[Rule] = (PAPER.rules + filler * 4)[:64]
    charter = msgspec.structs.replace(PAPER, rules=rules)
    peers = [peer(f"m{index:03}") for index in range(20, 40)]
    best = 1.0
    for _ in range(7):
        start = process_time()
        check_roster(charter, members, peers)
        best = min(best, process_time() - start)
    assert best < 0.005
