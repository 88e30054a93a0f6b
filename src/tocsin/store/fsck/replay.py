"""Fsck of decisions: every block is applied again, and every row compared (spec 3.4, spec 4)."""

from collections.abc import Iterator, Sequence

import apsw

from tocsin.kernel.archive import ArchiveSum
from tocsin.kernel.block import Block, Outcome, apply_block, checks, found, reads
from tocsin.kernel.envelope import Envelope, Refusal, decode
from tocsin.kernel.evidence import caught_in
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import ARCHIVE
from tocsin.kernel.upgrade import UnknownProtocol
from tocsin.store.codec import pack_key, unpack_key
from tocsin.store.errors import StoreCorrupt
from tocsin.store.fsck.findings import Finding, VerifyAll
from tocsin.store.records import StoredBlock
from tocsin.store.store import Store


class Replay:
    """One network from its genesis on. After the first block that comes out otherwise it stops: what follows from a
    wrong state says nothing."""

    def __init__(self, store: Store, net: int, genesis: Genesis, verify: VerifyAll, fast: bool) -> None:
        self._store = store
        self._net = net
        self._origin = genesis.origin
        self._verify = verify
        self._fast = fast
        self.running = True
        self.state, self._founding = found(genesis)
        # A temporary file of SQLite's own: old rows do not fit into memory for ever.
        self._archive = apsw.Connection("")
        self._archive.execute("CREATE TABLE archive (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; BEGIN")

    def close(self) -> None:
        """Drop the temporary rows."""
        self._archive.close()

    def block(self, where: str, stored: StoredBlock) -> Iterator[Finding]:
        """Apply a stored block again and compare; `running` is false after one that differs."""
        if not self.running:
            return
        problems = list(self._block(stored))
        self.running = not problems
        yield from (Finding(where, problem) for problem in problems)
        if problems:
            yield Finding(self._origin, f"not replayed after {where}: what follows from a wrong block says nothing")

    def _block(self, stored: StoredBlock) -> Iterator[str]:
        envelopes: list[Envelope] = []
        for position, data in enumerate(stored.envelopes):
            read = decode(data)
            if isinstance(read, Refusal):
                yield f"envelope {position} cannot be read: {read.reason.name} {read.detail}"
            else:
                envelopes.append(read)
        if len(envelopes) != len(stored.envelopes):
            return
        try:
            outcome = (
                self._founding if self.state.meta.height == 0 and stored.height == 0 else self._apply(stored, envelopes)
            )
        except UnknownProtocol as error:
            yield str(error)
            return
        yield from _differences(stored, outcome)
        if stored.height:
            self.state.advance(outcome)
        self._archive.executemany(
            "INSERT INTO archive VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            [(pack_key(key), value) for key, value in outcome.writes if key.startswith(ARCHIVE)],
        )

    def _apply(self, stored: StoredBlock, envelopes: Sequence[Envelope]) -> Outcome:
        wanted = checks(self.state, envelopes)
        if self._fast:
            others = self._verify([row[1:] for row in wanted])
            verdicts = [[True, *row] for row in others]
        else:
            verdicts = [list(row) for row in self._verify(wanted)]
        rows: dict[str, bytes | None] = {}
        while missing := reads(self.state, stored.at, envelopes, rows):
            rows.update((key, self._old(key)) for key in missing)
        return apply_block(self.state, Block(stored.at, envelopes, caught_in(stored.leaves)), verdicts, rows)

    def _old(self, key: str) -> bytes | None:
        row = self._archive.execute("SELECT value FROM archive WHERE key = ?", (pack_key(key),)).fetchone()
        return None if row is None else bytes(row[0])

    def end(self) -> Iterator[Finding]:
        """After the last block: the rows as they are stored now."""
        if not self.running:
            return
        expected = dict(self.state.rows())
        for key, value in self._store.iterate("SELECT key, value FROM live WHERE net = ? ORDER BY key", (self._net,)):
            known = expected.pop(key, None)
            if known is None:
                yield Finding(f"{self._origin} row {key}", "is stored, but the state has no such row")
            elif known != value:
                yield Finding(f"{self._origin} row {key}", "is not what the blocks lead to")
        for key in expected:
            yield Finding(f"{self._origin} row {key}", "is missing")
        yield from self._archived()

    def _archived(self) -> Iterator[Finding]:
        count = 0
        total = ArchiveSum()
        for packed, place in self._store.iterate(
            "SELECT key, place FROM archive WHERE net = ? ORDER BY key", (self._net,)
        ):
            count += 1
            row = self._archive.execute("SELECT value FROM archive WHERE key = ?", (packed,)).fetchone()
            key = unpack_key(packed)
            where = f"{self._origin} row {key}"
            if row is None:
                yield Finding(where, "is archived, but no block archived it")
                continue
            try:
                value = self._store.value_at(place)
            except StoreCorrupt as error:
                yield Finding(where, str(error))
                continue
            if value != row[0]:
                yield Finding(where, "is not what the blocks lead to")
            total.add(key, value)
        wanted = self._archive.execute("SELECT count(*) FROM archive").get
        if isinstance(wanted, int) and count < wanted:
            yield Finding(f"{self._origin} archive", f"{wanted - count} archived rows are missing")
        if total.row() != self.state.archive:
            yield Finding(f"{self._origin} archive", "its rows do not add up to the sum that the state holds")


def _differences(stored: StoredBlock, outcome: Outcome) -> Iterator[str]:
    if outcome.dropped:
        position, reason = outcome.dropped[0]
        yield f"envelope {position} may not be in it: {Reason(reason).name}"
    if (outcome.height, outcome.at) != (stored.height, stored.at):
        yield f"it should be block {outcome.height} at {outcome.at}, it says {stored.height} at {stored.at}"
    if outcome.leaves != stored.leaves:
        pairs = zip(outcome.leaves, stored.leaves, strict=False)
        place = next((i for i, (one, other) in enumerate(pairs) if one != other), None)
        at = min(len(outcome.leaves), len(stored.leaves)) if place is None else place
        yield f"applied again it gives other leaves, from its leaf {at} (leaf {stored.first + at} of the log) on"
    if outcome.receipts != stored.receipts:
        yield "applied again it gives other receipts"
