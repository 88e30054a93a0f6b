"""Small pieces of inline SVG: named, printable, without a library or a script, coloured by the page's style sheet."""

from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

__all__ = [
    "CHARACTER", "Label", "Scale", "circle", "close", "figure", "line", "place_labels", "polyline", "rect", "text",
]  # fmt: skip

Anchor = Literal["start", "middle", "end"]
CHARACTER = 6.1
"""Mean width of a character of a label, in units of the drawing."""
ROW = 15
"""Height of a row of labels."""


class Scale(NamedTuple):
    """A linear way from values to the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return self.start + (self.end - self.start) * (value - self.low) / ((self.high - self.low) or 1.0)


class Label(NamedTuple):
    """A labelled vertical: where, what, in which class of the style sheet."""

    x: float
    text: str
    style: str


def figure(width: float, height: float, title: str, description: str) -> str:
    """Open a drawing that a screen reader can announce."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}. {escape(description)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
    )


def close() -> str:
    """End a drawing."""
    return "</svg>"


def text(x: float, y: float, words: str, style: str = "t", anchor: Anchor = "start") -> str:
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A stroke."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def rect(x: float, y: float, width: float, height: float, style: str, *, opacity: float = 1.0, title: str = "") -> str:
    """A filled box, with words on hovering."""
    faint = "" if opacity == 1.0 else f' fill-opacity="{opacity:.2f}"'
    box = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{style}"{faint}'
    return f"{box}><title>{escape(title)}</title></rect>" if title else f"{box}/>"


def circle(x: float, y: float, radius: float, style: str, title: str = "") -> str:
    """A dot or ring, with words on hovering."""
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{style}"'
    return f"{dot}><title>{escape(title)}</title></circle>" if title else f"{dot}/>"


def polyline(points: Sequence[tuple[float, float]], style: str) -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" class="{style}"/>'


def place_labels(labels: Sequence[Label], width: float) -> list[tuple[Label, int, Anchor]]:
    """Each label with a row, counted from the top, in which it covers no other, and so far down that its vertical,
    which begins there, crosses no label to its left; on the left of its vertical where the right has no room."""
    rows: list[list[tuple[float, float]]] = []
    placed: list[tuple[Label, int, Anchor]] = []
    for label in sorted(labels, key=lambda one: one.x):
        long = len(label.text) * CHARACTER + 8
        anchor: Anchor = "start" if label.x + long <= width else "end"
        span = (label.x, label.x + long) if anchor == "start" else (label.x - long, label.x)
        above = [i for i, taken in enumerate(rows) if any(low < label.x <= high for low, high in taken)]
        row = max(above, default=-1) + 1
        while row < len(rows) and any(span[0] <= high and low <= span[1] for low, high in rows[row]):
            row += 1
        if row == len(rows):
            rows.append([])
        rows[row].append(span)
        placed.append((label, row, anchor))
    return placed
