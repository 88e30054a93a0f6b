"""Kill -9 of the process that holds application and supervisor: CometBFT goes with it, and nothing told is lost."""

import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.engine.comet import Node, free_port, installed, new_world
from tests.store.drive import verify_all
from tests.store.world import World
from tocsin.kernel.envelope import Envelope, decode
from tocsin.store.fsck import fsck
from tocsin.store.store import Store

CHILD = """
import sys
from pathlib import Path
from tests.engine.comet import WINDOW_S, Node, now
from tests.engine.conformance import receipt, taken
from tests.store.world import World
folder, created, port, turn = Path(sys.argv[1]), *map(int, sys.argv[2:])
world = World(created=created, window_s=WINDOW_S, validators=1)
node = Node(world, folder, 0, [port])
print("ready", flush=True)
number = 0
while True:
    number += 1
    at = now() + number
    envelopes = [world.present(member, turn, at) for member in world.members]
    tickets = [taken(node.engine.submit(envelope.data)) for envelope in envelopes]
    for ticket in tickets:
        got = receipt(ticket)
        print("got", got.digest, got.height, got.position, flush=True)
"""


def _until_killed(folder: Path, world: World, port: int, turn: int, lines: int, wait_s: float) -> list[str]:
    """Receipts that a node told before it was killed."""
    command = [sys.executable, "-c", CHILD, str(folder), str(world.created), str(port), str(turn)]
    told: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("got"):
                told.append(line)
            if len(told) >= lines:
                break
        with suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)
        child.send_signal(signal.SIGKILL)
        told += [line for line in child.stdout if line.startswith("got") and line.endswith("\n")]
    return told


def test_what_was_told_survives_kill_9(tmp_path: Path) -> None:
    installed()
    world, port, dice = new_world(1), free_port(), random.Random(20261128)
    told: list[str] = []
    for turn in range(4):
        told += _until_killed(tmp_path / "node", world, port, turn, dice.randrange(9, 60), dice.random() * 0.3)
    node = Node(world, tmp_path / "node", 0, [port])
    node.close()
    with Store.open(tmp_path / "node" / "store.db") as store:
        blocks = {block.height: block for block in store.network(world.origin).blocks()}
        digests = []
        for block in blocks.values():
            for data in block.envelopes:
                envelope = decode(data)
                assert isinstance(envelope, Envelope)
                digests.append(envelope.digest)
        assert len(told) >= 36
        for line in told:
            _, digest, height, position = line.split()
            envelope = decode(blocks[int(height)].envelopes[int(position)])
            assert isinstance(envelope, Envelope)
            assert envelope.digest == digest
        assert len(set(digests)) == len(digests)
        assert list(fsck(store, verify_all)) == []
