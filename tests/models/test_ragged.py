"""Ragged batches by hand, their padded forms, how they are cut, and a common start run once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ModelError
from accord.models.ragged import LEAST, Folded, Ragged, micro_batches, pad
from accord.text.tokenized import Tokenized, TokenRows

TWO = [
    Tokenized((11, 12, 13), (False, True, True)),
    Tokenized((21, 22, 23, 24), (True, False, True, False)),
]


def test_a_batch_by_hand() -> None:
    batch = Ragged.of(TWO)
    assert batch.ids_N.tolist() == [11, 12, 13, 21, 22, 23, 24]
    assert batch.positions_N.tolist() == [0, 1, 2, 0, 1, 2, 3]
    assert batch.lengths == (3, 4)
    assert batch.tokens == 7
    # Tokens 12, 13 and 23 are predicted one row before them; a first token never is.
    assert batch.rows_M.tolist() == [0, 1, 4]
    assert batch.targets_M.tolist() == [12, 13, 23]
    assert batch.counts == (2, 1)
    assert batch.last_rows_B.tolist() == [2, 6]


def test_stored_rows_give_the_same_batch() -> None:
    stored = TokenRows.build(TWO)
    one, other = Ragged.of(TWO), Ragged.of([stored[0], stored[1]])
    for name in ("ids_N", "positions_N", "rows_M", "targets_M"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert (one.lengths, one.counts) == (other.lengths, other.counts)


def test_padding_by_hand() -> None:
    ids, positions, real = Ragged.of(TWO).padded("right")
    assert ids.tolist() == [[11, 12, 13, 0], [21, 22, 23, 24]]
    assert positions.tolist() == [[0, 1, 2, 0], [0, 1, 2, 3]]
    assert real.tolist() == [[True, True, True, False], [True] * 4]
    ids, positions, real = Ragged.of(TWO).padded("left")
    assert ids.tolist() == [[0, 11, 12, 13], [21, 22, 23, 24]]
    assert positions.tolist() == [[0, 0, 1, 2], [0, 1, 2, 3]]
    assert real.tolist() == [[False, True, True, True], [True] * 4]


@pytest.mark.parametrize("sequences", [[], [Tokenized((), ())], [TWO[0], Tokenized((), ())]])
def test_an_empty_batch_or_sequence_is_refused(sequences: list[Tokenized]) -> None:
    with pytest.raises(ModelError, match="at least one token"):
        Ragged.of(sequences)


def test_micro_batches_by_hand() -> None:
    assert list(micro_batches([3, 4, 2, 9, 1, 1], 7)) == [[0, 1], [2], [3], [4, 5]]
    assert list(micro_batches([], 7)) == []


@given(lengths=st.lists(st.integers(1, 20)), tokens=st.integers(1, 30))
def test_micro_batches_keep_order_and_limit(lengths: list[int], tokens: int) -> None:
    groups = list(micro_batches(lengths, tokens))
    assert [index for group in groups for index in group] == list(range(len(lengths)))
    used = [sum(lengths[i] for i in group) for group in groups]
    assert all(n <= tokens or len(g) == 1 for n, g in zip(used, groups, strict=True))
    # Greedy: the next sequence would not have fitted.
    for n, after in zip(used, groups[1:], strict=False):
        assert n + lengths[after[0]] > tokens


def test_pad_puts_the_fill_behind() -> None:
    flat = torch.tensor([1.0, 2.0, 3.0])
    assert pad(flat, [1, 2], fill=-1).tolist() == [[1.0, -1.0], [2.0, 3.0]]


START = tuple(range(50, 50 + LEAST))


def untrained(*ids: tuple[int, ...]) -> Ragged:
    return Ragged.of([Tokenized(row, (False,) * len(row)) for row in ids])


def test_a_common_start_is_folded_by_hand() -> None:
    batch = untrained((*START, 1, 2), (*START, 3), (*START, 1, 3, 4))
    folded = Folded.of(batch)
    assert folded.prefix == LEAST
    assert folded.lengths == (2, 1, 3)
    assert folded.ids_R.tolist() == [*START, 1, 2, 3, 1, 3, 4]
    assert folded.positions_R.tolist() == [*range(LEAST), 8, 9, 8, 8, 9, 10]
    first = list(range(LEAST))
    assert folded.rows_N.tolist() == [*first, 8, 9, *first, 10, *first, 11, 12, 13]


@pytest.mark.parametrize(
    "ids",
    [
        ((*START, 1, 2),),
        ((*START[1:], 1), (*START[1:], 2)),
        ((*START, 1), (9, *START[1:], 1)),
        (START, START),  # each keeps a token of its own: one less than enough is left
    ],
)
def test_what_has_no_common_start_is_run_as_it_is(
    ids: tuple[tuple[int, ...], ...],
) -> None:
    batch = untrained(*ids)
    folded = Folded.of(batch)
    assert folded.prefix == 0
    assert folded.lengths == batch.lengths
    assert torch.equal(folded.ids_R, batch.ids_N)
    assert torch.equal(folded.positions_R, batch.positions_N)
    hidden = torch.randn(batch.tokens, 3)
    assert folded.unfolded(hidden) is hidden


token = st.integers(0, 1)


@given(start=st.lists(token, max_size=12), own=st.lists(st.lists(token, min_size=1), min_size=1))
def test_unfolding_gives_the_batch_back(start: list[int], own: list[list[int]]) -> None:
    batch = untrained(*((*start, *row) for row in own))
    folded = Folded.of(batch)
    assert torch.equal(folded.ids_R[folded.rows_N], batch.ids_N)
    assert torch.equal(folded.positions_R[folded.rows_N], batch.positions_N)
    assert len(folded.ids_R) == folded.prefix + sum(folded.lengths)
    assert min(folded.lengths) >= 1
    assert folded.prefix == 0 or folded.prefix >= LEAST
    assert folded.prefix >= len(start) or len(start) < LEAST or len(own) == 1


def test_the_gradient_of_unfolding_is_that_of_taking_rows() -> None:
    folded = Folded.of(untrained(*((*START, *row) for row in ((1, 2), (3,), (4, 5, 6)))))
    hidden = torch.randn(len(folded.ids_R), 3, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(len(folded.rows_N), 3, dtype=torch.float64)
    (ours,) = torch.autograd.grad((folded.unfolded(hidden) * pull).sum(), hidden)
    (plain,) = torch.autograd.grad((hidden[folded.rows_N] * pull).sum(), hidden)
    torch.testing.assert_close(ours, plain)
