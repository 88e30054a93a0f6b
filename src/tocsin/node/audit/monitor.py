"""An auditor's own eyes on one network: several members followed, nothing of what they say believed.

Every block is made again here, every file of the log compared with what that gives, every signature checked, and of the
heads that anybody signed enough kept to prove a lie. Two heads of one key that cannot both be honest are evidence,
which a member of the network can put on the record by the act `evidence` (spec 8.6, spec 11.4).
"""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tocsin.engine.signatures import Checker
from tocsin.kernel.upgrade import UnknownProtocol
from tocsin.node.audit.heads import Finding, Heads, SignedBy
from tocsin.node.audit.mirror import Lender, Mirror, Unsealed
from tocsin.node.finality.epochs import holds
from tocsin.node.follower import Forged
from tocsin.node.web.remote import BlockFile, Remote, RemoteError, RemoteLog, printable
from tocsin.store.network import NetworkStore
from tocsin.tlog import Checkpoint, VerifierKey, checkpoint, note, tiles
from tocsin.tlog.note import ED25519

_BLOCKS_A_ROUND = 64
"""Answers with blocks read of one member before the next one has its turn."""
_STEPS_A_ROUND = 16
"""Changes of the roster looked at to find the next one that is signed."""
_TOLD = 4096
"""Findings that are known as told; who lies in ever new words may be told twice."""


class Reached(NamedTuple):
    """How far a member was compared: blocks, and size of the files."""

    height: int
    size: int


class Served(NamedTuple):
    """A signed head as a member serves it."""

    parsed: note.Note
    head: Checkpoint


class Monitor:
    """Follows one network. `look` once, or again and again; what was found before is not told again."""

    def __init__(
        self, records: NetworkStore, members: Mapping[str, Remote], log_key: str, folder: Path, verifier: Checker
    ) -> None:
        """`records`: of our own copy; `folder`: for signed heads and evidence. Raises OSError."""
        self.origin = records.origin
        self.beyond = 0
        """Size of a final checkpoint that a member serves and the copy does not reach; 0 if there is none."""
        self.more = False
        """Whether a member has more blocks than one look takes: look again."""
        self._members = members
        self._log = VerifierKey(self.origin, ED25519, bytes.fromhex(log_key))
        self._mirror = Mirror(records, self._log, verifier)
        self._records = records
        self._heads = Heads(records, self._log, folder)
        self._reached = {id: Reached(-1, 0) for id in members}
        self._told: OrderedDict[Finding, None] = OrderedDict()

    @property
    def height(self) -> int:
        """Of the last block of the copy."""
        return self._mirror.height

    @property
    def size(self) -> int:
        """Leaves of our own copy: what was checked."""
        return self._mirror.size

    def look(self) -> list[Finding]:
        """Ask every member once; what is new and wrong. Raises OSError, StoreError."""
        found, self._heads.known = self._heads.known, []
        self.more = False
        self.beyond = 0
        for id, remote in self._members.items():
            try:
                self._member(id, remote, found)
            except RemoteError as error:
                found.append(Finding(id, "away", str(error), None))
            self._heads.save()
        self.beyond = self.beyond if self.beyond > self.size else 0
        new = [one for one in dict.fromkeys(found) if one not in self._told]
        self._told.update(dict.fromkeys(new))
        while len(self._told) > _TOLD:
            self._told.popitem(last=False)
        return new

    def _member(self, id: str, remote: Remote, found: list[Finding]) -> None:
        data = remote.checkpoint()
        served = None if data is None else self._read(id, "checkpoint", data, found)
        try:
            ended = self._follow(id, remote, served)
            self.more |= not ended
        except (Forged, Unsealed, UnknownProtocol) as error:
            kind = {Forged: "forged", Unsealed: "handover", UnknownProtocol: "protocol"}[type(error)]
            found.append(Finding(id, kind, str(error), None))
            ended = False
        finally:
            found += self._heads.grown()
        if served is not None:
            self._final(id, remote, served, ended, found)
        data = remote.signed()
        if data is not None:
            self._read(id, "signed", data, found)

    # Blocks.

    def _follow(self, id: str, remote: Remote, served: Served | None) -> bool:
        """Compare what the copy has, take what is new; whether that is all that the member has."""
        lender = Lender(RemoteLog(remote, 0).consistency, self._sealed)
        blocks: list[BlockFile] = []
        for _ in range(_BLOCKS_A_ROUND):
            after = self._reached[id].height
            blocks = blocks or remote.blocks(after)
            if not blocks:
                return True
            count = self._mirror.same(after, blocks) or self._mirror.take(blocks, self._ahead(remote, served), lender)
            if not count:
                return True
            self._reached[id] = self._reached[id]._replace(height=blocks[count - 1].height)
            blocks = blocks[count:]
        return False

    def _ahead(self, remote: Remote, served: Served | None) -> Checkpoint | None:
        """A head beyond the copy that those signed whom the copy knows: what the member serves, or what it keeps."""
        if served is None or served.head.size <= self.size:
            return None
        if self._mirror.signatures(served.parsed, served.head.size).final:
            return served.head
        places = [place for place in remote.steps(self.size) if self.size < place + 2 < served.head.size]
        heads = (self._kept(remote, place + 2) for place in places[:_STEPS_A_ROUND])
        return next((head for head in heads if head is not None), None)

    def _sealed(self, size: int) -> Checkpoint | None:
        """A final checkpoint at a change of the roster, from whichever member keeps it."""
        for remote in self._members.values():
            head = self._kept(remote, size)
            if head is not None:
                return head
        return None

    def _kept(self, remote: Remote, size: int) -> Checkpoint | None:
        try:
            data = remote.final(size)
            parsed = None if data is None else note.parse(data)
            head = None if parsed is None else checkpoint.parse(parsed.text)
        except (RemoteError, ValueError):
            return None
        if parsed is None or head is None or (head.origin, head.size) != (self.origin, size):
            return None
        return head if self._mirror.signatures(parsed, size).final else None

    # Final checkpoints, and the files under them.

    def _final(self, id: str, remote: Remote, served: Served, ended: bool, found: list[Finding]) -> None:
        """`ended`: whether all blocks that it has were looked at."""
        parsed, head = served
        signatures = self._mirror.signatures(parsed, head.size)
        if head.size > self.size:
            if signatures.final:
                self.beyond = max(self.beyond, head.size)
            if ended:
                said = f"its checkpoint of size {head.size} has {signatures}, and it gives no blocks that lead there"
                kind = "withheld" if signatures.final else "not final"
                found.append(Finding(id, kind, f"{said}; not checked beyond {self.size}", None))
            return
        if not signatures.final:
            found.append(Finding(id, "not final", f"its checkpoint of size {head.size} has {signatures}", None))
        if self._records.root(head.size) == head.root:
            self._files(id, remote, head, found)
        else:
            said = f"its checkpoint of size {head.size} has a root that no block leads to"
            found.append(Finding(id, "fork", said, None))

    def _files(self, id: str, remote: Remote, head: Checkpoint, found: list[Finding]) -> None:
        """Tiles and bundles since the last look, byte for byte."""
        since = self._reached[id].size
        if head.size <= since:
            return
        for place in (*tiles.tile_places(head.size, since), *tiles.bundle_places(head.size, since)):
            index, width = place.index, place.width
            if place.level is None:
                path = tiles.bundle_path(index, width)
                theirs, ours = remote.bundle(index, width), self._records.bundle(index, width)
            else:
                path = tiles.tile_path(place.level, index, width)
                theirs, ours = remote.tile(place.level, index, width), self._records.tile(place.level, index, width)
            if theirs != ours:
                found.append(Finding(id, "file", f"its {path} is not what the blocks lead to", None))
                return
        self._reached[id] = self._reached[id]._replace(size=head.size)

    # Signed heads.

    def _read(self, id: str, what: str, data: bytes, found: list[Finding]) -> Served | None:
        """A signed head, which is kept with whoever of this network signed it."""
        try:
            parsed = note.parse(data)
            head = checkpoint.parse(parsed.text)
        except ValueError as error:
            found.append(Finding(id, what, f"its {what} cannot be read: {printable(str(error))}", None))
            return None
        if head.origin != self.origin:
            found.append(Finding(id, "origin", f"it serves a checkpoint of {printable(head.origin)}", None))
            return None
        for key in (self._log, *(one.vkey for one in self._mirror.epochs.cosigners(head.size))):
            line = next((line for line in parsed.signatures if holds(key, parsed.text, line)), None)
            if line is not None:
                kept = note.format(parsed.text, [line]).decode()
                found += self._heads.see(SignedBy(key.key.hex(), head.size, head.root.hex(), kept))
        return Served(parsed, head)
