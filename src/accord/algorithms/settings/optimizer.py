"""How a gradient becomes a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from accord.algorithms.settings.checks import above, at_least, within


class Schedule(StrEnum):
    """Shape of the learning rate after warm-up."""

    CONSTANT = "constant"
    LINEAR = "linear"
    """Falls in a straight line to `final_share` of the peak."""
    COSINE = "cosine"
    """Falls along half a cosine to `final_share` of the peak."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSettings:
    """AdamW (Loshchilov and Hutter 2019) with warm-up, decay and gradient clipping."""

    learning_rate: float = 1e-4
    """Peak rate. For adapters about ten times that of full fine-tuning."""
    schedule: Schedule = Schedule.LINEAR
    """Shape after warm-up."""
    warmup_share: float = 0.03
    """Part of all steps over which the rate rises in a straight line from 0."""
    final_share: float = 0.1
    """Rate at the last step over the peak (Ouyang et al. 2022 decay to 10%)."""
    beta1: float = 0.9
    """Decay of the gradient's running mean."""
    beta2: float = 0.999
    """Decay of the squared gradient's running mean."""
    epsilon: float = 1e-8
    """Added to the root of the second moment. PPO uses 1e-5 (Huang et al. 2024)."""
    weight_decay: float = 0.0
    """Decoupled decay, 1/step, scaled by the rate."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it; 0 leaves them alone."""

    def __post_init__(self) -> None:
        above("learning_rate", self.learning_rate, 0)
        within("warmup_share", self.warmup_share, 0, 1)
        within("final_share", self.final_share, 0, 1)
        within("beta1", self.beta1, 0, 0.9999999)
        within("beta2", self.beta2, 0, 0.9999999)
        above("epsilon", self.epsilon, 0)
        at_least("weight_decay", self.weight_decay, 0)
        at_least("max_grad_norm", self.max_grad_norm, 0)

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step `step` (from 0) of `steps`. A function of both: it has no state."""
        warmup = math.ceil(self.warmup_share * steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, steps - 1 - warmup)
        match self.schedule:
            case Schedule.CONSTANT:
                share = 1.0
            case Schedule.LINEAR:
                share = 1 - (1 - self.final_share) * done
            case Schedule.COSINE:
                fall = (1 + math.cos(math.pi * done)) / 2
                share = self.final_share + (1 - self.final_share) * fall
        return self.learning_rate * share
