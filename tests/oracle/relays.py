"""What peers send (spec 11): numbering, dedupe, quota, and what becomes of each leaf."""

from typing import Any

import msgspec

from tests.oracle import law
from tests.oracle.book import DAY, WEEK, Book, Incident, Pin
from tests.oracle.life import ANSWERED, open_message, send
from tocsin.kernel.acts import PinnedMember, RelayAct, RelayedLeaf, Subject
from tocsin.kernel.digest import relayed_id
from tocsin.kernel.leaves import RosterLeaf
from tocsin.kernel.reasons import Reason as R
from tocsin.tlog import Checkpoint, checkpoint, merkle, note

FINAL_LEAVES = ("recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void")


ONCE = ("retract", "recant", "object")
PASSED_ON = ("relayed.finding", "relayed.annotated")
TRAVELS = {"finding": "relayed.finding", "annotated": "relayed.annotated", "order_receipts": "relayed.receipts"}


def relay(book: Book, act: RelayAct, carrier: str, proofs: bool) -> list[R]:
    """One checkpoint and leaves in number order; `proofs`: the signatures hold."""
    peer = book.peers.get(act.peer)
    if peer is None:
        return [R.UNKNOWN_PEER]
    if peer.state == "frozen":
        return [R.PEER_FROZEN]
    if not proofs:
        return [R.BAD_CHECKPOINT]
    pin = book.pins[act.peer]
    head = checkpoint.parse(act.checkpoint.partition("\n\n")[0] + "\n")
    before = book.pins_before[act.peer]
    signed = law.cosigned(act.checkpoint, act.peer, before.signers())
    final = len(signed) >= law.finality(len(before.signers()))
    found = [] if final and pin.epoch == before.epoch else [R.NOT_FINAL_CHECKPOINT]
    if head.size < pin.size:
        found.append(R.CHECKPOINT_BEHIND)
    elif not _extends(pin, head, act.consistency):
        found.append(R.BAD_CONSISTENCY)
    roster = None if act.roster is None else msgspec.json.decode(act.roster.leaf, type=RosterLeaf)
    if not all(_included(one, head) for one in (*act.leaves, *([act.roster] if act.roster is not None else []))):
        found.append(R.BAD_INCLUSION)
    if act.roster is not None and (roster.epoch != pin.epoch + 1 or act.roster.index != head.size - 2):
        found.append(R.BAD_ROSTER)
    leaves = [msgspec.json.decode(one.leaf) for one in act.leaves]
    first = book.next_in.get(act.peer, 1)
    for place, leaf in enumerate(leaves):
        numbers = [number for origin, number in leaf.get("to", []) if origin == book.origin]
        if not numbers:
            found += [R.NOT_FOR_US, R.BAD_LEAF]
        elif numbers != [first + place]:
            found.append(R.WRONG_NUMBER)
    if not leaves and roster is None and head.size == pin.size:
        found.append(R.NOTHING_TO_RELAY)
    if found:
        return found
    pin.size, pin.root = head.size, head.root.hex()
    if roster is not None:
        pin.epoch = roster.epoch
        pin.roster = [
            PinnedMember(m.id, m.entity, m.keys.finality, m.keys.custody, m.status == "active" and m.joined)
            for m in roster.members
        ]
    for leaf in leaves:
        number = book.next_in.get(act.peer, 1)
        book.next_in[act.peer] = number + 1
        Arrival(book, act.peer, carrier, leaf, number).take()
    return []


def _extends(pin: Pin, head: Checkpoint, proof: list[str]) -> bool:
    hashes = [note.decode_base64(one) for one in proof]
    if pin.size == 0:
        return not hashes
    return merkle.verify_consistency(pin.size, head.size, bytes.fromhex(pin.root), head.root, hashes)


def _included(one: RelayedLeaf, head: Checkpoint) -> bool:
    proof = [note.decode_base64(text) for text in one.proof]
    return merkle.verify_inclusion(one.index, head.size, merkle.leaf_hash(one.leaf.encode()), proof, head.root)


class Arrival:
    """One leaf of a peer."""

    def __init__(self, book: Book, origin: str, carrier: str, leaf: dict[str, Any], number: int) -> None:
        self.book = book
        self.origin = origin
        self.entry = book.peers[origin].entry
        self.carrier = carrier
        self.leaf = leaf
        self.number = number
        self.kind = self._kind()
        self.source = self._source()

    def _kind(self) -> str | None:
        """What the leaf becomes here: its original kind behind `relayed.` (spec 11)."""
        tag: str = self.leaf["leaf"]
        kind: str = self.leaf.get("kind", "")
        source = self.leaf.get("source")
        bare = kind.removeprefix("relayed.")
        if tag == "opened":
            return "relayed.signal"
        if tag in FINAL_LEAVES:
            if source is not None and source["sender"] == self.book.genesis:
                return "relayed.outcome"
            if tag == "recorded" and kind in PASSED_ON and source is not None:
                return kind
            if tag == "recorded" and bare.startswith(("report.", "share.", "order.")):
                return "relayed." + bare
            return None
        if tag == "relayed":
            return "relayed.outcome"
        return TRAVELS.get(tag)

    def _source(self) -> dict[str, Any]:
        leaf, genesis = self.leaf, self.entry.genesis
        before = leaf.get("source")
        own_id = leaf.get("id") or leaf.get("order") or ""
        if leaf["leaf"] in ("finding", "annotated"):
            original = leaf["original"]
        elif self.kind in PASSED_ON or before is not None:
            original = before["original"]
        else:
            original = {"genesis": genesis, "id": own_id}
        path = [*(before["path"] if before is not None else []), genesis]
        counted = [b for b in leaf.get("ballots", []) if b["verdict"] == "endorse" and not b["late"]]
        endorsers = before["endorsers"] if before is not None else len(counted)
        return {"path": path, "original": original, "sender": genesis, "endorsers": endorsers}

    def take(self) -> None:
        book = self.book
        answered = self.kind is not None and self.kind.startswith(ANSWERED)
        found = self._reasons()
        name = relayed_id(book.genesis, self.entry.genesis, self.number)
        leaf = book.emit(
            "relayed", peer=self.origin, number=self.number, code=[int(one) for one in found] or [0],
            id=None if found else name, carrier=self.carrier, at=book.at, to=[],
        )
        if found:
            if answered:
                fake = type("Refused", (), {"id": name, "number": 0})()
                leaf["to"] = send(book, fake, [self.origin], wait=False)
            return
        self._open(name)

    def _reasons(self) -> list[R]:
        book, kind, relation = self.book, self.kind, self.entry.relation
        if kind is None:
            return [R.BAD_LEAF]
        found: list[R] = []
        if kind.startswith(("relayed.report.", "relayed.signal")) and relation != "child":
            found.append(R.WRONG_RELATION)
        if kind.startswith("relayed.order.") and relation != "parent":
            found.append(R.WRONG_RELATION)
        carried = kind.startswith((*ANSWERED, "relayed.signal"))
        if carried and book.genesis in self.source["path"]:
            found.append(R.LOOP)
        if carried and len(self.source["path"]) > 8:
            found.append(R.TOO_MANY_HOPS)
        if carried and kind != "relayed.signal" and self._key() in book.originals:
            found.append(R.DUPLICATE)
        if not carried and self._known() is None:
            found.append(R.NOTHING_KNOWN)
        if not carried and kind in PASSED_ON and book.genesis in self.source["path"]:
            found.append(R.LOOP)
        if not carried and kind in PASSED_ON and len(self.source["path"]) > 8:
            found.append(R.TOO_MANY_HOPS)
        if kind.startswith("relayed.report.") and self._over_a_child():
            found.append(R.WRONG_RELATION)
        terms = self.leaf.get("terms") or {}
        latest = book.at + book.charter.times.order_s * 1000 + DAY
        if kind.startswith("relayed.order.") and not terms.get("due", 0) <= terms.get("expires", 0) <= latest:
            found.append(R.BAD_TIMES)
        if kind == "relayed.annotated" and self._said()[0] in ONCE and self._said() in self._heard():
            found.append(R.ALREADY_ANNOTATED)
        if kind.startswith("relayed.report."):
            quota = self.entry.quota
            if self.source["endorsers"] < quota.min_endorsers:
                found.append(R.TOO_FEW_ENDORSERS)
            if book.at - self.leaf["at"] > quota.max_age_s * 1000:
                found.append(R.TOO_OLD)
            recent = [at for origin, at in book.peer_reports if origin == self.origin and at > book.at - WEEK]
            if len(recent) >= quota.per_week:
                found.append(R.PEER_QUOTA)
        rule, size, need = self._rule()[:3]
        if rule is None:
            found.append(R.NO_RULE)
        elif need > size and not rule.signal:
            found.append(R.CANNOT_PASS)
        return found

    def _original(self) -> tuple[str, str]:
        original = self.source["original"]
        return original["genesis"], original["id"]

    def _key(self) -> tuple[str, ...]:
        """By what a message is known along any path; a share apart from the report it carries (spec 11.3)."""
        share = self.kind is not None and self.kind.startswith("relayed.share.")
        return (*self._original(), *(("share",) if share else ()))

    def _over_a_child(self) -> bool:
        """Whether it claims to have come through another child of ours, whose one parent we are (spec 11.3)."""
        others = [p.entry for o, p in self.book.peers.items() if o != self.origin]
        return any(one.relation == "child" and one.genesis in self.source["path"] for one in others)

    def _said(self) -> tuple[str, str]:
        """What was said, and by whom: the member with its network, by origin next door and else by genesis."""
        said = self.leaf if self.leaf["leaf"] == "annotated" else self.leaf["terms"]
        path = self.source["path"]
        return said["note"], f"{self.origin if len(path) == 1 else path[0]}/{said['by']}"

    def _heard(self) -> list[tuple[str, str]]:
        """What was said of our message, and what is open here and would be."""
        known = self._known()
        if known is None:
            return []
        waiting = [m for m in self.book.messages if m.live and m.kind == "relayed.annotated"]
        return [
            *((one.note, one.by) for one in known.remarks),
            *(m.terms["said"] for m in waiting if m.terms["target"] == known.id),
        ]

    def _known(self) -> Any:
        """Our message that an outcome, receipt, finding or annotation speaks of, if it is shared with the sender."""
        book, leaf = self.book, self.leaf
        if self.kind in ("relayed.outcome", "relayed.receipts"):
            source = leaf.get("source")
            found = [book.message(source["sender_id"])] if source is not None else []
            return next((one for one in found if one is not None and self.origin in one.sent_to()), None)
        genesis, name = self._original()
        names = [name] if genesis == book.genesis else [
            book.originals.get((genesis, name), ""), book.originals.get((genesis, name, "share"), "")
        ]
        copies = [one for one in map(book.message, names) if one is not None]
        return next((one for one in copies if one.peer == self.origin or self.origin in one.sent_to()), None)

    def _subject(self) -> Subject | None:
        subject = self.leaf.get("subject")
        return msgspec.convert(subject, Subject) if subject is not None else None

    def _joins(self) -> Incident | None:
        subject = self._subject()
        if subject is None or self.kind is None or not self.kind.startswith("relayed.report."):
            return None
        key = law.key_of(self.book.charter, subject, self.origin)
        live = [i for i in self.book.incidents if not i.closed and i.status == self.leaf["status"] and i.key == key]
        return min(live, key=lambda i: i.number) if live else None

    def _rule(self) -> tuple[Any, int, int, list[str], list[str], str]:
        assert self.kind is not None
        joins = self._joins()
        stage = joins.stage if joins is not None else "none"
        rule = law.match(self.book.charter, self.kind, stage)
        if rule is None:
            return None, 0, 0, [], [], stage
        head = self.entry.represented_by
        conflicted = {head} if head is not None else set()
        electors, size, asleep = law.electorate(self.book, rule, self.kind, self.origin, joins, None, conflicted)
        need = law.needed(rule, self.kind, size, asleep)
        eligible = law.eligible(self.book, rule, self.origin, joins, None, conflicted)
        return rule, size, need, electors, eligible, stage

    def _open(self, name: str) -> None:
        book, leaf, kind = self.book, self.leaf, self.kind
        assert kind is not None
        known = None if kind.startswith((*ANSWERED, "relayed.signal")) else self._known()
        rule, size, need, electors, eligible, stage = self._rule()
        if kind.startswith("relayed.report."):
            book.peer_reports.append((self.origin, book.at))
        if kind.startswith(ANSWERED):
            book.originals[self._key()] = name
        terms: Any = leaf.get("terms")
        if kind.startswith("relayed.order."):
            terms = msgspec.convert(leaf["terms"], _order_terms(kind))
        if kind == "relayed.finding":
            assert known is not None
            first_hand = leaf["leaf"] == "finding"
            said = leaf if first_hand else leaf["terms"]
            reviews = known.findings[-1].id if first_hand and leaf["review"] and known.findings else None
            terms = {"target": known.id, "verdict": said["verdict"], "reviews": reviews, "first_hand": first_hand}
        if kind == "relayed.annotated":
            assert known is not None
            terms = {"target": known.id, "said": self._said()}
        joins = self._joins()
        if kind == "relayed.outcome":
            self._outcome(known)
        open_message(
            book, id=name, kind=kind, author=self.origin, peer=self.origin,
            status=known.status if known is not None else leaf["status"], incident=None,
            joins=joins.id if joins is not None else None, subject=self._subject(), terms=terms, source=self.source,
            rule=rule, stage=stage, electorate=electors, size=size, need=need, eligible=eligible,
        )

    def _outcome(self, known: Any) -> None:
        """What became of ours there: no longer overdue, and the incident may go up again (spec 11)."""
        state = "refused" if self.leaf["leaf"] == "relayed" else self.leaf["leaf"]
        known.outcome = state
        for one in self.book.sent:
            if one.peer == self.origin and one.message == known.id:
                one.answered = True
        for incident in self.book.incidents:
            if incident.up is not None and incident.up["message"] == known.id:
                incident.up["outcome"] = state
                incident.up["answered"] = self.book.at


def _order_terms(kind: str) -> Any:
    from tocsin.kernel.acts import Order, Revoke

    return Revoke if kind == "relayed.order.revoke" else Order
