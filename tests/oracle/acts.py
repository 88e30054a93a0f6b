"""Step 2: every act, with all the reasons why it may be refused; an empty list is acceptance."""

from dataclasses import replace
from typing import Any

from tests.oracle import law
from tests.oracle.book import DAY, Book, Message, Remark, Vote
from tests.oracle.life import end, send, vacate, void_unfounded
from tests.oracle.relays import relay
from tests.oracle.submit import Context, submit, tomorrow
from tocsin.kernel import acts as wire
from tocsin.kernel.reasons import Reason as R


def perform(book: Book, act: Any, where: Context) -> list[R]:
    """Do one act, or say why not. A refused act changes nothing (spec 14)."""
    if where.root_key and not isinstance(act, wire.Rotate):
        return [R.ROOT_KEY_ONLY_ROTATES]
    match act:
        case wire.Submit():
            return submit(book, act, where)
        case wire.Judge():
            return _judge(book, act, where)
        case wire.VetoAct():
            return _veto(book, act, where)
        case wire.Concur():
            return _concur(book, act, where)
        case wire.Withdraw():
            return _withdraw(book, act, where)
        case wire.Annotate():
            return _annotate(book, act, where)
        case wire.Acknowledge():
            return _acknowledge(book, act, where)
        case wire.Present():
            return _present(book, act, where)
        case wire.RelayAct():
            return relay(book, act, where.author, where.proofs)
        case wire.Rotate():
            return _rotate(book, act, where)
        case wire.Leave():
            return _leave(book, where)
        case wire.Evidence():
            return _evidence(book, act, where)
        case wire.Erase() | wire.ErasedHere():
            return _erase(book, act, where)
        case wire.Join():
            return _join(book, act, where)
        case wire.Ready():
            return _ready(book, act, where)
        case wire.Seal():
            return _seal(book, act, where)
        case _:
            raise AssertionError(act)


# Ballots, vetoes, withdrawals.


def _live(book: Book, name: str) -> tuple[Message | None, list[R]]:
    message = book.message(name)
    if message is None:
        return None, [R.UNKNOWN_MESSAGE]
    if not message.live:
        return None, [R.NOT_OPEN]
    return message, []


def _judge(book: Book, act: wire.Judge, where: Context) -> list[R]:
    message, found = _live(book, act.message)
    if message is None:
        return found
    if where.author not in message.electorate:
        found.append(R.NOT_AN_ELECTOR)
    if any(v.member == where.author for v in message.votes):
        found.append(R.ALREADY_JUDGED)
    if act.verdict == "abstain" and act.code is None:
        found.append(R.CODE_REQUIRED)
    if act.verdict != "abstain" and act.code is not None:
        found.append(R.CODE_NOT_ALLOWED)
    if act.data_through is not None and act.data_through > tomorrow(book):
        found.append(R.DATA_FROM_FUTURE)
    if not found:
        message.votes.append(
            Vote(where.author, act.verdict, act.code, book.at, book.height, book.epoch, where.digest)
        )
        book.touched.add(message.number)
    return found


def _stopper(book: Book, message: Message, author: str) -> list[R]:
    found: list[R] = []
    if author not in message.eligible:
        found.append(R.NOT_ELIGIBLE_TO_VETO)
    if law.lead_now(book, message, author):
        found.append(R.LEAD_DOES_NOT_VETO)
    if author in message.concurred:
        found.append(R.ALREADY_CONCURRED)
    return found


def _veto(book: Book, act: wire.VetoAct, where: Context) -> list[R]:
    message, found = _live(book, act.message)
    if message is None:
        return found
    found += _stopper(book, message, where.author)
    if act.code not in message.charter.codes.veto:
        found.append(R.CODE_NOT_ALLOWED)
    if not found:
        end(book, message, "vetoed", where.author, act.code)
    return found


def _concur(book: Book, act: wire.Concur, where: Context) -> list[R]:
    message, found = _live(book, act.message)
    if message is None:
        return found
    found += _stopper(book, message, where.author)
    if not found:
        message.concurred.append(where.author)
        book.touched.add(message.number)
    return found


def _withdraw(book: Book, act: wire.Withdraw, where: Context) -> list[R]:
    message, found = _live(book, act.message)
    if message is None:
        return found
    if message.author != where.author or message.peer is not None:
        found.append(R.NOT_THE_AUTHOR)
    if message.state != "open":
        found.append(R.NOT_OPEN)
    if not found:
        end(book, message, "withdrawn")
    return found


def _annotate(book: Book, act: wire.Annotate, where: Context) -> list[R]:
    message = book.message(act.message)
    if message is None:
        return [R.UNKNOWN_MESSAGE]
    found: list[R] = []
    if not message.live and message.state != "recorded":
        found.append(R.NOT_ANNOTATABLE)
    if act.note in ("update", "correct", "retract") and (message.author != where.author or message.peer is not None):
        found.append(R.NOT_THE_AUTHOR)
    endorsed = [v.member for v in message.votes if v.verdict == "endorse"]
    if act.note == "recant" and where.author not in endorsed:
        found.append(R.NOT_AN_ENDORSER)
    if act.note == "object" and "supervisor" not in book.members[where.author].roles:
        found.append(R.NOT_A_SUPERVISOR)
    once = act.note in ("retract", "recant", "object")
    if once and any(r.note == act.note and r.by == where.author for r in message.remarks):
        found.append(R.ALREADY_ANNOTATED)
    if not found:
        message.remarks.append(Remark(act.note, where.author, book.at, book.height))
        leaf = book.emit("annotated", id=message.id, note=act.note, by=where.author, body=act.body, at=book.at, to=[])
        leaf["to"] = send(book, message, message.sent_to(), wait=False)
    return found


# Orders.


def _acknowledge(book: Book, act: wire.Acknowledge, where: Context) -> list[R]:
    order = book.order(act.order)
    if order is None:
        return [R.UNKNOWN_MESSAGE, R.ORDER_OVER]
    found: list[R] = []
    if not book.running(order):
        return [R.UNKNOWN_MESSAGE, R.ORDER_OVER]
    if where.author not in order.to:
        found.append(R.NOT_AN_ADDRESSEE)
    if where.author in order.answers or (act.answer == "received" and where.author in order.received):
        found.append(R.ALREADY_ANSWERED)
    if act.answer == "cannot":
        if act.code is None:
            found.append(R.CODE_REQUIRED)
        elif act.code not in book.charter.codes.cannot:
            found.append(R.CODE_NOT_ALLOWED)
    elif act.code is not None:
        found.append(R.CODE_NOT_ALLOWED)
    if found:
        return found
    order.received.setdefault(where.author, book.at)
    if act.answer != "received":
        order.answers[where.author] = (act.answer, act.code, book.at)
        if all(name in order.answers for name in order.to):
            order.complete = True
            receipts(book, order.id, "complete")
    return []


def receipts(book: Book, name: str, cause: str) -> None:
    order = book.order(name)
    assert order is not None
    answers = []
    for one in order.to:
        answer, code, at = order.answers.get(one, (None, None, None))
        moment = at if at is not None else order.received.get(one)
        late = moment is not None and moment >= order.due
        answers.append([one, order.received.get(one), answer, code, late])
    leaf = book.emit("order_receipts", order=order.id, cause=cause, at=book.at, answers=answers, to=[])
    message = book.message(name)
    assert message is not None
    if message.peer is not None:
        leaf["to"] = send(book, message, [message.peer], wait=False)


# The rest.


def _present(book: Book, act: wire.Present, where: Context) -> list[R]:
    found: list[R] = []
    if act.through > tomorrow(book):
        found.append(R.DATA_FROM_FUTURE)
    if act.through < book.through.get(where.author, -(10**9)):
        found.append(R.THROUGH_GOES_BACK)
    if not found:
        book.through[where.author] = act.through
    return found


def _rotate(book: Book, act: wire.Rotate, where: Context) -> list[R]:
    found: list[R] = []
    if not where.root_key:
        found += [R.NOT_AUTHORS_KEY, R.ROOT_KEY_ONLY_ROTATES, R.NOT_THE_AUTHOR]
    if act.key in book.used_keys or any(one.key == act.key for _, one in book.leaving if isinstance(one, wire.Rotate)):
        found.append(R.KEY_USED)
    if not where.proofs:
        found.append(R.BAD_PROOF_OF_POSSESSION)
    if act.which == "validator" and book.members[where.author].keys.validator is None:
        found.append(R.NOT_APPLICABLE)
    if act.which in ("finality", "validator") and book.handovers and book.next_members[where.author].signs:
        found.append(R.UNSEALED)
    if not found:
        book.leaving.append((where.author, act))
    return found


def _leave(book: Book, where: Context) -> list[R]:
    if any(name == where.author and isinstance(one, wire.Leave) for name, one in book.leaving):
        return [R.DUPLICATE_IN_BLOCK]
    found: list[R] = []
    if not book.signs_without(where.author):
        found.append(R.LAST_SIGNER)
    if book.handovers and book.next_members[where.author].signs:
        found.append(R.UNSEALED)
    if not found:
        book.leaving.append((where.author, wire.Leave()))
    return found


def _join(book: Book, act: wire.Join, where: Context) -> list[R]:
    found: list[R] = []
    member = book.next_members[where.author]
    if member.status != "active":
        found.append(R.AUTHOR_NOT_ACTIVE)
    if member.joined or any(name == where.author and isinstance(one, wire.Join) for name, one in book.leaving):
        found.append(R.ALREADY_JOINED)
    if act.height > book.made or act.height < book.made - 100:
        found.append(R.NOT_AT_HEAD)
    if book.handovers:
        found.append(R.UNSEALED)
    if not found:
        book.leaving.append((where.author, act))
    return found


def _ready(book: Book, act: wire.Ready, where: Context) -> list[R]:
    if book.upgrade is None or book.upgrade[0] != act.protocol:
        return [R.NO_SUCH_UPGRADE]
    if where.author in book.upgrade[1]:
        return [R.ALREADY_READY]
    book.upgrade[1].add(where.author)
    return []


def _seal(book: Book, act: wire.Seal, where: Context) -> list[R]:
    """A final checkpoint of the signers of before, at the end of the block that changed them (spec 11.4)."""
    head, _, signatures = act.checkpoint.partition("\n\n")
    told = head.split("\n")
    if len(told) != 3 or told[0] != book.origin or not where.proofs:
        return [R.NOT_A_SEAL]
    waiting = [one for one in book.handovers if one.index + 2 == int(told[1])]
    if not waiting:
        return [R.NOT_A_SEAL]
    names = [line.split(" ")[1] for line in signatures.splitlines()]
    signed = [name for name, _ in waiting[0].signers if f"{book.origin}/{name}" in names]
    n = len(waiting[0].signers)
    if book.origin not in names or len(signed) < (n + (n - 1) // 3) // 2 + 1:
        return [R.NOT_A_SEAL]
    book.handed_over(waiting[0])
    return []


def _evidence(book: Book, act: wire.Evidence, where: Context) -> list[R]:
    """Two heads of one log that contradict each other, and who signed both (spec 8.6, 11.4)."""
    own = act.origin == book.origin
    if not own and act.origin not in book.peers:
        return [R.UNKNOWN_PEER, R.NOT_EVIDENCE]
    heads = frozenset(text.partition("\n\n")[0] for text in (act.first, act.second))
    if not where.proofs or len(heads) < 2:
        return [R.NOT_EVIDENCE]
    # Of our own, every key that a member ever had.
    owners = [(name, key) for key, name in book.owners_before.items() if name]
    signers = owners if own else book.pins_before[act.origin].signers()
    first, second = (law.cosigned(text, act.origin, signers) for text in (act.first, act.second))
    shown = book.evidence.get((act.origin, heads), set())
    new = sorted(first & second - shown)
    enough = min(len(first), len(second)) >= law.finality(len(signers))
    frozen = not own and enough and book.peers[act.origin].state != "frozen" and "frozen" not in shown
    if not first & second:
        return [R.NOT_EVIDENCE]
    if not new and not frozen:
        return [R.PROVES_NOTHING_NEW]
    book.evidence[act.origin, heads] = shown | set(new) | ({"frozen"} if frozen else set())
    out: list[str] = []
    if own:
        for name in sorted({name for name, key in signers if key in (new or first & second)}):
            book.stains.append((name, "evidence", "", "", True))
            out += _suspend_for_evidence(book, name)
    book.emit("evidence", origin=act.origin, by=where.author, suspended=out, frozen=frozen, at=book.at)
    if frozen:
        for version in (book.peers, book.next_peers):
            if act.origin in version:
                version[act.origin].state = "frozen"
        state = "frozen" if act.origin in book.next_peers else "removed"
        book.peer_leaves.append({"leaf": "peer", "origin": act.origin, "state": state, "at": book.at})
    if out:
        void_unfounded(book)
    return []


def _suspend_for_evidence(book: Book, name: str) -> list[str]:
    """At most f a day, by the signers of the block's start, and nothing that breaks an invariant (spec 8.6)."""
    member, duration = book.next_members[name], book.charter.times.evidence_s * 1000
    today = [at for at in book.caught if at > book.at - DAY]
    if not duration or member.status != "active" or not book.signs_without(name):
        return []
    if len(today) >= law.tolerated(len(book.signers(book.members))):
        return []
    before = law.failures(book.next_charter, book.next_members, book.next_peers)
    kept = replace(member)
    member.status, member.until, member.joined = "suspended", book.at + duration, False
    if law.worse(before, law.failures(book.next_charter, book.next_members, book.next_peers)):
        book.next_members[name] = kept
        return []
    member.number = book.take_number()
    book.caught.append(book.at)
    book.roster_changed = True
    vacate(book, None)
    return [name]


def _erase(book: Book, act: Any, where: Context) -> list[R]:
    message = book.message(act.message)
    if message is None:
        return [R.UNKNOWN_MESSAGE]
    asked = isinstance(act, wire.Erase)
    if asked and message.author != where.author and "supervisor" not in book.members[where.author].roles:
        return [R.NOT_THE_AUTHOR, R.NOT_A_SUPERVISOR]
    book.emit("erased", id=message.id, what="asked" if asked else "attested", by=where.author, at=book.at)
    return []
