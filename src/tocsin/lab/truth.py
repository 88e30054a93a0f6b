"""What really happened: waves, true outbreaks, and what each record was worth. Known only after the fact.

No judge, voter, supervisor or detector may import this module, nor `scoring`, `accuracy` and `references`, which
build on it: who knows the truth cannot be tested by it. Findings are written from here, 28 days after a wave.

A *wave* is a run of local cases of one leaf network by place of infection (by residence where that is missing),
by day of onset, in which no two neighbours are more than `gap_days` apart. A *true outbreak* is a wave of at least
`min_cases` cases in at least `min_places` places; day 0 is its first onset. Imported cases make no wave.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tocsin.lab.archive import IMPORTED, NOBODY, Archive

__all__ = [
    "CLUSTER_CASES",
    "ENDLESS_DAYS",
    "FINDING_AFTER_DAYS",
    "SENSITIVITY_CASES",
    "SENSITIVITY_GAPS",
    "By",
    "Incident",
    "JudgedIncident",
    "JudgedWave",
    "Outcome",
    "Truth",
    "TruthRule",
    "Verdicts",
    "Wave",
    "classify",
]

By = Literal["infection", "residence"]

SENSITIVITY_CASES = (10, 20, 50, 100)
SENSITIVITY_GAPS = (14, 28, 56)
CLUSTER_CASES = 5
"""From this size on, a false record had at least a real cluster behind it."""
ENDLESS_DAYS = 366
"""A wave longer than this is no single outbreak."""
FINDING_AFTER_DAYS = 28
"""Findings are issued this long after the last onset of a wave."""


@dataclass(frozen=True, slots=True)
class TruthRule:
    """The definition of a true outbreak, with its sensitivity parameters. Days and cases."""

    min_cases: int = 20
    min_places: int = 2
    gap_days: int = 28
    tail_days: int = 14
    """A record up to this long after the last onset still belongs to the wave."""
    by: By = "infection"

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise ValueError(f"waves go by {' or '.join(get_args(By))}, not {self.by!r}")
        if min(self.min_cases, self.min_places, self.gap_days) < 1 or self.tail_days < 0:
            raise ValueError("a wave needs at least one case, one place and a gap of one day")
        if self.tail_days > self.gap_days:
            raise ValueError("a tail longer than the gap would give one day two waves")


@dataclass(frozen=True, slots=True, eq=False)
class Wave:
    """One wave of one network. `first` (day 0) and `last` are onsets; `half_day` is the first day by which at least
    half of its cases had fallen ill; `rows` are its entries in the archive, by onset."""

    network: int
    first: int
    last: int
    cases: int
    places: int
    half_day: int
    rows: NDArray[np.int64]

    def covers(self, day: int, tail: int) -> bool:
        """Whether `day` lies within the wave or up to `tail` days after it."""
        return self.first <= day <= self.last + tail


class Truth:
    """The waves of an archive under one rule, in order of network and day 0.

    `waves` holds every wave, of one case upwards; `outbreaks` the true ones; `residence_waves` those by residence,
    for spill-over. A wave whose last onset is within `gap_days` of the archive's end may have gone on: `unfinished`.
    """

    def __init__(self, archive: Archive, rule: TruthRule | None = None) -> None:
        self.archive = archive
        self.rule = TruthRule() if rule is None else rule
        self.residence_waves = _waves(archive, "residence", self.rule.gap_days)
        self.waves = (
            self.residence_waves if self.rule.by == "residence" else _waves(archive, "infection", self.rule.gap_days)
        )
        self.outbreaks = tuple(wave for wave in self.waves if self.is_outbreak(wave))
        self._infected = _index(self.waves)
        self._resident = _index(self.residence_waves)

    def is_outbreak(self, wave: Wave) -> bool:
        """Enough cases in enough places."""
        return wave.cases >= self.rule.min_cases and wave.places >= self.rule.min_places

    @property
    def single_place(self) -> tuple[Wave, ...]:
        """Waves with enough cases in too few places: below the joint rule, listed apart."""
        return tuple(w for w in self.waves if w.cases >= self.rule.min_cases and w.places < self.rule.min_places)

    @property
    def endless(self) -> tuple[Wave, ...]:
        """Outbreaks that lasted more than a year: an unbroken chain, or a disease that is always there.

        Where most cases lie in such waves this definition of an outbreak does not fit, and the page must say so.
        """
        return tuple(wave for wave in self.outbreaks if wave.last - wave.first > ENDLESS_DAYS)

    def unfinished(self, wave: Wave) -> bool:
        """Whether the archive ends before the wave can be said to have ended."""
        return wave.last + self.rule.gap_days > self.archive.last_day

    def wave_at(self, network: int, day: int, *, by: By = "infection") -> Wave | None:
        """The wave of `network` that covers `day`, tail included; there is at most one."""
        waves = (self._infected if by == "infection" else self._resident).get(network, [])
        at = bisect_right(waves, day, key=lambda wave: wave.first) - 1
        return waves[at] if at >= 0 and waves[at].covers(day, self.rule.tail_days) else None

    def known_and_to_come(self, wave: Wave, day: int, known_day: NDArray[np.int32]) -> tuple[int, int]:
        """Cases of `wave` known on the morning of `day`, and the rest of them; `known_day` as in `knowledge`."""
        counts = self.archive.entries.count[wave.rows]
        known = int(counts[known_day[wave.rows] < day].sum())
        return known, wave.cases - known

    def first_known(self, wave: Wave, known_day: NDArray[np.int32]) -> int:
        """The day on which the first case of `wave` was confirmed (became known)."""
        return int(known_day[wave.rows].min())


def _index(waves: Iterable[Wave]) -> dict[int, list[Wave]]:
    """Waves by network, each list by day 0."""
    found: dict[int, list[Wave]] = {}
    for wave in waves:
        found.setdefault(wave.network, []).append(wave)
    return found


def _waves(archive: Archive, by: By, gap_days: int) -> tuple[Wave, ...]:
    e = archive.entries
    homes = np.append(archive.agency_network, NOBODY).astype(np.int32)
    network, place = homes[e.agency], e.agency
    if by == "infection":
        given = e.origin_network != NOBODY
        at_home = given & (e.origin_place == NOBODY) & (network == e.origin_network)
        place = np.where(given & ~at_home, e.origin_place, place)
        network = np.where(given, e.origin_network, network)
    rows = np.flatnonzero((e.imported != IMPORTED) & (network != NOBODY) & np.isin(network, archive.leaves))
    rows = rows[np.lexsort((rows, e.onset[rows], network[rows]))]
    if not rows.size:
        return ()
    onset, where = e.onset[rows].astype(np.int64), network[rows]
    cuts = np.flatnonzero((np.diff(where) != 0) | (np.diff(onset) > gap_days)) + 1
    waves = []
    for part in np.split(rows, cuts):
        counts = e.count[part].astype(np.int64)
        grown = np.cumsum(counts)
        total = int(grown[-1])
        waves.append(
            Wave(
                network=int(network[part[0]]),
                first=int(e.onset[part[0]]),
                last=int(e.onset[part[-1]]),
                cases=total,
                places=len({int(p) for p in place[part]} - {NOBODY}),
                half_day=int(e.onset[part[np.searchsorted(2 * grown, total)]]),
                rows=part,
            )
        )
    return tuple(waves)


class Outcome(StrEnum):
    """What a record was worth (replay definition 5). The first two belong to a true outbreak."""

    TRUE = "true"
    CONTINUATION = "continuation"
    """A later incident of a wave that has its record already: one wave, one record."""
    SINGLE_PLACE = "single-place"
    """Enough cases, but all in one place: the claim held, below the joint rule."""
    SPILL_OVER = "spill-over"
    """Enough residents ill, too few of them infected there; false in the strict variant."""
    FALSE_CLUSTER = "false-cluster"
    """False, with a real but small cluster behind it."""
    FALSE_NOTHING = "false-nothing"

    def is_false(self, *, strict: bool = False) -> bool:
        """Whether it counts as a false record."""
        return self in (Outcome.FALSE_CLUSTER, Outcome.FALSE_NOTHING) or (strict and self is Outcome.SPILL_OVER)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as the rule under test made it: its network (the area of the claim) and the days on which records
    entered it, ascending, the first of which opened it. `ref` is the caller's own handle."""

    network: int
    days: tuple[int, ...]
    ref: str = ""

    def __post_init__(self) -> None:
        if not self.days or list(self.days) != sorted(self.days):
            raise ValueError("an incident has at least one record, and its days ascend")


@dataclass(frozen=True, slots=True)
class JudgedIncident:
    """An incident's opening record with its outcome, and the wave it belongs to, if any. `late`: after half of the
    wave's cases had fallen ill."""

    incident: Incident
    outcome: Outcome
    wave: Wave | None
    late: bool

    @property
    def day(self) -> int:
        """The day of the opening record."""
        return self.incident.days[0]


@dataclass(frozen=True, slots=True)
class JudgedWave:
    """A true outbreak and its first record from day 0 to its last onset; None is a miss.

    `carried`: that record joined an incident opened before day 0. `late` as above. `delay_days` counts from day 0.
    """

    wave: Wave
    record_day: int | None
    carried: bool
    late: bool

    @property
    def delay_days(self) -> int | None:
        """Days from day 0 to the record, None if missed."""
        return None if self.record_day is None else self.record_day - self.wave.first


@dataclass(frozen=True, slots=True)
class Verdicts:
    """All incidents and all true outbreaks, judged; each in order of network and day."""

    incidents: tuple[JudgedIncident, ...]
    waves: tuple[JudgedWave, ...]


def classify(truth: Truth, incidents: Sequence[Incident]) -> Verdicts:
    """Judge `incidents` (all of them, those of a warm-up too: an earlier record makes a later one a continuation)."""
    ordered = sorted(incidents, key=lambda i: (i.network, i.days))
    records: dict[int, list[tuple[int, int]]] = {}
    for incident in ordered:
        records.setdefault(incident.network, []).extend((day, incident.days[0]) for day in incident.days)
    for days in records.values():
        days.sort()
    return Verdicts(
        incidents=tuple(_judge(truth, incident, records[incident.network]) for incident in ordered),
        waves=tuple(_reached(wave, records.get(wave.network, [])) for wave in truth.outbreaks),
    )


def _judge(truth: Truth, incident: Incident, records: Sequence[tuple[int, int]]) -> JudgedIncident:
    """`records` are all of the network's, as (day, day its incident opened), in order."""
    day, network = incident.days[0], incident.network
    wave = truth.wave_at(network, day)
    if wave is not None and wave.cases >= truth.rule.min_cases:
        late = day > wave.half_day
        if not truth.is_outbreak(wave):
            return JudgedIncident(incident, Outcome.SINGLE_PLACE, wave, late)
        first = records[bisect_left(records, (wave.first,))][0]
        return JudgedIncident(incident, Outcome.CONTINUATION if first < day else Outcome.TRUE, wave, late)
    ill = truth.wave_at(network, day, by="residence")
    if ill is not None and ill.cases >= truth.rule.min_cases:
        return JudgedIncident(incident, Outcome.SPILL_OVER, wave, False)
    real = wave is not None and wave.cases >= CLUSTER_CASES
    return JudgedIncident(incident, Outcome.FALSE_CLUSTER if real else Outcome.FALSE_NOTHING, wave, False)


def _reached(wave: Wave, records: Sequence[tuple[int, int]]) -> JudgedWave:
    at = bisect_left(records, (wave.first,))
    if at == len(records) or records[at][0] > wave.last:
        return JudgedWave(wave, None, carried=False, late=False)
    day, opened = records[at]
    return JudgedWave(wave, day, carried=opened < wave.first, late=day > wave.half_day)
