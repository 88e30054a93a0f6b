"""What a peer's log may make of our rows: only what our own schemas read back (spec 11.5).

A leaf is proven to stand in the peer's log, which says nothing about what the peer wrote into it. Leaves are decoded
by the schema that logs them; what becomes a message or a pin of ours is held to the stricter words of the wire.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tocsin.kernel.acts import Order, PeerEntry, PinnedMember, Revoke, Share, Subject, Terms
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import RosterLeaf, Source
from tocsin.kernel.statements import signs
from tocsin.kernel.words import Count, Digest, Kind, Status
from tocsin.tlog import Checkpoint, is_small_order

_MAX_PATH = 64
"""Longer than any path that is refused for its hops with a leaf that repeats it."""


class _Original(Struct, frozen=True):
    genesis: Digest
    id: Digest


class _Source(Struct, frozen=True):
    path: Annotated[list[Digest], Meta(max_length=_MAX_PATH)]
    original: _Original
    sender: Digest
    sender_id: Digest
    number: Count
    endorsers: Count


class _Arrival(Struct, frozen=True, array_like=True):
    kind: Kind
    status: Status
    subject: Subject | None
    terms: Terms | None
    body: Digest | None
    source: _Source


_read_arrival = msgspec.json.Decoder(_Arrival).decode
_read_entry = msgspec.json.Decoder(PeerEntry).decode


def well_formed(
    kind: str, status: Status, subject: Subject | None, terms: Terms | None, body: str | None, source: Source
) -> bool:
    """Whether this may become a message: words and numbers within their bounds, terms of its kind, one status."""
    if subject is not None and subject.status != status:
        return False
    if not _terms_fit(kind, subject, terms):
        return False
    try:
        _read_arrival(encode([kind, status, subject, terms, body, source]))
    except (msgspec.DecodeError, UnicodeError, OverflowError):
        return False
    return True


def _terms_fit(kind: str, subject: Subject | None, terms: Terms | None) -> bool:
    """The closed schema of a kind (spec 5). Else a share could bring a finding, which nobody here voted on."""
    if kind.startswith("relayed.report."):
        return terms is None
    if kind == "relayed.order.revoke":
        return isinstance(terms, Revoke) and subject is None
    if kind.startswith("relayed.order."):
        return isinstance(terms, Order) and subject is None
    if kind.startswith("relayed.share."):
        return isinstance(terms, Share)  # with the subject of the record it carries, where that has one
    return True


def advanced(entry: PeerEntry, head: Checkpoint, roster: RosterLeaf | None) -> PeerEntry | None:
    """The entry pinned to a later checkpoint, and perhaps to the roster that it ends with.

    None if no such entry could be moved by `motion.peer` either: out of bounds, an id or key twice, a weak key, or
    nobody left who makes anything final.
    """
    entry = replace(entry, size=head.size, root=head.root.hex())
    if roster is not None:
        pinned = [
            PinnedMember(one.id, one.entity, one.keys.finality, one.keys.custody, signs(one))
            for one in roster.members
        ]
        entry = replace(entry, epoch=roster.epoch, roster=pinned)
    try:
        _read_entry(encode(entry))
    except (msgspec.DecodeError, UnicodeError, OverflowError):
        return None
    ids = [one.id for one in entry.roster]
    keys = {one.finality for one in entry.roster}
    if ids != sorted(set(ids)) or len(keys) != len(ids):
        return None
    if any(is_small_order(bytes.fromhex(key)) for key in sorted(keys)):
        return None
    return entry if any(one.active for one in entry.roster) else None
