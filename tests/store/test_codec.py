"""Columns are stored compressed; what cannot be had from them is told, and older stores are read as they are."""

from pathlib import Path

import apsw
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.store.drive import run_cases, verify_all
from tests.store.world import World
from tocsin.engine.ledger import Ledger
from tocsin.store.codec import compress, decompress, pack, unpack
from tocsin.store.errors import StoreCorrupt
from tocsin.store.fsck import fsck
from tocsin.store.store import Store

COLUMNS = (("block", "leaves"), ("block", "envelopes"), ("segment", "data"))


@given(st.lists(st.binary(max_size=300)), st.sampled_from([2, 4]))
def test_what_was_packed_comes_back(items: list[bytes], width: int) -> None:
    stored = compress(pack(items, width))
    assert unpack(decompress(stored), width) == items
    assert len(stored) <= len(pack(items, width))


@given(st.binary(max_size=300))
def test_damage_is_told(rest: bytes) -> None:
    with pytest.raises(StoreCorrupt, match="fsck"):
        decompress(zstandard.FRAME_HEADER + rest)


def test_no_frame_takes_more_memory_than_a_list_may_have() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 20))
    place = bomb.index((1 << 20).to_bytes(4, "little"))
    claims = bomb[:place] + (0xFFFF_FFFF).to_bytes(4, "little") + bomb[place + 4 :]
    assert zstandard.get_frame_parameters(claims).content_size == 0xFFFF_FFFF
    with pytest.raises(StoreCorrupt):
        decompress(claims)
    # Nor one that does not say how much it holds.
    with pytest.raises(StoreCorrupt):
        decompress(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 20)))


def test_a_store_from_before_is_read_and_grows(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "store.db"
    with Store.open(path) as store:
        run_cases(world, Ledger(store.create_network(world.genesis_bytes, world.founding_bytes)), 3)
    as_before(path)
    with Store.open(path, read_only=True) as store:
        assert list(fsck(store, verify_all)) == []
    with Store.open(path) as store:
        network = store.network(world.origin)
        before = list(network.blocks())
        run_cases(world, Ledger(network), 3, network.head.at + 1000)
        assert list(network.blocks())[: len(before)] == before
        assert network.leaf(network.head.size - 1) == list(network.blocks())[-1].leaves[-1]
        assert list(fsck(store, verify_all)) == []


def as_before(path: Path) -> None:
    """The columns of format 1 were not compressed."""
    connection = apsw.Connection(str(path))
    connection.create_scalar_function("plain", decompress)
    kept = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in kept:
        connection.execute(f"DROP TRIGGER {name}")
    for table, column in COLUMNS:
        (frames,) = connection.execute(
            f"SELECT count(*) FROM {table} WHERE substr({column}, 1, 4) = ?", (zstandard.FRAME_HEADER,)
        ).fetchone()  # type: ignore[misc]
        assert frames, f"{table}.{column} is stored compressed now"
        connection.execute(f"UPDATE {table} SET {column} = plain({column})")
    for _, sql in kept:
        connection.execute(sql)
    connection.pragma("user_version", 1)
    connection.close()
