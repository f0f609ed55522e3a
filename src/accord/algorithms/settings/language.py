"""Settings of pretraining and supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass, field

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least
from accord.algorithms.settings.optimizer import OptimizerSettings, Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """Next-token prediction over packed documents; trains all weights."""

    steps: int = 200
    """Optimiser steps."""
    batch_rows: int = 16
    """Packed rows an optimiser step."""
    row_tokens: int = 256
    """Length of a packed row; documents are joined by the end-of-text token and cut to it."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=3e-3, schedule=Schedule.COSINE, beta2=0.95, weight_decay=0.1
        )
    )
    """Step size and decay."""
    seed: int = 0
    """Order of the data."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("steps", self.steps, 1)
        at_least("batch_rows", self.batch_rows, 1)
        at_least("row_tokens", self.row_tokens, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class SFTConfig:
    """Supervised fine-tuning on demonstrations: the loss is on assistant turns alone."""

    epochs: float = 2.0
    """Passes over the demonstrations; a fraction ends inside a pass."""
    batch_size: int = 16
    """Conversations an optimiser step."""
    max_tokens: int = 1024
    """Conversations longer than this are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each conversation. Off: right padding."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=2e-4, schedule=Schedule.COSINE)
    )
    """Step size and decay."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        above("epochs", self.epochs, 0)
        at_least("batch_size", self.batch_size, 1)
        at_least("max_tokens", self.max_tokens, 2)
