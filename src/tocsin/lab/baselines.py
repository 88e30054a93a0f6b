"""What one township alone, or a bureau that holds everybody's data, would have done with the same knowledge.

A `Detector` turns what was known into one score for each leaf network and morning; the network alarms where the
score reaches a threshold, and sweeping the threshold gives a curve instead of a point. Families:

    single-count, single-C1..C3   any one township alarms for the county
    pooled-count, pooled-C1..C3   the county's cases added up: the data have to move for this
    joint-count(s)                s townships see at once: the arithmetic of a vote, without ballots, windows or vetoes

Counts are of the last 14 days. EARS works on the cases of the last seven days, evaluated every morning against the
weeks before, so that its windows are multiples of seven days as well and the weekday cannot matter.
Detectors know no truth; `scoring` judges them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tocsin.judges.ears import Method, ears_terms
from tocsin.lab.days import WEEK
from tocsin.lab.knowledge import Knowledge

__all__ = [
    "COUNT_THRESHOLDS",
    "EARS_THRESHOLDS",
    "Detector",
    "episodes",
    "joint_count",
    "pooled_count",
    "pooled_ears",
    "single_count",
    "single_ears",
    "standard_detectors",
]

COUNT_THRESHOLDS: tuple[float, ...] = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 60)
"""Cases in 14 days."""
EARS_THRESHOLDS: tuple[float, ...] = (1.0, 1.645, 1.96, 2.326, 3.09, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)
"""z, in standard deviations."""
MIN_SIGMA = 0.5
"""Half a case: the floor under EARS's standard deviation."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """Scores of one family by leaf network, one for each morning from `first_morning`; -inf where there is none.

    `strict`: the score must exceed the threshold (EARS) rather than reach it (counts). `moves_data` says whether the
    family needs the townships' cases to leave them.
    """

    id: str
    label: str
    moves_data: bool
    strict: bool
    thresholds: tuple[float, ...]
    first_morning: int
    scores: Mapping[int, Scores] = field(repr=False)

    def alarm_days(self, network: int, threshold: float) -> NDArray[np.int64]:
        """The mornings on which `network` alarms, as days."""
        scores = self.scores[network]
        hits = scores > threshold if self.strict else scores >= threshold
        return np.flatnonzero(hits) + self.first_morning


def episodes(days: NDArray[np.integer], quiet_days: int = 28) -> list[tuple[int, ...]]:
    """Alarm days as incidents: one closes when `quiet_days` have passed since its last record. Days ascend."""
    if not days.size:
        return []
    cuts = np.flatnonzero(np.diff(days) > quiet_days) + 1
    return [tuple(int(day) for day in part) for part in np.split(days, cuts)]


def single_count(knowledge: Knowledge, window: int = 14) -> Detector:
    """The largest township count: one township alarms for all."""
    return _detector(knowledge, "single-count", f"single township, cases in {window} days",
                     _ranked(knowledge, knowledge.window(window).astype(np.float64), 1))  # fmt: skip


def joint_count(knowledge: Knowledge, seeing: int, window: int = 14) -> Detector:
    """The `seeing`-th largest township count: at threshold c, so many townships see at once, the author included."""
    return _detector(knowledge, f"joint-count-{seeing}", f"{seeing} townships at once, cases in {window} days",
                     _ranked(knowledge, knowledge.window(window).astype(np.float64), seeing))  # fmt: skip


def pooled_count(knowledge: Knowledge, window: int = 14) -> Detector:
    """The county's count, which needs the data to move."""
    pooled = knowledge.by_network(knowledge.window(window))
    return _detector(knowledge, "pooled-count", f"pooled county, cases in {window} days (needs the data to move)",
                     {leaf: sums.astype(np.float64) for leaf, sums in pooled.items()}, moves_data=True)  # fmt: skip


def single_ears(knowledge: Knowledge, method: Method, min_sigma: float = MIN_SIGMA) -> Detector:
    """The largest EARS score of any township."""
    scores = _ears_scores(knowledge.window(WEEK), method, min_sigma, knowledge.blind)
    return _detector(knowledge, f"single-{method}", f"single township, EARS {method}", _ranked(knowledge, scores, 1),
                     thresholds=EARS_THRESHOLDS, strict=True)  # fmt: skip


def pooled_ears(knowledge: Knowledge, method: Method, min_sigma: float = MIN_SIGMA) -> Detector:
    """The EARS score of the county's cases; an agency without data counts as one without cases."""
    pooled = knowledge.by_network(knowledge.window(WEEK))
    leaves = sorted(pooled)
    scores = _ears_scores(np.stack([pooled[leaf] for leaf in leaves]), method, min_sigma, None)
    return _detector(knowledge, f"pooled-{method}", f"pooled county, EARS {method} (needs the data to move)",
                     dict(zip(leaves, scores, strict=True)), thresholds=EARS_THRESHOLDS, strict=True,
                     moves_data=True)  # fmt: skip


def standard_detectors(knowledge: Knowledge) -> tuple[Detector, ...]:
    """The eight families that every replay prints."""
    methods: Sequence[Method] = ("C1", "C2", "C3")
    return (
        single_count(knowledge),
        *(single_ears(knowledge, method) for method in methods),
        pooled_count(knowledge),
        *(pooled_ears(knowledge, method) for method in methods),
    )


def _detector(
    knowledge: Knowledge,
    ident: str,
    label: str,
    scores: Mapping[int, Scores],
    *,
    thresholds: tuple[float, ...] = COUNT_THRESHOLDS,
    strict: bool = False,
    moves_data: bool = False,
) -> Detector:
    return Detector(ident, label, moves_data, strict, thresholds, knowledge.first_morning, scores)


def _ranked(knowledge: Knowledge, scores: Scores, rank: int) -> dict[int, Scores]:
    """The `rank`-th largest score among each network's agencies; -inf where it has fewer."""
    if rank < 1:
        raise ValueError("at least one township must see")
    homes = knowledge.archive.agency_network
    ranked = {}
    for leaf in knowledge.archive.leaves:
        own = scores[homes == leaf]
        if rank > own.shape[0]:
            ranked[leaf] = np.full(own.shape[1], -np.inf)
        elif rank == 1:
            ranked[leaf] = own.max(axis=0)
        else:
            ranked[leaf] = np.partition(own, own.shape[0] - rank, axis=0)[own.shape[0] - rank]
    return ranked


def _ears_scores(
    weekly: NDArray[np.integer], method: Method, min_sigma: float, blind: NDArray[np.bool_] | None
) -> Scores:
    """The z that each morning's trailing week exceeds; `weekly[..., j]` are the cases of the seven days up to it."""
    scores = np.full(weekly.shape, -np.inf)
    partial = np.zeros(weekly.shape, dtype=np.bool_)
    partial[..., : WEEK - 1] = True
    if blind is not None:
        partial |= _any_in_week(blind)
    for phase in range(min(WEEK, weekly.shape[-1])):
        part = slice(phase, None, WEEK)
        counts = weekly[..., part]
        terms = ears_terms(counts, method, min_sigma=min_sigma, missing=partial[..., part])
        if method == "C3":
            reached = np.where(counts > 0, terms.excess, -np.inf)
        else:
            reached = (counts - terms.expected) / terms.sigma
        scores[..., part] = np.nan_to_num(reached, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return scores


def _any_in_week(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found = flags.copy()
    for back in range(1, WEEK):
        found[..., back:] |= flags[..., :-back]
    return found
