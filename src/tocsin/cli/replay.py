"""`tocsin replay` and `tocsin calibrate`: try a rule on a real outbreak before voting it in."""

import argparse
import time
from pathlib import Path
from typing import Any, get_args

import msgspec

from tocsin import charters
from tocsin.cli.output import Failure, add_json, print_json, progress
from tocsin.cli.places import make_room, try_to_write, write
from tocsin.cli.verify import read
from tocsin.lab import sources, study, terminal
from tocsin.lab.archive import Archive, ArchiveError
from tocsin.lab.calibrate import calibrate, load_frozen
from tocsin.lab.days import day_of
from tocsin.lab.page import page
from tocsin.lab.sources.errors import SourceError
from tocsin.lab.sources.tidy import Unit
from tocsin.lab.summary import summary


def add(verbs: Any) -> None:
    """Add the two verbs."""
    parser = verbs.add_parser(
        "replay",
        help="replay an outbreak through the real engine",
        epilog="Example: tocsin replay dengue-taiwan --report report.html",
    )
    _source(parser)
    parser.add_argument("--charter", action="append", choices=charters.names(), help="again for more; default pilot")
    parser.add_argument("--first", help="first day, YYYY-MM-DD")
    parser.add_argument("--last", help="last day, YYYY-MM-DD")
    parser.add_argument("--known", choices=("confirmation", "notification"), default="confirmation")
    parser.add_argument("--calibration", type=Path, help="frozen calibration file")
    parser.add_argument("--data-dir", type=Path, help="keep the networks here")
    parser.add_argument("--report", type=Path, help="write the page here")
    add_json(parser)
    parser.set_defaults(run=run_replay)

    fit = verbs.add_parser(
        "calibrate",
        help="choose a rule's numbers from the past, and freeze them",
        epilog="Example: tocsin calibrate dengue-taiwan --until 2014-12-31 --output rule.json",
    )
    _source(fit)
    fit.add_argument("--until", required=True, help="last day that may be used, YYYY-MM-DD")
    fit.add_argument("--output", type=Path, help="write the frozen file here")
    add_json(fit)
    fit.set_defaults(run=run_calibrate)


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help=f"{', '.join(sources.NAMED)}, or a tidy CSV (agency, date, count)")
    parser.add_argument("--territories", type=Path, help="CSV of agency, network, parent")
    parser.add_argument("--folder", type=Path, help="folder with the files of a named source")
    parser.add_argument("--unit", choices=get_args(Unit), default="auto")


def load(options: argparse.Namespace) -> Archive:
    """The archive that the options name; raises Failure with what is wrong and where."""
    try:
        return sources.load(options.source, territories=options.territories, folder=options.folder, unit=options.unit)
    except (SourceError, ArchiveError) as error:
        raise Failure(str(error)) from error


def day(text: str) -> int:
    """A day from YYYY-MM-DD; raises Failure."""
    try:
        return day_of(text)
    except ValueError as error:
        raise Failure(f"{text!r} is no day; write YYYY-MM-DD.") from error


def run_replay(options: argparse.Namespace) -> int:
    """Replay, then print the summary; a bar that fails is printed, not hidden."""
    started = time.perf_counter()
    first = None if options.first is None else day(options.first)
    last = None if options.last is None else day(options.last)
    try:
        frozen = None if options.calibration is None else load_frozen(read(options.calibration, 1 << 20))
    except ValueError as error:
        raise Failure(f"{options.calibration}: {error}") from error
    archive = load(options)
    try_to_write(options.report, "--report")
    if options.data_dir is not None:
        make_room(options.data_dir)
    charters_asked = tuple(dict.fromkeys(options.charter or ("pilot",)))
    try:
        with progress(20, "cells of the grid") as steps:
            plan = study.plan(
                archive, frozen=frozen, first=first, last=last, known=options.known, progress=steps.to
            )
        with progress(1, "runs to compare with") as runs:
            mornings = runs.below(len(charters_asked) * plan.days, "mornings").step
            done = study.run(
                plan, charters_asked, options.data_dir, mornings, full=options.report is not None, beside=runs.to
            )
    except ValueError as error:
        raise Failure(str(error)) from error
    if options.report is not None:
        write(options.report, page(done.replay, dossier=done.dossier, command=done.command).encode())
    if options.json:
        print_json(summary(done.replay, wall_s=time.perf_counter() - started))
    else:
        print("\n".join(terminal.lines(done.replay, done.paths(options.report), done.command)))
    return 0


def run_calibrate(options: argparse.Namespace) -> int:
    """Run the grid on what was known, choose, and freeze."""
    until = day(options.until)
    archive = load(options)
    try_to_write(options.output, "--output")
    try:
        with progress(20, "cells of the grid") as steps:
            found = calibrate(archive, until, progress=steps.to)
    except ValueError as error:
        raise Failure(str(error)) from error
    frozen = found.frozen
    if options.output is not None:
        write(options.output, msgspec.json.format(msgspec.json.encode(frozen), indent=1) + b"\n")
    if options.json:
        print_json({**msgspec.to_builtins(frozen), "digest": frozen.digest})
    else:
        print(
            f"{frozen.source} until {frozen.until}: an agency sees with {frozen.sight}; the author and "
            f"{frozen.endorsers} endorser{'s' * (frozen.endorsers > 1)} record."
        )
        print(f"Leave one season out: {frozen.leave_one_out}; bootstrap: {frozen.bootstrap}.")
        print(f"Digest {frozen.digest}")
    return 0
