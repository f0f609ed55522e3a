"""What an evaluation compared, as people call it: arms, and what stands for the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from accord.evals.report.parts import Arm, ArmKind, Truth
from accord.pipeline.config import STAGES

_TRUTHS: dict[str, Truth] = {
    "judge": Truth(
        name="Judge's grade",
        said="the judge's grade",
        subject="The judge's grade",
        short="grade",
        unit="rating points",
        meaning="What a grader made of people's ratings makes of an answer, in the points of those "
        "ratings. No training saw the grader or its texts; how far it can be fooled is said below.",
    ),
    "vader": Truth(
        name="VADER's sentiment",
        said="VADER's sentiment",
        subject="VADER's sentiment",
        short="VADER",
        unit="score",
        meaning="Sentiment by the package vaderSentiment, -1 to 1. It counts words: a list of "
        "words of praise fools it, so that a rise is no proof of a better answer.",
    ),
}
_LABELS = {
    "base": "Base",
    "pretrain": "Pretrained",
    "sft": "SFT",
    "top": "Top-rated SFT",
    "reinforce": "REINFORCE++",
    "online_dpo": "Online DPO",
    "rejection": "Rejection",
    "simpo": "SimPO",
    "distilled": "Distilled DPO",
}
_MADE = {
    "base": "the model as it came",
    "pretrain": "next-token prediction alone",
    "sft": "imitates demonstrations",
    "top": "imitates the best-rated texts alone",
    "ppo": "reinforcement learning on the reward model",
    "grpo": "reinforcement learning among answers to one prompt",
    "rloo": "reinforcement learning among answers to one prompt, each left out in turn",
    "reinforce": "reinforcement learning without a critic, over the whole batch",
    "online_dpo": "learns from pairs of its own answers, by the reward model's scores",
    "rejection": "imitates the best of its start's answers by the reward model",
    "dpo": "learns from comparisons directly",
    "ipo": "learns from comparisons directly, to a bounded lead",
    "kto": "learns from good and bad answers, one by one",
    "orpo": "imitates the better answers and raises their odds",
    "simpo": "raises the better answers' likelihood a token",
    "distilled": "learns the reward model's leads pair by pair",
}
BEST = "best of "
"""How the arm of the best of several answers is called, before their number."""
TOLD = " told"
"""How a policy is called that was asked in other words, after its own name."""


def in_order(measured: Mapping[str, Any], before: str) -> list[tuple[str, Any]]:
    """What was measured of each policy: the start, baselines, then in the order of training."""
    names = (before, *(name for name in measured if name not in STAGES), *STAGES)
    return sorted(measured.items(), key=lambda item: names.index(item[0]))


def truth_of(gold: str) -> Truth:
    """What stands for the truth where the settings say `gold`."""
    return _TRUTHS.get(gold, Truth())


def arms(
    evaluation: Mapping[str, Any],
    *,
    instead: str = "",
    own: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> tuple[Arm, ...]:
    """What an evaluation compared, in order; `instead` is what the prompted arms were asked.

    `own` are the settings of stages by name: some make other methods of theirs.
    """
    before = evaluation.get("before", "")
    found = in_order(evaluation.get("policies", {}), before)
    meant = {
        name: "; ".join((_MADE[name], *relative(own[name])))
        for name, relative in _RELATIVES.items()
        if name in own
    }
    return tuple(_arm(name, before, instead, _MADE | meant) for name, _ in found)


def _of_dpo(dpo: Mapping[str, Any]) -> Iterator[str]:
    """What makes another method of DPO."""
    if dpo.get("loss", "sigmoid") != "sigmoid":
        yield f"loss {dpo['loss']}"
    if dpo.get("reference_free"):
        yield "no reference"
    if dpo.get("dpop"):
        yield "a better answer's fall is fined"
    if dpo.get("nll"):
        yield "better answers imitated beside it"


def _of_grpo(grpo: Mapping[str, Any]) -> Iterator[str]:
    """What makes another method of GRPO."""
    if not grpo.get("normalise", True):
        yield "not divided by the spread"
    if grpo.get("ratio") == "sequence":
        yield "one ratio an answer (GSPO)"
    if grpo.get("ratio") == "detached":
        yield "ratios that only weigh (CISPO)"
    if grpo.get("clip_high"):
        yield "clip-higher"
    if grpo.get("resample"):
        yield "prompts without a spread replaced"


def _of_reinforce(reinforce: Mapping[str, Any]) -> Iterator[str]:
    """What makes another method of REINFORCE++."""
    if reinforce.get("baseline"):
        yield "against the mean of its prompt's answers"


def _of_online_dpo(online: Mapping[str, Any]) -> Iterator[str]:
    """What makes another method of online DPO."""
    if online.get("round_steps", 1) > 1:
        yield f"in rounds of {online['round_steps']} steps"
    if online.get("objective") == "ipo":
        yield "IPO's loss"
    if online.get("labels") == "soft":
        yield "soft labels"


_RELATIVES: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "dpo": _of_dpo,
    "grpo": _of_grpo,
    "reinforce": _of_reinforce,
    "online_dpo": _of_online_dpo,
}


def label(policy: str) -> str:
    """What people call a policy of an evaluation."""
    if policy.endswith(TOLD):
        asked = policy.removesuffix(TOLD)
        return f"Prompting {'the base' if asked == 'base' else label(asked)}"
    if policy.startswith(BEST):
        return policy.capitalize()
    return _LABELS.get(policy, policy.upper() if policy in STAGES else policy)


def _arm(policy: str, before: str, instead: str, made: Mapping[str, str]) -> Arm:
    kind, meaning = ArmKind.TRAINED, made.get(policy, "")
    if policy.endswith(TOLD):
        asked = f'asked "{instead}"' if instead else "asked in other words"
        kind, meaning = ArmKind.PROMPTED, f"{asked}; no training"
    elif policy.startswith(BEST):
        kind = ArmKind.PICKED
        meaning = f"of {label(before)}, by the reward model; no training"
    elif policy == before:
        kind = ArmKind.START
    return Arm(policy=policy, label=label(policy), meaning=meaning, kind=kind)
