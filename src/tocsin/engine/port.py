"""What a node asks of an engine, whichever it is (architecture, Ports).

An engine puts envelopes into an order and into blocks, applies them by the kernel, and makes them final. It never
learns what an act means.

An engine MUST
- answer `submit` with a ticket, or at once with a numbered refusal for bytes that are no envelope;
- settle every ticket: with a receipt once the envelope is final, with the reason if no block may hold it, or with
  `EngineHalted` if it cannot know;
- put an envelope into at most one block, and only such as `apply_block` consumes;
- deliver blocks in order, each exactly once to each caller of `blocks`, and only when they are final: on this
  machine's disk, and never to be taken back;
- give blocks times that never decrease, and make one at each of the state's deadlines, at the latest 60 s after it;
- after a restart go on from the last final block, and deliver any older one again to who asks for it;
- halt, and say why, when it can no longer write or an invariant breaks; what is final stays readable.

An engine MUST NOT
- settle a ticket, deliver, or let anybody sign a head before the block is durable;
- reorder, change, drop or repeat what it has delivered;
- check rules, or read an act beyond what the kernel says of it;
- keep a clock other than the one it was given.

It MAY keep a submitter waiting, refuse new envelopes with `EngineBusy` while too many wait, and hold many envelopes
in one block.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from tocsin.engine.ticket import Receipt, Ticket
from tocsin.kernel.envelope import Refusal

__all__ = ["Clock", "Engine", "EngineBusy", "EngineHalted", "FinalBlock", "Receipt", "Ticket"]

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01T00:00Z."""


class EngineHalted(Exception):
    """The engine has stopped. Whether an envelope still waiting was taken is unknown: look it up, or send it again;
    it is never taken twice."""

    @classmethod
    def because(cls, error: BaseException | None) -> "EngineHalted":
        """Of what halted the engine; None: it was told to stop."""
        why = "it was told to" if error is None else str(error)
        halted = cls(
            f"The engine has stopped: {why} Whether an envelope without a receipt was taken is unknown; look it up "
            "or send it again after the start, it is never taken twice."
        )
        halted.__cause__ = error
        return halted


class EngineBusy(Exception):
    """Too many envelopes wait; nothing happened, send this one again a little later."""


class FinalBlock(Protocol):
    """A block as delivered. `first`, `size`: leaves before and after; `root`: of `size`; `envelopes`: their bytes."""

    @property
    def height(self) -> int: ...

    @property
    def at(self) -> int: ...

    @property
    def first(self) -> int: ...

    @property
    def size(self) -> int: ...

    @property
    def root(self) -> bytes: ...

    @property
    def receipts(self) -> Sequence[Sequence[int]]: ...

    @property
    def leaves(self) -> Sequence[bytes]: ...

    @property
    def envelopes(self) -> Sequence[bytes]: ...


class Engine(Protocol):
    """The port. One engine orders one network."""

    def submit(self, data: bytes) -> Ticket | Refusal:
        """Offer an envelope. Raises EngineBusy or EngineHalted; callable from any thread."""
        ...

    def blocks(self, after: int) -> Iterator[FinalBlock]:
        """All final blocks of a height above `after`, waiting for those to come; ends when the engine has stopped
        and everything final was delivered."""
        ...

    def final(self) -> int:
        """Height of the last final block."""
        ...

    def confirmed(self) -> int:
        """Height of the last block whose head a member may sign: executed here, and, where other machines order with
        this one, named by a later header (spec 10.3)."""
        ...

    @property
    def error(self) -> BaseException | None:
        """What halted the engine, None while nothing did."""
        ...

    def stop(self) -> None:
        """Finish the block in hand and stop; tickets that still wait end with EngineHalted."""
        ...
