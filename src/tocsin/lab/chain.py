"""A network driven by the kernel alone, for calibration and tables: no signatures, no disk, no log, the same rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tocsin.kernel.acts import Act, Keys
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.digest import digest
from tocsin.kernel.envelope import VERSION, Envelope, Header, unsigned
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.state import State
from tocsin.lab.archive import Archive
from tocsin.lab.roster import Plan

__all__ = ["BareChain", "Carry", "Chain", "Hosted", "bare", "no_key", "no_keys"]

VALID_MS = 600_000

Carry = Callable[[int], bool]
"""Relay what waits between networks at a block time, in ms; whether there was something."""


class Chain(Protocol):
    """What the actors of a replay see of a network, hosted or bare."""

    @property
    def state(self) -> State: ...

    @property
    def waiting(self) -> bool: ...

    def submit(self, author: str, acts: Sequence[Act], at: int) -> Envelope: ...

    def make_block(self, at: int) -> Outcome | None: ...


@dataclass(frozen=True, slots=True)
class Hosted:
    """What somebody hosts for a replay: chains by network of the archive, and the relays between them."""

    chains: Mapping[int, Chain]
    carry: Carry


class BareChain:
    """Kernel, and archived rows in a dictionary. Every signature is taken as good."""

    def __init__(self, genesis: Genesis) -> None:
        self.state, self.first = found(genesis)
        self._rows: dict[str, bytes | None] = {}
        self._queue: list[Envelope] = []

    @property
    def waiting(self) -> bool:
        """Whether envelopes wait for the next block."""
        return bool(self._queue)

    def submit(self, author: str, acts: Sequence[Act], at: int) -> Envelope:
        """Queue acts as a member for the next block."""
        genesis, until = self.state.meta.genesis, at + VALID_MS
        prepared = unsigned(genesis, author, until, acts)
        envelope = Envelope(
            digest(b"envelope", prepared.signed), Header(VERSION, genesis, author, until, len(acts), ""), tuple(acts),
            tuple(digest(b"act", one) for one in prepared.acts), self.state.members[author].keys.act, b"",
            prepared.signed, b"",
        )  # fmt: skip
        self._queue.append(envelope)
        return envelope

    def make_block(self, at: int) -> Outcome | None:
        """Make a block of what waits and what is due; None if it would change nothing."""
        due = self.state.next_deadline()
        if not self._queue and (due is None or due > at):
            return None
        queue, self._queue = self._queue, []
        rows: dict[str, bytes | None] = {}
        while missing := reads(self.state, at, queue, rows):
            rows.update((key, self._rows.get(key)) for key in missing)
        verdicts = [[True] * len(one) for one in checks(self.state, queue)]
        outcome = apply_block(self.state, Block(at, queue), verdicts, rows)
        self.state.advance(outcome)
        self._rows.update((key, value) for key, value in outcome.writes if key.startswith(ARCHIVE))
        return outcome if outcome.changed else None


def no_keys(origin: str, member: str) -> Keys:
    """Stand-in keys for networks that check no signature: distinct, and nobody's."""
    root, act, finality = (no_key(origin, member, use) for use in ("root", "act", "finality"))
    return Keys(root, act, finality, None, "self")


def no_key(origin: str, member: str, use: str) -> str:
    """One such key; the log's own is of member ``""``."""
    return digest(b"no-key", f"{origin} {member} {use}".encode())


def bare(archive: Archive, built: Mapping[int, Plan], created: int) -> Hosted:
    """A bare chain for each planned network that has agencies, founded at `created` ms; nothing goes up."""
    chains = {
        network: BareChain(plan.genesis(created, no_keys, no_key(plan.origin, "", "log")))
        for network, plan in built.items()
        if archive.members_of(network)
    }
    return Hosted(chains, lambda _: False)
