"""What commands share that act for a member: its node's configuration, its keys, and the way to its network."""

import argparse
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tocsin.cli.output import Failure, add_json, print_json
from tocsin.client.signing import VALID_FOR_MS, Signer, SigningError, sign_acts
from tocsin.kernel.acts import Act
from tocsin.kernel.digest import message_id
from tocsin.kernel.envelope import Refusal, decode
from tocsin.kernel.genesis import GenesisError, decode_genesis
from tocsin.kernel.reasons import Reason, sentence
from tocsin.kernel.state import State
from tocsin.node.home import config as configs
from tocsin.node.home import places
from tocsin.node.home.config import Config, ConfigError, NetworkUse
from tocsin.node.keys import Keystore, KeystoreError, read_passphrase
from tocsin.node.web.remote import Remote, RemoteError, Taken, call, caller, describe
from tocsin.store.errors import StoreError
from tocsin.store.store import Store

ADDRESS = "address"
"""The file in a node's directory that says where it listens."""
_WAIT_S = 30.0
_MAX_STATUS = 4 * 1024 * 1024


class Handed(NamedTuple):
    """An envelope of acts that were all accepted. `height`: of its block."""

    digest: str
    height: int

    def message(self, index: int = 0) -> str:
        """Id of the message that its act of this index submitted."""
        return message_id(self.digest, index)


class Refused(Failure):
    """No block takes the acts, or one did and refused them."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Unknown(Failure):
    """Whether the acts were taken is not known."""


def load(folder: Path) -> Config:
    """A node's configuration; raises Failure."""
    try:
        return configs.load(folder)
    except ConfigError as error:
        raise Failure(str(error)) from error


def keystore(config: Config, passphrase_file: Path | None) -> Keystore:
    """A node's keys; none for one that only observes. Raises Failure."""
    if not config.keystore.exists() and config.witness is None and not any(use.member for use in config.networks):
        return Keystore()
    file = passphrase_file or config.passphrase_file
    try:
        return Keystore.open(config.keystore, lambda: read_passphrase(file, f"Passphrase of {config.keystore}: "))
    except KeystoreError as error:
        raise Failure(str(error)) from error


def address_of(folder: Path) -> str:
    """Where a node listens: what it wrote when it started, else what is configured."""
    config = load(folder)
    try:
        return (folder / ADDRESS).read_text().strip() or config.listen
    except OSError:
        return config.listen


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


def clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def membership(config: Config, origin: str | None) -> NetworkUse:
    """The network that is meant, of which this node is a member; raises Failure."""
    ours = [one for one in config.networks if one.member is not None and origin in (None, one.origin)]
    if len(ours) != 1:
        origins = ", ".join(one.origin for one in config.networks)
        raise Failure(f"Name with --network one of those of which this node is a member: {origins}.")
    return ours[0]


def state(config: Config, origin: str, *tables: str) -> State:
    """Some tables of the state as this node has it on disk, with charter and heights; raises Failure."""
    try:
        with Store.open(places.database(config.data_dir, origin), read_only=True) as store:
            records = store.network(origin)
            rows = [row for table in ("meta", "charter", *tables) for row in records.rows(table)]
    except (StoreError, KeyError) as error:
        raise Failure(str(error)) from error
    return State.from_rows(rows)


def act(options: argparse.Namespace, acts: Sequence[Act]) -> Handed:
    """Sign acts as the member whose node is `options.dir`, and hand them to that node.

    Raises Refused unless all are accepted, Unknown where nobody can say, Failure if it cannot be tried.
    """
    config = load(options.dir)
    use = membership(config, options.network)
    try:
        signer = keystore(config, options.passphrase_file).signer(use.origin, use.member or "", "act")
    except KeystoreError as error:
        raise Failure(str(error)) from error
    return hand_in(f"http://{address_of(options.dir)}", use.origin, use.member or "", signer, acts)


def hand_in(url: str, origin: str, member: str, signer: Signer, acts: Sequence[Act]) -> Handed:
    """Sign acts and hand them to a node. Raises as `act` does."""
    genesis = genesis_at(url, origin)
    with caller() as client:
        remote = Remote(client, url, origin)
        try:
            data = sign_acts(signer, genesis, member, clock() + VALID_FOR_MS, acts)
        except SigningError as error:
            raise Failure(str(error)) from error
        try:
            answer = remote.submit(data, _WAIT_S)
        except RemoteError as error:
            raise Unknown(f"{error} Whether it was taken is unknown.") from error
    if isinstance(answer, Refusal):
        raise Refused(answer.reason, describe(answer))
    if not isinstance(answer, Taken):
        raise Unknown(f"No block has taken it yet; it may within ten minutes. Look at `tocsin node status`: {answer}")
    refused = [Reason(code) for code in answer.codes if code != Reason.ACCEPTED]
    if refused:
        raise Refused(refused[0], sentence(refused[0]))
    read = decode(data)
    assert not isinstance(read, Refusal)
    return Handed(read.digest, answer.height)


def genesis_at(url: str, origin: str) -> str:
    """Digest of a network's genesis, from a node of a member; raises Failure."""
    with caller() as client:
        try:
            return decode_genesis(Remote(client, url, origin).genesis()[0]).digest
        except (RemoteError, GenesisError) as error:
            raise Failure(str(error)) from error


def seat(options: argparse.Namespace, *tables: str) -> State:
    """Some tables of the state of the network in which a command acts, as our node has it; raises Failure."""
    config = load(options.dir)
    return state(config, membership(config, options.network).origin, *tables)


def named(known: Iterable[str], text: str, what: str) -> str:
    """The id that `text` is, or begins; raises Failure. A whole id need not be of something that is live."""
    if len(text) == 64:
        return text
    found = [id for id in known if id.startswith(text)]
    if len(found) != 1:
        raise Failure(
            f"{len(found)} {what}s that are live here begin with {text}; write more of the id. One that is over needs "
            "its whole id."
        )
    return found[0]


def said(options: argparse.Namespace, handed: Handed, more: dict[str, str], sentence: str) -> int:
    """Tell what was taken; 0."""
    if options.json:
        print_json({"envelope": handed.digest, "height": handed.height, **more})
    else:
        print(sentence)
    return 0


def add_action(verb: str, actions: Any, name: str, help: str, run: Any, example: str) -> Any:
    """An action of `verb` by which a member acts; its parser, for further arguments."""
    parser = actions.add_parser(name, help=help, epilog=f"Example: tocsin {verb} {example}")
    add_seat(parser)
    add_json(parser)
    parser.set_defaults(run=run)
    return parser


def add_seat(parser: Any) -> None:
    """The arguments that say for which member a command acts."""
    parser.add_argument("dir", type=Path, metavar="DIR", help="the node's directory")
    parser.add_argument("--network", help="origin; not needed where the node is a member of one only")
    parser.add_argument("--passphrase-file", type=Path)


def near(path: Path, here: Path) -> Path:
    """A path as it is written in a configuration that stands in `here`."""
    return path.relative_to(here) if path.is_relative_to(here) else path


def as_written(folder: Path) -> Config:
    """A node's configuration with its paths as they are written; raises Failure."""
    config, here = load(folder), folder.absolute()
    return msgspec.structs.replace(
        config, data_dir=near(config.data_dir, here), signed_heads=near(config.signed_heads, here),
        keystore=near(config.keystore, here),
        passphrase_file=None if config.passphrase_file is None else near(config.passphrase_file, here),
    )  # fmt: skip
