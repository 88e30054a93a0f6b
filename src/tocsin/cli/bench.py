"""`tocsin bench`: what Tocsin costs on this machine, beside its limits."""

import argparse
from pathlib import Path
from typing import Any

from tocsin.cli.output import Failure, add_json, print_json, progress
from tocsin.lab.bench.report import lines
from tocsin.lab.bench.run import MEASUREMENTS, NoRoom, Sizes
from tocsin.lab.bench.run import run as run_bench


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
