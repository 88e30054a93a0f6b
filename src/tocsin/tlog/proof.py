"""Proofs to hand out (C2SP tlog-proof v1): an entry's place in a log, provable offline to a stranger.

The file holds index, inclusion proof and checkpoint. Entry and policy come to the verifier from elsewhere.
"""

from dataclasses import dataclass
from typing import NamedTuple

from . import checkpoint as checkpoints
from . import note as notes
from .checkpoint import Checkpoint, CheckpointError
from .cosignature import Verify, open_note
from .merkle import HASH_SIZE, leaf_hash, verify_inclusion
from .note import MAX_NOTE_SIZE, Note, NoteError, VerifierKey, decode_base64, encode_base64
from .policy import Policy, satisfied

MAX_EXTRA_SIZE = 48_000
"""Bytes of extra data; Go's reader takes no line over 64 KiB of base64."""
MAX_HASHES = 63

_MAGIC = "c2sp.org/tlog-proof@v1"
_MAX_SIZE = MAX_NOTE_SIZE + 100_000


class ProofError(ValueError):
    """The proof is malformed or does not hold; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Proof:
    """``checkpoint`` is the signed note, verbatim; ``extra`` is opaque and bound by nothing."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""


class Witnessed(NamedTuple):
    """A witness of the policy whose cosignature holds, and the time it stated (POSIX seconds)."""

    name: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What a proof that holds has shown: the entry is at ``index`` in the log of ``checkpoint``."""

    checkpoint: Checkpoint
    index: int
    logs: tuple[VerifierKey, ...]
    cosigners: tuple[Witnessed, ...]


def format(proof: Proof) -> bytes:
    """Write a proof file. Raises ProofError if `parse` would not read it back."""
    lines = [_MAGIC]
    if proof.extra:
        lines.append(f"extra {encode_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += [encode_base64(value) for value in proof.hashes]
    data = "".join(f"{line}\n" for line in lines).encode() + b"\n" + proof.checkpoint
    if parse(data) != proof:
        raise ProofError("these values cannot stand in a proof file")
    return data


def parse(data: bytes) -> Proof:
    """Read a proof file; its checkpoint is checked for form, not for signatures. Raises ProofError."""
    if len(data) > _MAX_SIZE:
        raise ProofError(f"a proof file has at most {_MAX_SIZE} bytes, this has {len(data)}")
    head, separator, checkpoint = data.partition(b"\n\n")
    if not separator:
        raise ProofError("the proof has no empty line before its checkpoint; the file is cut or is no proof")
    try:
        magic, *lines = head.decode("ascii").split("\n")
        if magic != _MAGIC:
            raise ProofError(f"the first line is not {_MAGIC}; the file is no proof, or of another version")
        extra = _parse_extra(lines.pop(0)) if lines and lines[0].startswith("extra ") else b""
        if not lines or not lines[0].startswith("index "):
            raise ProofError("the proof has no index line")
        index = checkpoints.parse_decimal(lines[0].removeprefix("index "), checkpoints.MAX_SIZE)
        hashes = tuple(_parse_hash(line) for line in lines[1:])
        _parse_checkpoint(checkpoint)
    except ProofError:
        raise
    except ValueError as error:
        raise ProofError(f"the proof is malformed: {error}") from None
    if len(hashes) > MAX_HASHES:
        raise ProofError(f"a proof has at most {MAX_HASHES} hashes, this has {len(hashes)}")
    return Proof(index, hashes, checkpoint, extra)


def verify_proof(proof: Proof, entry: bytes, policy: Policy, verify: Verify) -> Verified:
    """Check that the entry is in a log the policy names, under a checkpoint cosigned as it demands.

    Every line of a key of the policy must verify. Times are reported, not judged. Raises ProofError with one
    sentence that says what failed.
    """
    note, checkpoint = _parse_checkpoint(proof.checkpoint)
    logs = [log.key for log in policy.logs if log.key.name == checkpoint.origin]
    if not logs:
        raise ProofError(f"the policy names no log with the origin {checkpoint.origin}")
    try:
        opened = open_note(note, [*logs, *(witness.key for witness in policy.witnesses)], verify)
    except NoteError as error:
        raise ProofError(f"the checkpoint's signatures do not hold: {error}") from None
    times = {signer.key.key: signer.timestamp for signer in opened if signer.timestamp is not None}
    signed = tuple(signer.key for signer in opened if signer.timestamp is None)
    if not signed:
        raise ProofError(f"the log {checkpoint.origin} did not sign this checkpoint")
    cosigners = tuple(Witnessed(w.name, times[w.key.key]) for w in policy.witnesses if w.key.key in times)
    if not satisfied(policy, times):
        names = ", ".join(cosigner.name for cosigner in cosigners) or "nobody"
        raise ProofError(f"the quorum {policy.quorum} of the policy is not met: cosigned by {names}")
    if not 0 <= proof.index < checkpoint.size:
        raise ProofError(f"there is no entry {proof.index} in a log of {checkpoint.size} entries")
    if not verify_inclusion(proof.index, checkpoint.size, leaf_hash(entry), proof.hashes, checkpoint.root):
        raise ProofError(f"this is not entry {proof.index} of {checkpoint.origin}, or its inclusion proof was changed")
    return Verified(checkpoint, proof.index, signed, cosigners)


def _parse_checkpoint(data: bytes) -> tuple[Note, Checkpoint]:
    try:
        note = notes.parse(data)
        return note, checkpoints.parse(note.text, extensions=True)
    except (NoteError, CheckpointError) as error:
        raise ProofError(f"the checkpoint is malformed: {error}") from None


def _parse_extra(line: str) -> bytes:
    extra = decode_base64(line.removeprefix("extra "))
    if not 0 < len(extra) <= MAX_EXTRA_SIZE:
        raise ProofError(f"a proof has 1 to {MAX_EXTRA_SIZE} bytes of extra data, or no such line")
    return extra


def _parse_hash(line: str) -> bytes:
    value = decode_base64(line)
    if len(value) != HASH_SIZE:
        raise ProofError(f"a hash of a proof has 32 bytes, not {len(value)}")
    return value
