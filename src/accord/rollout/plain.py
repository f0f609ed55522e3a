"""A decoder for any transformers causal language model: the model's own cached forward pass.

Slower than `accord.rollout.llama`, with the same two methods, and the oracle of its tests.

Shape letters:  P = prompts; R = rows; S = cache slots; V = vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from accord.core.errors import ModelError
from accord.models.logprobs import logits
from accord.models.role import Role


class PlainCache:
    """Transformers' cache with the pads and positions of its rows."""

    def __init__(self, cache: DynamicCache, real_RS: Tensor, position_R: Tensor) -> None:
        self.cache, self.real_RS, self.position_R = cache, real_RS, position_R

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these."""
        self.cache.batch_select_indices(rows)
        self.real_RS, self.position_R = self.real_RS[rows], self.position_R[rows]


class PlainDecoder:
    """Prefill and step through the model itself, under the role's adapters."""

    def __init__(self, role: Role) -> None:
        self.role = role
        role.backbone.activate(role.adapters)

    def _run(self, ids: Tensor, real: Tensor, positions: Tensor, cache: DynamicCache) -> Tensor:
        backbone = self.role.backbone
        with torch.autocast(backbone.machine.device, dtype=torch.bfloat16, enabled=backbone.mixed):
            hidden = backbone.decoder(
                inputs_embeds=backbone.embed(ids),
                attention_mask=real,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state[:, -1]
        return logits(hidden, *backbone.wide_head(), mixed=backbone.mixed)

    def prefill(
        self, prompts: Sequence[Sequence[int]], n: int, new: int
    ) -> tuple[PlainCache, Tensor]:
        """Run each prompt once; a cache with `n` rows a prompt and next-token logits `[P, V]`."""
        device = self.role.backbone.machine.device
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long, device=device)
        real = torch.zeros_like(ids, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt, device=device)
            real[row, longest - len(prompt) :] = True
        positions = (real.long().cumsum(-1) - 1).clamp_min(0)
        cache = DynamicCache(config=self.role.backbone.config)
        logits_PV = self._run(ids, real, positions, cache)
        if not all(hasattr(layer, "batch_select_indices") for layer in cache.layers):
            raise ModelError(
                "this model's memory of a prompt cannot be shared by its samples",
                got=self.role.backbone.model.config.model_type,
                do="use a model whose layers are all attention",
            )
        cache.batch_repeat_interleave(n)
        position_R = (positions[:, -1] + 1).repeat_interleave(n)
        return PlainCache(cache, real.repeat_interleave(n, 0), position_R), logits_PV

    def step(self, cache: PlainCache, token_R: Tensor) -> Tensor:
        """Append one token a row; next-token logits `[R, V]`."""
        new = torch.ones_like(token_R, dtype=torch.bool)[:, None]
        cache.real_RS = torch.cat((cache.real_RS, new), 1)
        logits_RV = self._run(
            token_R[:, None], cache.real_RS, cache.position_R[:, None], cache.cache
        )
        cache.position_R = cache.position_R + 1
        return logits_RV
