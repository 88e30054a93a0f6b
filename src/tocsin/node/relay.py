"""Relays between networks that this node hosts, with real proofs, as if they were strangers (spec 11)."""

from tocsin.kernel.acts import RelayAct, RelayedLeaf
from tocsin.node.hosted import Head, HostedNetwork
from tocsin.tlog.note import encode_base64

MAX_LEAVES = 16
"""Leaves in one relay act; what is more goes in the next."""


class Relay:
    """Carries what `source` sends to `destination`, signed there by `carrier`."""

    def __init__(self, source: HostedNetwork, destination: HostedNetwork, carrier: str) -> None:
        self.source = source
        self.destination = destination
        self.carrier = carrier

    def carry(self, at: int) -> bool:
        """Queue the next relay act at the destination if anything waits; whether there was something."""
        peer = self.destination.state.peers.get(self.source.origin)
        if peer is None or peer.state == "frozen":
            return False
        step = next(((index, head) for index, head in self.source.steps if head.size > peer.entry.size), None)
        if step is not None:
            self._submit(at, peer.entry.size, step[1], step[0], [])
            return True
        waiting = self.source.waiting_for(self.destination.origin, peer.next_in)
        if not waiting:
            return False
        self._submit(at, peer.entry.size, self.source.head(), None, [out.place for out in waiting[:MAX_LEAVES]])
        return True

    def _submit(self, at: int, pinned: int, head: Head, roster: int | None, leaves: list[int]) -> None:
        store = self.source.store
        act = RelayAct(
            self.source.origin,
            head.note,
            _encode(store.consistency(pinned, head.size)) if pinned != head.size else [],
            None if roster is None else self._leaf(roster, head),
            [self._leaf(index, head) for index in leaves],
        )
        self.destination.submit(self.carrier, [act], at)

    def _leaf(self, index: int, head: Head) -> RelayedLeaf:
        store = self.source.store
        return RelayedLeaf(index, store.leaf(index).decode(), _encode(store.inclusion(index, head.size)))


def _encode(hashes: tuple[bytes, ...]) -> list[str]:
    return [encode_base64(one) for one in hashes]
