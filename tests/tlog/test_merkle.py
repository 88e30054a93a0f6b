import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import SHARED
from tests.tlog import oracle
from tocsin.tlog import merkle
from tocsin.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    subtree_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

VECTORS = SHARED / "vectors"
entries_lists = st.lists(st.binary(max_size=3), max_size=70)


def reader(entries: list[bytes]) -> merkle.ReadHash:
    """Complete subtrees straight from the oracle, refusing one that reaches beyond the tree."""

    def read(height: int, index: int) -> bytes:
        start, end = index << height, index + 1 << height
        assert end <= len(entries)
        return oracle.mth(entries[start:end])

    return read


def numbered(size: int) -> list[bytes]:
    return [b"%d" % i for i in range(size)]


def leaves_of(entries: list[bytes]) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries]


def test_hashes_of_the_worked_example() -> None:
    a, b, c = (leaf_hash(entry) for entry in (b"a", b"b", b"c"))
    assert base64.b64encode(a) == b"Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw="
    assert base64.b64encode(node_hash(a, b)) == b"sTeYX/SE+2ANuTEHx3sDZcgNePW0Kd7Q/Zc2HQd5mes="
    assert base64.b64encode(tree_root([a, b, c])) == b"NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE="
    assert base64.b64encode(EMPTY_ROOT) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@given(entries_lists)
def test_root_is_the_rfc_tree(entries: list[bytes]) -> None:
    assert tree_root(leaves_of(entries)) == oracle.mth(entries)


@given(entries_lists, st.integers(0, 70))
def test_append_extend_and_reading_back_agree(entries: list[bytes], cut: int) -> None:
    leaves = leaves_of(entries)
    one_by_one = Frontier()
    for leaf in leaves:
        one_by_one = one_by_one.append(leaf)
    first = Frontier().extend(leaves[:cut])
    assert one_by_one == first.extend(leaves[cut:]) == Frontier().extend(leaves)
    assert one_by_one == merkle.frontier(len(entries), reader(entries))
    assert first == Frontier().extend(leaves[:cut]), "extend must not change the value it starts from"


@given(st.integers(1, 70), st.data())
def test_inclusion_proofs(size: int, data: st.DataObject) -> None:
    entries = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, reader(entries))
    root = oracle.mth(entries)
    assert list(proof) == oracle.path(index, entries)
    assert verify_inclusion(index, size, leaf_hash(entries[index]), proof, root)


@given(st.integers(1, 70), st.data())
def test_consistency_proofs(size2: int, data: st.DataObject) -> None:
    entries = numbered(size2)
    size1 = data.draw(st.integers(1, size2))
    proof = consistency_proof(size1, size2, reader(entries))
    assert list(proof) == oracle.proof(size1, entries)
    assert verify_consistency(size1, size2, oracle.mth(entries[:size1]), oracle.mth(entries), proof)


@given(st.integers(2, 40), st.data())
def test_one_wrong_value_breaks_an_inclusion_proof(size: int, data: st.DataObject) -> None:
    entries = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    proof = list(inclusion_proof(index, size, reader(entries)))
    leaf, root = leaf_hash(entries[index]), oracle.mth(entries)
    other = data.draw(st.integers(-2, 80).filter(lambda i: i != index))
    assert not verify_inclusion(other, size, leaf, proof, root)
    position = data.draw(st.integers(0, len(proof) - 1))
    assert not verify_inclusion(index, size, leaf, proof[:position] + proof[position + 1 :], root)
    changed = [*proof[:position], flipped(proof[position]), *proof[position + 1 :]]
    assert not verify_inclusion(index, size, leaf, changed, root)
    assert not verify_inclusion(index, size, leaf, [*proof, root], root)
    assert not verify_inclusion(index, size, leaf, [leaf, *proof], root)
    assert not verify_inclusion(index, size, flipped(leaf), proof, root)
    assert not verify_inclusion(index, size, leaf, proof, flipped(root))
    assert not verify_inclusion(index, size, leaf, proof, b"")
    assert not verify_inclusion(index, size, b"", proof, root)
    assert not verify_inclusion(index, size, leaf, [*proof[:-1], proof[-1][:-1]], root)


@given(st.integers(2, 40), st.data())
def test_one_wrong_value_breaks_a_consistency_proof(size2: int, data: st.DataObject) -> None:
    entries = numbered(size2)
    size1 = data.draw(st.integers(1, size2 - 1))
    proof = list(consistency_proof(size1, size2, reader(entries)))
    root1, root2 = oracle.mth(entries[:size1]), oracle.mth(entries)
    position = data.draw(st.integers(0, len(proof) - 1))
    for bad in (
        proof[:position] + proof[position + 1 :],
        [*proof[:position], flipped(proof[position]), *proof[position + 1 :]],
        [*proof, root2],
        [root1, *proof],
    ):
        assert not verify_consistency(size1, size2, root1, root2, bad)
    assert not verify_consistency(size1, size2, flipped(root1), root2, proof)
    assert not verify_consistency(size1, size2, root1, flipped(root2), proof)
    assert not verify_consistency(size1, size2, root2, root1, proof)
    assert not verify_consistency(size2, size1, root1, root2, proof)
    assert not verify_consistency(size1, size2, b"", root2, proof)
    assert not verify_consistency(0, size2, EMPTY_ROOT, root2, [])
    assert not verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(size2, size2, root2, root2, proof)
    assert not verify_consistency(size2, size2, b"", b"", [])


def test_a_proof_asks_for_few_hashes() -> None:
    size, asked = 10_000_019, 0

    def read(height: int, index: int) -> bytes:
        nonlocal asked
        asked += 1
        assert index + 1 << height <= size
        return leaf_hash(b"%d,%d" % (height, index))

    for index in (0, 4_999_999, size - 1):
        inclusion_proof(index, size, read)
    consistency_proof(5_000_001, size, read)
    assert asked < 4 * 2 * 24


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_inclusion_proof_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        inclusion_proof(index, size, reader(numbered(3)))


@pytest.mark.parametrize(("size1", "size2"), [(0, 3), (3, 2), (0, 0), (-1, 3)])
def test_no_consistency_proof_between_such_sizes(size1: int, size2: int) -> None:
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_proof(size1, size2, reader(numbered(3)))


def test_frontier_refuses_what_is_no_compact_range() -> None:
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier(3, (EMPTY_ROOT,))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(1, (b"short",))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(b"not hashed")
    with pytest.raises(ValueError, match="power of two"):
        subtree_hash([EMPTY_ROOT] * 3)
    with pytest.raises(ValueError, match="power of two"):
        subtree_hash([])


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


def vectors(name: str) -> list[dict[str, Any]]:
    path = VECTORS / f"merkle_{name}.json"
    if not path.exists():
        pytest.skip(f"the proof vectors of transparency-dev/merkle are not at {path}")
    loaded: list[dict[str, Any]] = json.loads(path.read_text())
    assert len(loaded) == 98
    return loaded


def decoded(values: list[str] | None) -> list[bytes]:
    return [base64.b64decode(value) for value in values or []]


def test_inclusion_vectors() -> None:
    for vector in vectors("inclusion"):
        leaf, root = decoded([vector["leafHash"], vector["root"]])
        good = verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, decoded(vector["proof"]), root)
        assert good is not vector["wantErr"], vector["name"]


def test_consistency_vectors() -> None:
    for vector in vectors("consistency"):
        root1, root2 = decoded([vector["root1"], vector["root2"]])
        good = verify_consistency(vector["size1"], vector["size2"], root1, root2, decoded(vector["proof"]))
        assert good is not vector["wantErr"], vector["name"]
