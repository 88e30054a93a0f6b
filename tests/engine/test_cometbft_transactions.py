"""Several envelopes in one transaction of CometBFT, through a real socket (ADR 14)."""

import resource
import zlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.abci import Driver, stamp
from tests.engine.sent import AT, WORLD, case, expired
from tests.fuzz.dice import mutate
from tocsin.engine.cometbft import application, wire
from tocsin.engine.cometbft.pool import Admission
from tocsin.engine.cometbft.transactions import GROUP, GROUP_BYTES, envelopes, together, transactions
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.genesis import Check
from tocsin.kernel.reasons import Reason

LET_IN, WAITS, REFUSED = Admission
HEAD = b"tocsin envelopes\n"


def read(data: bytes) -> Envelope:
    envelope = decode(data)
    assert isinstance(envelope, Envelope)
    return envelope


def lines(seed: int, many: int, size: int) -> list[bytes]:
    """As hard to compress as a signature."""
    chance = Random(seed)
    return [chance.randbytes(size).replace(b"\n", b"x") for _ in range(many)]


@given(st.integers(), st.integers(0, 600), st.integers(64, 3_000))
def test_all_come_out_in_their_order(seed: int, many: int, size: int) -> None:
    waiting = lines(seed, many, size)
    made = transactions(waiting)
    assert [data for tx in made for data in envelopes(tx)] == waiting
    assert len(made) <= many // min(GROUP, GROUP_BYTES // (size + 1)) + 1


def test_no_group_is_larger_than_allowed() -> None:
    many = transactions(lines(1, 1000, 70))
    assert [len(envelopes(tx)) for tx in many] == [GROUP] * 3 + [1000 - 3 * GROUP]
    for size in (100, 5_000, 90_000, 100_000, GROUP_BYTES):
        waiting = lines(size, 20, size)
        made = transactions(waiting)
        assert [data for tx in made for data in envelopes(tx)] == waiting
        # None has room for the first envelope of the next.
        held = [sum(map(len, envelopes(tx))) for tx in made]
        assert all(one <= GROUP_BYTES < one + size + 20 for one in held[:-1])


def raw(data: bytes) -> bytes:
    return HEAD + zlib.compress(data)


@given(chance=st.randoms(use_true_random=False), room=st.integers(0, 20_000))
def test_whatever_bytes_come_nothing_raises_and_no_more_comes_out_than_there_is_room(chance: Random, room: int) -> None:
    tx = HEAD + mutate(chance, together(case())[len(HEAD) :])
    held = envelopes(tx, room)
    assert held == (tx,) or len(b"\n".join(held)) <= room


@pytest.mark.parametrize(
    "tx",
    [
        HEAD,
        HEAD + b"junk",
        HEAD + case()[0],
        together(case())[:-1],
        together(case()) + b"x",
        together(case()) + together(case())[len(HEAD) :],
        raw(b""),
        raw(b"\n"),
        raw(b"\n".join(case()) + b"\n"),
        raw(b"\r\n".join(case())),
        raw(b"\n".join([*case(), together(case())])),
        together([b"x"] * (GROUP + 1)),
        together([*case(), *[b"x"] * 100]),
        raw(b"x" * (GROUP_BYTES + 1)),
        raw(b"\n" * 100_000_000),
    ],
)
def test_what_is_not_well_formed_stands_in_no_block(app: Driver, tx: bytes) -> None:
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert app.process([tx], AT) == wire.REJECT
    left = [data for kept in app.prepare([tx], AT) for data in envelopes(kept)]
    assert set(left) <= set(case())
    assert app.process([together(left)] if left else [], AT) == wire.ACCEPT
    assert (app.check(tx)[0].code == Reason.ACCEPTED) == bool(left)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start < 50_000


def test_a_block_holds_no_more_than_it_may_however_well_it_was_compressed(
    app: Driver, other: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond waits for the next block, and stands in none of somebody else's."""
    groups = [
        together([WORLD.present("district-04", 1, AT + 10 * group + n).data for n in range(10)]) for group in range(5)
    ]
    size = len(b"".join(envelopes(groups[0])))
    monkeypatch.setattr(application, "_OPENED_BYTES", 3 * size + size // 2)
    app.check(*groups)
    assert other.process(groups, AT) == wire.REJECT
    first = app.prepare(groups, AT)
    assert list(first) == groups[:3]
    assert app.process(first, AT) == other.process(first, AT) == wire.ACCEPT
    app.block(first, AT)
    assert [result.code for result in app.check(*groups, again=True)] == [Reason.SEEN_BEFORE] * 3 + [0, 0]
    assert list(app.prepare(groups[3:], AT + 1)) == groups[3:]


def test_what_is_left_of_a_group_fits_where_the_group_did(app: Driver) -> None:
    """One who compresses better than we do offers a block that is full to the last byte."""
    reports = [WORLD.report(f"district-0{number}", AT).data for number in range(5)]
    better = HEAD + zlib.compress(b"\n".join([*reports, reports[0]]), 9)
    assert len(together(reports)) > len(better)
    call = wire.PrepareProposal(2 * wire.size_in_block(better), (better, reports[0]), (), app.height + 1, stamp(AT))
    kept = app.consensus.call(call).txs
    assert kept == (together(reports),)
    tight = call._replace(
        max_tx_bytes=wire.size_in_block(better) + wire.size_in_block(reports[0]), txs=(better, reports[0])
    )
    assert app.consensus.call(tight).txs == (together(reports),)
    assert app.consensus.call(call._replace(max_tx_bytes=wire.size_in_block(better), txs=(better,))).txs == ()


def test_together_is_as_alone(app: Driver, other: Driver) -> None:
    envelope, *ballots = case()
    txs = [envelope, together(ballots)]
    assert app.check(*txs) == [wire.TxResult()] * 2
    assert [data for data, reason, _ in app.heard if reason == Reason.ACCEPTED] == case()
    assert app.prepare(txs, AT) == tuple(txs)
    assert app.process(txs, AT) == other.process(txs, AT) == wire.ACCEPT
    mine, theirs = app.block(txs, AT), other.block(case(), AT)
    assert mine.app_hash == theirs.app_hash
    assert [result.data for result in mine.tx_results] == [b"[[0]]", b"[[0],[0],[0],[0],[0],[0]]"]


def test_each_stands_or_falls_by_itself(app: Driver, other: Driver) -> None:
    """One that may wait is enough for all to be passed on; a block holds only those that count."""
    envelope, *ballots = case()
    mixed = together([expired(), *ballots, ballots[0]])
    assert [result.code for result in app.check(mixed)] == [0]
    heard = [reason for _, reason, _ in app.heard]
    assert heard == [Reason.EXPIRED, *[0] * len(ballots), Reason.SEEN_BEFORE]
    assert other.process([envelope, mixed], AT) == wire.REJECT
    kept = app.prepare([envelope, mixed, together([expired(), b"junk"])], AT)
    assert kept == (envelope, together(ballots))
    assert app.process(kept, AT) == other.process(kept, AT) == wire.ACCEPT
    assert app.block(kept, AT).app_hash == other.block(kept, AT).app_hash
    # Nothing of it can come to a block any more, so that CometBFT forgets it.
    assert [result.code for result in app.check(mixed, again=True)] == [Reason.EXPIRED]


def test_one_that_is_left_stands_alone(app: Driver) -> None:
    assert app.prepare([together([case()[0], expired()])], AT) == (case()[0],)


def test_what_a_node_was_given_itself_is_let_in_once_whatever_it_comes_with(app: Driver) -> None:
    first, second, third = (read(data) for data in case()[:3])
    assert app.application.admit([first, second, read(expired())]) == [LET_IN, LET_IN, REFUSED]
    # Not offered yet, since CometBFT was not there: it may be offered again.
    assert app.application.admit([second, third]) == [LET_IN, LET_IN]
    assert app.check(together([first.data, second.data]))[0].code == 0
    assert app.application.admit([first, third]) == [WAITS, LET_IN]
    groups = [together([first.data, second.data]), together([second.data, third.data]), third.data]
    assert [result.code for result in app.check(*groups)] == [Reason.SEEN_BEFORE, 0, Reason.SEEN_BEFORE]
    app.block([], AT)
    assert app.application.admit([first]) == [LET_IN], "after a block CometBFT asks about all that waits"
    app.block([first.data], AT)
    assert app.application.admit([first]) == [REFUSED]


def test_what_came_in_anothers_group_waits_already(app: Driver) -> None:
    """Who hands the same envelope to two nodes is not told by the second one that it was seen before."""
    app.check(together(case()))
    assert app.application.admit([read(data) for data in case()]) == [WAITS] * len(case())


def test_each_signature_is_verified_once(app: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[Check] = []
    start = app.verifier.start

    def count(checks: list[list[Check]]) -> object:
        verified.extend(check for row in checks for check in row)
        return start(checks)

    monkeypatch.setattr(app.verifier, "start", count)
    app.application.admit([read(data) for data in case()])
    alone = len(verified)
    txs = transactions(case())
    app.check(*txs)
    app.prepare(txs, AT)
    app.process(txs, AT)
    app.block(txs, AT)
    assert alone == len(verified) == len(case())
