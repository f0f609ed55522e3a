"""Attention inside the sequences of a row."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from accord.core.errors import ModelError
from accord.models.attention import Layout, causal, ragged_attention
from accord.models.ragged import Folded


def laid(lengths: tuple[int, ...], prefix: int = 0) -> Layout:
    """Sequences of so many own tokens behind a common start; attention reads nothing else."""
    none = torch.zeros(0)
    return Layout.of(Folded(none, none, prefix, lengths, none))


def test_attention_stays_inside_a_sequence_and_groups_heads() -> None:
    torch.manual_seed(0)
    lengths, heads, groups, size = (3, 5, 1), 2, 3, 4
    query = torch.randn(1, heads * groups, sum(lengths), size)
    key, value = torch.randn(2, 1, heads, sum(lengths), size)
    out, weights = ragged_attention(
        torch.nn.Module(), query, key, value, None, ragged=laid(lengths), scaling=0.3
    )
    assert weights is None
    start = 0
    for length in lengths:
        here = slice(start, start := start + length)
        k, v = (x[:, :, here].repeat_interleave(groups, 1) for x in (key, value))
        scores = query[:, :, here] @ k.transpose(-1, -2) * 0.3
        hidden = torch.ones(length, length).triu(1).bool()
        want = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v
        torch.testing.assert_close(out[:, here], want.transpose(1, 2))


def test_attention_that_is_more_than_plain_is_refused() -> None:
    x = torch.randn(1, 2, 4, 4)
    with pytest.raises(ModelError, match="packed attention"):
        ragged_attention(torch.nn.Module(), x, x, x, None, ragged=laid((4,)), softcap=30.0)
    plain, _ = ragged_attention(
        torch.nn.Module(), x, x, x, None, ragged=laid((4,)), sliding_window=None
    )
    want = F.scaled_dot_product_attention(x, x, x, is_causal=True).transpose(1, 2)
    torch.testing.assert_close(plain, want)


SHARED = [(8, (3, 5, 1)), (21, (4, 30, 11, 12)), (33, (1, 1)), (40, (70, 25))]


@pytest.mark.parametrize(("prefix", "lengths"), SHARED)
def test_a_token_gets_the_same_bits_behind_a_common_start(
    prefix: int, lengths: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, prefix + sum(lengths), 16).bfloat16() for heads in (6, 2, 2)
    )
    out, _ = ragged_attention(
        torch.nn.Module(), query, key, value, None, ragged=laid(lengths, prefix)
    )
    place = prefix
    for length in lengths:
        alone = (
            torch.cat((x[:, :, :prefix], x[:, :, place : place + length]), 2)
            for x in (query, key, value)
        )
        want = causal(*alone).transpose(1, 2)
        assert torch.equal(out[:, :prefix], want[:, :prefix])
        assert torch.equal(out[:, place : place + length], want[:, prefix:])
        place += length
