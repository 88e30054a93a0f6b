"""The page of a replay: one self-contained HTML file, in the order of the study protocol."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from tocsin.lab import figures, tables
from tocsin.lab.calibrate import CAP
from tocsin.lab.days import iso
from tocsin.lab.drive import day_at
from tocsin.lab.frontier import frontier
from tocsin.lab.references import OFFICIAL
from tocsin.lab.replay import Replay
from tocsin.lab.truth import Wave

__all__ = ["CANNOT_SHOW", "headline", "page"]

STYLE = (files("tocsin.lab") / "page.css").read_text(encoding="utf-8")

CANNOT_SHOW = (
    "The cases are consolidated: what was reported and later discarded is not in the archive, and their origin is "
    "taken as known early. Ballots are cast by machines that know no fear, fatigue or weekends, and nothing here shows "
    "the politics of a veto. The agencies of this archive did not report to one another, and their central office saw "
    "every case within days. Official acts are of other kinds than a record, and independent waves are few. A lead is "
    "not a number of cases averted."
)



def page(replay: Replay, *, dossier: str | None = None, command: str | None = None) -> str:
    """The whole page; `dossier` is a record as one file, `command` checks it offline."""
    wave = replay.biggest(replay.first, replay.last)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width,initial-scale=1">',
            f"<title>Tocsin replay: {escape(replay.archive.title)}</title><style>{STYLE}</style></head><body><main>",
            *_head(replay, wave),
            *_first_figure(replay, wave),
            *_rules(replay),
            *_later_figures(replay, wave),
            *_tables(replay),
            *_check(dossier, command),
            *_limits(replay),
            *_members(replay),
            "</main></body></html>",
        )
    )


def headline(replay: Replay, wave: Wave | None) -> str:
    """One sentence with signed leads."""
    if wave is None:
        return f"{replay.archive.title}: no outbreak began from {iso(replay.first)} to {iso(replay.last)}."
    name = replay.archive.networks[wave.network].name
    word = "confirmed cases" if replay.archive.kind == "line-list" else "cases"
    found = replay.leads(replay.main, wave)
    if not found:
        return f"{name}, {wave.cases:,} {word}: the nation had no record by the last case."
    record = replay.main.national(wave.network, wave.first)
    when = "" if record is None or record.national_at is None else f" on {iso(day_at(record.national_at))}"
    said = ", ".join(
        f"{tables.signed(one.days)} on {'' if one.id == 'day-0' else 'the '}{one.label}" for one in reversed(found)
    )
    return f"{name}, {wave.cases:,} {word}: the national record stood{when}; lead in days {said}."


def _head(replay: Replay, wave: Wave | None) -> Iterator[str]:
    frozen = replay.frozen
    yield f"<p class=eyebrow>Tocsin replay · {escape(replay.archive.title)} · charter {escape(replay.main.charter)}</p>"
    yield f"<h1>{escape(headline(replay, wave))}</h1>"
    yield (
        f"<p class=caveat>Positive is earlier, negative later. {escape(replay.archive.caveat)} "
        f"{escape(replay.knowledge.label.capitalize())}.</p>"
    )
    loud = replay.doubts
    if replay.knowledge.known == "notification":
        loud.append("This run LEAKS the laboratory's answer: it counts cases from notification.")
    if replay.first <= replay.split:
        loud.append(f"This span begins before {frozen.until}, inside the calibration: it is not a test.")
    if replay.misfit:
        loud.append(replay.misfit)
    yield from (f"<p class=loud>{escape(one)}</p>" for one in loud)
    yield (
        f"<p>Frozen rule: an agency sees with {frozen.sight}; the author and {frozen.endorsers} "
        f"endorser{'s' * (frozen.endorsers > 1)} within {frozen.ballot_days} days record. "
        f"{f'Chosen on what was known by {frozen.until}' if frozen.calibrated else 'Not calibrated'}; digest "
        f"<code>{frozen.digest}</code>, which stands in every charter of this run.</p>"
    )
    yield tables.bars(replay)


def _first_figure(replay: Replay, wave: Wave | None) -> Iterator[str]:
    yield "<h2>Figure 1. What was known when</h2>"
    if wave is None:
        yield "<p>No outbreak began in this span.</p>"
    else:
        yield f"<figure>{figures.outbreak(replay, wave)}</figure>"
        yield tables.leads(replay, wave)
        yield (
            "<p class=caveat>Leads count from the day the record was final, its veto window over. Official acts differ "
            "in kind from a record and from one another.</p>"
        )
    networks = replay.archive.networks
    yield from (f"<p class=caveat>{escape(one)}</p>" for one in _others(replay))
    for network, one in replay.continuations():
        yield (
            f"<p class=caveat>{escape(networks[network].name)}: continuation of a wave that began on "
            f"{iso(one.first)}; no new lead.</p>"
        )


def _others(replay: Replay) -> Iterator[str]:
    """The largest outbreak of each test period that the span does not cover."""
    run = replay.beside.runs.get(replay.main.charter)
    if run is None:
        return
    for period in replay.beside.periods:
        wave = replay.biggest(period.span.first, period.span.last)
        if wave is None or not period.test or wave.first in replay.span:
            continue
        judged = next(one for one in run.nation.waves if one.wave is wave)
        when = "no national record by its last case"
        if judged.record_day is not None:
            home = run.recorded(wave.network, wave.first)
            when = f"national record {iso(judged.record_day)}, {judged.record_day - wave.first} days after day 0"
            if home is not None and home.final is not None:
                when = f"county record {iso(day_at(home.final))}, {when}"
        yield (
            f"Largest of {period.name}: {replay.archive.networks[wave.network].name}, {wave.cases:,} cases, day 0 "
            f"{iso(wave.first)}: {when}{' (late)' if judged.late else ''}."
        )


def _rules(replay: Replay) -> Iterator[str]:
    yield "<h2>Table 1. Charters and baselines</h2>"
    yield (
        "<p class=caveat>County: any network of agencies; nation: the topmost. c: cases that make an agency see; z: "
        "standard deviations above what EARS, the Early Aberration Reporting System, expects. True: a record of a true "
        "outbreak, one of 20 local cases or more in two places or more. Spill-over: 20 residents ill, but fewer "
        "infected there. Late: after half of the outbreak's cases. A nation-year: a year of all networks "
        "together.</p>"
        "<p class=caveat>Delay: median days from day 0 with [range] and, where there are seasons enough, (95 % "
        "interval by resampling seasons). Missed with the exact 95 % interval of its share; false records, those with "
        "a real but small cluster behind them in brackets, with the exact interval of the rate. Continuations and "
        "single-place clusters are in no column. Baselines are set to the frozen rule's false records in the "
        "calibration. Rules with a dagger need the data to move. The calibration is judged here by all that the "
        "archive knows today.</p>"
    )
    periods = range(len(replay.beside.periods))
    yield from (tables.rules(replay, period) for period in periods)
    yield "<details><summary>The baselines at their usual thresholds</summary>"
    yield from (tables.rules(replay, period, usual=True) for period in periods)
    yield "</details>"
    if replay.beside.unequal:
        yield (
            "<p class=caveat>No threshold is as quiet as the frozen rule for: "
            f"{escape('; '.join(replay.beside.unequal))}.</p>"
        )


def _later_figures(replay: Replay, wave: Wave | None) -> Iterator[str]:
    drawn = frontier(replay)
    if drawn:
        yield "<h2>Figure 2. False records against delay</h2>"
        over = replay.beside.periods[0].label.capitalize()
        yield (
            f"<figure>{drawn}<figcaption>{over}; lower left is better. Each line is a family of rules, each "
            "point one threshold; large points are the charters as frozen, the pilot's ringed. Hollow: misses over a "
            f"quarter of the outbreaks. Dashed red: the cap of {CAP:g} false records a year.</figcaption></figure>"
        )
    yield from _calibration(replay)
    yield "<h2>Figure 3. Agencies by weeks</h2>"
    if wave is not None:
        yield (
            f"<figure>{figures.townships(replay, wave)}<figcaption>Colour: cases known in the week. Dot: saw. Ring: "
            "reported. Line: endorsed somebody's report.</figcaption></figure>"
        )
    yield (
        f"<figure>{figures.nation(replay)}<figcaption>Every territory with a report from {iso(replay.first)} to "
        f"{iso(replay.last)}: local cases by week, each panel on a scale of its own. Green: national records; in words "
        "the first and what it was worth, in brackets how many followed.</figcaption></figure>"
    )


def _calibration(replay: Replay) -> Iterator[str]:
    frozen = replay.frozen
    if not frozen.calibrated:
        return
    yield f"<details><summary>How the rule was chosen ({frozen.seasons} seasons to {frozen.until})</summary>"
    yield (
        f"<p>Kept was what gives at most {frozen.cap:g} false national records a year with at least two endorsers; of "
        "these the fewest missed, then the shortest delay, then the fewest endorsers. Leaving one season out: "
        f"{escape(frozen.leave_one_out)}. Resampling seasons: {escape(frozen.bootstrap)}.</p>"
    )
    yield tables.grid(replay)
    measured = frozen.accuracy
    if measured is not None:
        yield (
            f"<p>One agency's sensitivity {_of(measured.sensitivity)}, its specificity {_of(measured.specificity)} a "
            f"ballot window; observed {measured.observed_false_blocks_per_year:g} false windows a year and "
            f"{measured.observed_missed:.0%} of outbreaks missed.</p>"
        )
        said = measured.said or ["The formula of a k-of-n rule predicts both within a factor of two."]
        yield "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in said) + "</ul>"
    yield "</details>"


def _of(found: tuple[float, float, float]) -> str:
    return f"{found[0]:g} ({found[1]:g} to {found[2]:g})"


def _tables(replay: Replay) -> Iterator[str]:
    yield "<h2>Table 2. Every record, false ones first; every missed outbreak</h2>"
    yield (
        "<p class=caveat>National records of the test years; of the calibration's, the false and the missed. Judged by "
        "everything the archive knows today. Continuation: the wave had its record before. False-cluster: a real "
        "cluster, of 5 to 19 cases; false-nothing: less than that. Cases and places are the whole wave's.</p>"
    )
    yield tables.records(replay)
    alone = [one for one in replay.truth.single_place if any(one.first in p.span for p in replay.beside.periods)]
    if alone:
        named = "; ".join(f"{replay.archive.networks[w.network].name} {iso(w.first)}, {w.cases} cases" for w in alone)
        yield f"<p class=caveat>Within a single agency, so below the joint rule: {escape(named)}.</p>"
    yield "<h2>Table 3. Had the study chosen otherwise</h2>"
    yield (
        "<p class=caveat>County records of the frozen rule, unless a line says national: false ones, outbreaks missed, "
        "those recorded late, and the median delay from day 0.</p>"
    )
    yield tables.sensitivity(replay)
    yield "<h2>Table 4. What it cost</h2>"
    yield (
        f"<p class=caveat>From {iso(replay.first)} to {iso(replay.last)}. A page is one report that an agency is asked "
        "about; an officer is one for each agency.</p>"
    )
    yield tables.costs(replay)


def _check(dossier: str | None, command: str | None) -> Iterator[str]:
    yield "<h2>Check it yourself</h2>"
    if dossier is None or command is None:
        yield (
            "<p>This run left no record to check. With <code>--data-dir DIRECTORY</code> the networks stay, and each "
            "territory's first record of the span, if it has one, stands there as one file.</p>"
        )
    else:
        yield (
            f"<p>The record as one file: <code>{escape(dossier)}</code>. Offline, trusting nobody's server: "
            f"<code>{escape(command)}</code></p>"
        )


def _limits(replay: Replay) -> Iterator[str]:
    yield "<h2>What this cannot show</h2>"
    yield f"<p class=box>{escape(CANNOT_SHOW)}</p>"
    yield f"<p class=caveat>Source: {escape(replay.archive.citation or replay.archive.source)}</p>"
    said = dict.fromkeys((*replay.archive.notes, *_no_tests(replay), *replay.main.said))
    yield "<ul class=caveat>" + "".join(f"<li>{escape(one)}</li>" for one in said) + "</ul>"


def _no_tests(replay: Replay) -> Iterator[str]:
    """Official dates that the rule was calibrated on (replay 14)."""
    for one in OFFICIAL.get(replay.archive.source, ()):
        if one.day <= replay.split:
            yield f"the {one.label} of {iso(one.day)} lies inside the calibration, so it is never a test"


def _members(replay: Replay) -> Iterator[str]:
    yield "<h2>Members</h2>"
    yield (
        "<p class=caveat>By name, no league. Below ten resolved reports there are too few to say. Ballots are a "
        "machine's and always in time.</p>"
    )
    yield f"<details><summary>Every agency that reported or was asked</summary>{tables.members(replay)}</details>"
