"""CometBFT with its built-in kvstore: the ordering alone, configured as Tocsin configures it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

from nacl.signing import SigningKey

from tocsin.engine.cometbft import home
from tocsin.engine.cometbft.home import Settings, node_id
from tocsin.engine.cometbft.process import Process
from tocsin.engine.cometbft.rpc import Rpc, RpcUnreachable
from tocsin.kernel.genesis import Genesis
from tocsin.lab.bench.net.load import LoadFailed
from tocsin.lab.bench.net.processes import cpu_s, free_ports

_READY_S = 60.0


class Kvstore:
    """A running network. `rpc`: the first node's socket."""

    def __init__(self, processes: Sequence[Process], rpc: Path, links: Sequence[Rpc]) -> None:
        self._processes = processes
        self.rpc = rpc
        self.offers = [partial(_offer, link) for link in links]

    def cpu(self) -> float:
        """CPU seconds of all nodes so far."""
        return sum(cpu_s(one.pid) for one in self._processes if one.pid is not None)


@contextmanager
def running(program: Path, folder: Path, genesis: Genesis, validators: int, commit_ms: int) -> Iterator[Kvstore]:
    """Start so many nodes below an empty folder. `genesis`: of the network whose configuration they take.

    Raises LoadFailed if they do not come up.
    """
    ports = free_ports(validators)
    seeds = [sha256(f"tocsin bench/kvstore/{number}".encode()).digest() for number in range(validators)]
    ids = [node_id(seed) for seed in seeds]
    processes: list[Process] = []
    rpcs: list[Path] = []
    try:
        for number, seed in enumerate(seeds):
            place = folder / f"n{number}"
            others = tuple(f"{ids[one]}@127.0.0.1:{port}" for one, port in enumerate(ports) if one != number)
            listen = f"127.0.0.1:{ports[number]}"
            settings = Settings(place, seed, seed, listen, others, commit_ms=commit_ms, one_host=True)
            rpcs.append(place / "rpc")
            home.write(settings, genesis, place / "app", rpcs[-1])
            _instead(place / "config", seeds)
            processes.append(Process(program, place, lambda: None, told=home.validator_key(settings)))
        _wait(processes, rpcs)
        with ExitStack() as stack:
            yield Kvstore(processes, rpcs[0], [stack.enter_context(closing(Rpc(path))) for path in rpcs])
    finally:
        for process in processes:
            process.stop()


def _offer(rpc: Rpc, batch: Sequence[bytes]) -> list[bytes]:
    """A load's `Offer`."""
    try:
        answers = rpc.offer(batch)
    except RpcUnreachable as error:
        raise LoadFailed(f"{error} Look at its cometbft.log.") from error
    if wrong := [why for why in answers if why and "mempool is full" not in why]:
        raise LoadFailed(f"CometBFT took no more: {wrong[0]}")
    return [data for data, why in zip(batch, answers, strict=True) if why]


def _instead(config: Path, seeds: Sequence[bytes]) -> None:
    """The kvstore in CometBFT's own process, which says nothing of peers, and whose validators the genesis names."""
    text = (config / "config.toml").read_text()
    lines = [
        'proxy_app = "kvstore"' if line.startswith("proxy_app") else line
        for line in text.splitlines()
        if not line.startswith(("filter_peers", "abci "))
    ]
    (config / "config.toml").write_text("\n".join(lines) + "\n")
    genesis = json.loads((config / "genesis.json").read_text())
    genesis["validators"] = [
        {"pub_key": home.public_key(bytes(SigningKey(seed).verify_key)), "power": "1", "name": ""} for seed in seeds
    ]
    (config / "genesis.json").write_text(json.dumps(genesis))


def _wait(processes: Sequence[Process], rpcs: Sequence[Path]) -> None:
    until = monotonic() + _READY_S
    for process, path in zip(processes, rpcs, strict=True):
        rpc = Rpc(path)
        while not _ready(rpc, len(rpcs) - 1):
            if monotonic() > until:
                raise LoadFailed(f"CometBFT's kvstore did not come up in {_READY_S:g} s: {process.why}")
            sleep(0.1)
        rpc.close()


def _ready(rpc: Rpc, peers: int) -> bool:
    try:
        heard = int(rpc.call("net_info")["n_peers"])
        return heard == peers and int(rpc.call("status")["sync_info"]["latest_block_height"]) > 0
    except RpcUnreachable:
        return False
