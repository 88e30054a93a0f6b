"""The naive oracle: one network, its whole history in memory, every question answered by a scan."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tests.oracle import law, motions
from tests.oracle.acts import perform, receipts
from tests.oracle.book import WEEK, Book, Handover, Message, Pin
from tests.oracle.life import incident_leaf, record, tally, vacate, void_unfounded
from tests.oracle.submit import Context
from tocsin.kernel.acts import Join, Leave, Rotate
from tocsin.kernel.envelope import Envelope
from tocsin.kernel.reasons import Reason as R

LATE = 120_000
HOUR = 3_600_000


@dataclass
class OracleOutcome:
    """What the oracle says of a block. `receipts`: per consumed envelope and act every reason that
    applies, empty where it is accepted; `dropped`: (position, reasons)."""

    receipts: list[list[list[R]]] = field(default_factory=list)
    dropped: list[tuple[int, list[R]]] = field(default_factory=list)
    leaves: list[dict[str, Any]] = field(default_factory=list)
    changed: bool = False


class Oracle(Book):
    """`Oracle(genesis)`, then `block(...)` for each block."""

    def block(self, at: int, envelopes: Sequence[Envelope], verdicts: Sequence[tuple[bool, bool]]) -> OracleOutcome:
        """`verdicts`: of each envelope's signature, and of all proofs within it."""
        self._begin(at)
        outcome = OracleOutcome()
        reached = self._deadlines()
        for position, (envelope, (signed, proofs)) in enumerate(zip(envelopes, verdicts, strict=True)):
            refused = self._admission(envelope, signed)
            if refused:
                outcome.dropped.append((position, refused))
            else:
                outcome.receipts.append(self._consume(envelope, proofs))
        for message in sorted(self.messages, key=lambda m: m.number):
            if message.number in self.touched:
                tally(self, message)
        self._close(len(outcome.receipts))
        outcome.changed = reached or bool(outcome.receipts)
        outcome.leaves = self.leaves if outcome.changed else []
        self.size += len(outcome.leaves)
        self.made += outcome.changed
        return outcome

    def _begin(self, at: int) -> None:
        self.at = max(self.at, at)
        self.height += 1
        self.leaves, self.peer_leaves, self.leaving = [], [], []
        self.touched = set()
        self.roster_changed = False
        self.next_charter = self.charter
        self.next_members = deepcopy(self.members)
        self.next_peers = deepcopy(self.peers)
        self.pins_before = deepcopy(self.pins)
        self.owners_before = dict(self.owners)

    # Step 1 (spec 4.1).

    def deadlines(self) -> list[tuple[int, int, int, str, Any]]:
        """All that lie ahead: (deadline, opening order, order among those of one thing, what, thing)."""
        found: list[tuple[int, int, int, str, Any]] = []
        for m in self.messages:
            if m.state == "open" and m.notice is not None and not m.noticed:
                found.append((m.notice, m.number, 0, "notice", m))
            if m.state == "open" and m.vote_ends is not None:
                found.append((m.vote_ends, m.number, 1, "vote", m))
            if m.state == "endorsed" and m.veto_ends is not None:
                found.append((m.veto_ends, m.number, 2, "veto", m))
        for order in self.orders:
            if not order.over:
                if not order.due_done and not order.complete:
                    found.append((order.due, order.number, 3, "due", order))
                found.append((order.expires, order.number, 4, "expires", order))
        for i in self.incidents:
            if not i.closed and i.stage in self.charter.stages.quiet:
                found.append((i.last_record + self.charter.times.quiet_s * 1000, i.number, 5, "quiet", i))
            if not i.closed and i.lead_until is not None:
                found.append((i.lead_until, i.term, 6, "term", i))
        for member in self.next_members.values():
            if member.status == "suspended" and member.until is not None:
                found.append((member.until, member.number, 7, "suspension", member))
        for sent in self.sent:
            if not sent.answered and not sent.overdue:
                found.append((sent.due, sent.order, 8, "overdue", sent))
        found += [(one.until, one.number, 9, "handover", one) for one in self.handovers]
        return found

    def _due(self) -> list[tuple[int, int, int, str, Any]]:
        """Those reached, in their order (spec 4.1, spec F3)."""
        return sorted((one for one in self.deadlines() if one[0] <= self.at), key=lambda one: one[:3])

    def _deadlines(self) -> bool:
        reached = False
        while due := self._due():
            reached = True
            deadline, _, _, what, thing = due[0]
            self._reach(deadline, what, thing)
        return reached

    def _reach(self, deadline: int, what: str, thing: Any) -> None:
        if what == "notice":
            thing.noticed = True
            tally(self, thing)
        elif what in ("vote", "veto"):
            if not self._moved(deadline, what, thing):
                if what == "vote":
                    tally(self, thing, at_deadline=True)
                else:
                    record(self, thing)
        elif what == "due":
            thing.due_done = True
            if thing.expires != thing.due:
                receipts(self, thing.id, "due")
        elif what == "expires":
            thing.over = True
            if not thing.complete:
                receipts(self, thing.id, "expires")
            void_unfounded(self)
        elif what == "quiet":
            motions.close(thing, None)
            incident_leaf(self, thing, "closed", None)
            void_unfounded(self)
        elif what == "term":
            thing.lead, thing.lead_until = None, None
            incident_leaf(self, thing, "lead", None)
            void_unfounded(self)
        elif what == "handover":
            self.handed_over(thing)
        elif what == "suspension":
            thing.status, thing.until = "active", None
            self.awake.append((self.moment(), thing.id, self.at))
            self.roster_changed = True
            void_unfounded(self)
        else:
            thing.overdue = True
            self.emit("overdue", peer=thing.peer, number=thing.number, message=thing.message, at=self.at)

    def _moved(self, deadline: int, what: str, message: Message) -> bool:
        """An outage moves a vote or veto deadline, once (spec 4, spec F4)."""
        late = self.at - deadline
        if late <= LATE or (message.vote_moved if what == "vote" else message.veto_moved):
            return False
        window = message.rule.window_s
        if what == "veto":
            assert message.rule.veto is not None
            window = message.rule.veto.window_s
        moved = self.at + min(window * 1000, max(self.charter.times.grace_s * 1000, late))
        if what == "vote":
            message.vote_ends, message.vote_moved = moved, True
        else:
            message.veto_ends, message.veto_moved = moved, True
        return True

    # Step 2 (spec 3, spec 4.2).

    def _admission(self, envelope: Envelope, signed: bool) -> list[R]:
        """Why an envelope may not be in a block: every reason that applies (spec 3.1)."""
        header = envelope.header
        if header.genesis != self.genesis:
            return [R.OTHER_GENESIS]
        member = self.members.get(header.author)
        if member is None:
            return [R.UNKNOWN_AUTHOR]
        found: list[R] = []
        if member.status != "active":
            found.append(R.AUTHOR_NOT_ACTIVE)
        if envelope.key not in (member.keys.act, member.keys.root):
            found.append(R.NOT_AUTHORS_KEY)
        if not signed:
            found.append(R.BAD_SIGNATURE)
        if envelope.key == member.keys.root and not all(isinstance(act, Rotate) for act in envelope.acts):
            found.append(R.ROOT_KEY_ONLY_ROTATES)
        if header.valid_until <= self.at:
            found.append(R.EXPIRED)
        if header.valid_until > self.at + HOUR:
            found.append(R.TOO_FAR_AHEAD)
        if envelope.digest in self.seen:
            found.append(R.SEEN_BEFORE)
        if self.quota(header.author) < 1:
            found.append(R.QUOTA)
        return found

    def _consume(self, envelope: Envelope, proofs: bool) -> list[list[R]]:
        author = envelope.header.author
        self.seen.append(envelope.digest)
        self.spent[author].append(self.envelope_drop(-1))
        root = envelope.key == self.members[author].keys.root
        result = []
        for index, act in enumerate(envelope.acts):
            where = Context(author, envelope.digest, index, envelope.act_digests[index], root, proofs)
            before = len(self.messages)
            reasons = perform(self, act, where)
            if not reasons:
                self.awake.append((self.moment(), author, self.at))
                self.touched.update(m.number for m in self.messages[before:])
            result.append(reasons)
        return result

    # Steps 4 and 5 (spec 4.4, spec F1).

    def _close(self, envelopes: int) -> None:
        for name, act in self.leaving:
            member = self.next_members[name]
            self.roster_changed = True
            if isinstance(act, Leave):
                member.status, member.until, member.joined = "left", None, False
            elif isinstance(act, Join):
                rekeyed = [m.terms.member for m in self.messages if m.motion == "rekey" and m.state == "recorded"
                           and m.decided_block == self.height]  # fmt: skip
                member.joined = member.status == "active" and name not in rekeyed
            else:
                member.keys = replace(member.keys, **{act.which: act.key})
                self.owners[act.key] = name
            vacate(self, None)
            void_unfounded(self)
        number = self.protocol
        self._upgrade()
        last = {leaf["origin"]: leaf for leaf in self.peer_leaves}
        self.leaves.extend(last[origin] for origin in sorted(last))
        if self.next_charter.digest != self.charter.digest:
            self.emit("charter", digest=self.next_charter.digest, at=self.at)
        before, after = self.signers(self.members), self.signers(self.next_members)
        if self.roster_changed and self.next_members != self.members:
            self.epoch += 1
            members = [
                [m.id, m.entity, list(m.roles), m.status, m.until, m.joined, m.keys.act, m.keys.root]
                for _, m in sorted(self.next_members.items())
            ]
            self.emit("roster", epoch=self.epoch, at=self.at, members=members)
            if before and before != after:
                index = self.size + len(self.leaves) - 1
                self.handovers.append(Handover(index, before, self.at + WEEK, self.take_number()))
        self._pin()
        self.charter, self.members, self.peers = self.next_charter, self.next_members, self.next_peers
        self.emit("block", at=self.at, epoch=self.epoch, envelopes=envelopes, protocol=number)

    def _pin(self) -> None:
        """Entries that motions brought are current from now on, with their pins, whatever this block's relays
        followed under the entries of before (spec 4.4)."""
        for origin, peer in self.next_peers.items():
            before = self.peers.get(origin)
            if before is None or peer.brought != before.brought:
                entry = peer.entry
                self.known.append((origin, entry.genesis))
                self.pins[origin] = Pin(entry.size, entry.root, entry.epoch, list(entry.roster))

    def _upgrade(self) -> None:
        """In force from the next block on, once more than two thirds of the signers are ready (spec 8.5)."""
        if self.upgrade is None:
            return
        signers = [name for name, _ in self.signers(self.next_members)]
        if 3 * len([one for one in signers if one in self.upgrade[1]]) > 2 * len(signers):
            self.protocol, self.upgrade = self.upgrade[0], None
            void_unfounded(self)

    def problems(self) -> dict[str, int]:
        """Invariants that fail now, with how much (spec 6.6)."""
        return {k: v for k, v in law.failures(self.charter, self.members, self.peers).items() if v}
