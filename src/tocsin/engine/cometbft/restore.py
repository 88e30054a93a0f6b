"""Taking in a snapshot: everything is checked against a hash that the chain proves, then it is written (ADR 11).

CometBFT's light client proves the app hash of the snapshot's height under the validators' signatures. It commits to
the whole log. The log's block leaves commit to what was signed in their envelopes and to the receipts, the last one to
the live rows, and those to the archived ones and to all keys that ever signed. So nothing has to be believed. Chunks
are checked as they come, each as far as it can be; memory holds a chunk, a block and the live rows.
"""

import shutil
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import msgspec

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.heights import Heights
from tocsin.engine.cometbft.snapshots import CHUNK_BYTES, FORMAT, JournalBlock, Reader, Row, chunk_hashes, read_chunk
from tocsin.engine.ledger import Records
from tocsin.engine.signatures import Checker
from tocsin.kernel.archive import ArchiveSum
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import app_hash, envelopes_digest
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.genesis import Check
from tocsin.kernel.leaves import BlockLeaf
from tocsin.kernel.rows import ARCHIVE, Archive, UsedKey
from tocsin.kernel.state import rows_digest
from tocsin.tlog.merkle import Frontier, leaf_hash

MAX_LIVE = 1024 * 1024 * 1024
"""Bytes of memory for live rows. Every node has them there; that they are the right ones shows when all have come."""
_ROW = 200
"""Bytes of memory for a row, besides its own."""
_MAX_SIGNERS = 65_536
"""Keys that signed envelopes in all the time."""
_DISK = 2
"""Bytes of disk that are wanted for each of a snapshot: chunks here and with CometBFT, compressed, then the store."""

_read_block_leaf = msgspec.json.Decoder(BlockLeaf).decode
_read_archive = msgspec.json.Decoder(Archive).decode
_read_receipts = msgspec.json.Decoder(list[list[int]]).decode
_read_key = msgspec.json.Decoder(UsedKey).decode


class SnapshotWrong(Exception):
    """The snapshot is not what the chain says, or more than this node takes; nothing of it was written."""


class Restorable(Records, Protocol):
    """Records that a snapshot can be written to."""

    def put_archived(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Stage archived rows."""
        ...

    def unwind(self) -> None:
        """Be as founded."""
        ...


def begin_anew(home: Path, heights: Heights, records: Restorable) -> None:
    """Take back a snapshot that CometBFT did not go on from, and what CometBFT has of it.

    CometBFT must not run. What its validator voted on, a file among the folders, stays. A kill at any moment leaves
    what this is called for again.
    """
    records.unwind()
    for one in (home / "data").glob("*"):
        if one.is_dir():
            shutil.rmtree(one)
    heights.forget()


class Restore:
    """One snapshot on its way in. Chunks lie in `folder` until all of it is proven and written."""

    def __init__(
        self, folder: Path, snapshot: wire.Snapshot, proven: bytes, records: Restorable, verifier: Checker
    ) -> None:
        """`proven`: the app hash of its height. Raises SnapshotWrong if the offer does not fit together, or this
        node."""
        if snapshot.format != FORMAT:
            raise SnapshotWrong(f"its format is {snapshot.format}, and this program reads {FORMAT}")
        if records.head.height != 0:
            raise SnapshotWrong("this node has blocks of its own already")
        try:
            self._hashes = chunk_hashes(snapshot)
        except ValueError as error:
            raise SnapshotWrong(str(error)) from error
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        wanted, free = _DISK * CHUNK_BYTES * len(self._hashes), shutil.disk_usage(folder).free
        if wanted > free:
            raise SnapshotWrong(f"it may take {wanted >> 20} MiB of disk, and {free >> 20} are free")
        self.height = snapshot.height
        self.senders: set[str] = set()
        """Who sent its chunks, by CometBFT's ids."""
        self._folder = folder
        self._records = records
        self.taken = 0
        """Chunks that are here and were found right."""
        self.chunks = len(self._hashes)
        self._reader = Reader()
        self._proof = _Proof(proven, records.leaf(0), verifier)

    def add(self, number: int, data: bytes, sender: str = "") -> bool:
        """Take the next chunk; whether it is the one that was announced. Raises SnapshotWrong if that one is wrong."""
        try:
            chunk = read_chunk(data)
        except ValueError:
            return False
        if number != self.taken or sha256(chunk).digest() != self._hashes[number]:
            return False
        self.senders.add(sender)
        try:
            self._proof.take(self._reader.feed(chunk))
        except (msgspec.MsgspecError, ValueError, LookupError) as error:
            raise SnapshotWrong(f"chunk {number} cannot be read: {error}") from error
        (self._folder / str(number)).write_bytes(data)
        self.taken += 1
        return True

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        return self.taken == self.chunks

    def finish(self) -> None:
        """Check what only the whole can show. Raises SnapshotWrong."""
        if self._reader.within:
            raise SnapshotWrong("it ends within a record")
        try:
            self._proof.finish()
        except (msgspec.MsgspecError, ValueError, LookupError) as error:
            raise SnapshotWrong(f"it lacks something: {error}") from error

    def write(self) -> None:
        """Write it into a network that has its founding only, chunk by chunk; raises as the store does.

        The live rows come with the last block, in one transaction.
        """
        founding = {key for key, _ in self._records.load_state().rows()}
        last: JournalBlock | None = None
        for records in self._chunks():
            archived = []
            for record in records:
                if isinstance(record, Row):
                    archived += [(record.key, record.value)] if record.key.startswith(ARCHIVE) else []
                elif record.height > 0:
                    if last is not None:
                        self._records.append(_outcome(last))
                    last = record
            if archived:
                self._records.put_archived(archived)
            self._records.flush()
        if last is not None:
            live = self._proof.live
            gone = [(key, None) for key in sorted(founding - live.keys())]
            self._records.append(_outcome(last, [*live.items(), *gone]))
            self._records.flush()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _chunks(self) -> Iterator[Iterator[JournalBlock | Row]]:
        reader = Reader()
        for number in range(self.chunks):
            yield reader.feed(read_chunk((self._folder / str(number)).read_bytes()))


class _Proof:
    """What has come so far, held against the proven app hash."""

    def __init__(self, proven: bytes, genesis: bytes, verifier: Checker) -> None:
        """`genesis`: the first leaf of this node's log."""
        self._proven = proven
        self._genesis = genesis
        self._tree = Frontier()
        self._last: BlockLeaf | None = None
        self._rows = False
        self._size = 0
        self._archive = ArchiveSum()
        self._verifier = verifier
        self._signers: set[tuple[str, str]] = set()
        self.live: dict[str, bytes] = {}

    def take(self, records: Iterable[JournalBlock | Row]) -> None:
        """Some more, in the order of the streams; raises SnapshotWrong."""
        signed: list[Envelope] = []
        for record in records:
            if isinstance(record, Row):
                self._take_row(record)
            else:
                signed += self._take_block(record)
        checks = [[Check(bytes.fromhex(one.key), one.signed, one.signature)] for one in signed]
        if not all(holds for (holds,) in self._verifier.start(checks).verdicts()):
            raise SnapshotWrong("a signature in its journal does not hold")
        self._signers.update((one.key, one.header.author) for one in signed)
        if len(self._signers) > _MAX_SIGNERS:
            raise SnapshotWrong("more keys signed its journal than any network has members")

    def _take_block(self, block: JournalBlock) -> list[Envelope]:
        if self._rows:
            raise SnapshotWrong("a block comes after the rows")
        if self._last is None and block.leaves[0] != self._genesis:
            raise SnapshotWrong("it is of another network")
        self._tree = self._tree.extend([leaf_hash(leaf) for leaf in block.leaves])
        envelopes = _envelopes(block)
        self._last = _check(block, envelopes, self._last)
        return envelopes

    def _take_row(self, row: Row) -> None:
        if not self._rows:
            self._rows = True
            self._check_log()
        if row.key.startswith(ARCHIVE):
            self._archive.add(row.key, row.value)
            return
        self._size += len(row.key) + len(row.value) + _ROW
        if self._size > MAX_LIVE:
            raise SnapshotWrong("it has more live rows than any network")
        self.live[row.key] = row.value

    def _check_log(self) -> None:
        if self._last is None or app_hash(self._tree.size, self._tree.root()) != self._proven:
            raise SnapshotWrong("its log does not lead to the app hash that the chain proves")

    def finish(self) -> None:
        """Nothing more comes; raises SnapshotWrong."""
        self._check_log()
        if self._last is None or rows_digest(sorted(self.live.items())) != self._last.state:
            raise SnapshotWrong("its live rows are not those that the last block leaf names")
        if self._archive.row() != _read_archive(self.live["archive:"]):
            raise SnapshotWrong("its archived rows are not those whose sum is among the live ones")
        keys = {name: _read_key(row).member for name, row in self.live.items() if name.startswith("key:")}
        if any(keys.get(f"key:{key}") != author for key, author in self._signers):
            raise SnapshotWrong("an envelope in its journal is not signed by a key of its author")


def _check(block: JournalBlock, envelopes: list[Envelope], last: BlockLeaf | None) -> BlockLeaf:
    """The leaf of a block, which the block must be."""
    leaf = _read_block_leaf(block.leaves[-1])
    follows = (0, leaf.at) if last is None else (last.height + 1, max(leaf.at, last.at))
    if (
        (block.height, block.at) != (leaf.height, leaf.at)
        or (leaf.height, leaf.at) != follows
        or not len(block.envelopes) == len(envelopes) == leaf.envelopes
        or leaf.envelopes_digest != envelopes_digest([one.digest for one in envelopes], block.receipts)
    ):
        raise SnapshotWrong(f"block {block.height} is not what its leaf says")
    return leaf


def _envelopes(block: JournalBlock) -> list[Envelope]:
    return [read for data in block.envelopes if isinstance(read := decode(data), Envelope)]


class _Kept(NamedTuple):
    """An envelope that was read when it was checked; the store looks at its bytes alone."""

    data: bytes


def _outcome(block: JournalBlock, writes: Iterable[tuple[str, bytes | None]] = ()) -> Outcome:
    envelopes = cast("list[Envelope]", [_Kept(data) for data in block.envelopes])
    receipts = _read_receipts(block.receipts)
    return Outcome(block.height, block.at, True, envelopes, receipts, [], block.leaves, [*writes], {})
