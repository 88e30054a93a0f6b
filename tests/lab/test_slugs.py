"""Ids from names in any script."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.lab.slugs import MAX_SLUG, slug, unique_slugs

GRAMMAR = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Tainan City", "tainan-city"),
        ("Fürth, Stadt", "furth-stadt"),
        ("Groß-Gerau", "gross-gerau"),
        ("Łódź", "lodz"),
        ("Da-an District", "da-an-district"),
        ("  --A1--  ", "a1"),
        ("臺南市", "n-e596b452"),
        ("Москва", "n-eb63f79a"),
    ],
)
def test_ids_of_known_names_never_change(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text())
def test_every_name_gives_a_slug_of_the_protocol(name: str) -> None:
    made = slug(name)
    assert GRAMMAR.fullmatch(made)
    assert len(made) <= MAX_SLUG
    assert made == slug(name)


def test_what_has_no_latin_form_is_not_dropped() -> None:
    assert len({slug(name) for name in ("東區", "西區", "A 東", "A 西", "A")}) == 5


def test_long_names_that_share_a_beginning_stay_apart() -> None:
    long = "Verwaltungsgemeinschaft Mittleres Nirgendwo "
    made = [slug(long + end) for end in ("Ost", "West")]
    assert len(set(made)) == 2
    assert all(len(one) <= MAX_SLUG and one.startswith("verwaltungsgemeinschaft-mittler") for one in made)


def test_a_shared_name_is_told_apart_by_its_network() -> None:
    made = unique_slugs(["East District", "East District", "Anping"], ["Tainan City", "Chiayi City", "Tainan City"])
    assert made == ("tainan-city-east-district", "chiayi-city-east-district", "anping")


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=60)), unique=True, max_size=12))
def test_ids_are_unique_whatever_the_names(pairs: list[tuple[str, str]]) -> None:
    made = unique_slugs([name for _, name in pairs], [group for group, _ in pairs])
    assert len(set(made)) == len(pairs)
    assert all(GRAMMAR.fullmatch(one) and len(one) <= MAX_SLUG for one in made)


def test_refuses_one_name_twice_in_one_network() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        unique_slugs(["East", "East"], ["Tainan", "Tainan"])
