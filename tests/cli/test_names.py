"""`accord raters --names`: read to be shown to a lead, and in no file, export or frozen set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.collect.people import names_of, person
from accord.store.database import Database, open_database
from accord.store.registry import register_rater
from tests.cli.terminal import command, plain
from tests.cli.workplace import entered
from tests.collect.ballots import Desk

ADA, LONG, ODD = "Ada", "Augusta Ada King-Noel, Countess of Lovelace", "[red]Bob[/red]"


@pytest.fixture
def raters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The three and one without a name, who agree on twelve tasks; their workspace is entered."""
    folder = entered(tmp_path, monkeypatch)
    with open_database(folder / "accord.db") as database, database.write() as connection:
        desk = Desk(connection, raters=0)
        desk.raters = [person(connection, name) for name in (ADA, LONG, ODD)]
        desk.raters.append(register_rater(connection, kind="human"))
        for number in range(12):
            task = desk.task(f"Number {number}?")
            for rater in range(4):
                shown = (0, 1) if (number // 2 + rater) % 2 else (1, 0)
                desk.say(rater, task, (0, 1) if number % 2 else (1, 0), shown=shown, seconds=9)
    return desk.raters


def test_names_stand_beside_pseudonyms(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["raters"]) == 0
    without = capsys.readouterr().out
    assert main(["raters", "--names"]) == 0
    told = capsys.readouterr().out
    rows = {line[:8]: line for line in told.splitlines()}
    for rater, name in zip(raters, (ADA, LONG[:15], ODD, "(no name)"), strict=True):
        assert name in rows[rater[:8]]
        assert name not in without
    for rater, name in zip(raters, (ADA, LONG, ODD, "(no name)"), strict=True):
        assert main(["raters", "--show", rater, "--names"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == name
    assert main(["erase", "rater", ADA, "--why", "asked to", "--yes"]) == 0
    capsys.readouterr()
    assert main(["raters", "--names"]) == 0
    told = capsys.readouterr().out
    assert ADA not in told.replace("Augusta Ada", "")
    assert told.count("(no name)") == 2


def test_programs_keep_their_kind_beside_their_name(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("people.toml").write_text('[[rater]]\nname = "Robot"\ntruth = "length"\n')
    assert main(["label", "one", "--synthetic", "people.toml", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["raters", "--names", "--kinds", "human,synthetic"]) == 0
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "Robot" in one]
    assert "synthetic" in line
    assert main(["raters", "--names"]) == 0
    assert "Robot" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [80, 120])
def test_it_fits_the_terminal(raters: list[str], columns: int) -> None:
    with command(Path.cwd(), "raters", "--names", columns=columns) as screen:
        lines = plain(screen.end()).splitlines()
    assert max(map(len, lines)) <= columns
    whole = "\n".join(lines)
    assert ADA in whole
    assert ODD in whole
    assert LONG[:12] in whole
    assert all(any(line.startswith(rater[:8]) for line in lines) for rater in raters)


@pytest.mark.parametrize("more", [["--json"], ["--without", "RATER"], ["--drill", "people"]])
def test_names_go_nowhere_else(
    raters: list[str], capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    words = [raters[0] if word == "RATER" else word for word in more]
    assert main(["raters", "--names", *words]) == 2
    assert "names are shown in the table" in capsys.readouterr().err


def test_no_name_is_in_any_file_but_the_database(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["raters", "--names"]) == 0
    assert main(["freeze", "one", "--name", "one"]) == 0
    assert main(["export", "--log", "log.jsonl"]) == 0
    for words in (["raters"], ["agreement"]):
        capsys.readouterr()
        assert main([*words, "--json"]) == 0
        text = capsys.readouterr().out
        assert json.loads(text)
        assert "Lovelace" not in text
    files = [path for path in Path().rglob("*") if path.is_file()]
    held = {path.name for path in files if b"Lovelace" in path.read_bytes()}
    assert held
    assert held <= {"accord.db", "accord.db-wal"}


def test_names_of_those_who_are_asked_for(database: Database) -> None:
    with database.write() as connection:
        one, other = (person(connection, name) for name in (ADA, LONG))
        robot = register_rater(connection, kind="synthetic", identity={"name": "Robot"})
        nobody = register_rater(connection, kind="human")
        odd = register_rater(connection, kind="human", identity={"name": 3})
        assert names_of(connection, [one, robot, nobody, odd]) == {one: ADA, robot: "Robot"}
        assert names_of(connection, [other]) == {other: LONG}
        assert names_of(connection, []) == {}
