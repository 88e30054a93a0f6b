"""The charters that ship, as data, and how a network's own charter is made from one (spec 13).

`paper` is the paper as written, `pilot` what we recommend to start with, `broadcast-only` the
baseline of command, `figure-4` the paper's example of two levels. Empty `kinds` and `schemes` mean
that anything may be reported; `pilot` lists some notifiable diseases (ICD-11) and hazards, to be
replaced by each country's own, because a listed category may use only what its line allows.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, TypedDict, Unpack

import msgspec
from msgspec.structs import replace

from tocsin.kernel.charter import Charter, KindUse, Rule, Threshold, Veto
from tocsin.kernel.charter_check import Problem, check_charter
from tocsin.kernel.charter_form import REPORTS, covers, is_report_rule, warn
from tocsin.kernel.envelope import too_deep
from tocsin.kernel.rows import Member

MAX_FILE = 256 * 1024
"""Bytes of a charter's file, which may be laid out for reading; its canonical form has its own limit."""

ENDORSERS: tuple[int, ...] = (
    2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 9, 10,
    10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15, 15, 16, 16, 16, 16,
    17, 17, 17, 17, 18, 18, 18, 18, 18, 19, 19, 19, 19, 20, 20, 20, 20, 21, 21, 21, 21, 21, 22, 22, 22, 22, 23, 23, 23,
    23, 24, 24, 24, 24, 24, 25, 25,
)  # fmt: skip
"""k for n = 1, 2, .. 99 who may endorse, the author left out: the smallest for which at most 5 % of
reports without an outbreak find k endorsers. Each sees falsely with probability .1 (sensitivity .60,
specificity .90), correlated by .05: beta-binomial tail. At n = 4, 7, 9, 13, 20, 30 it is the table of
the mechanism sheet, section 1.2; between and beyond them the sheet's formula."""

SMALL = 3
"""Below this many voters a network lives by one report rule that everyone may endorse (spec 13.1)."""
_SMALL_WINDOW_S = {"paper": 86_400, "pilot": 7 * 86_400}
_PILOT_MOTIONS_NEED = 4


class Fit(TypedDict, total=False):
    """How `for_network` may fit a charter to its network, where it is handed on."""

    k: int | None
    window_s: int | None
    veto_window_s: int | None
    quiet_s: int | None
    calibration: str | None
    kinds: Mapping[str, Sequence[str]] | None


class CharterError(ValueError):
    """A charter that does not load. `problems`: what the loader's law found, if it came that far."""

    def __init__(self, sentence: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(sentence)
        self.problems = tuple(problems)


def names() -> tuple[str, ...]:
    """The charters that ship."""
    return ("paper", "pilot", "broadcast-only", "figure-4")


@cache
def load(name: str) -> Charter:
    """A charter that ships. Its `pilot` has k = 4, for ten voters: the sheet's row n = 9, the smallest
    network it recommends. Raises CharterError for another name."""
    if name not in names():
        raise CharterError(f"No charter `{name}` ships; there are {', '.join(names())}.")
    return from_bytes((files(__name__) / f"{name}.json").read_bytes())


def from_bytes(data: bytes) -> Charter:
    """Read a charter, in canonical form or laid out for reading.

    Raises CharterError, with what is wrong and where, if the bytes are no charter or the loader's law
    forbids it (spec 6.6).
    """
    if len(data) > MAX_FILE:
        raise CharterError(f"The file has {len(data)} bytes; a charter's file has at most {MAX_FILE}.")
    if too_deep(data):
        raise CharterError("The charter nests deeper than any charter does; check its brackets.")
    try:
        # Read twice: msgspec would take the second of two equal keys, and does not say the line of an error.
        json.loads(
            data.decode(), object_pairs_hook=_object, parse_int=str, parse_float=_no_integer, parse_constant=_no_integer
        )
        charter = msgspec.json.decode(data, type=Charter)
    except UnicodeDecodeError as error:
        raise CharterError(f"The charter is not UTF-8 at byte {error.start}.") from error
    except json.JSONDecodeError as error:
        raise CharterError(f"Line {error.lineno}, column {error.colno} is not JSON: {error.msg}.") from error
    except msgspec.DecodeError as error:
        raise CharterError(f"The charter does not fit its schema: {error}.") from error
    fatal = [problem for problem in check_charter(charter) if problem.fatal]
    if fatal:
        raise CharterError("\n".join(f"{problem.clause}: {problem.sentence}" for problem in fatal), fatal)
    return charter


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            where = ascii(", ".join(name for name, _ in pairs)[:200])
            raise CharterError(f"{key[:80]!a} stands twice in one object, {where}; keep one.")
        result[key] = value
    return result


def _no_integer(text: str) -> Any:
    raise CharterError(f"`{text[:40]}` is no whole number; a charter holds integers only.")


def endorsers_for(n: int) -> int:
    """k for `n` who may endorse, the author left out; never more than `n`. Raises ValueError below 1."""
    if n < 1:
        raise ValueError(f"With {n} who may endorse there is no k.")
    return min(n, ENDORSERS[min(n, len(ENDORSERS)) - 1])


def for_network(
    name: str,
    voters: int,
    supervisors: int,
    *,
    k: int | None = None,
    window_s: int | None = None,
    veto_window_s: int | None = None,
    quiet_s: int | None = None,
    calibration: str | None = None,
    kinds: Mapping[str, Sequence[str]] | None = None,
    parent: bool = False,
) -> tuple[Charter, list[str]]:
    """A charter that ships, fitted to a network of so many voters and supervisors (spec 13.1).

    `k`: endorsers beside the author, read by `pilot` only; else the table's. `window_s`,
    `veto_window_s`: of all reports that have one, in place of the charter's. `quiet_s`: after which
    incidents close. `calibration`: digest of the file that k comes from. `kinds`: report kinds by
    category; none given, any category may use any. `parent`: child networks report to it, so that
    incidents are told apart by source too.

    Returns the charter and sentences for the network's page. Raises CharterError where no such
    network can be founded.
    """
    charter = load(name)
    if voters < 1 or voters + supervisors < 2:
        raise CharterError(f"{voters} voters and {supervisors} supervisors found no network; it takes two members.")
    if k is not None and k < 1:
        raise CharterError(f"k is {k}; at least one must endorse beside the author.")
    rules, notes = list(charter.rules), list[str]()
    least = charter.peers.min_endorsers
    if voters < SMALL and name in _SMALL_WINDOW_S:
        rules = _small(name, rules)
        notes.append(f"With {voters} of {SMALL} voters any other member's endorsement records a report; nobody vetoes.")
    elif name == "pilot":
        wanted = endorsers_for(voters - 1) if k is None else k
        least = min(wanted, voters - 1)
        if least < wanted:
            notes.append(f"k is {least} and not {wanted}: {voters} voters leave {voters - 1} beside the author.")
        rules = [_needs(rule, least) if _by_number(rule) else rule for rule in rules]
    if name == "pilot" and voters + supervisors < _PILOT_MOTIONS_NEED:
        rules = [_motion_of_two(rule) for rule in rules]
        notes.append(f"With {voters + supervisors} who vote on motions, two must endorse one and not three.")
    rules = [_timed(rule, window_s, veto_window_s) if is_report_rule(rule) else rule for rule in rules]
    uses = [KindUse(category, sorted(kinds[category])) for category in sorted(kinds)] if kinds else []
    times = charter.times if quiet_s is None else replace(charter.times, quiet_s=quiet_s)
    key = replace(charter.incident_key, source=parent or charter.incident_key.source)
    peers = replace(charter.peers, min_endorsers=least)
    fitted = replace(
        charter, rules=rules, kinds=uses, times=times, incident_key=key, peers=peers, calibration=calibration
    )
    return _fitted(fitted.canonical), notes


@lru_cache(maxsize=256)
def _fitted(data: bytes) -> Charter:
    # A country has thousands of networks and few different charters: they share one object each.
    return from_bytes(data)


def for_parent(
    name: str, voters: int, supervisors: int, *, min_endorsers: int | None = None, **fit: Unpack[Fit]
) -> tuple[Charter, list[str]]:
    """As `for_network`, for a network of child networks. `min_endorsers`: what a new child's entry asks
    for, if not the network's own number; see `min_endorsers` for the number of one child."""
    charter, notes = for_network(name, voters, supervisors, parent=True, **fit)
    if min_endorsers is not None:
        charter = replace(charter, peers=replace(charter.peers, min_endorsers=min_endorsers))
    return charter, notes


def min_endorsers(name: str, *, voters: int, k: int | None = None) -> int:
    """What a parent's entry asks of a child with this charter: the fewest endorsers that any report of
    the child can be recorded with (spec 13.1)."""
    charter, _ = for_network(name, voters, 1, k=k)
    thresholds = [rule.threshold for rule in charter.rules if covers(rule.kind, "report.")]
    return min(0 if one is None else one.at_least for one in thresholds)


def row_problems(charter: Charter, members: Sequence[Member]) -> list[Problem]:
    """Warnings where the roster has left the row that k was taken from (spec 13.1). What was
    calibrated for its own network has no row."""
    if charter.calibration is not None:
        return []
    voters = sum("voter" in member.roles and member.status in ("active", "suspended") for member in members)
    found: list[Problem] = []
    for rule in charter.rules:
        if not _by_number(rule) or rule.threshold is None or voters < 2:
            continue
        if rule.electorate != ["voter"]:
            if voters >= SMALL:
                sentence = f"This is for fewer than {SMALL} voters and there are {voters}; move a charter that fits."
                found.append(warn("outside-row", rule.kind, sentence, voters - SMALL + 1))
            continue
        wanted, has = endorsers_for(voters - 1), rule.threshold.at_least
        if wanted != has:
            sentence = f"For {voters} voters k is {wanted} and the charter has {has}; move one that fits, or calibrate."
            found.append(warn("outside-row", rule.kind, sentence, abs(wanted - has)))
    return found


def _by_number(rule: Rule) -> bool:
    """Whether a report is recorded by a number of endorsers and not by a share."""
    return covers(rule.kind, REPORTS[0]) and rule.threshold is not None and rule.threshold.num == 0


def _needs(rule: Rule, at_least: int) -> Rule:
    return rule if rule.threshold is None else replace(rule, threshold=replace(rule.threshold, at_least=at_least))


def _motion_of_two(rule: Rule) -> Rule:
    if rule.threshold is None or not rule.kind.startswith("motion."):
        return rule
    return _needs(rule, min(2, rule.threshold.at_least))


def _small(name: str, rules: Sequence[Rule]) -> list[Rule]:
    """The rules of a network with fewer than three voters (spec 13.1)."""
    report = Rule(
        kind="report.*", stage="*", model="vote", issuers=["reporter"], electorate=["supervisor", "voter"],
        threshold=Threshold(0, 1, False, 1), window_s=_SMALL_WINDOW_S[name], notice_s=0, veto=None, escalate=True,
        signal=any(rule.signal for rule in rules), opens_incident=True, reward="report",
    )  # fmt: skip
    relayed = next(rule for rule in load("pilot").rules if rule.kind == "relayed.report.*")
    return [report, relayed, *(rule for rule in rules if not is_report_rule(rule))]


def _timed(rule: Rule, window_s: int | None, veto_window_s: int | None) -> Rule:
    window = rule.window_s if window_s is None or rule.ballotless else window_s
    veto = rule.veto
    if veto is not None and veto_window_s is not None:
        veto = Veto(veto.by, veto_window_s)
    return replace(rule, window_s=window, veto=veto)
