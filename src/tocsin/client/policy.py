"""The policy: whom a verifier trusts about one network, brought from outside the dossier (spec 10).

One canonical JSON file of a few hundred bytes: the genesis digest, origin and log key of the network, the finality
keys of one roster with its epoch, and perhaps a checkpoint seen before. It may be printed, published, or passed
from hand to hand; whoever can change it can make a verifier believe anything.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from tocsin.kernel.acts import PinnedMember
from tocsin.kernel.envelope import encode
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.leaves import RosterLeaf, RosterMember
from tocsin.kernel.quorum import finality
from tocsin.kernel.statements import cosigner_name, signs
from tocsin.kernel.words import MAX_INT, MAX_MEMBERS, Digest, Key, Origin
from tocsin.tlog import Cosigner, VerifierKey, is_small_order
from tocsin.tlog import policy as tlog_policy
from tocsin.tlog.note import ED25519

FORMAT: Final = "tocsin-policy/1"
MAX_POLICY = 64 * 1024

Positive = Annotated[int, Meta(ge=1, le=MAX_INT)]
"""A size or an epoch: never 0."""


class PolicyError(ValueError):
    """The policy cannot be used; the sentence says why."""


class Pin(Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint seen before, by its size and root: every later one must extend it."""

    size: Positive
    root: Digest


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What to believe of a network. `roster`: that of `epoch`, sorted by id; `checkpoint`: or null."""

    format: Literal["tocsin-policy/1"]
    genesis: Digest
    origin: Origin
    log_key: Key
    epoch: Positive
    roster: Annotated[list[PinnedMember], Meta(min_length=1, max_length=MAX_MEMBERS)]
    checkpoint: Pin | None

    @property
    def log(self) -> VerifierKey:
        """The log's own key."""
        return VerifierKey(self.origin, ED25519, bytes.fromhex(self.log_key))


def decode_policy(data: bytes) -> Policy:
    """Read a policy file, with or without a final newline. Raises PolicyError."""
    if len(data) > MAX_POLICY:
        raise PolicyError(f"A policy has at most {MAX_POLICY} bytes, this file has {len(data)}; it is something else.")
    data = data.removesuffix(b"\n")
    try:
        policy = msgspec.json.decode(data, type=Policy)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PolicyError(f"The policy cannot be read: {error}.") from None
    if encode(policy) != data:
        raise PolicyError("The policy is not canonical: encoding it again gives other bytes.")
    _check(policy)
    return policy


def encode_policy(policy: Policy) -> bytes:
    """The policy file, with a final newline."""
    _check(policy)
    return encode(policy) + b"\n"


def policy_of_genesis(genesis: Genesis, checkpoint: Pin | None = None) -> Policy:
    """Trust the founders: epoch 1, from a genesis file whose digest one got in another way."""
    roster = [PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, True) for one in genesis.members]
    return Policy(FORMAT, genesis.digest, genesis.origin, genesis.log_key, 1, roster, checkpoint)


def policy_of_roster(genesis: Genesis, roster: RosterLeaf, checkpoint: Pin | None = None) -> Policy:
    """Trust a later roster, as its leaf states it."""
    members = pinned(roster.members)
    return Policy(FORMAT, genesis.digest, genesis.origin, genesis.log_key, roster.epoch, members, checkpoint)


def pinned(members: list[RosterMember]) -> list[PinnedMember]:
    """What a policy keeps of a roster."""
    return [
        PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, signs(one)) for one in members
    ]


def cosigners(origin: str, roster: list[PinnedMember]) -> list[Cosigner]:
    """The finality keys that count under a roster: those of its active members that have joined (spec 10.3)."""
    return [Cosigner(cosigner_name(origin, one.id), bytes.fromhex(one.finality)) for one in roster if one.active]


def tlog_policy_file(policy: Policy) -> bytes:
    """The same trust as a C2SP tlog-policy file, for foreign verifiers of a `.tlog-proof`.

    That format knows no genesis, epoch or pinned checkpoint. The witnesses' URLs are their names as such, because
    some readers insist on one.
    """
    witnesses = [
        tlog_policy.Witness(one.name, one.vkey, f"https://{one.name}")
        for one in cosigners(policy.origin, policy.roster)
    ]
    log = tlog_policy.Log(policy.log)
    return tlog_policy.format(tlog_policy.k_of_n(log, witnesses, finality(len(witnesses))))


def _check(policy: Policy) -> None:
    ids = [one.id for one in policy.roster]
    if ids != sorted(set(ids)):
        raise PolicyError("The policy's roster is not sorted by id, or an id stands twice.")
    keys = [one.finality for one in policy.roster]
    if len({*keys, policy.log_key}) != len(keys) + 1:
        raise PolicyError("A key stands twice in the policy; the keys of a network are distinct.")
    if any(is_small_order(bytes.fromhex(key)) for key in (*keys, policy.log_key)):
        raise PolicyError("The policy holds a weak key, for which anybody can sign; get the policy anew.")
    if not any(one.active for one in policy.roster):
        raise PolicyError("The policy's roster has no member that signs, so nobody could make anything final.")
