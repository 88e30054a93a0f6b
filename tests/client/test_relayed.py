"""Dossiers of what came from another network, and of what it answered."""

from tests.client.histories import texts
from tests.client.world import World
from tocsin.kernel.acts import (
    Share,
    Submit,
)  # fmt: skip
from tocsin.kernel.leaves import Final


def test_a_relayed_record_shows_where_it_came_from(two_levels: tuple[World, World, str, str]) -> None:
    _, nation, below, above = two_levels
    said = texts(nation, above)
    assert "taipei relayed leaf" in said
    assert "(number 1): proven in its log" in said
    assert "6 of 6 of the peer's finality keys signed that checkpoint, 4 needed." in said
    assert f"It came through 1 network, first known as {below[:12]}" in said
    assert "Electorate recomputed from the roster: kaohsiung, taipei; 2 of 2 needed." in said
    assert "settled; credits recomputed: tainan +1, kaohsiung +1, taipei +1" in said


def test_what_the_parent_said_stands_in_the_childs_dossier(two_levels: tuple[World, World, str, str]) -> None:
    county, _, below, _ = two_levels
    said = texts(county, below)
    assert "health.example/tw told" in said
    assert "outcome there recorded; as this network's members took it." in said
    assert "finding of health.example/tw" in said
    assert "State recorded, found upheld: confirmed." in said
    told = [leaf.id for leaf in county.decoded if isinstance(leaf, Final) and leaf.kind.startswith("relayed.")]
    assert len(told) == 2
    for message in told:
        texts(county, message)


def test_a_share_is_checked_here_and_there(two_levels: tuple[World, World, str, str]) -> None:
    county, nation, below, _ = two_levels
    shared = county.submit("bureau", Submit("share.record", None, None, Share(nation.origin, below), None))
    texts(county, shared)
    nation.at = county.at
    county.relay_to(nation, "taipei")
    there = [leaf.id for leaf in nation.decoded if isinstance(leaf, Final) and leaf.kind == "relayed.share.record"]
    for message in there:
        texts(nation, message)
