"""Heads of reward models and critics: from a hidden state to one number, to several and a doubt, or
to one for each criterion.

Shape letters: N = hidden states; D = hidden size; H = heads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from accord.core.errors import ModelError
from accord.core.hashing import digest, file_digest

HEAD_FILE = "head.safetensors"
SCALE_FILE = "scale.json"
DOUBT_FILE = "doubt.safetensors"
CRITERIA_FILE = "criteria.json"
"""What each head is about and how it counts, where heads are of criteria."""


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

    def each(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N, 1]`: what each head says, of which there is one."""
        alone_N: Tensor = self(hidden_ND)
        return alone_N[:, None]


class Heads(nn.Module):
    """Several heads on one trunk, each from a start of its own; what they say is their mean."""

    def __init__(self, hidden_size: int, count: int, *, seed: int) -> None:
        super().__init__()
        seeds = [
            seed,
            *(int(np.random.SeedSequence((seed, h)).generate_state(1)[0]) for h in range(1, count)),
        ]
        self.parts = nn.ModuleList(ScalarHead(hidden_size, seed=own) for own in seeds)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N]`."""
        return self.each(hidden_ND).mean(1)

    def each(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N, H]`: what each head says."""
        return torch.stack([part(hidden_ND) for part in self.parts], dim=1)

    @torch.no_grad()
    def level(self, shift_H: Tensor) -> None:
        """Move each head by its own constant so that all mean what the mean head does.

        `shift_H` is what each says on the same texts. Comparisons say nothing of a head's level:
        where heads differed in it, they would seem to disagree about everything.
        """
        for part, shift in zip(self._each(), shift_H.to(torch.float64), strict=True):
            part.bias.add_((shift_H.to(torch.float64).mean() - shift).to(part.bias))

    @torch.no_grad()
    def mean_head(self) -> ScalarHead:
        """One head that says the mean of all, for every hidden state."""
        parts = self._each()
        mean = ScalarHead(len(parts[0].weight), seed=0).to(parts[0].weight.device)
        mean.weight.copy_(torch.stack([part.weight for part in parts]).mean(0))
        mean.bias.copy_(torch.stack([part.bias for part in parts]).mean(0))
        return mean

    def _each(self) -> list[ScalarHead]:
        return [cast(ScalarHead, part) for part in self.parts]


@dataclass(frozen=True, slots=True)
class Criterion:
    """What one head is about, and what it counts for: `weight * (said - mean) / deviation`."""

    name: str
    weight: float = 1.0
    mean: float = 0.0
    deviation: float = 1.0


class CriterionHeads(nn.Module):
    """A head for each criterion on one trunk; what they say is the weighted sum, standardised.

    Heads are of different things, as those of ArmoRM are (Wang et al. 2024, arXiv:2406.12845), and
    no ensemble. A head starts by its criterion's name, so that their order changes nothing.
    """

    def __init__(self, hidden_size: int, criteria: Sequence[Criterion], *, seed: int) -> None:
        super().__init__()
        seeds = [int(digest([seed, one.name])[:8], 16) for one in criteria]
        self.parts = nn.ModuleList(ScalarHead(hidden_size, seed=own) for own in seeds)
        for name in ("weight_H", "mean_H", "deviation_H"):
            self.register_buffer(name, torch.zeros(len(criteria)), persistent=False)
        self.measured(criteria)

    @torch.no_grad()
    def measured(self, criteria: Sequence[Criterion]) -> None:
        """Weigh the heads so from now on."""
        self.criteria = tuple(criteria)
        for name in ("weight", "mean", "deviation"):
            self.get_buffer(f"{name}_H").copy_(torch.tensor([getattr(c, name) for c in criteria]))

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N]`."""
        said_NH = self.by_criterion(hidden_ND) - self.get_buffer("mean_H")
        return (said_NH / self.get_buffer("deviation_H")) @ self.get_buffer("weight_H")

    def each(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N, 1]`: the weighted sum, which is one opinion."""
        alone_N: Tensor = self(hidden_ND)
        return alone_N[:, None]

    def by_criterion(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N, H]`: what each head says, as it was trained."""
        return torch.stack([part(hidden_ND) for part in self.parts], dim=1)

    @torch.no_grad()
    def mean_head(self) -> ScalarHead:
        """One head that says the weighted sum, for every hidden state."""
        parts = [cast(ScalarHead, part) for part in self.parts]
        one = ScalarHead(len(parts[0].weight), seed=0).to(parts[0].weight.device)
        one.say(0.0)
        for part, criterion in zip(parts, self.criteria, strict=True):
            share = criterion.weight / criterion.deviation
            one.weight.add_(part.weight * share)
            one.bias.add_((part.bias - criterion.mean) * share)
        return one


AnyHead = ScalarHead | Heads | CriterionHeads


def fresh_head(
    hidden_size: int, count: int, *, seed: int, criteria: Sequence[Criterion] = ()
) -> AnyHead:
    """One head, several of different starts, or one for each criterion."""
    if criteria:
        return CriterionHeads(hidden_size, criteria, seed=seed)
    return (
        ScalarHead(hidden_size, seed=seed) if count == 1 else Heads(hidden_size, count, seed=seed)
    )


@dataclass(frozen=True, slots=True)
class Doubt:
    """A Gaussian posterior over a head's weights, read as how unsure a raw score is.

    A score has no level of its own, so what is doubted is how far a text stands from the average
    of some texts, whose mean hidden state is `centre_D`: its standard deviation is
    sqrt((h - centre) covariance (h - centre)).
    """

    centre_D: Tensor
    covariance_DD: Tensor

    def __call__(self, hidden_ND: Tensor) -> Tensor:
        """`[N, D] -> [N]` standard deviations of raw scores."""
        apart_ND = hidden_ND.double() - self.centre_D.to(hidden_ND.device)
        variance_N = ((apart_ND @ self.covariance_DD.to(hidden_ND.device)) * apart_ND).sum(1)
        return variance_N.clamp(min=0).sqrt().float()


def save_head_files(head: AnyHead, scale: Scale, folder: Path, doubt: Doubt | None = None) -> str:
    """Write a head, its unit and its doubt, where it has one; returns the head's digest."""
    tensors = {n: tensor.detach().cpu().contiguous() for n, tensor in head.state_dict().items()}
    save_file(tensors, folder / HEAD_FILE)
    (folder / SCALE_FILE).write_text(json.dumps(asdict(scale), indent=2) + "\n")
    if isinstance(head, CriterionHeads):
        weighed = json.dumps([asdict(one) for one in head.criteria], indent=2)
        (folder / CRITERIA_FILE).write_text(weighed + "\n")
    if doubt is not None:
        parts = {"centre": doubt.centre_D, "covariance": doubt.covariance_DD}
        save_file({n: part.cpu().contiguous() for n, part in parts.items()}, folder / DOUBT_FILE)
    return file_digest(folder / HEAD_FILE)


def load_head(hidden_size: int, folder: Path) -> tuple[AnyHead, Scale]:
    """Read head, or heads, and scale. Raises ModelError where they are missing or do not fit."""
    try:
        tensors = load_file(folder / HEAD_FILE)
        count = sum(name.endswith("weight") for name in tensors)
        several = any(name.startswith("parts.") for name in tensors)
        head: AnyHead
        if (folder / CRITERIA_FILE).is_file():
            weighed = json.loads((folder / CRITERIA_FILE).read_text())
            head = CriterionHeads(hidden_size, [Criterion(**one) for one in weighed], seed=0)
        elif several:
            head = Heads(hidden_size, count, seed=0)
        else:
            head = ScalarHead(hidden_size, seed=0)
        head.load_state_dict(tensors)
        scale = Scale(**json.loads((folder / SCALE_FILE).read_text()))
    except (OSError, RuntimeError, ValueError, TypeError, SafetensorError) as error:
        raise ModelError("the scalar head cannot be read", got=error, where=folder) from error
    return head.requires_grad_(False), scale


def load_doubt(hidden_size: int, folder: Path) -> Doubt | None:
    """Read what `save_head_files` wrote of a doubt; None where there is none. Raises ModelError."""
    if not (folder / DOUBT_FILE).is_file():
        return None
    try:
        parts = load_file(folder / DOUBT_FILE)
        found = Doubt(parts["centre"], parts["covariance"])
        fits = found.covariance_DD.shape == (hidden_size, hidden_size)
        if not fits or found.centre_D.shape != (hidden_size,):
            raise ValueError(f"it is of width {found.centre_D.shape}, the model of {hidden_size}")
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelError("the doubt cannot be read", got=error, where=folder) from error
    return found
