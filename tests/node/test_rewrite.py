"""Commands that change a node's configuration: whole or not at all, and nothing that its owner wrote is lost."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.net import command
from tests.node.test_ceremony import NET, keystore, offer
from tocsin.kernel.envelope import encode
from tocsin.node.home import config as configs
from tocsin.node.home import durable, rewrite
from tocsin.node.home.config import CometUse, Config, ConfigError, NetworkUse

WRITTEN = """\
# Written by Hsiao-mei, who is on call at 06-123.
listen = "127.0.0.1:8440"  # behind nginx
data-dir = "data"
signed-heads = "heads"
keystore = "keys.json"
[[networks]]
origin = "x.example/n0"
engine = "follow"
follow = "z"
members = { z = "http://z.example:8440" }  # they order

[[networks]]
origin = "x.example/n1"
engine = "cometbft"
member = "c"
[networks.members]
# Their firewall opens on Mondays.
a = "http://a.example:8440"  # ask Mr Lin

[networks.cometbft]
announce = "c.example:26656" # by name
observers = [
  "0000000000000000000000000000000000000001",  # the university
]
peers.a = "0000000000000000000000000000000000000000@a.example:26656"
[networks.cometbft.sync]
a = "a.example:26657"
b = "b.example:26657"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / configs.NAME).write_text(WRITTEN)
    for name in ("a", "b"):
        (tmp_path / f"{name}.founder").write_bytes(encode(offer(keystore(name), name)))
    return tmp_path


def comments(home: Path) -> set[str]:
    return {line.partition("#")[2] for line in (home / configs.NAME).read_text().splitlines() if "#" in line}


def use(home: Path) -> NetworkUse:
    return next(one for one in configs.load(home).networks if one.origin == NET)


def test_what_its_owner_wrote_outlives_every_command(home: Path) -> None:
    before = comments(home)
    command("node", "meet", home, home / "b.founder")
    assert use(home).members == {"a": "http://a.example:8440", "b": "http://b.example:8440"}
    assert set(use(home).cometbft.peers) == {"a", "b"}
    command("node", "observer", home, f"{2:040x}", "--network", NET)
    assert use(home).cometbft.observers[-1] == f"{2:040x}"
    command("node", "observer", home, f"{3:040x}", "--network", NET)
    command("node", "observer", home, f"{2:040x}", "--network", NET, "--remove")
    assert use(home).cometbft.observers == [f"{1:040x}", f"{3:040x}"]
    assert comments(home) == before
    lines = (home / configs.NAME).read_text().splitlines()
    assert all(line in lines for line in WRITTEN.splitlines()[:20])


def test_who_is_gone_is_forgotten_everywhere(home: Path) -> None:
    command("node", "part", home, home / "a.founder")
    assert "a.example" not in (home / configs.NAME).read_text()
    assert use(home).members == {}
    assert use(home).cometbft.peers == {}
    assert use(home).cometbft.sync == {"b": "b.example:26657"}
    assert {" Written by Hsiao-mei, who is on call at 06-123.", " by name"} <= comments(home)


def test_a_member_that_is_met_again_still_gives_snapshots(home: Path) -> None:
    command("node", "meet", home, home / "a.founder")
    assert set(use(home).cometbft.sync) == {"a", "b"}


def test_every_change_comes_out_as_if_written_anew(home: Path) -> None:
    """Whatever differs between two configurations, the tables as they were written are made to say it."""
    path = home / configs.NAME
    whole = Config(
        "0.0.0.0:1", Path("elsewhere"), Path("signed"), Path("k.json"),
        [NetworkUse(NET, "cometbft", "d", None, {"e": "http://e.example:1"},
                    [configs.PeerUse("x.example/n2", ["http://f.example:2"])],
                    cometbft=CometUse("0.0.0.0:2", None, {}, [], "0.0.0.0:3", {}, 500, True, True))],
        Path("phrase"), configs.WitnessDuty("w.example/w", []), 100, 50,
    )  # fmt: skip
    before = configs.load(home)
    rewrite.save(whole, path, before)
    assert configs.load(home) == configs.parse(configs.render(whole).encode(), path)
    rewrite.save(before, path, whole)
    assert configs.load(home) == before


def test_what_cannot_be_used_is_not_written(home: Path) -> None:
    path = home / configs.NAME
    before = configs.load(home)
    with pytest.raises(ConfigError, match="names no host"):
        rewrite.save(
            Config(before.listen, before.data_dir, before.signed_heads, before.keystore,
                   [*before.networks[:1], NetworkUse(NET, "cometbft", members={"a": "http://a.example:99999"})]),
            path, before,
        )  # fmt: skip
    assert path.read_text() == WRITTEN


def cuts(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[str]:
    """Fail at each call by which a file comes about, one after the other."""
    for name in ("open", "write", "fsync", "replace"):
        with monkeypatch.context() as cut:

            def fail(*_: object, **__: object) -> int:
                raise OSError(28, "No space left on device")

            if name == "write":
                cut.setattr(os, "fdopen", fail)
            elif name == "replace":
                cut.setattr(Path, "replace", fail)
            else:
                cut.setattr(os, name, fail)
            with pytest.raises(OSError, match="No space left"):
                durable.write(path, b"new")
            yield name


def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    for name in cuts(monkeypatch, path):
        assert path.read_bytes() == b"old", name
        assert list(tmp_path.iterdir()) == [path], name
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(os.fstat(handle).st_size), real(handle)))
    replaced: list[int] = []
    move = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (replaced.append(len(synced)), move(self, to)))
    durable.write(path, b"newer", 0o600)
    # On disk before it has its name, and its name after that.
    assert replaced == [1]
    assert synced[0] == 5
    assert len(synced) == 2
    assert path.read_bytes() == b"newer"
    assert path.stat().st_mode & 0o777 == 0o600


def test_permissions_stay(home: Path) -> None:
    path = home / configs.NAME
    path.chmod(0o640)
    command("node", "meet", home, home / "b.founder")
    assert path.stat().st_mode & 0o777 == 0o640
    assert tomllib.loads(path.read_text())
