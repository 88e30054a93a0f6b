"""Each page of `docs/operating`, followed to the letter, one after the other, over real nodes."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.engine.comet import installed
from tests.node.net import until
from tests.operating.machines import NET, PAGES, PASSPHRASE, Consortium, Machine, parts
from tests.operating.test_neighbours import PLAYED as ELSEWHERE
from tocsin import charters
from tocsin.cli.acting import hand_in, status_of
from tocsin.cli.output import Failure
from tocsin.kernel.acts import Present
from tocsin.kernel.envelope import encode
from tocsin.node.home import config as configs
from tocsin.node.keys import Keystore
from tocsin.node.web.remote import Remote, RemoteError, caller
from tocsin.tlog import checkpoint, note

FOUR = ["annan", "beimen", "houbi", "bureau"]
REPORTS = "--role reporter --role voter"
PLAYED = ["start.md", "rotate.md", "halt.md", "restore.md", "add.md", "observe.md", "lose.md", "upgrade.md"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    """Four machines with nothing on them but the program."""
    installed()
    pilot, _ = charters.for_network("pilot", 3, 1)
    rules = [msgspec.structs.replace(rule, notice_s=0) for rule in pilot.rules]
    made = Consortium(tmp_path_factory.mktemp("operating"), encode(msgspec.structs.replace(pilot, rules=rules)))
    for name in FOUR:
        made.add(name, "--role supervisor" if name == "bureau" else REPORTS)
    yield made
    made.close()


def status(machine: Machine) -> dict[str, Any]:
    (one,) = status_of(f"127.0.0.1:{machine.http}")["networks"]
    return dict(one)


def agreed(consortium: Consortium, names: list[str]) -> int:
    """Wait until all serve one final checkpoint at one size; the size."""
    with caller() as client:
        remotes = [Remote(client, f"http://127.0.0.1:{consortium.machines[name].http}", NET) for name in names]
        heads: set[str] = set()

        def same() -> bool:
            heads.clear()
            try:
                heads.update(note.parse(one.checkpoint() or b"").text for one in remotes)
            except (RemoteError, note.NoteError):
                return False
            return len(heads) == 1

        until(same)
    return checkpoint.parse(heads.pop()).size


def members(consortium: Consortium, name: str) -> object:
    return status(consortium.machines[name])["signers"]


def keys(machine: Machine) -> dict[str, str]:
    listed = machine.start("tocsin keys list node/keys.json --json").end()
    return {one["role"]: one["key"] for one in json.loads(listed.text)}


def in_plain_text(machine: Machine) -> list[Path]:
    """Files of a node in which one of its keys can be read."""
    seeds = [
        bytes.fromhex(one.seed)
        for one in Keystore.open(machine.folder / "node" / "keys.json", PASSPHRASE.encode).entries()
    ]
    forms = [form for seed in seeds for form in (seed, seed.hex().encode(), b64encode(seed)[:-2])]
    files = [path for path in (machine.folder / "node").rglob("*") if path.is_file()]
    return [path for path in files if any(form in path.read_bytes() for form in forms)]


def last_vote(machine: Machine) -> int:
    """The height of CometBFT's last vote, as the guard has it."""
    path = machine.folder / "node" / "signed-heads" / "votes" / NET.replace("/", "+")
    return int(json.loads(path.read_text(encoding="utf-8"))["height"])


def test_start(consortium: Consortium) -> None:
    consortium.play("start.md", FOUR)
    until(lambda: members(consortium, "annan") == sorted(FOUR))
    # The page is content with three, and on a busy machine one comes later.
    houbi = consortium.machines["houbi"]
    until(lambda: "4 of 4 signers are here and 3 are needed" in houbi.start("tocsin node status node").end().text)
    agreed(consortium, FOUR)
    for name in FOUR:
        # Each has its own keys only, and the root key is not where the node is.
        assert set(keys(consortium.machines[name])) == {"act", "finality", "validator", "log"}
        assert in_plain_text(consortium.machines[name]) == []


def test_rotate(consortium: Consortium) -> None:
    machine = consortium.machines["annan"]
    before = {name: keys(consortium.machines[name]) for name in ("annan", "houbi")}
    consortium.play("rotate.md", FOUR)
    after = keys(machine)
    assert {role for role in after if after[role] != before["annan"][role]} == {"act", "finality", "validator"}
    assert not set(keys(consortium.machines["houbi"]).values()) & set(before["houbi"].values())
    until(lambda: members(consortium, "annan") == sorted(FOUR))
    agreed(consortium, FOUR)


def test_halt(consortium: Consortium) -> None:
    seen: list[str] = []
    machine = consortium.machines["annan"]
    consortium.heard = lambda name, text: seen.append(text) if name == "annan" else None
    consortium.play("halt.md", FOUR)
    (told, *_) = (text for text in seen if "2 of 4 signers are here" in text)
    assert "2 of 4 signers are here and 3 are needed: it stands still until 1 more of beimen, houbi is back" in told
    assert re.search(r"beimen is missing: http://\S+ cannot be reached", told)
    assert status(machine)["runs"]
    agreed(consortium, FOUR)


def test_restore(consortium: Consortium) -> None:
    machine = consortium.machines["houbi"]
    before, votes = keys(machine), last_vote(machine)
    consortium.play("restore.md", FOUR)
    after = keys(machine)
    assert {role for role in after if after[role] != before.get(role)} == {"finality", "validator"}
    assert votes > 0
    agreed(consortium, FOUR)
    for name in FOUR:
        assert status(consortium.machines[name])["contradictions"] == 0


def test_a_node_without_what_it_signed_refuses_to_start_and_to_begin_again(consortium: Consortium) -> None:
    machine = consortium.machines["houbi"]
    path = machine.folder / "node" / "signed-heads" / "votes" / NET.replace("/", "+")
    machine.stop()
    aside = path.rename(path.with_name("aside"))
    machine.run()
    until(lambda: "what this validator voted on last" in machine.start("tocsin node status node").end().text)
    machine.stop()
    refused = machine.start(f"tocsin node reset node --network {NET} --yes").end()
    assert refused.code == 2
    assert "would forget what it signed" in refused.text
    aside.rename(path)
    machine.run()
    until(lambda: machine.start("tocsin node status node").end().code == 0)


def test_add(consortium: Consortium) -> None:
    consortium.add("yanshui", REPORTS)
    consortium.play("add.md", FOUR)
    five = [*FOUR, "yanshui"]
    until(lambda: members(consortium, "annan") == sorted(five))
    agreed(consortium, five)


def test_observe(consortium: Consortium) -> None:
    """It follows while it is let in, without a key of its own, and stays where it is from then on."""
    machine = consortium.add("institute", "")
    told: list[str] = []
    consortium.heard = lambda name, text: told.append(text) if name == "institute" else None
    consortium.play("observe.md", FOUR)
    # While the members' nodes start again it exits with 1 for their sake too; this is what it says in the end.
    until(lambda: "connected to no other" in machine.start("tocsin node status node").end().text)
    assert any("signers are here" in text for text in told)
    said = status(machine)
    assert said["member"] is None
    assert said["final"] > 0
    assert not (machine.folder / "node" / "keys.json").exists()
    machine.stop()


def test_lose(consortium: Consortium) -> None:
    consortium.play("lose.md", [*FOUR, "yanshui"])
    left = ["annan", "beimen", "bureau", "yanshui"]
    until(lambda: members(consortium, "annan") == left)
    houbi = consortium.machines["houbi"]
    houbi.run()
    until(lambda: "houbi was expelled" in houbi.start("tocsin node status node").end().text)
    houbi.stop()
    config = configs.load(consortium.machines["annan"].folder / "node")
    assert "houbi" not in config.networks[0].members
    assert "houbi" not in config.networks[0].cometbft.peers
    agreed(consortium, left)


def test_upgrade(consortium: Consortium) -> None:
    left = ["annan", "beimen", "bureau", "yanshui"]
    seen: list[str] = []
    consortium.heard = lambda name, text: seen.append(text) if name == "bureau" else None
    machine = consortium.machines["annan"]
    signer = Keystore.open(machine.folder / "node" / "keys.json", PASSPHRASE.encode).signer(NET, "annan", "act")
    url = f"http://127.0.0.1:{machine.http}"

    def act() -> None:
        # A block comes once a minute at least; this test does not wait so long.
        with suppress(Failure):
            hand_in(url, NET, "annan", signer, [Present(int(time.time()) // 86_400)])

    consortium.meanwhile = act
    consortium.play("upgrade.md", left)
    assert any("is under protocol 2 from block" in text for text in seen)
    agreed(consortium, left)


def test_every_page_is_played_or_has_nothing_to_play() -> None:
    pages = {path.name for path in PAGES.glob("*.md")}
    assert {page for page in pages if list(parts(page))} == {*PLAYED, *ELSEWHERE}


def test_the_first_page_says_which_are_played() -> None:
    first = (PAGES / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\d+\. .*?\]\((\w+\.md)\)", first, re.M) == [*PLAYED, *ELSEWHERE]
    read = re.findall(r"^- .*?\]\((\w+\.md)\)", first, re.M)
    assert {*PLAYED, *ELSEWHERE, *read, "README.md"} == {path.name for path in PAGES.glob("*.md")}


def test_configuration_on_a_page_can_be_read(tmp_path: Path) -> None:
    """The tables that a page tells to add are those of a configuration."""
    use = configs.NetworkUse(NET, "cometbft", "yanshui", cometbft=configs.CometUse())
    config = configs.Config("127.0.0.1:8440", Path("data"), Path("heads"), Path("keys.json"), [use])
    blocks = re.findall(r"^```toml\n(.*?)^```", (PAGES / "add.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks
    for block in blocks:
        read = configs.parse((configs.render(config) + block).encode(), tmp_path / "node.toml")
        assert read.networks[0].cometbft.sync == {"annan": "annan.example:26657", "beimen": "beimen.example:26657"}
