"""`accord freeze` and `verify`: what became of every judgement, and the first that is bad."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.sealing import seal
from accord.collect.tasks import Purpose
from accord.core.hashing import canonical_json
from accord.pipeline.logbook import export_workspace_log, open_log, public_key, signing_key
from accord.pipeline.workspace import Workspace
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database, open_database
from accord.store.judgements import Verdict
from accord.store.keys import SigningKey
from accord.store.manifest import DatasetManifest
from accord.store.tables import tasks
from tests.collect.judging import campaign, rater, say, task

Said = pytest.CaptureFixture[str]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose campaign has eleven judgements, entered."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    found = Workspace.open(tmp_path / "ws")
    monkeypatch.chdir(found.root)
    with open_database(found.database_place()) as database:
        fill(database)
    return found


def fill(database: Database) -> None:
    pilot = campaign(database, "My pilot")
    ada, bea, robot = rater(database), rater(database), rater(database, "synthetic")
    for number in range(3):
        about = task(database, pilot, f"question {number}")
        for by in (ada, bea, robot):
            say(database, pilot, about, by)
    say(database, pilot, about, ada, None, verdict=Verdict.SKIP, reason="unclear")
    say(database, pilot, about, bea, None, verdict=Verdict.ALL_BAD, late=True)


def test_what_became_of_every_judgement_is_told(workspace: Workspace, capsys: Said) -> None:
    capsys.readouterr()
    assert main(["freeze"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "My pilot: 11 judgements given"
    assert lines[1].startswith("  6 preferences as 'My-pilot': ")
    assert lines[2] == "    3 tasks, 100% drawn at random"
    assert lines[3] == "    2 raters, the largest has 50% of the weight"
    assert lines[4].startswith("  5 left out, listed in My-pilot-preferences-")
    assert set(lines[5:8]) == {
        "    3 of a kind of rater that was not asked for",
        "    1 skipped",
        "    1 all bad, without an order",
    }
    key = public_key(workspace)
    assert key is not None
    assert lines[8].endswith(f"with key {key.id}")
    (found,) = workspace.datasets("preferences")
    assert found.name == "preferences/My-pilot"
    folder = workspace.root / ".accord" / "keys"
    assert stat.S_IMODE((folder / "log.pem").stat().st_mode) == 0o600

    assert main(["freeze", "My pilot", "--name", "all", "--kinds", "human, synthetic"]) == 0
    told = capsys.readouterr().out
    assert "9 preferences as 'all'" in told
    assert "3 raters, the largest has 33% of the weight" in told
    assert main(["freeze"]) == 0
    assert "(known already)" in capsys.readouterr().out
    assert main(["freeze", "--dev", "0.5"]) == 0
    assert f"called 'My-pilot' before, {found.digest[:16]}" in capsys.readouterr().out


def test_a_campaign_must_be_told_from_others(workspace: Workspace, capsys: Said) -> None:
    with open_log(workspace) as database:
        campaign(database, "second")
    assert main(["freeze"]) == 2
    assert "My pilot, second" in capsys.readouterr().err
    assert main(["freeze", "third"]) == 2
    assert "no such campaign" in capsys.readouterr().err
    assert main(["freeze", "second"]) == 2
    assert "nobody has judged yet" in capsys.readouterr().err
    assert main(["freeze", "second", "--kinds", "person"]) == 2
    assert "human, synthetic, rule, model" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["freeze", "verify"])
def test_without_judgements_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said, command: str
) -> None:
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    assert main([command]) == 2
    assert "nothing was judged" in capsys.readouterr().err
    assert not (tmp_path / "ws" / "accord.db").exists()


def test_the_database_may_be_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said, postgres_url: str
) -> None:
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    monkeypatch.setenv("ACCORD_DATABASE_URL", postgres_url)
    with open_database(postgres_url) as database:
        fill(database)
    assert main(["freeze"]) == 0
    assert main(["verify", "My-pilot"]) == 0
    assert "6 rows, each follows from a judgement in the log" in capsys.readouterr().out
    assert not (tmp_path / "ws" / "accord.db").exists()


def test_the_live_log_is_verified(workspace: Workspace, capsys: Said) -> None:
    capsys.readouterr()
    assert main(["verify"]) == 0
    told = capsys.readouterr().out
    assert "each as it was written" in told
    assert "none of them signed" in told
    assert main(["freeze"]) == 0
    capsys.readouterr()
    assert main(["verify"]) == 0
    assert "(this workspace's)" in capsys.readouterr().out
    assert main(["verify", "--key", ".accord/keys/log.pub"]) == 0
    assert "--key" not in capsys.readouterr().out


def test_a_log_that_somebody_else_signed_instead_is_told_of(
    workspace: Workspace, tmp_path: Path, capsys: Said
) -> None:
    assert main(["freeze"]) == 0
    with closing(sqlite3.connect(workspace.root / "accord.db")) as bare, bare:
        bare.execute("DROP TRIGGER checkpoints_no_delete")
        bare.execute("DELETE FROM checkpoints")
    with open_log(workspace) as database, database.write() as connection:
        sign_checkpoint(connection, SigningKey.load_or_make(tmp_path / "stranger.pem"))
    capsys.readouterr()
    assert main(["verify"]) == 0
    assert "none of them is signed by it" in capsys.readouterr().out
    assert main(["verify", "--key", ".accord/keys/log.pub"]) == 2


def test_an_export_is_verified_anywhere(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    words = ["export", "--log", str(tmp_path / "log.jsonl")]
    assert main(words) == 0
    told = capsys.readouterr().out
    events = int(told.partition("the log of ")[2].split()[0])
    assert main(words) == 2
    assert "there already" in capsys.readouterr().err
    key = public_key(workspace)
    assert key is not None
    key.save(tmp_path / "known.pub")
    monkeypatch.chdir(tmp_path)  # no workspace here or above
    capsys.readouterr()
    assert main(["verify", "log.jsonl", "--key", "known.pub"]) == 0
    told = capsys.readouterr().out
    assert f"{events} events" in told
    assert f"{events} of them signed, by {key.id}\n" in told

    SigningKey.load_or_make(tmp_path / "stranger.pem").public.save(tmp_path / "stranger.pub")
    assert main(["verify", "log.jsonl", "--key", "stranger.pub"]) == 2
    assert "not trusted" in capsys.readouterr().err

    path = tmp_path / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    record = json.loads(lines[9])
    record["event"]["actor"] = "somebody"
    lines[9] = canonical_json(record) + "\n"
    path.write_text("".join(lines))
    assert main(["verify", "log.jsonl"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the log is not as it was written\n  got:   event 9: ")
    assert "log.jsonl" in told


def test_a_set_is_verified_by_name_by_folder_and_offline(
    workspace: Workspace, tmp_path: Path, capsys: Said
) -> None:
    assert main(["freeze", "--name", "mine"]) == 0
    export_workspace_log(workspace, tmp_path / "log.jsonl")
    folder = workspace.dataset("preferences", "mine").folder
    for words in (["mine"], [str(folder)], ["mine", "--log", str(tmp_path / "log.jsonl")]):
        capsys.readouterr()
        assert main(["verify", *words]) == 0
        assert f"{folder.name}: 6 rows, each follows" in capsys.readouterr().out
    (folder / "excluded.jsonl").write_text("")
    assert main(["verify", "mine"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: the set does not follow from the log")
    assert "its exclusion was changed" in told


def test_what_cannot_be_verified_is_named(
    workspace: Workspace, tmp_path: Path, capsys: Said
) -> None:
    rows = [{"prompt": f"q {n}", "chosen": "a", "rejected": "b"} for n in range(5)]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["import", str(tmp_path / "own.jsonl")]) == 0
    assert main(["freeze"]) == 0
    for words, said in (
        (["own"], "not frozen from judgements"),
        (["nothing"], "there is no file, and no frozen set, of this name"),
        (["nothing"], "`accord freeze` made; there are: My-pilot"),
        (["my-pilot"], "did you mean My-pilot?"),
        (["../nofile.jsonl"], "there is no such file or folder"),
        (["nofile.jsonl"], "name a file that `accord export --log FILE` wrote, or a set"),
        ([str(tmp_path / "own.jsonl")], "no exported log"),
        ([str(tmp_path / "own.jsonl")], "name a file that `accord export --log FILE` wrote"),
        (["My-pilot", "--log", "nofile.jsonl"], "name a file that `accord export --log FILE`"),
        (["--log", str(tmp_path / "own.jsonl")], "which frozen set"),
        (["--key", str(tmp_path / "own.jsonl")], "no public Ed25519 key"),
    ):
        capsys.readouterr()
        assert main(["verify", *words]) == 2
        assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_no_matter_of_workspaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "nofile.jsonl"]) == 2
    assert "there is no such file or folder\n  got:   nofile.jsonl\n" in capsys.readouterr().err


def test_one_workspace_has_one_key(workspace: Workspace) -> None:
    assert public_key(workspace) is None
    first = signing_key(workspace).public
    assert signing_key(workspace).public == first == public_key(workspace)


def test_the_log_is_exported_and_verified(
    workspace: Workspace, tmp_path: Path, capsys: Said
) -> None:
    del workspace
    assert main(["export", "--log", str(tmp_path / "log.jsonl")]) == 0
    assert "without names and profiles" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "log.jsonl")]) == 0
    assert main(["export", "My-pilot", "--log", str(tmp_path / "log.jsonl")]) == 2
    assert main(["export"]) == 2
    told = capsys.readouterr().err
    assert "not both" in told
    assert "an export needs a set and a file" in told


def test_whom_the_rules_do_not_believe_is_left_out_and_the_set_verifies(
    workspace: Workspace, capsys: Said
) -> None:
    with open_database(workspace.database_place()) as database:
        pilot = campaign(database, "guessed")
        good, bad, fair = (rater(database) for _ in range(3))
        for number in range(12):
            about = task(database, pilot, f"known {number}", purpose=Purpose.GOLD, gold=(0, 1))
            with database.read() as connection:
                known = connection.execute(sa.select(tasks.c.gold).where(tasks.c.id == about))
                right = tuple(known.scalar_one())
            for by in (good, fair):
                say(database, pilot, about, by, right)
            say(database, pilot, about, bad, right if number % 2 else right[::-1])
        for number in range(4):
            about = task(database, pilot, f"work {number}")
            for by in (good, bad, fair):
                say(database, pilot, about, by, (0, 1))
    capsys.readouterr()
    assert main(["freeze", "guessed"]) == 0
    told = capsys.readouterr().out
    assert "8 preferences as 'guessed'" in told
    assert "16 of a rater whom the rules do not believe" in told
    assert main(["verify", "guessed"]) == 0
    assert main(["freeze", "guessed", "--even"]) == 0
    assert "12 preferences as 'guessed'" in capsys.readouterr().out


def test_a_set_that_somebody_sealed_anew_is_told_of(workspace: Workspace, capsys: Said) -> None:
    assert main(["freeze"]) == 0
    capsys.readouterr()
    assert main(["verify", "My-pilot"]) == 0
    assert "not with this workspace's" not in capsys.readouterr().out
    (found,) = workspace.datasets("preferences")
    stranger = SigningKey.load_or_make(workspace.root / "stranger.pem")
    seal(found.folder, DatasetManifest.load(found.folder), stranger)
    assert main(["verify", "My-pilot"]) == 0
    assert f"sealed with key {stranger.public.id}, not with this workspace's" in (
        capsys.readouterr().out
    )
    assert main(["verify", "My-pilot", "--key", ".accord/keys/log.pub"]) == 2
    assert "not trusted" in capsys.readouterr().err
