"""The configuration of a node: one TOML file, checked whole before anything starts.

Secrets never stand in it: keys are in a keystore, whose passphrase comes from a file or the environment.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from tocsin.kernel.words import Origin, Slug
from tocsin.tlog import NoteError
from tocsin.tlog.note import COSIGNATURE, ED25519, parse_vkey

MAX_CONFIG = 1024 * 1024
NAME: Final = "node.toml"

EngineName = Literal["embedded", "follow", "cometbft"]
"""`embedded`: this node orders alone; `follow`: another member's node orders, this one checks; `cometbft`: all do."""

_PORT = r"(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Address = Annotated[str, Meta(pattern=r"\A([^\s:/]+|\[[0-9a-f:]+\]):" + _PORT + r"\Z")]
Url = Annotated[str, Meta(pattern=r"\Ahttps?://[^\s]+[^/\s]\Z", max_length=300)]
NodeId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}\Z")]
PeerAddress = Annotated[str, Meta(pattern=r"\A[0-9a-f]{40}@[^\s@/]+:" + _PORT + r"\Z")]

Connections = Annotated[int, Meta(ge=8, le=100_000)]


class ConfigError(Exception):
    """The configuration cannot be used; the sentence names file and key, and says what to write."""


class WitnessUse(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An outside witness that is asked to cosign: where it is, and its key."""

    url: Url
    vkey: str


class PeerUse(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Another network, from which this node carries: its origin, and nodes of its members."""

    origin: Origin
    urls: Annotated[list[Url], Meta(min_length=1)]


class CometUse(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """CometBFT's own port, what others dial, and its nodes at the other members: member -> `id@host:port`. Only these
    are let in, as long as their members belong to the network, and `observers`, by their ids. `rpc`: where others may
    ask our CometBFT, to get a snapshot; `sync`: member -> where theirs may be asked, for when we are new. `prune`:
    CometBFT forgets its blocks below the oldest snapshot. `one_host`: several members' nodes are on this machine."""

    listen: Address = "0.0.0.0:26656"
    announce: Address | None = None
    peers: dict[Slug, PeerAddress] = {}
    observers: list[NodeId] = []
    rpc: Address | None = None
    sync: dict[Slug, Address] = {}
    block_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1000
    one_host: bool = False
    prune: bool = False


class NetworkUse(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One network that this node takes part in. `member`: who we are there, none for an observer; `members`: id ->
    address of the other members' nodes; `follow`: who orders, where `engine` is follow."""

    origin: Origin
    engine: EngineName
    member: Slug | None = None
    follow: Slug | None = None
    members: dict[Slug, Url] = {}
    peers: list[PeerUse] = []
    witnesses: list[WitnessUse] = []
    cometbft: CometUse = CometUse()


class WitnessDuty(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """That this node is a witness for others: under which name, and for which logs (their vkeys)."""

    name: Origin
    logs: list[str]


class Config(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The whole file; paths are relative to where it stands. `connections`: how many may be open at once at `listen`,
    and how many of them to one address."""

    listen: Address
    data_dir: Path
    signed_heads: Path
    keystore: Path
    networks: Annotated[list[NetworkUse], Meta(min_length=1)]
    passphrase_file: Path | None = None
    witness: WitnessDuty | None = None
    connections: Connections = 512
    connections_per_address: Connections = 64


_WRITE = {
    "listen": 'host and port up to 65535, like "127.0.0.1:8440"',
    "data-dir": 'a directory, like "data"',
    "signed-heads": 'a directory outside data-dir, like "signed-heads"',
    "keystore": 'the file that `tocsin keys new` wrote, like "keys.json"',
    "passphrase-file": "a file that only its owner can read; or leave it out and set TOCSIN_PASSPHRASE",
    "networks": "one [[networks]] table for each network, with origin, engine and member",
    "origin": 'the origin of the genesis, like "health.example/tw/tainan"',
    "engine": '"embedded", "follow" or "cometbft"',
    "member": 'the id under which the roster names this agency, like "annan"',
    "follow": "the id of the member whose node orders, with its address in [networks.members]",
    "members": 'id and address of each other member\'s node, like annan = "https://node.annan.example"',
    "peers": '[[networks.peers]] tables with origin and urls; in [networks.cometbft.peers] like annan = "id@host:port"',
    "urls": 'a list of addresses, like ["https://node.example"]',
    "url": 'an address without a final slash, like "https://witness.example"',
    "vkey": "the witness's key as it publishes it: name+id+key",
    "witnesses": "[[networks.witnesses]] tables with url and vkey",
    "cometbft": "a table with listen and peers",
    "rpc": 'host and port for CometBFT\'s calls, like "0.0.0.0:26657"; or leave it out',
    "sync": "[networks.cometbft.sync]: of at least two members where their CometBFT answers calls, like "
    'annan = "node.annan.example:26657"',
    "observers": "a list of CometBFT's node ids, 40 hexadecimal digits each",
    "announce": 'host and port at which the other members reach CometBFT here, like "node.annan.example:26656"',
    "one-host": "true or false",
    "prune": "true or false",
    "block-ms": "milliseconds between blocks, from 10 to 60000",
    "connections": "how many may be connected at once, from 8 to 100000",
    "connections-per-address": "how many of them from one address, from 8 to 100000",
    "witness": "a table with name and logs",
    "name": 'a name without spaces, like "witness.example/annan"',
    "logs": "a list of the logs' keys: name+id+key",
}
"""Key -> what to write there."""


def load(path: Path) -> Config:
    """Read `path`, or `node.toml` in it; its own paths are then absolute. Raises ConfigError."""
    if path.is_dir():
        path = path / NAME
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; make it with `tocsin node init`.") from None
    if len(data) > MAX_CONFIG:
        raise ConfigError(f"{path} is larger than {MAX_CONFIG} bytes; it is not a node's configuration.")
    return parse(data, path)


def parse(data: bytes, path: Path) -> Config:
    """Check the content of the file at `path`. Raises ConfigError."""
    try:
        content = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}. Correct that line.") from None
    try:
        config = msgspec.convert(content, Config, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        raise _wrong(path, *_place(str(error))) from None
    here = path.parent.absolute()
    config = msgspec.structs.replace(
        config,
        data_dir=here / config.data_dir,
        signed_heads=here / config.signed_heads,
        keystore=here / config.keystore,
        passphrase_file=None if config.passphrase_file is None else here / config.passphrase_file,
    )
    _check(config, path)
    return config


def _place(error: str) -> tuple[str, str]:
    """What msgspec says, and the key it says it of."""
    said, _, where = error.partition(" - at `$")
    where = where.removesuffix("`").removeprefix(".")
    missing = said.partition("missing required field `")[2] or said.partition("unknown field `")[2]
    if missing:
        where = ".".join(part for part in (where, missing.partition("`")[0]) if part)
    return where or "the file", said


def _wrong(path: Path, key: str, said: str) -> ConfigError:
    name = key.replace("[...]", "").rpartition(".")[2].partition("[")[0]
    if "unknown field" in said:
        return ConfigError(f"{path}: there is no key {key}; remove it, or correct its spelling.")
    write = _WRITE.get(name, "what docs/reference/node-toml.md says of it")
    return ConfigError(f"{path}: {key} is missing or wrong ({said}); write {write}.")


def _check(config: Config, path: Path) -> None:
    if config.signed_heads.resolve().is_relative_to(config.data_dir.resolve()):
        raise _wrong(
            path, "signed-heads",
            "it lies in data-dir; a backup of that, restored, would make this node sign twice differently",
        )  # fmt: skip
    origins = [one.origin for one in config.networks]
    if len(set(origins)) != len(origins):
        raise _wrong(path, "networks", "one origin stands twice")
    for place, network in enumerate(config.networks):
        where = f"networks[{place}]"
        if network.engine == "follow" and network.follow not in network.members:
            raise _wrong(path, f"{where}.follow", "it names no member of [networks.members]")
        if network.engine != "follow" and network.follow is not None:
            raise _wrong(path, f"{where}.engine", f'follow is set, but the engine is "{network.engine}"')
        if network.engine == "embedded" and network.member is None:
            raise _wrong(path, f"{where}.member", "who orders is a member")
        if network.member in network.members:
            raise _wrong(path, f"{where}.members", "this node's own member stands among the others")
        for witness in network.witnesses:
            _check_vkey(path, f"{where}.witnesses.vkey", witness.vkey, COSIGNATURE)
        for url in (*network.members.values(), *(url for peer in network.peers for url in peer.urls)):
            if not _names_host(url):
                raise _wrong(path, f"{where}.members", f"{url} names no host, or no port that there is")
    for log in () if config.witness is None else config.witness.logs:
        _check_vkey(path, "witness.logs", log, ED25519)


def _names_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_vkey(path: Path, key: str, vkey: str, type: int) -> None:
    try:
        parsed = parse_vkey(vkey)
    except NoteError as error:
        raise _wrong(path, key, str(error)) from None
    if parsed.type != type:
        raise _wrong(path, key, f"the key of {parsed.name} is of type {parsed.type:02x}, not {type:02x}")


def render(config: Config) -> str:
    """The file that `load` reads back as this, with paths as they are given."""
    lines = [
        f"listen = {_text(config.listen)}",
        f"data-dir = {_text(config.data_dir)}",
        "# What was signed. Never restore it from a backup together with data-dir.",
        f"signed-heads = {_text(config.signed_heads)}",
        f"keystore = {_text(config.keystore)}",
    ]
    if config.passphrase_file is not None:
        lines.append(f"passphrase-file = {_text(config.passphrase_file)}")
    lines += [f"connections = {config.connections}", f"connections-per-address = {config.connections_per_address}"]
    if config.witness is not None:
        lines += ["", "[witness]", f"name = {_text(config.witness.name)}", f"logs = {_list(config.witness.logs)}"]
    for network in config.networks:
        lines += ["", "[[networks]]", f"origin = {_text(network.origin)}", f"engine = {_text(network.engine)}"]
        if network.member is not None:
            lines.append(f"member = {_text(network.member)}")
        if network.follow is not None:
            lines.append(f"follow = {_text(network.follow)}")
        if network.members:
            lines += ["", "[networks.members]", *(f"{_text(id)} = {_text(url)}" for id, url in network.members.items())]
        if network.engine == "cometbft":
            comet = network.cometbft
            lines += ["", "[networks.cometbft]", f"listen = {_text(comet.listen)}"]
            lines += [] if comet.announce is None else [f"announce = {_text(comet.announce)}"]
            lines += [f"block-ms = {comet.block_ms}", f"one-host = {str(comet.one_host).lower()}"]
            lines += ["prune = true"] if comet.prune else []
            lines += [] if comet.rpc is None else [f"rpc = {_text(comet.rpc)}"]
            lines += [f"observers = {_list(comet.observers)}"] if comet.observers else []
            for name, table in (("peers", comet.peers), ("sync", comet.sync)):
                if table:
                    lines += ["", f"[networks.cometbft.{name}]"]
                    lines += [f"{_text(id)} = {_text(address)}" for id, address in table.items()]
        for peer in network.peers:
            lines += ["", "[[networks.peers]]", f"origin = {_text(peer.origin)}", f"urls = {_list(peer.urls)}"]
        for witness in network.witnesses:
            lines += ["", "[[networks.witnesses]]", f"url = {_text(witness.url)}", f"vkey = {_text(witness.vkey)}"]
    return "\n".join(lines) + "\n"


def _text(value: str | Path) -> str:
    # A JSON string is a TOML string, but for DEL, which no path or address has.
    return msgspec.json.encode(str(value)).decode()


def _list(values: list[str]) -> str:
    return "[" + ", ".join(_text(value) for value in values) + "]"
