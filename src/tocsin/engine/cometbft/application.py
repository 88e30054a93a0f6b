"""Tocsin as an ABCI 2.0 application: calls of CometBFT mapped to the ledger. No rule lives here.

CometBFT calls from four connections at once; one lock orders everything but the check of signatures.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.pool import Admission, Pool
from tocsin.engine.cometbft.restore import Restorable, Restore, SnapshotWrong, begin_anew
from tocsin.engine.cometbft.snapshots import Snapshots
from tocsin.engine.cometbft.transactions import envelopes, together
from tocsin.engine.ledger import Ledger
from tocsin.engine.port import Clock
from tocsin.engine.signatures import Checker
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import app_hash
from tocsin.kernel.envelope import Envelope, encode
from tocsin.kernel.leaves import BlockLeaf
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Member
from tocsin.kernel.statements import signs

_read_block_leaf = msgspec.json.Decoder(BlockLeaf).decode

CODESPACE = "tocsin"
"""Of the codes in answers; they are the numbered reasons."""
BLOCK_BYTES = 4 * 1024 * 1024
"""Of transactions in a block, as they travel."""
_OPENED_BYTES = 2 * BLOCK_BYTES
"""Of the envelopes in them. Of 64 acts each they compress to a third, and half of that room would stay empty."""


def chain_id(genesis: str) -> str:
    """CometBFT's name for a network, from its genesis digest; it takes 50 characters at most."""
    return f"tocsin-{genesis[:40]}"


def validators(members: Mapping[str, Member]) -> dict[bytes, int]:
    """The validators and their power: everybody whose finality signature counts and who has a validator key."""
    return {
        bytes.fromhex(member.keys.validator): 1
        for _, member in sorted(members.items())
        if member.keys.validator is not None and signs(member)
    }


def validator_address(key: bytes) -> bytes:
    """How CometBFT names an Ed25519 key."""
    return sha256(key).digest()[:20]


class Observer(Protocol):
    """Who wants to know what the application learns. Called under its lock: be quick."""

    def checked(self, data: bytes, reason: Reason, *, again: bool) -> None:
        """An envelope may enter the pool, or not, and why; `again`: whether it may stay."""
        ...

    def committed(self, outcome: Outcome) -> None:
        """A block is durable."""
        ...

    def refused(self, why: str) -> None:
        """A snapshot was not taken in."""
        ...

    def restored(self, height: int) -> None:
        """A snapshot was taken in, with blocks up to this one, and CometBFT has gone on from it."""
        ...


class _Read(NamedTuple):
    """A block's transactions. `held`: what each holds; then a code for each of these, 0 if it can be read, and those
    that can, with their verdicts."""

    at: int
    held: list[Sequence[bytes]]
    codes: list[Reason]
    envelopes: list[Envelope]
    verdicts: list[list[bool]]

    def told(self, dropped: Sequence[tuple[int, Reason]]) -> list[list[Reason]]:
        """What is to be said of each transaction, where these of the envelopes that can be read may not stand."""
        codes = list(self.codes)
        readable = [place for place, code in enumerate(codes) if code == Reason.ACCEPTED]
        for position, reason in dropped:
            codes[readable[position]] = reason
        left = iter(codes)
        return [list(islice(left, len(some))) for some in self.held]


_Proposal = wire.PrepareProposal | wire.ProcessProposal | wire.FinalizeBlock


class _Finalized(NamedTuple):
    height: int
    outcome: Outcome


class Application:
    """One network's. `home`: where its heights are kept."""

    def __init__(
        self,
        records: Restorable,
        home: Path,
        clock: Clock,
        verifier: Checker,
        observer: Observer,
        welcome: Callable[[str], bool],
        snapshots: Snapshots,
        prune: bool = False,
    ) -> None:
        """`welcome`: whether a node may connect, by its CometBFT id. `prune`: let CometBFT forget its blocks below
        the oldest snapshot; the log stays whole. Raises HeightsLost.
        """
        self._heights = Heights(home / "heights", records.head.height)
        if self._heights.restoring:
            begin_anew(home, self._heights, records)
        self.ledger = Ledger(records)
        self.lock = threading.RLock()
        self._home = home
        self._records = records
        self._verifier = verifier
        self._pool = Pool(self.ledger, clock, verifier)
        self._observer = observer
        self._welcome = welcome
        self._finalized: _Finalized | None = None
        self._snapshots = snapshots
        self._prune = prune
        self._restore: Restore | None = None
        self._began_with = ""

    def close(self) -> None:
        """Let go of its files."""
        self._snapshots.close()
        self._heights.close()

    def restarted(self) -> None:
        """CometBFT has come anew: its pool is empty, and what was not committed comes again."""
        with self.lock:
            self._pool.reset()
            self._finalized = None
            self._restore = None
            if self._heights.restoring:
                begin_anew(self._home, self._heights, self._records)
                self.ledger.reload()

    @property
    def confirmed(self) -> int:
        """At the start: height of the last block whose hash a later header names (spec 10.3)."""
        return self._heights.confirmed

    @property
    def restoring(self) -> bool:
        """Whether a snapshot is being taken in."""
        return self._restore is not None

    @property
    def begun(self) -> bool:
        """Whether blocks are here, or a snapshot."""
        return self._heights.height > 0

    @property
    def sync(self) -> str:
        """How far a snapshot is, or which one this node began with since its start; else empty."""
        restore = self._restore
        if restore is None:
            return self._began_with
        return f"takes in a snapshot: {restore.taken} of {restore.chunks} chunks are checked"

    def answer(self, request: wire.Request) -> wire.Answer:
        """Answer any call but CheckTx. What it raises is the node's own failure: it must stop."""
        if isinstance(request, wire.LoadSnapshotChunk):
            # It reads what never changes, for as long as a peer likes: without the lock.
            return wire.LoadSnapshotChunkAnswer(self._snapshots.chunk(request.height, request.format, request.chunk))
        with self.lock:
            match request:
                case wire.FinalizeBlock():
                    return self._finalize(request)
                case wire.Commit():
                    return self._commit()
                case wire.ProcessProposal():
                    return self._process(request)
                case wire.PrepareProposal():
                    return self._prepare(request)
                case wire.Query():
                    return self._query(request)
                case wire.Info():
                    return self._info()
                case wire.InitChain():
                    return self._init_chain(request)
                case wire.ListSnapshots():
                    return wire.ListSnapshotsAnswer(tuple(self._snapshots.offered()))
                case wire.OfferSnapshot():
                    return self._offer_snapshot(request)
                case wire.ApplySnapshotChunk():
                    return self._apply_chunk(request)
                case wire.Echo() | wire.Flush():
                    return request
                case wire.CheckTx():
                    return self.check([request])[0]

    def check(self, requests: Sequence[wire.CheckTx]) -> list[wire.TxResult]:
        """Answer a run of CheckTx. Signatures are verified without the lock. Of several envelopes that came together
        one that may wait is enough: the others may have come by another way before."""
        held = [envelopes(request.tx) for request in requests]
        new = [some for request, some in zip(requests, held, strict=True) if request.type == wire.NEW]
        self._pool.verify(list(chain.from_iterable(new)), self.lock)
        results = []
        with self.lock:
            for request, some in zip(requests, held, strict=True):
                reasons = [self._pool.check(data) for data in some]
                for data, reason in zip(some, reasons, strict=True):
                    self._observer.checked(data, reason, again=request.type == wire.RECHECK)
                results.append(_result(min(reasons)))
        return results

    def admit(self, given: Sequence[Envelope]) -> list[Admission]:
        """What becomes of envelopes that this node was given; those that are let in may come back in any group."""
        self._pool.verify_read(given, self.lock)
        with self.lock:
            return [self._pool.admit(envelope) for envelope in given]

    # Where it stands.

    def _info(self) -> wire.InfoAnswer:
        return wire.InfoAnswer("tocsin", "", self.ledger.state.meta.protocol, self._heights.height, self._hash())

    def _hash(self) -> bytes:
        head = self.ledger.records.head
        return app_hash(head.size, head.root)

    def _init_chain(self, request: wire.InitChain) -> wire.InitChainAnswer:
        genesis = self.ledger.state.meta.genesis
        if request.chain_id != chain_id(genesis) or request.initial_height != 1 or self._heights.height:
            raise ValueError(
                f"CometBFT begins chain {request.chain_id!r} at {request.initial_height}, but this node stands at "
                f"{self._heights.height} of {chain_id(genesis)!r}. Reset CometBFT's data, or use this network's home."
            )
        first = validators(self.ledger.state.members)
        if not first:
            origin = self.ledger.state.meta.origin
            raise ValueError(f"No member of {origin} has a validator key: CometBFT cannot order it. Found it anew.")
        return wire.InitChainAnswer(None, _updates({}, first), self._hash())

    # A block. Of what it may hold its three calls ask one function of the kernel, so that they agree (spec 3.3). It
    # is applied once it is decided: in the pause that CometBFT counts from then, and not while all wait for votes.

    def _read(self, proposal: _Proposal) -> _Read:
        held = _held(proposal.txs)
        return _Read((proposal.time or wire.Timestamp()).ms, held, *self._pool.take(list(chain.from_iterable(held))))

    def _told(self, read: _Read) -> list[list[Reason]]:
        """What is to be said of each transaction that a block may not hold."""
        return read.told(self.ledger.refused(read.at, read.envelopes, read.verdicts))

    def _caught(self, misbehavior: tuple[wire.Misbehavior, ...]) -> list[str]:
        """The keys of those that CometBFT proved to have voted twice; it names them by address only."""
        if not misbehavior:
            return []
        keys = {validator_address(bytes.fromhex(key)): key for key in self.ledger.state.tables["key"]}
        named = [one.validator.address for one in misbehavior if one.validator is not None]
        return [keys[address] for address in named if address in keys]

    def _prepare(self, request: wire.PrepareProposal) -> wire.PrepareProposalAnswer:
        """Of what came, which is within the size, what a block may not hold is left out."""
        read = self._read(request)
        told = self._told(read)
        if not any(map(any, told)):
            return wire.PrepareProposalAnswer(request.txs)
        kept: list[bytes] = []
        room = request.max_tx_bytes
        for tx, some, codes in zip(request.txs, read.held, told, strict=True):
            left = [data for data, code in zip(some, codes, strict=True) if code == Reason.ACCEPTED]
            if left:
                kept.append(tx if len(left) == len(some) else together(left))
                room -= wire.size_in_block(kept[-1])
        while room < 0:
            # Others compress in other ways: what is left of a group may be larger than it was.
            room += wire.size_in_block(kept.pop())
        return wire.PrepareProposalAnswer(tuple(kept))

    def _process(self, request: wire.ProcessProposal) -> wire.ProcessProposalAnswer:
        told = self._told(self._read(request))
        return wire.ProcessProposalAnswer(wire.REJECT if any(map(any, told)) else wire.ACCEPT)

    def _finalize(self, request: wire.FinalizeBlock) -> wire.FinalizeBlockAnswer:
        read = self._read(request)
        outcome = self.ledger.propose(read.at, read.envelopes, read.verdicts, self._caught(request.misbehavior))
        receipts = iter(outcome.receipts)
        results = tuple(
            _result(max(told), encode([next(receipts) for code in told if code == Reason.ACCEPTED]))
            for told in read.told(outcome.dropped)
        )
        answer = wire.FinalizeBlockAnswer(results, app_hash=self._hash())
        if outcome.changed:
            state, head = self.ledger.state, self.ledger.records.after(outcome)
            before, after = validators(state.members), validators(state.members | outcome.changes["member"])
            protocol = outcome.changes["meta"][""].protocol
            answer = answer._replace(
                app_hash=app_hash(head.size, head.root),
                # A chain cannot lose its last validator; where all have gone, the old ones stay to end it.
                validator_updates=_updates(before, after) if after else (),
                consensus_param_updates=(
                    wire.ConsensusParams(wire.VersionParams(protocol)) if protocol != state.meta.protocol else None
                ),
            )
        self._finalized = _Finalized(request.height, outcome)
        return answer

    def _commit(self) -> wire.CommitAnswer:
        done = self._finalized
        if done is None:
            raise ValueError("CometBFT committed a block that it had not finalized.")
        state = self.ledger.state
        snapshot = state.meta.height if self._heights.restoring else None
        self._heights.announce(done.height, done.outcome.height if done.outcome.changed else state.meta.height)
        if done.outcome.changed:
            self.ledger.commit(done.outcome)
        self._heights.kept(done.height)
        self._finalized = None
        self._pool.advance(done.outcome.consumed)
        if done.outcome.changed and _read_block_leaf(done.outcome.leaves[-1]).state is not None:
            self._snapshots.take(done.height, done.outcome.height)
        if snapshot is not None:
            self._began_with = f"began with a snapshot of block {snapshot}"
            self._observer.restored(snapshot)
        self._observer.committed(done.outcome)
        return wire.CommitAnswer(self._snapshots.oldest() if self._prune else 0)

    # Snapshots.

    def _offer_snapshot(self, request: wire.OfferSnapshot) -> wire.OfferSnapshotAnswer:
        """A new offer ends one that was half taken."""
        self._restore = None
        offer, folder = request.snapshot or wire.Snapshot(), self._home / "sync" / "chunks"
        try:
            self._restore = Restore(folder, offer, request.app_hash, self._records, self._verifier)
        except SnapshotWrong as error:
            self._observer.refused(str(error))
            return wire.OfferSnapshotAnswer(wire.SNAPSHOT_REJECT)
        return wire.OfferSnapshotAnswer(wire.SNAPSHOT_ACCEPT)

    def _apply_chunk(self, request: wire.ApplySnapshotChunk) -> wire.ApplySnapshotChunkAnswer:
        restore = self._restore
        if restore is None:
            return wire.ApplySnapshotChunkAnswer(wire.CHUNK_ABORT)
        try:
            if not restore.add(request.place, request.chunk, request.sender):
                # Asked for again, and of somebody else: else CometBFT would bring the same bytes once more.
                return wire.ApplySnapshotChunkAnswer(wire.CHUNK_RETRY, (request.place,), (request.sender,))
            if not restore.complete:
                return wire.ApplySnapshotChunkAnswer(wire.CHUNK_ACCEPT)
            restore.finish()
        except SnapshotWrong as error:
            # Its chunks are as it announced them, so whoever sent them offered it.
            self._restore = None
            self._observer.refused(str(error))
            return wire.ApplySnapshotChunkAnswer(wire.CHUNK_REJECT_SNAPSHOT, (), tuple(sorted(restore.senders)))
        self._heights.restore(restore.height)
        restore.write()
        self._heights.restored(restore.height)
        self._restore = None
        self.ledger.reload()
        self._pool.reset()
        return wire.ApplySnapshotChunkAnswer(wire.CHUNK_ACCEPT)

    # Questions.

    def _query(self, request: wire.Query) -> wire.QueryAnswer:
        """`/p2p/filter/...`: who may connect. An address says nothing; the id that follows it does."""
        kind, _, name = request.path.removeprefix("/p2p/filter/").partition("/")
        if request.path.startswith("/p2p/filter/") and (kind == "addr" or (kind == "id" and self._welcome(name))):
            return wire.QueryAnswer(height=self._heights.height)
        return wire.QueryAnswer(1, f"{request.path} is not answered, or this node is neither a member's nor known.")


def _held(transactions: Sequence[bytes]) -> list[Sequence[bytes]]:
    """What each transaction of a block holds; a group beyond what a block may hold is not opened."""
    held, room = [], _OPENED_BYTES
    for transaction in transactions:
        some = envelopes(transaction, room)
        room -= sum(map(len, some))
        held.append(some)
    return held


def _updates(before: dict[bytes, int], after: dict[bytes, int]) -> tuple[wire.ValidatorUpdate, ...]:
    """What changes, removals included, in the order of the keys."""
    return tuple(
        wire.ValidatorUpdate(wire.PublicKey(key), after.get(key, 0))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )


def _result(reason: Reason, data: bytes = b"") -> wire.TxResult:
    if reason == Reason.ACCEPTED:
        return wire.TxResult(data=data)
    return wire.TxResult(int(reason), log=reason.name, codespace=CODESPACE)
