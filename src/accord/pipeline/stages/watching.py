"""The truth that is watched while policies train and are compared, and never trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import ConfigError
from accord.core.protocols import RewardFn
from accord.core.types import Conversation
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.roles import Roles
from accord.rewards.gold import GrammarGold
from accord.rewards.judge import RatingJudge
from accord.rewards.vader import VaderScore

Measure = Callable[[Sequence[Conversation], Sequence[str]], Mapping[str, NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class Watched:
    """A truth that reads whole answers, with what the prompt opened them with."""

    _measure: Measure

    def measure(
        self, prompts: Sequence[Conversation], answers: Sequence[str]
    ) -> dict[str, NDArray[np.float64]]:
        """`gold` and whatever else this truth tells of each answer, by name."""
        asked = [Conversation(prompt.asked) for prompt in prompts]
        whole = [p.opening + answer for p, answer in zip(prompts, answers, strict=True)]
        return dict(self._measure(asked, whole))

    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        """The truth alone: a `RewardFn`."""
        return [float(value) for value in self.measure(prompts, answers)["gold"]]


def watched(context: StageContext, roles: Roles) -> Watched | None:
    """What the settings name, where they name something."""
    match context.config.gold:
        case "grammar":
            return Watched(_alone(GrammarGold()))
        case "vader":
            return Watched(_alone(VaderScore()))
        case "judge":
            return Watched(_judged(context, roles))
        case _:
            return None


def _alone(truth: RewardFn) -> Measure:
    return lambda prompts, answers: {"gold": np.array(truth(prompts, answers), dtype=float)}


def _judged(context: StageContext, roles: Roles) -> Measure:
    judge = RatingJudge.load(
        context.input("judge").folder,
        backbone=roles.backbone(roles.base),
        tokenizer=roles.tokenizer,
    )
    vader = None
    with suppress(ConfigError):  # where the package is not installed
        vader = VaderScore()

    def measure(
        prompts: Sequence[Conversation], answers: Sequence[str]
    ) -> dict[str, NDArray[np.float64]]:
        said = judge.grade(answers)
        found = {"gold": said.grade, "written": said.written, "start_logp": said.logp_per_token}
        if vader is not None:  # beside the judge, as the grader that words of praise fool
            found["vader"] = np.array(vader(prompts, answers), dtype=float)
        return found

    return measure
