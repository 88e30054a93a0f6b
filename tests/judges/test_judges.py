"""The judges through their port: verdicts, integers, abstentions, and when a member speaks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.judges.count import CountInWindow
from tocsin.judges.cusum import CusumJudge, cusum
from tocsin.judges.data import AgencyData
from tocsin.judges.ears import EarsJudge
from tocsin.judges.patience import speak
from tocsin.judges.port import PPM, Answer, Judge, ReportSummary, parts_per_million

REPORT = ReportSummary("report.cluster.dengue", "dengue", ("tw:tainan",), 100, 110, 112, 119)
JUDGES: list[Judge] = [
    CountInWindow(2),
    EarsJudge("C1"),
    EarsJudge("C2"),
    EarsJudge("C3"),
    EarsJudge("C2", min_sigma=0.0),
    CusumJudge(),
]


def data(counts: list[int], through: int | None = None, **other: object) -> AgencyData:
    last = len(counts) - 1 if through is None else through
    return AgencyData("here", 0, np.array(counts, dtype=np.int32), data_through=last, **other)  # type: ignore[arg-type]


def quiet_then(*last_days: int, quiet: int = 140) -> AgencyData:
    return data([0] * quiet + list(last_days))


@pytest.mark.parametrize("judge", JUDGES, ids=repr)
def test_a_burst_is_endorsed_and_silence_rejected(judge: Judge) -> None:
    burst = quiet_then(*[2] * 7, *[3] * 7)
    silence = quiet_then()
    assert judge.judge(REPORT, burst).verdict == "endorse"
    assert judge.judge(REPORT, silence).verdict == "reject"


@pytest.mark.parametrize("judge", JUDGES, ids=repr)
@given(counts=st.lists(st.integers(0, 5), min_size=0, max_size=200), late=st.integers(0, 10))
def test_every_answer_is_made_of_integers_and_repeats(judge: Judge, counts: list[int], late: int) -> None:
    own = AgencyData("here", 0, np.array(counts, dtype=np.int32), data_through=max(-1, len(counts) - 1 - late))
    answer = judge.judge(REPORT, own)
    assert type(answer.confidence_ppm) is int
    assert 0 <= answer.confidence_ppm <= PPM
    assert type(answer.data_through) is int
    assert answer == judge.judge(REPORT, own)
    assert (answer.verdict == "abstain") == (answer.code is not None)


@pytest.mark.parametrize("judge", JUDGES, ids=repr)
def test_old_data_cannot_reject(judge: Judge) -> None:
    answer = judge.judge(REPORT, data([0] * 140, through=130))
    assert (answer.verdict, answer.code) == ("abstain", "data-late")


def test_old_data_with_cases_still_endorse_a_count() -> None:
    assert CountInWindow(2).judge(REPORT, data([0] * 130 + [2] + [0] * 9, through=130)).verdict == "endorse"


@pytest.mark.parametrize("judge", JUDGES[1:], ids=repr)
def test_too_little_history_abstains(judge: Judge) -> None:
    answer = judge.judge(REPORT, data([1] * 30))
    assert (answer.verdict, answer.code) == ("abstain", "other")


def test_a_flat_baseline_without_a_floor_has_no_c3() -> None:
    answer = EarsJudge("C3", min_sigma=0.0).judge(REPORT, quiet_then(5))
    assert (answer.verdict, answer.code) == ("abstain", "other")


def test_a_count_sees_from_the_number_asked_for() -> None:
    answers = {n: CountInWindow(3).judge(REPORT, quiet_then(n)) for n in range(7)}
    assert [n for n, answer in answers.items() if answer.verdict == "endorse"] == [3, 4, 5, 6]
    assert answers[3].confidence_ppm < answers[4].confidence_ppm < answers[6].confidence_ppm
    assert answers[0].confidence_ppm > answers[1].confidence_ppm > answers[2].confidence_ppm
    assert CountInWindow(2).judge(REPORT, quiet_then(2)).confidence_ppm == 676_676
    assert CountInWindow(2).judge(REPORT, quiet_then()).confidence_ppm == 864_665


def test_a_case_leaves_the_window_after_fourteen_days() -> None:
    assert CountInWindow(1).judge(REPORT, quiet_then(1, *[0] * 13)).verdict == "endorse"
    assert CountInWindow(1).judge(REPORT, quiet_then(1, *[0] * 14)).verdict == "reject"


@pytest.mark.parametrize("settings", [{"cases": 0}, {"cases": 2, "window_days": 10}])
def test_refuses_a_count_that_always_sees_or_cuts_weeks(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"case|multiple of 7"):
        CountInWindow(**settings)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.lists(st.integers(0, 39), max_size=3))
def test_cusum_is_pages_recursion(series: list[int], gaps: list[int]) -> None:
    missing = np.zeros(len(series), dtype=np.bool_)
    missing[[gap for gap in gaps if gap < len(series)]] = True
    ours = cusum(np.array(series), reference=0.5, min_sigma=0.5, missing=missing)
    level = 0.0
    for t, count in enumerate(series):
        past = series[t - 9 : t - 2] if t >= 9 else []
        if past and not missing[t] and not missing[t - 9 : t - 2].any():
            mean = sum(past) / 7
            sd = max((sum((y - mean) ** 2 for y in past) / 6) ** 0.5, 0.5)
            level = max(0.0, level + (count - mean) / sd - 0.5)
        assert ours[t] == pytest.approx(level, abs=1e-9)


def test_cusum_adds_up_what_c2_lets_pass() -> None:
    weeks = [1, 0, 1, 0, 1, 0, 1, 0, 1, 2, 2, 2, 2]
    days = data([0] * 70 + [day for week in weeks for day in [week, 0, 0, 0, 0, 0, 0]])
    assert EarsJudge("C2").judge(REPORT, days).verdict == "reject"
    assert CusumJudge().judge(REPORT, days).verdict == "endorse"


def test_cusum_refuses_settings_without_meaning() -> None:
    with pytest.raises(ValueError, match="min_sigma"):
        cusum(np.ones(20, dtype=np.int64), min_sigma=0.0)
    with pytest.raises(ValueError, match="limit"):
        CusumJudge(limit=0.0)


def test_a_member_that_sees_speaks_at_once_and_one_that_does_not_waits_for_the_last_morning() -> None:
    yes = Answer("endorse", 700_000, 111, "")
    no = Answer("reject", 900_000, 111, "")
    blind = Answer("abstain", 0, 100, "", "data-late")
    assert speak(yes, REPORT, 112) == yes
    for quiet in (no, blind):
        assert speak(quiet, REPORT, 112) is None
        assert speak(quiet, REPORT, 118) is None
        assert speak(quiet, REPORT, REPORT.closes_day) == quiet
    assert speak(yes, REPORT, REPORT.closes_day + 1) is None


@pytest.mark.parametrize(
    "wrong", [{"confidence_ppm": -1}, {"confidence_ppm": PPM + 1}, {"code": "other"}, {"verdict": "abstain"}]
)
def test_refuses_an_answer_no_ballot_can_carry(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"confidence|abstention"):
        replace(Answer("endorse", 1, 0, ""), **wrong)  # type: ignore[arg-type]


def test_a_share_becomes_an_integer_and_nan_is_refused() -> None:
    assert [parts_per_million(x) for x in (-1.0, 0.0, 0.5, 1.0, float("inf"))] == [0, 0, 500_000, PPM, PPM]
    with pytest.raises(ValueError, match="not a number"):
        parts_per_million(float("nan"))
