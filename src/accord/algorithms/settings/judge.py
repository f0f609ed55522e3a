"""Settings of the judge."""

from __future__ import annotations

from dataclasses import dataclass

from accord.algorithms.settings.checks import above, at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeConfig:
    """A grader made of rated texts, and of texts that nobody would write (`accord.text.made_up`).

    It reads what the frozen base model makes of a text and nothing that a reward model or a policy
    is trained on; how far it can be fooled is measured and reported.
    """

    texts: int = 2000
    """Rated responses it is fitted on, drawn by `seed`; all where there are fewer."""
    made_up: int = 60
    """Texts made up in each way, which it learns to tell from written ones."""
    tried: int = 40
    """Texts made up in each way that it is tried on, out of held-out responses."""
    above: float | None = None
    """Rating above which a held-out text counts as liked; by default their median."""
    gap: float | None = None
    """Between two ratings, from which a pair counts; by default their standard deviation."""
    max_tokens: int = 512
    """Texts of more tokens are left out and counted."""
    seed: int = 0
    """Which texts, and what is made up of them."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("texts", self.texts, 40)
        at_least("made_up", self.made_up, 10)
        at_least("tried", self.tried, 1)
        at_least("max_tokens", self.max_tokens, 2)
        if self.gap is not None:
            above("gap", self.gap, 0)
