"""Who is missing and why, and whether the network goes on without them."""

from typing import Any

from tocsin.node.diagnosis import IDLE_S, diagnose

HERE: dict[str, Any] = {
    "origin": "x.example/n1", "member": "a", "engine": "cometbft", "runs": True, "error": "", "genesis": "0" * 64,
    "final": 4, "signers": ["a", "b", "c", "d"], "need": 3, "stale": [], "idle_s": 1.0,
}  # fmt: skip
WELL: dict[str, Any] = {"runs": True, "genesis": "0" * 64, "stale": []}
ALL = {"b": WELL, "c": WELL, "d": WELL}


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
        ({"runs": False, "error": "The disk is full."}, "The disk is full."),
        ({"runs": False, "error": ""}, "it is starting"),
        (WELL | {"genesis": "1" * 64}, "another network of the same name"),
        (WELL | {"stale": ["finality"]}, "finality keys that are not in force"),
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


def test_a_network_that_does_not_run_here() -> None:
    found = diagnose({"origin": "x.example/n1", "runs": False, "error": "It stops before that block."}, {})
    assert not found.well
    assert "It stops before that block." in found.verdict
