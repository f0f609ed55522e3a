"""Settings of direct alignment: learning from comparisons without a reward model."""

from __future__ import annotations

from dataclasses import dataclass, field

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least
from accord.algorithms.settings.optimizer import OptimizerSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOConfig:
    """Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290, eq. 7)."""

    beta: float = 0.1
    """Strength of the pull to the reference, in 1/nats. Paper: 0.1."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    cache_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        above("beta", self.beta, 0)
        at_least("epochs", self.epochs, 1e-9)
        at_least("batch_prompts", self.batch_prompts, 1)
        at_least("max_tokens", self.max_tokens, 2)
