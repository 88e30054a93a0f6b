"""`tocsin`: one command, a verb for each thing a person does. Thin: every verb calls one room."""

import argparse
import sys
from collections.abc import Sequence

from tocsin.cli import (
    act,
    bench,
    charter,
    demo,
    engine,
    founding,
    keys,
    ledger,
    monitor,
    motion,
    node,
    replay,
    testnet,
    verify,
)
from tocsin.cli.output import Failure
from tocsin.node.finality import collector

VERBS = (demo, replay, verify, ledger, charter, keys, founding, node, act, motion, testnet, monitor, engine, bench)


class _Parser(argparse.ArgumentParser):
    """Shows its example in one line, however long, so that it can be copied. Verbs and actions inherit it."""

    def format_help(self) -> str:
        example, self.epilog = self.epilog, None
        try:
            return super().format_help() + (f"\n{example}\n" if example else "")
        finally:
            self.epilog = example


def parser() -> argparse.ArgumentParser:
    """The command line; each verb adds its own part, with an example in its help."""
    root = _Parser(
        prog="tocsin",
        description="The alarm that many agencies ring together.",
        epilog="Start with: tocsin demo",
    )
    verbs = root.add_subparsers(title="verbs", required=True, metavar="VERB")
    for module in VERBS:
        module.add(verbs)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 checked and found wrong, 2 could not be done."""
    options = parser().parse_args(arguments)
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
