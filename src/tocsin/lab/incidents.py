"""From the reports of a drive to the incidents that scoring judges: what a county, or the nation, recorded and when."""

from collections.abc import Mapping

from tocsin.lab.drive import Drive, day_at
from tocsin.lab.truth import Incident

__all__ = ["incidents_of", "national_incidents"]


def incidents_of(drive: Drive) -> list[Incident]:
    """The incidents of the territories, by network and day: the days of their final records, in order."""
    days: dict[tuple[int, str], list[int]] = {}
    for report in drive.ended:
        if report.state == "recorded" and report.final is not None and report.incident is not None:
            days.setdefault((report.network, report.incident), []).append(day_at(report.final))
    return _in_order(days)


def national_incidents(drive: Drive) -> list[Incident]:
    """What the topmost network recorded about each territory; a territory's incident goes up once (spec 11)."""
    days: dict[tuple[int, str], list[int]] = {}
    for report in drive.ended:
        if report.national == "recorded" and report.national_at is not None and report.incident is not None:
            days.setdefault((report.network, report.incident), []).append(day_at(report.national_at))
    return _in_order(days)


def _in_order(days: Mapping[tuple[int, str], list[int]]) -> list[Incident]:
    found = [Incident(network, tuple(sorted(one)), ref) for (network, ref), one in days.items()]
    return sorted(found, key=lambda one: (one.network, one.days, one.ref))
