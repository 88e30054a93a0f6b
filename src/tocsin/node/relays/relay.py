"""What a relay carries next, with real proofs, as if the two networks were strangers (spec 11).

The source may be in this process or behind a wire; nothing here depends on it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tocsin.kernel.acts import RelayAct, RelayedLeaf
from tocsin.kernel.rows import Peer
from tocsin.node.trial.hosted import HostedNetwork
from tocsin.tlog.note import encode_base64

MAX_LEAVES = 16
"""Leaves in one relay act; what is more goes in the next."""
MAX_BYTES = 64 * 1024
"""Of leaves in one act, unless the first alone has more: their envelope has at most 128 KiB (spec 3.0)."""


class Final(Protocol):
    """A final checkpoint: its note and size."""

    @property
    def note(self) -> str: ...

    @property
    def size(self) -> int: ...


class Sent(Protocol):
    """A leaf that goes out: its place in the log."""

    @property
    def place(self) -> int: ...


class Records(Protocol):
    """A log's leaves, and proofs of them."""

    def leaf(self, index: int) -> bytes: ...

    def inclusion(self, index: int, size: int) -> Sequence[bytes]: ...

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]: ...


class Source(Protocol):
    """The network that sends."""

    @property
    def origin(self) -> str: ...

    @property
    def store(self) -> Records: ...

    @property
    def steps(self) -> Sequence[tuple[int, Final]]:
        """(index of a roster leaf, the checkpoint of its block's end under the signers before it), in order."""

    def head(self) -> Final:
        """The newest final checkpoint."""
        ...

    def waiting_for(self, destination: str, since: int) -> Sequence[Sent]:
        """What goes to a destination from number `since` on, in order."""
        ...


class _Carried(NamedTuple):
    """What one act brings: a checkpoint, perhaps the roster leaf that its block wrote, leaves."""

    head: Final
    roster: int | None
    leaves: list[int]


def next_act(source: Source, peer: Peer, destination: str) -> RelayAct | None:
    """The act that brings `destination`, whose entry of the source is `peer`, what waits for it; None if nothing does.

    Rosters first, one an act: what comes after them is signed by other keys.
    """
    if peer.state != "active":
        return None
    entry = peer.entry
    carried = _next(source, peer, destination)
    if carried is None or carried.head.size < entry.size:
        return None
    store, size = source.store, carried.head.size

    def leaf(index: int) -> RelayedLeaf:
        return RelayedLeaf(index, store.leaf(index).decode(), _encode(store.inclusion(index, size)))

    leaves: list[RelayedLeaf] = []
    room = MAX_BYTES
    for index in carried.leaves:
        one = leaf(index)
        room -= len(one.leaf)
        if leaves and room < 0:
            break
        leaves.append(one)
    return RelayAct(
        source.origin,
        carried.head.note,
        _encode(store.consistency(entry.size, size)) if entry.size != size else [],
        None if carried.roster is None else leaf(carried.roster),
        leaves,
    )


def _next(source: Source, peer: Peer, destination: str) -> _Carried | None:
    for index, head in source.steps:
        if head.size > peer.entry.size:
            return _Carried(head, index, [])
    waiting = source.waiting_for(destination, peer.next_in)
    if not waiting:
        return None
    head = source.head()
    within = [one.place for one in waiting[:MAX_LEAVES] if one.place < head.size]
    return _Carried(head, None, within) if within else None


class Relay:
    """Carries what `source` sends to `destination`, signed there by `carrier`."""

    def __init__(self, source: HostedNetwork, destination: HostedNetwork, carrier: str) -> None:
        self.source = source
        self.destination = destination
        self.carrier = carrier

    def carry(self, at: int) -> bool:
        """Queue the next relay act at the destination if anything waits; whether there was something."""
        peer = self.destination.state.peers.get(self.source.origin)
        act = None if peer is None else next_act(self.source, peer, self.destination.origin)
        if act is None:
            return False
        self.destination.submit(self.carrier, [act], at)
        return True


def _encode(hashes: Sequence[bytes]) -> list[str]:
    return [encode_base64(one) for one in hashes]
