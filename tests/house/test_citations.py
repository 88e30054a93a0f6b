"""Every clause that code, tests or documents cite exists in the law."""

import re

import pytest

from tests.house.citations import cited, clauses
from tests.house.tracked import shown, tracked
from tests.paths import ROOT

LAW = clauses(ROOT / "spec")


def test_the_law_has_its_chapters_and_fine_print() -> None:
    assert {str(chapter) for chapter in range(1, 15)} <= LAW
    assert {f"F{number}" for number in range(1, 26)} <= LAW
    assert {"3.1", "3.4", "4.5", "6.1", "6.6", "8.4", "11.4"} <= LAW


def test_every_citation_leads_to_a_clause() -> None:
    wrong = [
        f"{shown(path)}:{line} cites spec {clause}"
        for path in tracked(".py", ".md")
        if path.name != "test_citations.py"
        for line, clause in cited(path.read_text(encoding="utf-8"))
        if clause not in LAW
    ]
    assert wrong == []


def test_every_chapter_of_the_rules_is_cited_by_the_kernel() -> None:
    found = {
        clause.partition(".")[0]
        for path in (ROOT / "src" / "tocsin" / "kernel").glob("*.py")
        for _, clause in cited(path.read_text(encoding="utf-8"))
    }
    assert {str(chapter) for chapter in range(1, 13)} <= found


def test_every_definition_of_the_replay_that_is_cited_exists() -> None:
    text = (ROOT / "docs" / "replay.md").read_text(encoding="utf-8")
    known = re.findall(r"^## (\d+)\. ", text, re.MULTILINE)
    wrong = [
        f"{shown(path)} cites replay {number}"
        for path in tracked(".py")
        for number in re.findall(r"\b[Rr]eplay (?:definition )?(\d+)\b", path.read_text(encoding="utf-8"))
        if number not in known
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("as spec 6.4 says", ["6.4"]),
        ("(spec 6.3, F16)", ["6.3", "F16"]),
        ("(spec 9, F8, F9 and F10)", ["9", "F8", "F9", "F10"]),
        ("spec 5.2 to 5.5", ["5.2", "5.5"]),
        ("in spec 8, 48 KiB at most", ["8"]),
        ("spec 10. Then", ["10"]),
        ("specification 7", []),
    ],
)
def test_citations_are_taken_apart(text: str, wanted: list[str]) -> None:
    assert [clause for _, clause in cited(text)] == wanted
