"""The page of a replay: one self-contained HTML file, in the order of the study protocol."""

from collections.abc import Sequence
from html import escape

from tocsin.lab import figures
from tocsin.lab.days import iso
from tocsin.lab.replay import Beside, Replay
from tocsin.lab.scoring import Tally
from tocsin.lab.truth import JudgedIncident, Outcome, Wave

STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2733;background:#fff}h1{font-size:1.7rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}th,td{text-align:right;
padding:.28rem .5rem;border-bottom:1px solid #d6dde3}th:first-child,td:first-child{text-align:left}svg{width:100%;
height:auto;background:#fff}.caveat{color:#52606d}.box{border-left:4px solid #c2410c;padding:.5rem 1rem;background:#fff7ed;
color:#1c2733}.fail{color:#b91c1c;font-weight:600}.pass{color:#15803d;font-weight:600}code{background:#eef2f5;
color:#1c2733;padding:.1rem .3rem}@media(prefers-color-scheme:dark){body{background:#111820;color:#e6edf3}}
"""

CANNOT_SHOW = (
    "These are confirmed and consolidated cases, not notifications; origin is taken as known early; ballots are cast by "
    "machines that know no fear, fatigue or weekends; nothing here shows the politics of a veto. The agencies of this "
    "archive did not report to one another, and their central office saw every case within days. Official acts differ in "
    "kind, independent waves are few, and a lead is not a number of cases averted."
)


def page(replay: Replay, *, dossier: str | None = None, command: str | None = None) -> str:
    """The whole page; `dossier` and `command` show how to check the record offline."""
    wave = replay.biggest(replay.first, replay.last)
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Tocsin replay: {escape(replay.archive.title)}</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(headline(replay, wave))}</h1>",
        f"<p class=caveat>{escape(replay.archive.caveat)} {escape(replay.knowledge.label)}. Source: "
        f"{escape(replay.archive.citation)} Span {iso(replay.first)} to {iso(replay.last)}.</p>",
        f"<p>Frozen rule: an agency sees with {replay.frozen.cases} local cases in {replay.frozen.window_days} days; the "
        f"author and {replay.frozen.endorsers} endorsers record. Chosen on what was known by {replay.frozen.until}, "
        f"digest <code>{replay.frozen.digest[:16]}</code>. Leave one season out: {escape(replay.frozen.leave_one_out)}; "
        f"bootstrap: {escape(replay.frozen.bootstrap)}.</p>",
        _bars(replay),
    ]
    if wave is not None:
        parts += ["<h2>Figure 1. What was known when</h2>", figures.outbreak(replay, wave), _leads(replay, wave)]
    parts += ["<h2>Table 1. Rules and baselines</h2>", _table_of_rules(replay.beside)]
    parts += ["<h2>Figure 2. False records against delay</h2>", figures.frontier(replay)]
    if wave is not None:
        parts += ["<h2>Figure 3. Agencies by weeks</h2>", figures.townships(replay, wave),
                  "<p class=caveat>Colour: cases known that week. Dot: saw. Ring: reported.</p>"]  # fmt: skip
    parts += ["<h2>Table 2. Every record, false ones first; every missed wave</h2>", _records(replay)]
    parts += ["<h2>Table 3. Calibration grid</h2>", _grid(replay)]
    parts += ["<h2>Table 4. What it cost</h2>", _costs(replay)]
    parts += ["<h2>Members</h2>", _members(replay)]
    if dossier is not None and command is not None:
        parts.append(
            f"<h2>Check it yourself</h2><p>The record as one file: <code>{escape(dossier)}</code>. "
            f"Offline, trusting nobody's server: <code>{escape(command)}</code></p>"
        )
    parts.append(f"<h2>What this cannot show</h2><p class=box>{escape(CANNOT_SHOW)}</p>")
    said = [*replay.main.said, *replay.archive.notes]
    parts.append("<ul class=caveat>" + "".join(f"<li>{escape(one)}</li>" for one in said) + "</ul></body></html>")
    return "\n".join(parts)


def headline(replay: Replay, wave: Wave | None) -> str:
    """One sentence with signed leads."""
    if wave is None:
        return f"No outbreak began in the span of this replay of {replay.archive.title}."
    name = replay.archive.networks[wave.network].name
    found = replay.leads(replay.main, wave)
    if not found:
        return f"The outbreak in {name} ({wave.cases} cases) reached no national record by its last onset."
    said = ", ".join(f"{one.days:+d} days to {one.label}" for one in found)
    return f"{name}, {wave.cases} confirmed cases: the national record stood {said}."


def _bars(replay: Replay) -> str:
    rows = [
        (bar.name, "-" if bar.value is None else f"{bar.value:g}", f"{bar.bar:g}",
         "<span class=pass>pass</span>" if bar.passed else "<span class=fail>FAIL</span>")
        for bar in replay.bars
    ]  # fmt: skip
    return _table(("Bar", "measured", "bar", ""), rows, raw={3}) if rows else ""


def _leads(replay: Replay, wave: Wave) -> str:
    rows = []
    for name, run in replay.runs.items():
        for one in replay.leads(run, wave):
            rows.append((name, one.label, iso(one.reference_day), f"{one.days:+d}"))
    return _table(("Charter", "Reference", "on", "lead, days"), rows)


def _table_of_rules(beside: Sequence[Beside]) -> str:
    rows = []
    for one in beside:
        for label, counted in (("calibration", one.calibration), ("test", one.test)):
            rows.append((one.label + (" (needs the data to move)" if one.moves_data else ""), label, *_cells(counted)))
    return _table(
        ("Rule", "", "true", "spill-over", "false", "missed", "late", "waves", "delay, days", "false a nation-year"), rows
    )


def _cells(counted: Tally) -> tuple[str, ...]:
    delay, rate = counted.delay, counted.false_per_year()
    shown = "-" if delay.median is None else f"{delay.median:g} ({delay.low:g} to {delay.high:g})"
    return (
        str(counted.count(Outcome.TRUE)), str(counted.count(Outcome.SPILL_OVER)), str(counted.false()),
        str(counted.missed), str(counted.late), str(counted.waves), shown,
        f"{rate.estimate:.2f} ({rate.low:.2f} to {rate.high:.2f})",
    )  # fmt: skip


def _records(replay: Replay) -> str:
    verdicts = replay.main.verdicts
    names = replay.archive.networks

    def rank(one: JudgedIncident) -> tuple[bool, int]:
        return not one.outcome.is_false(strict=True), one.day

    rows = [
        (names[one.incident.network].name, iso(one.day), str(one.outcome), "late" if one.late else "",
         "" if one.wave is None else f"{one.wave.cases} cases from {iso(one.wave.first)}")
        for one in sorted(verdicts.incidents, key=rank)
        if replay.first <= one.day <= replay.last
    ]  # fmt: skip
    rows += [
        (names[one.wave.network].name, iso(one.wave.first), "missed", "", f"{one.wave.cases} cases")
        for one in verdicts.waves
        if one.record_day is None and replay.first <= one.wave.first <= replay.last
    ]
    return _table(("Territory", "day", "outcome", "", "wave"), rows)


def _grid(replay: Replay) -> str:
    rows = [
        (f"{one['cases']}", f"{one['endorsers']}", f"{one['false']}", f"{one['missed']} of {one['waves']}",
         f"{one['late']}", "-" if one["delay_days"] is None else f"{one['delay_days']:g}")
        for one in replay.frozen.grid
    ]  # fmt: skip
    return _table(("cases to see", "endorsers", "false", "missed", "late", "median delay"), rows)


def _costs(replay: Replay) -> str:
    rows = []
    for name, run in replay.runs.items():
        cost = run.drive.costs
        weeks = max(1.0, (replay.last - replay.first + 1) / 7 * len(replay.archive.agencies))
        endings = cost.endings
        rows.append(
            (name, str(cost.reports), str(cost.ballots), str(endings["recorded"]), str(endings["rejected"]),
             str(endings["lapsed"]), str(cost.held_back), f"{(cost.ballots + cost.reports) / weeks:.3f}")
        )  # fmt: skip
    heads = ("Charter", "reports", "ballots", "recorded", "rejected", "lapsed", "held back", "acts an officer-week")
    return _table(heads, rows)


def _members(replay: Replay) -> str:
    verdict = {one.incident.ref: one.outcome for one in replay.main.verdicts.incidents}
    found: dict[int, list[int]] = {}
    for report in replay.main.drive.reports.values():
        row = found.setdefault(report.agency, [0, 0, 0])
        row[0] += 1
        outcome = verdict.get(report.incident or "")
        if report.state == "recorded" and outcome is not None:
            row[2 if outcome.is_false(strict=True) else 1] += 1
    rows = []
    for agency, (reports, upheld, refuted) in sorted(found.items(), key=lambda one: replay.archive.agencies[one[0]].name):
        few = upheld + refuted < 10
        shown = ("too few to say", "") if few else (str(upheld), str(refuted))
        rows.append((replay.archive.agencies[agency].name, str(reports), *shown))
    return _table(("Agency", "reports", "upheld", "refuted"), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], raw: frozenset[int] | set[int] = frozenset()) -> str:
    head = "".join(f"<th scope=col>{escape(one)}</th>" for one in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell if i in raw else escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


