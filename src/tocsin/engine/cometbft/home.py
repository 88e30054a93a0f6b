"""CometBFT's home folder, written by us: configuration, genesis, keys.

Only what differs from CometBFT's defaults stands in `config.toml`. The file that keeps a validator from signing twice
is made once and never touched again.
"""

import json
import shutil
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nacl.signing import SigningKey

from tocsin.engine.cometbft.application import BLOCK_BYTES, chain_id, validator_address
from tocsin.kernel.genesis import Genesis

HEARTBEAT_S = 60
"""Blocks come at least so often, or time would stand still (spec 4)."""
_TRUSTED = "876000h"
"""A hundred years: how old the trusted block may be. Members name it anew for each sync, and the light client compares
what it comes to with what all of them have."""
_MAX_TX_BYTES = 256 * 1024
"""The largest envelope, a relay's, in base64 within its wrapper."""
_GOSSIP_MS = 20
"""Between two looks for what a peer lacks: CometBFT's 100 make a block take a quarter of a second longer."""
_PACKET_BYTES = 64 * 1024
"""What a connection sends in one piece, the same on all nodes: CometBFT's 1,024 cut a part of a block into 64."""
_LINK_BYTES_S = 20 * 1024 * 1024
"""The most to and from one peer: a full block passes in a fifth of a second."""


class Settings(NamedTuple):
    """How one node runs CometBFT.

    `folder`: its home. `validator`: seed of the member's validator key, None for a node that only follows.
    `node`: seed of the key by which other nodes know it. `listen`, `announce`: host:port to take connections at, and
    to tell others. `peers`: `id@host:port` of nodes to dial. `commit_ms`: pause after a block; `round_ms`: how long a
    proposal is waited for, at first. `rpc`: host:port where others may call CometBFT too (state sync does), None for us
    alone. `prune`: CometBFT forgets its blocks below the oldest snapshot. `sync`: where to get a snapshot, for a node
    without blocks. `votes`: the file that keeps the validator from voting twice, made by `first_votes`; in the home if
    None.
    """

    folder: Path
    validator: bytes | None
    node: bytes
    listen: str
    peers: tuple[str, ...] = ()
    announce: str = ""
    commit_ms: int = 1000
    round_ms: int = 3000
    heartbeat_s: int = HEARTBEAT_S
    one_host: bool = False
    rpc: str | None = None
    prune: bool = False
    sync: "Sync | None" = None
    votes: Path | None = None


class Sync(NamedTuple):
    """A block that is trusted, and two RPC addresses to check a snapshot's header by."""

    servers: tuple[str, ...]
    height: int
    hash: str


def node_id(seed: bytes) -> str:
    """CometBFT's id of a node, from the seed of its node key."""
    return _address(SigningKey(seed)).lower()


def write(settings: Settings, genesis: Genesis, application: Path, rpc: Path) -> None:
    """Write the home; `application`, `rpc`: the Unix sockets where CometBFT finds us and we find it."""
    config, data = settings.folder / "config", settings.folder / "data"
    for folder in (config, data):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (config / "config.toml").write_text(_toml(_config(settings, application, rpc)))
    _write_json(config / "genesis.json", _genesis(genesis))
    _write_secret(config / "node_key.json", {"priv_key": _private(SigningKey(settings.node))})
    # Of a time when it was a member's, and CometBFT read its key from there.
    (config / "priv_validator_key.json").unlink(missing_ok=True)
    if settings.validator is not None:
        if settings.votes is None and not (data / "priv_validator_state.json").exists():
            first_votes(data / "priv_validator_state.json")
        if settings.votes is not None and not settings.votes.exists():
            raise FileNotFoundError(
                f"{settings.votes} is missing: it says what this validator voted on last. Bring it back; if it is "
                "lost, replace the validator key by `tocsin keys rotate` before this node votes again."
            )


def validator_key(settings: Settings) -> bytes:
    """What CometBFT reads from its standard input: the validator's key, which so stands in no file; empty for none."""
    if settings.validator is None:
        return b""
    key = SigningKey(settings.validator)
    public = public_key(bytes(key.verify_key))
    return json.dumps({"address": _address(key), "pub_key": public, "priv_key": _private(key)}).encode()


def clear_sync(folder: Path) -> None:
    """Empty the place of a snapshot on its way, in a home; who was killed left there what it had."""
    shutil.rmtree(folder / "sync", ignore_errors=True)
    (folder / "sync").mkdir(mode=0o700)


def clear_unmade(folder: Path) -> None:
    """Remove databases without an entry point from a home: a kill came while CometBFT made them. Nothing is in them
    yet, and it would never open them."""
    for one in (folder / "data").glob("*.db"):
        if not (one / "CURRENT").exists():
            shutil.rmtree(one)


def first_votes(path: Path) -> None:
    """Say that a validator has voted on nothing; for a key that never was in use."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_secret(path, {"height": "0", "round": 0, "step": 0})


def _config(settings: Settings, application: Path, rpc: Path) -> dict[str, dict[str, Any]]:
    waits = {"timeout_propose": settings.round_ms, "timeout_prevote": settings.round_ms // 3,
             "timeout_precommit": settings.round_ms // 3, "timeout_commit": settings.commit_ms}  # fmt: skip
    sync = settings.sync
    # Without a validator key CometBFT makes one of its own, and begins the file of its votes anew.
    votes = None if settings.validator is None else settings.votes
    key = "config/priv_validator_key.json" if settings.validator is None else "/dev/stdin"
    return {
        "": {
            "proxy_app": f"unix://{application}", "abci": "socket", "filter_peers": True, "log_level": "info",
            "priv_validator_key_file": key, "priv_validator_state_file": str(votes or "data/priv_validator_state.json"),
        },
        "rpc": {
            "laddr": f"unix://{rpc}" + (f",tcp://{settings.rpc}" if settings.rpc else ""),
            "max_request_batch_size": 0, "max_body_bytes": 8 * 1024 * 1024,
        },
        "p2p": {
            "laddr": f"tcp://{settings.listen}", "external_address": settings.announce,
            "persistent_peers": ",".join(settings.peers), "addr_book_strict": not settings.one_host,
            "allow_duplicate_ip": settings.one_host, "max_packet_msg_payload_size": _PACKET_BYTES,
            "send_rate": _LINK_BYTES_S, "recv_rate": _LINK_BYTES_S,
        },
        "mempool": {
            "type": "flood", "size": 20_000, "cache_size": 40_000, "max_tx_bytes": _MAX_TX_BYTES,
            "max_txs_bytes": 256 * 1024 * 1024, "recheck": True, "recheck_timeout": "10s",
        },
        "consensus": {
            **{name: f"{ms}ms" for name, ms in waits.items()}, "peer_gossip_sleep_duration": f"{_GOSSIP_MS}ms",
            "create_empty_blocks": False, "create_empty_blocks_interval": f"{settings.heartbeat_s}s",
        },
        "tx_index": {"indexer": "null"},
        "storage": {"discard_abci_responses": True},
        "statesync": {"enable": False} if sync is None else {
            "enable": True, "temp_dir": str(settings.folder / "sync"), "rpc_servers": ",".join(sync.servers),
            "trust_height": sync.height, "trust_hash": sync.hash, "trust_period": _TRUSTED, "discovery_time": "5s",
        },
    }  # fmt: skip


def _toml(config: dict[str, dict[str, Any]]) -> str:
    lines = ["# Written anew at each start; change the node's own configuration instead."]
    for section, values in config.items():
        lines += ["", f"[{section}]"] if section else []
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _genesis(genesis: Genesis) -> dict[str, Any]:
    """The same bytes on every node; the validators come from the application."""
    created = datetime.fromtimestamp(genesis.created // 1000, UTC)
    return {
        "genesis_time": f"{created:%Y-%m-%dT%H:%M:%S}.{genesis.created % 1000:03}Z",
        "chain_id": chain_id(genesis.digest),
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(BLOCK_BYTES), "max_gas": "-1"},
            "evidence": {"max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576"},
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": str(genesis.protocol)},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "app_hash": "",
    }


def _address(key: SigningKey) -> str:
    return validator_address(bytes(key.verify_key)).hex().upper()


def public_key(key: bytes) -> dict[str, str]:
    """As CometBFT writes an Ed25519 key."""
    return {"type": "tendermint/PubKeyEd25519", "value": b64encode(key).decode()}


def _private(key: SigningKey) -> dict[str, str]:
    both = bytes(key) + bytes(key.verify_key)
    return {"type": "tendermint/PrivKeyEd25519", "value": b64encode(both).decode()}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _write_secret(path: Path, value: dict[str, Any]) -> None:
    path.touch(mode=0o600)
    _write_json(path, value)
