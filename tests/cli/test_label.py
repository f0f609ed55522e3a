"""`accord label`: who judges, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.campaign import CampaignSettings, open_campaign
from accord.collect.tasks import add_task
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.registry import add_prompt, add_response, publish_guideline
from accord.store.tables import raters

PEOPLE = """\
[[rater]]
name = "Ada"
truth = "length"
[[rater]]
name = "Bob"
lapse = 1
"""
RULE = """\
def shorter(prompt, responses):
    return [-len(text) for text in responses]

def broken(prompt, responses):
    return [1]
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a campaign of four tasks, and this as the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", "ws", "--recipe", "tiny"]) == 0
    folder = tmp_path / "ws"
    monkeypatch.chdir(folder)
    (folder / "people.toml").write_text(PEOPLE)
    (folder / "rules.py").write_text(RULE)
    how = CampaignSettings(name="first", guideline="v1", gold_share=0, repeat_share=0)
    with open_database(folder / "accord.db") as database, database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is short.")
        campaign = open_campaign(connection, how)
        for n in range(4):
            asked = Prompt(conversation=Conversation.of(f"Question {n}?"))
            prompt = add_prompt(connection, asked)
            said = [
                Response(prompt_id=asked.id, text="so " * k + "it is", stop=StopReason.STOP)
                for k in range(2)
            ]
            ids = [add_response(connection, prompt, one) for one in said]
            add_task(connection, campaign, prompt=prompt, responses=ids)
    return folder


def kinds(folder: Path) -> list[str]:
    """Kind of the rater of each judgement."""
    with open_database(folder / "accord.db") as database, database.read() as connection:
        kind = {row.id: row.kind for row in connection.execute(sa.select(raters))}
        return [kind[row.rater] for row in current(connection)]


def test_raters_to_whom_all_is_the_same_are_refused_or_said(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = workspace / "people.toml"
    people.write_text('[[rater]]\nname = "Ada"\n')
    assert main(["label", "first", "--synthetic", "people.toml"]) == 2
    error = capsys.readouterr().err
    assert "needs something that says which answer is better" in error
    assert "people.toml:2" in error
    assert kinds(workspace) == []
    people.write_text('[[rater]]\nname = "Ada"\nrules = [{ by = "exclamations" }]\n')
    assert main(["label", "first", "--synthetic", "people.toml", "--most", "3"]) == 0
    told = capsys.readouterr().out
    assert "3 ties, 0 skips; nothing that it goes by told any two responses apart" in told


def test_simulated_people_judge(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["label", "first", "--synthetic", "people.toml", "--most", "3"]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "first: 6 judgements by 2 raters that are no people",
        "  Ada (synthetic, active): 3 judgements, 0 ties, 0 skips",
        "  Bob (synthetic, active): 3 judgements, 0 ties, 0 skips",
    ]
    assert "label: done" in told.err
    assert kinds(workspace) == ["synthetic"] * 6
    assert main(["label", "first", "--synthetic", "people.toml"]) == 0
    assert "first: 2 judgements by 2 raters" in capsys.readouterr().out


def test_a_rule_judges(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["label", "first", "--rule", "rules.py:shorter"]) == 0
    assert "rules.py:shorter (rule, active): 4 judgements, 0 ties" in capsys.readouterr().out
    assert kinds(workspace) == ["rule"] * 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["first"], "neither"),
        (["first", "--rule", "rules.py:shorter", "--synthetic", "people.toml"], "both"),
        (["first", "--rule", "rules.py:longer"], "there are: shorter, broken"),
        (["first", "--rule", "none.py:shorter"], "no such file of rules"),
        (["first", "--synthetic", "none.toml"], "raters cannot be read"),
        (["second", "--rule", "rules.py:shorter"], "there are: first"),
        (["first", "--rule", "rules.py:shorter", "--most", "0"], "--most must be at least 1"),
        (["first", "--rule", "rules.py:broken"], "one score a response"),
    ],
)
def test_mistakes_are_one_message_and_nothing_is_judged(
    workspace: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
    assert kinds(workspace) == []
