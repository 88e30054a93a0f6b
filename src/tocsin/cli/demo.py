"""`tocsin demo`: the 2015 dengue outbreak of Taiwan, as its townships lived it, and a record to verify."""

import argparse
import time
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.output import Failure, add_json, as_typed, print_json
from tocsin.cli.places import make_room, told, write
from tocsin.cli.progress import progress
from tocsin.lab import sources, study, terminal
from tocsin.lab.page import page
from tocsin.lab.sources.errors import SourceError
from tocsin.lab.summary import summary

SOURCE = "dengue-taiwan"


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "demo",
        help="replay the 2015 dengue outbreak of Taiwan",
        description="22 county networks and the nation, every signature and proof real; then a report and a dossier.",
        epilog="Example: tocsin demo --data-dir tocsin-demo",
    )
    parser.add_argument("--data-dir", type=Path, default=Path("tocsin-demo"), help="where everything is kept")
    parser.add_argument("--exit", action="store_true", help="stop after the summary (there is no page to serve yet)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Replay into a fresh directory and print the summary."""
    started = time.perf_counter()
    folder: Path = options.data_dir
    try:
        archive = sources.load(SOURCE)
    except SourceError as error:
        raise Failure(str(error)) from error
    make_room(folder)
    plan = study.plan(archive)
    with told(), progress(1, "runs to compare with") as runs:
        mornings = runs.below(plan.days, "mornings of 2014 and 2015").step
        done = study.run(plan, ("pilot",), folder, mornings, beside=runs.to)
    report = folder / "report.html"
    write(report, page(done.replay, dossier=done.dossier, command=done.command).encode())
    command = as_typed(done.command)
    said = summary(done.replay, wall_s=time.perf_counter() - started, dossier=done.dossier, command=command)
    write(folder / "summary.json", msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")
    if options.json:
        print_json(said)
    else:
        print("\n".join(terminal.lines(done.replay, done.paths(report), command)))
    return 0
