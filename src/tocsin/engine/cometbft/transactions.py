"""What CometBFT orders: transactions. Each is an envelope, or a group that one node was given in a moment (ADR 14).

What CometBFT does for each transaction and each of its bytes, on each node and between each two, it then does for the
whole group and a fifth of the bytes: envelopes name the same networks, members and messages over and over. Who is with
whom in a group means nothing; each envelope stands or falls by itself.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from tocsin.engine.cometbft.packing import pack, unpack

GROUP = 256
"""Envelopes in a group, at most."""
GROUP_BYTES = 192 * 1024
"""Of envelopes in a group, at most, before they are compressed."""
_SIGNATURE = 64
"""Bytes that each envelope of a group adds to it at least, whatever compresses it: nobody makes others verify more
signatures than were sent."""
_HEAD = b"tocsin envelopes\n"


def envelopes(transaction: bytes, room: int = GROUP_BYTES) -> Sequence[bytes]:
    """What a transaction holds. A group that is not well-formed, or of more bytes than `room`, is taken for an
    envelope, which it is not."""
    if not transaction.startswith(_HEAD) or room <= 0:
        return (transaction,)
    opened = _open(transaction)
    return opened if sum(map(len, opened)) + len(opened) - 1 <= room else (transaction,)


@lru_cache(maxsize=128)
def _open(group: bytes) -> tuple[bytes, ...]:
    """Each comes twice within moments: to be let in, and in its block."""
    try:
        held = unpack(group[len(_HEAD) :], GROUP_BYTES).split(b"\n", GROUP)
    except ValueError:
        return (group,)
    return tuple(held) if len(held) <= GROUP and len(held) * _SIGNATURE <= len(group) else (group,)


def together(held: Sequence[bytes]) -> bytes:
    """One transaction of these, at least one."""
    # An envelope is canonical JSON, which has no line's end within.
    return held[0] if len(held) == 1 else _HEAD + pack(b"\n".join(held))


def transactions(waiting: Iterable[bytes]) -> list[bytes]:
    """As few transactions as hold these envelopes, in their order."""
    found: list[bytes] = []
    held: list[bytes] = []
    size = 0
    for data in waiting:
        if held and (len(held) == GROUP or size + len(data) > GROUP_BYTES):
            found.append(together(held))
            held, size = [], 0
        held.append(data)
        size += len(data) + 1
    return [*found, together(held)] if held else found
