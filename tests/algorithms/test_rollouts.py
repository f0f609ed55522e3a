"""What online methods share: scores that are checked, what is paid, minibatches, ratios."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from accord.algorithms import rollouts
from accord.algorithms.rollouts import Rollout, ask, correction, paid, passes, within_budget
from accord.algorithms.settings import KLSettings, PPOConfig, ShapingSettings
from accord.core.errors import ConfigError, DataError, DivergenceError
from accord.text.tokenized import Tokenized
from tests.algorithms.arena import CONFIG, arena, said


def rollout(scores: Sequence[float], *, counts: Sequence[int], stops: Sequence[bool]) -> Rollout:
    """Answers of these lengths with these scores."""
    return Rollout(
        asked=[0] * len(counts),
        answers=said(counts, stops),
        rows=[Tokenized((5,) + (1,) * n, (False,) + (True,) * n) for n in counts],
        score_B=torch.tensor(scores),
        shaped_B=torch.tensor(scores),
    )


@pytest.mark.parametrize(
    ("missing", "clip", "earned"),
    [
        (None, None, [9.0, 9.0, -9.0]),
        (-1.0, None, [9.0, -1.0, -9.0]),
        (-1.0, 5.0, [5.0, -1.0, -5.0]),
        (-8.0, 5.0, [5.0, -5.0, -5.0]),
        (None, 5.0, [5.0, 5.0, -5.0]),
    ],
)
def test_missing_stops_and_clipping(
    missing: float | None, clip: float | None, earned: list[float]
) -> None:
    batch = rollout([9.0, 9.0, -9.0], counts=[1, 1, 1], stops=[True, False, True])
    config = PPOConfig(missing_stop_score=missing, score_clip=clip)
    assert paid(config, batch).tolist() == pytest.approx(earned)


def test_nothing_is_gained_by_never_stopping() -> None:
    """An unfinished answer that scores below the fixed score keeps what it scores."""
    batch = rollout([-3.0, -3.0], counts=[1, 1], stops=[True, False])
    assert paid(PPOConfig(missing_stop_score=-1.0), batch).tolist() == [-3.0, -3.0]


def test_what_is_paid_is_the_shaped_score() -> None:
    batch = replace(rollout([9.0], counts=[1], stops=[True]), shaped_B=torch.tensor([0.25]))
    assert paid(PPOConfig(), batch).tolist() == [0.25]


def test_bounds_of_a_score_are_no_bounds_of_a_preference() -> None:
    """An answer that was cut has a preference made of its held score; -1 is in another unit."""
    cut = replace(rollout([9.0], counts=[1], stops=[False]), shaped_B=torch.tensor([0.75]))
    config = PPOConfig(missing_stop_score=-1.0, score_clip=0.5)
    shaping = ShapingSettings(references=2)
    assert paid(replace(config, shaping=shaping), cut).tolist() == [0.75]
    assert paid(config, cut).tolist() == [-0.5]


def test_long_answers_earn_less_by_a_ramp() -> None:
    """DAPO, eq. 13: limit 10, the last 4 tokens: nothing up to 6, then a quarter a token."""
    taken = rollouts.overlong([1, 6, 7, 8, 9, 10], ramp=4, most=10)
    assert taken.tolist() == [0, 0, 0.25, 0.5, 0.75, 1]
    held = [False] + [True] * 2
    batch = rollout([9.0, 9.0, 0.5], counts=[10, 9, 6], stops=held)
    config = PPOConfig(max_tokens=10, shaping=ShapingSettings(overlong=4))
    assert paid(config, batch).tolist() == [-2.0, 4.25, 0.5]  # behind the bounds of a score
    par = replace(config, shaping=ShapingSettings(overlong=4, references=2))
    batch = replace(batch, shaped_B=torch.tensor([0.5, 0.5, 0.5]))
    assert paid(par, batch).tolist() == [-0.5, -0.25, 0.5]


@pytest.mark.parametrize("overlong", [48, 60])
def test_a_ramp_longer_than_an_answer_is_refused(overlong: int) -> None:
    with pytest.raises(ConfigError, match="less than max_tokens"):
        PPOConfig(max_tokens=48, shaping=ShapingSettings(overlong=overlong))
    with pytest.raises(ConfigError, match="at least 0"):
        ShapingSettings(overlong=-1)


def test_scores_are_shaped_and_both_are_kept(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    ring.change(shape=lambda batch: (batch.score_B / 2 + 1).tolist())
    batch = ask(CONFIG, ring.parts, 0, seed=4)
    assert torch.equal(batch.shaped_B, batch.score_B / 2 + 1)
    (row,) = [dict(row) for row in ring.rows()][:1]
    assert row["reward/score"] == pytest.approx(batch.score_B.mean().item())
    assert row["reward/shaped"] == pytest.approx(batch.shaped_B.mean().item())
    assert row["reward/total"] == pytest.approx(batch.shaped_B.mean().item())  # KL is still 0


@pytest.mark.parametrize("what", ["score", "shape"])
@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ([0.0] * 15, DataError, "15 scores, 16 answers"),
        ([0.0] * 15 + [math.nan], DivergenceError, "not a finite number"),
        ([math.inf] + [0.0] * 15, DivergenceError, "not a finite number"),
    ],
)
def test_scores_that_cannot_be_trained_on(
    tiny_folder: Path, what: str, wrong: list[float], error: type[Exception], said: str
) -> None:
    ring = arena(tiny_folder)
    ring.change(**{what: lambda *asked: wrong})
    with pytest.raises(error, match=said):
        ask(CONFIG, ring.parts, 0, seed=4)


def test_passes_take_every_answer_once() -> None:
    config = replace(CONFIG, epochs=3, minibatches=4)
    taken = list(passes(config, 16, 0, 4))
    assert [len(part) for part in taken] == [4] * 12
    epochs = [[i for part in taken[4 * e : 4 * e + 4] for i in part] for e in range(3)]
    assert all(sorted(epoch) == list(range(16)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert list(passes(CONFIG, 16, 7, 4)) == [list(range(16))]  # the order of the pass before it


def test_without_a_correction_every_token_weighs_one() -> None:
    batch = rollout([0.0], counts=[3], stops=[True])
    weight_M, metrics = correction(CONFIG, batch, torch.zeros(3))
    assert weight_M.tolist() == [1, 1, 1]
    assert metrics == {}


def test_a_correction_weighs_by_what_the_sampler_said() -> None:
    """Ratios 1, 2, 8 under a cap of 4."""
    batch = rollout([0.0, 0.0], counts=[2, 1], stops=[True, True])
    logprobs = (math.log(0.5), math.log(0.25)), (math.log(0.0625),)
    answers = [
        replace(answer, logprobs=logp) for answer, logp in zip(batch.answers, logprobs, strict=True)
    ]
    weight_M, metrics = correction(
        replace(CONFIG, correction=4.0),
        replace(batch, answers=answers),
        torch.full((3,), math.log(0.5)),
    )
    assert weight_M.tolist() == pytest.approx([1, 2, 4])
    assert metrics["importance/max"].item() == pytest.approx(8)
    assert metrics["importance/mean"].item() == pytest.approx(11 / 3)
    assert metrics["importance/truncated"].item() == pytest.approx(1 / 3)


def test_the_budget_is_held_against_the_last_four(tiny_folder: Path) -> None:
    state = arena(tiny_folder).state
    settings = KLSettings(budget=1.0)
    found = []
    for step, measured in enumerate((0.0, 0.5, 3.0, 0.4, 0.5, 0.3)):
        state.step = step
        found.append(within_budget(settings, state, measured))
    # Means .0, .25, 1.17 - but a mean of fewer than four counts as well.
    assert found[:3] == [True, True, False]
    assert state.numbers["budget_spent"] == 1
    assert rollouts.within_budget(KLSettings(), state, 1e9)
