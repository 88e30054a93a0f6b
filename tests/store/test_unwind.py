"""A network taken back to its founding is as one that was founded just now, and takes the same blocks again."""

from pathlib import Path

import apsw
import pytest

from tests.store.drive import run_cases, verify_all
from tests.store.world import World
from tocsin.engine.ledger import Ledger
from tocsin.store import unwind
from tocsin.store.fsck import fsck
from tocsin.store.network import NetworkStore
from tocsin.store.store import Store

CASES = 64
"""256 leaves and more, so that there is a full tile."""
_TABLES = {
    "block": "height, at, first, size, root, receipts, leaves, envelopes", "tile": "level, n, hashes",
    "live": "key, value", "archive": "key", "mention": "bucket, id, leaf", "checkpoint": "size, kept, note",
}  # fmt: skip


def content(network: NetworkStore) -> dict[str, list[object]]:
    return {
        table: sorted(network._store.all(f"SELECT {columns} FROM {table} WHERE net = ?", (network.net,)))
        for table, columns in _TABLES.items()
    }


def drive(world: World, network: NetworkStore, cases: int = 2) -> None:
    run_cases(world, Ledger(network), cases)
    network.put_checkpoint(network.head.size, b"signed")
    network.flush()


def wrong(store: Store) -> list[str]:
    """What is wrong, but for the signatures of the checkpoints, which have none."""
    return [str(one) for one in fsck(store, verify_all) if "checkpoint" not in one.where]


def test_it_is_as_founded_and_takes_the_same_blocks_again(tmp_path: Path) -> None:
    one, other = World(), World("health.example/elsewhere")
    with Store.open(tmp_path / "store.db") as store:
        network = store.create_network(one.genesis_bytes, one.founding_bytes)
        beside = store.create_network(other.genesis_bytes, other.founding_bytes)
        founded = content(network)
        # Both in one commit, so that they share segments.
        with store.transaction():
            drive(one, network, CASES)
            drive(other, beside)
        driven, root = content(network), network.head.root
        assert all(driven.values())
        network.tile(0, 0)

        network.unwind()
        assert content(network) == founded
        assert network.head.height == 0
        assert Ledger(network).state.meta.height == 0
        assert wrong(store) == []
        assert len(list(beside.blocks())) == 3
        (triggers,) = store.one("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE '%_remains'", ())
        assert triggers == 4

        drive(one, network, CASES)
        assert content(network) == driven
        assert network.head.root == root
        assert wrong(store) == []
        network.unwind()
        beside.unwind()
        assert store.one("SELECT count(*) FROM segment", ()) == (0,)


def test_all_of_it_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    with Store.open(tmp_path / "store.db") as store:
        network = store.create_network(world.genesis_bytes, world.founding_bytes)
        drive(world, network)
        before = content(network)
        with monkeypatch.context() as broken:
            broken.setattr(unwind, "_WITHOUT", (*unwind._WITHOUT, "DELETE FROM nothing"))
            with pytest.raises(apsw.SQLError):
                network.unwind()
        assert content(network) == before
        assert wrong(store) == []
