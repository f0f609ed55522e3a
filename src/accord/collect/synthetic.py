"""Simulated raters: Bradley-Terry people with a known truth, lapses and ties.

They exist so that a learned reward can be held against what was planted. Their comparisons say
"synthetic" in `source` and are never to be shown as anybody's opinion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from accord.core.errors import ConfigError, DataError
from accord.core.hashing import digest
from accord.core.types import Comparison, Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticRater:
    """One rater who ranks answers by gold with noise (Plackett 1975, Luce 1959, with a lapse rate).

    The rater sees gold rounded to the nearest multiple of `grain` and cannot tell apart what rounds
    to the same value: those answers share a tier. The values that differ get a utility each,

        u = seen / temperature + Gumbel(0, 1),

    and the tiers follow u, so that every pair obeys Bradley-Terry. In a share `lapse` of the
    comparisons the rater does not look, and the order of the tiers is drawn evenly.

    The draw depends on `seed`, the prompt and the set of answers alone: neither the order of
    comparisons nor the order of answers within one changes what the rater thinks.
    """

    temperature: float = 0.5
    """Gold difference that a factor e in the odds stands for; 0 is a rater without noise."""
    lapse: float = 0.0
    """Share of comparisons judged without looking, in [0, 1]."""
    grain: float = 0.0
    """Smallest step of gold that the rater sees; 0 ties only what is exactly equal."""
    seed: int = 0
    """Which rater of many alike."""

    def __post_init__(self) -> None:
        for name in ("temperature", "grain"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"a rater's {name} must be finite and at least 0", got=value)
        if not 0 <= self.lapse <= 1:
            raise ConfigError("a rater's lapse must lie in [0, 1]", got=self.lapse)

    @property
    def source(self) -> str:
        """What the comparisons carry as their source: "synthetic:" and every setting."""
        return (
            f"synthetic:temperature={self.temperature:g},lapse={self.lapse:g},"
            f"grain={self.grain:g},seed={self.seed}"
        )

    def probability(self, first: float, second: float) -> float:
        """P(first is ranked above second) given their gold scores, a tie counted as one half.

        This is the exact probability that `judge` draws from, whatever other answers are beside
        them: max(p, 1 - p) over the pairs that are no ties gives the Bayes bound on accuracy.
        """
        a, b = self._seen(first), self._seen(second)
        if a == b:
            return 0.5
        if self.temperature == 0:
            looked = float(a > b)
        else:
            looked = _sigmoid((a - b) / self.temperature)
        return (1 - self.lapse) * looked + self.lapse / 2

    def judge(
        self, prompt: Conversation, responses: Sequence[str], gold: Sequence[float]
    ) -> Comparison:
        """Rank K >= 2 `responses` to `prompt`, with `gold[k]` the true score of response k.

        Raises DataError where the lengths differ or a score is not finite.
        """
        if len(responses) != len(gold):
            raise DataError(
                "a rater needs one gold score a response",
                got=f"{len(responses)} responses, {len(gold)} scores",
            )
        if not all(math.isfinite(score) for score in gold):
            raise DataError("a gold score must be finite", got=list(gold))
        rng = Random(digest(["synthetic", self.seed, prompt.digest, sorted(responses)]))
        values = sorted({self._seen(score) for score in gold})
        lapsed = rng.random() < self.lapse
        utility = {value: self._utility(value, lapsed, rng) for value in values}
        best_first = sorted(values, key=lambda value: -utility[value])
        tier = {value: place for place, value in enumerate(best_first)}
        return Comparison(
            prompt=prompt,
            responses=tuple(responses),
            tiers=tuple(tier[self._seen(score)] for score in gold),
            source=self.source,
        )

    def _seen(self, gold: float) -> float:
        return round(gold / self.grain) * self.grain if self.grain else gold

    def _utility(self, value: float, lapsed: bool, rng: Random) -> float:
        gumbel = -math.log(max(rng.expovariate(1.0), 5e-324))
        if lapsed:
            return gumbel
        return value if self.temperature == 0 else value / self.temperature + gumbel


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
