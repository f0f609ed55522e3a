"""`accord import` of feedback, arrays and judgements."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.stats.agreement import Coefficient
from accord.stats.agreement_intervals import agreement_interval
from accord.stats.ratings import Ratings
from accord.store.database import open_database
from accord.store.judgements import current
from tests.collect.samples import archive, said, texts

DATA = os.environ.get("ACCORD_DATA")


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


def test_rows_without_an_answer_among_others_are_told_aloud(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, str]] = [{"prompt": f"Ask {i}.", "response": "a"} for i in range(40)]
    (workspace.parent / "answers.json").write_text(json.dumps(rows))
    assert main(["import", "../answers.json"]) == 0
    assert "WATCH" not in capsys.readouterr().out
    (workspace.parent / "mixed.json").write_text(json.dumps([*rows, {"prompt": "And this?"}]))
    assert main(["import", "../mixed.json"]) == 0
    told = capsys.readouterr().out
    assert "WATCH: 1 of its rows has a prompt and no answer, unlike the others" in told
    assert "of the prompts nothing is held out for dev" in told
    assert "of the demonstrations" not in told
    (workspace.parent / "asked.json").write_text(
        json.dumps([{"prompt": f"{i}?"} for i in range(40)])
    )
    assert main(["import", "../asked.json"]) == 0
    assert "WATCH" not in capsys.readouterr().out


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


def test_imported_votes_have_their_agreement(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "../votes.json", "--judgements"]) == 0
    capsys.readouterr()
    assert main(["agreement", "--imported", "votes"]) == 0
    told = capsys.readouterr().out
    assert "votes: 15 judgements of 5 prompts by 3 raters; 15 orders (5 of them ties)" in told
    assert "tasks: as they were published" in told
    assert "annotator1 and annotator3  percent  0.00" in told
    assert "fewer than 40 prompts" in told
    assert "the rules of `accord raters` are not asked" in told


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--imported", "vote"], "there are: votes"),
        (["one", "--imported", "votes"], "belong to no campaign"),
        (["--by", "field", "--imported", "votes"], "belong to no campaign"),
    ],
)
def test_what_imported_votes_do_not_go_with_is_said(
    workspace: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["import", "../votes.json", "--judgements"]) == 0
    assert main(["agreement", *words]) == 2
    assert message in capsys.readouterr().err


def test_no_votes_were_imported(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agreement", "--imported", "votes"]) == 2
    assert "accord import FILE --judgements" in capsys.readouterr().err


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_the_published_kappas_are_what_the_command_says(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wang et al. 2023, arXiv:2306.05087, on the 644 rows of this part of their data; intervals by
    prompts, as those of the same votes straight from the statistics."""
    file = Path(str(DATA), "pandalm/train.jsonl")
    assert main(["import", str(file), "--judgements", "--name", "pandalm"]) == 0
    capsys.readouterr()
    assert main(["agreement", "--imported", "pandalm", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"]["counts"]["judgements"] == 1932
    kappas = [pair["figures"][1] for pair in found["pairs"]]
    assert {one["coefficient"] for one in kappas} == {"cohen"}
    assert {(one["items"], one["prompts"]) for one in kappas} == {(644, 117)}
    estimates = [one["interval"]["estimate"] for one in kappas]
    assert estimates == pytest.approx([0.86345, 0.89962, 0.87224], abs=5e-6)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for (one, other), kappa in zip(((1, 2), (1, 3), (2, 3)), kappas, strict=True):
        said = [
            (number, who, row[f"annotator{who}"])
            for number, row in enumerate(rows)
            for who in (one, other)
        ]
        straight = agreement_interval(
            Ratings.of_rows(said, scale=(0, 1, 2)),
            Coefficient.COHEN,
            clusters=[(row["instruction"], row.get("input")) for row in rows],
        )
        # Prompts are drawn in another order: 2000 draws each.
        for end in ("low", "high"):
            assert kappa["interval"][end] == pytest.approx(getattr(straight, end), abs=0.01)
