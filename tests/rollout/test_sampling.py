"""Drawing tokens: the right distribution, exact log-probabilities, and nothing that cannot be."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from accord.core.errors import DivergenceError
from accord.core.types import SamplingSettings
from accord.rollout.sampling import BLOCK, draw, next_token, truncated, uniforms

LAST = 1 - 2**-53
"""The largest number that `uniforms` can give."""


@pytest.mark.parametrize("vocabulary", [5, BLOCK, 2 * BLOCK + 77])
def test_tokens_come_as_often_as_they_should(vocabulary: int) -> None:
    torch.manual_seed(0)
    draws = 40_000
    logits = 1.5 * torch.randn(vocabulary)
    logits[1:vocabulary:7] = float("-inf")
    token, _ = draw(logits.expand(draws, -1), uniforms(draws, 1, seed=1)[:, 0])
    counts = torch.bincount(token, minlength=vocabulary).double()
    expected = logits.double().softmax(-1) * draws
    often = expected >= 5
    observed = torch.cat((counts[often], counts[~often].sum()[None]))
    wanted = torch.cat((expected[often], expected[~often].sum()[None]))
    kept = wanted > 0
    assert not counts[expected == 0].any()
    assert stats.chisquare(observed[kept], wanted[kept]).pvalue > 0.01


def test_the_uniform_number_is_the_quantile() -> None:
    logits = torch.tensor([0.2, 0.5, 0.3]).log().expand(6, -1)
    where = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, LAST], dtype=torch.float64)
    assert draw(logits, where)[0].tolist() == [0, 0, 1, 1, 2, 2]


@given(
    logits=arrays.arrays(
        "float32",
        st.sampled_from([1, 3, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5]),
        elements=st.one_of(
            st.floats(-80, 80, width=32), st.sampled_from([-math.inf, -1e30, -104.0, 0.0])
        ),
        fill=st.sampled_from([-math.inf, -3.0]),
    ),
    uniform=st.one_of(
        st.sampled_from([0.0, 2**-1074, 2**-53, 0.5, LAST]), st.floats(0, 1, exclude_max=True)
    ),
)
def test_a_token_of_probability_zero_is_never_drawn(logits: object, uniform: float) -> None:
    row = torch.as_tensor(logits)[None]
    if not row.max().isfinite():
        row[0, -1] = 0.0
    token, logp = draw(row, torch.tensor([uniform], dtype=torch.float64))
    assert 0 <= token.item() < row.shape[-1]
    assert row[0, token.item()].isfinite()
    torch.testing.assert_close(logp[0], row[0].log_softmax(-1)[token.item()], atol=2e-5, rtol=1e-5)


SETTINGS = [
    SamplingSettings(temperature=0.7),
    SamplingSettings(temperature=2.0, top_k=3),
    SamplingSettings(top_p=0.6),
    SamplingSettings(temperature=1.3, top_k=6, top_p=0.8),
    SamplingSettings(top_k=1),
    SamplingSettings(top_p=1e-9),
    SamplingSettings(top_k=1000),
]


def by_hand(row: list[float], settings: SamplingSettings) -> dict[int, float]:
    """Token to probability after temperature, then top-k, then top-p, renormalised."""
    weights = {i: math.exp(x / settings.temperature) for i, x in enumerate(row)}
    likely = sorted(weights, key=lambda i: -weights[i])[: settings.top_k or None]
    total = sum(weights[i] for i in likely)
    kept, reached = [], 0.0
    for i in likely:
        if reached >= settings.top_p:
            break
        kept.append(i)
        reached += weights[i] / total
    total = sum(weights[i] for i in kept)
    return {i: weights[i] / total for i in kept}


@pytest.mark.parametrize("settings", SETTINGS)
def test_logprobs_are_of_the_truncated_distribution(settings: SamplingSettings) -> None:
    torch.manual_seed(3)
    row = torch.randn(12)
    wanted = by_hand(row.tolist(), settings)
    kept = truncated(row[None], settings)[0].isfinite()
    assert set(kept.nonzero().flatten().tolist()) == set(wanted)
    token, logp = next_token(row.expand(4000, -1), uniforms(4000, 1, seed=0)[:, 0], settings)
    assert set(token.tolist()) <= set(wanted)
    for i, probability in wanted.items():
        assert (token == i).double().mean().item() == pytest.approx(probability, abs=0.03)
        if (token == i).any():
            found = logp[token == i]
            assert found.tolist() == pytest.approx([math.log(probability)] * len(found), abs=1e-5)


def test_greedy_takes_the_likeliest_token_for_certain() -> None:
    logits = torch.tensor([[0.1, 3.0, 0.2], [9.0, 3.0, 0.2]])
    greedy = SamplingSettings(temperature=0, top_k=2, top_p=0.5)
    token, logp = next_token(logits, torch.tensor([0.99, 0.99]).double(), greedy)
    assert token.tolist() == [1, 0]
    assert logp.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_no_numbers_stop_the_run(bad: float, temperature: float) -> None:
    logits = torch.zeros(2, 5)
    logits[1, 3] = bad
    with pytest.raises(DivergenceError, match="logits are not finite"):
        next_token(logits, torch.zeros(2).double(), SamplingSettings(temperature=temperature))


def test_a_very_low_temperature_is_greedy() -> None:
    logits = torch.tensor([[1.0, 1.001, 0.0]])
    token, logp = next_token(
        logits, torch.tensor([0.5]).double(), SamplingSettings(temperature=1e-30)
    )
    assert token.item() == 1
    assert logp.item() == pytest.approx(0)


def test_uniforms_are_set_by_their_seed_and_in_range() -> None:
    one = uniforms(40, 30, seed=5)
    assert torch.equal(one, uniforms(40, 30, seed=5))
    assert not torch.equal(one, uniforms(40, 30, seed=6))
    assert one.dtype is torch.float64
    assert 0 <= one.min().item() < one.max().item() < 1
    assert stats.kstest(one.flatten().numpy(), "uniform").pvalue > 0.01
