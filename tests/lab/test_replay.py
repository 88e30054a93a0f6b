"""A replay put together and scored: Table 1, bars, leads, page, terminal and summary, on a small nation."""

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest

from tests.lab.small import case
from tests.lab.worlds import Tree, cluster, world
from tocsin.lab import terminal
from tocsin.lab.archive import Archive, Gap
from tocsin.lab.calibrate import Frozen, calibrate, default_for
from tocsin.lab.days import day_of
from tocsin.lab.drive import DAY_MS, morning
from tocsin.lab.frontier import frontier
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.page import page
from tocsin.lab.replay import Bar, Replay, bars_for, compare, drive_hosted
from tocsin.lab.roster import plans
from tocsin.lab.scoring import Span
from tocsin.lab.summary import summary
from tocsin.lab.truth import Outcome, Truth
from tocsin.lab.unsigned import unsigned_tree

TREE: Tree = (("國", None, 0), ("Alpha", 0, 6), ("<Beta & Söhne>", 0, 6), ("Islet", 0, 1), ("Gamma", 0, 4))
SPLIT = day_of("1973-03-31")
FIRST, LAST = day_of("1973-04-01"), day_of("1974-03-31")


def rows() -> list[tuple[int, ...]]:
    """Three seasons to calibrate on; then an outbreak in Beta, one too small for three townships in Alpha, a false
    cluster in Gamma, and travellers' cases in Alpha that were caught in Beta."""
    found = [case(12, 5)]
    for year in range(3):
        begin = day_of(f"{1970 + year}-04-01")
        found += [case(town, begin + 60 + day) for day in range(0, 30, 3) for town in (0, 1, 2)]
        found += cluster((6, 7, 8), begin + 200, each=1)
    found += [case(town, FIRST + 50 + day) for day in range(0, 60, 3) for town in (6, 7, 8, 9)]
    found += [case(town, FIRST + 200 + day) for day in range(0, 60, 2) for town in (0, 1)]
    found += cluster((13, 14, 15), FIRST + 150)
    return found


@pytest.fixture(scope="module")
def nation() -> Archive:
    return world(rows(), TREE, last=LAST)


@pytest.fixture(scope="module")
def frozen(nation: Archive) -> Frozen:
    return calibrate(nation, SPLIT).frozen


def replayed(
    archive: Archive, frozen: Frozen, first: int = FIRST, last: int = LAST, *, charter: str = "pilot",
    full: bool = False,
) -> Replay:  # fmt: skip
    """As the study does, on unsigned networks in place of a node's."""
    knowledge, truth = Knowledge(archive), Truth(archive)
    split = day_of(frozen.until)
    beside, curves, bare = compare(archive, knowledge, truth, frozen, split, full=full)
    start = max(knowledge.first_morning, first - 365)
    built, _ = plans(archive, charter, frozen.rule)
    host = unsigned_tree(archive, built, morning(start) - DAY_MS // 24)
    run = drive_hosted(archive, knowledge, charter, frozen, host, start, last)
    made = Replay(archive, knowledge, truth, frozen, {charter: run}, beside, curves, [], split, first, last)
    made.bars.extend(bars_for(made, bare))
    return made


@pytest.fixture(scope="module")
def done(nation: Archive, frozen: Frozen) -> Replay:
    return replayed(nation, frozen, full=True)


def test_what_was_recorded_and_what_it_was_worth(done: Replay) -> None:
    named = {
        (done.archive.networks[one.incident.network].name, str(one.outcome))
        for one in done.main.nation.incidents
        if one.day in done.span
    }
    assert named == {("<Beta & Söhne>", "true"), ("Gamma", "false-cluster")}
    missed = [one for one in done.main.nation.waves if one.record_day is None and one.wave.first in done.span]
    assert [(done.archive.networks[one.wave.network].name, one.wave.cases) for one in missed] == [("Alpha", 60)]


def test_periods_keep_calibration_and_test_apart(done: Replay) -> None:
    assert [(period.span, period.test) for period in done.beside.periods] == [
        (Span(day_of("1970-04-01"), SPLIT), False), (Span(FIRST, LAST), True),
    ]  # fmt: skip
    row = done.beside.row("pilot", "nation")
    assert row is not None
    learnt, tested = row.periods
    assert (learnt.tally.waves, learnt.tally.missed, learnt.tally.false()) == (3, 0, 0)
    assert (tested.tally.waves, tested.tally.missed, tested.tally.false()) == (2, 1, 1)
    assert learnt.missed is not None
    assert learnt.missed.high == pytest.approx(0.708, abs=0.001)


def test_every_family_has_a_line_at_the_frozen_rules_false_rate_or_is_named(done: Replay) -> None:
    families = {f"{who}-{what}" for who in ("single", "pooled") for what in ("count", "C1", "C2", "C3")}
    equal = {row.id for row in done.beside.rows if row.equal}
    assert len(equal) + len(done.beside.unequal) == len(families)
    assert equal <= families
    assert {row.id for row in done.beside.rows if not row.equal} == families | {"pilot", "paper", "broadcast-only"}
    assert all(row.periods[0].tally.false() == 0 for row in done.beside.rows if row.equal)
    assert {row.id for row in done.beside.rows if row.moves_data} == {f for f in families if f.startswith("pooled")}
    assert {one.id for one in done.curves} == families | {"paper", "broadcast-only"}


def test_charters_are_curves_too_and_run_through_their_line_of_table_1(done: Replay, nation: Archive) -> None:
    for one in done.curves:
        row = done.beside.row(one.id)
        if one.id in ("paper", "broadcast-only"):
            assert row is not None
            assert [point.parameters for point in one.points] == [(1,), (2,), (3,), (5,)]
            assert one.points[1].tally == row.periods[0].tally
    anyone = next(one for one in done.curves if one.id == "broadcast-only")
    false = [point.tally.false() for point in anyone.points]
    assert false == sorted(false, reverse=True)
    assert false[0] > false[-1]
    drawn = frontier(done)
    assert drawn.count('class="family charter broadcast-only"') == 2  # the curve and its key
    uncalibrated = replayed(nation, default_for(nation, SPLIT, "Too few years."))
    assert {"pilot", "paper", "broadcast-only"} < {one.id for one in uncalibrated.curves}


def test_leads_are_signed_and_count_from_the_final_record(done: Replay) -> None:
    wave = done.biggest(FIRST, LAST)
    assert wave is not None
    assert (done.archive.networks[wave.network].name, wave.first) == ("<Beta & Söhne>", FIRST + 50)
    record = done.main.national(wave.network, wave.first)
    assert record is not None
    assert record.national_at is not None
    day = record.national_at // DAY_MS
    assert [(one.id, one.days) for one in done.leads(done.main, wave)] == [
        ("day-0", wave.first - day), ("first-confirmed", wave.first - day),
    ]  # fmt: skip
    assert day > wave.first


def test_bars_that_apply_to_any_archive(done: Replay) -> None:
    cap, pooled = done.bars
    assert (cap.value, cap.bar, cap.passed) == (pytest.approx(1.0, abs=0.01), 0.2, False)
    assert pooled.bar == 0
    assert pooled.passed == (pooled.value is not None and pooled.value <= 0)
    assert "calibration" in pooled.note


def test_a_rule_that_comes_after_the_pooled_count_fails_its_bar(nation: Archive, frozen: Frozen) -> None:
    slow = replayed(nation, msgspec.structs.replace(frozen, cases=3))
    (pooled,) = (bar for bar in slow.bars if "pooled" in bar.name)
    assert pooled.value is not None
    assert pooled.value > 0
    assert not pooled.passed


def test_sensitivity_has_a_line_for_every_choice(done: Replay) -> None:
    labels = [one.label for one in done.beside.variants]
    for wanted in (
        "as defined", "spill-over counts as false", "an outbreak has 10 cases", "an outbreak has 50 cases",
        "an outbreak has 100 cases", "a wave ends after 14 days without onset",
        "a wave ends after 56 days without onset", "waves by residence", "LEAK: known from notification",
        "ballots within 1 day", "ballots within 14 days",
    ):  # fmt: skip
        assert wanted in labels
    assert sum(label.startswith("national; every office") for label in labels) == 4
    by_label = {one.label: one for one in done.beside.variants}
    assert by_label["an outbreak has 100 cases"].tallies[1].false() > by_label["as defined"].tallies[1].false()


class Reader(HTMLParser):
    """Checks that tags close, and collects text and outside references."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.outside += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        opened = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_is_whole_in_order_and_stands_alone(done: Replay) -> None:
    html = page(done, dossier="d/beta.dossier", command="tocsin verify d/beta.dossier --policy p/beta.policy")
    reader = read(html)
    text = " ".join(reader.words)
    order = [
        "Frozen rule", "Figure 1", "Table 1", "Figure 2", "Figure 3", "Table 2", "Table 3", "Table 4",
        "Check it yourself", "What this cannot show", "Members",
    ]  # fmt: skip
    places = [text.index(one) for one in order]
    assert places == sorted(places)
    assert reader.outside == []
    assert "<script" not in html
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert done.frozen.digest in text
    assert "FAIL" in text
    assert "<Beta & Söhne>" in text
    assert "<Beta & Söhne>" not in html
    assert html.count('role="img"') == html.count("aria-label=") >= 4
    assert "tocsin verify d/beta.dossier" in text
    assert "Islet has one agency and founds no network." in text
    assert "too few to say" in text
    assert "prefers-color-scheme:dark" in html.replace(" ", "")


def test_records_are_listed_false_ones_first_then_the_missed(done: Replay) -> None:
    text = page(done)
    table = text[text.index("Table 2") : text.index("Table 3")]
    assert table.index("false-cluster") < table.index(">true<") < table.index(">missed<")


def test_the_terminal_needs_at_most_fourteen_lines_and_hides_no_failure(done: Replay) -> None:
    said = terminal.lines(done, ["report.html", "beta.dossier"], "tocsin verify beta.dossier --policy beta.policy")
    assert len(said) <= terminal.MOST_LINES
    assert said[-1].startswith("Caveat:")
    assert said[-2].startswith("Verify: tocsin verify")
    assert sum(line.startswith("FAIL:") for line in said) == sum(not bar.passed for bar in done.bars) >= 1
    assert any(line.startswith("Lead in days, + before, - after: -") for line in said)
    many = [Bar(f"bar {i}", 1.0, 0.0, False) for i in range(9)]
    crowded = Replay(*(getattr(done, name) for name in Replay.__slots__))
    crowded.bars = many
    assert len(terminal.lines(crowded, ["report.html"], "verify")) == terminal.MOST_LINES


def test_the_summary_has_what_others_read(done: Replay) -> None:
    found = json.loads(msgspec.json.encode(summary(done, wall_s=1.25)))
    assert found["source"] == "fever-land"
    assert found["charter"] == "pilot"
    assert found["calibration"]["rule"] == {"cases": 2, "window_days": 14, "endorsers": 2, "ballot_days": 7}
    assert found["calibration"]["digest"] == done.frozen.digest
    assert found["wall_s"] == 1.25
    assert found["cases"] == 4 * 20 + 2 * 30 + 6
    assert (found["agencies"], found["networks"]) == (17, 4)
    assert found["envelopes"] > found["reports"] > 0
    assert found["ballots"] > 0
    assert found["counts"]["nation"]["true"] == found["counts"]["county"]["true"] == 1
    assert found["counts"]["nation"]["false-cluster"] == 1
    assert set(found["first_national_record"]) == {"alpha", "n2", "gamma"}
    assert found["first_national_record"]["alpha"] is None
    assert found["first_national_record"]["n2"] is not None
    assert set(found["lead_days"]) == {"pilot", "paper", "broadcast-only"}
    assert found["lead_days"]["pilot"]["day-0"] < 0
    assert found["lead_days"]["paper"] == {"day-0": None, "first-confirmed": None}
    assert [{"name", "value", "bar", "pass", "note"} == set(bar) for bar in found["bars"]] == [True, True]


def test_a_wave_from_before_the_span_is_a_continuation_without_a_lead(nation: Archive, frozen: Frozen) -> None:
    long = [case(town, FIRST - 60 + day) for day in range(0, 120, 3) for town in (13, 14, 15)]
    late = replayed(world([*rows(), *long], TREE, last=LAST), frozen, first=FIRST, last=FIRST + 120)
    assert [(late.archive.networks[n].name, w.first) for n, w in late.continuations()] == []
    split = [case(town, FIRST - 60 + day) for day in (0, 1, 28, 56, 84, 85, 86) for town in (13, 14, 15)]
    again = replayed(world([*rows(), *split], TREE, last=LAST), frozen, first=FIRST, last=FIRST + 120)
    assert [(again.archive.networks[n].name, w.first) for n, w in again.continuations()] == [("Gamma", FIRST - 60)]
    assert "continuation of a wave that began on" in page(again)


def test_loud_notes_are_loud(nation: Archive, frozen: Frozen) -> None:
    uncalibrated = replayed(nation, default_for(nation, SPLIT, "Too few years."))
    text = page(uncalibrated)
    assert "NOT CALIBRATED. Too few years." in text
    assert "not calibrated" not in terminal.lines(uncalibrated, [], None)[0]
    assert "NOT CALIBRATED" in terminal.lines(uncalibrated, [], None)[1]
    inside = replayed(nation, frozen, first=day_of("1972-04-01"), last=SPLIT)
    assert "inside the calibration: it is not a test" in page(inside)


def test_a_rule_from_elsewhere_is_said_to_be(nation: Archive, frozen: Frozen) -> None:
    changes: list[tuple[dict[str, str], str]] = [
        ({"source": "ague-atlantis"}, "The rule was calibrated on ague-atlantis, not on this archive."),
        ({"archive": "1" * 64}, "its bytes differ."),
        ({"known": "notification"}, "The rule was calibrated on cases known from notification."),
    ]
    for change, said in changes:
        other = msgspec.structs.replace(frozen, **change)
        made = replayed(nation, other)
        assert said in page(made)
        assert said in terminal.lines(made, [], None)[1]
        assert other.digest in page(made)
    assert replayed(nation, frozen).doubts == []


def test_a_disease_that_is_always_there_is_said_not_to_fit(frozen: Frozen) -> None:
    endemic = [case(town, 5 + day) for day in range(0, LAST - 10, 9) for town in (6, 7, 8)]
    made = replayed(world(endemic, TREE, last=LAST), frozen)
    assert "DEFINITION 4 DOES NOT FIT" in page(made)
    assert "DEFINITION 4 DOES NOT FIT" in terminal.lines(made, [], None)[-1]


def test_paper_as_the_first_charter_and_a_span_without_an_outbreak(nation: Archive, frozen: Frozen) -> None:
    made = replayed(nation, frozen, first=LAST - 60, last=LAST, charter="paper")
    assert "no outbreak began" in page(made)
    said = terminal.lines(made, [], None)
    assert "No outbreak began in this span." in said
    assert json.loads(msgspec.json.encode(summary(made, wall_s=0.0)))["lead_days"] == {}


def test_a_charter_that_stands_in_no_table_is_listed_for_its_span_alone(nation: Archive, frozen: Frozen) -> None:
    text = page(replayed(nation, frozen, charter="figure-4"))
    table = text[text.index("Table 2") : text.index("Table 3")]
    assert "<td class=w>span</td>" in table
    assert "calibration" not in table.partition("<table>")[2]


def test_weekly_counts_with_gaps_in_four_levels() -> None:
    tree: Tree = (("Welt", None, 0), ("國家", 0, 0), ("Pays", 0, 0), ("東", 1, 0), ("西", 1, 0), ("甲", 3, 4),
                  ("乙", 3, 4), ("丙", 4, 4), ("丁", 4, 4), ("Nord", 2, 4), ("Süd", 2, 4))  # fmt: skip
    weeks = [case(town, 7 * week, notified=7 * week + 6, count=3) for week in range(60, 68) for town in (0, 1, 2)]
    archive = world(weeks, tree, last=7 * 100 - 1, step=7, kind="counts", gaps=(Gap(3, 420, 489),), source="tidy")
    made = replayed(archive, default_for(archive, 300, "One outbreak only."), first=365, last=699)
    assert [str(one.outcome) for one in made.main.nation.incidents] == [str(Outcome.TRUE)]
    text = page(made)
    assert "甲" in text
    assert "LEAK" not in text
    assert summary(made, wall_s=0.0)["first_national_record"]["n5"] is not None
