"""Founding by agencies whose keys never leave home (spec 1.2): files that each side makes, sends and checks.

All of them lie in one folder, the papers, of which everybody has a copy:

- `<member>.founder`: an offer, made at home: public keys, proofs of possession, addresses;
- `genesis.json`: what one of them assembled from all offers;
- `log-key.json`: the log's own key, sealed for each founder (alone it makes nothing final);
- `<member>.signatures`: that this member founds with that genesis;
- `founding.json`: all signatures, with which every node starts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta, Struct
from nacl.exceptions import CryptoError
from nacl.public import SealedBox
from nacl.signing import SigningKey, VerifyKey

from tocsin import charters
from tocsin.client.signing import (
    SeedSigner,
    SigningError,
    assemble_founding,
    prove_possession,
    sign_founding,
    verify_signature,
)
from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import (
    MAX_GENESIS,
    PROTOCOL,
    Founder,
    Founding,
    FoundingSignature,
    Genesis,
    GenesisError,
    admission_statement,
    decode_genesis,
    genesis_problems,
    sorted_founders,
)
from tocsin.kernel.words import Digest, Millis, Origin, Role, Signature, Slug
from tocsin.node.home.config import PeerAddress, Url
from tocsin.node.keys import KeyRole, Keystore

ROLES: Final[tuple[KeyRole, ...]] = ("root", "act", "finality", "validator")
"""A member's keys, in the order of `Keys.all()`."""
GENESIS, FOUNDING, LOG_KEY = "genesis.json", "founding.json", "log-key.json"
_MAX_PAPER = 512 * 1024

_T = TypeVar("_T")


class CeremonyError(Exception):
    """A paper is missing or does not hold; the sentence names it."""


class Admission(Struct, frozen=True, forbid_unknown_fields=True):
    """For a network that exists: until when, ms, and each key's proof of possession (spec 8.3)."""

    genesis: Digest
    expires: Millis
    proofs: Annotated[list[Signature], Meta(min_length=4, max_length=4)]


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """Who wants to be a member, with which keys, and where its node is: its address, and CometBFT's `id@host:port`.
    `proofs`: each key in the order of `Keys.all()` signs `offer_statement`."""

    origin: Origin
    founder: Founder
    url: Url
    comet: PeerAddress
    proofs: Annotated[list[Signature], Meta(min_length=4, max_length=4)]
    admission: Admission | None


class _SealedKey(Struct, frozen=True, forbid_unknown_fields=True):
    genesis: Digest
    boxes: dict[Slug, bytes]


class _Signatures(Struct, frozen=True, forbid_unknown_fields=True):
    genesis: Digest
    signatures: list[FoundingSignature]


class Papers(NamedTuple):
    """What was assembled, and found to hold. `offers` sorted by member."""

    genesis: Genesis
    offers: list[Offer]


def offer_statement(offer: Offer) -> bytes:
    """What each key of an offer signs (spec 1.2)."""
    return b"tocsin/v1/offer\n" + encode([offer.origin, offer.founder, offer.url, offer.comet])


# At home.


def make_offer(
    origin: str, member: str, entity: str, roles: Sequence[Role], url: str, comet: str,
    signers: Callable[[KeyRole], SeedSigner], admission: tuple[str, int] | None = None,
) -> Offer:  # fmt: skip
    """An offer by who holds the keys. `admission`: digest of the genesis, and until when, ms, for a network that
    exists. Raises CeremonyError if a value does not have its form."""
    held = [signers(role) for role in ROLES]
    root, act, finality, validator = (one.public_key for one in held)
    keys = Keys(root, act, finality, validator, "self")
    offer = Offer(origin, Founder(member, entity, sorted(set(roles)), keys), url, comet, [], None)
    statement = offer_statement(offer)
    offer = msgspec.structs.replace(offer, proofs=[one.sign(statement).hex() for one in held])
    if admission is not None:
        genesis, expires = admission
        proofs = prove_possession(held, genesis, member, keys, expires)
        offer = msgspec.structs.replace(offer, admission=Admission(genesis, expires, proofs))
    return _decode(encode(offer), Offer, f"The offer of {member}")


def read_offer(path: Path) -> Offer:
    """An offer whose keys all signed it. Raises CeremonyError."""
    offer = _read(path, Offer)
    keys = offer.founder.keys
    if keys.validator is None:
        raise CeremonyError(f"{path} has no validator key; make it anew with `tocsin founding offer`.")
    statements = [(offer_statement(offer), offer.proofs)]
    if offer.admission is not None:
        statement = admission_statement(offer.admission.genesis, offer.founder.id, keys, offer.admission.expires)
        statements.append((statement, offer.admission.proofs))
    for statement, proofs in statements:
        for key, proof in zip(keys.all(), proofs, strict=True):
            if not verify_signature(bytes.fromhex(key), statement, bytes.fromhex(proof)):
                raise CeremonyError(
                    f"{path} is not signed by its key {key}: it was changed on its way. Ask {offer.founder.id} for it "
                    "again, by another way."
                )
    return offer


def read_offers(folder: Path) -> list[Offer]:
    """All offers of a folder, sorted by member. Raises CeremonyError."""
    offers = [read_offer(path) for path in sorted(folder.glob("*.founder"))]
    return sorted(offers, key=lambda offer: offer.founder.id)


# By one of them.


def assemble(folder: Path, charter: Callable[[Sequence[Founder]], Charter], created: int) -> Genesis:
    """Write `genesis.json` and `log-key.json` from the offers in `folder`. `created` in ms; `charter`: for these
    founders. Raises CeremonyError."""
    if (folder / GENESIS).exists():
        raise CeremonyError(f"{folder / GENESIS} exists; name a new folder, or remove it if nobody signed it.")
    offers = read_offers(folder)
    origins = sorted({offer.origin for offer in offers})
    if len(origins) != 1:
        raise CeremonyError(f"The offers in {folder} are for {' and '.join(origins) or 'no network'}, not for one.")
    founders = sorted_founders([offer.founder for offer in offers])
    log = SigningKey.generate()
    key = bytes(log.verify_key).hex()
    genesis = Genesis(PROTOCOL, origins[0], created, charter(founders), key, founders)
    _require_sound(genesis)
    boxes = {
        one.id: SealedBox(VerifyKey(bytes.fromhex(one.keys.finality)).to_curve25519_public_key()).encrypt(bytes(log))
        for one in founders
    }
    (folder / LOG_KEY).write_bytes(encode(_SealedKey(genesis.digest, {id: bytes(box) for id, box in boxes.items()})))
    (folder / GENESIS).write_bytes(encode(genesis))
    return genesis


# By each of them.


def check(folder: Path) -> Papers:
    """That the genesis says what all offers say and no more, and that its charter is lawful. Raises CeremonyError."""
    genesis = read_genesis(folder / GENESIS)
    _require_sound(genesis)
    offers = read_offers(folder)
    offered = {offer.founder.id: offer for offer in offers}
    for member in genesis.members:
        offer = offered.get(member.id)
        if offer is None:
            raise CeremonyError(f"{folder} lacks {member.id}.founder, whom the genesis makes a founder; ask for it.")
        if offer.founder != member or offer.origin != genesis.origin:
            raise CeremonyError(
                f"The genesis does not say of {member.id} what {member.id}.founder says: keys, entity or roles differ. "
                "Sign nothing; let it be assembled anew from the offers that each of you checked."
            )
    left_out = sorted(set(offered) - {one.id for one in genesis.members})
    if left_out:
        raise CeremonyError(f"The genesis leaves out {', '.join(left_out)}, who made an offer; ask why.")
    return Papers(genesis, offers)


def sign(folder: Path, member: str, digest: str, keystores: Sequence[Keystore]) -> SeedSigner:
    """Check everything, sign for a member with all its keys, and return the log's key, to be kept with them.

    `digest`: as the founders read it to each other. Raises CeremonyError, KeystoreError.
    """
    genesis = check(folder).genesis
    if genesis.digest != digest:
        raise CeremonyError(
            f"The genesis in {folder} has the digest {genesis.digest}, not {digest}. Sign nothing; compare the papers."
        )
    sealed = _read(folder / LOG_KEY, _SealedKey)
    signers = [holder(keystores, genesis.origin, member, role).signer(genesis.origin, member, role) for role in ROLES]
    log = _unseal(sealed, genesis, member, signers[ROLES.index("finality")], folder / LOG_KEY)
    try:
        signatures = [sign_founding(one, genesis, member) for one in signers]
    except SigningError as error:
        raise CeremonyError(f"{error} These are not the keys of {member}.founder.") from None
    (folder / f"{member}.signatures").write_bytes(encode(_Signatures(digest, signatures)))
    return log


def collect(folder: Path) -> Founding:
    """Write `founding.json` once everybody's signatures are in `folder`. Raises CeremonyError, saying whose are not."""
    genesis = check(folder).genesis
    paths = {member.id: folder / f"{member.id}.signatures" for member in genesis.members}
    missing = [id for id, path in paths.items() if not path.exists()]
    if missing:
        raise CeremonyError(f"The signatures of {', '.join(missing)} are not in {folder} yet.")
    signatures = [one for path in paths.values() for one in _read(path, _Signatures).signatures]
    try:
        founding = assemble_founding(genesis, signatures)
    except SigningError as error:
        raise CeremonyError(str(error)) from None
    (folder / FOUNDING).write_bytes(encode(founding))
    return founding


def read_genesis(path: Path) -> Genesis:
    """A genesis file. Raises CeremonyError."""
    try:
        return decode_genesis(_bytes(path, MAX_GENESIS))
    except GenesisError as error:
        raise CeremonyError(f"{path}: {error}") from None


def _require_sound(genesis: Genesis) -> None:
    """Members that can found together, and a charter that loads."""
    problems = genesis_problems(genesis)
    if problems:
        raise CeremonyError(f"No network can be founded so: {problems[0]}")
    try:
        charters.from_bytes(genesis.charter.canonical)
    except charters.CharterError as error:
        raise CeremonyError(f"The charter cannot be used: {error}") from None


def holder(keystores: Sequence[Keystore], origin: str, member: str, role: KeyRole) -> Keystore:
    """The keystore that has a member's key, or the first, which then says that it has not."""
    place = (origin, member, role)
    found = (one for one in keystores if any((key.network, key.member, key.role) == place for key in one.entries()))
    return next(found, keystores[0])


def _unseal(sealed: _SealedKey, genesis: Genesis, member: str, finality: SeedSigner, path: Path) -> SeedSigner:
    private = SigningKey(finality.seed).to_curve25519_private_key()
    try:
        log = SeedSigner(SealedBox(private).decrypt(sealed.boxes.get(member, b"")))
    except (CryptoError, SigningError, ValueError, TypeError):
        raise CeremonyError(f"{path} holds nothing for {member}; let the genesis be assembled anew.") from None
    if log.public_key != genesis.log_key or sealed.genesis != genesis.digest:
        raise CeremonyError(f"{path} holds another key than the genesis names; let it be assembled anew.")
    return log


def _read(path: Path, type: type[_T]) -> _T:
    return _decode(_bytes(path, _MAX_PAPER), type, str(path))


def _decode(data: bytes, type: type[_T], what: str) -> _T:
    try:
        value: Any = msgspec.json.decode(data, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CeremonyError(f"{what} does not have the form that it should have: {error}.") from None
    return value  # type: ignore[no-any-return]


def _bytes(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise CeremonyError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise CeremonyError(f"{path} is larger than {most} bytes; it is not what its name says.")
    return data
