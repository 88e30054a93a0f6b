"""Official dates of past outbreaks, as data, and signed leads against them: positive is earlier, negative later.

Leads are counted from the day a record became final, its veto window over (replay definition 6). Day 0 and the first
confirmed case are derived from the archive; the rest are dates on which somebody said something in public. Official
acts differ in kind, and a lead is not a number of cases averted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tocsin.lab.days import day_of
from tocsin.lab.truth import Truth, Wave

__all__ = ["OFFICIAL", "Lead", "Reference", "leads", "references_for"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An official date. `networks` are ids of networks it was about, empty for all; `about` says what happened."""

    id: str
    label: str
    day: int
    networks: tuple[str, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Lead:
    """`days` = reference minus record: 60 means the record was final 60 days before, -5 five days after."""

    id: str
    label: str
    reference_day: int
    days: int


_SOUTH = ("tainan-city", "kaohsiung-city")

OFFICIAL: Mapping[str, tuple[Reference, ...]] = {
    "dengue-taiwan": (
        Reference("command-centre", "command centre", day_of("2010-10-21"), (),
                  "the Central Epidemic Command Centre for dengue was opened"),
        Reference("cdc-bulletin", "CDC bulletin", day_of("2015-06-17"), _SOUTH,
                  "Taiwan CDC said that clusters in Tainan and Kaohsiung showed signs of expansion (about this day; "
                  "seen in a news reprint)"),
        Reference("command-centre", "command centre", day_of("2015-09-14"), (),
                  "the Central Epidemic Command Centre for dengue was opened"),
    ),
    "hepatitis-a-germany": (
        Reference("public-notice", "public notice", day_of("2004-08-28"), (),
                  "travellers returning from Hurghada, Egypt, were warned in public"),
    ),
}  # fmt: skip
"""By the source's name; a source that is not here has only the derived references."""


def references_for(truth: Truth, wave: Wave, known_day: NDArray[np.int32]) -> tuple[Reference, ...]:
    """Day 0, the first confirmed case, and the official dates that fall within the wave and name its network or none.

    In order of day.
    """
    archive = truth.archive
    ident = archive.networks[wave.network].id
    if archive.kind == "line-list":
        began, told = ("day 0 (first onset)", "first local case fell ill"), ("first confirmed case", "was confirmed")
    else:
        began, told = ("day 0 (first case)", "first period with a local case"), ("first known case", "became known")
    derived = (
        Reference("day-0", began[0], wave.first, (ident,), began[1]),
        Reference(
            "first-confirmed", told[0], truth.first_known(wave, known_day), (ident,), f"first local case {told[1]}"
        ),
    )
    official = (
        reference
        for reference in OFFICIAL.get(archive.source, ())
        if wave.covers(reference.day, truth.rule.tail_days) and (not reference.networks or ident in reference.networks)
    )
    return tuple(sorted((*derived, *official), key=lambda reference: reference.day))


def leads(references: tuple[Reference, ...], record_day: int) -> tuple[Lead, ...]:
    """The signed leads of a record that became final on `record_day`."""
    return tuple(Lead(r.id, r.label, r.day, r.day - record_day) for r in references)
