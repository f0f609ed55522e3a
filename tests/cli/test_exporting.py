"""`accord export`: by name, whole, and never over another file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli.main import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a set of each kind under one name, and one of comparisons alone."""
    rows: list[dict[str, object]] = [{"prompt": f"Ask {i}."} for i in range(20)]
    pairs = [row | {"chosen": "a", "rejected": f"b {row['prompt']}"} for row in rows]
    ties = [row | {"responses": ["a", "b"], "tiers": [0, 0]} for row in rows[:3]]
    thumbs = [row | {"completion": "a", "label": i % 2 == 0} for i, row in enumerate(rows)]
    for name, made in (("mixed", rows + thumbs), ("pairs", pairs + ties)):
        text = "".join(json.dumps(row) + "\n" for row in made)
        (tmp_path / f"{name}.jsonl").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    for name in ("mixed", "pairs"):
        assert main(["import", f"../{name}.jsonl", "--dev", "0.2"]) == 0
    return tmp_path / "ws"


def test_an_exported_set_comes_back_to_its_digest(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["export", "pairs", "out.parquet"]) == 0
    told = capsys.readouterr().out
    assert "out.parquet: 23 rows from 23 preferences of 'pairs', all splits" in told
    (command,) = [line for line in told.splitlines() if "accord import" in line]
    words, _, digest = command.strip().removeprefix("accord ").partition(" gives digest ")
    assert main([*words.split(), "--name", "again"]) == 0
    assert digest.split()[0] in capsys.readouterr().out


def test_pairs_for_trl_are_the_training_rows(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["export", "pairs", "out.jsonl", "--format", "trl-paired"]) == 0
    told = capsys.readouterr().out
    rows = [json.loads(line) for line in (workspace / "out.jsonl").read_text().splitlines()]
    held_out = 23 - int(told.partition("rows from ")[2].split()[0])
    assert 0 < held_out < 12
    assert f"  not written: {held_out} dev" in told
    assert "tied pairs left out: TRL has no ties" in told
    assert 0 < len(rows) < 23
    assert all(row["chosen"] == [{"role": "assistant", "content": "a"}] for row in rows)


def test_a_kind_is_asked_for_where_a_name_has_several(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "mixed", "out.jsonl"]) == 2
    assert "several sets have this name" in capsys.readouterr().err
    words = ["--kind", "feedback", "--format", "trl-unpaired", "--split", "all"]
    assert main(["export", "mixed", "out.jsonl", *words]) == 0
    assert "20 rows from 20 feedback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none", "out.jsonl"], "no imported set of preferences has this name"),
        (["pairs", "out.csv"], "must show in its ending"),
        (["pairs", "accord.toml"], "must show in its ending"),
        (["pairs", "taken.jsonl"], "of this name already"),
        (["pairs", "out.jsonl", "--format", "trl-unpaired"], "use trl-paired"),
        (["pairs", "out.jsonl", "--split", "test"], "nothing to export"),
    ],
)
def test_mistakes_are_one_message_and_leave_no_file(
    workspace: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "taken.jsonl").write_text("mine")
    assert main(["export", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("error: ")
    assert not (workspace / "out.jsonl").exists()
    assert (workspace / "taken.jsonl").read_text() == "mine"


def test_ratings_are_a_set_like_others(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {
            "prompt": [
                {"role": "user", "content": "Review a film."},
                {"role": "opening", "content": f"Film {i}"},
            ],
            "response": " is long.",
            "ratings": [i % 5, 3],
        }
        for i in range(20)
    ]
    (tmp_path / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["import", "../rated.jsonl", "--dev", "0.2", "--unit", "response"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "data ratings/rated" in capsys.readouterr().out
    assert main(["export", "rated", "out.jsonl", "--kind", "ratings"]) == 0
    told = capsys.readouterr().out
    assert "out.jsonl: 20 rows from 20 ratings of 'rated', all splits" in told
    (command,) = [line for line in told.splitlines() if "accord import" in line]
    words, _, digest = command.strip().removeprefix("accord ").partition(" gives digest ")
    assert main([*words.split(), "--name", "again"]) == 0
    assert digest.split()[0] in capsys.readouterr().out
