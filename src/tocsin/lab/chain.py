"""A network driven by the kernel alone, for calibration: no signatures, no disk, the same rules."""

from collections.abc import Sequence
from typing import Protocol

from tocsin.kernel.acts import Act
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import VERSION, Envelope, Header, unsigned
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.state import State

VALID_MS = 600_000


class Chain(Protocol):
    """What the actors of a replay see of a network, hosted or bare."""

    @property
    def state(self) -> State: ...

    @property
    def waiting(self) -> bool: ...

    def submit(self, author: str, acts: Sequence[Act], at: int) -> Envelope: ...

    def make_block(self, at: int) -> Outcome | None: ...


class BareChain:
    """Kernel, and archived rows in a dictionary. Every signature is taken as good."""

    def __init__(self, genesis: Genesis) -> None:
        self.state, _ = found(genesis)
        self._rows: dict[str, bytes | None] = {}
        self._queue: list[Envelope] = []

    @property
    def waiting(self) -> bool:
        """Whether envelopes wait for the next block."""
        return bool(self._queue)

    def submit(self, author: str, acts: Sequence[Act], at: int) -> Envelope:
        """Queue acts as a member for the next block."""
        prepared = unsigned(self.state.meta.genesis, author, at + VALID_MS, acts)
        digests = tuple(digest(b"act", one) for one in prepared.acts)
        header = Header(VERSION, self.state.meta.genesis, author, at + VALID_MS, len(acts), "")
        envelope = Envelope(
            digest(b"envelope", prepared.signed), header, tuple(acts), digests, self.state.members[author].keys.act,
            b"", prepared.signed, b"",
        )  # fmt: skip
        self._queue.append(envelope)
        return envelope

    def make_block(self, at: int) -> Outcome | None:
        """Make a block of what waits and what is due; None if it would change nothing."""
        due = self.state.next_deadline()
        if not self._queue and (due is None or due > at):
            return None
        queue, self._queue = self._queue, []
        rows = {key: self._rows.get(key) for key in reads(self.state, at, queue, {})}
        while missing := reads(self.state, at, queue, rows):
            rows.update((key, self._rows.get(key)) for key in missing)
        verdicts = [[True] * len(one) for one in checks(self.state, queue)]
        outcome = apply_block(self.state, Block(at, queue), verdicts, rows)
        self.state.advance(outcome)
        self._rows.update((key, value) for key, value in outcome.writes if key.startswith(ARCHIVE))
        return outcome if outcome.changed else None
