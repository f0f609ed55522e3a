"""Low-rank adapters."""

from __future__ import annotations

from dataclasses import dataclass

from accord.algorithms.settings.checks import above, at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterSettings:
    """LoRA (Hu et al. 2021, arXiv:2106.09685) on every linear layer but the head."""

    rank: int = 16
    """Rank of the update; 0 trains all weights instead of an adapter."""
    alpha: float = 32.0
    """The update is scaled by alpha / rank."""

    def __post_init__(self) -> None:
        at_least("adapter.rank", self.rank, 0)
        above("adapter.alpha", self.alpha, 0)

    @property
    def full(self) -> bool:
        """Whether all weights are trained."""
        return self.rank == 0
