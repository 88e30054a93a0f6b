"""Founding: the genesis file, its signatures, and block 0 (spec 1)."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from tocsin.kernel.acts import Keys
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import encode
from tocsin.kernel.words import MAX_MEMBERS, Coded, Digest, Key, Millis, Origin, Role, Signature, Slug
from tocsin.tlog import is_small_order

PROTOCOL = 1
MAX_GENESIS = 256 * 1024


class Founder(Struct, frozen=True, forbid_unknown_fields=True):
    """A founding member; `entity` is its legal entity as `scheme:code`."""

    id: Slug
    entity: Coded
    roles: Annotated[list[Role], Meta(min_length=1, max_length=5)]
    keys: Keys


class Genesis(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A canonical file; its digest is the network's identity everywhere. Members sorted by id."""

    protocol: Annotated[int, Meta(ge=PROTOCOL, le=PROTOCOL)]
    origin: Origin
    created: Millis
    charter: Charter
    log_key: Key
    members: Annotated[list[Founder], Meta(min_length=1, max_length=MAX_MEMBERS)]

    @cached_property
    def digest(self) -> str:
        """The network's identity."""
        return digest(b"genesis", encode(self))


class FoundingSignature(Struct, frozen=True, forbid_unknown_fields=True):
    member: Slug
    key: Key
    signature: Signature


class Founding(Struct, frozen=True, forbid_unknown_fields=True):
    """The file beside the genesis: every key of every member signs its digest (spec 1)."""

    genesis: Digest
    signatures: Annotated[list[FoundingSignature], Meta(max_length=4 * MAX_MEMBERS + 1)]


class Check(NamedTuple):
    """One signature to verify: Ed25519 public key, message, signature, all bytes."""

    key: bytes
    message: bytes
    signature: bytes


class GenesisError(ValueError):
    """The genesis, or its founding, is not one; the sentence says why."""


def founding_statement(genesis: str) -> bytes:
    """What every key signs to found a network, which proves possession at once."""
    return b"tocsin/v1/founding\n" + genesis.encode() + b"\n"


def admission_statement(genesis: str, member: str, keys: Keys, expires: int) -> bytes:
    """What each new key signs to prove possession for admission or rekeying (spec 8)."""
    return b"tocsin/v1/possession\n" + encode([genesis, member, keys, expires])


def rotation_statement(genesis: str, member: str, which: str, key: str) -> bytes:
    """What a new key signs when the root key rotates it in (spec 8)."""
    return b"tocsin/v1/rotation\n" + encode([genesis, member, which, key])


_read_genesis = msgspec.json.Decoder(Genesis).decode
"""Made once, by one thread: msgspec crashes the process where two make the decoder of a type for the first time."""


def decode_genesis(data: bytes) -> Genesis:
    """Read a genesis file; raises GenesisError with a sentence."""
    if len(data) > MAX_GENESIS:
        raise GenesisError(f"The genesis is larger than {MAX_GENESIS} bytes.")
    try:
        genesis = _read_genesis(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise GenesisError(f"The genesis cannot be read: {error}.") from error
    if encode(genesis) != data:
        raise GenesisError("The genesis is not canonical: encoding it again gives other bytes.")
    problems = genesis_problems(genesis)
    if problems:
        raise GenesisError(problems[0])
    return genesis


def genesis_problems(genesis: Genesis) -> list[str]:
    """What is wrong with the members of a genesis (their charter is checked by the loader)."""
    problems: list[str] = []
    ids = [founder.id for founder in genesis.members]
    if ids != sorted(set(ids)):
        problems.append("The members of the genesis are not sorted by id, or an id stands twice.")
    entities = [founder.entity for founder in genesis.members]
    if len(set(entities)) != len(entities):
        problems.append("One legal entity stands twice among the members; each may be a member once.")
    keys = [key for founder in genesis.members for key in founder.keys.all()] + [genesis.log_key]
    if len(set(keys)) != len(keys):
        problems.append("A key stands twice in the genesis; all keys of a network are distinct.")
    if any(is_small_order(bytes.fromhex(key)) for key in keys):
        problems.append("The genesis holds a weak key, for which anybody can sign; make new keys.")
    for founder in genesis.members:
        if list(founder.roles) != sorted(set(founder.roles)):
            problems.append(f"The roles of {founder.id} are not sorted, or one stands twice.")
    return problems


def founding_checks(genesis: Genesis, founding: Founding) -> list[Check]:
    """The signatures to verify, one for each key; raises GenesisError if one is missing or foreign."""
    identity = genesis.digest
    if founding.genesis != identity:
        raise GenesisError("The founding signatures are for another genesis.")
    wanted = sorted((founder.id, key) for founder in genesis.members for key in founder.keys.all())
    given = [(one.member, one.key) for one in founding.signatures]
    if given != wanted:
        raise GenesisError("The founding lacks a signature of a member's key, or holds one that is not a member's.")
    statement = founding_statement(identity)
    return [Check(bytes.fromhex(one.key), statement, bytes.fromhex(one.signature)) for one in founding.signatures]


def sorted_founders(founders: Sequence[Founder]) -> list[Founder]:
    """Founders as the genesis wants them."""
    return sorted(founders, key=lambda founder: founder.id)
