"""How far sampler and trainer are apart on the same tokens, on SmolLM2 with two stacked adapters.

    python bench/agreement.py --precision bfloat16 --tokens 10000

The adapters are perturbed, so that one which never reaches the sampler would show. Prints the mean,
99th percentile and largest difference of log-probabilities in nats, over at least `tokens` tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import torch
import tyro

from accord.algorithms.agreement import gaps
from accord.core.types import Completion, Conversation, SamplingSettings
from accord.models.backbone import Backbone
from accord.models.machine import resolve
from accord.models.packages import smollm2_folder
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer

SUBJECTS = ("the sea", "a bicycle", "bread", "the moon", "a library", "rain", "chess", "tea")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What is compared."""

    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Format of the products."""
    tokens: int = 10_000
    """Sampled tokens, at least."""
    noise: float = 0.01
    """Standard deviation of what is added to every adapter weight."""
    seed: int = 0
    """Of the noise and of sampling."""


def main(wanted: Agreement) -> None:
    """Sample, recompute, compare, print one JSON line."""
    machine = resolve(wanted.precision)
    folder = smollm2_folder()
    template = ChatTemplate(TextTokenizer.load(folder))
    backbone = Backbone.load(folder, machine=machine)
    torch.manual_seed(wanted.seed)
    for place, name in enumerate(("sft", "ppo")):
        backbone.add_adapter(name, rank=16, alpha=32, seed=place)
        with torch.no_grad():
            for _, parameter in backbone.adapter_parameters(name):
                parameter.add_(torch.randn_like(parameter) * wanted.noise)
    role = Role(backbone, ("sft", "ppo"))
    sampler = TorchSampler(role, stop_ids=[template.stop_id])
    prompts = [template.prompt_ids(Conversation.of(f"Tell me about {s}.")) for s in SUBJECTS]
    rows: list[Tokenized] = []
    answers: list[Completion] = []
    seed = wanted.seed
    while sum(len(answer.tokens) for answer in answers) < wanted.tokens:
        groups = sampler.sample(prompts, n=8, settings=SamplingSettings(max_tokens=64), seed=seed)
        for prompt, group in zip(prompts, groups, strict=True):
            answers += group
            for answer in group:
                mask = (False,) * len(prompt) + (True,) * len(answer.tokens)
                rows.append(Tokenized((*prompt, *answer.tokens), mask))
        seed += 1
    with torch.no_grad():
        parts = [
            role.logprobs(Ragged.of([rows[i] for i in group]))[0]
            for group in micro_batches([len(row) for row in rows], machine.micro_batch_tokens)
        ]
    found = gaps(answers, torch.cat(parts))
    count = sum(len(answer.tokens) for answer in answers)
    print(json.dumps({"precision": wanted.precision, "tokens": count, **found}))


if __name__ == "__main__":
    main(tyro.cli(Agreement, description=__doc__))
