"""Where a node keeps what, below its data directory and beside it."""

from pathlib import Path

import nacl.utils

from tocsin.node.home import durable


def folder(data_dir: Path, origin: str) -> Path:
    """A network's own directory: its origin with `+`, which no origin has, for `/`."""
    return data_dir / origin.replace("/", "+")


def database(data_dir: Path, origin: str) -> Path:
    """A network's store."""
    return folder(data_dir, origin) / "networks" / "node.db"


def comet_home(data_dir: Path, origin: str) -> Path:
    """CometBFT's home for a network."""
    return folder(data_dir, origin) / "cometbft"


def signed_heads(signed: Path, origin: str) -> Path:
    """The list of what was signed of a network; outside the data directory, so that no backup brings it back."""
    return signed / origin.replace("/", "+")


def last_votes(signed: Path, origin: str) -> Path:
    """What our CometBFT voted on last, so that it never votes twice; beside the signed heads, for the same reason."""
    return signed / "votes" / origin.replace("/", "+")


def node_key(data_dir: Path, origin: str) -> bytes:
    """The seed of the key by which CometBFT's other nodes know this one; made when first asked for."""
    path = _node_key(data_dir, origin)
    if not path.exists():
        keep_node_key(data_dir, origin, nacl.utils.random(32))
    return bytes.fromhex(path.read_text().strip())


def keep_node_key(data_dir: Path, origin: str, seed: bytes) -> None:
    """Write it down."""
    path = _node_key(data_dir, origin)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    durable.write(path, f"{seed.hex()}\n".encode(), 0o600)


def _node_key(data_dir: Path, origin: str) -> Path:
    return comet_home(data_dir, origin) / "node-key"
