"""Submission: what kind of message it is, who may put it, and every reason against it (spec 5, spec 6)."""

from dataclasses import dataclass
from typing import Any

from tests.oracle import law, motions
from tests.oracle.book import ABOUT_INCIDENT, DAY, WEEK, Book, Incident, Message
from tests.oracle.life import open_message
from tocsin.kernel import acts as wire
from tocsin.kernel.charter import Rule
from tocsin.kernel.digest import message_id
from tocsin.kernel.reasons import Reason as R

TERMS: dict[str, type] = {
    "stage": wire.StageMotion, "lead": wire.LeadMotion, "features": wire.FeaturesMotion, "close": wire.CloseMotion,
    "admit": wire.AdmitMotion, "suspend": wire.SuspendMotion, "reinstate": wire.ReinstateMotion,
    "expel": wire.ExpelMotion, "roles": wire.RolesMotion, "rekey": wire.RekeyMotion, "peer": wire.PeerMotion,
    "charter": wire.CharterMotion, "upgrade": wire.UpgradeMotion,
}


@dataclass
class Context:
    """Where an act stands: its envelope's author, digest, signing key, and whether its proofs hold."""

    author: str
    envelope: str
    index: int
    digest: str
    root_key: bool
    proofs: bool


def _family(kind: str) -> str | None:
    for head in ("report", "order", "share", "relayed"):
        if kind.startswith(head + "."):
            return head
    if kind in ("finding", "finding.review"):
        return kind
    if kind.startswith("motion.") and kind.removeprefix("motion.") in TERMS:
        return "motion"
    return None


def _shape(kind: str, family: str, act: wire.Submit) -> list[R]:
    """Which of incident, subject and terms a kind has (spec 5)."""
    found: list[R] = []
    if family == "report" and act.subject is None:
        found.append(R.SUBJECT_MISSING)
    if family != "report" and act.subject is not None:
        found.append(R.SUBJECT_NOT_ALLOWED)
    wanted: type | None = {
        "report": None, "share": wire.Share, "finding": wire.Finding, "finding.review": wire.Review,
        "order": wire.Revoke if kind == "order.revoke" else wire.Order,
        "motion": TERMS.get(kind.removeprefix("motion.")),
    }[family]
    if (wanted is None and act.terms is not None) or (wanted is not None and type(act.terms) is not wanted):
        found.append(R.TERMS_MISMATCH)
    about = family == "order" or (family == "motion" and kind.removeprefix("motion.") in ABOUT_INCIDENT)
    if about and act.incident is None:
        found.append(R.INCIDENT_REQUIRED)
    if about and act.incident == "new":
        found += [R.INCIDENT_REQUIRED, R.UNKNOWN_INCIDENT, R.INCIDENT_NOT_ALLOWED]
    if family != "report" and not about and act.incident is not None:
        found.append(R.INCIDENT_NOT_ALLOWED)
    return found


def submit(book: Book, act: wire.Submit, where: Context) -> list[R]:
    kind = act.kind
    family = _family(kind)
    if family is None:
        return [R.UNKNOWN_KIND]
    if family == "relayed":
        return [R.RELAYED_KIND]
    found = _shape(kind, family, act)
    if found:
        return found
    terms: Any = act.terms
    incident: Incident | None = None
    target: Message | None = None
    if act.incident not in (None, "new"):
        incident = book.end_of(act.incident)
        if incident is None:
            return [R.UNKNOWN_INCIDENT]
        if incident.closed:
            found.append(R.INCIDENT_CLOSED)
    status = incident.status if incident is not None else "actual"
    joins = incident
    if family == "report":
        assert act.subject is not None
        status = act.subject.status
        if incident is not None and incident.status != status:
            found.append(R.STATUS_MISMATCH)
        if act.incident is None:
            key = law.key_of(book.charter, act.subject, None)
            live = [i for i in book.incidents if not i.closed and i.status == status and i.key == key]
            joins = min(live, key=lambda i: i.number) if live else None
    if family in ("finding", "finding.review"):
        target = book.message(terms.target)
        if target is None:
            found.append(R.UNKNOWN_MESSAGE)
            rule = law.match(book.charter, kind, "none")
            if rule is None:
                found.append(R.NO_RULE)
            elif not book.holds(book.members[where.author], list(rule.issuers), None, None):
                found.append(R.NOT_AN_ISSUER)
            return found
        status = target.status
    at_issue = joins
    if target is not None:
        about = book.incident_of(target)
        at_issue = about if about is not None and not about.closed else None
    stage = at_issue.stage if at_issue is not None else "none"
    if family == "share":
        record = book.message(terms.record)
        if terms.peer not in book.peers:
            found.append(R.UNKNOWN_PEER)
        if record is None:
            found.append(R.UNKNOWN_MESSAGE)
        else:
            status = record.status
            if record.state != "recorded" or record.quiet_leaf:
                found += [R.UNKNOWN_MESSAGE, R.NOT_FINAL, R.NOT_A_REPORT]
    rule = law.match(book.charter, kind, stage)
    if rule is None:
        return [*found, R.NO_RULE]
    member = book.members[where.author]
    if not book.holds(member, list(rule.issuers), at_issue, target):
        found.append(R.NOT_AN_ISSUER)
    conflicted: set[str] = set()
    if family == "motion":
        found += motions.reasons(book, kind, terms, where.author, incident, where.proofs)
        subject = law.subject_of(book, kind, incident, terms)
        conflicted |= {subject} if subject is not None else set()
    if family == "report":
        found += _report(book, act, rule, where)
    if family == "order":
        found += _order(book, kind, terms, incident)
    if family == "finding" and target is not None:
        found += _finding(book, terms, target, where)
        conflicted |= book.parties(target)
    if family == "finding.review" and target is not None:
        found += _review(book, terms, target)
        conflicted |= book.parties(target)
        conflicted |= {target.findings[-1].by} if target.findings else set()
    if rule.model != "broadcast":
        open_now = [m for m in book.messages if m.live and m.author == where.author and m.rule.model != "broadcast"]
        if len(open_now) >= book.charter.limits.open_messages:
            found.append(R.TOO_MANY_OPEN)
        if family == "motion" and len([m for m in open_now if m.motion]) >= book.charter.limits.open_motions:
            found.append(R.TOO_MANY_MOTIONS)
    electors, size, asleep = law.electorate(book, rule, kind, where.author, at_issue, target, conflicted)
    need = law.needed(rule, kind, size, asleep)
    if need > size and not rule.signal:
        found.append(R.CANNOT_PASS)
    if found:
        return found
    actual_report = family == "report" and status == "actual"
    if actual_report:
        book.tokens[where.author].append(book.token_drop(-1))
    open_message(
        book, id=message_id(where.envelope, where.index), kind=kind, author=where.author, peer=None, status=status,
        incident=act.incident, joins=joins.id if joins is not None else None, subject=act.subject, terms=terms,
        source=None, rule=rule, stage=stage, electorate=electors, size=size, need=need,
        eligible=law.eligible(book, rule, where.author, at_issue, target, conflicted),
        token="spent" if actual_report else "none",
    )
    return []


def tomorrow(book: Book) -> int:
    """The last day that is not in the future somewhere: local days run up to 14 h ahead of T."""
    return book.at // DAY + 1


def _report(book: Book, act: wire.Submit, rule: Rule, where: Context) -> list[R]:
    subject = act.subject
    assert subject is not None
    found = motions.codes(book, subject.category, list(subject.areas))
    kinds = book.charter.kinds
    if kinds and not any(
        use.category == subject.category and any(law.covers(one, act.kind) for one in use.kinds) for use in kinds
    ):
        found.append(R.CATEGORY_NOT_ALLOWED)
    if subject.onset_day is not None and subject.onset_day > subject.detected_day:
        found.append(R.ONSET_AFTER_DETECTION)
    if subject.detected_day > tomorrow(book):
        found.append(R.DETECTED_IN_FUTURE)
    if subject.status == "actual" and book.token_count(where.author) < 1:
        found.append(R.NO_TOKEN)
    recent = [
        m for m in book.messages
        if m.author == where.author and m.peer is None and m.is_report and m.rule.model != "broadcast"
        and m.opened > book.at - WEEK
    ]
    cap = book.charter.limits.reports_week
    if cap and len(recent) >= cap and rule.model != "broadcast":
        found.append(R.TOO_MANY_REPORTS)
    return found


def _order(book: Book, kind: str, terms: Any, incident: Incident | None) -> list[R]:
    if kind == "order.revoke":
        return [] if _runs_there(book, terms.order, incident) else [R.ORDER_NOT_RUNNING]
    found: list[R] = []
    if list(terms.to) != sorted(set(terms.to)):
        found.append(R.NOT_SORTED)
    if any(not book.active(name) for name in terms.to):
        found.append(R.UNKNOWN_ADDRESSEE)
    if not book.at < terms.due <= terms.expires <= book.at + book.charter.times.order_s * 1000:
        found.append(R.BAD_TIMES)
    if terms.replaces is not None and not _runs_there(book, terms.replaces, incident):
        found.append(R.ORDER_NOT_RUNNING)
    return found


def _runs_there(book: Book, name: str, incident: Incident | None) -> bool:
    """Whether an order runs, and belongs to that incident."""
    order = book.order(name)
    if order is None or order.incident is None or not book.running(order):
        return False
    return book.end_of(order.incident) is incident


def _evidence_class(terms: Any) -> list[R]:
    if terms.evidence_class == "none":
        return [R.ONLY_UNDETERMINED] if terms.verdict != "undetermined" else []
    return [R.EVIDENCE_DIGEST_REQUIRED] if terms.evidence is None else []


def _finding(book: Book, terms: Any, target: Message, where: Context) -> list[R]:
    found = _evidence_class(terms)
    if not target.is_report:
        found.append(R.NOT_A_REPORT)
    if target.live:
        found.append(R.NOT_FINAL)
    if where.author in book.parties(target) or law.lead_now(book, target, where.author):
        found.append(R.PARTY_OR_LEAD)
    if not law.finding_base(book, target):
        found.append(R.FINDING_STANDS)
    return found


def _review(book: Book, terms: Any, target: Message) -> list[R]:
    found = _evidence_class(terms)
    if not target.is_report:
        found.append(R.NOT_A_REPORT)
    if not target.findings or target.findings[-1].id != terms.finding:
        found.append(R.NO_FINDING)
    open_now = [m for m in book.messages if m.kind == "finding.review" and m.live and m.terms.target == target.id]
    if open_now or any(one.review for one in target.findings):
        found.append(R.REVIEW_EXISTS)
    return found
