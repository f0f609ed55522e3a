"""Heads: several on one trunk, what they are as one, read back to the bit, and a doubt by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from accord.core.errors import ModelError
from accord.models.head import (
    DOUBT_FILE,
    HEAD_FILE,
    Doubt,
    Heads,
    ScalarHead,
    Scale,
    fresh_head,
    load_doubt,
    load_head,
    save_head_files,
)
from accord.models.ragged import Ragged
from accord.models.role import Role, save_head
from tests.models.workshop import Folders, rows, with_adapters

ROWS = rows(3, (9, 4, 12, 7))


@torch.no_grad()
def test_heads_start_apart_and_say_their_mean() -> None:
    heads, hidden_ND = Heads(16, 4, seed=3), torch.randn(5, 16)
    each = heads.each(hidden_ND)
    assert each.shape == (5, 4)
    assert len({tuple(part.weight.tolist()) for part in heads.parts}) == 4
    assert torch.equal(heads.parts[0].weight, ScalarHead(16, seed=3).weight)
    torch.testing.assert_close(heads(hidden_ND), each.mean(1))
    torch.testing.assert_close(heads.mean_head()(hidden_ND), each.mean(1))
    assert all(part.weight.ndim == 1 for part in heads.parts)  # weight decay acts on matrices


def test_one_head_is_no_ensemble() -> None:
    assert isinstance(fresh_head(8, 1, seed=0), ScalarHead)
    head = fresh_head(8, 2, seed=0)
    assert isinstance(head, Heads)
    assert len(head.parts) == 2


def test_heads_and_doubt_read_back_to_the_bit(folder_of: Folders, tmp_path: Path) -> None:
    backbone = with_adapters(folder_of("llama"), "reward")
    size = backbone.hidden_size
    heads = Heads(size, 3, seed=1)
    cover = torch.randn(size, size, dtype=torch.float64)
    doubt = Doubt(torch.randn(size, dtype=torch.float64), cover @ cover.T)
    role = Role(backbone, ("reward",), heads, Scale(0.3, 2.0, "a", "b"), doubt=doubt)
    digest = save_head(role, tmp_path)
    head, scale = load_head(size, tmp_path)
    again = Role(backbone, ("reward",), head, scale, doubt=load_doubt(size, tmp_path))
    batch = Ragged.of(ROWS)
    with torch.no_grad():
        assert torch.equal(again.raw_scores_each(batch), role.raw_scores_each(batch))
        for one, other in zip(
            again.scores_and_doubts(batch), role.scores_and_doubts(batch), strict=True
        ):
            assert torch.equal(one, other)
    assert isinstance(head, Heads)
    assert not any(parameter.requires_grad for parameter in head.parameters())
    assert save_head(again, tmp_path) == digest


def test_a_doubt_by_hand(folder_of: Folders) -> None:
    """Variance of the heads and of the posterior add up; both in the unit of the score."""
    doubt = Doubt(
        torch.tensor([1.0, 0.0], dtype=torch.float64),
        torch.tensor([[4.0, 0.0], [0.0, 9.0]], dtype=torch.float64),
    )
    assert doubt(torch.tensor([[1.0, 0.0], [2.0, 0.0], [2.0, 1.0]])).tolist() == pytest.approx(
        [0, 2, math.sqrt(4 + 9)]
    )
    backbone = with_adapters(folder_of("llama"), "reward")
    size = backbone.hidden_size
    role = Role(backbone, ("reward",), Heads(size, 2, seed=1), Scale(0.5, 2.0))
    batch = Ragged.of(ROWS)
    with torch.no_grad():
        each = role.raw_scores_each(batch)
        score, apart = role.scores_and_doubts(batch)
        torch.testing.assert_close(score, role.scores(batch))
        torch.testing.assert_close(apart, (each[:, 0] - each[:, 1]).abs() / 2 / 2)
        role.doubt = Doubt(torch.zeros(size).double(), torch.eye(size).double())
        hidden_BD = role.hidden(batch)[batch.last_rows_B]
        both = role.scores_and_doubts(batch)[1]
    torch.testing.assert_close(
        both, (apart.square() + hidden_BD.square().sum(1) / 4).sqrt(), rtol=1e-5, atol=1e-6
    )


def test_one_head_without_a_posterior_knows_no_doubt(folder_of: Folders) -> None:
    backbone = with_adapters(folder_of("llama"), "reward")
    role = Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=1))
    with pytest.raises(ModelError, match="how unsure"):
        role.scores_and_doubts(Ragged.of(ROWS))


def test_a_damaged_doubt_or_heads_of_another_width_are_refused(tmp_path: Path) -> None:
    save_head_files(Heads(8, 2, seed=0), Scale(), tmp_path)
    with pytest.raises(ModelError, match="head cannot be read"):
        load_head(9, tmp_path)
    assert load_doubt(8, tmp_path) is None
    save_file({"centre": torch.zeros(8), "covariance": torch.zeros(4, 4)}, tmp_path / DOUBT_FILE)
    with pytest.raises(ModelError, match="doubt cannot be read"):
        load_doubt(8, tmp_path)
    (tmp_path / DOUBT_FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="doubt cannot be read"):
        load_doubt(8, tmp_path)
    (tmp_path / HEAD_FILE).unlink()
    with pytest.raises(ModelError, match="head cannot be read"):
        load_head(8, tmp_path)
