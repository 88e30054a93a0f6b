"""What a territory's own office finds about each record, 28 days after its wave (replay 11).

Knows the truth, and is the only part of a running replay that does: it speaks through findings alone, long after the
ballots. Nothing that decides may import it.
"""

from typing import Literal

from tocsin.kernel.acts import Act, Finding, Submit
from tocsin.kernel.digest import digest
from tocsin.lab.drive import Drive, Report, day_at
from tocsin.lab.truth import FINDING_AFTER_DAYS, Truth, Wave

__all__ = ["Finder", "Found"]

Found = Literal["upheld", "refuted", "undetermined"]
ACTS_AT_ONCE = 128
"""In one envelope: a long wave ends with hundreds of records, and an office has its quota of envelopes."""


class Finder:
    """Finds on the records of a drive as their waves end; `found` by message."""

    def __init__(self, truth: Truth, drive: Drive) -> None:
        self._truth = truth
        self._drive = drive
        self._looked = 0
        self._due: dict[int, list[tuple[Report, Found]]] = {}
        self.found: dict[str, Found] = {}

    def evening(self, day: int, at: int) -> None:
        """Note what was recorded since the last evening, and find on what is due."""
        ended = self._drive.ended[self._looked :]
        self._looked += len(ended)
        for report in ended:
            if report.state == "recorded" and report.final is not None:
                verdict, last = self._verdict(report.network, day_at(report.final))
                if verdict is not None:
                    self._due.setdefault(max(day, last) + FINDING_AFTER_DAYS, []).append((report, verdict))
        acts: dict[int, list[Act]] = {}
        for report, verdict in self._due.pop(day, []):
            evidence = digest(b"replay-finding", report.message.encode())
            finding = Finding(report.message, verdict, "field", evidence)
            acts.setdefault(report.network, []).append(Submit("finding", None, None, finding, None))
            self.found[report.message] = verdict
        for network, signed in acts.items():
            office, chain = self._drive.built[network].office, self._drive.chains[network]
            for start in range(0, len(signed), ACTS_AT_ONCE):
                chain.submit(office, signed[start : start + ACTS_AT_ONCE], at)

    def _verdict(self, network: int, day: int) -> tuple[Found | None, int]:
        """The verdict and the last onset it waits for; None while the archive cannot tell how the wave went on."""
        wave = self._truth.wave_at(network, day)
        if self._large(wave):
            return self._told(wave, "upheld")
        ill = self._truth.wave_at(network, day, by="residence")
        if self._large(ill):
            return self._told(ill, "undetermined")
        return self._told(wave, "refuted")

    def _large(self, wave: Wave | None) -> bool:
        return wave is not None and wave.cases >= self._truth.rule.min_cases

    def _told(self, wave: Wave | None, verdict: Found) -> tuple[Found | None, int]:
        if wave is None:
            return verdict, 0
        return (None if self._truth.unfinished(wave) else verdict), wave.last
