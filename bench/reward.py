"""The reward model beside TRL's `RewardTrainer`, with the same first head on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from accord.algorithms import reward_model
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import RewardConfig
from accord.models.backbone import Backbone
from accord.models.role import ScalarHead
from bench import peers, training, workloads
from bench.measure import Lap, Peak, Workload
from bench.workloads import Setting

RATE = 1e-5
CONTEXT = 1024


def rm(setting: Setting) -> Iterator[Workload]:
    """The one workload of this file."""
    template = workloads.template(setting)
    rows = workloads.comparisons(setting)
    data = TokenComparisons.build(rows, template.tokenize_answer, max_tokens=CONTEXT)
    settings = training.optimizer(setting, full=RATE)
    taken = training.order(setting)
    width = Backbone.load(setting.folder, machine=setting.machine).hidden_size

    def head() -> ScalarHead:
        return ScalarHead(width, seed=setting.seed).to(setting.machine.device)

    trained = peers.Trained(
        kind="Reward",
        rows=[_ids(data, i) for i in taken],
        lengths=[data.tokens(i) for i in taken],
        optimizer=settings,
        more={"max_length": CONTEXT},
        start=lambda model: _same_head(model, head()),
    )

    def accord() -> Lap:
        memory = Peak()
        model = training.trained_role(setting, head())
        steps = reward_model.train(
            RewardConfig(batch_prompts=setting.sizes.batch, optimizer=settings),
            data=data,
            model=model,
            state=training.state_of(model, settings),
            steps=setting.sizes.steps,
            seed=setting.seed,
            micro_batch_tokens=setting.machine.micro_batch_tokens,
        )
        return training.lap(iter(steps), memory)

    yield training.workload(setting, "rm", accord, trained)


def _ids(data: TokenComparisons, number: int) -> dict[str, list[int]]:
    """One pair, the better answer as `chosen`: both are prompt and answer together."""
    chosen, rejected = data.batch([number]).rows
    return {
        "chosen_ids": [int(token) for token in chosen.ids],
        "rejected_ids": [int(token) for token in rejected.ids],
    }


@torch.no_grad()
def _same_head(model: Any, head: ScalarHead) -> None:
    """Give TRL's model Accord's first head; under PEFT the trained copy of it."""
    weights = [weight for name, weight in model.named_parameters() if "score" in name]
    for weight in weights:
        weight.copy_(head.weight[None])
