"""Rewards that finished reward models predict, outside any stage: what picking tasks looks at."""

from __future__ import annotations

from collections.abc import Sequence

from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.machine import Machine
from accord.core.types import Conversation
from accord.pipeline.answering import below
from accord.pipeline.memory import Roomy
from accord.pipeline.single import newest_artifact
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.workspace import Workspace
from accord.text.tokenized import Tokenized

REWARD = "reward"
"""Stage whose artifacts predict."""


def find_reward(workspace: Workspace, stages: Sequence[Stage], wanted: str) -> Artifact:
    """The reward model of one artifact folder (reward-KEY), or `reward`: of the settings, else the
    newest. Raises WorkspaceError where there is none and ConfigError for what predicts nothing."""
    name, _, key = wanted.partition("-")
    if name != REWARD:
        raise ConfigError("this is no reward model", got=wanted, do="name reward or reward-KEY")
    if not key:
        return newest_artifact(workspace, name, stages)
    artifact = workspace.artifact(name, key)
    if artifact is None:
        raise WorkspaceError("there is no such artifact", got=wanted, where=workspace.artifacts)
    return artifact


class RewardModel:
    """A finished reward model, loaded once, that scores answers.

    Raises WorkspaceError where an artifact that the model stands on is gone.
    """

    def __init__(self, workspace: Workspace, artifact: Artifact, machine: Machine) -> None:
        from accord.pipeline.stages.roles import Roles

        stage = Stage(name="predict", kind="rewards", config=None, body=lambda _: iter(()))
        inputs = {**below(workspace, artifact), REWARD: artifact}
        self._machine = machine
        roles = Roles(
            StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine)
        )
        self._template = roles.reader().template
        self._role = roles.reward()

    def rewards(self, asked: Sequence[tuple[Conversation, str]]) -> list[float | None]:
        """A score for each prompt and answer: the log-odds of two answers are their difference.

        So it is the model's raw score over its temperature, not the one in its unit. None where an
        answer finds no room in the model's context, or says what ends a turn.
        """
        from accord.algorithms.reward_model import raw_scores

        rows = {place: row for place, one in enumerate(asked) if (row := self._row(*one))}
        with Roomy(self._machine):
            scores = raw_scores(list(rows.values()), self._role, self._machine.micro_batch_tokens)
        found: list[float | None] = [None] * len(asked)
        for place, score in zip(rows, scores.tolist(), strict=True):
            found[place] = score / self._role.temperature
        return found

    def _row(self, prompt: Conversation, answer: str) -> Tokenized | None:
        try:
            row = self._template.tokenize_answer(prompt, answer)
        except DataError:  # a stop token in the middle: the answer would not be read to its end
            return None
        return row if len(row) <= self._role.backbone.context else None
