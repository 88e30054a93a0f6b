"""The life of a message: opening, tally, end (spec 6, spec 7)."""

from typing import Literal

from tocsin.kernel import effects, incidents, seals
from tocsin.kernel.acts import Review, Share, Subject, Submit, Terms
from tocsin.kernel.charter_check import required
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import electorate, eligible_to_veto, still_eligible, target_of
from tocsin.kernel.leaves import FINAL_LEAVES, Ballot, Opened, Source
from tocsin.kernel.rows import OLD_MESSAGE, Message
from tocsin.kernel.state import is_based
from tocsin.kernel.tokens import give_back
from tocsin.kernel.words import Status, Verdict

Ending = Literal["recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void"]


def is_report(kind: str) -> bool:
    """Reports and relayed reports."""
    return kind.startswith(("report.", "relayed.report."))


def status_of(draft: Draft, act: Submit) -> Status:
    """Status is inherited by everything that follows a report (spec 5)."""
    if act.subject is not None:
        return act.subject.status
    target = draft.any_message(act.terms.record) if isinstance(act.terms, Share) else target_of(draft, act)
    if target is not None:
        return target.status
    incident = draft.incident_end(act.incident if act.incident != "new" else None)
    return "actual" if incident is None else incident.status


def joins_at_opening(draft: Draft, kind: str, named: str | None, status: Status, key: str | None) -> str | None:
    """The incident that serves for stage, lead and conflicts until the message is final (spec F12)."""
    if named == "new":
        return None
    if named is not None:
        incident = draft.incident_end(named)
        return None if incident is None or incident.closed is not None else incident.id
    if key is not None and is_report(kind):
        return incidents.oldest_live(draft, status, key)
    return None


def open_message(
    draft: Draft,
    *,
    id: str,
    kind: str,
    author: str,
    status: Status,
    named: str | None,
    joins: str | None,
    subject: Subject | None,
    terms: Terms | None,
    body: str | None,
    source: Source | None,
    rule_index: int,
    stage: str,
    act: str | None,
    envelope: str,
) -> Message:
    """Open a message whose act was accepted; the certificate starts with the mover of a motion."""
    rule = draft.charter.rules[rule_index]
    incident = draft.incident(joins)
    voters = electorate(draft, rule, kind, author, source, terms, incident)
    at = draft.at
    ballots: dict[str, Ballot] = {}
    times: dict[str, int] = {}
    if rule.threshold is not None and kind.startswith("motion.") and author in voters.electors and act is not None:
        ballots[author] = Ballot(author, "endorse", None, "officer", act, draft.meta.epoch, False)
        times[author] = at
    notice = at + rule.notice_s * 1000 if rule.notice_s else None
    vote_ends = None if rule.ballotless else at + rule.window_s * 1000
    need = required(rule, kind, voters.size, voters.asleep)
    eligible = eligible_to_veto(draft, rule, author, source, terms, incident)
    # In the order of the fields: naming all 46 of them costs more than everything else here.
    message = Message(
        id, draft.number(), kind, author, status, named, joins, subject, terms, body, source,
        draft.charter.digest, rule_index, stage,
        voters.electors, voters.size, need, eligible, [],  # concurred
        at, notice, vote_ends, False, None, False,  # neither deadline moved, no veto window yet
        act, envelope, "open", False, ballots, times,
        None, None, None, [], [],  # final_at, by, code, remarks, went
        "none", None, None, None, None, False, False, False,  # truth and findings
        False, [], [], None,  # token, posts, stains, outcome
    )  # fmt: skip
    draft.put("message", id, message)
    if is_based(kind):
        draft.based.append((message.number, id))
    draft.created("message", message)
    draft.touch(message)
    if source is None and rule.model != "broadcast":
        account = draft.account(author)
        account.open += 1
        account.motions += kind.startswith("motion.")
    if rule.model != "broadcast":
        _opened_leaf(draft, message)
    return message


def _opened_leaf(draft: Draft, message: Message) -> None:
    rule = draft.rule(message)
    to = []
    if rule.signal and is_report(message.kind):
        parent = effects.parent_of(draft, message.source)
        if parent is not None:
            to.append(draft.send(parent, message.id, answered=False))
    draft.leaf(
        Opened(
            message.id, message.number, message.kind, message.author, message.status, message.incident, message.joins,
            message.subject, message.terms, message.body, message.source, message.charter, rule, message.stage,
            message.electorate, message.size, message.need, message.eligible, draft.at, message.notice,
            message.vote_ends, message.act, message.envelope, to,
        )
    )  # fmt: skip


def votes(message: Message, verdict: Verdict) -> int:
    """Ballots of one verdict."""
    return [ballot.verdict for ballot in message.ballots.values()].count(verdict)


def has_passed(draft: Draft, message: Message) -> bool:
    """Whether an open message has the endorsements that it needs."""
    return draft.rule(message).ballotless or votes(message, "endorse") >= message.need


def tally(draft: Draft, name: str) -> None:
    """Decide a touched message if it can be decided (spec 4.3, spec 6.2, spec 6.4)."""
    message = draft.message(name)
    if message is None:
        return
    rule = draft.rule(message)
    if message.state == "open":
        if message.notice is not None and draft.at < message.notice:
            return
        endorsed, cast = votes(message, "endorse"), len(message.ballots)
        if rule.ballotless or endorsed >= message.need:
            if seals.waits(draft, message.terms):
                return
            reach(draft, name)
        else:
            if endorsed + len(message.electorate) - cast < message.need:
                finish(draft, name, shortfall(message))
            return
    message = draft.message(name)
    if message is not None and message.state == "endorsed" and _veto_over(draft, message):
        finish(draft, name, "recorded")


def shortfall(message: Message) -> Ending:
    """`rejected` if the rejections alone stop it, else `lapsed` (spec 6.4; F5 where need > size)."""
    if message.need <= message.size and message.size - votes(message, "reject") < message.need:
        return "rejected"
    return "lapsed"


def reach(draft: Draft, name: str) -> None:
    """The threshold, or the author of a rule without ballots: recorded, or endorsed (spec 6.2)."""
    message = draft.edit_live(name)
    rule = draft.rule(message)
    if rule.veto is None or not message.eligible:
        finish(draft, name, "recorded")
        return
    message.state = "endorsed"
    message.counted = True
    message.veto_ends = draft.at + rule.veto.window_s * 1000
    draft.created("message", message)


def _veto_over(draft: Draft, message: Message) -> bool:
    """All eligible supervisors concurred, but for those who may no longer act (spec 6.2, F7)."""
    if not message.concurred:
        return False
    waiting = [one for one in message.eligible if one not in message.concurred]
    return not any(still_eligible(draft, message, one) for one in waiting)


def finish(
    draft: Draft,
    name: str,
    ending: Ending,
    by: str | None = None,
    code: str | None = None,
    at_vote_deadline: bool = False,
) -> None:
    """End a message: its leaf, its row in the archive, its token, and its effects (spec 7)."""
    message = draft.edit_live(name)
    if ending == "recorded" and not effects.still_holds(draft, message):
        ending = "void"
    rule = draft.rule(message)
    message.state, message.final_at, message.by, message.code = ending, draft.at, by, code
    message.counted = True
    draft.drop("message", name)
    draft.archive[OLD_MESSAGE + name] = message
    if message.source is None and rule.model != "broadcast":
        account = draft.account(message.author)
        account.open -= 1
        account.motions -= message.kind.startswith("motion.")
    if at_vote_deadline:
        _count_missed(draft, message)
    give_back(draft, message)
    effect = effects.prepare(draft, message) if ending == "recorded" else None
    if ending != "recorded" or not effects.leaf_is_effect(message):
        message.went = effects.destinations(draft, message)
        draft.leaf(
            FINAL_LEAVES[ending](
                message.id, message.kind, message.author, message.status, message.incident, message.subject,
                message.terms, message.body, message.source, message.charter, rule, message.stage, message.electorate,
                message.size, message.need, list(message.ballots.values()), sorted(message.concurred), message.opened,
                draft.at, by, code, message.act, message.envelope, message.went,
            )
        )  # fmt: skip
    if isinstance(message.terms, Review) and ending != "recorded":
        draft.edit_message(message.terms.target).review_open = False
    if effect is not None:
        effect(draft, message)
    void_stale(draft)


def void_stale(draft: Draft) -> None:
    """Void the open and endorsed messages whose base no longer holds, in opening order (spec 8)."""
    if not draft.state.based and not draft.based:
        return
    for _, name in sorted([*((number, name) for name, number in draft.state.based.items()), *draft.based]):
        message = draft.message(name)
        if message is not None and not effects.base_holds(draft, message):
            finish(draft, name, "void")


def _count_missed(draft: Draft, message: Message) -> None:
    for one in message.electorate:
        if one not in message.ballots:
            draft.missed(one)
