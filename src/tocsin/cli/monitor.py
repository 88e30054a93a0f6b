"""`tocsin monitor`: an auditor follows several members of a network, and trusts none of them."""

import argparse
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.output import Failure, add_json, print_json, unusable
from tocsin.cli.verify import read
from tocsin.client.signing import SigningError, verify_founding
from tocsin.engine.signatures import Verifier
from tocsin.kernel.genesis import MAX_GENESIS, Founding, GenesisError, decode_genesis
from tocsin.node.audit.heads import Finding
from tocsin.node.audit.monitor import Monitor
from tocsin.node.web.remote import Remote, RemoteError, caller
from tocsin.store.errors import StoreError
from tocsin.store.store import Store

_KEPT = 1000
"""Findings that `--json` lists at the end, the newest."""


def add(verbs: Any) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "monitor",
        help="follow several members of a network and check all they say",
        description="Makes every block again, compares every file of the log, checks every signature, and writes "
        "evidence where a member says one thing here and another there. Exits 1 if something is wrong, else 0.",
        epilog="Example: tocsin monitor tainan.genesis --dir audit --member annan=http://10.0.0.1:8440 "
        "--member bureau=http://10.0.0.2:8440 --once",
    )
    parser.add_argument("genesis", type=Path, help="the network's genesis file, from a source that you trust")
    parser.add_argument("--dir", type=Path, required=True, help="the monitor's own copy and what it found")
    parser.add_argument("--member", action="append", required=True, metavar="ID=URL", help="a member's node")
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between two looks (5)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look, and tell what is wrong."""
    pairs = [text.partition("=") for text in options.member]
    if not all(separator for _, separator, _ in pairs):
        raise Failure("Name a member's node as ID=URL, like annan=http://10.0.0.1:8440.")
    if not 0 < options.every <= 86_400:
        raise Failure("Write --every as seconds between two looks, more than 0 and up to a day.")
    stopping = threading.Event()
    if not options.once:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: stopping.set())
    try:
        with ExitStack() as stack:
            monitor = _open(options, {id: url.rstrip("/") for id, _, url in pairs}, stack)
            return _look(monitor, options, stopping)
    except (StoreError, ValueError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise unusable(error) from error


def _open(options: argparse.Namespace, urls: dict[str, str], stack: ExitStack) -> Monitor:
    data = read(options.genesis, MAX_GENESIS)
    try:
        genesis = decode_genesis(data)
    except GenesisError as error:
        raise Failure(f"{options.genesis}: {error}") from error
    client = stack.enter_context(closing(caller()))
    members = {id: Remote(client, url, genesis.origin) for id, url in urls.items()}
    path = options.dir / "networks" / "node.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    store = stack.enter_context(Store.open(path))
    if genesis.origin not in [one.origin for one in store.networks()]:
        store.create_network(data, _founding(genesis, members))
    records = store.network(genesis.origin)
    if records.digest != genesis.digest:
        raise Failure(f"{options.dir} follows another network of the name {genesis.origin}; name another directory.")
    verifier = stack.enter_context(closing(Verifier()))
    return Monitor(records, members, genesis.log_key, options.dir, verifier)


def _founding(genesis: Any, members: dict[str, Remote]) -> bytes:
    """The founders' signatures, from whichever member has them: they hold or they do not."""
    why = "no member was named"
    for id, remote in members.items():
        try:
            data = remote.genesis()[1]
            verify_founding(genesis, msgspec.json.decode(data, type=Founding))
        except (RemoteError, SigningError, msgspec.DecodeError) as error:
            why = f"{id}: {error}"
            continue
        return data
    raise Failure(f"The founding signatures could not be had from any member; {why}")


def _look(monitor: Monitor, options: argparse.Namespace, stopping: threading.Event) -> int:
    found: deque[Finding] = deque(maxlen=_KEPT)
    count = 0
    while True:
        new = monitor.look()
        found += new
        count += len(new)
        if not options.json:
            for one in new:
                print(f"{one.member}: {one.kind}: {one.sentence}"
                      + (f"; evidence in {one.evidence}" if one.evidence else ""), flush=True)  # fmt: skip
        if stopping.is_set() or (not monitor.more and (options.once or stopping.wait(options.every))):
            break
    if options.json:
        print_json({"origin": monitor.origin, "height": monitor.height, "size": monitor.size,
                    "beyond": monitor.beyond or None, "findings": list(found)})  # fmt: skip
    else:
        for line in _summary(monitor, count, found):
            print(line)
    return 1 if count else 0


def _summary(monitor: Monitor, count: int, found: Iterable[Finding]) -> Iterator[str]:
    said = [f"block {monitor.height} with {monitor.size} leaves checked"]
    if monitor.beyond or monitor.more:
        said.append(f"not checked beyond {monitor.size}")
    if count:
        said.append(f"{count} things are wrong")
    yield f"{monitor.origin}: " + "; ".join(said if len(said) > 1 else [*said, "all agree"])
    if any(one.evidence for one in found):
        yield "A member hands evidence in by `tocsin act evidence DIR FILE`."
