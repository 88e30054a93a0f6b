"""Networks above networks in a replay: who is founded, what goes up, when the nation has its record, what is found."""

import pytest

from tests.lab.small import case
from tests.lab.worlds import COUNTY, Tree, cluster, driven, world
from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import shipped
from tocsin.lab.days import day_of
from tocsin.lab.drive import Drive, day_at, morning
from tocsin.lab.findings import Finder
from tocsin.lab.incidents import incidents_of, national_incidents
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import RosterError, Rule, plans
from tocsin.lab.runs import Run, drive_hosted, drive_tree
from tocsin.lab.truth import FINDING_AFTER_DAYS, Truth
from tocsin.lab.unsigned import unsigned_tree

HOUR_MS = 3_600_000
THREE: Tree = (("Land", None, 0), ("East", 0, 0), ("West", 0, 0), ("Alpha", 1, 4), ("Beta", 1, 4), ("Gamma", 2, 4),
               ("Delta", 2, 4))  # fmt: skip
FOUR: Tree = (("Welt", None, 0), ("國家", 0, 0), ("Pays", 0, 0), ("東", 1, 0), ("西", 1, 0), ("甲", 3, 4), ("乙", 3, 4),
              ("丙", 4, 4), ("丁", 4, 4), ("Nord", 2, 4), ("Süd", 2, 4))  # fmt: skip


def first(drive: Drive) -> tuple[int | None, int | None]:
    report = next(iter(drive.reports.values()))
    return report.final, report.national_at


@pytest.mark.parametrize(("tree", "levels"), [(COUNTY, 1), (THREE, 2), (FOUR, 3)])
def test_a_record_reaches_the_top_one_veto_window_a_level_later(tree: Tree, levels: int) -> None:
    drive = driven(world(cluster((0, 1, 2), 10), tree, last=60), tree=True)
    final, national = first(drive)
    assert final == morning(12) + 12 * HOUR_MS
    assert national == final + levels * 12 * HOUR_MS
    report = next(iter(drive.reports.values()))
    assert [state for state, _ in report.above.values()] == ["recorded"] * levels
    assert drive.costs.refused == {}


@pytest.mark.parametrize("tree", [COUNTY, THREE, FOUR])
def test_one_relayed_report_an_incident(tree: Tree) -> None:
    rows = cluster((0, 1, 2, 3), 10, each=3, every=6) + cluster((0, 1, 2), 110)
    drive = driven(world(rows, tree), tree=True)
    assert sum(one.state == "recorded" for one in drive.reports.values()) > 4
    up = [one for one in drive.reports.values() if one.national == "recorded"]
    assert len(up) == len(incidents_of(drive)) == len(national_incidents(drive)) == 2


def test_a_level_with_a_single_network_below_it_is_stepped_over() -> None:
    tree: Tree = (("Land", None, 0), ("Only", 0, 0), ("Other", 0, 0), ("Alpha", 1, 4), ("Gamma", 2, 4), ("Delta", 2, 4))
    archive = world(cluster((0, 1, 2), 10), tree, last=60)
    built, said = plans(archive, "pilot", Rule(2, 2))
    assert sorted(built) == [0, 2, 3, 4, 5]
    assert built[3].parent == 0
    assert built[0].children == (3, 2)
    assert "Only has one network below it, Alpha, and founds none." in said
    final, national = first(driven(archive, tree=True))
    assert national == (final or 0) + 12 * HOUR_MS


def test_a_lone_territory_is_its_own_nation() -> None:
    archive = world(cluster((0, 1, 2), 10), (("Land", None, 0), ("Alpha", 0, 5), ("Islet", 0, 1)), last=60)
    drive = driven(archive, tree=True)
    final, national = first(drive)
    assert final is not None
    assert national == final


def test_offices_keep_out_of_the_way_of_territories_of_their_name() -> None:
    tree: Tree = (("Land", None, 0), ("Centre", 0, 4), ("Beta", 0, 4))
    built, _ = plans(world([], tree), "pilot", Rule(2, 2))
    assert built[0].office == "the-centre"
    assert {"centre", "the-centre"} <= built[0].members.keys()
    assert built[1].office == "bureau"


def test_too_many_agencies_in_one_territory_get_a_sentence() -> None:
    with pytest.raises(RosterError, match="Alpha would have 101 members and a network has at most 100"):
        plans(world([], (("Land", None, 0), ("Alpha", 0, 100), ("Beta", 0, 4))), "pilot", Rule(2, 2))
    with pytest.raises(RosterError, match="No territory has two agencies"):
        plans(world([], (("Land", None, 0), ("Alpha", 0, 1), ("Beta", 0, 1))), "pilot", Rule(2, 2))


def test_small_territories_live_by_the_smallest_rule_and_the_page_says_so() -> None:
    archive = world(cluster((0, 1), 10), (("Land", None, 0), ("Alpha", 0, 2), ("Beta", 0, 3), ("Gamma", 0, 4)), last=60)
    built, said = plans(archive, "pilot", Rule(2, 3))
    assert {network: plan.min_endorsers for network, plan in built.items() if network} == {1: 1, 2: 2, 3: 3}
    assert any(line.startswith("Alpha: With 2 of 3 voters") for line in said)
    assert any("Beta: k is 2 and not 3" in line for line in said)
    assert first(driven(archive, endorsers=3, tree=True))[1] is not None


def test_some_territories_alone() -> None:
    archive = world(cluster((0, 1, 2), 10) + cluster((8, 9, 10), 10), THREE)
    built, _ = plans(archive, "pilot", Rule(2, 2), only=[3, 5])
    assert sorted(built) == [0, 3, 5]
    assert built[0].children == (3, 5)


def test_paper_asks_more_than_half_at_both_levels() -> None:
    tree: Tree = (("Land", None, 0), *((name, 0, 5) for name in ("Alpha", "Beta", "Gamma", "Delta")))
    county = cluster((0, 1, 2), 10)
    weak = driven(world(county, tree, last=80), charter="paper", tree=True)
    assert {one.state for one in weak.reports.values()} == {"rejected"}
    strong = county + cluster((3,), 10)
    lonely = driven(world(strong, tree, last=30), charter="paper", tree=True)
    ends = {(one.state, one.national) for one in lonely.reports.values()}
    assert ends == {("recorded", "rejected"), ("recorded", None)}
    assert national_incidents(lonely) == []
    joined = driven(world(strong + cluster((5, 10), 12), tree, last=30), charter="paper", tree=True)
    assert [one.national for one in joined.reports.values() if one.network == 1].count("recorded") == 1


def test_broadcast_needs_nobody_and_reaches_the_nation_at_once() -> None:
    drive = driven(world([case(0, 10, count=2)], last=60), charter="broadcast-only", tree=True)
    assert first(drive) == (morning(11), morning(11))


def test_the_nation_moves_its_incident_to_alert_on_the_next_morning() -> None:
    drive = driven(world(cluster((0, 1, 2), 10), last=30), tree=True)
    (incident,) = drive.chains[0].state.incidents.values()
    assert incident.stage == "alert"


# Findings (replay 11).


def outbreak(towns: tuple[int, ...], day: int, *, county: int = -1) -> list[tuple[int, ...]]:
    return [case(town, day + i, county=county) for i in range(8) for town in towns]


def found(archive: Archive, last: int | None = None) -> tuple[Drive, Finder]:
    knowledge, truth = Knowledge(archive), Truth(archive)
    built, _ = plans(archive, "pilot", Rule(2, 2))
    drive = Drive(knowledge, built, unsigned_tree(archive, built, morning(1) - HOUR_MS), cases=2)
    finder = Finder(truth, drive)
    drive.run(1, knowledge.last_morning if last is None else last, evening=finder.evening)
    return drive, finder


def test_findings_come_after_the_wave_and_settle_credits() -> None:
    drive, finder = found(world(outbreak((0, 1, 2), 10) + cluster((5, 6, 7), 60) + outbreak((0, 1, 2), 120, county=2)))
    verdicts = {
        (one.network, day_at(one.opened)): finder.found[one.message] for one in drive.reports.values()
        if one.message in finder.found
    }  # fmt: skip
    assert verdicts == {(1, 12): "upheld", (2, 62): "refuted", (1, 122): "undetermined"}
    credits = {name: one.credits for name, one in drive.chains[1].state.accounts.items()}
    assert credits == {"t1-0": 5, "t1-1": 5, "t1-2": 5, "t1-3": 0, "t1-4": 0, "bureau": 0}
    assert {one.credits for one in drive.chains[2].state.accounts.values()} == {0}


def test_no_finding_before_its_day_nor_on_a_wave_that_may_go_on() -> None:
    wave, due = outbreak((0, 1, 2), 10), 17 + FINDING_AFTER_DAYS
    assert found(world(wave), due - 1)[1].found == {}
    assert set(found(world(wave), due)[1].found.values()) == {"upheld"}
    assert found(world(wave, last=due - 1))[1].found == {}


# Real networks of Taiwan.


@pytest.fixture(scope="module")
def pilot(taiwan: Archive, taiwan_knowledge: Knowledge, taiwan_truth: Truth) -> Run:
    first, last = day_of("2014-01-01"), day_of("2018-12-31")
    return drive_tree(taiwan_knowledge, taiwan_truth, "pilot", Rule(2, 2), 14, first, last)


def test_tainan_2015(pilot: Run, taiwan: Archive) -> None:
    tainan, since = taiwan.network_named("tainan-city"), day_of("2015-05-16")
    signal, home, nation = pilot.signal(tainan, since), pilot.recorded(tainan, since), pilot.national(tainan, since)
    assert signal is not None
    assert home is not None
    assert nation is not None
    assert day_at(signal.opened) == day_of("2015-05-25")
    assert day_at(home.final or 0) == day_of("2015-07-02")
    assert day_at(nation.national_at or 0) == day_of("2015-07-03")
    assert day_of("2015-09-14") - day_at(nation.national_at or 0) == 73
    failed = pilot.failed(tainan, since, day_of("2015-07-02"))
    assert [one.state for one in failed] == ["rejected"] * 3


def test_no_false_national_record_in_the_quiet_years(pilot: Run) -> None:
    quiet = range(day_of("2016-04-01"), day_of("2018-12-31") + 1)
    inside = [one for one in pilot.nation.incidents if one.day in quiet]
    assert [str(one.outcome) for one in inside] == ["true"]
    assert not any(one.outcome.is_false(strict=True) for one in inside)


def test_a_hosted_run_with_judges_agrees_with_the_bare_one(
    pilot: Run, taiwan: Archive, taiwan_knowledge: Knowledge, taiwan_truth: Truth
) -> None:
    frozen = shipped("dengue-taiwan")
    assert frozen is not None
    assert (frozen.cases, frozen.endorsers) == (2, 2)
    begin, end = day_of("2015-04-01"), day_of("2015-07-10")
    built, _ = plans(taiwan, "pilot", frozen.rule)
    host = unsigned_tree(taiwan, built, morning(begin) - HOUR_MS)
    run = drive_hosted(taiwan, taiwan_knowledge, "pilot", frozen, host, begin, end)
    tainan = taiwan.network_named("tainan-city")

    def seen(of: Run) -> list[tuple[int, int, str, int | None]]:
        return [
            (one.agency, day_at(one.opened), one.state, one.final) for one in of.drive.ended
            if one.network == tainan and day_of("2015-05-01") <= day_at(one.final or 0) <= end
        ]  # fmt: skip

    assert seen(run) == seen(pilot)
    assert run.drive.costs.refused == {}
