"""A whole tree of networks on one machine, each agency a node in a process of its own, for trials and tests.

Every key stands in plain text in the tree's directory: never for a real network.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from tocsin import charters
from tocsin.client.signing import VALID_FOR_MS, SeedSigner, found_with, sign_acts
from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.acts import Act, Judge, Keys, PeerMotion, PeerTerms, Submit
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Refusal, decode, encode
from tocsin.kernel.genesis import Founder, Genesis, decode_genesis, sorted_founders
from tocsin.kernel.words import Relation, Role
from tocsin.node.home import config as configs
from tocsin.node.home import durable, places
from tocsin.node.home.config import CometUse, Config, EngineName, NetworkUse, PeerUse
from tocsin.node.keys import KeyRole, Keystore
from tocsin.node.relays.edges import entry_of_founders
from tocsin.node.station import found_here
from tocsin.node.web.remote import Remote, RemoteError, Taken, call, caller

FILE: Final = "testnet.json"
ROLES: tuple[KeyRole, ...] = ("root", "act", "finality", "validator")
READY_S = 300.0
"""A node that has ended is noticed at once; one that is slow is waited for."""
_STOP_S = 20.0
_LOOK_S = 0.1


class TestnetError(Exception):
    """The tree could not be made, started or stopped; the sentence says what happened and what to do next."""

    __test__ = False


class Net(Struct, frozen=True):
    """A network of the tree. `own`: agencies at home here; `members`: these, and those of the networks below."""

    origin: str
    parent: str | None
    own: list[str]
    members: list[str]


class Node(Struct, frozen=True):
    """An agency's node. `pid`: 0 while it does not run."""

    name: str
    url: str
    networks: list[str]
    pid: int


class Tree(Struct, frozen=True):
    """What `testnet.json` says."""

    engine: EngineName
    networks: list[Net]
    nodes: list[Node]

    def node(self, name: str) -> Node:
        """The node of an agency."""
        return next(one for one in self.nodes if one.name == name)

    def net(self, origin: str) -> Net:
        """A network."""
        return next(one for one in self.networks if one.origin == origin)


def shape(agencies: int, levels: Sequence[int], domain: str = "testnet.example") -> list[Net]:
    """The networks of a tree with so many networks at each level from the top, each of so many agencies.

    The first agency of a network also takes part in the one above, as its relay. Raises TestnetError.
    """
    if agencies < 2 or not levels or min(levels) < 1 or levels[0] != 1:
        raise TestnetError(
            "A tree has 1 network at the top and at least 1 at each level below, with 2 agencies or more in each: "
            "like `tocsin testnet 4 --levels 1,2`."
        )
    nets: list[Net] = []
    for level, count in enumerate(levels, start=1):
        for number in range(1, count + 1):
            parent = None
            if level > 1:
                above = levels[level - 2]
                parent = f"{domain}/{level - 1}-{(number - 1) * above // count + 1}"
            nets.append(Net(f"{domain}/{level}-{number}", parent, [], []))
    placed = []
    for net in nets:
        name = net.origin.rpartition("/")[2]
        below = [f"{child.origin.rpartition('/')[2]}-a1" for child in nets if child.parent == net.origin]
        own = [f"{name}-a{place}" for place in range(1, max(2, agencies - len(below)) + 1)]
        placed.append(Net(net.origin, net.parent, own, sorted(own + below)))
    return placed


def roles_of(net: Net, member: str) -> list[Role]:
    """The last agency at home supervises; the others report and vote; those from below vote and relay."""
    if member == net.own[-1]:
        return ["supervisor"]
    return ["relay", "voter"] if member not in net.own else ["relay", "reporter", "voter"]


def pilot(net: Net, veto_window_s: int | None = None) -> Charter:
    """The charter `pilot`, fitted to a network of the tree."""
    voters = sum(1 for member in net.members if "voter" in roles_of(net, member))
    charter, _ = charters.for_network(
        "pilot", voters, 1, kinds={}, veto_window_s=veto_window_s, parent=len(net.own) < len(net.members)
    )
    return charter


def write(
    folder: Path, nets: Sequence[Net], engine: EngineName, charter: Callable[[Net], Charter] = pilot,
    *, block_ms: int = 1000,
) -> Tree:  # fmt: skip
    """Keys, geneses, configurations and data directories of a tree, below an empty or new directory.

    `block_ms`: CometBFT's pause after a block. Raises TestnetError, and CharterError where `charter` cannot be; nothing
    is written then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise TestnetError(f"{folder} is not empty; name another directory, or remove it after `tocsin testnet stop`.")
    _look_for(engine)
    try:
        msgspec.convert({"block-ms": block_ms}, CometUse)
    except msgspec.ValidationError as error:
        said = str(error).partition(" - at ")[0]
        raise TestnetError(f"CometBFT cannot pause {block_ms} ms after a block ({said}); name another pause.") from None
    keys = Keystore()
    geneses = {net.origin: _genesis(net, charter(net), keys) for net in nets}
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({member for net in nets for member in net.members})
    ports = iter(_free_ports(len(names) + 2 * sum(len(net.members) for net in nets)))
    urls = {name: f"http://127.0.0.1:{next(ports)}" for name in names}
    uses: dict[str, list[NetworkUse]] = {name: [] for name in names}
    for net in nets:
        comet = {member: f"127.0.0.1:{next(ports)}" for member in net.members}
        rpc = {member: f"127.0.0.1:{next(ports)}" for member in net.members}
        dial = {member: f"{_node_id(folder / member, net.origin)}@{comet[member]}" for member in net.members}
        for member in net.members:
            others = [one for one in net.members if one != member]
            first = net.members[0]
            uses[member].append(
                NetworkUse(
                    net.origin,
                    "embedded" if engine == "follow" and member == first else engine,
                    member,
                    first if engine == "follow" and member != first else None,
                    {one: urls[one] for one in others},
                    [PeerUse(one.origin, [urls[who] for who in one.members]) for one in _relayed(nets, net, member)],
                    cometbft=CometUse(
                        comet[member], peers={one: dial[one] for one in others}, rpc=rpc[member],
                        sync={one: rpc[one] for one in others}, block_ms=block_ms, one_host=True,
                    ),
                )
            )  # fmt: skip
    for name in names:
        _write_node(folder / name, urls[name], uses[name], geneses, keys)
    keys.save_plain(folder / "keys.json", lambda _: None)
    nodes = [Node(name, urls[name], [use.origin for use in uses[name]], 0) for name in names]
    tree = Tree(engine, list(nets), nodes)
    _save(folder, tree)
    return tree


def _look_for(engine: EngineName) -> None:
    """Say now that CometBFT is missing: the nodes would start without it, and say so in their logs only."""
    if engine == "cometbft":
        try:
            install.find()
        except install.EngineMissing as error:
            raise TestnetError(str(error)) from error


def _relayed(nets: Sequence[Net], net: Net, member: str) -> list[Net]:
    """The networks from which a member carries into this one: from below who comes from there, from above our first."""
    below = [one for one in nets if one.parent == net.origin and member == one.own[0]]
    above = [one for one in nets if one.origin == net.parent and member == net.own[0]]
    return below + above


def _genesis(net: Net, charter: Charter, keys: Keystore) -> Genesis:
    for member in net.members:
        for role in ROLES:
            keys.add(net.origin, member, role, SeedSigner.generate())
    keys.add(net.origin, "", "log", SeedSigner.generate())
    founders = []
    for member in net.members:
        root, act, finality, validator = (keys.signer(net.origin, member, role).public_key for role in ROLES)
        founders.append(
            Founder(member, f"agency:{member}", roles_of(net, member), Keys(root, act, finality, validator, "self"))
        )
    log_key = keys.signer(net.origin, "", "log").public_key
    return Genesis(1, net.origin, time.time_ns() // 1_000_000, charter, log_key, sorted_founders(founders))


def _node_id(node: Path, origin: str) -> str:
    return node_id(places.node_key(node / "data", origin))


def _write_node(
    node: Path, url: str, uses: list[NetworkUse], geneses: dict[str, Genesis], keys: Keystore
) -> None:  # fmt: skip
    own = Keystore()
    for use in uses:
        assert use.member is not None
        for role in ROLES:
            own.add(use.origin, use.member, role, keys.signer(use.origin, use.member, role))
        own.add(use.origin, "", "log", keys.signer(use.origin, "", "log"))
    listen = url.removeprefix("http://")
    # All nodes of the tree call from one address.
    config = Config(listen, Path("data"), Path("signed-heads"), Path("keys.json"), uses, connections_per_address=512)
    node.mkdir(exist_ok=True)
    (node / configs.NAME).write_text(configs.render(config), encoding="utf-8")
    own.save_plain(node / "keys.json", lambda _: None)
    loaded = configs.load(node)
    for use in uses:
        genesis = geneses[use.origin]
        signers = {one.id: [keys.signer(use.origin, one.id, role) for role in ROLES] for one in genesis.members}
        found_here(loaded, encode(genesis), encode(found_with(genesis, signers)))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
        return ports


# Running.


def load(folder: Path) -> Tree:
    """Read `testnet.json`; raises TestnetError."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Tree)
    except (OSError, msgspec.DecodeError) as error:
        raise TestnetError(f"{folder} holds no tree ({error}); make one with `tocsin testnet 4`.") from None


def start(folder: Path, only: Sequence[str] | None = None) -> Tree:
    """Start the nodes that do not run, or those named; returns at once. Raises TestnetError."""
    tree = load(folder)
    _look_for(tree.engine)
    for place, node in enumerate(tree.nodes):
        if (only is None or node.name in only) and not running(folder, node):
            tree.nodes[place] = msgspec.structs.replace(node, pid=_spawn(folder / node.name))
            _save(folder, tree)
    return tree


@contextmanager
def started(folder: Path) -> Iterator[None]:
    """Start the nodes that do not run; stop these again unless all inside comes to its end, whatever cuts it off."""
    before = [node.name for node in load(folder).nodes if running(folder, node)]
    try:
        start(folder)
        yield
    except BaseException:
        stop(folder, [node.name for node in load(folder).nodes if node.name not in before])
        raise


def _spawn(home: Path) -> int:
    """Run a node beside us, whatever becomes of us; its process id."""
    words = [sys.executable, "-m", "tocsin.cli.main", "node", "start", str(home)]
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(home / "node.log"), log, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(sys.executable, words, os.environ, file_actions=files, setsid=True)


def wait_ready(folder: Path, timeout_s: float = READY_S) -> Tree:
    """Wait until every node runs every network and has a final checkpoint of it; raises TestnetError."""
    tree = load(folder)
    until = time.monotonic() + timeout_s
    with caller() as client:
        for node in tree.nodes:
            # A network's error does not end the wait: its node tries again, and many an error passes.
            while (missing := _unready(client, node)) is not None:
                if not running(folder, node):
                    raise TestnetError(f"{node.name} has ended; {folder / node.name / 'node.log'} says why.")
                if time.monotonic() > until:
                    raise TestnetError(
                        f"{node.name} was not ready in {timeout_s:g} s. {missing}Look at `tocsin node status "
                        f"{folder / node.name}` and at its node.log."
                    )
                time.sleep(_LOOK_S)
    return tree


def _unready(client: httpx.Client, node: Node) -> str | None:
    """None for a node that is ready; else what its networks say is wrong, if they say anything."""
    with suppress(RemoteError, msgspec.DecodeError, KeyError):
        status, data = call(client, "GET", f"{node.url}/status", 4 * 1024 * 1024)
        networks = msgspec.json.decode(data)["networks"]
        if status == 200 and all(one["runs"] and one["final"] > 0 for one in networks):
            return None
        told = ((one["origin"], one["error"] or one["trouble"]) for one in networks)
        return "".join(f"{origin}: {what} " for origin, what in told if what)
    return ""


def stop(folder: Path, only: Sequence[str] | None = None) -> list[str]:
    """Stop the nodes, or those named, and wait for them; the names of those that ran."""
    tree = load(folder)
    ran = [node for node in tree.nodes if (only is None or node.name in only) and running(folder, node)]
    for node in ran:
        with suppress(ProcessLookupError):
            os.kill(node.pid, signal.SIGTERM)
    until = time.monotonic() + _STOP_S
    for node in ran:
        while running(folder, node) and time.monotonic() < until:
            time.sleep(0.05)
        if running(folder, node):
            with suppress(ProcessLookupError):
                os.kill(node.pid, signal.SIGKILL)
            while running(folder, node):  # or a start that follows takes it for one that runs
                time.sleep(0.05)
    return [node.name for node in ran]


def running(folder: Path, node: Node) -> bool:
    """Whether the process that was started for a node is still there, and no other under its number."""
    with suppress(ChildProcessError):
        os.waitpid(node.pid, os.WNOHANG) if node.pid else None
    try:
        words = Path(f"/proc/{node.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(folder / node.name).encode() in words


# Declaring parents and children to each other (spec 11.0).


def link(folder: Path, quota: PeerTerms | None = None) -> None:
    """Pass `motion.peer` on both sides of each edge of a running tree; raises TestnetError."""
    tree = load(folder)
    keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
    with caller() as client:
        for child in tree.networks:
            if child.parent is None:
                continue
            parent = tree.net(child.parent)
            below = Remote(client, tree.node(child.own[0]).url, child.origin)
            above = Remote(client, tree.node(parent.own[0]).url, parent.origin)
            granted = quota or PeerTerms(20, 1, 7 * 86_400)
            _declare(tree, keys, below, above, "parent", None, PeerTerms(0, 0, granted.max_age_s))
            _declare(tree, keys, above, below, "child", child.own[0], granted)


def _declare(
    tree: Tree, keys: Keystore, at: Remote, peer: Remote, relation: Relation, representative: str | None,
    quota: PeerTerms,
) -> None:  # fmt: skip
    genesis = decode_genesis(peer.genesis()[0])
    entry = entry_of_founders(genesis, relation, representative, quota)
    net = tree.net(at.origin)
    voters = [member for member in net.members if "voter" in roles_of(net, member)]
    motion = Submit("motion.peer", None, None, PeerMotion("add", peer.origin, None, entry), None)
    message = message_id(act(keys, at, voters[0], [motion]), 0)
    for voter in voters[1:]:
        with suppress(TestnetError):  # it may have passed before all have voted
            act(keys, at, voter, [Judge(message, "endorse", None, "officer", None, None)])
    if peer.origin not in at.status().peers:
        raise TestnetError(f"{at.origin} did not accept {peer.origin} as its peer; look at the logs of the nodes.")


def act(keys: Keystore, at: Remote, member: str, acts: Sequence[Act]) -> str:
    """Sign acts as a member of the tree, hand them to a node, wait for their block; the envelope's digest.

    Raises TestnetError unless all were accepted.
    """
    genesis = at.status().genesis
    until = time.time_ns() // 1_000_000 + VALID_FOR_MS
    data = sign_acts(keys.signer(at.origin, member, "act"), genesis, member, until, acts)
    answer = at.submit(data, 30)
    read = decode(data)
    assert not isinstance(read, Refusal)
    if not isinstance(answer, Taken) or any(answer.codes):
        raise TestnetError(f"{at.origin} did not take the acts of {member}: {answer}")
    return read.digest


def _save(folder: Path, tree: Tree) -> None:
    durable.write(folder / FILE, msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n")
