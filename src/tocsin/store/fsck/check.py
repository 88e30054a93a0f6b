"""The course of an fsck: the file, then network by network."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from typing import Any

import msgspec

from tocsin.kernel.genesis import Check, Founding, Genesis, GenesisError, decode_genesis, founding_checks
from tocsin.kernel.statements import cosigners_of_members
from tocsin.store.errors import StoreError
from tocsin.store.fsck.findings import Finding, Progress, VerifyAll
from tocsin.store.fsck.log import LogCheck
from tocsin.store.fsck.replay import Replay
from tocsin.store.records import BLOCK_COLUMNS, stored_block
from tocsin.store.store import Store
from tocsin.store.watermark import SignedHead
from tocsin.tlog import NoteError, VerifierKey, checkpoint, cosignature, note
from tocsin.tlog.note import ED25519

_INTEGRITY_FINDINGS = 20
_TABLES = ("block", "tile", "live", "archive", "mention", "checkpoint")


def fsck(
    store: Store,
    verify: VerifyAll,
    *,
    fast: bool = False,
    origins: Collection[str] | None = None,
    signed: Mapping[str, SignedHead] | None = None,
    progress: Progress | None = None,
) -> Iterator[Finding]:
    """Everything wrong with a store, as it is found; nothing, if all is well.

    `verify` checks signatures; `fast` takes the envelopes' own for good, not those within acts. `origins`: only these
    networks. `signed`: heads this node signed, from its watermark. Reads what is on disk at one moment, also while a
    node writes.
    """
    with store.snapshot():
        yield from _all(store, verify, fast, origins, signed or {}, progress)


def _all(
    store: Store,
    verify: VerifyAll,
    fast: bool,
    origins: Collection[str] | None,
    signed: Mapping[str, SignedHead],
    progress: Progress | None,
) -> Iterator[Finding]:
    rows: list[Any] = []
    try:
        yield from _file(store)
        rows = store.all("SELECT net, origin, digest, genesis, founding FROM network ORDER BY origin", ())
    except StoreError as error:
        yield Finding(str(store.path), f"not checked to the end: {error}")
    for net, origin, digest, genesis, founding in rows:
        if origins is None or origin in origins:
            one = _Network(store, verify, fast, net, origin, signed.get(origin))
            try:
                yield from one.check(digest, genesis, founding, progress)
            except StoreError as error:
                yield Finding(origin, f"not checked to the end: {error}")
    for origin in sorted(set(signed) - {row[1] for row in rows}):
        yield Finding(origin, "this node signed its heads, but the store does not hold it")


def _file(store: Store) -> Iterator[Finding]:
    for (said,) in store.all(f"PRAGMA integrity_check({_INTEGRITY_FINDINGS})", ()):
        if said != "ok":
            yield Finding(str(store.path), said)
    for table in _TABLES:
        (count,) = store.one(f"SELECT count(*) FROM {table} WHERE net NOT IN (SELECT net FROM network)", ())
        if count:
            yield Finding(f"{store.path} table {table}", f"{count} rows belong to no network")


class _Network:
    def __init__(
        self, store: Store, verify: VerifyAll, fast: bool, net: int, origin: str, signed: SignedHead | None
    ) -> None:
        self._store = store
        self._verify = verify
        self._fast = fast
        self._net = net
        self._origin = origin
        self._signed = signed
        self._log = LogCheck(store, net, origin)
        self._last = (-1, 0)

    def check(self, digest: str, papers: bytes, founding: bytes, progress: Progress | None) -> Iterator[Finding]:
        try:
            genesis = decode_genesis(papers)
        except GenesisError as error:
            yield Finding(f"{self._origin} genesis", str(error))
            return
        if (genesis.origin, genesis.digest) != (self._origin, digest):
            yield Finding(f"{self._origin} genesis", f"it is that of {genesis.origin}, digest {genesis.digest}")
            return
        yield from self._founding(genesis, founding)
        (total,) = self._store.one("SELECT count(*) FROM block WHERE net = ?", (self._net,))
        with closing(Replay(self._store, self._net, genesis, self._verify, self._fast)) as replay:
            done = 0
            for row in self._store.iterate(
                f"SELECT {BLOCK_COLUMNS} FROM block WHERE net = ? ORDER BY height", (self._net,)
            ):
                yield from self._block(row, replay)
                done += 1
                if progress is not None:
                    progress(self._origin, done, total)
            if not done:
                yield Finding(self._origin, "it has no block, not even that of its founding")
                return
            yield from self._log.end()
            yield from replay.end()
            yield from self._checkpoints(genesis, replay)
            yield from self._watermark()

    def _founding(self, genesis: Genesis, founding: bytes) -> Iterator[Finding]:
        try:
            wanted = founding_checks(genesis, msgspec.json.decode(founding, type=Founding))
        except (GenesisError, msgspec.MsgspecError) as error:
            yield Finding(f"{self._origin} founding", str(error))
            return
        if not all(self._verify([wanted])[0]):
            yield Finding(f"{self._origin} founding", "a founding signature does not hold")

    def _block(self, row: Any, replay: Replay) -> Iterator[Finding]:
        height, at, first, size, *_ = row
        where = f"{self._origin} block {height}"
        try:
            block = stored_block(row)
        except (StoreError, msgspec.MsgspecError) as error:
            yield Finding(where, f"it cannot be read: {error}")
            replay.running = False
            return
        if first != self._log.size or size != first + len(block.leaves):
            yield Finding(where, f"it says leaves {first} to {size}, it has {len(block.leaves)} after {self._log.size}")
        if height <= self._last[0] or at < self._last[1]:
            yield Finding(where, f"its time {at} lies before that of block {self._last[0]}, {self._last[1]}")
        self._last = (height, at)
        yield from self._log.block(where, block.leaves, block.root)
        yield from replay.block(where, block)

    def _checkpoints(self, genesis: Genesis, replay: Replay) -> Iterator[Finding]:
        log = VerifierKey(genesis.origin, ED25519, bytes.fromhex(replay.state.meta.log_key))
        cosigners = cosigners_of_members(genesis.origin, replay.state.members)
        keys = [log, *(cosigner.vkey for cosigner in cosigners)]
        for size, data in self._store.all(
            "SELECT size, note FROM checkpoint WHERE net = ? ORDER BY size", (self._net,)
        ):
            where = f"{self._origin} checkpoint {size}"
            try:
                signed = note.parse(data)
                head = checkpoint.parse(signed.text)
                cosignature.open_note(signed, keys, self._holds)
            except (NoteError, ValueError) as error:
                yield Finding(where, str(error))
                continue
            if (head.origin, head.size) != (genesis.origin, size):
                yield Finding(where, f"it is for size {head.size} of {head.origin}")
            elif self._log.roots.get(size) != head.root:
                yield Finding(
                    where, "its root is not that of the log" if size in self._log.roots else "no block ends there"
                )

    def _holds(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return bool(self._verify([[Check(key, message, signature)]])[0][0])

    def _watermark(self) -> Iterator[Finding]:
        if self._signed is not None and self._log.roots.get(self._signed.size) != self._signed.root:
            lost = self._signed.size > self._log.size
            yield Finding(
                f"{self._origin} signed head {self._signed.size}",
                f"the log has only {self._log.size} leaves" if lost else "the log has another root there",
            )
