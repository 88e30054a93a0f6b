"""Killed at every storage call, in turn and in three ways: nothing final is lost, nothing is signed twice."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.store.drive import verify_all
from tests.store.faults import DEATH, FaultVFS, Plan, count_system_calls
from tests.store.world import World
from tocsin.engine.ledger import Ledger
from tocsin.kernel.envelope import Refusal, decode
from tocsin.store import database
from tocsin.store.fsck import fsck
from tocsin.store.store import Store
from tocsin.store.watermark import SignedHead, Watermark

WORLDS = [World(f"health.example/crash/{number}", voters=3) for number in range(2)]
ROUNDS = 3


def work(folder: Path, told: int, vfs: str | None, rounds: int = ROUNDS) -> None:
    """What a node does: found, decide in two networks at once, commit, write down what it signs, sign."""

    def tell(text: str) -> None:
        os.writev(told, [text.encode() + b"\n"])

    with (
        Store.open(folder / "store.db", vfs=vfs) as store,
        Watermark.open(folder / "signed", create=True) as mark,
    ):
        held = {info.origin for info in store.networks()}
        for world in WORLDS:
            if world.origin not in held:
                store.create_network(world.genesis_bytes, world.founding_bytes)
        networks = [store.network(world.origin) for world in WORLDS]
        ledgers = [Ledger(network) for network in networks]
        for _ in range(rounds):
            at = max(ledger.state.meta.at for ledger in ledgers) + 1000
            final: list[str] = []
            with store.transaction():
                for world, ledger in zip(WORLDS, ledgers, strict=True):
                    outcome = ledger.propose(at, world.case(at))
                    ledger.commit(outcome)
                    final += [f"final {world.origin} {one.digest}" for one in outcome.consumed]
            for line in final:
                tell(line)
            heads = [SignedHead(network.origin, network.head.size, network.head.root) for network in networks]
            mark.admit(heads)
            for head in heads:
                tell(f"signed {head.origin} {head.size} {head.root.hex()}")
    tell("done")


def in_child(folder: Path, plan: Plan) -> list[str]:
    """Run the work in a forked process that follows the plan; what it told before its end."""
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            database.CHECKPOINT_PAGES = 12
            shim = FaultVFS("faulty", plan)
            count_system_calls(plan)
            work(folder, told, shim.name)
            os._exit(0)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
    os.close(told)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, DEATH), lines
    return lines


def examine(folder: Path, lines: list[str]) -> None:
    """After a death: fsck is clean, all that was final is there, all that was signed still holds, work goes on."""
    if not (folder / "store.db").exists():
        assert not lines
        return
    with Store.open(folder / "store.db") as store:
        mark: dict[str, SignedHead] = {}
        if (folder / "signed").exists():
            with Watermark.open(folder / "signed") as opened:
                mark = {w.origin: head for w in WORLDS if (head := opened.head(w.origin)) is not None}
        assert list(fsck(store, verify_all, signed=mark)) == []
        held = {info.origin for info in store.networks()}
        taken: dict[str, set[str]] = {}
        for origin in held:
            state = store.network(origin).load_state()
            taken[origin] = set(state.seen)
        for line in lines:
            match line.split():
                case ["final", origin, digest]:
                    assert digest in taken[origin]
                case ["signed", origin, size, root]:
                    assert store.network(origin).root(int(size)).hex() == root
                    assert mark[origin].size >= int(size)
                case other:
                    assert other == ["done"]


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a sync costs nothing, if there is such a place: what a sync keeps is the plan's matter here."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_killed_at_every_storage_call(quick_folder: Path) -> None:
    tmp_path = quick_folder
    plan = Plan()
    (tmp_path / "whole").mkdir()
    lines = in_child(tmp_path / "whole", plan)
    assert lines[-1] == "done"
    examine(tmp_path / "whole", lines)
    number, deaths = 1, 0
    while True:
        how = ("before", "torn", "power")[number % 3]
        folder = tmp_path / f"{number}"
        folder.mkdir()
        lines = in_child(folder, Plan(number, how, seed=number))
        if lines and lines[-1] == "done":
            break
        deaths += 1
        examine(folder, lines)
        if number % 10 == 0:
            # And on from there, to the end.
            examine(folder, in_child(folder, Plan()))
        number += 1
    assert deaths > 200


LOAD = """
import os, sys
sys.path.insert(0, sys.argv[1])
from tests.store.world import CREATED, World
from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.engine.signatures import Verifier
from tocsin.store.store import Store

world = World("health.example/load")
path, start = sys.argv[2], int(sys.argv[3])
store = Store.open(path)
if not store.networks():
    store.create_network(world.genesis_bytes, world.founding_bytes)
now = CREATED + start * 1000
engine = EmbeddedEngine(store.network(world.origin), lambda: now, Verifier(2))

def said(ticket):
    receipt = ticket.result()
    os.write(1, f"{receipt.digest} {receipt.height} {receipt.position}\\n".encode())

os.write(1, b"ready\\n")
for number in range(10_000):
    now += 1000
    for envelope in world.case(now, number % 7):
        engine.submit(envelope.data).add_done_callback(said)
"""


@pytest.mark.parametrize("seed", range(3))
def test_killed_under_load(tmp_path: Path, seed: int) -> None:
    """An engine at full speed is killed at random times, three times in a row on the same store."""
    chance = random.Random(seed)
    path = tmp_path / "store.db"
    world = World("health.example/load")
    receipts: dict[str, tuple[int, int]] = {}
    for start in (1, 20_000, 40_000):
        process = subprocess.Popen(
            [sys.executable, "-c", LOAD, str(ROOT), str(path), str(start)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        # On a busy machine the first two may have been killed before anything was final.
        first = process.stdout.readline() if start == 40_000 and not receipts else ""
        time.sleep(0.1 + chance.random() * 0.6)
        process.send_signal(signal.SIGKILL)
        rest = first + process.stdout.read()
        process.stdout.close()
        process.wait()
        lines = rest[: rest.rfind("\n") + 1].splitlines()
        for line in lines:
            digest, height, position = line.split()
            receipts[digest] = (int(height), int(position))
    assert receipts
    with Store.open(path) as store:
        assert list(fsck(store, verify_all, fast=True)) == []
        network = store.network(world.origin)
        for digest, (height, position) in receipts.items():
            block = network.block(height)
            assert block is not None
            envelope = decode(block.envelopes[position])
            assert not isinstance(envelope, Refusal)
            assert envelope.digest == digest
