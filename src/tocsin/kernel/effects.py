"""What a recorded message does, and where it goes (spec 8, spec 9, spec 11)."""

from collections.abc import Callable

from tocsin.kernel import annotations, findings, incidents, motions, orders
from tocsin.kernel.acts import Finding, NoteTerms, Order, OutcomeTerms, Review, Revoke, Share
from tocsin.kernel.draft import Draft
from tocsin.kernel.leaves import Source, To
from tocsin.kernel.rows import OLD_MESSAGE, Escalation, Message

Effect = Callable[[Draft, Message], None]


def still_holds(draft: Draft, message: Message) -> bool:
    """Whether what the message assumed still holds, and its effect breaks no invariant (spec 8, F6)."""
    return base_holds(draft, message) and (
        not message.kind.startswith("motion.") or motions.keeps_invariants(draft, message)
    )


def base_holds(draft: Draft, message: Message) -> bool:
    """The base alone (spec 8, F8)."""
    terms = message.terms
    if message.kind.startswith("motion."):
        # The incident of its opening: where that is closed the motion is void, whatever the name leads to now (F13).
        incident = draft.incident(message.joins)
        return motions.base_holds(draft, terms, incident, message.author)
    if message.source is not None or terms is None:
        return True
    if isinstance(terms, Order | Revoke):
        return orders.holds(draft, terms)
    return findings.holds(draft, terms)


def prepare(draft: Draft, message: Message) -> Effect | None:
    """The effect of a message being recorded. A report learns its incident here, before its leaf."""
    kind = message.kind
    if findings.is_report(kind):
        message.incident = incidents.choose(draft, message)
        return _report
    if kind.startswith("motion."):
        return _heard_then(motions.apply)
    if isinstance(message.terms, Order):
        return _heard_then(orders.start)
    if isinstance(message.terms, Revoke):
        return _heard_then(orders.revoke)
    if kind == "relayed.finding":
        return findings.from_peer
    if isinstance(message.terms, Finding | Review):
        return findings.apply
    if kind == "relayed.annotated":
        return annotations.from_peer
    if kind == "relayed.outcome":
        return _outcome
    return None


def leaf_is_effect(message: Message) -> bool:
    """A finding of our own by broadcast has `finding` as its only leaf (spec 7)."""
    return message.kind == "finding" and message.source is None


def _heard_then(effect: Effect) -> Effect:
    def heard(draft: Draft, message: Message) -> None:
        end = draft.incident_end(message.incident)
        if end is not None:
            incidents.heard(draft, end.id)
        effect(draft, message)

    return heard


def _report(draft: Draft, message: Message) -> None:
    incidents.join(draft, message)
    parent = parent_of(draft, message.source) if message.went else None
    if parent is not None and message.incident is not None and parent in [origin for origin, _ in message.went]:
        row = draft.edit("incident", message.incident)
        row.up = Escalation(message.id, draft.at, None, None)


def _outcome(draft: Draft, message: Message) -> None:
    """What became of what we sent: the wait is over, and the record shows it (spec 11)."""
    terms = message.terms
    if not isinstance(terms, OutcomeTerms) or draft.any_message(terms.message) is None:
        return
    row = draft.edit_message(terms.message)
    row.outcome = terms.state
    for name in draft.names("sent"):
        sent = draft.get("sent", name)
        if sent.message == terms.message and sent.peer == message.author:
            draft.drop("sent", name)
    incident = draft.incident_end(row.incident)
    if incident is not None and incident.up is not None and incident.up.message == row.id and incident.closed is None:
        up = Escalation(row.id, incident.up.at, terms.state, draft.at)
        draft.edit("incident", incident.id).up = up


def parent_of(draft: Draft, source: Source | None) -> str | None:
    """Origin of the parent, unless what is to go up came from there (spec 11)."""
    for origin in draft.names("peer"):
        peer = draft.peer(origin)
        if peer is not None and peer.entry.relation == "parent":
            return None if source is not None and peer.entry.genesis in source.path else origin
    return None


def destinations(draft: Draft, message: Message) -> To:
    """[destination, number] of a final leaf (spec 11)."""
    wanted: dict[str, bool] = {}
    recorded = message.state == "recorded"
    if recorded and message.kind in findings.PASSED_ON:
        return _onward(draft, message)
    if recorded and findings.is_report(message.kind) and draft.rule(message).escalate:
        parent = parent_of(draft, message.source)
        if parent is not None and _may_go_up(draft, message):
            wanted[parent] = True
    if recorded and isinstance(message.terms, Share) and message.source is None:
        wanted[message.terms.peer] = True
    if recorded and isinstance(message.terms, Order) and message.source is None:
        for origin in draft.names("peer"):
            peer = draft.peer(origin)
            if peer is not None and peer.entry.relation == "child" and peer.entry.represented_by in message.terms.to:
                wanted[origin] = True
    if recorded and isinstance(message.terms, Revoke) and message.source is None:
        order = draft.old(OLD_MESSAGE, message.terms.order)
        wanted.update({origin: True for origin, _ in ([] if order is None else order.went)})
    if message.source is not None and message.kind.startswith(("relayed.report.", "relayed.share.", "relayed.order.")):
        sender = draft.peer_of(message.source.sender)
        if sender is not None:
            wanted.setdefault(sender.origin, False)
    return [
        draft.send(origin, message.id, answered=wanted[origin])
        for origin in sorted(wanted)
        if draft.peer(origin) is not None
    ]


def _onward(draft: Draft, message: Message) -> To:
    """A peer's statement goes on to wherever our copy of the record went; a finding that counts here goes as ours."""
    terms = message.terms
    name = terms.message if isinstance(terms, NoteTerms) else getattr(terms, "target", "")
    target = draft.any_message(name)
    if target is None or findings.counts(draft, message):
        return []
    return findings.destinations(draft, target, but=message.author)


def _may_go_up(draft: Draft, message: Message) -> bool:
    """One relayed report an incident; again only if the last was not recorded and `retry` passed."""
    incident = draft.incident(message.incident)
    if incident is None or incident.up is None:
        return True
    up = incident.up
    if up.outcome is None or up.outcome == "recorded" or up.answered is None:
        return False
    return draft.at >= up.answered + draft.charter.times.retry_s * 1000
