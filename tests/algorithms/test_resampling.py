"""Dynamic sampling: prompts without a spread are replaced, counted, and the same again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.algorithms import rollouts
from accord.algorithms.resampling import flat, resample
from accord.algorithms.rollouts import Rollout
from accord.algorithms.settings import GRPOConfig
from accord.core.metrics import check_row
from accord.core.types import Completion
from accord.text.tokenized import Tokenized
from tests.algorithms.loops import Run, check_resume
from tests.algorithms.ring import Ring, ring_of
from tests.algorithms.test_group_rl import GRPO, GSPO

EASY = frozenset(range(0, 24, 2))
"""Prompts whose answers all score the same."""


def ring_with(folder: Path, config: GRPOConfig, *, easy: frozenset[int] = EASY) -> Ring:
    """A run in which the answers to easy prompts all score .3."""
    ring = ring_of(folder, config)
    real = ring.parts.score

    def score(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
        spread = [s + 1e-3 * i for i, s in enumerate(real(asked, rows))]  # no chance ties
        return [0.3 if p in easy else s for p, s in zip(asked, spread, strict=True)]

    ring.change(score=score)
    return ring


def both(ring: Ring, config: GRPOConfig, *, step: int = 0, seed: int = 4) -> tuple[Rollout, ...]:
    """The batch as it was asked for, and as it is trained on."""
    first = rollouts.ask(config, ring.parts, step, seed)
    batch, _ = resample(config, ring.parts, first, step, seed)
    return first, batch


def prompts(batch: Rollout) -> list[int]:
    return batch.asked[:: GRPO.samples]


def earned(batch: Rollout) -> Tensor:
    return batch.score_B.view(-1, GRPO.samples)


def test_flat_groups_by_hand() -> None:
    """.1 + .2 is not .3 to the bit, and is the same score."""
    score = torch.tensor([[0.1 + 0.2, 0.3], [0.0, 0.1], [2.0, 2.0]], dtype=torch.float64)
    assert flat(score).tolist() == [True, False, True]


def test_prompts_without_a_spread_are_replaced_and_counted(tiny_folder: Path) -> None:
    config = replace(GRPO, resample=1)
    ring = ring_with(tiny_folder, config)
    first, batch = both(ring, config)
    _, figures = resample(config, ring.parts, first, 0, 4)
    easy = [n for n, p in enumerate(prompts(first)) if p in EASY]
    assert 0 < len(easy) < config.batch_prompts
    gone = [row for n in easy for row in first.rows[4 * n : 4 * n + 4]]
    assert figures["group/replaced"] == len(easy)
    assert figures["group/replaced_tokens"] == sum(map(len, gone))
    assert figures["group/first_score"] == pytest.approx(first.score_B.mean().item())
    for n, (before, after) in enumerate(zip(prompts(first), prompts(batch), strict=True)):
        here = slice(4 * n, 4 * n + 4)
        if n in easy:
            assert after not in prompts(first)
        else:
            assert before == after
            assert first.answers[here] == batch.answers[here]
        asked = [list(row.ids[: len(ring.parts.prompts[after])]) for row in batch.rows[here]]
        assert asked == [ring.parts.prompts[after]] * 4
        ends = [tuple(row.ids[len(ring.parts.prompts[after]) :]) for row in batch.rows[here]]
        assert ends == [answer.tokens for answer in batch.answers[here]]
        assert bool(flat(earned(batch))[n]) is (after in EASY)


def test_tries_go_on_until_every_group_has_a_spread(tiny_folder: Path) -> None:
    config = replace(GRPO, resample=20)
    first, batch = both(ring_with(tiny_folder, config), config)
    assert flat(earned(first)).any()
    assert not flat(earned(batch)).any()
    assert not set(prompts(batch)) & EASY


def test_after_the_last_try_or_prompt_what_there_is_is_trained_on(tiny_folder: Path) -> None:
    """All answers score alike: 4 prompts a try, of 20 others."""
    everyone = frozenset(range(24))
    for tries, replaced in ((2, 8), (9, 20)):
        config = replace(GRPO, resample=tries, steps=1)
        (row,) = ring_with(tiny_folder, config, easy=everyone).rows()
        assert row["group/replaced"] == replaced
        assert row["group/zero_spread"] == 1
        check_row(row, where="step 1")


def test_what_is_replaced_follows_from_seed_step_and_try(tiny_folder: Path) -> None:
    config = replace(GRPO, resample=3)
    ring = ring_with(tiny_folder, config)
    _, one = both(ring, config)
    _, again = both(ring, config)
    assert one.answers == again.answers
    assert one.asked == again.asked
    assert torch.equal(one.score_B, again.score_B)
    others = [both(ring, config, **how)[1].asked for how in ({"step": 1}, {"seed": 5})]
    assert all(asked != one.asked for asked in others)


def test_every_try_samples_by_a_seed_of_its_own(tiny_folder: Path) -> None:
    config = replace(GRPO, resample=3)
    ring = ring_with(tiny_folder, config, easy=frozenset(range(24)))
    real, seeds = ring.parts.sampler, []

    class Noted:
        def sample(self, *given: Any, seed: int, **how: Any) -> list[list[Completion]]:
            seeds.append(seed)
            return real.sample(*given, seed=seed, **how)

    ring.change(sampler=Noted())
    for step in (0, 1):
        both(ring, config, step=step)
    assert len(seeds) == len(set(seeds)) == 8


def test_nothing_is_replaced_where_every_group_has_a_spread(tiny_folder: Path) -> None:
    """And a run that may replace prompts is then the run that may not."""
    none: frozenset[int] = frozenset()
    on = next(ring_with(tiny_folder, replace(GRPO, resample=2), easy=none).rows())
    off = next(ring_with(tiny_folder, GRPO, easy=none).rows())
    assert on["group/replaced"] == on["group/replaced_tokens"] == 0
    assert on["group/first_score"] == pytest.approx(on["reward/score"])
    assert "group/replaced" not in off
    assert {name: figure for name, figure in on.items() if name in off} == dict(off)


def test_figures_are_of_what_is_trained_on(tiny_folder: Path) -> None:
    config = replace(GRPO, resample=20, steps=1)
    (row,) = ring_with(tiny_folder, config).rows()
    _, batch = both(ring_with(tiny_folder, config), config)
    assert row["group/zero_spread"] == 0
    assert row["tokens"] == sum(map(len, batch.rows))
    assert row["reward/score"] == pytest.approx(batch.score_B.mean().item())
    assert row["reward/gold"] == len(batch.answers)


def test_the_spread_is_that_of_what_is_earned(tiny_folder: Path) -> None:
    """Scores that differ and are cut to one number are without a spread."""
    config = replace(GRPO, resample=1, score_clip=1e-9)
    ring = ring_of(tiny_folder, config)
    ring.change(score=lambda asked, rows: [1.0 + i for i in range(len(rows))])
    first = rollouts.ask(config, ring.parts, 0, 4)
    _, figures = resample(config, ring.parts, first, 0, 4)
    assert figures["group/replaced"] == config.batch_prompts


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(GRPO, resample=2), id="token"),
        pytest.param(
            replace(GSPO, resample=2, epochs=2, minibatches=2), id="gspo", marks=pytest.mark.slow
        ),
    ],
)
def test_a_stopped_run_that_replaces_prompts_goes_on_to_the_bit(
    tiny_folder: Path, tmp_path: Path, config: GRPOConfig
) -> None:
    def make() -> Run:
        ring = ring_with(tiny_folder, config)
        return ring.state, ring.rows()

    rows = check_resume(make, tmp_path, stop=2)
    assert rows[-1]["group/replaced"] > 0
