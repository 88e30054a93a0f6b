"""A network taken back to its founding on this node, by steps of which any may be the last (`tocsin node reset`).

The new folder is made whole beside the old one, with the same node key, by which the others let this node in. Then
they change places. Who is cut off before has the old one; who is cut off after has the new one, once `finish` ran.
"""

import shutil
from pathlib import Path

from msgspec.structs import replace

from tocsin.node.home import places
from tocsin.node.home.config import Config
from tocsin.node.station import found_here
from tocsin.store.database import sync_directory

# No origin has a space, so no network's own folder is called so.
_NEW, _OLD = "reset new", "reset old"


def reset(config: Config, origin: str, genesis: bytes, founding: bytes) -> None:
    """Begin anew; on return it is done and durable. Raises StoreError, OSError."""
    data_dir = config.data_dir
    here, new, old = _folders(data_dir, origin)
    key = places.node_key(data_dir, origin)
    places.keep_node_key(data_dir / _NEW, origin, key)
    found_here(replace(config, data_dir=data_dir / _NEW), genesis, founding)
    old.parent.mkdir(exist_ok=True)
    for folder in (new / "networks", new / "cometbft", new, new.parent, data_dir):
        sync_directory(folder)
    here.rename(old)
    new.rename(here)
    finish(data_dir, origin)


def finish(data_dir: Path, origin: str) -> None:
    """End what was cut off; nothing where nothing was begun."""
    here, new, old = _folders(data_dir, origin)
    if old.exists() and not here.exists():
        # Only one that is whole takes the place of another.
        (new if new.exists() else old).rename(here)
    for left in (old, new):
        if left.exists():
            sync_directory(data_dir)
            shutil.rmtree(left)


def _folders(data_dir: Path, origin: str) -> tuple[Path, Path, Path]:
    """Where it is, where the new one is made, where the old one waits to be removed."""
    here, new, old = (places.folder(place, origin) for place in (data_dir, data_dir / _NEW, data_dir / _OLD))
    return here, new, old
