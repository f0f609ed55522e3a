"""How answers are scored while a policy trains and when it is compared."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.models.role import Role, ScalarHead
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
