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
from accord.cli.session import Session, open_session
from accord.core.errors import ConfigError
from accord.core.files import write_atomic
from accord.pipeline.single import newest_artifact
from accord.pipeline.workspace import SETTINGS, Workspace
from accord.recipes import RECIPES
from accord.telemetry.terminal import clock

BLIND = 20
"""Pairs that a reader is invited to judge."""
ABOUT = """\
Run the whole loop in a new folder and write its report.

films: SmolLM2-135M on film reviews with human ratings: SFT, a round of comparisons
of its own answers, a judge, a reward model, PPO, and an evaluation beside prompting
and best-of-4. Downloads 96 MB at first use. About ten minutes on two cores; --all
takes about twenty.
tiny:  a model of 430,000 weights made from scratch, on text from a grammar whose
truth is known; every stage from pretraining on. No download; 77 seconds on two cores
with nothing else to do (a processor with AVX-512 and bfloat16, 2026-11-21)."""


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
    """Make the workspace, run every stage, write the report, print what came out."""
    asked = parse(Quickstart, words, command="quickstart", about=ABOUT)
    recipe = "films" if asked.model == "smollm2" else "tiny"
    if asked.all and recipe == "tiny":
        raise ConfigError("--all has no arms to add to the tiny world", do="leave one of them out")
    begun = time.monotonic()
    if not (asked.folder / SETTINGS).is_file():
        Workspace.create(asked.folder, recipe, RECIPES[recipe]())
    if asked.all:
        _add_arms(asked.folder / SETTINGS)
    session = open_session(replace(options, workspace=asked.folder))
    if recipe == "films":
        from accord.cli.films import run_films

        run_films(session)
    else:
        session.run()
    _invite(session)
    report = session.report()
    _print(report, clock(time.monotonic() - begun))
    return 0


def _add_arms(settings: Path) -> None:
    """Name the recipe with every arm, so that later commands in the folder know of them too."""
    text = settings.read_text(encoding="utf-8")
    changed = text.replace('\nrecipe = "films"\n', '\nrecipe = "films-all"\n')
    if changed != text:
        write_atomic(settings, changed)


def _invite(session: Session) -> None:
    """Make blind pairs of the final policy and its start, where there are both."""
    from accord.pipeline.blind import open_blind

    stages = session.plan().stages
    made = [stage.name for stage in stages]
    final = next((name for name in ("ppo", "dpo") if name in made), None)
    if final is None or "eval" not in made:
        return
    evaluation = newest_artifact(session.workspace, "eval", stages)
    before = evaluation.manifest.figures["evaluation"]["before"]
    open_blind(session.workspace, evaluation, policy=final, versus=before, pairs=BLIND)


def _print(report: Path, took: str) -> None:
    from accord.cli.results import print_next, print_result, read_result
    from accord.pipeline.result import RESULT

    found = read_result(report.with_name(RESULT))
    print_result(found, folder=report.parent)
    print(f"all of it took {took}")
    print_next(found, folder=report.parent, pairs=BLIND)
