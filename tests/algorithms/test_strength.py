"""How far the best answer is ahead, as a margin: by hand, from comparisons to losses."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.algorithms.alignment import Said, pair_objective
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import DPOConfig, RewardConfig
from accord.core.errors import ConfigError
from accord.core.types import Comparison, Conversation
from accord.objectives import pairs, reward
from tests.algorithms.loops import raw_comparisons, template

STRENGTHS = (4, 3, 2, 1, None)


def compare(number: int, tiers: tuple[int, ...] = (0, 1), **more: Any) -> Comparison:
    """One comparison of a prompt of its own."""
    answers = tuple(f"answer {place}" for place in range(len(tiers)))
    asked = Conversation.of(f"Which of {number}?")
    return Comparison(prompt=asked, responses=answers, tiers=tiers, **more)


def build(folder: Path, rows: list[Comparison], most: float = 0.0) -> TokenComparisons:
    tokenize = template(folder).tokenize_answer
    return TokenComparisons.build(rows, tokenize, max_tokens=500, strength_margin=most)


@pytest.mark.parametrize("most", [3.0, 1.0, 0.0])
def test_margins_of_strengths_by_hand(tiny_folder: Path, most: float) -> None:
    """Touvron et al. 2023, table 27: 3, 2, 1, 0 and 1, 2/3, 1/3, 0 from strong to negligible."""
    rows = [compare(i, strength=strength) for i, strength in enumerate(STRENGTHS)]
    data = build(tiny_folder, rows, most)
    assert data.margin_P.tolist() == pytest.approx([most, most * 2 / 3, most / 3, 0, 0])
    assert data.by_strength == {4: 1, 3: 1, 2: 1, 1: 1}


@pytest.mark.parametrize(
    ("row", "margins", "counted"),
    [
        (compare(0, strength=4, margin=0.25), [0.25], False),
        (compare(0, (1, 0), strength=3), [2.0], True),
        (compare(0, (0, 0), strength=4), [0.0], False),
        (compare(0, strength=4, label=0.5), [0.0], False),
        (compare(0, (0, 0), strength=4, label=0.2), [3.0], True),
        (compare(0, (0, 1, 2), strength=4), [3.0, 3.0, 0.0], True),
        (compare(0, (1, 0, 0), strength=4), [3.0, 3.0, 0.0], True),
        (compare(0, (0, 1, 2), strength=4, margin=0.5), [0.5, 0.5, 0.5], False),
        (compare(0, (0, 1, 2)), [0.0, 0.0, 0.0], False),
    ],
)
def test_who_has_a_margin_by_strength(
    tiny_folder: Path, row: Comparison, margins: list[float], counted: bool
) -> None:
    """Its own margin wins, a tie has none; a strength is of the best, not of those behind it."""
    data = build(tiny_folder, [row], 3.0)
    assert data.margin_P.tolist() == margins
    assert data.by_strength.total() == counted


def test_rankings_of_strengths_by_hand(tiny_folder: Path) -> None:
    rows = [
        compare(0, (0, 1, 2), strength=3),
        compare(1, label=0.2, strength=4),
        compare(2, (1, 0), strength=4, margin=0.5),
    ]
    data = build(tiny_folder, rows, 3.0)
    ranked = data.rankings(data.batch([0, 1, 2]))
    # A soft label is two rankings; the side that is not favoured has the margin turned over.
    assert ranked.margin_G.tolist() == [0, 0, 0, 0.5]
    assert ranked.first_margin_G.tolist() == [2, -3, 3, 0]


def losses(data: TokenComparisons, lead: float) -> dict[str, float]:
    """Losses of one batch in which every first side leads by so many nats, or raw score."""
    batch = data.batch(range(len(data)))
    score_R = torch.zeros(len(batch.rows), dtype=torch.float64)
    score_R[batch.first_B] = lead
    weight, clear = pairs.totals(label_B=batch.label_B, weight_B=batch.weight_B)
    columns: dict[str, Any] = {
        "first_B": score_R[batch.first_B],
        "second_B": score_R[batch.second_B],
        "label_B": batch.label_B.double(),
        "weight_B": batch.weight_B.double(),
        "margin_B": batch.margin_B.double(),
        "global_weight": weight,
        "global_clear": clear,
    }
    ranked = data.rankings(batch)
    whole = reward.plackett_luce(
        score_GK=score_R[ranked.row_GK],
        tier_GK=ranked.tier_GK,
        weight_G=ranked.weight_G.double(),
        margin_G=ranked.margin_G.double(),
        first_margin_G=ranked.first_margin_G.double(),
        global_weight=weight,
        global_clear=clear,
    )
    said = Said(score_R, torch.ones_like(score_R), torch.zeros_like(score_R), None)
    dpo = pair_objective(DPOConfig(beta=0.5), batch, None)(batch, said)
    half = pair_objective(DPOConfig(beta=0.5, margin=0.5), batch, None)(batch, said)
    return {
        "bradley-terry": reward.bradley_terry(**columns).value.item(),
        "plackett-luce": whole.value.item(),
        "dpo": dpo.value.item(),
        "half": half.value.item(),
    }


@pytest.mark.parametrize(
    ("strength", "third", "golden"),
    [(4, 3, 0.3132617), (3, 2, 0.2339625), (2, 1, 0.1730079), (1, 0, 0.1269280)],
)
def test_losses_of_a_strength_by_hand(
    tiny_folder: Path, strength: int, third: int, golden: float
) -> None:
    """ln(1 + e^(margin - lead)), for a lead of 2 under margins of 1, 2/3, 1/3 and 0; a log-ratio of
    2 is a lead of 1 where beta is .5."""
    found = losses(build(tiny_folder, [compare(0, strength=strength)], 1.0), 2.0)
    assert found["bradley-terry"] == pytest.approx(golden, abs=1e-6)
    assert found["plackett-luce"] == pytest.approx(golden, abs=1e-6)
    margin = third / 3
    assert found["dpo"] == pytest.approx(math.log1p(math.exp(margin - 1)), abs=1e-6)
    assert found["half"] == pytest.approx(math.log1p(math.exp(margin / 2 - 1)), abs=1e-6)


def test_without_a_setting_nothing_changes_to_the_bit(tiny_folder: Path) -> None:
    """Pairs, ties, soft labels and rankings with margins of their own and without."""
    rows = raw_comparisons(12)
    said = [replace(row, strength=1 + i % 4) for i, row in enumerate(rows)]
    plain, strong = build(tiny_folder, rows), build(tiny_folder, said)
    for name in ("first_P", "second_P", "label_P", "weight_P", "margin_P"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(strong, name))
    units = range(len(plain))
    before, after = (data.rankings(data.batch(units)) for data in (plain, strong))
    for name in ("row_GK", "tier_GK", "weight_G", "margin_G", "first_margin_G"):
        assert torch.equal(getattr(before, name), getattr(after, name))
    assert not after.first_margin_G.any()
    assert losses(plain, 0.7) == losses(strong, 0.7)
    assert losses(build(tiny_folder, said, 1.0), 0.7) != losses(plain, 0.7)


@pytest.mark.parametrize("kind", [DPOConfig, RewardConfig])
@pytest.mark.parametrize("wrong", [-0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(kind: Any, wrong: float) -> None:
    with pytest.raises(ConfigError, match="strength_margin must be at least 0"):
        kind(strength_margin=wrong)


def test_a_margin_of_strengths_that_counts_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="margin = 0 ignores margins"):
        DPOConfig(strength_margin=1.0, margin=0.0)
    assert DPOConfig(margin=0.0).strength_margin == 0
