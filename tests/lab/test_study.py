"""What a study does where nobody says: its span, its rule, what it leaves behind."""

from pathlib import Path

import pytest

from tests.lab.small import case
from tests.lab.worlds import Tree, cluster, world
from tocsin.lab import study
from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import calibrate
from tocsin.lab.days import day_of, iso

TREE: Tree = (("Land", None, 0), ("Alpha", 0, 5), ("Beta", 0, 5))
YEAR = day_of("1971-01-01")


@pytest.fixture(scope="module")
def past() -> Archive:
    """Five seasons with an outbreak in each."""
    rows = [case(0, 0)]
    for season in range(5):
        begin = day_of(f"{1970 + season}-07-01")
        rows += [case(town, begin + day) for day in range(0, 30, 3) for town in (0, 1, 2)] + cluster((5,), begin + 99)
    return world(rows, TREE, last=day_of("1975-03-20"))


def test_an_archive_nobody_knows_is_calibrated_on_what_came_before_its_last_seasons(past: Archive) -> None:
    seen: list[tuple[int, int]] = []
    found = study.plan(past, progress=lambda done, of: seen.append((done, of)))
    assert (iso(found.first), found.last) == ("1974-04-01", past.last_day + 1)
    assert found.frozen == calibrate(past, found.first - 1).frozen
    assert found.frozen.calibrated
    assert found.frozen.until == "1974-03-31"
    assert seen[-1] == (20, 20)
    assert found.start == found.first - study.WARM_UP_DAYS


def test_what_is_said_of_the_span_holds(past: Archive) -> None:
    frozen = calibrate(past, day_of("1973-03-31")).frozen

    def span(first: str | None, last: str | None) -> tuple[str, str]:
        days = (None if one is None else day_of(one) for one in (first, last))
        found = study.plan(past, frozen=frozen, first=next(days), last=next(days))
        return iso(found.first), iso(found.last)

    end = iso(past.last_day + 1)
    assert span("1973-06-01", None) == ("1973-06-01", end)
    assert span(None, "1974-12-31") == ("1974-04-01", "1974-12-31")
    assert span(None, "1972-12-31") == ("1970-01-01", "1972-12-31")
    assert span("1970-01-02", "1972-12-31") == ("1970-01-01", "1972-12-31")
    assert span("1975-03-01", "1999-01-01") == ("1975-03-01", end)


@pytest.mark.parametrize(
    ("first", "last", "sentence"),
    [
        ("1974-02-02", "1974-02-01", "The span ends on 1974-02-01, before it begins on 1974-02-02."),
        ("1960-01-01", None, "The span begins on 1960-01-01, but this archive can be replayed from 1970-01-01 to"),
        ("1980-01-01", "1981-01-01", "but this archive can be replayed from 1970-01-01 to 1975-03-21."),
    ],
)
def test_a_span_outside_the_archive_gets_a_sentence(past: Archive, first: str, last: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        study.plan(past, first=day_of(first), last=None if last is None else day_of(last))


def test_an_outbreak_that_is_there_from_the_first_day_counts() -> None:
    short = world([case(town, day) for day in range(20) for town in (0, 1, 2)], TREE, last=40)
    done = study.run(study.plan(short), ("pilot",), None).replay
    wave = done.biggest(done.first, done.last)
    assert wave is not None
    assert (wave.first, wave.cases) == (0, 60)
    assert done.leads(done.main, wave)


def test_a_year_of_its_own_needs_no_span(taiwan: Archive) -> None:
    found = study.plan(taiwan)
    assert (iso(found.first), iso(found.last)) == ("2015-01-01", "2015-12-31")
    later = study.plan(taiwan, first=day_of("2023-01-01"))
    assert (iso(later.first), later.last) == ("2023-01-01", taiwan.last_day + 1)


def test_only_a_study_that_is_kept_names_a_dossier(past: Archive, tmp_path: Path) -> None:
    plan = study.plan(past)
    runs: list[tuple[int, int]] = []
    mornings: list[int] = []
    loose = study.run(plan, ("pilot",), None, mornings.append, full=True, beside=lambda *at: runs.append(at))
    assert (loose.dossier, loose.command, loose.paths(None)) == (None, None, [])
    assert mornings == list(range(plan.start, plan.last + 1))
    assert runs[-1][0] == runs[-1][1] > 3
    kept = study.run(plan, ("pilot", "paper"), tmp_path / "kept")
    assert kept.dossier is not None
    assert Path(kept.dossier).is_file()
    assert kept.command is not None
    assert kept.command.startswith("tocsin verify")
    assert (tmp_path / "kept" / "paper" / "keys.json").is_file()
    full, short = loose.replay.beside.variants, kept.replay.beside.variants
    assert len(full) > len(short)
    assert full[: len(short)] == short
