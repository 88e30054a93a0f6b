"""The charters that ship: the tables of the specification row by row, its figures, and how they are fitted."""

import json
from math import exp, lgamma
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import charters
from tocsin.charters import CharterError, endorsers_for, for_network, for_parent, from_bytes, load, min_endorsers
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.charter_check import Size, check_charter, check_roster, electors, required
from tocsin.kernel.rows import Member
from tocsin.kernel.words import CONSTITUTIONAL

KEYS = Keys("0" * 64, "1" * 64, "2" * 64, None, "self")
MINUTE, HOUR, DAY = 60, 3_600, 86_400
S, V = "supervisor", "voter"
M, Q = (1, 2, True), (2, 3, False)
OF_AN_INCIDENT = ("motion.stage", "motion.close", "motion.features", "motion.lead")


def roster(**roles: str) -> list[Member]:
    return [
        Member(name, f"test:{name}", sorted(held.split()), KEYS, "active", None, 0, True, None)  # type: ignore[arg-type]
        for name, held in roles.items()
    ]


def voters(count: int, supervisors: int = 1) -> list[Member]:
    lines = {f"v{index:02}": "reporter voter" for index in range(count)}
    return roster(**lines, **{f"s{index}": "supervisor relay" for index in range(supervisors)})


# The tables of spec 13.1: kind@stage -> model, issuers, electorate, share, at_least, window, veto window, escalates and
# opens, reward.

Row = tuple[str, list[str], list[str], tuple[int, int, bool] | None, int, int, int | None, bool, str | None]


def shown(rule: Rule) -> Row:
    law, veto = rule.threshold, rule.veto
    assert veto is None or veto.by == [S]
    assert rule.escalate == rule.opens_incident
    share = None if law is None else (law.num, law.den, law.strict)
    at_least, veto_s = 0 if law is None else law.at_least, None if veto is None else veto.window_s
    issuers, elect = list[str](rule.issuers), list[str](rule.electorate)
    return (rule.model, issuers, elect, share, at_least, rule.window_s, veto_s, rule.escalate, rule.reward)


BROADCAST: dict[str, list[str]] = {
    "finding@*": ["auditor", S],
    "order.revoke@*": ["lead"],
    "order.*@response": ["lead"],
    "share.*@*": ["relay"],
    **{f"relayed.{one}@*": ["member"] for one in (
        "order.*", "outcome", "finding", "annotated", "share.*", "signal", "receipts"
    )},
}  # fmt: skip
IN_ALL: dict[str, Row] = {
    **{key: ("broadcast", issuers, [], None, 0, 0, None, False, None) for key, issuers in BROADCAST.items()},
    "finding.review@*": ("vote", ["auditor", "party", S], [V], M, 2, 7 * DAY, None, False, None),
}


def motions(
    kinds: tuple[str, ...], stage: str, share: tuple[int, int, bool], at_least: int, days: int
) -> dict[str, Row]:
    row: Row = ("vote", [S, V], [S, V], share, at_least, days * DAY, None, False, None)
    return {f"{kind}@{stage}": row for kind in kinds}


NUMBER = (0, 1, False)
RELAYED_ON_PROOF: Row = ("supervise", ["member"], [], None, 0, 0, 12 * HOUR, True, "relayed")
TABLES: dict[str, dict[str, Row]] = {
    "paper": {
        **IN_ALL,
        "report.*@*": ("supervise", ["reporter"], [V], M, 2, DAY, HOUR, True, "report"),
        "relayed.report.*@*": ("supervise", ["member"], [V], M, 2, DAY, HOUR, True, "relayed"),
        **motions(OF_AN_INCIDENT, "*", M, 2, 3),
        **motions(CONSTITUTIONAL, "none", M, 2, 7),
    },
    "pilot": {
        **IN_ALL,
        "report.urgent.*@*": ("vote", ["reporter"], [V], NUMBER, 4, 4 * HOUR, None, True, "report"),
        "report.event.*@*": ("supervise", ["reporter"], [V], NUMBER, 4, 72 * HOUR, 12 * HOUR, True, "report"),
        "report.cluster.*@*": ("supervise", ["reporter"], [V], NUMBER, 4, 7 * DAY, 12 * HOUR, True, "report"),
        "report.sensor.*@*": ("supervise", ["reporter"], [V], NUMBER, 4, 30 * MINUTE, 30 * MINUTE, True, "report"),
        "relayed.report.*@*": RELAYED_ON_PROOF,
        **motions(OF_AN_INCIDENT, "*", M, 2, 3),
        **motions(("motion.close",), "*", Q, 2, 3),
        **motions(CONSTITUTIONAL, "none", Q, 3, 7),
        **motions(("motion.charter",), "none", Q, 3, 14),
        **motions(("motion.expel",), "none", (3, 4, False), 3, 14),
    },
    "broadcast-only": {
        **IN_ALL,
        "report.*@*": ("broadcast", ["reporter"], [], None, 0, 0, None, True, "report"),
        "relayed.report.*@*": ("broadcast", ["member"], [], None, 0, 0, None, True, "relayed"),
        **{f"{kind}@*": ("broadcast", [S], [], None, 0, 0, None, False, None) for kind in OF_AN_INCIDENT},
        **motions(CONSTITUTIONAL, "none", Q, 2, 7),
    },
    "figure-4": {
        **IN_ALL,
        "report.*@*": ("supervise", ["reporter"], [V], M, 1, DAY, HOUR, True, "report"),
        "report.*@response": ("vote", ["reporter"], [V], M, 1, DAY, None, True, "report"),
        "relayed.report.*@*": ("supervise", ["member"], [], None, 0, 0, HOUR, True, "relayed"),
        **motions(OF_AN_INCIDENT, "*", M, 2, 3),
        **motions(("motion.admit", "motion.rekey", "motion.peer", "motion.charter", "motion.upgrade"), "none", M, 2, 7),
    },
}


@pytest.mark.parametrize("name", charters.names())
def test_rows_are_those_of_the_specification(name: str) -> None:
    charter = load(name)
    assert {f"{rule.kind}@{rule.stage}": shown(rule) for rule in charter.rules} == TABLES[name]
    notices = {rule.kind: rule.notice_s for rule in charter.rules if rule.notice_s}
    assert notices == ({"motion.charter": 3 * DAY, "motion.expel": 3 * DAY} if name == "pilot" else {})
    signals = [rule.kind for rule in charter.rules if rule.signal]
    own = [rule.kind for rule in charter.rules if rule.kind.startswith("report.")]
    assert signals == (own if name == "pilot" else [])


@pytest.mark.parametrize("name", charters.names())
def test_numbers_are_those_of_the_specification(name: str) -> None:
    charter = load(name)
    assert [(one.name, one.author, one.endorser) for one in charter.rewards] == [("relayed", 1, 1), ("report", 3, 1)]
    assert charter.stages.names == ["watch", "alert", "response", "recovery"]
    edges = {(edge.source, edge.target) for edge in charter.stages.edges}
    ways = [("watch", "alert"), ("alert", "response"), ("response", "recovery")]
    assert edges == {*ways, *((target, source) for source, target in ways), ("watch", "response")}
    assert charter.stages.quiet == ["alert", "watch"]
    assert (charter.tokens.bucket, charter.tokens.refill_s) == (4, 7 * DAY)
    assert charter.tokens.return_at == (1 if name == "figure-4" else 2)
    limits = charter.limits
    assert (limits.envelopes, limits.envelope_ms) == (64, 1000)
    assert (limits.reports_week, limits.open_messages, limits.open_motions) == (28, 16, 4)
    times = charter.times
    assert (times.grace_s, times.quiet_s, times.lead_s, times.order_s) == (900, 60 * DAY, 30 * DAY, 30 * DAY)
    assert (times.retry_s, times.receipt_s) == (7 * DAY, DAY)
    assert (charter.peers.per_week, charter.peers.max_age_s) == (20, 7 * DAY)
    assert charter.peers.min_endorsers == {"paper": 2, "pilot": 4, "broadcast-only": 0, "figure-4": 1}[name]
    pilot = name == "pilot"
    assert (charter.stains.refuted, charter.stains.grace_s) == ((False, 72 * HOUR) if pilot else (True, 0))
    dormant = charter.dormant
    assert (None if dormant is None else (dormant.silent_s, dormant.missed)) == ((60 * DAY, 8) if pilot else None)
    assert bool(charter.kinds) == pilot
    assert charter.incident_key.category
    assert charter.incident_key.source == (name == "figure-4")


@pytest.mark.parametrize("name", charters.names())
def test_loads_without_a_word(name: str) -> None:
    assert check_charter(load(name)) == []


@pytest.mark.parametrize("name", charters.names())
def test_the_file_is_the_charter_laid_out_for_reading(name: str) -> None:
    data = (Path(charters.__file__).parent / f"{name}.json").read_bytes()
    assert data == msgspec.json.format(load(name).canonical, indent=2) + b"\n"
    assert from_bytes(load(name).canonical) == load(name)


@pytest.mark.parametrize(("name", "sizes"), [("paper", (3, 100)), ("pilot", (5, 99)), ("broadcast-only", (2, 100)),
                                             ("figure-4", (2, 100))])  # fmt: skip
def test_loads_on_sensible_rosters(name: str, sizes: tuple[int, int]) -> None:
    least, most = sizes
    for count in (least, least + 1, 9, 20, 40, most):
        supervisors = min(1, 100 - count)
        assert [one for one in check_roster(load(name), voters(count, supervisors), []) if one.fatal] == []


# The figures of spec 13.2: who is asked, and how many must answer.


def asked(charter: Charter, kind: str, stage: str, members: list[Member], *out: str) -> tuple[Size, int]:
    index = charter.match(kind, stage)
    assert index is not None
    size = electors(charter.rules[index], members, out)
    return size, required(charter.rules[index], kind, size.both)


FOUR = roster(**dict.fromkeys(("a", "b", "c", "d"), "reporter voter"))
X = roster(x1="reporter voter", x2="reporter voter", x3="reporter voter", rx="voter relay")
U = roster(rx="voter relay", ry="voter relay", rz="voter relay")
N1 = roster(a="reporter voter", b="reporter voter", r="supervisor relay")
N2 = roster(r="voter relay", t="supervisor")
FIVE = [*FOUR, *roster(e="reporter voter")]


@pytest.mark.parametrize(
    ("charter", "kind", "stage", "members", "out", "size", "need"),
    [
        ("paper", "report.m", "none", FOUR, ["c"], 3, 2),  # Fig. 1
        ("paper", "report.m", "none", X, ["x1"], 3, 2),  # Fig. 2, in X
        ("paper", "relayed.report.m", "none", U, ["rx"], 2, 2),  # Fig. 2, in U
        ("paper", "motion.lead", "watch", FOUR, [], 4, 3),  # Fig. 3
        ("paper", "motion.stage", "watch", FOUR, [], 4, 3),
        ("paper", "motion.admit", "none", FOUR, [], 4, 3),
        ("paper", "report.m", "watch", FIVE, ["a"], 4, 3),
        ("figure-4", "report.m", "none", N1, ["a"], 1, 1),  # Fig. 4
        ("figure-4", "motion.stage", "watch", N1, [], 3, 2),
        ("figure-4", "motion.lead", "response", N1, [], 3, 2),
        ("figure-4", "report.m", "response", N1, ["b"], 1, 1),
        ("figure-4", "relayed.report.m", "none", N2, ["r"], 0, 0),
    ],
)
def test_figures(
    charter: str, kind: str, stage: str, members: list[Member], out: list[str], size: int, need: int
) -> None:
    assert asked(load(charter), kind, stage, members, *out) == (Size(size, 0), need)


@pytest.mark.parametrize(("charter", "members"), [("paper", FOUR), ("paper", X), ("paper", U), ("paper", FIVE),
                                                  ("figure-4", N1), ("figure-4", N2)])  # fmt: skip
def test_the_figures_networks_can_be_founded(charter: str, members: list[Member]) -> None:
    assert [one for one in check_roster(load(charter), members, []) if one.fatal] == []


def test_figure_4_has_a_veto_until_the_response() -> None:
    charter = load("figure-4")
    models = [charter.rules[charter.match("report.m", stage) or 0].model for stage in ("none", "watch", "response")]
    assert models == ["supervise", "supervise", "vote"]
    assert charter.match("motion.expel", "none") is None


# k of n: the sheet's columns, and its formula in between.


def false_share(k: int, n: int, specificity: float = 0.9, icc: float = 0.05) -> float:
    """P(at least k of n endorse falsely): beta-binomial tail."""
    scale = 1 / icc - 1
    alpha, beta = (1 - specificity) * scale, specificity * scale

    def log_beta(a: float, b: float) -> float:
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    def log_choose(i: int) -> float:
        return lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1)

    terms = (log_choose(i) + log_beta(i + alpha, n - i + beta) - log_beta(alpha, beta) for i in range(k, n + 1))
    return sum(exp(term) for term in terms)


def test_k_is_the_sheets() -> None:
    assert [endorsers_for(n) for n in (4, 7, 9, 13, 20, 30)] == [3, 3, 4, 5, 7, 9]


def test_k_is_the_smallest_that_keeps_false_records_rare() -> None:
    assert len(charters.ENDORSERS) == 99
    for n, k in enumerate(charters.ENDORSERS, 1):
        assert false_share(k, n) <= 0.05
        assert false_share(k - 1, n) > 0.05


def test_k_is_never_more_than_there_are() -> None:
    assert [endorsers_for(n) for n in (1, 2, 99, 500)] == [1, 2, 25, 25]
    with pytest.raises(ValueError, match="no k"):
        endorsers_for(0)


# Fitting a charter to a network.


def reports(charter: Charter) -> dict[str, Row]:
    return {f"{rule.kind}@{rule.stage}": shown(rule) for rule in charter.rules if "report." in rule.kind}


@pytest.mark.parametrize(("name", "window_s", "signal"), [("paper", DAY, False), ("pilot", 7 * DAY, True)])
@pytest.mark.parametrize("count", [(1, 1), (2, 0), (2, 1), (2, 2)])
def test_fewer_than_three_voters_have_one_report_rule(
    name: str, window_s: int, signal: bool, count: tuple[int, int]
) -> None:
    charter, notes = for_network(name, *count)
    assert reports(charter) == {
        "report.*@*": ("vote", ["reporter"], [S, V], NUMBER, 1, window_s, None, True, "report"),
        "relayed.report.*@*": RELAYED_ON_PROOF,
    }
    assert [rule.signal for rule in charter.rules if rule.kind == "report.*"] == [signal]
    assert min_endorsers(name, voters=count[0]) == 1
    assert notes
    assert [one for one in check_roster(charter, voters(*count), []) if one.fatal] == []


@pytest.mark.parametrize("name", charters.names())
@pytest.mark.parametrize("count", [(1, 0), (0, 2), (0, 0)])
def test_a_lone_agency_founds_no_network(name: str, count: tuple[int, int]) -> None:
    with pytest.raises(CharterError, match="found no network"):
        for_network(name, *count)


@pytest.mark.parametrize("name", charters.names())
def test_every_fit_can_be_founded(name: str) -> None:
    for count in range(2 if name == "figure-4" else 1, 100):
        charter, _ = for_network(name, count, 1)
        assert [one for one in check_roster(charter, voters(count), []) if one.fatal] == [], count


@pytest.mark.parametrize(("total", "at_least"), [((2, 1), 2), ((3, 0), 2), ((3, 1), 3), ((2, 2), 3)])
def test_pilot_motions_need_two_below_four(total: tuple[int, int], at_least: int) -> None:
    charter, notes = for_network("pilot", *total)
    laws = [rule.threshold for rule in charter.rules if rule.kind in CONSTITUTIONAL]
    assert {law.at_least for law in laws if law is not None} == {at_least}
    assert any("motion" in note for note in notes) == (at_least == 2)
    shares = {rule.kind: rule.threshold and (rule.threshold.num, rule.threshold.den) for rule in charter.rules}
    assert shares["motion.expel"] == (3, 4)


@pytest.mark.parametrize(
    ("count", "given", "k", "noted"),
    [
        (10, None, 4, False), (5, None, 3, False), (3, None, 2, False),
        (3, 4, 2, True), (9, 2, 2, False), (4, 9, 3, True),
    ],
)
def test_k_of_pilot(count: int, given: int | None, k: int, noted: bool) -> None:
    charter, notes = for_network("pilot", count, 1, k=given)
    numbers = [rule.threshold.at_least for rule in charter.rules if rule.threshold and rule.threshold.num == 0]
    assert numbers == [k] * 4
    assert charter.peers.min_endorsers == min_endorsers("pilot", voters=count, k=given) == k
    assert (notes != []) == noted
    assert all(f"k is {k} " in note for note in notes)


def test_pilot_as_it_ships_is_for_ten_voters() -> None:
    fitted, notes = for_network("pilot", 10, 1)
    assert notes == []
    assert fitted.rules == load("pilot").rules


def test_a_study_sets_windows_quiet_and_calibration() -> None:
    digest = "ab" * 32
    charter, _ = for_network(
        "pilot", 9, 1, k=3, window_s=7 * DAY, veto_window_s=DAY, quiet_s=28 * DAY, calibration=digest,
        kinds={"x:b": ["report.urgent.*", "report.cluster.*"], "x:a": ["report.*"]},
    )  # fmt: skip
    timed = [(rule.window_s, rule.veto and rule.veto.window_s) for rule in charter.rules if "report." in rule.kind]
    assert timed == [(7 * DAY, None), (7 * DAY, DAY), (7 * DAY, DAY), (7 * DAY, DAY), (0, DAY)]
    assert (charter.times.quiet_s, charter.calibration) == (28 * DAY, digest)
    assert [(use.category, use.kinds) for use in charter.kinds] == [
        ("x:a", ["report.*"]), ("x:b", ["report.cluster.*", "report.urgent.*"])
    ]  # fmt: skip
    untouched = [rule for rule in charter.rules if "report." not in rule.kind]
    assert untouched == [rule for rule in load("pilot").rules if "report." not in rule.kind]


def test_without_kinds_any_category_may_use_any() -> None:
    assert load("pilot").kinds != []
    assert for_network("pilot", 9, 1)[0].kinds == []


def test_a_parent_tells_its_children_apart() -> None:
    below, above = for_network("paper", 5, 1)[0], for_parent("paper", 5, 1, min_endorsers=1, quiet_s=DAY)[0]
    assert (below.incident_key.source, above.incident_key.source) == (False, True)
    assert (below.peers.min_endorsers, above.peers.min_endorsers) == (2, 1)
    assert above.times.quiet_s == DAY
    assert above.incident_key == for_network("paper", 5, 1, parent=True)[0].incident_key


def test_what_a_parent_asks_of_a_child() -> None:
    asked_of = {name: [min_endorsers(name, voters=count) for count in (2, 9)] for name in charters.names()}
    assert asked_of == {"paper": [1, 2], "pilot": [1, 4], "broadcast-only": [0, 0], "figure-4": [1, 1]}


@pytest.mark.parametrize(
    ("fit", "says"),
    [({"k": 0}, "k is 0"), ({"window_s": 0}, "Ballots need time"), ({"veto_window_s": 0}, "veto of 0 s"),
     ({"calibration": "abc"}, "schema"), ({"kinds": {"x:a": ["motion.*"]}}, "no kind of report")],
)  # fmt: skip
def test_refuses_a_fit_that_makes_no_charter(fit: dict[str, Any], says: str) -> None:
    with pytest.raises(CharterError, match=says):
        for_network("pilot", 9, 1, **fit)


def test_equal_networks_share_one_charter() -> None:
    assert for_network("pilot", 9, 1)[0] is for_network("pilot", 9, 2)[0]


# The row that k was taken from.


def outside(charter: Charter, count: int) -> list[int]:
    return [one.amount for one in charters.row_problems(charter, voters(count))]


def test_warns_when_the_roster_leaves_the_row() -> None:
    nine = for_network("pilot", 10, 1)[0]
    assert [outside(nine, count) for count in (8, 9, 12, 13, 21)] == [[1] * 4, [], [], [1] * 4, [3] * 4]
    assert outside(for_network("pilot", 10, 1, calibration="cd" * 32)[0], 30) == []
    assert outside(load("paper"), 30) == []
    small = for_network("pilot", 2, 1)[0]
    assert (outside(small, 2), outside(small, 3), outside(small, 5)) == ([], [1], [3])
    assert not any(one.fatal for one in charters.row_problems(nine, voters(30)))


# Reading a charter's file.


def refusal(data: bytes) -> str:
    with pytest.raises(CharterError) as caught:
        from_bytes(data)
    return str(caught.value)


def edited(**fields: Any) -> bytes:
    return json.dumps({**json.loads(load("paper").canonical), **fields}).encode()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "Line 1, column 1 is not JSON"),
        (b"{", "Line 1, column 2 is not JSON"),
        (b'{"name":\n  nope}', "Line 2, column 3 is not JSON"),
        (b"\xff{}", "not UTF-8 at byte 0"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"name":"a","name":"b"}', "'name' stands twice"),
        (b'{"name":NaN}', "`NaN` is no whole number"),
        (b'{"name":1.5}', "`1.5` is no whole number"),
        (b'{"name":1e3}', "`1e3` is no whole number"),
        (b'{"name":' + b"9" * 5_000 + b"}", "$.name"),
        (b'{"na\\ud800me":1}', "surrogate"),
        (b'{"\\ud800":1,"\\ud800":2}', "stands twice"),
        (b"[" * 5_000, "nests deeper"),
        (b"{}", "missing required field `name`"),
        (b"[]", "does not fit its schema"),
        (b" " * (charters.MAX_FILE + 1), "at most 262144"),
        (edited(colour="blue"), "unknown field `colour`"),
        (edited(name="Paper"), "$.name"),
        (edited(rules=[]), "$.rules"),
        (edited(tokens={"bucket": 2**70, "refill_s": 1, "return_at": 1}), "$.tokens.bucket"),
        (edited(stages={"names": ["watch"], "edges": [], "quiet": ["calm"]}), "stages.quiet: `calm`"),
        (edited(kinds=[{"category": f"x:{index:070}", "kinds": sorted(f"report.{'y' * 40}.z{one}" for one in range(9))}
                       for index in range(40)]), "bytes in canonical form and may have 24576"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_and_where(data: bytes, says: str) -> None:
    message = refusal(data)
    assert says in message
    assert message.endswith(".")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(("$", "rules", "stages", "kinds", "tokens", "calibration")),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(("\ud800", 10**30)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
)
def test_whatever_is_read_is_a_charter_or_a_sentence(where: str, value: Any) -> None:
    plain = json.loads(load("paper").canonical)
    made = value if where == "$" else {**plain, where: value}
    said = ""
    try:
        charter = from_bytes(json.dumps(made).encode())
    except CharterError as error:
        said = str(error)
    else:
        assert from_bytes(charter.canonical) == charter
    assert not said or said.encode().endswith(b".")


@given(st.binary(max_size=60))
def test_whatever_bytes_come_there_is_a_sentence(data: bytes) -> None:
    assert refusal(data).endswith(".")


def test_the_loaders_law_comes_with_the_error() -> None:
    plain = json.loads(load("paper").canonical)
    plain["rules"][0]["window_s"] = 0
    plain["times"]["order_s"] = 10**8
    with pytest.raises(CharterError) as caught:
        from_bytes(json.dumps(plain).encode())
    assert [problem.code for problem in caught.value.problems] == ["no-window", "order-too-long"]
    assert str(caught.value).startswith("rules[0] report.*@*: Ballots need time")


def test_refuses_a_charter_that_does_not_ship() -> None:
    with pytest.raises(CharterError, match="there are paper, pilot, broadcast-only, figure-4"):
        load("tocsin")
