"""`tocsin charter`: show a constitution, check it, and explain what it allows."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from tocsin import charters
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.cli.verify import read
from tocsin.kernel.charter import Charter
from tocsin.kernel.explain import describe, explain_submit

MAX_FILE = 256 * 1024


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "charter", help="show, check or explain a charter", epilog="Example: tocsin charter show pilot"
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    show = actions.add_parser(
        "show", help="rules and settings, and what the loader says", epilog="Example: tocsin charter show pilot"
    )
    _charter(show)
    show.set_defaults(run=run_show)
    explain = actions.add_parser(
        "explain",
        help="who may issue a kind, and how it is decided",
        epilog="Example: tocsin charter explain pilot report.urgent.cholera --role reporter",
    )
    _charter(explain)
    explain.add_argument("kind")
    explain.add_argument("--stage", default="none", help="stage of the incident; default none")
    explain.add_argument("--role", action="append", default=[], help="a role of the one who asks; again for more")
    explain.add_argument("--chinese", action="store_true", help="in Chinese")
    explain.set_defaults(run=run_explain)


def _charter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("charter", help=f"{', '.join(charters.names())}, or a file")
    add_json(parser)


def load(name: str) -> Charter:
    """A charter that ships, or one from a file; raises Failure with what is wrong and where."""
    try:
        return charters.load(name) if name in charters.names() else charters.from_bytes(read(Path(name), MAX_FILE))
    except charters.CharterError as error:
        raise Failure(f"{name}: {error}") from error


def run_show(options: argparse.Namespace) -> int:
    """The charter as a table."""
    charter = load(options.charter)
    shown = describe(charter)
    if options.json:
        print_json({**msgspec.to_builtins(shown), "charter": charter})
        return 0
    print(f"{shown.name}  {shown.digest}")
    heads = ("kind", "stage", "model", "issuers", "electorate", "threshold", "window", "notice", "veto")
    rows = [heads, *(tuple(getattr(rule, head) for head in heads) for rule in shown.rules)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(heads))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    for setting in shown.settings:
        print(f"{setting.en}: {setting.value}")
    for problem in shown.problems:
        print(f"! {problem}")
    return 0


def run_explain(options: argparse.Namespace) -> int:
    """Clause by clause; exit 1 if it would be refused."""
    steps = explain_submit(load(options.charter), options.kind, options.stage, options.role)
    refused = any(step.outcome == "refuses" for step in steps)
    if options.json:
        print_json([step._asdict() for step in steps])
    else:
        for step in steps:
            print(f"{step.clause:>8}  {step.outcome:8}  {step.zh if options.chinese else step.en}")
    return 1 if refused else 0
