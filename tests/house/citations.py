"""Citations of the law in code and text, and the clauses that the law has."""

import re
from collections.abc import Iterator
from pathlib import Path

_CLAUSE = r"(?:F\d+|\d+(?:\.\d+)?)"
_MORE = r"(?:F\d+|\d+\.\d+)\b"
_CITATION = re.compile(rf"\bspec[ ]({_CLAUSE}(?:(?:,? and |, | to | or ){_MORE})*)")
"""A chapter stands only first in a list: `spec 8, 48 KiB` cites chapter 8 alone."""
_ONE = re.compile(_CLAUSE)
_HEADING = re.compile(r"^#{1,3} (F\d+|\d+(?:\.\d+)?)\b", re.MULTILINE)


def clauses(spec: Path) -> frozenset[str]:
    """Every number that a heading of the law bears: `6`, `6.4`, `F7`."""
    found: list[str] = []
    for path in sorted(spec.glob("*.md")):
        if path.name not in ("schemas.md", "diagrams.md", "README.md"):
            found += _HEADING.findall(path.read_text(encoding="utf-8"))
    return frozenset(found)


def cited(text: str) -> Iterator[tuple[int, str]]:
    """(line, clause) of each citation, lists such as `spec 6.5, F16` taken apart."""
    for match in _CITATION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        for one in _ONE.findall(match.group(1)):
            yield line, one
