from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tlog import oracle
from tests.tlog.logs import MemoryLog, numbered
from tocsin.tlog import audit
from tocsin.tlog.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from tocsin.tlog.tiles import (
    HashReader,
    Place,
    TileEdge,
    TileError,
    bundle_path,
    bundle_places,
    decode_bundle,
    encode_bundle,
    new_bundles,
    parse_path,
    tile_path,
    tile_places,
)

PATHS = [
    (Place(0, 0, 256), "tile/0/000"),
    (Place(0, 999, 256), "tile/0/999"),
    (Place(1, 1000, 256), "tile/1/x001/000"),
    (Place(0, 1234067, 256), "tile/0/x001/x234/067"),
    (Place(63, 1234067, 1), "tile/63/x001/x234/067.p/1"),
    (Place(None, 0, 3), "tile/entries/000.p/3"),
    (Place(None, 273, 112), "tile/entries/273.p/112"),
    (Place(None, 1000000, 256), "tile/entries/x001/x000/000"),
]


@pytest.mark.parametrize(("place", "path"), PATHS)
def test_paths(place: Place, path: str) -> None:
    assert parse_path(path) == place
    if place.level is None:
        assert bundle_path(place.index, place.width) == path
    else:
        assert tile_path(place.level, place.index, place.width) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/0000", "tile/0/x000/001", "tile/0/001/001", "tile/0/x001",
        "tile/00/000", "tile/64/000", "tile/-1/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
        "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/1/", "/tile/0/000", "tile/0/000/", "tile/data/000", "Tile/0/000",
        "tile/0/../000", "tile/0/xx001/000", "tile/0/٠٠٠", "tile/8/0/000", "tile/entries/", "checkpoint",
        "tile/0/" + "x001/" * 30 + "000", "tile/0/" + "x999/" * 8 + "999",
    ],
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(TileError, match="not the path"):
        parse_path(path)


@pytest.mark.parametrize(("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_what_has_no_path(level: int, index: int, width: int) -> None:
    with pytest.raises(TileError, match="no tile"):
        tile_path(level, index, width)


def test_tiles_of_seventy_thousand_leaves() -> None:
    places = tile_places(70_000)
    assert [p for p in places if p.level == 0] == [*(Place(0, i, 256) for i in range(273)), Place(0, 273, 112)]
    assert [p for p in places if p.level == 1] == [Place(1, 0, 256), Place(1, 1, 17)]
    assert [p for p in places if p.level == 2] == [Place(2, 0, 1)]
    assert len(places) == 277
    assert bundle_places(70_000)[-1] == Place(None, 273, 112)
    assert tile_places(0) == bundle_places(0) == tile_places(7, 7) == bundle_places(7, 7) == []


sizes = st.lists(st.one_of(st.integers(0, 3), st.integers(250, 260), st.integers(0, 700)), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(sizes)
def test_tiles_made_step_by_step_are_those_of_the_whole_log(steps: list[int]) -> None:
    log = MemoryLog()
    for step in steps:
        since, before = log.size, dict(log.files)
        log.append(numbered(step, since))
        new = {path for path in log.files if log.files[path] != before.get(path)}
        assert new == {
            tile_path(p.level, p.index, p.width) for p in tile_places(log.size, since) if p.level is not None
        } | {bundle_path(p.index, p.width) for p in bundle_places(log.size, since)}
        assert log.edge.frontier() == log.frontier
        assert TileEdge.load(log.size, log.read_tile) == log.edge
    whole = MemoryLog().append(numbered(log.size))
    assert whole.root == log.root == (oracle.mth(numbered(log.size)))
    assert whole.files.items() <= log.files.items()
    assert list(audit.audit(log.size, log.root, log.read_tile, log.read_bundle)) == []


BIG = MemoryLog().append(numbered(66_000))
BIG_LEAVES = [leaf_hash(entry) for entry in numbered(66_000)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_proofs_from_tiles(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, BIG.size - 1))
    reader = BIG.reader()
    proof = inclusion_proof(index, BIG.size, reader)
    assert verify_inclusion(index, BIG.size, leaf_hash(b"entry %d" % index), proof, BIG.root)
    old = data.draw(st.one_of(st.integers(1, BIG.size), st.sampled_from([1, 255, 256, 257, 65_535, 65_536, 65_537])))
    old_root = Frontier().extend(BIG_LEAVES[:old]).root()
    assert verify_consistency(old, BIG.size, old_root, BIG.root, consistency_proof(old, BIG.size, reader))


def test_a_proof_reads_few_tiles_and_keeps_them() -> None:
    reader = BIG.reader()
    BIG.reads.clear()
    inclusion_proof(12_345, BIG.size, reader)
    # Leaf, its level 1 tile, and the ragged right edge: 66,000 = 65,536 + 256 + 208.
    assert sorted(BIG.reads) == ["tile/0/048", "tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1"]
    BIG.reads.clear()
    inclusion_proof(12_346, BIG.size, reader)
    assert BIG.reads == []


def test_one_reader_serves_older_sizes() -> None:
    log = MemoryLog().append(numbered(300)).append(numbered(300, 300))
    old = log.reader().at(300)
    assert old.size == 300
    root = Frontier().extend(BIG_LEAVES[:300]).root()
    assert verify_inclusion(299, 300, leaf_hash(b"entry 299"), inclusion_proof(299, 300, old), root)
    with pytest.raises(ValueError, match="not in a log of 300"):
        old(0, 300)


def test_a_deleted_partial_tile_is_read_from_the_full_one() -> None:
    log = MemoryLog().append(numbered(100)).append(numbered(200, 100))
    full = log.files["tile/0/000"]
    reader = HashReader(lambda level, index, width: full, 100)
    root = Frontier().extend(BIG_LEAVES[:100]).root()
    assert verify_inclusion(7, 100, leaf_hash(b"entry 7"), inclusion_proof(7, 100, reader), root)


@pytest.mark.parametrize("length", [0, 31, 99 * 32, 101 * 32, 8191, 8193])
def test_a_tile_of_the_wrong_length(length: int) -> None:
    with pytest.raises(TileError, match="bytes, not 3200"):
        HashReader(lambda level, index, width: bytes(length), 100)(0, 0)
    with pytest.raises(TileError, match="bytes, not 3200"):
        TileEdge.load(100, lambda level, index, width: bytes(length))


def test_edges_that_are_none() -> None:
    for size, tiles in [(1, ()), (0, (b"",)), (256, (b"", bytes(64))), (1, (bytes(31),)), (1, (bytes(32), b""))]:
        with pytest.raises(TileError, match="not the partial tiles"):
            TileEdge(size, tiles)
    with pytest.raises(TileError, match="32 bytes"):
        TileEdge().extend([b"short"])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundles_read_back(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries)) == tuple(entries)
    for wrong in (len(entries) - 1, len(entries) + 1):
        with pytest.raises(TileError, match="entries where"):
            decode_bundle(data, wrong)
    for cut in (data[:-1], data + b"\x00", data + b"\x00\x05abcd"):
        with pytest.raises(TileError):
            decode_bundle(cut, len(entries))


def test_bundle_of_the_worked_example() -> None:
    assert encode_bundle([b"a", b"b", b"c"]).hex() == "000161000162000163"
    assert new_bundles(0, b"", [b"a", b"b", b"c"])[0].path == "tile/entries/000.p/3"


def test_bundle_limits() -> None:
    longest = bytes(65_535)
    assert decode_bundle(encode_bundle([longest]), 1) == (longest,)
    with pytest.raises(TileError, match="65535"):
        encode_bundle([longest + b"x"])
    with pytest.raises(TileError, match="1 to 256"):
        encode_bundle([])
    with pytest.raises(TileError, match="1 to 256"):
        encode_bundle([b""] * 257)
    with pytest.raises(TileError, match="entries where"):
        new_bundles(256, encode_bundle([b"a"]), [b"b"])
    assert new_bundles(0, b"", []) == []


def damaged(path: str) -> MemoryLog:
    log = MemoryLog().append(numbered(600))
    data = bytearray(log.files[path])
    data[len(data) // 2] ^= 1
    log.files[path] = bytes(data)
    return log


@pytest.mark.parametrize(
    "path",
    ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"],
)
def test_audit_finds_one_flipped_bit(path: str) -> None:
    log = damaged(path)
    assert list(audit.audit(log.size, log.root, log.read_tile, log.read_bundle))
    del log.files[path]
    assert any("is missing" in line for line in audit.audit(log.size, log.root, log.read_tile, log.read_bundle))


def test_audit_compares_the_root_and_the_length() -> None:
    log = MemoryLog().append(numbered(600))
    assert ["the checkpoint says" in s for s in audit.audit(600, bytes(32), log.read_tile, log.read_bundle)] == [True]
    log.files["tile/0/002.p/88"] += bytes(32)
    assert len(list(audit.audit(600, log.root, log.read_tile, log.read_bundle))) == 1
    assert list(audit.audit(0, sha256().digest(), log.read_tile, log.read_bundle)) == []
