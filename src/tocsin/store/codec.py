"""How lists and keys lie in the database's columns."""

import threading
from collections.abc import Iterable

import msgspec
import zstandard
from msgspec import Struct

from tocsin.kernel.rows import OLD_INCIDENT, OLD_MESSAGE, ORIGINAL
from tocsin.store.errors import StoreCorrupt

MAX_LEAF = 65_535
_MAX_CONTENT = 1 << 30
"""Bytes; what claims to hold more is damaged, and is not to take all memory."""

encode_receipts = msgspec.json.Encoder().encode
decode_receipts = msgspec.json.Decoder(list[list[int]]).decode

_PREFIXES = {OLD_MESSAGE: b"\x01", OLD_INCIDENT: b"\x02", ORIGINAL: b"\x03"}
_PREFIX_OF = {value: key for key, value in _PREFIXES.items()}
_OTHER = b"\x00"


def pack(items: Iterable[bytes], width: int) -> bytes:
    """Each item behind its length in `width` bytes, big-endian. With 2 this is how C2SP bundles entries."""
    parts: list[bytes] = []
    for item in items:
        parts += (len(item).to_bytes(width, "big"), item)
    return b"".join(parts)


def unpack(data: bytes, width: int) -> list[bytes]:
    """Read back what `pack` wrote; raises StoreCorrupt if the data end within an item."""
    items: list[bytes] = []
    position, total = 0, len(data)
    while position < total:
        start = position + width
        end = start + int.from_bytes(data[position:start], "big")
        if start > total or end > total:
            raise StoreCorrupt("A stored list ends within an item. Run `tocsin fsck`.")
        items.append(data[start:end])
        position = end
    return items


class _Zstd(threading.local):
    """A pair for each thread: neither may be used by two at once."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def compress(data: bytes) -> bytes:
    """What `pack` made, or a segment, as it is stored: a Zstandard frame, or as it is where that is no longer.

    Neither can begin like a frame: that would be the length of a leaf that is no JSON, or of 683 million bytes.
    """
    frame = _zstd.compress(data)
    return frame if len(frame) < len(data) else data


def decompress(stored: bytes) -> bytes:
    """The bytes that `compress` took; raises StoreCorrupt if they cannot be had."""
    if not stored.startswith(zstandard.FRAME_HEADER):
        return stored
    try:
        if zstandard.get_frame_parameters(stored).content_size <= _MAX_CONTENT:
            return _zstd.decompress(stored, allow_extra_data=False)
    except zstandard.ZstdError:
        pass
    raise StoreCorrupt("A stored list cannot be decompressed. Run `tocsin fsck`.")


def pack_key(key: str) -> bytes:
    """An archived row's key, its digests as bytes: half as long."""
    for prefix, tag in _PREFIXES.items():
        if key.startswith(prefix):
            digests = key[len(prefix) :].split(":")
            if all(len(one) == 64 for one in digests):
                together = "".join(digests)
                try:
                    packed = bytes.fromhex(together)
                except ValueError:
                    break
                if packed.hex() == together:
                    return tag + packed
            break
    return _OTHER + key.encode()


def unpack_key(data: bytes) -> str:
    """The key that `pack_key` packed; of bytes that are none something to show."""
    tag, rest = data[:1], data[1:]
    if tag not in _PREFIX_OF:
        return rest.decode(errors="backslashreplace")
    digests = rest.hex()
    return _PREFIX_OF[tag] + ":".join(digests[i : i + 64] for i in range(0, len(digests), 64))


LANDMARKS = ("genesis", "charter", "roster", "peer")
"""Kinds of the few leaves that every dossier needs."""
LANDMARK = "0" * 64
"""An id that no digest will ever have, under which landmarks are found."""


class About(Struct, frozen=True):
    """What the terms of a leaf are about: a finding's target, or our message that a peer speaks of."""

    message: str | None = None
    target: str | None = None


class Names(Struct, frozen=True):
    """The ids that a leaf of any kind bears on its outside, and what its terms are about."""

    leaf: str
    id: str | None = None
    incident: str | None = None
    order: str | None = None
    target: str | None = None
    finding: str | None = None
    message: str | None = None
    terms: About | None = None

    def all(self) -> list[str]:
        """Distinct ids, the leaf's own first; a landmark's name where it is one."""
        named = dict.fromkeys((self.id, self.incident, self.order, self.target, self.finding, self.message))
        if self.terms is not None:
            named |= dict.fromkeys((self.terms.message, self.terms.target))
        found = [one for one in named if one is not None and len(one) == 64]
        return [LANDMARK, *found] if self.leaf in LANDMARKS else found


names_of = msgspec.json.Decoder(Names).decode
"""Read only the ids of a leaf."""


def short_id(id: str) -> int:
    """First 8 bytes of a hex id as SQLite's signed integer."""
    return int.from_bytes(bytes.fromhex(id[:16]), "big", signed=True)
