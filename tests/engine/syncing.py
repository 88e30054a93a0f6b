"""A new node that is killed at a chosen point of its state sync; runs in a process of its own."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from tests.engine.comet import PATIENCE_S, WINDOW_S, Node
from tests.store.world import World
from tocsin.engine.cometbft import engine
from tocsin.engine.cometbft.application import Application
from tocsin.engine.cometbft.heights import Heights, begun
from tocsin.engine.cometbft.home import Sync
from tocsin.engine.cometbft.restore import Restore
from tocsin.kernel import block as kernel
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store

EVERY = 8
CHUNK_BYTES = 5_000


class Setup(NamedTuple):
    """`number`: the node's, with its port among `ports`; `point`: one of POINTS; `who` is killed there, once."""

    folder: Path
    created: int
    ports: list[int]
    number: int
    sync: Sync
    point: str
    who: str


def _second(_: Restore, number: int, *rest: Any) -> bool:
    return number == 1


POINTS: dict[str, tuple[type, str, bool, Callable[..., bool]]] = {
    "offered": (Restore, "__init__", False, lambda *_: True),
    "chunk": (Restore, "add", False, _second),
    # Blocks are on disk, and not the last one.
    "rows": (NetworkStore, "put_archived", True, lambda *_: True),
    "written": (Heights, "restored", False, lambda *_: True),
    "handed over": (Application, "_finalize", True, lambda *_: True),
    "announced": (Heights, "announce", False, lambda *_: True),
    "kept": (Heights, "kept", False, lambda *_: True),
}
"""Where to strike: before or after a method, at a call for which something holds."""


def run(setup: Setup, out: Connection) -> None:
    """Tells the height of the last final block, again and again, until its engine fails."""
    setup.folder.mkdir(exist_ok=True)
    kernel.SNAPSHOT_EVERY = EVERY
    # So many nodes at once may find a snapshot later than one alone would look for it.
    engine._NO_SNAPSHOT_S = PATIENCE_S
    nodes: list[Node] = []
    _arm(setup, nodes)
    world = World(created=setup.created, window_s=WINDOW_S, validators=1)
    kept = 0
    if (setup.folder / "store.db").exists():
        with Store.open(setup.folder / "store.db", read_only=True) as store:
            kept = store.network(world.origin).durable[0]
    sync = None if begun(setup.folder / "cometbft" / "heights", kept) else setup.sync
    nodes.append(Node(world, setup.folder, setup.number, setup.ports, validates=False, sync=sync, dials=[0]))
    while (error := nodes[0].engine.error) is None:
        out.send(nodes[0].engine.final())
        time.sleep(0.05)
    raise error


def _arm(setup: Setup, nodes: list[Node]) -> None:
    place, name, before, when = POINTS[setup.point]
    plain = getattr(place, name)

    def struck(self: Any, *given: Any) -> Any:
        if before and when(self, *given):
            _strike(setup, nodes)
        answer = plain(self, *given)
        if not before and when(self, *given):
            _strike(setup, nodes)
        return answer

    setattr(place, name, struck)


def _strike(setup: Setup, nodes: list[Node]) -> None:
    if (setup.folder / "struck").exists():
        return
    (setup.folder / "struck").touch()
    if setup.who != "application":
        pid = nodes[0].engine.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    if setup.who != "cometbft":
        os.kill(os.getpid(), signal.SIGKILL)
