"""Witnesses: a foreign one cosigns our log, ours answers as the foreign one does, and neither signs two histories."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.foreign import toolchain
from tests.node import litewitness
from tests.node.net import Nodes, until
from tocsin.client.signing import SeedSigner, sign_checkpoint, verify_signature
from tocsin.kernel.acts import Present
from tocsin.node.finality.witness import Answer, Witness
from tocsin.node.home.config import Config, WitnessDuty, WitnessUse
from tocsin.node.home.places import signed_heads
from tocsin.node.trial import testnet
from tocsin.node.web.remote import call, log_id
from tocsin.store.watermark import Watermark
from tocsin.tlog import Checkpoint, Cosigner, VerifierKey, checkpoint, cosignature, leaf_hash, merkle, note
from tocsin.tlog.note import ED25519, encode_base64

ORIGIN = "testnet.example/1-1"
ONE, TWO = "1-1-a1", "1-1-a2"
LOG = "log.example/x"
KEY = SeedSigner(b"\x01" * 32)
VKEY = VerifierKey(LOG, ED25519, bytes.fromhex(KEY.public_key))
LEAVES = [leaf_hash(bytes([place])) for place in range(9)]


def program() -> Path:
    try:
        return litewitness.build()
    except toolchain.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    with Watermark.open(tmp_path / "heads", create=True) as mark:
        yield Witness("witness.example/w", SeedSigner(b"\x0a" * 32), {LOG: VKEY}, mark, lambda: 1_700_000_000)


def head(size: int, fork: bytes = b"") -> Checkpoint:
    leaves = LEAVES[:size]
    if fork and size:
        leaves = [*leaves[:-1], leaf_hash(fork)]
    return Checkpoint(LOG, size, merkle.tree_root(leaves))


def request(old: int, new: Checkpoint, *, signer: SeedSigner = KEY, proof: bool = True) -> bytes:
    def read(height: int, index: int) -> bytes:
        return merkle.subtree_hash(LEAVES[index << height : (index + 1) << height])

    hashes = merkle.consistency_proof(old, new.size, read) if proof and 0 < old < new.size else ()
    line = sign_checkpoint(signer, new)
    top = f"old {old}\n" + "".join(f"{encode_base64(one)}\n" for one in hashes)
    return f"{top}\n".encode() + note.format(checkpoint.format(new), [line])


def empty(root: bytes, *, old: int = 0, signer: SeedSigner = KEY) -> bytes:
    """A request to cosign an empty log, whatever its root; our own writer refuses a wrong one."""
    text = f"{LOG}\n0\n{encode_base64(root)}\n"
    line = note.sign_line(VKEY, signer.sign(text.encode()))
    return f"old {old}\n\n".encode() + note.format(text, [line])


def cosigned(witness: Witness, answer: Answer, new: Checkpoint) -> bool:
    """Whether the answer is the witness's line on this head."""
    assert answer.status == 200, answer
    text = checkpoint.format(new)
    cosigner = Cosigner(witness.vkey.name, witness.vkey.key)
    (line,) = cosignature.final_lines(note.parse(text.encode() + b"\n" + answer.body), [cosigner])
    return verify_signature(*line[:3])


def test_a_growing_log_is_cosigned_step_by_step(witness: Witness) -> None:
    for old, new in ((0, 1), (1, 3), (3, 3), (3, 8), (8, 9)):
        assert cosigned(witness, witness.add_checkpoint(request(old, head(new))), head(new))
        latest = witness.latest(log_id(LOG))
        assert latest is not None
        assert checkpoint.parse(note.parse(latest).text) == head(new)


def test_two_histories_are_never_cosigned(witness: Witness) -> None:
    assert witness.add_checkpoint(request(0, head(5))).status == 200
    for old, new in ((5, head(5, b"fork")), (5, head(7, b"fork")), (5, head(7)._replace(root=b"\x05" * 32))):
        assert witness.add_checkpoint(request(old, new)).status == 422
    assert witness.add_checkpoint(request(0, head(5, b"fork"))) == Answer(409, b"5\n")
    assert witness.add_checkpoint(empty(b"\x05" * 32)) == Answer(409, b"5\n")


def test_an_empty_log_is_cosigned(witness: Witness) -> None:
    assert cosigned(witness, witness.add_checkpoint(empty(merkle.EMPTY_ROOT)), head(0))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (b"old 1\n\nx\n", 400),
        (request(0, head(1)).replace(b"old 0", b"old 00"), 400),
        (request(0, head(1)).replace(b"old 0", b"old -1"), 400),
        (request(0, head(1)).replace(b"old 0\n", b"old 0\nAA==\n"), 400),
        (request(0, head(1)).replace(b"old 0\n", b"old 0\n" + 64 * (encode_base64(bytes(32)) + "\n").encode()), 400),
        (request(0, head(1)).replace(b"old 0\n", b"old 0\n" + (encode_base64(bytes(32)) + "\n").encode()), 422),
        (request(0, head(1)).replace(b"old 0", b"old 2"), 400),
        (request(0, head(1)).replace(LOG.encode(), b"log.example/y"), 404),
        (request(0, head(1), signer=SeedSigner(b"\x02" * 32)), 403),
        (request(0, head(1)).replace(b"\n1\n", b"\n2\n"), 403),
        (request(1, head(1)), 409),
        (empty(b"\x05" * 32), 422),
        (empty(b"\x05" * 31), 400),
        (empty(b"\x05" * 32, old=1), 400),
        (empty(b"\x05" * 32, signer=SeedSigner(b"\x02" * 32)), 403),
    ],
)
def test_what_is_wrong_is_refused_with_its_status(witness: Witness, data: bytes, status: int) -> None:
    assert witness.add_checkpoint(data).status == status
    assert witness.latest(log_id(LOG)) is None


def test_what_was_cosigned_is_known_after_a_restart(tmp_path: Path) -> None:
    for old, new, status in ((0, 4, 200), (0, 5, 409), (4, 5, 200)):
        with Watermark.open(tmp_path / "heads", create=True) as mark:
            made = Witness("witness.example/w", SeedSigner(b"\x0a" * 32), {LOG: VKEY}, mark, lambda: 1)
            assert made.add_checkpoint(request(old, head(new))).status == status


def test_it_answers_as_litewitness_does(tmp_path: Path) -> None:
    """Every request of the foreign witness's own test, with the status that it gives there."""
    try:
        text = litewitness.transcript()
    except toolchain.Missing as missing:
        pytest.skip(str(missing))
    key = re.search(r"add-sigsum-log -key=([0-9a-f]{64})", text)
    exchanges = re.findall(r"/add-checkpoint\n```\n(.*?)```\nHTTP (\d+)\n(?:\[Asserts\]\n(.*?)\n)?", text, re.DOTALL)
    assert key is not None
    assert len(exchanges) == 9
    origin = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
    log = VerifierKey(origin, ED25519, bytes.fromhex(key.group(1)))
    with Watermark.open(tmp_path / "heads", create=True) as mark:
        ours = Witness("example.com/witness", SeedSigner(b"\x0a" * 32), {origin: log}, mark, lambda: 1)
        for body, status, told in exchanges:
            answer = ours.add_checkpoint(body.encode())
            # Its broken signature has bits that base64 does not use; Go reads over them, we do not (C2SP: canonical).
            wanted = 400 if b"not canonical base64" in answer.body else int(status)
            assert answer.status == wanted, (body, answer)
            if status == "409":
                assert f'body == "{answer.body.decode().strip()}\\n"' == told
            if status == "200":
                assert answer.body.startswith("\u2014 example.com/witness ".encode())


def test_a_foreign_witness_cosigns_what_is_final(tmp_path: Path) -> None:
    foreign = litewitness.Litewitness(program(), tmp_path / "witness")
    use = [WitnessUse(foreign.url, str(foreign.vkey))]

    def change(name: str, config: Config) -> Config:
        networks = [msgspec.structs.replace(one, witnesses=use) for one in config.networks]
        return msgspec.structs.replace(config, networks=networks) if name == ONE else config

    nodes = Nodes(tmp_path / "nodes", testnet.shape(3, [1]), change)
    nodes.start()
    # It does not know the log at first; we ask on.
    live = nodes.live(ONE, ORIGIN)
    until(lambda: "404" in live.witnessing.errors.get(litewitness.NAME, ""))
    foreign.know(nodes.policy(ORIGIN).log)
    for day in (1, 2):
        nodes.act(ONE, ORIGIN, ONE, Present(day))
        until(lambda: foreign_line(nodes, foreign))
    # Another node of the network asks the same witness, and learns where it stands.
    nodes.stop(ONE)
    nodes.start(ONE)
    until(lambda: foreign_line(nodes, foreign))
    nodes.close()
    foreign.close()


def foreign_line(nodes: Nodes, foreign: litewitness.Litewitness) -> bool:
    """Whether the newest final checkpoint bears the foreign witness's line, which verifies."""
    size = nodes.live(ONE, ORIGIN).records.durable[1]
    data = nodes.remote(ONE, ORIGIN).checkpoint()
    if data is None:
        return False
    parsed = note.parse(data)
    lines = cosignature.final_lines(parsed, [Cosigner(foreign.vkey.name, foreign.vkey.key)])
    assert all(verify_signature(*line[:3]) for line in lines)
    return bool(lines) and checkpoint.parse(parsed.text).size == size


def test_one_node_witnesses_the_log_of_another_tree(tmp_path: Path) -> None:
    """Our witness and our client of witnesses, over HTTP."""
    name, key = "witness.example/ours", SeedSigner.generate()
    watched = Nodes(tmp_path / "watched", testnet.shape(2, [1]))
    log = VerifierKey(ORIGIN, ED25519, bytes.fromhex(watched.keys.signer(ORIGIN, "", "log").public_key))

    def duty(who: str, config: Config) -> Config:
        return msgspec.structs.replace(config, witness=WitnessDuty(name, [str(log)])) if who == ONE else config

    watching = Nodes(tmp_path / "watching", testnet.shape(2, [1], "watching.example"), duty)
    keystore = watching.folder / ONE / "keys.json"
    keys = type(watching.keys).open(keystore, warn=lambda _: None)
    keys.add(name, "", "finality", key)
    keys.save_plain(keystore, lambda _: None)
    Watermark.open(signed_heads(watching.folder / ONE / "signed-heads", name), create=True).close()
    watching.start()
    vkey = watching.running[ONE].witness.vkey  # type: ignore[union-attr]
    url = f"{watching.tree.node(ONE).url}/witness"

    def use(who: str, config: Config) -> Config:
        networks = [msgspec.structs.replace(one, witnesses=[WitnessUse(url, str(vkey))]) for one in config.networks]
        return msgspec.structs.replace(config, networks=networks)

    watched.change = use
    watched.start()
    watched.act(ONE, ORIGIN, ONE, Present(1))
    size = watched.live(ONE, ORIGIN).records.durable[1]

    def latest() -> int:
        status, data = call(watched.client, "GET", f"{url}/{log_id(ORIGIN)}/checkpoint", 10_000)
        return checkpoint.parse(note.parse(data).text).size if status == 200 else 0

    until(lambda: latest() == size)
    watched.live(TWO, ORIGIN)
    until(lambda: name in (watched.remote(TWO, ORIGIN).checkpoint() or b"").decode())
    watched.close()
    watching.close()
