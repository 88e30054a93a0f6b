"""Taking in a snapshot: everything is checked against a hash that the chain proves, then it is written (ADR 11).

CometBFT's light client proves the app hash of the snapshot's height under the validators' signatures. It commits to
the whole log, the log's last leaf to the live rows, each block leaf to its envelopes. Archived rows have no digest of
their own: a wrong one that matters makes a wrong app hash when it is used, and this node alone stops.
"""

import shutil
from hashlib import sha256
from pathlib import Path

import msgspec

from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.snapshots import FORMAT, Chunk, JournalBlock, chunk_hashes
from tocsin.engine.ledger import Ledger
from tocsin.kernel.block import Outcome
from tocsin.kernel.digest import app_hash, digest
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.leaves import BlockLeaf
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.state import rows_digest
from tocsin.tlog.merkle import Frontier, leaf_hash

_read_block_leaf = msgspec.json.Decoder(BlockLeaf).decode


class SnapshotWrong(Exception):
    """The snapshot is not what the chain says; nothing of it was written."""


class Restore:
    """One snapshot on its way in. Chunks lie in `folder` until they are all there."""

    def __init__(self, folder: Path, snapshot: wire.Snapshot, proven: bytes) -> None:
        """`proven`: the app hash of its height. Raises SnapshotWrong if the offer does not fit together."""
        if snapshot.format != FORMAT:
            raise SnapshotWrong(f"its format is {snapshot.format}, and this program reads {FORMAT}")
        try:
            self._hashes = chunk_hashes(snapshot)
        except ValueError as error:
            raise SnapshotWrong(str(error)) from error
        self.height = snapshot.height
        self._proven = proven
        self._folder = folder
        self._next = 0
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def add(self, number: int, data: bytes) -> bool:
        """Take the next chunk; whether it is the right one."""
        if number != self._next or sha256(data).digest() != self._hashes[number]:
            return False
        (self._folder / str(number)).write_bytes(data)
        self._next += 1
        return True

    @property
    def complete(self) -> bool:
        """Whether all chunks are there."""
        return self._next == len(self._hashes)

    def finish(self, ledger: Ledger) -> int:
        """Check everything, then write it into a network that has its founding only; the kernel's height.

        Raises SnapshotWrong, and then nothing was written.
        """
        try:
            live, rows, journal = self._verify(ledger)
        except (msgspec.MsgspecError, ValueError, LookupError) as error:
            raise SnapshotWrong(f"a chunk cannot be read: {error}") from error
        self._write(ledger, live, rows, journal)
        shutil.rmtree(self._folder, ignore_errors=True)
        ledger.reload()
        return ledger.state.meta.height

    def _verify(self, ledger: Ledger) -> tuple[dict[str, bytes], list[int], list[int]]:
        """The live rows, and the numbers of the chunks with rows and with blocks."""
        if ledger.state.meta.height != 0:
            raise SnapshotWrong("this node has blocks of its own already")
        live: dict[str, bytes] = {}
        rows: list[int] = []
        journal: list[int] = []
        tree = Frontier()
        last: BlockLeaf | None = None
        for number in range(len(self._hashes)):
            content = self._read(number)
            if content.rows:
                # The store files a row by its key: one that came as archived must not become a live one.
                if any(row.live is row.key.startswith(ARCHIVE) for row in content.rows):
                    raise SnapshotWrong("a row is not where its key belongs")
                rows.append(number)
                live.update((row.key, row.value) for row in content.rows if row.live)
            if content.blocks:
                journal.append(number)
            for block in content.blocks:
                tree = tree.extend([leaf_hash(leaf) for leaf in block.leaves])
                last = _check(block, last)
        if last is None or app_hash(tree.size, tree.root()) != self._proven:
            raise SnapshotWrong("its log does not lead to the app hash that the chain proves")
        if last.state is None or rows_digest(sorted(live.items())) != last.state:
            raise SnapshotWrong("its live rows are not those that the last block leaf names")
        if self._read(journal[0]).blocks[0].leaves[0] != ledger.records.leaf(0):
            raise SnapshotWrong("it is of another network")
        return live, rows, journal

    def _write(self, ledger: Ledger, live: dict[str, bytes], rows: list[int], journal: list[int]) -> None:
        """Chunk by chunk: archived rows along the way, the live rows with the last block."""
        share = -(-len(rows) // len(journal))
        for turn, number in enumerate(journal):
            blocks = [block for block in self._read(number).blocks if block.height > 0]
            writes: list[tuple[str, bytes | None]] = [
                (row.key, row.value)
                for place in rows[turn * share : (turn + 1) * share]
                for row in self._read(place).rows
                if not row.live
            ]
            for block in blocks:
                if number == journal[-1] and block is blocks[-1]:
                    gone = dict(ledger.state.rows()).keys() - live.keys()
                    writes += [*live.items(), *((key, None) for key in sorted(gone))]
                envelopes = [read for data in block.envelopes if isinstance(read := decode(data), Envelope)]
                ledger.records.append(
                    Outcome(block.height, block.at, True, envelopes, block.receipts, [], block.leaves, writes, {})
                )
                writes = []
            ledger.records.flush()

    def _read(self, number: int) -> Chunk:
        return msgspec.msgpack.decode((self._folder / str(number)).read_bytes(), type=Chunk)


def _check(block: JournalBlock, last: BlockLeaf | None) -> BlockLeaf:
    """The leaf of a block, which the block must be."""
    leaf = _read_block_leaf(block.leaves[-1])
    envelopes = [read for data in block.envelopes if isinstance(read := decode(data), Envelope)]
    body = b"".join(bytes.fromhex(envelope.digest) for envelope in envelopes)
    follows = (0, leaf.at) if last is None else (last.height + 1, max(leaf.at, last.at))
    if (
        (block.height, block.at) != (leaf.height, leaf.at)
        or (leaf.height, leaf.at) != follows
        or not len(block.envelopes) == len(envelopes) == len(block.receipts) == leaf.envelopes
        or leaf.envelopes_digest != digest(b"envelopes", body)
    ):
        raise SnapshotWrong(f"block {block.height} is not what its leaf says")
    return leaf
