"""A seeded run: one fault after another on one network, everything checked after each.

By hand or for long: `python -m tests.faults.run --seed 7 --validators 4 --minutes 10`, or `make soak`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.faults import faults, links
from tests.faults.disk import Broken, small_disk
from tests.faults.faults import Fault
from tests.faults.network import Network
from tests.foreign.toolchain import Missing

ANY: tuple[Fault, ...] = (
    faults.kill_nodes, faults.kill_cometbft, faults.kill_application, faults.power_cut, faults.wiped_disk,
    faults.wiped_disk_and_snapshot, faults.cut_sync, faults.false_snapshot, faults.pause, faults.partition, faults.partition, faults.cut_off,
    faults.reset, faults.slow_links, faults.wrong_clock, faults.bad_proposals, faults.garbage, faults.stranger, faults.two_heads,
    faults.storm, faults.storm,
)  # fmt: skip
"""What may come at any time; what stands twice comes twice as often."""


def draw(chance: Random, count: int) -> list[Fault]:
    """Faults in an order that a seed decides: each once before any comes again."""
    drawn: list[Fault] = []
    while len(drawn) < count:
        drawn += chance.sample(ANY, len(ANY))
    return drawn[:count]


def run(
    folder: Path, seed: int, validators: int, plan: Sequence[Fault] | None, seconds: float, say: Callable[[str], None]
) -> int:
    """Faults of a plan, or for so many seconds such as the seed draws and then a full disk and a twin; how many there
    were. Raises Broken, Missing."""
    start = time.monotonic()
    disk = folder / "small-disk"
    with small_disk(disk) as small:
        # A file system's root cannot be removed when its disk is wiped; a folder on it can.
        mounts = {validators - 1: disk / "site"} if small else {}
        net = Network(folder, links.install(), validators, seed, twins=[0], mounts=mounts)
        todo = draw(Random(seed), 10_000) if plan is None else plan
        last = (faults.disk_full, faults.twin) if plan is None else ()
        done = 0
        try:
            net.start()
            say(f"seed {seed}, {validators} validators, up after {time.monotonic() - start:.1f} s")
            for fault in todo:
                if plan is None and time.monotonic() - start > seconds:
                    break
                done += _one(net, fault, say)
            for fault in last:
                done += _one(net, fault, say)
            net.examine()
            say(f"fsck of every disk found nothing; {len(net.load.book)} envelopes, {len(net.signed)} heads signed")
        finally:
            net.close()
    return done


def _one(net: Network, fault: Fault, say: Callable[[str], None]) -> int:
    """Whether it could be done, as a number."""
    if fault is faults.disk_full and not any(site.small_disk for site in net.honest):
        say("disk_full: left out, only root may make a small disk")
        return 0
    start = time.monotonic()
    try:
        told = fault(net)
        repaired = time.monotonic()
        live, height = net.check()
    except Exception as error:
        raise Broken(f"{fault.__name__}: {error}") from error
    say(
        f"{fault.__name__}: {told} ({repaired - start:.1f} s); live after {live:.1f} s, "
        f"all agree at block {height} after {time.monotonic() - repaired:.1f} s"
    )
    return 1


def main() -> int:
    """The long set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--validators", type=int, nargs="+", default=[4, 7])
    parser.add_argument("--minutes", type=float, default=8.0, help="for each number of validators")
    parser.add_argument("--keep", type=Path, help="where everything stays for a look, in place of a folder that goes")
    options = parser.parse_args()
    for validators in options.validators:
        with tempfile.TemporaryDirectory(prefix="tocsin-faults-") as scratch:
            folder = options.keep / str(validators) if options.keep else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            start = time.monotonic()

            def say(line: str, start: float = start) -> None:
                print(f"{time.monotonic() - start:7.1f}  {line}", flush=True)

            try:
                done = run(folder, options.seed, validators, None, options.minutes * 60, say)
            except (Broken, Missing) as error:
                print(f"BROKEN with --seed {options.seed} --validators {validators}: {error}", file=sys.stderr)
                return 1
            say(f"{done} faults, all laws held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
