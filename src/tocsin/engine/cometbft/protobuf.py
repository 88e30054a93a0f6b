"""Protocol buffers (proto3) for messages that are NamedTuples: what ABCI needs, and no more (ADR 7).

`@message(field=number, ...)` makes a NamedTuple readable and writable; its annotations say how each field looks on
the wire. Unknown fields are skipped, as proto3 wants it, so a message names only the fields that are used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T", bound=tuple[Any, ...])


class WireError(ValueError):
    """Bytes that are no message of the expected kind."""


class _Field(NamedTuple):
    """`place`: in the tuple. `kind`: int, bytes, str, or a message. `tag`: number and wire type as they are written."""

    place: int
    name: str
    kind: Any
    many: bool
    tag: bytes


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK = (1 << 64) - 1

_reading: dict[Any, dict[int, _Field]] = {}
_writing: dict[Any, list[_Field]] = {}


def message(**numbers: int) -> Callable[[type[T]], type[T]]:
    """Class decorator: the field numbers of a NamedTuple."""

    def register(cls: type[T]) -> type[T]:
        fields = []
        hints = get_type_hints(cls)
        for place, (name, number) in enumerate(numbers.items()):
            kind, many = hints[name], get_origin(hints[name]) is tuple
            if many:
                kind = get_args(kind)[0]
            elif len(get_args(kind)) == 2:
                kind = get_args(kind)[0]  # a message, or None where it is absent
            wire_type = _VARINT if kind is int and not many else _BYTES
            fields.append(_Field(place, name, kind, many, varint(number << 3 | wire_type)))
        if [one.name for one in fields] != list(cls.__annotations__):
            raise TypeError(f"{cls.__name__} needs a number for each field, in order")
        _writing[cls] = fields
        _reading[cls] = {read_varint(one.tag, 0, len(one.tag))[0]: one for one in fields}
        return cls

    return register


def varint(value: int) -> bytes:
    """An unsigned varint; a negative int64 takes ten bytes, as in proto3."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= _MASK
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An unsigned varint of at most 64 bits, and where it ends; raises WireError."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7
    raise WireError("a number ends too early or is too long")


def decode(cls: type[T], data: bytes, at: int = 0, end: int | None = None) -> T:
    """Read a message from a part of `data`; raises WireError."""
    end = len(data) if end is None else end
    fields = _reading[cls]
    found: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    while at < end:
        tag = data[at]
        at += 1
        if tag >= 0x80:
            tag, at = read_varint(data, at - 1, end)
        wire_type = tag & 7
        field = fields.get(tag)
        if wire_type == _BYTES:
            # Inline for one and two bytes: a block has thousands of these.
            if at < end and (length := data[at]) < 0x80:
                at += 1
            elif at + 1 < end and (high := data[at + 1]) < 0x80:
                length, at = length & 0x7F | high << 7, at + 2
            else:
                length, at = read_varint(data, at, end)
            start, at = at, at + length
            if at > end:
                raise WireError("a field is longer than its message")
            if field is None:
                continue
            _, name, kind, many, _ = field
            value: Any
            if kind is bytes:
                value = data[start:at]
            elif kind is int:
                lists[name] = _numbers(data, start, at)
                continue
            elif kind is str:
                try:
                    value = data[start:at].decode()
                except UnicodeDecodeError as error:
                    raise WireError("a text is not UTF-8") from error
            else:
                value = decode(kind, data, start, at)
            if not many:
                found[name] = value
            elif name in lists:
                lists[name].append(value)
            else:
                lists[name] = [value]
        elif wire_type == _VARINT:
            number, at = read_varint(data, at, end)
            if field is not None:
                found[field.name] = _signed(number)
        elif wire_type in (_FIXED64, _FIXED32):
            at += 8 if wire_type == _FIXED64 else 4
            if at > end:
                raise WireError("a field is longer than its message")
        else:
            raise WireError(f"wire type {wire_type} is not of proto3")
    for name, values in lists.items():
        found[name] = tuple(values)
    return cls(**found)


def _signed(number: int) -> int:
    """What a varint says of an int64."""
    return number - (1 << 64) if number >> 63 else number


def _numbers(data: bytes, at: int, end: int) -> list[int]:
    """Packed, as proto3 writes a list of numbers."""
    numbers = []
    while at < end:
        number, at = read_varint(data, at, end)
        numbers.append(_signed(number))
    return numbers


def encode(value: Any) -> bytes:
    """The bytes of a message; what has its default value is left out."""
    parts: list[bytes] = []
    for place, _, kind, many, tag in _writing[type(value)]:
        content = value[place]
        if not content and not isinstance(content, tuple):
            continue  # zero, empty or absent
        if kind is int and many:
            packed = b"".join(map(varint, content))
            parts += (tag, varint(len(packed)), packed) if packed else ()
        elif many:
            known: dict[Any, bytes] = {}  # the results of a block are mostly alike
            for one in content:
                if one not in known:
                    data = one if kind is bytes else one.encode() if kind is str else encode(one)
                    known[one] = b"".join((tag, varint(len(data)), data))
                parts.append(known[one])
        elif kind is bytes or kind is str:
            data = content if kind is bytes else content.encode()
            parts += (tag, varint(len(data)), data)
        elif kind is int:
            parts += (tag, varint(content))
        elif content is not None:
            data = encode(content)
            parts += (tag, varint(len(data)), data)
    return b"".join(parts)
