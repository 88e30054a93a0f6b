"""A ledger: one network's state and records, driven block by block from one thread (spec 3.4, spec 4).

Each engine drives one; a node with thousands of networks, and the replay, drive theirs directly and let many
blocks share a commit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from tocsin.engine.ed25519 import holds
from tocsin.engine.signatures import Checker
from tocsin.kernel.admission import refused
from tocsin.kernel.block import Block, Outcome, apply_block, checks, reads
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.genesis import Check
from tocsin.kernel.reasons import Reason
from tocsin.kernel.state import State


class Records(Protocol):
    """Where a ledger keeps what it decides. The store's networks are such."""

    @property
    def head(self) -> Any:
        """Of all blocks appended: `height`, `size`, `root`."""

    def load_state(self) -> State:
        """The state after the last block."""
        ...

    def archived(self, keys: Iterable[str]) -> Mapping[str, bytes | None]:
        """Archived rows, None for those that are not there."""
        ...

    def after(self, outcome: Outcome) -> Any:
        """The head as it will be with this block."""
        ...

    def append(self, outcome: Outcome) -> None:
        """Stage a block."""
        ...

    def flush(self) -> None:
        """Make what is staged durable, unless a larger transaction will."""
        ...

    def leaf(self, index: int) -> bytes: ...

    def root(self, size: int) -> bytes: ...

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]: ...

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]: ...


class Journal(Records, Protocol):
    """Records that can be read back block by block."""

    @property
    def durable(self) -> tuple[int, int]:
        """Height and size of the last block on disk."""

    def blocks(self, first: int = 0, last: int | None = None) -> Iterator[Any]:
        """Blocks from one height to another."""
        ...


class LedgerStale(Exception):
    """The ledger's state is not that of its records, because a write failed; open it again."""


class Ledger:
    """One network. `propose` changes nothing, `commit` takes the block over."""

    def __init__(self, records: Records, verifier: Checker | None = None) -> None:
        self.records = records
        self.state = records.load_state()
        self._verifier = verifier

    def propose(
        self,
        at: int,
        envelopes: Sequence[Envelope],
        verdicts: Sequence[Sequence[bool]] | None = None,
        caught: Sequence[str] = (),
    ) -> Outcome:
        """Apply a block of these envelopes at time `at` (ms) to the state without changing it.

        `verdicts`: of `checks(state, envelopes)`, if the caller verified them; else they are verified here. `caught`:
        the keys of validators that voted twice, where the engine tells (spec 8.6). Envelopes that no block may hold are
        in the outcome's `dropped`, with their position among those given.
        """
        self._require_current()
        if verdicts is None:
            verdicts = self._verify(checks(self.state, envelopes))
        positions = list(range(len(envelopes)))
        dropped: list[tuple[int, Reason]] = []
        while True:
            rows: dict[str, bytes | None] = {}
            while missing := reads(self.state, at, envelopes, rows):
                rows.update(self.records.archived(missing))
            outcome = apply_block(self.state, Block(at, envelopes, caught), verdicts, rows)
            if not outcome.dropped:
                return outcome._replace(dropped=sorted(dropped))
            # Once more without them: what is stored must follow from the envelopes stored with it alone.
            gone = dict(outcome.dropped)
            dropped += [(positions[place], reason) for place, reason in outcome.dropped]
            kept = [place for place in range(len(envelopes)) if place not in gone]
            envelopes = [envelopes[place] for place in kept]
            verdicts = [verdicts[place] for place in kept]
            positions = [positions[place] for place in kept]

    def refused(
        self, at: int, envelopes: Sequence[Envelope], verdicts: Sequence[Sequence[bool]]
    ) -> list[tuple[int, Reason]]:
        """What `propose` would drop, without the work of applying the rest."""
        self._require_current()
        return refused(self.state, at, envelopes, verdicts)

    def _require_current(self) -> None:
        meta = self.state.meta
        if meta.height != self.records.head.height:
            raise LedgerStale(
                f"{meta.origin} stands at block {meta.height}, its records at {self.records.head.height}. "
                "A write failed; open the store and the ledger again."
            )

    def stage(self, outcome: Outcome) -> None:
        """Take over a proposed block that changed something; it is durable after the next flush."""
        self.records.append(outcome)
        self.state.advance(outcome)

    def commit(self, outcome: Outcome) -> None:
        """Take over a proposed block and make it durable, or leave that to the transaction that is open."""
        self.stage(outcome)
        self.records.flush()

    def reload(self) -> None:
        """Go on from what the records hold, which somebody else has written."""
        self.state = self.records.load_state()

    # The log, for who drives ledgers only.

    def leaf(self, index: int) -> bytes:
        """Leaf `index`."""
        return self.records.leaf(index)

    def root(self, size: int) -> bytes:
        """Root of the log of `size` leaves."""
        return self.records.root(size)

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Proof of leaf `index` in the log of `size` leaves."""
        return self.records.inclusion(index, size)

    def consistency(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """Proof that the log of `size1` leaves is a prefix of that of `size2`."""
        return self.records.consistency(size1, size2)

    def _verify(self, wanted: list[list[Check]]) -> list[list[bool]]:
        if self._verifier is not None:
            return self._verifier.start(wanted).verdicts()
        return [[holds(check) for check in row] for row in wanted]
