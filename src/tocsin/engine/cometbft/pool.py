"""The application's side of CometBFT's pool: which envelopes may wait, and what was found out about each.

An envelope is read and its signatures are verified when it first comes; the result is kept until the block that
holds it. Admission is the kernel's own, against a draft of the next block that starts anew with each commit.
"""

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from threading import RLock
from typing import NamedTuple

from tocsin.engine.ledger import Ledger
from tocsin.engine.port import Clock
from tocsin.engine.signatures import Checker, current
from tocsin.kernel.admission import admit
from tocsin.kernel.block import checks
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Check
from tocsin.kernel.reasons import Reason

TICK = b"tocsin deadline "
"""A transaction that no block ever holds: while it waits, CometBFT makes blocks (ADR 10)."""
_KEPT_BYTES = 64 * 1024 * 1024
"""Transactions known at most; what CometBFT's pool holds beyond is read and verified again for its block."""


def tick(deadline: int) -> bytes:
    """The transaction that waits while a deadline is due; the same on every node."""
    return TICK + str(deadline).encode()


class Admission(Enum):
    """What becomes of an envelope that a node was given. `WAITS`: CometBFT has it already, by another way."""

    LET_IN = auto()
    WAITS = auto()
    REFUSED = auto()


class _Known(NamedTuple):
    """`keyed`: of the state that named the checks."""

    envelope: Envelope
    checks: list[Check]
    verdicts: list[bool]
    keyed: int


class Pool:
    """What waits. Everything but `verify` is called under the application's lock."""

    def __init__(self, ledger: Ledger, clock: Clock, verifier: Checker) -> None:
        self._ledger = ledger
        self._clock = clock
        self._verifier = verifier
        self._known: dict[bytes, _Known] = {}
        self._bytes = 0
        self._draft = Draft(ledger.state, 0, {})
        self._admitted: dict[str, int] = {}
        self._expected: set[bytes] = set()

    def reset(self) -> None:
        """CometBFT's pool is empty."""
        self._known.clear()
        self._bytes = 0
        self._start()

    def advance(self, consumed: Iterable[Envelope]) -> None:
        """A block with these is kept; what still waits will be checked again."""
        for envelope in consumed:
            self._forget(envelope.data)
        self._start()

    def _start(self) -> None:
        self._draft = Draft(self._ledger.state, 0, {})
        self._admitted = {}
        self._expected = set()

    def verify(self, many: Sequence[bytes], lock: RLock) -> None:
        """Read those that are new, and verify their signatures outside the lock."""
        with lock:
            fresh = {data: None for data in many if data not in self._known and not data.startswith(TICK)}
        self.verify_read([read for data in fresh if isinstance(read := decode(data), Envelope)], lock)

    def verify_read(self, many: Sequence[Envelope], lock: RLock) -> None:
        """Verify the signatures of those that are new, outside the lock."""
        with lock:
            envelopes = [envelope for envelope in many if envelope.data not in self._known]
            keyed = self._ledger.state.keyed
            wanted = checks(self._ledger.state, envelopes)
        if not envelopes:
            return
        verdicts = self._verifier.start(wanted).verdicts()
        with lock:
            for envelope, row, told in zip(envelopes, wanted, verdicts, strict=True):
                self._remember(_Known(envelope, row, told, keyed))

    def admit(self, envelope: Envelope) -> Admission:
        """An envelope that this node was given, and whose signatures were verified. If it is let in, CometBFT's own
        question about it is answered by yes, once and until the next block."""
        if envelope.data in self._expected:
            return Admission.LET_IN
        if envelope.digest in self._admitted:
            return Admission.WAITS
        if self._admit(envelope.data):
            return Admission.REFUSED
        self._expected.add(envelope.data)
        return Admission.LET_IN

    def check(self, data: bytes) -> Reason:
        """Whether an envelope, or a tick, may wait, after those that wait already; forgets it if not."""
        if data.startswith(TICK):
            return self._check_tick(data)
        if data in self._expected:
            self._expected.remove(data)
            return Reason.ACCEPTED
        reason = self._admit(data)
        if reason:
            self._forget(data)
        return reason

    def _admit(self, data: bytes) -> Reason:
        known = self._get(data)
        if isinstance(known, Refusal):
            return known.reason
        draft = self._draft
        # By this node's clock: block time may lag by the gap since the last block, and catches up before the next.
        draft.at = max(self._clock(), self._ledger.state.meta.at)
        return admit(draft, known.envelope, known.verdicts[0], self._admitted)

    def _check_tick(self, data: bytes) -> Reason:
        deadline = self._ledger.state.next_deadline()
        due = deadline is not None and deadline <= self._clock() and data == tick(deadline)
        return Reason.ACCEPTED if due else Reason.EXPIRED

    def take(self, many: Sequence[bytes]) -> tuple[list[Reason], list[Envelope], list[list[bool]]]:
        """For a block: a code for each of these, 0 if it can be read; those envelopes; their verdicts."""
        codes: list[Reason] = []
        envelopes: list[Envelope] = []
        verdicts: list[list[bool]] = []
        self._read_together(many)
        for data in many:
            known = self._get(data)
            if isinstance(known, Refusal):
                codes.append(known.reason)
                continue
            codes.append(Reason.ACCEPTED)
            envelopes.append(known.envelope)
            verdicts.append(known.verdicts)
        return codes, envelopes, verdicts

    def _read_together(self, many: Sequence[bytes]) -> None:
        """What was not checked before, at a replay or when catching up, is verified in one go."""
        envelopes = [read for data in many if data not in self._known and isinstance(read := decode(data), Envelope)]
        if not envelopes:
            return
        state = self._ledger.state
        wanted = checks(state, envelopes)
        for envelope, row, told in zip(envelopes, wanted, self._verifier.start(wanted).verdicts(), strict=True):
            self._remember(_Known(envelope, row, told, state.keyed))

    def _get(self, data: bytes) -> _Known | Refusal:
        """What is known, as it holds now: a block may have changed which signatures count."""
        state = self._ledger.state
        known = self._known.get(data)
        if known is not None and known.keyed == state.keyed:
            return known
        envelope = decode(data) if known is None else known.envelope
        if isinstance(envelope, Refusal):
            return envelope
        wanted = checks(state, [envelope])
        before = ([[]], [[]]) if known is None else ([known.checks], [known.verdicts])
        known = _Known(envelope, wanted[0], current(wanted, *before)[0], state.keyed)
        self._remember(known)
        return known

    def _remember(self, known: _Known) -> None:
        data = known.envelope.data
        self._forget(data)
        while self._known and self._bytes + len(data) > _KEPT_BYTES:
            self._forget(next(iter(self._known)))
        self._known[data] = known
        self._bytes += len(data)

    def _forget(self, data: bytes) -> None:
        if self._known.pop(data, None) is not None:
            self._bytes -= len(data)
