"""The machine part of a run's lineage: resolved at its first start, stored, reused by `resume`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What the same code and settings may compute different last bits on."""

    device: str
    """Where tensors live: cpu or cuda."""
    dtype: str
    """What matrix products run in: float32 or bfloat16. Trained parameters are float32 always."""
    threads: int
    """Threads a matrix product is split over."""
    micro_batch_tokens: int
    """Real tokens that go forward and backward at once."""
    torch: str
    """Version of torch."""
    cpu: str
    """Capability that torch's kernels were chosen for."""
