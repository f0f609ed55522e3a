"""`make proof`: the film quickstart over seeds, and planted faults that must fail as predicted.

    python bench/proof.py [FOLDER] [--seeds 5] [--faults 2]

Each seed has a workspace of its own in FOLDER (default ./accord-proof) with all arms of `accord
quickstart --all`; each fault of a seed has another, with the artifacts that the fault does not
touch linked from the seed's. Stopped and started again, it goes on where it was. The table is
printed, and everything is written to FOLDER/proof.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from accord.cli.commands import Options
from accord.cli.films import run_films
from accord.cli.session import Session, open_session
from accord.core.types import Comparison, Split
from accord.pipeline.artifact import METRICS
from accord.pipeline.runner import Outcome
from accord.pipeline.workspace import Workspace
from accord.stats import intervals
from accord.store.datasets import Dataset, write_dataset
from accord.telemetry.rows import read

ARMS = ("sft told", "base told", "best of 4", "top", "dpo", "ppo")
PROMPTS = 150
"""Held-out prompts of each evaluation: five seeds together see as much as the quickstart twice."""
SHARED = ("base-", "sft-", "judge-", "reward-", "films", "round-")
"""What a fault's workspace takes over from its seed's; what the fault touches has another key."""
BASE = f"""\
recipe = "films-all"
eval = {{ prompts = {PROMPTS}, arm_samples = 1 }}
"""


FEWER = 'stages = ["sft", "judge", "reward", "ppo", "eval"]\n'
"""What a faulty run makes; it has no other arms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that is wrong on purpose, and what must come of it."""

    name: str
    settings: str
    predicted: str
    came: Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
    """Figures of the seed and of the faulty run: whether it failed as predicted."""
    prepare: Callable[[Workspace], None] = lambda workspace: None


def _shuffle(workspace: Workspace) -> None:
    """Comparisons whose labels are a coin, held-out ones apart: a reward model of nothing."""
    source = Dataset(workspace.dataset("preferences", "films-pairs").folder)
    rng = random.Random(0)

    def rows() -> Any:
        for split in (Split.TRAIN, Split.DEV):
            for row in source.rows(split):
                assert isinstance(row, Comparison)
                assert row.label is not None
                turned = split is Split.TRAIN and rng.random() < 0.5
                label = 1 - row.label if turned else row.label
                tiers = (0, 0) if label == 0.5 else (0, 1) if label > 0.5 else (1, 0)
                yield replace(row, label=label, tiers=tiers)

    folder = workspace.artifacts / "films-shuffled"
    if not folder.exists():
        manifest = source.manifest
        write_dataset(
            folder,
            rows(),
            kind="preferences",
            source="labels of film pairs, shuffled",
            unit="response",
            dev=manifest.dev,
        )
    digest = Dataset(folder).manifest.digest
    workspace.point("shuffled", {"preferences": (folder, digest)})


def _gain(found: Mapping[str, Any]) -> Mapping[str, float]:
    gain: Mapping[str, float] = found["evaluation"]["changes"]["ppo"]["gold"]
    return gain


def _kl(found: Mapping[str, Any]) -> float:
    return float(found["evaluation"]["policies"]["ppo"]["kl"]["value"])


FAULTS = (
    Fault(
        name="shuffled labels",
        settings=FEWER + 'data = { preferences = ["shuffled"] }\n',
        predicted="the reward model is a coin, and the grade does not rise as PPO's did",
        came=lambda seed, bad: (
            bad["audit"]["accuracy"] < 0.6 and _gain(bad)["value"] < _gain(seed)["low"]
        ),
        prepare=_shuffle,
    ),
    Fault(
        name="no price on KL",
        settings=FEWER + 'ppo = { kl = { coefficient = 0.0, budget = "none" } }\n',
        predicted="the policy goes further for its score, and writes worse text for it",
        came=lambda seed, bad: (
            _kl(bad) > _kl(seed)
            and bad["evaluation"]["policies"]["ppo"]["distinct"]["value"]
            < seed["evaluation"]["policies"]["ppo"]["distinct"]["value"]
        ),
    ),
    Fault(
        name="KL x 20",
        settings=FEWER + "ppo = { kl = { coefficient = 0.6 } }\n",
        predicted="the policy stays where it was: less than a third of the KL and of the gain",
        came=lambda seed, bad: (
            _kl(bad) < _kl(seed) / 3 and _gain(bad)["value"] < _gain(seed)["value"] / 3
        ),
    ),
    Fault(
        name="no SFT",
        settings='stages = ["judge", "reward", "ppo", "eval"]\n',
        predicted="PPO ends below the grade that it reaches from SFT",
        came=lambda seed, bad: (
            bad["evaluation"]["policies"]["ppo"]["gold"]["high"]
            < seed["evaluation"]["policies"]["ppo"]["gold"]["low"]
        ),
    ),
)


def main() -> None:
    """Run what is missing, print the table and write proof.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("accord-proof"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--faults", type=int, default=2, help="seeds that faults are planted in")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    seeds: dict[int, dict[str, Any]] = {}
    faults: dict[str, dict[int, dict[str, Any]]] = {fault.name: {} for fault in FAULTS}
    for seed in range(asked.seeds):
        first = asked.folder / "seed-0" if seed else None
        session = _session(asked.folder / f"seed-{seed}", seed, "", shared=first)
        seeds[seed] = _figures(run_films(session))
        if seed < asked.faults:
            for fault in FAULTS:
                place = asked.folder / f"seed-{seed}-{fault.name.replace(' ', '-')}"
                bad = _session(place, seed, fault.settings, shared=session.workspace.root)
                fault.prepare(bad.workspace)
                faults[fault.name][seed] = _figures(bad.run())
        _write(asked.folder, seeds, faults, time.monotonic() - begun)
    print(table(seeds, faults))


def _session(place: Path, seed: int, extra: str, *, shared: Path | None) -> Session:
    """A workspace with these settings, its data and whatever another one made already."""
    if not (place / "accord.toml").is_file():
        Workspace.create(place, "films")
    (place / "accord.toml").write_text(BASE + f"seed = {seed}\n" + extra)
    if shared is not None and not (place / "linked").is_file():
        for folder in sorted((shared / "artifacts").iterdir()):
            if folder.name.startswith(SHARED) and not (place / "artifacts" / folder.name).exists():
                shutil.copytree(folder, place / "artifacts" / folder.name, copy_function=os.link)
        for pointer in (shared / "data").glob("*.json"):
            # Rounds are of a seed's own policy.
            if extra or not pointer.name.startswith("round-"):
                shutil.copy(pointer, place / "data" / pointer.name)
        (place / "linked").touch()
    return open_session(Options(command="proof", workspace=place))


def _figures(outcomes: list[Outcome]) -> dict[str, Any]:
    made = {one.stage: one.artifact for one in outcomes}
    rows = read(made["ppo"].folder / METRICS)
    return {
        "evaluation": made["eval"].manifest.figures["evaluation"],
        "audit": made["reward"].manifest.figures["audit"],
        "curve": [
            {"kl": row["kl/sequence"], "gold": row["reward/gold"], "score": row["reward/score"]}
            for row in rows
        ],
        "machine": str(made["eval"].manifest.machine),
        "seconds": {name: artifact.manifest.seconds for name, artifact in made.items()},
    }


def table(
    seeds: Mapping[int, Mapping[str, Any]], faults: Mapping[str, Mapping[int, Mapping[str, Any]]]
) -> str:
    """Changes of the judge's grade over seeds, and what became of each fault, as Markdown."""
    lines = [
        "| arm | grade, change from SFT | by seed | KL, nats | distinct-2 of SFT's |",
        "|---|---|---|---|---|",
    ]
    for arm in ARMS:
        runs = [one["evaluation"] for one in seeds.values() if arm in one["evaluation"]["changes"]]
        if not runs:
            continue
        gains = [run["changes"][arm]["gold"]["value"] for run in runs]
        kl = np.mean([run["policies"][arm]["kl"]["value"] for run in runs])
        kept = np.mean(
            [
                run["policies"][arm]["distinct"]["value"]
                / run["policies"][run["before"]]["distinct"]["value"]
                for run in runs
            ]
        )
        by_seed = " ".join(f"{gain:+.2f}" for gain in gains)
        lines.append(f"| {arm} | {_over_seeds(gains)} | {by_seed} | {kl:.1f} | {kept:.0%} |")
    lines += [
        "",
        "| fault | predicted | came true | grade by seed | KL by seed |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        runs = faults.get(fault.name, {})
        came = sum(fault.came(seeds[seed], bad) for seed, bad in runs.items())
        grades = " ".join(f"{_gain(bad)['value']:+.2f}" for bad in runs.values())
        spent = " ".join(f"{_kl(bad):.1f}" for bad in runs.values())
        lines.append(
            f"| {fault.name} | {fault.predicted} | {came} of {len(runs)} | {grades} | {spent} |"
        )
    return "\n".join(lines)


def _over_seeds(gains: list[float]) -> str:
    if len(gains) < 2:
        return f"{gains[0]:+.2f}"
    found = intervals.mean(gains)
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _write(folder: Path, seeds: Any, faults: Any, seconds: float) -> None:
    body = {"seeds": seeds, "faults": faults, "seconds": seconds}
    (folder / "proof.json").write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    main()
