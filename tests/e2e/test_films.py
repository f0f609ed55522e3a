"""The film quickstart from data to blind pairs, on a tiny model and reviews that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import floor
from pathlib import Path
from typing import Any

import pytest

from accord.cli.commands import Options
from accord.collect.rated import data_digest
from accord.core.types import Split
from accord.pipeline.blind import blind_result, open_blind
from accord.pipeline.films import FilmSets
from accord.pipeline.runner import Made, Outcome
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES
from accord.recipes.films import ASKED, SYSTEM
from accord.store.datasets import Dataset
from tests.collect.samples import archive
from tests.rewards.opinions import opinions

pytest.importorskip("torch")

from accord.cli.films import Films, run_films
from accord.cli.session import Session, open_session

pytestmark = pytest.mark.slow
SETTINGS = """\
recipe = "films-all"
model = "tiny"
machine.precision = "float32"
sft = { epochs = 0.5, batch_size = 16 }
top = { epochs = 0.5, batch_size = 16 }
judge = { texts = 400, made_up = 10, tried = 5 }
reward = { epochs = 0.3, batch_prompts = 4, scale_prompts = 8 }
dpo = { epochs = 0.1, batch_prompts = 16 }
ppo = { steps = 3, batch_prompts = 4, samples = 2, minibatches = 1, max_tokens = 8 }
eval = { prompts = 20, samples = 4, arm_samples = 1, max_tokens = 8 }
"""
SETS = FilmSets(
    asked=ASKED,
    system=SYSTEM,
    demonstrations=90,
    best=40,
    reward_texts=120,
    test_pairs=60,
    raters=50,
)


def reviews(place: Path) -> Path:
    """Each with ten ratings whose mean is what it is worth, to a tenth."""
    made = zip(*opinions(3000, seed=0), strict=True)
    clear = [(text, one) for text, one in made if abs(one) > 1]
    rows = [f"{i}\t0\tNo. {i} of many: {text}\n" for i, (text, _) in enumerate(clear)]
    said = []
    for i, (_, one) in enumerate(clear):
        above = round(10 * (one - floor(one)))
        ratings = [floor(one) + (place < above) for place in range(10)]
        said.append(f"{i}\t0\t0\t{ratings}\n")
    return archive(place, "".join(rows).encode(), "".join(said).encode())


def films(place: Path) -> Films:
    """Reviews that are made up, in place of those that are fetched."""
    made = place / "vaderSentiment-3.3.2.tar.gz"
    if not made.exists():
        reviews(place)
    return Films(archive=lambda: made, data=data_digest(made), sets=SETS)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    place = tmp_path_factory.mktemp("films")
    workspace = Workspace.create(place / "ws", "films")
    workspace.settings.write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accord.cli.films.FILMS", films(place))
        yield open_session(Options(command="quickstart", workspace=workspace.root, quiet=True))


@pytest.fixture(scope="module")
def outcomes(session: Session) -> dict[str, Outcome]:
    return {one.stage: one for one in run_films(session)}


def figures(outcomes: dict[str, Outcome]) -> dict[str, Any]:
    found = outcomes["eval"].artifact.manifest.figures["evaluation"]
    assert isinstance(found, dict)
    return found


def test_every_arm_is_measured_on_the_same_prompts(outcomes: dict[str, Outcome]) -> None:
    found = figures(outcomes)
    arms = ["sft", "sft told", "base told", "top", "ppo", "dpo", "best of 4"]
    assert sorted(found["policies"]) == sorted(arms)
    measures = {"score", "gold", "kl", "length", "stopped", "start_logp", "repeated", "distinct"}
    for name in arms:
        assert measures <= found["policies"][name].keys(), name
    assert found["policies"]["sft"]["kl"]["value"] == 0
    assert sorted(found["duels"]) == ["dpo", "ppo", "top"]
    assert sorted(found["duels"]["ppo"]) == ["base told", "best of 4", "sft told"]
    change = found["changes"]["ppo"]["gold"]
    assert change["low"] <= change["value"] <= change["high"]
    assert change["detectable"] > 0
    texts = (outcomes["eval"].artifact.folder / "texts.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in texts]
    assert len(rows) == found["prompts"] == 20
    assert all(row["prompt"][-1][0] == "opening" for row in rows)
    for row in rows:
        # Best of 4 picks from what SFT said, of which the first is SFT's own answer.
        assert row["answers"]["best of 4"][0] in row["answers"]["sft"]
        assert len(row["answers"]["sft"]) == 4


def test_what_is_evaluated_was_nowhere_in_training(session: Session) -> None:
    workspace = session.workspace
    prompts = Dataset(workspace.dataset("prompts", "films").folder)
    shown = Dataset(workspace.dataset("demonstrations", "films").folder)
    best = Dataset(workspace.dataset("demonstrations", "films-best").folder)
    openings = {row.conversation.opening for row in prompts.rows(Split.DEV)}
    assert openings
    for dataset in (shown, best):
        for row in dataset.rows():
            text = row.conversation.messages[-1].content
            assert not any(text.startswith(opening) for opening in openings)
    pairs = Dataset(workspace.dataset("preferences", "films-pairs").folder)
    train, held = (
        {text for row in pairs.rows(split) for text in row.responses}
        for split in (Split.TRAIN, Split.DEV)
    )
    judge = {
        row.response for row in Dataset(workspace.dataset("ratings", "films-judge").folder).rows()
    }
    raters = {
        row.response for row in Dataset(workspace.dataset("ratings", "films-raters").folder).rows()
    }
    parts = [
        train,
        held,
        judge,
        raters,
        {r.conversation.messages[-1].content for r in shown.rows()},
    ]
    assert sum(map(len, parts)) == len(set().union(*parts))


def test_rounds_are_frozen_from_the_store_and_dpo_learns_from_them_alone(
    session: Session, outcomes: dict[str, Outcome]
) -> None:
    inputs = outcomes["dpo"].artifact.manifest.inputs
    sets = [name for name in inputs if name.startswith("preferences/")]
    assert sets == ["preferences/round-1", "preferences/round-2"]
    frozen = Dataset(session.workspace.dataset("preferences", "round-1").folder)
    notes = frozen.manifest.notes
    assert notes["counts"]["kinds"] == {"synthetic": frozen.manifest.rows}
    rows = list(frozen.rows())
    assert all(len(row.responses) == 4 and row.prompt.opening for row in rows)
    reward = outcomes["reward"].artifact.manifest.inputs
    read = {name for name in reward if name.startswith("preferences/")}
    assert read == {"preferences/films-pairs", "preferences/round-1"}


def test_run_again_it_keeps_everything(session: Session, outcomes: dict[str, Outcome]) -> None:
    again = run_films(session)
    assert [one.stage for one in again] == list(outcomes)
    assert {one.made for one in again} == {Made.KEPT}


def test_policies_before_people_are_blind(session: Session, outcomes: dict[str, Outcome]) -> None:
    evaluation = outcomes["eval"].artifact
    asked = {"policy": "ppo", "versus": "sft"}
    assert blind_result(session.workspace, evaluation, **asked) is None
    name = open_blind(session.workspace, evaluation, pairs=5, **asked)
    assert open_blind(session.workspace, evaluation, pairs=5, **asked) == name
    assert blind_result(session.workspace, evaluation, **asked) is None


def test_the_shorter_recipe_keeps_what_it_shares(
    session: Session, outcomes: dict[str, Outcome]
) -> None:
    short = replace(session.config, stages=RECIPES["films"]().stages)
    again = {one.stage: one for one in run_films(replace(session, config=short))}
    assert sorted(again) == ["base", "eval", "judge", "ppo", "reward", "sft"]
    kept = {name for name, one in again.items() if one.made is Made.KEPT}
    assert kept == {"base", "judge", "ppo", "reward", "sft"}
