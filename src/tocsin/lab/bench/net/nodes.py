"""Tocsin's own nodes: a process each, with its CometBFT, as `tocsin node start` runs them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.envelope import Refusal, encode
from tocsin.kernel.leaves import Recorded
from tocsin.lab.bench.net.load import LoadFailed
from tocsin.lab.bench.net.processes import bytes_in, child_of, cpu_s, free_ports, machine_s
from tocsin.lab.bench.world import AUTHOR, World, signer_of
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.home.config import CometUse, Config, NetworkUse
from tocsin.node.keys import Keystore
from tocsin.node.station import found_here
from tocsin.node.trial import testnet
from tocsin.node.web.http import BATCH, BATCH_BYTES
from tocsin.node.web.remote import Remote, RemoteError, caller, describe
from tocsin.store.store import Store
from tocsin.tlog import NoteError, checkpoint, note

_LOOK_S = 0.04
_FINAL_S = 120.0
_RECORDED = f'"leaf":"{Recorded.__struct_config__.tag}"'.encode()
_MAX_PATH = 96
"""Bytes of a path to a socket's folder, as in the engine."""


class Cost(NamedTuple):
    """So far, of all nodes: CPU seconds and bytes on disk of CometBFT, and of the node that is its application; and
    CPU seconds of all other programs but this one, which sends the load."""

    comet_cpu_s: float
    python_cpu_s: float
    comet_bytes: int
    python_bytes: int
    others_cpu_s: float

    def since(self, before: "Cost") -> "Cost":
        """What was added."""
        return Cost(
            self.comet_cpu_s - before.comet_cpu_s, self.python_cpu_s - before.python_cpu_s,
            self.comet_bytes - before.comet_bytes, self.python_bytes - before.python_bytes,
            self.others_cpu_s - before.others_cpu_s,
        )  # fmt: skip


class Kept(NamedTuple):
    """A block of the log: the envelopes in it, how many messages it took to the record, and its size."""

    envelopes: Sequence[bytes]
    recorded: int
    size: int
    refused: int


class Nodes:
    """A running network. `rpc`: the socket of the first node's CometBFT."""

    def __init__(self, folder: Path, world: World, tree: testnet.Tree, client: httpx.Client) -> None:
        self._folder = folder
        self._world = world
        self._pids = [node.pid for node in tree.nodes]
        self._comets = [pid for pid in map(child_of, self._pids) if pid is not None]
        self._data = [folder / node.name / "data" for node in tree.nodes]
        self._first = tree.nodes[0]
        homes = [places.comet_home(data, world.origin) for data in self._data]
        self._homes = homes
        self.rpc = homes[0] / "run" / "rpc"
        self.offers = [partial(_offer, Remote(client, node.url, world.origin)) for node in tree.nodes]

    def cost(self) -> Cost:
        """So far."""
        stores = sum(bytes_in(places.database(data, self._world.origin).parent) for data in self._data)
        comets, nodes = sum(map(cpu_s, self._comets)), sum(map(cpu_s, self._pids))
        others = machine_s() - comets - nodes - time.process_time()
        return Cost(comets, nodes, sum(bytes_in(home / "data") for home in self._homes), stores, others)

    @contextmanager
    def finals(self) -> Iterator[list[tuple[float, int]]]:
        """While inside, a list grows of when the first node served the final checkpoint of which size."""
        seen: list[tuple[float, int]] = []
        stopping = threading.Event()

        def look() -> None:
            with caller() as client:
                remote = Remote(client, self._first.url, self._world.origin)
                while not stopping.wait(_LOOK_S):
                    size = _final_size(remote)
                    if size and (not seen or size > seen[-1][1]):
                        seen.append((time.perf_counter(), size))

        thread = threading.Thread(target=look, name="finals", daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            stopping.set()
            thread.join()

    def wait_final(self, seen: Sequence[tuple[float, int]]) -> None:
        """Until the first node has a final checkpoint of all it has, and who looks for it has seen it too. Raises
        LoadFailed."""
        until = time.monotonic() + _FINAL_S
        with caller() as client:
            remote = Remote(client, self._first.url, self._world.origin)
            while (said := remote.status()).final < said.size or not seen or seen[-1][1] < said.size:
                if time.monotonic() > until:
                    raise LoadFailed(f"{said.final} of {said.size} leaves were final after {_FINAL_S:g} s.")
                time.sleep(_LOOK_S)

    def kept(self) -> list[Kept]:
        """What the first node has written, block by block."""
        path = places.database(self._data[0], self._world.origin)
        with Store.open(path, read_only=True) as store:
            return [
                Kept(
                    block.envelopes,
                    sum(_RECORDED in leaf for leaf in block.leaves),
                    block.size,
                    sum(1 for codes in block.receipts for code in codes if code),
                )
                for block in store.network(self._world.origin).blocks()
            ]


def _offer(remote: Remote, batch: Sequence[bytes]) -> list[bytes]:
    """A load's `Offer`, in as many requests as its bytes need."""
    busy: list[bytes] = []
    while batch:
        sizes = accumulate(len(data) + 1 for data in batch)
        most = min(BATCH, sum(1 for size in sizes if size <= BATCH_BYTES))
        part, batch = batch[:most], batch[most:]
        try:
            answers = remote.submit_batch(part)
        except RemoteError as error:
            raise LoadFailed(str(error)) from error
        for data, answer in zip(part, answers, strict=True):
            if isinstance(answer, RemoteError):
                busy.append(data)
            elif isinstance(answer, Refusal):
                raise LoadFailed(describe(answer))
    return busy


def _final_size(remote: Remote) -> int:
    try:
        data = remote.checkpoint()
        return 0 if data is None else checkpoint.parse(note.parse(data).text).size
    except (RemoteError, NoteError):
        return 0


@contextmanager
def running(folder: Path, world: World, validators: int, commit_ms: int) -> Iterator[Nodes]:
    """Start the nodes of so many voters, below an empty folder. The finality keys of members without a node are
    with the others, in turn. Raises LoadFailed, TestnetError.
    """
    tree = _write(folder, world, validators, commit_ms)
    try:
        testnet.start(folder)
        tree = testnet.wait_ready(folder)
        with caller() as client:
            yield Nodes(folder, world, tree, client)
    finally:
        testnet.stop(folder)


def _write(folder: Path, world: World, validators: int, commit_ms: int) -> testnet.Tree:
    origin = world.origin
    names = world.voters[:validators]
    run = places.comet_home(folder / names[0] / "data", origin) / "run"
    if len(bytes(run.resolve())) >= _MAX_PATH:
        raise LoadFailed(f"{folder} is too long a path for sockets below it; choose a shorter one by --dir.")
    ports = iter(free_ports(2 * validators))
    urls = {name: f"http://127.0.0.1:{next(ports)}" for name in names}
    comet = {name: f"127.0.0.1:{next(ports)}" for name in names}
    dial = {name: f"{node_id(places.node_key(folder / name / 'data', origin))}@{comet[name]}" for name in names}
    members = [*world.voters, AUTHOR]
    for number, name in enumerate(names):
        keys = Keystore()
        for role in world.key_roles(name):
            keys.add(origin, name, role, signer_of(origin, name, role))
        for member in members[number + validators :: validators]:
            keys.add(origin, member, "finality", signer_of(origin, member, "finality"))
        keys.add(origin, "", "log", signer_of(origin, "", "log"))
        others = [one for one in names if one != name]
        use = NetworkUse(
            origin, "cometbft", name, members={one: urls[one] for one in others},
            cometbft=CometUse(
                comet[name], peers={one: dial[one] for one in others}, block_ms=commit_ms, one_host=True
            ),
        )  # fmt: skip
        listen = urls[name].removeprefix("http://")
        place = folder / name
        config = Config(
            listen, Path("data"), Path("signed-heads"), Path("keys.json"), [use], connections_per_address=512
        )
        (place / configs.NAME).write_text(configs.render(config), encoding="utf-8")
        keys.save_plain(place / "keys.json", lambda _: None)
        found_here(configs.load(place), encode(world.genesis), world.founding())
    net = testnet.Net(origin, None, names, names)
    tree = testnet.Tree("cometbft", [net], [testnet.Node(name, urls[name], [origin], 0) for name in names])
    (folder / testnet.FILE).write_bytes(msgspec.json.encode(tree))
    return tree
