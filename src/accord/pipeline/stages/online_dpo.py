"""Direct alignment on pairs of the policy's own answers: online, or iterative in rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator

from accord.algorithms.online_dpo import train
from accord.core.protocols import Row
from accord.models.role import Role
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.online import begin
from accord.pipeline.stages.roles import CALIBRATION_FILE


def body(context: StageContext) -> Iterator[Row]:
    """Train the policy's adapter, and leave the policy with its stack."""
    begun = begin(context, "online_dpo")
    state = begun.state
    yield from train(
        context.config.own,
        parts=begun.parts,
        state=state,
        seed=begun.seed,
        slope=label_slope(context, begun.reward),
    )
    pairs, tied = int(state.numbers["pairs"]), int(state.numbers["tied"])
    context.note("pairs", pairs)
    context.note("tied_pairs", tied)
    context.note("budget_spent", bool(state.numbers.get("budget_spent")))
    if tied:
        context.tell(f"{tied} of {pairs} pairs had equal scores and were left out")
    begun.roles.save(begun.parts.policy, "online_dpo")


def label_slope(context: StageContext, reward: Role) -> float:
    """Calibrated log-odds of a unit of the reward model's score; told where they are not fitted.

    A reward model's temperature is of its raw scores, and a score is a raw one in another unit.
    """
    slope = reward.scale.scale / reward.temperature
    if context.config.own.labels == "soft":
        context.note("label_slope", slope)
        path = context.input("reward").folder / CALIBRATION_FILE
        if not (path.is_file() and json.loads(path.read_text(encoding="utf-8"))["fitted"]):
            context.tell(
                "soft labels: the reward model has no temperature fitted on held-out pairs, and "
                "its leads are taken for log-odds as they are"
            )
    return slope
