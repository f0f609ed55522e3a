"""A task small enough to be solved by counting: 8 tokens, answers of 3, 512 answers in all.

No token stops an answer and no answer is fined for that. Every answer has a known reward, and the
policy that a KL price beta asks for is known too: pi_ref exp(r / beta) / Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from accord.algorithms import group_rl
from accord.algorithms.descent import fresh_state
from accord.algorithms.group_rl import GroupConfig
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.models.workshop import load, true_logits

TOKENS, LENGTH = 8, 3
PROMPT = (3, 5, 6)
ANSWERS = list(product(range(TOKENS), repeat=LENGTH))
TABLE = torch.randn(len(ANSWERS), generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
"""What each answer earns."""


@torch.no_grad()
def distribution(role: Role) -> Tensor:
    """The probability of each of the 512 answers, float64, by running all of them."""
    role.backbone.activate(role.adapters)
    logits = true_logits(role.backbone, [(*PROMPT, *answer) for answer in ANSWERS])
    logp = torch.stack([row.double().log_softmax(-1) for row in logits])[:, len(PROMPT) - 1 : -1]
    return logp.gather(-1, torch.tensor(ANSWERS)[..., None]).sum((1, 2)).exp()


def optimum(reference: Tensor, beta: float) -> Tensor:
    """pi_ref exp(r / beta) / Z."""
    weight = reference * (TABLE.double() / beta).exp()
    return weight / weight.sum()


def distance(one: Tensor, other: Tensor) -> float:
    """Total variation."""
    return 0.5 * (one - other).abs().sum().item()


def score(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
    """By the table."""
    places = [sum(t * TOKENS ** (LENGTH - 1 - i) for i, t in enumerate(r.ids[-3:])) for r in rows]
    return TABLE[places].tolist()


def solve(folder: Path, config: GroupConfig, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(distribution of the reference, of the policy after training all its weights)."""
    actor = Role(load(folder, train_all=True), packing=False)
    reference = Role(load(folder), packing=False)
    before = distribution(reference)
    parts = group_rl.Parts(
        prompts=[PROMPT],
        policy=actor,
        reference=reference,
        sampler=TorchSampler(actor, stop_ids=[], rows=config.samples),
        score=score,
        watch=lambda asked, answers: {},
        micro_batch_tokens=8192,
    )
    state = fresh_state(actor.trained(), config.optimizer)
    for _ in group_rl.train(config, parts=parts, state=state, seed=seed):
        pass
    return before, distribution(actor)
