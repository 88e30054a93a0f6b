"""What CometBFT demands of an application, rule by rule, against ours through a real socket.

Numbers are those of the list "rules an application must keep" in the facts about CometBFT v0.40.
"""

import json
import os
import re
import select
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from tests.engine.abci import Connection, Driver, request, stamp
from tests.engine.comet import node_seed
from tests.engine.conformance import PATIENCE_S
from tests.engine.sent import AT, WORLD, case, expired, report
from tests.store.drive import verify_all
from tests.store.world import CREATED, World, signer
from tocsin.client.signing import SeedSigner, cosign_checkpoint, prove_possession, rotation, sign_acts
from tocsin.engine.cometbft import home, server, wire
from tocsin.engine.cometbft.application import chain_id, validators
from tocsin.engine.cometbft.heights import HeightsLost
from tocsin.engine.cometbft.home import Settings
from tocsin.engine.cometbft.pool import tick
from tocsin.engine.cometbft.protobuf import varint
from tocsin.kernel import block as kernel
from tocsin.kernel import upgrade
from tocsin.kernel.acts import AdmitMotion, Evidence, Join, Keys, Leave, Submit
from tocsin.kernel.digest import app_hash, message_id
from tocsin.kernel.reasons import Reason
from tocsin.store.fsck import fsck
from tocsin.store.moment import Moment
from tocsin.tlog import Checkpoint, checkpoint, note

# The socket (section 1).


def test_answers_come_in_the_order_of_the_calls(app: Driver) -> None:
    txs = [WORLD.present("district-01", 1, AT + number).data for number in range(300)]
    calls: list[wire.Request] = []
    for number, tx in enumerate(txs):
        calls += [wire.CheckTx(tx), wire.Echo(str(number))]
    app.mempool.send(*calls, wire.Flush())
    for number in range(300):
        assert app.mempool.receive() == wire.TxResult()
        assert app.mempool.receive() == wire.Echo(str(number))
    assert app.mempool.receive() == wire.Flush()


def test_bytes_may_come_in_any_pieces(app: Driver) -> None:
    data = b"".join(map(request, (wire.Echo("a" * 300), wire.Info("0.39.0"), wire.Flush())))
    info = app.info()
    for place in range(len(data)):
        app.query.socket.sendall(data[place : place + 1])
    assert app.query.receive() == wire.Echo("a" * 300)
    assert app.query.receive() == info
    assert app.query.receive() == wire.Flush()


def test_unknown_fields_are_skipped(app: Driver) -> None:
    body = varint(1 << 3 | 2) + b"\x02hi" + varint(99 << 3) + b"\x05" + varint(98 << 3 | 1) + bytes(8)
    body += varint(97 << 3 | 5) + bytes(4) + varint(96 << 3 | 2) + b"\x01x"
    call = varint(1 << 3 | 2) + varint(len(body)) + body
    app.query.socket.sendall(varint(len(call)) + call)
    assert app.query.receive() == wire.Echo("hi")


@pytest.mark.parametrize(
    "data",
    [
        b"\x05hello",
        varint(wire.MAX_REQUEST + 1),
        b"\xff" * 12,
        varint(4) + varint(18 << 3 | 2) + varint(1) + b"x",
        varint(5) + varint(1 << 3 | 2) + b"\x03\x0a\x09x",
        varint(6) + varint(1 << 3 | 2) + b"\x04\x0a\x02\xff\xfe",
    ],
)
def test_what_is_no_call_closes_the_connections_and_says_so(tmp_path: Path, data: bytes) -> None:
    driver = Driver(WORLD, tmp_path / "one")
    driver.mempool.socket.sendall(data)
    with pytest.raises(EOFError):
        driver.mempool.receive()
    with pytest.raises(EOFError):
        driver.query.receive()
    (error,) = driver.errors
    assert "tocsin engine install" in str(error)
    driver.close()


def test_a_bad_transaction_is_a_code_and_never_an_end(app: Driver) -> None:
    bad = [b"", b"\xff" * 9, b"{}", report() + b" ", b"x" * 200_000, expired(), tick(1), b"tocsin deadline"]
    codes = [result.code for result in app.check(*bad)]
    assert codes == [
        Reason.NOT_JSON, Reason.NOT_UTF8, Reason.WRONG_SHAPE, Reason.NOT_CANONICAL, Reason.TOO_LARGE, Reason.EXPIRED,
        Reason.EXPIRED, Reason.NOT_JSON,
    ]  # fmt: skip
    # Were a block of them decided all the same, each is a code in it.
    answer = app.block(bad, AT)
    assert [result.code for result in answer.tx_results][:6] == codes[:6]
    assert all(result.code for result in answer.tx_results)


@pytest.mark.parametrize("flood", [True, False])
def test_a_flood_waits_in_cometbft(app: Driver, monkeypatch: pytest.MonkeyPatch, flood: bool) -> None:
    """While a call is being answered its connection is read up to a bound. Who sends more must wait; the others go on."""
    monkeypatch.setattr(server, "_AHEAD", 4_000_000)
    answering, go_on = threading.Event(), threading.Event()
    name = "check" if flood else "answer"
    plain = getattr(app.application, name)

    def slowly(given: Any) -> Any:
        if flood or given == wire.Echo("first"):
            answering.set()
            assert go_on.wait(PATIENCE_S)
        return plain(given)

    monkeypatch.setattr(app.application, name, slowly)
    app.mempool.send(wire.CheckTx(report()) if flood else wire.Echo("first"))
    assert answering.wait(PATIENCE_S)
    call = request(wire.Echo("x" * 60_000))
    rest = data = call * 500
    app.mempool.socket.setblocking(False)
    # What nobody reads fills the socket, whose buffer is some hundred kilobytes. Who reads may be slow up to the bound.
    while rest and select.select(
        [], [app.mempool.socket], [], 1 if len(data) - len(rest) > 4_000_000 else PATIENCE_S
    )[1]:
        rest = rest[app.mempool.socket.send(rest) :]
    assert rest, "all was read, though nothing is answered"
    assert 4_000_000 < len(data) - len(rest) < 8_000_000
    assert app.info().last_block_height == 0
    go_on.set()
    app.mempool.socket.settimeout(PATIENCE_S)
    left = (len(data) - len(rest)) % len(call)
    app.mempool.socket.sendall(rest[: len(call) - left] if left else b"")
    assert app.mempool.receive() == (wire.TxResult() if flood else wire.Echo("first"))
    for _ in range(-(-(len(data) - len(rest)) // len(call))):
        assert app.mempool.receive() == wire.Echo("x" * 60_000)


def test_transactions_that_came_meanwhile_are_checked_together_and_answered_in_order(
    app: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CometBFT asks for a flush after each of them."""
    answering, go_on = threading.Event(), threading.Event()
    plain = app.application.check
    together: list[int] = []

    def slowly(given: Sequence[wire.CheckTx]) -> list[wire.TxResult]:
        together.append(len(given))
        answering.set()
        assert go_on.wait(PATIENCE_S)
        return plain(given)

    monkeypatch.setattr(app.application, "check", slowly)
    app.mempool.send(wire.CheckTx(report()))
    assert answering.wait(PATIENCE_S)
    calls = [wire.CheckTx(report()), wire.Flush(), wire.CheckTx(expired()), wire.Flush(), wire.Echo("after")]
    app.mempool.send(*calls)
    go_on.set()
    answers = [app.mempool.receive() for _ in range(6)]
    assert [type(one) for one in answers] == [
        wire.TxResult, wire.TxResult, wire.Flush, wire.TxResult, wire.Flush, wire.Echo,
    ]  # fmt: skip
    assert [one.code for one in answers if isinstance(one, wire.TxResult)] == [0, Reason.SEEN_BEFORE, Reason.EXPIRED]
    assert together == [1, 2]


# Section 3.


def test_rule_01_results_follow_from_state_and_block_alone(app: Driver, other: Driver) -> None:
    """One node checked everything before, in another order, by another clock; the other sees it in the block only."""
    txs = case()
    app.check(*reversed(txs), expired())
    other.now = AT + 10_000_000
    at = AT + 5_000
    first, second = app.finalize([*txs, expired()], at), other.finalize([*txs, expired()], at)
    assert first == second
    assert [result.data for result in first.tx_results] == [b"[[0]]"] * 7 + [b""]


def test_rule_01_in_a_process_with_another_hash_seed() -> None:
    program = "\n".join(
        [
            "import tempfile, pathlib, sys",
            "from tests.engine.abci import Driver",
            "from tests.engine.sent import WORLD, AT, case",
            "with tempfile.TemporaryDirectory() as folder:",
            "    driver = Driver(WORLD, pathlib.Path(folder) / 'one')",
            "    driver.init()",
            "    print(repr(driver.block(case(), AT)), repr(driver.info()))",
            "    driver.close()",
        ]
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert b"app_hash" in told.pop()


def test_rule_02_one_result_for_each_transaction_in_order(app: Driver) -> None:
    txs = [b"junk", report(), expired(), report(), report("district-01")]
    codes = [result.code for result in app.block(txs, AT).tx_results]
    assert codes == [Reason.NOT_JSON, 0, Reason.EXPIRED, Reason.SEEN_BEFORE, 0]


def test_rule_03_nothing_is_kept_before_commit(app: Driver) -> None:
    app.block(case(), AT)
    before, head = app.info(), app.store.network(WORLD.origin).durable
    app.process([report(at=AT + 1)], AT + 1)
    answer = app.finalize([report(at=AT + 1)], AT + 1)
    assert app.info() == before
    assert app.store.network(WORLD.origin).durable == head
    app.commit()
    after = app.info()
    assert (after.last_block_height, after.last_block_app_hash) == (2, answer.app_hash)
    assert answer.app_hash != before.last_block_app_hash


def test_rule_04_the_hash_is_that_of_the_log(tmp_path: Path) -> None:
    driver = Driver(WORLD, tmp_path / "one")
    records = driver.store.network(WORLD.origin)
    assert driver.init().app_hash == app_hash(records.head.size, records.head.root)
    answer = driver.block(case(), AT)
    assert answer.app_hash == app_hash(records.head.size, records.head.root)
    # A block that changes nothing keeps it, or CometBFT would make blocks for ever.
    assert driver.block([], AT + 1).app_hash == answer.app_hash
    assert driver.block([b"junk"], AT + 2).app_hash == answer.app_hash
    driver.close()


def test_rule_05_what_is_prepared_is_accepted_by_all(app: Driver, other: Driver) -> None:
    app.check(*case())
    waiting = [expired(), *case(), case()[0], b"junk", tick(AT)]
    kept = app.prepare(waiting, AT)
    assert list(kept) == case()
    assert app.process(kept, AT) == other.process(kept, AT) == wire.ACCEPT


def test_rule_06_a_proposal_is_judged_by_block_and_committed_state_alone(app: Driver, other: Driver) -> None:
    for txs, verdict in (
        ([], wire.ACCEPT),
        (case(), wire.ACCEPT),
        ([*case(), expired()], wire.REJECT),
        ([report(), report()], wire.REJECT),
        ([b"junk"], wire.REJECT),
        ([tick(AT)], wire.REJECT),
    ):
        app.check(*txs)
        app.now, other.now = AT - 10_000_000, AT + 10_000_000
        assert app.process(txs, AT) == other.process(txs, AT) == verdict


def test_rule_07_a_proposal_is_no_larger_than_what_came(app: Driver) -> None:
    txs = [expired(), *case()]
    kept = app.prepare(txs, AT)
    assert sum(map(len, kept)) < sum(map(len, txs))
    assert set(kept) <= set(txs)


def test_rule_08_proposals_change_nothing(app: Driver) -> None:
    before = app.info()
    for number in range(40):
        assert app.process([report(at=AT + number)], AT + number) == wire.ACCEPT
        app.prepare(case(), AT + number)
    assert app.info() == before
    assert [result.code for result in app.block(case(), AT + 50).tx_results] == [0] * 7


def test_rule_09_a_block_may_come_without_its_proposal(app: Driver, other: Driver) -> None:
    for height, txs in enumerate(([], case(), [report(at=AT + 2000)])):
        app.prepare(txs, AT + height)
        app.process(txs, AT + height)
        assert app.block(txs, AT + height) == other.block(txs, AT + height)
    assert app.info() == other.info()


def _home(tmp_path: Path) -> Path:
    settings = Settings(tmp_path, b"v" * 32, node_seed(WORLD.origin, 0), "127.0.0.1:26656", ("a@b:1",))
    home.write(settings, WORLD.genesis, tmp_path / "app", tmp_path / "rpc")
    return tmp_path


def test_rules_10_11_blocks_are_bounded_and_gas_is_not(tmp_path: Path, app: Driver) -> None:
    genesis = json.loads((_home(tmp_path) / "config" / "genesis.json").read_text())
    params = genesis["consensus_params"]
    assert 1 <= int(params["block"]["max_bytes"]) <= 104_857_600
    assert params["block"]["max_gas"] == "-1"
    assert genesis["genesis_time"] == "2023-11-14T22:13:20.000Z"
    assert len(genesis["chain_id"]) <= 50
    assert app.check(report())[0].gas_wanted == 0


def test_rule_12_checks_have_a_state_of_their_own(tmp_path: Path) -> None:
    """Three envelopes of one member: its quota is two, and fills again."""
    world = World(validators=1, envelopes=2)
    driver = Driver(world, tmp_path / "one")
    driver.init()
    at = driver.now = CREATED + 100
    one, two, three, four = (world.present("district-00", 1, at + number).data for number in range(4))
    codes = [result.code for result in driver.check(one, two, three)]
    assert codes == [0, 0, Reason.QUOTA]
    driver.block([one], at)
    # Anew after the commit: what still waits first, then what comes.
    assert [result.code for result in driver.check(two, again=True)] == [0]
    assert [result.code for result in driver.check(four)] == [Reason.QUOTA]
    # What was consumed is never taken again, whether CometBFT remembers it or not.
    assert driver.check(one)[0].code == Reason.SEEN_BEFORE
    assert driver.process([one], at) == wire.REJECT
    driver.close()


def test_rule_12_a_signature_is_verified_once_for_each_node(app: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    start = app.verifier.start
    monkeypatch.setattr(app.verifier, "start", lambda rows: checked.append(len(rows)) or start(rows))
    txs = case()
    app.check(*txs)
    app.block([], AT)
    app.check(*txs, again=True)
    kept = app.prepare(txs, AT)
    app.process(kept, AT)
    app.block(kept, AT)
    assert sum(checked) == len(txs)


def test_rule_12_a_forged_signature_is_refused_wherever_it_comes(app: Driver) -> None:
    good = report()
    forged = bytearray(good)
    place = forged.index(b'"sig":"') + 10
    forged[place] = ord("A") if forged[place] != ord("A") else ord("B")
    assert app.check(bytes(forged))[0].code == Reason.BAD_SIGNATURE
    assert app.process([bytes(forged)], AT) == wire.REJECT
    assert app.check(good)[0].code == 0


def rotated(member: str, which: Literal["act", "finality"]) -> tuple[SeedSigner, bytes]:
    """A new key of a member, and the envelope that brings it into force."""
    new = SeedSigner(sha256(f"{member}/{which}/new".encode()).digest())
    act = rotation(new, WORLD.identity, member, which)
    return new, sign_acts(signer(WORLD.origin, member, "root"), WORLD.identity, member, AT + 600_000, [act])


def test_rule_12_an_act_key_that_was_rotated_counts_no_more(app: Driver, other: Driver) -> None:
    """What was checked while it was in force: neither may wait any longer, nor stand in a block."""
    waiting = report("district-05")
    _, rotate = rotated("district-05", "act")
    assert [result.code for result in app.check(rotate, waiting)] == [0, 0]
    for driver in (app, other):
        assert [result.code for result in driver.block([rotate], AT).tx_results] == [0]
    assert app.process([waiting], AT + 1) == other.process([waiting], AT + 1) == wire.REJECT
    assert app.finalize([waiting], AT + 1) == other.finalize([waiting], AT + 1)
    app.hang_up()
    app.connect()
    assert app.check(waiting, again=True)[0].code == Reason.NOT_AUTHORS_KEY


def test_rule_12_what_was_verified_before_a_rotation_is_verified_anew(app: Driver, other: Driver) -> None:
    """Two heads that a key signed which was nobody's yet: who checked them before the rotation, and who sees them in
    the block only, find the same."""
    new, rotate = rotated("district-05", "finality")
    first, second = (
        note.format(
            checkpoint.format(head := Checkpoint(WORLD.origin, 5, root)),
            [cosign_checkpoint(new, "district-05", head, AT // 1000)],
        ).decode()
        for root in (b"1" * 32, b"2" * 32)
    )
    evidence = WORLD.sign("district-00", [Evidence(WORLD.origin, first, second, None, [])], AT)
    assert [result.code for result in app.check(rotate, evidence)] == [0, 0]
    for driver in (app, other):
        driver.block([rotate], AT)
    answer = app.finalize([evidence], AT + 1)
    assert answer == other.finalize([evidence], AT + 1)
    assert [result.data for result in answer.tx_results] == [b"[[0]]"]
    app.commit()
    block = app.store.network(WORLD.origin).block(2)
    assert block is not None
    assert any(leaf.startswith(b'{"leaf":"evidence"') and new.public_key.encode() in leaf for leaf in block.leaves)


def test_rule_14_rechecks_drop_what_no_block_may_hold(app: Driver) -> None:
    short = WORLD.sign("district-02", WORLD.report("district-02", AT).acts, AT - 595_000)
    assert [result.code for result in app.check(short, report())] == [0, 0]
    app.block([report()], AT)
    app.now = AT + 6_000
    assert [result.code for result in app.check(short, report(), again=True)] == [Reason.EXPIRED, Reason.SEEN_BEFORE]
    assert (short, Reason.EXPIRED, True) in app.heard


def test_rule_15_cometbft_forgets_only_below_the_oldest_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", 4)
    driver = Driver(WORLD, tmp_path / "one", prune=True)
    driver.init()
    retained = []
    for number in range(16):
        driver.finalize([WORLD.present("district-00", 1, AT + number).data], AT + number)
        retained.append(driver.commit().retain_height)
        driver.application._snapshots.close()
    offered = [one.height for one in driver.snapshot.call(wire.ListSnapshots()).snapshots]
    assert len(offered) == 2
    assert retained[0] == 0
    assert retained[-1] == min(offered) > 4
    # The log is whole.
    assert len(list(driver.store.network(WORLD.origin).blocks())) == 17
    driver.close()
    driver = Driver(WORLD, tmp_path / "two")
    driver.finalize([], AT)
    assert driver.commit().retain_height == 0
    driver.close()


def _killed_after_finalize(driver: Driver) -> None:
    driver.finalize(case(AT + 10), AT + 10)


def _killed_before_the_store(driver: Driver) -> None:
    driver.finalize(case(AT + 10), AT + 10)
    driver.application._heights.announce(2, 2)


def _killed_after_the_store(driver: Driver) -> None:
    driver.finalize(case(AT + 10), AT + 10)
    driver.application._heights.announce(2, 2)
    finalized = driver.application._finalized
    assert finalized is not None
    driver.application.ledger.commit(finalized.outcome)


def _killed_after_commit(driver: Driver) -> None:
    driver.block(case(AT + 10), AT + 10)


@pytest.mark.parametrize(
    ("kill", "height"),
    [
        (_killed_after_finalize, 1),
        (_killed_before_the_store, 1),
        (_killed_after_the_store, 2),
        (_killed_after_commit, 2),
    ],
)
def test_rules_16_17_a_kill_at_each_gap(app: Driver, other: Driver, kill: Callable[[Driver], None], height: int) -> None:
    for driver in (app, other):
        driver.block(case(), AT)
    expected = other.block(case(AT + 10), AT + 10)
    kill(app)
    app.kill()
    told = app.info()
    assert told.last_block_height == height
    # CometBFT replays from there.
    app.height = height
    if height == 1:
        assert app.block(case(AT + 10), AT + 10) == expected
    assert app.info() == other.info()
    assert app.info().last_block_app_hash == expected.app_hash
    assert list(fsck(app.store, verify_all)) == []


def test_rules_16_17_blocks_that_change_nothing_count_too(app: Driver) -> None:
    app.block(case(), AT)
    for number in range(5):
        app.block([], AT + number)
        app.kill()
        assert app.info().last_block_height == 2 + number


def test_rule_16_cometbft_alone_dies_between_finalize_and_commit(app: Driver, other: Driver) -> None:
    app.finalize(case(), AT)
    app.hang_up()
    app.connect()
    assert app.info().last_block_height == 0
    app.init()
    assert app.block(case(), AT) == other.block(case(), AT)


def test_rule_17_a_store_and_heights_that_do_not_belong_together(app: Driver) -> None:
    app.block(case(), AT)
    app.block([report(at=AT + 5)], AT + 5)
    app.stop()
    kept = (app.folder / "heights").read_bytes()
    for data in (b"", bytes(1024), kept[:600]):
        (app.folder / "heights").write_bytes(data)
        if data == kept[:600]:
            # One torn slot is what a power cut may leave: the other one holds.
            app.start()
            app.stop()
            continue
        with pytest.raises(HeightsLost, match="reset"):
            app.start()
        app.verifier.close()
    (app.folder / "heights").write_bytes(kept)
    app.start()
    assert app.info().last_block_height == 2


def test_rule_17_another_chain_is_refused(tmp_path: Path) -> None:
    driver = Driver(WORLD, tmp_path / "one")
    driver.consensus.send(wire.InitChain(stamp(CREATED), "tocsin-other", initial_height=1), wire.Flush())
    with pytest.raises(EOFError):
        driver.consensus.receive()
    assert "this network's home" in str(driver.errors[0])
    driver.close()


def test_rules_18_19_the_version_is_the_protocol_number(app: Driver, tmp_path: Path) -> None:
    genesis = json.loads((_home(tmp_path / "home") / "config" / "genesis.json").read_text())
    assert app.info().app_version == int(genesis["consensus_params"]["version"]["app"]) == 1
    app.stop()
    (app.folder / "heights").unlink()
    app.start()
    assert app.init().consensus_params is None
    assert app.block(case(), AT).consensus_param_updates is None


def test_rules_18_19_an_upgrade_changes_the_version_and_nothing_else(app: Driver) -> None:
    finalize = app.application.ledger.propose

    def upgraded(*given: object) -> kernel.Outcome:
        outcome = finalize(*given)  # type: ignore[arg-type]
        outcome.changes["meta"][""].protocol = 2
        return outcome

    app.application.ledger.propose = upgraded  # type: ignore[method-assign]
    update = app.finalize(case(), AT).consensus_param_updates
    assert update == wire.ConsensusParams(wire.VersionParams(2))
    app.hang_up()
    app.application.ledger.propose = finalize  # type: ignore[method-assign]
    app.connect()


def test_a_node_without_the_rules_in_force_halts_before_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(WORLD, tmp_path / "one")
    driver.init()
    driver.block(case(), AT)
    monkeypatch.setattr(upgrade, "PROTOCOLS", (9,))
    before = driver.store.network(WORLD.origin).durable
    with pytest.raises(EOFError):
        driver.process([], AT + 1)
    assert "install a release that knows protocol 1" in str(driver.errors[0])
    assert driver.store.network(WORLD.origin).durable == before
    driver.close()


def test_rule_20_validators_are_who_signs_finality(app: Driver) -> None:
    keys = [bytes.fromhex(signer(WORLD.origin, f"district-0{one}", "validator").public_key) for one in range(4)]
    state = app.application.ledger.state
    assert validators(state.members) == dict.fromkeys(keys, 1)
    leaving = WORLD.envelope("district-02", [Leave()], AT).data
    assert app.block([leaving], AT).validator_updates == (wire.ValidatorUpdate(wire.PublicKey(keys[2]), 0),)
    # Who has no validator key may leave without a word to CometBFT; nothing is said twice.
    leaving = WORLD.envelope("district-05", [Leave()], AT).data
    assert app.block([leaving], AT).validator_updates == ()
    assert app.block([], AT + 1).validator_updates == ()


def test_rule_20_the_last_validators_stay_to_end_the_chain(app: Driver) -> None:
    """CometBFT stops for ever where none is left, also with the block that says so."""
    leaving = [WORLD.envelope(f"district-0{one}", [Leave()], AT).data for one in range(4)]
    answer = app.block(leaving, AT)
    assert [result.code for result in answer.tx_results] == [0] * 4
    assert validators(app.application.ledger.state.members) == {}
    assert answer.validator_updates == ()


def test_rule_20_who_is_admitted_validates_only_after_its_own_join(app: Driver) -> None:
    signers = [signer(WORLD.origin, "new", role) for role in ("root", "act", "finality", "validator")]
    keys = Keys(*(one.public_key for one in signers[:3]), signers[3].public_key, "self")
    expires = AT + 86_400_000
    proofs = prove_possession(signers, WORLD.identity, "new", keys, expires)
    motion = AdmitMotion("new", "agency:new", ["reporter", "voter"], keys, expires, proofs)
    submit = WORLD.envelope("district-00", [Submit("motion.admit", None, None, motion, None)], AT)
    ballots = [WORLD.ballot(f"district-0{one}", message_id(submit.digest, 0), AT) for one in range(1, 7)]
    answer = app.block([submit.data, *(ballot.data for ballot in ballots)], AT)
    state = app.application.ledger.state
    later = state.next_deadline()
    if "new" not in state.members:
        assert later is not None
        assert app.block([], later).validator_updates == ()
    assert answer.validator_updates == ()
    assert state.members["new"].status == "active"
    at = state.meta.at
    join = sign_acts(signers[1], WORLD.identity, "new", at + 600_000, [Join(state.meta.height)])
    key = bytes.fromhex(signers[3].public_key)
    assert app.block([join], at).validator_updates == (wire.ValidatorUpdate(wire.PublicKey(key), 1),)


def test_rule_21_the_first_validators_are_the_founders_with_keys(app: Driver, tmp_path: Path) -> None:
    app.hang_up()
    app.connect()
    updates = app.init().validators
    assert [one.power for one in updates] == [1] * 4
    assert len({one.pub_key for one in updates}) == 4
    assert [one.pub_key.ed25519 for one in updates if one.pub_key] == sorted(validators(app.application.ledger.state.members))
    without = World("health.example/none")
    driver = Driver(without, tmp_path / "none")
    driver.consensus.send(wire.InitChain(stamp(CREATED), chain_id(without.identity), initial_height=1), wire.Flush())
    with pytest.raises(EOFError):
        driver.consensus.receive()
    assert "validator key" in str(driver.errors[0])
    driver.close()


@pytest.mark.parametrize("number", [18, 19])
def test_rules_22_to_25_votes_carry_nothing(tmp_path: Path, number: int) -> None:
    """ExtendVote and VerifyVoteExtension are for chains that ask for them; ours never does, and knows no such call."""
    genesis = json.loads((_home(tmp_path / "home") / "config" / "genesis.json").read_text())
    assert genesis["consensus_params"]["abci"] == {"vote_extensions_enable_height": "0"}
    assert wire.ConsensusParams._fields == ("version",), "an update could switch them on"
    driver = Driver(WORLD, tmp_path / "one")
    driver.consensus.socket.sendall(varint(3) + varint(number << 3 | 2) + varint(0))
    with pytest.raises(EOFError):
        driver.consensus.receive()
    driver.close()


@pytest.mark.parametrize("kind", [1, 2], ids=["two votes", "an attack on light clients"])
def test_rule_26_misbehaviour_is_on_record_by_its_key(app: Driver, other: Driver, kind: int) -> None:
    key = signer(WORLD.origin, "district-03", "validator").public_key
    address = sha256(bytes.fromhex(key)).digest()[:20]
    caught = (
        wire.Misbehavior(kind, wire.Validator(address, 1), 1, stamp(AT), 4),
        wire.Misbehavior(kind, wire.Validator(b"?" * 20, 1), 1, stamp(AT), 4),
    )
    # What it would be without them is another block.
    assert app.process([], AT) == wire.ACCEPT
    assert app.finalize([], AT, caught) == other.finalize([], AT, caught)
    app.commit()
    block = app.store.network(WORLD.origin).block(1)
    assert block is not None
    leaves = [msgspec.json.decode(leaf) for leaf in block.leaves]
    assert [(leaf["signers"], leaf["members"]) for leaf in leaves if leaf["leaf"] == "evidence"] == [
        ([key], ["district-03"])
    ]
    assert list(fsck(app.store, verify_all)) == []


def test_rule_26_evidence_is_taken_for_two_days(tmp_path: Path) -> None:
    genesis = json.loads((_home(tmp_path) / "config" / "genesis.json").read_text())
    evidence = genesis["consensus_params"]["evidence"]
    assert (evidence["max_age_num_blocks"], evidence["max_age_duration"]) == ("100000", str(48 * 3_600 * 10**9))


def test_rules_27_28_30_the_configuration(tmp_path: Path) -> None:
    config = tomllib.loads((_home(tmp_path) / "config" / "config.toml").read_text())
    assert config["mempool"]["type"] == "flood"
    assert config["mempool"]["recheck"] is True
    assert config["consensus"]["create_empty_blocks"] is False
    assert config["consensus"]["create_empty_blocks_interval"] == "60s"
    assert config["filter_peers"] is True
    assert config["priv_validator_key_file"] == "/dev/stdin"
    assert (tmp_path / "config" / "node_key.json").stat().st_mode & 0o077 == 0


def test_the_guard_against_signing_twice_is_never_rewritten(tmp_path: Path) -> None:
    state = _home(tmp_path) / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7", "round": 0, "step": 3}')
    _home(tmp_path)
    assert json.loads(state.read_text())["height"] == "7"


def test_rule_29_snapshots_are_the_same_everywhere_beside_the_work_and_two(
    app: Driver, other: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "SNAPSHOT_EVERY", 2)
    other.check(*case())
    go_on = threading.Event()
    live = Moment.live

    def late(self: Moment) -> Iterator[tuple[str, bytes]]:
        assert go_on.wait(PATIENCE_S), "the next block came only after the snapshot was written"
        return live(self)

    def offered(driver: Driver) -> dict[int, list[object]]:
        driver.application._snapshots.wait()
        kept = driver.snapshot.call(wire.ListSnapshots()).snapshots
        chunks = {one.height: [wire.LoadSnapshotChunk(one.height, one.format, at) for at in range(one.chunks)] for one in kept}
        return {one.height: [one, *map(driver.snapshot.call, chunks[one.height])] for one in kept}

    with monkeypatch.context() as slow:
        slow.setattr(Moment, "live", late)
        for number in range(2):
            app.block([report(at=AT + number)], AT + number)
        assert app.application._snapshots.offered() == []
        go_on.set()
        first = offered(app)
    for number in range(2):
        other.block([report(at=AT + number)], AT + number)
        other.application._snapshots.wait()
    assert first == offered(other) != {}
    for number in range(2, 9):
        for driver in (app, other):
            driver.block([report(at=AT + number)], AT + number)
            driver.application._snapshots.wait()
    assert len(offered(app)) == 2
    assert offered(app) == offered(other)


def test_rule_30_who_may_connect(app: Driver) -> None:
    def code(path: str) -> int:
        answer: wire.QueryAnswer = app.query.call(wire.Query(path=path))
        return answer.code

    assert code("/p2p/filter/addr/127.0.0.1:999") == 0
    assert code("/p2p/filter/id/" + "a" * 40) == 0
    assert code("/p2p/filter/id/" + "b" * 40) != 0
    assert code("/p2p/filter/else/" + "a" * 40) != 0
    assert code("/else") != 0
    app.welcome.clear()
    assert code("/p2p/filter/id/" + "a" * 40) != 0


# Deadlines (section 7 of the facts, ADR 10).


def test_a_tick_waits_while_a_deadline_is_due_and_is_in_no_block(app: Driver) -> None:
    app.block([report()], AT)
    deadline = AT + WORLD.window_ms
    app.now = deadline - 1
    assert app.check(tick(deadline))[0].code == Reason.EXPIRED
    app.now = deadline
    assert [result.code for result in app.check(tick(deadline), tick(deadline + 1))] == [0, Reason.EXPIRED]
    # The first block after a gap carries the time of the gap's beginning: it changes nothing, and the tick stays.
    assert app.prepare([tick(deadline)], AT + 500) == ()
    app.block([], AT + 500)
    assert app.check(tick(deadline), again=True)[0].code == 0
    block = app.block(list(app.prepare([tick(deadline)], deadline + 3)), deadline + 3)
    assert block.tx_results == ()
    stored = app.store.network(WORLD.origin).block(2)
    assert stored is not None
    assert any(b'"leaf":"lapsed"' in leaf for leaf in stored.leaves)
    assert app.check(tick(deadline), again=True)[0].code == Reason.EXPIRED


def test_an_outage_moves_a_deadline_once_and_delays_no_envelope_for_ever(app: Driver) -> None:
    """T stands still while a quorum is away. Envelopes signed after it wait for T to catch up, and are not refused."""
    app.block([report()], AT)
    back = AT + WORLD.window_ms + 3_600_000
    app.now = back
    late = report("district-01", back)
    assert app.check(late)[0].code == 0
    # The first block still has the old time, an hour and more behind: the envelope is too far ahead for it, and stays.
    assert app.prepare([late], AT + 1000) == ()
    app.block([], AT + 1000)
    assert app.check(late, again=True)[0].code == 0
    kept = app.prepare([late], back + 100)
    assert list(kept) == [late]
    app.block(kept, back + 100)
    block = app.store.network(WORLD.origin).block(2)
    assert block is not None
    assert not any(b'"leaf":"lapsed"' in leaf for leaf in block.leaves), "the vote is given grace after an outage"
    moved = app.application.ledger.state.next_deadline()
    assert moved is not None
    assert moved > back


# The numbers.


def test_every_rule_has_a_test_that_bears_its_number() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    names = re.findall(r"def test_rules?_([0-9_]*(?:to_[0-9]+)?)", "".join(file.read_text() for file in files))
    found = set()
    for name in names:
        first, _, last = name.partition("to_")
        numbers = [int(one) for one in first.split("_") if one]
        found |= {*numbers, *(range(numbers[-1], int(last) + 1) if last else ())}
    assert found == {*range(1, 31)}


def test_four_connections_at_once(app: Driver) -> None:
    """A peer may load chunks, ask and flood while a block is made."""
    extra = Connection(app.folder / "app")
    extra.send(*(wire.LoadSnapshotChunk(1, 1, number) for number in range(50)))
    app.query.send(*(wire.Info() for _ in range(50)))
    txs = [WORLD.present("district-04", 1, AT + number).data for number in range(200)]
    app.mempool.send(*(wire.CheckTx(tx) for tx in txs))
    app.block(case(), AT)
    assert [extra.receive() for _ in range(50)] == [wire.LoadSnapshotChunkAnswer()] * 50
    assert {app.query.receive().app_version for _ in range(50)} == {1}
    assert [app.mempool.receive().code for _ in txs] == [0] * 200
    extra.close()
