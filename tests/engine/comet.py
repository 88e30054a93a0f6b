"""CometBFT for tests: installed by the command that a user would run, and real."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import pytest

from tests.foreign import toolchain
from tests.store.world import World, signer
from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.engine import CometEngine
from tocsin.engine.cometbft.home import Settings, Sync, node_id
from tocsin.engine.cometbft.install import EngineMissing
from tocsin.engine.signatures import Verifier
from tocsin.store.moment import Moment
from tocsin.store.store import Store

WINDOW_S = 8
PATIENCE_S = 300.0
"""Only what never comes about takes so long."""


_NOT_TO_BE_HAD = (*toolchain.UNREACHABLE, "cannot be had from PyPI", "No matching distribution")
"""What Go, uv and pip end with where they reach no module proxy and no index."""


@contextmanager
def or_skip() -> Iterator[None]:
    """Skips, with the reason, where Go or modules cannot be had; what cannot be built, or has another checksum, fails."""
    try:
        yield
    except (EngineMissing, toolchain.Missing) as error:
        if any(sign in str(error) for sign in _NOT_TO_BE_HAD):
            pytest.skip(str(error))
        raise


@cache
def _installed() -> Path | EngineMissing:
    try:
        return install.install(say=print)
    except EngineMissing as error:
        return error


def installed() -> Path:
    """The program; skips where it cannot be had."""
    found = _installed()
    with or_skip():
        if isinstance(found, EngineMissing):
            raise found
        return found


def now() -> int:
    """The clock of these tests, in ms: CometBFT has no other than the machine's."""
    return time.time_ns() // 1_000_000


@cache
def _ours() -> tuple[socket.socket, Iterator[int]]:
    """What says to other processes of these tests that some ports are taken, until this one ends; and those ports.

    They lie below those that the system gives to whoever asks for any.
    """
    for first in range(20_000, 32_000, 400):
        sign = socket.socket(socket.AF_UNIX)
        try:
            sign.bind(f"\0tocsin-tests-ports-{first}")
        except OSError:
            sign.close()
        else:
            return sign, cycle(range(first, first + 400))
    raise AssertionError("30 other processes test here")


def free_port() -> int:
    """A port that nobody listens at now, and that nobody else is given: the node that is to listen there comes later, or
    again."""
    _, ports = _ours()
    while True:
        port = next(ports)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def cometbft_below(folder: Path) -> list[int]:
    """The CometBFT processes whose home is below a folder."""
    inside = str(folder).encode() + b"/"
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[1:2] == [b"start"] and any(word.startswith(inside) for word in words):
                    found.append(int(entry.name))
    return found


def wait_for(holds: Callable[[], bool]) -> None:
    """Until something holds, but not for ever."""
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def new_world(validators: int = 1, origin: str = "health.example/tw/tainan", window_s: int = WINDOW_S) -> World:
    """A network that is founded now and votes for seconds."""
    return World(origin, created=now(), window_s=window_s, validators=validators)


def node_seed(origin: str, number: int) -> bytes:
    """The node key of a member's node."""
    return sha256(f"{origin}/node/{number}".encode()).digest()


class Node:
    """One member's node: a store, and an engine with its CometBFT."""

    def __init__(
        self,
        world: World,
        folder: Path,
        number: int,
        ports: Sequence[int],
        *,
        validates: bool = True,
        rpc: str | None = None,
        sync: Sync | None = None,
        welcome: Callable[[str], bool] = lambda node: True,
        vfs: str | None = None,
        dials: Sequence[int] | None = None,
        prune: bool = False,
    ) -> None:
        """`dials`: numbers of the nodes that it asks for by itself; all others, if None."""
        self._vfs = vfs
        self._welcome = welcome
        self.world = world
        self._path = folder / "store.db"
        self.settings = Settings(
            folder / "cometbft",
            sha256(f"{world.origin}/{world.members[number]}/validator".encode()).digest() if validates else None,
            node_seed(world.origin, number),
            f"127.0.0.1:{ports[number]}",
            tuple(
                f"{node_id(node_seed(world.origin, other))}@127.0.0.1:{port}"
                for other, port in enumerate(ports)
                if other != number and (dials is None or other in dials)
            ),
            commit_ms=100,
            round_ms=1500,
            heartbeat_s=2,
            one_host=True,
            rpc=rpc,
            sync=sync,
            prune=prune,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._verifier = Verifier(2)
        self.store = Store.open(self._path, vfs=self._vfs)
        if not self.store.networks():
            self.store.create_network(world.genesis_bytes, world.founding_bytes)
        self.engine = self._start()

    def _start(self) -> CometEngine:
        records = self.store.network(self.world.origin)
        return CometEngine(
            records, self.world.genesis, installed(), self.settings, now, self._verifier, Moment(self.store, records),
            self._welcome,
        )  # fmt: skip

    def restart(self, *, crash: bool = False) -> None:
        if crash:
            process = self.engine.process
            process._stopping.set()
            pid = process.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            # The lock goes, as it would with the process; the old threads find a store that takes no more.
            self.store._lock.release()  # type: ignore[union-attr]
            self.store._lock = None
            abandoned, old = self.store, self.engine
            self.store = Store.open(self._path, vfs=self._vfs)
            self.engine = self._start()
            old.stop()
            abandoned.close()
            return
        self.engine.stop()
        self.store.close()
        self.store = Store.open(self._path, vfs=self._vfs)
        self.engine = self._start()

    def close(self) -> None:
        self.engine.stop()
        self._verifier.close()
        self.store.close()


class CometBench(Node):
    """A network of one validator."""

    lag_ms = 5_000

    def __init__(self, folder: Path) -> None:
        super().__init__(new_world(), folder, 0, [free_port()])

    def clock(self) -> int:
        return now()

    def set_clock(self, at: int) -> None:
        time.sleep(max(0, at - now()) / 1000)


def validator_key(world: World, number: int) -> bytes:
    """The public validator key of a district."""
    return bytes.fromhex(signer(world.origin, world.members[number], "validator").public_key)
