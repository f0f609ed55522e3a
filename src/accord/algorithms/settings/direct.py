"""Settings of direct alignment: learning from judgements without reinforcement learning.

Which of these values is given decides the objective; the loop is one for all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, within
from accord.algorithms.settings.optimizer import OptimizerSettings
from accord.algorithms.settings.pair_loss import PairLoss, check_parts
from accord.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class DPOConfig:
    """Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290, eq. 7), and its
    relatives on pairs: CPO, SLiC, DPO-Positive, EXO, NCA, BCO, SPPO, APO."""

    loss: PairLoss = PairLoss.SIGMOID
    """What is asked of a pair: sigmoid (DPO's own), hinge, exo, nca, bco, sppo, apo_zero or
    apo_down."""
    beta: float = 0.1
    """Strength of the pull to the reference, in 1/nats. Paper: 0.1."""
    reference_free: bool = False
    """Read no reference: log-probabilities take the place of log-ratios. With the sigmoid and `nll`
    this is CPO, with the hinge and `nll` SLiC."""
    nll: float = 0.0
    """Weight of the better answer's negative log-likelihood beside the loss: a mean over its tokens
    and then over answers, in units of the loss a nat a token (Pang et al. 2024, arXiv:2404.19733,
    take 1). 0: none."""
    dpop: float = 0.0
    """What a nat costs by which the better answer falls below the reference, in nats of lead
    (DPO-Positive, Pal et al. 2024, arXiv:2402.13228, takes 50). 0: a fall costs nothing."""
    smoothing: float = 0.0
    """Share of labels that are taken to be wrong, below 0.5; 0 believes every label. Above 0 this
    is conservative DPO (Mitchell 2023), or the epsilon of EXO, which needs one (paper: 0.001)."""
    robust: bool = False
    """Take what wrong labels add off the loss (Chowdhury et al. 2024, arXiv:2403.00409) instead of
    expecting it: robust DPO with `smoothing` as the share of wrong labels."""
    margin: float = 1.0
    """What a comparison's margin counts, in implicit reward: by how much its better answer should
    lead (ODPO, Amini et al. 2024, arXiv:2402.10571). 0 ignores margins."""
    strength_margin: float = 0.0
    """Margin of a comparison of strength 4 that brings none of its own; 3, 2 and 1 have 2/3, 1/3
    and 0 of it (Touvron et al. 2023, arXiv:2307.09288, table 27). In implicit reward (beta times
    the lead in log-ratio), which is nats of the log-odds that the better answer wins. It counts
    `margin` times, like any margin. 0: strength is not read."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    cache_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step, and keep them for
    other stages on the same data."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        above("beta", self.beta, 0)
        within("smoothing", self.smoothing, 0, 0.499)
        at_least("margin", self.margin, 0)
        at_least("strength_margin", self.strength_margin, 0)
        if self.strength_margin > 0 and self.margin == 0:
            raise ConfigError(
                "strength_margin is a margin, and margin = 0 ignores margins",
                got=f"strength_margin = {self.strength_margin:g} with margin = 0",
                do="leave margin at 1, or strength_margin at 0",
            )
        at_least("nll", self.nll, 0)
        at_least("dpop", self.dpop, 0)
        check_parts(
            loss=self.loss,
            smoothing=self.smoothing,
            robust=self.robust,
            margin=self.margin,
            strength_margin=self.strength_margin,
            reference_free=self.reference_free,
            dpop=self.dpop,
        )
        if self.robust and self.smoothing == 0:
            raise ConfigError(
                "robust DPO needs to know how many labels are wrong",
                got="robust = true with smoothing = 0",
                do="set smoothing to the share of wrong labels, such as 0.1",
            )
        _check_run(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class IPOConfig:
    """Identity Preference Optimization (Azar et al. 2023, arXiv:2310.12036, eq. 17)."""

    beta: float = 0.1
    """Strength of the pull to the reference, the paper's tau, in 1/nats: the better answer should
    lead by 1/(2 beta) nats. Paper: 0.1 to 1."""
    per_token: bool = False
    """Average log-ratios over an answer's tokens, so that long answers do not lead by length
    alone: the lead of 1/(2 beta) is then a token's, and beta wants to be some ten times larger."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    cache_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step, and keep them for
    other stages on the same data."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        above("beta", self.beta, 0)
        _check_run(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class KTOConfig:
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv:2402.01306, eq. 7)."""

    beta: float = 0.1
    """Strength of the pull to the reference, in 1/nats. Paper: 0.1."""
    desirable: float | None = None
    """Weight of answers that were called good. None: 1, or as much more as brings the two sides,
    weight times answers, to a ratio of 1 at least (the bounds of the paper: 1 to 4/3)."""
    undesirable: float | None = None
    """Weight of answers that were called bad. None: 1, or as much more as brings that ratio to 4/3
    at most."""
    learn_from: Literal["all", "comparisons", "feedback"] = "all"
    """Comparisons (the better answer is desirable, the worse one undesirable; neither is desirable
    where all were called bad), thumbs up and down, or whichever of the two there are."""
    epochs: float = 1.0
    """Passes over the answers."""
    batch_prompts: int = 16
    """Prompts an optimiser step, at least 2: the estimate of the KL is over answers to other
    prompts of the step. Paper: at least 4 answers."""
    max_tokens: int = 1024
    """Rows with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    cache_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step, and keep them for
    other stages on the same data. Those of mismatched answers are computed step by step."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        above("beta", self.beta, 0)
        for name in ("desirable", "undesirable"):
            if getattr(self, name) is not None:
                above(name, getattr(self, name), 0)
        at_least("batch_prompts", self.batch_prompts, 2)
        _check_run(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ORPOConfig:
    """Odds-ratio preference optimisation (Hong et al. 2024, arXiv:2403.07691): no reference."""

    lam: float = 0.1
    """Weight of the odds ratio beside the better answer's negative log-likelihood, in nats a nat.
    Paper: 0.1 to 0.25."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: 8e-6 in the paper."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        at_least("lam", self.lam, 0)
        _check_run(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class SimPOConfig:
    """Simple preference optimisation (Meng et al. 2024, arXiv:2405.14734): no reference."""

    beta: float = 2.0
    """Scale of the mean log-probability a token, in tokens/nat. Paper: 2 to 2.5 (10 once)."""
    gamma: float = 1.0
    """By how much the better answer should lead on that scale. Paper: 0.3 to 1.6, about half of
    beta."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=1e-5)
    )
    """Step size and decay; nothing but a small step holds the policy near its start. Full
    fine-tuning: 3e-7 to 1e-6 in the paper."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        above("beta", self.beta, 0)
        at_least("gamma", self.gamma, 0)
        _check_run(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class DistilledConfig:
    """Distilled DPO: the implicit reward learns the reward model's (Fisch et al. 2024,
    arXiv:2405.19316)."""

    beta: float = 0.1
    """Strength of the pull to the reference, in raw score a nat."""
    pessimism: float = 0.0
    """Weight of KL(reference || policy), in squared raw score a nat. Above 0 the reward model's
    head that the policy is nearest to is taken at each step (the pessimistic form), at 0 the mean
    of its heads."""
    epochs: float = 1.0
    """Passes over the comparisons."""
    batch_prompts: int = 16
    """Prompts an optimiser step; all pairs of a prompt stay together and share its weight."""
    max_tokens: int = 1024
    """Comparisons with a longer response are counted, listed and left out, never cut."""
    packing: bool = True
    """Run real tokens only, with attention kept inside each response. Off: right padding."""
    cache_reference: bool = True
    """Compute the reference's log-probabilities once, before the first step, and keep them for
    other stages on the same data."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the data and the adapter's first weights."""

    def __post_init__(self) -> None:
        above("beta", self.beta, 0)
        at_least("pessimism", self.pessimism, 0)
        _check_run(self)


DirectConfig = DPOConfig | IPOConfig | KTOConfig | ORPOConfig | SimPOConfig | DistilledConfig


def _check_run(config: DirectConfig) -> None:
    """The bounds of what all of them have."""
    at_least("seed", config.seed, 0)
    above("epochs", config.epochs, 0)
    at_least("batch_prompts", config.batch_prompts, 1)
    at_least("max_tokens", config.max_tokens, 2)
