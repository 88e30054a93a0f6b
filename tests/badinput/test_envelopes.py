"""Bad bytes in an envelope's place: each gets its numbered reason with a place, and nothing changes (spec 14)."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from hashlib import sha512
from pathlib import Path

import msgspec
import nacl.bindings as sodium
import pytest
from msgspec import Raw

from tests.store.world import CREATED, World, signer
from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.engine.port import Receipt
from tocsin.engine.signatures import Verifier
from tocsin.kernel.acts import Present, RelayAct, RelayedLeaf
from tocsin.kernel.digest import acts_digest, digest, message_id
from tocsin.kernel.envelope import MAX_ENVELOPE, MAX_RELAY_ENVELOPE, Envelope, Refusal, decode, encode, unsigned
from tocsin.kernel.reasons import Reason, sentence
from tocsin.store.store import Store

NOW = CREATED + 1000
L = 2**252 + 27742317777372353535851937790883648493
"""Order of the group of Ed25519."""
SMALL_ORDER = (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f")
"""Keys of order 4, 1 and 2."""
AUTHOR = "district-00"

world = World()
good = world.report(AUTHOR, NOW)


class Node:
    """A network on a running engine, and all of it that could change."""

    def __init__(self, path: Path) -> None:
        self._verifier = Verifier(1)
        self._path = path
        self.store = Store.open(path)
        self.network = self.store.create_network(world.genesis_bytes, world.founding_bytes)
        self.engine = EmbeddedEngine(self.network, lambda: NOW, self._verifier)

    def everything(self) -> object:
        """State rows, blocks and file of the store."""
        (info,) = self.store.networks()
        blocks = [msgspec.to_builtins(tuple(block)) for block in self.network.blocks()]
        return info, self.network.load_state().rows(), blocks

    def answer(self, data: bytes) -> Refusal | Receipt:
        """What came of some bytes."""
        said = self.engine.submit(data)
        return said if isinstance(said, Refusal) else said.result(20.0)

    def refuses(self, data: bytes, reason: Reason) -> str:
        """Nothing changes, the reason has a sentence; the detail says where."""
        before = self.everything()
        said = self.answer(data)
        assert isinstance(said, Refusal), said
        assert said.reason is reason, said
        assert sentence(said.reason).endswith(".")
        assert self.everything() == before
        return said.detail

    def close(self) -> None:
        self.engine.stop()
        self._verifier.close()
        self.store.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("badinput") / "node.db")
    yield made
    made.close()


def wrapped(
    payload: bytes | None = None, acts: list[bytes] | None = None, signature: bytes | None = None, key: str | None = None
) -> bytes:
    """The good envelope with some part exchanged, wrapped as canonically as that allows."""
    parts = msgspec.json.decode(good.data, type=dict[str, Raw])
    if payload is not None:
        parts["payload"] = Raw(encode(b64encode(payload).decode()))
    if acts is not None:
        parts["acts"] = Raw(b"[" + b",".join(acts) + b"]")
    line = {"keyid": key or good.key, "sig": b64encode(signature or good.signature).decode()}
    parts["signatures"] = Raw(encode([line]))
    return encode(parts)


def header(old: bytes, new: bytes) -> bytes:
    """With the signed header changed, and signed again."""
    payload = b64decode(msgspec.json.decode(good.data)["payload"])
    changed = payload.replace(old, new)
    assert changed != payload
    pae = good.signed[: -len(payload)].rsplit(b" ", 2)[0] + f" {len(changed)} ".encode() + changed
    return wrapped(payload=changed, signature=signer(world.origin, AUTHOR, "act").sign(pae))


def act(old: bytes, new: bytes) -> bytes:
    """With the act changed, signed over the digest of the changed bytes."""
    data = encode(good.acts[0])
    changed = data.replace(old, new, 1)
    assert changed != data
    over = acts_digest([bytes.fromhex(digest(b"act", changed))])
    resigned = header(good.header.digest.encode(), over.encode())
    return resigned.replace(data, changed)


def wrapper(old: bytes, new: bytes) -> bytes:
    """With the wrapper changed."""
    changed = good.data.replace(old, new, 1)
    assert changed != good.data
    return changed


def deep(levels: int) -> bytes:
    return act(b'"terms":null', b'"terms":' + b"[" * levels + b"]" * levels)


def padded_relay(size: int, *more: Present) -> bytes:
    """A relay, and perhaps something beside it, of so many bytes."""

    def filled(fill: int) -> bytes:
        texts = ["x" * max(0, min(50_000, fill - 50_000 * place)) for place in range(3)]
        relay = RelayAct("up.example", texts[0], [], None, [RelayedLeaf(0, text, []) for text in texts[1:]])
        draft = unsigned(world.identity, AUTHOR, NOW + 600_000, [relay, *more])
        return draft.seal(good.key, signer(world.origin, AUTHOR, "act").sign(draft.signed))

    data = filled(size - len(filled(0)))
    assert len(data) == size
    return data


SIG = b64encode(good.signature)


def loose_bits(text: bytes) -> bytes:
    """Base64 of the same bytes with other bits behind their end."""
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    place = len(text.rstrip(b"=")) - 1
    other = bytes([alphabet[alphabet.index(text[place]) ^ 1]])
    changed = text[:place] + other + text[place + 1 :]
    assert b64decode(changed) == b64decode(text)
    return changed


CASES: dict[str, tuple[Callable[[], bytes], Reason, str]] = {
    "nothing": (lambda: b"", Reason.NOT_JSON, "truncated"),
    "cut in half": (lambda: good.data[: len(good.data) // 2], Reason.NOT_JSON, "truncated"),
    "without its last byte": (lambda: good.data[:-1], Reason.NOT_JSON, "truncated"),
    "one byte more": (lambda: good.data + b"\n", Reason.NOT_CANONICAL, "wrapper"),
    "two envelopes": (lambda: good.data * 2, Reason.NOT_JSON, "trailing"),
    "over 128 KiB": (lambda: b"x" * (MAX_RELAY_ENVELOPE + 1), Reason.TOO_LARGE, "131073 bytes"),
    "a relay over 128 KiB": (lambda: padded_relay(MAX_RELAY_ENVELOPE + 1), Reason.TOO_LARGE, "131073 bytes"),
    "over 64 KiB with a relay and more": (
        lambda: padded_relay(MAX_ENVELOPE + 1, Present(1)), Reason.TOO_LARGE, "65537 bytes",
    ),
    "deep brackets": (lambda: b"[" * 100_000, Reason.WRONG_SHAPE, "got `array`"),
    "deep brackets as acts": (lambda: wrapper(b'"acts":[', b'"acts":[' + b"[" * 100_000), Reason.TOO_DEEP, ""),
    "an act of 17 levels": (lambda: deep(16), Reason.TOO_DEEP, "act 0"),
    "a list as terms": (lambda: deep(2), Reason.WRONG_SHAPE, "act 0: "),
    "wrong UTF-8": (lambda: b"\xff" * 9, Reason.NOT_UTF8, "byte 0"),
    "wrong UTF-8 in the wrapper": (lambda: wrapper(b"DSSE" if b"DSSE" in good.data else b"vnd", b"v\xc3\x28"),
                                   Reason.NOT_UTF8, "byte "),
    "wrong UTF-8 in the header": (lambda: header(b'"district', b'"\xffistrict'), Reason.NOT_UTF8, "payload: byte "),
    "wrong UTF-8 in an act": (lambda: act(b"icd11", b"icd\xff1"), Reason.NOT_UTF8, ""),
    "half a surrogate in an act": (lambda: act(b"icd11", b"\\ud800cd11"), Reason.NOT_JSON, "hex escape"),
    "a key twice in the wrapper": (lambda: wrapper(b'{"payload"', b'{"acts":[],"payload"'), Reason.NOT_CANONICAL, "wrapper"),
    "a key twice in the header": (lambda: header(b'{"v":1', b'{"v":1,"v":1'), Reason.NOT_CANONICAL, "payload"),
    "a key twice in an act": (lambda: act(b'"severity":1', b'"severity":2,"severity":1'), Reason.NOT_CANONICAL, "act 0"),
    "NaN": (lambda: act(b'"severity":1', b'"severity":NaN'), Reason.NOT_JSON, ""),
    "Infinity": (lambda: act(b'"severity":1', b'"severity":Infinity'), Reason.NOT_JSON, ""),
    "minus Infinity in the header": (lambda: header(b'"acts":1', b'"acts":-Infinity'), Reason.NOT_JSON, "payload"),
    "a fraction": (lambda: act(b'"severity":1', b'"severity":1.5'), Reason.WRONG_SHAPE, "$.subject.severity"),
    "a whole number as a fraction": (lambda: act(b'"severity":1', b'"severity":1.0'), Reason.WRONG_SHAPE, "severity"),
    "an exponent": (lambda: act(b'"severity":1', b'"severity":1e0'), Reason.WRONG_SHAPE, "severity"),
    "minus zero": (lambda: act(b'"severity":1', b'"severity":-0'), Reason.NOT_CANONICAL, "act 0"),
    "a number in quotes": (lambda: act(b'"severity":1', b'"severity":"1"'), Reason.WRONG_SHAPE, "severity"),
    "2^53": (lambda: header(b'"valid_until":17000006', b'"valid_until":90071992547409926'), Reason.WRONG_SHAPE, "valid_until"),
    "2^53 in an act": (lambda: act(b'"severity":1', b'"severity":9007199254740992'), Reason.WRONG_SHAPE, "severity"),
    "beyond 64 bits": (lambda: act(b'"severity":1', b'"severity":18446744073709551617'), Reason.WRONG_SHAPE, "severity"),
    "far beyond 64 bits": (lambda: act(b'"severity":1', b'"severity":' + b"9" * 5000), Reason.WRONG_SHAPE, ""),
    "white space in the wrapper": (lambda: wrapper(b'{"payload":', b'{"payload": '), Reason.NOT_CANONICAL, "wrapper"),
    "white space in the header": (lambda: header(b'"v":1', b'"v": 1'), Reason.NOT_CANONICAL, "payload"),
    "white space in an act": (lambda: act(b'"severity":1', b'"severity": 1'), Reason.NOT_CANONICAL, "act 0"),
    "other order of keys in the wrapper": (
        lambda: encode(dict(reversed(msgspec.json.decode(good.data, type=dict[str, Raw]).items()))),
        Reason.NOT_CANONICAL, "wrapper",
    ),
    "other order of keys in an act": (
        lambda: act(b'"severity":1,"status":"actual"', b'"status":"actual","severity":1'), Reason.NOT_CANONICAL, "act 0",
    ),
    "an escape that is not needed": (lambda: act(b'"icd11', b'"\\u0069cd11'), Reason.NOT_CANONICAL, "act 0"),
    "an unknown field in the wrapper": (lambda: wrapper(b'{"payload"', b'{"x":1,"payload"'), Reason.WRONG_SHAPE, "`x`"),
    "an unknown field in the header": (lambda: header(b'"v":1', b'"v":1,"x":1'), Reason.WRONG_SHAPE, "payload: "),
    "an unknown field in an act": (lambda: act(b'"severity":1', b'"severity":1,"x":1'), Reason.WRONG_SHAPE, "act 0: "),
    "a missing field in the wrapper": (lambda: wrapper(b'"payloadType":', b'"payloadTyp":'), Reason.WRONG_SHAPE, "payload"),
    "a missing field in the header": (lambda: header(b'"v":1,', b""), Reason.WRONG_SHAPE, "payload: "),
    "a missing field in an act": (lambda: act(b',"body":null', b""), Reason.WRONG_SHAPE, "act 0: "),
    "an unknown act": (lambda: act(b'"act":"submit"', b'"act":"shout"'), Reason.WRONG_SHAPE, "act 0: "),
    "another type of payload": (lambda: wrapper(b"acts+json", b"fact+json"), Reason.WRONG_TYPE, "fact+json"),
    "another version": (lambda: header(b'"v":1', b'"v":2'), Reason.WRONG_VERSION, "2"),
    "no act": (lambda: wrapped(acts=[]), Reason.WRONG_COUNT, "0 acts"),
    "an act too many": (lambda: wrapped(acts=[encode(good.acts[0])] * 2), Reason.WRONG_COUNT, "2 acts"),
    "a count of 257": (lambda: header(b'"acts":1', b'"acts":257'), Reason.WRONG_SHAPE, "payload: "),
    "the same signature around another act": (lambda: wrapped(acts=[encode(Present(1))]), Reason.DIGEST_MISMATCH, ""),
    "a signature's loose bits": (lambda: wrapper(SIG, loose_bits(SIG)), Reason.NOT_CANONICAL, "base64"),
    "a signature without padding": (lambda: wrapper(SIG, SIG.rstrip(b"=")), Reason.WRONG_SHAPE, "sig"),
    "a line break in the signature": (lambda: wrapper(SIG, SIG[:40] + b"\\n" + SIG[41:]), Reason.NOT_CANONICAL, "base64"),
    "a signature of 63 bytes": (lambda: wrapper(SIG, b64encode(good.signature[:63])), Reason.WRONG_SHAPE, "sig"),
    "a signature of 65 bytes": (lambda: wrapper(SIG, b64encode(good.signature + b"x")), Reason.NOT_CANONICAL, "base64"),
    "no signature": (
        lambda: encode({**msgspec.json.decode(good.data, type=dict[str, Raw]), "signatures": Raw(b"[]")}),
        Reason.WRONG_SHAPE, "signatures",
    ),
    "two signatures": (
        lambda: wrapper(b'"sig":"' + SIG + b'"}', b'"sig":"' + SIG + b'"},{"keyid":"' + good.key.encode() + b'","sig":"' + SIG + b'"}'),
        Reason.WRONG_SHAPE, "signatures",
    ),
    "a key in capitals": (lambda: wrapped(key="AB" * 32), Reason.WRONG_SHAPE, "keyid"),
    "a key of 31 bytes": (lambda: wrapped(key="ab" * 31), Reason.WRONG_SHAPE, "keyid"),
    "a key that is no hex": (lambda: wrapped(key="zz" * 32), Reason.WRONG_SHAPE, "keyid"),
}  # fmt: skip


@pytest.mark.parametrize("what", CASES)
def test_no_envelope(what: str, node: Node) -> None:
    make, reason, where = CASES[what]
    data = make()
    read = decode(data)
    assert isinstance(read, Refusal)
    assert where in node.refuses(data, reason)
    assert read.reason is reason


def test_the_largest_are_read() -> None:
    """The limits are those of the law, and not one byte less."""
    largest = decode(padded_relay(MAX_RELAY_ENVELOPE))
    assert isinstance(largest, Envelope), largest
    mixed = decode(padded_relay(MAX_ENVELOPE, Present(1)))
    assert isinstance(mixed, Envelope), mixed


def forged_s(more: int) -> bytes:
    """The good signature with its scalar moved by a multiple of the group's order: the same in arithmetic."""
    s = int.from_bytes(good.signature[32:], "little") + more * L
    return good.signature[:32] + s.to_bytes(32, "little")


SIGNATURES: dict[str, tuple[bytes, str, Reason]] = {
    "zeros": (bytes(64), good.key, Reason.BAD_SIGNATURE),
    "ones": (b"\xff" * 64, good.key, Reason.BAD_SIGNATURE),
    "S + L": (forged_s(1), good.key, Reason.BAD_SIGNATURE),
    "S + 2 L": (forged_s(2), good.key, Reason.BAD_SIGNATURE),
    "one bit of R": (bytes([good.signature[0] ^ 1]) + good.signature[1:], good.key, Reason.BAD_SIGNATURE),
    "one bit of S": (good.signature[:-1] + bytes([good.signature[-1] ^ 1]), good.key, Reason.BAD_SIGNATURE),
    "halves exchanged": (good.signature[32:] + good.signature[:32], good.key, Reason.BAD_SIGNATURE),
    "a small-order R": (SMALL_ORDER[1] + bytes(32), good.key, Reason.BAD_SIGNATURE),
    "another member's key": (
        signer(world.origin, "district-01", "act").sign(good.signed), signer(world.origin, "district-01", "act").public_key,
        Reason.NOT_AUTHORS_KEY,
    ),
    "the author's finality key": (
        signer(world.origin, AUTHOR, "finality").sign(good.signed), signer(world.origin, AUTHOR, "finality").public_key,
        Reason.NOT_AUTHORS_KEY,
    ),
    "the author's root key": (
        signer(world.origin, AUTHOR, "root").sign(good.signed), signer(world.origin, AUTHOR, "root").public_key,
        Reason.ROOT_KEY_ONLY_ROTATES,
    ),
    # For such a key and the identity as R, S = 0 fulfils the equation for any message.
    **{f"a key of small order {n}": (SMALL_ORDER[1] + bytes(32), key.hex(), Reason.NOT_AUTHORS_KEY)
       for n, key in enumerate(SMALL_ORDER)},
    "a key that is no point": (good.signature, "02" + "00" * 31, Reason.NOT_AUTHORS_KEY),
}  # fmt: skip


@pytest.mark.parametrize("what", SIGNATURES)
def test_signatures_that_are_none(what: str, node: Node) -> None:
    signature, key, reason = SIGNATURES[what]
    data = wrapped(signature=signature, key=key)
    assert isinstance(decode(data), Envelope), "the shape is right, so the key decides"
    node.refuses(data, reason)


def other_signature(message: bytes) -> bytes:
    """A second signature of the same key over the same bytes that verifies, with another nonce than the standard's."""
    seed = signer(world.origin, AUTHOR, "act").seed
    secret = bytearray(sha512(seed).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    nonce = sodium.crypto_core_ed25519_scalar_reduce(sha512(b"another nonce").digest())
    point = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = sodium.crypto_core_ed25519_scalar_reduce(
        sha512(point + bytes.fromhex(good.key) + message).digest()
    )
    scalar = sodium.crypto_core_ed25519_scalar_reduce(bytes(secret) + bytes(32))
    product = sodium.crypto_core_ed25519_scalar_mul(challenge, scalar)
    return bytes(point + sodium.crypto_core_ed25519_scalar_add(nonce, product))


def test_a_second_wrapping_of_the_same_signed_bytes_is_the_same_envelope(tmp_path: Path) -> None:
    """The digest is over the signed bytes, so neither time nor a new signature makes a second one (spec 3)."""
    node = Node(tmp_path / "node.db")
    first = node.answer(good.data)
    assert isinstance(first, Receipt)
    again = wrapped(signature=other_signature(good.signed))
    assert again != good.data
    read = decode(again)
    assert isinstance(read, Envelope)
    assert read.digest == good.digest
    node.refuses(good.data, Reason.SEEN_BEFORE)
    node.refuses(again, Reason.SEEN_BEFORE)
    node.close()


def test_the_other_signature_would_have_been_good(tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    node = Node(tmp_path / "node.db")
    said = node.answer(wrapped(signature=other_signature(good.signed)))
    assert isinstance(said, Receipt)
    assert said.codes == [Reason.ACCEPTED]
    node.close()


def test_a_second_ballot_changes_nothing_but_the_quota(tmp_path: Path) -> None:
    node = Node(tmp_path / "node.db")
    assert isinstance(node.answer(good.data), Receipt)
    message = message_id(good.digest, 0)
    assert isinstance(node.answer(world.ballot("district-01", message, NOW).data), Receipt)
    before = dict(node.network.load_state().rows())
    for verdict in ("endorse", "reject"):
        # The same act signed anew, and the contrary.
        second = node.answer(world.ballot("district-01", message, NOW + 1, verdict).data)
        assert isinstance(second, Receipt)
        assert second.codes == [Reason.ALREADY_JUDGED]
    after = dict(node.network.load_state().rows())
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    assert all(key.startswith(("meta:", "seen:")) or key == "account:district-01" for key in changed), changed
    node.close()
