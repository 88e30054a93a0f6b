"""`tocsin node`: an agency's own node: make it, run it, look at it, join, begin again."""

import argparse
import shutil
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.cli.verify import read
from tocsin.client.signing import VALID_FOR_MS, SigningError, sign_acts, verify_founding
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.acts import Join
from tocsin.kernel.envelope import Refusal
from tocsin.kernel.genesis import MAX_GENESIS, Founding, GenesisError, decode_genesis
from tocsin.kernel.reasons import Reason, sentence
from tocsin.node import config as configs
from tocsin.node import places
from tocsin.node.agency import Agency
from tocsin.node.config import Config, ConfigError, NetworkUse
from tocsin.node.keys import Keystore, KeystoreError, read_passphrase
from tocsin.node.remote import Remote, RemoteError, Taken, call, caller, describe
from tocsin.node.station import found_here
from tocsin.store.errors import StoreError
from tocsin.store.store import Store

_MAX_STATUS = 4 * 1024 * 1024
_WAIT_S = 30.0


def add(verbs: Any) -> None:
    """Add the verb with its five actions."""
    node = verbs.add_parser("node", help="run an agency's own node")
    actions = node.add_subparsers(required=True, metavar="ACTION")

    init = _action(
        actions, "init", "make a node, or let it take part in one more network", run_init,
        "tocsin node init annan --genesis tainan.genesis --founding tainan.founding --member annan "
        "--keystore keys.json --engine follow --follow bureau --peer bureau=http://10.0.0.2:8440",
    )  # fmt: skip
    init.add_argument("--genesis", type=Path, required=True, help="the network's genesis file")
    init.add_argument("--founding", type=Path, required=True, help="its founding signatures")
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

    reset = _action(
        actions, "reset", "drop what is known of a network, to get it anew from the others", run_reset,
        "tocsin node reset annan --network health.example/tw/tainan --yes",
    )  # fmt: skip
    reset.add_argument("--network", required=True, help="origin")
    reset.add_argument("--yes", action="store_true", help="do it")


def _action(actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    parser = actions.add_parser(name, help=help, description=help.capitalize() + ".", epilog=f"Example: {example}")
    parser.add_argument("dir", type=Path, metavar="DIR", help="the node's directory, with node.toml in it")
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def run_init(options: argparse.Namespace) -> int:
    """Write the configuration and found the network here."""
    folder: Path = options.dir
    genesis_bytes, founding_bytes = read(options.genesis, MAX_GENESIS), read(options.founding, MAX_GENESIS)
    try:
        genesis = decode_genesis(genesis_bytes)
        verify_founding(genesis, msgspec.json.decode(founding_bytes, type=Founding))
    except (GenesisError, SigningError, msgspec.DecodeError) as error:
        raise Failure(f"This founding does not hold: {error}") from error
    if options.member is not None and options.member not in [one.id for one in genesis.members]:
        raise Failure(f"{genesis.origin} has no founder {options.member}; who joins later observes first.")
    use = NetworkUse(
        genesis.origin, options.engine, options.member, options.follow, _pairs(options.peer),
        cometbft=configs.CometUse(options.comet_listen, peers=_pairs(options.comet_peer)),
    )  # fmt: skip
    path = folder / configs.NAME
    if path.exists():
        known = _raw(path)
        config = msgspec.structs.replace(known, networks=[*known.networks, use])
    else:
        config = Config(options.listen, Path("data"), Path("signed-heads"), options.keystore, [use])
    text = configs.render(config)
    try:
        checked = configs.parse(text.encode(), path)
        folder.mkdir(parents=True, exist_ok=True)
        found_here(checked, genesis_bytes, founding_bytes)
        path.write_text(text, encoding="utf-8")
    except (ConfigError, StoreError, ValueError, OSError) as error:
        raise Failure(str(error)) from error
    said = {"config": str(path), "origin": genesis.origin, "genesis": genesis.digest}
    if options.engine == "cometbft":
        said["cometbft"] = node_id_of(checked, genesis.origin)
    if options.json:
        print_json(said)
    else:
        print(f"{path} takes part in {genesis.origin}. Its keys belong into {checked.keystore}.")
        if "cometbft" in said:
            print(f"The other members' CometBFT dials {said['cometbft']}@HOST:PORT.")
    return 0


def run_start(options: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM."""
    config = _load(options.dir)
    keystore = _keystore(config, options.passphrase_file)
    stopping = threading.Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: stopping.set())
    try:
        agency = Agency(config, keystore, _clock, _log)
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
    """Exit 0 if all networks run and are final as far as they go, 1 if not."""
    said = status_of(_address(options.dir))
    well = all(one["runs"] and one["final"] > 0 for one in said["networks"])
    if options.json:
        print_json(said)
    else:
        for one in said["networks"]:
            print("\n".join(_lines(one)))
    return 0 if well else 1


def run_join(options: argparse.Namespace) -> int:
    """Sign `join` and hand it to our own node, which must be at the head."""
    config = _load(options.dir)
    address = _address(options.dir)
    origins = [one.origin for one in config.networks]
    origin = options.network or (origins[0] if len(origins) == 1 else None)
    use = next((one for one in config.networks if one.origin == origin), None)
    if use is None or use.member is None:
        raise Failure(f"Name with --network one of those of which this node is a member: {', '.join(origins)}.")
    mine = next(one for one in status_of(address)["networks"] if one["origin"] == use.origin)
    if not mine["runs"]:
        raise Failure(f"{use.origin} does not run here: {mine['error']}")
    with caller() as client:
        ahead = max((_height(Remote(client, url, use.origin)) for url in use.members.values()), default=0)
        if ahead > mine["height"]:
            raise Failure(f"This node has block {mine['height']}, others have {ahead}; wait until it has caught up.")
        signer = _keystore(config, options.passphrase_file).signer(use.origin, use.member, "act")
        data = sign_acts(signer, mine["genesis"], use.member, _clock() + VALID_FOR_MS, [Join(mine["height"])])
        try:
            answer = Remote(client, f"http://{address}", use.origin).submit(data, _WAIT_S)
        except RemoteError as error:
            raise Failure(str(error)) from error
    if isinstance(answer, Refusal):
        raise Failure(describe(answer))
    if isinstance(answer, Taken) and answer.codes[0]:
        raise Failure(sentence(answer.codes[0]))
    joined = isinstance(answer, Taken) and answer.codes[0] == Reason.ACCEPTED
    if options.json:
        print_json({"origin": use.origin, "member": use.member, "joined": joined})
    else:
        print(f"{use.member} has joined {use.origin}." if joined else "The act waits for its block; see the status.")
    return 0


def run_reset(options: argparse.Namespace) -> int:
    """Remove a network's data and found it anew; keys and what was signed stay."""
    config = _load(options.dir)
    if options.network not in [one.origin for one in config.networks]:
        raise Failure(f"This node takes no part in {options.network}.")
    folder = places.folder(config.data_dir, options.network)
    if not options.yes:
        raise Failure(f"This removes {folder}, which is then fetched anew from the others. Say so with --yes.")
    try:
        with Store.open(places.database(config.data_dir, options.network)) as store:
            network = store.network(options.network)
            papers = network.genesis, network.founding
    except (StoreError, KeyError) as error:
        raise Failure(f"{error} Stop the node first.") from error
    home = places.comet_home(config.data_dir, options.network)
    kept = {path: path.read_bytes() for path in (home / "node-key", home / "data" / "priv_validator_state.json")
            if path.exists()}  # fmt: skip
    shutil.rmtree(folder)
    for path, data in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
        path.chmod(0o600)
    heads = places.signed_heads(config.signed_heads, options.network)
    found_here(config, *papers)
    if options.json:
        print_json({"origin": options.network, "removed": str(folder), "kept": str(heads)})
    else:
        print(f"{folder} is empty again. What was signed stays in {heads}; start the node to catch up.")
    return 0


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


def _lines(one: dict[str, Any]) -> list[str]:
    if not one["runs"]:
        return [f"{one['origin']}: does not run. {one['error']}"]
    away = {id: seen["error"] for id, seen in one["members"].items() if seen["error"] and seen["ago_s"] is not None}
    head = f"{one['origin']}: block {one['height']}, {one['size']} leaves, {one['final']} of them final"
    lines = [f"{head}; {one['need']} of {len(one['signers'])} signatures make a head final"]
    lines += [f"  {id} is missing: {error}" for id, error in away.items()]
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


def _load(folder: Path) -> Config:
    try:
        return configs.load(folder)
    except ConfigError as error:
        raise Failure(str(error)) from error


def _raw(path: Path) -> Config:
    """The configuration with its paths as they are written."""
    config, here = _load(path), path.parent.absolute()

    def near(one: Path) -> Path:
        return one.relative_to(here) if one.is_relative_to(here) else one

    return msgspec.structs.replace(
        config, data_dir=near(config.data_dir), signed_heads=near(config.signed_heads), keystore=near(config.keystore),
        passphrase_file=None if config.passphrase_file is None else near(config.passphrase_file),
    )  # fmt: skip


def _keystore(config: Config, passphrase_file: Path | None) -> Keystore:
    file = passphrase_file or config.passphrase_file
    try:
        return Keystore.open(config.keystore, lambda: read_passphrase(file, f"Passphrase of {config.keystore}: "))
    except KeystoreError as error:
        raise Failure(str(error)) from error


def _address(folder: Path) -> str:
    config = _load(folder)
    try:
        return (folder / "address").read_text().strip() or config.listen
    except OSError:
        return config.listen


def _clock() -> int:
    return time.time_ns() // 1_000_000


def _log(network: str, sentence: str) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"{at} {f'[{network}] ' if network else ''}{sentence}", file=sys.stderr, flush=True)
