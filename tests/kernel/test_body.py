"""Bodies: commitments, digests and disclosure against a second computation and fixed vectors (spec 12)."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from tocsin.kernel import body as bodies
from tocsin.kernel.body import Attachment, Body, BodyError, Disclosure
from tocsin.kernel.envelope import encode

REPORT = {
    "title": {"zh": "登革熱疑似群聚", "en": "Suspected dengue"},
    "text": {"en": "Nine cases in a week."},
    "cases": 9,
}


def salts(schema: str, seed: int = 0) -> list[bytes]:
    return [hashlib.sha256(bytes([seed, i])).digest() for i in range(len(bodies.SCHEMAS[schema]))]


def report(seed: int = 0, **changed: Any) -> Body:
    return bodies.make("report", REPORT | changed, salts("report", seed))


def by_hand(data: bytes) -> str:
    """The digest from the stored bytes, written from the clause alone."""

    def h(tag: bytes, content: bytes) -> bytes:
        return hashlib.sha256(b"tocsin/v1/" + tag + b"\0" + content).digest()

    def root(nodes: list[bytes]) -> bytes:
        if len(nodes) == 1:
            return nodes[0]
        half = 1
        while half * 2 < len(nodes):
            half *= 2
        return hashlib.sha256(b"\1" + root(nodes[:half]) + root(nodes[half:])).digest()

    body = json.loads(data)
    leaves = []
    for field in body["fields"]:
        value = (
            b""
            if field["value"] is None
            else json.dumps(field["value"], ensure_ascii=False, separators=(",", ":")).encode()
        )
        name = field["name"].encode()
        committed = h(
            b"body-field",
            len(name).to_bytes(2, "big") + name + bytes.fromhex(field["salt"]) + len(value).to_bytes(8, "big") + value,
        )
        leaves.append(hashlib.sha256(b"\0" + committed).digest())
    size_class = 1024
    while size_class < len(data):
        size_class *= 2
    header = json.dumps([body["schema"], size_class], separators=(",", ":")).encode()
    return h(b"body", header + root(leaves)).hex()


VECTORS = {
    "annotation": "3ba21c0fbb1536bcf923d39025e61762fb9654c98775030c6c498da29b22000e",
    "finding": "2a0ff6dec323ad13e3d9b1e5f2941606b037cfbdcea08ea857885bbf7b311b7b",
    "motion": "c4f44f0ec3bcf6e4cd8449d31146d8bbcb010a7150667964059786df159bf43e",
    "order": "6e4f6c8a5b5c0e1f51c39e5b47829c17d1088ea92b734ba49217d76f0e08e35a",
    "report": "b0b57bd9a287002b399adc118b9da94469bf33f0f13c60be551ee7b1072ab576",
    "veto": "9dfbc4aec556db681501cd2551fc01fdf152e51c1c46c137fe0a9dd9802e9ac4",
}
"""Digest of the body of each schema whose only field is the title [["en","Test"]], with the salts of seed 7."""


@pytest.mark.parametrize("schema", sorted(bodies.SCHEMAS))
def test_vector(schema: Any) -> None:
    made = bodies.make(schema, {"title": {"en": "Test"}}, salts(schema, 7))
    assert bodies.body_digest(made) == VECTORS[schema]


@pytest.mark.parametrize("schema", sorted(bodies.SCHEMAS))
def test_second_computation_agrees(schema: Any) -> None:
    values: dict[str, Any] = {"words": {"en": 'Ä text "quoted"', "zh-Hant": "文字"}, "amount": 0}
    values["attachments"] = [Attachment("a.pdf", "application/pdf", 10, "0" * 64)]
    made = bodies.make(schema, {name: values[kind] for name, kind in bodies.SCHEMAS[schema]}, salts(schema))
    assert bodies.body_digest(made) == by_hand(encode(made))


def test_stored_bytes_read_back() -> None:
    made = report()
    again = bodies.decode(encode(made))
    assert bodies.body_digest(again) == bodies.body_digest(made)
    assert dict(bodies.values(again)) == {
        "title": [("en", "Suspected dengue"), ("zh", "登革熱疑似群聚")],
        "text": [("en", "Nine cases in a week.")],
        "cases": 9,
    }


def test_each_field_is_shown_alone() -> None:
    made = report()
    for name, _ in bodies.SCHEMAS["report"]:
        shown = bodies.disclose(made, [name])
        assert shown.digest == bodies.body_digest(made)
        (found,) = bodies.verify(shown)
        assert found.name == name
        text = encode(shown).decode()
        others = [field.salt for field in made.fields if field.name != name]
        assert not any(salt in text for salt in others)


def test_absent_fields_are_shown_as_absent_and_hidden_otherwise() -> None:
    shown = bodies.disclose(report(), ["place", "deaths"])
    assert bodies.verify(shown) == [("place", None), ("deaths", None)]
    with_place = bodies.body_digest(report(place={"en": "x"}))
    assert with_place != bodies.body_digest(report())


def test_other_salts_give_another_digest() -> None:
    assert bodies.body_digest(report(seed=1)) != bodies.body_digest(report(seed=2))


def test_size_is_committed_as_a_class() -> None:
    small = bodies.disclose(report(), ["cases"])
    assert small.size_class == 1024
    large = bodies.disclose(report(text={"en": "x" * 1024}), ["cases"])
    assert large.size_class == 2048


def test_every_byte_of_a_disclosure_counts() -> None:
    data = encode(bodies.disclose(report(), ["title", "cases", "place"]))

    for position in range(len(data)):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        try:
            read = msgspec.json.decode(changed, type=Disclosure)
            canonical = encode(read) == changed
            bodies.verify(read)
        except (msgspec.DecodeError, BodyError):
            continue
        assert not canonical or read.digest != bodies.body_digest(report()), position


BAD_VALUES: list[tuple[str, dict[str, Any], str]] = [
    ("unknown field", {"colour": 1}, "no field 'colour'"),
    ("negative amount", {"cases": -1}, "cases is not of type amount"),
    ("fraction", {"cases": 1.5}, "cases is not of type amount"),
    ("amount beyond 2^53", {"cases": 2**53}, "cases is not of type amount"),
    ("text without language", {"title": "x"}, "title is not of type words"),
    ("empty text", {"title": {"en": ""}}, "title is not of type words"),
    ("no text", {"title": {}}, "title is not of type words"),
    ("bad language", {"title": {"English": "x"}}, "title is not of type words"),
    ("unsorted", {"title": [("zh", "x"), ("en", "y")]}, "not sorted"),
    ("twice", {"title": [("en", "x"), ("en", "y")]}, "not sorted, or one stands twice"),
    ("surrogate", {"title": {"en": "\ud800"}}, "cannot be written"),
    ("object", {"title": {"en": object()}}, "cannot be written"),
    ("too long", {"title": {"en": "x" * bodies.MAX_BODY}}, "at most"),
]


@pytest.mark.parametrize(
    ("values", "sentence"), [case[1:] for case in BAD_VALUES], ids=[case[0] for case in BAD_VALUES]
)
def test_bad_values_get_a_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BodyError, match=sentence):
        report(**values)


def test_salts_must_be_whole_distinct_and_enough() -> None:
    good = salts("veto")
    for bad in (good[:-1], [*good, b"\7" * 32], [good[0][:31], *good[1:]], [good[0], good[0], *good[2:]]):
        with pytest.raises(BodyError, match="salt"):
            bodies.make("veto", {}, bad)


def test_unreadable_bodies_get_a_sentence() -> None:
    good = encode(report())
    bad = [
        (b"", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (good[:-1], "cannot be read"),
        (good.replace(b'"schema":', b'"schema": '), "not canonical"),
        (good.replace(b'"cases"', b'"count"'), "fields of schema report"),
        (good.replace(b'"report"', b'"rumour"'), "cannot be read"),
        (good.replace(b'"value":9', b'"value":"9"'), "not of type amount"),
        (good.replace(b'"value":9', b'"value":09'), "cannot be read|not of type"),
        (b"[" + b" " * bodies.MAX_BODY, "at most"),
    ]
    for data, sentence in bad:
        with pytest.raises(BodyError, match=sentence):
            bodies.decode(data)


def test_unknown_names_are_not_disclosed() -> None:
    for names in ([], ["colour"]):
        with pytest.raises(BodyError):
            bodies.disclose(report(), names)


def test_a_disclosure_of_another_body_does_not_pass() -> None:
    one, other = bodies.disclose(report(1), ["cases"]), bodies.disclose(report(2), ["cases"])
    with pytest.raises(BodyError, match="not the one that the body's digest commits to"):
        bodies.verify(replace(one, fields=other.fields))
    with pytest.raises(BodyError, match="do not give its digest"):
        bodies.verify(replace(one, digest=other.digest))
    with pytest.raises(BodyError, match="in its order"):
        bodies.verify(replace(one, fields=one.fields * 2))
    wrong = replace(one, fields=[replace(one.fields[0], value=Raw(b"8"))])
    with pytest.raises(BodyError, match="not the one"):
        bodies.verify(wrong)


words = st.dictionaries(st.sampled_from(["de", "en", "zh", "zh-Hant"]), st.text(min_size=1), min_size=1)


@given(
    title=words,
    cases=st.integers(0, 2**53 - 1),
    seed=st.integers(0, 255),
    names=st.sets(st.sampled_from([n for n, _ in bodies.SCHEMAS["report"]]), min_size=1),
)
def test_what_is_made_can_be_stored_and_shown(title: dict[str, str], cases: int, seed: int, names: set[str]) -> None:
    made = bodies.make("report", {"title": title, "cases": cases}, salts("report", seed))
    data = encode(made)
    assert encode(bodies.decode(data)) == data
    assert bodies.body_digest(made) == by_hand(data)
    shown = dict(bodies.verify(bodies.disclose(made, sorted(names))))
    assert set(shown) == names
    if "title" in names:
        assert shown["title"] == sorted(title.items())
