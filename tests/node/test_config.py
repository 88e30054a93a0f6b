"""A node's configuration: what is right is read back, what is wrong is named with its key and what to write."""

from pathlib import Path

import pytest

from tocsin.node.home.config import Config, ConfigError, load, parse, render

FILE = Path("/somewhere/node.toml")
GOOD = """\
listen = "127.0.0.1:8440"
data-dir = "data"
signed-heads = "heads"
keystore = "keys.json"
connections = 100
connections-per-address = 9

[witness]
name = "witness.example/annan"
logs = ["ledger.example/alpha+fd636d1a+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"]

[[networks]]
origin = "health.example/tw/tainan"
engine = "follow"
member = "annan"
follow = "bureau"
[networks.members]
bureau = "http://127.0.0.1:8441"
[[networks.peers]]
origin = "health.example/tw"
urls = ["http://127.0.0.1:8442"]
[[networks.witnesses]]
url = "http://127.0.0.1:8443"
vkey = "member0.example/w+8eabd538+BEOnLnFEAXYt9mtowm373yaCquyfJHTspGE+QkoPuv08"

[[networks]]
origin = "health.example/tw"
engine = "cometbft"
member = "tainan"
[networks.cometbft]
listen = "0.0.0.0:26656"
announce = "node.tainan.example:26656"
prune = true
observers = ["00112233445566778899aabbccddeeff00112233"]
[networks.cometbft.peers]
kaohsiung = "ffeeddccbbaa99887766554433221100ffeeddcc@node.kaohsiung.example:26656"
"""


def read(text: str) -> Config:
    return parse(text.encode(), FILE)


def test_a_file_is_read_and_written_back() -> None:
    config = read(GOOD)
    assert config.data_dir == Path("/somewhere/data")
    assert config.networks[0].members == {"bureau": "http://127.0.0.1:8441"}
    assert read(render(config)) == config


@pytest.mark.parametrize(
    ("old", "new", "key", "write"),
    [
        ('listen = "127.0.0.1:8440"', "listen = 8440", "listen", "host and port"),
        ('listen = "127.0.0.1:8440"', 'listen = "127.0.0.1"', "listen", "host and port"),
        ('"heads"', '"data/heads"', "signed-heads", "outside data-dir"),
        ('listen = "127.0.0.1:8440"', 'listen = "127.0.0.1:99999"', "listen", "up to 65535"),
        ('"http://127.0.0.1:8441"', '"http://127.0.0.1:99999"', "networks[0].members", "names no host, or no port"),
        ("node.kaohsiung.example:26656", "node.kaohsiung.example:65536", "networks[1].cometbft.peers", "id@host:port"),
        ("prune = true", "prune = 1", "networks[1].cometbft.prune", "true or false"),
        ('keystore = "keys.json"\n', "", "keystore", "tocsin keys new"),
        ('engine = "follow"', 'engine = "raft"', "networks[0].engine", '"cometbft"'),
        ('engine = "follow"', 'engine = "embedded"', "networks[0].engine", '"follow"'),
        ('follow = "bureau"\n', "", "networks[0].follow", "id of the member whose node orders"),
        ('bureau = "http', 'annan = "http', "networks[0].follow", "[networks.members]"),
        ('origin = "health.example/tw/tainan"', 'origin = "a b"', "networks[0].origin", "origin of the genesis"),
        ('bureau = "http://127', 'bureau = "ftp://127', "networks[0].members", "address of each other member"),
        ('["http://127.0.0.1:8442"]', "[]", "networks[0].peers[0].urls", "a list of addresses"),
        ("ffeeddccbbaa", "ffeeddccbbag", "networks[1].cometbft.peers", "[networks.cometbft.peers]"),
        ("00112233445566778899aabbccddeeff00112233", "x", "networks[1].cometbft.observers", "40 hexadecimal digits"),
        ('engine = "cometbft"\nmember = "tainan"', 'engine = "embedded"', "networks[1].member", "the roster"),
        ("8eabd538", "8eabd539", "networks[0].witnesses.vkey", "name+id+key"),
        ("fd636d1a", "fd636d1b", "witness.logs", "name+id+key"),
        ("connections = 100", "connections = 7", "connections", "from 8 to 100000"),
    ],
)
def test_a_wrong_value_is_a_sentence(old: str, new: str, key: str, write: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        read(GOOD.replace(old, new))
    said = str(caught.value)
    assert str(FILE) in said
    assert key in said
    assert write in said


def test_a_misspelt_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"there is no key networks\[0\].membr; remove it"):
        read(GOOD.replace("member =", "membr ="))


def test_what_is_no_toml_is_told_with_its_line() -> None:
    with pytest.raises(ConfigError, match="line 1"):
        read("listen 5\n")


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tocsin node init"):
        load(tmp_path)
