"""The figures of a run held against their bars, and told to people with what bounds them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Configuration = Mapping[str, Any]


class Bar(NamedTuple):
    """What a figure is held against, for configurations of so many `acts`, all if None. `over`: divided by that one.
    `aim`: better than the bar, and not a condition."""

    name: str
    what: str
    bar: float
    at_least: bool
    acts: int | None = None
    over: str | None = None
    aim: float | None = None


_QUIET = 0.1
"""Share of the cores that other programs may take before a run says so."""

BARS = (
    Bar("vs_kvstore", "transactions/s, over CometBFT's kvstore at equal bytes", 0.6, True, 1, aim=0.8),
    Bar("vs_group", "decided messages/s, over x/group", 3, True, 1),
    Bar("vs_group", "decided messages/s, over x/group", 10, True, 64),
    Bar("p50_s", "sent to committed p50, in block intervals", 1.5, False, over="block_s"),
    Bar("final_p50_s", "sent to the cosigned checkpoint p50, in block intervals", 2.5, False, over="block_s"),
)


def bars(configurations: Sequence[Configuration]) -> list[dict[str, Any]]:
    """Every figure that has a bar and was measured: whether it holds (`pass`), and else what bounds it (`bound`)."""
    found: list[dict[str, Any]] = []
    for one in configurations:
        for bar in BARS:
            value = one.get(bar.name)
            if value is None or bar.acts not in (None, one["acts"]):
                continue
            value = value if bar.over is None else value / one[bar.over]
            held = value >= bar.bar if bar.at_least else value <= bar.bar
            found.append({
                "name": bar.name, "what": bar.what, "validators": one["validators"], "acts": one["acts"],
                "value": value, "bar": bar.bar, "at_least": bar.at_least, "aim": bar.aim, "pass": held,
                "bound": None if held else bound(one, bar),
            })  # fmt: skip
    return found


def bound(one: Configuration, bar: Bar) -> str:
    """What keeps a figure from its bar, from what the same run measured."""
    if bar.over is not None:
        return f"blocks took {one['block_s']:.2f} s at {one['rate_tx_per_s']:,.0f} transactions/s"
    cpu, theirs = one["cpu_ms_per_tx"], one["kvstore"]["cpu_ms_per_tx"]
    return (
        f"our nodes kept {one['cores_busy']:.0%} of the cores busy, other programs {one['others_busy']:.0%}; on "
        f"{one['validators']} nodes a transaction takes {cpu['cometbft']:.2f} ms of CometBFT and "
        f"{cpu['python']:.2f} ms of Python, the kvstore's {theirs:.2f} ms"
    )


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """The report for people."""
    box = results["machine"]
    yield f"{box['cores']} cores, {box['cpu']}, {box['memory_gib']} GiB, {box['system']}, {box['python']}"
    for one in results["configurations"]:
        yield from _configuration(one)
    yield ""
    for bar in results["bars"]:
        sign = "at least" if bar["at_least"] else "at most"
        aim = "" if bar["aim"] is None else f", aim {bar['aim']:g}"
        yield (
            f"{'pass' if bar['pass'] else 'FAIL'}  {bar['validators']} validators, {bar['acts']:>2} acts  "
            f"{bar['value']:7.2f}  ({sign} {bar['bar']:g}{aim})  {bar['what']}"
        )
        if bar["bound"]:
            yield f"      {bar['bound']}"


def _configuration(one: Configuration) -> Iterator[str]:
    yield ""
    yield f"{one['validators']} validators, {one['acts']} acts an envelope of {one['tx_bytes']:,.0f} bytes"
    yield _system("Tocsin", one)
    yield _system("kvstore", one["kvstore"])
    if one["group"] is not None:
        yield _system("x/group", one["group"])
    yield (
        f"      at {one['rate_tx_per_s']:,.0f} transactions/s, blocks of {one['block_s']:.2f} s: committed p50 "
        f"{one['p50_s']:.2f} s, p99 {one['p99_s']:.2f} s; cosigned p50 {one['final_p50_s']:.2f} s, p99 "
        f"{one['final_p99_s']:.2f} s; kvstore committed p50 {one['kvstore']['p50_s']:.2f} s"
    )
    cpu, size = one["cpu_ms_per_record"], one["bytes_per_record"]
    yield (
        f"      a record on all nodes: CometBFT {cpu['cometbft']:.2f} ms, Python {cpu['python']:.2f} ms; on disk "
        f"CometBFT {size['cometbft']:,.0f} bytes, Python {size['python']:,.0f}; {one['cores_busy']:.0%} of cores busy"
    )
    if one["others_busy"] > _QUIET:
        yield f"      other programs took {one['others_busy']:.0%} of the cores: run it again on a quiet machine"


def _system(name: str, one: Mapping[str, Any]) -> str:
    decided = one.get("decided_per_s")
    told = "" if decided is None else f", {decided:9,.1f} decided messages/s"
    block = one.get("loaded_block_s", one["block_s"])
    return f"  {name:8} {one['tx_per_s']:9,.1f} transactions/s{told}, blocks of {block:.2f} s"
