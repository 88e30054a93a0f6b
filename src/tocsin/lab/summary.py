"""`summary.json`: what a replay found, for machines."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tocsin.lab.days import iso
from tocsin.lab.drive import day_at
from tocsin.lab.replay import Replay
from tocsin.lab.runs import Run
from tocsin.lab.scoring import Span, Tally, tally
from tocsin.lab.statistics import MedianRange
from tocsin.lab.truth import Outcome, Verdicts, Wave

__all__ = ["known_cases", "summary"]


def summary(
    replay: Replay, *, wall_s: float, dossier: str | None = None, command: str | None = None
) -> dict[str, Any]:
    """One JSON object. `cases`: those that became known in the span to an agency; `counts`: by level, then outcome, in
    the span; `envelopes`, `ballots` and `reports` of the whole run; leads in days, signed, null where there was no
    record; days as ISO dates; `dossier`, `verify`: a record as one file and the command that checks it."""
    main, frozen = replay.main, replay.frozen
    wave = replay.biggest(replay.first, replay.last)
    return {
        "source": replay.archive.source,
        "title": replay.archive.title,
        "charter": main.charter,
        "charters": list(replay.runs),
        "span": [iso(replay.first), iso(replay.last)],
        "warm_up_from": iso(main.first),
        "known": replay.knowledge.label,
        "caveat": replay.archive.caveat,
        "calibration": {
            "rule": {
                "cases": frozen.cases, "window_days": frozen.window_days, "endorsers": frozen.endorsers,
                "ballot_days": frozen.ballot_days,
            },
            "digest": frozen.digest,
            "until": frozen.until,
            "leave_one_out": frozen.leave_one_out,
            "notes": list(frozen.notes),
        },
        "wall_s": round(wall_s, 2),
        "cases": known_cases(replay),
        "agencies": len(replay.archive.agencies),
        "networks": len(main.drive.chains),
        "envelopes": main.drive.costs.envelopes,
        "ballots": main.drive.costs.ballots,
        "reports": len(main.drive.reports),
        "held_back": len(main.drive.costs.held_back),
        "refused": dict(sorted(main.drive.costs.refused.items())),
        "counts": {
            "county": _counts(replay, main.verdicts, replay.span),
            "nation": _counts(replay, main.nation, replay.span),
        },
        "largest_outbreak": None if wave is None else _outbreak(replay, wave),
        "first_national_record": {
            replay.archive.networks[network].id: _first_national(replay, main, network)
            for network in main.drive.leaves
        },
        "continuations": {
            replay.archive.networks[network].id: iso(one.first) for network, one in replay.continuations()
        },
        "lead_days": {} if wave is None else _lead_days(replay, wave),
        "dossier": dossier,
        "verify": command,
        "periods": [
            {
                "label": period.label, "test": period.test,
                "charters": {
                    name: _counted(replay, run.nation, period.span) for name, run in replay.beside.runs.items()
                },
            }
            for period in replay.beside.periods
        ],
        "bars": [
            {"name": bar.name, "value": bar.value, "bar": bar.bar, "pass": bar.passed, "note": bar.note}
            for bar in replay.bars
        ],
    }  # fmt: skip


def known_cases(replay: Replay) -> int:
    """Cases that became known within the span and live where an agency is, imported ones included."""
    entries, known = replay.archive.entries, replay.knowledge.known_day
    inside = (known >= replay.first) & (known <= replay.last) & (entries.agency >= 0)
    return int(entries.count[inside].sum(dtype=np.int64))


def _counts(replay: Replay, verdicts: Verdicts, span: Span) -> dict[str, int]:
    counted = tally(replay.truth, verdicts, span)
    return {str(outcome): counted.count(outcome) for outcome in Outcome} | _waves(counted)


def _waves(counted: Tally) -> dict[str, int]:
    return {"false": counted.false(), "waves": counted.waves, "missed": counted.missed, "late": counted.late}


def _counted(replay: Replay, verdicts: Verdicts, span: Span) -> dict[str, Any]:
    counted = tally(replay.truth, verdicts, span)
    rate, delay = counted.false_per_year(), counted.delay
    return {
        "true": counted.count(Outcome.TRUE),
        "spill_over": counted.count(Outcome.SPILL_OVER),
        **_waves(counted),
        "delay_days": _median(delay),
        "false_per_year": [round(one, 4) for one in (rate.estimate, rate.low, rate.high)],
    }


def _median(found: MedianRange) -> list[float | None]:
    return [found.median, found.low, found.high]


def _first_national(replay: Replay, run: Run, network: int) -> str | None:
    record = run.national(network, replay.first)
    return None if record is None or record.national_at is None else iso(day_at(record.national_at))


def _outbreak(replay: Replay, wave: Wave) -> Mapping[str, Any]:
    main = replay.main
    signal = main.signal(wave.network, wave.first)
    home, nation = main.recorded(wave.network, wave.first), main.national(wave.network, wave.first)
    found: dict[str, Any] = {
        "county": replay.archive.networks[wave.network].id,
        "cases": wave.cases,
        "day_0": iso(wave.first),
        "last_onset": iso(wave.last),
        "first_signal": None if signal is None else iso(day_at(signal.opened)),
        "county_record": None if home is None or home.final is None else iso(day_at(home.final)),
        "national_record": None,
    }
    if nation is not None and nation.national_at is not None:
        day = day_at(nation.national_at)
        known, to_come = replay.truth.known_and_to_come(wave, day, replay.knowledge.known_day)
        found |= {
            "national_record": iso(day), "days_since_day_0": day - wave.first, "cases_known": known,
            "cases_to_come": to_come,
        }  # fmt: skip
    return found


def _lead_days(replay: Replay, wave: Wave) -> dict[str, dict[str, int | None]]:
    blank: dict[str, int | None] = {one.id: None for one in replay.references(wave)}
    found: dict[str, dict[str, int | None]] = {}
    for charter in dict.fromkeys((*replay.runs, *replay.beside.runs)):
        run = replay.covering(charter, wave.first, min(wave.last, replay.last))
        if run is not None:
            found[charter] = blank | {one.id: one.days for one in replay.leads(run, wave)}
    return found
