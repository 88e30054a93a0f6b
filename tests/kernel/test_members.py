"""Joining, handing over, upgrading: what the transcripts do not show (spec 8.3, 8.5, 11.4)."""

from dataclasses import dataclass, field

import pytest

from tests.transcripts.play import Player
from tests.transcripts.test_refusals import ADMITTED, PAPER, met, play, world
from tocsin.kernel import acts, leaves, upgrade
from tocsin.kernel.block import Block, apply_block
from tocsin.kernel.evidence import caught_in
from tocsin.kernel.genesis import PROTOCOL
from tocsin.kernel.reasons import Reason
from tocsin.kernel.relays import decode_leaf
from tocsin.kernel.seals import WAIT_MS
from tocsin.kernel.standing import HEAD
from tocsin.kernel.state import State
from tocsin.kernel.statements import signers_of


@dataclass
class Ready:
    """Four signers, a motion that passed, and who is ready."""

    names: list[str]
    player: Player = field(init=False)

    def __post_init__(self) -> None:
        members = ",".join(self.names)
        self.player = world(f"network P charter=paper\nmembers {members}: reporter voter\nfound\nat 1h\n")
        play(self.player, "A upgrade 2 as u\nblock\n" + ",".join(self.names[1:]) + " endorse u\nblock")

    def say(self, count: int) -> int:
        play(self.player, ",".join(self.names[:count]) + " ready 2\nblock")
        return upgrade.in_force(self.player.network.state)


@pytest.mark.parametrize(("signers", "enough"), [(3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7)])
def test_more_than_two_thirds_bring_the_new_number(signers: int, enough: int) -> None:
    names = [chr(ord("A") + number) for number in range(signers)]
    assert Ready(names).say(enough - 1) == PROTOCOL
    assert Ready(names).say(enough) == 2


def test_the_block_that_decides_is_under_the_old_number() -> None:
    ready = Ready(["A", "B", "C"])
    assert ready.say(3) == 2
    last = decode_leaf(ready.player.network.log[-1])
    assert isinstance(last, leaves.BlockLeaf)
    assert last.protocol == PROTOCOL


def test_a_signer_that_leaves_may_be_the_one_that_was_missing() -> None:
    ready = Ready(["A", "B", "C"])
    assert ready.say(2) == PROTOCOL
    play(ready.player, "C leave\nblock")
    assert upgrade.in_force(ready.player.network.state) == 2


def test_a_program_without_the_rules_makes_no_further_block() -> None:
    """The state stays as it is, and reads back; the sentence says where and what to do."""
    ready = Ready(["A", "B", "C"])
    ready.say(3)
    state = ready.player.network.state
    before = state.rows()
    with pytest.raises(upgrade.UnknownProtocol, match=rf"protocol 2 from block {state.meta.height + 1} on.*install"):
        apply_block(state, Block(ready.player.now + 1, []), [], {})
    assert state.rows() == before
    with pytest.raises(upgrade.UnknownProtocol):
        upgrade.require_known(State.from_rows(before))


def test_the_head_is_a_hundred_blocks_long() -> None:
    player = world(ADMITTED)
    while player.network.state.meta.height < HEAD + 5:
        play(player, "at +1m\nA present 0\nblock")
    height = player.network.state.meta.height
    assert met(player, "G", acts.Join(height - HEAD - 1)) == [Reason.NOT_AT_HEAD]
    assert met(player, "G", acts.Join(height + 1 - HEAD)) == [Reason.ACCEPTED]


def test_an_admission_does_not_change_what_is_final() -> None:
    player = world(PAPER.format(changes=""))
    before = signers_of(player.network.state.members)
    admitted = world(ADMITTED).network
    assert "g" in admitted.state.members
    assert signers_of(admitted.state.members) == before
    assert not admitted.state.handovers


def test_waiting_for_a_seal_is_a_deadline() -> None:
    """The engine is told to make a block then, and the wait ends in it, once."""
    player = world(PAPER)
    play(player, "A leave\nblock")
    state = player.network.state
    (row,) = state.handovers.values()
    assert row.until == state.meta.at + WAIT_MS
    assert row.until in [deadline.at for deadline in state.timeline]
    play(player, "run to 7d1h")
    assert not state.handovers
    assert state.next_deadline() is None


def test_two_changes_in_one_block_are_one_handover() -> None:
    player = world(PAPER)
    play(player, "A leave\nB rotate finality\nblock")
    (row,) = player.network.state.handovers.values()
    assert [one.id for one in row.signers] == ["a", "b", "c", "d", "e", "f", "s", "u"]
    play(player, "C seal\nblock")
    assert not player.network.state.handovers


def test_what_waits_goes_before_what_comes_with_the_seal() -> None:
    """The expulsion passed and waits; its subject would leave in the block of the seal, and is expelled first."""
    player = world(PAPER)
    play(player, "A leave\nB expel C as x\nblock\nD,E,F,S endorse x\nblock")
    message = player.network.message(player.ids["x"])
    assert message is not None
    assert message.state == "open"
    play(player, "D seal\nC leave\nblock")
    ended = player.network.message(player.ids["x"])
    assert ended is not None
    assert ended.state == "recorded"


def test_a_join_in_the_block_that_gives_the_member_other_keys_does_nothing() -> None:
    player = world(ADMITTED)
    play(player, "A rekey G as k\nblock\nB,C,D endorse k\nG join\nblock")
    message = player.network.message(player.ids["k"])
    assert message is not None
    assert message.state == "recorded"
    assert player.network.state.members["g"].joined is False
    assert not player.network.state.handovers


def test_nor_where_the_keys_came_at_a_deadline_before_it() -> None:
    """Deadlines come before acts, and the act is still that of a node with the old keys."""
    player = world(ADMITTED.replace("{changes}", "motion.rekey@none.notice_s=3600"))
    play(player, "A rekey G as k\nblock\nB,C,D endorse k\nblock\nat +1h\nG join\nblock")
    message = player.network.message(player.ids["k"])
    assert message is not None
    assert message.state == "recorded"
    assert player.network.state.members["g"].joined is False


def test_a_validator_that_the_engine_caught_is_on_record_and_where_the_charter_says_so_suspended() -> None:
    player = world(PAPER.replace("{changes}", "times.evidence_s=86400"))
    network = player.network
    state, at = network.state, player.now
    key = state.members["b"].keys.act
    outcome = apply_block(state, Block(at, [], [key, "ab" * 32]), [], {})
    assert outcome.changed
    first, second, roster, _ = [decode_leaf(leaf) for leaf in outcome.leaves]
    assert isinstance(first, leaves.EvidenceLeaf)
    assert isinstance(second, leaves.EvidenceLeaf)
    assert isinstance(roster, leaves.RosterLeaf)
    assert (first.members, first.suspended, first.by, first.act) == (["b"], ["b"], None, None)
    assert (second.signers, second.members, second.suspended) == (["ab" * 32], [], [])
    assert caught_in(outcome.leaves) == [key, "ab" * 32]
    state.advance(outcome)
    assert state.members["b"].status == "suspended"
    assert state.accounts["b"].stains == 1
    # It is a block like any other: the same again, now on record only, since b is suspended.
    again = apply_block(state, Block(at, [], [key]), [], {})
    assert [len(again.leaves), state.meta.height] == [2, outcome.height]


@pytest.mark.parametrize("name", ["paper", "figure-4", "broadcast-only"])
def test_a_charter_may_leave_it_at_the_record(name: str) -> None:
    player = world(PAPER.replace("charter=paper", f"charter={name}"))
    state = player.network.state
    outcome = apply_block(state, Block(player.now, [], [state.members["b"].keys.finality]), [], {})
    state.advance(outcome)
    assert state.members["b"].status == "active"
    assert state.accounts["b"].stains == 1
