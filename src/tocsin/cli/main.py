"""`tocsin`: one command, a verb for each thing a person does. Thin: every verb calls one room."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from tocsin.cli.output import Failure
from tocsin.node.finality import collector

VERBS = {
    "demo": "demo", "replay": "replay", "calibrate": "replay", "verify": "verify", "networks": "ledger",
    "log": "ledger", "fsck": "ledger", "charter": "charter", "keys": "keys", "founding": "founding", "node": "node",
    "status": "node", "act": "act", "motion": "motion", "testnet": "testnet", "monitor": "monitor", "engine": "engine",
    "bench": "bench",
}  # fmt: skip
"""Each verb and the module here that adds it."""


class _Parser(argparse.ArgumentParser):
    """Shows its example in one line, however long, so that it can be copied. Verbs and actions inherit it."""

    def format_help(self) -> str:
        example, self.epilog = self.epilog, None
        try:
            return super().format_help() + (f"\n{example}\n" if example else "")
        finally:
            self.epilog = example


def parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The command line; each module adds its own verbs, with an example in their help. If one verb is named, only its
    module is loaded: all together take more than a second."""
    root = _Parser(
        prog="tocsin",
        description="The alarm that many agencies ring together.",
        epilog="Start with: tocsin demo",
    )
    verbs = root.add_subparsers(title="verbs", required=True, metavar="VERB")
    for module in dict.fromkeys(VERBS.values()) if verb not in VERBS else [VERBS[verb]]:
        import_module(f"tocsin.cli.{module}").add(verbs)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 checked and found wrong, 2 could not be done."""
    words = sys.argv[1:] if arguments is None else arguments
    options = parser(words[0] if words else None).parse_args(words)
    collector.calm()
    try:
        return int(options.run(options))
    except Failure as failure:
        print(f"tocsin: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tocsin: stopped; what was committed is kept.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
