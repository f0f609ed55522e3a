"""Finished reward models predict: the score that training saw, and what cannot be scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from accord.store.database import open_database
from accord.store.tables import tasks
from tests.e2e.small import make, run
from tests.pipeline.toy import MACHINE

pytest.importorskip("torch")

from accord.core.types import Conversation
from accord.models.ragged import Ragged
from accord.pipeline.predicting import RewardModel
from accord.pipeline.workspace import Workspace

pytestmark = pytest.mark.slow
SAMPLE = ("campaign", "sample", "keen", "--policy", "sft", "--samples", "2", "--max-tokens", "12")
ASKED = [
    (Conversation.of(f"Tell me about number {i}."), f"The cat is {'very ' * (i % 5)}kind.")
    for i in range(7)
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a policy, two reward models of different seeds, a campaign and a pool."""
    folder = make(tmp_path_factory.mktemp("predicting") / "ws")
    run(folder, "run", "--to", "reward")
    run(folder, "reward", "--seed", "1")
    rows = "".join(f'{{"prompt": "Tell me about number {i}."}}\n' for i in range(24))
    (folder / "asks.jsonl").write_text(rows)
    run(folder, "campaign", "guidelines", "guidelines.md", "--version", "v1")
    run(folder, "campaign", "open", "keen", "--guideline", "v1", "--selection", "uncertainty")
    run(folder, "campaign", "prompts", "keen", "asks.jsonl")
    return folder


def models(folder: Path) -> list[str]:
    return sorted(one.name for one in (folder / "artifacts").glob("reward-*"))


def loaded(folder: Path, name: str) -> RewardModel:
    workspace = Workspace(folder)
    artifact = workspace.artifact("reward", name.removeprefix("reward-"))
    assert artifact is not None
    return RewardModel(workspace, artifact, MACHINE)


def test_scores_are_raw_and_do_not_depend_on_what_is_beside(trained: Path) -> None:
    model = loaded(trained, models(trained)[0])
    together = model.rewards(ASKED)
    alone = [model.rewards([one])[0] for one in ASKED]
    assert np.array(together, dtype=float) == pytest.approx(np.array(alone, dtype=float), abs=1e-4)
    assert len(set(together)) > 3
    row = model._template.tokenize_answer(*ASKED[3])
    role = model._role
    unit = role.scores(Ragged.of([row], role.backbone.machine.device)).item()
    raw = unit * role.scale.scale + role.scale.shift
    assert together[3] == pytest.approx(raw / role.temperature, abs=1e-4)
    model._role.temperature = 4.0
    assert model.rewards([ASKED[3]]) == pytest.approx([raw / 4], abs=1e-4)


def test_what_finds_no_room_has_no_score(trained: Path) -> None:
    model = loaded(trained, models(trained)[0])
    prompt = Conversation.of("Hello?")
    stop = model._template.stop
    found = model.rewards([(prompt, "Hi."), (prompt, "long " * 5000), (prompt, f"a{stop}b")])
    assert found[0] is not None
    assert found[1:] == [None, None]
    assert model.rewards([]) == []


def test_a_campaign_picks_by_the_models_of_the_workspace(trained: Path) -> None:
    names = models(trained)
    assert len(names) == 2
    told = run(trained, *SAMPLE, "--tasks", "8", "--reward", *names).stdout
    assert "24 prompts: 8 tasks" in told
    with open_database(trained / "accord.db") as database, database.read() as connection:
        inclusion = list(connection.execute(sa.select(tasks.c.inclusion)).scalars())
        by = set(connection.execute(sa.select(tasks.c.selected_by)).scalars())
    assert by == {"random", "uncertainty"}
    assert len(set(inclusion)) > 4
    assert 0 < min(inclusion) < max(inclusion) <= 1
