"""An archive whose parts contradict one another does not come into being."""

from dataclasses import replace

import numpy as np
import pytest

from tests.lab.small import NETWORKS, archive, case
from tocsin.lab.archive import Agency, Archive, ArchiveError, Network


@pytest.fixture
def good() -> Archive:
    return archive([case(0, 10), case(4, 12)])


def test_the_tree_can_be_walked(good: Archive) -> None:
    assert good.root == 0
    assert good.leaves == (1, 2)
    assert good.children_of(0) == (1, 2)
    assert good.members_of(2) == (3, 4)
    assert good.path(2) == (0, 2)
    assert good.network_named("beta") == good.network_named("Beta") == 2
    with pytest.raises(KeyError, match="alpha, beta"):
        good.network_named("gamma")


def test_the_columns_cannot_be_written(good: Archive) -> None:
    with pytest.raises(ValueError, match="read-only"):
        good.entries.count[0] = 7


def test_refuses_two_tops(good: Archive) -> None:
    with pytest.raises(ArchiveError, match="one top"):
        replace(good, networks=(*NETWORKS[:2], Network("beta", "Beta", None)))


def test_refuses_a_circle(good: Archive) -> None:
    with pytest.raises(ArchiveError, match="below itself"):
        replace(good, networks=(NETWORKS[0], Network("alpha", "Alpha", 2), Network("beta", "Beta", 1)))


def test_refuses_more_than_four_levels(good: Archive) -> None:
    deep = (NETWORKS[0], NETWORKS[1], NETWORKS[2], Network("c", "C", 2), Network("d", "D", 3), Network("e", "E", 4))
    agencies = (*good.agencies[:3], *(replace(agency, network=5) for agency in good.agencies[3:]))
    with pytest.raises(ArchiveError, match="deeper than 4 levels"):
        replace(good, networks=deep, agencies=agencies)


def test_refuses_agencies_above_networks(good: Archive) -> None:
    with pytest.raises(ArchiveError, match="both agencies and networks"):
        replace(good, agencies=(Agency("x", "x", "", 0), *good.agencies))


def test_refuses_one_id_twice(good: Archive) -> None:
    with pytest.raises(ArchiveError, match="one agency id"):
        replace(good, agencies=(replace(good.agencies[0], id="lake"), *good.agencies[1:]))


@pytest.mark.parametrize(
    ("column", "values", "word"),
    [
        ("agency", [0, 9], "agency number 9 of 5"),
        ("origin_network", [0, 3], "network number 3 of 3"),
        ("origin_place", [0, 5], "place number 5 of 5"),
        ("count", [1, 0], "fewer than one"),
        ("onset", [1, -(2**31)], "no onset"),
        ("agency", [0], "differ in length"),
    ],
)
def test_refuses_a_column_that_does_not_fit(good: Archive, column: str, values: list[int], word: str) -> None:
    with pytest.raises(ArchiveError, match=word):
        replace(good, entries=replace(good.entries, **{column: np.array(values, dtype=np.int32)}))


@pytest.mark.parametrize(
    ("change", "word"),
    [({"step": 30}, "daily or weekly"), ({"kind": "rumours"}, "line list or counts"), ({"last_day": -1}, "before it")],
)
def test_refuses_unknown_kinds_and_units(good: Archive, change: dict[str, object], word: str) -> None:
    with pytest.raises(ArchiveError, match=word):
        replace(good, **change)  # type: ignore[arg-type]
