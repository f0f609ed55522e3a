"""Tasks whose answer is known: when an answer to one is right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations


def is_right(tiers: Sequence[int] | None, gold: Sequence[int]) -> bool:
    """Whether `tiers` orders every pair that `gold` orders, the same way.

    Both have a tier for each of K responses in canonical order, 0 the best. What gold ties may be
    ordered either way; where it ties all of them, the answer is that all are equal. No tiers at all
    (a skip, "all bad" alone) is not right.
    """
    if tiers is None:
        return False
    if len(set(gold)) == 1:
        return len(set(tiers)) == 1
    return all(
        (tiers[a] - tiers[b]) * (gold[a] - gold[b]) > 0
        for a, b in combinations(range(len(gold)), 2)
        if gold[a] != gold[b]
    )
