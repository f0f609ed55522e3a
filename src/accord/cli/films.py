"""The film quickstart's own steps: its data, and the rounds in which raters compare answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random

from accord.cli.session import Session
from accord.collect.films import film_archive
from accord.core.types import Prompt, RatedResponse, Split
from accord.pipeline.films import FilmSets, bring_films
from accord.pipeline.onpolicy import Round, take_round
from accord.pipeline.runner import Outcome
from accord.pipeline.single import newest_artifact
from accord.recipes.films import ASKED, GUIDELINES, MORE, PEOPLE, ROUND, SIZES, SYSTEM
from accord.store.datasets import Dataset
from accord.telemetry.terminal import terminal


def run_films(session: Session) -> list[Outcome]:
    """Make everything of the film quickstart that is not up to date, in order.

    The second round is taken where DPO is among the stages: nothing else learns from it.
    """
    workspace = session.workspace
    if not workspace.kinds("films-raters"):  # the last that is written
        with terminal(sys.stderr, quiet=session.options.quiet) as sink:
            sink.notice("film reviews with human ratings: vaderSentiment 3.3.2 (MIT), 2.5 MB")
            archive = film_archive()
            made = bring_films(workspace, archive, FilmSets(asked=ASKED, system=SYSTEM, **SIZES))
            sink.notice(", ".join(f"{rows} {name}" for name, rows in made.items()))
    session.run(to="sft")
    _take(session, "round-1", slice(0, ROUND))
    if "dpo" in session.config.stages:
        _take(session, "round-2", slice(ROUND, ROUND + MORE))
    return session.run()


def _take(session: Session, name: str, which: slice) -> None:
    workspace, stages = session.workspace, session.plan().stages
    asked = Round(
        name=name,
        prompts=_prompts(session)[which],
        people=PEOPLE,
        guidelines=GUIDELINES,
        max_tokens=session.config.ppo.max_tokens,
        seed=session.config.seed,
    )

    def ratings() -> Sequence[RatedResponse]:
        found = Dataset(workspace.dataset("ratings", "films-raters").folder)
        return [row for row in found.rows() if isinstance(row, RatedResponse)]

    with terminal(sys.stderr, quiet=session.options.quiet) as sink:
        take_round(
            workspace,
            stages,
            asked,
            policy=newest_artifact(workspace, "sft", stages),
            ratings=ratings,
            machine=session.machine(),
            sink=sink,
        )


def _prompts(session: Session) -> tuple[Prompt, ...]:
    """The prompts of training, in an order drawn by the run's seed."""
    found = Dataset(session.workspace.dataset("prompts", "films").folder)
    rows = [row for row in found.rows(Split.TRAIN) if isinstance(row, Prompt)]
    Random(f"accord rounds {session.config.seed}").shuffle(rows)
    return tuple(rows)
