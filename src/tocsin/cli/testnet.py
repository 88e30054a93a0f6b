"""`tocsin testnet`: a whole tree of networks on this machine, a process for each agency."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tocsin.charters import CharterError
from tocsin.cli.output import Failure, add_json, print_json, unusable
from tocsin.node.trial import testnet
from tocsin.node.web.remote import RemoteError
from tocsin.store.errors import StoreError

_MOST_SEATS = 1000
_TOO_MANY = f"That would be more than {_MOST_SEATS:,} seats; one machine does not carry it. Name fewer."


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "testnet",
        help="start a tree of networks on this machine, or stop it",
        description="N agencies in each network. The first agency of a network takes part in the one above too, as its "
        "relay. Returns when every node runs; they go on until `tocsin testnet stop`. All keys stand in plain text in "
        "DIR: never for a real network.",
        epilog="Example: tocsin testnet 4 --dir trial --levels 1,2; then tocsin testnet stop --dir trial",
    )
    parser.add_argument("what", metavar="N|start|stop", help="agencies in each network; or start or stop a tree again")
    parser.add_argument("--dir", type=Path, required=True, help="empty or new, where everything is kept")
    parser.add_argument("--levels", default="1", help="networks at each level from the top, like 1,2,4 (1)")
    parser.add_argument(
        "--engine", choices=("cometbft", "follow"), default="cometbft",
        help="cometbft: all order together; follow: the first agency orders, the others check",
    )  # fmt: skip
    parser.add_argument("--block-ms", type=int, default=1000, help="CometBFT's pause after a block (1000)")
    parser.add_argument("--veto-window", type=int, metavar="S", help="seconds, in place of those of the charter")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write, start and link a tree; or stop it, or start it again."""
    folder: Path = options.dir.absolute()
    try:
        if options.what == "stop":
            return _stopped(testnet.stop(folder), options.json)
        if options.what != "start":
            _make(folder, options)
        with _ended_by_signals(), testnet.started(folder):
            tree = testnet.wait_ready(folder)
            if options.what != "start":
                testnet.link(folder)
    except CharterError as error:
        raise Failure(f"--veto-window {options.veto_window} cannot be: {error} Name another.") from error
    except (testnet.TestnetError, StoreError, RemoteError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise unusable(error) from error
    if options.json:
        print_json({"dir": str(folder), **msgspec.to_builtins(tree)})
    else:
        for node in tree.nodes:
            print(f"{node.url}  {node.name}  {' '.join(node.networks)}")
    return 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """So that a closed terminal and `kill` end us as Ctrl-C does, and not in the middle."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {one: signal.signal(one, end) for one in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _make(folder: Path, options: argparse.Namespace) -> None:
    if not options.what.isdecimal():
        raise Failure(f"{options.what!r} is neither a number of agencies, nor start, nor stop.")
    counts = options.levels.split(",")
    if not all(one.isdecimal() for one in counts):
        raise Failure("Write --levels as numbers of networks from the top, like 1,2.")
    # Counted before it is made, which would fill the memory.
    if len(options.what + options.levels) > 1000 or int(options.what) * sum(map(int, counts)) > _MOST_SEATS:
        raise Failure(_TOO_MANY)
    nets = testnet.shape(int(options.what), [int(one) for one in counts])
    if sum(len(net.members) for net in nets) > _MOST_SEATS:
        raise Failure(_TOO_MANY)
    testnet.write(
        folder, nets, options.engine, lambda net: testnet.pilot(net, options.veto_window), block_ms=options.block_ms
    )


def _stopped(names: list[str], as_json: bool) -> int:
    if as_json:
        print_json({"stopped": names})
    else:
        print(f"stopped {', '.join(names)}" if names else "nothing ran")
    return 0
