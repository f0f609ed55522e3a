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
from accord.core.errors import ConfigError
from accord.pipeline.figures import key_figures
from accord.pipeline.workspace import SETTINGS, Workspace
from accord.recipes import RECIPES
from accord.telemetry.terminal import clock

ABOUT = """\
Run the whole loop in a new folder and write its report.

films: SmolLM2-135M on film reviews with human ratings: SFT, a round of comparisons
of its own answers, a judge, a reward model, PPO, and an evaluation beside prompting
and best-of-4. Downloads 94 MB at first use.
tiny:  a model of 430,000 weights made from scratch, on text from a grammar whose
truth is known; every stage from pretraining on. No download. About 80 seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quickstart:
    """Flags of `accord quickstart`."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("accord-quickstart")
    """The workspace to make; one that a quickstart began before is gone on with."""
    model: Literal["smollm2", "tiny"] = "smollm2"
    """smollm2: a real small model on film reviews. tiny: from scratch, on a seeded grammar."""
    all: bool = False
    """Of films, also the slower arms: SFT on the best-rated reviews, and DPO on 256 prompts."""


def main(words: Sequence[str], options: Options) -> int:
    """Make the workspace, run every stage, write the report, print the key figures."""
    asked = parse(Quickstart, words, command="quickstart", about=ABOUT)
    recipe = "films" if asked.model == "smollm2" else "tiny"
    if asked.all and recipe == "tiny":
        raise ConfigError("--all has no arms to add to the tiny world", do="leave one of them out")
    begun = time.monotonic()
    if not (asked.folder / SETTINGS).is_file():
        Workspace.create(asked.folder, recipe, RECIPES[recipe]())
    session = open_session(replace(options, workspace=asked.folder))
    if recipe == "films":
        from accord.cli.films import run_films

        outcomes = run_films(session, every_arm=asked.all)
    else:
        outcomes = session.run()
    report = session.report()
    figures = {outcome.stage: outcome.artifact.manifest.figures for outcome in outcomes}
    for line in key_figures(figures):
        print(line)
    print(f"took {clock(time.monotonic() - begun)}; everything is in {session.workspace.root}")
    print(f"report: {report}")
    return 0
