"""How unsure a reward model is: the posterior of its head from the pairs it was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.doubt import doubt_of, last_states
from accord.models.head import Doubt, Heads, ScalarHead
from accord.models.role import Role
from accord.text.tokenized import TokenRow
from tests.algorithms.loops import comparisons
from tests.models.workshop import with_adapters


def scorer(folder: Path, heads: int) -> Role:
    backbone = with_adapters(folder, "reward")
    size = backbone.hidden_size
    return Role(
        backbone,
        ("reward",),
        ScalarHead(size, seed=1) if heads == 1 else Heads(size, heads, seed=1),
    )


def found(model: Role, data: TokenComparisons, zero: list[TokenRow], pairs: int = 999) -> Doubt:
    return doubt_of(model, data, zero, pairs=pairs, seed=4, micro_batch_tokens=200)


@pytest.mark.parametrize("heads", [1, 3])
def test_the_posterior_pair_by_pair(tiny_folder: Path, heads: int) -> None:
    """Of the mean head, with a comparison for one observation and the start for a prior."""
    data, model = comparisons(tiny_folder, 10), scorer(tiny_folder, heads)
    every = [data.responses[i] for i in range(len(data.responses))]
    states = last_states(every, model, 10_000).double().numpy()
    width = states.shape[1]
    weight = model.mean_head().weight.detach().double().numpy()
    share = data.weight_P.astype(float) * len(data.kept) / data.weight_P.sum()
    information = (width + 1.0) * np.eye(width)
    for first, second, own in zip(data.first_P, data.second_P, share, strict=True):
        apart = states[first] - states[second]
        chance = expit(apart @ weight)
        information += own * chance * (1 - chance) * np.outer(apart, apart)
    doubt = found(model, data, every[:4])
    np.testing.assert_allclose(doubt.covariance_DD, np.linalg.inv(information), atol=1e-8)
    np.testing.assert_allclose(doubt.centre_D, states[:4].mean(0), atol=1e-6)


def test_what_is_far_from_all_that_was_compared_is_in_more_doubt(tiny_folder: Path) -> None:
    data, model = comparisons(tiny_folder, 12), scorer(tiny_folder, 1)
    every = [data.responses[i] for i in range(len(data.responses))]
    doubt = found(model, data, every)
    states = last_states(every, model, 10_000)
    apart = states - states.mean(0)
    near = doubt(states)
    far = doubt(states + 4 * apart)
    assert (near >= 0).all()
    torch.testing.assert_close(far, 5 * near, rtol=1e-3, atol=1e-5)
    assert doubt(doubt.centre_D[None].float()).item() == pytest.approx(0, abs=1e-4)


def test_drawn_pairs_stand_for_those_that_were_not(tiny_folder: Path) -> None:
    """Half of the pairs leave about the doubt of all; the same seed draws the same."""
    data, model = comparisons(tiny_folder, 24), scorer(tiny_folder, 1)
    every = [data.responses[i] for i in range(len(data.responses))]
    all_of_them, half = found(model, data, every), found(model, data, every, data.pairs // 2)
    again = found(model, data, every, data.pairs // 2)
    assert torch.equal(half.covariance_DD, again.covariance_DD)
    assert not torch.equal(half.covariance_DD, all_of_them.covariance_DD)
    whole = all_of_them.covariance_DD.diagonal().sum()
    assert float(half.covariance_DD.diagonal().sum() / whole) == pytest.approx(1, abs=0.15)
