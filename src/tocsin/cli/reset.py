"""`tocsin node reset`: drop what is known of a network, to get it anew from the others."""

import argparse

from tocsin.cli.acting import load
from tocsin.cli.output import Failure, print_json
from tocsin.cli.papers import papers_of
from tocsin.node.home import occupancy, places, resetting
from tocsin.node.home.config import Config
from tocsin.store.errors import StoreBusy, StoreError
from tocsin.store.store import Store


def run_reset(options: argparse.Namespace) -> int:
    """Remove a network's data and found it anew; keys and what was signed stay."""
    config = load(options.dir)
    try:
        with occupancy.of(options.dir):
            return _reset(config, options)
    except occupancy.Occupied as error:
        raise Failure(f"{error} Stop the node first.") from error


def _reset(config: Config, options: argparse.Namespace) -> int:
    use = next((one for one in config.networks if one.origin == options.network), None)
    if use is None:
        raise Failure(f"This node takes no part in {options.network}.")
    folder = places.folder(config.data_dir, options.network)
    if use.engine == "embedded":
        raise Failure(
            f"This node orders {options.network} alone, and fetches it from nobody: emptied, it would begin a second "
            f"history that no other follows. Put a whole copy of {folder} in its place: its newest backup, if no block "
            "was made since, or that of a member's node that has all blocks, copied while it stands."
        )
    if not options.yes:
        raise Failure(f"This removes {folder}, which is then fetched anew from the others. Say so with --yes.")
    heads = places.signed_heads(config.signed_heads, options.network)
    for kept in (heads, places.last_votes(config.signed_heads, options.network)):
        if not kept.exists():
            raise Failure(
                f"{kept} is missing, so this node would forget what it signed. Bring it back; if it is lost, follow "
                "docs/operating/restore.md, from the part on a lost disk."
            )
    resetting.finish(config.data_dir, options.network)
    resetting.reset(config, options.network, *_own_papers(config, options))
    if options.json:
        print_json({"origin": options.network, "removed": str(folder), "kept": str(heads)})
    else:
        print(f"{folder} is empty again. What was signed stays in {heads}; start the node to catch up.")
    return 0


def _own_papers(config: Config, options: argparse.Namespace) -> tuple[bytes, bytes]:
    """Genesis and founding of the network to reset: as it is here, or, where that cannot be read, as it is named."""
    try:
        with Store.open(places.database(config.data_dir, options.network)) as store:
            network = store.network(options.network)
            return network.genesis, network.founding
    except StoreBusy as error:  # by a node in another directory
        raise Failure(f"{error} Stop the node first.") from error
    except (StoreError, KeyError) as error:
        if options.papers is None and options.genesis is None:
            raise Failure(
                f"{error} To reset it all the same, name the folder of the founding by --papers, or its files by "
                "--genesis and --founding; every member has them, and serves them."
            ) from error
    genesis, *papers = papers_of(options)
    if genesis.origin != options.network:
        raise Failure(f"These are the papers of {genesis.origin}, not of {options.network}.")
    return papers[0], papers[1]
