"""`tocsin node`: an agency's own node: make it, run it, look at it, join, begin again."""

import argparse
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.acting import (
    ADDRESS,
    Refused,
    act,
    address_of,
    as_written,
    clock,
    keystore,
    load,
    membership,
    status_of,
)
from tocsin.cli.neighbours import run_meet, run_observer, run_part
from tocsin.cli.output import Failure, add_json, print_json, unusable
from tocsin.cli.papers import add_papers, papers_of
from tocsin.cli.reset import run_reset
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.acts import Join
from tocsin.kernel.reasons import Reason
from tocsin.node import ceremony, diagnosis
from tocsin.node.agency import Agency
from tocsin.node.diagnosis import Diagnosis
from tocsin.node.home import config as configs
from tocsin.node.home import durable, neighbours, occupancy, places, resetting, rewrite
from tocsin.node.home.config import Config, ConfigError, NetworkUse
from tocsin.node.keys import KeystoreError
from tocsin.node.station import found_here
from tocsin.node.web.remote import Remote, caller, height_of
from tocsin.store.errors import StoreError


def add(verbs: Any) -> None:
    """Add the verb with its actions, and `status`, which is asked for most, as a verb of its own too."""
    node = verbs.add_parser("node", help="run an agency's own node", epilog="Example: tocsin node start annan")
    actions = node.add_subparsers(required=True, metavar="ACTION")

    init = _action(
        actions, "init", "make a node, or let it take part in one more network", run_init,
        "tocsin node init annan --genesis tainan.genesis --founding tainan.founding --member annan "
        "--keystore keys.json --engine follow --follow bureau --peer bureau=http://10.0.0.2:8440",
    )  # fmt: skip
    add_papers(init)
    init.add_argument("--member", help="who we are there; leave it out to observe")
    init.add_argument("--keystore", type=Path, default=Path("keys.json"), help="as seen from DIR (keys.json)")
    init.add_argument("--listen", default="127.0.0.1:8440", help="host:port (127.0.0.1:8440)")
    init.add_argument("--engine", choices=("embedded", "follow", "cometbft"), default="cometbft")
    init.add_argument("--follow", help="the member whose node orders")
    init.add_argument("--peer", action="append", default=[], metavar="ID=URL", help="another member's node")
    init.add_argument("--comet-listen", default="0.0.0.0:26656", help="CometBFT's own host:port")
    init.add_argument("--comet-peer", action="append", default=[], metavar="MEMBER=ID@HOST:PORT",
                      help="another member's CometBFT")  # fmt: skip

    start = _action(actions, "start", "run the node until it is told to stop", run_start, "tocsin node start annan")
    start.add_argument("--passphrase-file", type=Path, help="in place of that of the configuration")

    stands = "where each network stands, and who is missing"
    _action(actions, "status", stands, run_status, "tocsin node status annan")
    _action(verbs, "status", f"{stands}: the same as `tocsin node status`", run_status, "tocsin status annan")

    join = _action(
        actions, "join", "say that this node is at the head: its keys count from then on", run_join,
        "tocsin node join annan --network health.example/tw/tainan",
    )  # fmt: skip
    join.add_argument("--network", help="origin; not needed where there is one only")
    join.add_argument("--passphrase-file", type=Path)

    for name, help, run in (
        ("meet", "take the address of a new member from its offer", run_meet),
        ("part", "forget the address of a member that is gone", run_part),
    ):
        known = _action(actions, name, help, run, f"tocsin node {name} annan yanshui.founder")
        known.add_argument("offer", type=Path, metavar="FILE", help="its offer (tocsin founding offer)")

    observer = _action(
        actions, "observer", "let an observer's CometBFT in, or no more", run_observer,
        "tocsin node observer annan 5f0c... --network health.example/tw/tainan",
    )  # fmt: skip
    observer.add_argument("id", metavar="NODE-ID", help="which its `tocsin node init` said")
    observer.add_argument("--network", help="origin; not needed where there is one only")
    observer.add_argument("--remove", action="store_true", help="let it in no more")

    reset = _action(
        actions, "reset", "drop what is known of a network, to get it anew from the others", run_reset,
        "tocsin node reset annan --network health.example/tw/tainan --yes",
    )  # fmt: skip
    reset.add_argument("--network", required=True, help="origin")
    reset.add_argument("--yes", action="store_true", help="do it")
    add_papers(reset)


def _action(actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    parser = actions.add_parser(name, help=help, description=help.capitalize() + ".", epilog=f"Example: {example}")
    parser.add_argument("dir", type=Path, metavar="DIR", help="the node's directory, with node.toml in it")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run_init(options: argparse.Namespace) -> int:
    """Write the configuration and found the network here."""
    folder: Path = options.dir
    genesis, genesis_bytes, founding_bytes = papers_of(options)
    try:
        offers = ceremony.read_offers(options.papers) if options.papers else []
    except ceremony.CeremonyError as error:
        raise Failure(f"This founding does not hold: {error}") from error
    use = NetworkUse(
        genesis.origin, options.engine, options.member, options.follow, _pairs(options.peer),
        cometbft=configs.CometUse(options.comet_listen, peers=_pairs(options.comet_peer)),
    )  # fmt: skip
    for offer in offers:
        use = neighbours.meet(use, offer)
    path = folder / configs.NAME
    before = as_written(folder) if path.exists() else None
    if before is not None:
        config = msgspec.structs.replace(before, networks=[*before.networks, use])
    else:
        config = Config(options.listen, Path("data"), Path("signed-heads"), options.keystore, [use])
    try:
        checked = configs.parse(configs.render(config).encode(), path)
        folder.mkdir(parents=True, exist_ok=True)
        found_here(checked, genesis_bytes, founding_bytes)
        rewrite.save(config, path, before)
    except (ConfigError, StoreError, ValueError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise unusable(error) from error
    said = {"config": str(path), "origin": genesis.origin, "genesis": genesis.digest}
    if options.engine == "cometbft":
        said["cometbft"] = node_id_of(checked, genesis.origin)
    if options.json:
        print_json(said)
    else:
        print(f"{path} takes part in {genesis.origin}.")
        if options.member:
            print(f"Its keys belong into {checked.keystore}.")
        if options.member and options.member not in [one.id for one in genesis.members]:
            print(f"{options.member} is no founder: once it is admitted and this node caught up, `tocsin node join`.")
        if "cometbft" in said and options.member:
            print(f"The other members' CometBFT dials {said['cometbft']}@HOST:PORT.")
        elif "cometbft" in said:
            print(f"The members let it in by `tocsin node observer DIR {said['cometbft']}`.")
    return 0


def run_start(options: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM."""
    config = load(options.dir)
    try:
        with occupancy.of(options.dir):
            return _run(config, options)
    except occupancy.Occupied as error:
        raise Failure(f"{error} See `tocsin node status {options.dir}`.") from error


def _run(config: Config, options: argparse.Namespace) -> int:
    keys = keystore(config, options.passphrase_file)
    stopping = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopping.set())
    try:
        for use in config.networks:
            resetting.finish(config.data_dir, use.origin)
        agency = Agency(config, keys, clock, _log, options.dir / configs.NAME)
    except (ConfigError, StoreError, KeystoreError, OSError) as error:
        raise Failure(str(error)) from error
    try:
        address = agency.start()
    except OSError as error:
        raise Failure(f"Nobody can be listened to at {config.listen}: {error}. Change listen in node.toml.") from error
    durable.write(options.dir / ADDRESS, f"{address}\n".encode())
    if options.json:
        print_json({"address": address, "networks": [one.origin for one in config.networks]})
    else:
        _log("", f"listens at http://{address}")
    stopping.wait()
    _log("", "stops")
    agency.stop()
    return 0


def run_status(options: argparse.Namespace) -> int:
    """Exit 0 if all networks run and enough members are here, 1 if not."""
    said = status_of(address_of(options.dir))
    with caller() as client:
        found = {one["origin"]: diagnosis.diagnose(one, diagnosis.ask_members(client, one)) for one in said["networks"]}
    if options.json:
        print_json(said | {"diagnosis": found})
    else:
        for one in said["networks"]:
            print("\n".join(_lines(one, found[one["origin"]])))
    return 0 if all(one.well for one in found.values()) else 1


def run_join(options: argparse.Namespace) -> int:
    """Sign `join` and hand it to our own node, which must be at the head."""
    config = load(options.dir)
    address = address_of(options.dir)
    use = membership(config, options.network)
    mine = next(one for one in status_of(address)["networks"] if one["origin"] == use.origin)
    if not mine["runs"]:
        raise Failure(f"{use.origin} does not run here: {mine['error']}")
    with caller() as client:
        ahead = height_of(Remote(client, url, use.origin) for url in use.members.values())
        if ahead > mine["height"]:
            raise Failure(f"This node has block {mine['height']}, others have {ahead}; wait until it has caught up.")
    try:
        height = act(options, [Join(mine["height"])]).height
        said = f"{use.member} has joined {use.origin} in block {height}."
    except Refused as refused:
        # By a try whose answer was lost, perhaps: whoever tries until it is done is told that it is.
        if refused.reason != Reason.ALREADY_JOINED:
            raise
        height, said = mine["height"], f"{use.member} has joined {use.origin} already."
    if options.json:
        print_json({"origin": use.origin, "member": use.member, "height": height})
    else:
        print(said)
    return 0


def node_id_of(config: Config, origin: str) -> str:
    """By which CometBFT elsewhere knows this node's."""
    return node_id(places.node_key(config.data_dir, origin))


def _lines(one: dict[str, Any], found: Diagnosis) -> list[str]:
    if not one["runs"]:
        return [f"{one['origin']}: does not run. {one['error']}"]
    head = f"{one['origin']}: block {one['height']}, {one['size']} leaves, {one['final']} of them final"
    lines = [head, f"  it {one['sync']}"] if one["sync"] else [head]
    if one["member"] not in (None, *one["roster"]):
        lines.append(f"  {one['member']} is no member here: it observes until it is admitted (`tocsin motion admit`)")
    lines += [*(f"  {id} is missing: {why}" for id, why in found.away.items()), f"  {found.verdict}"]
    lines += [f"  since {_moment(one['last_trouble']['since'])}: {one['trouble']}"] if one["trouble"] else []
    lines += [f"  relay from {origin}: {url}: {error}" for origin, errors in one["relays"].items()
              for url, error in errors.items()]  # fmt: skip
    lines += [f"  witness {name}: {error}" for name, error in one["witnesses"].items()]
    if one["contradictions"]:
        lines.append(f"  {one['contradictions']} contradicting heads were seen; run `tocsin monitor`")
    return lines


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(separator for _, separator, _ in pairs):
        raise Failure("Name another member's node as ID=URL, like bureau=http://10.0.0.2:8440.")
    return {id: url.rstrip("/") for id, _, url in pairs}


def _log(network: str, sentence: str) -> None:
    print(f"{_moment(clock())} {f'[{network}] ' if network else ''}{sentence}", file=sys.stderr, flush=True)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
