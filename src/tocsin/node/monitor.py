"""An auditor's own eyes on one network: several members followed, nothing of what they say believed.

Every block is made again here, every file of the log compared with what that gives, every signature checked, and every
head that anybody signed kept for ever. Two heads of one key that cannot both be honest are evidence, which a member
of the network can put on the record by the act `evidence` (spec 8.6, spec 11.4).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tocsin.client.report import short
from tocsin.engine.ledger import Ledger
from tocsin.engine.signatures import Checker
from tocsin.kernel.acts import Evidence
from tocsin.kernel.envelope import encode
from tocsin.kernel.quorum import finality
from tocsin.node.epochs import Epochs, holds
from tocsin.node.follower import Forged, remake
from tocsin.node.remote import BlockFile, Remote, RemoteError
from tocsin.store.network import NetworkStore
from tocsin.tlog import Checkpoint, NoteError, VerifierKey, checkpoint, note, tiles
from tocsin.tlog.note import ED25519, encode_base64

_BLOCKS_A_ROUND = 64
"""Answers with blocks read of one member before the next one has its turn."""


class Finding(msgspec.Struct, frozen=True):
    """What is wrong with a member or its node. `evidence`: file of an `evidence` act that proves it, else null."""

    member: str
    kind: str
    sentence: str
    evidence: str | None


class SignedBy(msgspec.Struct, frozen=True):
    """A head that a key signed, as it is kept. `note`: the text with its signatures."""

    key: str
    size: int
    root: str
    note: str


class Reached(NamedTuple):
    """How far a member was compared: blocks, and size of the files."""

    height: int
    size: int


class Monitor:
    """Follows one network. `look` once, or again and again; what was found before is not told again."""

    def __init__(
        self, records: NetworkStore, members: Mapping[str, Remote], log_key: str, folder: Path, verifier: Checker
    ) -> None:
        """`records`: of our own copy; `folder`: for signed heads and evidence. Raises OSError."""
        self.origin = records.origin
        self._records = records
        self._members = members
        self._log = VerifierKey(self.origin, ED25519, bytes.fromhex(log_key))
        self._ledger = Ledger(records, verifier)
        self._epochs = Epochs(records)
        self._folder = folder
        self._reached = {id: Reached(-1, 0) for id in members}
        self._heads: dict[tuple[str, int], dict[str, SignedBy]] = {}
        """(key, size) -> root -> what it signed."""
        self._ahead: list[tuple[VerifierKey, SignedBy]] = []
        """Of sizes that our copy did not have yet."""
        self._told: set[tuple[str, str, str]] = set()
        (folder / "evidence").mkdir(parents=True, exist_ok=True)
        self._kept = (folder / "heads.jsonl").open("ab+")
        self._read_heads()

    def close(self) -> None:
        """Let go of the files."""
        self._kept.close()

    @property
    def height(self) -> int:
        """Of the last block that was made again."""
        return self._records.durable[0]

    @property
    def size(self) -> int:
        """Leaves of our own copy."""
        return self._records.durable[1]

    def look(self) -> list[Finding]:
        """Ask every member once; what is new and wrong."""
        found: list[Finding] = []
        for id, remote in self._members.items():
            try:
                found += self._blocks(id, remote)
                ahead, self._ahead = self._ahead, []
                found += [one for key, mine in ahead for one in self._contradictions(key, mine)]
                found += self._final(id, remote)
                found += self._signed(id, remote)
            except RemoteError as error:
                found.append(Finding(id, "away", str(error), None))
        new = [one for one in found if (one.member, one.kind, one.sentence) not in self._told]
        self._told.update((one.member, one.kind, one.sentence) for one in new)
        return new

    # Blocks.

    def _blocks(self, id: str, remote: Remote) -> list[Finding]:
        """Make again what is new, compare what we have from others."""
        for _ in range(_BLOCKS_A_ROUND):
            blocks = remote.blocks(self._reached[id].height)
            if not blocks:
                break
            for block in blocks:
                if block.height <= self._reached[id].height:
                    return [Finding(id, "order", f"block {block.height} comes twice or too late", None)]
                try:
                    self._block(block)
                except Forged as error:
                    return [Finding(id, "forged", str(error), None)]
                self._reached[id] = self._reached[id]._replace(height=block.height)
        return []

    def _block(self, block: BlockFile) -> None:
        if block.height > self.height:
            self._ledger.commit(remake(self._ledger, block))
            if any(Epochs.changes(leaf) for leaf in self._records.leaves(block.size - 4, block.size)):
                self._epochs.refresh()
            return
        ours = self._records.block(block.height)
        if ours is None:
            raise Forged(f"there is no block {block.height} between those that the members agreed on")
        told = (block.at, block.size, block.root, [text.encode() for text in block.envelopes])
        if told != (ours.at, ours.size, ours.root.hex(), ours.envelopes):
            raise Forged(
                f"its block {block.height} ends with {block.size} leaves and the root {short(block.root)}; another "
                f"member's, which follows from its envelopes, with {ours.size} and {short(ours.root.hex())}"
            )

    # Final checkpoints, and the files under them.

    def _final(self, id: str, remote: Remote) -> list[Finding]:
        data = remote.checkpoint()
        if data is None:
            return []
        try:
            parsed = note.parse(data)
            head = checkpoint.parse(parsed.text)
        except ValueError as error:
            return [Finding(id, "checkpoint", f"its checkpoint cannot be read: {error}", None)]
        found = self._keep(id, parsed, head)
        if head.size > self.size:
            return found
        cosigners = self._epochs.cosigners(head.size)
        signed = sum(1 for one in cosigners if any(holds(one.vkey, parsed.text, line) for line in parsed.signatures))
        logged = any(holds(self._log, parsed.text, line) for line in parsed.signatures)
        if not logged or signed < finality(len(cosigners)):
            said = f"its checkpoint of size {head.size} has {signed} of {finality(len(cosigners))} signatures"
            found.append(Finding(id, "not final", said + ("" if logged else ", and not the log's"), None))
        if self._records.root(head.size) == head.root:
            found += self._files(id, remote, head)
        else:
            found.append(Finding(id, "fork", f"its checkpoint of size {head.size} has a root that no block leads to",
                                 None))  # fmt: skip
        return found

    def _files(self, id: str, remote: Remote, head: Checkpoint) -> list[Finding]:
        """Tiles and bundles since the last look, byte for byte."""
        since = self._reached[id].size
        if head.size <= since:
            return []
        for place in (*tiles.tile_places(head.size, since), *tiles.bundle_places(head.size, since)):
            index, width = place.index, place.width
            if place.level is None:
                path, same = tiles.bundle_path(index, width), remote.bundle(index, width) == self._records.bundle(
                    index, width
                )
            else:
                ours = self._records.tile(place.level, index, width)
                path, same = tiles.tile_path(place.level, index, width), remote.tile(place.level, index, width) == ours
            if not same:
                return [Finding(id, "file", f"its {path} is not what the blocks lead to", None)]
        self._reached[id] = self._reached[id]._replace(size=head.size)
        return []

    # Signed heads.

    def _signed(self, id: str, remote: Remote) -> list[Finding]:
        data = remote.signed()
        if data is None:
            return []
        try:
            parsed = note.parse(data)
            return self._keep(id, parsed, checkpoint.parse(parsed.text))
        except ValueError as error:
            return [Finding(id, "signed", f"what it signed cannot be read: {error}", None)]

    def _keep(self, id: str, parsed: note.Note, head: Checkpoint) -> list[Finding]:
        """Keep who signed this head; what contradicts what the same key signed before, or our copy."""
        if head.origin != self.origin:
            return [Finding(id, "origin", f"it serves a checkpoint of {head.origin}", None)]
        found = []
        for key in (self._log, *(one.vkey for one in self._epochs.cosigners(head.size))):
            lines = [line for line in parsed.signatures if holds(key, parsed.text, line)]
            if lines:
                data = note.format(parsed.text, lines[:1])
                mine = SignedBy(key.key.hex(), head.size, head.root.hex(), data.decode())
                self._remember(mine, keep=True)
                found += self._contradictions(key, mine)
        return found

    def _contradictions(self, key: VerifierKey, mine: SignedBy) -> list[Finding]:
        who = self._who(key)
        others = [one for one in self._heads[(mine.key, mine.size)].values() if one.root != mine.root]
        if others:
            said = f"{who} signed two roots of size {mine.size}: {short(others[0].root)} and {short(mine.root)}"
            # One of the log's lines alone proves nothing to the rules: it is of nobody (spec 8.6).
            return [Finding(who, "equivocation", said, self._same_size(key, others[0], mine))]
        if mine.size > self.size:
            self._ahead.append((key, mine))
            return []
        if self._records.root(mine.size).hex() == mine.root:
            return [self._off_and_on(key, one, mine) for one in self._forks(mine)]
        said = f"{who} signed a root of size {mine.size} that no block leads to: {short(mine.root)}"
        return [Finding(who, "fork", said, None)]

    def _who(self, key: VerifierKey) -> str:
        return "the log" if key == self._log else key.name.removeprefix(f"{self.origin}/")

    def _forks(self, mine: SignedBy) -> list[SignedBy]:
        """What the key of a head on the log signed before that is not on it."""
        return [
            one
            for (key, size), roots in self._heads.items()
            for one in roots.values()
            if key == mine.key and size < mine.size and one.root != self._records.root(size).hex()
        ]

    # Evidence.

    def _same_size(self, key: VerifierKey, one: SignedBy, other: SignedBy) -> str | None:
        return self._write(key, Evidence(self.origin, one.note, other.note, None, []))

    def _off_and_on(self, key: VerifierKey, off: SignedBy, on: SignedBy) -> Finding:
        """The tree of the later head extends another root at the size of the first (ADR 3)."""
        hashes = [encode_base64(one) for one in self._records.consistency(off.size, on.size)]
        ours = self._records.root(off.size).hex()
        act = Evidence(self.origin, off.note, on.note, ours, hashes)
        who = self._who(key)
        said = f"{who} signed {short(off.root)} at size {off.size}, which its head of size {on.size} does not extend"
        return Finding(who, "equivocation", said, self._write(key, act))

    def _write(self, key: VerifierKey, act: Evidence) -> str | None:
        if key == self._log:
            return None
        size = checkpoint.parse(note.parse(act.first.encode()).text).size
        path = self._folder / "evidence" / f"{size}-{key.key_id.hex()}.json"
        path.write_bytes(encode(act) + b"\n")
        return str(path)

    # Heads that were kept.

    def _remember(self, one: SignedBy, *, keep: bool) -> None:
        roots = self._heads.setdefault((one.key, one.size), {})
        if one.root in roots:
            return
        roots[one.root] = one
        if keep:
            self._kept.write(msgspec.json.encode(one) + b"\n")
            self._kept.flush()

    def _read_heads(self) -> None:
        self._kept.seek(0)
        for line in self._kept.read().splitlines():
            try:
                self._remember(msgspec.json.decode(line, type=SignedBy), keep=False)
            except (msgspec.DecodeError, NoteError):
                continue  # cut off by a crash; the member is asked again
