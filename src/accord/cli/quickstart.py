"""`accord quickstart`: the whole loop in a new folder, with the figures that came out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session
from accord.pipeline.figures import key_figures
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
        "in a new folder. No download, no GPU. It took 77 seconds on two cores with nothing else\n"
        "to do (a processor with AVX-512 and bfloat16, 2026-11-21); longer without bfloat16\n"
        "or beside other work."
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
