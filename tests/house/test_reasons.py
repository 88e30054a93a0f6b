"""Every numbered reason is explained to a person in both languages, and made to happen by a test."""

import json
import re

import pytest

from tests.paths import ROOT
from tocsin.kernel.reasons import REGISTRY, Reason, sentence

WAITING = ROOT / "tests" / "house" / "reasons_without_a_test.txt"


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.name)
def test_reason_is_explained(reason: Reason) -> None:
    english, chinese = sentence(reason), sentence(reason, "zh")
    assert english.endswith(".")
    assert english[0].isupper()
    assert chinese.endswith("。")
    assert "nvalid" not in english, "no reason is ever only `invalid`"
    assert REGISTRY[reason].retry in ("never", "changed", "later")


def test_no_reason_is_said_twice() -> None:
    english = [sentence(reason) for reason in Reason]
    assert len(set(english)) == len(english)


def test_an_unknown_number_has_no_sentence() -> None:
    with pytest.raises(ValueError, match="999"):
        sentence(999)


def exercised() -> set[str]:
    """Names of the reasons that a test outside this folder names, or a test vector gives."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        if "house" not in path.parts:
            found |= set(re.findall(r"\bReason\.([A-Z][A-Z_]+)\b", path.read_text(encoding="utf-8")))
    vectors = json.loads((ROOT / "spec" / "vectors" / "refusals.json").read_text(encoding="utf-8"))
    return found | {Reason(case["reason"]).name for case in vectors}


def test_every_reason_is_exercised() -> None:
    """The file of those that wait for a test may shrink, never grow."""
    waiting = set(WAITING.read_text(encoding="utf-8").split())
    missing = sorted({reason.name for reason in Reason if reason} - exercised() - waiting)
    assert missing == [], "write a test that mutates one valid thing and gets this reason"


def test_the_file_of_waiting_reasons_holds_reasons() -> None:
    assert set(WAITING.read_text(encoding="utf-8").split()) <= {reason.name for reason in Reason}


def test_numbers_in_the_law_are_reasons() -> None:
    wrong = [
        f"{path.name}: {number}"
        for path in sorted((ROOT / "spec").glob("*.md"))
        for group in re.findall(r"\(([1-4]\d\d\b[^()]*)\)", path.read_text(encoding="utf-8"))
        for number in re.findall(r"\b[1-4]\d\d\b", group)
        if int(number) not in set(Reason)
    ]
    assert wrong == []
