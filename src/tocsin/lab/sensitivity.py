"""What becomes of the frozen rule when the study's own choices are made otherwise (replay 2 to 5, 10, 11).

`truth_variants` judge the same records anew; `world_variants` are runs of their own and take longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tocsin.lab.calibrate import Frozen
from tocsin.lab.incidents import incidents_of
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.roster import Rule
from tocsin.lab.runs import Run, drive_bare, drive_tree
from tocsin.lab.scoring import Span, Tally, tally
from tocsin.lab.supervisors import AtRandom, Concurring, Supervisor, Under
from tocsin.lab.truth import SENSITIVITY_CASES, SENSITIVITY_GAPS, Truth, TruthRule, Verdicts, classify

__all__ = ["Variant", "World", "truth_variants", "world_variants"]

Periods = Sequence[tuple[str, Span]]

BALLOT_WINDOWS = (1, 7, 14)
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


@dataclass(frozen=True, slots=True)
class World:
    """Another world to run the frozen rule in; with a `supervisor` the nation's records are judged."""

    label: str
    knowledge: Knowledge
    rule: Rule
    window: int
    supervisor: Supervisor | None = None

    def run(self, truth: Truth, periods: Periods) -> Variant:
        """The rule in this world, from the archive's first morning to its last."""
        first, last = self.knowledge.first_morning, self.knowledge.last_morning
        if self.supervisor is None:
            made = drive_bare(self.knowledge, truth, "pilot", self.rule, self.window, first, last)
            return _variant(self.label, truth, made.verdicts, periods)
        made = drive_tree(
            self.knowledge, truth, "pilot", self.rule, self.window, first, last, supervisor=self.supervisor
        )
        return _variant(self.label, truth, made.nation, periods, nation=True)


def world_variants(knowledge: Knowledge, frozen: Frozen) -> list[World]:
    """Worlds with other knowledge, other windows, other supervisors; those that are worlds of their own."""
    archive, rule, window = knowledge.archive, frozen.rule, frozen.window_days
    found: list[World] = []
    if archive.kind == "line-list" and knowledge.known == "confirmation":
        leak = Knowledge(archive, known="notification", imported=knowledge.imported)
        found.append(World("LEAK: known from notification", leak, rule, window))
    blind = Knowledge(archive, known=knowledge.known, imported="unknown")
    if (blind.counts_as_local != knowledge.counts_as_local).any():
        found.append(World("imported cases not told apart", blind, rule, window))
    for days in BALLOT_WINDOWS:
        if days != rule.window_days:
            other = Rule(rule.cases, rule.endorsers, days, rule.calibration)
            found.append(World(f"ballots within {days} day{'s' * (days > 1)}", knowledge, other, window))
    offices: list[Supervisor] = [Concurring(), Under(knowledge), *(AtRandom(share) for share in VETO_SHARES)]
    return found + [World(f"national; every office {one.label}", knowledge, rule, window, one) for one in offices]


def _variant(label: str, truth: Truth, verdicts: Verdicts, periods: Periods, *, nation: bool = False) -> Variant:
    since = periods[-1][1].first if len(periods) == 1 else periods[1][1].first
    waves = [one for one in verdicts.waves if one.wave.first >= since]
    largest = max(waves, key=lambda one: one.wave.cases, default=None)
    return Variant(
        label, False, nation, tuple(tally(truth, verdicts, span) for _, span in periods),
        None if largest is None else largest.record_day,
    )  # fmt: skip
