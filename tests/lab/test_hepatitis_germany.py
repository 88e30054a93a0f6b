"""The German weekly counts: tidy files with other names."""

from tocsin.lab.archive import Archive
from tocsin.lab.days import iso
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.truth import Truth


def test_districts_states_and_weeks(germany: Archive) -> None:
    assert len(germany.agencies) == 411
    assert [germany.networks[i].name for i in germany.children_of(germany.root)] == [
        germany.networks[i].name for i in germany.leaves
    ]
    assert len(germany.leaves) == 16
    assert len(germany.members_of(germany.network_named("hamburg"))) == 1
    assert len(germany.members_of(germany.network_named("bremen"))) == 2
    assert (germany.step, iso(germany.first_day), iso(germany.last_day)) == (7, "2001-01-01", "2006-01-01")
    assert germany.entries.cases == 8281
    assert {a.code for a in germany.agencies if a.name == "Traunstein"} == {"09189"}
    assert "Robert Koch-Institut" in germany.citation


def test_a_week_is_known_on_the_monday_after(germany: Archive) -> None:
    knowledge = Knowledge(germany)
    traunstein = next(i for i, a in enumerate(germany.agencies) if a.code == "09189")
    window = knowledge.window(7)[traunstein]
    first = next(int(j) for j, n in enumerate(window) if n == 17)
    assert iso(int(knowledge.days[first])) == "2005-08-29"
    assert (window[first : first + 7] == 17).all()
    assert window[first + 7] != 17


def test_hepatitis_a_is_always_there_so_waves_say_little(germany: Archive) -> None:
    """In the large states one chain of cases runs through all five years: no outbreak, and no lead over it."""
    endless = Truth(germany).endless
    assert sum(wave.cases for wave in endless) > 0.8 * germany.entries.cases
    names = {germany.networks[wave.network].name for wave in endless}
    assert {"Bayern", "Berlin", "Nordrhein-Westfalen"} <= names
