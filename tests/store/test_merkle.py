"""Merkle trees: published roots, and proofs that hold for what is true and for nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.store.merkle import (
    Frontier,
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)

ENTRIES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The reference vectors of Certificate Transparency: entries, and the root over the first n."""
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in ENTRIES]
sizes = st.integers(1, 70)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return node_hash(naive_root(leaves[:half]), naive_root(leaves[half:]))


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]
    assert naive_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("position", "size"), INCLUSION)
def test_published_inclusion_proofs(position: int, size: int) -> None:
    proof = [bytes.fromhex(text) for text in INCLUSION[position, size]]
    assert inclusion_proof(LEAVES[:size], position) == proof
    assert includes(LEAVES[position], position, size, proof, bytes.fromhex(ROOTS[size]))


@given(sizes)
def test_a_growing_tree_has_the_root_of_the_definition(size: int) -> None:
    tree = Frontier()
    for number, leaf in enumerate(leaves_of(size), start=1):
        tree.add(leaf)
        assert tree.size == number
    assert tree.root() == naive_root(leaves_of(size))


@given(sizes, st.data())
def test_every_leaf_is_proved_and_nothing_else(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    root = root_of(leaves)
    position = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(leaves, position)
    assert len(proof) <= (size - 1).bit_length()
    assert includes(leaves[position], position, size, proof, root)
    other = data.draw(st.integers(0, size).filter(lambda number: number != position))
    assert not includes(leaves[position], other, size, proof, root)
    assert not includes(leaf_hash(b"x"), position, size, proof, root)
    assert not includes(leaves[position], position, size, [*proof, root], root)
    assert not includes(leaves[position], position, size, proof, leaf_hash(b"x"))
    if proof:
        assert not includes(leaves[position], position, size, proof[:-1], root)


@given(sizes, st.data())
def test_growth_is_proved_and_a_changed_past_is_not(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    old = data.draw(st.integers(1, size))
    proof = consistency_proof(leaves, old)
    was, root = root_of(leaves[:old]), root_of(leaves)
    assert extends(old, was, size, root, proof)
    changed = list(leaves)
    changed[data.draw(st.integers(0, old - 1))] = leaf_hash(b"another past")
    forged = root_of(changed)
    assert not extends(old, was, size, forged, proof)
    assert not extends(old, was, size, forged, consistency_proof(changed, old))
    assert not extends(old, was, size, root, [*proof, root])
    assert not extends(size + 1, was, size, root, proof)
    if old != size:
        assert not extends(old, was, size, root, [])
        # With one position more the same hashes mean another tree, save where it is the same one.
        assert not extends(old + 1, was, size, root, proof)


def test_leaves_and_nodes_are_apart() -> None:
    pair = [leaf_hash(b"a"), leaf_hash(b"b")]
    assert leaf_hash(b"".join(pair)) != node_hash(*pair)


@pytest.mark.parametrize("position", [-1, 3])
def test_a_proof_of_no_leaf_is_a_mistake(position: int) -> None:
    with pytest.raises(IndexError):
        inclusion_proof(leaves_of(3), position)


@pytest.mark.parametrize("size", [0, 4])
def test_a_proof_of_no_tree_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="no tree"):
        consistency_proof(leaves_of(3), size)
