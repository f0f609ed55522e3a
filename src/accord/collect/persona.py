"""What a simulated person wants and how they fail: settings that a file or definition can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from accord.collect.features import FEATURES
from accord.core.errors import ConfigError
from accord.core.types import Conversation


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Something that a response can have more or less of, known to the simulation alone."""

    name: str
    score: Callable[[Conversation, str], float]
    """Prompt and response to a finite number, higher is better. The same words, the same number."""
    centre: float = 0.0
    """Score that is rated 3."""
    spread: float = 1.0
    """Difference of score that one step of a rating stands for."""

    def __post_init__(self) -> None:
        if self.name in FEATURES or not self.name.isidentifier():
            raise ConfigError(
                "a truth needs a name of letters, digits and _ that no feature has",
                got=self.name,
                do=f"features are: {', '.join(FEATURES)}",
            )
        _make_floats(self, "centre", "spread")
        if not (math.isfinite(self.centre) and math.isfinite(self.spread) and self.spread > 0):
            raise ConfigError(
                "a truth's centre is finite and its spread above 0",
                got=f"{self.centre}, {self.spread}",
                where=self.name,
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Decides between two responses where they differ enough."""

    by: str
    """A feature of `accord.collect.features`, or a truth; more of it is better."""
    threshold: float = 0.0
    """Difference that must be exceeded; a smaller one leaves it to the next rule."""

    def __post_init__(self) -> None:
        _make_floats(self, "threshold")
        if not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise ConfigError(
                "a rule's threshold must be finite and at least 0", got=self.threshold
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class PersonSettings:
    """What a simulated person wants, and how they fail. Utility is in the unit of the truths."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """What counts for them: a truth or feature, and the utility of one unit of it. Several make a
    persona. None: all responses are worth the same to them, but for rules and bias."""
    rules: tuple[Rule, ...] = ()
    """Asked before anything is weighed: the first that tells two responses apart decides between
    them (Tversky 1969, lexicographic semiorder)."""
    temperature: float = 0.5
    """Difference of utility that a factor e in the odds stands for; 0 is a person without noise."""
    bias: Mapping[str, float] = field(default_factory=dict)
    """What counts though it should not: a feature or truth, and the utility of one unit of it."""
    lapse: float = 0.0
    """Share of sheets judged without looking, in [0, 1]."""
    fatigue: float = 0.0
    """Added to the lapse rate for every hundred judgements given before, up to 1."""
    grain: float = 0.0
    """Smallest step of utility that they see; what rounds to the same is a tie. 0 ties only what is
    exactly equal."""
    consistency: float = 1.0
    """Chance that noise is the same whenever the same words are shown, in [0, 1]; otherwise it is
    drawn for this showing alone."""
    criteria: Mapping[str, str] = field(default_factory=dict)
    """Which truth is behind a criterion that is rated; a truth of the criterion's own name needs no
    entry, and a criterion without a truth is left out."""
    seed: int = 0
    """Which person of many alike."""

    def __post_init__(self) -> None:
        _make_floats(self, "temperature", "lapse", "fatigue", "grain", "consistency")
        for name in ("weights", "bias"):
            given = {key: float(value) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, given)
        for name in ("temperature", "grain", "fatigue"):
            _check_number(name, getattr(self, name))
        for name in ("lapse", "consistency"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in [0, 1]", got=getattr(self, name))
        for name, by in (("weights", self.weights), ("bias", self.bias)):
            if not all(math.isfinite(value) for value in by.values()):
                raise ConfigError(f"{name} must be finite", got=dict(by))

    @property
    def prefers(self) -> bool:
        """Whether anything says which response is better, or they never look. Else all is a tie."""
        counted = (*self.weights.values(), *self.bias.values())
        return any(counted) or bool(self.rules) or self.lapse == 1


def _check_number(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"{name} must be finite and at least 0", got=value)


def _make_floats(value: object, *names: str) -> None:
    """1 and 1.0 are one setting, and must be one definition."""
    for name in names:
        object.__setattr__(value, name, float(getattr(value, name)))
