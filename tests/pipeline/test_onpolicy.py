"""Rounds of simulated raters: never frozen by halves, made again when anything of them changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accord.cli.commands import Options
from accord.cli.session import open_session
from accord.collect.campaign import all_campaigns
from accord.collect.candidates import deliver
from accord.collect.frozen import verify_frozen
from accord.collect.orders import SAMPLE, order_of
from accord.collect.persona import PersonSettings
from accord.core.errors import WorkspaceError
from accord.core.types import (
    Conversation,
    Prompt,
    RatedResponse,
    Response,
    SamplingSettings,
    StopReason,
)
from accord.pipeline.artifact import Artifact
from accord.pipeline.logbook import signing_key
from accord.pipeline.onpolicy import ASKED, Round, take_round
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Dataset, write_dataset
from accord.store.jobs import claim, fail, listed, retry
from tests.pipeline.toy import MACHINE
from tests.rewards.opinions import opinions

pytest.importorskip("torch")

PROMPTS = tuple(Prompt(conversation=Conversation.of(f"Review film {n}.")) for n in range(6))
ASKED_FIRST = Round(
    name="round-1",
    prompts=PROMPTS,
    people={"Ada": PersonSettings(seed=1), "Ben": PersonSettings(temperature=0.8, seed=2)},
    guidelines="Put first what is kinder.",
    overlap=2,
    max_tokens=6,
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make(tmp_path / "ws")


def make(folder: Path) -> Workspace:
    made = Workspace.create(folder, "smollm2")
    made.settings.write_text('recipe = "smollm2"\nmodel = "tiny"\nmachine.precision = "float32"\n')
    open_session(Options(command="run", workspace=made.root, quiet=True)).run(to="base")
    rated(made, seed=0)
    return made


def rated(workspace: Workspace, *, seed: int) -> None:
    """Ratings that the raters' taste is made of."""
    folder = workspace.artifacts / f"taste-ratings-{seed}"
    rows = [
        RatedResponse(prompt=Conversation.of("Review a film."), response=text, ratings=(one,))
        for text, one in zip(*opinions(60, seed=seed), strict=True)
    ]
    if not folder.exists():
        write_dataset(folder, rows, kind="ratings", source="test")
    workspace.point("taste", {"ratings": (folder, Dataset(folder).manifest.digest)})


def policy(workspace: Workspace) -> Artifact:
    found = workspace.newest("base")
    assert found is not None
    return found


def take(workspace: Workspace, asked: Round, base: Artifact) -> None:
    taste = workspace.dataset("ratings", "taste")
    take_round(workspace, (), asked, policy=base, ratings=taste, machine=lambda: MACHINE)


def frozen(workspace: Workspace) -> Dataset:
    return Dataset(workspace.dataset("preferences", "round-1").folder)


def prompts_of(dataset: Dataset) -> set[str]:
    return {row.prompt.messages[-1].content for row in dataset.rows()}


def campaigns(workspace: Workspace) -> list[str]:
    with open_workspace_database(workspace) as database, database.read() as connection:
        return [campaign.settings.name for campaign in all_campaigns(connection)]


def deliver_some(workspace: Workspace, count: int) -> None:
    """A worker answers so many prompts of the one job, and then cannot go on."""
    settings = SamplingSettings(max_tokens=6)
    with open_workspace_database(workspace) as database:
        with database.write() as connection:
            (job,) = listed(connection, kinds=(SAMPLE,))
            retry(connection, job.id)
        held = claim(database, (SAMPLE,), "somebody", 60)
        assert held is not None
        said = {
            prompt: [
                Response(
                    prompt_id="",
                    text=f"A {word} film",
                    stop=StopReason.STOP,
                    policy="b" * 64,
                    settings=settings,
                )
                for word in ("dull", "great", "boring", "superb")
            ]
            for prompt in order_of(held).prompts[:count]
        }
        deliver(database, held, said)
        with database.write() as connection:
            fail(connection, held, "no memory left")


def test_a_round_is_frozen_when_every_answer_is_there(workspace: Workspace) -> None:
    base = policy(workspace)
    away = workspace.root / "away"
    base.folder.rename(away)
    with pytest.raises(WorkspaceError, match="could not be sampled"):
        take(workspace, ASKED_FIRST, base)
    deliver_some(workspace, 2)
    for _ in range(2):  # tried again each time, and in vain
        with pytest.raises(WorkspaceError, match="could not be sampled") as refused:
            take(workspace, ASKED_FIRST, base)
        assert refused.value.got != "no memory left"
        assert workspace.kinds("round-1") == ()
    away.rename(base.folder)
    take(workspace, ASKED_FIRST, base)
    assert prompts_of(frozen(workspace)) == {f"Review film {n}." for n in range(6)}
    assert len(campaigns(workspace)) == 1


CHANGES: Mapping[str, Any] = {
    "max_tokens": 5,
    "prompts": PROMPTS[:4],
    "people": {"Ada": PersonSettings(seed=3), "Ben": PersonSettings(temperature=0.8, seed=2)},
    "guidelines": "Put first what is shorter.",
    "overlap": 1,
    "seed": 1,
}


def test_whatever_changes_a_round_takes_it_again(workspace: Workspace) -> None:
    base = policy(workspace)
    take(workspace, ASKED_FIRST, base)
    take(workspace, ASKED_FIRST, base)
    first = campaigns(workspace)
    assert len(first) == 1
    for name, value in CHANGES.items():
        before = campaigns(workspace)
        take(workspace, replace(ASKED_FIRST, **{name: value}), base)
        assert len(campaigns(workspace)) == len(before) + 1, name
    rated(workspace, seed=1)
    take(workspace, ASKED_FIRST, base)
    made_again = replace(base, digest="f" * 64)
    take(workspace, ASKED_FIRST, made_again)
    there = campaigns(workspace)
    assert len(there) == len(set(there)) == len(CHANGES) + 3
    notes = frozen(workspace).manifest.notes
    assert notes["campaign"]["name"] == there[-1]
    assert notes[ASKED]["policy"] == {"name": f"base-{base.key}", "digest": "f" * 64}
    # Back to what it was: the campaign of then is frozen again, and nobody is asked.
    rated(workspace, seed=0)
    take(workspace, ASKED_FIRST, base)
    assert frozen(workspace).manifest.notes["campaign"]["name"] == first[0]
    assert len(campaigns(workspace)) == len(there)


def test_the_same_seed_gives_the_same_answers_and_judgements(
    workspace: Workspace, tmp_path: Path
) -> None:
    again = make(tmp_path / "again")
    for one in (workspace, again):
        take(one, ASKED_FIRST, policy(one))
    first, second = ([*frozen(one).rows()] for one in (workspace, again))
    assert first == second
    assert len({row.tiers for row in first}) > 3
    take(again, replace(ASKED_FIRST, seed=1), policy(again))
    assert [*frozen(again).rows()] != first


def test_no_round_is_taken_where_another_run_works(workspace: Workspace) -> None:
    with workspace.lock("run"), pytest.raises(WorkspaceError, match="another run"):
        take(workspace, ASKED_FIRST, policy(workspace))
    assert campaigns(workspace) == []


def test_what_was_asked_is_sealed_with_the_set(workspace: Workspace) -> None:
    take(workspace, ASKED_FIRST, policy(workspace))
    dataset = frozen(workspace)
    assert dataset.manifest.notes[ASKED]["max_tokens"] == 6
    with open_workspace_database(workspace) as database:
        key = signing_key(workspace).public
        assert verify_frozen(dataset.folder, database, public_keys=[key]).faults == ()
