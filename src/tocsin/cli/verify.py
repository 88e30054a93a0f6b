"""`tocsin verify`: check one record offline, trusting nobody's server."""

import argparse
from pathlib import Path
from typing import Any

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.client.policy import PolicyError, decode_policy
from tocsin.client.verify import MAX_DOSSIER, verify


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "verify",
        help="check a dossier offline",
        description="Recompute every digest, signature and tally of a dossier. The policy must come from elsewhere.",
        epilog="Example: tocsin verify tainan.dossier --policy tainan.policy",
    )
    parser.add_argument("dossier", type=Path, help="the record as one file")
    parser.add_argument("--policy", type=Path, required=True, help="which network and members you trust")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Exit 0 if everything holds, 1 with the first thing that fails."""
    try:
        policy = decode_policy(read(options.policy, 1 << 20))
    except PolicyError as error:
        raise Failure(f"{options.policy}: {error}") from error
    report = verify(read(options.dossier, MAX_DOSSIER), policy)
    if options.json:
        print_json({"ok": report.ok, "lines": [{"ok": line.ok, "text": line.text} for line in report.lines]})
    else:
        for line in report.lines:
            print(f"{'ok  ' if line.ok else 'FAIL'} {line.text}")
    return 0 if report.ok else 1


def read(path: Path, most: int) -> bytes:
    """A file's bytes, its size checked first; raises Failure with a sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}; name another.") from error
    if len(data) > most:
        raise Failure(f"{path} is larger than {most} bytes and not what it should be; name another.")
    return data
