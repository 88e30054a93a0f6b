"""Statements that stay with a record wherever it goes (spec 5, F10), and erasure (spec 12)."""

from tocsin.kernel import findings
from tocsin.kernel.acts import Annotate, Erase, ErasedHere, NoteTerms
from tocsin.kernel.draft import Draft
from tocsin.kernel.leaves import Annotated, Erased, Source
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Message, Remark

ONCE = ("retract", "recant", "object")
"""What a member can say of a message only once (spec 5.6)."""


def annotate(draft: Draft, author: str, act: Annotate, act_digest: str, envelope: str) -> Reason:
    """Author: update, correct, retract; endorser: recant; supervisor: object. Changes no count."""
    message = draft.any_message(act.message)
    if message is None:
        return Reason.UNKNOWN_MESSAGE
    if message.state not in ("open", "endorsed", "recorded"):
        return Reason.NOT_ANNOTATABLE
    member = draft.member(author)
    if act.note in ("update", "correct", "retract") and message.author != author:
        return Reason.NOT_THE_AUTHOR
    if act.note == "recant":
        ballot = message.ballots.get(author)
        if ballot is None or ballot.verdict != "endorse":
            return Reason.NOT_AN_ENDORSER
    if act.note == "object" and (member is None or "supervisor" not in member.roles):
        return Reason.NOT_A_SUPERVISOR
    if act.note in ONCE and any(remark.note == act.note and remark.by == author for remark in message.remarks):
        return Reason.ALREADY_ANNOTATED
    row = draft.edit_message(act.message)
    row.remarks = [*row.remarks, Remark(act.note, author, draft.at)]
    original = findings.original_of(draft, row)
    to = findings.destinations(draft, row)
    draft.leaf(Annotated(row.id, original, act.note, author, act.body, draft.at, act_digest, envelope, to))
    return Reason.ACCEPTED


def from_peer(draft: Draft, message: Message) -> None:
    """Effect of a relayed annotation: it stays with our copy of the record."""
    terms = message.terms
    if isinstance(terms, NoteTerms) and draft.any_message(terms.message) is not None:
        row = draft.edit_message(terms.message)
        who = _who(message.author, message.source, terms)
        row.remarks = [*row.remarks, Remark(terms.note, who, draft.at)]


def said_before(draft: Draft, origin: str, source: Source, terms: NoteTerms) -> Reason:
    """Whether a peer's statement may be taken: what can be said once may come on several paths (spec 5.6)."""
    if terms.note not in ONCE:
        return Reason.ACCEPTED
    who = _who(origin, source, terms)
    known = draft.any_message(terms.message)
    again = known is not None and any((one.note, one.by) == (terms.note, who) for one in known.remarks)
    return Reason.ALREADY_ANNOTATED if again or _waits(draft, who, terms) else Reason.ACCEPTED


def _waits(draft: Draft, who: str, terms: NoteTerms) -> bool:
    """Whether the same statement is open here, as one is that came before in this block."""
    live = [one for name in draft.names("message") if (one := draft.message(name)) is not None]
    return any(
        isinstance(one.terms, NoteTerms)
        and (one.terms.message, one.terms.note, _who(one.author, one.source, one.terms))
        == (terms.message, terms.note, who)
        for one in live
    )


def _who(origin: str, source: Source | None, terms: NoteTerms) -> str:
    """A member of another network: by the origin of a peer, or by the genesis of what lies behind it."""
    first = origin if source is None or len(source.path) < 2 else source.path[0]
    return f"{first}/{terms.by}"


def erase(draft: Draft, author: str, act: Erase | ErasedHere, act_digest: str, envelope: str) -> Reason:
    """The author or a supervisor asks for erasure of a body; each holder attests its own (spec 12)."""
    message = draft.any_message(act.message)
    if message is None:
        return Reason.UNKNOWN_MESSAGE
    member = draft.member(author)
    asked = isinstance(act, Erase)
    own = message.author == author  # no network is called like a member (spec 1.1)
    if asked and not own and (member is None or "supervisor" not in member.roles):
        return Reason.NOT_THE_AUTHOR
    what = "asked" if asked else "attested"
    draft.leaf(Erased(message.id, what, author, draft.at, act_digest, envelope))  # type: ignore[arg-type]
    return Reason.ACCEPTED
