"""What a replay says on a terminal: at most 14 lines."""

from collections.abc import Sequence

from tocsin.lab.compare import Beside
from tocsin.lab.days import iso
from tocsin.lab.drive import Report, day_at
from tocsin.lab.replay import Replay
from tocsin.lab.runs import Run
from tocsin.lab.scoring import Tally, tally
from tocsin.lab.summary import known_cases
from tocsin.lab.truth import Outcome, Wave

__all__ = ["MOST_LINES", "lines"]

MOST_LINES = 14


def lines(replay: Replay, paths: Sequence[str], command: str | None) -> list[str]:
    """The lines, in the order of the study protocol; `paths` to open, `command` to verify."""
    wave = replay.biggest(replay.first, replay.last)
    said = [_source(replay), _rule(replay)]
    said += _outbreak(replay, wave) if wave is not None else ["No outbreak began in this span."]
    said += _tests(replay)
    said += [
        f"{'pass' if bar.passed else 'FAIL'}: {bar.name}: {_number(bar.value)} ({bar.note})" for bar in replay.bars
    ]
    room = MOST_LINES - len(said) - 1 - bool(paths) - (command is not None)
    said = said[: len(said) + min(0, room)]
    if paths:
        said.append("See " + "  ".join(paths))
    if command is not None:
        said.append(f"Verify: {command}")
    said.append(" ".join(part for part in ("Caveat:", replay.misfit, replay.archive.caveat) if part))
    return said


def _source(replay: Replay) -> str:
    main = replay.main.drive
    agencies = sum(len(replay.archive.members_of(one)) for one in main.leaves)
    word = "confirmed cases, consolidated" if replay.archive.kind == "line-list" else "cases, consolidated"
    leak = " LEAK: known from notification." if replay.knowledge.known == "notification" else ""
    return (
        f"{replay.archive.title} ({replay.archive.source}), {iso(replay.first)} to {iso(replay.last)}: "
        f"{known_cases(replay):,} {word}; {agencies} agencies in {len(main.leaves)} networks"
        f"{f' and {len(main.chains) - len(main.leaves)} above' if len(main.chains) > len(main.leaves) else ''}.{leak}"
    )


def _rule(replay: Replay) -> str:
    rule = replay.frozen
    said = (
        f"Frozen rule: an agency sees with {rule.sight}; the author and {rule.endorsers} "
        f"endorser{'s' * (rule.endorsers > 1)} record; "
        f"{f'known by {rule.until}' if rule.calibrated else 'not calibrated'}, digest {rule.digest[:12]}."
    )
    return " ".join((said, *replay.doubts))


def _outbreak(replay: Replay, wave: Wave) -> list[str]:
    main = replay.main
    name = replay.archive.networks[wave.network].name
    signal, home = main.signal(wave.network, wave.first), main.recorded(wave.network, wave.first)
    nation = main.national(wave.network, wave.first)
    said = (
        f"{name} ({wave.cases:,} cases): first signal {_opened(signal)}, county record {_final(home)}, "
        f"national record {_national(nation)}"
    )
    if nation is not None and nation.national_at is not None:
        day = day_at(nation.national_at)
        known, to_come = replay.truth.known_and_to_come(wave, day, replay.knowledge.known_day)
        said += f" (day {day - wave.first}; {known:,} cases known, {to_come:,} to come)"
    found = [f"{said}.", _leads(replay, main, wave)]
    other = "paper" if main.charter != "paper" else "pilot"
    run = replay.covering(other, wave.first, min(wave.last, replay.last))
    if run is not None:
        county, top = run.recorded(wave.network, wave.first), run.national(wave.network, wave.first)
        record = f"county record {_final(county)}, national record {_national(top)}"
        found.append(f"The same for {other}: {record}. {_leads(replay, run, wave)}")
    beside = [
        f"{label} ({row.setting}) {_first_record(row, wave)}"
        for label, ident in (("pooled", "pooled-count"), ("single", "single-count"))
        if (row := replay.beside.row(ident, equal=True)) is not None
    ]
    if beside:
        found.append(f"At the same false rate, county: {'; '.join(beside)}; {main.charter} {_final(home)}.")
    return found


def _leads(replay: Replay, run: Run, wave: Wave) -> str:
    found = replay.leads(run, wave)
    if not found:
        return "No lead: no national record by its last case."
    return "Lead in days, + before, - after: " + "; ".join(f"{one.days:+d} {one.label}" for one in found) + "."


def _tests(replay: Replay) -> list[str]:
    parts = []
    run = replay.beside.runs[replay.main.charter if replay.main.charter in replay.beside.runs else "pilot"]
    for period in replay.beside.periods:
        if period.test or len(replay.beside.periods) == 1:
            parts.append(f"{period.name}: {_tally(tally(replay.truth, run.nation, period.span))}")
    return [f"National records, {run.charter}: " + ". ".join(parts) + "."] if parts else []


def _tally(counted: Tally) -> str:
    return (
        f"{counted.count(Outcome.TRUE)} true, {counted.count(Outcome.SPILL_OVER)} spill-over, {counted.false()} false, "
        f"{counted.missed} missed of {counted.waves} ({counted.late} late)"
    )


def _first_record(row: Beside, wave: Wave) -> str:
    day = next((one.record_day for one in row.verdicts.waves if one.wave is wave), None)
    return "none" if day is None else iso(day)


def _opened(report: Report | None) -> str:
    return "none" if report is None else iso(day_at(report.opened))


def _final(report: Report | None) -> str:
    return "none" if report is None or report.final is None else iso(day_at(report.final))


def _national(report: Report | None) -> str:
    return "none" if report is None or report.national_at is None else iso(day_at(report.national_at))


def _number(value: float | None) -> str:
    return "nothing to measure" if value is None else f"{value:g}"
