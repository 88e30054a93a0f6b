"""Orders and their receipts (spec 8, F19)."""

from tocsin.kernel.acts import Acknowledge, Order, Revoke
from tocsin.kernel.draft import Draft
from tocsin.kernel.leaves import OrderAnswer, OrderReceipts
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_MESSAGE, Incident, Message, RunningOrder


def check(draft: Draft, terms: Order, incident: Incident | None) -> Reason:
    """Whether an order may be given: addressees, times, and the order it replaces."""
    if list(terms.to) != sorted(set(terms.to)):
        return Reason.NOT_SORTED
    for one in terms.to:
        member = draft.member(one)
        if member is None or member.status != "active":
            return Reason.UNKNOWN_ADDRESSEE
    latest = draft.at + draft.charter.times.order_s * 1000
    if not draft.at < terms.due <= terms.expires <= latest:
        return Reason.BAD_TIMES
    if terms.replaces is not None and not runs_there(draft, terms.replaces, incident):
        return Reason.ORDER_NOT_RUNNING
    return Reason.ACCEPTED


def runs_there(draft: Draft, name: str, incident: Incident | None) -> bool:
    """Whether an order of ours runs and belongs to this incident, whatever name it was given under (spec 8.4, F11)."""
    order = draft.order(name)
    if order is None or order.source is not None or incident is None:
        return False
    end = draft.incident_end(order.incident)
    return end is not None and end.id == incident.id


def holds(draft: Draft, terms: Order | Revoke) -> bool:
    """Base of `replaces` and of a revocation: that order still runs (F8)."""
    old = terms.order if isinstance(terms, Revoke) else terms.replaces
    order = None if old is None else draft.order(old)
    return old is None or (order is not None and order.source is None)


def start(draft: Draft, message: Message) -> None:
    """Effect of a recorded order: its receipts are taken, and what it replaces is over."""
    terms = message.terms
    if not isinstance(terms, Order):
        return
    if terms.replaces is not None:
        _end(draft, message, terms.replaces)
    to = list(terms.to)
    if message.source is not None:
        # A parent's order addresses all members of the child (spec 8).
        to = [member.id for member in draft.next_members() if member.status == "active"]
    order = RunningOrder(
        id=message.id, number=message.number, author=message.author, incident=message.incident, to=to, due=terms.due,
        expires=terms.expires, due_done=False, complete=False, answers={}, source=message.source,
    )  # fmt: skip
    if order.expires > draft.at:
        draft.put("order", message.id, order)
        draft.created("order", order)


def revoke(draft: Draft, message: Message) -> None:
    """Effect of a revocation: no receipts are taken any more."""
    if isinstance(message.terms, Revoke):
        _end(draft, message, message.terms.order)


def _end(draft: Draft, message: Message, name: str) -> None:
    """An order is over; a peer names its own, which goes by another id here (spec 11)."""
    local = name if message.source is None else draft.local_id(message.source.original.genesis, name)
    order = None if local is None else draft.order(local)
    if order is not None and (order.source is None) == (message.source is None):
        draft.drop("order", order.id)


def acknowledge(draft: Draft, author: str, act: Acknowledge, act_digest: str) -> Reason:
    """A receipt: `received`, then at most one of `done` and `cannot`; late from due on."""
    order = draft.order(act.order)
    if order is None:
        known = draft.old(OLD_MESSAGE, act.order)
        is_order = known is not None and isinstance(known.terms, Order)
        return Reason.ORDER_OVER if is_order else Reason.UNKNOWN_MESSAGE
    if author not in order.to:
        return Reason.NOT_AN_ADDRESSEE
    if draft.at >= order.expires:
        return Reason.ORDER_OVER
    if act.answer == "cannot":
        codes = draft.charter.codes.cannot
        if act.code is None:
            return Reason.CODE_REQUIRED
        if codes and act.code not in codes:
            return Reason.CODE_NOT_ALLOWED
    elif act.code is not None:
        return Reason.CODE_NOT_ALLOWED
    given = order.answers.get(author)
    if given is not None and (given.answer is not None or act.answer == "received"):
        return Reason.ALREADY_ANSWERED
    row: RunningOrder = draft.edit("order", act.order)
    late = draft.at >= order.due
    received = draft.at if given is None else given.received
    final = None if act.answer == "received" else act.answer
    row.answers[author] = OrderAnswer(author, received, final, act.code, late, act_digest)
    if all(one in row.answers and row.answers[one].answer is not None for one in row.to):
        row.complete = True
        receipts(draft, row, "complete")
    return Reason.ACCEPTED


def receipts(draft: Draft, order: RunningOrder, cause: str) -> None:
    """The leaf of receipts; those of a relayed order go to its sender (spec 11)."""
    answers = [order.answers.get(one, OrderAnswer(one, None, None, None, False, None)) for one in order.to]
    to = []
    if order.source is not None:
        sender = draft.peer_of(order.source.sender)
        if sender is not None:
            to.append(draft.send(sender.origin, order.id, answered=False))
    draft.leaf(OrderReceipts(order.id, cause, draft.at, answers, order.source, to))  # type: ignore[arg-type]


def due(draft: Draft, name: str) -> None:
    """The leaf at due, whatever has come."""
    row: RunningOrder = draft.edit("order", name)
    row.due_done = True
    receipts(draft, row, "due")


def expire(draft: Draft, name: str) -> None:
    """The last leaf, and no receipts from now on."""
    order = draft.order(name)
    if order is not None:
        if not order.complete:
            receipts(draft, order, "expires")
        draft.drop("order", name)
