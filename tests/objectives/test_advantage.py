"""Advantages: golden, by hand, as properties, and against the definition as a double sum."""

from __future__ import annotations

import math
from statistics import fmean, pvariance

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import advantage

unit = st.floats(0, 1)


def rows(*numbers: list[float]) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def all_true(like: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(like, dtype=torch.bool)


def test_gae_by_hand_golden() -> None:
    reward_BT, value_BT = rows([-0.1, 0.0, 1.0]), rows([0.5, 0.4, 0.3])
    advantage_BT, return_BT = advantage.gae(
        reward_BT=reward_BT, value_BT=value_BT, mask_BT=all_true(value_BT), gamma=1.0, lam=0.95
    )
    assert advantage_BT[0].tolist() == pytest.approx([0.33675, 0.565, 0.7], abs=1e-12)
    assert return_BT[0].tolist() == pytest.approx([0.83675, 0.965, 1.0], abs=1e-12)


def test_gae_by_hand_with_discount() -> None:
    """gamma .5, lambda .5. Last: 1 - .2 = .8. First: 0 + .5 * .2 - .4 + .25 * .8 = -.1."""
    advantage_BT, return_BT = advantage.gae(
        reward_BT=rows([0.0, 1.0]),
        value_BT=rows([0.4, 0.2]),
        mask_BT=torch.ones(1, 2, dtype=torch.bool),
        gamma=0.5,
        lam=0.5,
    )
    assert advantage_BT[0].tolist() == pytest.approx([-0.1, 0.8])
    assert return_BT[0].tolist() == pytest.approx([0.3, 1.0])


@given(unit, unit, st.integers(0, 10_000))
def test_gae_parity_with_the_weighted_sum_of_errors(gamma: float, lam: float, seed: int) -> None:
    """Independent implementation: the definition, as a double sum (eq. 16 of the paper)."""
    reward_BT, value_BT = draw(seed, 2, 6), draw(seed + 1, 2, 6)
    ours, _ = advantage.gae(
        reward_BT=reward_BT, value_BT=value_BT, mask_BT=all_true(value_BT), gamma=gamma, lam=lam
    )
    for b in range(2):
        r, v = reward_BT[b].tolist(), [*value_BT[b].tolist(), 0.0]
        delta = [r[t] + gamma * v[t + 1] - v[t] for t in range(6)]
        for t in range(6):
            expected = math.fsum((gamma * lam) ** k * delta[t + k] for k in range(6 - t))
            assert ours[b, t].item() == pytest.approx(expected, abs=1e-9)


def test_gae_property_lambda_1_is_the_return_less_the_value() -> None:
    reward_BT, value_BT = draw(0, 3, 5), draw(1, 3, 5)
    advantage_BT, return_BT = advantage.gae(
        reward_BT=reward_BT, value_BT=value_BT, mask_BT=all_true(value_BT), gamma=1.0, lam=1.0
    )
    to_go = reward_BT.flip(1).cumsum(1).flip(1)
    assert torch.allclose(return_BT, to_go)
    assert torch.allclose(advantage_BT, to_go - value_BT)


def test_gae_property_lambda_0_is_the_one_step_error() -> None:
    reward_BT, value_BT = draw(0, 3, 5), draw(1, 3, 5)
    advantage_BT, _ = advantage.gae(
        reward_BT=reward_BT, value_BT=value_BT, mask_BT=all_true(value_BT), gamma=0.9, lam=0.0
    )
    after = torch.cat([value_BT[:, 1:], torch.zeros(3, 1, dtype=torch.float64)], dim=1)
    assert torch.allclose(advantage_BT, reward_BT + 0.9 * after - value_BT)


@given(
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=2),
    st.sampled_from([0.0, 7.5, -1e30, math.nan, math.inf]),
    unit,
    unit,
)
def test_gae_property_masked_slots_influence_nothing(
    kept: list[list[bool]], junk: float, gamma: float, lam: float
) -> None:
    """Left, right and inner masks: the same as the row without those slots, and 0 in them."""
    mask_BT = torch.tensor(kept)
    reward_BT, value_BT = draw(2, 2, 6), draw(3, 2, 6)
    advantage_BT, return_BT = advantage.gae(
        reward_BT=torch.where(mask_BT, reward_BT, junk),
        value_BT=torch.where(mask_BT, value_BT, junk),
        mask_BT=mask_BT,
        gamma=gamma,
        lam=lam,
    )
    assert advantage_BT[~mask_BT].tolist() == [0.0] * int((~mask_BT).sum())
    assert return_BT[~mask_BT].tolist() == [0.0] * int((~mask_BT).sum())
    for b in range(2):
        mask_T = mask_BT[b]
        if not mask_T.any():
            continue
        short = value_BT[b : b + 1, mask_T]
        alone, alone_return = advantage.gae(
            reward_BT=reward_BT[b : b + 1, mask_T],
            value_BT=short,
            mask_BT=all_true(short),
            gamma=gamma,
            lam=lam,
        )
        assert torch.allclose(advantage_BT[b, mask_T], alone[0])
        assert torch.allclose(return_BT[b, mask_T], alone_return[0])


def test_gae_gradient_is_none_and_inputs_stay_as_they_were() -> None:
    value_BT = draw(0, 2, 3).requires_grad_()
    before = value_BT.detach().clone()
    advantage_BT, return_BT = advantage.gae(
        reward_BT=value_BT, value_BT=value_BT, mask_BT=all_true(value_BT), gamma=1.0, lam=0.95
    )
    assert not advantage_BT.requires_grad
    assert not return_BT.requires_grad
    assert torch.equal(value_BT.detach(), before)


def test_bad_input_is_refused() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(InvariantError):
        advantage.gae(reward_BT=x, value_BT=torch.zeros(2, 4), mask_BT=x > 0, gamma=1, lam=1)
    with pytest.raises(ConfigError, match="gamma"):
        advantage.gae(reward_BT=x, value_BT=x, mask_BT=x > 0, gamma=1.1, lam=1)
    with pytest.raises(ConfigError, match="lam"):
        advantage.gae(reward_BT=x, value_BT=x, mask_BT=x > 0, gamma=1, lam=math.nan)


def test_whiten_by_hand() -> None:
    """1, 2, 3, 6: mean 3, population variance 14 / 4 = 3.5 (the unbiased one would be 14 / 3)."""
    x_M = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    root = math.sqrt(3.5)
    expected = [-2 / root, -1 / root, 0.0, 3 / root]
    assert advantage.whiten(x_M).tolist() == pytest.approx(expected, abs=1e-8)
    kept = advantage.whiten(x_M, shift_mean=False).tolist()
    assert kept == pytest.approx([3 + e for e in expected], abs=1e-8)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.floats(-50, 50))
def test_whiten_property_moments_and_shift(numbers: list[float], shift: float) -> None:
    x_M = torch.tensor(numbers, dtype=torch.float64)
    white_M = advantage.whiten(x_M)
    assert white_M.mean().item() == pytest.approx(0, abs=1e-6)
    if x_M.var(correction=0) > 1e-3:
        assert white_M.var(correction=0).item() == pytest.approx(1, abs=1e-4)
        assert torch.allclose(advantage.whiten(x_M + shift), white_M, atol=1e-6)


def test_whiten_gradient_is_none_and_inputs_stay_as_they_were() -> None:
    x_M = torch.tensor([1.0, 2.0, 6.0], requires_grad=True)
    assert not advantage.whiten(x_M).requires_grad
    assert x_M.tolist() == [1, 2, 6]


def test_whiten_parity_with_the_standard_library() -> None:
    x_M = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3 + 1
    mean, spread = fmean(x_M.tolist()), pvariance(x_M.tolist()) + advantage.EPSILON
    expected = [(x - mean) / math.sqrt(spread) for x in x_M.tolist()]
    assert advantage.whiten(x_M).tolist() == pytest.approx(expected, abs=1e-12)


def test_whiten_of_equal_values_is_finite() -> None:
    assert advantage.whiten(torch.full((3,), 2.0)).tolist() == [0, 0, 0]
    assert advantage.whiten(torch.tensor([2.0])).tolist() == [0]
    assert advantage.whiten(torch.full((3,), 2.0), shift_mean=False).tolist() == [2, 2, 2]


def test_whiten_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="no answer token"):
        advantage.whiten(torch.zeros(0))
