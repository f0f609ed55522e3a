"""The embedded engine: batched sampling from a role on this machine's processor or GPU.

Each prompt is prefilled once for all its samples, finished rows leave the batch, and every token
comes with its log-probability under the distribution it was drawn from.

Shape letters:  P = prompts; R = answers being sampled; T = tokens of the longest answer;
V = vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from accord.core.errors import ConfigError, DataError
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.role import Role
from accord.rollout.llama import LlamaDecoder, follows_pattern
from accord.rollout.plain import PlainDecoder
from accord.rollout.sampling import next_token, uniforms

log = logging.getLogger(__name__)

ROWS = 128
"""Answers sampled at once unless told otherwise: 640 tokens a second on two cores where 64 gave 510
(SmolLM2, short prompts)."""
CACHED = 1 << 17
"""Tokens that the cache of one call may have room for, unless a single prompt's answers need more:
64 rows of 2,048, or 128 of 1,024. SmolLM2 keeps 23 KB for each, 3 GB in all."""
SHRINK = 0.85
"""Rows are dropped from the cache once this share of them is still being sampled."""


Watch = Callable[[Sequence[Sequence[int]]], None]
"""Hears after each token what the answers that are sampled together say so far. What it raises ends
the sampling, and leaves nothing half done."""


class DecoderCache(Protocol):
    """What a decoder remembers of its rows."""

    def keep(self, rows: Tensor) -> None: ...


@dataclass(slots=True)
class _Rows:
    """Answers under way: which rows are alive and what each has said."""

    alive: Tensor
    tokens: list[list[int]] = field(default_factory=list)
    logprobs: list[list[float]] = field(default_factory=list)
    stopped: list[bool] = field(default_factory=list)


class TorchSampler:
    """`Sampler` over a role's present weights; read anew at every call.

    `stop_ids` end an answer and belong to it. `fast` False takes transformers' own forward pass
    even where the fast decoder would do.
    """

    def __init__(
        self, role: Role, *, stop_ids: Sequence[int], rows: int = ROWS, fast: bool = True
    ) -> None:
        self.role, self.rows = role, rows
        self.stop_ids = frozenset(stop_ids)
        self.fast = fast and follows_pattern(role)
        name = role.backbone.model.config.model_type
        log.info("sampling from %s by the %s decoder", name, "fast" if self.fast else "plain")

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        n: int,
        settings: SamplingSettings,
        seed: int,
        watch: Watch | None = None,
    ) -> list[list[Completion]]:
        """`n` completions for each prompt, reproducible from `seed`.

        Raises DataError on an empty prompt, ConfigError where prompt and answer exceed the context.
        """
        self._check(prompts, n, settings)
        decoder = LlamaDecoder(self.role) if self.fast else PlainDecoder(self.role)
        random_RT = uniforms(len(prompts) * n, settings.max_tokens, seed)
        slots = settings.max_tokens + max((len(prompt) for prompt in prompts), default=0)
        per_call = max(1, min(self.rows, CACHED // slots) // n)
        # Prompts of like length share a call, so that little of the cache is padding.
        order = sorted(range(len(prompts)), key=lambda p: len(prompts[p]))
        answers: list[list[Completion]] = [[] for _ in prompts]
        for start in range(0, len(order), per_call):
            chunk = order[start : start + per_call]
            rows = torch.tensor([p * n + i for p in chunk for i in range(n)])
            chosen = [prompts[p] for p in chunk]
            said = self._run(decoder, chosen, n, settings, random_RT[rows], watch)
            for place, p in enumerate(chunk):
                answers[p] = said[place * n : (place + 1) * n]
        return answers

    def _check(self, prompts: Sequence[Sequence[int]], n: int, settings: SamplingSettings) -> None:
        if n < 1:
            raise ConfigError("samples a prompt must be at least 1", got=n)
        context = self.role.backbone.context
        for index, prompt in enumerate(prompts):
            if not prompt:
                raise DataError("a prompt has no token", where=f"prompt {index}")
            if len(prompt) + settings.max_tokens > context:
                raise ConfigError(
                    "a prompt and its answer do not fit the model's context",
                    got=f"{len(prompt)} + {settings.max_tokens} tokens, context {context}",
                    where=f"prompt {index}",
                    do="shorten the prompt or lower max_tokens",
                )

    def _run(
        self,
        decoder: LlamaDecoder | PlainDecoder,
        prompts: Sequence[Sequence[int]],
        n: int,
        settings: SamplingSettings,
        random_RT: Tensor,
        watch: Watch | None,
    ) -> list[Completion]:
        cache: DecoderCache
        cache, logits_PV = decoder.prefill(prompts, n, settings.max_tokens)
        logits_RV = logits_PV.repeat_interleave(n, 0)
        total = len(random_RT)
        rows = _Rows(torch.arange(total), [[] for _ in range(total)], [[] for _ in range(total)])
        rows.stopped = [False] * total
        for t in range(settings.max_tokens):
            uniform_R = random_RT[rows.alive, t].to(logits_RV.device)
            token_R, logp_R = next_token(logits_RV, uniform_R, settings)
            self._record(rows, token_R, logp_R)
            if watch is not None:
                watch(rows.tokens)
            going = torch.tensor([not rows.stopped[i] for i in rows.alive.tolist()])
            if t + 1 == settings.max_tokens or not going.any():
                break
            if going.float().mean() <= SHRINK:
                index = going.nonzero().flatten()
                cache.keep(index.to(token_R.device))
                rows.alive, token_R = rows.alive[index], token_R[index.to(token_R.device)]
            logits_RV = decoder.step(cache, token_R)  # type: ignore[arg-type]
        return [
            Completion(
                tokens=tuple(rows.tokens[i]),
                logprobs=tuple(rows.logprobs[i]),
                stop=StopReason.STOP if rows.stopped[i] else StopReason.LENGTH,
            )
            for i in range(total)
        ]

    def _record(self, rows: _Rows, token_R: Tensor, logp_R: Tensor) -> None:
        said = zip(rows.alive.tolist(), token_R.tolist(), logp_R.tolist(), strict=True)
        for row, token, logp in said:
            if rows.stopped[row]:  # still in the batch, its answer is over
                continue
            rows.tokens[row].append(token)
            rows.logprobs[row].append(logp)
            rows.stopped[row] = token in self.stop_ids
