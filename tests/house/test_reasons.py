"""Every numbered reason is explained to a person in both languages, and made to happen by a test."""

import json
import re

import pytest

from tests.paths import ROOT
from tests.transcripts.test_refusals import EXERCISED
from tocsin.kernel.reasons import REGISTRY, Reason, sentence


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


def test_every_reason_is_exercised() -> None:
    """Bytes by the vectors, which the kernel and another decoder read; all else by the tables of refusals."""
    vectors = json.loads((ROOT / "spec" / "vectors" / "refusals.json").read_text(encoding="utf-8"))
    exercised = EXERCISED | {Reason(case["reason"]) for case in vectors}
    missing = [reason.name for reason in Reason if reason not in exercised | {Reason.ACCEPTED}]
    assert missing == [], "write a test that changes one thing in a valid one and gets this reason"


def test_numbers_in_the_law_are_reasons() -> None:
    wrong = [
        f"{path.name}: {number}"
        for path in sorted((ROOT / "spec").glob("*.md"))
        for group in re.findall(r"\(([1-4]\d\d\b[^()]*)\)", path.read_text(encoding="utf-8"))
        for number in re.findall(r"\b[1-4]\d\d\b", group)
        if int(number) not in set(Reason)
    ]
    assert wrong == []
