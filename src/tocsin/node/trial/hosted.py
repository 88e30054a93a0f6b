"""One network as this node hosts it: members' signatures, blocks, and final checkpoints."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from tocsin.client.signing import Signer, cosign_checkpoint, sign_acts, sign_checkpoint
from tocsin.engine.ledger import Ledger
from tocsin.kernel.acts import Act, Seal
from tocsin.kernel.block import Outcome
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.quorum import finality
from tocsin.kernel.rows import Member
from tocsin.kernel.state import State
from tocsin.kernel.statements import signers_of
from tocsin.node.keys import KeyRole
from tocsin.store.network import NetworkStore
from tocsin.store.watermark import SignedHead, Watermark
from tocsin.tlog import Checkpoint, checkpoint, note

VALID_MS = 600_000
"""Clients sign envelopes for ten minutes (spec 3.1)."""

SignerOf = Callable[[str, KeyRole], Signer]
"""(member, role of its key) -> signer; the log's own key is of member ``""``."""


class Outgoing(NamedTuple):
    """A leaf that goes out: its place in the log, its destination's origin and its number there."""

    place: int
    destination: str
    number: int


class Head(NamedTuple):
    """A final checkpoint: its note, size and root."""

    note: str
    size: int
    root: bytes


class HostedNetwork:
    """Drives one network: queue signed envelopes, make blocks, sign checkpoints with members' keys."""

    def __init__(self, store: NetworkStore, signer: SignerOf, watermark: Watermark) -> None:
        self.store = store
        self._watermark = watermark
        self.ledger = Ledger(store)
        self._signer = signer
        self._queue: list[Envelope] = []
        self._head: Head | None = None
        self.outgoing: dict[str, list[Outgoing]] = {}
        """What waits to be relayed, by destination."""
        self.steps: list[tuple[int, Head]] = list(self._kept_steps()) if self.state.meta.epoch > 1 else []
        """(index of a roster leaf, the last checkpoint under the epoch before it)."""

    @property
    def state(self) -> State:
        """The network's state."""
        return self.ledger.state

    @property
    def origin(self) -> str:
        """The network's name."""
        return self.state.meta.origin

    @property
    def waiting(self) -> bool:
        """Whether envelopes wait for the next block."""
        return bool(self._queue)

    def submit(self, author: str, acts: Sequence[Act], at: int) -> Envelope:
        """Sign acts as a member whose key this node keeps, and queue them for the next block.

        Raises SigningError, with the refusal's sentence, if the envelope would not even be well formed.
        """
        data = sign_acts(self._signer(author, "act"), self.state.meta.genesis, author, at + VALID_MS, acts)
        envelope = decode(data)
        assert not isinstance(envelope, Refusal)
        self._queue.append(envelope)
        return envelope

    def make_block(self, at: int) -> Outcome | None:
        """Make a block of what waits and what is due; None if it would change nothing."""
        due = self.state.next_deadline()
        if not self._queue and (due is None or due > at):
            return None
        queue, self._queue = self._queue, []
        before, epoch = dict(self.state.members), self.state.meta.epoch
        first = self.state.meta.size
        outcome = self.ledger.propose(at, queue)
        if not outcome.changed:
            return None
        self.ledger.commit(outcome)
        for index, leaf in enumerate(outcome.leaves, start=first):
            if b',"to":[["' in leaf:
                for out in _outgoing(index, leaf):
                    self.outgoing.setdefault(out.destination, []).append(out)
        if self.state.meta.epoch != epoch:
            last = self._sign_head(before)
            self.store.put_checkpoint(last.size, last.note.encode(), keep=True)
            self.steps.append((first + len(outcome.leaves) - 2, last))
            if self.state.handovers:
                self._seal(last, at)
        return outcome

    def _kept_steps(self) -> Iterator[tuple[int, Head]]:
        for index in self.store.landmarks():
            kept = self.store.checkpoint(index + 2)
            if kept is not None and self.store.leaf(index).startswith(b'{"leaf":"roster"'):
                yield index, Head(kept.note.decode(), kept.size, checkpoint.parse(note.parse(kept.note).text).root)

    def _seal(self, last: Head, at: int) -> None:
        """Have the next block say that the signers of before handed over (spec 11.4)."""
        author = next(name for name, member in sorted(self.state.members.items()) if member.status == "active")
        self.submit(author, [Seal(last.note)], at)

    def waiting_for(self, destination: str, since: int) -> list[Outgoing]:
        """What goes to a destination from number `since` on, in order.

        After a restart the list is read back from the end of the log.
        """
        peer = self.state.peers.get(destination)
        if peer is None:
            return []
        waiting = [out for out in self.outgoing.get(destination, []) if out.number >= since]
        if len(waiting) < peer.next_out - since:
            waiting = self._read_back(destination, since)
        self.outgoing[destination] = waiting
        return waiting

    def _read_back(self, destination: str, since: int) -> list[Outgoing]:
        found: list[Outgoing] = []
        for place in range(self.state.meta.size - 1, -1, -1):
            leaf = self.store.leaf(place)
            if b',"to":[["' in leaf:
                found += [out for out in _outgoing(place, leaf) if out.destination == destination]
                if found and found[-1].number <= since:
                    break
        return [out for out in reversed(found) if out.number >= since]

    def head(self) -> Head:
        """The final checkpoint of the present size, signed when first asked for."""
        if self._head is None or self._head.size != self.state.meta.size:
            self._head = self._sign_head(self.state.members)
        return self._head

    def keep_head(self) -> None:
        """Store the final checkpoint of the present size."""
        head = self.head()
        self.store.put_checkpoint(head.size, head.note.encode())

    def _sign_head(self, members: dict[str, Member]) -> Head:
        """Log signature, and cosignatures of a quorum of the members' finality keys (spec 10).

        What is signed is written down first, outside the store; raises SigningRefused if it contradicts that.
        """
        meta = self.state.meta
        head = Checkpoint(meta.origin, meta.size, self.store.root(meta.size))
        self._watermark.admit([SignedHead(head.origin, head.size, head.root)])
        signers = signers_of(members)
        lines = [sign_checkpoint(self._signer("", "log"), head)]
        lines += [
            cosign_checkpoint(self._signer(one.id, "finality"), one.id, head, meta.at // 1000)
            for one in signers[: finality(len(signers))]
        ]
        return Head(note.format(checkpoint.format(head), lines).decode(), head.size, head.root)


def _outgoing(index: int, leaf: bytes) -> list[Outgoing]:
    to = msgspec.json.decode(leaf, type=_HasTo).to
    return [Outgoing(index, destination, number) for destination, number in to]


class _HasTo(msgspec.Struct):
    to: list[tuple[str, int]]
