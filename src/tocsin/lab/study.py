"""A whole study on a real node: plan it, run its charters, score it, leave dossiers behind."""

import shlex
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import Frozen, Progress, frozen_for, span_for
from tocsin.lab.days import day_of, iso
from tocsin.lab.drive import Report
from tocsin.lab.hosting import ReplayNode
from tocsin.lab.knowledge import Knowledge, KnownRule
from tocsin.lab.replay import Replay, Run, bars_for, compare, drive_hosted
from tocsin.lab.truth import Truth

WARM_UP_DAYS = 365
"""Driven before the span and discarded: a cold start would lead by months (replay 8)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be run. Days since 1970-01-01; `start` is the first morning, of the warm-up where there is one;
    `first` and `last` are the days that count."""

    archive: Archive
    knowledge: Knowledge
    frozen: Frozen
    start: int
    first: int
    last: int

    @property
    def days(self) -> int:
        """Mornings to drive."""
        return self.last - self.start + 1


@dataclass(frozen=True, slots=True)
class Done:
    """A finished study: its results and, where its networks were kept, the dossier of the largest outbreak's record
    with its check."""

    replay: Replay
    dossier: str | None
    command: str | None

    def paths(self, report: Path | None) -> list[str]:
        """What a person may want to open."""
        found = [] if report is None else [str(report)]
        return found + ([] if self.dossier is None else [self.dossier])


def plan(
    archive: Archive, *, frozen: Frozen | None = None, first: int | None = None, last: int | None = None,
    known: KnownRule = "confirmation", progress: Progress | None = None,
) -> Plan:  # fmt: skip
    """Fix span and rule: what nobody says of the span comes from `span_for`; a rule that is neither given nor shipped
    is calibrated on what was known before the span, with `progress` by cells of the grid.

    Raises ValueError with a sentence if the archive does not reach so far.
    """
    knowledge = Knowledge(archive, known=known)
    usual_first, usual_last = span_for(archive)
    begin = usual_first if first is None else first
    if begin == knowledge.first_morning or (first is None and last is not None and last < usual_first):
        begin = archive.first_day  # With nothing before it to warm up on, an outbreak of the first day counts.
    end = last if last is not None else usual_last if begin <= usual_last else knowledge.last_morning
    if begin > end:
        raise ValueError(f"The span ends on {iso(end)}, before it begins on {iso(begin)}.")
    end = min(end, knowledge.last_morning)
    if not archive.first_day <= begin <= end:
        raise ValueError(
            f"The span begins on {iso(begin)}, but this archive can be replayed from {iso(archive.first_day)} to "
            f"{iso(knowledge.last_morning)}."
        )
    start = max(knowledge.first_morning, begin - WARM_UP_DAYS)
    rule = frozen or frozen_for(archive, begin - 1, known=known, progress=progress)
    return Plan(archive, knowledge, rule, start, begin, end)


def run(
    plan: Plan, names: Sequence[str], folder: Path | None, progress: Callable[[int], None] | None = None, *,
    full: bool = False, beside: Progress | None = None,
) -> Done:  # fmt: skip
    """Run each charter on hosted networks of its own; the first one's data stay in `folder`, those of the others below
    it, and without a folder nothing stays.

    `full`: the worlds of Table 3 too, which are runs of their own. `beside`: progress of the runs to compare with,
    which come first; `progress` is called with each hosted morning.
    """
    truth = Truth(plan.archive)
    runs: dict[str, Run] = {}
    dossier = command = None
    split = day_of(plan.frozen.until)
    compared, curves, bare = compare(
        plan.archive, plan.knowledge, truth, plan.frozen, split, full=full, progress=beside
    )
    replay = Replay(
        plan.archive, plan.knowledge, truth, plan.frozen, runs, compared, curves, [], split, plan.first, plan.last
    )
    with ExitStack() as stack:
        home = folder if folder is not None else Path(stack.enter_context(TemporaryDirectory()))
        for place, name in enumerate(names):
            node = ReplayNode(plan.archive, name, plan.frozen, home if place == 0 else home / name, plan.start)

            def morning(day: int, node: ReplayNode = node) -> None:
                node.commit(day)
                if progress is not None:
                    progress(day)

            runs[name] = drive_hosted(
                plan.archive, plan.knowledge, name, plan.frozen, node.hosted, plan.start, plan.last, morning
            )
            if folder is not None:
                node.finish()
                if place == 0:
                    dossier, command = _dossiers(replay, node)
            node.close()
    replay.bars.extend(bars_for(replay, bare))
    return Done(replay, dossier, command)


def _dossiers(replay: Replay, node: ReplayNode) -> tuple[str | None, str | None]:
    """Dossiers of each territory's first record of the span; the largest outbreak's is shown."""
    shown: Report | None = None
    wave = replay.biggest(replay.first, replay.last)
    command = path = None
    for network in node.plans:
        record = replay.recorded(replay.main, network, replay.first)
        if record is None:
            continue
        name = replay.archive.networks[network].id
        written = node.dossier(network, record.message, name)
        node.dossier_above(network, record.message, name)
        if shown is None or (wave is not None and wave.network == network):
            shown, path = record, str(written)
            command = shlex.join(["tocsin", "verify", str(written), "--policy", str(node.policy(network))])
    return path, command
