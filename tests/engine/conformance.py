"""What every engine must do (`tocsin.engine.port`), as tests against the port alone.

An adapter's test module subclasses `EngineConformance` and provides the fixture `bench`.
"""

import threading
from typing import Protocol

import pytest

from tests.store.world import World
from tocsin.engine.port import Engine, EngineHalted, FinalBlock, Receipt, Ticket
from tocsin.kernel.block import Block as KernelBlock
from tocsin.kernel.block import State, apply_block, checks, found, reads
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.reasons import Reason

PATIENCE_S = 300.0
"""Only what never comes about takes so long."""


class Bench(Protocol):
    """One network on one engine. `world` names its members; the clock of its network starts at its creation.

    `lag_ms`: how far block time may be behind the clock. The embedded engine's clock stands still unless it is set.
    """

    world: World
    lag_ms: int

    @property
    def engine(self) -> Engine: ...

    def clock(self) -> int:
        """The engine's."""

    def set_clock(self, at: int) -> None:
        """Set the engine's clock, and let it notice; where it cannot be set, wait until it has come so far."""

    def restart(self, *, crash: bool = False) -> None:
        """Stop and start on the same disk; `crash`: without a clean stop."""


def taken(answer: Ticket | Refusal) -> Ticket:
    assert not isinstance(answer, Refusal), answer
    return answer


def receipt(answer: Ticket | Refusal) -> Receipt:
    result = taken(answer).result(PATIENCE_S)
    assert isinstance(result, Receipt), result
    return result


def refusal(answer: Ticket | Refusal) -> Reason:
    result = answer if isinstance(answer, Refusal) else answer.result(PATIENCE_S)
    assert isinstance(result, Refusal), result
    return result.reason


def final_blocks(engine: Engine, after: int, upto: int) -> list[FinalBlock]:
    blocks: list[FinalBlock] = []
    for block in engine.blocks(after):
        blocks.append(block)
        if block.height >= upto:
            break
    return blocks


def replayed(world: World, blocks: list[FinalBlock]) -> State:
    """Apply delivered blocks by the kernel alone; they must say what they did."""
    state, founding = found(world.genesis)
    assert list(blocks[0].leaves) == founding.leaves
    written: dict[str, bytes | None] = dict(founding.writes)
    size = 0
    for block in blocks:
        assert (block.first, block.size) == (size, size + len(block.leaves))
        size = block.size
        if block.height == blocks[0].height:
            continue
        envelopes: list[Envelope] = []
        for data in block.envelopes:
            read = decode(data)
            assert not isinstance(read, Refusal)
            envelopes.append(read)
        verdicts = [[True] * len(row) for row in checks(state, envelopes)]
        rows: dict[str, bytes | None] = {}
        while missing := reads(state, block.at, envelopes, rows):
            rows.update((key, written.get(key)) for key in missing)
        outcome = apply_block(state, KernelBlock(block.at, envelopes), verdicts, rows)
        written.update(outcome.writes)
        assert outcome.dropped == []
        assert outcome.receipts == [list(codes) for codes in block.receipts]
        assert outcome.leaves == list(block.leaves)
        assert (outcome.height, outcome.at) == (block.height, block.at)
        state.advance(outcome)
    return state


class EngineConformance:
    """The suite."""

    def test_an_envelope_becomes_final(self, bench: Bench) -> None:
        at = bench.world.created + 1000
        bench.set_clock(at)
        envelope = bench.world.report("district-00", at)
        got = receipt(bench.engine.submit(envelope.data))
        assert (got.digest, got.codes) == (envelope.digest, [Reason.ACCEPTED])
        # An engine that has just been started may need many seconds for its first block.
        assert at - bench.lag_ms <= got.at <= bench.clock()
        assert bench.engine.final() >= got.height
        (block,) = final_blocks(bench.engine, got.height - 1, got.height)
        assert block.envelopes[got.position] == envelope.data
        assert list(block.receipts[got.position]) == got.codes

    def test_bytes_that_are_no_envelope_are_refused_at_once(self, bench: Bench) -> None:
        good = bench.world.sign("district-00", bench.world.report("district-00", bench.world.created).acts, bench.world.created)
        for data, reason in (
            (b"", Reason.NOT_JSON),
            (b"\xff" * 10, Reason.NOT_UTF8),
            (b"{}", Reason.WRONG_SHAPE),
            (good + b" ", Reason.NOT_CANONICAL),
            (good.replace(b"report.cluster", b"report.clustre"), Reason.DIGEST_MISMATCH),
            (b"x" * 200_000, Reason.TOO_LARGE),
        ):
            answer = bench.engine.submit(data)
            assert isinstance(answer, Refusal)
            assert answer.reason == reason

    def test_envelopes_that_no_block_may_hold_get_their_reason(self, bench: Bench) -> None:
        at = bench.world.created + 1000
        bench.set_clock(at)
        world, other = bench.world, World("health.example/elsewhere")
        acts = world.report("district-00", at).acts
        forged = bytearray(world.sign("district-00", acts, at))
        place = forged.index(b'"sig":"') + 10
        forged[place] = ord("A") if forged[place] != ord("A") else ord("B")
        cases = [
            (bytes(forged), Reason.BAD_SIGNATURE),
            (other.sign("district-00", acts, at), Reason.OTHER_GENESIS),
            (world.sign("district-00", acts, at - 600_000), Reason.EXPIRED),
            (world.sign("district-00", acts, at + 7_200_000), Reason.TOO_FAR_AHEAD),
        ]
        tickets = [(bench.engine.submit(data), reason) for data, reason in cases]
        good = bench.engine.submit(world.sign("district-00", acts, at))
        assert receipt(good).codes == [Reason.ACCEPTED]
        for ticket, reason in tickets:
            assert refusal(ticket) == reason
        again = bench.engine.submit(world.sign("district-00", acts, at))
        assert refusal(again) == Reason.SEEN_BEFORE
        # Nothing of it is in a block, and what is there replays.
        blocks = final_blocks(bench.engine, -1, bench.engine.final())
        assert sum(len(block.envelopes) for block in blocks) == 1
        replayed(world, blocks)

    def test_a_refused_act_is_final_too(self, bench: Bench) -> None:
        at = bench.world.created + 1000
        bench.set_clock(at)
        got = receipt(bench.engine.submit(bench.world.ballot("district-01", "ab" * 32, at).data))
        assert got.codes == [Reason.UNKNOWN_MESSAGE]

    def test_many_submitters_each_exactly_once(self, bench: Bench) -> None:
        at = bench.world.created + 1000
        bench.set_clock(at)
        world = bench.world
        envelopes = [
            world.present(member, bench.world.created // 86_400_000 + 1, at + number)
            for number in range(60)
            for member in world.members
        ]
        answers: dict[str, Ticket | Refusal] = {}

        def offer(part: list[Envelope]) -> None:
            for envelope in part:
                answers[envelope.digest] = bench.engine.submit(envelope.data)

        threads = [threading.Thread(target=offer, args=(envelopes[i::4],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        receipts = {digest: receipt(answer) for digest, answer in answers.items()}
        assert len({(one.height, one.position) for one in receipts.values()}) == len(envelopes)
        blocks = final_blocks(bench.engine, -1, max(one.height for one in receipts.values()))
        assert sorted(block.height for block in blocks) == [block.height for block in blocks]
        by_height = {block.height: block for block in blocks}
        for envelope in envelopes:
            got = receipts[envelope.digest]
            assert by_height[got.height].envelopes[got.position] == envelope.data
        assert sum(len(block.envelopes) for block in blocks) == len(envelopes)
        replayed(world, blocks)

    def test_blocks_wait_for_what_comes_and_end_with_the_engine(self, bench: Bench) -> None:
        heights: list[int] = []

        def follow() -> None:
            heights.extend(block.height for block in bench.engine.blocks(0))

        follower = threading.Thread(target=follow)
        follower.start()
        last = 0
        for number in range(5):
            at = bench.world.created + 1000 * (number + 1)
            bench.set_clock(at)
            last = receipt(bench.engine.submit(bench.world.report("district-02", at).data)).height
        bench.engine.stop()
        follower.join(PATIENCE_S)
        assert not follower.is_alive()
        assert heights == sorted(set(heights))
        assert heights[-1] >= last

    def test_a_deadline_makes_a_block(self, bench: Bench) -> None:
        at = bench.world.created + 1000
        bench.set_clock(at)
        opened = receipt(bench.engine.submit(bench.world.report("district-00", at).data))
        ends = opened.at + bench.world.window_ms
        bench.set_clock(ends - 1)
        bench.set_clock(ends)
        blocks = iter(bench.engine.blocks(opened.height))
        late = next(block for block in blocks if any(b'"leaf":"lapsed"' in leaf for leaf in block.leaves))
        assert ends <= late.at <= ends + 60_000
        assert list(late.envelopes) == []

    def test_time_never_goes_back(self, bench: Bench) -> None:
        bench.set_clock(bench.world.created + 3_000)
        first = receipt(bench.engine.submit(bench.world.report("district-00", bench.world.created + 3_000).data))
        bench.set_clock(bench.world.created + 1000)
        second = receipt(bench.engine.submit(bench.world.report("district-01", bench.world.created + 3_000).data))
        assert second.height > first.height
        assert second.at >= first.at

    @pytest.mark.parametrize("crash", [False, True])
    def test_a_restart_goes_on_from_the_last_final_block(self, bench: Bench, crash: bool) -> None:
        world = bench.world
        bench.set_clock(bench.world.created + 1000)
        tickets = [taken(bench.engine.submit(envelope.data)) for envelope in world.case(bench.world.created + 1000)]
        before = [receipt(ticket) for ticket in tickets]
        final = bench.engine.final()
        bench.restart(crash=crash)
        assert bench.engine.final() == final
        bench.set_clock(bench.world.created + 2000)
        after = receipt(bench.engine.submit(world.report("district-03", bench.world.created + 2000).data))
        assert after.height > max(one.height for one in before)
        assert refusal(bench.engine.submit(world.case(bench.world.created + 1000)[0].data)) == Reason.SEEN_BEFORE
        blocks = final_blocks(bench.engine, -1, after.height)
        for got in before:
            block = next(one for one in blocks if one.height == got.height)
            read = decode(block.envelopes[got.position])
            assert not isinstance(read, Refusal)
            assert read.digest == got.digest
        replayed(world, blocks)

    def test_a_stopped_engine_settles_everything_and_takes_nothing(self, bench: Bench) -> None:
        bench.set_clock(bench.world.created + 1000)
        world = bench.world
        tickets = [
            taken(bench.engine.submit(world.present("district-00", 1, bench.world.created + number).data)) for number in range(200)
        ]
        bench.engine.stop()
        for ticket in tickets:
            assert ticket.done()
            error = ticket.exception()
            assert error is None or isinstance(error, EngineHalted)
        with pytest.raises(EngineHalted, match="never taken twice"):
            bench.engine.submit(world.present("district-00", 2, bench.world.created).data)
        held = sum(len(block.envelopes) for block in bench.engine.blocks(0))
        assert held >= sum(ticket.exception() is None for ticket in tickets)
