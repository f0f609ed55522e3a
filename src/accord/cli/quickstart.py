"""`accord quickstart`: the whole loop in a new folder, with the figures that came out."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import REMEMBER, Session, open_session
from accord.cli.typed import typed
from accord.core.errors import ConfigError, InterruptedRun
from accord.core.files import write_atomic
from accord.pipeline import starter
from accord.pipeline.config import ALIGNED
from accord.pipeline.settings import recipe_of
from accord.pipeline.single import newest_artifact
from accord.pipeline.workspace import SETTINGS, Workspace
from accord.recipes import RECIPES
from accord.telemetry.terminal import clock

FILMS = ("films", "films-all")
"""Recipes of the film quickstart, the shorter one first."""
BLIND = 20
"""Pairs that a reader is invited to judge."""
ABOUT = """\
Run the whole loop in a new folder and write its report.

films: SmolLM2-135M learns to write film reviews as positive as people rate them, from
reviews that people rated: SFT, a round of comparisons of its own answers, a judge, a
reward model, PPO, and an evaluation beside prompting and best-of-4. Downloads 96 MB at
first use. About ten minutes on two cores, fifteen with --all, where nothing else runs
on them.
tiny:  a model of 430,000 weights made from scratch, on text from a grammar whose
truth is known; every stage from pretraining on. No download; 80 seconds on two cores
with nothing else to do (a processor with AVX-512 and bfloat16, 2026-11-22)."""


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
    settle(asked.folder, "films-all" if asked.all else recipe)
    again = f"`accord resume --workspace {typed(asked.folder)}` goes on"
    try:
        go_on(open_session(replace(options, workspace=asked.folder)))
    except InterruptedRun as error:
        raise InterruptedRun(error.what, got=error.got, do=again) from None
    except KeyboardInterrupt:
        raise InterruptedRun("stopped", got="what was finished is kept", do=again) from None
    return 0


def go_on(session: Session) -> None:
    """Make what is missing of a quickstart, then its report; print what came out."""
    begun = time.monotonic()
    if recipe_of(session.workspace.settings, RECIPES) in FILMS:
        from accord.cli.films import run_films

        run_films(session)
    else:
        session.run(remember=REMEMBER)
    _invite(session)
    report = session.report()
    _print(report, clock(time.monotonic() - begun))


def settle(folder: Path, recipe: str) -> None:
    """Make the workspace, or see to it that the one that is there is of this recipe.

    Of films the longer recipe may follow the shorter and the other way round: what both make is
    the same. Raises ConfigError for a workspace of any other recipe.
    """
    settings = folder / SETTINGS
    if not settings.is_file():
        Workspace.create(folder, recipe, RECIPES[recipe]())
        return
    there = recipe_of(settings, RECIPES)
    if there == recipe:
        return
    if not {there, recipe} <= set(FILMS):
        raise ConfigError(
            "this folder has a workspace of another recipe",
            got=f"recipe {there}, and {recipe} is asked for",
            where=settings,
            do="name another folder: `accord quickstart FOLDER`, with the same flags",
        )
    _rename(settings, there, recipe)
    print(
        f"note: recipe {there} is now {recipe} in {settings}; what was made stays", file=sys.stderr
    )


def _rename(settings: Path, before: str, after: str) -> None:
    """Name another recipe, so that later commands in the folder know of it too."""
    text = settings.read_text(encoding="utf-8")
    if text == starter.settings(before, RECIPES[before]()):
        changed = starter.settings(after, RECIPES[after]())  # its comments show other values
    else:
        line = re.compile(rf"^(\s*recipe\s*=\s*)([\"'])\b{before}\2", re.MULTILINE)
        changed = line.sub(rf"\g<1>\g<2>{after}\g<2>", text, count=1)
    if changed == text:
        raise ConfigError(
            "the recipe in these settings cannot be replaced",
            got=before,
            where=settings,
            do=f'write recipe = "{after}" there, on a line of its own',
        )
    write_atomic(settings, changed)


def _invite(session: Session) -> None:
    """Make blind pairs of the final policy and its start, where there are both."""
    from accord.pipeline.blind import open_blind

    stages = session.plan().stages
    made = [stage.name for stage in stages]
    final = next((name for name in ALIGNED if name in made), None)
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
