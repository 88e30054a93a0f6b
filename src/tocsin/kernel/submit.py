"""`submit`: from an act to an open message, or a numbered refusal (spec 5, spec 6, spec 8, spec 9)."""

from functools import lru_cache

from tocsin.kernel import findings, incidents, messages, motions, orders, tokens
from tocsin.kernel.acts import Finding, Order, Review, Revoke, Share, Subject, Submit
from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.charter_check import required
from tocsin.kernel.digest import message_id
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import electorate, may_issue, target_of
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_MESSAGE, Incident

DAY_MS = 86_400_000


def submit(draft: Draft, author: str, act: Submit, act_digest: str, envelope: str, index: int,
           proofs: list[bool]) -> Reason:  # fmt: skip
    """Open the message of a `submit` act; `proofs`: verdicts on its proofs of possession."""
    reason = _check_shape(act)
    if reason:
        return reason
    incident: Incident | None = None
    if act.incident not in (None, "new"):
        incident = draft.incident_end(act.incident)
        if incident is None:
            return Reason.UNKNOWN_INCIDENT
        if incident.closed is not None:
            return Reason.INCIDENT_CLOSED
    status = messages.status_of(draft, act)
    if incident is not None and incident.status != status:
        return Reason.STATUS_MISMATCH
    key = None
    if act.subject is not None:
        key = incidents.key_of(draft.charter, act.subject.category, act.subject.areas, None)
    joins = messages.joins_at_opening(draft, act.kind, act.incident, status, key)
    stage = _stage(draft, act, joins)
    rule_index = draft.charter.match(act.kind, stage)
    if rule_index is None:
        return Reason.NO_RULE
    rule = draft.charter.rules[rule_index]
    live = draft.incident(joins)
    if not may_issue(draft, rule, author, live, target_of(draft, act)):
        return Reason.NOT_AN_ISSUER
    if act.subject is not None:
        reason = check_subject(draft.charter, act.kind, act.subject, draft.at)
        if reason:
            return reason
    reason = _check_terms(draft, author, act, live, proofs)
    if reason:
        return reason
    if not _can_pass(draft, rule, author, act, live):
        return Reason.CANNOT_PASS
    reason = tokens.afford(draft, author, act.kind, rule, status == "actual")
    if reason:
        return reason
    subject, body = act.subject, act.body
    if isinstance(act.terms, Share):
        shared = draft.old(OLD_MESSAGE, act.terms.record)
        subject, body = shared.subject, shared.body
    if isinstance(act.terms, Review):
        draft.edit_message(act.terms.target).review_open = True
    message = messages.open_message(
        draft, id=message_id(envelope, index), kind=act.kind, author=author, status=status, named=act.incident,
        joins=joins, subject=subject, terms=act.terms, body=body, source=None, rule_index=rule_index, stage=stage,
        act=act_digest, envelope=envelope,
    )  # fmt: skip
    tokens.charge(draft, message)
    return Reason.ACCEPTED


def _check_shape(act: Submit) -> Reason:
    """Which parts belong to which kind (spec 5)."""
    named = act.incident if act.incident in (None, "new") else "named"
    form: type = type(act.terms)
    return _fits(act.kind, form, named, act.subject is not None)


@lru_cache(maxsize=1024)
def _fits(kind: str, terms: type, named: str | None, subject: bool) -> Reason:
    """Few forms make up most of what is submitted."""
    if kind.startswith("relayed."):
        return Reason.RELAYED_KIND
    report = kind.startswith("report.")
    if kind.startswith("motion."):
        wanted: type | None = motions.TERMS_OF.get(kind)
        if wanted is None:
            return Reason.UNKNOWN_KIND
    elif report:
        wanted = type(None)
    elif kind.startswith("share."):
        wanted = Share
    elif kind.startswith("order."):
        wanted = Revoke if kind == "order.revoke" else Order
    elif kind in ("finding", "finding.review"):
        wanted = Finding if kind == "finding" else Review
    else:
        return Reason.UNKNOWN_KIND
    if report and not subject:
        return Reason.SUBJECT_MISSING
    if not report and subject:
        return Reason.SUBJECT_NOT_ALLOWED
    if not issubclass(terms, wanted or type(None)):
        return Reason.TERMS_MISMATCH
    of_incident = kind.startswith("order.") or issubclass(terms, motions.OF_AN_INCIDENT)
    if of_incident and named != "named":
        return Reason.INCIDENT_REQUIRED
    if not of_incident and not report and named is not None:
        return Reason.INCIDENT_NOT_ALLOWED
    return Reason.ACCEPTED


def _stage(draft: Draft, act: Submit, joins: str | None) -> str:
    """The incident's stage at opening; `none` where there is none to join (spec 6.1)."""
    incident = draft.incident(joins)
    if incident is None and act.terms is not None:
        target = target_of(draft, act)
        incident = None if target is None else findings.incident_of(draft, target)
    return "none" if incident is None else incident.stage


def check_subject(charter: Charter, kind: str, subject: Subject, at: int) -> Reason:
    """Whether the charter lets this category, these areas and days be reported so (spec 5)."""
    if len(subject.areas) > 1 and subject.areas != sorted(set(subject.areas)):
        return Reason.NOT_SORTED
    if subject.onset_day is not None and subject.onset_day > subject.detected_day:
        return Reason.ONSET_AFTER_DETECTION
    if subject.detected_day > at // DAY_MS + 1:
        return Reason.DETECTED_IN_FUTURE
    return charter.allows(kind, subject.category, subject.areas)


def _check_terms(draft: Draft, author: str, act: Submit, incident: Incident | None, proofs: list[bool]) -> Reason:
    terms = act.terms
    if act.kind.startswith("motion."):
        return motions.check(draft, author, terms, incident, proofs)
    if isinstance(terms, Order):
        return orders.check(draft, terms, incident)
    if isinstance(terms, Revoke):
        return Reason.ACCEPTED if orders.runs_there(draft, terms.order, incident) else Reason.ORDER_NOT_RUNNING
    if isinstance(terms, Finding | Review):
        return findings.check(draft, author, terms)
    if isinstance(terms, Share):
        record = draft.old(OLD_MESSAGE, terms.record)
        if draft.peer(terms.peer) is None:
            return Reason.UNKNOWN_PEER
        if record is None:
            return Reason.UNKNOWN_MESSAGE if draft.message(terms.record) is None else Reason.NOT_FINAL
        # Any record may be shared; a finding has no `recorded` leaf to carry (spec 1, spec 7).
        if record.state != "recorded" or record.kind == "finding":
            return Reason.NOT_FINAL
    return Reason.ACCEPTED


def _can_pass(draft: Draft, rule: Rule, author: str, act: Submit, incident: Incident | None) -> bool:
    """A rule that cannot pass opens only where it sends a signal (spec 6.4)."""
    if rule.threshold is None or rule.signal:
        return True
    voters = electorate(draft, rule, act.kind, author, None, act.terms, incident)
    return required(rule, act.kind, voters.size, voters.asleep) <= voters.size
