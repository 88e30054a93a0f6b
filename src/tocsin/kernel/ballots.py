"""Acts on an open or endorsed message: judge, veto, concur, withdraw (spec 5, spec 6.2)."""

from tocsin.kernel import messages
from tocsin.kernel.acts import Concur, Judge, VetoAct, Withdraw
from tocsin.kernel.draft import Draft
from tocsin.kernel.electorate import still_eligible
from tocsin.kernel.leaves import Ballot
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import OLD_MESSAGE, Message

DAY_MS = 86_400_000


def judge(draft: Draft, author: str, act: Judge, act_digest: str) -> Reason:
    """Count one ballot; late once the certificate is closed, final in any case (spec 5, F15)."""
    message = draft.message(act.message)
    if message is None:
        return _gone(draft, act.message)
    if (act.verdict == "abstain") != (act.code is not None):
        return Reason.CODE_REQUIRED if act.verdict == "abstain" else Reason.CODE_NOT_ALLOWED
    if author not in message.electorate:
        return Reason.NOT_AN_ELECTOR
    if author in message.ballots:
        return Reason.ALREADY_JUDGED
    if act.data_through is not None and act.data_through > draft.at // DAY_MS + 1:
        return Reason.DATA_FROM_FUTURE
    row = draft.edit_live(act.message)
    # Late from the block after the one in which the message became endorsed (F15).
    start = draft.state.messages.get(act.message)
    late = start is not None and start.state == "endorsed"
    row.ballots[author] = Ballot(author, act.verdict, act.code, act.by, act_digest, draft.meta.epoch, late)
    row.ballot_times[author] = draft.at
    draft.touched[row.id] = row.number
    return Reason.ACCEPTED


def veto(draft: Draft, author: str, act: VetoAct) -> Reason:
    """Stop an open or endorsed message at once; it wins over the deciding ballot of its block."""
    message = draft.message(act.message)
    reason = _may_veto(draft, author, message, act.message)
    if reason or message is None:
        return reason
    codes = draft.charter_of(message).codes.veto
    if codes and act.code not in codes:
        return Reason.CODE_NOT_ALLOWED
    if author in message.concurred:
        return Reason.ALREADY_CONCURRED
    messages.finish(draft, message.id, "vetoed", author, act.code)
    return Reason.ACCEPTED


def concur(draft: Draft, author: str, act: Concur) -> Reason:
    """Give up one's veto (spec F7)."""
    message = draft.message(act.message)
    reason = _may_veto(draft, author, message, act.message)
    if reason or message is None:
        return reason
    if author in message.concurred:
        return Reason.ALREADY_CONCURRED
    row = draft.edit_live(message.id)
    row.concurred = sorted([*row.concurred, author])
    draft.touch(row)
    return Reason.ACCEPTED


def withdraw(draft: Draft, author: str, act: Withdraw) -> Reason:
    """Take back one's own open message, at once."""
    message = draft.message(act.message)
    if message is None:
        return _gone(draft, act.message)
    if message.author != author:
        return Reason.NOT_THE_AUTHOR
    if message.state != "open":
        return Reason.NOT_OPEN
    messages.finish(draft, message.id, "withdrawn", author)
    return Reason.ACCEPTED


def _may_veto(draft: Draft, author: str, message: Message | None, name: str) -> Reason:
    if message is None:
        return _gone(draft, name)
    if author not in message.eligible:
        return Reason.NOT_ELIGIBLE_TO_VETO
    if not still_eligible(draft, message, author):
        return Reason.LEAD_DOES_NOT_VETO
    return Reason.ACCEPTED


def _gone(draft: Draft, name: str) -> Reason:
    return Reason.UNKNOWN_MESSAGE if draft.old(OLD_MESSAGE, name) is None else Reason.NOT_OPEN
