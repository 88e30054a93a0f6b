"""Signed notes (C2SP signed-note v1.0.0) and the verifier keys that name their signers.

A note is a text ending in a newline, a blank line, and one signature line for each signer. Nothing here checks
a signature: `signature_checks` names the checks, the caller brings Ed25519.
"""

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

ED25519 = 0x01
"""Signature type: Ed25519 over the text. A log signs its checkpoints with it."""
COSIGNATURE = 0x04
"""Signature type: timestamped Ed25519 cosignature (`tocsin.tlog.cosignature`)."""

MAX_NOTE_SIZE = 1_000_000
MAX_SIGNATURES = 100

_KEY_SIZE = 32
_SIGNATURE_SIZE = 64
_DASH = "\u2014 "
# White_Space of Unicode, written out so that two Python versions never disagree about a name.
_SPACES = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_NOT_IN_NAME = re.compile(f"[+\x00-\x1f{_SPACES}]")
_P = 2**255 - 19
# y of the points whose order divides 8, and the two non-canonical encodings (y + p) that fit into 255 bits.
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = (0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y, _P, _P + 1)


class NoteError(ValueError):
    """The bytes are not a well-formed note or key, or a known key's signature on it cannot be right."""


class Check(NamedTuple):
    """One Ed25519 check for the caller to make."""

    key: bytes
    message: bytes
    signature: bytes


class Signature(NamedTuple):
    """One signature line: who, the 4-byte key id, and the bytes behind it, whose meaning the key's type gives."""

    name: str
    key_id: bytes
    value: bytes


class VerifierKey(NamedTuple):
    """A public key with its name and signature type; printed and parsed as a vkey."""

    name: str
    type: int
    key: bytes

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.type, self.key)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.key)}"


class Note(NamedTuple):
    """A parsed note. ``text`` ends in a newline; ``message`` is what a type 01 signature covers."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def message(self) -> bytes:
        return self.text.encode()

    def lines_of(self, key: VerifierKey) -> tuple[bytes, ...]:
        """Values of the lines that bear this key's name and id, in the note's order."""
        wanted = key.key_id
        return tuple(s.value for s in self.signatures if s.key_id == wanted and s.name == key.name)


def key_id(name: str, type: int, key: bytes) -> bytes:
    """The 4 bytes SHA-256(name || newline || type || key)[:4]."""
    return sha256(name.encode() + b"\n" + bytes([type]) + key).digest()[:4]


def check_name(name: str) -> str:
    """The name if it may stand in a note: not empty, no space of any kind, no control character, no plus sign."""
    if not name:
        raise NoteError("a key name must not be empty")
    if _NOT_IN_NAME.search(name):
        raise NoteError(f"key name {name!r} has a space, a control character or a plus sign")
    return name


def parse_vkey(text: str) -> VerifierKey:
    """Read ``name+id+base64``. Raises NoteError on a wrong id, another type than 01 and 04, or a weak key."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError(f"vkey {text!r} is not of the form name+id+key")
    name, shown_id, encoded = parts
    check_name(name)
    data = decode_base64(encoded)
    if not data or data[0] not in (ED25519, COSIGNATURE):
        raise NoteError(f"vkey of {name} has an unsupported type; use Ed25519 (01) or a cosignature key (04)")
    key = VerifierKey(name, data[0], data[1:])
    if len(key.key) != _KEY_SIZE:
        raise NoteError(f"vkey of {name} holds {len(key.key)} bytes of key, not 32")
    if key.key_id.hex() != shown_id:
        raise NoteError(f"vkey of {name} says key id {shown_id}, the key has {key.key_id.hex()}")
    if is_small_order(key.key):
        raise NoteError(f"vkey of {name} is a small-order key, for which anybody can sign; make a new key")
    return key


def parse(data: bytes) -> Note:
    """Read a note. Raises NoteError for anything malformed; signature lines of any type are kept, unchecked."""
    if len(data) > MAX_NOTE_SIZE:
        raise NoteError(f"a note has at most {MAX_NOTE_SIZE} bytes, this has {len(data)}")
    try:
        content = data.decode()
    except UnicodeDecodeError:
        raise NoteError("a note is UTF-8, this is not") from None
    if _CONTROL.search(content):
        raise NoteError("a note has no control characters but the newline")
    split = content.rfind("\n\n")
    if split < 0:
        raise NoteError("a note has an empty line before its signatures, this has none")
    text, rest = content[: split + 1], content[split + 2 :]
    if not rest.endswith("\n"):
        raise NoteError("a note ends in a signature line and its newline")
    lines = rest[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"a note has at most {MAX_SIGNATURES} signature lines, this has {len(lines)}")
    return Note(text, tuple(_parse_line(line) for line in lines))


def format(text: str, signatures: Sequence[Signature]) -> bytes:
    """Write a note; what it gives, `parse` reads back. Raises NoteError if it would not be well formed."""
    if not text.endswith("\n"):
        raise NoteError("a note's text ends in a newline")
    written = Note(text, tuple(signatures))
    data = (text + "\n" + "".join(format_line(s) for s in written.signatures)).encode()
    if parse(data) != written:
        raise NoteError("this text cannot stand in a note")
    return data


def format_line(signature: Signature) -> str:
    """One signature line with its newline."""
    if len(signature.key_id) != 4 or not signature.value:
        raise NoteError("a signature line has a 4-byte key id and a signature")
    return f"{_DASH}{check_name(signature.name)} {encode_base64(signature.key_id + signature.value)}\n"


def sign_line(key: VerifierKey, value: bytes) -> Signature:
    """The line for signature bytes made by this key."""
    return Signature(key.name, key.key_id, value)


def signature_checks(note: Note, key: VerifierKey) -> tuple[Check, ...]:
    """What must verify for the lines of a type 01 key: empty if the key has none.

    All must: a note with a known key's bad signature is to be refused whole. Raises NoteError if a line of the key
    cannot hold an Ed25519 signature, ValueError if the key has another type.
    """
    if key.type != ED25519:
        raise ValueError(f"{key.name} has signature type {key.type:#04x}, not 01")
    values = note.lines_of(key)
    for value in values:
        if len(value) != _SIGNATURE_SIZE:
            raise NoteError(f"the signature line of {key.name} holds {len(value)} bytes, not 64")
    return tuple(Check(key.key, note.message, value) for value in values)


def is_small_order(key: bytes) -> bool:
    """Whether a 32-byte Ed25519 public key has an order that divides 8, in any encoding, canonical or not.

    Such a key accepts signatures that nobody made; refuse it wherever a key is registered.
    """
    if len(key) != _KEY_SIZE:
        raise ValueError(f"an Ed25519 public key has 32 bytes, not {len(key)}")
    y = int.from_bytes(key, "little") & (2**255 - 1)
    return y in _SMALL_ORDER_Y


def encode_base64(data: bytes) -> str:
    """Padded base64 of RFC 4648 section 4."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Bytes of a padded base64 text; NoteError unless it is the one canonical encoding of them."""
    try:
        data = a2b_base64(text)
    except (Base64Error, ValueError):
        raise NoteError(f"{_shorten(text)!r} is not base64") from None
    if encode_base64(data) != text:
        raise NoteError(f"{_shorten(text)!r} is not canonical base64")
    return data


def _parse_line(line: str) -> Signature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator:
        raise NoteError(f"{_shorten(line)!r} is not a signature line")
    data = decode_base64(encoded)
    if len(data) < 5:
        raise NoteError(f"the signature line of {_shorten(name)!r} is too short to hold a signature")
    return Signature(check_name(name), data[:4], data[4:])


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
