"""The grammar task as benches of algorithms use it: a tiny model and simulated raters a seed.

A workspace a seed. Every algorithm of it starts from one fine-tuned model and has the same budget
of answers sampled for training: one that learns from comparisons has all of them compared; one that
samples has half of them compared, for its reward model, and samples the other half itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accord.cli.commands import Options
from accord.cli.session import open_session
from accord.pipeline.artifact import METRICS
from accord.pipeline.runner import Outcome
from accord.pipeline.workspace import Workspace
from accord.telemetry.rows import read

ANSWERS = 3456
"""Sampled for training, in every arm."""
EACH = 16
"""Answers to a prompt that raters compare."""
BATCH = 64
"""Answers that an online method samples a step."""
STEPS = ANSWERS // 2 // BATCH
WHOLE, HALF = ANSWERS // EACH, ANSWERS // 2 // EACH
"""Prompts whose answers are compared."""
ADAPTER = "adapter = { rank = 16, alpha = 32 }"
ONLINE = f"steps = {STEPS}, {ADAPTER}, missing_stop_score = -1.0"
ONE_EACH = f"batch_prompts = {BATCH}, samples = 1, {ONLINE}"
GROUPS = f"batch_prompts = {BATCH // 8}, samples = 8, {ONLINE}"
FOUR = "epochs = 2, minibatches = 2, optimizer = { learning_rate = 1e-3, epsilon = 1e-5 }"
PPO = f"{FOUR}, {ONE_EACH}"
DIRECT = f"epochs = 1, batch_prompts = 4, {ADAPTER}"
START = ("pretrain", "sft")
SAMPLE = ("ppo", "grpo", "rloo", "reinforce", "online_dpo", "rejection")
"""Stages that sample on their own; each samples `BATCH` answers a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Stages that share a workspace's settings, and what their policies are called."""

    arms: Mapping[str, str]
    """Name of each arm by the stage that makes it."""
    settings: str
    prompts: int = HALF
    """Whose answers are compared; 0: none."""
    lapse: float = 0.0
    """How often a rater tosses a coin; 0: as the recipe has it."""
    reward: bool = True
    """Whether there is a reward model."""

    @property
    def stages(self) -> tuple[str, ...]:
        """In the order in which they run."""
        compared = ("compare",) if self.prompts else ()
        reward = ("reward",) if self.reward else ()
        aligned = tuple(stage for stage in self.arms if stage != "sft")
        return (*START, *compared, *reward, *aligned, "eval")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What a run left, and what it was."""

    run: Run
    outcomes: Mapping[str, Outcome]

    def measured(self, stage: str) -> Mapping[str, Any]:
        """Figures of a stage's policy on the held-out prompts, the truth among them."""
        found = self.outcomes["eval"].artifact.manifest.figures["evaluation"]["policies"]
        return dict(found[stage])

    def seconds(self, stage: str) -> float:
        """Of the stage itself."""
        return float(self.outcomes[stage].artifact.manifest.seconds)

    def sampled(self, stage: str) -> float:
        """Tokens of answers that were sampled for this stage: those compared, and its own."""
        if not self.run.prompts:
            return 0.0
        compared = self.outcomes["compare"].artifact.manifest.figures["sampled_tokens"]
        folder = self.outcomes[stage].artifact.folder
        own = read(folder / METRICS) if stage in SAMPLE else ()
        return float(compared) + BATCH * sum(row["answer/length"] for row in own)


def make(place: Path, run: Run, seed: int) -> Made:
    """Run what is missing of it in the workspace of a seed; stages that runs share are kept."""
    if not (place / "accord.toml").is_file():
        Workspace.create(place, "tiny")
    lapse = f", lapse = {run.lapse}" if run.lapse else ""
    compared = f"compare = {{ prompts = {run.prompts}{lapse} }}\n" if run.prompts else ""
    head = f'recipe = "tiny"\nseed = {seed}\nstages = {list(run.stages)}\n'
    (place / "accord.toml").write_text(head + compared + run.settings)
    session = open_session(Options(command="bench", workspace=place))
    return Made(run=run, outcomes={one.stage: one for one in session.run()})
