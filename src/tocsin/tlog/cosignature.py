"""Timestamped Ed25519 cosignatures (C2SP tlog-cosignature v1, signature type 04), and how they are counted.

A cosignature does not bind its signer's name, so what counts is distinct public keys (spec 10). Times are POSIX
seconds by the signer's own clock.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import note as notes
from .note import COSIGNATURE, Check, Note, NoteError, Signature, VerifierKey

MAX_TIMESTAMP = 2**63 - 1

Verify = Callable[[bytes, bytes, bytes], bool]
"""An Ed25519 check brought by the caller: ``(public_key, message, signature)`` -> whether it holds."""

_VALUE_SIZE = 8 + 64


class Cosigner(NamedTuple):
    """A key that may cosign, under the name its lines bear."""

    name: str
    key: bytes

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.name, COSIGNATURE, self.key)


class CosignedLine(NamedTuple):
    """A cosignature on a note, still to be checked: `Check` with the time that the signer stated."""

    key: bytes
    message: bytes
    signature: bytes
    timestamp: int


class Cosigned(NamedTuple):
    """One distinct key whose cosignature holds, and the newest time it stated."""

    key: bytes
    timestamp: int


class Opened(NamedTuple):
    """A key whose signature on a note holds; ``timestamp`` is None for type 01."""

    key: VerifierKey
    timestamp: int | None


def message(text: str, timestamp: int) -> bytes:
    """The bytes a cosigner signs for a checkpoint's text at a time."""
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise ValueError(f"a cosignature cannot bear the time {timestamp}")
    return b"cosignature/v1\ntime %d\n" % timestamp + text.encode()


def sign_line(cosigner: Cosigner, timestamp: int, signature: bytes) -> Signature:
    """The note line for a signature over `message`."""
    if len(signature) != 64:
        raise ValueError(f"an Ed25519 signature has 64 bytes, not {len(signature)}")
    if not 0 <= timestamp <= MAX_TIMESTAMP:
        raise ValueError(f"a cosignature cannot bear the time {timestamp}")
    return notes.sign_line(cosigner.vkey, timestamp.to_bytes(8, "big") + signature)


def final_lines(note: Note, cosigners: Sequence[Cosigner]) -> list[CosignedLine]:
    """The lines of these cosigners on a note, in the note's order, repetitions left out; other lines are ignored.

    Give what their signature checks said to `count`. Raises NoteError if a cosigner's line cannot be a
    cosignature, or two keys share a name and key id.
    """
    known: dict[tuple[str, bytes], bytes] = {}
    for cosigner in cosigners:
        name_and_id = (cosigner.name, cosigner.vkey.key_id)
        if known.setdefault(name_and_id, cosigner.key) != cosigner.key:
            raise NoteError(f"two keys of {cosigner.name} share the key id {name_and_id[1].hex()}")
    lines: dict[CosignedLine, None] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            lines[_line(note.text, signature.name, key, signature.value)] = None
    return list(lines)


def count(lines: Sequence[CosignedLine], verdicts: Sequence[bool]) -> tuple[Cosigned, ...]:
    """Distinct keys among checked lines, sorted by key, each with its newest time.

    ``verdicts`` says for each line whether its signature holds. One that does not refuses the note: NoteError.
    """
    newest: dict[bytes, int] = {}
    for line, good in zip(lines, verdicts, strict=True):
        if not good:
            raise NoteError(f"the cosignature of key {line.key.hex()} does not verify; ask for the note again")
        newest[line.key] = max(line.timestamp, newest.get(line.key, 0))
    return tuple(Cosigned(key, newest[key]) for key in sorted(newest))


def final_since(cosigned: Sequence[Cosigned], quorum: int) -> int | None:
    """The latest time at or after which at least ``quorum`` keys say they signed; None if fewer did."""
    if quorum < 1:
        raise ValueError("a quorum has at least one member")
    times = sorted((c.timestamp for c in cosigned), reverse=True)
    return times[quorum - 1] if len(times) >= quorum else None


def open_note(note: Note, keys: Sequence[VerifierKey], verify: Verify) -> tuple[Opened, ...]:
    """Check all lines of these keys, of both types; one entry for each key that signed, in the order of ``keys``.

    Raises NoteError if a signature of one of the keys fails, or none of them signed.
    """
    opened = []
    for key in keys:
        timestamp = None
        if key.type == COSIGNATURE:
            lines = final_lines(note, (Cosigner(key.name, key.key),))
            checks = tuple(Check(*line[:3]) for line in lines)
            timestamp = max((line.timestamp for line in lines), default=None)
        else:
            checks = notes.signature_checks(note, key)
        for check in checks:
            if not verify(*check):
                raise NoteError(f"the signature of {key.name} does not verify")
        if checks:
            opened.append(Opened(key, timestamp))
    if not opened:
        raise NoteError("none of the known keys signed this note")
    return tuple(opened)


def _line(text: str, name: str, key: bytes, value: bytes) -> CosignedLine:
    timestamp = int.from_bytes(value[:8], "big")
    if len(value) != _VALUE_SIZE or timestamp > MAX_TIMESTAMP:
        raise NoteError(f"the line of {name} is not a timestamped cosignature")
    return CosignedLine(key, message(text, timestamp), value[8:], timestamp)
