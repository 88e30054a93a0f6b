"""What goes wrong with a source: a sentence for a person, with the file and the line."""

from pathlib import Path

__all__ = ["SourceError"]


class SourceError(Exception):
    """A source cannot be read. The message says what is wrong, where, and where possible what to do."""

    def __init__(self, sentence: str, *, path: Path | None = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + sentence)
