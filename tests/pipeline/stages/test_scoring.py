"""How answers are scored while a policy trains and when it is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from accord.core.errors import ModelError
from accord.models.head import Heads
from accord.models.role import Role, ScalarHead, Scale
from accord.pipeline.stages.scoring import Scorer
from accord.text.tokenized import Tokenized
from tests.models.workshop import with_adapters

STOP = 0


def test_an_answer_that_was_cut_is_scored_as_one_that_ends_there(tiny_folder: Path) -> None:
    """The same words get the same score, whether a limit or the policy ended them."""
    backbone = with_adapters(tiny_folder, "reward")
    reward = Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=1))
    prompt, said = [5, 6, 7], [11, 12, 13, 14]
    cut = Tokenized.answered(prompt, said)
    ends = Tokenized.answered(prompt, [*said, STOP])
    other = Tokenized.answered(prompt, [*said[:-1], STOP])
    one, whole, third = Scorer(reward, STOP, 64)([cut, ends, other])
    assert one == pytest.approx(whole, abs=1e-6)
    assert abs(one - third) > 1e-5
    (bare,) = Scorer(reward, said[-1], 64)([cut])  # read at its last word
    assert abs(bare - one) > 1e-5


def test_each_score_comes_with_its_doubt(tiny_folder: Path) -> None:
    """The score as it is alone, and how far the heads are apart, in the unit of the score."""
    backbone = with_adapters(tiny_folder, "reward")
    heads = Heads(backbone.hidden_size, 3, seed=1)
    reward = Role(backbone, ("reward",), heads, Scale(0.1, 0.5))
    rows = [Tokenized.answered([5, 6, 7], [11 + i, 12, 13]) for i in range(4)]
    scorer = Scorer(reward, STOP, 9)
    found = scorer.each(rows)
    assert [score for score, _ in found] == pytest.approx(scorer(rows), abs=1e-5)
    for row, (_, doubt) in zip(rows, found, strict=True):
        batch = scorer._batches([row])
        with torch.no_grad():
            (each,) = reward.raw_scores_each(next(iter(batch)))
        assert doubt == pytest.approx(float(each.std(correction=0)) / 0.5, rel=1e-4)
    assert min(doubt for _, doubt in found) > 0


def test_a_model_without_doubt_says_so(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "reward")
    reward = Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=1))
    with pytest.raises(ModelError, match=r"reward\.heads"):
        Scorer(reward, STOP, 64).each([Tokenized.answered([5], [11])])
