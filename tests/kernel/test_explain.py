"""Explanations: the clause that matched or refused, in both languages, and no word against the kernel."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin import charters
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter_check import electors, required
from tocsin.kernel.explain import Step, describe, duration, explain_submit, threshold_text
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Member
from tocsin.kernel.words import CONSTITUTIONAL

KEYS = Keys("0" * 64, "1" * 64, "2" * 64, None, "self")


def member(name: str, *roles: str, status: str = "active") -> Member:
    return Member(name, f"test:{name}", sorted(roles), KEYS, status, None, 0, True, None)  # type: ignore[arg-type]


FOUR = [member(name, "reporter", "voter") for name in "abcd"]
SUPERVISED = [*FOUR, member("s", "supervisor")]


def said(steps: list[Step]) -> list[tuple[str, str, str]]:
    return [(step.clause, step.outcome, step.en) for step in steps]


def test_a_report_of_figure_1_clause_by_clause() -> None:
    steps = explain_submit(charters.load("paper"), "report.m", "none", ["reporter", "voter"], members=FOUR, author="c")
    assert said(steps) == [
        ("spec 6.1", "holds", "rules[0] `report.*@*` decides `report.m` in stage none: supervise."),
        ("spec 6", "holds", "May be issued by reporter."),
        ("spec 6.3", "says", "Judged by voter, the author left out, and whoever holds the veto: 3 now."),
        ("spec 6.4", "holds", "Needs more than 1/2, at least 2: 2 of 3."),
        ("spec 4", "says", "Ballots are taken for 24 h; then it lapses."),
        ("spec 6.2", "says", "Then supervisor may veto for 1 h, or concur: nobody now, so it is recorded at once. "
         "Who leads the incident does not."),
        ("spec 7", "says", "When it passes: recorded, joins or opens an incident, goes to the parent, "
         "earns `report` if upheld."),
    ]  # fmt: skip


def test_the_more_exact_rule_decides_and_the_others_are_named() -> None:
    charter = charters.load("figure-4")
    in_response = explain_submit(charter, "report.m", "response", ["reporter"])
    assert said(in_response)[:2] == [
        ("spec 6.1", "says", "rules[0] `report.*@*` fits too, but a more exact rule comes before it."),
        ("spec 6.1", "holds", "rules[1] `report.*@response` decides `report.m` in stage response: vote."),
    ]
    in_watch = explain_submit(charter, "report.m", "watch", ["reporter"])
    assert said(in_watch)[1] == ("spec 6.1", "says", "rules[1] `report.*@response` is for stage response, not watch.")
    assert [step.rule for step in in_watch if step.outcome == "holds" and step.clause == "spec 6.1"] == [0]


@pytest.mark.parametrize(
    ("name", "kind", "stage", "roles", "clause", "says"),
    [
        ("paper", "rumour.m", "none", ["reporter"], "spec 5", f"({int(Reason.UNKNOWN_KIND)})"),
        ("paper", "report.", "none", ["reporter"], "spec 5", f"({int(Reason.UNKNOWN_KIND)})"),
        ("paper", "report.m", "panic", ["reporter"], "spec 8", "no stage `panic`"),
        ("paper", "order.stay-home", "watch", ["lead"], "spec 6.1", f"({int(Reason.NO_RULE)})"),
        ("paper", "order.stay-home", "none", ["lead"], "spec 8", f"({int(Reason.INCIDENT_REQUIRED)})"),
        ("paper", "motion.admit", "watch", ["voter"], "spec 6.1", f"({int(Reason.INCIDENT_NOT_ALLOWED)})"),
        ("figure-4", "motion.expel", "none", ["voter"], "spec 6.1", f"({int(Reason.NO_RULE)})"),
        ("pilot", "report.rumour.m", "none", ["reporter"], "spec 6.1", f"({int(Reason.NO_RULE)})"),
        ("paper", "order.stay-home", "response", ["supervisor"], "spec 6", "the author is supervisor (311)"),
        ("paper", "report.m", "none", [], "spec 6", "the author is - (311)"),
        ("pilot", "report.urgent.m", "none", ["reporter"], "spec 5", f"({int(Reason.CATEGORY_NOT_ALLOWED)})"),
    ],
)
def test_says_which_clause_refuses(name: str, kind: str, stage: str, roles: list[str], clause: str, says: str) -> None:
    steps = explain_submit(charters.load(name), kind, stage, roles, category="icd11:1D2Z")
    assert [step.outcome for step in steps].count("refuses") == 1
    assert (steps[-1].outcome, steps[-1].clause) == ("refuses", clause)
    assert says in steps[-1].en


def test_a_category_may_use_what_its_line_allows() -> None:
    dengue = explain_submit(charters.load("pilot"), "report.cluster.m", "none", ["reporter"], category="icd11:1D2Z")
    assert "Category icd11:1D2Z may use `report.cluster.m`." in [step.en for step in dengue]
    relayed = explain_submit(charters.load("pilot"), "relayed.report.urgent.m", "none", [], category="icd11:1D2Z")
    assert relayed[-1].en == "Category icd11:1D2Z may use report.cluster.*, and not `report.urgent.m` (317)."
    unlisted = explain_submit(charters.load("pilot"), "report.cluster.m", "none", ["reporter"], category="x:new")
    assert unlisted[-1].en == "Category x:new may use -, and not `report.cluster.m` (317)."
    anything = explain_submit(charters.load("paper"), "report.m", "none", ["reporter"], category="x:new")
    assert "The charter lets any category use any kind of report." in [step.en for step in anything]


def test_too_few_to_pass() -> None:
    two = FOUR[:2]
    refused = explain_submit(charters.load("paper"), "report.m", "none", ["reporter"], members=two, author="a")
    assert refused[-1].outcome == "refuses"
    assert refused[-1].en.startswith("Needs more than 1/2, at least 2: 2 of 1. Too few members could vote")
    assert refused[-1].en.endswith("(312)")
    signal = explain_submit(charters.load("pilot"), "report.urgent.m", "none", ["reporter"], members=two, author="a")
    assert "Needs at least 4: 4 of 1. It opens only to send its signal up, and lapses." in [s.en for s in signal]
    assert "When it opens, the parent gets an unverified signal." in [s.en for s in signal]


def test_motions_count_the_mover_and_constitutional_ones_the_suspended() -> None:
    members = [*FOUR, member("e", "voter", status="suspended")]
    charter = charters.load("paper")
    amendment = explain_submit(charter, "motion.charter", "none", ["voter"], members=members, author="a")
    assert [step.en for step in amendment][2:4] == [
        "Judged by supervisor or voter, the mover among them: 4 now; 1 suspended count in the size.",
        "Needs more than 1/2, at least 2: 3 of 5.",
    ]
    stage = explain_submit(charter, "motion.stage", "watch", ["voter"], members=members, author="a")
    assert stage[3].en == "Needs more than 1/2, at least 2: 3 of 4."


def test_notice_proof_and_supervisors_are_said() -> None:
    pilot = charters.load("pilot")
    motion = [step.en for step in explain_submit(pilot, "motion.charter", "none", ["voter"])]
    assert "Nothing is decided for 3 d." in motion
    above = explain_submit(pilot, "relayed.report.event.m", "none", ["relay"], members=SUPERVISED)
    relayed = [step.en for step in above]
    assert "No ballots: the proof suffices." in relayed
    assert "Then supervisor may veto for 12 h, or concur: 1 now. Who leads the incident does not." in relayed
    order = [step.en for step in explain_submit(pilot, "order.stay-home", "response", ["lead"])]
    assert order[-2:] == ["No ballots: the author suffices.", "When it passes: recorded."]


KINDS = (
    "report.m", "report.event.m", "relayed.report.m", "relayed.outcome", "order.m", "order.revoke", "share.record",
    "finding", "finding.review", "motion.stage", "motion.lead", *CONSTITUTIONAL, "rumour", "*",
)  # fmt: skip
ROLES = ("reporter", "voter", "supervisor", "relay", "auditor", "lead", "party")
rosters = st.lists(
    st.tuples(st.lists(st.sampled_from(ROLES[:5]), unique=True), st.sampled_from(("active", "suspended", "left"))),
    max_size=6,
).map(lambda lines: [member(f"m{index}", *roles, status=status) for index, (roles, status) in enumerate(lines)])


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(charters.names()), st.sampled_from(KINDS), st.sampled_from(("none", "watch", "response", "panic")),
    st.lists(st.sampled_from(ROLES), unique=True), st.none() | rosters, st.sampled_from((None, "m0", "x")),
)  # fmt: skip
def test_never_says_what_the_rules_do_not(
    name: str, kind: str, stage: str, roles: list[str], members: list[Member] | None, author: str | None
) -> None:
    charter = charters.load(name)
    steps = explain_submit(charter, kind, stage, roles, members=members, author=author)
    assert all(step.en and step.zh and step.en.isascii() and not step.zh.isascii() for step in steps)
    assert all(step.outcome != "refuses" for step in steps[:-1])
    index = charter.match(kind, stage)
    out_of_place = (kind.startswith("order.") or kind in ("motion.stage", "motion.lead")) and stage == "none"
    out_of_place = out_of_place or (kind in (*CONSTITUTIONAL, "share.record", "relayed.outcome") and stage != "none")
    if index is None or out_of_place or stage == "panic":
        assert steps[-1].outcome == "refuses"
        return
    rule = charter.rules[index]
    assert [step.rule for step in steps if step.clause == "spec 6.1" and step.outcome == "holds"] == [index]
    may = "member" in rule.issuers or any(role in rule.issuers for role in roles)
    assert (steps[-1].clause == "spec 6") == (not may)
    if may and members is not None and rule.threshold is not None and author is None:
        size = electors(rule, members)
        counted = size.both if kind in CONSTITUTIONAL else size.active
        fails = max(1, required(rule, kind, counted)) > counted and not rule.signal
        assert (steps[-1].outcome == "refuses") == fails


# The charter as a table.


def test_describes_rules_as_the_specification_writes_them() -> None:
    rows = {f"{row.kind}@{row.stage}": row for row in describe(charters.load("pilot")).rules}
    event = rows["report.event.*@*"]
    assert (event.model, event.issuers, event.electorate) == ("supervise", "reporter", "voter")
    assert (event.threshold, event.window, event.notice, event.veto) == ("at least 4", "3 d", "-", "supervisor, 12 h")
    assert (event.escalates, event.signals, event.opens_incident, event.reward) == (True, True, True, "report")
    expel = rows["motion.expel@none"]
    assert (expel.threshold, expel.window, expel.notice, expel.veto) == ("3/4, at least 3", "14 d", "3 d", "-")
    assert rows["share.*@*"].threshold == rows["share.*@*"].window == "-"


@pytest.mark.parametrize("name", charters.names())
def test_describes_every_part_of_a_charter(name: str) -> None:
    charter = charters.load(name)
    described = describe(charter)
    assert (described.name, described.digest, described.problems) == (name, charter.digest, [])
    assert len(described.rules) == len(charter.rules)
    settings_of = {one.name: one.value for one in described.settings}
    assert len(settings_of) == len(described.settings)
    assert all(one.value and one.en.endswith(".") and one.zh.endswith("。") for one in described.settings)
    assert settings_of["stages"] == "watch, alert, response, recovery"
    assert settings_of["dormant"] == ("60 d, 8 missed" if name == "pilot" else "-")
    assert settings_of["evidence"] == ("suspended for 7 d" if name == "pilot" else "only on record")
    assert settings_of["rewards"] == "relayed 1 and 1, report 3 and 1"


def test_describes_what_the_loader_says() -> None:
    paper = charters.load("paper")
    broken = replace(paper, rules=paper.rules[2:])
    assert any("No report can begin an incident" in problem for problem in describe(broken).problems)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "-"), (1, "1 s"), (90, "90 s"), (60, "1 min"), (1_800, "30 min"), (3_600, "1 h"), (86_400, "24 h"),
     (90_000, "25 h"), (172_800, "2 d"), (604_800, "7 d")],
)  # fmt: skip
def test_durations_are_exact(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_thresholds_in_words() -> None:
    texts = {rule.kind: threshold_text(rule) for rule in charters.load("pilot").rules}
    assert texts["motion.stage"] == "more than 1/2, at least 2"
    assert texts["motion.admit"] == "2/3, at least 3"
    assert texts["report.urgent.*"] == "at least 4"
    assert texts["finding"] == "-"
