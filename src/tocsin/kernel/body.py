"""Bodies: salted commitments to what is said in words, and its disclosure field by field (spec 12).

A body holds all free text of a message; the ledger holds its digest only. The digest is

    H("body", header || root)

where `header` is the canonical JSON `[schema, class]` and `root` the Merkle root (RFC 6962) over one
commitment for each field of the schema, in schema order:

    H("body-field", u16 length of name || name || salt || u64 length of value || value)

An absent field is committed as an empty value under its own salt, so that nobody can tell from the
digest which fields are there; no value that is present is empty. Salts come from the caller, one of
32 random bytes for each field, because the kernel has no randomness. Whoever shows a field shows its
salt and its inclusion proof; the other fields stay hidden behind theirs.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import encode
from tocsin.kernel.words import MAX_INT, MAX_LIST, Digest
from tocsin.tlog import merkle

MAX_BODY = 8 * 1024 * 1024
"""Bytes of a whole body."""
SALT_SIZE = 32
SMALLEST_CLASS = 1024
"""Sizes are committed as a class: the smallest power of two, from here on, that holds the body."""

SchemaName = Literal["annotation", "finding", "motion", "order", "report", "veto"]
Language = Annotated[str, Meta(pattern=r"\A[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", max_length=35)]
FieldName = Annotated[str, Meta(pattern=r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=40)]
_ABSENT = b"null"
Salt = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]

Words = Annotated[list[tuple[Language, Annotated[str, Meta(min_length=1)]]], Meta(min_length=1, max_length=MAX_LIST)]
"""A text in one or more languages: [language tag, text], sorted by tag, each tag once."""
Amount = Annotated[int, Meta(ge=0, le=MAX_INT)]


class Attachment(Struct, frozen=True, forbid_unknown_fields=True):
    """A file kept beside the body: its name, media type, size in bytes and SHA-256."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    media: Annotated[str, Meta(pattern=r"\A[a-z0-9.+-]+/[a-z0-9.+-]+\Z", max_length=100)]
    size: Amount
    sha256: Digest


Attachments = Annotated[list[Attachment], Meta(min_length=1, max_length=MAX_LIST)]
"""Sorted by name, each name once."""

_TYPES: dict[str, Any] = {"words": Words, "amount": Amount, "attachments": Attachments}

SCHEMAS: dict[str, tuple[tuple[str, str], ...]] = {
    "annotation": (("title", "words"), ("text", "words"), ("attachments", "attachments")),
    "finding": (("title", "words"), ("text", "words"), ("method", "words"), ("attachments", "attachments")),
    "motion": (("title", "words"), ("text", "words"), ("name", "words"), ("attachments", "attachments")),
    "order": (("title", "words"), ("text", "words"), ("contact", "words"), ("attachments", "attachments")),
    "report": (
        ("title", "words"),
        ("text", "words"),
        ("place", "words"),
        ("cases", "amount"),
        ("deaths", "amount"),
        ("contact", "words"),
        ("attachments", "attachments"),
    ),
    "veto": (("title", "words"), ("text", "words"), ("attachments", "attachments")),
}
"""Fields of each schema, (name, type), in the order of their commitments. Append-only by new names."""


class BodyError(ValueError):
    """The bytes are no body or disclosure, or these values cannot make one; the sentence says why."""


class Field(Struct, frozen=True, forbid_unknown_fields=True):
    """A field with its salt; JSON null as its value: absent."""

    name: FieldName
    salt: Salt
    value: Raw


class Body(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole body as its holders keep it: every field of the schema, in schema order."""

    schema: SchemaName
    fields: Annotated[list[Field], Meta(max_length=MAX_LIST)]


class Shown(Struct, frozen=True, forbid_unknown_fields=True):
    """A disclosed field with its inclusion proof, the sibling of the commitment first."""

    name: FieldName
    salt: Salt
    value: Raw
    proof: Annotated[list[Digest], Meta(max_length=8)]


class Disclosure(Struct, frozen=True, forbid_unknown_fields=True):
    """Some fields of the body with this digest, in schema order."""

    digest: Digest
    schema: SchemaName
    size_class: Amount
    root: Digest
    fields: Annotated[list[Shown], Meta(min_length=1, max_length=MAX_LIST)]


class Said(NamedTuple):
    """A verified field: its name and its value, decoded; None if it is absent."""

    name: str
    value: Any


def make(schema: SchemaName, values: Mapping[str, Any], salts: Sequence[bytes]) -> Body:
    """A body of these values, with one salt for each field of the schema in its order (spec 12).

    Values are plain: `words` as a mapping or sorted list of language to text, `amount` as an integer,
    `attachments` as a list of `Attachment`. Raises BodyError.
    """
    wanted = _fields_of(schema)
    unknown = sorted(set(values) - {name for name, _ in wanted})
    if unknown:
        raise BodyError(f"A body of schema {schema} has no field {unknown[0]!r}.")
    if len(salts) != len(wanted) or any(len(salt) != SALT_SIZE for salt in salts):
        raise BodyError(f"A body of schema {schema} takes {len(wanted)} salts of {SALT_SIZE} bytes each.")
    if len({bytes(salt) for salt in salts}) != len(salts):
        raise BodyError("A salt stands twice; draw each one anew, or equal fields can be recognised.")
    fields = []
    for (name, kind), salt in zip(wanted, salts, strict=True):
        value = values.get(name)
        if isinstance(value, Mapping):
            value = sorted(value.items())
        fields.append(Field(name, bytes(salt).hex(), Raw(_ABSENT if value is None else _canonical(name, kind, value))))
    body = Body(schema, fields)
    _size_class(body)
    return body


def decode(data: bytes) -> Body:
    """Read a body; raises BodyError unless it is canonical and fits its schema."""
    if len(data) > MAX_BODY:
        raise BodyError(f"A body has at most {MAX_BODY} bytes, this has {len(data)}.")
    try:
        body: Body = msgspec.json.decode(data, type=Body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BodyError(f"The body cannot be read: {error}.") from None
    if encode(body) != data:
        raise BodyError("The body is not canonical: encoding it again gives other bytes.")
    wanted = _fields_of(body.schema)
    if [field.name for field in body.fields] != [name for name, _ in wanted]:
        raise BodyError(f"The body does not have the fields of schema {body.schema}, in their order.")
    for (name, kind), field in zip(wanted, body.fields, strict=True):
        _value(name, kind, field.value)
    return body


def values(body: Body) -> list[Said]:
    """Names and values of the fields that are present."""
    kinds = dict(_fields_of(body.schema))
    found = [Said(one.name, _value(one.name, kinds[one.name], one.value)) for one in body.fields]
    return [one for one in found if one.value is not None]


def body_digest(body: Body) -> str:
    """The digest that a submit, veto or annotate act carries."""
    return _digest(body.schema, _size_class(body), _root(body))


def disclose(body: Body, names: Sequence[str]) -> Disclosure:
    """Show these fields of a body, absent ones as absent; raises BodyError for a name it has not."""
    known = [field.name for field in body.fields]
    missing = [name for name in names if name not in known]
    if missing or not names:
        raise BodyError(f"A body of schema {body.schema} has no field {missing[0]!r}." if missing else "Name a field.")
    hashes = [merkle.leaf_hash(_commitment(field.name, field.salt, field.value)) for field in body.fields]
    shown = [
        Shown(field.name, field.salt, field.value, [one.hex() for one in _path(hashes, index)])
        for index, field in enumerate(body.fields)
        if field.name in names
    ]
    return Disclosure(body_digest(body), body.schema, _size_class(body), _root(body).hex(), shown)


def verify(disclosure: Disclosure) -> list[Said]:
    """Recompute a disclosure from its parts; return its fields. Raises BodyError with what fails.

    That its digest is the one on the ledger is for the caller to compare.
    """
    wanted = _fields_of(disclosure.schema)
    order = [name for name, _ in wanted]
    names = [field.name for field in disclosure.fields]
    if any(name not in order for name in names) or names != [name for name in order if name in names]:
        raise BodyError(f"The disclosed fields are not fields of schema {disclosure.schema}, in its order.")
    root = bytes.fromhex(disclosure.root)
    if _digest(disclosure.schema, disclosure.size_class, root) != disclosure.digest:
        raise BodyError("The root, schema and size class of the disclosure do not give its digest.")
    found = []
    for field in disclosure.fields:
        index = order.index(field.name)
        leaf = merkle.leaf_hash(_commitment(field.name, field.salt, field.value))
        proof = [bytes.fromhex(one) for one in field.proof]
        if not merkle.verify_inclusion(index, len(order), leaf, proof, root):
            raise BodyError(f"The field {field.name} is not the one that the body's digest commits to.")
        found.append(Said(field.name, _value(field.name, wanted[index][1], field.value)))
    return found


def _fields_of(schema: str) -> tuple[tuple[str, str], ...]:
    fields = SCHEMAS.get(schema)
    if fields is None:
        raise BodyError(f"There is no body schema {schema!r}.")
    return fields


def _canonical(name: str, kind: str, value: Any) -> bytes:
    try:
        data = encode(value)
    except (msgspec.EncodeError, TypeError, ValueError, OverflowError) as error:
        raise BodyError(f"The field {name} cannot be written: {error}.") from None
    _value(name, kind, Raw(data))
    return data


def _value(name: str, kind: str, raw: Raw) -> Any:
    """The decoded value of a field; BodyError unless it is canonical and of the field's type."""
    data = bytes(raw)
    if data == _ABSENT:
        return None
    try:
        value = msgspec.json.decode(data, type=_TYPES[kind])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BodyError(f"The field {name} is not of type {kind}: {error}.") from None
    if encode(value) != data:
        raise BodyError(f"The field {name} is not canonical: encoding it again gives other bytes.")
    if kind == "words":
        keys = [language for language, _ in value]
    elif kind == "attachments":
        keys = [one.name for one in value]
    else:
        return value
    if keys != sorted(set(keys)):
        raise BodyError(f"The entries of field {name} are not sorted, or one stands twice.")
    return value


def _commitment(name: str, salt: str, value: Raw) -> bytes:
    data = b"" if bytes(value) == _ABSENT else bytes(value)
    label = name.encode()
    parts = (len(label).to_bytes(2, "big"), label, bytes.fromhex(salt), len(data).to_bytes(8, "big"), data)
    return bytes.fromhex(digest(b"body-field", b"".join(parts)))


def _size_class(body: Body) -> int:
    size = len(encode(body))
    if size > MAX_BODY:
        raise BodyError(f"A body has at most {MAX_BODY} bytes, this has {size}; attach files instead.")
    return max(SMALLEST_CLASS, 1 << (size - 1).bit_length())


def _root(body: Body) -> bytes:
    return merkle.tree_root(merkle.leaf_hash(_commitment(field.name, field.salt, field.value)) for field in body.fields)


def _digest(schema: str, size_class: int, root: bytes) -> str:
    return digest(b"body", encode([schema, size_class]) + root)


def _path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    def read(height: int, place: int) -> bytes:
        return merkle.subtree_hash(hashes[place << height : (place + 1) << height])

    return merkle.inclusion_proof(index, len(hashes), read)
