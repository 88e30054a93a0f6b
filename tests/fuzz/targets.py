"""What is fuzzed with bytes: for each a function that says what must hold of any bytes, and good ones to begin with."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from tests.client.world import World
from tests.fuzz.living import START, Foreign, grown
from tocsin import charters
from tocsin.client.policy import PolicyError, decode_policy, encode_policy
from tocsin.client.verify import verify
from tocsin.kernel import acts as wire
from tocsin.kernel.envelope import Envelope, Refusal, decode, encode, unsigned
from tocsin.kernel.genesis import GenesisError, decode_genesis, genesis_problems
from tocsin.kernel.leaves import Recorded
from tocsin.kernel.reasons import Reason, sentence
from tocsin.tlog import NoteError, checkpoint, cosignature, note
from tocsin.tlog.checkpoint import CheckpointError


class Target(NamedTuple):
    """`check` fails or raises where something is wrong; `good`: bytes that are accepted."""

    check: Callable[[bytes], None]
    good: Callable[[], Sequence[bytes]]


@cache
def world() -> World:
    """A network with two records."""
    made = World()
    made.recorded()
    return made


@cache
def dossier() -> bytes:
    """A real one."""
    (message,) = {one.id for one in world().decoded if isinstance(one, Recorded)}
    return world().dossier(message)


def _is_sentence(error: Exception, end: str = "") -> None:
    assert len(str(error)) > 8
    assert str(error).endswith(end)


def _envelope(data: bytes) -> None:
    read = decode(data)
    if isinstance(read, Refusal):
        assert 100 <= read.reason < 200
        assert sentence(read.reason)
        return
    assert isinstance(read, Envelope)
    header = read.header
    again = unsigned(header.genesis, header.author, header.valid_until, read.acts)
    assert again.seal(read.key, read.signature) == data
    assert again.signed == read.signed


def _envelopes() -> list[bytes]:
    made = world()
    return [made.journal[0][0].data, made.journal[-1][0].data, made.envelope_of("annan", [wire.Present(1), wire.Leave()])]


def _leaf(data: bytes) -> None:
    """As a leaf that a peer's quorum signed, at the next number."""
    living = grown("paper")
    try:
        act = Foreign("up.example/u").relay([data])
    except UnicodeDecodeError:
        return
    made = living.envelope("beimen", [act])
    if made is not None:
        living.block([made])
        living.block([], 86_400_000)


def _leaves() -> list[bytes]:
    from tests.badinput.test_relayed import RIGHT

    living = grown("paper")
    return [encode(leaf(living)) for _, leaf in RIGHT.values()]


def _relay(data: bytes) -> None:
    """As a relay act: leaves, proofs and checkpoint as they come."""
    try:
        act = msgspec.json.decode(data, type=wire.RelayAct)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    living = grown("paper")
    before = dict(living.state.rows())
    made = living.envelope("beimen", [act])
    if made is not None:
        ((code,),) = living.block([made]).receipts
        assert code in set(Reason)
        if code:
            after = dict(living.state.rows())
            assert [key for key in before if key.startswith("peer:") and after[key] != before[key]] == []


def _relays() -> list[bytes]:
    return [encode(Foreign("up.example/u").relay(_leaves()[1:2])), encode(Foreign("down.example/d").relay(_leaves()[2:]))]


def _note(data: bytes) -> None:
    try:
        read = note.parse(data)
    except NoteError as error:
        _is_sentence(error)
        return
    assert note.format(read.text, read.signatures) == data
    try:
        head = checkpoint.parse(read.text)
    except CheckpointError as error:
        _is_sentence(error)
        return
    assert checkpoint.format(head) == read.text
    known = [cosignature.Cosigner(f"{world().origin}/annan", bytes.fromhex(world().finality["annan"].public_key))]
    try:
        cosignature.final_lines(read, known)
    except NoteError as error:
        _is_sentence(error)


def _dossier(data: bytes) -> None:
    report = verify(data, world().policy())
    assert report.lines
    assert all(line.text.isprintable() for line in report.lines)
    assert report.ok == (data == dossier())


def _genesis(data: bytes) -> None:
    try:
        genesis = decode_genesis(data)
    except GenesisError as error:
        _is_sentence(error, ".")
        return
    assert encode(genesis) == data
    assert genesis_problems(genesis) == []


def _charter(data: bytes) -> None:
    try:
        charter = charters.from_bytes(data)
    except charters.CharterError as error:
        _is_sentence(error, ".")
        return
    assert charters.from_bytes(charter.canonical) == charter


def _policy(data: bytes) -> None:
    try:
        policy = decode_policy(data)
    except PolicyError as error:
        _is_sentence(error)
        return
    assert encode_policy(policy).rstrip(b"\n") == data.removesuffix(b"\n")


TARGETS: dict[str, Target] = {
    "envelope": Target(_envelope, _envelopes),
    "leaf": Target(_leaf, _leaves),
    "relay": Target(_relay, _relays),
    "note": Target(_note, lambda: [world().checkpoint()]),
    "dossier": Target(_dossier, lambda: [dossier()]),
    "genesis": Target(_genesis, lambda: [encode(world().genesis)]),
    "charter": Target(_charter, lambda: [charters.load(name).canonical for name in ("paper", "figure-4")]),
    "policy": Target(_policy, lambda: [encode_policy(world().policy())]),
}

WORDS = (
    b"NaN", b"-Infinity", b"1e999", b"-0", b"0.1", b"9007199254740992", b"18446744073709551617", b"9" * 400,
    b"null", b"true", b'""', b"[]", b"{}", b"[" * 40, b'{"a":' * 40, b"\\ud800", b"\\u0000", b"\xff", b"\xc0\x80",
    b"\xed\xa0\x80", "\u202e".encode(), b"\n", b"\n\n", b" ", b"=", b"==", b"AA==", b"+", "\u2014 ".encode(), b"/../",
    b'"relayed.report.x"', b'"order.revoke"', b'"share.x"', b'"finding"', b'"leaf":"recorded"', b"-1", str(START).encode(),
)  # fmt: skip
"""What a byte alone would rarely make."""
