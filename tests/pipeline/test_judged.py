"""Whose word a run learnt from, and what people said: from real data sets and a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import CampaignSettings, all_campaigns, join, open_campaign
from accord.collect.formats import Unjudged
from accord.collect.freezing import FreezeSettings, freeze
from accord.collect.labelling import enrol, label_in_turn
from accord.collect.persona import PersonSettings
from accord.collect.ready import add_tasks
from accord.collect.sheet import Opinion
from accord.collect.synthetic import SimulatedPerson
from accord.collect.tasks import responses_of
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation
from accord.evals.report.people import IMPORTED, PEOPLE
from accord.pipeline.artifact import Artifact, InputEntry, Manifest
from accord.pipeline.blind import open_blind
from accord.pipeline.judged import DERIVED, HUMAN_CEILING, Opinions, learnt, opinions
from accord.pipeline.logbook import signing_key
from accord.pipeline.whereabouts import noted, open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.datasets import write_dataset
from accord.store.judgements import Verdict
from accord.store.registry import publish_guideline, response_text
from accord.store.tables import tasks
from tests.collect.judging import rater, say
from tests.pipeline.toy import MACHINE

PEOPLE_OF_NOWHERE = {
    "Ada": PersonSettings(weights={"length": 1.0}, seed=1),
    "Cleo (falls for the first)": PersonSettings(
        weights={"length": 1.0}, bias={"first": 0.4}, lapse=0.25, seed=2
    ),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "ws", "tiny")
    made.artifacts.mkdir(exist_ok=True)
    return made


def stage(name: str, **inputs: str) -> Manifest:
    """A finished stage that read some sets, `kind/name` to digest."""
    return Manifest(
        name=name,
        kind="policy",
        key="0" * 16,
        code="1",
        seed=0,
        config={},
        inputs={put: InputEntry(key=digest[:16], digest=digest) for put, digest in inputs.items()},
        machine=MACHINE,
        files={},
    )


def pairs(workspace: Workspace, name: str, rows: int, **notes: object) -> str:
    """An imported set of comparisons; its digest."""
    made = [
        Comparison(prompt=Conversation.of(f"{name} {n}"), responses=("a", "b"), tiers=(0, 1))
        for n in range(rows)
    ]
    folder = workspace.artifacts / f"{name}-preferences-{rows}"
    manifest = write_dataset(folder, made, kind="preferences", source=name, notes=notes)
    workspace.point(name, {"preferences": (folder, manifest.digest)})
    return manifest.digest


def round_of(workspace: Workspace, *, prompts: int = 6) -> str:
    """A campaign of simulated raters, frozen as `round-1`; the set's digest."""
    settings = CampaignSettings(
        name="round-1-abc", guideline="v1", overlap=2, gold_share=0.0, repeat_share=0.0
    )
    rows = [
        Unjudged(
            row=n, prompt=Conversation.of(f"q {n}"), responses=("x" * (n + 1), "y" * 40), source="t"
        )
        for n in range(prompts)
    ]
    with open_workspace_database(workspace) as database:
        with database.write() as connection:
            publish_guideline(connection, "v1", "Prefer what is longer.", criteria=())
            campaign = open_campaign(connection, settings)
        add_tasks(database, campaign, rows)
        enrolled = {}
        for name, own in PEOPLE_OF_NOWHERE.items():
            person = SimulatedPerson(settings=own, truths=())
            enrolled[enrol(database, campaign, person, name)] = person
        label_in_turn(database, campaign, enrolled)
        made = freeze(
            database,
            campaign,
            workspace.artifacts,
            settings=FreezeSettings(name="round-1", kinds=("synthetic",)),
            key=signing_key(workspace),
        )
    workspace.point("round-1", {"preferences": (made.folder, made.manifest.digest)})
    return made.manifest.digest


def evaluated(folder: Path, digest: str = "f00d" * 16, *, prompts: int = 4) -> Artifact:
    """An evaluation's answers of two policies."""
    folder.mkdir()
    with (folder / "texts.jsonl").open("w") as file:
        for n in range(prompts):
            said = {"sft": [f"plain {n}"], "ppo": [f"bright {n}"]}
            file.write(json.dumps({"prompt": [["user", f"ask {n}"]], "answers": said}) + "\n")
    return Artifact(name="eval", kind="evaluation", key="feed", folder=folder, digest=digest)


def test_comparisons_are_told_by_whose_word_they_are(workspace: Workspace) -> None:
    ceiling = {"value": 0.8, "low": 0.7, "high": 0.9}
    derived = pairs(workspace, "films-pairs", 5, **{HUMAN_CEILING: ceiling})
    mine = pairs(workspace, "mine", 3)
    simulated = round_of(workspace)
    made = {
        "reward": stage(
            "reward",
            **{
                "preferences/films-pairs": derived,
                "preferences/mine": mine,
                "preferences/round-1": simulated,
            },
        ),
        "dpo": stage("dpo", **{"preferences/round-1": simulated}),
        "eval": stage("eval", **{"prompts/asked": "0" * 64, "preferences/mine": mine}),
    }
    found = {one.shown.name: one for one in learnt(workspace, made)}
    assert found["films-pairs"].shown.judged_by == {DERIVED: 5}
    assert found["films-pairs"].notes[HUMAN_CEILING] == ceiling
    assert found["mine"].shown.judged_by == {IMPORTED: 3}
    assert found["round-1"].shown.judged_by == {"by simulated raters": 12}
    assert found["round-1"].shown.used_by == ("reward", "dpo")
    # An evaluation reads what was trained on to ask nothing of it.
    assert found["mine"].shown.used_by == ("reward",)
    del made["reward"]
    made["eval"] = stage("eval", **{"preferences/mine": mine})
    (asked,) = (one for one in learnt(workspace, made) if one.shown.name == "mine")
    assert asked.shown.used_by == ("eval",)


def test_a_set_that_was_replaced_is_told_as_it_was(workspace: Workspace) -> None:
    before = pairs(workspace, "mine", 3)
    pairs(workspace, "mine", 7)
    made = {"reward": stage("reward", **{"preferences/mine": before})}
    (found,) = learnt(workspace, made)
    assert (found.shown.rows, found.shown.digest) == (3, before)
    gone = {"reward": stage("reward", **{"preferences/mine": "f" * 64})}
    assert learnt(workspace, gone) == ()


def test_the_raters_behind_a_set_are_told_with_their_habits(workspace: Workspace) -> None:
    sets = learnt(workspace, {"dpo": stage("dpo", **{"preferences/round-1": round_of(workspace)})})
    heard = opinions(workspace, sets, None, policy="dpo", versus="sft")
    assert heard.lost == ()
    (asked,) = heard.rounds
    assert (asked.campaign, asked.sets) == ("round-1-abc", ("round-1",))
    assert (asked.judgements, asked.prompts, asked.raters) == (12, 6, 2)
    assert asked.percent is not None
    assert asked.percent.low is not None
    assert asked.percent.low <= asked.percent.value
    ada, cleo = asked.simulated
    assert (ada.name, ada.kind, ada.habits, ada.judgements) == ("Ada", "synthetic", "noise 0.5", 6)
    assert cleo.habits == "noise 0.5, bias to first 0.4, does not look 25% of the time"


def test_without_a_database_nothing_is_made_and_what_is_lost_is_named(
    workspace: Workspace,
) -> None:
    assert opinions(workspace, (), None, policy="ppo", versus="sft") == Opinions()
    assert noted(workspace) is None
    sets = learnt(workspace, {"dpo": stage("dpo", **{"preferences/round-1": round_of(workspace)})})
    (workspace.root / "accord.db").unlink()
    heard = opinions(workspace, sets, None, policy="dpo", versus="sft")
    assert heard.rounds == ()
    assert "database of this workspace is gone" in heard.lost[0]
    (workspace.root / ".accord" / "database.json").unlink()
    heard = opinions(workspace, sets, None, policy="dpo", versus="sft")
    assert "the judgements are not here" in heard.lost[0]
    assert not (workspace.root / "accord.db").exists()


def test_a_campaign_of_another_database_is_not_taken_for_it(workspace: Workspace) -> None:
    sets = learnt(workspace, {"dpo": stage("dpo", **{"preferences/round-1": round_of(workspace)})})
    (workspace.root / "accord.db").unlink()
    (workspace.root / ".accord" / "database.json").unlink()
    round_of(workspace, prompts=3)
    heard = opinions(workspace, sets, None, policy="dpo", versus="sft")
    assert heard.rounds == ()
    assert "its judgements are not in this database" in heard.lost[0]


def test_people_are_invited_and_then_heard(workspace: Workspace, tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path / "eval")
    with open_workspace_database(workspace):
        pass
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert (heard.blind, heard.invitation) == (None, "")
    name = open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=20)
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert (heard.blind, heard.invitation) == (None, f"accord rate {name}")
    _prefer_bright(workspace)
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert heard.blind is not None
    assert (heard.blind.share.value, heard.blind.judgements, heard.blind.raters) == (1.0, 4, 1)
    assert heard.blind.share.low is not None
    assert heard.blind.share.low < 1
    assert heard.invitation == f"accord rate {name}"


def test_an_evaluation_without_texts_invites_nobody(workspace: Workspace, tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path / "eval")
    open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=20)
    (evaluation.folder / "texts.jsonl").unlink()
    assert opinions(workspace, (), evaluation, policy="ppo", versus="sft").invitation == ""


def _prefer_bright(workspace: Workspace) -> None:
    """One person puts what PPO said first, wherever it stands."""
    with open_workspace_database(workspace) as database:
        with database.read() as connection:
            (campaign,) = all_campaigns(connection)
            asked = list(connection.execute(sa.select(tasks.c.id)).scalars())
            first = {
                task: response_text(connection, responses_of(connection, task)[0]) for task in asked
            }
        somebody = rater(database)
        for task, text in first.items():
            bright = text.startswith("bright")
            say(database, campaign, task, somebody, (0, 1) if bright else (1, 0))


def test_judgements_of_people_are_called_so(workspace: Workspace) -> None:
    kinds = {"counts": {"kinds": {"human": 4, "rule": 1}}, "campaign": {"name": "a", "id": "b"}}
    digest = pairs(workspace, "asked", 5, **kinds)
    (found,) = learnt(workspace, {"dpo": stage("dpo", **{"preferences/asked": digest})})
    assert found.shown.judged_by == {PEOPLE: 4, "by a rule": 1}


def test_an_evaluation_that_came_out_different_asks_afresh(
    workspace: Workspace, tmp_path: Path
) -> None:
    first = evaluated(tmp_path / "eval")
    name = open_blind(workspace, first, policy="ppo", versus="sft", pairs=20)
    _prefer_bright(workspace)
    again = evaluated(tmp_path / "again", digest="beef" * 16)
    assert open_blind(workspace, again, policy="ppo", versus="sft", pairs=20) != name
    heard = opinions(workspace, (), again, policy="ppo", versus="sft")
    assert (heard.blind, heard.lost) == (None, ())
    heard = opinions(workspace, (), first, policy="ppo", versus="sft")
    assert heard.blind is not None


def test_judgements_of_texts_that_are_gone_are_passed_over_and_counted(
    workspace: Workspace, tmp_path: Path
) -> None:
    evaluation = evaluated(tmp_path / "eval")
    open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=20)
    _prefer_bright(workspace)
    path = evaluation.folder / "texts.jsonl"
    path.write_text(path.read_text().replace("bright 1", "other").replace("ask 2", "told"))
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert heard.blind is not None
    assert (heard.blind.judgements, heard.blind.share.value) == (2, 1.0)
    (lost,) = heard.lost
    assert lost == "Blind judgements of texts that the evaluation has not: 2."
    path.write_text(path.read_text().replace("bright", "else"))
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert heard.blind is None
    assert heard.lost == ("Blind judgements of texts that the evaluation has not: 4.",)


def test_what_the_report_shows_is_asked_last(workspace: Workspace, tmp_path: Path) -> None:
    evaluation = evaluated(tmp_path / "eval")
    shown = [{"prompt": f"user: ask {n}", "why": "", "answers": []} for n in (0, 1, 3)]
    (evaluation.folder / "answers.json").write_text(json.dumps(shown))
    for pairs_asked, texts in ((1, {2}), (2, {2, 0})):
        again = replace(evaluation, digest=f"{pairs_asked:064x}")
        open_blind(workspace, again, policy="ppo", versus="sft", pairs=pairs_asked)
        with open_workspace_database(workspace) as database, database.read() as connection:
            campaign = all_campaigns(connection)[-1]
            own = sa.select(tasks.c.id).where(tasks.c.campaign == campaign.id)
            said = [
                response_text(connection, responses_of(connection, task)[0])
                for task in connection.execute(own).scalars()
            ]
        assert {int(text.split()[1]) for text in said} == texts
    (evaluation.folder / "answers.json").write_text("{")
    with pytest.raises(DataError, match="samples of an evaluation cannot be read"):
        open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=1)


def test_judgements_that_say_nothing_are_counted_apart(
    workspace: Workspace, tmp_path: Path
) -> None:
    """One person prefers what is bright, one presses the same key, and one finds nothing good."""
    evaluation = evaluated(tmp_path / "eval", prompts=40)
    open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=40)
    _prefer_bright(workspace)
    with open_workspace_database(workspace) as database:
        with database.read() as connection:
            (campaign,) = all_campaigns(connection)
        lazy, sour = (rater(database) for _ in range(2))
        with database.write() as connection:
            for person in (lazy, sour):
                join(connection, campaign, person)
        while (lease := next_task(database, campaign, lazy)) is not None:
            answer(database, campaign, lease, Opinion.ranked([0, 1]), key=lease.assignment, ui="t")
        bad = Opinion(verdict=Verdict.ALL_BAD)
        for _ in range(3):
            lease = next_task(database, campaign, sour)
            assert lease is not None
            answer(database, campaign, lease, bad, key=lease.assignment, ui="t")
    heard = opinions(workspace, (), evaluation, policy="ppo", versus="sft")
    assert heard.blind is not None
    assert (heard.blind.share.value, heard.blind.judgements, heard.blind.raters) == (1.0, 40, 1)
    assert heard.lost == (
        "Blind judgements of raters in quarantine (accord raters), and count nowhere: 40.",
        "Blind judgements that both answers are bad, which puts neither first: 3.",
    )


def test_what_raters_said_is_told_where_the_blind_part_cannot_be(
    workspace: Workspace, tmp_path: Path
) -> None:
    sets = learnt(workspace, {"dpo": stage("dpo", **{"preferences/round-1": round_of(workspace)})})
    evaluation = evaluated(tmp_path / "eval")
    open_blind(workspace, evaluation, policy="ppo", versus="sft", pairs=20)
    (evaluation.folder / "texts.jsonl").write_text("no json\n")
    heard = opinions(workspace, sets, evaluation, policy="ppo", versus="sft")
    assert [one.campaign for one in heard.rounds] == ["round-1-abc"]
    assert "blind: the answers of an evaluation cannot be read" in heard.lost[0]
