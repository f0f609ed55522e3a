"""Every figure a run may report, declared once: `docs/metrics.md` and the report come from here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from accord.core.errors import DivergenceError, InvariantError


class Better(StrEnum):
    """Which way a figure improves."""

    UP = "up"
    DOWN = "down"
    NEITHER = "neither"
    """Only a description: neither direction is good by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One figure: its name in rows and files, its unit, which way is better and what it means."""

    name: str
    unit: str
    better: Better
    meaning: str


def _metric(name: str, unit: str, better: Better, meaning: str) -> Metric:
    return Metric(name=name, unit=unit, better=better, meaning=meaning)


_UP, _DOWN, _NEITHER = Better.UP, Better.DOWN, Better.NEITHER

METRICS: tuple[Metric, ...] = (
    _metric("loss", "nats", _DOWN, "The objective of this stage, over the global batch."),
    _metric("learning_rate", "1", _NEITHER, "Step size of the optimiser after warm-up and decay."),
    _metric("grad_norm", "1", _NEITHER, "Euclidean norm of the gradient before clipping."),
    _metric("tokens", "tokens", _NEITHER, "Real tokens (no pads) that went through training."),
    _metric("tokens_per_second", "tokens/s", _UP, "Real tokens of the step over its seconds."),
    _metric("seconds", "s", _DOWN, "Wall time of the step."),
    _metric("peak_memory", "GiB", _DOWN, "Largest resident memory of the process so far."),
    _metric("language/nll", "nats/token", _DOWN, "Mean negative log-likelihood of trained tokens."),
    _metric("language/dev_nll", "nats/token", _DOWN, "The same on held-out demonstrations."),
    _metric("preference/accuracy", "share", _UP, "Pairs whose better side leads; ties left out."),
    _metric("preference/margin", "score", _UP, "Mean lead of the better side of a pair."),
    _metric("preference/dev_accuracy", "share", _UP, "Accuracy on held-out comparisons."),
    _metric("preference/dev_loss", "nats", _DOWN, "Objective on held-out comparisons."),
    _metric("preference/ties", "share", _NEITHER, "Weight of the pairs that are ties."),
    _metric(
        "preference/ties_expected",
        "share",
        _NEITHER,
        "Mean probability of a tie, as the reward model has it; should come to the share of ties.",
    ),
    _metric(
        "preference/tie",
        "nats",
        _NEITHER,
        "Tie parameter: log t (Rao-Kupper) or log v (Davidson); grows with the share of ties.",
    ),
    _metric(
        "preference/best_first",
        "share",
        _UP,
        "Rankings whose highest score belongs to a response of the best tier.",
    ),
    _metric(
        "preference/centre",
        "score",
        _NEITHER,
        "Mean score of compared responses, before the unit; centring holds it near 0.",
    ),
    _metric(
        "preference/disagreement",
        "score",
        _NEITHER,
        "Standard deviation between the heads of a pair's lead, before the unit.",
    ),
    _metric(
        "preference/chosen_drift",
        "nats",
        _NEITHER,
        "Mean change of the better answer's log-probability from the reference. A fall is normal "
        "when both answers fall and the margin grows; a fall of many nats asks for an NLL term.",
    ),
    _metric("preference/rejected_drift", "nats", _NEITHER, "The same for the worse answer."),
    _metric(
        "preference/chosen_nll",
        "nats/token",
        _DOWN,
        "Mean negative log-likelihood of the better answer, where no reference is read or where it "
        "is a term of the loss.",
    ),
    _metric(
        "preference/kl",
        "nats",
        _NEITHER,
        "KTO's reference point z0: mean log-ratio of answers to other prompts of the step, 0 at "
        "least.",
    ),
    _metric(
        "preference/shift",
        "score",
        _NEITHER,
        "BCO's shift: mean implicit reward (beta times drift) of both answers, over all pairs "
        "trained on so far.",
    ),
    _metric(
        "preference/reward_margin",
        "score",
        _NEITHER,
        "Mean lead of the better side in the reward model's raw score, which distillation's margin "
        "should come to.",
    ),
    _metric("reward/score", "score", _UP, "Mean reward-model score of the sampled answers."),
    _metric("reward/spread", "score", _NEITHER, "Standard deviation of the scores in the batch."),
    _metric(
        "reward/gold", "gold", _UP, "Mean known truth of the sampled answers, where it exists."
    ),
    _metric(
        "reward/total",
        "score",
        _UP,
        "Mean score less the KL penalty an answer, and less what is taken off for length.",
    ),
    _metric(
        "reward/shaped",
        "score",
        _UP,
        "Mean of what is trained on in place of the score, where `shaping` is on: between 0 and 1 "
        "with reference answers.",
    ),
    _metric(
        "reward/overlong",
        "score",
        _DOWN,
        "Mean of what is taken off for length, where `shaping.overlong` is on.",
    ),
    _metric(
        "group/spread",
        "score",
        _NEITHER,
        "Mean standard deviation of what the answers to one prompt earn: without it a group "
        "method has nothing to learn from.",
    ),
    _metric(
        "group/zero_spread",
        "share",
        _DOWN,
        "Prompts whose answers all earned the same, and so give no gradient of reward.",
    ),
    _metric(
        "group/replaced",
        "prompts",
        _NEITHER,
        "Times that a prompt was replaced before the step because all its answers earned the same "
        "(`resample`).",
    ),
    _metric(
        "group/replaced_tokens",
        "tokens",
        _DOWN,
        "Tokens of what was replaced, prompts included: sampled and scored, never trained on. The "
        "step's real tokens do not count them.",
    ),
    _metric(
        "group/first_score",
        "score",
        _UP,
        "Mean score of the answers that were asked for first. Where prompts are replaced it is the "
        "policy's; the mean of the sampled answers is then of those that are trained on.",
    ),
    _metric(
        "rejection/kept",
        "share",
        _NEITHER,
        "Prompts of which an answer was good enough to be imitated.",
    ),
    _metric("rejection/score", "score", _UP, "Mean score of the answers that are imitated."),
    _metric(
        "pairs/tied",
        "share",
        _DOWN,
        "Pairs of sampled answers that scored the same, and so were none: nothing to learn from.",
    ),
    _metric(
        "pairs/gap",
        "score",
        _NEITHER,
        "Mean difference of score between the answers of a pair that was sampled and trained on.",
    ),
    _metric(
        "kl/sequence", "nats", _NEITHER, "Mean KL(policy || reference) of an answer, k1 estimate."
    ),
    _metric("kl/token", "nats", _NEITHER, "Mean KL(policy || reference) of one token, k1."),
    _metric("kl/coefficient", "score/nat", _NEITHER, "Price of a nat of KL in score."),
    _metric(
        "kl/loss",
        "nats",
        _NEITHER,
        "The KL term of the loss before its coefficient, by the estimator that is set; only where "
        "the price is paid there.",
    ),
    _metric("policy/entropy", "nats", _NEITHER, "Mean entropy of the next-token distribution."),
    _metric("policy/ratio_max", "1", _NEITHER, "Largest probability ratio, new over old."),
    _metric(
        "policy/clip_fraction",
        "share",
        _DOWN,
        "Tokens whose policy ratio was clipped; answers, where a ratio is an answer's (GSPO).",
    ),
    _metric(
        "policy/dual_clip_fraction",
        "share",
        _DOWN,
        "Tokens (GSPO: answers) with an advantage below 0 that `dual_clip` held.",
    ),
    _metric("policy/approx_kl", "nats", _NEITHER, "Half the mean squared log-ratio, new over old."),
    _metric(
        "policy/loss",
        "score",
        _DOWN,
        "Policy objective: clipped (Schulman et al. 2017, eq. 7) or of the score function. Near 0 "
        "without a critic, whatever is learned.",
    ),
    _metric(
        "importance/max",
        "1",
        _NEITHER,
        "Largest probability of a token under the trainer over that under the sampler, before it "
        "was cut.",
    ),
    _metric("importance/mean", "1", _NEITHER, "Mean of the same; 1 where the two agree."),
    _metric("importance/truncated", "share", _DOWN, "Tokens whose such ratio was cut to the cap."),
    _metric("value/loss", "score^2", _DOWN, "Clipped value objective."),
    _metric("value/clip_fraction", "share", _DOWN, "Tokens whose value loss was clipped."),
    _metric(
        "value/explained_variance",
        "share",
        _UP,
        "1 - Var(return - value) / Var(return): 1 a perfect critic, 0 no better than a constant.",
    ),
    _metric("answer/length", "tokens", _NEITHER, "Mean answer length, stop token included."),
    _metric("answer/stopped", "share", _UP, "Answers that ended by the stop token."),
    _metric("engine/gap_mean", "nats", _DOWN, "Mean |sampler - trainer| log-probability."),
    _metric("engine/gap_p99", "nats", _DOWN, "99th percentile of the same."),
    _metric("engine/gap_max", "nats", _DOWN, "Largest of the same."),
    _metric("progress", "share", _UP, "Part of a stage's work that is done, where it has no loss."),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}


def check_row(row: Mapping[str, float], *, where: str) -> None:
    """Refuse a row with a name nobody declared or a number that is not finite.

    Raises InvariantError (a defect) for the name and DivergenceError (exit 2) for the number.
    """
    for name, value in row.items():
        if name not in BY_NAME:
            raise InvariantError(
                f"metric {name!r} is not declared in accord.core.metrics", where=where
            )
        if not math.isfinite(value):
            raise DivergenceError(
                f"{name} is no longer a finite number",
                got=value,
                where=where,
                do="lower the learning rate, raise the KL coefficient, or look at the data",
            )
