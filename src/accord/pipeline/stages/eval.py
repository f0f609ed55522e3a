"""Held-out evaluation: every policy answers the same prompts, measured with intervals.

Shape letters:  M = answer tokens of a micro-batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from accord.core.protocols import Row
from accord.core.types import Completion, Prompt, SamplingSettings, StopReason
from accord.evals.policies import Answers, best_of, compare, summarise
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.pipeline.config import start_among
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.ppo import score
from accord.pipeline.stages.roles import Roles
from accord.text.tokenized import Tokenized

SHOWN = 12
"""Prompts whose answers are kept for the report."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all policies are asked, and with what the answers are measured."""

    prompts: list[Prompt]
    ids: list[list[int]]
    reference: Role
    reward: Role | None


def body(context: StageContext) -> Iterator[Row]:
    """Sample each policy on the held-out prompts and leave figures, intervals and answers."""
    config = context.config.own
    roles = Roles(context)
    reference = roles.start()
    prompts, ids = asked_prompts(
        context,
        roles,
        held_out=True,
        answer_tokens=config.max_tokens,
        at_most=config.prompts,
        seed=context.seed + config.seed,
    )
    reward = roles.reward() if "reward" in context.inputs else None
    asked = _Asked(prompts, ids, reference, reward)
    before = start_among(context.inputs)
    after = [name for name in ("ppo", "dpo") if name in context.inputs]
    context.total(1 + len(after))
    measured: dict[str, Answers] = {}
    texts: dict[str, list[str]] = {}
    for done, name in enumerate((before, *after), start=1):
        policy = reference if name == before else roles.trained(name)
        measured[name], texts[name] = _measure(context, roles, policy, asked)
        yield {"progress": done / (1 + len(after))}
    figures = {
        "policies": {name: summarise(a) for name, a in measured.items()},
        "changes": {name: compare(measured[before], measured[name]) for name in after},
        "best_of": best_of(measured[before], config.best_of),
        "before": before,
        "prompts": len(prompts),
        "samples": config.samples,
    }
    context.note("evaluation", figures)
    shown = _shown(asked, measured, texts)
    (context.output / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n")
    (context.output / "answers.json").write_text(json.dumps(shown, indent=1) + "\n")


def _measure(
    context: StageContext, roles: Roles, policy: Role, asked: _Asked
) -> tuple[Answers, list[str]]:
    config = context.config.own
    said = roles.sampler(policy).sample(
        asked.ids,
        n=config.samples,
        settings=SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens),
        seed=context.seed + config.seed,
    )
    answers = [answer for group in said for answer in group]
    prompts = [p for p in range(len(asked.ids)) for _ in range(config.samples)]
    rows = [_row(asked.ids[p], answer) for p, answer in zip(prompts, answers, strict=True)]
    texts = [roles.template.answer_text(answer.tokens) for answer in answers]
    truth = data.gold(context)
    tokens = context.machine.micro_batch_tokens
    known = truth([asked.prompts[p].conversation for p in prompts], texts) if truth else None
    judged = score(asked.reward, rows, tokens) if asked.reward else None
    drift = _logprobs(policy, rows, config.temperature, tokens) - _logprobs(
        asked.reference, rows, config.temperature, tokens
    )
    shape = (len(asked.ids), config.samples)
    measured = Answers(
        kl=drift.reshape(shape),
        length=np.array([len(a.tokens) for a in answers], dtype=float).reshape(shape),
        stopped=np.array([a.stop is StopReason.STOP for a in answers], dtype=float).reshape(shape),
        score=None if judged is None else np.array(judged).reshape(shape),
        gold=None if known is None else np.array(known, dtype=float).reshape(shape),
    )
    return measured, texts


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


def _row(prompt: Sequence[int], answer: Completion) -> Tokenized:
    mask = (False,) * len(prompt) + (True,) * len(answer.tokens)
    return Tokenized((*prompt, *answer.tokens), mask)


def _shown(
    asked: _Asked, measured: dict[str, Answers], texts: dict[str, list[str]]
) -> list[dict[str, object]]:
    """The first answer of every policy to the first prompts, with what was measured of it."""
    shown: list[dict[str, object]] = []
    for p, prompt in enumerate(asked.prompts[:SHOWN]):
        answers = [
            {
                "policy": name,
                "text": texts[name][p * answer.length.shape[1]],
                "score": None if answer.score is None else float(answer.score[p, 0]),
                "gold": None if answer.gold is None else float(answer.gold[p, 0]),
                "stopped": bool(answer.stopped[p, 0]),
            }
            for name, answer in measured.items()
        ]
        messages = [f"{m.role}: {m.content}" for m in prompt.conversation.messages]
        shown.append({"prompt": "\n".join(messages), "answers": answers})
    return shown
