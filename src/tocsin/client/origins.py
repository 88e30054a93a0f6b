"""Where a relayed message came from: the peer's leaf, its proof and the peer's checkpoint (spec 11)."""

from tocsin.client.certificate import Case, check_issuer
from tocsin.client.dossier import DossierError, decode_leaf
from tocsin.client.policy import cosigners
from tocsin.client.report import Refused, count, require, short
from tocsin.client.signed import by_member, in_time
from tocsin.client.signing import verify_signature
from tocsin.kernel.acts import PeerEntry, RelayAct, RelayedLeaf
from tocsin.kernel.digest import relayed_id
from tocsin.kernel.leaves import AnyLeaf, Opened, Original, PeerLeaf, Recorded, Relayed, Source
from tocsin.kernel.quorum import finality
from tocsin.tlog import NoteError, VerifierKey, checkpoint, cosignature, merkle, note
from tocsin.tlog.note import ED25519

EXTRACTS = ("relayed.outcome", "relayed.receipts", "relayed.annotated", "relayed.finding")
"""What a network makes of a peer's leaf, in its own words (spec 11.1)."""


def check_origin(case: Case) -> None:
    """Recompute a relayed message's id from its source, and hold it against the leaf that the carrier brought."""
    record = case.record
    source = record.source
    if source is None:
        return
    relayed, index = _relayed(case)
    case.peer = _peer(case, relayed, index)
    entry = case.peer.entry
    require(
        (relayed.source, relayed.act, relayed.envelope, relayed.peer, relayed.code)
        == (source, record.act, record.envelope, record.author, 0)
        and relayed.at == record.opened
        and index < case.opened_index,
        "The leaf of the relay and the record made of it do not agree.",
    )
    require(
        record.id == relayed_id(case.policy.genesis, relayed.genesis, relayed.number),
        "The record's id is not that of what the peer sent.",
    )
    require(
        entry is not None
        and bool(source.path)
        and entry.genesis == relayed.genesis == source.sender == source.path[-1]
        and source.number == relayed.number,
        "The record's source is not the peer that sent it.",
    )
    act, signed = case.acts.take(RelayAct, relayed.carrier, record.act, record.envelope)
    by_member(signed, case.at_opening.members)
    in_time(signed, record.opened, record.opened)
    check_issuer(case, relayed.carrier)
    if entry is not None:
        _check_leaf(case, act, relayed, entry)
    hops = count(len(source.path), "network")
    case.say(f"It came through {hops}, first known as {short(source.original.id)} in {short(source.original.genesis)}.")


def _relayed(case: Case) -> tuple[Relayed, int]:
    for index, leaf in sorted(case.proven.leaves.items()):
        if isinstance(leaf, Relayed) and leaf.id == case.record.id:
            case.proven.use(index)
            case.proven.place(index, leaf.at)
            return leaf, index
    raise Refused("The dossier lacks the leaf of the relay that brought the record; ask for a whole one.")


def _peer(case: Case, relayed: Relayed, before: int) -> PeerLeaf:
    for index, leaf in sorted(case.proven.leaves.items(), reverse=True):
        if isinstance(leaf, PeerLeaf) and leaf.origin == relayed.peer and index < before:
            case.proven.use(index)
            case.proven.place(index, leaf.at)
            return leaf
    raise Refused(f"The dossier lacks the entry of the peer {relayed.peer}; ask for a whole one.")


def _check_leaf(case: Case, act: RelayAct, relayed: Relayed, entry: PeerEntry) -> None:
    """The leaf that the peer numbered for this network, under the checkpoint that the carrier brought."""
    require(act.peer == relayed.peer, "The carrier relayed another peer than the log says.")
    try:
        signed = note.parse(act.checkpoint.encode())
        head = checkpoint.parse(signed.text)
        own = note.signature_checks(signed, VerifierKey(act.peer, ED25519, bytes.fromhex(entry.log_key)))
        known = cosigners(act.peer, entry.roster)
        lines = cosignature.final_lines(signed, known)
        counted = cosignature.count(lines, [verify_signature(one.key, one.message, one.signature) for one in lines])
    except (NoteError, ValueError) as error:
        raise Refused(f"The checkpoint of the peer does not hold: {error}.") from None
    require(
        head.origin == act.peer and bool(own) and all(verify_signature(*one) for one in own),
        "The checkpoint that the carrier brought is not signed by the peer's log.",
    )
    leaf, brought = _brought(act, case.policy.origin, relayed.number)
    proof = [note.decode_base64(one) for one in brought.proof]
    require(
        merkle.verify_inclusion(brought.index, head.size, merkle.leaf_hash(brought.leaf.encode()), proof, head.root),
        "The leaf that the carrier brought is not in the peer's log.",
    )
    _check_content(case, leaf, relayed)
    case.say(
        f"{relayed.carrier} relayed leaf {brought.index} of {act.peer} (number {relayed.number}): proven in its log of "
        f"{head.size}, signed by its log's key."
    )
    k = finality(len(known))
    if len(counted) >= k:
        case.say(f"{len(counted)} of {len(known)} of the peer's finality keys signed that checkpoint, {k} needed.")
    else:
        case.say(
            "The peer's roster changed after its entry here, so that its quorum is taken as this network's members "
            "checked it."
        )


def _brought(act: RelayAct, origin: str, number: int) -> tuple[AnyLeaf, RelayedLeaf]:
    for one in act.leaves:
        leaf = _readable(one)
        if leaf is not None and (origin, number) in [tuple(place) for place in getattr(leaf, "to", ())]:
            return leaf, one
    raise Refused(f"The carrier's relay does not hold what the peer sent here as number {number}.")


def _readable(one: RelayedLeaf) -> AnyLeaf | None:
    try:
        return decode_leaf(one.leaf.encode(), "The peer's leaf")
    except DossierError:
        return None


def _check_content(case: Case, leaf: AnyLeaf, relayed: Relayed) -> None:
    """Reports, orders, shares and signals arrive as they were sent; of other leaves the log keeps an extract."""
    record = case.record
    if not isinstance(leaf, Recorded | Opened) or record.kind in EXTRACTS:
        case.say("The record is an extract of the peer's leaf, as the members made it.")
        return
    if isinstance(leaf, Opened):
        kind, terms, endorsers = "relayed.signal", None, 0
    else:
        kind, terms = "relayed." + leaf.kind.removeprefix("relayed."), leaf.terms
        endorsers = sum(1 for one in leaf.ballots if one.verdict == "endorse" and not one.late)
    before = leaf.source
    source = Source(
        [*([] if before is None else before.path), relayed.genesis],
        Original(relayed.genesis, leaf.id) if before is None else before.original,
        relayed.genesis,
        leaf.id,
        relayed.number,
        endorsers if before is None else before.endorsers,
    )
    require(
        (record.kind, record.status, record.subject, record.terms, record.body, record.source)
        == (kind, leaf.status, leaf.subject, terms, leaf.body, source),
        "The record is not what the peer's leaf says.",
    )
