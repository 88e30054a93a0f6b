"""Envelopes: DSSE, canonical, sized, and read without trust (spec 2, spec 3).

Sizes are limited before parsing, parsing comes before checking, and nothing here verifies a
signature: `Envelope.signed` is what the node must check under `Envelope.key`.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from tocsin.kernel.acts import Act, RelayAct
from tocsin.kernel.digest import act_digest, acts_digest, digest, envelope_digest
from tocsin.kernel.plain import decode_plain_header, decode_plain_wrapper
from tocsin.kernel.reasons import Reason
from tocsin.kernel.words import MAX_ACTS, MAX_INT, Digest, Key, Millis, Slug

PAYLOAD_TYPE = "application/vnd.tocsin.acts+json"
MAX_ENVELOPE = 64 * 1024
MAX_RELAY_ENVELOPE = 128 * 1024
"""Bytes of a wrapper whose only act is `relay` (spec 3)."""
MAX_DEPTH = 16
VERSION = 1

_WRAPPER = (
    b'{"payload":"%b","payloadType":"'
    + PAYLOAD_TYPE.encode()
    + b'","signatures":[{"keyid":"%b","sig":"%b"}],"acts":[%b]}'
)
"""A wrapper in canonical form, of base64, hex, base64 and canonical acts."""
_PAE_PREFIX = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode()


class Header(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What is signed. `valid_until` in ms; `acts`: their number; `digest`: over their digests."""

    v: int
    genesis: Digest
    author: Slug
    valid_until: Millis
    acts: Annotated[int, Meta(ge=1, le=MAX_ACTS)]
    digest: Digest


class _Signature(Struct, frozen=True, forbid_unknown_fields=True):
    keyid: Key
    sig: Annotated[str, Meta(min_length=88, max_length=88)]


class _Wrapper(Struct, frozen=True, forbid_unknown_fields=True):
    payload: Annotated[str, Meta(max_length=2048)]
    payloadType: Annotated[str, Meta(max_length=100)]
    signatures: Annotated[list[_Signature], Meta(min_length=1, max_length=1)]
    acts: Annotated[list[Raw], Meta(max_length=100_000)]


class Envelope(NamedTuple):
    """A well-formed envelope. `digest` is over the signed bytes, never wrapper or signature, so that
    wrapping it anew makes no second one (spec 3)."""

    digest: str
    header: Header
    acts: tuple[Act, ...]
    act_digests: tuple[str, ...]
    key: str
    signature: bytes
    signed: bytes
    data: bytes


class Refusal(NamedTuple):
    """Why bytes are no envelope, and where (empty when the reason says it all)."""

    reason: Reason
    detail: str = ""


_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Canonical JSON of any schema of ours: compact, keys in schema order (spec 2)."""
_decode_wrapper = msgspec.json.Decoder(_Wrapper).decode
_decode_header = msgspec.json.Decoder(Header).decode
decode_act = msgspec.json.Decoder(Act).decode
"""Decode one act; raises msgspec.ValidationError or DecodeError."""


def too_deep(data: bytes) -> bool:
    """Whether JSON nests deeper than `MAX_DEPTH`, counted without parsing it."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    in_string = False
    skip = False
    for byte in data:
        if in_string:
            if skip:
                skip = False
            elif byte == 0x5C:
                skip = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return False


def _pae(payload: bytes) -> bytes:
    """DSSE pre-authentication encoding of a payload of our type."""
    return b"%b%d %b" % (_PAE_PREFIX, len(payload), payload)


def decode(data: bytes) -> Envelope | Refusal:
    """Read an envelope from untrusted bytes; total: never raises (spec 3, spec 14)."""
    return _read(data) or _examine(data)


def _read(data: bytes) -> Envelope | None:
    """What `_examine` gives for an envelope that is right in everything, read in one pass; else None."""
    if len(data) > MAX_ENVELOPE:
        return None
    try:
        wrapper = decode_plain_wrapper(data)
        payload = a2b_base64(wrapper.payload, strict_mode=True)
        signature = a2b_base64(wrapper.signatures[0].sig, strict_mode=True)
        header = decode_plain_header(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    key = wrapper.signatures[0].keyid
    acts = [encode(act) for act in wrapper.acts]
    if data != _WRAPPER % (
        b2a_base64(payload, newline=False), key.encode(), b2a_base64(signature, newline=False), b",".join(acts)
    ) or payload != encode(header):  # fmt: skip
        return None
    hashes = [act_digest(act) for act in acts]
    if (
        header.v != VERSION
        or not 1 <= header.acts == len(acts) <= MAX_ACTS
        or not 0 <= header.valid_until <= MAX_INT
        or len(signature) != 64
        or header.digest != acts_digest(hashes)
        or not _well_named(header.genesis, header.author, key)
    ):
        return None
    signed = _pae(payload)
    return Envelope(
        envelope_digest(signed),
        Header(header.v, header.genesis, header.author, header.valid_until, header.acts, header.digest),
        tuple(wrapper.acts), tuple([one.hex() for one in hashes]), key, signature, signed, data,
    )  # fmt: skip


@lru_cache(maxsize=8192)
def _well_named(genesis: str, author: str, key: str) -> bool:
    """Whether these have the form of a digest, a member's id and a key. Few authors send most envelopes."""
    try:
        msgspec.convert((genesis, author, key), tuple[Digest, Slug, Key])
    except msgspec.ValidationError:
        return False
    return True


def _examine(data: bytes) -> Envelope | Refusal:
    """Read an envelope step by step, and say at which step it fails."""
    if len(data) > MAX_RELAY_ENVELOPE:
        return Refusal(Reason.TOO_LARGE, f"{len(data)} bytes")
    try:
        wrapper = _decode_wrapper(data)
    except msgspec.ValidationError as error:
        return Refusal(Reason.WRONG_SHAPE, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _unreadable(data, error)
    except RecursionError:
        return Refusal(Reason.TOO_DEEP)
    if wrapper.payloadType != PAYLOAD_TYPE:
        return Refusal(Reason.WRONG_TYPE, wrapper.payloadType[:80])
    if encode(wrapper) != data:
        return Refusal(Reason.NOT_CANONICAL, "wrapper")
    signature = wrapper.signatures[0]
    payload, sig = _canonical_base64(wrapper.payload), _canonical_base64(signature.sig)
    if payload is None or sig is None or len(sig) != 64:
        return Refusal(Reason.NOT_CANONICAL, "base64")
    try:
        header = _decode_header(payload)
    except msgspec.ValidationError as error:
        return Refusal(Reason.WRONG_SHAPE, f"payload: {error}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        refusal = _unreadable(payload, error)
        return refusal._replace(detail=f"payload: {refusal.detail}")
    except RecursionError:
        return Refusal(Reason.TOO_DEEP, "payload")
    if encode(header) != payload:
        return Refusal(Reason.NOT_CANONICAL, "payload")
    if header.v != VERSION:
        return Refusal(Reason.WRONG_VERSION, str(header.v))
    if not wrapper.acts or len(wrapper.acts) != header.acts:
        return Refusal(Reason.WRONG_COUNT, f"{len(wrapper.acts)} acts beside a header of {header.acts}")
    acts: list[Act] = []
    digests: list[str] = []
    for index, raw in enumerate(wrapper.acts):
        data_of_act = bytes(raw)
        if too_deep(data_of_act):
            return Refusal(Reason.TOO_DEEP, f"act {index}")
        try:
            act: Act = decode_act(data_of_act)
        except msgspec.ValidationError as error:
            return Refusal(Reason.WRONG_SHAPE, f"act {index}: {error}")
        except UnicodeDecodeError as error:
            return Refusal(Reason.NOT_UTF8, f"act {index}: byte {error.start}")
        except (msgspec.DecodeError, RecursionError) as error:
            return Refusal(Reason.NOT_JSON, f"act {index}: {error}")
        if encode(act) != data_of_act:
            return Refusal(Reason.NOT_CANONICAL, f"act {index}")
        acts.append(act)
        digests.append(digest(b"act", data_of_act))
    if len(data) > MAX_ENVELOPE and not (len(acts) == 1 and isinstance(acts[0], RelayAct)):
        return Refusal(Reason.TOO_LARGE, f"{len(data)} bytes")
    if acts_digest([bytes.fromhex(one) for one in digests]) != header.digest:
        return Refusal(Reason.DIGEST_MISMATCH)
    signed = _pae(payload)
    return Envelope(envelope_digest(signed), header, tuple(acts), tuple(digests), signature.keyid, sig, signed, data)


def _unreadable(data: bytes, error: Exception) -> Refusal:
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        return Refusal(Reason.NOT_UTF8, f"byte {wrong.start}")
    return Refusal(Reason.NOT_JSON, str(error))


def _canonical_base64(text: str) -> bytes | None:
    try:
        data = a2b_base64(text, strict_mode=True)
    except (Base64Error, ValueError):
        return None
    return data if _base64(data) == text else None


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


class Unsigned(NamedTuple):
    """An envelope before its signature: sign `signed`, then `seal`."""

    payload: bytes
    signed: bytes
    acts: tuple[bytes, ...]

    def seal(self, key: str, signature: bytes) -> bytes:
        """The wrapper's canonical bytes. `key`: hex public key; `signature`: 64 bytes."""
        wrapper = _Wrapper(
            _base64(self.payload),
            PAYLOAD_TYPE,
            [_Signature(key, _base64(signature))],
            [Raw(act) for act in self.acts],
        )
        return encode(wrapper)


def unsigned(genesis: str, author: str, valid_until: int, acts: Sequence[Act]) -> Unsigned:
    """Build what a member signs (spec 3). The caller keeps to sizes; `decode` enforces them."""
    encoded = tuple(encode(act) for act in acts)
    digests = acts_digest([bytes.fromhex(digest(b"act", one)) for one in encoded])
    payload = encode(Header(VERSION, genesis, author, valid_until, len(encoded), digests))
    return Unsigned(payload, _pae(payload), encoded)
