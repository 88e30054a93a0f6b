"""Final checkpoints among members' nodes (spec 10.3): sign what may be signed, collect what the others signed.

Each member signs the head of every block that changed something, once its engine has confirmed it, and serves its own
line over HTTP. Each collects the others' until a quorum stands. A key may be of a member whose node this is, or of
one that left it in the operator's custody: whatever finality keys the keystore has are used.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from functools import partial
from time import monotonic
from typing import NamedTuple, Protocol

import msgspec

from tocsin.client.signing import Signer, cosign_checkpoint, sign_checkpoint
from tocsin.engine.port import Clock
from tocsin.kernel.quorum import finality
from tocsin.kernel.rows import Meta
from tocsin.kernel.rows import Signer as Who
from tocsin.kernel.statements import cosigners_of
from tocsin.node.finality.epochs import Epochs, holds
from tocsin.node.web.remote import Remote, RemoteError
from tocsin.node.worker import Worker
from tocsin.store.network import NetworkStore
from tocsin.store.watermark import SignedHead, SigningRefused, Watermark
from tocsin.tlog import Checkpoint, VerifierKey, checkpoint, note
from tocsin.tlog.note import ED25519, Signature

KEPT = 4096
"""Sizes whose own lines are kept in memory for those who are behind."""
_AGAIN = 64
"""Heads below the newest that are signed again after a start, for members who still collect them."""
_AT_ONCE = 512
"""Heights looked at in one go."""
_POLL_S = 0.02
_ASK_S = 5.0
"""How long a member is asked to wait for a head that it has not reached."""
_GIVE_UP_S = 10.0
"""How long one size is collected before a newer one is tried."""
_RETRY_S = 30.0
"""After which a change of the roster is tried again whose signers could not be had."""

_read_meta = msgspec.json.Decoder(Meta).decode


class Confirming(Protocol):
    """What finality asks of an engine."""

    def confirmed(self) -> int: ...


class Keys(NamedTuple):
    """What this node signs with. `log`: the log's own key, where it is here; `members`: finality keys by member."""

    log: Signer | None
    members: Mapping[str, Signer]


class Seen(NamedTuple):
    """What was last heard of a member. `at`: monotonic seconds; `size`: of the head it signed; `error`: or why not."""

    at: float
    size: int
    error: str


class Finality:
    """One network's, on this node. Threads of its own; `stop` ends them."""

    def __init__(
        self,
        records: NetworkStore,
        engine: Confirming,
        keys: Keys,
        log_key: str,
        watermark: Watermark,
        remotes: Mapping[str, Remote],
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """`log_key`: of the genesis; `remotes`: the other members' nodes; `say`: for the log of the node."""
        self.origin = records.origin
        self.seen: dict[str, Seen] = {}
        """What was last heard of each other member."""
        self.contradictions: dict[str, tuple[bytes, bytes]] = {}
        """By member: a head of one size that it signed beside ours, and ours. The first one; it proves enough."""
        self.epochs = Epochs(records)
        """Who signs which sizes."""
        self._records = records
        self._engine = engine
        self._keys = keys
        self._log = VerifierKey(self.origin, ED25519, bytes.fromhex(log_key))
        self._watermark = watermark
        self._remotes = remotes
        self._clock = clock
        self._say = say
        self._own: OrderedDict[int, bytes] = OrderedDict()
        self._known = 0
        self._asked = 0
        self._later: dict[int, float] = {}
        self._final = self._stored()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._asking = ThreadPoolExecutor(2 * len(remotes) + 1, thread_name_prefix="ask")
        self.workers = [Worker("signing", self._sign), Worker("collecting", self._collect)]

    def start(self) -> None:
        """Begin."""
        for worker in self.workers:
            worker.start()

    def stop(self) -> None:
        """End; what was signed stays signed."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._asking.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.join()

    # What others ask.

    @property
    def final(self) -> int:
        """Size of the newest final checkpoint; 0 if there is none."""
        return self._final

    def own(self, size: int | None = None) -> bytes | None:
        """The note with this node's own lines for the head of a size, or its newest; None if it signed none."""
        with self._changed:
            if size is None:
                size = next(reversed(self._own), None)
            return None if size is None else self._own.get(size)

    def wait_final(self, above: int, timeout: float) -> int:
        """Wait until a checkpoint above a size is final, or the time is over; size of the newest."""
        with self._changed:
            self._changed.wait_for(lambda: self._final > above or self._stopping.is_set(), timeout)
        return self._final

    # Signing.

    def _sign(self) -> None:
        reached = self._records.block_of_leaf(max(0, self._records.durable[1] - _AGAIN)).height - 1
        epoch = -1
        while not self._stopping.is_set():
            confirmed = self._engine.confirmed()
            if confirmed <= reached:
                self._stopping.wait(_POLL_S)
                continue
            upto = min(confirmed, reached + _AT_ONCE)
            heads = [Checkpoint(self.origin, end.size, end.root) for end in self._records.ends(reached + 1, upto)]
            reached = upto
            # By the row, which a node with full blocks reads sooner than their leaves.
            if (number := self._epoch()) != epoch:
                epoch = number
                self.epochs.refresh()
            if upto < confirmed:
                # Who was away signs the newest heads, and what nobody can do without; not every step of the way.
                ends = {index + 2 for index in self.epochs.steps(0)}
                heads = [one for one in heads if one.size in ends]
            self._sign_heads(heads)

    def _epoch(self) -> int:
        """Number of the roster after the last block on disk."""
        row = self._records.row("meta:")
        assert row is not None, "a network has had this row since its founding"
        return _read_meta(row).epoch

    def _sign_heads(self, heads: Sequence[Checkpoint]) -> None:
        """Write down, then sign. Below what was written down only what that head extends is signed again."""
        mark = self._watermark.head(self.origin)
        if mark is not None and not self._extends(mark):
            return
        new = [SignedHead(*head) for head in heads if mark is None or head.size >= mark.size]
        if self._keys.log is not None or any(self._mine(head.size) for head in heads):
            self._watermark.admit(new)
        for head in heads:
            lines = [] if self._keys.log is None else [sign_checkpoint(self._keys.log, head)]
            lines += [
                cosign_checkpoint(self._keys.members[one.id], one.id, head, self._clock() // 1000)
                for one in self._mine(head.size)
            ]
            if lines:
                with self._changed:
                    self._own[head.size] = note.format(checkpoint.format(head), lines)
                    while len(self._own) > KEPT:
                        self._own.popitem(last=False)
            with self._changed:
                self._known = head.size
                self._changed.notify_all()

    def _extends(self, mark: SignedHead) -> bool:
        """Whether our log holds the head that was signed before; while it is shorter, nothing is signed."""
        if self._records.durable[1] < mark.size:
            return False
        root = self._records.root(mark.size)
        if root != mark.root:
            raise SigningRefused(
                f"This node signed {self.origin} at size {mark.size} with the root {mark.root.hex()}, and its log now "
                f"has {root.hex()}. The log was forked, perhaps by a restored backup; find out why, then "
                "`tocsin node reset`."
            )
        return True

    def _mine(self, size: int) -> list[Who]:
        """Signers whose very keys are here."""
        return [
            one
            for one in self.epochs.signers(size)
            if one.id in self._keys.members and self._keys.members[one.id].public_key == one.key
        ]

    # Collecting.

    def _collect(self) -> None:
        while not self._stopping.is_set():
            target = self._target()
            if target is None:
                with self._changed:
                    self._changed.wait(_ASK_S if self._known <= self._final else _POLL_S)
                continue
            self._collect_one(target)

    def _target(self) -> int | None:
        """A change of the roster that nobody sealed yet, else the newest head."""
        for index in self.epochs.steps(0):
            size = index + 2
            if size <= self._known and self._later.get(size, 0.0) < monotonic() and not self._records.checkpoint(size):
                self._later[size] = monotonic() + _RETRY_S
                return size
        return self._known if self._known > self._final else None

    def _collect_one(self, size: int) -> None:
        """Collect lines for the head of a size until a quorum stands, or it takes too long."""
        head = Checkpoint(self.origin, size, self._records.root(size))
        text = checkpoint.format(head)
        signers = self.epochs.signers(size)
        lines: dict[bytes, Signature] = {}
        own = self.own(size)
        if own is not None:
            self._take(lines, signers, text, note.parse(own).signatures)
        until = monotonic() + _GIVE_UP_S
        again, self._asked = size == self._asked, size
        asked = {self._asking.submit(self._ask, id, size, again): id for id in self._remotes}
        while not self._stopping.is_set():
            if self._enough(lines, signers):
                self._keep(size, text, lines, signers)
                for future, id in asked.items():
                    # Who comes late is not missing.
                    future.add_done_callback(partial(self._hear, id, size, text))
                return
            if not asked or monotonic() > until:
                # Nobody is left to ask, or it takes too long: a newer head may be quicker.
                self._stopping.wait(0.2 if monotonic() < until else 0)
                return
            done, _ = wait(asked, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(lines, signers, text, self._hear(asked.pop(future), size, text, future))

    def _ask(self, id: str, size: int, again: bool) -> bytes | None:
        """What a member signed itself. Of a change of the roster, and where that did not suffice before, rather what it
        collected: who signed may be gone since."""
        remote = self._remotes[id]
        collected = remote.final(size) if again or size - 2 in self.epochs.steps(0) else None
        return collected or remote.cosigned(size, _ASK_S)

    def _hear(self, id: str, size: int, text: str, future: "Future[bytes | None]") -> Sequence[Signature]:
        """The signature lines of a member's answer, if it speaks of this head; what it was is in `seen`."""
        error = ""
        lines: Sequence[Signature] = ()
        try:
            data = future.result()
            parsed = None if data is None else note.parse(data)
            if parsed is None:
                error = f"has not signed size {size}"
            elif parsed.text == text:
                lines = parsed.signatures
            else:
                error = self._contradicts(id, size, parsed, text)
        except (RemoteError, ValueError) as failed:
            error = str(failed)
        except CancelledError:
            return ()
        self.seen[id] = Seen(monotonic(), size if lines else self._last_seen(id), error)
        return lines

    def _last_seen(self, id: str) -> int:
        return self.seen[id].size if id in self.seen else 0

    def _contradicts(self, id: str, size: int, other: note.Note, text: str) -> str:
        """What to say of an answer with another head: it counts against a member only if its own key signed it."""
        head = checkpoint.parse(other.text)
        own = cosigners_of(self.origin, [one for one in self.epochs.signers(size) if one.id == id])
        lines = [line for one in own for line in other.signatures if holds(one.vkey, other.text, line)]
        if (head.origin, head.size) != (self.origin, size) or not lines:
            return f"answers with another head than that of size {size}, which it did not sign"
        found = note.format(other.text, lines[:1]), self.own(size) or text.encode()
        if self.contradictions.setdefault(id, found) is found:
            self._say(f"{id} signed another head than ours: {other.text.splitlines()}; ours is {text.splitlines()}")
        return "signed another head of one size than we have"

    def _take(
        self, lines: dict[bytes, Signature], signers: list[Who], text: str, offered: Sequence[Signature]
    ) -> None:
        """Add the lines of the log and of signers that hold; one for each key."""
        for key in (self._log, *(one.vkey for one in cosigners_of(self.origin, signers))):
            for line in offered:
                if holds(key, text, line):
                    lines.setdefault(key.key, line)

    def _enough(self, lines: Mapping[bytes, Signature], signers: list[Who]) -> bool:
        theirs = sum(1 for one in signers if bytes.fromhex(one.key) in lines)
        return self._log.key in lines and theirs >= finality(len(signers))

    def _keep(self, size: int, text: str, lines: Mapping[bytes, Signature], signers: list[Who]) -> None:
        ordered = [self._log.key, *(bytes.fromhex(one.key) for one in signers)]
        data = note.format(text, [lines[key] for key in ordered if key in lines])
        self._records.put_checkpoint(size, data, keep=size - 2 in self.epochs.steps(0))
        self._records.flush()
        with self._changed:
            self._final = max(self._final, size)
            self._changed.notify_all()

    def _stored(self) -> int:
        found = self._records.checkpoint()
        return 0 if found is None else found.size

