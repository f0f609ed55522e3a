"""`make proof`: the film quickstart over seeds, and planted faults that must fail as predicted.

    python bench/proof.py [FOLDER] [--seeds 5] [--faults 2]

Each seed has a workspace of its own in FOLDER (default ./accord-proof) with all arms of `accord
quickstart --all`; each fault of a seed has another, with the artifacts that the fault does not
touch linked from the seed's. Stopped and started again, it goes on where it was. The table is
printed, and everything is written to FOLDER/proof.json; it ends with 3 where a prediction failed.

Seeds differ in training, in what is sampled and in which prompts are asked. The split of the film
reviews, the texts that are used and the habits of the simulated raters are the same for all:
intervals over seeds say nothing about other texts or other raters.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from accord.cli.commands import Options
from accord.cli.films import run_films
from accord.cli.session import Session, open_session
from accord.collect.rated import tiers_of
from accord.core.errors import AccordError
from accord.core.types import Comparison, Split
from accord.pipeline.artifact import METRICS
from accord.pipeline.runner import Outcome
from accord.pipeline.workspace import Workspace
from accord.stats import intervals
from accord.store.datasets import Dataset, write_dataset
from accord.telemetry.rows import read

ARMS = ("sft told", "base told", "best of 4", "top", "dpo", "ppo")
PROMPTS = 100
"""Held-out prompts of each evaluation, drawn by the seed; those of two seeds overlap."""
DATA = ("base-", "films")
"""What every seed takes over from the first."""
MADE = (*DATA, "sft-", "judge-", "reward-", "round-")
"""What a fault's workspace takes over from its seed's; what the fault touches has another key."""
BASE = f"""\
recipe = "films-all"
eval = {{ prompts = {PROMPTS} }}
"""
FEWER = f"""\
recipe = "films-all"
stages = ["sft", "judge", "reward", "ppo", "eval"]
eval = {{ prompts = {PROMPTS}, samples = 1, best_of = [1], instead = "" }}
"""
"""What a faulty run makes; it has no other arms."""
LEARNT = ("films-pairs", "round-1")
"""What the reward model learns from."""
FAILED = 3
"""How the program ends where a prediction did not come true."""

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


def _policy(found: Figures, name: str) -> Mapping[str, float]:
    measured: Mapping[str, float] = found["evaluation"]["policies"]["ppo"][name]
    return measured


def _kl(found: Figures) -> float:
    return _policy(found, "kl")["value"]


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
        came=lambda seed, bad: _kl(bad) > BUDGET and _worth(bad) < _worth(seed),
    ),
    Fault(
        name="KL x 20",
        settings=FEWER + "ppo = { kl = { coefficient = 0.6 } }\n",
        predicted="the policy stays where it was: less than a third of the KL, and of a gain that "
        "is clear",
        came=lambda seed, bad: (
            _gain(seed)["low"] > 0
            and _kl(bad) < _kl(seed) / 3
            and _gain(bad)["value"] < _gain(seed)["value"] / 3
        ),
    ),
    Fault(
        name="no SFT",
        settings=FEWER.replace('"sft", ', ""),
        predicted="PPO ends below the grade that it reaches from SFT",
        came=lambda seed, bad: _policy(bad, "gold")["high"] < _policy(seed, "gold")["low"],
    ),
)


def main() -> int:
    """Run what is missing, print the table and write proof.json; 3 where a prediction failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("accord-proof"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--faults", type=int, default=2, help="seeds that faults are planted in")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    seeds: dict[int, Figures] = {}
    faults: dict[str, dict[int, Figures]] = {fault.name: {} for fault in FAULTS}
    for seed in range(asked.seeds):
        first = asked.folder / "seed-0" if seed else None
        session = _session(asked.folder / f"seed-{seed}", BASE, seed, shared=first, takes=DATA)
        seeds[seed] = _figures(run_films(session))
        _write(asked.folder, seeds, faults)
        for fault in FAULTS if seed < asked.faults else ():
            place = asked.folder / f"seed-{seed}-{fault.name.replace(' ', '-')}"
            bad = _session(place, fault.settings, seed, shared=session.workspace.root, takes=MADE)
            faults[fault.name][seed] = _faulty(fault, bad)
            _write(asked.folder, seeds, faults)
    print(table(seeds, faults))
    came = [_came(fault, seeds, faults) for fault in FAULTS]
    return 0 if all(all(one) for one in came) else FAILED


def _faulty(fault: Fault, session: Session) -> Figures:
    """The faulty run's figures, or the error that it ended with."""
    fault.prepare(session.workspace)
    try:
        return _figures(session.run())
    except AccordError as error:
        print(f"{session.workspace.root}: {error}", file=sys.stderr)
        return {"error": str(error)}


def _came(
    fault: Fault, seeds: Mapping[int, Figures], faults: Mapping[str, Mapping[int, Figures]]
) -> list[bool]:
    """By seed; a run that ended with an error did not fail as predicted."""
    runs = faults.get(fault.name, {})
    return ["error" not in bad and fault.came(seeds[seed], bad) for seed, bad in runs.items()]


def _session(
    place: Path, settings: str, seed: int, *, shared: Path | None, takes: Sequence[str]
) -> Session:
    """A workspace with these settings, and what it takes over from another one."""
    if not (place / "accord.toml").is_file():
        Workspace.create(place, "films-all")
    (place / "accord.toml").write_text(f"seed = {seed}\n{settings}")
    if shared is not None:
        for folder in sorted((shared / "artifacts").iterdir()):
            if folder.name.startswith(tuple(takes)):
                _link(folder, place / "artifacts" / folder.name)
        for pointer in (shared / "data").glob("*.json"):
            if pointer.name.startswith(tuple(takes)):
                shutil.copy(pointer, place / "data" / pointer.name)
    return open_session(Options(command="proof", workspace=place))


def _link(folder: Path, there: Path) -> None:
    """The same files under another name; whole, or not there."""
    if not there.exists():
        begun = there.with_name(f".{there.name}")
        shutil.rmtree(begun, ignore_errors=True)
        shutil.copytree(folder, begun, copy_function=os.link)
        begun.rename(there)


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


def table(seeds: Mapping[int, Figures], faults: Mapping[str, Mapping[int, Figures]]) -> str:
    """Changes of the judge's grade over seeds, and what became of each fault, as Markdown."""
    lines = [
        "| arm | grade, change from SFT | by seed | KL, nats | distinct-2 of SFT's | log-prob. |",
        "|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        runs = [one["evaluation"] for one in seeds.values() if arm in one["evaluation"]["changes"]]
        if not runs:
            continue
        gains = [run["changes"][arm]["gold"]["value"] for run in runs]
        mine = [run["policies"][arm] for run in runs]
        start = [run["policies"][run["before"]] for run in runs]
        kl = np.mean([one["kl"]["value"] for one in mine])
        pairs = list(zip(mine, start, strict=True))
        kept = np.mean([one["distinct"]["value"] / sft["distinct"]["value"] for one, sft in pairs])
        logp = [one["start_logp"]["value"] - sft["start_logp"]["value"] for one, sft in pairs]
        by_seed = " ".join(f"{gain:+.2f}" for gain in gains)
        lines.append(
            f"| {arm} | {_over_seeds(gains)} | {by_seed} | {kl:.1f} | {kept:.0%} | "
            f"{np.mean(logp):+.2f} |"
        )
    lines += [
        "",
        "| fault | predicted | came true | PPO's grade by seed (unplanted) | KL (unplanted) |",
        "|---|---|---|---|---|",
    ]
    for fault in FAULTS:
        runs = faults.get(fault.name, {})
        came = _came(fault, seeds, faults)
        cells = [
            " ".join(
                "error" if "error" in bad else f"{show(bad):+.2f} ({show(seeds[seed]):+.2f})"
                for seed, bad in runs.items()
            )
            for show in (lambda found: _policy(found, "gold")["value"], _kl)
        ]
        lines.append(
            f"| {fault.name} | {fault.predicted} | {sum(came)} of {len(came)} | "
            f"{' | '.join(cells)} |"
        )
    return "\n".join(lines)


def _over_seeds(gains: list[float]) -> str:
    if len(gains) < 2:
        return f"{gains[0]:+.2f}"
    found = intervals.mean(gains)
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _write(
    folder: Path, seeds: Mapping[int, Figures], faults: Mapping[str, Mapping[int, Figures]]
) -> None:
    runs = [*seeds.values(), *(bad for made in faults.values() for bad in made.values())]
    seconds = sum(sum(run["seconds"].values()) for run in runs if "seconds" in run)
    body = {"seeds": seeds, "faults": faults, "stage_seconds": seconds}
    (folder / "proof.json").write_text(json.dumps(body, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
