"""Report tokens and the hard caps (spec 9, F20, F21)."""

from tocsin.kernel.charter import Charter, Rule
from tocsin.kernel.draft import Draft
from tocsin.kernel.reasons import Reason
from tocsin.kernel.rows import Account, Message

WEEK_MS = 7 * 86_400 * 1000


def refilled(account: Account, at: int, charter: Charter) -> tuple[int, int]:
    """(tokens, tokens_at) of an account now: one for each full refill time since it was last full or refilled (F20)."""
    law = charter.tokens
    if account.tokens >= law.bucket:
        return law.bucket, account.tokens_at  # an amendment may have made the bucket smaller
    step = law.refill_s * 1000
    earned = (at - account.tokens_at) // step
    return min(law.bucket, account.tokens + earned), account.tokens_at + earned * step


def afford(draft: Draft, author: str, kind: str, rule: Rule, actual: bool) -> Reason:
    """Whether the author may open this message now (spec 9); nothing is charged or changed here."""
    account: Account = draft.get("account", author)
    limits = draft.charter.limits
    if kind.startswith("report."):
        # Broadcasts are not counted (F21).
        counted = limits.reports_week and rule.model != "broadcast"
        if counted and len(_this_week(account, draft.at)) >= limits.reports_week:
            return Reason.TOO_MANY_REPORTS
        if actual and refilled(account, draft.at, draft.charter)[0] < 1:
            return Reason.NO_TOKEN
    if rule.model != "broadcast":
        if account.open >= limits.open_messages:
            return Reason.TOO_MANY_OPEN
        if kind.startswith("motion.") and account.motions >= limits.open_motions:
            return Reason.TOO_MANY_MOTIONS
    return Reason.ACCEPTED


def _this_week(account: Account, at: int) -> list[int]:
    return [one for one in account.reports if one > at - WEEK_MS]


def charge(draft: Draft, message: Message) -> None:
    """Spend what an accepted report costs: nothing but a token, and nothing in an exercise."""
    if not message.kind.startswith("report."):
        return
    account = draft.account(message.author)
    if draft.charter.limits.reports_week and draft.rule(message).model != "broadcast":
        account.reports = [*_this_week(account, draft.at), draft.at]
    if message.status == "actual":
        account.tokens, account.tokens_at = refilled(account, draft.at, draft.charter)
        if account.tokens >= draft.charter.tokens.bucket:
            account.tokens_at = draft.at
        account.tokens -= 1
        message.token_spent = True


def give_back(draft: Draft, message: Message, upheld: bool = False) -> None:
    """Return the token, once: recorded, or endorsed by enough; without ballots only when upheld (spec 9.4, F20)."""
    if not message.token_spent:
        return
    rule = draft.rule(message)
    if not (upheld if rule.ballotless else message.state == "recorded" or _endorsed_enough(draft, message)):
        return
    message.token_spent = False
    account = draft.account(message.author)
    account.tokens, account.tokens_at = refilled(account, draft.at, draft.charter)
    account.tokens = min(draft.charter.tokens.bucket, account.tokens + 1)


def _endorsed_enough(draft: Draft, message: Message) -> bool:
    endorsed = sum(1 for one in message.ballots.values() if one.verdict == "endorse" and not one.late)
    return endorsed >= draft.charter_of(message).tokens.return_at
