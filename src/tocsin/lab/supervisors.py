"""What supervisors do with what their members endorsed (replay 11). Never one that knows the truth.

They are asked at each block in which a report came to be endorsed, and on each morning while it is open; what they do
stands in a further block at the same time.
"""

from hashlib import sha256
from typing import Literal, NamedTuple, Protocol

from tocsin.lab.days import weekday
from tocsin.lab.knowledge import Knowledge

__all__ = ["AtRandom", "Concurring", "Silent", "Supervisor", "Under", "Watched"]

Step = Literal["wait", "concur", "veto"]
VETO_CODE = "not-borne-out"
"""The code under which the replay's supervisors veto."""


class Watched(NamedTuple):
    """A report before a supervisor: the network that decides it, the territory it is about, its author (all indices of
    the archive), the day it was opened in this network, and whether it is endorsed."""

    network: int
    territory: int
    agency: int
    opened: int
    endorsed: bool


class Supervisor(Protocol):
    """A policy, the same for every office. `label` names it in a table."""

    @property
    def label(self) -> str: ...

    def step(self, report: Watched, day: int) -> Step:
        """What an office does about a report on `day`; asked again until it acts or the report is final."""
        ...


class Silent:
    """Lets every veto window run out: the default."""

    label = "silent"

    def step(self, report: Watched, day: int) -> Step:
        """Never acts."""
        return "wait"


class Concurring:
    """Gives up its veto on the first working morning (Monday to Friday) after the report was opened."""

    label = "concurs on the next working morning"

    def step(self, report: Watched, day: int) -> Step:
        """Concurs, on a report that is still open too: then its record waits for nobody (spec F7)."""
        return "concur" if day > report.opened and weekday(day) < 5 else "wait"


class Under:
    """Vetoes what the territory's pooled cases do not bear out: fewer than `cases` in `window` days."""

    def __init__(self, knowledge: Knowledge, cases: int = 5, window: int = 14) -> None:
        self._knowledge = knowledge
        self._pooled = knowledge.by_network(knowledge.window(window))
        self._cases = cases
        self.label = f"vetoes where fewer than {cases} cases are known in {window} days"

    def step(self, report: Watched, day: int) -> Step:
        """Decides when the report is endorsed."""
        few = self._pooled[report.territory][self._knowledge.column(day)] < self._cases
        return "veto" if report.endorsed and few else "wait"


class AtRandom:
    """Vetoes a share of what is endorsed, drawn from a seed and nothing else."""

    def __init__(self, share: float, seed: int = 1) -> None:
        self._share = share
        self._seed = seed
        self.label = f"vetoes {share:.0%} at random"

    def step(self, report: Watched, day: int) -> Step:
        """Decides when the report is endorsed; the same for the same report in any run."""
        if not report.endorsed:
            return "wait"
        drawn = sha256(f"{self._seed} {report.network} {report.agency} {report.opened}".encode()).digest()
        return "veto" if int.from_bytes(drawn[:8], "big") < self._share * 2**64 else "wait"
