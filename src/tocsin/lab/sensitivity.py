"""What becomes of the frozen rule when the study's own choices are made otherwise (replay 2 to 5, 10, 11).

`truth_variants` judge the same records anew; `world_variants` run the rule again in another world and take longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.lab.calibrate import Frozen
from tocsin.lab.incidents import incidents_of, national_incidents
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule
from tocsin.lab.runs import Run, drive_bare, drive_tree
from tocsin.lab.scoring import Span, Tally, tally
from tocsin.lab.supervisors import AtRandom, Concurring, Supervisor, Under
from tocsin.lab.truth import SENSITIVITY_CASES, SENSITIVITY_GAPS, Truth, TruthRule, Verdicts, classify

__all__ = ["Variant", "truth_variants", "world_variants"]

Periods = Sequence[tuple[str, Span]]

BALLOT_WINDOWS = (1, 14)
VETO_SHARES = (0.1, 0.3)


@dataclass(frozen=True, slots=True)
class Variant:
    """A line of Table 3. `strict`: spill-over counts as false; `nation`: tallies of national records, else of the
    territories'; `record_day`: first record from day 0 to the last onset of the largest outbreak since the calibration
    ended, None if it was missed."""

    label: str
    strict: bool
    nation: bool
    tallies: tuple[Tally, ...]
    record_day: int | None


def truth_variants(truth: Truth, run: Run, periods: Periods) -> list[Variant]:
    """The same records under other definitions of a true outbreak."""
    rule = truth.rule
    rules: list[tuple[str, TruthRule]] = [
        (f"an outbreak has {cases} cases", TruthRule(min_cases=cases))
        for cases in SENSITIVITY_CASES
        if cases != rule.min_cases
    ]
    rules += [
        (f"a wave ends after {gap} days without onset", TruthRule(gap_days=gap))
        for gap in SENSITIVITY_GAPS
        if gap != rule.gap_days
    ]
    rules.append(("waves by residence", TruthRule(by="residence")))
    base = _variant("as defined", truth, run.verdicts, periods)
    found = [base, Variant("spill-over counts as false", True, False, base.tallies, base.record_day)]
    incidents = incidents_of(run.drive)
    for label, other in rules:
        judged = Truth(truth.archive, other)
        found.append(_variant(label, judged, classify(judged, incidents), periods))
    return found


def world_variants(knowledge: Knowledge, truth: Truth, frozen: Frozen, periods: Periods) -> list[Variant]:
    """The frozen rule with other knowledge, other windows, other supervisors."""
    archive, rule, window = knowledge.archive, frozen.rule, frozen.window_days
    worlds: list[tuple[str, Knowledge, Rule]] = []
    if archive.kind == "line-list" and knowledge.known == "confirmation":
        leak = Knowledge(archive, known="notification", imported=knowledge.imported)
        worlds.append(("LEAK: known from notification", leak, rule))
    blind = Knowledge(archive, known=knowledge.known, imported="unknown")
    if (blind.counts_as_local != knowledge.counts_as_local).any():
        worlds.append(("imported cases not told apart", blind, rule))
    for days in BALLOT_WINDOWS:
        other = Rule(rule.cases, rule.endorsers, days, rule.calibration)
        worlds.append((f"ballots within {days} day{'s' * (days > 1)}", knowledge, other))
    found = []
    for label, known, numbers in worlds:
        run = drive_bare(known, truth, "pilot", numbers, window, known.first_morning, known.last_morning)
        found.append(_variant(label, truth, run.verdicts, periods))
    offices: list[Supervisor] = [Concurring(), Under(knowledge), *(AtRandom(share) for share in VETO_SHARES)]
    for office in offices:
        run = drive_tree(
            knowledge, truth, "pilot", rule, window, knowledge.first_morning, knowledge.last_morning, supervisor=office
        )
        judged = classify(truth, national_incidents(run.drive))
        found.append(_variant(f"national; every office {office.label}", truth, judged, periods, nation=True))
    return found


def _variant(label: str, truth: Truth, verdicts: Verdicts, periods: Periods, *, nation: bool = False) -> Variant:
    since = periods[-1][1].first if len(periods) == 1 else periods[1][1].first
    waves = [one for one in verdicts.waves if one.wave.first >= since]
    largest = max(waves, key=lambda one: one.wave.cases, default=None)
    return Variant(
        label, False, nation, tuple(tally(truth, verdicts, span) for _, span in periods),
        None if largest is None else largest.record_day,
    )  # fmt: skip
