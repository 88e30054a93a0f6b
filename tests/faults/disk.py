"""What nodes have on their disks, and whether it is the same; and disks that fill up."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tocsin.kernel.envelope import Refusal, decode
from tocsin.store.records import StoredBlock
from tocsin.store.store import Store

SMALL_DISK_MB = 64


class Broken(AssertionError):
    """A law was broken; the text says which, where and in which fault."""


class Disk(NamedTuple):
    """One network on one disk at one moment. `state`: digest of the live rows."""

    blocks: list[StoredBlock]
    state: str


def read(path: Path, origin: str) -> Disk:
    """What stands there now, while its node may go on writing."""
    with Store.open(path, read_only=True) as store, store.snapshot():
        blocks = list(store.network(origin).blocks())
        rows = store.all("SELECT key, value FROM live ORDER BY key", ())
    return Disk(blocks, sha256(repr(rows).encode()).hexdigest())


def agree(disks: Mapping[str, Disk]) -> list[StoredBlock] | None:
    """The blocks that all have; None while some are behind. Raises Broken where logs or states differ."""
    height = min(disk.blocks[-1].height for disk in disks.values())
    cut = {name: [one for one in disk.blocks if one.height <= height] for name, disk in disks.items()}
    model, first = next(iter(cut.items()))
    for name, blocks in cut.items():
        if blocks != first:
            place = next(n for n, pair in enumerate(zip(blocks, first, strict=False)) if pair[0] != pair[1])
            raise Broken(f"FORK: {name} differs from {model} from block {blocks[place].height} on")
    if any(disk.blocks[-1].height != height for disk in disks.values()):
        return None
    states = {name: disk.state for name, disk in disks.items()}
    if len(set(states.values())) > 1:
        raise Broken(f"the states of block {height} differ: {states}")
    return first


def placed(blocks: list[StoredBlock]) -> dict[str, tuple[int, int]]:
    """Envelope digest -> height and position. Raises Broken if one stands twice or is none."""
    stands: dict[str, tuple[int, int]] = {}
    for block in blocks:
        for position, data in enumerate(block.envelopes):
            envelope = decode(data)
            if isinstance(envelope, Refusal):
                raise Broken(f"block {block.height} holds what is no envelope: {envelope}")
            if envelope.digest in stands:
                raise Broken(f"{envelope.digest} stands twice: {stands[envelope.digest]}, {block.height, position}")
            stands[envelope.digest] = (block.height, position)
    return stands


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A small file system at `folder` while it is needed; False where this user may not make one."""
    folder.mkdir()
    size = f"size={SMALL_DISK_MB}m"
    made = os.geteuid() == 0 and not subprocess.run(["mount", "-t", "tmpfs", "-o", size, "faults", folder], check=False).returncode  # fmt: skip
    try:
        yield made
    finally:
        if made:
            subprocess.run(["umount", "-l", folder], check=False)


def fill(path: Path) -> None:
    """To the last byte of the disk on which it lies."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
