"""Wrong siblings: an act that would be accepted, with one thing about it changed, and what it must meet.

A sibling is only as good as its right act: that the right one is accepted beside it shows that the change alone made
the difference. Where a change breaks more than one rule, each of them may be named.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from tests.kernel.networks import hexes, seal
from tests.oracle import law
from tests.oracle.beside import Sealed
from tests.oracle.book import ABOUT_INCIDENT, DAY, Message
from tests.oracle.oracle import Oracle
from tocsin.kernel import acts as wire
from tocsin.kernel.reasons import Reason as R

HOUR = 3_600_000
NOWHERE = hexes("of nothing here")
CAPS = (R.TOO_MANY_OPEN, R.TOO_MANY_MOTIONS, R.TOO_MANY_REPORTS, R.NO_TOKEN, R.CANNOT_PASS)
"""What another author may meet instead, who has troubles of its own."""
NOTHING_NEW = (R.BAD_CONSISTENCY, R.WRONG_NUMBER, R.NOTHING_TO_RELAY, R.NOT_FINAL_CHECKPOINT, R.BAD_ROSTER)


class Sibling(NamedTuple):
    """`after`: it stands behind the right one, and is wrong because that came before."""

    name: str
    sealed: Sealed
    met: tuple[R, ...]
    after: bool = False


class Change(NamedTuple):
    """What is different: another act, author, or verdict on the proofs."""

    name: str
    met: tuple[R, ...]
    act: wire.Act | None = None
    author: str | None = None
    proofs: bool = True
    after: bool = False
    act_key: bool = False


class Right(NamedTuple):
    """An act as its author would do it, and the block that it is for."""

    book: Oracle
    at: int
    author: str
    act: Any
    key: str

    def seal(self) -> Sealed:
        return seal(self.book.genesis, self.author, [self.act], self.at + 600_000, self.key)


def of_act(right: Right) -> list[Sibling]:
    """Whose act is wrong, its author, or that it comes again."""
    return [_made(right, change) for change in _changes(right)]


def _made(right: Right, change: Change) -> Sibling:
    book, author = right.book, change.author or right.author
    key = right.key if change.author is None and not change.act_key else book.members[author].keys.act
    act = right.act if change.act is None else change.act
    until = right.at + (600_002 if change.after else 600_001)  # so that the same act is in another envelope
    sealed = seal(book.genesis, author, [act], until, key, True, change.proofs)
    return Sibling(change.name, sealed, change.met, change.after)


def of_envelope(right: Right) -> Iterator[Sibling]:
    """Whose envelope is kept out of the block (spec 3.1)."""
    book, at, acts, key, until = right.book, right.at, [right.act], right.key, right.at + 600_000
    name, ours = right.author, book.genesis
    yield Sibling("of another network", seal(hexes("elsewhere"), name, acts, until, key), (R.OTHER_GENESIS,))
    yield Sibling("of a stranger", seal(ours, "nobody", acts, until, key), (R.UNKNOWN_AUTHOR,))
    yield Sibling("under another key", seal(ours, name, acts, until, hexes("another key")), (R.NOT_AUTHORS_KEY,))
    yield Sibling("not signed", seal(ours, name, acts, until, key, signed=False), (R.BAD_SIGNATURE,))
    yield Sibling("expired", seal(ours, name, acts, at, key), (R.EXPIRED,))
    yield Sibling("too far ahead", seal(ours, name, acts, at + HOUR + 1, key), (R.TOO_FAR_AHEAD,))
    yield Sibling("twice", right.seal(), (R.SEEN_BEFORE, R.QUOTA), after=True)
    if not isinstance(right.act, wire.Rotate):
        root = book.members[name].keys.root
        yield Sibling("under the root key", seal(ours, name, acts, until, root), (R.ROOT_KEY_ONLY_ROTATES,))
    for other, member in sorted(book.members.items()):
        if member.status != "active":
            made = seal(ours, other, acts, until, member.keys.act)
            yield Sibling(f"by one {member.status}", made, (R.AUTHOR_NOT_ACTIVE,))


# By the sort of act.


def _changes(right: Right) -> Iterator[Change]:
    makers: dict[type, Callable[[Right], Iterator[Change]]] = {
        wire.Submit: _submit, wire.Judge: _judge, wire.VetoAct: _veto, wire.Concur: _concur, wire.Withdraw: _withdraw,
        wire.Annotate: _annotate, wire.Acknowledge: _acknowledge, wire.Present: _present, wire.RelayAct: _relay,
        wire.Rotate: _rotate, wire.Leave: _leave, wire.Join: _join, wire.Ready: _ready, wire.Seal: _seal,
        wire.Evidence: _evidence, wire.Erase: _erase, wire.ErasedHere: _erase,
    }  # fmt: skip
    return makers[type(right.act)](right)


def _others(right: Right, but: Sequence[str] = ()) -> list[str]:
    """Active members apart from the author and some more."""
    book = right.book
    return [name for name in sorted(book.members) if book.active(name) and name != right.author and name not in but]


def _other(right: Right, met: R, but: Sequence[str] = (), more: tuple[R, ...] = ()) -> Iterator[Change]:
    """The same act by the first member that may not do it."""
    for name in _others(right, but)[:1]:
        yield Change("by another", (met, *more), author=name)


def _first(right: Right, fits: Callable[[Message], bool]) -> list[Message]:
    return [m for m in right.book.messages if fits(m)][-1:]


def _of_messages(right: Right, *also: R) -> Iterator[Change]:
    """Of a message that there is not, and of one that is final."""
    yield Change("of no message", (R.UNKNOWN_MESSAGE,), replace(right.act, message=NOWHERE))
    for one in _first(right, lambda m: not m.live):
        yield Change("of a final message", (R.NOT_OPEN, *also), replace(right.act, message=one.id))


def _judge(right: Right) -> Iterator[Change]:
    act = right.act
    message = right.book.message(act.message)
    assert message is not None
    yield from _of_messages(right)
    yield from _other(right, R.NOT_AN_ELECTOR, message.electorate)
    coded = replace(act, code=None if act.verdict == "abstain" else "other")
    yield Change("with or without a code", (R.CODE_REQUIRED, R.CODE_NOT_ALLOWED), coded)
    yield Change("from the future", (R.DATA_FROM_FUTURE,), replace(act, data_through=right.at // DAY + 2))
    yield Change("a second ballot", (R.ALREADY_JUDGED,), replace(act, verdict="reject", code=None), after=True)


def _stops(right: Right) -> Iterator[Change]:
    message = right.book.message(right.act.message)
    assert message is not None
    yield from _of_messages(right)
    yield from _other(right, R.NOT_ELIGIBLE_TO_VETO, message.eligible)
    leads = [name for name in message.eligible if law.lead_now(right.book, message, name) and right.book.active(name)]
    for name in leads[:1]:
        yield Change("by the lead", (R.LEAD_DOES_NOT_VETO,), author=name)
    done = [name for name in message.concurred if right.book.active(name)]
    for name in done[:1]:
        yield Change("by one that concurred", (R.ALREADY_CONCURRED,), author=name)


def _veto(right: Right) -> Iterator[Change]:
    yield from _stops(right)
    message = right.book.message(right.act.message)
    assert message is not None
    if message.charter.codes.veto:
        yield Change("with a code of nobody's", (R.CODE_NOT_ALLOWED,), replace(right.act, code="no-code"))
    yield Change("again", (R.NOT_OPEN,), after=True)


def _concur(right: Right) -> Iterator[Change]:
    yield from _stops(right)
    yield Change("again", (R.ALREADY_CONCURRED,), after=True)


def _withdraw(right: Right) -> Iterator[Change]:
    yield from _of_messages(right, R.NOT_THE_AUTHOR)
    yield from _other(right, R.NOT_THE_AUTHOR)
    yield Change("again", (R.NOT_OPEN,), after=True)


def _annotate(right: Right) -> Iterator[Change]:
    act, book = right.act, right.book
    message = book.message(act.message)
    assert message is not None
    yield Change("of no message", (R.UNKNOWN_MESSAGE,), replace(act, message=NOWHERE))
    for one in _first(right, lambda m: not m.live and m.state != "recorded"):
        met = (R.NOT_ANNOTATABLE, R.NOT_THE_AUTHOR, R.NOT_AN_ENDORSER)
        yield Change("of one that did not pass", met, replace(act, message=one.id))
    if act.note == "recant":
        endorsers = [v.member for v in message.votes if v.verdict == "endorse"]
        yield from _other(right, R.NOT_AN_ENDORSER, endorsers)
    elif act.note == "object":
        supervisors = [name for name, one in book.members.items() if "supervisor" in one.roles]
        yield from _other(right, R.NOT_A_SUPERVISOR, supervisors)
    else:
        yield from _other(right, R.NOT_THE_AUTHOR)
    if act.note in ("retract", "recant", "object"):
        yield Change("again", (R.ALREADY_ANNOTATED,), after=True)


def _acknowledge(right: Right) -> Iterator[Change]:
    act, book = right.act, right.book
    order = book.order(act.order)
    assert order is not None
    yield Change("of no order", (R.UNKNOWN_MESSAGE,), replace(act, order=NOWHERE))
    over = [one for one in book.orders if not book.running(one)]
    for one in over[-1:]:
        yield Change("of an order that is over", (R.ORDER_OVER,), replace(act, order=one.id))
    yield from _other(right, R.NOT_AN_ADDRESSEE, order.to)
    if act.answer == "cannot":
        yield Change("without a code", (R.CODE_REQUIRED,), replace(act, code=None))
        if book.charter.codes.cannot:
            yield Change("with a code of nobody's", (R.CODE_NOT_ALLOWED,), replace(act, code="no-code"))
    else:
        yield Change("with a code", (R.CODE_NOT_ALLOWED,), replace(act, code="other"))
    yield Change("again", (R.ALREADY_ANSWERED,), after=True)


def _present(right: Right) -> Iterator[Change]:
    act = right.act
    yield Change("from the future", (R.DATA_FROM_FUTURE,), replace(act, through=right.at // DAY + 2))
    yield Change("an earlier day", (R.THROUGH_GOES_BACK,), replace(act, through=act.through - 1), after=True)


def _relay(right: Right) -> Iterator[Change]:
    act = right.act
    yield Change("of nobody we know", (R.UNKNOWN_PEER,), replace(act, peer="nowhere.example"))
    yield Change("with a bad signature", (R.BAD_CHECKPOINT,), proofs=False)
    head, _, lines = act.checkpoint.partition("\n\n")
    kept = "\n".join(lines.splitlines()[:-1]) + "\n"
    yield Change("with a line too few", (R.NOT_FINAL_CHECKPOINT,), replace(act, checkpoint=f"{head}\n\n{kept}"))
    if act.leaves:
        moved = replace(act.leaves[0], index=act.leaves[0].index + 1)
        yield Change("a leaf at another place", (R.BAD_INCLUSION,), replace(act, leaves=[moved, *act.leaves[1:]]))
        said = replace(act.leaves[0], leaf=act.leaves[0].leaf.replace('"at":', '"at":1'))
        yield Change("a leaf that says more", (R.BAD_INCLUSION,), replace(act, leaves=[said, *act.leaves[1:]]))
    if len(act.leaves) > 1:
        yield Change("with a gap", (R.WRONG_NUMBER,), replace(act, leaves=act.leaves[1:]))
        yield Change("backwards", (R.WRONG_NUMBER,), replace(act, leaves=act.leaves[::-1]))
    proof = [*act.consistency, act.consistency[0]] if act.consistency else [NOTE]
    yield Change("that extends nothing", (R.BAD_CONSISTENCY,), replace(act, consistency=proof))
    yield Change("again", NOTHING_NEW, after=True)


NOTE = "VXgY8jzrKDzig5jLs35JA39hPA+EmUlZijT2SN2NmHU="
"""A hash that stands nowhere."""


def _rotate(right: Right) -> Iterator[Change]:
    used = sorted(right.book.used_keys)[0]
    yield Change("to a used key", (R.KEY_USED,), replace(right.act, key=used))
    yield Change("without its proof", (R.BAD_PROOF_OF_POSSESSION,), proofs=False)
    yield Change("under the act key", (R.NOT_AUTHORS_KEY, R.ROOT_KEY_ONLY_ROTATES, R.NOT_THE_AUTHOR), act_key=True)
    yield Change("again", (R.KEY_USED,), after=True)


def _leave(right: Right) -> Iterator[Change]:
    yield Change("again", (R.DUPLICATE_IN_BLOCK,), after=True)


def _join(right: Right) -> Iterator[Change]:
    made = right.book.made
    yield Change("ahead of the head", (R.NOT_AT_HEAD,), wire.Join(made + 1))
    if made > 100:
        yield Change("far behind", (R.NOT_AT_HEAD,), wire.Join(made - 101))
    yield Change("again", (R.ALREADY_JOINED,), after=True)


def _ready(right: Right) -> Iterator[Change]:
    yield Change("for another number", (R.NO_SUCH_UPGRADE,), wire.Ready(right.act.protocol + 1))
    yield Change("again", (R.ALREADY_READY,), after=True)


def _seal(right: Right) -> Iterator[Change]:
    text = right.act.checkpoint
    yield Change("with a bad signature", (R.NOT_A_SEAL,), proofs=False)
    size = text.split("\n")[1]
    yield Change("of another size", (R.NOT_A_SEAL,), wire.Seal(text.replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1)))
    yield Change("again", (R.NOT_A_SEAL,), after=True)


def _evidence(right: Right) -> Iterator[Change]:
    act = right.act
    yield Change("of one and the same", (R.NOT_EVIDENCE,), replace(act, second=act.first))
    yield Change("with bad signatures", (R.NOT_EVIDENCE,), proofs=False)
    yield Change("of nobody we know", (R.NOT_EVIDENCE, R.UNKNOWN_PEER), replace(act, origin="nowhere.example"))
    yield Change("again", (R.PROVES_NOTHING_NEW,), after=True)


def _erase(right: Right) -> Iterator[Change]:
    book = right.book
    yield Change("of no message", (R.UNKNOWN_MESSAGE,), replace(right.act, message=NOWHERE))
    if isinstance(right.act, wire.Erase):
        supervisors = [name for name, one in book.members.items() if "supervisor" in one.roles]
        message = book.message(right.act.message)
        assert message is not None
        yield from _other(right, R.NOT_THE_AUTHOR, [*supervisors, message.author])


# Submissions, by kind.


def _submit(right: Right) -> Iterator[Change]:
    act, kind = right.act, right.act.kind
    yield Change("of no kind", (R.UNKNOWN_KIND,), replace(act, kind="rumour.x"))
    yield Change("of a relayed kind", (R.RELAYED_KIND,), replace(act, kind=f"relayed.{kind}"))
    if kind.startswith("report."):
        yield from _report(right)
        return
    subject = wire.Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], None, 0, 0, "actual")
    yield Change("with a subject", (R.SUBJECT_NOT_ALLOWED,), replace(act, subject=subject))
    yield Change("without its terms", (R.TERMS_MISMATCH,), replace(act, terms=None))
    if kind.startswith("motion."):
        yield from _motion(right, kind.removeprefix("motion."))
    elif kind.startswith("order."):
        yield from _order(right)
    elif kind.startswith("finding"):
        yield from _finding(right)
    else:
        yield from _share(right)


def _not_issuers(right: Right) -> Iterator[Change]:
    """By an active member with none of the rule's roles."""
    book, act = right.book, right.act
    incident = book.end_of(act.incident) if act.incident not in (None, "new") else None
    target = book.message(act.terms.target) if isinstance(act.terms, wire.Finding | wire.Review) else None
    if act.subject is not None and act.incident is None:
        key = law.key_of(book.charter, act.subject, None)
        live = [i for i in book.incidents if not i.closed and i.status == act.subject.status and i.key == key]
        incident = min(live, key=lambda i: i.number) if live else None
    about = book.incident_of(target) if target is not None else incident
    stage = about.stage if about is not None and not about.closed else "none"
    rule = law.match(book.charter, act.kind, stage)
    roles = list(rule.issuers) if rule is not None else ["member"]
    may = [name for name, one in book.members.items() if book.holds(one, roles, about, target)]
    yield from _other(right, R.NOT_AN_ISSUER, may)


def _report(right: Right) -> Iterator[Change]:
    act, book, today = right.act, right.book, right.at // DAY
    subject = act.subject

    def told(**changed: Any) -> wire.Submit:
        return replace(act, subject=replace(subject, **changed))

    yield from _not_issuers(right)
    yield Change("without a subject", (R.SUBJECT_MISSING,), replace(act, subject=None))
    yield Change("with terms", (R.TERMS_MISMATCH,), replace(act, terms=wire.StageMotion("watch", "alert")))
    onset = told(onset_day=subject.detected_day + 1)
    yield Change("begun after it was seen", (R.ONSET_AFTER_DETECTION,), onset)
    yield Change("seen tomorrow's tomorrow", (R.DETECTED_IN_FUTURE,), told(detected_day=today + 2))
    if not book.charter.incident_key.areas:
        yield Change("an area twice", (R.NOT_SORTED,), told(areas=subject.areas[:1] * 2))
    yield Change("of no incident", (R.UNKNOWN_INCIDENT,), replace(act, incident=NOWHERE))
    closed = [i for i in book.incidents if i.closed and book.end_of(i.id) is i]
    for one in closed[-1:]:
        yield Change("of a closed incident", (R.INCIDENT_CLOSED,), replace(act, incident=one.id))
    if act.incident not in (None, "new"):
        other = "exercise" if subject.status != "exercise" else "test"
        yield Change("of another status", (R.STATUS_MISMATCH,), told(status=other))


def _motion(right: Right, what: str) -> Iterator[Change]:
    act, terms, book = right.act, right.act.terms, right.book

    def moved(**changed: Any) -> wire.Submit:
        return replace(act, terms=replace(terms, **changed))

    yield from _not_issuers(right)
    if what in ABOUT_INCIDENT:
        yield Change("of no incident", (R.UNKNOWN_INCIDENT,), replace(act, incident=NOWHERE))
        yield Change("without an incident", (R.INCIDENT_REQUIRED,), replace(act, incident=None))
    else:
        named = book.incidents[0].id if book.incidents else NOWHERE
        yield Change("of an incident", (R.INCIDENT_NOT_ALLOWED,), replace(act, incident=named))
    stale = (R.BASE_DOES_NOT_HOLD, R.NO_SUCH_EDGE, R.NOT_APPLICABLE)
    if what in ("stage", "close", "lead"):
        yield Change("on another base", stale, moved(base="never-so"))
    elif what in ("features", "rekey", "charter", "upgrade", "peer"):
        yield Change("on another base", stale, moved(base=hexes("never so")))
    elif what != "admit":
        status = "left" if terms.base.status != "left" else "active"
        yield Change("on another base", stale, moved(base=replace(terms.base, status=status)))
    if what in ("suspend", "reinstate", "expel", "roles", "rekey"):
        yield Change("of nobody", (R.UNKNOWN_MEMBER, R.BASE_DOES_NOT_HOLD), moved(member="nobody"))
        yield Change("of the mover", (R.SUBJECT_IS_MOVER, *stale), moved(member=right.author))
    if what == "stage":
        yield Change("to no stage", (R.UNKNOWN_STAGE, R.NO_SUCH_EDGE), moved(to="no-stage"))
    if what == "close":
        yield Change("as its own double", (R.BAD_DUPLICATE, R.UNKNOWN_INCIDENT), moved(duplicate_of=act.incident))
    if what == "upgrade":
        yield Change("to the number in force", (R.NOT_APPLICABLE,), moved(protocol=book.protocol))
    if what == "charter":
        yield Change("to the same", (R.NOT_APPLICABLE,), moved(charter=book.charter))
    if what in ("admit", "rekey"):
        yield Change("with expired proofs", (R.PROOFS_EXPIRED,), moved(expires=right.at))
        yield Change("with bad proofs", (R.BAD_PROOF_OF_POSSESSION,), proofs=False)
        used = replace(terms.keys, act=sorted(book.used_keys)[0])
        yield Change("with a used key", (R.KEY_USED, R.BAD_PROOF_OF_POSSESSION), moved(keys=used))
    if what == "admit":
        yield Change("under a used id", (R.ID_USED,), moved(member=right.author))
        entity = book.members[right.author].entity
        yield Change("of a known entity", (R.ENTITY_USED,), moved(entity=entity))
        yield Change("as a supervisor", (R.SUPERVISOR_AT_ONCE,), moved(roles=["supervisor"]))


def _order(right: Right) -> Iterator[Change]:
    act, terms, book = right.act, right.act.terms, right.book
    yield from _not_issuers(right)
    yield Change("of no incident", (R.UNKNOWN_INCIDENT,), replace(act, incident=NOWHERE))
    yield Change("without an incident", (R.INCIDENT_REQUIRED,), replace(act, incident=None))
    if isinstance(terms, wire.Revoke):
        yield Change("of no order", (R.ORDER_NOT_RUNNING,), replace(act, terms=wire.Revoke(NOWHERE)))
        return

    def ordered(**changed: Any) -> wire.Submit:
        return replace(act, terms=replace(terms, **changed))

    longest = right.at + book.charter.times.order_s * 1000
    yield Change("due at once", (R.BAD_TIMES,), ordered(due=right.at))
    yield Change("over before it is due", (R.BAD_TIMES,), ordered(expires=terms.due - 1))
    yield Change("too long", (R.BAD_TIMES,), ordered(expires=longest + 1))
    yield Change("to nobody", (R.UNKNOWN_ADDRESSEE,), ordered(to=["nobody"]))
    yield Change("to one twice", (R.NOT_SORTED,), ordered(to=terms.to[:1] * 2))
    yield Change("in place of none", (R.ORDER_NOT_RUNNING,), ordered(replaces=NOWHERE))


def _finding(right: Right) -> Iterator[Change]:
    act, terms, book = right.act, right.act.terms, right.book
    target = book.message(terms.target)
    assert target is not None

    def found(**changed: Any) -> wire.Submit:
        return replace(act, terms=replace(terms, **changed))

    bare = found(verdict="upheld", evidence_class="none", evidence=None)
    yield Change("without evidence", (R.ONLY_UNDETERMINED,), bare)
    empty = found(evidence_class="field", evidence=None)
    yield Change("without its digest", (R.EVIDENCE_DIGEST_REQUIRED,), empty)
    yield Change("of no message", (R.UNKNOWN_MESSAGE, R.NOT_AN_ISSUER, R.NO_RULE), found(target=NOWHERE))
    if isinstance(terms, wire.Review):
        yield Change("of another finding", (R.NO_FINDING, R.BASE_DOES_NOT_HOLD), found(finding=NOWHERE))
        yield Change("again", (R.REVIEW_EXISTS, *CAPS), after=True)
        return
    for one in _first(right, lambda m: m.live and m.is_report):
        yield Change("of an open message", (R.NOT_FINAL,), found(target=one.id))
    parties = [name for name in sorted(book.parties(target)) if book.active(name)]
    for name in parties[:1]:
        yield Change("by a party", (R.PARTY_OR_LEAD, R.NOT_AN_ISSUER), author=name)


def _share(right: Right) -> Iterator[Change]:
    act, terms = right.act, right.act.terms
    yield from _not_issuers(right)
    yield Change("with nobody", (R.UNKNOWN_PEER,), replace(act, terms=replace(terms, peer="nowhere.example")))
    unknown = replace(act, terms=replace(terms, record=NOWHERE))
    yield Change("of no record", (R.UNKNOWN_MESSAGE, R.NOT_FINAL), unknown)
    for one in _first(right, lambda m: m.live):
        open_one = replace(act, terms=replace(terms, record=one.id))
        yield Change("of an open message", (R.NOT_FINAL, R.UNKNOWN_MESSAGE), open_one)
