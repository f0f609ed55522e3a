"""`accord import` of feedback, arrays and judgements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.store.database import open_database
from accord.store.judgements import current
from tests.collect.samples import archive, said, texts


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


def test_rated_texts_become_derived_comparisons(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(archive(workspace.parent, texts(61), said(61)))
    assert main(["import", file, "--name", "films", "--prompt", "Write of a film."]) == 0
    told = capsys.readouterr().out
    assert "61 rows read" in told
    assert "preferences as 'films'" in told
    assert "is left over: there is no text to compare it with" in told
    assert main(["export", "films", "films.jsonl"]) == 0
    rows = [json.loads(line) for line in (workspace / "films.jsonl").read_text().splitlines()]
    assert {row["source"] for row in rows} == {"derived from vaderSentiment ratings"}
    assert {0 <= row["label"] <= 1 for row in rows} == {True}


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["ARCHIVE"], "no prompt of their own"),
        (["ARCHIVE", "--prompt", " "], "no prompt of their own"),
        (["ARCHIVE", "--prompt", "x", "--format", "prompt"], "and no other format"),
        (["../thumbs.json", "--prompt", "x"], "rows bring their own prompts"),
        (["../thumbs.json", "--part", "movies"], "rows bring their own prompts"),
        (["../broken.tar.gz", "--prompt", "x"], "no archive of vaderSentiment's ratings"),
        (["ARCHIVE", "--prompt", "x", "--part", "tweets"], "no tweets_GroundTruth.txt"),
    ],
)
def test_what_is_no_archive_of_ratings_or_lacks_a_prompt_is_refused(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: list[str], match: str
) -> None:
    file = str(archive(workspace.parent, texts(6), said(6)))
    (workspace.parent / "broken.tar.gz").write_bytes(b"no archive")
    asked = [file if word == "ARCHIVE" else word for word in words]
    before = sorted((workspace / "artifacts").glob("*"))
    assert main(["import", *asked]) == 2
    assert match in capsys.readouterr().err
    assert sorted((workspace / "artifacts").glob("*")) == before
