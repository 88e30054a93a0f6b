"""`tocsin node meet`, `part` and `observer`: whom the node knows, written into its configuration."""

import argparse
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from tocsin.cli.acting import address_of, as_written, status_of
from tocsin.cli.output import Failure, print_json
from tocsin.node import ceremony
from tocsin.node.ceremony import Offer
from tocsin.node.home import config as configs
from tocsin.node.home import neighbours, rewrite
from tocsin.node.home.changes import digest_of
from tocsin.node.home.config import Config, ConfigError, NetworkUse

_TAKEN_S = 30.0
"""In which a running node takes over a configuration, but where it is very busy."""


def run_meet(options: argparse.Namespace) -> int:
    """Write the address of who made an offer into the configuration."""
    return _neighbour(options, neighbours.meet, "is known here")


def run_part(options: argparse.Namespace) -> int:
    """Take it out."""
    return _neighbour(options, neighbours.part, "is not known here any more")


def _neighbour(options: argparse.Namespace, change: Callable[[NetworkUse, Offer], NetworkUse], what: str) -> int:
    config = as_written(options.dir)
    try:
        offer = ceremony.read_offer(options.offer)
    except ceremony.CeremonyError as error:
        raise Failure(str(error)) from error
    if offer.origin not in [one.origin for one in config.networks]:
        raise Failure(f"{options.offer} is for {offer.origin}, in which this node takes no part.")
    networks = [change(one, offer) if one.origin == offer.origin else one for one in config.networks]
    return _configured(options, config, networks, {"member": offer.founder.id}, f"{offer.founder.id} {what}")


def run_observer(options: argparse.Namespace) -> int:
    """Write the node id of an observer into the configuration, or take it out."""
    config = as_written(options.dir)
    ours = [one for one in config.networks if one.engine == "cometbft" and options.network in (None, one.origin)]
    if len(ours) != 1:
        raise Failure("Name with --network one of the networks that this node takes part in by CometBFT.")
    (use,) = ours
    others = [one for one in use.cometbft.observers if one != options.id]
    if options.remove and others == use.cometbft.observers:
        raise Failure(f"{options.id} is not let in by this configuration.")
    changed = neighbours.let_in(use, others if options.remove else [*others, options.id])
    networks = [changed if one is use else one for one in config.networks]
    what = "is not let in any more" if options.remove else "is let in"
    return _configured(options, config, networks, {"observer": options.id}, f"The observer {options.id} {what}")


def _configured(
    options: argparse.Namespace, before: Config, networks: list[NetworkUse], more: dict[str, str], what: str
) -> int:
    """Write the configuration, and see whether the node runs by it already."""
    path: Path = options.dir / configs.NAME
    try:
        data = rewrite.save(msgspec.structs.replace(before, networks=networks), path, before)
    except (ConfigError, OSError) as error:
        raise Failure(str(error)) from error
    running = _runs_by(address_of(options.dir), digest_of(data))
    if options.json:
        print_json({"config": str(path), **more, "running": running})
    elif running:
        print(f"{what}; the node runs so.")
    else:
        print(f"{what}, from the next start of the node on.")
    return 0


def _runs_by(address: str, digest: str) -> bool:
    """Whether a node runs by a configuration, waiting for it to begin to. No node is no failure."""
    until = time.monotonic() + _TAKEN_S
    with suppress(Failure):
        while time.monotonic() < until:
            said = status_of(address)
            if said.get("config") == digest and all(one["runs"] or one["error"] for one in said["networks"]):
                return True
            time.sleep(0.1)
    return False
