"""From what people say to what a model learns: rate, freeze, train a reward model and a policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import CampaignSettings, join, open_campaign
from accord.collect.frozen import origins, verify_frozen
from accord.collect.sheet import Opinion
from accord.collect.tasks import add_task
from accord.core.types import Comparison, Conversation, Prompt, Response, StopReason
from accord.pipeline.logbook import open_log
from accord.pipeline.workspace import Workspace
from accord.store.database import Database, open_database
from accord.store.datasets import Dataset
from accord.store.registry import add_prompt, add_response, publish_guideline, register_rater
from tests.e2e.small import make, manifest, run

pytest.importorskip("torch")
SETTINGS = """\
recipe = "smollm2"
model = "model"
machine.precision = "float32"
stages = ["reward", "dpo"]
[reward]
epochs = 8
batch_prompts = 8
scale_prompts = 8
adapter = { rank = 4 }
optimizer = { learning_rate = 0.003 }
[dpo]
epochs = 1
batch_prompts = 8
adapter = { rank = 4 }
"""
TASKS, RATERS = 40, 3


def rate(database: Database) -> None:
    """Three people judge every task through leases; the third likes the other answer."""
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer the colour.")
        settings = CampaignSettings(
            name="colours", guideline="v1", gold_share=0, repeat_share=0, adjudicate=False
        )
        campaign = open_campaign(connection, settings)
        for number in range(TASKS):
            words = Conversation.of(f"Name colour {number}.")
            prompt = add_prompt(connection, Prompt(conversation=words))
            ids = [
                add_response(
                    connection, prompt, Response(prompt_id=prompt, text=text, stop=StopReason.STOP)
                )
                for text in ("Blue, I think.", "No, red, surely.")
            ]
            add_task(
                connection,
                campaign,
                prompt=prompt,
                responses=ids,
                inclusion=0.5 if number % 2 else 1.0,
                selected_by="random" if number % 2 == 0 else "coverage",
            )
        people = [register_rater(connection, kind="human") for _ in range(RATERS)]
        for person in people:
            join(connection, campaign, person)
    for place, person in enumerate(people):
        for number in range(TASKS):
            lease = next_task(database, campaign, person)
            assert lease is not None
            blue = [text.startswith("Blue") for text in lease.sheet.responses]
            tiers = [int(one) if place == 2 else int(not one) for one in blue]
            opinion = Opinion.ranked(tiers, strength=1 + place)
            if number % 10 == 9:
                opinion = Opinion.skipped("unclear")
            answer(database, campaign, lease, opinion, key=lease.assignment, ui="test")


@pytest.mark.slow
def test_what_people_said_reaches_training_without_loss(tmp_path: Path) -> None:
    from accord.models.tiny import make_tiny

    folder = make(tmp_path / "ws", SETTINGS)
    make_tiny(folder / "model", seed=0)
    workspace = Workspace.open(folder)
    with open_database(workspace.database_place()) as database:
        rate(database)
    told = run(folder, "freeze", "--even", "--dev", "0.3").stdout
    run(folder, "run")

    found = workspace.dataset("preferences", "colours").folder
    frozen = Dataset(found).manifest
    assert f"colours: {TASKS * RATERS} judgements given" in told
    assert frozen.notes["excluded"] == {"skipped": RATERS * TASKS // 10}
    assert frozen.rows == RATERS * TASKS * 9 // 10
    with open_log(workspace) as database:
        assert verify_frozen(found, database).ok
    rows = [row for row in Dataset(found).rows() if isinstance(row, Comparison)]
    assert {row.strength for row in rows} == {1, 2, 3}
    assert {row.inclusion for row in rows} == {0.5, 1.0}
    units = {o.unit for o in origins(found) if o.split == "train"}

    for stage in ("reward", "dpo"):
        figures = manifest(folder, stage).figures
        # Every judgement is trained on, and every task computed once a pass.
        assert figures["train_comparisons"] == frozen.counts["train"], stage
        assert figures["train_units"] == len(units), stage
        assert manifest(folder, stage).inputs.keys() >= {"preferences/colours"}
    steps = manifest(folder, "reward").steps
    assert steps == len(units)
    reward = manifest(folder, "reward").figures
    assert reward["train_pairs"] == frozen.counts["train"]
    assert reward["audit"]["pairs"] == frozen.counts["dev"]
    # Two of three say so: a model cannot please all, and this one pleases as many as one can.
    dev = [r for r, o in zip(rows, origins(found), strict=True) if o.split == "dev"]
    blue = [r.responses[r.tiers.index(0)].startswith("Blue") for r in dev]
    weight = [r.training_weight for r in dev]
    said = sum(w for w, is_blue in zip(weight, blue, strict=True) if is_blue)
    assert reward["audit"]["accuracy"] == pytest.approx(said / sum(weight))
    assert [part["name"] for part in reward["audit"]["by_source"]] == ["human"]
