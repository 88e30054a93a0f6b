"""A member that is admitted to a network with a long past, and whose node begins with a snapshot of it."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from tests.engine.comet import cometbft_below, installed
from tests.node.net import DAY_MS, PATIENCE_S, command, free_ports, now, until
from tests.store.drive import run_cases
from tests.store.world import World
from tocsin.client.signing import SeedSigner, prove_possession, sign_acts
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.home import node_id
from tocsin.engine.ledger import Ledger
from tocsin.kernel.acts import AdmitMotion, Judge, Keys, Present, Submit
from tocsin.kernel.block import SNAPSHOT_EVERY
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Envelope, decode
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.home.config import CometUse, NetworkUse
from tocsin.node.keys import Keystore
from tocsin.node.station import Shared, Station, found_here
from tocsin.node.syncing import NoSync, trusted
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, RemoteError, call, caller
from tocsin.store.store import Store

ORIGIN = "testnet.example/1-1"
NEW = "yanshui"


def past(folder: Path, tree: testnet.Tree, keys: Keystore) -> None:
    """Blocks of real acts, up to the one before a snapshot is due, as if one process had ordered so far."""
    first, *others = (folder / node.name / "data" for node in tree.nodes)
    member = tree.net(ORIGIN).own[0]
    database = places.database(first, ORIGIN)
    with Store.open(database) as store, store.transaction():
        ledger = Ledger(store.network(ORIGIN))
        while (ledger.state.meta.changing + 1) % SNAPSHOT_EVERY:
            at = ledger.state.meta.at + 60_000
            data = sign_acts(
                keys.signer(ORIGIN, member, "act"), ledger.state.meta.genesis, member, at + 600_000, [Present(1)]
            )
            envelope = decode(data)
            assert isinstance(envelope, Envelope)
            ledger.commit(ledger.propose(at, [envelope]))
        assert ledger.state.meta.at < now()
        height = ledger.state.meta.height
    for data_dir in others:
        shutil.copyfile(database, places.database(data_dir, ORIGIN))
    for data_dir in (first, *others):
        # CometBFT's chain begins on top.
        heights = Heights(places.comet_home(data_dir, ORIGIN) / "heights", 0)
        heights.announce(0, height)
        heights.close()


def admit(tree: testnet.Tree, keys: Keystore, at: Remote) -> None:
    """Vote the new member in."""
    net = tree.net(ORIGIN)
    for role in testnet.ROLES:
        keys.add(ORIGIN, NEW, role, SeedSigner.generate())
    signers = [keys.signer(ORIGIN, NEW, role) for role in testnet.ROLES]
    root, act, finality, validator = (one.public_key for one in signers)
    held, expires = Keys(root, act, finality, validator, "self"), now() + DAY_MS
    proofs = prove_possession(signers, at.status().genesis, NEW, held, expires)
    motion = AdmitMotion(NEW, f"agency:{NEW}", ["reporter", "voter"], held, expires, proofs)
    voters = [one for one in net.members if "voter" in testnet.roles_of(net, one)]
    message = message_id(testnet.act(keys, at, voters[0], [Submit("motion.admit", None, None, motion, None)]), 0)
    for voter in voters[1:]:
        testnet.act(keys, at, voter, [Judge(message, "endorse", None, "officer", None, None)])
    assert at.status().roster[NEW] == "active"


def write_node(folder: Path, tree: testnet.Tree, keys: Keystore, http: str, comet: str) -> None:
    """The new member's node: the others' addresses, and where theirs may be asked for a snapshot."""
    (use,) = configs.load(folder / tree.nodes[0].name).networks
    assert use.cometbft.rpc is not None
    dial = {
        node.name: f"{node_id(places.node_key(folder / node.name / 'data', ORIGIN))}@"
        f"{configs.load(folder / node.name).networks[0].cometbft.listen}"
        for node in tree.nodes
    }
    own = NetworkUse(
        ORIGIN, "cometbft", NEW, members={node.name: node.url for node in tree.nodes},
        cometbft=CometUse(
            comet, peers=dial, sync=use.cometbft.sync | {tree.nodes[0].name: use.cometbft.rpc}, one_host=True
        ),
    )  # fmt: skip
    config = msgspec.structs.replace(configs.load(folder / tree.nodes[0].name), listen=http, networks=[own])
    place = folder / NEW
    text = configs.render(
        msgspec.structs.replace(
            config, data_dir=Path("data"), signed_heads=Path("signed-heads"), keystore=Path("keys.json")
        )
    )
    (place / configs.NAME).write_text(text, encoding="utf-8")
    mine = Keystore()
    for role in testnet.ROLES:
        mine.add(ORIGIN, NEW, role, keys.signer(ORIGIN, NEW, role))
    mine.save_plain(place / "keys.json", lambda _: None)


def test_a_new_node_lets_in_whom_it_was_given_and_later_only_members(tmp_path: Path) -> None:
    world = World()
    founder, late = "1" * 40, "2" * 40
    peers = {"district-00": f"{founder}@10.0.0.1:26656", "late": f"{late}@10.0.0.2:26656"}
    use = NetworkUse(world.origin, "cometbft", "district-01", cometbft=CometUse(peers=peers))
    shared = cast(Shared, SimpleNamespace(clock=now))
    with Store.open(tmp_path / "node.db") as store:
        records = store.create_network(world.genesis_bytes, world.founding_bytes)
        welcome = Station(use, shared)._welcome(records)
        assert [welcome(node) for node in (founder, late, "3" * 40)] == [True, True, False]
        run_cases(world, Ledger(records), 1)
        assert [welcome(node) for node in (founder, late, "3" * 40)] == [True, False, False]


class Chain(ThreadingHTTPServer):
    """CometBFT's calls, of a member that has blocks from `first` on; `name`: in place of a hash."""

    def __init__(self, first: int, name: str = "A") -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                height = int(self.path.partition("height=")[2] or 0)
                commit = {"commit": {"block_id": {"hash": (name + str(height)).ljust(64, "0")}}}
                said = (
                    {"result": {"sync_info": {"earliest_block_height": str(first)}}} if not height
                    else {"result": {"signed_header": commit}} if first <= height <= 100 else {"error": "not here"}
                )  # fmt: skip
                data = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


def test_the_first_block_that_enough_members_have_is_trusted() -> None:
    """So that it lies below every snapshot; also where members have pruned, and who lies cannot keep anybody out."""
    chains = {"a": Chain(7), "b": Chain(9), "c": Chain(9), "d": Chain(2, "lie")}
    members = {id: f"127.0.0.1:{chain.server_port}" for id, chain in chains.items()}
    with caller() as client:
        found = trusted(client, members, 1)
        assert (found.height, found.hash) == (9, "A9".ljust(64, "0"))
        assert found.servers == tuple(f"http://{members[id]}" for id in "abc")
        chains["e"] = Chain(10**9)
        members["d"] = f"127.0.0.1:{chains['e'].server_port}"
        assert trusted(client, members, 1).height == 9
        with pytest.raises(NoSync, match="do not agree"):
            trusted(client, {id: members[id] for id in "ad"}, 1)
    for chain in chains.values():
        chain.shutdown()
        chain.server_close()


@pytest.fixture
def ports() -> Iterator[list[int]]:
    with free_ports(2) as found:
        yield found


@pytest.fixture
def short(tmp_path: Path) -> Path:
    return tmp_path / "t"


def test_a_new_member_joins_by_a_snapshot_and_its_node_says_so(
    short: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed()
    real = time.time_ns
    with monkeypatch.context() as yesterday:
        yesterday.setattr(time, "time_ns", lambda: real() - DAY_MS * 1_000_000)
        tree = testnet.write(short, testnet.shape(4, [1]), "cometbft", block_ms=100)
    keys = Keystore.open(short / "keys.json", warn=lambda _: None)
    past(short, tree, keys)
    http, comet = (f"127.0.0.1:{port}" for port in ports)
    (short / NEW).mkdir()
    id = node_id(places.node_key(short / NEW / "data", ORIGIN))
    for node in tree.nodes:
        path = short / node.name / configs.NAME
        text = path.read_text(encoding="utf-8")
        # As `tocsin node meet` writes it: let in as soon as it is a member.
        path.write_text(text.replace('[networks.cometbft.peers]\n', f'[networks.cometbft.peers]\n{NEW} = "{id}@{comet}"\n'))
    testnet.start(short)
    try:
        testnet.wait_ready(short, PATIENCE_S)
        with caller() as client:
            first = Remote(client, tree.nodes[0].url, ORIGIN)
            admit(tree, keys, first)
            write_node(short, tree, keys, http, comet)
            genesis, founding = first.genesis()
            found_here(configs.load(short / NEW), genesis, founding)
            tree = msgspec.structs.replace(
                testnet.load(short), nodes=[*testnet.load(short).nodes, testnet.Node(NEW, f"http://{http}", [ORIGIN], 0)]
            )
            testnet._save(short, tree)
            testnet.start(short, [NEW])
            mine = Remote(client, f"http://{http}", ORIGIN)
            told: set[str] = set()

            def here() -> bool:
                try:
                    said = mine.status()
                    (one,) = json.loads(call(client, "GET", f"http://{http}/status", 2**20)[1])["networks"]
                except RemoteError:
                    return False
                told.add(one.get("sync", ""))
                return said.runs and said.height == first.status().height and said.final > 0

            # Killed on the way, it begins anew, though CometBFT has begun to write there.
            blocks = places.comet_home(short / NEW / "data", ORIGIN) / "data" / "blockstore.db"
            until(lambda: here() or ("looks for a snapshot" in told and blocks.exists()))
            assert here() is False
            os.kill(next(one.pid for one in testnet.load(short).nodes if one.name == NEW), signal.SIGKILL)
            testnet.stop(short, [NEW])
            until(lambda: cometbft_below(short / NEW) == [])
            # Whatever was whole by then: a kill may come while a database has no entry point yet.
            (blocks / "CURRENT").unlink(missing_ok=True)
            testnet.start(short, [NEW])
            until(here)
        block = f"began with a snapshot of block {SNAPSHOT_EVERY - 1}"
        assert f"it {block}" in command("node", "status", short / NEW)
        command("node", "join", short / NEW)
        assert "began with" not in command("node", "status", short / tree.nodes[0].name)
        command("testnet", "stop", "--dir", short)
        command("fsck", "--fast", "--data-dir", short / NEW / "data" / ORIGIN.replace("/", "+"))
    finally:
        testnet.stop(short)
