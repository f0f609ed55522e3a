"""What a stack of adapters on a backbone is used for: to give log-probabilities, scores or values.

Shape letters: N = real tokens; M = targets; B = sequences; D = hidden size;
V = vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from accord.core.errors import ModelError
from accord.core.hashing import digest, file_digest
from accord.models.backbone import Backbone
from accord.models.logprobs import token_logprobs
from accord.models.ragged import Ragged

HEAD_FILE = "head.safetensors"
SCALE_FILE = "scale.json"


@dataclass(frozen=True, slots=True)
class Scale:
    """The unit of a reward model: `score = (raw - shift) / scale`, stored with the model.

    `shift_from` and `scale_from` name the answers whose mean became 0 and whose standard deviation
    became 1 (Stiennon et al. 2020; Ziegler et al. 2019).
    """

    shift: float = 0.0
    scale: float = 1.0
    shift_from: str = "nothing"
    scale_from: str = "nothing"


class ScalarHead(nn.Module):
    """A linear map from a hidden state to one number, float32 throughout.

    Starts as N(0, 1/(D+1)) with bias 0 (Huang et al. 2024, arXiv:2403.17031, section 3).
    """

    def __init__(self, hidden_size: int, *, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        std = (hidden_size + 1) ** -0.5
        self.weight = nn.Parameter(torch.randn(hidden_size, generator=generator) * std)
        self.bias = nn.Parameter(torch.zeros(()))

    @torch.no_grad()
    def say(self, value: float) -> None:
        """Give this for every hidden state, until it is trained."""
        self.weight.zero_()
        self.bias.fill_(value)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N]`."""
        return hidden_ND.float() @ self.weight + self.bias


@dataclass(slots=True)
class Role:
    """A stack of adapters, bottom first, on a backbone, with a scalar head where it scores.

    `stack` is the digest of the weights a frozen role consists of; None while something in it
    trains. Roles on one backbone must be run one after the other, backward pass included.
    """

    backbone: Backbone
    adapters: tuple[str, ...] = ()
    head: ScalarHead | None = None
    scale: Scale = field(default_factory=Scale)
    packing: bool = True
    stack: str | None = None

    def hidden(self, batch: Ragged) -> Tensor:
        """Last hidden states `[N, D]`."""
        self.backbone.activate(self.adapters)
        return self.backbone.hidden(batch, packing=self.packing)

    def logprobs(
        self, batch: Ragged, *, temperature: float = 1.0, entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """`(logp_M, entropy_M)` of the batch's targets, in nats, at this temperature; the entropy
        is None unless asked for."""
        hidden_MD = self.hidden(batch)[batch.rows_M]
        weight_VD, bias_V = self.backbone.wide_head()
        return token_logprobs(
            hidden_MD,
            weight_VD,
            batch.targets_M,
            bias_V=bias_V,
            temperature=temperature,
            mixed=self.backbone.mixed,
            entropy=entropy,
        )

    def raw_scores(self, batch: Ragged) -> Tensor:
        """`[B]` head outputs at each sequence's last real token, before `scale`."""
        return cast(Tensor, self._head()(self.hidden(batch)[batch.last_rows_B]))

    def scores(self, batch: Ragged) -> Tensor:
        """`[B]` scores in the model's unit."""
        return (self.raw_scores(batch) - self.scale.shift) / self.scale.scale

    def values(self, batch: Ragged) -> Tensor:
        """`[M]` expected scores before each target token, in the reward model's unit."""
        raw_M: Tensor = self._head()(self.hidden(batch)[batch.rows_M])
        return (raw_M - self.scale.shift) / self.scale.scale

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that take gradients, in a fixed order."""
        full = not self.backbone.adapters
        ends = tuple(f".{adapter}.weight" for adapter in self.adapters)
        for name, parameter in self.backbone.model.named_parameters():
            if parameter.requires_grad and (full or name.endswith(ends)):
                yield name, parameter
        if self.head is not None:
            for name, parameter in self.head.named_parameters():
                if parameter.requires_grad:
                    yield f"head.{name}", parameter

    def _head(self) -> ScalarHead:
        if self.head is None:
            raise ModelError("this role has no scalar head: it gives log-probabilities, not scores")
        return self.head


def stack_digest(backbone: str, adapters: tuple[str, ...]) -> str:
    """Digest of frozen weights: the base's and each adapter's, bottom first."""
    return digest([backbone, *adapters])


def save_head(role: Role, folder: Path) -> str:
    """Write head and scale; returns the head's digest."""
    head = role._head()
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in head.state_dict().items()
    }
    save_file(tensors, folder / HEAD_FILE)
    scale = role.scale
    body = {
        "shift": scale.shift,
        "scale": scale.scale,
        "shift_from": scale.shift_from,
        "scale_from": scale.scale_from,
    }
    (folder / SCALE_FILE).write_text(json.dumps(body, indent=2) + "\n")
    return file_digest(folder / HEAD_FILE)


def load_head(hidden_size: int, folder: Path) -> tuple[ScalarHead, Scale]:
    """Read head and scale. Raises ModelError where they are missing or of another width."""
    head = ScalarHead(hidden_size, seed=0)
    try:
        head.load_state_dict(load_file(folder / HEAD_FILE))
        scale = Scale(**json.loads((folder / SCALE_FILE).read_text()))
    except (OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise ModelError("the scalar head cannot be read", got=error, where=folder) from error
    return head.requires_grad_(False), scale
