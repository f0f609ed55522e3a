"""`accord import` of feedback, arrays and judgements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.store.database import open_database
from accord.store.judgements import current


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, entered, with a file of votes beside it."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    votes = {"annotator1": 1, "annotator2": 0, "annotator3": 2}
    rows = [
        {"instruction": f"Do {i}.", "response1": "a", "response2": "b", **votes} for i in range(5)
    ]
    (tmp_path / "votes.json").write_text(json.dumps([*rows, {"instruction": "x"}]))
    thumbs = [{"prompt": f"Ask {i}.", "completion": "a", "label": i > 2} for i in range(5)]
    (tmp_path / "thumbs.json").write_text(json.dumps(thumbs))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def test_feedback_is_imported_and_shown(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "../thumbs.json"]) == 0
    assert "  5 feedback as 'thumbs': " in capsys.readouterr().out
    assert main(["status"]) == 0
    assert "data feedback/thumbs" in capsys.readouterr().out


def test_rows_that_were_joined_are_told(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ratings = {"correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 2}
    rows = [
        {"prompt": f"Ask {i // 2}.", "response": f"a {i}", "helpfulness": i % 4, **ratings}
        for i in range(9)
    ]
    (workspace.parent / "rated.json").write_text(json.dumps(rows))
    assert main(["import", "../rated.json"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("rated.json: 9 rows read\n  4 preferences as 'rated': ")
    assert "  4 joined to others of the same prompt or conversation\n  1 left out, listed" in told
    assert "fall into different splits" not in told


def test_votes_are_kept_as_judgements_once(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for new in (15, 0):
        capsys.readouterr()
        assert main(["import", "../votes.json", "--judgements"]) == 0
        told = capsys.readouterr().out
        assert told.startswith("votes.json: 6 rows read\n")
        assert f"  15 judgements as 'votes', {new} of them new, by " in told
        assert "  1 left out:\n    row 6, response1: is missing" in told
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert len(current(connection)) == 15
    assert not list((workspace / "data").glob("*.json"))


@pytest.mark.parametrize(
    "words", [["--dev", "0.5"], ["--unit", "response"], ["--format", "prompt"]]
)
def test_flags_that_judgements_do_not_heed_are_refused(
    workspace: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "../votes.json", "--judgements", *words]) == 2
    assert "judgements are neither split" in capsys.readouterr().err
    assert not (workspace / "accord.db").exists()
