"""Hepatitis A in Germany, 411 district health offices by week, 2001 to 2005: two tidy files in one folder.

Nothing but names: the folder holds the counts (`date,ags,count`) and the districts (`ags,name_de,state`); the states
form one federation.
"""

from pathlib import Path

from tocsin.lab.archive import Archive
from tocsin.lab.sources import tidy

__all__ = ["load"]

_COUNTS = "hepatitis_a_kreis_weekly_2001_2005.csv"
_UNITS = "german_kreise_units.csv"
_CAVEAT = (
    "Notified cases by week of notification, consolidated: no delay of reporting, so lead times come out optimistic; "
    "travellers are counted where they live."
)


def load(folder: Path) -> Archive:
    """The two files in `folder` as an `Archive`. Raises `SourceError` where one is missing or wrong."""
    return tidy.load(
        folder / _COUNTS,
        folder / _UNITS,
        unit="weekly",
        columns={"agency": "ags"},
        territory_columns={"agency": "ags", "network": "state", "name": "name_de"},
        top="Germany",
        title="Hepatitis A in Germany, notified cases by district",
        citation="Robert Koch-Institut, SurvStat@RKI 2.0, survstat.rki.de, queried 2025-07",
        caveat=_CAVEAT,
        source="hepatitis-a-germany",
    )
