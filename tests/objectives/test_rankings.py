"""Plackett-Luce over tiers and centring: by hand, as properties, by gradient, by an oracle."""

from __future__ import annotations

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import reward
from accord.objectives.loss import Loss

scores = st.floats(-20, 20)


def ranked(
    score: list[float], tier: list[int], *, margin: float = 0.0, first_margin: float | None = None
) -> Loss:
    """Loss of one ranking in float64."""
    return reward.plackett_luce(
        score_GK=torch.tensor([score], dtype=torch.float64),
        tier_GK=torch.tensor([tier]),
        weight_G=torch.ones(1, dtype=torch.float64),
        margin_G=torch.tensor([margin], dtype=torch.float64),
        first_margin_G=None
        if first_margin is None
        else torch.tensor([first_margin], dtype=torch.float64),
        global_weight=1.0,
        global_clear=float(max(tier) > 0),
    )


def pair(first: float, second: float, label: float, margin: float) -> float:
    """The same as a pair under Bradley-Terry."""
    one = torch.ones(1, dtype=torch.float64)
    return reward.bradley_terry(
        first_B=one * first,
        second_B=one * second,
        label_B=one * label,
        weight_B=one,
        margin_B=one * margin,
        global_weight=1.0,
        global_clear=1.0,
    ).value.item()


def oracle(score: list[float], tier: list[int]) -> float:
    """The mean of Plackett's negative log-likelihood over every order that the tiers allow."""
    places = range(len(score))
    found = []
    for order in permutations(places):
        if all(tier[a] <= tier[b] for a, b in pairwise(order)):
            worth = np.exp([score[i] for i in order])
            found.append(-sum(math.log(worth[k] / worth[k:].sum()) for k in places))
    return float(np.mean(found))


def test_plackett_luce_by_hand() -> None:
    """Scores 2, 1, 0 in this order: ln(1 + 1/e + 1/e^2) + ln(1 + 1/e) = .4076 + .3133."""
    loss = ranked([2.0, 1.0, 0.0], [0, 1, 2])
    assert loss.value.item() == pytest.approx(0.7208677, abs=1e-7)
    assert loss.metrics["preference/best_first"].item() == 1.0
    assert ranked([2.0, 1.0, 0.0], [1, 0, 2]).metrics["preference/best_first"].item() == 0.0


def test_plackett_luce_by_hand_of_tiers() -> None:
    """Two tied before a third, scores 1, 0, 0: both orders are as good, (first, second, third) and
    (second, first, third): ln(e + 2) - 1 + ln 2 and ln(e + 2) + ln(e + 1) - 1, half of each."""
    one = math.log(math.e + 2) - 1 + math.log(2)
    other = math.log(math.e + 2) + math.log(math.e + 1) - 1
    loss = ranked([1.0, 0.0, 0.0], [0, 0, 1])
    assert loss.value.item() == pytest.approx((one + other) / 2, abs=1e-12)
    assert loss.metrics["preference/best_first"].item() == 1.0


def test_plackett_luce_by_hand_of_equal_scores() -> None:
    """Any order of three has chance 1/6 then, whatever the tiers; the best shares its point."""
    for tier in ([0, 1, 2], [0, 0, 1], [0, 0, 0]):
        loss = ranked([0.3, 0.3, 0.3], tier)
        assert loss.value.item() == pytest.approx(math.log(6), abs=1e-12)
    assert ranked([0.3] * 3, [0, 1, 2]).metrics["preference/best_first"].item() == pytest.approx(
        1 / 3
    )
    assert ranked([0.3] * 3, [0, 0, 0]).metrics == {}


def test_plackett_luce_by_hand_of_a_margin_of_the_best() -> None:
    """Scores 2, 1, 0, of which the best should lead by ln 2: ln(1 + 2/e + 2/e^2) + ln(1 + 1/e).
    Of two it is added to the margin of all."""
    second = math.log(1 + 1 / math.e)
    found = ranked([2.0, 1.0, 0.0], [0, 1, 2], first_margin=math.log(2)).value.item()
    assert found == pytest.approx(math.log(1 + 2 / math.e + 2 / math.e**2) + second, abs=1e-12)
    none = ranked([2.0, 1.0, 0.0], [0, 1, 2], first_margin=0.0)
    assert torch.equal(none.value, ranked([2.0, 1.0, 0.0], [0, 1, 2]).value)
    alone = ranked([1.0, 0.0], [0, 1], margin=0.25, first_margin=0.5).value.item()
    assert alone == pytest.approx(pair(1.0, 0.0, 1.0, 0.75), abs=1e-12)


def test_plackett_luce_by_hand_of_weights_and_absent_places() -> None:
    """(2 * ln(1 + 1/e) + 1 * ln 2) / 3; a place without a response changes nothing."""
    loss = reward.plackett_luce(
        score_GK=torch.tensor([[1.0, 0.0, 9.0], [0.5, 0.5, -9.0]], dtype=torch.float64),
        tier_GK=torch.tensor([[0, 1, -1], [1, 0, -1]]),
        weight_G=torch.tensor([2.0, 1.0], dtype=torch.float64),
        margin_G=torch.zeros(2, dtype=torch.float64),
        global_weight=3.0,
        global_clear=3.0,
    )
    expected = (2 * math.log(1 + 1 / math.e) + math.log(2)) / 3
    assert loss.value.item() == pytest.approx(expected, abs=1e-12)
    assert loss.metrics["preference/best_first"].item() == pytest.approx((2 + 0.5) / 3)


@given(scores, scores, st.floats(0, 3))
def test_plackett_luce_property_two_are_bradley_terry(
    first: float, second: float, margin: float
) -> None:
    """A win with its margin, a tie, and a soft label as two rankings."""
    won = ranked([first, second], [0, 1], margin=margin).value.item()
    assert won == pytest.approx(pair(first, second, 1.0, margin), abs=1e-9)
    tied = ranked([first, second], [0, 0], margin=margin).value.item()
    assert tied == pytest.approx(pair(first, second, 0.5, margin), abs=1e-9)
    lost = ranked([first, second], [1, 0], margin=-margin).value.item()
    soft = pair(first, second, 0.7, margin)
    assert 0.7 * won + 0.3 * lost == pytest.approx(soft, abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.floats(-50, 50))
def test_plackett_luce_property_orders_have_probability_one(
    score: list[float], shift: float
) -> None:
    chances = [math.exp(-ranked(score, list(tier)).value.item()) for tier in permutations(range(4))]
    assert sum(chances) == pytest.approx(1, abs=1e-9)
    moved = ranked([one + shift for one in score], [1, 0, 2, 1]).value.item()
    assert moved == pytest.approx(ranked(score, [1, 0, 2, 1]).value.item(), abs=1e-8)


def test_plackett_luce_gradient() -> None:
    torch.manual_seed(0)
    score_GK = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    tier_GK = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 1, 0, 1], [0, 0, 0, -1, -1]])

    def value(score_GK: Tensor) -> Tensor:
        return reward.plackett_luce(
            score_GK=score_GK,
            tier_GK=tier_GK,
            weight_G=torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64),
            margin_G=torch.tensor([0.0, 0.3, 0.2], dtype=torch.float64),
            first_margin_G=torch.tensor([0.4, 0.0, 0.1], dtype=torch.float64),
            global_weight=3.5,
            global_clear=1.5,
        ).value

    assert torch.autograd.gradcheck(value, (score_GK,))
    (slope_GK,) = torch.autograd.grad(value(score_GK), (score_GK,))
    # Scores of one ranking can be shifted: their slopes add up to 0; absent places have none.
    assert torch.allclose(slope_GK.sum(1), torch.zeros(3, dtype=torch.float64))
    assert not slope_GK[2, 3:].any()
    assert slope_GK[0, 0] < 0 < slope_GK[0, 4]


@pytest.mark.parametrize(
    "tier", [[0, 1, 2, 3], [0, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [2, 0, 1, 1]]
)
def test_plackett_luce_parity_with_an_oracle_of_all_orders(tier: list[int]) -> None:
    score = np.random.default_rng(3).normal(size=4).tolist()
    assert ranked(score, tier).value.item() == pytest.approx(oracle(score, tier), rel=1e-12)


def test_a_tier_of_too_many_is_refused() -> None:
    most = reward.MOST_TIED
    assert math.isfinite(ranked([0.1] * most, [0] * most).value.item())
    with pytest.raises(DataError, match="too many to average"):
        ranked([0.1] * (most + 1), [0] * (most + 1))


def test_rankings_of_mixed_shapes_are_refused() -> None:
    with pytest.raises(InvariantError, match="shapes"):
        ranked([0.1, 0.2], [0])


def test_a_score_that_is_no_number_shows() -> None:
    assert math.isnan(ranked([math.nan, 0.0], [0, 1]).value.item())


def centred(first: list[float], second: list[float], weight: list[float], by: float) -> Loss:
    first_B, second_B, weight_B = (
        torch.tensor(column, dtype=torch.float64) for column in (first, second, weight)
    )
    return reward.centring(
        first_B=first_B,
        second_B=second_B,
        weight_B=weight_B,
        coefficient=by,
        global_weight=float(weight_B.sum()),
    )


def test_centring_by_hand() -> None:
    """.01 * (1 * (1 + 2)^2 + 3 * (.5 - .5)^2) / 4 = .0225; the centre is (1.5 + 0) / 4."""
    loss = centred([1.0, 0.5], [2.0, -0.5], [1.0, 3.0], 0.01)
    assert loss.value.item() == pytest.approx(0.0225, abs=1e-12)
    assert loss.metrics["preference/centre"].item() == pytest.approx(0.375)


@given(scores, scores, st.floats(0, 1))
def test_centring_property(first: float, second: float, by: float) -> None:
    """Blind to which side is which, 0 for opposite scores, and in step with its coefficient."""
    here = centred([first], [second], [1.0], by).value.item()
    assert here == pytest.approx(centred([second], [first], [1.0], by).value.item(), abs=1e-9)
    assert centred([first], [-first], [1.0], by).value.item() == 0
    assert centred([first], [second], [1.0], 2 * by).value.item() == pytest.approx(2 * here)


def test_centring_gradient() -> None:
    torch.manual_seed(0)
    first_B, second_B = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in "ab")
    weight_B = torch.tensor([1.0, 0.5, 2.5], dtype=torch.float64)

    def value(first_B: Tensor, second_B: Tensor) -> Tensor:
        return reward.centring(
            first_B=first_B,
            second_B=second_B,
            weight_B=weight_B,
            coefficient=0.2,
            global_weight=4.0,
        ).value

    assert torch.autograd.gradcheck(value, (first_B, second_B))
    to_first, to_second = torch.autograd.grad(value(first_B, second_B), (first_B, second_B))
    assert torch.allclose(to_first, 0.1 * weight_B * (first_B + second_B))
    assert torch.allclose(to_first, to_second)


@pytest.mark.parametrize("by", [-0.1, math.nan, math.inf])
def test_a_centring_that_pushes_away_is_refused(by: float) -> None:
    with pytest.raises(ConfigError, match="centring"):
        centred([1.0], [0.0], [1.0], by)
