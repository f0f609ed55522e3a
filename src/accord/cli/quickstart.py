"""`accord quickstart`: the whole loop in a new folder, with the figures that came out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session
from accord.pipeline.figures import in_order
from accord.pipeline.workspace import SETTINGS, Workspace
from accord.recipes import RECIPES
from accord.telemetry.terminal import clock


@dataclass(frozen=True, kw_only=True, slots=True)
class Quickstart:
    """Flags of `accord quickstart`."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("accord-quickstart")
    """The workspace to make; one that a quickstart began before is gone on with."""
    model: Literal["tiny"] = "tiny"
    """tiny: a model of 430,000 weights made from scratch, on text from a seeded grammar."""


def main(words: Sequence[str], options: Options) -> int:
    """Make the workspace, run every stage, write the report, print the key figures."""
    about = (
        "Run pretraining, SFT, comparisons, reward model, PPO, DPO, evaluation and report\n"
        "in a new folder. No download, no GPU, under three minutes on two cores."
    )
    asked = parse(Quickstart, words, command="quickstart", about=about)
    begun = time.monotonic()
    if not (asked.folder / SETTINGS).is_file():
        Workspace.create(asked.folder, asked.model, RECIPES[asked.model]())
    session = open_session(replace(options, workspace=asked.folder))
    outcomes = session.run()
    report = session.report()
    figures = {outcome.stage: outcome.artifact.manifest.figures for outcome in outcomes}
    for line in key_figures(figures):
        print(line)
    print(f"took {clock(time.monotonic() - begun)}; everything is in {session.workspace.root}")
    print(f"report: {report}")
    return 0


def key_figures(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The reward model's accuracy and what each policy changed, one line each."""
    audit = figures.get("reward", {}).get("audit")
    if audit:
        bound = figures.get("compare", {}).get("bayes_bound")
        best = f", best possible {bound:.1%}" if bound is not None else ""
        rules = "".join(f", {name} {value:.1%}" for name, value in audit["baselines"].items())
        yield f"reward model: held-out accuracy {audit['accuracy']:.1%}{best}{rules}"
    evaluation = figures.get("eval", {}).get("evaluation", {})
    if not evaluation:
        return
    for policy, changes in in_order(evaluation["changes"], evaluation["before"]):
        told = [
            f"{name} {one['value']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
            for name in ("score", "gold")
            if (one := changes.get(name)) is not None
        ]
        drift = evaluation["policies"][policy]["kl"]["value"]
        told.append(f"KL {drift:.2f} nats")
        yield f"{policy} against {evaluation['before']}: {', '.join(told)}"
