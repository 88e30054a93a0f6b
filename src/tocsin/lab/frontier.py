"""Figure 2: false records a year against delay, for whole families of rules, with the frozen one ringed."""

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

from tocsin.lab import svg
from tocsin.lab.calibrate import CAP
from tocsin.lab.compare import CHARTERS
from tocsin.lab.days import day_of
from tocsin.lab.replay import Replay
from tocsin.lab.scoring import DAYS_A_YEAR, Tally
from tocsin.lab.svg import Scale

__all__ = ["frontier"]

WIDTH, BASE, TOP = 960, 364, 40
LEFT, RIGHT = 46, 190
NAME = 90
"""Room for a charter's name beside its point."""
MANY = 0.25
"""Who misses more than this share of the outbreaks is drawn hollow: few and late ones make a delay look short."""
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Days between the lines of the vertical scale: the smallest with at most eight of them."""
TICKS = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


class _Spot(NamedTuple):
    false: float
    delay: float
    hollow: bool
    words: str


class _Line(NamedTuple):
    label: str
    style: str
    spots: list[_Spot]


def frontier(replay: Replay) -> str:
    """The families over the calibration's seasons; the horizontal scale is of square roots."""
    families = [one for one in _families(replay) if one.spots]
    named = list(_named(replay))
    spots = [spot for family in families for spot in family.spots] + [spot for _, _, spot in named]
    if not spots:
        return ""
    widest = min(max(spot.false for spot in spots), TICKS[-1])
    longest = max(spot.delay for spot in spots)
    across = Scale(0.0, sqrt(widest) or 1.0, LEFT, WIDTH - RIGHT)
    up = Scale(0.0, longest, BASE, TOP)
    parts = [
        svg.figure(
            WIDTH, BASE + 46, "False records a nation-year against median delay",
            f"{len(families)} families of rules over the calibration's seasons; the frozen rule is ringed.",
        )
    ]  # fmt: skip
    parts += _axes(across, up, widest, longest)
    for row, family in enumerate(families):
        points = [(across(sqrt(spot.false)), up(spot.delay)) for spot in family.spots]
        parts.append(svg.polyline(points, f"family {family.style}"))
        for spot, (x, y) in zip(family.spots, points, strict=True):
            parts.append(svg.circle(x, y, 3.2, f"spot {family.style}{' hollow' if spot.hollow else ''}", spot.words))
        y = TOP + 8 + 17 * row
        parts.append(svg.line(WIDTH - RIGHT + 14, y - 4, WIDTH - RIGHT + 34, y - 4, f"family {family.style}"))
        parts.append(svg.text(WIDTH - RIGHT + 40, y, family.label, "t"))
    taken: list[tuple[float, float]] = []
    for label, ringed, spot in named:
        x, y = across(sqrt(spot.false)), up(spot.delay)
        parts.append(svg.circle(x, y, 5, f"spot rule{' hollow' if spot.hollow else ''}", spot.words))
        if ringed:
            parts.append(svg.circle(x, y, 11, "ring-frozen"))
        at = y - 6
        while any(abs(x - other) < NAME and abs(at - line) < svg.ROW for other, line in taken):
            at -= svg.ROW
        taken.append((x, at))
        parts.append(svg.text(x + 14, at, label, "t t-strong halo"))
    parts.append(svg.close())
    return "".join(parts)


def _axes(across: Scale, up: Scale, widest: float, longest: float) -> Iterator[str]:
    for tick in TICKS:
        if tick <= widest:
            x = across(sqrt(tick))
            yield svg.line(x, TOP, x, BASE, "cap" if tick == CAP else "grid")
            yield svg.text(x, BASE + 16, f"{tick:g}", "t", "middle")
    step = next((step for step in STEPS if longest <= 8 * step), STEPS[-1])
    for days in range(0, int(longest) + 1, step):
        yield svg.line(LEFT, up(days), WIDTH - RIGHT, up(days), "grid")
        yield svg.text(LEFT - 6, up(days) + 4, f"{days}", "t", "end")
    yield svg.text(LEFT - 30, TOP - 12, "median days from day 0 to the county record", "t t-strong")
    below = "false county records a nation-year (square-root scale)"
    yield svg.text(WIDTH - RIGHT, BASE + 36, below, "t t-strong", "end")


def _families(replay: Replay) -> Iterator[_Line]:
    """The vote for each number of endorsers, then the detectors."""
    frozen = replay.frozen
    years = (day_of(frozen.until) - day_of(frozen.first) + 1) / DAYS_A_YEAR
    for endorsers in sorted({cell.endorsers for cell in frozen.grid}):
        cells = sorted((cell for cell in frozen.grid if cell.endorsers == endorsers), key=lambda cell: -cell.cases)
        yield _Line(
            f"vote, {endorsers} endorser{'s' * (endorsers > 1)}", f"vote vote-{endorsers}",
            [
                _Spot(cell.false / years, cell.delay_days, cell.missed > MANY * cell.waves,
                      f"c={cell.cases} k={endorsers}: {cell.false} false, {cell.missed} of {cell.waves} missed")
                for cell in cells
                if cell.delay_days is not None
            ],
        )  # fmt: skip
    for swept in replay.curves:
        charter = swept.id in CHARTERS
        what = "c=" if charter else "threshold "
        spots = [_spot(f"{what}{point.parameters[0]:g}", point.tally) for point in swept.points]
        kept = [spot for spot in reversed(spots) if spot is not None and spot.false <= TICKS[-1]]
        style = "charter" if charter else "pooled" if swept.moves_data else "single"
        yield _Line(swept.label if charter else swept.id.replace("-", " "), f"{style} {swept.id}", kept)


def _named(replay: Replay) -> Iterator[tuple[str, bool, _Spot]]:
    for row in replay.beside.rows:
        if row.level == "county" and row.id in replay.beside.runs:
            spot = _spot(row.id, row.periods[0].tally)
            if spot is not None and spot.false <= TICKS[-1]:
                yield row.id, row.id == "pilot", spot


def _spot(words: str, counted: Tally) -> _Spot | None:
    delay = counted.delay.median
    if delay is None:
        return None
    said = f"{words}: {counted.false()} false, {counted.missed} of {counted.waves} missed"
    return _Spot(counted.false_rate(), delay, counted.missed > MANY * counted.waves, said)
