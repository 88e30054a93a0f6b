"""Who knows what on which morning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.small import UNCONFIRMED, archive, case
from tocsin.lab.archive import IMPORTED, NO_DAY, NOBODY, ORIGIN_UNKNOWN, Archive, ArchiveError, Gap
from tocsin.lab.knowledge import Knowledge, known_days, known_until


def known(notified: int, confirmed: int) -> int:
    return int(known_days(archive([case(0, 90, notified=notified, confirmed=confirmed)]))[0])


@pytest.mark.parametrize(
    ("confirmed", "day"),
    [(100, 100), (101, 101), (130, 130), (131, 103), (99, 103), (UNCONFIRMED, 103), (5000, 103)],
)
def test_a_case_is_known_on_confirmation_if_that_can_be_believed(confirmed: int, day: int) -> None:
    assert known(100, confirmed) == day


def test_the_leaking_variant_says_so() -> None:
    rows = [case(0, 90, notified=100, confirmed=105)]
    leak = Knowledge(archive(rows), known="notification")
    assert int(leak.known_day[0]) == 100
    assert "LEAK" in leak.label
    assert "LEAK" not in Knowledge(archive(rows)).label


def test_counts_are_known_at_the_end_of_their_period_without_delay() -> None:
    weekly = archive([case(0, 70, notified=76, confirmed=UNCONFIRMED)], step=7, kind="counts")
    assert known_days(weekly).tolist() == [76]


def test_a_case_known_yesterday_is_seen_this_morning_and_not_before() -> None:
    knowledge = Knowledge(archive([case(1, 95, confirmed=100)]))
    seen = knowledge.seen(1)
    first = knowledge.column(101)
    assert not seen[:, :first].any()
    assert seen[1, first : first + 14].all()
    assert not seen[1, first + 14 :].any()
    assert not seen[[0, 2, 3, 4]].any()


def test_place_is_residence_wherever_the_infection_was() -> None:
    knowledge = Knowledge(archive([case(1, 95, county=2, place=3)]))
    assert np.flatnonzero(knowledge.daily.sum(axis=1)).tolist() == [1]


def test_imported_cases_count_only_where_the_flag_is_ignored() -> None:
    rows = [case(0, 50), case(0, 50, imported=IMPORTED), case(0, 50, imported=ORIGIN_UNKNOWN), case(NOBODY, 50)]
    assert int(Knowledge(archive(rows)).daily.sum()) == 2
    ignored = Knowledge(archive(rows), imported="unknown")
    assert int(ignored.daily.sum()) == 3
    assert "imported cases counted as local" in ignored.label


cases = st.tuples(st.integers(0, 4), st.integers(0, 60), st.integers(1, 3))


@given(st.lists(cases, min_size=1, max_size=25), st.sampled_from([7, 14, 28, 70]), st.integers(1, 5))
def test_windows_are_counted_case_by_case(rows: list[tuple[int, int, int]], days: int, least: int) -> None:
    knowledge = Knowledge(archive([case(a, day, count=n) for a, day, n in rows], last=60))
    window = knowledge.window(days)
    assert window.shape == (5, knowledge.mornings)
    for agency in range(5):
        for column, morning in enumerate(knowledge.days.tolist()):
            expected = sum(n for a, day, n in rows if a == agency and morning - days <= day < morning)
            assert window[agency, column] == expected
    assert (knowledge.seen(least, days) == (window >= least)).all()
    pooled = knowledge.by_network(window)
    assert (pooled[1] == window[:3].sum(axis=0)).all()
    assert (pooled[2] == window[3:].sum(axis=0)).all()


@given(st.lists(cases, min_size=1, max_size=25), st.integers(0, 4), st.integers(1, 61))
def test_what_a_judge_is_handed_is_the_row_up_to_yesterday(
    rows: list[tuple[int, int, int]], agency: int, morning: int
) -> None:
    knowledge = Knowledge(archive([case(a, day, count=n) for a, day, n in rows], last=60))
    data = knowledge.agency_data(agency, morning, history=28)
    assert data.through == data.data_through == morning - 1
    assert data.in_window(14) == knowledge.window(14)[agency, knowledge.column(morning)]
    assert not np.shares_memory(data.counts, knowledge.daily)


def test_data_of_a_gap_are_late_and_no_zeros() -> None:
    knowledge = Knowledge(archive([case(0, 10)], gaps=(Gap(2, 40, 50),)))
    assert knowledge.data_through(2, 40) == 39
    assert knowledge.data_through(2, 46) == 39
    assert knowledge.data_through(2, 51) == 39
    assert knowledge.data_through(2, 52) == 51
    assert knowledge.data_through(0, 46) == 45
    assert knowledge.agency_data(2, 46).stale
    assert knowledge.agency_data(2, 46).missing.tolist() == [40, 41, 42, 43, 44, 45]
    assert knowledge.blind is not None
    assert int(knowledge.blind.sum()) == 11
    assert Knowledge(archive([case(0, 10)])).blind is None


def test_weekly_data_reach_the_end_of_the_last_whole_week() -> None:
    weekly = archive([case(0, 70, notified=76)], step=7, kind="counts", last=104)
    knowledge = Knowledge(weekly)
    assert [knowledge.data_through(0, day) for day in (76, 77, 78, 83, 84)] == [69, 76, 76, 76, 83]
    assert not any(knowledge.agency_data(0, day).stale for day in range(20, 100))
    assert knowledge.data_through(0, 3) is None


def test_a_cut_archive_has_forgotten_what_came_later() -> None:
    rows = [case(0, 10), case(0, 20, notified=30, confirmed=31), case(1, 25, notified=26, confirmed=NO_DAY)]
    cut = known_until(archive(rows), 30)
    assert cut.entries.onset.tolist() == [10, 25]
    assert cut.last_day == 30
    assert any("cut off" in note for note in cut.notes)
    with pytest.raises(ArchiveError, match="no case"):
        known_until(archive(rows), 5)


def test_refuses_unknown_variants_windows_and_mornings() -> None:
    small = archive([case(0, 10)])
    with pytest.raises(ValueError, match="known day goes by"):
        Knowledge(small, known="onset")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="imported cases"):
        Knowledge(small, imported="never")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multiple of 7"):
        Knowledge(small).window(10)
    with pytest.raises(IndexError, match="1970-01-01 is outside"):
        Knowledge(small).column(0)


def test_the_matrix_cannot_be_written(taiwan_knowledge: Knowledge, taiwan: Archive) -> None:
    with pytest.raises(ValueError, match="read-only"):
        taiwan_knowledge.daily[0, 0] = 1
    assert taiwan_knowledge.daily.shape == (334, taiwan.last_day - taiwan.first_day + 1)
