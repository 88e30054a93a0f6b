"""Choosing the rule from the past: a known answer, nothing of the future, and the file that ships."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from tests.lab.small import case
from tests.lab.worlds import Tree, cluster, world
from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import (
    CAP,
    GRID_CASES,
    GRID_ENDORSERS,
    Cell,
    Frozen,
    calibrate,
    default_for,
    frozen_for,
    load_frozen,
    shipped,
    span_for,
)
from tocsin.lab.chain import bare
from tocsin.lab.days import day_of
from tocsin.lab.drive import Drive, morning
from tocsin.lab.incidents import incidents_of
from tocsin.lab.knowledge import Knowledge, known_until
from tocsin.lab.roster import Rule, plans
from tocsin.lab.scoring import Span, tally
from tocsin.lab.truth import Truth, classify

TREE: Tree = (("Land", None, 0), ("Alpha", 0, 6), ("Beta", 0, 6))
FIRST = day_of("1970-04-01")
YEARS = 4
UNTIL = FIRST + 365 * YEARS


def rows() -> list[tuple[int, ...]]:
    """Each year an outbreak in three townships of Alpha, and three lone cases in Beta at one time: whoever asks two
    cases of three townships finds all of the first and none of the second."""
    found: list[tuple[int, ...]] = []
    for year in range(YEARS):
        begin = FIRST + 365 * year
        found += [case(town, begin + 60 + day) for day in range(0, 24, 3) for town in (0, 1, 2)]
        found += cluster((6, 7, 8), begin + 200, each=1)
    return found


@pytest.fixture(scope="module")
def past() -> Archive:
    return world([case(3, 60), *rows(), *cluster((0, 1, 2, 3, 4), UNTIL + 30, each=9)], TREE, last=UNTIL + 100)


@pytest.fixture(scope="module")
def frozen(past: Archive) -> Frozen:
    steps: list[tuple[int, int]] = []
    found = calibrate(past, UNTIL, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (20, 20)
    return found.frozen


def test_the_known_answer(frozen: Frozen) -> None:
    assert (frozen.cases, frozen.endorsers) == (2, 2)
    assert (frozen.window_days, frozen.ballot_days, frozen.cap, frozen.seasons) == (14, 7, CAP, 4)
    assert [(cell.cases, cell.endorsers) for cell in frozen.grid] == [
        (cases, endorsers) for cases in GRID_CASES for endorsers in GRID_ENDORSERS
    ]
    cells = {(cell.cases, cell.endorsers): cell for cell in frozen.grid}
    assert (cells[2, 2].false, cells[2, 2].missed, cells[2, 2].waves) == (0, 0, 4)
    assert cells[1, 2].false == 4
    assert cells[2, 3].missed == 4
    assert cells[2, 2].delay_days < cells[3, 2].delay_days  # type: ignore[operator]
    assert frozen.leave_one_out == "chosen in 4 of 4"
    assert frozen.notes == []


def test_nothing_known_later_can_reach_it(past: Archive, frozen: Frozen) -> None:
    other = world([case(3, 60), *rows()], TREE, last=UNTIL + 100)
    assert past.entries.cases != other.entries.cases
    assert calibrate(other, UNTIL).frozen == frozen


def test_the_order_of_the_cases_does_not_matter(past: Archive, frozen: Frozen) -> None:
    e = past.entries
    order = np.random.default_rng(3).permutation(len(e))
    shuffled = type(e)(**{f: getattr(e, f)[order] for f in e.__dataclass_fields__})
    assert calibrate(replace(past, entries=shuffled), UNTIL).frozen == frozen


def test_the_file_survives_reading_and_layout_and_any_changed_number_changes_its_digest(frozen: Frozen) -> None:
    laid_out = msgspec.json.format(msgspec.json.encode(frozen), indent=2)
    assert load_frozen(laid_out) == frozen
    assert load_frozen(laid_out).digest == frozen.digest
    assert msgspec.structs.replace(frozen, endorsers=3).digest != frozen.digest
    assert frozen.rule == Rule(2, 2, 7, frozen.digest)


def test_the_digest_stands_in_every_charter(past: Archive, frozen: Frozen) -> None:
    for charter in ("pilot", "paper", "broadcast-only"):
        built, _ = plans(past, charter, frozen.rule)
        assert {plan.charter.calibration for plan in built.values()} == {frozen.digest}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"study":1}', "missing required field"),
        (b"[" * 100_000, "cannot be read"),
        (b"x" * (1 << 21), "larger than 1 MiB"),
    ],
)
def test_a_bad_file_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_frozen(data)


def test_a_file_that_asks_for_nothing_is_refused(frozen: Frozen) -> None:
    for change in ({"cases": 0}, {"endorsers": 0}, {"window_days": 10}, {"window_days": 0}):
        with pytest.raises(ValueError, match="make one anew"):
            load_frozen(msgspec.json.encode(msgspec.structs.replace(frozen, **change)))


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        (-5, "Nothing was known by 1969-12-27"),
        (50, "Nothing was known by"),
        (70, r"No season \(from April on\) begins from 1970-01-01 to 1970-03-12"),
        (FIRST + 20, "No true outbreak began"),
    ],
)
def test_too_little_to_choose_by_is_said(past: Archive, until: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        calibrate(past, until)


def test_where_no_rule_is_quiet_enough_it_says_so() -> None:
    tree: Tree = (("Land", None, 0), ("Alpha", 0, 6), ("Beta", 0, 2))
    blips = [row for blip in range(10) for row in cluster((6, 7), FIRST + 20 + 60 * blip, each=5)]
    outbreak = [case(town, FIRST + 60 + day) for day in range(0, 24, 3) for town in (0, 1, 2)]
    with pytest.raises(ValueError, match=r"No rule of the grid keeps to 0\.2"):
        calibrate(world([*outbreak, *blips], tree, last=FIRST + 700), FIRST + 700)


def test_a_source_without_a_file_is_calibrated_on_what_came_before(past: Archive, frozen: Frozen) -> None:
    assert frozen_for(past, UNTIL) == frozen


def test_and_where_that_cannot_be_it_says_loudly_that_it_is_not(past: Archive) -> None:
    found = frozen_for(past, 70)
    assert (found.cases, found.endorsers, found.calibrated) == (2, 2, False)
    assert found.notes[0].startswith("NOT CALIBRATED. No season")
    assert default_for(past, 40, "Because.").notes == [
        "NOT CALIBRATED. Because. The default of 2 cases and 2 endorsers is used."
    ]


def test_where_nobody_says_the_last_third_of_the_seasons_is_replayed(past: Archive) -> None:
    assert span_for(past) == (day_of("1974-04-01"), past.last_day + 1)
    nine = world([case(0, 5)], TREE, last=day_of("1979-02-01"))
    assert span_for(nine) == (day_of("1976-04-01"), nine.last_day + 1)
    short = world([case(0, 5)], TREE, last=700)
    assert span_for(short) == (1, 701)


# The file that ships.


def test_what_ships_was_derived_from_this_archive(taiwan: Archive) -> None:
    found = shipped("dengue-taiwan")
    assert found is not None
    assert (found.archive, found.first, found.until, found.seasons) == (
        taiwan.digest, "1998-04-01", "2014-12-31", 17,
    )  # fmt: skip
    assert (found.cases, found.endorsers, found.chosen_at_other_cap) == (2, 2, [1, 4])
    assert frozen_for(taiwan, day_of("2014-12-31")) == found
    assert shipped("no-such-source") is None


def test_another_archive_of_that_name_gets_the_same_file(taiwan: Archive) -> None:
    assert frozen_for(replace(taiwan, digest="1" * 64), day_of("2014-12-31")) == shipped("dengue-taiwan")


@pytest.mark.parametrize(("cases", "endorsers"), [(2, 2), (5, 1)])
def test_cells_of_the_shipped_grid_come_out_again(taiwan: Archive, cases: int, endorsers: int) -> None:
    past = known_until(taiwan, day_of("2014-12-31"))
    knowledge, truth = Knowledge(past), Truth(past)
    built, _ = plans(past, "pilot", Rule(cases, endorsers))
    begin = knowledge.first_morning
    drive = Drive(knowledge, built, bare(past, built, morning(begin) - 1), cases=cases)
    drive.run(begin, knowledge.last_morning)
    span = Span.of_whole_seasons(past.first_day, past.last_day)
    counted = tally(truth, classify(truth, incidents_of(drive)), span)
    found = shipped("dengue-taiwan")
    assert found is not None
    assert Cell(
        cases, endorsers, counted.false(), counted.waves, counted.missed, counted.late, counted.delay.median
    ) in found.grid


@pytest.mark.slow
def test_the_whole_shipped_file_comes_out_again(taiwan: Archive) -> None:
    assert calibrate(taiwan, day_of("2014-12-31")).frozen == shipped("dengue-taiwan")
