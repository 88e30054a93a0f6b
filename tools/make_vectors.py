"""Write `spec/vectors/*.json`: inputs and exact outputs for other implementations, from the code with fixed seeds."""

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import ed25519_edges
import vector_samples as sample
from written import ROOT, finish

from tocsin import charters
from tocsin.kernel import body, digest, genesis, quorum
from tocsin.kernel.acts import Act, Concur, Leave, Present, RelayAct, RelayedLeaf, Withdraw
from tocsin.kernel.archive import ArchiveSum
from tocsin.kernel.envelope import MAX_ENVELOPE, MAX_RELAY_ENVELOPE, PAYLOAD_TYPE, Envelope, decode, encode
from tocsin.kernel.envelope import unsigned as unsigned_envelope
from tocsin.kernel.reasons import Reason
from tocsin.kernel.state import rows_digest
from tocsin.kernel.words import Role

FOLDER = ROOT / "spec" / "vectors"
GENESIS = sample.some("genesis")
VALID_UNTIL = sample.T + 600_000


def digests() -> Any:
    """Tags, ids, and the other functions of spec 2.3."""
    tags = ("act", "acts", "envelope", "message", "relayed", "incident", "genesis", "charter", "rows", "body")
    envelope, other, root = sample.some("envelope"), sample.some("other genesis"), bytes(range(32))
    rows = [("meta:", b"{}"), ("order:a", b"[1,2]")]
    total = ArchiveSum()
    for row in rows:
        total.add(*row)
    return {
        "tags": [
            {"tag": tag, "data": data.hex(), "digest": digest.digest(tag.encode(), data)}
            for tag in tags
            for data in (b"", b"tocsin")
        ],
        "acts": {"digests": [envelope, other],
                 "digest": digest.acts_digest([bytes.fromhex(envelope), bytes.fromhex(other)])},
        "message_id": [{"envelope": envelope, "index": index, "id": digest.message_id(envelope, index)}
                       for index in (0, 1, 255)],
        "relayed_id": [{"own_genesis": GENESIS, "source_genesis": other, "number": number,
                        "id": digest.relayed_id(GENESIS, other, number)} for number in (1, 2, 2**40)],
        "incident_id": {"message": envelope, "id": digest.incident_id(envelope)},
        "app_hash": [{"size": size, "root": root.hex(), "app_hash": digest.app_hash(size, root).hex()}
                     for size in (0, 1, 2**40)],
        "rows": {"rows": [[key, value.decode()] for key, value in rows], "digest": rows_digest(rows)},
        "archive": {"rows": [[key, value.decode()] for key, value in rows], "sum": total.row().sum},
    }  # fmt: skip


def acts() -> Any:
    """Canonical bytes and digest of each act and of all terms."""
    return [
        {"name": name, "json": encode(act).decode(), "digest": digest.digest(b"act", encode(act))}
        for name, act in sample.ACTS.items()
    ]


def _seal(key: str, given: list[Act], author: str = "clinic-a") -> bytes:
    unsigned = unsigned_envelope(GENESIS, author, VALID_UNTIL, given)
    return unsigned.seal(sample.public(key), sample.sign(key, unsigned.signed))


def envelopes() -> Any:
    """Accepted envelopes: what is signed, and the wrapper around it."""
    cases: dict[str, list[Act]] = {
        "one report": [sample.ACTS["submit a report"]],
        "three acts": [sample.ACTS["present"], sample.ACTS["judge"], sample.ACTS["acknowledge"]],
        "one small relay": [sample.ACTS["relay"]],
    }
    found = []
    for name, given in cases.items():
        wrapper = _seal("clinic-a act", given)
        envelope = decode(wrapper)
        assert isinstance(envelope, Envelope)
        found.append({
            "name": name,
            "seed": sample.seed("clinic-a act").hex(),
            "key": envelope.key,
            "header": encode(envelope.header).decode(),
            "signed": envelope.signed.hex(),
            "signature": envelope.signature.hex(),
            "act_digests": list(envelope.act_digests),
            "digest": envelope.digest,
            "wrapper": wrapper.decode(),
        })  # fmt: skip
    return found


class Spoilt(NamedTuple):
    """Bytes that are no envelope, as pieces to repeat and join (long ones would drown the file)."""

    name: str
    reason: Reason
    pieces: list[tuple[bytes, int]]


def _rewrap(wrapper: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = json.loads(wrapper)
    change(parts)
    return json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()


def _header(wrapper: bytes, change: Callable[[dict[str, Any]], object], compact: bool = True) -> bytes:
    def changed(parts: dict[str, Any]) -> None:
        header = json.loads(b64decode(parts["payload"]))
        change(header)
        text = json.dumps(header, separators=(",", ":")) if compact else json.dumps(header)
        parts["payload"] = b64encode(text.encode()).decode()

    return _rewrap(wrapper, changed)


def _swap(parts: dict[str, Any]) -> None:
    act = parts["acts"][0]
    act["message"] = act.pop("message")
    act["act"] = act.pop("act")


def spoilt() -> Iterator[Spoilt]:
    """One valid envelope with one thing wrong, for each reason 1xx; the reasons come in the order of reading."""
    good = _seal("clinic-a act", [Concur(sample.some("message"))])
    wide = _seal("clinic-a act", [Leave()] * 2)
    leaf = RelayedLeaf(0, "x" * 65_000, [])

    def one(name: str, reason: Reason, data: bytes) -> Spoilt:
        return Spoilt(name, reason, [(data, 1)])

    start, end = good[:-1], good[-1:]
    yield Spoilt("over 128 KiB of anything", Reason.TOO_LARGE, [(b"x", MAX_RELAY_ENVELOPE + 1)])
    act = encode(Withdraw(sample.some("message")))
    many = _seal("clinic-a act", [Withdraw(sample.some("message"))] * 256)
    head, tail = many[: many.index(act)], b"]}"
    over = _seal("clinic-a act", [RelayAct("health.example/tw", "", [], None, [leaf]), Leave()])
    before, after = over.split(b"x" * 65_000)
    assert head + act + b"," in many
    yield Spoilt("over 64 KiB, and not a lone relay", Reason.TOO_LARGE, [(before, 1), (b"x", 65_000), (after, 1)])
    yield one("not UTF-8", Reason.NOT_UTF8, good.replace(b"application/", b"application\xff"))
    yield one("not UTF-8 in an act", Reason.NOT_UTF8, good.replace(b'"act":"concur"', b'"act":"concur\xff"'))
    yield one("empty", Reason.NOT_JSON, b"")
    yield one("cut short", Reason.NOT_JSON, good[:-1])
    yield one("two values", Reason.NOT_JSON, good + b"{}")
    yield one("NaN as an act", Reason.NOT_JSON, good.replace(b'"acts":[', b'"acts":[NaN,'))
    yield one("a list in place of the wrapper", Reason.WRONG_SHAPE, b"[" + good + b"]")
    yield one("unknown field in the wrapper", Reason.WRONG_SHAPE, start + b',"more":1' + end)
    yield one("no signature", Reason.WRONG_SHAPE, _rewrap(good, lambda w: w.update(signatures=[])))
    yield one("two signatures", Reason.WRONG_SHAPE, _rewrap(good, lambda w: w.update(signatures=w["signatures"] * 2)))
    yield one(
        "key in upper case",
        Reason.WRONG_SHAPE,
        _rewrap(good, lambda w: w["signatures"][0].update(keyid=w["signatures"][0]["keyid"].upper())),
    )
    yield one("unknown field in the header", Reason.WRONG_SHAPE, _header(good, lambda h: h.update(more=1)))
    yield one("header without a field", Reason.WRONG_SHAPE, _header(good, lambda h: h.pop("author")))
    yield one("author with a capital", Reason.WRONG_SHAPE, _header(good, lambda h: h.update(author="Clinic-a")))
    yield one("time beyond 2^53", Reason.WRONG_SHAPE, _header(good, lambda h: h.update(valid_until=2**53)))
    yield one("time beyond 64 bits", Reason.WRONG_SHAPE, _header(good, lambda h: h.update(valid_until=2**64)))
    yield one("time with a fraction", Reason.WRONG_SHAPE, _header(good, lambda h: h.update(valid_until=1.5)))
    yield one("unknown act", Reason.WRONG_SHAPE, _rewrap(good, lambda w: w["acts"][0].update(act="shout")))
    yield one("unknown field in an act", Reason.WRONG_SHAPE, _rewrap(good, lambda w: w["acts"][0].update(more=1)))
    yield one("act without a field", Reason.WRONG_SHAPE, _rewrap(good, lambda w: w["acts"][0].pop("message")))
    yield one("space in the wrapper", Reason.NOT_CANONICAL, good.replace(b'"acts":', b'"acts": '))
    yield one(
        "wrapper with keys in another order",
        Reason.NOT_CANONICAL,
        _rewrap(good, lambda w: w.update(payload=w.pop("payload"))),
    )
    yield one(
        "duplicate key in the wrapper", Reason.NOT_CANONICAL, start + b',"acts":' + good[good.index(b'"acts":') + 7 :]
    )
    yield one("escape that is not needed", Reason.NOT_CANONICAL, good.replace(b"application/vnd", b"application\\/vnd"))
    yield one(
        "base64 without padding",
        Reason.NOT_CANONICAL,
        _rewrap(good, lambda w: w.update(payload=w["payload"].rstrip("=") + "A")),
    )
    yield one("space in the header", Reason.NOT_CANONICAL, _header(good, lambda h: h, compact=False))
    yield one("space in an act", Reason.NOT_CANONICAL, good.replace(b'{"act":', b'{"act": '))
    yield one("act with keys in another order", Reason.NOT_CANONICAL, _rewrap(good, _swap))
    yield one(
        "duplicate key in an act",
        Reason.NOT_CANONICAL,
        good.replace(b'{"act":"concur",', b'{"act":"concur","message":"' + b"0" * 64 + b'",'),
    )
    yield Spoilt(
        "act of 17 levels", Reason.TOO_DEEP, [(good[: good.index(b'{"act":')], 1), (b"[", 17), (b"]", 17), (tail, 1)]
    )
    yield one("other payload type", Reason.WRONG_TYPE, good.replace(PAYLOAD_TYPE.encode(), b"application/json"))
    yield one("version 2", Reason.WRONG_VERSION, _header(good, lambda h: h.update(v=2)))
    yield one("no acts", Reason.WRONG_COUNT, _rewrap(good, lambda w: w.update(acts=[])))
    yield one("fewer acts than the header says", Reason.WRONG_COUNT, _rewrap(wide, lambda w: w["acts"].pop()))
    yield one(
        "an act of another day",
        Reason.DIGEST_MISMATCH,
        _rewrap(good, lambda w: w["acts"][0].update(message=sample.some("another message"))),
    )
    yield one(
        "acts swapped",
        Reason.DIGEST_MISMATCH,
        _rewrap(_seal("clinic-a act", [Leave(), Present(sample.DAY)]), lambda w: w["acts"].reverse()),
    )
    assert len(many) < MAX_ENVELOPE


def refusals() -> Any:
    """Every way in which bytes fail to be an envelope, with the reason; that the kernel gives it is for the tests."""
    return [
        {"name": case.name, "pieces": [[b64encode(piece).decode(), times] for piece, times in case.pieces],
         "reason": int(case.reason)}
        for case in spoilt()
    ]  # fmt: skip


def ed25519() -> Any:
    """Signatures at the edges, as libsodium takes them."""
    return [
        {"name": edge.name, "key": edge.key.hex(), "message": edge.message.hex(), "signature": edge.signature.hex(),
         "accepted": ed25519_edges.accepts(edge)}
        for edge in ed25519_edges.edges()
    ]  # fmt: skip


def thresholds() -> Any:
    """Need by threshold and size (spec 6.4), and finality by active members (spec 10.3)."""
    shares = [(0, 1, False), (1, 2, True), (1, 2, False), (2, 3, False), (3, 4, False), (1, 1, False)]
    return {
        "need": [
            {"num": num, "den": den, "strict": strict, "at_least": at_least,
             "need": [quorum.need(num, den, strict, at_least, size) for size in range(13)]}
            for (num, den, strict), at_least in product(shares, (1, 2, 3))
        ],
        "finality": [
            {"members": n, "tolerated": quorum.tolerated(n), "quorum": quorum.finality(n)} for n in range(1, 101)
        ],
    }  # fmt: skip


def matching() -> Any:
    """Which rule of the sample charter decides a kind in a stage, by index (spec 6.1)."""
    kinds = (
        "report.urgent.flu",
        "report.cluster.flu",
        "report.cluster.dengue",
        "report.cluster",
        "report",
        "order.isolate",
        "order.revoke",
        "finding",
        "finding.review",
        "reports.x",
        "motion.lead",
    )
    return {
        "charter": encode(sample.CHARTER).decode(),
        "digest": sample.CHARTER.digest,
        "matches": [
            {"kind": kind, "stage": stage, "rule": sample.CHARTER.match(kind, stage)}
            for kind, stage in product(kinds, ("none", "watch", "response"))
        ],
    }  # fmt: skip


def founding() -> Any:
    """A genesis of three, its digest, the founding signatures, and the statements of later keys."""
    roles: dict[str, list[Role]] = {
        "clinic-a": ["reporter", "voter"],
        "clinic-b": ["reporter", "voter"],
        "office": ["relay", "supervisor"],
    }
    members = [genesis.Founder(name, f"tw:{name}", roles[name], sample.keys(name)) for name in sorted(roles)]
    file = genesis.Genesis(
        genesis.PROTOCOL, "health.example/tw/tainan", sample.T, sample.CHARTER, sample.public("tainan log"), members
    )
    named = sorted(
        (name, sample.public(f"{name} {use}"), f"{name} {use}") for name in roles for use in ("root", "act", "finality")
    )
    statement = genesis.founding_statement(file.digest)
    founded = genesis.Founding(
        file.digest,
        [genesis.FoundingSignature(name, key, sample.sign(use, statement).hex()) for name, key, use in named],
    )
    newcomer = sample.keys("clinic-c", validator=True)
    return {
        "genesis": encode(file).decode(),
        "digest": file.digest,
        "statement": statement.hex(),
        "founding": encode(founded).decode(),
        "possession": {"member": "clinic-c", "keys": encode(newcomer).decode(), "expires": VALID_UNTIL,
                       "statement": genesis.admission_statement(file.digest, "clinic-c", newcomer, VALID_UNTIL).hex()},
        "rotation": {"member": "clinic-a", "which": "act", "key": sample.public("clinic-a act 2"),
                     "statement": genesis.rotation_statement(
                         file.digest, "clinic-a", "act", sample.public("clinic-a act 2")).hex()},
    }  # fmt: skip


def bodies() -> Any:
    """A body with its digest, an empty one, and a disclosure of two fields, one of them absent (spec 12.1)."""
    said = {
        "title": {"en": "Nine children with fever", "zh": "九名儿童发热"},
        "text": {"en": "All from one school; samples sent."},
        "cases": 9,
    }
    found = []
    for name, values, shown in (("some fields", said, ["title", "deaths"]), ("no field", {}, ["text"])):
        count = len(body.SCHEMAS["report"])
        salts = [bytes.fromhex(sample.some(f"salt {name} {index}")) for index in range(count)]
        made = body.make("report", values, salts)
        found.append({
            "name": name,
            "body": encode(made).decode(),
            "digest": body.body_digest(made),
            "disclosed": shown,
            "disclosure": encode(body.disclose(made, shown)).decode(),
        })  # fmt: skip
    return {"schemas": {name: [list(field) for field in fields] for name, fields in body.SCHEMAS.items()},
            "bodies": found}  # fmt: skip


def shipped() -> Any:
    """The identities of the charters that ship (spec 13.1)."""
    return [{"name": name, "bytes": len(charters.load(name).canonical), "digest": charters.load(name).digest}
            for name in charters.names()]  # fmt: skip


VECTORS: dict[str, Callable[[], Any]] = {
    "acts": acts,
    "bodies": bodies,
    "charters": shipped,
    "digests": digests,
    "ed25519": ed25519,
    "envelopes": envelopes,
    "founding": founding,
    "matching": matching,
    "refusals": refusals,
    "thresholds": thresholds,
}


def files() -> dict[Path, str]:
    """What this tool writes."""
    return {
        FOLDER / f"{name}.json": json.dumps(make(), ensure_ascii=False, indent=1) + "\n"
        for name, make in VECTORS.items()
    }


if __name__ == "__main__":
    sys.exit(finish(__doc__.splitlines()[0], files()))
