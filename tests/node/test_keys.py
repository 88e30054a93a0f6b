"""The keystore: what is written comes back, others cannot read it, and every mishap gets a sentence."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.client.signing import SeedSigner
from tocsin.node.keys import (
    PASSPHRASE_VARIABLE,
    DevKeys,
    KdfCost,
    KeyRole,
    Keystore,
    KeystoreError,
    read_passphrase,
)

NETWORK = "health.example/tw/tainan"
QUICK = KdfCost(1, 8192)
PHRASE = b"correct horse"


def keystore(count: int = 3) -> Keystore:
    made = Keystore()
    for index in range(count):
        made.add(NETWORK, f"m{index}", "act", DevKeys.derive(b"seed", NETWORK, f"m{index}", "act"))
    return made


def silent(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_encrypted_keys_come_back(path: Path) -> None:
    keystore().save(path, PHRASE, QUICK)
    again = Keystore.open(path, lambda: PHRASE, silent)
    assert again.entries() == keystore().entries()
    signer = again.signer(NETWORK, "m1", "act")
    assert signer.public_key == DevKeys.derive(b"seed", NETWORK, "m1", "act").public_key


def test_the_logs_own_key_comes_back(path: Path) -> None:
    made = Keystore()
    made.add(NETWORK, "", "log", DevKeys.derive(b"seed", NETWORK, "", "log"))
    made.save(path, PHRASE, QUICK)
    assert Keystore.open(path, lambda: PHRASE, silent).entries() == made.entries()


def test_an_encrypted_file_shows_no_secret_and_no_name(path: Path) -> None:
    keystore().save(path, PHRASE, QUICK)
    data = path.read_bytes()
    assert json.loads(data)["plain"] is False
    for key in keystore().entries():
        assert key.seed.encode() not in data
        assert bytes.fromhex(key.seed) not in data
        assert NETWORK.encode() not in data


def test_a_plain_file_says_so_at_every_opening(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keystore().save_plain(path)
    assert "IN PLAIN TEXT" in capsys.readouterr().err
    assert json.loads(path.read_bytes())["plain"] is True
    for _ in range(2):
        assert Keystore.open(path).entries() == keystore().entries()
        assert "3 private keys IN PLAIN TEXT" in capsys.readouterr().err


def test_only_the_owner_may_read(path: Path) -> None:
    keystore().save(path, PHRASE, QUICK)
    assert path.stat().st_mode & 0o777 == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(KeystoreError, match="chmod 600"):
            Keystore.open(path, lambda: PHRASE)


def test_a_wrong_passphrase_is_named(path: Path) -> None:
    keystore().save(path, PHRASE, QUICK)
    with pytest.raises(KeystoreError, match=r"passphrase of .* is wrong"):
        Keystore.open(path, lambda: b"wrong horse")
    with pytest.raises(KeystoreError, match="is encrypted; give its passphrase"):
        Keystore.open(path)


@pytest.mark.parametrize("plain", [True, False])
def test_no_cut_or_changed_file_opens_as_another(path: Path, plain: bool) -> None:
    if plain:
        keystore().save_plain(path, lambda _: None)
    else:
        keystore().save(path, PHRASE, QUICK)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(KeystoreError):
            Keystore.open(path, lambda: PHRASE, lambda _: None)
    for position in range(0, len(whole), 11):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 4]) + whole[position + 1 :])
        try:
            again = Keystore.open(path, lambda: PHRASE, lambda _: None)
            signers = [again.signer(key.network, key.member, key.role) for key in again.entries()]
        except KeystoreError:
            continue
        # A plain file protects nothing but what a signer is made of: seed and public key still belong together.
        assert plain
        assert [one.public_key for one in signers] == [key.public for key in again.entries()]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no keystore"),
        (b"\xff\xfe", "no keystore"),
        (b"[" * 200_000, "no keystore"),
        (b'{"format":"tocsin-keystore/2","plain":true,"kdf":null,"box":null,"keys":[]}', "no keystore"),
        (b'{"format":"tocsin-keystore/1","plain":true,"kdf":null,"box":null,"keys":null}', "not built so"),
        (b'{"format":"tocsin-keystore/1","plain":false,"kdf":null,"box":null,"keys":[]}', "not built so"),
        (
            b'{"format":"tocsin-keystore/1","plain":false,"kdf":{"name":"argon2id","passes":1,"memory":999999999999,'
            b'"salt":"00000000000000000000000000000000"},"box":"","keys":null}',
            "no keystore",
        ),
    ],
)
def test_foreign_files_get_a_sentence(path: Path, content: bytes, sentence: str) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeystoreError, match=sentence):
        Keystore.open(path, lambda: PHRASE)


def test_missing_files_and_folders_get_a_sentence(path: Path) -> None:
    with pytest.raises(KeystoreError, match="cannot be read: No such file"):
        Keystore.open(path)
    with pytest.raises(KeystoreError, match="cannot be read: Is a directory"):
        Keystore.open(path.parent)
    with pytest.raises(KeystoreError, match="cannot be written: No such file"):
        keystore().save(path.parent / "nowhere" / "keys.json", PHRASE, QUICK)


def test_a_failed_write_leaves_the_old_keys(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore().save(path, PHRASE, QUICK)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeystoreError, match="No space left on device; the keys are not saved"):
        keystore(5).save(path, PHRASE, QUICK)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["keys.json"]


def test_each_place_has_one_key(path: Path) -> None:
    made = keystore()
    with pytest.raises(KeystoreError, match="two act keys of m1"):
        made.add(NETWORK, "m1", "act", SeedSigner.generate())
    with pytest.raises(KeystoreError, match="no finality key of m1"):
        made.signer(NETWORK, "m1", "finality")
    new = SeedSigner.generate()
    made.replace(NETWORK, "m1", "act", new)
    assert made.signer(NETWORK, "m1", "act").public_key == new.public_key


def test_a_secret_that_is_not_its_keys_is_noticed(path: Path) -> None:
    keystore().save_plain(path, lambda _: None)
    file = json.loads(path.read_bytes())
    file["keys"][1]["seed"] = "11" * 32
    path.write_text(json.dumps(file))
    opened = Keystore.open(path, warn=lambda _: None)
    with pytest.raises(KeystoreError, match="secret belongs to another"):
        opened.signer(NETWORK, "m1", "act")


def test_secrets_do_not_show_in_print() -> None:
    key = keystore().entries()[0]
    signer = keystore().signer(NETWORK, "m0", "act")
    assert key.seed not in repr(key) + repr(keystore()) + repr(signer)


def test_dev_keys_are_the_same_everywhere_and_distinct_by_place() -> None:
    assert DevKeys.derive(b"demo", NETWORK, "n1", "act").public_key == (
        "987905bd28fefac2e383429e6702938e06015545f80bb78e141bc7b183bb94cc"
    )
    roles: list[KeyRole] = ["root", "act", "finality", "validator", "log"]
    places = [
        (seed, network, member, role)
        for seed in (b"a", b"b")
        for network, member in ((NETWORK, "n1"), (NETWORK, "n11"), (NETWORK + "n1", "1"), ("x", ""))
        for role in roles
    ]
    assert len({DevKeys.derive(*place).public_key for place in places}) == len(places)
    with pytest.raises(KeystoreError, match="no key role 'king'"):
        DevKeys.derive(b"a", NETWORK, "n1", "king")  # type: ignore[arg-type]


def test_passphrase_from_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "not this one")
    file = tmp_path / "phrase"
    file.write_bytes(b" with spaces \n")
    file.chmod(0o600)
    assert read_passphrase(file) == b" with spaces "
    file.chmod(0o644)
    with pytest.raises(KeystoreError, match="chmod 600"):
        read_passphrase(file)
    file.chmod(0o600)
    for content in (b"", b"\n", b"x" * 5000):
        file.write_bytes(content)
        with pytest.raises(KeystoreError, match=r"has 1 to 4096 bytes|larger than"):
            read_passphrase(file)


def test_passphrase_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, "pässword")
    assert read_passphrase() == "pässword".encode()
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    with pytest.raises(KeystoreError, match="No passphrase: name a file"):
        read_passphrase()


@pytest.mark.parametrize(("second", "expected"), [("hunter2", "b'hunter2'"), ("hunter3", "differ")])
def test_passphrase_from_a_terminal_is_not_echoed(second: str, expected: str) -> None:
    program = (
        "from tocsin.node.keys import *\n"
        "try: print(read_passphrase(prompt='Passphrase: ', confirm=True))\n"
        "except KeystoreError as error: print(error)"
    )
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != PASSPHRASE_VARIABLE}
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs,
        env=environment, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    for prompt, typed in ((b"Passphrase: ", "hunter2"), (b"Again: ", second)):
        while prompt not in seen:
            seen += os.read(ours, 1024)
        os.write(ours, typed.encode() + b"\n")
    printed, _ = child.communicate(timeout=300)
    os.close(ours)
    assert expected in printed.decode()
    assert b"hunter" not in seen
