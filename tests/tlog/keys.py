"""Signers for the tests, from fixed seeds; the signing itself is libsodium's."""

from typing import NamedTuple

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tocsin.tlog import checkpoint, cosignature, note
from tocsin.tlog.checkpoint import Checkpoint
from tocsin.tlog.cosignature import Cosigner
from tocsin.tlog.note import ED25519, Signature, VerifierKey


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        VerifyKey(public_key).verify(message, signature)
    except BadSignatureError:
        return False
    return True


class Signer(NamedTuple):
    name: str
    secret: SigningKey

    @classmethod
    def of(cls, name: str, seed_byte: int) -> "Signer":
        return cls(name, SigningKey(bytes([seed_byte]) * 32))

    @property
    def public(self) -> bytes:
        return bytes(self.secret.verify_key)

    @property
    def log_key(self) -> VerifierKey:
        return VerifierKey(self.name, ED25519, self.public)

    @property
    def cosigner(self) -> Cosigner:
        return Cosigner(self.name, self.public)

    def sign(self, text: str) -> Signature:
        return note.sign_line(self.log_key, self.secret.sign(text.encode()).signature)

    def cosign(self, text: str, timestamp: int) -> Signature:
        signature = self.secret.sign(cosignature.message(text, timestamp)).signature
        return cosignature.sign_line(self.cosigner, timestamp, signature)


LOG = Signer.of("ledger.example/alpha", 0x01)
MEMBERS = tuple(Signer.of(f"member{i}.example/w", 0x0A + i) for i in range(4))


def signed_checkpoint(size: int, root: bytes, timestamp: int = 1767225600, cosigners: int = 1) -> bytes:
    text = checkpoint.format(Checkpoint(LOG.name, size, root))
    return note.format(text, [LOG.sign(text), *(member.cosign(text, timestamp) for member in MEMBERS[:cosigners])])
