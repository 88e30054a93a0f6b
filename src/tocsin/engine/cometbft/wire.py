"""ABCI 2.0 on the wire: the messages that CometBFT v0.40 exchanges with us, and their framing.

Field numbers are those of its protocol; only the fields that we use are named, others are skipped. A frame is an
unsigned varint with the length, then one request or response: a single field whose number says which.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tocsin.engine.cometbft.protobuf import WireError, decode, encode, message, read_varint, varint

MAX_REQUEST = 256 * 1024 * 1024
"""A request is refused beyond this: 104,857,600 bytes of transactions are the most that a block may hold."""

ACCEPT, REJECT = 1, 2
"""Of a proposal."""
SNAPSHOT_ACCEPT, SNAPSHOT_ABORT, SNAPSHOT_REJECT, SNAPSHOT_REJECT_FORMAT = 1, 2, 3, 4
"""Of an offered snapshot."""
CHUNK_ACCEPT, CHUNK_ABORT, CHUNK_RETRY, CHUNK_RETRY_SNAPSHOT, CHUNK_REJECT_SNAPSHOT = 1, 2, 3, 4, 5
"""Of an applied chunk."""
NEW, RECHECK = 0, 1
"""Why a transaction is checked."""


@message(seconds=1, nanos=2)
class Timestamp(NamedTuple):
    """Since 1970-01-01T00:00Z."""

    seconds: int = 0
    nanos: int = 0

    @property
    def ms(self) -> int:
        """Whole milliseconds."""
        return self.seconds * 1000 + self.nanos // 1_000_000


@message(ed25519=1)
class PublicKey(NamedTuple):
    """Of a validator; we know one type."""

    ed25519: bytes = b""


@message(pub_key=1, power=2)
class ValidatorUpdate(NamedTuple):
    """A validator with its power; 0 removes it."""

    pub_key: PublicKey | None = None
    power: int = 0


@message(address=1, power=3)
class Validator(NamedTuple):
    """A validator as a block names it."""

    address: bytes = b""
    power: int = 0


@message(type=1, validator=2, height=3, time=4, total_voting_power=5)
class Misbehavior(NamedTuple):
    """What a validator did: 1 two votes at once, 2 an attack on light clients."""

    type: int = 0
    validator: Validator | None = None
    height: int = 0
    time: Timestamp | None = None
    total_voting_power: int = 0


@message(height=1, format=2, chunks=3, hash=4, metadata=5)
class Snapshot(NamedTuple):
    """A snapshot on offer."""

    height: int = 0
    format: int = 0
    chunks: int = 0
    hash: bytes = b""
    metadata: bytes = b""


@message(app=1)
class VersionParams(NamedTuple):
    """The version in the headers of blocks."""

    app: int = 0


@message(version=4)
class ConsensusParams(NamedTuple):
    """The part that we change."""

    version: VersionParams | None = None


@message(message=1)
class Echo(NamedTuple):
    """Asked and answered alike."""

    message: str = ""


@message()
class Flush(NamedTuple):
    """Send what waits; answered by one more."""


@message(version=1, block_version=2, p2p_version=3, abci_version=4)
class Info(NamedTuple):
    """Where do you stand?"""

    version: str = ""
    block_version: int = 0
    p2p_version: int = 0
    abci_version: str = ""


@message(time=1, chain_id=2, validators=4, app_state_bytes=5, initial_height=6)
class InitChain(NamedTuple):
    """A chain begins."""

    time: Timestamp | None = None
    chain_id: str = ""
    validators: tuple[ValidatorUpdate, ...] = ()
    app_state_bytes: bytes = b""
    initial_height: int = 0


@message(data=1, path=2, height=3, prove=4)
class Query(NamedTuple):
    """A question outside the order of blocks."""

    data: bytes = b""
    path: str = ""
    height: int = 0
    prove: int = 0


@message(tx=1, type=2)
class CheckTx(NamedTuple):
    """May this enter the pool, or stay in it?"""

    tx: bytes = b""
    type: int = 0


@message()
class Commit(NamedTuple):
    """Keep the finalized block."""


@message()
class ListSnapshots(NamedTuple):
    """Which snapshots are there?"""


@message(snapshot=1, app_hash=2)
class OfferSnapshot(NamedTuple):
    """A peer has this; `app_hash` is proven by the chain."""

    snapshot: Snapshot | None = None
    app_hash: bytes = b""


@message(height=1, format=2, chunk=3)
class LoadSnapshotChunk(NamedTuple):
    """Give a chunk of a snapshot."""

    height: int = 0
    format: int = 0
    chunk: int = 0


@message(place=1, chunk=2, sender=3)
class ApplySnapshotChunk(NamedTuple):
    """Take a chunk of the accepted snapshot."""

    place: int = 0
    chunk: bytes = b""
    sender: str = ""


@message(max_tx_bytes=1, txs=2, misbehavior=4, height=5, time=6)
class PrepareProposal(NamedTuple):
    """What shall the block hold? At most `max_tx_bytes`, framing included."""

    max_tx_bytes: int = 0
    txs: tuple[bytes, ...] = ()
    misbehavior: tuple[Misbehavior, ...] = ()
    height: int = 0
    time: Timestamp | None = None


@message(txs=1, misbehavior=3, hash=4, height=5, time=6)
class ProcessProposal(NamedTuple):
    """May the block hold this?"""

    txs: tuple[bytes, ...] = ()
    misbehavior: tuple[Misbehavior, ...] = ()
    hash: bytes = b""
    height: int = 0
    time: Timestamp | None = None


@message(txs=1, misbehavior=3, hash=4, height=5, time=6)
class FinalizeBlock(NamedTuple):
    """This block is decided."""

    txs: tuple[bytes, ...] = ()
    misbehavior: tuple[Misbehavior, ...] = ()
    hash: bytes = b""
    height: int = 0
    time: Timestamp | None = None


@message(data=1, version=2, app_version=3, last_block_height=4, last_block_app_hash=5)
class InfoAnswer(NamedTuple):
    """The last completed Commit."""

    data: str = ""
    version: str = ""
    app_version: int = 0
    last_block_height: int = 0
    last_block_app_hash: bytes = b""


@message(consensus_params=1, validators=2, app_hash=3)
class InitChainAnswer(NamedTuple):
    """The first validators and hash."""

    consensus_params: ConsensusParams | None = None
    validators: tuple[ValidatorUpdate, ...] = ()
    app_hash: bytes = b""


@message(code=1, log=3, value=7, height=9)
class QueryAnswer(NamedTuple):
    """Code 0 is yes."""

    code: int = 0
    log: str = ""
    value: bytes = b""
    height: int = 0


@message(code=1, data=2, log=3, gas_wanted=5, codespace=8)
class TxResult(NamedTuple):
    """Of CheckTx, and of each transaction in a block. Hashed by the chain: code, data, gas."""

    code: int = 0
    data: bytes = b""
    log: str = ""
    gas_wanted: int = 0
    codespace: str = ""


@message(tx_results=2, validator_updates=3, consensus_param_updates=4, app_hash=5)
class FinalizeBlockAnswer(NamedTuple):
    """What the block did."""

    tx_results: tuple[TxResult, ...] = ()
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    consensus_param_updates: ConsensusParams | None = None
    app_hash: bytes = b""


@message(retain_height=3)
class CommitAnswer(NamedTuple):
    """CometBFT's blocks below this may go; 0 keeps all."""

    retain_height: int = 0


@message(snapshots=1)
class ListSnapshotsAnswer(NamedTuple):
    """Snapshots on offer."""

    snapshots: tuple[Snapshot, ...] = ()


@message(result=1)
class OfferSnapshotAnswer(NamedTuple):
    """One of SNAPSHOT_*."""

    result: int = 0


@message(chunk=1)
class LoadSnapshotChunkAnswer(NamedTuple):
    """Empty = not here."""

    chunk: bytes = b""


@message(result=1, refetch_chunks=2, reject_senders=3)
class ApplySnapshotChunkAnswer(NamedTuple):
    """One of CHUNK_*. `refetch_chunks`: numbers of chunks to forget and to ask for again."""

    result: int = 0
    refetch_chunks: tuple[int, ...] = ()
    reject_senders: tuple[str, ...] = ()


@message(txs=1)
class PrepareProposalAnswer(NamedTuple):
    """What the block shall hold."""

    txs: tuple[bytes, ...] = ()


@message(status=1)
class ProcessProposalAnswer(NamedTuple):
    """ACCEPT or REJECT."""

    status: int = 0


Request = Echo | Flush | Info | InitChain | Query | CheckTx | Commit | ListSnapshots | OfferSnapshot | \
    LoadSnapshotChunk | ApplySnapshotChunk | PrepareProposal | ProcessProposal | FinalizeBlock  # fmt: skip
Answer = Echo | Flush | InfoAnswer | InitChainAnswer | QueryAnswer | TxResult | CommitAnswer | ListSnapshotsAnswer | \
    OfferSnapshotAnswer | LoadSnapshotChunkAnswer | ApplySnapshotChunkAnswer | PrepareProposalAnswer | \
    ProcessProposalAnswer | FinalizeBlockAnswer  # fmt: skip

_REQUESTS: dict[int, Any] = {
    1: Echo, 2: Flush, 3: Info, 5: InitChain, 6: Query, 8: CheckTx, 11: Commit, 12: ListSnapshots, 13: OfferSnapshot,
    14: LoadSnapshotChunk, 15: ApplySnapshotChunk, 16: PrepareProposal, 17: ProcessProposal, 20: FinalizeBlock,
}  # fmt: skip
_ANSWERS: dict[Any, int] = {
    Echo: 2, Flush: 3, InfoAnswer: 4, InitChainAnswer: 6, QueryAnswer: 7, TxResult: 9, CommitAnswer: 12,
    ListSnapshotsAnswer: 13, OfferSnapshotAnswer: 14, LoadSnapshotChunkAnswer: 15, ApplySnapshotChunkAnswer: 16,
    PrepareProposalAnswer: 17, ProcessProposalAnswer: 18, FinalizeBlockAnswer: 21,
}  # fmt: skip


def read_request(data: bytes) -> Request:
    """One request, without its frame; raises WireError, also for a call that we do not use."""
    tag, at = read_varint(data, 0, len(data))
    length, at = read_varint(data, at, len(data))
    kind = _REQUESTS.get(tag >> 3)
    if kind is None or tag & 7 != 2:
        raise WireError(f"CometBFT made a call of number {tag >> 3}, which this program does not answer")
    if at + length != len(data):
        raise WireError("a request is longer or shorter than it says")
    request: Request = decode(kind, data, at)
    return request


def size_in_block(transaction: bytes) -> int:
    """Bytes that a transaction takes of `max_tx_bytes`."""
    return 1 + len(varint(len(transaction))) + len(transaction)


def frame(answer: Answer) -> bytes:
    """One response in its frame."""
    data = encode(answer)
    head = varint(_ANSWERS[type(answer)] << 3 | 2) + varint(len(data))
    return varint(len(head) + len(data)) + head + data


class Frames:
    """Splits a stream into requests. Feed what came; take what is complete."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[Request]:
        """The requests that are complete now, in order; raises WireError, after which the stream is of no use."""
        self._data += data
        at, end = 0, len(self._data)
        try:
            while (found := self._frame(at, end)) is not None:
                start, at = found
                yield read_request(bytes(self._data[start:at]))
        finally:
            del self._data[:at]

    def _frame(self, at: int, end: int) -> tuple[int, int] | None:
        """Start and end of the frame that begins here, if it is complete."""
        place, length = at, 0
        for shift in range(0, 63, 7):
            if place == end:
                return None
            byte = self._data[place]
            place += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        if length > MAX_REQUEST:
            raise WireError(f"CometBFT sent a request of {length} bytes; {MAX_REQUEST} are taken at most")
        return (place, place + length) if place + length <= end else None
