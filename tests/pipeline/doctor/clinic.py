"""A tiny model with an SFT adapter on it, and stages that would train from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from accord.algorithms.settings import AdapterSettings, DPOConfig, PPOConfig, SFTConfig
from accord.models.machine import resolve
from accord.models.tiny import make_tiny
from accord.pipeline.config import WorldConfig
from accord.pipeline.doctor import Patient
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.stages.roles import Roles
from tests.models.workshop import perturb

ADAPTER = AdapterSettings(rank=4, alpha=8)
OWN: Mapping[str, Any] = {
    "sft": SFTConfig(max_tokens=128, adapter=ADAPTER),
    "dpo": DPOConfig(max_tokens=128, adapter=ADAPTER),
    "ppo": PPOConfig(max_tokens=16, adapter=ADAPTER),
}
WORLD = WorldConfig(documents=1, demonstrations=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a stage's context has for a config."""

    own: Any
    world: WorldConfig | None = WORLD
    gold: str = "none"


def artifact(name: str, folder: Path) -> Artifact:
    return Artifact(name=name, kind="any", key=folder.name, folder=folder, digest="")


def context(
    name: str, inputs: Mapping[str, Artifact], output: Path, *, world: WorldConfig | None = WORLD
) -> StageContext:
    """The context of a stage on this processor in float32."""
    config = Settings(own=OWN[name], world=world)
    stage = Stage(name=name, kind="any", config=config, body=lambda _: iter(()))
    return StageContext(stage=stage, inputs=inputs, output=output, machine=resolve("float32"))


@dataclass(frozen=True, slots=True)
class Clinic:
    """A base and an SFT policy whose adapter is no zero."""

    base: Artifact
    sft: Artifact
    folder: Path

    def patient(self, name: str = "ppo", **sets: Artifact) -> Patient:
        """A stage on the tiny world, or on `sets` alone where some are given."""
        inputs = {"base": self.base}
        if name != "sft":
            inputs["sft"] = self.sft
        given = {key.replace("__", "/"): one for key, one in sets.items()}
        world = None if given else WORLD
        return Patient(context(name, {**inputs, **given}, self.folder, world=world), name)


@pytest.fixture(scope="package")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    """Made once: nothing that the doctor does changes it."""
    folder = tmp_path_factory.mktemp("clinic")
    make_tiny(folder / "base" / "model", seed=0)
    (folder / "sft").mkdir()
    base = artifact("base", folder / "base")
    roles = Roles(context("sft", {"base": base}, folder / "sft"))
    policy = roles.trainable("sft", ADAPTER, 0)
    perturb(policy.backbone, "sft", seed=1)
    roles.save(policy, "sft")
    return Clinic(base, artifact("sft", folder / "sft"), folder)
