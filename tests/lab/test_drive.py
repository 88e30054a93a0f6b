"""The mornings of a replay, through the real kernel: who reports, who judges, what is recorded and when."""

import subprocess
import sys

import numpy as np
import pytest

from tests.lab.small import case
from tests.lab.worlds import cluster, driven, told, world
from tocsin.judges.count import CountInWindow
from tocsin.lab.archive import Gap
from tocsin.lab.drive import DAY_MS, Drive, day_at, morning
from tocsin.lab.incidents import incidents_of
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule, plans
from tocsin.lab.supervisors import AtRandom, Concurring, Under
from tocsin.lab.voters import JudgingVoters

HOUR_MS = 3_600_000


def reports(drive: Drive) -> list[tuple[int, int, str, int | None]]:
    return told(list(drive.reports.values()))


# When an agency reports (replay 9).


def test_reports_on_the_rising_edge_and_not_again_while_it_merely_sees_on() -> None:
    drive = driven(world([case(0, 10, count=2), case(0, 30, count=2)], last=60))
    assert reports(drive) == [(0, 11, "rejected", 17), (0, 31, "rejected", 37)]


def test_after_a_report_that_came_to_nothing_it_reports_again_when_its_count_has_grown() -> None:
    drive = driven(world([case(0, 10, count=2), case(0, 20)], last=60))
    assert reports(drive) == [(0, 11, "rejected", 17), (0, 21, "rejected", 27)]
    assert [one.count for one in drive.reports.values()] == [2, 3]


def test_or_when_it_has_seen_on_for_fourteen_days() -> None:
    steady = [case(0, day) for day in (10, 12, 24, 26)]
    drive = driven(world(steady, last=60))
    assert {int(drive.counts[0, drive.knowledge.column(day)]) for day in range(13, 38)} == {2}
    assert reports(drive) == [(0, 13, "rejected", 19), (0, 27, "rejected", 33)]


def test_after_a_record_it_does_not_report_again_before_a_new_edge() -> None:
    growing = cluster((0, 1, 2), 10) + [case(0, day) for day in range(12, 30)]
    drive = driven(world(growing, last=60))
    assert [one for one in reports(drive) if one[0] == 0] == [(0, 12, "recorded", 12)]


def test_who_sees_on_the_first_morning_of_a_run_reports_on_it() -> None:
    assert reports(driven(world([case(0, 10, count=2)], last=60), first=15)) == [(0, 15, "rejected", 21)]


def test_an_empty_bucket_holds_a_report_back_once_until_a_token_comes_back() -> None:
    daily = [case(0, day) for day in range(10, 30)]
    drive = driven(world(daily, last=40), cases=1, window_days=1)
    assert [day for _, day, _, _ in reports(drive)][:6] == [11, 12, 13, 14, 18, 25]
    assert [held for held in drive.costs.held_back if held[0] < 25] == [(15, 0), (19, 0)]
    assert drive.costs.refused == {}


def test_a_territory_of_one_agency_founds_no_network_and_reports_to_nobody() -> None:
    archive = world([case(5, 10, count=9)], (("Land", None, 0), ("Alpha", 0, 5), ("Islet", 0, 1), ("Gamma", 0, 4)))
    built, said = plans(archive, "pilot", Rule(2, 2))
    assert 2 not in built
    assert "Islet has one agency and founds no network." in said
    assert reports(driven(archive)) == []


# Who judges it, when and how (replay 10).


def test_whoever_sees_endorses_that_very_morning_and_the_record_is_final_when_the_veto_window_ends() -> None:
    drive = driven(world(cluster((0, 1, 2), 10), last=60))
    assert [one[:3] for one in reports(drive)] == [(0, 12, "recorded"), (1, 12, "recorded"), (2, 12, "recorded")]
    for report in drive.reports.values():
        assert report.final == morning(12) + 12 * HOUR_MS
        assert (report.endorsers, report.asked) == (2, 4)
    (incident,) = incidents_of(drive)
    assert incident.days == (12, 12, 12)


def test_a_late_comer_makes_the_record_within_the_window_and_not_after_it() -> None:
    early = cluster((0, 1), 10)
    inside = driven(world([*early, case(2, 17, count=2)], last=60))
    assert [one for one in reports(inside) if one[0] < 2] == [(0, 12, "recorded", 18), (1, 12, "recorded", 18)]
    after = driven(world([*early, case(2, 18, count=2)], last=60))
    assert [one for one in reports(after) if one[0] < 2] == [(0, 12, "rejected", 18), (1, 12, "rejected", 18)]
    assert [one for one in reports(after) if one[0] == 2] == [(2, 19, "recorded", 19)]


def test_silence_until_the_last_morning_and_then_a_rejection() -> None:
    drive = driven(world([case(0, 10, count=2)], last=60))
    assert {(one.day, one.verdict) for one in drive.cast} == {(17, "reject")}
    assert sorted(one.agency for one in drive.cast) == [1, 2, 3, 4]


def test_old_data_abstain_and_a_report_that_nobody_could_judge_lapses() -> None:
    rows = [case(0, 10, count=2), case(0, 40, count=2)]
    blind = tuple(Gap(town, 12, 30) for town in (1, 2, 3, 4))
    drive = driven(world(rows, last=60, gaps=blind))
    assert [(one.day, one.verdict) for one in drive.cast][:4] == [(17, "abstain")] * 4
    assert reports(drive) == [(0, 11, "lapsed", 17), (0, 41, "rejected", 47)]
    fresh = driven(world(rows, last=60, gaps=tuple(Gap(town, 14, 30) for town in (1, 2, 3, 4))))
    assert reports(fresh)[0] == (0, 11, "rejected", 17)


@pytest.mark.parametrize(("step", "kind"), [(1, "line-list"), (7, "counts")])
def test_the_judges_through_the_port_say_what_the_matrix_says(step: int, kind: str) -> None:
    chance = np.random.default_rng(5)
    days = sorted(int(day) // step * step for day in chance.integers(0, 180, size=110))
    rows = [case(int(chance.integers(0, 9)), day, notified=day + step - 1) for day in days]
    gaps = tuple(Gap(town, first, first + 55) for town, first in ((1, 35), (2, 70), (6, 91), (7, 119)))
    archive = world(rows, last=182 if step == 1 else 181, step=step, kind=kind, gaps=gaps)
    plain = driven(archive, cases=2, endorsers=1)
    asked = driven(archive, cases=2, endorsers=1, voters=JudgingVoters(Knowledge(archive), CountInWindow(2, 14)))
    assert {one.verdict for one in plain.cast} == {"endorse", "reject", "abstain"}
    assert plain.cast == asked.cast
    assert plain.reports == asked.reports
    assert [chain.state.digest() for chain in plain.chains.values()] == [
        chain.state.digest() for chain in asked.chains.values()
    ]


def test_weekly_counts_are_seen_on_the_morning_after_their_week() -> None:
    rows = [case(town, 14, notified=20, count=3) for town in (0, 1, 2)]
    drive = driven(world(rows, last=69, step=7, kind="counts"))
    assert [one[:3] for one in reports(drive)] == [(0, 21, "recorded"), (1, 21, "recorded"), (2, 21, "recorded")]


def test_reports_join_the_open_incident_and_a_quiet_month_closes_it() -> None:
    rows = cluster((0, 1, 2), 10) + cluster((0, 1, 2), 35) + cluster((0, 1, 2), 110)
    drive = driven(world(rows))
    days = [incident.days for incident in incidents_of(drive)]
    assert [set(one) for one in days] == [{12, 37}, {112}]


# Supervisors (replay 11).


def test_a_concurring_office_saves_half_a_day_but_not_on_a_weekend() -> None:
    # Day 12 is a Tuesday, day 16 a Saturday.
    plain = world([*cluster((0, 1), 10), case(2, 12, count=2)], last=60)
    first = next(iter(driven(plain, supervisor=Concurring()).reports.values()))
    assert (day_at(first.opened), first.final) == (12, morning(13))
    weekend = world([*cluster((0, 1), 13), case(2, 15, count=2)], last=60)
    first = next(iter(driven(weekend, supervisor=Concurring()).reports.values()))
    assert (day_at(first.opened), first.final) == (15, morning(16) + 12 * HOUR_MS)


def test_an_office_that_vetoes_small_numbers_delays_the_record_until_there_are_five() -> None:
    archive = world([*cluster((0, 1), 10), case(0, 16)], last=60)
    knowledge = Knowledge(archive)
    assert reports(driven(archive, endorsers=1))[0] == (0, 12, "recorded", 12)
    vetoed = driven(archive, endorsers=1, supervisor=Under(knowledge))
    states = [one[:3] for one in reports(vetoed)]
    assert states == [(0, 12, "vetoed"), (1, 12, "vetoed"), (0, 17, "recorded")]


def test_random_vetoes_are_the_same_in_every_run_and_differ_by_seed() -> None:
    rows = [row for start in range(5, 180, 20) for row in cluster((0, 1, 2, 3), start)]
    archive = world(rows)
    runs = [driven(archive, supervisor=AtRandom(0.5, seed=seed)) for seed in (1, 1, 2)]
    states = [[one.state for one in run.reports.values()] for run in runs]
    assert states[0] == states[1] != states[2]
    assert {"recorded", "vetoed"} <= set(states[0])


# The same again.


def test_the_same_archive_gives_the_same_bytes() -> None:
    archive = world(cluster((0, 1, 2), 10) + cluster((5, 6, 7), 20), last=60)
    digests = [[one.state.digest() for one in driven(archive, tree=True).chains.values()] for _ in range(2)]
    assert digests[0] == digests[1]


def test_who_acts_does_not_even_load_the_truth() -> None:
    actors = ("roster", "chain", "unsigned", "voters", "supervisors", "drive")
    modules = ", ".join(f"tocsin.lab.{one}" for one in actors)
    script = f"import sys, {modules}; print(sorted(m for m in sys.modules if m.startswith('tocsin.lab.')))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    knowing = ("truth", "scoring", "accuracy", "references", "findings", "incidents")
    assert not [name for name in knowing if f"'tocsin.lab.{name}'" in loaded], loaded


def test_block_times_are_eight_in_the_morning() -> None:
    assert morning(1) == DAY_MS + 8 * HOUR_MS
    assert day_at(morning(16_000) + 12 * HOUR_MS) == 16_000
