"""All that a training loop remembers between two steps, saved and restored to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from accord.core.errors import WorkspaceError


@dataclass(slots=True)
class TrainState:
    """Trained parameters, their AdamW moments, the step, and the loop's own numbers.

    Everything else a loop needs (data order, sampling seeds, learning rate) is a function of the
    seed and the step. `numbers` holds what is not: a KL coefficient, a count. `kept` holds the
    last weights that met a budget, where there is one. `frozen` holds the weights of the policy
    that answers, where that is not the present one.
    """

    parameters: dict[str, nn.Parameter]
    optimizer: torch.optim.AdamW
    step: int = 0
    numbers: dict[str, float] = field(default_factory=dict)
    kept: dict[str, Tensor] = field(default_factory=dict)
    frozen: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        parameters: Iterable[tuple[str, nn.Parameter]],
        *,
        betas: tuple[float, float],
        epsilon: float,
        weight_decay: float,
    ) -> TrainState:
        """A state at step 0. Decay acts on matrices alone, not on norms, biases and heads."""
        named = dict(parameters)
        groups = [
            {"params": [p for p in named.values() if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in named.values() if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=0.0,
            betas=betas,
            eps=epsilon,
            fused=True,
        )
        return cls(parameters=named, optimizer=optimizer)

    def keep(self) -> None:
        """Remember the weights that answer, the present or the frozen ones, as the last that met
        the budget."""
        self.kept = {name: tensor.clone() for name, tensor in self.frozen.items()} or self._copy()

    def restore_kept(self) -> None:
        """Go back to the remembered weights, where there are any."""
        self._put(self.kept)

    def freeze(self) -> None:
        """Remember the present weights as those of the policy that answers from now on."""
        self.frozen = self._copy()

    @contextmanager
    def frozen_weights(self) -> Iterator[None]:
        """Inside, the parameters are the frozen weights, where there are any; the present ones come
        back to the bit. Nothing may be learned inside."""
        present = self._copy() if self.frozen else {}
        self._put(self.frozen)
        try:
            yield
        finally:
            self._put(present)

    def _copy(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def _put(self, tensors: dict[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.parameters[name].copy_(tensor)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, which must exist."""
        tensors = {f"parameter:{n}": p.detach().cpu() for n, p in self.parameters.items()}
        tensors |= {f"kept:{n}": t.cpu() for n, t in self.kept.items()}
        tensors |= {f"frozen:{n}": t.cpu() for n, t in self.frozen.items()}
        for name, parameter in self.parameters.items():
            moments = self.optimizer.state.get(parameter, {})
            tensors |= {f"{key}:{name}": value.cpu() for key, value in moments.items()}
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "state.safetensors")
        body = {"step": self.step, "numbers": self.numbers}
        (folder / "state.json").write_text(json.dumps(body) + "\n")

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Read what `save` wrote, in place. Raises WorkspaceError where it does not fit."""
        try:
            tensors = load_file(folder / "state.safetensors")
            body = json.loads((folder / "state.json").read_text())
            step, numbers = int(body["step"]), dict(body["numbers"])
        except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
            raise _unreadable(folder, error) from error
        shapes = {n: p.shape for n, p in self.parameters.items()}
        saved = {k.partition(":")[2]: t.shape for k, t in tensors.items() if k[:9] == "parameter"}
        if shapes != saved:
            odd = min(n for n in shapes | saved if shapes.get(n) != saved.get(n))
            raise _unreadable(folder, f"{odd} is not what this stage trains")
        self.kept.clear()
        self.frozen.clear()
        self.optimizer.state.clear()
        for key, tensor in tensors.items():
            kind, _, name = key.partition(":")
            parameter = self.parameters[name]
            if kind == "parameter":
                parameter.copy_(tensor)
            elif kind == "kept":
                self.kept[name] = tensor.to(parameter.device)
            elif kind == "frozen":
                self.frozen[name] = tensor.to(parameter.device)
            else:
                self.optimizer.state[parameter][kind] = tensor.to(parameter.device)
        self.step, self.numbers = step, numbers


def _unreadable(folder: Path, cause: object) -> WorkspaceError:
    return WorkspaceError(
        "the checkpoint cannot be read",
        got=cause,
        where=folder,
        do="delete this folder to start the stage again",
    )
