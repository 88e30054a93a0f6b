"""An envelope is read in one pass where all is right; whatever is wrong is found step by step. Both must agree."""

import json
from base64 import b64decode
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.paths import ROOT
from tocsin.kernel import envelope as room
from tocsin.kernel.envelope import Envelope, decode

VECTORS = ROOT / "spec" / "vectors"
ODD = (
    b"", b" ", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"9", b"a", b"F", b"g", b"-", b".", b"=", b"/",
    b"null", b"true", b"1e9", b"1.0", b"-1", b"\\u0061", b"\xc3\xa9", b"\xff", b"\x00", b"99999999999999999999",
)  # fmt: skip
"""What mutations put in."""


def _vectors(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def _good() -> list[bytes]:
    return [one["wrapper"].encode() for one in _vectors("envelopes.json")]


def _bad() -> Iterator[bytes]:
    for one in _vectors("refusals.json"):
        yield b"".join(b64decode(piece) * times for piece, times in one["pieces"])


def _agree(data: bytes) -> bool:
    """Compare both readings; whether the data are an envelope."""
    # Reaching into the room on purpose: `decode` shows only their sum.
    careful, quick = room._examine(data), room._read(data)
    assert quick in (None, careful)
    whole = isinstance(careful, Envelope)
    assert whole == (quick is not None) or len(data) > room.MAX_ENVELOPE
    assert decode(data) == careful
    return whole


@pytest.mark.parametrize("place", range(len(_good())))
def test_envelopes_are_read_alike_and_so_are_their_mutations(place: int) -> None:
    data = _good()[place]
    assert _agree(data)
    chance = Random(place)
    for _ in range(400):
        at = chance.randrange(len(data))
        gone = chance.choice((0, 1, 1, 2, 5, 40))
        _agree(data[:at] + chance.choice(ODD) + data[at + gone :])


def test_what_is_refused_is_refused_alike() -> None:
    assert [data for data in _bad() if _agree(data)] == []


STRANGE = ("", "A", "a-", "a" * 41, "é", "0" * 64, "0" * 63 + "\n", -1, 0, 1, 2, 257, 2**53 - 1, 2**53, None, [], 1.0)


@pytest.mark.parametrize("field", ["genesis", "author", "valid_until", "acts", "digest", "v"])
def test_headers_that_no_schema_allows_are_refused_alike(field: str) -> None:
    whole = json.loads(_good()[0])
    header = json.loads(b64decode(whole["payload"]))
    taken = []
    for value in STRANGE:
        changed = json.dumps({**header, field: value}, separators=(",", ":"), ensure_ascii=False).encode()
        data = json.dumps({**whole, "payload": room._base64(changed)}, separators=(",", ":")).encode()
        if _agree(data):
            taken.append(value)
    fitting = {"genesis": ["0" * 64], "valid_until": [0, 1, 2, 257, 2**53 - 1], "acts": [1], "v": [1]}
    assert taken == fitting.get(field, [])


@pytest.mark.parametrize("key", ["", "0" * 64, "A" * 64, "0" * 63 + "\n", "0" * 65])
def test_keys_are_refused_alike(key: str) -> None:
    whole = json.loads(_good()[0])
    whole["signatures"][0]["keyid"] = key
    assert _agree(json.dumps(whole, separators=(",", ":")).encode()) == (key == "0" * 64)
