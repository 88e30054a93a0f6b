"""What a charter says, in sentences: which rule decides a message and why, and the charter as a table.

Nothing here decides anything; it repeats, for a person, what `charter`, `charter_check` and the
kernel's submission do. Total and pure, without a state: a lead or party is said by role.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from tocsin.kernel.charter import Charter, Rule, pattern_matches
from tocsin.kernel.charter_check import check_charter, electors, required
from tocsin.kernel.charter_form import (
    FAMILIES,
    KINDS,
    NONE,
    constitutional,
    has_no_incident,
    is_report_rule,
    label,
    needs_incident,
)
from tocsin.kernel.reasons import Reason, sentence
from tocsin.kernel.rows import Member

Outcome = Literal["holds", "refuses", "says"]

_ROLE_ZH = {
    "reporter": "报告者",
    "voter": "表决者",
    "supervisor": "监督者",
    "relay": "转递者",
    "auditor": "审计者",
    "lead": "牵头者",
    "party": "当事者",
    "member": "任何现行成员",
}


class Step(NamedTuple):
    """One clause on the way of a message. `rule`: index into the charter's rules. `en`, `zh`: what
    the clause found. After the first `refuses` there is no further step."""

    clause: str
    outcome: Outcome
    rule: int | None
    en: str
    zh: str


class RuleRow(Struct, frozen=True):
    """A rule as a line of a table; "-" where there is nothing."""

    kind: str
    stage: str
    model: str
    issuers: str
    electorate: str
    threshold: str
    window: str
    notice: str
    veto: str
    escalates: bool
    signals: bool
    opens_incident: bool
    reward: str


class Setting(Struct, frozen=True):
    """A number or list of the charter that is no rule."""

    name: str
    value: str
    en: str
    zh: str


class Description(Struct, frozen=True):
    """A charter for reading. `problems`: sentences of the loader, none if it may be used."""

    name: str
    digest: str
    rules: list[RuleRow]
    settings: list[Setting]
    problems: list[str]


def explain_submit(
    charter: Charter,
    kind: str,
    stage: str,
    roles: Sequence[str],
    *,
    members: Sequence[Member] | None = None,
    author: str | None = None,
    category: str | None = None,
) -> list[Step]:
    """What would become of a message, clause by clause (spec 6).

    `stage`: the incident's, or `none`. `roles`: of the author, with `lead` and `party` where it is
    one; for `relayed.*` those of the member that carries it. `members`: the roster, for sizes.
    `author`: its id, so that it is left out of the count. `category`: of a report.
    """
    refused = _unknown(charter, kind, stage)
    if refused is not None:
        return [refused]
    steps = _matching(charter, kind, stage)
    index = charter.match(kind, stage)
    if index is None:
        return [*steps, _refuse("spec 6.1", None, Reason.NO_RULE)]
    rule = charter.rules[index]
    steps.append(_issuer(rule, index, roles))
    if category is not None and is_report_rule(rule):
        steps.append(_category(charter, kind, index, category))
    steps += _ballots(rule, index, kind, members, author)
    steps += _waiting(rule, index, members, author)
    steps.append(_result(rule, index))
    refusals = [position for position, step in enumerate(steps) if step.outcome == "refuses"]
    return steps[: refusals[0] + 1] if refusals else steps


def _unknown(charter: Charter, kind: str, stage: str) -> Step | None:
    if kind not in KINDS and not any(kind.startswith(one) and len(kind) > len(one) for one in FAMILIES):
        return _refuse("spec 5", None, Reason.UNKNOWN_KIND)
    if stage != NONE and stage not in charter.stages.names:
        known = ", ".join(charter.stages.names)
        return Step(
            "spec 8", "refuses", None, f"The charter has no stage `{stage}`; it has {known}, and `none`.",
            f"章程没有阶段 `{stage}`；有 {known}，以及 `none`。",
        )  # fmt: skip
    if stage == NONE and needs_incident(kind):
        return _refuse("spec 8", None, Reason.INCIDENT_REQUIRED)
    if stage != NONE and has_no_incident(kind):
        return _refuse("spec 6.1", None, Reason.INCIDENT_NOT_ALLOWED)
    return None


def _refuse(clause: str, rule: int | None, reason: Reason) -> Step:
    en, zh = sentence(reason), sentence(reason, "zh")
    return Step(clause, "refuses", rule, f"{en} ({int(reason)})", f"{zh}（{int(reason)}）")


def _matching(charter: Charter, kind: str, stage: str) -> list[Step]:
    """Every rule that covers the kind, and why it decides or does not."""
    chosen = charter.match(kind, stage)
    steps: list[Step] = []
    for index, rule in enumerate(charter.rules):
        if not pattern_matches(rule.kind, kind):
            continue
        name = f"rules[{index}] `{label(rule)}`"
        if rule.stage not in (stage, "*"):
            en = f"{name} is for stage {rule.stage}, not {stage}."
            zh = f"{name} 只适用于阶段 {rule.stage}，而非 {stage}。"
            steps.append(Step("spec 6.1", "says", index, en, zh))
        elif index == chosen:
            en = f"{name} decides `{kind}` in stage {stage}: {rule.model}."
            zh = f"{name} 决定阶段 {stage} 的 `{kind}`：{_MODEL_ZH[rule.model]}。"
            steps.append(Step("spec 6.1", "holds", index, en, zh))
        else:
            en = f"{name} fits too, but a more exact rule comes before it."
            steps.append(Step("spec 6.1", "says", index, en, f"{name} 也相符，但更精确的规则优先。"))
    return steps


_MODEL_ZH = {"broadcast": "广播", "vote": "表决", "supervise": "监督"}


def _issuer(rule: Rule, index: int, roles: Sequence[str]) -> Step:
    en, zh = _roles(rule.issuers), _roles_zh(rule.issuers)
    held = [role for role in roles if role in rule.issuers] or (["member"] if "member" in rule.issuers else [])
    if not held:
        own, own_zh = _roles(roles), _roles_zh(roles)
        return Step(
            "spec 6", "refuses", index,
            f"Only {en} may issue this, and the author is {own} ({int(Reason.NOT_AN_ISSUER)}).",
            f"只有{zh}可以发出，而作者是{own_zh}（{int(Reason.NOT_AN_ISSUER)}）。",
        )  # fmt: skip
    return Step("spec 6", "holds", index, f"May be issued by {en}.", f"可由{zh}发出。")


def _category(charter: Charter, kind: str, index: int, category: str) -> Step:
    if not charter.kinds:
        en = "The charter lets any category use any kind of report."
        return Step("spec 5", "holds", index, en, "章程允许任何类别使用任何报告类型。")
    own = kind.removeprefix("relayed.")
    uses = [pattern for use in charter.kinds if use.category == category for pattern in use.kinds]
    if not any(pattern_matches(pattern, own) for pattern in uses):
        allowed = ", ".join(uses) or "-"
        return Step(
            "spec 5", "refuses", index,
            f"Category {category} may use {allowed}, and not `{own}` ({int(Reason.CATEGORY_NOT_ALLOWED)}).",
            f"类别 {category} 可用 {allowed}，不可用 `{own}`（{int(Reason.CATEGORY_NOT_ALLOWED)}）。",
        )  # fmt: skip
    return Step("spec 5", "holds", index, f"Category {category} may use `{own}`.", f"类别 {category} 可用 `{own}`。")


def _ballots(
    rule: Rule, index: int, kind: str, members: Sequence[Member] | None, author: str | None
) -> list[Step]:
    if rule.threshold is None:
        en, zh = "No ballots: the author suffices.", "无需表决：作者即可。"
        if kind.startswith("relayed."):
            en, zh = "No ballots: the proof suffices.", "无需表决：证明即可。"
        return [Step("spec 6.2", "holds", index, en, zh)]
    motion = kind.startswith("motion.")
    en = f"Judged by {_roles(rule.electorate)}" + (", the mover among them" if motion else ", the author left out")
    zh = f"由{_roles_zh(rule.electorate)}表决" + ("，动议者计入" if motion else "，作者除外")
    if kind.startswith("relayed."):
        en = f"Judged by {_roles(rule.electorate)}, the member that represents the sender left out"
        zh = f"由{_roles_zh(rule.electorate)}表决，代表来源网络的成员除外"
    if rule.veto is not None:
        en, zh = en + ", and whoever holds the veto", zh + "，持有否决权者亦除外"
    need_en, need_zh = threshold_text(rule), _threshold_zh(rule)
    if members is None:
        return [
            Step("spec 6.3", "says", index, f"{en}.", f"{zh}。"),
            Step("spec 6.4", "says", index, f"Needs {need_en}.", f"需要{need_zh}。"),
        ]
    out = [author] if author is not None and not motion else []
    size = electors(rule, members, out)
    counted = size.both if constitutional(rule) else size.active
    need = max(required(rule, kind, counted), 1)
    more_en = f"; {size.suspended} suspended count in the size" if counted > size.active else ""
    more_zh = f"；{size.suspended} 名暂停者计入基数" if counted > size.active else ""
    steps = [
        Step("spec 6.3", "says", index, f"{en}: {size.active} now{more_en}.", f"{zh}：现有 {size.active} 名{more_zh}。")
    ]
    if need <= counted:
        en, zh = f"Needs {need_en}: {need} of {counted}.", f"需要{need_zh}：{counted} 名中的 {need} 名。"
        steps.append(Step("spec 6.4", "holds", index, en, zh))
    elif rule.signal:
        en = f"Needs {need_en}: {need} of {counted}. It opens only to send its signal up, and lapses."
        zh = f"需要{need_zh}：{counted} 名中的 {need} 名。只为上报信号而开启，随即失效。"
        steps.append(Step("spec 6.4", "says", index, en, zh))
    else:
        why = _refuse("spec 6.4", index, Reason.CANNOT_PASS)
        en = f"Needs {need_en}: {need} of {counted}. {why.en}"
        zh = f"需要{need_zh}：{counted} 名中的 {need} 名。{why.zh}"
        steps.append(Step("spec 6.4", "refuses", index, en, zh))
    return steps


def _waiting(rule: Rule, index: int, members: Sequence[Member] | None, author: str | None) -> list[Step]:
    steps: list[Step] = []
    if rule.signal and is_report_rule(rule):
        en = "When it opens, the parent gets an unverified signal."
        steps.append(Step("spec 11", "says", index, en, "开启时，上级即收到未经核实的信号。"))
    if rule.notice_s:
        en, zh = f"Nothing is decided for {duration(rule.notice_s)}.", f"{_duration_zh(rule.notice_s)}内不作决定。"
        steps.append(Step("spec 6.2", "says", index, en, zh))
    if rule.window_s:
        en = f"Ballots are taken for {duration(rule.window_s)}; then it lapses."
        steps.append(Step("spec 4", "says", index, en, f"{_duration_zh(rule.window_s)}内接受表决；其后失效。"))
    if rule.veto is not None:
        en = f"Then {_roles(rule.veto.by)} may veto for {duration(rule.veto.window_s)}, or concur"
        zh = f"其后{_roles_zh(rule.veto.by)}可在 {_duration_zh(rule.veto.window_s)}内否决或同意"
        if members is not None:
            holders = [
                one.id
                for one in members
                if one.status == "active" and one.id != author and any(role in rule.veto.by for role in one.roles)
            ]
            en += f": {len(holders)} now" if holders else ": nobody now, so it is recorded at once"
            zh += f"：现有 {len(holders)} 名" if holders else "：现无此人，故立即记录"
        en, zh = f"{en}. Who leads the incident does not.", f"{zh}。事件的牵头者除外。"
        steps.append(Step("spec 6.2", "says", index, en, zh))
    return steps


def _result(rule: Rule, index: int) -> Step:
    en, zh = ["recorded"], ["记录"]
    if is_report_rule(rule):
        en.append("joins or opens an incident" if rule.opens_incident else "joins an incident, but opens none")
        zh.append("加入或开启事件" if rule.opens_incident else "只加入事件，不开启")
    if rule.escalate and is_report_rule(rule):
        en.append("goes to the parent")
        zh.append("上报上级")
    if rule.reward is not None:
        en.append(f"earns `{rule.reward}` if upheld")
        zh.append(f"证实后获得 `{rule.reward}`")
    return Step("spec 7", "says", index, f"When it passes: {', '.join(en)}.", f"通过后：{'、'.join(zh)}。")


def describe(charter: Charter) -> Description:
    """The charter as a table of rules and a list of settings, with what the loader says of it."""
    return Description(
        charter.name,
        charter.digest,
        [_row(rule) for rule in charter.rules],
        _settings(charter),
        [problem.sentence for problem in check_charter(charter)],
    )


def _row(rule: Rule) -> RuleRow:
    veto = "-" if rule.veto is None else f"{_roles(rule.veto.by)}, {duration(rule.veto.window_s)}"
    return RuleRow(
        rule.kind, rule.stage, rule.model, _roles(rule.issuers), _roles(rule.electorate), threshold_text(rule),
        duration(rule.window_s), duration(rule.notice_s), veto, rule.escalate, rule.signal, rule.opens_incident,
        rule.reward or "-",
    )  # fmt: skip


def _settings(charter: Charter) -> list[Setting]:
    tokens, limits, times, peers, silent = charter.tokens, charter.limits, charter.times, charter.peers, charter.dormant
    key = [name for name in charter.incident_key.__struct_fields__ if getattr(charter.incident_key, name)]
    values = {
        "stages": _list(charter.stages.names),
        "edges": _list([f"{edge.source} to {edge.target}" for edge in charter.stages.edges]),
        "quiet": f"{duration(times.quiet_s)}: {_list(charter.stages.quiet)}",
        "incident_key": _list(key),
        "kinds": _list([f"{use.category}: {' '.join(use.kinds)}" for use in charter.kinds], "any"),
        "schemes": _list([f"{one.use} {one.scheme}" for one in charter.schemes], "any"),
        "codes.veto": _list(charter.codes.veto, "any"),
        "codes.cannot": _list(charter.codes.cannot, "any"),
        "rewards": _list([f"{one.name} {one.author} and {one.endorser}" for one in charter.rewards]),
        "stains": "yes" if charter.stains.refuted else "no",
        "retract": duration(charter.stains.grace_s),
        "tokens": f"{tokens.bucket}, one back every {duration(tokens.refill_s)}, returned at {tokens.return_at}",
        "limits": f"{limits.reports_week or 'any'} reports a week, {limits.open_messages} open messages, "
        f"{limits.open_motions} open motions",
        "envelopes": f"{limits.envelopes}, one back every {limits.envelope_ms} ms",
        "dormant": "-" if silent is None else f"{duration(silent.silent_s)}, {silent.missed} missed",
        "grace": duration(times.grace_s),
        "lead": duration(times.lead_s),
        "order": duration(times.order_s),
        "retry": duration(times.retry_s),
        "receipt": duration(times.receipt_s),
        "evidence": f"suspended for {duration(times.evidence_s)}" if times.evidence_s else "only on record",
        "peers": f"{peers.per_week} a week, {peers.min_endorsers} endorsers, at most {duration(peers.max_age_s)} old",
        "calibration": charter.calibration or "-",
    }
    return [Setting(name, values[name], en, zh) for name, (en, zh) in _SETTINGS.items()]


_SETTINGS = {
    "stages": ("An incident opens in the first.", "事件从第一个阶段开始。"),
    "edges": ("Moves between stages.", "阶段之间的移动。"),
    "quiet": ("Without a record for so long it closes by itself, in these stages.", "在这些阶段久无记录即自行关闭。"),
    "incident_key": ("Reports that agree in these join one incident.", "这些相同的报告归入同一事件。"),
    "kinds": ("Report kinds that a category may use.", "各类别可用的报告类型。"),
    "schemes": ("Code schemes that reports may use.", "报告可用的编码体系。"),
    "codes.veto": ("Reasons for a veto.", "否决的理由代码。"),
    "codes.cannot": ("Reasons not to carry out an order.", "无法执行命令的理由代码。"),
    "rewards": ("Credits of author and endorser of an upheld record.", "记录证实后作者与背书者的积分。"),
    "stains": ("Whether a refuted record stains its author and endorsers.", "被推翻的记录是否留下污点。"),
    "retract": ("A retraction within this takes neither credit nor blame.", "在此期限内撤回，不计功过。"),
    "tokens": ("Reports at hand; a supported one costs nothing.", "可用的报告令牌；获支持的报告不消耗。"),
    "limits": ("Caps of one member.", "单个成员的上限。"),
    "envelopes": ("Quota of signed envelopes.", "签名信封的配额。"),
    "dormant": ("Silent for so long, a member does not count where a share decides.", "久未行动者不计入按比例的表决。"),
    "grace": ("Least prolongation of a vote after an outage.", "中断后表决至少延长的时间。"),
    "lead": ("Term of a lead.", "牵头者任期。"),
    "order": ("Longest life of an order.", "命令的最长有效期。"),
    "retry": ("After this an incident may be escalated anew.", "其后事件可再次上报。"),
    "receipt": ("After this a missing answer is overdue.", "超过此时仍无答复即为逾期。"),
    "evidence": ("Who is proven to have signed two histories, or voted twice.", "经证明签署了两份历史或重复投票者。"),
    "peers": ("What a new peer's entry starts from.", "新对等网络条目的初始值。"),
    "calibration": ("Digest of the file that its numbers come from.", "其数值来源文件的摘要。"),
}


def threshold_text(rule: Rule) -> str:
    """A threshold in words: `more than 1/2, at least 2`; "-" without ballots."""
    law = rule.threshold
    if law is None:
        return "-"
    if law.num == 0:
        return f"at least {max(law.at_least, int(law.strict))}"
    return f"{'more than ' if law.strict else ''}{law.num}/{law.den}, at least {law.at_least}"


def _threshold_zh(rule: Rule) -> str:
    law = rule.threshold
    if law is None:
        return "-"
    if law.num == 0:
        return f"至少 {max(law.at_least, int(law.strict))} 名"
    return f"{'超过' if law.strict else ''} {law.num}/{law.den}，至少 {law.at_least} 名".strip()


_UNITS = ((86_400, 2, "d", "天"), (3_600, 1, "h", "小时"), (60, 1, "min", "分钟"), (1, 1, "s", "秒"))


def duration(seconds: int) -> str:
    """Seconds in the largest unit that says them exactly: `24 h`, `7 d`; "-" for none."""
    return _in_units(seconds, 2)


def _duration_zh(seconds: int) -> str:
    return _in_units(seconds, 3)


def _in_units(seconds: int, name: int) -> str:
    for unit in _UNITS:
        if seconds % unit[0] == 0 and seconds >= unit[0] * unit[1]:
            return f"{seconds // unit[0]} {unit[name]}"
    return "-"


def _list(names: Sequence[str], none: str = "-") -> str:
    return ", ".join(names) or none


def _roles(roles: Sequence[str]) -> str:
    return " or ".join(roles) or "-"


def _roles_zh(roles: Sequence[str]) -> str:
    return "或".join(_ROLE_ZH.get(role, role) for role in roles) or "无"
