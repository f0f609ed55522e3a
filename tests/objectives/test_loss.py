"""The checks that every objective makes of what it is given."""

from __future__ import annotations

import math

import pytest
import torch

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import kl, language, pairs, policy, preference, reward, value
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape


def three(*, wrong: str = "", **names: float) -> dict[str, torch.Tensor]:
    """Vectors of 3 by name; the one called `wrong` has shape [3, 1], which would broadcast."""
    made = {name: torch.full((3,), number) for name, number in names.items()}
    if wrong:
        made[wrong] = made[wrong][:, None]
    return made


def test_shapes_are_named() -> None:
    with pytest.raises(InvariantError, match=r"(?s)different shapes.*'first': \(2,\).*\(2, 1\)"):
        same_shape(first=torch.zeros(2), second=torch.zeros(2, 1))


@pytest.mark.parametrize("wrong", ["logp_M", "old_logp_M", "advantage_M"])
def test_policy_does_not_broadcast(wrong: str) -> None:
    tensors = three(wrong=wrong, logp_M=-1.0, old_logp_M=-1.0, advantage_M=1.0)
    with pytest.raises(InvariantError):
        policy.clipped(**tensors, clip=0.2, global_tokens=3)


@pytest.mark.parametrize("wrong", ["value_M", "old_value_M", "return_M"])
def test_value_does_not_broadcast(wrong: str) -> None:
    tensors = three(wrong=wrong, value_M=1.0, old_value_M=1.0, return_M=1.0)
    with pytest.raises(InvariantError):
        value.clipped(**tensors, clip=0.2, global_tokens=3)


@pytest.mark.parametrize("wrong", ["first_B", "second_B", "label_B", "weight_B", "margin_B"])
def test_reward_does_not_broadcast(wrong: str) -> None:
    tensors = three(wrong=wrong, first_B=1.0, second_B=0.0, label_B=1.0, weight_B=1.0, margin_B=0.0)
    with pytest.raises(InvariantError):
        reward.bradley_terry(**tensors, global_weight=3.0, global_clear=3.0)


@pytest.mark.parametrize("wrong", ["first_B", "second_B", "ref_first_B", "ref_second_B", "label_B"])
def test_dpo_does_not_broadcast(wrong: str) -> None:
    tensors = three(
        wrong=wrong,
        first_B=-1.0,
        second_B=-1.0,
        ref_first_B=-1.0,
        ref_second_B=-1.0,
        label_B=1.0,
        weight_B=1.0,
    )
    with pytest.raises(InvariantError):
        preference.dpo(**tensors, beta=0.1, global_weight=3.0, global_clear=3.0)


def test_kl_does_not_broadcast() -> None:
    with pytest.raises(InvariantError):
        kl.k1(torch.zeros(3), torch.zeros(3, 1))


@pytest.mark.parametrize("count", [0, -1, math.nan, math.inf])
def test_an_empty_batch_has_no_mean(count: float) -> None:
    with pytest.raises(DataError, match="global_tokens must be positive"):
        check_denominator("global_tokens", count)


def test_a_denominator_smaller_than_its_part_is_a_defect() -> None:
    """A micro-batch's own count in place of the batch's would pass only if it were the larger."""
    with pytest.raises(InvariantError, match="smaller than this part"):
        language.next_token(logp_M=torch.zeros(4), global_tokens=3)


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf])
def test_settings_must_be_positive(number: float) -> None:
    with pytest.raises(ConfigError, match="beta must be greater than 0"):
        check_positive("beta", number)


def test_objectives_refuse_bad_settings() -> None:
    tokens = three(logp_M=-1.0, old_logp_M=-1.0, advantage_M=1.0)
    with pytest.raises(ConfigError, match="clip"):
        policy.clipped(**tokens, clip=0.0, global_tokens=3)
    values = three(value_M=1.0, old_value_M=1.0, return_M=1.0)
    with pytest.raises(ConfigError, match="clip"):
        value.clipped(**values, clip=-0.2, global_tokens=3)
    sums = three(first_B=-1.0, second_B=-1.0, ref_first_B=-1.0, ref_second_B=-1.0)
    with pytest.raises(ConfigError, match="beta"):
        preference.dpo(
            **sums, **three(label_B=1.0, weight_B=1.0), beta=0, global_weight=3, global_clear=3
        )


def test_a_batch_without_weight_is_refused() -> None:
    tensors = three(first_B=1.0, second_B=0.0, label_B=1.0, weight_B=0.0, margin_B=0.0)
    totals = pairs.totals(label_B=tensors["label_B"], weight_B=tensors["weight_B"])
    with pytest.raises(DataError, match="global_weight"):
        reward.bradley_terry(**tensors, global_weight=totals.weight, global_clear=totals.clear)


def test_a_part_without_items_counts_nothing() -> None:
    """A micro-batch may hold no trained token of the batch; its loss is 0 and backward works."""
    logits = torch.randn(0, requires_grad=True)
    loss: Loss = language.next_token(logp_M=logits, global_tokens=5)
    loss.value.backward()
    assert loss.value.item() == 0
    assert logits.grad is not None
