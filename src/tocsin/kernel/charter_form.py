"""What makes a charter bad whoever the members are (spec 6.6): the half of the loader's law that
needs no roster. `charter_check` holds the other half and is what others import.

A charter does not load if it can never pass anything, locks its members out of changing it, has a
back door into the constitution, or says something that can only be a mistake.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from tocsin.kernel.charter import Charter, Rule, Threshold, pattern_matches
from tocsin.kernel.words import CONSTITUTIONAL

MAX_CHARTER = 24 * 1024
"""Canonical bytes of a charter: its leaf, at most 32 KiB, must hold it (spec 10)."""
MAX_ORDER_S = 30 * 86_400
"""Longest life of an order in seconds (spec 8, F19)."""
NONE = "none"
"""The stage of what has no incident to join (spec 6.1)."""

FAMILIES = ("report.", "relayed.report.", "relayed.order.", "relayed.share.", "order.", "share.")
"""Prefixes under which a kind may be chosen freely."""
OF_AN_INCIDENT = ("motion.close", "motion.features", "motion.lead", "motion.stage")
STATEMENTS = ("relayed.annotated", "relayed.finding", "relayed.outcome", "relayed.receipts", "relayed.signal")
"""What a peer says about messages that stand already: nothing to vote on (spec 11)."""
KINDS = tuple(sorted((*CONSTITUTIONAL, *OF_AN_INCIDENT, *STATEMENTS, "finding", "finding.review")))
"""The kinds that have a name of their own (spec 5, 8, 9, 11)."""
REPORTS = ("report.", "relayed.report.")


class Problem(NamedTuple):
    """What is wrong with a charter, alone or on a roster.

    `code`: stable slug. `clause`: where. `amount`: by how much it fails, at least 1. `fatal`: it
    forbids loading; else it is a warning.
    """

    code: str
    clause: str
    sentence: str
    amount: int
    fatal: bool


def bad(code: str, clause: str, sentence: str, amount: int = 1) -> Problem:
    """A problem that forbids loading."""
    return Problem(code, clause, sentence, amount, True)


def warn(code: str, clause: str, sentence: str, amount: int = 1) -> Problem:
    """A problem that is only said."""
    return Problem(code, clause, sentence, amount, False)


def label(rule: Rule) -> str:
    """How a rule is named in problems and explanations: `kind@stage`."""
    return f"{rule.kind}@{rule.stage}"


def covers(pattern: str, family: str) -> bool:
    """Whether a pattern covers some kind that begins with `family` (a prefix that ends in a dot)."""
    return pattern.startswith(family) or (pattern.endswith(".*") and family.startswith(pattern[:-1]))


def is_report_rule(rule: Rule) -> bool:
    """Whether a rule covers a report or a relayed report."""
    return any(covers(rule.kind, family) for family in REPORTS)


def constitutional(rule: Rule) -> bool:
    """Whether a rule is for one of the nine guarded motions (spec 6.6)."""
    return rule.kind in CONSTITUTIONAL


def needs_incident(kind: str) -> bool:
    """Whether a message of this kind, or any of this pattern, always names an incident (spec 8)."""
    return kind in OF_AN_INCIDENT or kind.startswith("order.")


def has_no_incident(kind: str) -> bool:
    """Whether the stage of this kind or pattern is always `none` (spec 6.1). A finding has its target's."""
    return kind in (*CONSTITUTIONAL, *STATEMENTS) or kind.startswith(("share.", "relayed.order.", "relayed.share."))


def smaller_share(one: Threshold, other: Threshold) -> bool:
    """Whether `one` asks for a smaller share than `other`; of equal fractions the strict is larger."""
    left, right = one.num * other.den, other.num * one.den
    return left < right or (left == right and other.strict and not one.strict)


def check_charter(charter: Charter) -> list[Problem]:
    """Everything wrong with a charter that can be said without a roster (spec 6.6); total."""
    found: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(charter.rules):
        where = f"rules[{index}] {label(rule)}"
        if (rule.kind, rule.stage) in seen:
            found.append(bad("same-pair", where, f"`{label(rule)}` stands twice; keep one of the rules."))
        seen.add((rule.kind, rule.stage))
        found += _kind_and_stage(charter, rule, where)
        found += _members(rule, where)
        found += _model(rule, where)
        found += _law_of_kind(rule, where)
        if rule.reward is not None and charter.reward(rule.reward) is None:
            found.append(bad("unknown-reward", where, f"No reward is named `{rule.reward}`; add it, or use null."))
        if not is_report_rule(rule) and (rule.escalate or rule.signal or rule.opens_incident or rule.reward):
            found.append(warn("idle-flag", where, "Only reports escalate, signal, open incidents or earn a reward."))
    found += _constitution(charter)
    found += _reach(charter)
    found += _stages(charter)
    found += _lists(charter)
    if charter.times.order_s > MAX_ORDER_S:
        found.append(bad("order-too-long", "times.order_s", f"An order lives at most {MAX_ORDER_S} s (30 days)."))
    size = len(charter.canonical)
    if size > MAX_CHARTER:
        sentence = f"The charter has {size} bytes in canonical form and may have {MAX_CHARTER}; drop rules or codes."
        found.append(bad("too-large", "charter", sentence, size - MAX_CHARTER))
    return found


def _kind_and_stage(charter: Charter, rule: Rule, where: str) -> Iterator[Problem]:
    kind, stage = rule.kind, rule.stage
    if kind in ("*", ".*", ""):
        yield bad("bare-wildcard", where, "A pattern is a kind or `prefix.*`, never a bare `*`; name the prefix.")
        return
    if not any(covers(kind, family) for family in FAMILIES) and not any(pattern_matches(kind, one) for one in KINDS):
        yield bad("unknown-kind", where, f"The protocol has no kind `{kind}`, so the rule never applies; correct it.")
        return
    if stage not in ("*", NONE, *charter.stages.names):
        yield bad("unknown-stage", where, f"`{stage}` is not among the stages; add it, or use `*`.")
    if (needs_incident(kind) and stage == NONE) or (has_no_incident(kind) and stage not in ("*", NONE)):
        yield bad("never-applies", where, f"`{kind}` is never decided in stage `{stage}`; use `*` or another stage.")


def _members(rule: Rule, where: str) -> Iterator[Problem]:
    if not rule.issuers:
        yield bad("no-issuers", where, "Nobody may issue this; name who may, or leave the rule out.")
    for name, roles in (("issuers", rule.issuers), ("electorate", rule.electorate)):
        yield from _sorted_set(f"{where} {name}", roles)
    out_of_place = [
        role
        for role in rule.issuers
        if (role == "party" and not covers(rule.kind, "finding.") and rule.kind != "finding")
        or (role == "lead" and (constitutional(rule) or (rule.stage == NONE and not covers(rule.kind, "order."))))
    ]
    if rule.issuers and len(out_of_place) == len(rule.issuers):
        sentence = "A lead exists only for an incident and a party only for a finding, so nobody can ever issue this."
        yield bad("no-such-issuer", where, sentence)
    for role in rule.electorate:
        if role == "auditor":
            yield bad("auditor-elector", where, "An auditor is in no electorate; take the role out.")
        elif role in ("lead", "party"):
            yield bad("not-an-electors-role", where, f"`{role}` is not a role of the roster; name roles that vote.")
    if rule.veto is not None:
        yield from _sorted_set(f"{where} veto.by", rule.veto.by)
        if rule.electorate and all(role in rule.veto.by for role in rule.electorate):
            yield bad("electorate-holds-veto", where, "Who holds the veto does not vote, so nobody is left to vote.")


def _model(rule: Rule, where: str) -> Iterator[Problem]:
    threshold, veto = rule.threshold, rule.veto
    if threshold is None and rule.electorate:
        yield bad("electorate-without-threshold", where, "An electorate needs a threshold; add one.")
    if threshold is not None and not rule.electorate:
        yield bad("threshold-without-electorate", where, "A threshold needs an electorate; name it, or use null.")
    if rule.model == "broadcast":
        if threshold is not None or rule.electorate:
            yield bad("broadcast-with-ballots", where, "A broadcast takes no ballots; use `vote`.")
        if rule.window_s or rule.notice_s:
            yield bad("broadcast-that-waits", where, "A broadcast is recorded at once; set window and notice to 0.")
        if veto is not None:
            yield bad("broadcast-with-veto", where, "A broadcast cannot be stopped; use `supervise`, or veto null.")
        return
    if rule.model == "vote":
        if threshold is None and not rule.electorate:
            yield bad("vote-without-ballots", where, "A vote needs an electorate; else use another model.")
        if veto is not None:
            yield bad("vote-with-veto", where, "A vote carries no veto; use `supervise`, or veto null.")
    elif veto is None:
        yield bad("supervise-without-veto", where, "Supervision is a veto; say whose, or use `vote`.")
    elif veto.window_s == 0:
        yield bad("no-veto-window", where, "A veto of 0 s can hardly be cast; give it time, or use `vote`.")
    if threshold is None:
        if rule.window_s:
            yield bad("window-without-ballots", where, "Without ballots nobody is waited for; set the window to 0.")
        return
    if rule.window_s == 0:
        yield bad("no-window", where, "Ballots need time; set the window above 0.")
    elif rule.notice_s > rule.window_s:
        yield bad("notice-too-long", where, "The vote ends before its notice, and always lapses; shorten it.")
    if threshold.num > threshold.den or (threshold.strict and threshold.num == threshold.den):
        yield bad("share-above-one", where, "More than everybody can never endorse; lower the share.")
    if threshold.at_least == 0:
        yield bad("needs-nobody", where, "At least one must endorse; set `at_least` to 1, or empty the electorate.")


def _law_of_kind(rule: Rule, where: str) -> Iterator[Problem]:
    """What the protocol itself says about a kind, so that no charter opens a way round it."""
    kind = rule.kind
    if covers(kind, "order.") and rule.issuers != ["lead"]:
        yield bad("order-not-by-lead", where, "Orders are the sitting lead's alone (spec 8); issuers must be `lead`.")
    if kind == "finding":
        if rule.model != "broadcast":
            yield bad("finding-not-broadcast", where, "A finding is issued, not voted on (spec 7); use `broadcast`.")
        if any(role not in ("auditor", "supervisor") for role in rule.issuers):
            yield bad("finding-issuers", where, "Only supervisors and auditors find what was true (spec 9).")
    if pattern_matches(kind, "finding.review") and rule.model != "vote":
        yield bad("review-not-by-vote", where, "A review is a vote of neutrals (spec 9); use `vote`.")
    if any(pattern_matches(kind, one) for one in STATEMENTS) and rule.model != "broadcast":
        yield bad("only-broadcast", where, "What stands already is only noted (spec 11); use `broadcast`.")
    if kind.startswith("relayed.") and "member" not in rule.issuers:
        yield warn("carriers-narrowed", where, "Any member may carry (spec 5); fewer can withhold what was sent.")


def _constitution(charter: Charter) -> Iterator[Problem]:
    """The nine guarded motions: no lock-out and no back door (spec 6.6)."""
    index = charter.match("motion.charter", NONE)
    amend = None if index is None else charter.rules[index]
    if amend is None:
        yield bad("no-amendment", "motion.charter", "Without a rule for `motion.charter` the charter can never change.")
    law = None if amend is None else amend.threshold
    if law is not None and not 2 * law.num > law.den and not (2 * law.num == law.den and law.strict):
        sentence = "Half or fewer could change the charter, and the others change it back; ask for more than half."
        yield bad("constitution-minority", "motion.charter", sentence)
    for number, rule in enumerate(charter.rules):
        where = f"rules[{number}] {label(rule)}"
        if rule.kind.endswith(".*") and any(pattern_matches(rule.kind, one) for one in CONSTITUTIONAL):
            yield bad("constitution-wildcard", where, "No wildcard may match a constitutional motion; name each.")
        if not constitutional(rule):
            continue
        if rule.model == "broadcast":
            yield bad("constitution-broadcast", where, "No member changes the constitution alone; use `vote`.")
        if rule.veto is not None:
            yield bad("constitution-veto", where, "Nobody holds a veto over the constitution; use `vote`.")
        if amend is None or law is None or rule.threshold is None:
            continue
        if smaller_share(rule.threshold, law) or rule.threshold.at_least < law.at_least:
            sentence = f"`{rule.kind}` asks for less than `motion.charter` and is a way round it; ask for as much."
            yield bad("constitution-weaker", where, sentence)
        if "member" not in rule.electorate and any(role not in rule.electorate for role in amend.electorate):
            sentence = f"Not all who vote on `motion.charter` vote on `{rule.kind}`, which is a way round; add them."
            yield bad("constitution-narrower", where, sentence)


def _reach(charter: Charter) -> Iterator[Problem]:
    """Whether anything can ever begin."""
    first = [rule for rule in charter.rules if is_report_rule(rule) and rule.stage in ("*", NONE)]
    if not first:
        sentence = "No report can begin an incident; add a rule for `report.*` or `relayed.report.*` in `*` or `none`."
        yield bad("no-report-rule", "rules", sentence)
    elif not any(rule.opens_incident for rule in first):
        yield warn("nothing-opens", "rules", "No report opens an incident, so there are no stages, leads or orders.")
    orders = any(covers(rule.kind, "order.") for rule in charter.rules)
    if orders and all(rule.kind != "motion.lead" for rule in charter.rules):
        yield warn("nobody-leads", "motion.lead", "Orders need a lead, and no rule makes one; add `motion.lead`.")
    if not any(getattr(charter.incident_key, field) for field in charter.incident_key.__struct_fields__):
        yield warn("joins-everything", "incident_key", "All reports join one incident; let the category count.")
    for index, use in enumerate(charter.kinds):
        for pattern in use.kinds:
            where = f"kinds[{index}] {use.category}"
            if not pattern.startswith("report."):
                yield bad("kinds-not-report", where, f"`{pattern}` is no kind of report; name `report.` kinds.")
            elif not any(_overlap(pattern, rule.kind) for rule in charter.rules):
                yield warn("kinds-without-rule", where, f"No rule covers `{pattern}`; add one, or drop it.")


def _overlap(one: str, other: str) -> bool:
    """Whether two patterns cover a kind in common."""
    return covers(other, one[:-1]) if one.endswith(".*") else pattern_matches(other, one)


def _stages(charter: Charter) -> Iterator[Problem]:
    stages = charter.stages
    yield from _distinct("stages.names", stages.names)
    if NONE in stages.names:
        yield bad("reserved-stage", "stages.names", "`none` means that there is no incident; name the stage otherwise.")
    for index, edge in enumerate(stages.edges):
        where = f"stages.edges[{index}] {edge.source} to {edge.target}"
        for name in (edge.source, edge.target):
            if name not in stages.names:
                yield bad("unknown-stage", where, f"`{name}` is not among the stages; add it, or drop the edge.")
        if edge.source == edge.target:
            yield bad("idle-edge", where, "An edge leads to another stage; drop it.")
    yield from _sorted_set("stages.edges", [f"{edge.source} {edge.target}" for edge in stages.edges])
    for name in stages.quiet:
        if name not in stages.names:
            yield bad("unknown-stage", "stages.quiet", f"`{name}` is not among the stages; add it, or drop it.")
    yield from _sorted_set("stages.quiet", stages.quiet)
    reached = list(stages.names[:1])
    for name in reached:
        reached += [edge.target for edge in stages.edges if edge.source == name and edge.target not in reached]
    for name in stages.names:
        if name not in reached:
            yield warn("unreachable-stage", f"stages {name}", f"No edges lead to `{name}`; add one, or drop the stage.")


def _lists(charter: Charter) -> Iterator[Problem]:
    """Lists that are sets are sorted by bytes, without repeats (spec 2)."""
    yield from _sorted_set("kinds", [use.category for use in charter.kinds])
    for use in charter.kinds:
        yield from _sorted_set(f"kinds {use.category}", use.kinds)
    yield from _sorted_set("codes.veto", charter.codes.veto)
    yield from _sorted_set("codes.cannot", charter.codes.cannot)
    yield from _sorted_set("schemes", [f"{one.use} {one.scheme}" for one in charter.schemes])
    yield from _sorted_set("rewards", [one.name for one in charter.rewards])


def _sorted_set(where: str, names: Sequence[str]) -> Iterator[Problem]:
    yield from _distinct(where, names)
    if any(one > other for one, other in pairwise(names)):
        yield bad("not-sorted", where, "This list is a set and must be sorted by bytes; sort it.")


def _distinct(where: str, names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield bad("duplicate-name", where, f"`{name}` stands twice; keep one.")
