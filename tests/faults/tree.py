"""Faults on a tree of two levels, made and run as `tocsin testnet` does it: nodes with finality, relays and HTTP.

By hand: `python -m tests.faults.tree --seed 7 --minutes 5`.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.engine.comet import PATIENCE_S, cometbft_below, installed
from tests.faults import links, wires
from tests.faults.disk import Broken, Disk, agree, fill, placed, read, small_disk
from tests.foreign.toolchain import Missing
from tests.paths import ROOT
from tests.store.drive import verify_all
from tocsin.client.signing import VALID_FOR_MS, cosign_checkpoint, sign_acts, sign_checkpoint
from tocsin.kernel.acts import Act, Concur, Evidence, Judge, Present, Subject, Submit
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import Reason
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.keys import Keystore
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, RemoteError, Standing, Taken, caller
from tocsin.store.fsck import fsck
from tocsin.store.records import StoredBlock
from tocsin.store.store import Store
from tocsin.store.watermark import Watermark
from tocsin.tlog import Checkpoint, checkpoint, note

UPPER, LOWER = "testnet.example/1-1", "testnet.example/2-1"
EDGES = ((LOWER, UPPER), (UPPER, LOWER))
"""From where to where is carried."""
RELAY = "2-1-a1"
SMALL = "2-1-a2"
"""Whose disk can be filled."""
LIVE_S = 40.0
CATCH_UP_S = PATIENCE_S
"""Of what no law sets a time for."""
_SKEWED = """
import sys, time
real = time.time_ns
time.time_ns = lambda: real() + {skew_s} * 10**9
from tocsin.cli.main import main
sys.argv = ["tocsin", "node", "start", sys.argv[1]]
sys.exit(main())
"""


_START = """
import sys
from pathlib import Path
from tocsin.node.trial import testnet
testnet.start(Path(sys.argv[1]), sys.argv[2:] or None)
"""


def begin(folder: Path, *names: str) -> None:
    """Start nodes, all or some, as children of a process that ends: they are nobody's but their tree's."""
    subprocess.run([sys.executable, "-c", _START, str(folder), *names], cwd=ROOT, check=True, timeout=PATIENCE_S)


class Running:
    """Two networks of four, seven nodes: the first agency below is a member above, and carries both ways."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.chance = Random(seed)
        self.folder = folder
        installed()
        nets = testnet.shape(4, [1, 1])
        testnet.write(folder, nets, "cometbft", lambda net: testnet.pilot(net, 5), block_ms=200)
        self._mounted = contextlib.ExitStack()
        self.small = self._move(configs.load(folder / SMALL).data_dir)
        self.links = wires.connect(folder, links.install())
        begin(folder)
        self.tree = testnet.load(folder)
        self.keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
        self.client = caller()
        self.geneses: dict[str, str] = {}
        """Origin -> genesis digest."""
        self.down: set[str] = set()
        """Nodes that are not asked."""
        self.taken: dict[str, tuple[str, Taken | None]] = {}
        """Envelope digest -> its network, and its receipt, None if it was lost on the way."""
        self.messages: list[str] = []
        """What was recorded below."""
        self.strays: list[subprocess.Popen[bytes]] = []
        self.going = threading.Event()
        self._recording = threading.Lock()
        self._ended = threading.Event()
        self._failed = ""
        self._loading = threading.Thread(target=self._load, daemon=True)

    def start(self) -> None:
        """Linked, and at work."""
        testnet.wait_ready(self.folder)
        testnet.link(self.folder)
        self.geneses = {origin: self.client_of(origin).status().genesis for origin in (UPPER, LOWER)}
        self.going.set()
        self._loading.start()

    def _move(self, data: Path) -> bool:
        """A node's data to a small disk, if this user may make one."""
        aside = data.rename(data.with_name("aside"))
        made = self._mounted.enter_context(small_disk(data))
        shutil.copytree(aside, data, dirs_exist_ok=True)
        shutil.rmtree(aside)
        return made

    def close(self) -> None:
        """End it all."""
        self._ended.set()
        for name in self.names:
            self.hit(name, signal.SIGCONT)
        with contextlib.suppress(testnet.TestnetError):
            testnet.stop(self.folder)
        for stray in self.strays:
            stray.kill()
            stray.wait()
        for pid in cometbft_below(self.folder):
            os.kill(pid, signal.SIGKILL)
        self.client.close()
        self.links.close()
        self._mounted.close()

    @property
    def names(self) -> list[str]:
        """All nodes."""
        return [node.name for node in self.tree.nodes]

    def hit(self, name: str, what: signal.Signals, part: str = "both") -> None:
        """A signal to a node, its CometBFTs, or both."""
        node = testnet.load(self.folder).node(name)
        pids = cometbft_below(self.folder / name) if part != "application" else []
        pids += [node.pid] if part != "cometbft" and testnet.running(self.folder, node) else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def kill(self, name: str, part: str = "both") -> None:
        """kill -9, and gone."""
        self.hit(name, signal.SIGKILL, part)
        if part != "cometbft":
            node = testnet.load(self.folder).node(name)
            until = time.monotonic() + PATIENCE_S
            while testnet.running(self.folder, node) and time.monotonic() < until:
                time.sleep(0.02)

    def start_node(self, *names: str) -> None:
        """From what is on the disk."""
        begin(self.folder, *names)

    # Work.

    def submit(self, origin: str, member: str, acts: Sequence[Act], patience_s: float) -> Envelope:
        """Sign once, and offer to one node after another until one has an answer; raises Broken."""
        genesis = self.geneses[origin]
        until = time.time_ns() // 1_000_000 + VALID_FOR_MS - self.chance.randrange(60_000)
        data = sign_acts(self.keys.signer(origin, member, "act"), genesis, member, until, acts)
        envelope = decode(data)
        assert isinstance(envelope, Envelope)
        end = time.monotonic() + patience_s
        said = ""
        while time.monotonic() < end:
            nodes = [one for one in self.tree.net(origin).members if one not in self.down]
            if not nodes:
                time.sleep(0.2)
                continue
            name = self.chance.choice(nodes)
            try:
                answer = Remote(self.client, self.tree.node(name).url, origin).submit(data, 3)
            except RemoteError as error:
                said = str(error)
                time.sleep(0.2)
                continue
            if isinstance(answer, Taken):
                self.taken[envelope.digest] = (origin, answer)
                return envelope
            if isinstance(answer, Refusal):
                if answer.reason != Reason.SEEN_BEFORE:
                    raise Broken(f"{name} refuses an envelope of {member}: {answer}")
                self.taken[envelope.digest] = (origin, None)
                return envelope
            said = f"{name} has it and no block"
        raise Broken(f"{origin} takes no envelope within {patience_s:.0f} s; last: {said}")

    def record(self) -> None:
        """A report below that a quorum endorses and the supervisor lets pass."""
        net = self.tree.net(LOWER)
        reporters = net.own[:-1]
        author = self.chance.choice(reporters)
        subject = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, time.time_ns() // 86_400_000_000_000, 2, "actual")
        report = Submit("report.cluster.dengue", "new", subject, None, None)
        message = message_id(self.submit(LOWER, author, [report], CATCH_UP_S).digest, 0)
        for voter in reporters:
            if voter != author:
                self.submit(LOWER, voter, [Judge(message, "endorse", None, "officer", None, None)], CATCH_UP_S)
        self.submit(LOWER, net.own[-1], [Concur(message)], CATCH_UP_S)
        self.messages.append(message)

    def _load(self) -> None:
        while not self._ended.is_set():
            if self.going.wait(0.2):
                try:
                    with self._recording:
                        if self.going.is_set():
                            self.record()
                except (Broken, RuntimeError) as error:
                    if not self._ended.is_set():
                        self._failed = str(error)
                        return
            self._ended.wait(0.5)

    def client_of(self, origin: str) -> Remote:
        """Somebody who is up."""
        name = next(one for one in self.tree.net(origin).members if one not in self.down)
        return Remote(self.client, self.tree.node(name).url, origin)

    def status(self, name: str, origin: str) -> Standing:
        """What a node says of a network; raises RemoteError."""
        return Remote(self.client, self.tree.node(name).url, origin).status()

    def size(self, origin: str) -> int:
        """Of a log, as somebody tells it."""
        size = 0

        def told() -> bool:
            nonlocal size
            size = self.client_of(origin).status().size
            return True

        _until(told, f"nobody tells of {origin}")
        return size

    # What must hold.

    def live(self) -> float:
        """Seconds until both networks have taken an envelope."""
        start = time.monotonic()
        for origin in (UPPER, LOWER):
            self.submit(origin, self.tree.net(origin).own[1], [Present(1)], LIVE_S)
        return time.monotonic() - start

    def final(self) -> float:
        """Seconds until what stands now is final on every node that is up."""
        start = time.monotonic()
        for origin, head in [(origin, self.size(origin)) for origin in (UPPER, LOWER)]:
            for name in self.tree.net(origin).members:
                if name not in self.down:
                    self._await_final(name, origin, head)
        return time.monotonic() - start

    def _await_final(self, name: str, origin: str, head: int) -> None:
        _until(lambda: self.status(name, origin).final >= head, f"{name} has no final head of {origin} at {head}")

    def check(self) -> tuple[float, list[int]]:
        """Everything; seconds to liveness, and the sizes at which all agree."""
        took = self.live()
        self.going.clear()
        with self._recording:
            pass  # or what is left of a record in hand might come while the logs are read
        if self._failed:
            raise Broken(self._failed)
        end = time.monotonic() + CATCH_UP_S
        why = ""
        while time.monotonic() < end:
            why = self._unsettled()
            if not why:
                break
            time.sleep(0.3)
        else:
            raise Broken(f"after {CATCH_UP_S:.0f} s: {why}")
        sizes = [self._audit(origin) for origin in (UPPER, LOWER)]
        self.going.set()
        return took, sizes

    def _unsettled(self) -> str:
        """What is missing yet: a node behind, a head that is not final, a leaf that has not come over."""
        for origin in (UPPER, LOWER):
            heads = {}
            for name in self.tree.net(origin).members:
                try:
                    said = Remote(self.client, self.tree.node(name).url, origin).status()
                except RemoteError as error:
                    return str(error)
                heads[name] = (said.size, said.final, said.error)
            if len({size for pair in heads.values() for size in pair[:2]}) != 1:
                return f"{origin} stands at (size, final, error) {heads}"
        for source, target in EDGES:
            sent, came = self._sent(source, target), self.came(source, target)
            if sent != came:
                return f"{source} sent {len(sent)} leaves to {target}, of which came {len(came)}"
        return ""

    def disk(self, name: str, origin: str) -> Disk:
        """What a node has."""
        return read(places.database(configs.load(self.folder / name).data_dir, origin), origin)

    def _leaves(self, origin: str) -> list[bytes]:
        return [leaf for block in self.disk(RELAY, origin).blocks for leaf in block.leaves]

    def _sent(self, source: str, target: str) -> list[int]:
        """The numbers of what goes to a neighbour, in the order of the log."""
        leaves = map(json.loads, self._leaves(source))
        return [number for leaf in leaves for to, number in leaf.get("to") or [] if to == target]

    def came(self, source: str, target: str) -> list[int]:
        """The numbers of what came from a neighbour, likewise."""
        leaves = [json.loads(one) for one in self._leaves(target) if one.startswith(b'{"leaf":"relayed"')]
        return [leaf["number"] for leaf in leaves if leaf["peer"] == source]

    def _agree(self, origin: str) -> list[StoredBlock]:
        """The blocks that all nodes have. One more may come while disk after disk is read: of a deadline, or a seal."""
        end = time.monotonic() + CATCH_UP_S
        while time.monotonic() < end:
            blocks = agree({name: self.disk(name, origin) for name in self.tree.net(origin).members})
            if blocks is not None:
                return blocks
            time.sleep(0.25)
        raise Broken(f"{origin}: the nodes come to no common height")

    def _audit(self, origin: str) -> int:
        blocks = self._agree(origin)
        stands = placed(blocks)
        for digest, (where, receipt) in list(self.taken.items()):
            if where == origin and digest not in stands:
                raise Broken(f"{origin}: {digest} was taken, and stands nowhere")
            if where == origin and receipt is not None and stands[digest][0] != receipt.height:
                raise Broken(f"{origin}: {digest} had a receipt for {receipt.height}, and stands at {stands[digest]}")
        for source, target in EDGES:
            came = self.came(source, target)
            if came != list(range(1, len(came) + 1)):
                raise Broken(f"from {source} came, in this order: {came}")
        return blocks[-1].size

    def examine(self) -> None:
        """Stop all, and look at every disk as an auditor would."""
        self._ended.set()
        self._loading.join(CATCH_UP_S)
        testnet.stop(self.folder)
        for node in self.tree.nodes:
            config = configs.load(self.folder / node.name)
            for origin in node.networks:
                with (
                    Store.open(places.database(config.data_dir, origin)) as store,
                    Watermark.open(places.signed_heads(config.signed_heads, origin)) as mark,
                ):
                    head = mark.head(origin)
                    found = list(fsck(store, verify_all, signed={} if head is None else {origin: head}))
                if found:
                    raise Broken(f"fsck of {node.name}: {found}")


# Faults.

Fault = Callable[[Running], str]


def kill_node(run: Running) -> str:
    """kill -9 of a node, perhaps of the one that carries, of the application, CometBFT or both."""
    name = run.chance.choice(run.names)
    part = run.chance.choice(["both", "application", "cometbft"])
    run.kill(name, part)
    if part != "cometbft":
        run.down.add(name)
        took = run.live()
        time.sleep(run.chance.uniform(0, 2))
        run.start_node(name)
        run.down.discard(name)
        return f"{part} of {name}; the others went on after {took:.1f} s"
    return f"{part} of {name}"


def kill_carrier(run: Running) -> str:
    """The node that carries dies while records wait to go up; they go up when it is back, each once."""
    run.kill(RELAY)
    run.down.add(RELAY)
    before = len(run.messages)
    end = time.monotonic() + CATCH_UP_S
    while len(run.messages) < before + 2:
        if time.monotonic() > end:
            raise Broken("nothing is recorded below while the carrier is away")
        time.sleep(0.1)
    run.start_node(RELAY)
    run.down.discard(RELAY)
    return f"{len(run.messages) - before} records waited"


def power_cut(run: Running) -> str:
    """kill -9 of everything on both levels."""
    run.down.update(run.names)
    for name in run.names:
        run.hit(name, signal.SIGKILL)
    for name in run.names:
        run.kill(name)
    run.start_node(*run.names)
    run.down.clear()
    return "all"


def reset_node(run: Running) -> str:
    """A node's records are lost; `tocsin node reset` gets them anew from the others, by a snapshot or block by block."""
    name = run.chance.choice([one for one in run.names if one != RELAY])
    origin = run.tree.node(name).networks[0]
    run.kill(name)
    run.down.add(name)
    # As from a bad disk: the database is no database any more.
    database = places.database(configs.load(run.folder / name).data_dir, origin)
    database.write_bytes(run.chance.randbytes(8192))
    papers = []
    for option, data in zip(("genesis", "founding"), run.client_of(origin).genesis(), strict=True):
        path = run.folder / f"{origin.replace('/', '+')}.{option}"
        path.write_bytes(data)
        papers += [f"--{option}", str(path)]
    subprocess.run(
        [sys.executable, "-m", "tocsin.cli.main", "node", "reset", str(run.folder / name), "--network", origin, "--yes",
         *papers],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    run.start_node(name)
    own, head = Remote(run.client, run.tree.node(name).url, origin), run.size(origin)
    # Block by block, ten of them a second.
    _until(lambda: own.status().final >= head, f"{name} does not come back after its reset", CATCH_UP_S)
    run.down.discard(name)
    return f"{name} of {origin}"


def disk_full(run: Running) -> str:
    """The small disk of one node fills up: it says so, the others go on; with room again it goes on by itself."""
    if not run.small:
        return "left out, only root may make a small disk"
    ballast = configs.load(run.folder / SMALL).data_dir / "ballast"
    own, started = Remote(run.client, run.tree.node(SMALL).url, LOWER), testnet.load(run.folder).node(SMALL)
    run.down.add(SMALL)
    fill(ballast)
    why: list[str] = []

    def noticed() -> bool:
        said = own.status()
        why[:] = [said.error or said.trouble]
        return bool(why[0])

    _until(noticed, f"{SMALL} does not notice its disk", CATCH_UP_S)
    took = run.live()
    ballast.unlink()
    head = run.size(LOWER)
    _until(lambda: own.status().final >= head, f"{SMALL} does not come back", CATCH_UP_S)
    if not testnet.running(run.folder, started):
        raise Broken(f"process {started.pid} of {SMALL} has ended")
    run.down.discard(SMALL)
    return f"{SMALL}: {why[0]!r}; the others went on after {took:.1f} s"


def pause(run: Running) -> str:
    """SIGSTOP of a node for a while."""
    name = run.chance.choice(run.names)
    part = run.chance.choice(["both", "application", "cometbft"])
    seconds = run.chance.uniform(1, 6)
    run.down.add(name)
    run.hit(name, signal.SIGSTOP, part)
    took = run.live()
    time.sleep(seconds)
    run.hit(name, signal.SIGCONT, part)
    run.down.discard(name)
    return f"{part} of {name} for {seconds + took:.1f} s; the others went on after {took:.1f} s"


def wrong_clock(run: Running) -> str:
    """A node believes another time, also in what it cosigns; then it is corrected."""
    name = run.chance.choice([one for one in run.names if one != RELAY])
    skew = run.chance.choice([-86_400, -700, 700, 86_400])
    run.down.add(name)
    testnet.stop(run.folder, [name])
    with (run.folder / name / "node.log").open("ab") as log:
        wrong = subprocess.Popen(
            [sys.executable, "-c", _SKEWED.format(skew_s=skew), str(run.folder / name)], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    run.strays.append(wrong)
    origin = run.tree.node(name).networks[0]
    own = Remote(run.client, run.tree.node(name).url, origin)
    _until(lambda: own.status().runs, f"{name} does not run with a wrong clock", CATCH_UP_S)
    took = run.live()
    head = run.size(origin)
    _until(lambda: own.status().final >= head, f"{name} with a wrong clock has no final head", CATCH_UP_S)
    wrong.terminate()
    wrong.wait(PATIENCE_S)
    run.start_node(name)
    run.down.discard(name)
    return f"{name} by {skew:+} s; the others went on after {took:.1f} s"


def cut_calls(run: Running) -> str:
    """Calls from and to some nodes are cut, of cosignatures and of the relay: both networks go on, heads are not final
    where too few can be asked, nothing is carried through a carrier that is cut; then all of it comes back."""
    victims = sorted(run.chance.sample(run.names, run.chance.randint(1, len(run.names))))
    run.links.cut(wires.of(run.links, victims, wires.CALLS))
    took = run.live()
    time.sleep(2)  # what was asked for before is through
    sizes = {
        origin: max(run.status(name, origin).size for name in run.tree.net(origin).members) for origin in (UPPER, LOWER)
    }
    carried = [len(run.came(*edge)) for edge in EDGES]
    run.live()
    time.sleep(run.chance.uniform(1, 5))
    stuck = []
    for origin in (UPPER, LOWER):
        members = run.tree.net(origin).members
        if len(set(members) - set(victims)) < finality(len(members)):
            stuck.append(origin)
            for name in members:
                if (final := run.status(name, origin).final) > sizes[origin]:
                    raise Broken(f"{name} has a final head of {origin} at {final}, and could ask too few")
    if RELAY in victims and (now := [len(run.came(*edge)) for edge in EDGES]) != carried:
        raise Broken(f"leaves came over while {RELAY} could ask nobody: up and down {carried}, then {now}")
    run.links.heal()
    again = run.final()
    return f"{', '.join(victims)}; final after {again:.1f} s, meanwhile not in {stuck}; blocks after {took:.1f} s"


def slow_calls(run: Running) -> str:
    """Calls from and to some nodes are late and narrow; blocks and final heads come all the while."""
    victims = sorted(run.chance.sample(run.names, run.chance.randint(1, len(run.names))))
    delay, jitter = run.chance.randint(20, 400), run.chance.randint(0, 200)
    rate = run.chance.choice([None, 64, 256])
    run.links.slow(wires.of(run.links, victims, wires.CALLS), delay, jitter, rate)
    time.sleep(run.chance.uniform(2, 5))
    took, final = run.live(), run.final()
    run.links.heal()
    return (
        f"{', '.join(victims)} with {delay} ms +- {jitter}, {rate or 'any'} KB/s; blocks after {took:.1f} s, final after "
        f"{final:.1f} s more"
    )


def cut_off(run: Running) -> str:
    """All wires of a node are cut, perhaps of the one that carries: the others go on and have final heads."""
    name = run.chance.choice(run.names)
    run.down.add(name)
    run.links.cut(wires.of(run.links, [name]))
    took, final = run.live(), run.final()
    time.sleep(run.chance.uniform(0, 5))
    for origin in run.tree.node(name).networks:
        if (size := run.status(name, origin).size) >= (head := run.size(origin)):
            raise Broken(f"{name} has {size} leaves of {origin}, which has {head}, and could ask nobody")
    run.links.heal()
    run.down.discard(name)
    return f"{name}; the others went on after {took:.1f} s, final after {final:.1f} s more"


def two_heads(run: Running) -> str:
    """A member above cosigns two heads of one size; another shows both, and the log has it."""
    net = run.tree.net(UPPER)
    liar, witness = net.own[2], net.own[0]
    block = run.disk(witness, UPPER).blocks[-1]
    notes = []
    for root in (block.root, run.chance.randbytes(32)):
        head = Checkpoint(UPPER, block.size, root)
        lines = [sign_checkpoint(run.keys.signer(UPPER, "", "log"), head)]
        lines += [cosign_checkpoint(run.keys.signer(UPPER, liar, "finality"), liar, head, int(time.time()))]
        notes.append(note.format(checkpoint.format(head), lines).decode())
    run.submit(UPPER, witness, [Evidence(UPPER, notes[0], notes[1], None, [])], LIVE_S)
    key = run.keys.signer(UPPER, liar, "finality").public_key.encode()
    _until(
        lambda: any(
            key in leaf and leaf.startswith(b'{"leaf":"evidence"')
            for one in run.disk(witness, UPPER).blocks for leaf in one.leaves
        ),
        f"the log does not show the two heads of {liar}",
    )  # fmt: skip
    return f"{liar} at size {block.size}"


def garbage(run: Running) -> str:
    """Noise at every port of every node, and connections that say nothing."""
    held = 0
    with contextlib.ExitStack() as stack:
        for name in run.names:
            config = configs.load(run.folder / name)
            for address in (config.listen, *(use.cometbft.listen for use in config.networks)):
                host, _, port = address.rpartition(":")
                for start in (
                    b"",
                    b"POST /" + UPPER.encode() + b"/envelopes HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
                ):
                    with contextlib.suppress(OSError):
                        one = stack.enter_context(socket.create_connection((host, int(port)), timeout=2))
                        held += 1
                        one.sendall(start + run.chance.randbytes(run.chance.randrange(1, 50_000)))
        for origin in (UPPER, LOWER):
            for name in run.tree.net(origin).members:
                answer = Remote(run.client, run.tree.node(name).url, origin).submit(run.chance.randbytes(500))
                if not isinstance(answer, Refusal):
                    raise Broken(f"{name} does not refuse noise: {answer}")
        took = run.live()
    return f"{held} connections; live meanwhile after {took:.1f} s"


ANY: tuple[Fault, ...] = (
    kill_node, kill_carrier, power_cut, pause, wrong_clock, kill_node, garbage, reset_node, disk_full,
    cut_calls, slow_calls, cut_off,
)  # fmt: skip


def _until(done: Callable[[], bool], what: str, limit: float = LIVE_S) -> None:
    end = time.monotonic() + limit
    while True:
        with contextlib.suppress(RemoteError):
            if done():
                return
        if time.monotonic() > end:
            raise Broken(what)
        time.sleep(0.1)


def run(folder: Path, seed: int, plan: Sequence[Fault] | None, seconds: float, say: Callable[[str], None]) -> int:
    """Faults of a plan, or for so many seconds such as the seed draws, then a liar above; how many. Raises Broken,
    Missing."""
    start = time.monotonic()
    chance = Random(seed)
    running = Running(folder, seed)
    done = 0
    try:
        running.start()
        say(f"seed {seed}, two levels, up and linked after {time.monotonic() - start:.1f} s")
        drawn = [one for _ in range(500) for one in chance.sample(ANY, len(ANY))] if plan is None else plan
        for fault in drawn:
            if plan is None and time.monotonic() - start > seconds:
                break
            _one(running, fault, say)
            done += 1
        if plan is None:
            _one(running, two_heads, say)
            done += 1
        running.examine()
        say(
            f"fsck of every disk found nothing; {len(running.taken)} envelopes, {len(running.messages)} records went up"
        )
    finally:
        running.close()
    return done


def _one(running: Running, fault: Fault, say: Callable[[str], None]) -> None:
    start = time.monotonic()
    try:
        told = fault(running)
        repaired = time.monotonic()
        live, sizes = running.check()
    except Exception as error:
        raise Broken(f"{fault.__name__}: {error}") from error
    say(
        f"{fault.__name__}: {told} ({repaired - start:.1f} s); live after {live:.1f} s, final and agreed at sizes "
        f"{sizes} after {time.monotonic() - repaired:.1f} s"
    )


def main() -> int:
    """The long set on two levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, help="where everything stays for a look, in place of a folder that goes")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tocsin-faults-") as scratch:
        folder = options.keep or Path(scratch) / "tree"
        try:
            done = run(
                folder, options.seed, None, options.minutes * 60,
                lambda line: print(f"{time.monotonic() - start:7.1f}  {line}", flush=True),
            )  # fmt: skip
        except (Broken, Missing) as error:
            print(f"BROKEN with --seed {options.seed} on two levels: {error}", file=sys.stderr)
            return 1
    print(f"{done} faults, all laws held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
