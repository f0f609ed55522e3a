"""The film quickstart's own steps: its data, and the rounds in which raters compare answers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from accord.cli.session import Session
from accord.collect.films import fetch_films
from accord.core.types import Prompt, RatedResponse, Split
from accord.pipeline.films import FilmSets, bring_films
from accord.pipeline.onpolicy import Round, take_round
from accord.pipeline.runner import Outcome
from accord.pipeline.single import newest_artifact
from accord.recipes.films import ASKED, GUIDELINES, PEOPLE, SIZES, SYSTEM
from accord.store.datasets import Dataset
from accord.telemetry.terminal import terminal

SETS = FilmSets(asked=ASKED, system=SYSTEM, **SIZES)


def run_films(session: Session, *, every_arm: bool) -> list[Outcome]:
    """Everything of the film quickstart that is not up to date, in order."""
    if not session.workspace.kinds("films-raters"):  # the last that is written
        _bring(session)
    session.run(to="sft")
    _round(session, "round-1", slice(0, FIRST))
    if every_arm:
        _round(session, "round-2", slice(FIRST, FIRST + SECOND))
        stages = (*session.config.stages, "top", "dpo")
        session = replace(session, config=replace(session.config, stages=stages))
    return session.run()
