"""A relay over the wire (spec 11): from nodes of another network's members into a network of ours.

It keeps nothing of its own: where to go on stands in our network's state. Whatever the other side says is checked
here first, so that a lie costs neither quota nor block space; what passes is checked once more by everybody.
"""

import threading
from collections.abc import Callable, Sequence

from tocsin.client.signing import VALID_FOR_MS, Signer, sign_acts, verify_signature
from tocsin.engine.port import Engine, EngineBusy, EngineHalted, Receipt
from tocsin.kernel.acts import RelayAct, RelayedLeaf
from tocsin.kernel.envelope import Refusal
from tocsin.kernel.quorum import finality
from tocsin.kernel.reasons import REGISTRY, Reason
from tocsin.kernel.rows import Peer
from tocsin.kernel.state import State
from tocsin.kernel.statements import Statement, cosigners_of_peer, read_statement, signed_by_log
from tocsin.node.relays.relay import next_act
from tocsin.node.web.remote import Remote, RemoteError, RemoteLog, describe
from tocsin.node.worker import Worker
from tocsin.store.errors import StoreError
from tocsin.store.network import NetworkStore
from tocsin.tlog import cosignature, leaf_hash, merkle, note

_LOOK_S = 1.0
_TAKEN_S = 30.0


class Lie(Exception):
    """What a node of the other network said does not hold; the sentence says what."""


def check(peer: Peer, act: RelayAct, destination: str) -> None:
    """Hold an act against what `destination` knows of the peer: signatures, quorum, proofs, numbers. Raises Lie."""
    statement = _statement(peer, act)
    head, entry = statement.checkpoint, peer.entry
    if head.size < entry.size:
        raise Lie(f"its checkpoint has {head.size} leaves, fewer than the {entry.size} that are pinned")
    proof = _hashes(act.consistency)
    if entry.size and not merkle.verify_consistency(
        entry.size, head.size, bytes.fromhex(entry.root), head.root, proof
    ):
        raise Lie(f"its log of {head.size} leaves does not extend the {entry.size} that are pinned")
    if act.roster is not None:
        _check_leaf(act.roster, statement)
    for number, one in enumerate(act.leaves, start=peer.next_in):
        _check_leaf(one, statement)
        if f'["{destination}",{number}]' not in one.leaf:
            raise Lie(f"leaf {one.index} is not what it sends to {destination} as number {number}")


def _statement(peer: Peer, act: RelayAct) -> Statement:
    statement = read_statement(act.checkpoint, peer.origin, cosigners_of_peer(peer))
    own = None if statement is None else signed_by_log(statement, peer.entry.log_key)
    if statement is None or own is None or not all(verify_signature(*check) for check in own):
        raise Lie("its checkpoint lacks a good signature of the log")
    try:
        signed = cosignature.count(statement.lines, [verify_signature(*line[:3]) for line in statement.lines])
    except note.NoteError as error:
        raise Lie(f"on its checkpoint {error}") from None
    wanted = finality(sum(1 for one in peer.entry.roster if one.active))
    if len(signed) < wanted:
        raise Lie(f"its checkpoint has {len(signed)} of the {wanted} signatures that make it final")
    return statement


def _check_leaf(one: RelayedLeaf, statement: Statement) -> None:
    head = statement.checkpoint
    if not merkle.verify_inclusion(
        one.index, head.size, leaf_hash(one.leaf.encode()), _hashes(one.proof), head.root
    ):
        raise Lie(f"leaf {one.index} is not in the log of {head.size} leaves that its members signed")


def _hashes(texts: Sequence[str]) -> list[bytes]:
    return [note.decode_base64(text) for text in texts]


class Carrier:
    """Carries from one peer into one network, signed there by `member`. A thread of its own; `stop` ends it."""

    def __init__(
        self, records: NetworkStore, engine: Engine, genesis: str, member: str, signer: Signer,
        sources: Sequence[Remote], clock: Callable[[], int], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`genesis`: digest of ours; `signer`: the member's act key; `sources`: nodes of the peer's members."""
        self.origin = sources[0].origin
        self.errors: dict[str, str] = {}
        """Node of the peer's -> what was wrong with it when it was last asked."""
        self._records = records
        self._engine = engine
        self._genesis = genesis
        self._member = member
        self._signer = signer
        self._sources = list(sources)
        self._clock = clock
        self._say = say
        self._stopping = threading.Event()
        self.worker = Worker(f"relay from {self.origin}", self._run)

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def stop(self) -> None:
        """End; what was not carried is found again after the next start."""
        self._stopping.set()
        self.worker.join()

    def carry(self) -> bool:
        """Carry once; whether something was. Raises RemoteError, Lie, EngineBusy, EngineHalted, TimeoutError."""
        peer = self._peer()
        if peer is None:
            return False
        act = next_act(RemoteLog(self._sources[0], peer.entry.size), peer, self._records.origin)
        if act is None:
            return False
        check(peer, act, self._records.origin)
        data = sign_acts(self._signer, self._genesis, self._member, self._clock() + VALID_FOR_MS, [act])
        ticket = self._engine.submit(data)
        answer = ticket if isinstance(ticket, Refusal) else ticket.result(_TAKEN_S)
        self._hear(answer, peer)
        return True

    def _hear(self, answer: Receipt | Refusal, before: Peer) -> None:
        if isinstance(answer, Refusal):
            raise RemoteError(f"{self._records.origin} does not take the relay: {describe(answer)}")
        code = Reason(answer.codes[0])
        # Who finds its pins moved came second to another relay: nothing is wrong.
        if code and self._peer() == before:
            raise RemoteError(f"{self._records.origin} refused the relay: {REGISTRY[code].sentence}")

    def _peer(self) -> Peer | None:
        data = self._records.row(f"peer:{self.origin}")
        if data is None:
            return None
        peer: Peer = State.from_rows([(f"peer:{self.origin}", data)]).tables["peer"][self.origin]
        return peer

    def _run(self) -> None:
        while not self._stopping.is_set():
            asked = self._sources[0].url
            try:
                carried = self.carry()
                self.errors.pop(asked, None)
            except (RemoteError, Lie, EngineBusy, EngineHalted, StoreError, TimeoutError, ValueError) as error:
                carried = False
                if self.errors.get(asked) != str(error):
                    self._say(f"relay from {self.origin}: {asked}: {error}")
                self.errors[asked] = str(error)
            if not carried:
                # Another node next time: one that hides what waits looks like one that has nothing.
                self._sources.append(self._sources.pop(0))
                self._stopping.wait(_LOOK_S)
