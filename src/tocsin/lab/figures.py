"""The figures of a replay's page, as inline SVG."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tocsin.lab import svg
from tocsin.lab.days import WEEK, iso
from tocsin.lab.drive import day_at
from tocsin.lab.replay import Replay
from tocsin.lab.svg import ROW, Label, Scale
from tocsin.lab.truth import Wave

__all__ = ["nation", "outbreak", "townships"]

Counts = NDArray[np.int64]

WIDTH = 960
LEFT, RIGHT = 46, 14
BEFORE = 21
"""Days drawn before day 0."""
EARLY = 21
"""Days drawn after the last mark in the panel of the beginning, at least."""
ROOM = 0.25
"""And at least this share of the days before it, so that a label has room on the right of its vertical."""
MOST_FAILED = 6
"""Labelled reports that came to nothing."""
MOST_TOWNS = 45


def outbreak(replay: Replay, wave: Wave) -> str:
    """Figure 1: cases by the day they became known, or by the week; onset, where the archive has it, as a faint line;
    and what was known to whom when. The whole wave, and its beginning enlarged."""
    marks = _marks(replay, wave)
    first = wave.first - BEFORE
    last = min(wave.last + 14, replay.archive.last_day)
    ours = [day for day, _, style in marks if style in ("signal", "failed", "record", "national")]
    latest = max([*ours, wave.first])
    early = min(last, latest + max(EARLY, round(ROOM * (latest - first))))
    name = replay.archive.networks[wave.network].name
    upper = _panel(replay, wave, first, last, marks, f"{name}: the whole wave")
    lower = _panel(replay, wave, first, early, marks, f"{name}: its first {early - wave.first} days, enlarged")
    return upper + lower


def _panel(replay: Replay, wave: Wave, first: int, last: int, marks: Sequence[tuple[int, str, str]], title: str) -> str:
    step = replay.archive.step
    ends, known = _periods(replay, wave.network, first, last)
    onset = _onsets(replay, wave, first, last) if replay.archive.kind == "line-list" else None
    across = Scale(first, last + 1, LEFT, WIDTH - RIGHT)
    labels = [
        Label(across(day + 0.5), f"{iso(day)} {words}", style) for day, words, style in marks if first <= day <= last
    ]
    placed = svg.place_labels(labels, WIDTH - 4)
    top = 12 + ROW * (1 + max((row for _, row, _ in placed), default=0))
    base = top + 190
    peak = max(1, *known, 0 if onset is None else int(onset.max()))
    up = Scale(0, peak, base, top)
    unit = "day" if step == 1 else "week"
    parts = [
        svg.figure(WIDTH, base + 38, title, f"Local cases a {unit} by the {unit} they became known, at most {peak}."),
        *_months(across, first, last, base, top),
        *_counts(up, peak),
    ]
    if onset is not None:
        parts.append(svg.polyline([(across(first + i + 0.5), up(int(v))) for i, v in enumerate(onset)], "onset"))
    for end, count in zip(ends, known, strict=True):
        if count:
            left = across(max(first, end - step + 1))
            wide = max(0.9, across(end + 1) - left - 0.4)
            hint = f"{iso(end)}: {count}" if step == 1 else f"week to {iso(end)}: {count}"
            parts.append(svg.rect(left, up(count), wide, base - up(count), "case", title=hint))
    parts += [svg.line(one.x, 13 + ROW * row, one.x, base, f"mark {one.style}") for one, row, _ in placed]
    for label, row, anchor in placed:
        shift = 4 if anchor == "start" else -4
        parts.append(svg.text(label.x + shift, 18 + ROW * row, label.text, f"t halo t-{label.style}", anchor))
    parts.append(svg.text(LEFT, base + 34, title, "t t-strong"))
    bars = f"bars: local cases that became known that {unit}"
    key = bars if onset is None else f"{bars}; line: cases that fell ill that day"
    parts.append(svg.text(WIDTH - RIGHT, base + 34, key, "t", "end"))
    parts.append(svg.close())
    return "".join(parts)


def _marks(replay: Replay, wave: Wave) -> list[tuple[int, str, str]]:
    run = replay.main
    signal, home = run.signal(wave.network, wave.first), run.recorded(wave.network, wave.first)
    nation = run.national(wave.network, wave.first)
    marks: list[tuple[int, str, str]] = []
    if signal is not None:
        marks.append((day_at(signal.opened), "first signal", "signal"))
    until = wave.last if home is None or home.final is None else day_at(home.final)
    failed = run.failed(wave.network, wave.first, until)
    marks += [
        (day_at(one.final), f"report {one.state}", "failed") for one in failed[:MOST_FAILED] if one.final is not None
    ]
    if home is not None and home.final is not None:
        marks.append((day_at(home.final), "county record", "record"))
    if nation is not None and nation.national_at is not None:
        marks.append((day_at(nation.national_at), "national record", "national"))
    return marks + [(one.day, one.label, "official") for one in replay.references(wave)]


def _known(replay: Replay, network: int, first: int, last: int) -> Counts:
    """Local cases of a territory's agencies by the day they became known."""
    members = list(replay.archive.members_of(network))
    knowledge = replay.knowledge
    known = np.zeros(last - first + 1, dtype=np.int64)
    begin, end = max(first, knowledge.first_morning - 1), min(last, knowledge.last_morning - 1)
    columns = slice(knowledge.column(begin + 1), knowledge.column(end + 1) + 1)
    known[begin - first : end - first + 1] = knowledge.daily[members, columns].sum(axis=0)
    return known


def _periods(replay: Replay, network: int, first: int, last: int) -> tuple[list[int], list[int]]:
    """The last day of each period of the archive that ends within these days, and the local cases known on it."""
    step, begin = replay.archive.step, replay.archive.first_day
    days = _known(replay, network, first, last)
    ends = [day for day in range(first, last + 1) if (day - begin + 1) % step == 0]
    return ends, [int(days[max(0, day - step + 1 - first) : day - first + 1].sum()) for day in ends]


def _onsets(replay: Replay, wave: Wave, first: int, last: int) -> Counts:
    entries = replay.archive.entries
    onset = np.zeros(last - first + 1, dtype=np.int64)
    inside = wave.rows[(entries.onset[wave.rows] >= first) & (entries.onset[wave.rows] <= last)]
    np.add.at(onset, entries.onset[inside] - first, entries.count[inside])
    return onset


def townships(replay: Replay, wave: Wave) -> str:
    """Figure 3: agencies by weeks; colour = cases known in the week, dot = saw, ring = reported, tick = endorsed."""
    knowledge, drive = replay.knowledge, replay.main.drive
    first = wave.first - wave.first % WEEK
    first = max(first - WEEK, knowledge.first_morning)
    last = min(wave.last + 14, knowledge.last_morning, replay.main.last)
    weeks = (last - first) // WEEK + 1
    members = list(replay.archive.members_of(wave.network))
    cases = np.zeros((len(members), weeks), dtype=np.int64)
    saw = np.zeros((len(members), weeks), dtype=np.bool_)
    for week in range(weeks):
        begin = knowledge.column(first + WEEK * week)
        end = min(begin + WEEK, knowledge.column(last) + 1)
        cases[:, week] = knowledge.daily[members, begin:end].sum(axis=1)
        saw[:, week] = drive.sees[members, begin:end].any(axis=1)
    reported = {(one.agency, (day_at(one.opened) - first) // WEEK) for one in drive.reports.values()}
    endorsed = {(one.agency, (one.day - first) // WEEK) for one in drive.cast if one.verdict == "endorse"}
    order = sorted(range(len(members)), key=lambda place: (-int(cases[place].sum()), place))
    shown = [place for place in order if cases[place].any()][:MOST_TOWNS]
    silent = len(members) - len([place for place in order if cases[place].any()])
    label, cell, top = 168, 15, 22
    wide = (WIDTH - label - RIGHT) / max(1, weeks)
    height = top + cell * len(shown) + 22
    name = replay.archive.networks[wave.network].name
    parts = [
        svg.figure(
            WIDTH, height, f"{name}: agencies by weeks",
            f"{len(shown)} agencies over {weeks} weeks: cases known, whether they saw, reported and endorsed.",
        )
    ]  # fmt: skip
    peak = max(1, int(cases.max()) if cases.size else 1)
    for row, place in enumerate(shown):
        y = top + cell * row
        agency = members[place]
        town = replay.archive.agencies[agency].name
        parts.append(svg.text(label - 6, y + 11, _short(town), "t", "end"))
        for week in range(weeks):
            x = label + wide * week
            count = int(cases[place, week])
            if count:
                shade = 0.15 + 0.85 * (count / peak) ** 0.35
                hint = f"{town}, week from {iso(first + WEEK * week)}: {count}"
                parts.append(svg.rect(x, y, wide - 1, cell - 1, "case", opacity=shade, title=hint))
            middle = x + (wide - 1) / 2
            if saw[place, week]:
                parts.append(svg.circle(middle, y + cell / 2 - 0.5, 1.8, "dot"))
            if (agency, week) in reported:
                parts.append(svg.circle(middle, y + cell / 2 - 0.5, 5, "ring"))
            if (agency, week) in endorsed:
                parts.append(svg.line(x + 1.5, y + cell - 3, x + wide - 2.5, y + cell - 3, "tick"))
    for week in range(0, weeks, max(1, weeks // 9)):
        parts.append(svg.text(label + wide * week, 14, iso(first + WEEK * week)[5:], "t"))
    parts.append(svg.text(label - 6, 14, f"weeks from {iso(first)}", "t", "end"))
    if silent:
        parts.append(svg.text(label, height - 6, f"Without a case: {silent} more.", "t"))
    parts.append(svg.close())
    return "".join(parts)


def nation(replay: Replay) -> str:
    """Small panels of Figure 3: weekly cases of every territory with a report in the span, and its first records."""
    drive, archive = replay.main.drive, replay.archive
    inside = {one.network for one in drive.reports.values() if replay.first <= day_at(one.opened) <= replay.last}
    shown = [one for one in drive.leaves if one in inside]
    across, tall, gap, columns = (WIDTH - 3 * 16) / 4, 84, 16, 4
    rows = (len(shown) + columns - 1) // columns
    parts = [
        svg.figure(
            WIDTH, max(1, rows) * (tall + gap), "Every territory with a report in the span",
            f"{len(shown)} small panels of weekly local cases, each on a scale of its own.",
        )
    ]  # fmt: skip
    for place, network in enumerate(shown):
        left, top = (place % columns) * (across + 16), (place // columns) * (tall + gap)
        parts += _small(replay, network, archive.networks[network].name, left, top, across, tall)
    parts.append(svg.close())
    return "".join(parts)


def _small(
    replay: Replay, network: int, name: str, left: float, top: float, width: float, tall: float
) -> Iterable[str]:
    last = min(replay.last, replay.knowledge.last_morning - 1)
    days = _known(replay, network, replay.first, last)
    weekly = [int(days[i : i + WEEK].sum()) for i in range(0, len(days), WEEK)]
    peak = max(1, *weekly)
    across = Scale(replay.first, last + 1, left, left + width)
    up = Scale(0, peak, top + tall - 12, top + 30)
    wide = max(0.8, across(WEEK) - across(0) - 0.5)
    yield svg.text(left, top + 11, _short(name), "t t-strong")
    yield svg.text(left + width, top + 11, f"peak {peak} a week", "t", "end")
    yield svg.line(left, top + tall - 12, left + width, top + tall - 12, "axis")
    for place, count in enumerate(weekly):
        if count:
            x = across(replay.first + WEEK * place)
            yield svg.rect(x, up(count), wide, top + tall - 12 - up(count), "case")
    run = replay.main
    records = [
        one for one in run.drive.ended
        if one.network == network and one.national == "recorded" and one.national_at is not None
        and replay.first <= day_at(one.national_at) <= replay.last
    ]  # fmt: skip
    outcome = {one.incident.ref: str(one.outcome) for one in run.nation.incidents if one.incident.network == network}
    if not records:
        yield svg.text(left, top + 24, "no national record", "t")
    for place, one in enumerate(sorted(records, key=lambda report: report.national_at or 0)):
        day = day_at(one.national_at or 0)
        yield svg.line(across(day), top + 27, across(day), top + tall - 12, "mark national")
        if place == 0:
            word = outcome.get(one.incident or "", "")
            more = f" (+{len(records) - 1})" if len(records) > 1 else ""
            yield svg.text(left, top + 24, f"{iso(day)} {word}{more}", "t t-national")


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _months(across: Scale, first: int, last: int, base: float, top: float) -> Iterable[str]:
    starts = [day for day in range(first, last + 1) if iso(day).endswith("-01")]
    step = max(1, len(starts) // 12)
    for place, day in enumerate(starts):
        yield svg.line(across(day), top, across(day), base + 4, "grid")
        if place % step == 0 and across(day) + 3 + 7 * svg.CHARACTER <= WIDTH:
            yield svg.text(across(day) + 3, base + 15, iso(day)[:7], "t")
    yield svg.line(across(first), base, across(last + 1), base, "axis")


def _counts(up: Scale, peak: int) -> Iterable[str]:
    yield svg.text(LEFT - 6, up(0) + 4, "0", "t", "end")
    yield svg.text(LEFT - 6, up(peak) + 4, f"{peak}", "t", "end")
    if peak >= 4:
        yield svg.line(LEFT, up(peak // 2), WIDTH - RIGHT, up(peak // 2), "grid")
        yield svg.text(LEFT - 6, up(peak // 2) + 4, f"{peak // 2}", "t", "end")
