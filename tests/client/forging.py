"""Logs and acts that lie, signed by the keys of those who are to have lied."""

from collections.abc import Callable
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from tests.client.world import Log, World
from tocsin.client.dossier import ShownAct, ShownLeaf, build_dossier, encode_dossier
from tocsin.client.policy import Policy
from tocsin.client.report import Report
from tocsin.client.verify import verify
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import Envelope, decode, encode
from tocsin.tlog import merkle

Acts = Callable[[list[ShownAct]], list[ShownAct]]


def place_of(log: Log, kind: type, message: str | None = None, last: bool = False) -> int:
    found = [
        index
        for index, leaf in enumerate(log.decoded)
        if isinstance(leaf, kind)
        and message in (None, *(getattr(leaf, name, None) for name in ("id", "target", "order")))
    ]
    return found[-1 if last else 0]


def forged(world: World, changes: dict[int, Any]) -> Log:
    """The same log with other leaves, made final by its own members."""
    log = Log(world.genesis)
    log.leaves = [encode(changes[index]) if index in changes else leaf for index, leaf in enumerate(world.leaves)]
    log.decoded = [changes.get(index, leaf) for index, leaf in enumerate(world.decoded)]
    log.hashes = [merkle.leaf_hash(leaf) for leaf in log.leaves]
    log.journal = world.journal
    log.sign(world.log, world.finality, world.at // 1000)
    return log


def checked(
    world: World, message: str, changes: dict[int, Any], policy: Policy | None = None, acts: Acts | None = None
) -> Report:
    """The verifier's word on the true dossier, its leaves taken from the forged log."""
    log = forged(world, changes)
    honest = build_dossier(world, message)
    shown = [
        ShownLeaf(
            leaf.index, Raw(log.leaves[leaf.index]), [one.hex() for one in log.inclusion(leaf.index, len(log.leaves))]
        )
        for leaf in honest.leaves
    ]
    signed = acts(list(honest.acts)) if acts else honest.acts
    return verify(
        encode_dossier(replace(honest, checkpoint=log.checkpoint().decode(), leaves=shown, acts=signed)),
        policy or world.policy(),
    )


Change = Callable[[Any], dict[str, Any]]


def with_acts(world: World, message: str, change: Callable[[list[ShownAct]], list[ShownAct]]) -> Report:
    dossier = build_dossier(world, message)
    return verify(encode_dossier(replace(dossier, acts=change(list(dossier.acts)))), world.policy())


def shown(data: bytes, index: int = 0) -> ShownAct:
    read = decode(data)
    assert isinstance(read, Envelope)
    others = [one for place, one in enumerate(read.act_digests) if place != index]
    act = Raw(encode(read.acts[index]))
    return ShownAct(Raw(encode(read.header)), read.key, read.signature.hex(), index, act, others)


def by_author(act: ShownAct, author: str) -> bool:
    return f'"author":"{author}"'.encode() in bytes(act.header)


def in_order(acts: list[ShownAct]) -> list[ShownAct]:
    """Acts as a dossier has them, by the digests of their envelopes."""

    def order(one: ShownAct) -> str:
        payload = bytes(one.header)
        kind = b"application/vnd.tocsin.acts+json"
        return digest(b"envelope", b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))

    return sorted(acts, key=order)


def swapped(author: str, data: bytes) -> Acts:
    """The true acts, but this envelope's in place of what the author signed."""
    return lambda acts: in_order([*(one for one in acts if not by_author(one, author)), shown(data)])
