"""Checkpoints of this and other networks as the kernel reads them (spec 10, spec 11)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from tocsin.kernel.genesis import Check
from tocsin.kernel.leaves import RosterMember
from tocsin.kernel.rows import Member, Peer, Signer
from tocsin.tlog import Checkpoint, CosignedLine, Cosigner, Note, NoteError, VerifierKey, checkpoint, cosignature, note


class Statement(NamedTuple):
    """A checkpoint and the cosignatures of known finality keys on it, not yet verified."""

    note: Note
    checkpoint: Checkpoint
    lines: list[CosignedLine]


def cosigner_name(origin: str, member: str) -> str:
    """Name of a member's finality key on the checkpoints of a network (spec 10)."""
    return f"{origin}/{member}"


def signs(member: Member | RosterMember) -> bool:
    """Whether a member's finality key counts, and its validator key: it is active and has joined (spec 8.3, 10.3)."""
    return member.status == "active" and member.joined


def signers_of(members: Mapping[str, Member]) -> list[Signer]:
    """Whose finality keys count, sorted by id."""
    return [Signer(name, members[name].keys.finality) for name in sorted(members) if signs(members[name])]


def cosigners_of(origin: str, signers: Iterable[Signer]) -> list[Cosigner]:
    """Signers as they stand on a checkpoint of `origin`."""
    return [Cosigner(cosigner_name(origin, one.id), bytes.fromhex(one.key)) for one in signers]


def cosigners_of_members(origin: str, members: Mapping[str, Member]) -> list[Cosigner]:
    """The finality keys that count on this roster, sorted by id."""
    return cosigners_of(origin, signers_of(members))


def cosigners_of_peer(peer: Peer) -> list[Cosigner]:
    """The finality keys that count on the pinned roster, in order."""
    return [
        Cosigner(cosigner_name(peer.origin, one.id), bytes.fromhex(one.finality))
        for one in peer.entry.roster
        if one.active
    ]


def read_statement(text: str, origin: str, known: list[Cosigner]) -> Statement | None:
    """Parse a signed checkpoint of `origin`; None if it is not one."""
    return _read(text, origin, tuple(known))


def signed_by_log(statement: Statement, log_key: str) -> list[Check] | None:
    """The signatures of the log's own key to verify, at least one; None if its line is missing or malformed."""
    log = VerifierKey(statement.checkpoint.origin, 1, bytes.fromhex(log_key))
    try:
        own = note.signature_checks(statement.note, log)
    except NoteError:
        return None
    return [Check(one.key, one.message, one.signature) for one in own] or None


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
