"""A network's state and store, driven block by block from one thread (spec 3.4)."""

from collections.abc import Sequence

from tocsin.client.signing import verify_signature
from tocsin.kernel.block import Block, Outcome, apply_block, checks, reads
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.state import State
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store


class StoredLedger:
    """Proposes blocks against the state, and commits them to the store."""

    def __init__(self, file: Store, store: NetworkStore) -> None:
        self._file = file
        self.store = store
        self.state: State = store.load_state()

    def propose(self, at: int, envelopes: Sequence[Envelope]) -> Outcome:
        """Verify the signatures, load the archived rows, apply: nothing is changed yet."""
        rows: dict[str, bytes | None] = {}
        while missing := reads(self.state, at, envelopes, rows):
            rows.update(self.store.archived(missing))
        verdicts = [[verify_signature(*one) for one in found] for found in checks(self.state, envelopes)]
        return apply_block(self.state, Block(at, envelopes), verdicts, rows)

    def commit(self, outcome: Outcome) -> None:
        """Take the block over: durable at the end of the open transaction, or at once outside of one."""
        with self._file.transaction():
            self.store.append(outcome)
        self.state.advance(outcome)

    def put_checkpoint(self, size: int, note: bytes, *, keep: bool) -> None:
        """Keep a final checkpoint; `keep`: for ever, since it hands over to a new roster."""
        with self._file.transaction():
            self.store.put_checkpoint(size, note, keep=keep)

    def leaf(self, index: int) -> bytes:
        """Canonical bytes of a leaf."""
        return self.store.leaf(index)

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Inclusion proof of a leaf."""
        return self.store.inclusion(index, size)

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """Proof that the larger log extends the smaller."""
        return self.store.consistency(size1, size2)

    def root(self, size: int) -> bytes:
        """Root of the log at a size."""
        return self.store.root(size)
