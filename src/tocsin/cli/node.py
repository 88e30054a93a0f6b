"""`tocsin node`: an agency's own node: make it, run it, look at it, join, begin again."""

import argparse
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.acting import act, address_of, as_written, clock, keystore, load, membership
from tocsin.cli.output import Failure, add_json, print_json
from tocsin.cli.verify import read
from tocsin.client.signing import SigningError, verify_founding
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.acts import Join
from tocsin.kernel.genesis import MAX_GENESIS, Founding, Genesis, GenesisError, decode_genesis
from tocsin.node import ceremony, diagnosis, neighbours, places
from tocsin.node import config as configs
from tocsin.node.agency import Agency
from tocsin.node.ceremony import Offer
from tocsin.node.changes import digest_of
from tocsin.node.config import Config, ConfigError, NetworkUse
from tocsin.node.diagnosis import Diagnosis
from tocsin.node.keys import KeystoreError
from tocsin.node.remote import Remote, RemoteError, call, caller
from tocsin.node.station import found_here
from tocsin.store.errors import StoreBusy, StoreError
from tocsin.store.store import Store

_MAX_STATUS = 4 * 1024 * 1024
_TAKEN_S = 30.0
"""In which a running node takes over a configuration, but where it is very busy."""


def add(verbs: Any) -> None:
    """Add the verb with its actions."""
    node = verbs.add_parser("node", help="run an agency's own node", epilog="Example: tocsin node start annan")
    actions = node.add_subparsers(required=True, metavar="ACTION")

    init = _action(
        actions, "init", "make a node, or let it take part in one more network", run_init,
        "tocsin node init annan --genesis tainan.genesis --founding tainan.founding --member annan "
        "--keystore keys.json --engine follow --follow bureau --peer bureau=http://10.0.0.2:8440",
    )  # fmt: skip
    _add_papers(init)
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

    _action(actions, "status", "where each network stands, and who is missing", run_status, "tocsin node status annan")

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
    _add_papers(reset)


def _action(actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    parser = actions.add_parser(name, help=help, description=help.capitalize() + ".", epilog=f"Example: {example}")
    parser.add_argument("dir", type=Path, metavar="DIR", help="the node's directory, with node.toml in it")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _add_papers(parser: Any) -> None:
    parser.add_argument("--papers", type=Path, help="folder of the founding: genesis, signatures, all addresses")
    parser.add_argument("--genesis", type=Path, help="the network's genesis file, if there is no such folder")
    parser.add_argument("--founding", type=Path, help="its founding signatures")


def run_init(options: argparse.Namespace) -> int:
    """Write the configuration and found the network here."""
    folder: Path = options.dir
    genesis, genesis_bytes, founding_bytes = _founding(options)
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
    if path.exists():
        known = as_written(folder)
        config = msgspec.structs.replace(known, networks=[*known.networks, use])
    else:
        config = Config(options.listen, Path("data"), Path("signed-heads"), options.keystore, [use])
    text = configs.render(config)
    try:
        checked = configs.parse(text.encode(), path)
        folder.mkdir(parents=True, exist_ok=True)
        found_here(checked, genesis_bytes, founding_bytes)
        configs.save(config, path)
    except (ConfigError, StoreError, ValueError, OSError) as error:
        raise Failure(str(error)) from error
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


def _founding(options: argparse.Namespace) -> tuple[Genesis, bytes, bytes]:
    """The genesis of the papers that are named, and both files; raises Failure unless they hold."""
    genesis_bytes, founding_bytes = _papers(options)
    try:
        genesis = decode_genesis(genesis_bytes)
        verify_founding(genesis, msgspec.json.decode(founding_bytes, type=Founding))
    except (GenesisError, SigningError, msgspec.DecodeError) as error:
        raise Failure(f"This founding does not hold: {error}") from error
    return genesis, genesis_bytes, founding_bytes


def _papers(options: argparse.Namespace) -> tuple[bytes, bytes]:
    if options.papers is not None:
        genesis, founding = options.papers / ceremony.GENESIS, options.papers / ceremony.FOUNDING
        return read(genesis, MAX_GENESIS), read(founding, MAX_GENESIS)
    if options.genesis is None or options.founding is None:
        raise Failure("Name the folder of the founding by --papers, or its files by --genesis and --founding.")
    return read(options.genesis, MAX_GENESIS), read(options.founding, MAX_GENESIS)


def run_start(options: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM."""
    config = load(options.dir)
    keys = keystore(config, options.passphrase_file)
    stopping = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopping.set())
    try:
        agency = Agency(config, keys, clock, _log, options.dir / configs.NAME)
        address = agency.start()
    except (StoreError, KeystoreError) as error:
        raise Failure(str(error)) from error
    except OSError as error:
        raise Failure(f"Nobody can be listened to at {config.listen}: {error}. Change listen in node.toml.") from error
    (options.dir / "address").write_text(address + "\n")
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
        ahead = max((_height(Remote(client, url, use.origin)) for url in use.members.values()), default=0)
        if ahead > mine["height"]:
            raise Failure(f"This node has block {mine['height']}, others have {ahead}; wait until it has caught up.")
    handed = act(options, [Join(mine["height"])])
    if options.json:
        print_json({"origin": use.origin, "member": use.member, "height": handed.height})
    else:
        print(f"{use.member} has joined {use.origin} in block {handed.height}.")
    return 0


def run_reset(options: argparse.Namespace) -> int:
    """Remove a network's data and found it anew; keys and what was signed stay."""
    config = load(options.dir)
    if options.network not in [one.origin for one in config.networks]:
        raise Failure(f"This node takes no part in {options.network}.")
    folder = places.folder(config.data_dir, options.network)
    if not options.yes:
        raise Failure(f"This removes {folder}, which is then fetched anew from the others. Say so with --yes.")
    heads = places.signed_heads(config.signed_heads, options.network)
    for kept in (heads, places.last_votes(config.signed_heads, options.network)):
        if not kept.exists():
            raise Failure(
                f"{kept} is missing, so this node would forget what it signed. Bring it back; if it is lost, follow "
                "docs/operating/restore.md, from the part on a lost disk."
            )
    papers = _own_papers(config, options)
    key = places.node_key(config.data_dir, options.network)
    shutil.rmtree(folder)
    places.keep_node_key(config.data_dir, options.network, key)
    found_here(config, *papers)
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
    except StoreBusy as error:
        raise Failure(f"{error} Stop the node first.") from error
    except (StoreError, KeyError) as error:
        if options.papers is None and options.genesis is None:
            raise Failure(
                f"{error} To reset it all the same, name the folder of the founding by --papers, or its files by "
                "--genesis and --founding; every member has them, and serves them."
            ) from error
    genesis, *papers = _founding(options)
    if genesis.origin != options.network:
        raise Failure(f"These are the papers of {genesis.origin}, not of {options.network}.")
    return papers[0], papers[1]


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
    return _configured(options, networks, {"member": offer.founder.id}, f"{offer.founder.id} {what}")


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
    return _configured(options, networks, {"observer": options.id}, f"The observer {options.id} {what}")


def _configured(options: argparse.Namespace, networks: list[NetworkUse], more: dict[str, str], what: str) -> int:
    """Write the configuration, and see whether the node runs by it already."""
    path: Path = options.dir / configs.NAME
    config = msgspec.structs.replace(as_written(options.dir), networks=networks)
    try:
        configs.parse(configs.render(config).encode(), path)
        data = configs.save(config, path)
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


def status_of(address: str) -> dict[str, Any]:
    """What the node at an address says of itself; raises Failure."""
    with caller() as client:
        try:
            status, data = call(client, "GET", f"http://{address}/status", _MAX_STATUS)
            said: dict[str, Any] = msgspec.json.decode(data, type=dict)
        except (RemoteError, msgspec.DecodeError) as error:
            raise Failure(f"{error} Is it running? Start it with `tocsin node start`.") from error
    if status != 200:
        raise Failure(f"The node at {address} answers with status {status}.")
    return said


def node_id_of(config: Config, origin: str) -> str:
    """By which CometBFT elsewhere knows this node's."""
    return node_id(places.node_key(config.data_dir, origin))


def _lines(one: dict[str, Any], found: Diagnosis) -> list[str]:
    if not one["runs"]:
        return [f"{one['origin']}: does not run. {one['error']}"]
    head = f"{one['origin']}: block {one['height']}, {one['size']} leaves, {one['final']} of them final"
    lines = [head, f"  it {one['sync']}"] if one["sync"] else [head]
    lines += [*(f"  {id} is missing: {why}" for id, why in found.away.items()), f"  {found.verdict}"]
    lines += [f"  {one['trouble']}"] if one["trouble"] and not found.well else []
    lines += [f"  relay from {origin}: {url}: {error}" for origin, errors in one["relays"].items()
              for url, error in errors.items()]  # fmt: skip
    lines += [f"  witness {name}: {error}" for name, error in one["witnesses"].items()]
    if one["contradictions"]:
        lines.append(f"  {one['contradictions']} contradicting heads were seen; run `tocsin monitor`")
    return lines


def _height(remote: Remote) -> int:
    try:
        return int(remote.status()["height"])
    except (RemoteError, KeyError, ValueError):
        return 0


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(separator for _, separator, _ in pairs):
        raise Failure("Name another member's node as ID=URL, like bureau=http://10.0.0.2:8440.")
    return {id: url.rstrip("/") for id, _, url in pairs}







def _log(network: str, sentence: str) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{at} {f'[{network}] ' if network else ''}{sentence}", file=sys.stderr, flush=True)
