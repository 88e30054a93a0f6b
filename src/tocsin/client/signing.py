"""Signing for members: envelopes, founding, proofs of possession, finality (spec 1, spec 3, spec 8, spec 10).

Everything here asks a `Signer` for Ed25519 signatures and never sees a private key, so that a key may live in a
file, in hardware, or on another machine.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import nacl.bindings
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

from tocsin.kernel.acts import Act, Keys, Rotate
from tocsin.kernel.envelope import Refusal, decode, unsigned
from tocsin.kernel.genesis import (
    Founding,
    FoundingSignature,
    Genesis,
    GenesisError,
    admission_statement,
    founding_checks,
    founding_statement,
    rotation_statement,
)
from tocsin.kernel.reasons import Reason, sentence
from tocsin.kernel.statements import cosigner_name
from tocsin.kernel.words import MAX_ACTS
from tocsin.tlog import Checkpoint, Cosigner, VerifierKey, checkpoint, cosignature, note
from tocsin.tlog.note import ED25519, Signature

VALID_FOR_MS = 600_000
"""How long clients let an envelope be valid (spec 3.1); at most an hour is accepted."""

_PUBLIC_KEY_SIZE = 32
_SIGNATURE_SIZE = 64


class SigningError(ValueError):
    """What was to be signed, or what was signed, does not fit; the sentence says why."""


class Signer(Protocol):
    """One Ed25519 key. `public_key` in lower-case hex, as everywhere on the wire; `sign` returns 64 bytes."""

    @property
    def public_key(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


class SeedSigner:
    """A key held in memory as its 32-byte seed (RFC 8032)."""

    __slots__ = ("_key", "_public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != nacl.bindings.crypto_sign_SEEDBYTES:
            raise SigningError(f"An Ed25519 seed has 32 bytes, not {len(seed)}.")
        self._key = SigningKey(seed)
        self._public_key = bytes(self._key.verify_key).hex()

    @classmethod
    def generate(cls) -> "SeedSigner":
        """A new random key."""
        return cls(bytes(SigningKey.generate()))

    @property
    def public_key(self) -> str:
        return self._public_key

    @property
    def seed(self) -> bytes:
        """The secret; for a keystore, and nobody else."""
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        return bytes(self._key.sign(message).signature)

    def __repr__(self) -> str:
        return f"SeedSigner({self._public_key})"


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature holds, exactly as libsodium decides it (spec 2)."""
    if len(public_key) != _PUBLIC_KEY_SIZE or len(signature) != _SIGNATURE_SIZE:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


def sign_acts(signer: Signer, genesis: str, author: str, valid_until: int, acts: Sequence[Act]) -> bytes:
    """An envelope of these acts, ready to submit (spec 3). `valid_until` in ms of block time.

    Raises SigningError with the sentence of the refusal that the envelope would meet anywhere: size, number of
    acts, values that no schema allows.
    """
    if not 1 <= len(acts) <= MAX_ACTS:
        raise SigningError(sentence(Reason.WRONG_COUNT))
    draft = unsigned(genesis, author, valid_until, acts)
    data = draft.seal(signer.public_key, signer.sign(draft.signed))
    read = decode(data)
    if isinstance(read, Refusal):
        where = f" ({read.detail})" if read.detail else ""
        raise SigningError(sentence(read.reason) + where)
    return data


# Founding (spec 1).


def sign_founding(signer: Signer, genesis: Genesis, member: str) -> FoundingSignature:
    """One key's signature over the genesis: that its holder founds with it, and possesses the key."""
    founder = next((one for one in genesis.members if one.id == member), None)
    if founder is None or signer.public_key not in founder.keys.all():
        raise SigningError(f"The genesis does not name the key {signer.public_key} as one of {member}.")
    return FoundingSignature(member, signer.public_key, signer.sign(founding_statement(genesis.digest)).hex())


def assemble_founding(genesis: Genesis, signatures: Sequence[FoundingSignature]) -> Founding:
    """The founding file from the signatures of all parties; raises SigningError while one is missing or wrong."""
    founding = Founding(genesis.digest, sorted(signatures, key=lambda one: (one.member, one.key)))
    verify_founding(genesis, founding)
    return founding


def found_with(genesis: Genesis, signers: Mapping[str, Sequence[Signer]]) -> Founding:
    """Found in one go where all keys are at hand: member -> its signers, in any order."""
    return assemble_founding(
        genesis, [sign_founding(one, genesis, member) for member in sorted(signers) for one in signers[member]]
    )


def verify_founding(genesis: Genesis, founding: Founding) -> None:
    """Check that every key of every member signed this genesis; raises SigningError naming the first that did not."""
    try:
        checks = founding_checks(genesis, founding)
    except GenesisError as error:
        raise SigningError(str(error)) from None
    for check, one in zip(checks, founding.signatures, strict=True):
        if not verify_signature(*check):
            raise SigningError(f"The founding signature of {one.member} with the key {one.key} does not hold.")


# Proofs of possession (spec 8).


def prove_possession(signers: Sequence[Signer], genesis: str, member: str, keys: Keys, expires: int) -> list[str]:
    """The proofs of `motion.admit` and `motion.rekey`: each key in the order of `keys.all()` signs.

    `expires` in ms of block time; the signers may come in any order. Raises SigningError if a key has no signer.
    """
    statement = admission_statement(genesis, member, keys, expires)
    held = {one.public_key: one for one in signers}
    missing = [key for key in keys.all() if key not in held]
    if missing:
        raise SigningError(f"Nobody here holds the key {missing[0]} of {member}; each new key must sign.")
    return [held[key].sign(statement).hex() for key in keys.all()]


def rotation(
    signer: Signer, genesis: str, member: str, which: Literal["root", "act", "finality", "validator"]
) -> Rotate:
    """The act that rotates this new key in; its envelope is to be signed by the member's root key."""
    key = signer.public_key
    return Rotate(which, key, signer.sign(rotation_statement(genesis, member, which, key)).hex())


# Checkpoints (spec 10).


def sign_checkpoint(signer: Signer, head: Checkpoint) -> Signature:
    """The log's own line on a checkpoint (type 01); its name is the origin."""
    text = checkpoint.format(head)
    key = VerifierKey(head.origin, ED25519, bytes.fromhex(signer.public_key))
    return note.sign_line(key, signer.sign(text.encode()))


def cosign_checkpoint(signer: Signer, member: str, head: Checkpoint, timestamp: int) -> Signature:
    """A member's finality line (type 04): that it executed all leaves below this size. `timestamp` in POSIX seconds.

    The caller must have checked the head, and written down what it signs, first (spec 10).
    """
    text = checkpoint.format(head)
    cosigner = Cosigner(cosigner_name(head.origin, member), bytes.fromhex(signer.public_key))
    return cosignature.sign_line(cosigner, timestamp, signer.sign(cosignature.message(text, timestamp)))
