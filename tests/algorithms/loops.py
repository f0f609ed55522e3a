"""Roles and data of the tiny world for short training runs, and what is asked of every loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.algorithms import reward_model
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import RewardConfig
from accord.core.protocols import Row
from accord.core.types import Comparison
from accord.models.ragged import Ragged
from accord.models.role import Role
from accord.models.state import TrainState
from accord.text import grammar
from accord.text.template import ChatTemplate
from accord.text.tokenized import TokenRows
from accord.text.tokenizer import TextTokenizer
from tests.models.workshop import take_gradients

Run = tuple[TrainState, Iterator[Row]]

TIERS = ((0, 1), (0, 0), (1, 0, 2), (0, 1, 1), (1, 0), (0, 1, 2, 2))
"""Pairs and groups, with ties; the fifth gets a soft label."""


def template(folder: Path) -> ChatTemplate:
    """The tiny model's chat template."""
    return ChatTemplate(TextTokenizer.load(folder))


def reward_run(
    config: RewardConfig, model: Role, data: TokenComparisons, *, steps: int = 1, tokens: int = 200
) -> Run:
    """A reward model's state and its rows."""
    state = reward_model.begin(config, model=model, data=data)
    return state, reward_model.train(
        config,
        data=data,
        model=model,
        state=state,
        steps=steps,
        seed=3,
        micro_batch_tokens=tokens,
    )


def demonstrations(folder: Path, count: int, *, seed: int = 0) -> TokenRows:
    """Tokens of conversations of the tiny world."""
    chat = template(folder)
    return TokenRows.build(
        chat.tokenize(row.conversation) for row in grammar.demonstrations(seed, count)
    )


def raw_comparisons(count: int, *, seed: int = 0) -> list[Comparison]:
    """Comparisons of two to four answers, with weights, margins, ties and soft labels."""
    said = iter(grammar.demonstrations(seed + 1, 4 * count))
    made = []
    for number, prompt in enumerate(grammar.prompts(seed, count)):
        tiers = TIERS[number % len(TIERS)]
        answers = [row.conversation.messages[-1].content for row in islice(said, len(tiers))]
        made.append(
            Comparison(
                prompt=prompt.conversation,
                responses=tuple(f"{text} {place}" for place, text in enumerate(answers)),
                tiers=tiers,
                weight=1 + number % 3,
                margin=0.5 * (number % 2),
                label=0.7 if number % len(TIERS) == 4 else None,
            )
        )
    return made


def comparisons(folder: Path, count: int, *, seed: int = 0) -> TokenComparisons:
    """The same as tokens."""
    chat = template(folder)
    return TokenComparisons.build(
        raw_comparisons(count, seed=seed), chat.tokenize_answer, max_tokens=500
    )


def judged_again(rows: list[Comparison]) -> tuple[list[Comparison], list[Comparison]]:
    """Three judgements of the same responses for each row: side by side, and apart.

    They disagree, tie, weigh different amounts and were picked with different probability.
    """
    said = [
        [
            row,
            replace(row, tiers=tuple(max(row.tiers) - t for t in row.tiers), weight=0.25),
            replace(row, tiers=(0,) * len(row.tiers), label=None, weight=0.5, inclusion=0.4),
        ]
        for row in rows
    ]
    together = [one for task in said for one in task]
    return together, [task[n] for n in range(3) for task in said]


def weights(state: TrainState) -> dict[str, Tensor]:
    """A copy of what is trained."""
    return {name: p.detach().clone() for name, p in state.parameters.items()}


def first_gradients(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, rows: Iterator[Row]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Metrics of a loop's first step and the gradients that it would have taken."""
    caught: dict[str, Tensor] = {}

    def watch(state: TrainState, *_: object, **__: object) -> dict[str, float]:
        caught.update(take_gradients(state.parameters.items()))
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(module, "descend", watch)
        metrics = dict(next(rows))
    assert caught
    return metrics, caught


def pads_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let padded batches have their pads on the left."""
    real = Ragged.padded
    monkeypatch.setattr(Ragged, "padded", lambda self, side="right": real(self, "left"))


def check_resume(make: Callable[[], Run], folder: Path, *, stop: int) -> list[Row]:
    """A run stopped after `stop` steps and taken up again is the run that never stopped."""
    state, rows = make()
    whole = [dict(row) for row in rows]
    assert len(whole) > stop
    first, begun = make()
    before = [dict(row) for row in islice(begun, stop)]
    first.save(folder)
    second, rest = make()
    with torch.no_grad():
        for parameter in second.parameters.values():
            parameter.add_(1.0)  # whatever is not read back shows
    second.load(folder)
    assert before + [dict(row) for row in rest] == whole
    ended, taken_up = weights(state), weights(second)
    assert ended.keys() == taken_up.keys()
    assert all(torch.equal(ended[name], taken_up[name]) for name in ended)
    start = weights(make()[0])
    assert not all(torch.equal(ended[name], start[name]) for name in ended)
    return whole


def close(one: dict[str, float], other: dict[str, Any]) -> None:
    """The same metrics but for rounding."""
    assert one == pytest.approx(other, rel=2e-5, abs=1e-6)
