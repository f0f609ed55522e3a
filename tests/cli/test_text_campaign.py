"""Commands where a campaign asks for demonstrations: from a file of prompts to a verified set."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.core.types import Demonstration
from accord.pipeline.logbook import export_workspace_log
from accord.pipeline.workspace import Workspace
from accord.store.database import open_database
from accord.store.datasets import Dataset
from accord.store.manifest import DatasetManifest
from accord.store.registry import all_raters
from tests.cli.workplace import entered, rate

Said = pytest.CaptureFixture[str]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> Path:
    """A campaign with two prompts to answer and an answer to make better."""
    folder = entered(tmp_path, monkeypatch)
    rows = [
        {"prompt": "Say one."},
        {"prompt": "Say two."},
        {"prompt": "Say three.", "response": "Threee."},
        {"prompt": "Say four.", "responses": ["4", "four"]},
    ]
    Path("ask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["campaign", "guidelines", "guidelines.md", "--version", "v1"]) == 0
    opened = ["campaign", "open", "voices", "--guideline", "v1", "--asks", "demonstrations"]
    assert main(opened) == 0
    assert "1 text a prompt, 1 review each" in capsys.readouterr().out
    assert main(["campaign", "tasks", "voices", "ask.jsonl"]) == 0
    told = capsys.readouterr().out
    assert "4 rows: 3 new work tasks, 0 known already" in told
    assert "row 4: has 2 responses; one at most is made better" in told
    return folder


def written(workspace: Path) -> None:
    """Ada writes all three; Bea rejects one of them."""
    typed = "".join(f"t\nHere it is, number {n}.\n.\n\n" for n in range(3))
    assert "there is nothing to write" in rate(workspace, typed, "--name", "Ada").stdout
    assert rate(workspace, "a\n\na\n\nx6\n\n\nq", "--name", "Bea").returncode == 0


def test_the_same_rows_make_nothing_new(workspace: Path, capsys: Said) -> None:
    capsys.readouterr()
    assert main(["campaign", "tasks", "voices", "ask.jsonl"]) == 0
    assert "0 new work tasks, 3 known already" in capsys.readouterr().out


def test_imported_sets_are_asked_about(workspace: Path, capsys: Said) -> None:
    for name, row in (
        ("open", {"prompt": "Say five."}),
        ("shown", {"prompt": "Say six.", "response": "6"}),
    ):
        Path(f"{name}.jsonl").write_text(json.dumps(row) + "\n")
        assert main(["import", f"{name}.jsonl", "--dev", "0"]) == 0
        capsys.readouterr()
        assert main(["campaign", "tasks", "voices", name]) == 0
        assert "1 rows: 1 new work tasks" in capsys.readouterr().out


def test_status_says_what_became_of_texts(workspace: Path, capsys: Said) -> None:
    written(workspace)
    capsys.readouterr()
    assert main(["campaign", "status", "voices"]) == 0
    told = capsys.readouterr().out
    assert "texts 3 written: 2 accepted, 1 rejected, 0 waiting for review" in told
    assert "1 still to write; 0 prompts given up" in told
    assert "3 written, 2 accepted, 1 rejected" in told
    assert main(["campaign", "remarks", "voices", "--what", "rejection"]) == 0
    told = capsys.readouterr().out
    assert "1 rejections" in told
    assert "other" in told


def test_what_was_accepted_is_a_set_that_is_verified(workspace: Path, capsys: Said) -> None:
    written(workspace)
    capsys.readouterr()
    assert main(["freeze", "voices", "--dev", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "voices: 3 texts handed in"
    assert lines[1].startswith("  2 demonstrations as 'voices': 2 train, digest ")
    assert re.fullmatch(r"    \d written, \d made better; 2 reviews", lines[2])
    assert lines[3] == "    1 authors, the largest has 100% of the texts"
    assert lines[4].startswith("  1 left out, listed in voices-demonstrations-")
    assert lines[5] == "    1 rejected"
    place = Workspace.open(workspace)
    (found,) = place.datasets("demonstrations")
    assert found.name == "demonstrations/voices"
    rows = [row for row in Dataset(found.folder).rows() if isinstance(row, Demonstration)]
    assert all(row.conversation.messages[-1].content.startswith("Here it is") for row in rows)

    assert main(["verify", "voices"]) == 0
    assert "2 rows, each follows from a text in the log" in capsys.readouterr().out
    export_workspace_log(place, workspace / "log.jsonl")
    assert main(["verify", "voices", "--log", "log.jsonl"]) == 0
    with closing(sqlite3.connect(workspace / "accord.db")) as connection:
        for trigger in ("no_update", "no_delete"):
            connection.execute(f"DROP TRIGGER payloads_{trigger}")
        connection.execute(
            "UPDATE payloads SET body = replace(body, 'Here', 'There') WHERE name = 'text'"
        )
        connection.commit()
    assert main(["verify", "voices"]) == 2
    assert "event" in capsys.readouterr().err
    assert main(["verify", "voices", "--log", "log.jsonl"]) == 0


def test_two_sets_of_one_name_are_told_apart(workspace: Path, capsys: Said) -> None:
    written(workspace)
    assert main(["freeze", "voices", "--name", "both"]) == 0
    assert main(["campaign", "open", "pairs", "--guideline", "v1"]) == 0
    Path("pair.jsonl").write_text(json.dumps({"prompt": "Say.", "responses": ["a", "b"]}) + "\n")
    assert main(["campaign", "tasks", "pairs", "pair.jsonl"]) == 0
    rate(workspace, "a\n", "pairs", "--name", "Ada")
    assert main(["freeze", "pairs", "--name", "both", "--even"]) == 0
    capsys.readouterr()
    assert main(["verify", "both"]) == 2
    told = capsys.readouterr().err
    assert "two frozen sets have this name" in told
    folder = next((workspace / "artifacts").glob("both-demonstrations-*"))
    assert main(["verify", str(folder)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["agreement", "voices"], "nothing to agree on"),
        (["agreement", "voices", "--by", "field"], "campaigns that ask for comparisons"),
        (["campaign", "rounds", "voices"], "campaigns that ask for comparisons"),
        (["raters", "voices"], "campaigns that ask for comparisons"),
        (["label", "voices", "--rule", "rule.py:rule"], "campaigns that ask for comparisons"),
        (["campaign", "tasks", "voices", "ask.jsonl", "--gold"], "has no known answer"),
        (["campaign", "tasks", "voices", "ask.jsonl", "--qualification"], "has no known answer"),
        (["freeze", "voices", "--kinds", "human,rule"], "--kinds means nothing for texts"),
        (["freeze", "voices", "--even"], "--even means nothing for texts"),
        (["freeze", "voices"], "nobody has written yet"),
        (
            ["campaign", "open", "x", "--guideline", "v1", "--reviews", "2"],
            "reviews means nothing in a campaign that asks for comparisons",
        ),
        (
            ["campaign", "open", "x", "--guideline=v1", "--asks=demonstrations", "--gold-share=.1"],
            "gold_share means nothing in a campaign that asks for demonstrations",
        ),
        (
            ["campaign", "open", "x", "--guideline=v1", "--asks=demonstrations", "--responses=2"],
            "responses lies in [1, 1]",
        ),
        (["campaign", "open", "x", "--guideline=v1", "--asks=poems"], "poems"),
    ],
)
def test_what_means_nothing_here_is_one_error(
    workspace: Path, capsys: Said, words: list[str], told: str
) -> None:
    Path("rule.py").write_text("def rule(prompt, responses):\n    return [0.0] * len(responses)\n")
    capsys.readouterr()
    assert main(words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("error:") == 1


def test_an_erased_text_is_out_of_reach_in_a_set_and_leaves_the_next(
    workspace: Path, capsys: Said
) -> None:
    written(workspace)
    assert main(["freeze", "voices"]) == 0
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        ada = all_raters(connection)[0]
    capsys.readouterr()
    assert main(["erase", "rater", ada, "--words", "--why", "asked us to", "--yes"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"the frozen set voices-demonstrations-\w+: 2 rows of it", told)
    assert "freeze again, then delete it" in told
    assert main(["verify", "voices"]) == 0
    assert "2 more were erased in the log since it was frozen" in capsys.readouterr().out
    assert main(["freeze", "voices"]) == 2
    assert "2 erased" in capsys.readouterr().err


def test_reviewers_agree_or_not(workspace: Path, capsys: Said) -> None:
    asked = ["--guideline", "v1", "--asks", "demonstrations", "--reviews", "2"]
    assert main(["campaign", "open", "twice", *asked]) == 0
    assert main(["campaign", "tasks", "twice", "ask.jsonl"]) == 0
    typed = "".join(f"t\nHere it is, number {n}.\n.\n\n" for n in range(3))
    assert rate(workspace, typed, "twice", "--name", "Ada").returncode == 0
    for name, keys in (("Bea", "a\n\na\n\na\n\nq"), ("Cyd", "a\n\na\n\nx1\n\n\nq")):
        assert rate(workspace, keys, "twice", "--name", name).returncode == 0
    capsys.readouterr()
    assert main(["agreement", "twice", "--json"]) == 0
    percent, *_ = json.loads(capsys.readouterr().out)["reviews"]
    assert percent["interval"]["estimate"] == pytest.approx(2 / 3)
    assert (percent["items"], percent["raters"]) == (3, 2)
    assert main(["agreement", "twice"]) == 0
    assert "do reviewers accept the same texts?" in capsys.readouterr().out


def test_a_frozen_set_is_exported_and_comes_back_the_same(workspace: Path, capsys: Said) -> None:
    written(workspace)
    assert main(["freeze", "voices"]) == 0
    assert main(["export", "voices", "out.jsonl"]) == 0
    capsys.readouterr()
    assert main(["import", "out.jsonl", "--name", "again"]) == 0
    place = Workspace.find(workspace)
    first, again = (
        DatasetManifest.load(place.dataset("demonstrations", name).folder)
        for name in ("voices", "again")
    )
    assert first.digest == again.digest
    assert first.rows == 2


def test_texts_have_no_rounds(workspace: Path, capsys: Said) -> None:
    assert main(["campaign", "rounds", "voices"]) == 2
    assert "this is for campaigns that ask for comparisons" in capsys.readouterr().err
