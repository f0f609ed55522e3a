"""A decoder of the Llama pattern for sampling: static cache, joined projections, grouped heads.

Reads the weights of a `Role` (base and adapters, never merged) and computes what transformers
computes, one token a row at a time. Shape letters: R = rows being sampled; P = prompts; N = prompt
tokens of all prompts; S = cache slots; H = key heads; G = query heads a key head; D = head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from accord.models.attention import causal, next_attention
from accord.models.blocks import whole_slots
from accord.models.joint import stacked
from accord.models.logprobs import logits
from accord.models.role import Role

PATTERN = ("llama", "mistral", "qwen2")
"""Model types whose layers compute exactly what `LlamaDecoder` does."""


def follows_pattern(role: Role) -> bool:
    """Whether the fast decoder computes this model."""
    config = role.backbone.config
    return bool(
        role.backbone.packs
        and config.model_type in PATTERN
        and getattr(config, "hidden_act", "") == "silu"
    )


@dataclass(slots=True)
class Product:
    """One or several linear layers of the same input as one product, adapters beside it."""

    weight: Tensor
    bias: Tensor | None
    down: Tensor | None = None
    """`[rank of all adapters and layers, inputs]`."""
    up: Tensor | None = None
    """`[outputs, the same rank]`, block-diagonal over the layers, scaled."""

    def __call__(self, x: Tensor) -> Tensor:
        x = x.to(self.weight.dtype)
        out = F.linear(x, self.weight, self.bias)
        if self.down is None or self.up is None:
            return out
        return out.add_(F.linear(F.linear(x, self.down), self.up))


def _base(layer: nn.Module) -> nn.Linear:
    return cast(nn.Linear, getattr(layer, "base_layer", layer))


def _joined_weight(layers: Sequence[nn.Module], dtype: torch.dtype) -> Tensor:
    """The layers' weights as one matrix. Frozen weights become views of it: no second copy."""
    weights = [_base(layer).weight for layer in layers]
    first = weights[0].detach()
    if len(weights) == 1:
        return first.to(dtype)
    if _adjacent(weights):
        rows = sum(len(weight) for weight in weights)
        return first.as_strided((rows, first.shape[1]), (first.shape[1], 1))
    joined = torch.cat([weight.detach() for weight in weights]).to(dtype)
    if first.dtype is dtype and not any(weight.requires_grad for weight in weights):
        for weight, part in zip(
            weights, joined.split([len(weight) for weight in weights]), strict=True
        ):
            weight.data = part
    return joined


def _adjacent(weights: Sequence[Tensor]) -> bool:
    """Whether the matrices lie one behind the other in one piece of memory."""
    ends = [weight.data_ptr() + weight.nbytes for weight in weights]
    starts = [weight.data_ptr() for weight in weights]
    storages = {weight.untyped_storage().data_ptr() for weight in weights}
    return len(storages) == 1 and starts[1:] == ends[:-1]


def product(layers: Sequence[nn.Module], adapters: Sequence[str], dtype: torch.dtype) -> Product:
    """Join `layers` (of one input) with their `adapters`, in `dtype`."""
    bases = [_base(layer) for layer in layers]
    bias = None
    if bases[0].bias is not None:
        bias = torch.cat([cast(Tensor, base.bias).detach() for base in bases]).to(dtype)
    made = Product(_joined_weight(layers, dtype), bias)
    if adapters:
        parts = [stacked(layer, adapters, dtype) for layer in layers]
        made.down = torch.cat([down for down, _ in parts]).detach()
        made.up = torch.block_diag(*(up for _, up in parts)).detach()
    return made


@dataclass(slots=True)
class Layer:
    """Weights of one decoder layer."""

    norm_in: Tensor
    qkv: Product
    out: Product
    norm_mlp: Tensor
    gate_up: Product
    down: Product


class LlamaDecoder:
    """Prefill and step over the weights of one role. Make a new one after the weights change."""

    def __init__(self, role: Role) -> None:
        backbone = role.backbone
        decoder = cast(Any, backbone.decoder)
        config = decoder.config
        dtype, names = backbone.dtype, role.adapters
        self.query_heads: int = config.num_attention_heads
        self.heads: int = config.num_key_value_heads
        self.head_size: int = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        self.groups = self.query_heads // self.heads
        self.eps: float = config.rms_norm_eps
        self.embedding: Tensor = decoder.embed_tokens.weight.detach()
        self.norm: Tensor = decoder.norm.weight.detach()
        self.head, self.head_bias = backbone.wide_head()
        self.mixed = backbone.mixed
        self.rotary = decoder.rotary_emb
        self.dtype = dtype
        self.layers = [
            Layer(
                layer.input_layernorm.weight.detach(),
                product(
                    [layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj],
                    names,
                    dtype,
                ),
                product([layer.self_attn.o_proj], names, dtype),
                layer.post_attention_layernorm.weight.detach(),
                product([layer.mlp.gate_proj, layer.mlp.up_proj], names, dtype),
                product([layer.mlp.down_proj], names, dtype),
            )
            for layer in decoder.layers
        ]

    def _rms(self, x: Tensor, weight: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return weight * wide.to(x.dtype)

    def _angles(self, positions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.rotary(like, position_ids=positions[None])
        return cos[0][:, None], sin[0][:, None]

    @staticmethod
    def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
        return x * cos + turned * sin

    def _qkv(
        self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`x [N, width]` to rotated queries `[N, H*G, D]`, rotated keys and values `[N, H, D]`."""
        joint = layer.qkv(self._rms(x, layer.norm_in))
        joint = joint.view(len(x), self.query_heads + 2 * self.heads, self.head_size)
        q, k, v = joint.split((self.query_heads, self.heads, self.heads), dim=1)
        both = self._rotate(torch.cat((q, k), 1), cos, sin)
        # Angles are float32 where the weights are trained, whatever products run in.
        q, k = both.to(v.dtype).split((self.query_heads, self.heads), dim=1)
        return q, k, v

    def _mlp(self, layer: Layer, x: Tensor) -> Tensor:
        gate, up = layer.gate_up(self._rms(x, layer.norm_mlp)).chunk(2, -1)
        return x + layer.down(F.silu(gate) * up)

    def _logits(self, x: Tensor) -> Tensor:
        return logits(self._rms(x, self.norm), self.head, self.head_bias, mixed=self.mixed)

    def prefill(self, prompts: Sequence[Sequence[int]], n: int, new: int) -> tuple[Cache, Tensor]:
        """Run each prompt once; a cache with `n` rows a prompt and next-token logits `[P, V]`.

        A token lies in the slot of its position, so that its attention sums in the order in which
        the trainer's does; at least `new` slots are free behind each prompt.
        """
        lengths = [len(prompt) for prompt in prompts]
        device = self.embedding.device
        ids_N = torch.tensor([token for prompt in prompts for token in prompt], device=device)
        positions_N = torch.cat([torch.arange(length, device=device) for length in lengths])
        cache = Cache(self, lengths, n, new)
        x = F.embedding(ids_N, self.embedding).float()
        cos, sin = self._angles(positions_N, x)
        for index, layer in enumerate(self.layers):
            q, k, v = self._qkv(layer, x, cos, sin)
            parts = []
            for p, (qp, kp, vp) in enumerate(
                zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True)
            ):
                key, value = kp.transpose(0, 1), vp.transpose(0, 1)
                cache.write_prompt(index, p, key, value)
                attended = causal(qp.transpose(0, 1)[None], key[None], value[None])
                parts.append(attended[0].transpose(0, 1))
            x = x + layer.out(torch.cat(parts).flatten(1))
            x = self._mlp(layer, x)
        last = torch.tensor(lengths, device=device).cumsum(0) - 1
        return cache, self._logits(x[last])

    def step(self, cache: Cache, token_R: Tensor) -> Tensor:
        """Append one token a row to the cache; next-token logits `[R, V]`."""
        x = F.embedding(token_R, self.embedding).float()
        cos, sin = self._angles(cache.position_R, x)
        rows_R, slot_R, slots, bias = cache.advance()
        for index, layer in enumerate(self.layers):
            q, k, v = self._qkv(layer, x, cos, sin)
            keys, values = cache.keys[index], cache.values[index]
            keys[rows_R, :, slot_R], values[rows_R, :, slot_R] = k, v
            grouped = q.view(len(x), self.heads, self.groups, self.head_size)
            attended = next_attention(grouped, keys[:, :, :slots], values[:, :, :slots], bias)
            x = x + layer.out(attended.reshape(len(x), -1))
            x = self._mlp(layer, x)
        return self._logits(x)


class Cache:
    """Keys and values of all rows: `[R, H, S, D]` a layer, allocated once, by position."""

    def __init__(self, decoder: LlamaDecoder, lengths: Sequence[int], n: int, new: int) -> None:
        rows, slots = len(lengths) * n, whole_slots(max(lengths) + new)
        shape = (rows, decoder.heads, slots, decoder.head_size)
        device, dtype = decoder.embedding.device, decoder.dtype
        self.n, self.used = n, max(lengths)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in decoder.layers]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in decoder.layers]
        self.position_R = torch.tensor(lengths, device=device).repeat_interleave(n)
        free_RS = torch.arange(slots, device=device) >= self.position_R[:, None]
        self.bias_RS = torch.zeros(rows, 1, 1, slots, dtype=dtype, device=device)
        self.bias_RS.masked_fill_(free_RS[:, None, None], float("-inf"))

    def write_prompt(self, layer: int, prompt: int, key: Tensor, value: Tensor) -> None:
        """Put one prompt's keys and values `[H, T, D]` into its `n` rows."""
        rows = slice(prompt * self.n, (prompt + 1) * self.n)
        self.keys[layer][rows, :, : key.shape[1]] = key
        self.values[layer][rows, :, : value.shape[1]] = value

    def advance(self) -> tuple[Tensor, Tensor, int, Tensor]:
        """Take each row's next slot.

        Returns the rows' numbers and slots, how many slots to attend to, and the bias that hides
        those of them that a row has not reached.
        """
        slot_R = self.position_R
        rows_R = torch.arange(len(slot_R), device=slot_R.device)
        self.bias_RS[rows_R, :, :, slot_R] = 0.0
        self.position_R = slot_R + 1
        self.used += 1
        slots = whole_slots(self.used)
        return rows_R, slot_R, slots, self.bias_RS[..., :slots]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these: finished answers cost nothing more."""
        for layer in range(len(self.keys)):
            self.keys[layer] = self.keys[layer][rows]
            self.values[layer] = self.values[layer][rows]
        self.position_R, self.bias_RS = self.position_R[rows], self.bias_RS[rows]
        self.used = int(self.position_R.max())
