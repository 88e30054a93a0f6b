"""What proves the archived rows: their sum, which each block moves by what it changed (spec 10.2).

Archived rows are too many to be hashed again and again. Each stands for a number below 2^4096, drawn from its key and
value, and the sum of all of them, modulo 2^4096, is the same in whatever order they came (AdHash: Bellare and
Micciancio 1997). At this size, finding other rows of the same sum takes some 2^128 steps by the generalised birthday
attack (Wagner 2002), as much as a collision of SHA-256.
"""

from hashlib import sha256, shake_128

from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import encode
from tocsin.kernel.rows import Archive

_BYTES = 512
_MODULUS = 1 << 8 * _BYTES
_PREFIX = b"tocsin/v1/archived\0"

EMPTY = Archive(0, "00" * _BYTES)


class ArchiveSum:
    """The sum in the making, from where a row left it."""

    def __init__(self, start: Archive = EMPTY) -> None:
        self._count = start.count
        self._sum = int.from_bytes(bytes.fromhex(start.sum), "big")

    def add(self, key: str, value: bytes) -> None:
        """A row is there now."""
        self._count += 1
        self._sum += _number(key, value)

    def take(self, key: str, value: bytes) -> None:
        """A row that was there is no more."""
        self._count -= 1
        self._sum -= _number(key, value)

    def row(self) -> Archive:
        """It, as the state holds it."""
        return Archive(self._count, (self._sum % _MODULUS).to_bytes(_BYTES, "big").hex())


def archived_writes(draft: Draft) -> list[tuple[str, bytes]]:
    """Archived rows that a block changed, as they are written; the sum moves with them."""
    rows = [(key, encode(row)) for key, row in draft.archive.items()]
    rows = [(key, data) for key, data in rows if data != draft.rows.get(key)]
    if rows:
        total = ArchiveSum(draft.get("archive", ""))
        for key, data in rows:
            before = draft.rows.get(key)
            if before is not None:
                total.take(key, before)
            total.add(key, data)
        draft.put("archive", "", total.row())
    return rows


def _number(key: str, value: bytes) -> int:
    # The row is hashed first: SHA-256 is several times faster than SHAKE over some kilobytes.
    name = key.encode()
    row = sha256(b"".join((_PREFIX, len(name).to_bytes(4, "big"), name, value))).digest()
    return int.from_bytes(shake_128(row).digest(_BYTES), "big")
