"""Settings of the reward model."""

from __future__ import annotations

from dataclasses import dataclass, field

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import at_least
from accord.algorithms.settings.optimizer import OptimizerSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardConfig:
    """Bradley-Terry reward model over comparisons (Ouyang et al. 2022, arXiv:2203.02155, eq. 1)."""

    epochs: float = 1.0
    """Passes over the comparisons; the paper finds that more than one overfits."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=2e-4)
    )
    """Step size and decay."""
    scale_prompts: int = 64
    """Answers sampled from the reference policy, evenly over training prompts, to set the unit of
    the score (standard deviation 1)."""
    seed: int = 0
    """Order of the data, the head's and the adapter's first weights."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("epochs", self.epochs, 1e-9)
        at_least("batch_prompts", self.batch_prompts, 1)
        at_least("max_tokens", self.max_tokens, 2)
        at_least("scale_prompts", self.scale_prompts, 2)
