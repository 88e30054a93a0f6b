"""`tocsin demo`: the 2015 dengue outbreak of Taiwan, as its townships lived it, and a record to verify."""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.output import Failure, add_json, print_json, progress
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
    _make_room(folder)
    try:
        archive = sources.load(SOURCE)
    except SourceError as error:
        raise Failure(str(error)) from error
    plan = study.plan(archive)
    with progress(plan.days, "days of 2014 and 2015") as steps:
        done = study.run(plan, ("pilot",), folder, steps.step)
    report = folder / "report.html"
    report.write_text(page(done.replay, dossier=done.dossier, command=done.command), encoding="utf-8")
    said = summary(done.replay, wall_s=time.perf_counter() - started)
    (folder / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")
    if options.json:
        print_json(said)
    else:
        print("\n".join(terminal.lines(done.replay, done.paths(report), done.command)))
    return 0


def _make_room(folder: Path) -> None:
    """Replace an older demo; refuse to touch anything else."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "networks").is_dir()):
        raise Failure(f"{folder} is not an earlier demo; name an empty or new directory with --data-dir.")
    for name in ("networks", "dossiers", "policy"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("keys.json", "report.html", "signed-heads", "summary.json"):
        (folder / name).unlink(missing_ok=True)
