"""Attention of many sequences at once: the kernel's bits, and a gradient as good as its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from accord.models import blocks as under_test
from accord.models.attention import Layout, one_by_one, ragged_attention
from accord.models.blocks import LONGEST, blocks, hidden_QS, whole_slots
from accord.models.ragged import Folded

NOTHING = torch.zeros(0)


def laid(prefix: int, lengths: tuple[int, ...]) -> Folded:
    return Folded(NOTHING, NOTHING, prefix, lengths, NOTHING)


def drawn(folded: Folded, heads: tuple[int, int] = (6, 2), size: int = 16) -> list[Tensor]:
    """Rounded queries, keys and values, and what their output is pulled by: `[1, H, N, D]`."""
    torch.manual_seed(1)
    tokens = folded.prefix + sum(folded.lengths)
    counts = (heads[0], heads[1], heads[1], heads[0])
    return [torch.randn(1, count, tokens, size).bfloat16() for count in counts]


def gradients(attend: Callable[..., Tensor], given: list[Tensor]) -> list[Tensor]:
    *inputs, pull = given
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    return list(torch.autograd.grad(attend(*inputs), inputs, pull))


def by_blocks(folded: Folded) -> Callable[..., Tensor]:
    layout = Layout.of(folded)
    assert layout.blocks is not None

    def attend(*given: Tensor) -> Tensor:
        out, _ = ragged_attention(torch.nn.Module(), *given, None, ragged=layout)
        return out.transpose(1, 2)

    return attend


def apart(folded: Folded) -> Callable[..., Tensor]:
    return lambda q, k, v: one_by_one(q, k, v, folded)


def exact(folded: Folded) -> Callable[..., Tensor]:
    """By one mask over the whole row, in the inputs' dtype."""
    sequence = [-1] * folded.prefix + [i for i, n in enumerate(folded.lengths) for _ in range(n)]
    number = torch.tensor(sequence)
    see = (number == number[:, None]) | (number == -1)
    see &= torch.ones_like(see).tril()

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        groups = q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(groups, 1) for x in (k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=see)

    return attend


def error(found: list[Tensor], true: list[Tensor]) -> float:
    gap = sum(float((a.double() - b).pow(2).sum()) for a, b in zip(found, true, strict=True))
    return (gap / sum(float(b.pow(2).sum()) for b in true)) ** 0.5


CASES = [
    (0, (5, 40, 33, 1, 64)),
    (8, (3, 5, 1, 2)),
    (21, (25, 3, 70, 30, 25, 11, 12)),
    (64, (1, 1, 200)),
    (0, (130,)),
    (300, (200, 7)),
]


@pytest.mark.parametrize(("prefix", "lengths"), CASES)
@pytest.mark.parametrize("heads", [(6, 2), (4, 4), (3, 1)])
def test_a_block_gives_the_bits_of_each_sequence_alone(
    prefix: int, lengths: tuple[int, ...], heads: tuple[int, int]
) -> None:
    folded = laid(prefix, lengths)
    q, k, v, _ = drawn(folded, heads)
    assert torch.equal(by_blocks(folded)(q, k, v), apart(folded)(q, k, v))


@pytest.mark.parametrize("left_over", [1, 2, 3])
def test_queries_left_over_of_the_kernels_pieces_get_the_same_bits(left_over: int) -> None:
    folded = laid(33, (64 + left_over,) * 60)
    q, k, v, _ = drawn(folded, (8, 4), 64)
    assert torch.equal(by_blocks(folded)(q, k, v), apart(folded)(q, k, v))


@pytest.mark.parametrize(("prefix", "lengths"), CASES)
def test_the_gradient_is_no_further_from_the_exact_one_than_the_kernels(
    prefix: int, lengths: tuple[int, ...]
) -> None:
    folded = laid(prefix, lengths)
    given = drawn(folded)
    true = gradients(exact(folded), [x.double() for x in given])
    ours = error(gradients(by_blocks(folded), given), true)
    kernels = error(gradients(apart(folded), given), true)
    assert ours < 0.005
    assert ours < 1.1 * kernels


@settings(max_examples=30, deadline=None)
@given(
    prefix=st.sampled_from([0, 8, 9, 40]),
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6),
    piece=st.sampled_from([1, 3000, 1 << 17]),
    step=st.sampled_from([1, 7, 32, 64]),
)
def test_the_gradient_is_right_however_it_is_cut(
    prefix: int, lengths: list[int], piece: int, step: int
) -> None:
    folded = laid(prefix, tuple(lengths))
    given = drawn(folded)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "PIECE", piece)
        patch.setattr(under_test, "STEP", step)
        ours = gradients(by_blocks(folded), given)
    assert error(ours, gradients(exact(folded), [x.double() for x in given])) < 0.01


def test_a_scale_that_is_given_is_used() -> None:
    folded = laid(8, (3, 5))
    *inputs, pull = drawn(folded)
    layout = Layout.of(folded)

    def scaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out, _ = ragged_attention(torch.nn.Module(), q, k, v, None, ragged=layout, scaling=0.7)
        return out.transpose(1, 2)

    def true(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return exact(folded)(q * 0.7 * q.shape[-1] ** 0.5, k, v)

    assert torch.equal(scaled(*inputs), one_by_one(*inputs, folded, 0.7))
    wanted = gradients(true, [x.double() for x in (*inputs, pull)])
    assert error(gradients(scaled, [*inputs, pull]), wanted) < 0.005


def test_every_token_is_in_one_block_by_hand() -> None:
    start, short, long = blocks(laid(8, (30, 2, 1)))
    assert (start.before, start.queries, start.keys) == (0, 8, 8)
    assert start.queries_BQ.shape == start.keys_BS.shape == (1, 64)  # with the first sequence
    assert start.rows.tolist() == start.places.tolist() == list(range(8))
    assert (short.before, short.queries, short.keys) == (8, 2, 10)
    assert short.queries_BQ.tolist() == [[38, 39, 39, 39], [40, 40, 40, 40]]
    assert short.keys_BS[:, :11].tolist() == [[*range(8), 38, 39, 39], [*range(8), 40, 40, 40]]
    assert short.rows.tolist() == [38, 39, 40]
    assert short.places.tolist() == [0, 1, 2]
    assert short.pads.tolist() == [3]
    assert (long.queries_BQ.shape[1], long.queries) == (32, 30)
    assert long.keys_BS.shape[1] == 64
    assert long.rows.tolist() == list(range(8, 38))


def test_slots_and_what_a_query_does_not_see_by_hand() -> None:
    assert [whole_slots(n) for n in (1, 32, 33)] == [32, 32, 64]
    hidden = hidden_QS(2, 4, 1, torch.float32)
    assert (hidden == 0).tolist() == [[True, True, False, False], [True, True, True, False]]
    assert bool((hidden[hidden != 0] == float("-inf")).all())


def test_long_sequences_and_float32_are_left_to_the_kernel() -> None:
    assert Layout.of(laid(0, (LONGEST, 3))).blocks is not None
    assert Layout.of(laid(8, (LONGEST, 3))).blocks is None
    folded = laid(8, (3, 5))
    inputs = [x.float() for x in drawn(folded)[:3]]
    out, _ = ragged_attention(torch.nn.Module(), *inputs, None, ragged=Layout.of(folded))
    torch.testing.assert_close(out.transpose(1, 2), exact(folded)(*inputs))
