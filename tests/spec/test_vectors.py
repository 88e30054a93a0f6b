"""The test vectors, recomputed by the kernel and, apart from it, with the standard library and PyNaCl alone."""

import json
from base64 import b64decode, b64encode
from functools import cache
from hashlib import sha256, shake_128
from typing import Any

import msgspec
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tests.paths import ROOT
from tocsin.kernel import body, digest, genesis, quorum
from tocsin.kernel.archive import ArchiveSum
from tocsin.kernel.charter import Charter
from tocsin.kernel.envelope import Envelope, Refusal, decode, decode_act, encode
from tocsin.kernel.state import rows_digest

FOLDER = ROOT / "spec" / "vectors"
PAYLOAD_TYPE = b"application/vnd.tocsin.acts+json"


@cache
def vectors(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def cases(name: str, key: str = "name") -> list[Any]:
    return [pytest.param(one, id=str(one[key])) for one in vectors(name)]


def plain_digest(tag: str, data: bytes) -> str:
    return sha256(b"tocsin/v1/" + tag.encode() + b"\0" + data).hexdigest()


def compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def verifies(key: str, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(bytes.fromhex(key)).verify(message, signature)
    except BadSignatureError:
        return False
    return True


def test_every_file_has_a_row_in_the_readme() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert sorted(path.name for path in FOLDER.glob("*.json")) == sorted(
        line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")
    )


def test_digests() -> None:
    found = vectors("digests")
    for one in found["tags"]:
        data = bytes.fromhex(one["data"])
        assert digest.digest(one["tag"].encode(), data) == one["digest"] == plain_digest(one["tag"], data)
    listed = [bytes.fromhex(one) for one in found["acts"]["digests"]]
    assert digest.acts_digest(listed) == found["acts"]["digest"] == plain_digest("acts", b"".join(listed))
    for one in found["message_id"]:
        data = bytes.fromhex(one["envelope"]) + one["index"].to_bytes(2, "big")
        assert digest.message_id(one["envelope"], one["index"]) == one["id"] == plain_digest("message", data)
    for one in found["relayed_id"]:
        own, source, number = one["own_genesis"], one["source_genesis"], one["number"]
        data = bytes.fromhex(own) + bytes.fromhex(source) + number.to_bytes(8, "big")
        assert digest.relayed_id(own, source, number) == one["id"] == plain_digest("relayed", data)
    one = found["incident_id"]
    assert digest.incident_id(one["message"]) == one["id"] == plain_digest("incident", bytes.fromhex(one["message"]))
    for one in found["app_hash"]:
        root = bytes.fromhex(one["root"])
        assert digest.app_hash(one["size"], root).hex() == one["app_hash"]
        assert plain_digest("app", one["size"].to_bytes(8, "big") + root) == one["app_hash"]
    rows = [(key, value.encode()) for key, value in found["rows"]["rows"]]
    parts = b"".join(len(part).to_bytes(4, "big") + part for key, value in rows for part in (key.encode(), value))
    assert rows_digest(rows) == found["rows"]["digest"] == plain_digest("rows", parts)
    total, plain = ArchiveSum(), 0
    for key, value in [(key, value.encode()) for key, value in found["archive"]["rows"]]:
        total.add(key, value)
        row = bytes.fromhex(plain_digest("archived", len(key).to_bytes(4, "big") + key.encode() + value))
        plain += int(shake_128(row).hexdigest(512), 16)
    assert total.row().sum == found["archive"]["sum"] == format(plain % 2**4096, "01024x")


@pytest.mark.parametrize("case", cases("acts"))
def test_act(case: dict[str, str]) -> None:
    data = case["json"].encode()
    assert encode(decode_act(data)) == data
    assert compact(case["json"]) == case["json"]
    assert plain_digest("act", data) == case["digest"]


def test_acts_cover_every_act_and_all_terms_that_can_be_submitted() -> None:
    written = [json.loads(case["json"]) for case in vectors("acts")]
    assert {one["act"] for one in written} == {
        "submit", "judge", "veto", "concur", "withdraw", "annotate", "acknowledge", "present", "relay", "rotate",
        "leave", "join", "ready", "seal", "evidence", "erase", "erased-here",
    }  # fmt: skip
    assert {one["terms"]["terms"] for one in written if one["act"] == "submit" and one["terms"]} == {
        "share", "stage", "lead", "features", "close", "admit", "suspend", "reinstate", "expel", "roles", "rekey",
        "peer", "charter", "upgrade", "order", "revoke", "finding", "review",
    }  # fmt: skip


@pytest.mark.parametrize("case", cases("envelopes"))
def test_envelope(case: dict[str, Any]) -> None:
    read = decode(case["wrapper"].encode())
    assert isinstance(read, Envelope)
    assert read.digest == case["digest"]
    wrapper, header = json.loads(case["wrapper"]), case["header"].encode()
    assert b64decode(wrapper["payload"]) == header
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(header), header)
    assert signed.hex() == case["signed"] == read.signed.hex()
    key = SigningKey(bytes.fromhex(case["seed"]))
    assert key.verify_key.encode().hex() == case["key"] == wrapper["signatures"][0]["keyid"] == read.key
    assert key.sign(signed).signature.hex() == case["signature"] == read.signature.hex()
    assert b64decode(wrapper["signatures"][0]["sig"]).hex() == case["signature"]
    encoded = [json.dumps(act, separators=(",", ":"), ensure_ascii=False).encode() for act in wrapper["acts"]]
    listed = [plain_digest("act", one) for one in encoded]
    assert listed == case["act_digests"] == list(read.act_digests)
    assert plain_digest("acts", b"".join(bytes.fromhex(one) for one in listed)) == json.loads(header)["digest"]
    assert plain_digest("envelope", signed) == case["digest"]
    assert compact(case["wrapper"]) == case["wrapper"]




@pytest.mark.parametrize("case", vectors("refusals"), ids=lambda case: case["name"])
def test_refusal(case: dict[str, Any]) -> None:
    data = b"".join(b64decode(piece) * times for piece, times in case["pieces"])
    read = decode(data)
    assert isinstance(read, Refusal)
    assert int(read.reason) == case["reason"]


def test_every_reason_of_bytes_has_a_vector() -> None:
    assert {case["reason"] for case in vectors("refusals")} == set(range(100, 110))


@pytest.mark.parametrize("case", cases("ed25519"))
def test_signature_at_the_edge(case: dict[str, Any]) -> None:
    message, signature = bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])
    assert verifies(case["key"], message, signature) is case["accepted"]


def test_need() -> None:
    for case in vectors("thresholds")["need"]:
        num, den, strict, at_least = case["num"], case["den"], case["strict"], case["at_least"]
        for size, wanted in enumerate(case["need"]):
            assert quorum.need(num, den, strict, at_least, size) == wanted
            enough = [
                e
                for e in range(size + 4)
                if e >= at_least and (e * den > num * size if strict else e * den >= num * size)
            ]
            assert enough[0] == wanted


def test_finality() -> None:
    for case in vectors("thresholds")["finality"]:
        n, f, k = case["members"], case["tolerated"], case["quorum"]
        assert (quorum.tolerated(n), quorum.finality(n)) == (f, k)
        assert f == max(liars for liars in range(n) if n >= 3 * liars + 1)
        assert 2 * k - n > f, "two quorums must share an honest member"
        assert k <= n - f, "the honest members must be able to make a quorum"


@pytest.mark.parametrize("case", vectors("matching")["matches"], ids=lambda one: f"{one['kind']} in {one['stage']}")
def test_matching(case: dict[str, Any]) -> None:
    text = vectors("matching")["charter"]
    charter = _charter(text)
    assert charter.digest == vectors("matching")["digest"] == plain_digest("charter", text.encode())
    assert charter.match(case["kind"], case["stage"]) == case["rule"] == _naive_match(text, case["kind"], case["stage"])


def _charter(text: str) -> Charter:
    return msgspec.json.decode(text, type=Charter)


def _naive_match(text: str, kind: str, stage: str) -> int | None:
    rules = json.loads(text)["rules"]
    patterns = [kind, *(kind[:place] + ".*" for place in reversed(range(len(kind))) if kind[place] == ".")]
    for pattern in patterns:
        for wanted in (stage, "*"):
            for index, rule in enumerate(rules):
                if (rule["kind"], rule["stage"]) == (pattern, wanted):
                    return index
    return None


def test_founding() -> None:
    case = vectors("founding")
    file = genesis.decode_genesis(case["genesis"].encode())
    assert file.digest == case["digest"] == plain_digest("genesis", case["genesis"].encode())
    statement = bytes.fromhex(case["statement"])
    assert statement == b"tocsin/v1/founding\n" + case["digest"].encode() + b"\n"
    founded = json.loads(case["founding"])
    members = json.loads(case["genesis"])["members"]
    assert len(founded["signatures"]) == 3 * len(members)
    for one in founded["signatures"]:
        assert verifies(one["key"], statement, bytes.fromhex(one["signature"]))
    given = case["possession"]
    keys = json.loads(given["keys"])
    said = json.dumps([case["digest"], given["member"], keys, given["expires"]], separators=(",", ":"))
    assert bytes.fromhex(given["statement"]) == b"tocsin/v1/possession\n" + said.encode()
    given = case["rotation"]
    said = json.dumps([case["digest"], given["member"], given["which"], given["key"]], separators=(",", ":"))
    assert bytes.fromhex(given["statement"]) == b"tocsin/v1/rotation\n" + said.encode()


@pytest.mark.parametrize("case", vectors("bodies")["bodies"], ids=lambda one: one["name"])
def test_body(case: dict[str, Any]) -> None:
    made = body.decode(case["body"].encode())
    assert body.body_digest(made) == case["digest"]
    assert encode(body.disclose(made, case["disclosed"])).decode() == case["disclosure"]
    plain = json.loads(case["body"])
    leaves = [
        sha256(b"\0" + bytes.fromhex(_commitment(one["name"], one["salt"], one["value"]))).digest()
        for one in plain["fields"]
    ]
    root = _root(leaves)
    size_class = 1024
    while size_class < len(case["body"].encode()):
        size_class *= 2
    header = json.dumps([plain["schema"], size_class], separators=(",", ":")).encode()
    assert plain_digest("body", header + root) == case["digest"]
    shown = json.loads(case["disclosure"])
    assert shown["root"] == root.hex()
    assert [one["name"] for one in shown["fields"]] == [name for name, _ in vectors("bodies")["schemas"]["report"]
                                                        if name in case["disclosed"]]  # fmt: skip


def _commitment(name: str, salt: str, value: Any) -> str:
    data = b"" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    parts = (len(name).to_bytes(2, "big"), name.encode(), bytes.fromhex(salt), len(data).to_bytes(8, "big"), data)
    return plain_digest("body-field", b"".join(parts))


def _root(hashes: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as written there."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\1" + _root(hashes[:split]) + _root(hashes[split:])).digest()


def test_a_changed_vector_is_noticed() -> None:
    wrapper = vectors("envelopes")[0]["wrapper"].encode()
    place = wrapper.index(b'"sig":"') + 7
    other = wrapper[:place] + (b"B" if wrapper[place : place + 1] == b"A" else b"A") + wrapper[place + 1 :]
    read = decode(other)
    assert isinstance(read, Envelope)
    assert not verifies(read.key, read.signed, read.signature)
    assert b64encode(read.signature) in other
