"""The tables of a replay's page."""

from collections.abc import Iterable, Sequence
from html import escape

from tocsin.lab.archive import Archive
from tocsin.lab.compare import Beside, Measured, Period
from tocsin.lab.days import iso
from tocsin.lab.drive import day_at
from tocsin.lab.replay import Replay
from tocsin.lab.runs import Run
from tocsin.lab.scoring import Span
from tocsin.lab.statistics import Interval
from tocsin.lab.truth import JudgedIncident, JudgedWave, Outcome, Wave

__all__ = ["bars", "costs", "grid", "leads", "members", "records", "rules", "sensitivity", "signed", "table"]

RESOLVED = 10
"""A member with fewer resolved reports and ballots than this is too few to say (the page has no league)."""


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", raw: Sequence[int] = (), words: int = 1
) -> str:
    """A table; the first `words` columns hold words, columns in `raw` hold markup."""
    head = "".join(f"<th scope=col{_left(i, words)}>{escape(one)}</th>" for i, one in enumerate(heads))
    body = "".join(
        "<tr>"
        + "".join(f"<td{_left(i, words)}>{cell if i in raw else escape(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<div class=wide><table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _left(column: int, words: int) -> str:
    return " class=w" if column < words else ""


def _whole(day: str) -> str:
    """A date that no line break cuts, for narrow heads."""
    return day.replace("-", "\N{NON-BREAKING HYPHEN}")


def signed(days: float) -> str:
    """A lead or a lag, its sign in the same type either way."""
    return f"{days:+g}".replace("-", "\N{MINUS SIGN}")


def bars(replay: Replay) -> str:
    """The promises, and what came of them."""
    rows = [
        ("<b class=pass>pass</b>" if bar.passed else "<b class=fail>FAIL</b>", bar.name, bar.note,
         "nothing to measure" if bar.value is None else f"{bar.value:g}")
        for bar in replay.bars
    ]  # fmt: skip
    return table(("", "bar", "asked for, and what else to know", "measured"), rows, raw=(0,), words=3) if rows else ""


def leads(replay: Replay, wave: Wave) -> str:
    """Signed leads of the national record, by charter."""
    references = replay.references(wave)
    rows = []
    for charter in dict.fromkeys((*replay.runs, *replay.beside.runs)):
        run = replay.covering(charter, wave.first, min(wave.last, replay.last))
        if run is None:
            continue
        home, nation = run.recorded(wave.network, wave.first), run.national(wave.network, wave.first)
        found = {one.id: signed(one.days) for one in replay.leads(run, wave)}
        known = to_come = "-"
        if nation is not None and nation.national_at is not None:
            day = day_at(nation.national_at)
            known, to_come = (f"{n:,}" for n in replay.truth.known_and_to_come(wave, day, replay.knowledge.known_day))
        rows.append(
            (charter, "-" if home is None or home.final is None else iso(day_at(home.final)),
             "-" if nation is None or nation.national_at is None else iso(day_at(nation.national_at)),
             *(found.get(one.id, "no record") for one in references), known, to_come)
        )  # fmt: skip
    heads = (
        "charter", "county record", "national record", *(f"{one.label} {_whole(iso(one.day))}" for one in references),
        "cases known", "still to come",
    )  # fmt: skip
    return table(heads, rows, caption="Leads in days, and what was known on the day of the national record")


def rules(replay: Replay, period: int, *, usual: bool = False) -> str:
    """Table 1 for one period: charters and, at equal false rate, baselines; or (`usual`) baselines at the thresholds
    that are usual for them."""
    found = replay.beside
    charters = [row for level in ("nation", "county") for row in found.rows if row.charter and row.level == level]
    beside = [row for row in found.rows if not row.charter and row.equal != usual]
    rows = [_rule(row, row.periods[period]) for row in (beside if usual else charters + beside)]
    heads = ("rule", "level", "setting", "true", "spill-over", "false", "missed", "late", "delay, days",
             "false a nation-year")  # fmt: skip
    return table(heads, rows, caption=found.periods[period].label, words=3)


def _rule(row: Beside, found: Measured) -> tuple[str, ...]:
    counted, delay, rate = found.tally, found.tally.delay, found.tally.false_per_year()
    missed = f"{counted.missed} of {counted.waves}"
    if found.missed is not None:
        missed += f" ({_percent(found.missed)})"
    shown = "-" if delay.median is None else f"{delay.median:g}"
    if delay.n > 1:
        shown += f" [{delay.low:g} to {delay.high:g}]"
    if found.delay is not None and delay.n > 1:
        shown += f" ({found.delay.low:.0f} to {found.delay.high:.0f})"
    clusters = counted.count(Outcome.FALSE_CLUSTER)
    return (
        _short(row.label), row.level, row.setting,
        str(counted.count(Outcome.TRUE)), str(counted.count(Outcome.SPILL_OVER)),
        f"{counted.false()} ({clusters} real)" if clusters else str(counted.false()), missed, str(counted.late), shown,
        f"{rate.estimate:.2f} ({rate.low:.2f} to {rate.high:.2f})",
    )  # fmt: skip


def _short(label: str) -> str:
    """A detector's label in a narrow column; the dagger says that the data have to move."""
    return label.replace(" (needs the data to move)", " †").replace(" township,", ",").replace(" county,", ",")


def _percent(interval: Interval) -> str:
    return f"{interval.low:.0%} to {interval.high:.0%}"


def grid(replay: Replay) -> str:
    """The calibration's grid."""
    frozen = replay.frozen
    rows = [
        (f"{cell.cases}", f"{cell.endorsers}", f"{cell.false}", f"{cell.missed} of {cell.waves}", f"{cell.late}",
         "-" if cell.delay_days is None else f"{cell.delay_days:g}",
         "frozen" if (cell.cases, cell.endorsers) == (frozen.cases, frozen.endorsers)
         else f"at a cap of {frozen.other_cap:g}" if [cell.cases, cell.endorsers] == frozen.chosen_at_other_cap else "")
        for cell in frozen.grid
    ]  # fmt: skip
    heads = ("cases to see", "endorsers", "false", "missed", "late", "median delay, days", "chosen as")
    return table(heads, rows)


def records(replay: Replay) -> str:
    """Table 2: every national record of the test years, false ones first, then every missed outbreak; of the
    calibration, the false and the missed."""
    run = replay.beside.runs.get(replay.main.charter)
    periods = replay.beside.periods
    if run is None:
        # A charter that does not stand in Table 1 was driven over the span alone.
        run, periods = replay.main, (Period("span", replay.span, test=True),)
    rows = []
    for period in sorted(periods, key=lambda one: not one.test):
        inside = [one for one in run.nation.incidents if one.day in period.span]
        shown = [one for one in inside if period.test or len(periods) == 1 or one.outcome.is_false()]
        shown.sort(key=lambda one: (not one.outcome.is_false(), one.outcome is not Outcome.SPILL_OVER, one.day))
        rows += [_record(replay.archive, period.name, run, one) for one in shown]
        missed = [o for o in run.nation.waves if o.record_day is None and o.wave.first in period.span]
        rows += [_missed(replay.archive, period.name, run, one) for one in missed]
    heads = ("territory", "period", "outcome", "county record", "national record", "day 0", "cases", "places", "")
    return table(heads, rows, words=3)


def _record(archive: Archive, period: str, run: Run, one: JudgedIncident) -> tuple[str, ...]:
    homes = [
        day_at(report.final)
        for report in run.drive.ended
        if report.incident == one.incident.ref and report.state == "recorded" and report.final is not None
    ]
    wave = one.wave
    return (
        archive.networks[one.incident.network].name, period, str(one.outcome),
        iso(min(homes)) if homes else "-", iso(one.day), "-" if wave is None else iso(wave.first),
        "0" if wave is None else f"{wave.cases:,}", "0" if wave is None else str(wave.places),
        "late" if one.late else "",
    )  # fmt: skip


def _missed(archive: Archive, period: str, run: Run, one: JudgedWave) -> tuple[str, ...]:
    founded = one.wave.network in run.drive.leaves
    return (
        archive.networks[one.wave.network].name, period, "missed", "-", "-", iso(one.wave.first),
        f"{one.wave.cases:,}", str(one.wave.places), "" if founded else "no network",
    )  # fmt: skip


def sensitivity(replay: Replay) -> str:
    """Table 3: the frozen rule when the study's own choices are made otherwise."""
    rows = []
    for one in replay.beside.variants:
        cells = []
        for counted in one.tallies:
            delay = counted.delay.median
            cells += [
                str(counted.false(strict=one.strict)), f"{counted.missed} of {counted.waves}", str(counted.late),
                "-" if delay is None else f"{delay:g}",
            ]  # fmt: skip
        rows.append((one.label, *cells, "missed" if one.record_day is None else iso(one.record_day)))
    heads = ["variant"]
    for period in replay.beside.periods:
        heads += [f"{period.name}: false", "missed", "late", "delay, days"]
    return table((*heads, "largest later outbreak: record"), rows)


def costs(replay: Replay) -> str:
    """Table 4: what the span cost the people of the networks."""
    rows = []
    for charter in dict.fromkeys((*replay.runs, *replay.beside.runs)):
        run = replay.covering(charter, replay.first, replay.last)
        if run is not None:
            rows.append((charter, *_cost(replay.archive, run, replay.span)))
    heads = (
        "charter", "reports", "recorded", "rejected", "lapsed", "vetoed", "held back: no token", "ballots",
        "pages an officer-week",
    )  # fmt: skip
    return table(heads, rows)


def _cost(archive: Archive, run: Run, span: Span) -> tuple[str, ...]:
    reports = [one for one in run.drive.reports.values() if day_at(one.opened) in span]
    states = [one.state for one in reports]
    agencies = sum(len(archive.members_of(one)) for one in run.drive.leaves)
    weeks = agencies * (span.last - span.first + 1) / 7
    ballots = sum(one.day in span for one in run.drive.cast)
    held = sum(day in span for day, _ in run.drive.costs.held_back)
    pages = sum(one.asked for one in reports) / weeks
    return (
        str(len(reports)), *(str(states.count(one)) for one in ("recorded", "rejected", "lapsed", "vetoed")), str(held),
        f"{ballots:,}", f"{pages:.2f}",
    )  # fmt: skip


def members(replay: Replay) -> str:
    """Every agency that reported or was asked, by name; no league."""
    run = replay.main
    found: dict[int, list[int]] = {}
    for report in run.drive.reports.values():
        if day_at(report.opened) in replay.span:
            line = found.setdefault(report.agency, [0, 0, 0, 0, 0])
            line[0] += 1
            verdict = run.found.get(report.message)
            if verdict is not None:
                line[1 + ("upheld", "refuted", "undetermined").index(verdict)] += 1
    for cast in run.drive.cast:
        if cast.day in replay.span:
            found.setdefault(cast.agency, [0, 0, 0, 0, 0])[4] += 1
    agencies, networks = replay.archive.agencies, replay.archive.networks
    rows = []
    for agency in sorted(found, key=lambda one: (agencies[one].name, agencies[one].id)):
        reports, upheld, refuted, undetermined, ballots = found[agency]
        few = upheld + refuted + undetermined < RESOLVED
        shown = ("too few to say", "", "") if few else (str(upheld), str(refuted), str(undetermined))
        home = networks[agencies[agency].network].name
        rows.append((agencies[agency].name, home, str(reports), *shown, str(ballots)))
    return table(
        ("agency", "territory", "reports", "upheld", "refuted", "undetermined", "answered in time"), rows, words=2
    )
