"""`tocsin networks`, `tocsin log`, `tocsin fsck`: what a data directory holds, and whether it is whole."""

import argparse
from contextlib import closing
from pathlib import Path
from typing import Any

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.cli.progress import progress
from tocsin.engine.signatures import Verifier
from tocsin.node.export import export_log
from tocsin.store.errors import StoreError
from tocsin.store.fsck import fsck
from tocsin.store.store import Store


def add(verbs: Any) -> None:
    """Add the three verbs."""
    example = "Example: tocsin networks --data-dir tocsin-demo --json"
    networks = verbs.add_parser("networks", help="list networks with their heads", epilog=example)
    _data_dir(networks)
    add_json(networks)
    networks.set_defaults(run=run_networks)

    log = verbs.add_parser(
        "log", help="publish a network's log as static files",
        epilog="Example: tocsin log export tainan-city public/ --data-dir tocsin-demo",
    )  # fmt: skip
    actions = log.add_subparsers(required=True, metavar="ACTION")
    export = actions.add_parser(
        "export",
        help="write checkpoint, tiles and entries in the C2SP layout",
        epilog="Example: tocsin log export tainan-city public/ --data-dir tocsin-demo",
    )
    export.add_argument("network", help="origin, or its last part")
    export.add_argument("folder", type=Path)
    _data_dir(export)
    add_json(export)
    export.set_defaults(run=run_export)

    check = verbs.add_parser(
        "fsck", help="verify everything from bytes", epilog="Example: tocsin fsck --data-dir tocsin-demo"
    )
    _data_dir(check)
    check.add_argument("--fast", action="store_true", help="trust the signatures of envelopes")
    add_json(check)
    check.set_defaults(run=run_fsck)


def _data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, required=True, help="a node's directory")


def open_store(data_dir: Path) -> Store:
    """Open the store of a data directory for reading; raises Failure."""
    try:
        return Store.open(data_dir / "networks" / "node.db", read_only=True)
    except StoreError as error:
        raise Failure(str(error)) from error


def find(store: Store, name: str) -> str:
    """The origin that a name means: itself, or the only one that ends with it; raises Failure."""
    origins = [info.origin for info in store.networks()]
    if name in origins:
        return name
    found = [one for one in origins if one.endswith("/" + name)]
    if len(found) == 1:
        return found[0]
    raise Failure(f"There is no network {name!r} here; see `tocsin networks`.")


def run_networks(options: argparse.Namespace) -> int:
    """One line a network: origin, size, root."""
    with open_store(options.data_dir) as store:
        rows = [{"origin": one.origin, "size": one.size, "root": one.root.hex()} for one in store.networks()]
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            print(f"{row['size']:>8}  {str(row['root'])[:16]}  {row['origin']}")
    return 0


def run_export(options: argparse.Namespace) -> int:
    """Write static files that any file server can publish."""
    with open_store(options.data_dir) as store:
        network = store.network(find(store, options.network))
        try:
            size = export_log(network, options.folder)
        except (LookupError, OSError) as error:
            raise Failure(f"The log could not be exported: {error}") from error
    if options.json:
        print_json({"origin": network.origin, "size": size, "folder": str(options.folder)})
    else:
        print(f"{network.origin}: {size} leaves in {options.folder}; its key is in {options.folder / 'log.vkey'}")
    return 0


def run_fsck(options: argparse.Namespace) -> int:
    """Exit 0 if all is whole, 1 with what is wrong and where."""
    with open_store(options.data_dir) as store:
        networks = store.networks()
        total = sum(one.height + 1 for one in networks)
        done: dict[str, int] = {}
        verifier = Verifier()
        with progress(total, "blocks") as steps, closing(verifier):

            def reached(origin: str, blocks: int, _: int) -> None:
                done[origin] = blocks
                steps.to(sum(done.values()), total)

            found = list(fsck(store, lambda rows: verifier.start(rows).verdicts(), fast=options.fast, progress=reached))
    if options.json:
        print_json({"ok": not found, "problems": [{"where": one.where, "what": one.what} for one in found]})
    elif not found:
        print(f"Everything holds: {len(networks)} networks, every signature, leaf, row and root recomputed.")
    else:
        for one in found:
            print(f"{one.where}: {one.what}")
    return 1 if found else 0
