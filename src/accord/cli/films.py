"""The film quickstart's own steps: its data, and the rounds in which raters compare answers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from accord.cli.session import REMEMBER, Session
from accord.collect.films import DATA_SHA256, film_archive
from accord.core.types import Prompt, Split
from accord.pipeline.films import FilmSets, Found, bring_films, find_films
from accord.pipeline.onpolicy import Round, take_round
from accord.pipeline.runner import Outcome
from accord.pipeline.single import newest_artifact
from accord.recipes.films import ASKED, GUIDELINES, MORE, PEOPLE, ROUND, SIZES, SYSTEM
from accord.store.datasets import Dataset
from accord.telemetry.terminal import terminal

TAKES, TAKES_ALL = 4.0, 5.0
"""GiB of memory, at most, without DPO and with it: 3.7 and 4.5 were measured. With 3, PPO is
killed, whatever the micro-batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Films:
    """Where the reviews come from, and what is made of them."""

    archive: Callable[[], Path]
    data: str
    """SHA-256 of the data inside."""
    sets: FilmSets


FILMS = Films(
    archive=film_archive,
    data=DATA_SHA256,
    sets=FilmSets(asked=ASKED, system=SYSTEM, **SIZES),
)


def run_films(session: Session) -> list[Outcome]:
    """Make everything of the film quickstart that is not up to date, in order.

    The second round is taken where DPO is among the stages: nothing else learns from it.
    """
    takes = TAKES_ALL if "dpo" in session.config.stages else TAKES
    warn_of_memory(takes, quiet=session.options.quiet)
    bring_data(session)
    session.run(to="sft", remember=REMEMBER)
    _take(session, "round-1", slice(0, ROUND))
    if "dpo" in session.config.stages:
        _take(session, "round-2", slice(ROUND, ROUND + MORE))
    return session.run(remember=REMEMBER)


def warn_of_memory(takes: float, *, quiet: bool) -> None:
    """Say before it begins that there are less than `takes` GiB: the kernel may kill it, which
    nothing could say afterwards."""
    from accord.models.machine import total_memory

    there = total_memory("cpu") / 2**30
    if there < takes:
        with terminal(sys.stderr, quiet=quiet) as sink:
            sink.notice(
                f"there are {there:.1f} GiB of memory here and this takes up to {takes:g}: where "
                "it is killed, run it with more, and what was finished is kept; --model tiny takes "
                "0.7"
            )


def bring_data(session: Session) -> None:
    """Fetch the reviews and make the sets of them, where they are not there as they should be."""
    workspace = session.workspace
    with (
        workspace.lock("quickstart", remember=REMEMBER),
        terminal(sys.stderr, quiet=session.options.quiet) as sink,
    ):
        found = find_films(workspace, FILMS.sets, data=FILMS.data)
        if found is Found.SAME:
            return
        if found is Found.OTHER:
            sink.notice("the film sets here were made in other sizes or words: they are made anew")
        sink.notice("film reviews with human ratings: vaderSentiment 3.3.2 (MIT), 2.5 MB")
        made = bring_films(workspace, FILMS.archive(), FILMS.sets, sha256=FILMS.data)
        sink.notice(", ".join(f"{rows} {name}" for name, rows in made.items()))


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
    with terminal(sys.stderr, quiet=session.options.quiet) as sink:
        take_round(
            workspace,
            stages,
            asked,
            policy=newest_artifact(workspace, "sft", stages),
            ratings=workspace.dataset("ratings", "films-raters"),
            machine=session.machine(),
            sink=sink,
        )


def _prompts(session: Session) -> tuple[Prompt, ...]:
    """The prompts of training, in an order drawn by the run's seed."""
    found = Dataset(session.workspace.dataset("prompts", "films").folder)
    rows = [row for row in found.rows(Split.TRAIN) if isinstance(row, Prompt)]
    Random(f"accord rounds {session.config.seed}").shuffle(rows)
    return tuple(rows)
