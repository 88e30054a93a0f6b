"""Bad files: each gets a sentence that says what is wrong and where, and nothing is written (spec 14).

What the tests of charters, keystores, policies and dossiers have already is not repeated here.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.world import World as Client
from tests.store.world import World
from tocsin import charters
from tocsin.client.policy import PolicyError, decode_policy, encode_policy
from tocsin.client.signing import SeedSigner
from tocsin.client.verify import verify
from tocsin.kernel.genesis import MAX_GENESIS, GenesisError, decode_genesis
from tocsin.node.keys import Keystore, KeystoreError
from tocsin.store.store import Store

GENESIS = World().genesis_bytes
IDENTITY = "01" + "00" * 31
"""The neutral element: a key of order 1, for which anybody can sign."""


def changed(old: bytes, new: bytes, data: bytes = GENESIS) -> bytes:
    made = data.replace(old, new, 1)
    assert made != data
    return made


def members(edit: Callable[[list[dict[str, object]]], object]) -> bytes:
    genesis = json.loads(GENESIS)
    edit(genesis["members"])
    return json.dumps(genesis, separators=(",", ":")).encode()


def first_key(keys: dict[str, object], role: str, value: object) -> None:
    keys[role] = value


GENESES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "cannot be read: Input data was truncated"),
    "cut": (lambda: GENESIS[:-1], "cannot be read: Input data was truncated"),
    "oversized": (lambda: b" " * (MAX_GENESIS + 1), f"larger than {MAX_GENESIS} bytes"),
    "deep": (lambda: changed(b'"charter":', b'"charter":' + b"[" * 50_000), "cannot be read"),
    "wrong UTF-8": (lambda: changed(b"agency", b"agenc\xff"), "cannot be read"),
    "NaN": (lambda: changed(b'"protocol":1', b'"protocol":NaN'), "cannot be read"),
    "Infinity": (lambda: changed(b'"created":', b'"created":Infinity,"x":'), "cannot be read"),
    "2^53": (lambda: changed(b'"created":1700000000000', b'"created":9007199254740992'), "$.created"),
    "beyond 64 bits": (lambda: changed(b'"created":1700000000000', b'"created":18446744073709551617'), "$.created"),
    "a key twice": (lambda: changed(b'{"protocol":1', b'{"protocol":1,"protocol":1'), "not canonical"),
    "white space": (lambda: changed(b'"protocol":1', b'"protocol": 1'), "not canonical"),
    "a final newline": (lambda: GENESIS + b"\n", "not canonical"),
    "an escape": (lambda: changed(b'"agency:', b'"\\u0061gency:'), "not canonical"),
    "an unknown field": (lambda: changed(b'{"protocol":1', b'{"protocol":1,"peers":[]'), "unknown field `peers`"),
    "a missing field": (lambda: changed(b'"protocol":1,', b""), "missing required field `protocol`"),
    "another protocol": (lambda: changed(b'"protocol":1', b'"protocol":2'), "$.protocol"),
    "an origin with a space": (lambda: changed(b"tw/tainan", b"tw/ tainan"), "$.origin"),
    "an origin with a plus": (lambda: changed(b"tw/tainan", b"tw+tainan"), "$.origin"),
    "no members": (lambda: members(lambda all: all.clear()), "$.members"),
    "members out of order": (lambda: members(lambda all: all.reverse()), "not sorted by id"),
    "a member twice": (lambda: members(lambda all: all.insert(0, all[0])), "stands twice"),
    "an entity twice": (lambda: members(lambda all: all[0].update(entity=all[1]["entity"])), "One legal entity"),
    "a key of another": (
        lambda: members(lambda all: all[0]["keys"].update(act=all[1]["keys"]["act"])), "A key stands twice",  # type: ignore[attr-defined,index]
    ),
    "roles out of order": (lambda: members(lambda all: all[0]["roles"].reverse()), "roles of bureau are not sorted"),  # type: ignore[attr-defined]
    "a key of 31 bytes": (
        lambda: members(lambda all: all[0]["keys"].update(act="ab" * 31)), "$.members[0].keys.act",  # type: ignore[attr-defined]
    ),
    "a weak key of a member": (
        lambda: members(lambda all: all[0]["keys"].update(act=IDENTITY)), "weak key",  # type: ignore[attr-defined]
    ),
    "a weak key of the log": (
        lambda: json.dumps({**json.loads(GENESIS), "log_key": IDENTITY}, separators=(",", ":")).encode(), "weak key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", GENESES)
def test_no_genesis(what: str, tmp_path: Path) -> None:
    make, sentence = GENESES[what]
    data = make()
    with pytest.raises(GenesisError) as refused:
        decode_genesis(data)
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")
    with Store.open(tmp_path / "node.db") as store:
        with pytest.raises(GenesisError):
            store.create_network(data, World().founding_bytes)
        assert store.networks() == []


PAPER = charters.load("paper").canonical


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (PAPER[:-1], "Line 1"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":Infinity', 1), "`Infinity` is no whole number"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":-Infinity', 1), "`-Infinity` is no whole number"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":9007199254740992', 1), "window_s"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":18446744073709551617', 1), "window_s"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":-1', 1), "window_s"),
        (PAPER.replace(b'"window_s":86400', b'"window_s":86400,"window_s":86400', 1), "'window_s' stands twice"),
        (PAPER.replace(b'"report.*"', b'"*"', 1), "rules"),
        (PAPER.replace(b'"issuers":["reporter"]', b'"issuers":["minister"]', 1), "issuers"),
    ],
)
def test_no_charter(data: bytes, sentence: str) -> None:
    assert data != PAPER
    with pytest.raises(charters.CharterError) as refused:
        charters.from_bytes(data)
    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"role":"act"', b'"role":"king"'),
        (b'"role":"act"', b'"role":"act","role":"act","x":1'),
        (b'"seed":"', b'"seed":"zz'),
        (b'"plain":true', b'"plain":NaN'),
        (b'"network":"', b'"network":"\xff'),
        (b'"keys":[', b'"keys":[[[[['),
    ],
)
def test_no_keystore(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    store = Keystore()
    store.add("health.example/tw", "annan", "act", SeedSigner(bytes(32)))
    store.save_plain(path, lambda _: None)
    data = changed(old, new, path.read_bytes())
    path.write_bytes(data)
    with pytest.raises(KeystoreError, match=r"is no keystore, or was cut off or changed .*; restore it"):
        Keystore.open(path, warn=lambda _: None)
    assert path.read_bytes() == data


def test_a_keystore_with_a_place_twice(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    store = Keystore()
    store.add("health.example/tw", "annan", "act", SeedSigner(bytes(32)))
    store.save_plain(path, lambda _: None)
    file = json.loads(path.read_bytes())
    file["keys"] *= 2
    path.write_text(json.dumps(file))
    with pytest.raises(KeystoreError, match="two act keys of annan"):
        Keystore.open(path, warn=lambda _: None)


POLICY = encode_policy(Client().policy())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (POLICY[:-2], "truncated"),
        (POLICY.replace(b'"epoch":1', b'"epoch":NaN'), "malformed"),
        (POLICY.replace(b'"epoch":1', b'"epoch":9007199254740992'), "$.epoch"),
        (POLICY.replace(b'"epoch":1', b'"epoch":18446744073709551617'), "$.epoch"),
        (POLICY.replace(b'"epoch":1', b'"epoch":1,"trust":"all"'), "unknown field `trust`"),
        (POLICY.replace(b'"epoch":1,', b""), "missing required field `epoch`"),
        (POLICY.replace(b'"annan"', b'"anna\\u006e"', 1), "not canonical"),
        (POLICY.replace(b'"annan"', b'"anna\xff"', 1), "utf-8"),
    ],
)
def test_no_policy(data: bytes, sentence: str) -> None:
    assert data != POLICY
    with pytest.raises(PolicyError) as refused:
        decode_policy(data)
    assert sentence in str(refused.value)


@pytest.fixture(scope="module")
def dossier() -> tuple[Client, bytes]:
    world = Client()
    data = world.dossier(world.recorded())
    assert verify(data, world.policy()).ok
    return world, data


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b'"leaves":[', b'"leaves":[NaN,', "malformed"),
        (b'"leaves":[{"index":0', b'"leaves":[{"index":18446744073709551617', "$.leaves[0].index"),
        (b'"leaves":[{"index":0', b'"leaves":[{"index":9007199254740992', "$.leaves[0].index"),
        (b'"leaves":[{"index":0', b'"leaves":[{"index":-1', "$.leaves[0].index"),
        (b'"leaves":[{"index":0', b'"leaves":[{"index":0,"index":0', "canonical"),
        (b'"leaves":[{"index":0', b'"leaves":[{"index": 0', "canonical"),
        (b'"leaves":[', b'"leaves":[' + b"[" * 100_000, ""),
        (b'"bodies":[]', b'"bodies":[],"note":"trust me"', "unknown field `note`"),
        (b'"bodies":[]', b'"bodies":null', "$.bodies"),
        (b',"bodies":[]', b"", "missing required field `bodies`"),
        (b'"genesis":"', b'"genesis":"\xff', "utf-8"),
        (b"tocsin-dossier/1", b"tocsin-dossier/2", "$.format"),
    ],
)
def test_no_dossier(old: bytes, new: bytes, sentence: str, dossier: tuple[Client, bytes]) -> None:
    world, data = dossier
    report = verify(changed(old, new, data), world.policy())
    assert not report.ok
    assert len(report.lines) == 1, "nothing of it is believed"
    assert sentence.lower() in report.lines[0].text.lower()
    assert report.lines[0].text
