"""CometBFT as an engine: the members' own validators agree on the order (architecture, decision 1).

CometBFT runs as a process of its own and calls the application; we call its RPC to offer envelopes. One thread
offers what waits, in batches, and again if CometBFT may have lost it. Tickets are settled at the Commit that holds
their envelope, or once block time has outlived it.
"""

import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tocsin.engine.cometbft import home
from tocsin.engine.cometbft.application import Application
from tocsin.engine.cometbft.home import Settings
from tocsin.engine.cometbft.pool import Admission, tick
from tocsin.engine.cometbft.process import Process
from tocsin.engine.cometbft.restore import Restorable
from tocsin.engine.cometbft.rpc import Rpc, RpcError, RpcUnreachable
from tocsin.engine.cometbft.server import Server
from tocsin.engine.cometbft.snapshots import Rows, Snapshots
from tocsin.engine.cometbft.transactions import transactions
from tocsin.engine.delivery import Delivery
from tocsin.engine.ledger import Journal
from tocsin.engine.port import Clock, EngineBusy, EngineHalted, FinalBlock, Receipt, Ticket
from tocsin.engine.signatures import Checker
from tocsin.kernel.block import Outcome
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.reasons import Reason

MAX_WAITING = 16_384
"""Envelopes that may wait for their block."""
_BATCH, _BATCH_BYTES = 256, 512 * 1024
_AGAIN_S = 5.0
"""After so long an envelope without a block is offered again."""
_NO_SNAPSHOT_S = 60.0
"""How long a new node waits for the offer of a snapshot."""
_NO_BLOCK_S = 120.0
"""And then for the first block."""
_MAX_SOCKET_FOLDER = 96
"""Bytes. A socket's path has at most 104 (macOS) or 108 (Linux)."""
_LOOK_S = 2.0
"""For CometBFT to say whom it is connected to."""
_RETRY_S = 0.25
"""Pause while CometBFT does not answer."""
_RECHECK_S = 1.0
"""Longest sleep before a deadline, so that a clock that is set or jumps is noticed; and between two ticks."""


class Recorded(Journal, Restorable, Protocol):
    """What the engine writes to, reads back from, and may begin anew."""


class _Waiting:
    """An envelope without a block. `entered`: it was in the pool, so others may hold it too. `offered`: when last."""

    __slots__ = ("entered", "envelope", "offered", "ticket")

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.ticket = Ticket(envelope.digest)
        self.entered = False
        self.offered = 0.0


class CometEngine:
    """See `tocsin.engine.port.Engine`. Starts at once; `stop` ends it and its CometBFT."""

    def __init__(
        self,
        records: Recorded,
        genesis: Genesis,
        program: Path,
        settings: Settings,
        clock: Clock,
        verifier: Checker,
        rows: Rows,
        welcome: Callable[[str], bool] = lambda node: True,
    ) -> None:
        """`program`: from `install.find`. `rows`: the state's, for snapshots. `welcome`: whether a node may connect,
        by its CometBFT id.

        Raises HeightsLost where the home belongs to another store.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._waiting: dict[bytes, _Waiting] = {}
        self._inbox: deque[bytes] = deque()
        self._last = time.monotonic()
        self._stopping = False
        self._closed = False
        self._trouble = ""
        self._unwritten = (0, "")
        self._elsewhere: tempfile.TemporaryDirectory[str] | None = None
        self._peers_in_doubt = False
        self._looking = threading.Lock()
        self._looked: tuple[float, list[str] | None] = (-_RECHECK_S, None)
        self._welcome = welcome
        self._error: BaseException | None = None
        self._snapshots = Snapshots(settings.folder / "snapshots", rows, records, self._no_snapshot)
        self._application = Application(
            records, settings.folder, clock, verifier, self, welcome, self._snapshots, settings.prune
        )
        self._delivery = Delivery(records)
        self._confirmed = self._application.confirmed
        self._deadline = self._application.ledger.state.next_deadline()
        sockets = self._socket_folder(settings.folder / "run")
        self.rpc = sockets / "rpc"
        """The socket where CometBFT answers calls."""
        home.write(settings, genesis, sockets / "app", self.rpc)
        self._home = (settings, genesis, sockets / "app")
        self._sync_ends: float | None = None
        self._replays = False
        self._rpc = Rpc(self.rpc)
        self._server = Server(sockets / "app", self._application, self._fail)
        self._process = Process(
            program, settings.folder, self._anew, self._heard, home.validator_key(settings)
        )
        self._offering = threading.Thread(target=self._offer, name="offer", daemon=True)
        self._offering.start()

    # The port.

    def submit(self, data: bytes) -> Ticket | Refusal:
        """Offer an envelope (see the port)."""
        envelope = decode(data)
        if isinstance(envelope, Refusal):
            return envelope
        with self._lock:
            if self._stopping:
                raise EngineHalted.because(self._error)
            if envelope.data in self._waiting:
                # Nothing is known of it yet; who asks again hears what the first one hears.
                return self._waiting[envelope.data].ticket
            if len(self._waiting) >= MAX_WAITING:
                raise EngineBusy(f"{MAX_WAITING} envelopes wait already; send this one again in a few seconds.")
            waiting = self._waiting[envelope.data] = _Waiting(envelope)
            self._inbox.append(envelope.data)
            self._work.notify()
        return waiting.ticket

    def blocks(self, after: int) -> Iterator[FinalBlock]:
        """All final blocks above a height, as they come (see the port)."""
        return self._delivery.blocks(after)

    def final(self) -> int:
        """Height of the last final block."""
        return self._delivery.height

    def confirmed(self) -> int:
        """Height of the last block whose hash a later header names (see the port)."""
        return self._confirmed

    def stop(self) -> None:
        """Stop CometBFT, then what answers it."""
        with self._lock:
            if self._closed:
                return
            self._closed = self._stopping = True
            self._work.notify_all()
        self._offering.join()
        self._process.stop()
        self._server.close()
        self._application.close()
        self._rpc.close()
        if self._elsewhere is not None:
            self._elsewhere.cleanup()
        self._finish()

    def _socket_folder(self, folder: Path) -> Path:
        """Below the home, unless it lies so deep that a socket's path would be too long."""
        if len(os.fsencode(folder.resolve())) < _MAX_SOCKET_FOLDER:
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
        self._elsewhere = tempfile.TemporaryDirectory(prefix="tocsin-")
        return Path(self._elsewhere.name)

    # Beyond the port.

    @property
    def error(self) -> BaseException | None:
        """What halted the engine, None while nothing did."""
        if not self._stopping and not (self._offering.is_alive() and self._process.alive and self._server.alive):
            self._fail(RuntimeError("A thread of the engine ended by itself; standard error says where."))
        return self._error

    @property
    def process(self) -> Process:
        """CometBFT."""
        return self._process

    @property
    def trouble(self) -> str:
        """What keeps the engine from something without halting it, while it lasts: CometBFT's last words, until
        another runs; what it could not do, until a block comes; a snapshot that failed, until one is written.
        """
        newest, unwritten = self._unwritten
        return self._process.why or self._trouble or (unwritten if newest == self._snapshots.newest() else "")

    @property
    def sync(self) -> str:
        """How this node gets, or has got since its start, what was decided before; empty where it had it."""
        told = self._application.sync
        if told or self._home[0].sync is None or self._application.begun:
            return told
        return "replays the chain" if self._replays else "looks for a snapshot"

    @property
    def idle_s(self) -> float:
        """Seconds since the last block, or the start; above a heartbeat or two, the network stands still."""
        return time.monotonic() - self._last

    def connected(self) -> list[str] | None:
        """CometBFT's ids of the nodes it is connected to; None while it does not answer."""
        with self._looking:  # Whoever asks meanwhile hears the same: many may ask, and a CometBFT that hangs is slow.
            at, known = self._looked
            if time.monotonic() - at < _RECHECK_S:
                return known
            known = self._peers()
            self._looked = (time.monotonic(), known)
            return known

    def _peers(self) -> list[str] | None:
        rpc = Rpc(self.rpc, _LOOK_S)
        try:
            return sorted(peer["node_info"]["id"] for peer in rpc.call("net_info")["peers"])
        except (RpcUnreachable, RpcError):
            return None
        finally:
            rpc.close()

    def _heard(self, line: bytes) -> None:
        """CometBFT gives up a state sync or a consensus that failed, and then idles: only a new start tries again."""
        told = line.decode(errors="replace").strip()
        if b"CONSENSUS FAILURE" in line:
            self._trouble = f"CometBFT could not go on, and starts over: {told.partition(' stack=')[0]}"
            self._process.again()
        if b"State sync failed" in line:
            self._trouble = f"No snapshot could be taken in, and CometBFT starts over: {told}"
            self._process.again()

    def _no_snapshot(self, error: Exception) -> None:
        told = f"No snapshot could be written: {error}. New members must replay; free some space."
        self._unwritten = (self._snapshots.newest(), told)

    def wake(self) -> None:
        """Look at the clock again: it was set, or jumped."""
        with self._lock:
            self._work.notify_all()

    # What the application tells, under its lock.

    def checked(self, data: bytes, reason: Reason, *, again: bool) -> None:
        """An envelope that never entered the pool is refused; one that did may be in a block of others yet."""
        with self._lock:
            waiting = self._waiting.get(data)
            if waiting is None or again:
                return
            if reason == Reason.ACCEPTED:
                waiting.entered = True
            if reason == Reason.ACCEPTED or waiting.entered:
                return
            del self._waiting[data]
        waiting.ticket.settle(Refusal(reason))

    def committed(self, outcome: Outcome) -> None:
        """Settle what the block holds, and what no later block may hold."""
        answers: list[tuple[Ticket, Receipt | Refusal]] = []
        with self._lock:
            self._last = time.monotonic()
            self._trouble = ""
            # This block's header, on which the validators agreed, names the hash that the one before it led to.
            self._confirmed = self._delivery.height
            if outcome.changed:
                self._delivery.reach(outcome.height)
                self._peers_in_doubt = self._peers_in_doubt or bool(outcome.changes["member"])
            for position, envelope in enumerate(outcome.consumed):
                mine = self._waiting.pop(envelope.data, None)
                if mine is not None:
                    receipt = Receipt(
                        envelope.digest, outcome.height, outcome.at, position, outcome.receipts[position]
                    )
                    answers.append((mine.ticket, receipt))
            state = self._application.ledger.state
            self._deadline = state.next_deadline()
            for data, waiting in list(self._waiting.items()):
                if waiting.envelope.digest in state.seen:
                    answers.append((self._waiting.pop(data).ticket, Refusal(Reason.SEEN_BEFORE)))
                elif waiting.envelope.header.valid_until <= outcome.at:
                    answers.append((self._waiting.pop(data).ticket, Refusal(Reason.EXPIRED)))
            self._work.notify_all()
        for ticket, answer in answers:
            ticket.settle(answer)

    def refused(self, why: str) -> None:
        """A snapshot did not hold; CometBFT looks for another one."""
        self._trouble = f"A snapshot was refused: {why}. Another is looked for."

    def restored(self, height: int) -> None:
        """Everything up to the snapshot is final, and a header that the light client checked names its hash."""
        with self._lock:
            self._delivery.reach(height)

    # The thread that offers.

    def _offer(self) -> None:
        ticked: tuple[int | None, float] = (None, 0.0)
        while True:
            with self._lock:
                if not self._inbox and not self._stopping:
                    self._work.wait(self._sleep())
                if self._stopping:
                    return
                now = time.monotonic()
                waiting = self._take(now)
                due = self._due()
                look, self._peers_in_doubt = self._peers_in_doubt, False
            if look:
                self._part()
            if self._sync_ends is not None and now > self._sync_ends:
                self._do_without_snapshot(now)
            batch = self._transactions(waiting)
            if due is not None and (ticked[0] != due or now - ticked[1] >= _RECHECK_S):
                batch.append(tick(due))
                ticked = (due, now)
            if batch and not self._put(batch, waiting):
                time.sleep(_RETRY_S)

    def _do_without_snapshot(self, now: float) -> None:
        """Where nobody has one CometBFT would look for it for ever; where nobody has the first blocks either, whoever
        runs this engine must ask anew whom to trust, and start another."""
        if self._application.begun:
            self._sync_ends = None
        elif self._application.restoring:
            self._sync_ends = now + _NO_SNAPSHOT_S
        elif not self._replays:
            self._trouble = "Nobody offered a snapshot, so CometBFT replays the chain from its first block."
            self._replays, self._sync_ends = True, now + _NO_BLOCK_S
            settings, genesis, socket = self._home
            home.write(settings._replace(sync=None), genesis, socket, self.rpc)
            self._process.again()
        else:
            told = self.trouble or "nobody is there."
            self._fail(RuntimeError(f"Neither a snapshot nor the first block came: {told}"))

    def _transactions(self, waiting: list[_Waiting]) -> list[bytes]:
        """Groups of what is let in, and alone what is refused: others shall not have to hear of that, and CometBFT
        asks why. A node that does not know the state yet is wrong about it, but does not offer either."""
        if not waiting:
            return []  # without the application's lock, which a block or a snapshot may hold for long
        found: dict[Admission, list[bytes]] = {kind: [] for kind in Admission}
        for one, kind in zip(waiting, self._application.admit([one.envelope for one in waiting]), strict=True):
            found[kind].append(one.envelope.data)
            # Only what never entered the pool is ever refused.
            one.entered = one.entered or kind == Admission.WAITS
        return transactions(found[Admission.LET_IN]) + found[Admission.REFUSED]

    def _put(self, batch: list[bytes], waiting: list[_Waiting]) -> bool:
        """Offer a batch. What the pool does not take, for want of room or since CometBFT is starting, waits."""
        try:
            return not any("mempool is full" in why for why in self._rpc.offer(batch))
        except RpcUnreachable:
            with self._lock:
                for one in waiting:
                    one.offered = 0.0
            return False

    def _part(self) -> None:
        """After a change of the roster: leave peers that are not welcome any more. CometBFT has no call for that; a
        new start lets go of them all and asks for each again."""
        peers = self._peers()
        if peers is None:
            # It starts, and asks for each peer; or it hangs, and has those it had.
            with self._lock:
                self._peers_in_doubt = True
        elif not all(map(self._welcome, peers)):
            self._process.again()

    def _take(self, now: float) -> list[_Waiting]:
        """What is new, then what has had no block for long."""
        if not self._inbox:
            self._inbox.extend(data for data, one in self._waiting.items() if now - one.offered >= _AGAIN_S)
        taken: list[_Waiting] = []
        size = 0
        while self._inbox and len(taken) < _BATCH and size < _BATCH_BYTES:
            waiting = self._waiting.get(self._inbox.popleft())
            if waiting is not None and now - waiting.offered >= _AGAIN_S:
                waiting.offered = now
                taken.append(waiting)
                size += len(waiting.envelope.data)
        return taken

    def _due(self) -> int | None:
        return self._deadline if self._deadline is not None and self._deadline <= self._clock() else None

    def _sleep(self) -> float:
        left = _RECHECK_S if self._deadline is None else (self._deadline - self._clock()) / 1000
        return min(_RECHECK_S, left) if left > 0 else _RECHECK_S

    # The end.

    def _anew(self) -> None:
        """Before each start of CometBFT: its pool is empty, so everything that waits is offered again."""
        self._server.hang_up()
        # A CometBFT that was killed leaves its socket, and the next one does not start over it.
        self.rpc.unlink(missing_ok=True)
        try:
            home.clear_sync(self._home[0].folder)
            home.clear_unmade(self._home[0].folder)
            self._application.restarted()
        except Exception as error:
            self._fail(error)
            return
        if self._home[0].sync is not None and not self._application.begun and not self._replays:
            self._sync_ends = time.monotonic() + _NO_SNAPSHOT_S
        with self._lock:
            for waiting in self._waiting.values():
                waiting.offered = 0.0

    def _fail(self, error: Exception) -> None:
        """The application cannot go on. CometBFT ends with its connections; no other is started."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            self._stopping = True
            self._work.notify_all()
        threading.Thread(target=self._halt, name="halt", daemon=True).start()

    def _halt(self) -> None:
        self._process.stop()
        self._finish()

    def _finish(self) -> None:
        with self._lock:
            left = list(self._waiting.values())
            self._waiting.clear()
        self._delivery.end()
        for waiting in left:
            waiting.ticket.fail(EngineHalted.because(self._error))
