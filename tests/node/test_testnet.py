"""A tree of two levels on CometBFT, each agency a process: made, used, hurt and stopped by the commands."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tests.engine.comet import cometbft_below, installed
from tests.node.acts import Play
from tests.node.net import Liar, command, now, until
from tests.node.test_agency import status
from tocsin.kernel.acts import Concur, Judge, Present, Subject, Submit
from tocsin.kernel.digest import message_id
from tocsin.node.home import config as configs
from tocsin.node.keys import Keystore
from tocsin.node.syncing import NoSync, trusted
from tocsin.node.trial import testnet
from tocsin.node.web.remote import Remote, RemoteError, caller
from tocsin.tlog import checkpoint, note

UPPER, LOWER = "testnet.example/1-1", "testnet.example/2-1"


def told(*words: object) -> dict[str, Any]:
    """What a command answers."""
    said: dict[str, Any] = json.loads(command(*words, "--json"))
    return said


class Running(SimpleNamespace):
    """A tree that runs. `folder`, `tree`, `keys`, `client`."""

    folder: Path
    tree: testnet.Tree
    keys: Keystore
    client: httpx.Client

    def remote(self, name: str, origin: str) -> Remote:
        return Remote(self.client, self.tree.node(name).url, origin)

    def record(self) -> str:
        """A report below that all endorse and the supervisor lets pass."""
        net = self.tree.net(LOWER)
        at = self.remote(net.own[0], LOWER)
        subject = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, now() // 86_400_000, 2, "actual")
        report = Submit("report.cluster.dengue", "new", subject, None, None)
        message = message_id(testnet.act(self.keys, at, net.own[0], [report]), 0)
        for voter in net.own[1:-1]:
            testnet.act(self.keys, at, voter, [Judge(message, "endorse", None, "officer", None, None)])
        testnet.act(self.keys, at, net.own[-1], [Concur(message)])
        return message

    def height(self, name: str) -> int:
        """CometBFT's, of a node in the network below, with the blocks that change nothing."""
        (use,) = (one for one in configs.load(self.folder / name).networks if one.origin == LOWER)
        told: list[int] = []

        def answers() -> bool:
            with suppress(httpx.HTTPError):  # it starts after the node, which serves by then
                said = self.client.get(f"http://{use.cometbft.rpc}/status").json()
                told.append(int(said["result"]["sync_info"]["latest_block_height"]))
            return bool(told)

        until(answers)
        return told[0]

    def quiet(self) -> None:
        """Wait until all have the same and nothing is on its way: relays, seals, the block that proves the last."""
        seen: list[tuple[set[int], set[int]]] = []

        def still() -> bool:
            seen.append((self.sizes(LOWER), {self.height(name) for name in self.tree.net(LOWER).own}))
            return len(seen) > 20 and len(seen[-1][0]) == len(seen[-1][1]) == 1 and seen[-20:] == 20 * [seen[-1]]

        until(still)

    def sizes(self, origin: str) -> set[int]:
        """Of the final checkpoints that the members of a network serve."""
        found = set()
        for name in self.tree.net(origin).members:
            data = self.remote(name, origin).checkpoint()
            found.add(0 if data is None else checkpoint.parse(note.parse(data).text).size)
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    installed()
    folder = tmp_path_factory.mktemp("testnet") / "tree"
    told("testnet", "4", "--dir", str(folder), "--levels", "1,1", "--block-ms", "200", "--veto-window", "600")
    keys = Keystore.open(folder / "keys.json", warn=lambda _: None)
    with caller() as client:
        yield Running(folder=folder, tree=testnet.load(folder), keys=keys, client=client)
    nodes = testnet.load(folder).nodes
    said = told("testnet", "stop", "--dir", str(folder))
    assert said["stopped"] == [node.name for node in nodes]
    assert not any(testnet.running(folder, node) for node in nodes)


def messages(running: Running, origin: str) -> str:
    blocks = running.remote(running.tree.net(origin).own[0], origin).blocks(0)
    return "".join(envelope for block in blocks for envelope in block.envelopes)


def test_a_record_goes_up_between_two_chains(running: Running) -> None:
    message = running.record()
    until(lambda: message in messages(running, UPPER))
    until(lambda: len(running.sizes(LOWER)) == 1 and len(running.sizes(UPPER)) == 1)


def test_the_status_says_that_nobody_is_missing(running: Running) -> None:
    said: dict[str, Any] = {}

    def whole() -> bool:
        # On a busy machine a CometBFT takes longer to answer than it is given.
        said.update(json.loads(command("status", running.folder / "2-1-a1", "--json", code=None)))
        return all(one["well"] and not one["away"] for one in said["diagnosis"].values())

    until(whole)
    networks = said["networks"]
    assert {one["origin"] for one in networks} == {LOWER, UPPER}
    assert all(one["runs"] for one in networks)


def test_a_killed_node_comes_back_and_the_others_did_not_wait(running: Running) -> None:
    victim = running.tree.node("2-1-a2")
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: not testnet.running(running.folder, victim))
    before = running.remote("2-1-a1", LOWER).status().size
    net = running.tree.net(LOWER)
    testnet.act(running.keys, running.remote(net.own[0], LOWER), net.own[2], [Present(1)])
    until(lambda: running.remote("2-1-a1", LOWER).status().final > before)
    said = told("testnet", "start", "--dir", str(running.folder))
    assert said["dir"] == str(running.folder)
    until(lambda: len(running.sizes(LOWER)) == 1)


def test_an_auditor_finds_nothing_wrong(running: Running, tmp_path: Path) -> None:
    (tmp_path / "genesis").write_bytes(running.remote("2-1-a1", LOWER).genesis()[0])
    members = [f"--member={name}={running.tree.node(name).url}" for name in running.tree.net(LOWER).own[:3]]
    until(lambda: running.sizes(LOWER) == {running.remote("2-1-a1", LOWER).status().size})
    said = told("monitor", str(tmp_path / "genesis"), "--dir", str(tmp_path / "audit"), "--once", *members)
    assert said["findings"] == []
    assert said["size"] == running.remote("2-1-a1", LOWER).status().size


def test_a_new_node_trusts_a_block_that_more_members_name_than_may_lie(running: Running) -> None:
    config = configs.load(running.folder / "2-1-a4")
    members = next(one for one in config.networks if one.origin == LOWER).cometbft.sync
    sync = trusted(running.client, members, 1)
    assert len(sync.servers) == 3
    first, second, third = members

    def lie(path: str, true: bytes) -> bytes:
        said = json.loads(true)
        if path.startswith("/commit"):
            said["result"]["signed_header"]["commit"]["block_id"]["hash"] = "A" * 64
        return json.dumps(said).encode()

    liars = [Liar(f"http://{members[id]}", lie) for id in (first, second)]
    one = members | {first: liars[0].url.removeprefix("http://")}
    assert trusted(running.client, one, 1).servers == tuple(f"http://{members[id]}" for id in (second, third))
    with pytest.raises(NoSync, match="do not agree"):
        trusted(running.client, {id: one[id] for id in (first, third)}, 1)
    with pytest.raises(NoSync, match="0 of 2"):
        trusted(running.client, {"x": "127.0.0.1:9", "y": "127.0.0.1:9"}, 0)
    for liar in liars:
        liar.close()


def test_members_act_by_the_same_commands(running: Running) -> None:
    """As on the embedded engine (test_acts)."""
    net = running.tree.net(LOWER)
    Play(LOWER, {name: running.folder / name for name in net.own}, net.own[:3], net.own[3]).incident()


def test_what_cometbft_died_of_is_told_until_it_is_back(running: Running) -> None:
    home = running.folder / "2-1-a3"

    def said() -> Any:
        return status(home)

    until(lambda: said()["trouble"] == "")
    begun = now()
    (comet,) = cometbft_below(home)
    os.kill(comet, signal.SIGKILL)
    until(lambda: "ended with status -9" in said()["trouble"])
    # How it ends does not matter here: with 1 if the next CometBFT has begun, and has not found the others.
    assert "ended with status -9" in command("node", "status", home, code=None)
    until(lambda: said()["trouble"] == "")
    last = said()["last_trouble"]
    assert begun <= last["since"] <= last["until"] <= now()
    assert "ended with status -9" in last["what"]
    (again,) = cometbft_below(home)
    assert again != comet


def test_after_a_start_of_all_the_last_head_is_final_without_a_new_block(running: Running) -> None:
    """CometBFT's next heartbeat is a minute away; the header that confirms the last block is on disk."""
    net = running.tree.net(LOWER)
    # With a block now the heartbeat in between, which would be one too many, is a minute away from here as well.
    testnet.act(running.keys, running.remote(net.own[0], LOWER), net.own[2], [Present(2)])
    running.quiet()
    before = running.sizes(LOWER)
    heights = {name: running.height(name) for name in net.own}
    told("testnet", "stop", "--dir", str(running.folder))
    testnet.start(running.folder)

    def signs(name: str) -> bool:
        with suppress(RemoteError):  # it is starting
            return running.remote(name, LOWER).cosigned(max(before), 30) is not None
        return False

    for name in net.own:
        until(lambda name=name: signs(name))  # type: ignore[misc]
    assert {name: running.height(name) for name in net.own} == heights, "somebody waited for the next block to sign"
    told("testnet", "start", "--dir", str(running.folder))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("testnet", "4", "--dir", "/", "--levels", "1"), "not empty"),
        (("testnet", "four", "--dir", "{}"), "neither a number"),
        (("testnet", "4", "--dir", "{}", "--levels", "2,1"), "1 network at the top"),
        (("testnet", "1", "--dir", "{}"), "2 agencies or more"),
        (("testnet", "4", "--dir", "{}", "--levels", "1,x"), "like 1,2"),
        (("testnet", "4", "--dir", "{}", "--levels", "1,999999999999"), "more than 1,000 seats"),
        (("testnet", "2", "--dir", "{}", "--engine", "follow", "--block-ms", "1"), ">= 10); name another pause"),
        (("testnet", "2", "--dir", "{}", "--engine", "follow", "--veto-window", "-5"), "--veto-window -5 cannot be"),
        (("testnet", "2", "--dir", "/dev/null/below", "--engine", "follow"), "name another place"),
        (("testnet", "stop", "--dir", "{}"), "holds no tree"),
        (("status", "{}"), "tocsin node init"),
        (("node", "init", "{}", "--papers", "{}"), "directory; name another"),
        (("monitor", "{}", "--dir", "{}", "--member", "a=http://127.0.0.1:9"), "directory; name another"),
        (("monitor", "x", "--dir", "{}", "--member", "a=http://127.0.0.1:9", "--every", "nan"), "up to a day"),
        (("node", "start", "{}"), "tocsin node init"),
        (("node", "status", "{}"), "tocsin node init"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in command(*(word.format(tmp_path / "new") for word in words), code=2)
    assert not (tmp_path / "new").exists()
