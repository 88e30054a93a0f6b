"""The figures of a replay's page, as inline SVG: named, printable, without a library or a script."""

from collections.abc import Sequence
from html import escape

import numpy as np

from tocsin.lab.days import iso
from tocsin.lab.drive import DAY_MS
from tocsin.lab.replay import Replay
from tocsin.lab.scoring import Tally
from tocsin.lab.truth import Wave

WIDTH = 920
LEFT, RIGHT = 52, 16
INK, FAINT, LINE = "#1c2733", "#9aa7b4", "#d6dde3"
CASES, ONSET = "#c2410c", "#64748b"
MARK = {"signal": "#0369a1", "record": "#15803d", "national": "#166534", "lapsed": "#9aa7b4", "official": "#7c2d12"}


def outbreak(replay: Replay, wave: Wave, months_before: int = 1) -> str:
    """Figure 1: cases by known day, onset faint, and what was known to whom when."""
    first, last = wave.first - 30 * months_before, min(wave.last + 14, replay.archive.last_day)
    days = np.arange(first, last + 1)
    members = list(replay.archive.members_of(wave.network))
    known = np.zeros(len(days), dtype=np.int64)
    for place, day in enumerate(days):
        if replay.knowledge.first_morning <= day + 1 <= replay.knowledge.last_morning:
            known[place] = replay.knowledge.daily[members, replay.knowledge.column(int(day) + 1)].sum()
    onset = np.zeros(len(days), dtype=np.int64)
    entries = replay.archive.entries
    rows = wave.rows
    inside = (entries.onset[rows] >= first) & (entries.onset[rows] <= last)
    np.add.at(onset, entries.onset[rows][inside] - first, entries.count[rows][inside])
    height, top, base = 330, 118, 300
    peak = max(1, int(known.max()), int(onset.max()))
    parts = [_open(height, f"Cases in {replay.archive.networks[wave.network].name} and when the networks knew")]
    parts += _months(first, last, base, top)
    parts += [_text(LEFT - 6, base, "0", "end"), _text(LEFT - 6, top + 8, str(peak), "end")]
    parts.append(_line_of(onset, first, last, base, top, peak, ONSET, 1))
    parts.append(_bars(known, first, last, base, top, peak))
    for row, (day, label, colour) in enumerate(sorted(_marks(replay, wave))):
        if not first <= day <= last:
            continue
        x = _x(day, first, last)
        y = 14 + 14 * (row % 7)
        anchor = "end" if x > WIDTH * 0.72 else "start"
        shift = -4 if anchor == "end" else 4
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{base}" stroke="{colour}" stroke-width="1.3"/>')
        parts.append(_text(x + shift, y, f"{iso(day)}  {label}", anchor, colour))
    parts.append("</svg>")
    return "".join(parts)


def _marks(replay: Replay, wave: Wave) -> list[tuple[int, str, str]]:
    run = replay.main
    marks: list[tuple[int, str, str]] = []
    signal = replay.first_signal(run, wave.network, wave.first)
    record = replay.recorded(run, wave.network, wave.first)
    national = replay.national(run, wave.network, wave.first)
    if signal is not None:
        marks.append((signal.opened // DAY_MS, "first signal", MARK["signal"]))
    if record is not None and record.final is not None:
        marks.append((record.final // DAY_MS, "county record", MARK["record"]))
    if national is not None and national.national_at is not None:
        marks.append((national.national_at // DAY_MS, "national record", MARK["national"]))
    marks += [(one.day, one.label, MARK["official"]) for one in replay.references(wave)]
    return marks


def frontier(replay: Replay) -> str:
    """Figure 2: false records a year against delay; the frozen rule ringed."""
    height, top, base = 300, 20, 250
    points: list[tuple[str, str, list[tuple[float, float]]]] = []
    for found, colour in zip(replay.curves, ("#64748b", "#7c3aed"), strict=False):
        points.append((found.label, colour, [_place(point.tally) for point in found.points]))
    rules = [(one.label, _place(one.calibration)) for one in replay.beside[:3]]
    flat = [p for _, _, line in points for p in line] + [p for _, p in rules]
    most_false = max(1.0, min(6.0, max((p[0] for p in flat), default=1.0)))
    longest = max(7.0, max((p[1] for p in flat if p[0] <= most_false), default=7.0))
    parts = [_open(height, "False records a nation-year against median delay")]
    for step in range(6):
        x = LEFT + (WIDTH - LEFT - RIGHT) * step / 5
        parts.append(_text(x, base + 16, f"{most_false * step / 5:.1f}", "middle"))
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{base}" stroke="{LINE}"/>')
    parts.append(_text(WIDTH / 2, base + 34, "false records a nation-year", "middle"))
    parts += [_text(LEFT - 6, base, "0", "end"), _text(LEFT - 6, top + 8, f"{longest:.0f} d", "end")]

    def spot(p: tuple[float, float]) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - RIGHT) * p[0] / most_false, base - (base - top) * p[1] / longest

    for row, (label, colour, line) in enumerate(points):
        shown = [spot(p) for p in line if p[0] <= most_false]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in sorted(shown))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in shown]
        parts.append(_text(WIDTH - RIGHT, top + 12 + 14 * row, label, "end", colour))
    for row, (label, p) in enumerate(rules):
        if p[0] > most_false:
            continue
        x, y = spot(p)
        ring = '<circle cx="{0:.1f}" cy="{1:.1f}" r="9" fill="none" stroke="#15803d" stroke-width="2"/>'.format(x, y)
        parts.append((ring if row == 0 else "") + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#15803d"/>')
        parts.append(_text(x + 12, y + 4, label, "start", "#15803d"))
    parts.append("</svg>")
    return "".join(parts)


def _place(counted: Tally) -> tuple[float, float]:
    delay = counted.delay.median
    return counted.false_rate(), 0.0 if delay is None else delay


def townships(replay: Replay, wave: Wave) -> str:
    """Figure 3: agencies by weeks; colour = cases known, dot = saw, ring = reported."""
    first = wave.first - 14
    last = min(wave.last + 14, replay.knowledge.last_morning)
    weeks = list(range(first, last, 7))
    members = list(replay.archive.members_of(wave.network))
    window = replay.knowledge.window(7)
    rows = [
        (member, [int(window[member, replay.knowledge.column(min(week + 7, last))]) for week in weeks])
        for member in members
    ]
    rows.sort(key=lambda row: -sum(row[1]))
    rows = [row for row in rows if sum(row[1])]
    peak = max((max(row[1]) for row in rows), default=1)
    label, cell = 170, 13
    width = (WIDTH - label - RIGHT) / max(1, len(weeks))
    parts = [_open(30 + cell * len(rows), "Agencies by weeks: what each knew, saw and reported")]
    sees = replay.main.drive.sees
    reported = {
        (one.agency, (one.opened // DAY_MS - first) // 7) for one in replay.main.drive.reports.values()
    }
    for y, (member, values) in enumerate(rows):
        top = 16 + cell * y
        parts.append(_text(label - 6, top + 10, replay.archive.agencies[member].name, "end"))
        for x, value in enumerate(values):
            left = label + width * x
            if value:
                shade = 0.12 + 0.88 * (value / peak) ** 0.4
                parts.append(
                    f'<rect x="{left:.1f}" y="{top}" width="{width - 1:.1f}" height="{cell - 1}" fill="{CASES}" '
                    f'fill-opacity="{shade:.2f}"><title>{escape(replay.archive.agencies[member].name)} '
                    f"{iso(weeks[x])}: {value}</title></rect>"
                )
            column = replay.knowledge.column(min(weeks[x] + 7, last))
            if sees[member, column]:
                parts.append(f'<circle cx="{left + width / 2:.1f}" cy="{top + 6}" r="1.6" fill="{INK}"/>')
            if (member, x) in reported:
                parts.append(
                    f'<circle cx="{left + width / 2:.1f}" cy="{top + 6}" r="4.4" fill="none" stroke="{MARK["signal"]}" '
                    'stroke-width="1.6"/>'
                )
    for x, week in enumerate(weeks):
        if x % 4 == 0:
            parts.append(_text(label + width * x, 11, iso(week)[5:], "start"))
    parts.append("</svg>")
    return "".join(parts)


def _x(day: float, first: int, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (day - first) / max(1, last - first)


def _months(first: int, last: int, base: int, top: int) -> list[str]:
    parts = []
    for day in range(first, last + 1):
        if iso(day).endswith("-01"):
            x = _x(day, first, last)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{base + 4}" stroke="{LINE}"/>')
            parts.append(_text(x + 2, base + 16, iso(day)[:7], "start"))
    return parts


def _line_of(values: Sequence[int] | np.ndarray, first: int, last: int, base: int, top: int, peak: int, colour: str, width: float) -> str:  # type: ignore[type-arg]  # fmt: skip
    path = " ".join(
        f"{_x(first + i, first, last):.1f},{base - (base - top) * int(v) / peak:.1f}" for i, v in enumerate(values)
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-opacity="0.6"/>'


def _bars(values: np.ndarray, first: int, last: int, base: int, top: int, peak: int) -> str:  # type: ignore[type-arg]
    width = max(0.8, (WIDTH - LEFT - RIGHT) / max(1, last - first) - 0.4)
    return "".join(
        f'<rect x="{_x(first + i, first, last):.1f}" y="{base - (base - top) * int(v) / peak:.1f}" '
        f'width="{width:.1f}" height="{(base - top) * int(v) / peak:.1f}" fill="{CASES}"/>'
        for i, v in enumerate(values)
        if v
    )


def _open(height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>'
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = FAINT) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="11" fill="{colour}">{escape(text)}</text>'
    )
