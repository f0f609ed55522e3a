"""What an evaluation compares: trained policies, and baselines that cost no training.

Shape letters:  M = answer tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from accord.core.types import (
    Completion,
    Conversation,
    Message,
    Prompt,
    SamplingSettings,
    Speaker,
    StopReason,
)
from accord.evals.policies import Answers
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.pipeline.arms import TOLD
from accord.pipeline.config import ALIGNED
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.measured import Measured
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import scorer_of
from accord.pipeline.stages.watching import Watched
from accord.stats.diversity import repeated
from accord.text.tokenized import Tokenized

COMPARED = ("top", *ALIGNED)
"""Stages whose policy is compared with the one that they, or the baselines, start from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What all policies are asked, and with what the answers are measured."""

    prompts: list[Prompt]
    ids: list[list[int]]
    reference: Role
    reward: Role | None
    watched: Watched | None


@dataclass(frozen=True, slots=True)
class Arm:
    """One policy, and how it is asked."""

    name: str
    role: Role
    samples: int
    instead: str = ""
    """Put in place of the last user message; empty: asked as the others are."""


def arms(context: StageContext, roles: Roles, before: str) -> Iterator[Arm]:
    """The policy that training starts from first; then the baselines, then what was trained."""
    config = context.config.own
    others = config.arm_samples or config.samples
    start = roles.start()
    yield Arm(before, start, config.samples)
    if config.instead:
        if before != "base":
            yield Arm(before + TOLD, start, others, config.instead)
        yield Arm("base" + TOLD, roles.bare(), others, config.instead)
    for name in COMPARED:
        if name in context.inputs:
            yield Arm(name, roles.trained(name), others)


def measure(context: StageContext, roles: Roles, arm: Arm, asked: Asked) -> Measured:
    """Sample an arm's answers to all prompts and measure each."""
    config = context.config.own
    settings = SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens)
    told = [_told(roles, prompt, arm.instead) for prompt in asked.prompts] if arm.instead else None
    seed = context.seed + config.seed
    said = roles.sampler(arm.role).sample(
        told or asked.ids, n=arm.samples, settings=settings, seed=seed
    )
    answers = [answer for group in said for answer in group]
    numbers = [p for p in range(len(asked.ids)) for _ in range(arm.samples)]
    # Whatever an arm was told, its answers are judged as answers to the plain prompt.
    rows = [
        Tokenized.answered(asked.ids[p], answer.tokens)
        for p, answer in zip(numbers, answers, strict=True)
    ]
    texts = [roles.template.answer_text(answer.tokens) for answer in answers]
    shape = (len(asked.ids), arm.samples)
    tokens = context.machine.micro_batch_tokens
    judged = None
    if asked.reward is not None:
        judged = scorer_of(roles, asked.reward, asked.prompts, asked.ids)(rows)
    prompts = [asked.prompts[p].conversation for p in numbers]
    measured = Answers(
        kl=_drift(arm, asked, rows, answers, tokens, config.temperature).reshape(shape),
        length=np.array([len(a.tokens) for a in answers], dtype=float).reshape(shape),
        stopped=np.array([a.stop is StopReason.STOP for a in answers], dtype=float).reshape(shape),
        score=None if judged is None else np.array(judged).reshape(shape),
        more={
            "repeated": np.array([repeated(text, 3) for text in texts]).reshape(shape),
        },
    )
    if asked.watched is not None:
        seen = {n: v.reshape(shape) for n, v in asked.watched.measure(prompts, texts).items()}
        gold = seen.pop("gold")
        measured = replace(measured, gold=gold, more={**measured.more, **seen})
    by_prompt = [texts[i : i + arm.samples] for i in range(0, len(texts), arm.samples)]
    return Measured(measured, by_prompt)


def _told(roles: Roles, prompt: Prompt, instead: str) -> list[int]:
    """Tokens of a prompt whose last user message is `instead`."""
    messages = list(prompt.conversation.messages)
    last = max(i for i, m in enumerate(messages) if m.role is Speaker.USER)
    messages[last] = Message(role=Speaker.USER, content=instead)
    return roles.template.prompt_ids(Conversation(tuple(messages)))


def _drift(
    arm: Arm,
    asked: Asked,
    rows: Sequence[Tokenized],
    answers: Sequence[Completion],
    tokens: int,
    temperature: float,
) -> NDArray[np.float64]:
    """log(arm / reference) of each answer, in nats: by what it was drawn with, told or not."""
    if arm.role.stack == asked.reference.stack and not arm.instead:
        return np.zeros(len(rows))
    drawn = np.array([sum(answer.logprobs) for answer in answers])
    return drawn - _logprobs(asked.reference, rows, temperature, tokens)


@torch.no_grad()
def _logprobs(
    role: Role, rows: Sequence[Tokenized], temperature: float, tokens: int
) -> NDArray[np.float64]:
    """Summed answer log-probabilities, one a row."""
    sums: list[float] = []
    for group in micro_batches([len(row) for row in rows], tokens):
        ragged = Ragged.of([rows[i] for i in group], role.backbone.machine.device)
        logp_M, _ = role.logprobs(ragged, temperature=temperature)
        sums += [float(part.sum()) for part in logp_M.split(list(ragged.counts))]
    return np.array(sums)
