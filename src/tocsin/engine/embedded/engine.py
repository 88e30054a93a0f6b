"""The embedded engine: one process orders the blocks of one network (architecture, decision 1).

Two threads. The sequencer takes what waits, has its signatures checked while the chunk before is applied, and
stages blocks. The committer makes staged blocks durable, then settles their tickets. While a commit runs, envelopes
gather for the next block, and blocks gather for the next commit.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tocsin.engine.delivery import Delivery
from tocsin.engine.ledger import Journal, Ledger
from tocsin.engine.port import Clock, EngineBusy, EngineHalted, FinalBlock, Receipt, Ticket
from tocsin.engine.signatures import Checker, Verifying, current
from tocsin.kernel.block import Outcome, checks
from tocsin.kernel.envelope import Envelope, Refusal, decode

CHUNK = 512
"""Envelopes in one block at most."""
CHUNK_BYTES = 512 * 1024
"""A block is full with the envelope that brings it to this size: envelopes of many acts make blocks of few."""
MAX_WAITING = 16_384
"""Envelopes that may wait to be ordered."""
_AHEAD = 2
"""Chunks whose signatures are being checked while one is applied: with one only, those who check run out of work."""
_MAX_STAGED = 2
"""Blocks that may wait for the commit that runs; more would only add to what a crash forgets."""
_RECHECK_S = 1.0
"""Longest sleep before a deadline, so that a clock that is set or jumps is noticed."""


class _Waiting(NamedTuple):
    envelope: Envelope
    ticket: Ticket


class _Chunk(NamedTuple):
    """`keyed`: that of the state when its signatures were named."""

    waiting: list[_Waiting]
    verifying: Verifying
    keyed: int


class _Staged(NamedTuple):
    outcome: Outcome
    tickets: list[Ticket]
    refused: list[tuple[Ticket, Refusal]]


class EmbeddedEngine:
    """See `tocsin.engine.port.Engine`. Starts at once; `stop` ends it."""

    def __init__(self, records: Journal, clock: Clock, verifier: Checker) -> None:
        self._records = records
        self._clock = clock
        self._verifier = verifier
        self._ledger = Ledger(records)
        self._delivery = Delivery(records)
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._commits = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._inbox: deque[_Waiting] = deque()
        self._staged: deque[_Staged] = deque()
        self._unsettled: dict[Ticket, None] = {}
        self._sequenced = False
        self._stopping = False
        self._running = 2
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guard, args=(run,), name=run.__name__, daemon=True)
            for run in (self._sequence, self._commit)
        ]
        for thread in self._threads:
            thread.start()

    # The port.

    def submit(self, data: bytes) -> Ticket | Refusal:
        """Offer an envelope (see the port)."""
        envelope = decode(data)
        if isinstance(envelope, Refusal):
            return envelope
        ticket = Ticket(envelope.digest)
        with self._lock:
            if self._stopping:
                raise EngineHalted.because(self._error)
            if len(self._inbox) >= MAX_WAITING:
                raise EngineBusy(f"{MAX_WAITING} envelopes wait already; send this one again in a few seconds.")
            self._inbox.append(_Waiting(envelope, ticket))
            self._unsettled[ticket] = None
            self._work.notify()
        return ticket

    def blocks(self, after: int) -> Iterator[FinalBlock]:
        """All final blocks above a height, as they come (see the port)."""
        return self._delivery.blocks(after)

    def final(self) -> int:
        """Height of the last final block."""
        return self._delivery.height

    def confirmed(self) -> int:
        """The same: what is durable here was executed here, and nobody else orders."""
        return self._delivery.height

    @property
    def error(self) -> BaseException | None:
        """What halted the engine, None while nothing did."""
        return self._error

    def stop(self) -> None:
        """Stop after the block in hand."""
        with self._lock:
            self._stopping = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join()

    # Beyond the port.

    def wake(self) -> None:
        """Look at the clock again: it was set, or jumped."""
        with self._lock:
            self._work.notify_all()

    # The sequencer.

    def _sequence(self) -> None:
        chunks: deque[_Chunk] = deque()
        while True:
            with self._lock:
                # With a chunk in hand there is nothing to wait for but its signatures.
                while not chunks and not self._inbox and not self._due() and not self._stopping:
                    self._work.wait(self._sleep())
                if self._stopping:
                    break
                taken = self._take()
                more = bool(self._inbox)
            if taken:
                chunks.append(self._start(taken))
            if not (taken and more and len(chunks) <= _AHEAD):
                self._apply(chunks.popleft() if chunks else None)
        with self._lock:
            self._sequenced = True
            self._commits.notify_all()

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        while self._inbox and len(taken) < CHUNK and size < CHUNK_BYTES:
            taken.append(self._inbox.popleft())
            size += len(taken[-1].envelope.data)
        return taken

    def _due(self) -> bool:
        deadline = self._ledger.state.next_deadline()
        return deadline is not None and deadline <= self._clock()

    def _sleep(self) -> float | None:
        deadline = self._ledger.state.next_deadline()
        return None if deadline is None else min(_RECHECK_S, max(0.0, (deadline - self._clock()) / 1000))

    def _start(self, taken: list[_Waiting]) -> _Chunk:
        state = self._ledger.state
        return _Chunk(taken, self._verifier.start(checks(state, [one.envelope for one in taken])), state.keyed)

    def _apply(self, chunk: _Chunk | None) -> None:
        """A block of a chunk, or one of deadlines alone."""
        waiting = [] if chunk is None else chunk.waiting
        envelopes = [one.envelope for one in waiting]
        verdicts: list[list[bool]] = []
        if chunk is not None:
            named_now = chunk.keyed == self._ledger.state.keyed
            verdicts = chunk.verifying.verdicts() if named_now else self._current(envelopes, chunk.verifying)
        outcome = self._ledger.propose(self._clock(), envelopes, verdicts)
        refused = {position: Refusal(reason) for position, reason in outcome.dropped}
        tickets = [one.ticket for position, one in enumerate(waiting) if position not in refused]
        staged = _Staged(outcome, tickets, [(waiting[place].ticket, refusal) for place, refusal in refused.items()])
        if outcome.changed:
            self._ledger.stage(outcome)
        with self._lock:
            while len(self._staged) >= _MAX_STAGED and not self._error:
                self._room.wait()
            self._staged.append(staged)
            self._commits.notify()

    def _current(self, envelopes: list[Envelope], verifying: Verifying) -> list[list[bool]]:
        return current(checks(self._ledger.state, envelopes), verifying.checks, verifying.verdicts())

    # The committer.

    def _commit(self) -> None:
        while True:
            with self._lock:
                while not self._staged and not self._sequenced and not self._error:
                    self._commits.wait()
                if self._error or not self._staged:
                    return
                group = list(self._staged)
            changed = [one.outcome.height for one in group if one.outcome.changed]
            if changed:
                self._records.flush()
                self._delivery.reach(changed[-1])
            with self._lock:
                for _ in group:
                    self._staged.popleft()
                self._room.notify_all()
            for one in group:
                self._settle(one)

    def _settle(self, staged: _Staged) -> None:
        outcome = staged.outcome
        for position, (ticket, envelope) in enumerate(zip(staged.tickets, outcome.consumed, strict=True)):
            codes = outcome.receipts[position]
            ticket.settle(Receipt(envelope.digest, outcome.height, outcome.at, position, codes))
        for ticket, refusal in staged.refused:
            ticket.settle(refusal)
        with self._lock:
            for ticket in staged.tickets:
                del self._unsettled[ticket]
            for ticket, _ in staged.refused:
                del self._unsettled[ticket]

    # The end.

    def _guard(self, run: Callable[[], None]) -> None:
        try:
            run()
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
                self._stopping = True
        with self._lock:
            for condition in (self._work, self._commits, self._room):
                condition.notify_all()
            self._running -= 1
            # The last one out tells those who still wait.
            left = [] if self._running else list(self._unsettled)
        if not self._running:
            self._delivery.end()
        for ticket in left:
            if not ticket.done():
                ticket.fail(EngineHalted.because(self._error))
