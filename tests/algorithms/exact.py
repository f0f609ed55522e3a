"""A task small enough to be solved by counting: 8 tokens, answers of 3, 512 answers in all.

No token stops an answer and no answer is fined for that. Every answer has a known reward, and the
policy that a KL price beta asks for is known too: pi_ref exp(r / beta) / Z. Direct alignment is
given every pair of answers once, with the probability that the first is better as its label.

Shape letters:  N = answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from accord.algorithms import direct, group_rl, online_dpo, ppo, rollouts
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import fresh_state
from accord.algorithms.group_rl import GroupConfig
from accord.algorithms.settings import DPOConfig, IPOConfig, KTOConfig, OnlineDPOConfig, PPOConfig
from accord.algorithms.thumbs import TokenThumbs, from_pairs
from accord.core.types import Comparison, Conversation, Message, Speaker
from accord.models.role import Role, ScalarHead
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.models.workshop import load, true_logits, with_adapters

TOKENS, LENGTH = 8, 3
PROMPT = (3, 5, 6)
ANSWERS = list(product(range(TOKENS), repeat=LENGTH))
TABLE = torch.randn(len(ANSWERS), generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
"""What each answer earns."""
BLOCK = 8
"""Answers of a block: two blocks make a unit of comparisons."""
ASKED = Conversation((Message(role=Speaker.USER, content="3 5 6"),))


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


def whitened_optimum(reference: Tensor, beta: float) -> Tensor:
    """pi_ref exp(r / (beta s)) / Z, where s is the deviation of r under that policy itself.

    Where advantages are divided by s and the divergence is KL(policy || reference).
    """
    reward_N, scale = TABLE.double(), 1.0
    for _ in range(200):
        policy = optimum(reference, beta * scale)
        mean = (policy * reward_N).sum()
        scale = (policy * (reward_N - mean) ** 2).sum().sqrt().item()
    return policy


def ipo_optimum(reference: Tensor, beta: float) -> Tensor:
    """pi_ref exp(f) / Z, where f is the mean over all answers y' of (2 P(y beats y') - 1) / 2 beta.

    Least squares over all pairs alike: sum over y' of (f(y) - f(y') - target(y, y'))^2 is least
    where N f(y) = sum of targets, f of mean 0.
    """
    reward_N = TABLE.double()
    target_NN = (torch.sigmoid(reward_N[:, None] - reward_N) * 2 - 1) / (2 * beta)
    weight = reference * target_NN.mean(1).exp()
    return weight / weight.sum()


def distance(one: Tensor, other: Tensor) -> float:
    """Total variation."""
    return 0.5 * (one - other).abs().sum().item()


def score(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
    """By the table."""
    places = [sum(t * TOKENS ** (LENGTH - 1 - i) for i, t in enumerate(r.ids[-3:])) for r in rows]
    return TABLE[places].tolist()


def solve(
    folder: Path, config: GroupConfig | OnlineDPOConfig, *, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """(distribution of the reference, of the policy after training all its weights)."""
    actor = Role(load(folder, train_all=True), packing=False)
    reference = Role(load(folder), packing=False)
    before = distribution(reference)
    shared: dict[str, Any] = {
        "prompts": [PROMPT],
        "policy": actor,
        "reference": reference,
        "sampler": TorchSampler(actor, stop_ids=[], rows=config.samples),
        "score": score,
        "watch": lambda asked, answers: {},
        "micro_batch_tokens": 8192,
    }
    state = fresh_state(actor.trained(), config.optimizer)
    if isinstance(config, OnlineDPOConfig):
        rows = online_dpo.train(config, parts=rollouts.Parts(**shared), state=state, seed=seed)
    else:
        rows = group_rl.train(config, parts=rollouts.Parts(**shared), state=state, seed=seed)
    for _ in rows:
        pass
    return before, distribution(actor)


def solve_with_critic(folder: Path, config: PPOConfig, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`solve` by PPO; the critic is an adapter and a head on a base of its own."""
    actor = Role(load(folder, train_all=True), packing=False)
    reference = Role(load(folder), packing=False)
    base = with_adapters(folder, "value")
    critic = Role(base, ("value",), ScalarHead(base.hidden_size, seed=1), packing=False)
    before = distribution(reference)
    parts = ppo.Parts(
        prompts=[PROMPT],
        policy=actor,
        reference=reference,
        critic=critic,
        sampler=TorchSampler(actor, stop_ids=[], rows=config.samples),
        score=score,
        watch=lambda asked, answers: {},
        micro_batch_tokens=8192,
    )
    named = chain(
        ((f"policy.{name}", one) for name, one in actor.trained()),
        ((f"critic.{name}", one) for name, one in critic.trained()),
    )
    state = fresh_state(named, config.optimizer)
    for _ in ppo.train(config, parts=parts, state=state, seed=seed):
        pass
    return before, distribution(actor)


def align(
    folder: Path, config: DPOConfig | IPOConfig | KTOConfig, *, steps: int, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """(distribution of the reference, of the policy trained on every pair, or on its thumbs)."""
    policy = Role(load(folder, train_all=True), packing=False)
    reference = Role(load(folder), packing=False)
    before = distribution(reference)
    data, none = (
        from_all(config, TokenComparisons.build(pairs, _tokens, max_tokens=16))
        for pairs in (every_pair(), ())
    )
    known = direct.reference_logprobs(reference, data, range(len(data)), 8192)
    rows = direct.train(
        config,
        data=data,
        dev=none,
        policy=policy,
        reference=reference,
        state=fresh_state(policy.trained(), config.optimizer),
        steps=steps,
        seed=seed,
        micro_batch_tokens=8192,
        known=direct.Known(reference=known),
    )
    for _ in rows:
        pass
    return before, distribution(policy)


def from_all(config: object, pairs: TokenComparisons) -> TokenComparisons | TokenThumbs:
    """What this objective learns from."""
    if isinstance(config, KTOConfig):
        return TokenThumbs(from_pairs(pairs)[0], max_tokens=16)
    return pairs


def every_pair() -> Iterator[Comparison]:
    """Each two answers once, two blocks after two blocks, with P(first better) as the label."""
    blocks = [range(start, start + BLOCK) for start in range(0, len(ANSWERS), BLOCK)]
    for one, other in combinations(range(len(blocks)), 2):
        pairs = list(product(blocks[one], blocks[other]))
        if other == one + 1 and one % 2 == 0:
            pairs += [*combinations(blocks[one], 2), *combinations(blocks[other], 2)]
        for first, second in pairs:
            yield Comparison(
                prompt=ASKED,
                responses=(_words(first), _words(second)),
                tiers=(0, 1),
                label=torch.sigmoid(TABLE[first] - TABLE[second]).item(),
            )


def _words(answer: int) -> str:
    return " ".join(map(str, ANSWERS[answer]))


def _tokens(prompt: Conversation, words: str) -> Tokenized:
    return Tokenized.answered(list(PROMPT), [int(word) for word in words.split()])
