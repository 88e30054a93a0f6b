"""The domain-separated hash functions of the protocol (spec 2).

`H(tag, data) = SHA-256("tocsin/v1/" || tag || 0x00 || data)`: one tag for each use, so that bytes
hashed for one purpose can never stand for another.
"""

from collections.abc import Sequence
from hashlib import sha256

_PREFIX = b"tocsin/v1/"
# Made once: these three are asked for with every envelope.
_ACT = _PREFIX + b"act\0"
_ACTS = _PREFIX + b"acts\0"
_ENVELOPE = _PREFIX + b"envelope\0"


def digest(tag: bytes, data: bytes) -> str:
    """Return the lower-case hex digest of `data` in the domain `tag`."""
    return sha256(b"tocsin/v1/%b\0%b" % (tag, data)).hexdigest()


def digest_of_parts(tag: bytes, parts: Sequence[bytes]) -> str:
    """The same of all parts together, which are copied once only."""
    return sha256(b"".join((_PREFIX, tag, b"\0", *parts))).hexdigest()


def act_digest(act: bytes) -> bytes:
    """Digest of one act's canonical bytes, itself as bytes (spec 3)."""
    return sha256(_ACT + act).digest()


def envelope_digest(signed: bytes) -> str:
    """Digest of an envelope, over its signed bytes (spec 3)."""
    return sha256(_ENVELOPE + signed).hexdigest()


def message_id(envelope: str, index: int) -> str:
    """Id of the message that act `index` of an envelope submits (spec 3)."""
    return digest(b"message", bytes.fromhex(envelope) + index.to_bytes(2, "big"))


def relayed_id(own_genesis: str, source_genesis: str, number: int) -> str:
    """Id of a message made from a relayed leaf (spec 3)."""
    return digest(b"relayed", bytes.fromhex(own_genesis) + bytes.fromhex(source_genesis) + number.to_bytes(8, "big"))


def incident_id(message: str) -> str:
    """Id of the incident that a recorded report opened (spec 8)."""
    return digest(b"incident", bytes.fromhex(message))


def envelopes_digest(envelopes: Sequence[str], codes: bytes) -> str:
    """Digest of a block's envelopes, by theirs, and of what became of their acts, as canonical JSON (spec 10.2)."""
    return digest_of_parts(b"envelopes", [*map(bytes.fromhex, envelopes), codes])


def acts_digest(acts: list[bytes]) -> str:
    """Digest over the list of the acts' digests, so that one act can be shown alone (spec 3)."""
    return sha256(_ACTS + b"".join(acts)).hexdigest()


def app_hash(size: int, root: bytes) -> bytes:
    """Engine application hash: H(size, root) of the log (spec 10)."""
    return sha256(_PREFIX + b"app\0" + size.to_bytes(8, "big") + root).digest()
