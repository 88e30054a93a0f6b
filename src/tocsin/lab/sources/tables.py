"""Reading a CSV file strictly: UTF-8, a header, named columns, and the line of every row for the error message."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tocsin.lab.sources.errors import SourceError

__all__ = ["Row", "Table", "read_table"]

MAX_BYTES = 1 << 30
"""A larger file is refused before it is read: 1 GiB."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line of the file it ends on and its cells by canonical column name, without outer blanks."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: where it lies, its bytes (for the digest), the canonical columns found, the rows."""

    path: Path
    raw: bytes
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(
    path: Path, required: Sequence[str], optional: Sequence[str] = (), columns: Mapping[str, str] | None = None
) -> Table:
    """Read `path`. `columns` maps a canonical name to the header used in the file where the two differ.

    Columns that are neither required nor optional are ignored. Raises `SourceError` for a file that is not there,
    too large, not UTF-8, not CSV, without header or a required column, with a column twice, or with a row whose
    number of cells is not the header's.
    """
    columns = dict(columns or {})
    unknown = sorted(set(columns) - set(required) - set(optional))
    if unknown:
        raise SourceError(f"{unknown[0]!r} is no column of this table; it has {', '.join([*required, *optional])}")
    raw = _bytes(path)
    reader = csv.reader(io.StringIO(_text(raw, path), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        wanted = _locate(header, required, optional, columns, path)
        rows = tuple(_rows(reader, wanted, len(header), path))
    except csv.Error as bad:
        raise SourceError(f"not a CSV file: {bad}", path=path, line=reader.line_num) from bad
    if not rows:
        raise SourceError("a header, but no rows", path=path)
    return Table(path, raw, tuple(wanted), rows)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError("larger than 1 GiB; split it by years", path=path)
        return path.read_bytes()
    except OSError as bad:
        raise SourceError(f"cannot be read ({bad.strerror or bad})", path=path) from bad


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as bad:
        offset = bad.start + (3 if raw.startswith(b"\xef\xbb\xbf") else 0)
        line = raw.count(b"\n", 0, offset) + 1
        raise SourceError(
            f"byte 0x{raw[offset]:02x} is not UTF-8; save the file as UTF-8", path=path, line=line
        ) from bad


def _locate(
    header: list[str], required: Sequence[str], optional: Sequence[str], columns: Mapping[str, str], path: Path
) -> dict[str, int]:
    if not any(header):
        raise SourceError("no header: the first line names the columns", path=path, line=1)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"two columns are called {twice[0]!r}", path=path, line=1)
    names = {canonical: columns.get(canonical, canonical) for canonical in (*required, *optional)}
    missing = [names[c] for c in required if names[c] not in header]
    missing += [names[c] for c in optional if c in columns and names[c] not in header]
    if missing:
        hint = "; rename them, or say what they are called (--columns, --territory-columns)"
        if len(header) == 1:
            hint = "; is it separated by commas?"
        raise SourceError(
            f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; the header has {', '.join(header)}{hint}",
            path=path,
            line=1,
        )
    return {canonical: header.index(name) for canonical, name in names.items() if name in header}


def _rows(reader: Iterator[list[str]], wanted: Mapping[str, int], width: int, path: Path) -> Iterator[Row]:
    for cells in reader:
        line = reader.line_num  # type: ignore[attr-defined]
        if not cells:
            continue
        if len(cells) != width:
            raise SourceError(f"{len(cells)} cells where the header has {width}", path=path, line=line)
        yield Row(line, {name: cells[index].strip() for name, index in wanted.items()})
