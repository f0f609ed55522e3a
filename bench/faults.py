"""Faults that `make proof` plants on purpose, and what must come of each."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from accord.collect.rated import tiers_of
from accord.core.types import Comparison, Split
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Dataset, write_dataset

PROMPTS = 100
"""Held-out prompts of each evaluation, drawn by the seed; those of two seeds overlap."""
FEWER = f"""\
recipe = "films-all"
stages = ["sft", "judge", "reward", "ppo", "eval"]
eval = {{ prompts = {PROMPTS}, samples = 1, best_of = [1], instead = "" }}
"""
"""What a faulty run makes; it has no other arms."""
LEARNT = ("films-pairs", "round-1")
"""What the reward model learns from."""

Figures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that is wrong on purpose, and what must come of it."""

    name: str
    settings: str
    predicted: str
    came: Callable[[Figures, Figures], bool]
    """Figures of the seed and of the faulty run: whether it failed as predicted."""
    prepare: Callable[[Workspace], None] = lambda workspace: None


def _shuffle(workspace: Workspace) -> None:
    """Comparisons whose labels are a coin, held-out ones apart: a reward model of nothing."""
    for name in LEARNT:
        source = Dataset(workspace.dataset("preferences", name).folder)
        folder = workspace.artifacts / f"shuffled-{name}"
        if not folder.exists():
            made = folder.with_name(f".{folder.name}")
            shutil.rmtree(made, ignore_errors=True)
            write_dataset(
                made,
                _turned(source),
                kind="preferences",
                source=f"labels of {name}, shuffled",
                unit=source.manifest.unit,
                dev=source.manifest.dev,
            )
            made.rename(folder)
        digest = Dataset(folder).manifest.digest
        workspace.point(f"shuffled-{name}", {"preferences": (folder, digest)})


def _turned(source: Dataset) -> Iterator[Comparison]:
    rng = random.Random(0)
    for split in (Split.TRAIN, Split.DEV):
        for row in source.rows(split):
            assert isinstance(row, Comparison)
            if split is Split.DEV:
                yield row
            elif row.label is None:
                yield replace(row, tiers=tuple(rng.sample(row.tiers, len(row.tiers))))
            else:
                label = row.label if rng.random() < 0.5 else 1 - row.label
                yield replace(row, label=label, tiers=tiers_of(label))


def _gain(found: Figures) -> Mapping[str, float]:
    gain: Mapping[str, float] = found["evaluation"]["changes"]["ppo"]["gold"]
    return gain


def policy_of(found: Figures, name: str) -> Mapping[str, float]:
    measured: Mapping[str, float] = found["evaluation"]["policies"]["ppo"][name]
    return measured


def kl_of(found: Figures) -> float:
    return policy_of(found, "kl")["value"]


def _worth(found: Figures) -> float:
    """Grade gained for each unit of score gained."""
    changes = found["evaluation"]["changes"]["ppo"]
    return float(changes["gold"]["value"] / changes["score"]["value"])


BUDGET = 10.0
"""Nats that the recipe allows."""
FAULTS = (
    Fault(
        name="shuffled labels",
        settings=FEWER + 'data = { preferences = ["shuffled-films-pairs", "shuffled-round-1"] }\n',
        predicted="the reward model is a coin (accuracy .4 to .6), the grade does not rise as "
        "PPO's did",
        came=lambda seed, bad: (
            abs(bad["audit"]["accuracy"] - 0.5) < 0.1 and _gain(bad)["high"] < _gain(seed)["low"]
        ),
        prepare=_shuffle,
    ),
    Fault(
        name="no price on KL",
        settings=FEWER + 'ppo = { steps = 16, kl = { coefficient = 0.0, budget = "none" } }\n',
        predicted=f"in 16 steps, with no budget, it goes beyond {BUDGET:g} nats, for less grade a "
        "unit of score",
        came=lambda seed, bad: kl_of(bad) > BUDGET and _worth(bad) < _worth(seed),
    ),
    Fault(
        name="KL x 20",
        settings=FEWER + "ppo = { kl = { coefficient = 0.6 } }\n",
        predicted="the policy stays where it was: less than a third of the KL, and of a gain that "
        "is clear",
        came=lambda seed, bad: (
            _gain(seed)["low"] > 0
            and kl_of(bad) < kl_of(seed) / 3
            and _gain(bad)["value"] < _gain(seed)["value"] / 3
        ),
    ),
    Fault(
        name="no SFT",
        settings=FEWER.replace('"sft", ', ""),
        predicted="PPO ends below the grade that it reaches from SFT",
        came=lambda seed, bad: policy_of(bad, "gold")["high"] < policy_of(seed, "gold")["low"],
    ),
)
