"""The figures of a run: one JSON object, its bars, and the same for people."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Limit(NamedTuple):
    """What a figure is held against. `aim`: better than the bar, and not a condition."""

    name: str
    what: str
    bar: float
    at_least: bool = False
    aim: float | None = None


LIMITS = (
    Limit("single.ratio", "1 act an envelope: envelopes/s, over what the threads could verify", 0.6, True, 0.75),
    Limit("batch.cost_over_v", "64 acts an envelope: time of a record, over V", 0.75, aim=0.5),
    Limit("country.gib", "a country on one node: memory, founding included, GiB", 6),
    Limit("country.slowdown", "a message among its networks, over one in a network alone", 1.5),
    Limit("proof_ms", "proof from a log of ten million leaves, ms", 5),
    Limit("open_s", "opening a network with a million records, s", 3),
    Limit("replay_s", "the 2015 replay of all Taiwan, s", 60),
)


def figure(results: Mapping[str, Any], name: str) -> float | None:
    """A figure by its dotted name; None if it was not measured."""
    found: Any = results
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return None if found is None else float(found)


def bars(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every measured figure that has a limit, with `name`, `value`, `bar`, `aim` and `pass`."""
    found: list[dict[str, Any]] = []
    for limit in LIMITS:
        value = figure(results, limit.name)
        if value is not None:
            held = value >= limit.bar if limit.at_least else value <= limit.bar
            found.append({"name": limit.name, "value": value, "bar": limit.bar, "aim": limit.aim, "pass": held})
    return found


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    box = results["machine"]
    yield (
        f"{box['cores']} cores, {box['cpu']}, {box['memory_gib']} GiB, {box['system']}, {box['python']}, "
        f"SQLite {box['sqlite']}"
    )
    verdicts = {bar["name"]: bar for bar in results["bars"]}
    for limit in LIMITS:
        bar = verdicts.get(limit.name)
        if bar is not None:
            sign = "at least" if limit.at_least else "at most"
            aim = "" if limit.aim is None else f", aim {limit.aim:g}"
            verdict = "pass" if bar["pass"] else "FAIL"
            yield f"{verdict}  {limit.name:18} {bar['value']:8.3f}  ({sign} {limit.bar:g}{aim})  {limit.what}"
    yield from _beside(results)


def _beside(results: Mapping[str, Any]) -> Iterator[str]:
    for name, what in (("single", "1 act an envelope"), ("batch", "64 acts an envelope")):
        load = results.get(name)
        if load is not None:
            yield (
                f"      {what}: {load['envelopes_per_s']:,.0f} envelopes/s, {load['records_per_s']:,.0f} records/s, "
                f"V {load['v_us']:.1f} us, {load['bytes_per_record']:,.0f} bytes on disk a record"
            )
    single = results.get("single")
    if single is not None:
        yield (
            f"      verification alone, on all cores, would reach a ratio of {single['ceiling']:.2f}; with signatures "
            f"checked in the node's own threads it is {single['ratio_in_threads']:.2f}"
        )
    country = results.get("country")
    if country is not None:
        yield (
            f"      country: {country['networks']:,} networks, {country['members']:,} members, founded and linked in "
            f"{country['founded_s']:.0f} s; a message takes {country['spread_s'] * 1000:.2f} ms, in one network alone "
            f"{country['one_s'] * 1000:.2f}, there with full blocks {country['one_full_s'] * 1000:.2f}"
        )
    opening = results.get("opening")
    if opening is not None:
        size = opening["bytes_on_disk"] / opening["records"]
        yield f"      opened with {opening['open_messages']:,} open messages; {size:,.0f} bytes on disk a record"
    for one in results.get("latency", ()):
        yield f"      {one['rate']:>5} acts/s: submit to final p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms"
