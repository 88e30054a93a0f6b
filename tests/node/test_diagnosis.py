"""Who is missing and why, and whether the network goes on without them."""

from typing import Any

import msgspec
from msgspec.structs import replace

from tocsin.node.diagnosis import IDLE_S, diagnose
from tocsin.node.web.remote import Standing

HERE: dict[str, Any] = {
    "origin": "x.example/n1", "member": "a", "engine": "cometbft", "runs": True, "error": "", "genesis": "0" * 64,
    "final": 4, "signers": ["a", "b", "c", "d"], "need": 3, "stale": [], "idle_s": 1.0,
    "roster": dict.fromkeys("abcd", "active"), "connected": ["0" * 40], "lacks": [], "height": 4,
}  # fmt: skip
WELL = msgspec.convert(HERE, Standing)
ALL: dict[str, Standing | str] = {"b": WELL, "c": WELL, "d": WELL}


def test_all_are_here() -> None:
    found = diagnose(HERE, ALL)
    assert (found.well, found.away) == (True, {})
    assert found.verdict == "4 of 4 signers are here and 3 are needed"


def test_one_may_be_missing_and_no_more() -> None:
    found = diagnose(HERE, ALL | {"c": "cannot be reached"})
    assert found.well
    assert "if one more is lost" in found.verdict
    found = diagnose(HERE, ALL | {"c": "cannot be reached", "d": "cannot be reached"})
    assert not found.well
    assert found.away == {"c": "cannot be reached", "d": "cannot be reached"}
    assert "stands still until 1 more of c, d is back" in found.verdict


def test_three_on_cometbft_are_all_needed_and_where_one_orders_two_are_enough() -> None:
    three = HERE | {"signers": ["a", "b", "c"], "need": 2}
    missing = {"b": WELL, "c": "cannot be reached"}
    assert not diagnose(three, missing).well
    assert diagnose(three | {"engine": "follow", "idle_s": None}, missing).well


def test_each_way_of_being_there_and_not_counting() -> None:
    for answer, said in (
        (Standing(runs=False, error="The disk is full."), "The disk is full."),
        (Standing(runs=False), "it is starting"),
        (replace(WELL, genesis="1" * 64), "another network of the same name"),
        (replace(WELL, stale=["finality"]), "finality keys that are not in force"),
        (replace(WELL, lacks=["finality", "validator"]), "has no finality and validator key"),
        (replace(WELL, connected=None, trouble="No space."), "its CometBFT does not answer. No space."),
        (replace(WELL, height=7, idle_s=IDLE_S + 1), "stands at block 7 since 101 s, while blocks come here"),
        (replace(WELL, error="", stale=["\x1b[2J"]), "runs with \ufffd[2J keys"),
    ):
        assert said in diagnose(HERE, ALL | {"b": answer}).away["b"]
    assert "tocsin node meet" in diagnose(HERE, {"c": WELL, "d": WELL}).away["b"]


def test_our_own_old_keys_do_not_count_either() -> None:
    found = diagnose(HERE | {"stale": ["validator"]}, ALL)
    assert "validator keys that are not in force" in found.away["a"]


def test_no_blocks_though_enough_are_here() -> None:
    found = diagnose(HERE | {"idle_s": IDLE_S + 1}, ALL)
    assert not found.well
    assert "no block for 101 s" in found.verdict


def test_who_is_expelled_or_left_hears_why_nobody_talks_to_it() -> None:
    for standing, said in (("expelled", "a was expelled"), ("left", "a has left")):
        gone = HERE["roster"] | {"a": standing}
        found = diagnose(HERE | {"roster": gone}, ALL)
        assert not found.well
        assert f"{said}, says the log" in found.verdict
        # It may not have got the block that says so.
        found = diagnose(HERE, ALL | {"c": replace(WELL, roster=gone)})
        assert not found.well
        assert f"{said}, says c" in found.verdict
        assert diagnose(HERE, ALL | {"c": replace(WELL, roster=gone, genesis="1" * 64)}).well


def test_a_node_that_nobody_lets_in() -> None:
    for member in ("a", None):
        found = diagnose(HERE | {"connected": [], "member": member}, ALL)
        assert not found.well
        assert "b, c, d can be asked" in found.verdict
        assert "tocsin node observer" in found.verdict
    away = dict.fromkeys("bcd", "cannot be reached")
    assert "stands still" in diagnose(HERE | {"connected": []}, away).verdict
    assert "its CometBFT does not answer" in diagnose(HERE | {"connected": None}, ALL).away["a"]
    assert diagnose(HERE | {"connected": None, "engine": "follow"}, ALL).well


def test_a_network_that_does_not_run_here() -> None:
    found = diagnose({"origin": "x.example/n1", "runs": False, "error": "It stops before that block."}, {})
    assert not found.well
    assert "It stops before that block." in found.verdict
