"""`tocsin replay` and `tocsin calibrate`: try a rule on a real outbreak before voting it in."""

import argparse
import time
from pathlib import Path
from typing import Any, get_args

import msgspec

from tocsin import charters
from tocsin.cli.output import Failure, add_json, as_typed, print_json
from tocsin.cli.places import make_room, told, try_to_write, write
from tocsin.cli.progress import progress
from tocsin.cli.verify import read
from tocsin.lab import sources, study, terminal
from tocsin.lab.archive import Archive, ArchiveError
from tocsin.lab.calibrate import calibrate, load_frozen
from tocsin.lab.days import day_of
from tocsin.lab.knowledge import KnownRule
from tocsin.lab.page import page
from tocsin.lab.sources.errors import SourceError
from tocsin.lab.sources.tidy import Unit
from tocsin.lab.summary import summary


def add(verbs: Any) -> None:
    """Add the two verbs."""
    parser = verbs.add_parser(
        "replay",
        help="replay an outbreak through the real engine",
        description="Drive a past outbreak day by day and say what the networks would have recorded, when, and whether "
        "it was true. Without a span the year a named source is known for, or the last third of the seasons; without a "
        "calibration the rule is chosen on what was known before.",
        epilog="Example: tocsin replay dengue-taiwan --report report.html --data-dir kept. "
        "Your own counts: tocsin replay counts.csv --territories who.csv --report report.html",
    )
    _source(parser)
    parser.add_argument("--charter", action="append", choices=charters.names(), help="again for more; default pilot")
    parser.add_argument("--first", help="first day, YYYY-MM-DD")
    parser.add_argument("--last", help="last day, YYYY-MM-DD")
    parser.add_argument(
        "--known", choices=get_args(KnownRule), default="confirmation",
        help="when a case counts as known; notification leaks the laboratory's answer, and the page says so",
    )  # fmt: skip
    parser.add_argument("--calibration", type=Path, help="the rule, as tocsin calibrate --output wrote it")
    parser.add_argument("--data-dir", type=Path, help="keep networks, dossiers and policies here")
    parser.add_argument("--report", type=Path, help="write the page here (HTML, one file)")
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
    parser.add_argument("source", help=f"{', '.join(sources.NAMED)}, or a CSV: agency, date, count[, origin]")
    parser.add_argument("--territories", type=Path, help="CSV of who reports where: agency, network[, parent, name]")
    parser.add_argument(
        "--columns", type=columns, metavar="OURS=YOURS,...",
        help="where the counts' columns are called otherwise, for example agency=ags",
    )  # fmt: skip
    parser.add_argument(
        "--territory-columns", type=columns, metavar="OURS=YOURS,...",
        help="the same for the territories, for example agency=ags,network=state",
    )  # fmt: skip
    parser.add_argument("--folder", type=Path, help="folder with the files of hepatitis-a-germany")
    parser.add_argument(
        "--unit", choices=get_args(Unit), default="auto", help="what a date stands for; auto looks at the weekdays"
    )


def columns(text: str) -> dict[str, str]:
    """Our names of columns with those in a file, from `ours=theirs,...`."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(ours and theirs for ours, _, theirs in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of OURS=YOURS, such as agency=ags,count=cases")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def load(options: argparse.Namespace) -> Archive:
    """The archive that the options name; raises Failure with what is wrong and where."""
    try:
        return sources.load(
            options.source, territories=options.territories, folder=options.folder, unit=options.unit,
            columns=options.columns, territory_columns=options.territory_columns,
        )  # fmt: skip
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
        with told(), progress(1, "runs to compare with") as runs:
            mornings = runs.below(len(charters_asked) * plan.days, "mornings").step
            done = study.run(
                plan, charters_asked, options.data_dir, mornings, full=options.report is not None, beside=runs.to
            )
    except ValueError as error:
        raise Failure(str(error)) from error
    command = as_typed(done.command)
    if options.report is not None:
        write(options.report, page(done.replay, dossier=done.dossier, command=done.command).encode())
    if options.json:
        wall_s = time.perf_counter() - started
        print_json(summary(done.replay, wall_s=wall_s, dossier=done.dossier, command=command))
    else:
        print("\n".join(terminal.lines(done.replay, done.paths(options.report), command)))
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
