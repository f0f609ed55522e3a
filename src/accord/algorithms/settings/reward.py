"""Settings of the reward model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, finite
from accord.algorithms.settings.optimizer import OptimizerSettings
from accord.core.errors import ConfigError
from accord.core.types import OVERALL

RewardObjective = Literal["bradley-terry", "rao-kupper", "davidson", "plackett-luce"]
"""What a reward model takes comparisons for; the formulas are in `accord.objectives.reward`."""

WITH_TIES = ("rao-kupper", "davidson")
"""Objectives in which a tie is an outcome, with a parameter of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardConfig:
    """Bradley-Terry reward model over comparisons (Ouyang et al. 2022, arXiv:2203.02155, eq. 1)."""

    model: str = ""
    """The base of the reward model: `tiny`, `smollm2`, a folder in transformers' format or a hub
    id. It may be smaller than the policy and have another tokenizer: it then reads the words of an
    answer. Empty: the policy's base, which the two share."""
    objective: RewardObjective = "bradley-terry"
    """What the comparisons are taken for: pairs (bradley-terry), pairs in which a tie is an outcome
    (rao-kupper, davidson), or whole rankings (plackett-luce)."""
    tie: float | None = None
    """Tie parameter of rao-kupper (log t, above 0) and davidson (log v), in nats. None: learned,
    from where it is right for equal scores."""
    strength_margin: float = 0.0
    """Margin of a comparison of strength 4 that brings none of its own; 3, 2 and 1 have 2/3, 1/3
    and 0 of it (Touvron et al. 2023, arXiv:2307.09288, table 27, where it is 1 or 3). In raw score
    as the model trains, before its unit is set: nats of the log-odds that the better answer wins.
    0: strength is not read."""
    centring: float = 0.0
    """Price of the squared sum of two compared scores, which holds scores around 0, in nats a
    squared score; 0: none. Eisenstein et al. 2023 (arXiv:2312.09244) take .01."""
    heads: int = 1
    """Heads on one trunk, each from a start of its own and with its own bootstrap weights of the
    prompts. The score is their mean; how far they disagree is a measure of doubt."""
    doubt_pairs: int = 0
    """Training pairs of which the posterior over the head is made (Laplace), which tells how unsure
    a score is; drawn by seed where there are more. 0: none, and no doubt but that of `heads`. Fewer
    than the model is wide leave some of it in doubt for not having been looked at."""
    criteria: tuple[str, ...] = ()
    """Criteria with a head each on one trunk, learned from the comparisons that are about it;
    "overall" stands for those about the whole answer. The score is the weighted sum of the heads,
    each of standard deviation 1 on the reference's samples. None named: one head, of the whole
    answer, and what is about a criterion is left out."""
    criteria_weights: tuple[float, ...] = ()
    """What each of `criteria` counts for in the score, in their order: its standard deviation's
    share of it. Below 0: what has it scores lower. 0: it is learned and measured, and scores
    nothing. None given: all count alike."""
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
    """Order of the data, the head's and the adapter's first weights, the heads' bootstrap."""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        at_least("strength_margin", self.strength_margin, 0)
        at_least("centring", self.centring, 0)
        at_least("heads", self.heads, 1)
        at_least("doubt_pairs", self.doubt_pairs, 0)
        above("epochs", self.epochs, 0)
        at_least("batch_prompts", self.batch_prompts, 1)
        at_least("max_tokens", self.max_tokens, 2)
        at_least("scale_prompts", self.scale_prompts, 2)
        if self.tie is not None:
            self._check_tie(self.tie)
        if self.criteria or self.criteria_weights:
            self._check_criteria()

    @property
    def about(self) -> tuple[str, ...]:
        """The criterion of the comparisons that each head learns from, as these say it."""
        return tuple("" if name == OVERALL else name for name in self.criteria) or ("",)

    @property
    def weighed(self) -> tuple[tuple[str, float], ...]:
        """Each of `criteria` with its weight; nothing where none is named."""
        weights = self.criteria_weights or (1.0,) * len(self.criteria)
        return tuple(zip(self.criteria, weights, strict=True))

    def _check_criteria(self) -> None:
        criteria, weights = self.criteria, self.criteria_weights
        if not all(criteria) or len(set(criteria)) < len(criteria):
            raise ConfigError(
                "criteria are different names, none of them empty",
                got=f"criteria = {list(criteria)}",
                do=f'name each once; "{OVERALL}" is the answer as a whole',
            )
        if weights and len(weights) != len(criteria):
            raise ConfigError(
                "criteria_weights are one number for each of criteria",
                got=f"{len(weights)} weights, {len(criteria)} criteria",
                do="give as many, in the order of criteria, or none: then all count alike",
            )
        for weight in weights:
            finite("criteria_weights", weight)
        if weights and not any(weights):
            raise ConfigError(
                "a score needs a criterion that counts",
                got=f"criteria_weights = {list(weights)}",
                do="give one of them a weight other than 0",
            )
        if self.heads > 1 or self.doubt_pairs:
            raise ConfigError(
                "heads of criteria tell no doubt: they differ in what they are about",
                got=f"criteria = {list(criteria)} with heads = {self.heads} and "
                f"doubt_pairs = {self.doubt_pairs}",
                do="set heads = 1 and doubt_pairs = 0, or leave criteria out",
            )

    def _check_tie(self, tie: float) -> None:
        finite("tie", tie)
        if self.objective == "rao-kupper":
            above("tie", tie, 0)
        if self.objective not in WITH_TIES:
            raise ConfigError(
                "tie belongs to an objective in which ties are an outcome",
                got=f"tie = {tie:g} with objective = {self.objective!r}",
                do='leave it out, or set objective = "davidson" or "rao-kupper"',
            )
