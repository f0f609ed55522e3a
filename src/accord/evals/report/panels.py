"""Which figures share a chart, and which charts stand together.

A metric that is named nowhere here still gets a chart of its own, under the group of its prefix or
under "Other figures": nothing that was logged is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: its title and (metric, label) of each line. All lines share a unit."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Charts under one heading with one sentence of explanation."""

    title: str
    sentence: str
    panels: tuple[Panel, ...]
    prefixes: tuple[str, ...] = ()
    folded: bool = False
    """Whether it is closed at first: of use to whoever debugs, not to whoever decides."""


def _one(title: str, metric: str) -> Panel:
    return Panel(title, ((metric, title),))


GROUPS: tuple[Group, ...] = (
    Group(
        "Reward",
        "What the policy is paid for. The score is a proxy; the truth, where one is known, is "
        "never shown to training.",
        (
            _one("Reward-model score", "reward/score"),
            _one("Known truth (gold)", "reward/gold"),
            _one("Score less KL penalty", "reward/total"),
            _one("Spread of scores", "reward/spread"),
            _one("What shaping makes of the score", "reward/shaped"),
            _one("Taken off for length", "reward/overlong"),
            _one("Score of what is imitated", "rejection/score"),
            _one("Prompts with an answer to imitate", "rejection/kept"),
            _one("Spread within a prompt", "group/spread"),
            _one("Prompts without spread", "group/zero_spread"),
            _one("Score between the answers of a pair", "pairs/gap"),
            _one("Pairs of equal score", "pairs/tied"),
        ),
        prefixes=("reward", "rejection", "group", "pairs"),
    ),
    Group(
        "Distance from the reference",
        "How far the policy has moved away from where it started. Score bought with much distance "
        "is less to be believed.",
        (
            _one("KL of an answer", "kl/sequence"),
            _one("KL of a token", "kl/token"),
            _one("Price of KL", "kl/coefficient"),
            _one("KL in the loss", "kl/loss"),
        ),
        prefixes=("kl",),
    ),
    Group(
        "Preferences",
        "How often, and by how much, the better answer of a pair is put first.",
        (
            Panel(
                "Accuracy on pairs",
                (("preference/accuracy", "trained"), ("preference/dev_accuracy", "held out")),
            ),
            Panel(
                "Lead of the better answer",
                (
                    ("preference/margin", "trained"),
                    ("preference/reward_margin", "distilled from"),
                ),
            ),
            _one("Held-out objective", "preference/dev_loss"),
            Panel(
                "Drift from the reference",
                (
                    ("preference/chosen_drift", "better answer"),
                    ("preference/rejected_drift", "worse answer"),
                ),
            ),
            _one("Negative log-likelihood of the better answer", "preference/chosen_nll"),
            _one("Reference point of KTO", "preference/kl"),
        ),
        prefixes=("preference",),
    ),
    Group(
        "Language",
        "How well the model predicts the text it is meant to imitate. Held out above trained, and "
        "rising, means that it learns by heart.",
        (
            Panel(
                "Negative log-likelihood",
                (("language/nll", "trained"), ("language/dev_nll", "held out")),
            ),
        ),
        prefixes=("language",),
    ),
    Group(
        "Answers",
        "What the sampled answers look like from outside. Length that grows with the score asks "
        "for a look at the samples.",
        (
            _one("Answer length", "answer/length"),
            _one("Answers that ended by themselves", "answer/stopped"),
            _one("Entropy of the policy", "policy/entropy"),
        ),
        prefixes=("answer",),
    ),
    Group(
        "Objective",
        "What the optimiser minimises. In reinforcement learning a loss near zero is normal.",
        (
            _one("Loss", "loss"),
            _one("Gradient norm", "grad_norm"),
            _one("Learning rate", "learning_rate"),
        ),
    ),
    Group(
        "Inside PPO",
        "Whether the steps stayed small and the critic is of use.",
        (
            _one("Policy objective", "policy/loss"),
            Panel(
                "Clipped tokens",
                (("policy/clip_fraction", "policy"), ("value/clip_fraction", "value")),
            ),
            _one("Step in policy space", "policy/approx_kl"),
            _one("Largest ratio", "policy/ratio_max"),
            _one("Value objective", "value/loss"),
            _one("Explained variance of the critic", "value/explained_variance"),
        ),
        prefixes=("policy", "value"),
        folded=True,
    ),
    Group(
        "Machine",
        "Speed and memory, and whether sampler and trainer agree on the probability of a token.",
        (
            _one("Speed", "tokens_per_second"),
            _one("Time of a step", "seconds"),
            _one("Peak memory", "peak_memory"),
            _one("Tokens", "tokens"),
            _one("Progress", "progress"),
            Panel(
                "Sampler against trainer",
                (
                    ("engine/gap_mean", "mean"),
                    ("engine/gap_p99", "99th percentile"),
                    ("engine/gap_max", "largest"),
                ),
            ),
            Panel(
                "Ratio of trainer to sampler",
                (("importance/mean", "mean"), ("importance/max", "largest")),
            ),
            _one("Ratios cut to the cap", "importance/truncated"),
        ),
        prefixes=("engine", "importance"),
        folded=True,
    ),
)

_OTHER = Group("Other figures", "Figures that this report knows no better place for.", ())


def arrange(names: Iterable[str]) -> list[tuple[Group, list[Panel]]]:
    """The groups with something to show, each with its panels cut to the metrics in `names`."""
    left = dict.fromkeys(names)
    shown: list[tuple[Group, list[Panel]]] = []
    for group in GROUPS:
        panels = []
        for panel in group.panels:
            lines = tuple(line for line in panel.lines if line[0] in left)
            if lines:
                panels.append(Panel(panel.title, lines))
                for metric, _ in lines:
                    del left[metric]
        shown.append((group, panels))
    for group, panels in shown:
        for name in [n for n in left if n.split("/")[0] in group.prefixes]:
            panels.append(_one(_title(name), name))
            del left[name]
    shown.append((_OTHER, [_one(_title(name), name) for name in left]))
    return [(group, panels) for group, panels in shown if panels]


def _title(name: str) -> str:
    words = name.rsplit("/", maxsplit=1)[-1].replace("_", " ")
    return words[:1].upper() + words[1:]
