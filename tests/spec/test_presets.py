"""The tables of spec 13.1 and the charters that ship say the same thing, row by row."""

import json
import re
from hashlib import sha256
from typing import Any

import pytest

from tests.paths import ROOT
from tocsin import charters
from tocsin.kernel.words import CONSTITUTIONAL

TEXT = (ROOT / "spec" / "13-presets.md").read_text(encoding="utf-8")
MEMBERS = {"v": "voter", "s": "supervisor"}
SHARES = {"M": (1, 2, True), "Q": (2, 3, False), "0/1": (0, 1, False), "3/4": (3, 4, False)}
UNITS = {"min": 60, "h": 3600, "d": 86_400}
BASES = {"paper": (), "pilot": ("paper",), "broadcast-only": ("paper",), "figure-4": ()}


def tables(section: str) -> list[dict[str, str]]:
    """The rows of the rule tables under a heading."""
    start = TEXT.index(section)
    end = TEXT.find("\n##", start + 4)
    found: list[dict[str, str]] = []
    header: list[str] = []
    for line in TEXT[start:end].splitlines():
        cells = [cell.strip().replace("\\*", "*") for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
        elif header[0] == "kind" and not cells[0].startswith("---"):
            found.append(dict(zip(header, cells, strict=True)))
    return found


def kinds(cell: str) -> list[str]:
    cell = re.sub(r"\(.*\)", "", cell).strip()
    if cell == "the nine constitutional motions":
        return list(CONSTITUTIONAL)
    return ["motion" + part if part.startswith(".") else part for part in cell.split(", ")]


def people(cell: str) -> list[str]:
    cell = re.sub(r"\(.*\)", "", cell).strip()
    return [] if cell == "-" else sorted(MEMBERS.get(part, part) for part in cell.split(", "))


def seconds(cell: str) -> int:
    if cell == "-":
        return 0
    number, unit = cell.split()
    return int(number) * UNITS[unit]


def rules(section: str) -> dict[tuple[str, str], dict[str, Any]]:
    """(kind, stage) -> what the table says of it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in tables(section):
        notice = re.search(r"\(notice (.*?)\)", row["kind"])
        veto = None if row["veto"].startswith(("-", "none")) else row["veto"].split(", ")
        opens = row["escalates, opens"]
        for kind in kinds(row["kind"]):
            at_least = charters.load("pilot").rules[0].threshold if row["al"] == "k" else None
            found[kind, row["stage"]] = {
                "model": row["model"],
                "issuers": people(row["issuers"]),
                "electorate": people(row["electorate"]),
                "threshold": None if row["threshold"] == "-" else SHARES[row["threshold"]],
                "at_least": None if row["al"] == "-" else at_least.at_least if at_least else int(row["al"]),
                "window_s": seconds(row["window"]),
                "notice_s": seconds(notice.group(1)) if notice else 0,
                "veto": None if veto is None else (people(veto[0]), seconds(veto[1])),
                "escalate, opens": (False, False)
                if opens == "-"
                else tuple(part == "yes" for part in opens.split(", ")),
            }
    return found


def of_all() -> dict[tuple[str, str], dict[str, Any]]:
    plain = {"model": "broadcast", "electorate": [], "threshold": None, "at_least": None, "window_s": 0, "notice_s": 0,
             "veto": None, "escalate, opens": (False, False)}  # fmt: skip
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in tables("### Rows in all four"):
        for kind in row["kind"].split(", "):
            found[kind, "*"] = {**plain, "issuers": people(row["issuers"])}
    return found


def wanted(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Everything that spec 13.1 says of a charter's rules."""
    paper = rules("### `paper`")
    found = of_all()
    for base in BASES[name]:
        found |= rules(f"### `{base}`")
    if name == "pilot":
        del found["report.*", "*"]
    found |= rules(f"### `{name}`")
    found["finding.review", "*"] = paper["finding.review", "*"]
    return found


@pytest.mark.parametrize("name", charters.names())
def test_charter_is_as_the_table_says(name: str) -> None:
    shipped = {
        (rule.kind, rule.stage): {
            "model": rule.model,
            "issuers": sorted(rule.issuers),
            "electorate": sorted(rule.electorate),
            "threshold": rule.threshold and (rule.threshold.num, rule.threshold.den, rule.threshold.strict),
            "at_least": rule.threshold and rule.threshold.at_least,
            "window_s": rule.window_s,
            "notice_s": rule.notice_s,
            "veto": rule.veto and (sorted(rule.veto.by), rule.veto.window_s),
            "escalate, opens": (rule.escalate, rule.opens_incident),
        }
        for rule in charters.load(name).rules
    }
    assert shipped == wanted(name)


def test_signals_go_up_from_the_reports_of_pilot_only() -> None:
    for name in charters.names():
        for rule in charters.load(name).rules:
            assert rule.signal == (name == "pilot" and rule.kind.startswith("report."))


def test_rewards_are_those_of_the_table() -> None:
    for name in charters.names():
        rewards = {reward.name: (reward.author, reward.endorser) for reward in charters.load(name).rewards}
        assert rewards == {"report": (3, 1), "relayed": (1, 1)}
        for rule in charters.load(name).rules:
            report, relayed = rule.kind.startswith("report."), rule.kind.startswith("relayed.report.")
            assert rule.reward == ("report" if report else "relayed" if relayed else None)


def test_figures_outside_the_rows() -> None:
    paper, pilot, command, four = (charters.load(name) for name in charters.names())
    assert [one.peers.min_endorsers for one in (paper, command, four)] == [2, 0, 1]
    assert {one.peers.per_week for one in (paper, pilot, command, four)} == {20}
    assert [one.tokens.return_at for one in (paper, pilot, command, four)] == [2, 2, 2, 1]
    assert [one.stains.refuted for one in (paper, pilot, command, four)] == [True, False, True, True]
    assert pilot.stains.grace_s == 72 * 3600
    assert (paper.dormant, command.dormant, four.dormant) == (None, None, None)
    assert pilot.dormant is not None
    assert (pilot.dormant.silent_s, pilot.dormant.missed) == (60 * 86_400, 8)
    for one in (paper, pilot, command, four):
        times = one.times
        assert (times.grace_s, times.retry_s, times.receipt_s) == (900, 7 * 86_400, 86_400)
        assert (times.quiet_s, times.lead_s, times.order_s) == (60 * 86_400, 30 * 86_400, 30 * 86_400)
        assert (one.tokens.bucket, one.tokens.refill_s) == (4, 7 * 86_400)
        limits = one.limits
        assert (limits.envelopes, limits.envelope_ms) == (64, 1000)
        assert (limits.reports_week, limits.open_messages, limits.open_motions) == (28, 16, 4)
        assert one.stages.names == ["watch", "alert", "response", "recovery"]
        edges = {(edge.source, edge.target) for edge in one.stages.edges}
        neighbours = list(zip(one.stages.names, one.stages.names[1:], strict=False))
        both_ways = {*neighbours, *((target, source) for source, target in neighbours)}
        assert edges == both_ways | {("watch", "response")}


def test_categories_of_pilot_are_those_of_the_table() -> None:
    start = TEXT.index("| category | title | may be reported as |")
    rows = [line.strip("|").split("|") for line in TEXT[start:].split("\n\n")[0].splitlines()[2:]]
    table = {cells[0].strip(): [f"report.{one}.*" for one in cells[2].strip().split(", ")] for cells in rows}
    assert table == {use.category: list(use.kinds) for use in charters.load("pilot").kinds}
    assert all(cells[1].strip() for cells in rows)


def test_who_signs_two_histories_is_suspended_by_pilot_only() -> None:
    times = {name: charters.load(name).times.evidence_s for name in BASES}
    assert times == {"paper": 0, "pilot": 7 * 86_400, "broadcast-only": 0, "figure-4": 0}


def test_endorsers_by_size() -> None:
    line = TEXT.index("| n | 1-3 |")
    sizes, _, counts = TEXT[line:].splitlines()[:3]
    pairs = list(zip(sizes.strip("|").split("|")[1:], counts.strip("|").split("|")[1:], strict=True))
    assert len(pairs) == 10
    for sizes, count in pairs:
        least, most = (int(part) for part in sizes.split("-"))
        assert set(charters.ENDORSERS[least - 1 : most]) == {int(count)}
        assert charters.ENDORSERS[most] > int(count)


def test_vectors_hold_the_identities() -> None:
    for case in json.loads((ROOT / "spec" / "vectors" / "charters.json").read_text(encoding="utf-8")):
        canonical = charters.load(case["name"]).canonical
        assert len(canonical) == case["bytes"]
        assert sha256(b"tocsin/v1/charter\0" + canonical).hexdigest() == case["digest"]
