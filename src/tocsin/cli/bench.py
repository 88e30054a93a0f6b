"""`tocsin bench`: what Tocsin costs on this machine, beside its limits; `net`: beside its peers; `join`: a new node."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.cli.progress import progress
from tocsin.engine.cometbft.install import EngineMissing
from tocsin.lab.bench.machine import machine
from tocsin.lab.bench.net.group import PeerMissing
from tocsin.lab.bench.net.joining import measure as measure_joining
from tocsin.lab.bench.net.load import LoadFailed
from tocsin.lab.bench.net.report import lines as net_lines
from tocsin.lab.bench.net.run import run as run_networks
from tocsin.lab.bench.report import lines
from tocsin.lab.bench.run import MEASUREMENTS, NoRoom, Sizes
from tocsin.lab.bench.run import run as run_bench
from tocsin.node.trial.testnet import TestnetError


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "bench",
        help="measure what Tocsin costs, beside its limits",
        description="Every figure comes from real envelopes, signatures and durable commits, and stands beside its "
        "limit; V is the time of one signature check on this machine. A limit that is missed is printed as FAIL. "
        "All of it takes some minutes and up to 6 GiB of disk.",
        epilog="Example: tocsin bench --only single --only batch",
    )
    parser.add_argument(
        "--only", action="append", choices=list(MEASUREMENTS), help="measure this only; may be repeated"
    )
    parser.add_argument("--dir", type=Path, help="where temporary files go, on the disk to be measured")
    add_json(parser)
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(metavar="net|join")
    _add_net(actions)
    _add_join(actions)


def _add_net(actions: Any) -> None:
    net = actions.add_parser(
        "net",
        help="measure networks of many nodes, beside CometBFT's kvstore and the Cosmos SDK's x/group",
        description="Starts networks of real nodes on this machine and drives them, first as fast as they go, then at "
        "a steady rate; then CometBFT's own kvstore at equal bytes and a Cosmos SDK application with x/group. CometBFT "
        "and that application are built by Go the first time; that takes some minutes, as does each configuration. "
        "Nothing else should run on the machine.",
        epilog="Example: tocsin bench net --validators 4 --acts 1",
    )
    net.add_argument("--validators", type=int, action="append", choices=range(4, 8), metavar="N",
                     help="measure so many validators, 4 to 7; may be repeated (default 4 and 7)")  # fmt: skip
    net.add_argument("--acts", type=int, action="append", choices=range(1, 65), metavar="N",
                     help="measure so many acts an envelope, 1 to 64; may be repeated (default 1 and 64)")  # fmt: skip
    net.add_argument("--without-group", action="store_true", help="leave the Cosmos SDK application out")
    net.add_argument("--dir", type=Path, help="where temporary files go, on the disk to be measured")
    add_json(net)
    net.set_defaults(run=run_net)


def _add_join(actions: Any) -> None:
    join = actions.add_parser(
        "join",
        help="measure how a new node joins a network with a long past",
        description="Makes a past of so many records by real acts, then lets a new node join by a snapshot, over "
        "CometBFT's own protocol. A million records take a quarter of an hour and more, and 6 GiB of disk.",
        epilog="Example: tocsin bench join --records 100000",
    )
    join.add_argument("--records", type=int, default=1_000_000, metavar="N", help="of the past (default 1000000)")
    join.add_argument("--acts", type=int, default=64, choices=range(1, 65), metavar="N",
                      help="acts an envelope, 1 to 64 (default 64)")  # fmt: skip
    join.add_argument("--noted", action="store_true", help="records without ballots: smaller, and sooner made")
    join.add_argument("--dir", type=Path, help="where temporary files go, on the disk to be measured")
    add_json(join)
    join.set_defaults(run=run_join)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    names = list(dict.fromkeys(options.only or MEASUREMENTS))
    try:
        with progress(len(names), "measurements") as steps:
            results = run_bench(names, Sizes(), steps.step, options.dir)
    except (NoRoom, OSError) as error:
        raise Failure(str(error)) from error
    if options.json:
        print_json(results)
    else:
        print("\n".join(lines(results)))
    return 0


def run_net(options: argparse.Namespace) -> int:
    """Measure networks and print."""
    validators = list(dict.fromkeys(options.validators or [4, 7]))
    acts = list(dict.fromkeys(options.acts or [1, 64]))
    try:
        with progress(3 * len(validators) * len(acts), "networks") as steps:
            results = run_networks(
                validators, acts, with_group=not options.without_group, folder=options.dir,
                say=lambda line: print(line, file=sys.stderr), step=steps.step,
            )  # fmt: skip
    except (LoadFailed, TestnetError, EngineMissing, PeerMissing, OSError) as error:
        raise Failure(str(error)) from error
    if options.json:
        print_json(results)
    else:
        print("\n".join(net_lines(results)))
    return 0


def run_join(options: argparse.Namespace) -> int:
    """Measure a new node's start and print."""
    try:
        with tempfile.TemporaryDirectory(prefix="tocsin-", dir=options.dir) as folder:
            found = measure_joining(
                Path(folder), options.records, options.acts, lambda line: print(line, file=sys.stderr),
                noted=options.noted,
            )  # fmt: skip
    except (LoadFailed, EngineMissing, OSError) as error:
        raise Failure(str(error)) from error
    results = {"machine": machine(), **found._asdict()}
    if options.json:
        print_json(results)
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in results.items()))
    return 0
