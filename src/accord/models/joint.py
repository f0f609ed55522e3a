"""PEFT's low-rank layer with the whole active stack as one product, as the sampler computes it.

PEFT adds one adapter's output after the other and, in bfloat16, rounds after each: two adapters
are two more roundings than the sampler makes, and twice the number of small products.

Shape letters: N = tokens; I = inputs; O = outputs; K = ranks of all active adapters together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D


class JointLinear(LoraLinear):
    """`base(x) + (x A^T) B^T` for the stacked A `[K, I]` and scaled B `[O, K]`.

    The same files and parameters as PEFT's own layer; gradients reach the adapters that train. What
    is not a plain adapter (a variant of LoRA, a bias or dropout of its own) is left to PEFT.
    """

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """`[..., I] -> [..., O]`, rounded once an adapter product and once where it is added."""
        names = [name for name in self.active_adapters if name in self.lora_A]
        if args or kwargs or not names or not self._plain(names):
            out: Tensor = super().forward(x, *args, **kwargs)
            return out
        device = x.device.type
        if torch.is_autocast_enabled(device):  # once, not for every product
            x = x.to(torch.get_autocast_dtype(device))
        down_KI, up_OK = stacked(self, names, x.dtype)
        out = self.base_layer(x)
        return out.add_(F.linear(F.linear(x, down_KI), up_OK))

    def _plain(self, names: Sequence[str]) -> bool:
        return not (
            self.disable_adapters
            or self.merged
            or any(name in self.lora_variant or self.lora_bias[name] for name in names)
            or (self.training and any(_drops(self.lora_dropout[name]) for name in names))
        )


def stacked(layer: Any, names: Sequence[str], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """One layer's adapters: down `[K, I]` and scaled up `[O, K]`, bottom first, in `dtype`.

    Sampler and trainer both take them from here: they are scaled, then rounded, in one way.
    """
    down = [layer.lora_A[name].weight.to(dtype) for name in names]
    up = [(layer.lora_B[name].weight * layer.scaling[name]).to(dtype) for name in names]
    if len(names) == 1:
        return down[0], up[0]
    return torch.cat(down), torch.cat(up, 1)


def made_joint(config: LoraConfig) -> LoraConfig:
    """The same settings, with `JointLinear` as the layer that PEFT lays on linear layers."""
    config._register_custom_module({nn.Linear: JointLinear, Conv1D: JointLinear})
    return config


def _drops(layer: nn.Module) -> bool:
    return not isinstance(layer, nn.Identity)
