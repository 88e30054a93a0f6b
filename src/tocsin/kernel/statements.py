"""Checkpoints of this and other networks as the kernel reads them (spec 10, spec 11)."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from tocsin.kernel.rows import Member, Peer
from tocsin.tlog import Checkpoint, CosignedLine, Cosigner, Note, NoteError, checkpoint, cosignature, note


class Statement(NamedTuple):
    """A checkpoint and the cosignatures of known finality keys on it, not yet verified."""

    note: Note
    checkpoint: Checkpoint
    lines: list[CosignedLine]


def cosigner_name(origin: str, member: str) -> str:
    """Name of a member's finality key on the checkpoints of a network (spec 10)."""
    return f"{origin}/{member}"


def cosigners_of_members(origin: str, members: Mapping[str, Member]) -> list[Cosigner]:
    """The active members' finality keys, sorted by id."""
    return [
        Cosigner(cosigner_name(origin, name), bytes.fromhex(members[name].keys.finality))
        for name in sorted(members)
        if members[name].status == "active"
    ]


def cosigners_of_peer(peer: Peer) -> list[Cosigner]:
    """The pinned roster's active finality keys, in order."""
    return [
        Cosigner(cosigner_name(peer.origin, one.id), bytes.fromhex(one.finality))
        for one in peer.entry.roster
        if one.active
    ]


def read_statement(text: str, origin: str, known: list[Cosigner]) -> Statement | None:
    """Parse a signed checkpoint of `origin`; None if it is not one."""
    return _read(text, origin, tuple(known))


@lru_cache(maxsize=64)
def _read(text: str, origin: str, known: tuple[Cosigner, ...]) -> Statement | None:
    # A relay is looked at three times, for its checks, its reads and its effects; parse it once.
    try:
        parsed = note.parse(text.encode())
        head = checkpoint.parse(parsed.text)
        lines = cosignature.final_lines(parsed, known)
    except (NoteError, ValueError):
        return None
    return Statement(parsed, head, lines) if head.origin == origin else None
