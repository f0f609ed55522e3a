"""Merkle trees over a growing list: one root for all of it, short proofs for its parts.

Hashes, shapes and proofs are those of RFC 6962, section 2.1 (Laurie, Langley, Kasper 2013):
SHA-256 with 0x00 before a leaf's data and 0x01 before two children, so that a leaf never passes
for a node; the left subtree holds the largest power of two below the number of leaves.
Verification follows RFC 9162, sections 2.1.3.2 and 2.1.4.2. Positions count from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

Hash = bytes
"""32 bytes."""


def leaf_hash(data: bytes) -> Hash:
    """Hash of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Hash of two subtrees, side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows: the roots of its full subtrees, at most one a power of two.

    Adding n leaves takes O(n) hashes in all and O(log n) memory.
    """

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[Hash] = []

    def add(self, leaf: Hash) -> None:
        """Append one leaf, given by its `leaf_hash`."""
        self._peaks.append(leaf)
        self.size += 1
        # As many full pairs end here as the new size has zeros at its end.
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self._peaks.pop()
            self._peaks.append(node_hash(self._peaks.pop(), right))

    def root(self) -> Hash:
        """Root of all leaves so far; that of no leaf is the hash of nothing."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def root_of(leaves: Iterable[Hash]) -> Hash:
    """Root of a tree with these leaf hashes."""
    tree = Frontier()
    for leaf in leaves:
        tree.add(leaf)
    return tree.root()


def inclusion_proof(leaves: Sequence[Hash], position: int) -> list[Hash]:
    """Siblings from the leaf at `position` up to the root. Raises IndexError for no such leaf."""
    if not 0 <= position < len(leaves):
        raise IndexError(f"no leaf {position} of {len(leaves)}")
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if position < half:
        return [*inclusion_proof(leaves[:half], position), root_of(leaves[half:])]
    return [*inclusion_proof(leaves[half:], position - half), root_of(leaves[:half])]


def includes(leaf: Hash, position: int, size: int, proof: Sequence[Hash], root: Hash) -> bool:
    """Whether `proof` shows that `leaf` stands at `position` of the tree of `size` with `root`."""
    if not 0 <= position < size:
        return False
    index, last, found = position, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if index % 2 or index == last:
            found = node_hash(sibling, found)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and found == root


def consistency_proof(leaves: Sequence[Hash], size: int) -> list[Hash]:
    """Proof that the tree of `leaves` begins with the tree of its first `size` leaves.

    Raises ValueError unless 0 < size <= len(leaves).
    """
    if not 0 < size <= len(leaves):
        raise ValueError(f"no tree of {size} in one of {len(leaves)}")
    return _subproof(leaves, size, whole=True)


def extends(old_size: int, old_root: Hash, size: int, root: Hash, proof: Sequence[Hash]) -> bool:
    """Whether `proof` shows that the tree of `size` begins with the tree of `old_size`."""
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not proof and old_root == root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    index, last = old_size - 1, size - 1
    while index % 2:
        index, last = index >> 1, last >> 1
    was = now = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if index % 2 or index == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            now = node_hash(now, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and was == old_root and now == root


def _subproof(leaves: Sequence[Hash], size: int, *, whole: bool) -> list[Hash]:
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    half = _half(len(leaves))
    if size <= half:
        return [*_subproof(leaves[:half], size, whole=whole), root_of(leaves[half:])]
    return [*_subproof(leaves[half:], size - half, whole=False), root_of(leaves[:half])]


def _half(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)
