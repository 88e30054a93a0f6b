"""A whole study on a real node: plan it, run its charters, score it, leave dossiers behind."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tocsin.lab.archive import Archive
from tocsin.lab.calibrate import Frozen, frozen_for
from tocsin.lab.days import day_of
from tocsin.lab.drive import Report
from tocsin.lab.hosting import ReplayNode
from tocsin.lab.knowledge import Knowledge, KnownRule
from tocsin.lab.replay import Replay, Run, bars_for, compare, drive_hosted
from tocsin.lab.truth import Truth

WARM_UP_DAYS = 365
"""Driven before the span and discarded: a cold start would lead by months (replay 8)."""
DENGUE_SPAN = (day_of("2015-01-01"), day_of("2015-12-31"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be run. Days since 1970-01-01; `start` is the warm-up's first."""

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
    """A finished study: its results, and the dossier of the largest outbreak's record with its check."""

    replay: Replay
    dossier: str | None
    command: str | None
    folder: Path

    def paths(self, report: Path | None) -> list[str]:
        """What a person may want to open."""
        found = [] if report is None else [str(report)]
        return found + ([] if self.dossier is None else [self.dossier])


def plan(
    archive: Archive, *, frozen: Frozen | None = None, first: int | None = None, last: int | None = None,
    known: KnownRule = "confirmation",
) -> Plan:  # fmt: skip
    """Fix span and rule; raises ValueError with a sentence if the archive does not reach so far."""
    knowledge = Knowledge(archive, known=known)
    dengue = archive.source == "dengue-taiwan"
    begin = first if first is not None else DENGUE_SPAN[0] if dengue else knowledge.first_morning
    end = last if last is not None else DENGUE_SPAN[1] if dengue else knowledge.last_morning
    start = max(knowledge.first_morning, begin - WARM_UP_DAYS)
    end = min(end, knowledge.last_morning)
    if not start <= begin <= end:
        raise ValueError("The archive has no day in the span asked for; see its first and last day.")
    return Plan(archive, knowledge, frozen or frozen_for(archive, begin - 1), start, begin, end)


def run(plan: Plan, names: Sequence[str], folder: Path, progress: Callable[[int], None] | None = None) -> Done:
    """Run each charter on hosted networks of its own; the first one's data stay in `folder`."""
    truth = Truth(plan.archive)
    runs: dict[str, Run] = {}
    dossier = command = None
    split = day_of(plan.frozen.until)
    beside, curves, bare = compare(plan.archive, plan.knowledge, truth, plan.frozen, split)
    replay = Replay(
        plan.archive, plan.knowledge, truth, plan.frozen, runs, beside, curves, [], split, plan.first, plan.last
    )
    for place, name in enumerate(names):
        node = ReplayNode(plan.archive, name, plan.frozen, folder if place == 0 else folder / name, plan.start)

        def morning(day: int, node: ReplayNode = node) -> None:
            node.commit(day)
            if progress is not None:
                progress(day)

        runs[name] = drive_hosted(
            plan.archive, plan.knowledge, name, plan.frozen, node.hosted, plan.start, plan.last, morning
        )
        node.finish()
        if place == 0:
            dossier, command = _dossiers(replay, node)
        node.close()
    replay.bars.extend(bars_for(replay, bare))
    return Done(replay, dossier, command, folder)


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
