"""An engine for members of a network that another member's node orders: it checks what that node decides.

Every block is made again here, from its envelopes, signatures included; the first that comes out otherwise halts this
node, and nothing after it is signed. So who orders can delay, but neither forge nor rewrite (spec 10.3).
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tocsin.engine.delivery import Delivery
from tocsin.engine.ledger import Ledger
from tocsin.engine.port import Clock, EngineBusy, EngineHalted, FinalBlock, Receipt, Ticket
from tocsin.engine.signatures import Checker
from tocsin.kernel.block import Outcome
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.node.web.remote import BlockFile, Remote, RemoteError
from tocsin.store.network import NetworkStore

MAX_WAITING = 1024
"""Envelopes on their way to who orders."""
AHEAD_MS = 60_000
"""A block whose time lies so far in the future is not taken: windows would end before their time."""
_WAIT_S = 1.0
_RETRY_S = 1.0
_ANSWER_S = 30.0


class Forged(Exception):
    """A block does not follow from its envelopes: who gave it lies, or runs other rules."""


def remake(ledger: Ledger, block: BlockFile) -> Outcome:
    """Make a block again on top of a ledger, without taking it over. Raises Forged unless it comes out as told."""
    envelopes: list[Envelope] = []
    for position, text in enumerate(block.envelopes):
        read = decode(text.encode())
        if isinstance(read, Refusal):
            raise Forged(f"envelope {position} of block {block.height} cannot be read ({read.reason.name})")
        envelopes.append(read)
    outcome = ledger.propose(block.at, envelopes, caught=block.caught)
    if outcome.dropped:
        position, reason = outcome.dropped[0]
        raise Forged(f"block {block.height} holds an envelope that no block may hold ({position}: {reason.name})")
    if not outcome.changed or outcome.height != block.height:
        raise Forged(f"block {block.height} cannot follow block {ledger.state.meta.height}")
    head = ledger.records.after(outcome)
    if (head.size, head.root.hex()) != (block.size, block.root):
        raise Forged(
            f"block {block.height} was told to end with {block.size} leaves and the root {block.root}, but its "
            f"envelopes lead to {head.size} and {head.root.hex()}"
        )
    return outcome


class Follower:
    """See `tocsin.engine.port.Engine`. Starts at once; `stop` ends it."""

    def __init__(
        self, records: NetworkStore, orderer: Remote, others: Sequence[Remote], clock: Clock, verifier: Checker,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`others`: nodes from which blocks are taken while the orderer's cannot be reached."""
        self._records = records
        self._orderer = orderer
        self._sources = [orderer, *others]
        self._clock = clock
        self._say = say
        self._ledger = Ledger(records, verifier)
        self._delivery = Delivery(records)
        self._lock = threading.Lock()
        self._waiting: dict[str, Ticket] = {}
        self._error: BaseException | None = None
        self._running = True
        self._stopping = threading.Event()
        self._sending = ThreadPoolExecutor(4, thread_name_prefix="send")
        self._thread = threading.Thread(target=self._run, name="follow", daemon=True)
        self._thread.start()

    # The port.

    def submit(self, data: bytes) -> Ticket | Refusal:
        """Hand an envelope on (see the port)."""
        envelope = decode(data)
        if isinstance(envelope, Refusal):
            return envelope
        ticket = Ticket(envelope.digest)
        with self._lock:
            if not self._running or self._stopping.is_set():
                raise self._halted()
            known = self._waiting.get(envelope.digest)
            if known is not None:
                return known
            if len(self._waiting) >= MAX_WAITING:
                raise EngineBusy(f"{MAX_WAITING} envelopes wait already; send this one again in a few seconds.")
            self._waiting[envelope.digest] = ticket
        self._sending.submit(self._send, envelope.digest, data)
        return ticket

    def blocks(self, after: int) -> Iterator[FinalBlock]:
        """All final blocks above a height, as they come (see the port)."""
        return self._delivery.blocks(after)

    def final(self) -> int:
        """Height of the last block made again here."""
        return self._delivery.height

    def confirmed(self) -> int:
        """The same: a member signs what it executed itself."""
        return self._delivery.height

    @property
    def error(self) -> BaseException | None:
        """What halted the engine, None while nothing did."""
        return self._error

    def stop(self) -> None:
        """Stop after the block in hand."""
        self._stopping.set()
        self._thread.join()
        self._sending.shutdown(wait=False, cancel_futures=True)

    # Following.

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._take(self._fetch())
        except BaseException as error:
            self._error = error
        with self._lock:
            self._running = False
            left = list(self._waiting.values())
            self._waiting.clear()
        self._delivery.end()
        for ticket in left:
            ticket.fail(self._halted())

    def _fetch(self) -> list[BlockFile]:
        for place, source in enumerate(self._sources):
            try:
                # Who orders is asked first and waited for; the others only lend what they have.
                return source.blocks(self._delivery.height, _WAIT_S if place == 0 else 0)
            except RemoteError as error:
                if place == 0:
                    self._say(str(error))
            if self._stopping.is_set():
                return []
        self._stopping.wait(_RETRY_S)
        return []

    def _take(self, blocks: list[BlockFile]) -> None:
        for block in blocks:
            if block.height <= self._delivery.height:
                continue
            if block.at > self._clock() + AHEAD_MS:
                self._say(f"block {block.height} of {self._records.origin} says it is of {block.at}, in the future")
                self._stopping.wait(_RETRY_S)
                return
            if block.caught:
                raise Forged(f"block {block.height} names validators that voted twice, and who orders here has none")
            outcome = remake(self._ledger, block)
            self._ledger.commit(outcome)
            self._delivery.reach(outcome.height)
            with self._lock:
                settled = [(self._waiting.pop(one.digest, None), one) for one in outcome.consumed]
            for position, (ticket, envelope) in enumerate(settled):
                if ticket is not None:
                    codes = outcome.receipts[position]
                    ticket.settle(Receipt(envelope.digest, outcome.height, outcome.at, position, codes))

    # Handing on.

    def _send(self, digest: str, data: bytes) -> None:
        """A refusal settles the ticket; a receipt of the other node does not: what counts is made here."""
        try:
            answer = self._orderer.submit(data, _ANSWER_S)
        except RemoteError as error:
            self._forget(digest, EngineHalted(f"{error} Whether the envelope was taken is unknown; send it again."))
            return
        if isinstance(answer, Refusal):
            self._forget(digest, answer)
        elif isinstance(answer, str):
            self._forget(digest, EngineHalted(f"{self._orderer.url} waits to put it into a block; look it up later."))

    def _forget(self, digest: str, answer: Refusal | EngineHalted) -> None:
        with self._lock:
            ticket = self._waiting.pop(digest, None)
        if ticket is None:
            return
        if isinstance(answer, Refusal):
            ticket.settle(answer)
        else:
            ticket.fail(answer)

    def _halted(self) -> EngineHalted:
        why = "it was told to." if self._error is None else f"{self._error}."
        halted = EngineHalted(f"This node follows no longer: {why} Whether an envelope was taken is unknown.")
        halted.__cause__ = self._error
        return halted
