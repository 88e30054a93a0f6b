"""Dossiers: one canonical file with which a stranger checks a record offline (spec 10).

A dossier holds leaves of one log with their proofs, the checkpoint that they are proven to, and the signed acts
behind them. It brings no trust: `tocsin.client.verify` holds it against a policy from outside.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta, Raw, Struct

from tocsin.client.policy import Pin, Positive, cosigners, pinned
from tocsin.kernel.body import Disclosure
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Refusal, decode, encode
from tocsin.kernel.genesis import Genesis
from tocsin.kernel.leaves import (
    Annotated as AnnotatedLeaf,
)
from tocsin.kernel.leaves import (
    AnyLeaf,
    BlockLeaf,
    Erased,
    FindingLeaf,
    OrderReceipts,
    Relayed,
    RosterLeaf,
    Settled,
)
from tocsin.kernel.leaves import (
    Final as FinalLeaf,
)
from tocsin.kernel.words import MAX_ACTS, Count, Digest, Key, Signature
from tocsin.tlog import Note, VerifierKey, checkpoint, note
from tocsin.tlog.note import ED25519

FORMAT: Final = "tocsin-dossier/1"
MAX_DOSSIER = 4 * 1024 * 1024
"""Bytes of a dossier."""
MAX_NOTE = 64 * 1024
"""Characters of a checkpoint with its signature lines: the log's and those of 100 members."""

Hashes = Annotated[list[Digest], Meta(max_length=64)]
NoteText = Annotated[str, Meta(max_length=MAX_NOTE)]


class DossierError(ValueError):
    """The bytes are no dossier, or none can be made; the sentence says why."""


class ShownLeaf(Struct, frozen=True, forbid_unknown_fields=True):
    """A leaf of the log as it stands there, and its inclusion proof in the tree of the checkpoint."""

    index: Count
    leaf: Raw
    proof: Hashes


class ShownAct(Struct, frozen=True, forbid_unknown_fields=True):
    """One act of an envelope: the signed header, who signed it, the act at its place, and the digests of the other
    acts in their order, from which with the act's own the header's digest is recomputed (spec 3)."""

    header: Raw
    key: Key
    signature: Signature
    index: Annotated[int, Meta(ge=0, lt=MAX_ACTS)]
    act: Raw
    others: Annotated[list[Digest], Meta(max_length=MAX_ACTS - 1)]


class Extended(Struct, frozen=True, forbid_unknown_fields=True):
    """An earlier tree, and the proof that the tree of the checkpoint extends it."""

    size: Positive
    root: Digest
    proof: Hashes


class Handover(Struct, frozen=True, forbid_unknown_fields=True):
    """A roster that took over: its leaf, in the last checkpoint under the epoch before, which is of the size two
    above the leaf's index (spec 11)."""

    checkpoint: NoteText
    index: Count
    roster: Raw
    proof: Hashes


class Dossier(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. `extends`, `handovers` and `leaves` are sorted by size, epoch and index."""

    format: Literal["tocsin-dossier/1"]
    genesis: Digest
    message: Digest
    checkpoint: NoteText
    extends: Annotated[list[Extended], Meta(max_length=1024)]
    handovers: Annotated[list[Handover], Meta(max_length=1024)]
    leaves: Annotated[list[ShownLeaf], Meta(max_length=4096)]
    acts: Annotated[list[ShownAct], Meta(max_length=4096)]
    bodies: Annotated[list[Disclosure], Meta(max_length=256)]


class Source(Protocol):
    """What a log and its envelopes must answer for a dossier to be made. Indexes and sizes count leaves from 0."""

    @property
    def genesis(self) -> Genesis:
        """The network's genesis."""

    def checkpoint(self) -> bytes:
        """The newest final checkpoint: a note with the log's line and the members' cosignatures."""

    def checkpoint_at(self, size: int) -> bytes | None:
        """The final checkpoint of this size, kept for each roster leaf's index + 2; None if there is none."""

    def leaf(self, index: int) -> bytes:
        """Canonical bytes of a leaf."""

    def inclusion(self, index: int, size: int) -> Sequence[bytes]:
        """Inclusion proof of a leaf in the tree of `size`."""

    def consistency(self, size1: int, size2: int) -> Sequence[bytes]:
        """Proof that the tree of `size2` extends that of `size1`."""

    def of_message(self, message: str) -> Sequence[int]:
        """Leaves about a message, sorted: its `relayed`, `opened` and final leaf; `annotated`, `finding`, `settled`,
        `order_receipts` and `erased` of it; and the `recorded` leaves of what a peer said of it."""

    def block_of(self, index: int) -> int:
        """The `block` leaf that ends the block of a leaf."""

    def roster(self, epoch: int) -> int:
        """The `roster` leaf of an epoch."""

    def charter(self, digest: str) -> int:
        """The `charter` leaf of a charter that was in force."""

    def peer(self, origin: str, before: int) -> int | None:
        """The last `peer` leaf of an origin before an index."""

    def envelope(self, author: str, act: str, envelope: str | None) -> bytes | None:
        """A consumed envelope of this author that holds the act with this digest and had it accepted; the one of
        this digest if one is given (two members' equal ballots are one act, but two envelopes)."""

    def closing(self, message: str) -> Sequence[tuple[str, str]]:
        """(author, act digest) of the accepted `concur`, `veto` and `withdraw` acts on a message."""


_decode_dossier = msgspec.json.Decoder(Dossier).decode
_decode_leaf = msgspec.json.Decoder(AnyLeaf).decode


def decode_leaf(data: bytes, where: str) -> AnyLeaf:
    """A leaf from its canonical bytes; raises DossierError, which begins with `where`."""
    try:
        leaf: AnyLeaf = _decode_leaf(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DossierError(f"{where} cannot be read: {error}.") from None
    if encode(leaf) != data:
        raise DossierError(f"{where} is not canonical: encoding it again gives other bytes.")
    return leaf


def decode_dossier(data: bytes) -> Dossier:
    """Read a dossier; raises DossierError unless it is one, of allowed size, and canonical. Proves nothing yet."""
    if len(data) > MAX_DOSSIER:
        raise DossierError(f"A dossier has at most {MAX_DOSSIER} bytes, this file has {len(data)}.")
    try:
        dossier: Dossier = _decode_dossier(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DossierError(f"The file is no dossier: {error}.") from None
    if encode(dossier) != data:
        raise DossierError("The file is not canonical: encoding it again gives other bytes.")
    return dossier


def encode_dossier(dossier: Dossier) -> bytes:
    """The file. Raises DossierError if it would be larger than a verifier reads."""
    data = encode(dossier)
    if len(data) > MAX_DOSSIER:
        raise DossierError(
            f"The dossier would have {len(data)} bytes, at most {MAX_DOSSIER} are read; start from a later epoch."
        )
    return data


def signing_epoch(size: int, epoch: int, roster_index: int) -> int:
    """The epoch whose members make a checkpoint of `size` final, where its last block leaf says `epoch`, whose
    roster is at `roster_index`: up to that index + 2 the epoch before still signs (spec 11)."""
    return epoch if size > roster_index + 2 else epoch - 1


def build_dossier(
    source: Source, message: str, *, epoch: int = 1, pins: Iterable[Pin] = (), bodies: Sequence[Disclosure] = ()
) -> Dossier:
    """Put together the dossier of a final message, to the newest final checkpoint.

    `epoch`: the earliest that a verifier's policy may pin; 1 serves every policy. `pins`: checkpoints that a policy
    may pin. Raises DossierError if the message is not final, or the source lacks something.
    """
    return _Builder(source, message, epoch).build(pins, bodies)


class _Builder:
    def __init__(self, source: Source, message: str, epoch: int) -> None:
        self._source = source
        self._message = message
        self._since = epoch
        self._leaves: dict[int, AnyLeaf] = {}
        self._acts: dict[tuple[str, int], ShownAct] = {}
        self._members: dict[str, None] = {}

    def build(self, pins: Iterable[Pin], bodies: Sequence[Disclosure]) -> Dossier:
        source = self._source
        signed = _read_note(source.checkpoint())
        head = checkpoint.parse(signed.text)
        shown = [index for index in source.of_message(self._message) if index < head.size]
        leaves = [self._show(index) for index in shown]
        record = next((one for one in leaves if isinstance(one, FinalLeaf) and one.id == self._message), None)
        if record is None:
            raise DossierError(
                f"The message {self._message} is not final in {head.size} leaves; wait, or check its id."
            )
        self._show(0)
        self._show(source.charter(record.charter))
        for index in [*shown, head.size - 1]:
            self._epoch_of(index)
        for ballot in record.ballots:
            self._show(source.roster(ballot.epoch))
        place = next(index for index, leaf in zip(shown, leaves, strict=True) if leaf is record)
        self._acts_of_record(record, leaves, [index for index in shown if index <= place])
        for index, leaf in zip(shown, leaves, strict=True):
            self._acts_of(leaf, index, place)
        last = self._show(head.size - 1)
        if not isinstance(last, BlockLeaf):
            raise DossierError("The newest final checkpoint does not end with a block; the log is damaged.")
        epoch = signing_epoch(head.size, last.epoch, source.roster(last.epoch))
        handovers = [self._handover(one) for one in range(self._since + 1, epoch + 1)]
        self._show(source.roster(min(self._since, epoch)))
        sizes = {one.index + 2: self._root_of(one) for one in handovers}
        sizes |= {pin.size: pin.root for pin in pins if pin.size < head.size}
        return Dossier(
            FORMAT,
            source.genesis.digest,
            self._message,
            self._note(signed, epoch),
            [
                Extended(size, sizes[size], _hex(source.consistency(size, head.size)))
                for size in sorted(sizes)
                if size < head.size
            ],
            handovers,
            [
                ShownLeaf(index, Raw(encode(self._leaves[index])), _hex(source.inclusion(index, head.size)))
                for index in sorted(self._leaves)
            ],
            [self._acts[place] for place in sorted(self._acts)],
            sorted(bodies, key=lambda one: one.digest),
        )

    def _show(self, index: int) -> AnyLeaf:
        if index not in self._leaves:
            self._leaves[index] = decode_leaf(self._source.leaf(index), f"Leaf {index} of the log")
        return self._leaves[index]

    def _epoch_of(self, index: int) -> int:
        """Show what tells the roster in force at the start of a leaf's block; return its epoch."""
        block = self._show(self._source.block_of(index))
        if not isinstance(block, BlockLeaf):
            raise DossierError(f"The leaf that should end the block of leaf {index} does not; the log is damaged.")
        roster = self._source.roster(block.epoch)
        leaf = self._show(roster)
        if isinstance(leaf, RosterLeaf):
            self._members |= dict.fromkeys(one.id for one in leaf.members)
        if roster < index:
            return block.epoch
        self._show(self._source.roster(block.epoch - 1))
        return block.epoch - 1

    def _acts_of_record(self, record: FinalLeaf, leaves: Sequence[AnyLeaf], shown: Sequence[int]) -> None:
        if record.source is None:
            self._act(record.author, record.act, record.envelope, record.id)
        for leaf in leaves:
            if isinstance(leaf, Relayed) and leaf.id == record.id:
                self._act(leaf.carrier, leaf.act, leaf.envelope)
                place = self._source.peer(leaf.peer, shown[0])
                if place is None:
                    raise DossierError(f"The log has no peer leaf of {leaf.peer}; it is damaged.")
                self._show(place)
                self._epoch_of(place)
        for ballot in record.ballots:
            if ballot.act != record.act:
                self._act(ballot.member, ballot.act, None)
        for author, act in self._source.closing(record.id):
            self._signed_between(self._act(author, act, None), author, shown[0], shown[-1])

    def _acts_of(self, leaf: AnyLeaf, index: int, record_index: int) -> None:
        if isinstance(leaf, AnnotatedLeaf | Erased):
            self._act(leaf.by, leaf.act, leaf.envelope)
        elif isinstance(leaf, FindingLeaf) and leaf.target == self._message:
            self._found(leaf, index, record_index)
        elif isinstance(leaf, OrderReceipts):
            for answer in leaf.answers:
                if answer.act is not None:
                    key = self._act(answer.member, answer.act, None)
                    self._signed_between(key, answer.member, record_index, index)
        elif isinstance(leaf, Settled):
            self._peer_of_author(self._leaves[record_index], index)

    def _found(self, leaf: FindingLeaf, index: int, record_index: int) -> None:
        if leaf.by in self._members:
            key = self._act(leaf.by, leaf.act, leaf.envelope, leaf.id)
            self._signed_between(key, leaf.by, record_index, index)
            return
        for place in self._source.of_message(leaf.id):
            told = decode_leaf(self._source.leaf(place), f"Leaf {place} of the log")
            if isinstance(told, FinalLeaf) and told.id == leaf.id:
                self._show(place)
                self._epoch_of(place)

    def _peer_of_author(self, record: AnyLeaf, before: int) -> None:
        """Show who represented the sender of a relayed record when it was settled."""
        if isinstance(record, FinalLeaf) and record.source is not None:
            place = self._source.peer(record.author, before)
            if place is not None:
                self._show(place)
                self._epoch_of(place)

    def _signed_between(self, key: str, author: str, first: int, last: int) -> None:
        """Show the roster that has this act key, of those in force between two leaves."""
        for epoch in range(self._epoch_of(last), self._epoch_of(first) - 1, -1):
            place = self._source.roster(epoch)
            roster = decode_leaf(self._source.leaf(place), f"The roster of epoch {epoch}")
            if isinstance(roster, RosterLeaf) and any(
                one.id == author and one.keys.act == key and one.status == "active" for one in roster.members
            ):
                self._show(place)
                return

    def _act(self, author: str, act: str | None, envelope: str | None, message: str | None = None) -> str:
        """Show an act, the one that made `message` if that is given; return the key that signed it."""
        data = None if act is None else self._source.envelope(author, act, envelope)
        if data is None:
            raise DossierError(f"The envelope with the act {act} of {author} is not at hand.")
        read = decode(data)
        if isinstance(read, Refusal):
            raise DossierError(f"The envelope of {author} that should hold the act {act} cannot be read.")
        places = [
            place
            for place, one in enumerate(read.act_digests)
            if one == act and message in (None, message_id(read.digest, place))
        ]
        if not places:
            raise DossierError(f"The envelope of {author} that should hold the act {act} does not.")
        index = places[0]
        others = [one for place, one in enumerate(read.act_digests) if place != index]
        self._acts[read.digest, index] = ShownAct(
            Raw(encode(read.header)), read.key, read.signature.hex(), index, Raw(encode(read.acts[index])), others
        )
        return read.key

    def _handover(self, epoch: int) -> Handover:
        source, index = self._source, self._source.roster(epoch)
        data = source.checkpoint_at(index + 2)
        if data is None:
            raise DossierError(f"There is no final checkpoint with which epoch {epoch - 1} handed over to {epoch}.")
        roster = Raw(source.leaf(index))
        proof = _hex(source.inclusion(index, index + 2))
        return Handover(self._note(_read_note(data), epoch - 1), index, roster, proof)

    def _root_of(self, handover: Handover) -> str:
        return checkpoint.parse(_read_note(handover.checkpoint.encode()).text).root.hex()

    def _note(self, signed: Note, epoch: int) -> str:
        """The note with the log's line and one line of each finality key that counts, in order of their names."""
        genesis = self._source.genesis
        roster = decode_leaf(self._source.leaf(self._source.roster(epoch)), f"The roster of epoch {epoch}")
        if not isinstance(roster, RosterLeaf):
            raise DossierError(f"The leaf that should be the roster of epoch {epoch} is not one; the log is damaged.")
        keys = [VerifierKey(genesis.origin, ED25519, bytes.fromhex(genesis.log_key))]
        keys += [one.vkey for one in cosigners(genesis.origin, pinned(roster.members))]
        lines = []
        for key in keys:
            # Of a cosignature that was refreshed the newest stands: its first 8 bytes are the time.
            values = sorted(signed.lines_of(key))
            lines += [note.sign_line(key, values[-1])] if values else []
        return note.format(signed.text, lines).decode()


def _read_note(data: bytes) -> Note:
    try:
        return note.parse(data)
    except note.NoteError as error:
        raise DossierError(f"The checkpoint cannot be read: {error}.") from None


def _hex(hashes: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in hashes]
