"""`accord erase`: words and names go, what stays is said before, and the log verifies after."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.campaign import Campaign, all_campaigns
from accord.collect.people import person, person_called
from accord.collect.tasks import add_task
from accord.core.hashing import canonical_json
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.pipeline.logbook import open_log
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.judgements import current
from accord.store.log import parts_of, size
from accord.store.registry import add_prompt, add_response, response_text, set_rater_state
from accord.store.tables import prompts, responses
from tests.collect.judging import campaign, say, task
from tests.forked import accord

Said = pytest.CaptureFixture[str]
WHY = ("--why", "asked us to")
SECRET = "ada@y.example"
PATIENCE = 60


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two people judged three tasks, and a set was frozen from it; entered."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    found = Workspace.open(tmp_path / "ws")
    monkeypatch.chdir(found.root)
    assert main(["campaign", "status"]) == 0
    with open_log(found) as database:
        pilot = campaign(database, "pilot")
        with database.write() as connection:
            people = [person(connection, name) for name in ("Ada Lovelace", "Grace Hopper")]
        for number in range(3):
            about = task(database, pilot, f"Who is {SECRET}?" if number == 1 else f"Why {number}?")
            for by in people:
                say(database, pilot, about, by, rationale=f"for reason {number}")
        with database.write() as connection:
            said = {"words": "Ada was in a hurry"}
            set_rater_state(connection, people[0], "active", why=said)
    assert main(["freeze"]) == 0
    return found


@pytest.fixture
def run(workspace: Workspace, capsys: Said) -> Callable[..., tuple[int, str, str]]:
    """Runs `accord erase`: exit code, output, errors."""

    def act(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["erase", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return act


def pseudonym(workspace: Workspace, name: str) -> str:
    with open_log(workspace) as database, database.read() as connection:
        found = person_called(connection, name)
    assert found is not None
    return found


def events_in(workspace: Workspace) -> int:
    with open_log(workspace) as database, database.read() as connection:
        return size(connection)


def in_files(workspace: Workspace, words: str) -> int:
    """How often `words` stand in the database's own files."""
    files = workspace.root.glob("accord.db*")
    return sum(path.read_bytes().count(words.encode()) for path in files)


def test_a_rater_is_forgotten_and_their_judgements_stay(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]], capsys: Said
) -> None:
    name = pseudonym(workspace, "Ada Lovelace")
    assert in_files(workspace, "Lovelace")
    code, out, _ = run("rater", "Ada Lovelace", *WHY, "--yes")
    assert code == 0
    assert "goes   1 parts of who they are" in out
    assert "goes   1 reasons that were given for decisions about them" in out
    assert "stays  3 texts they wrote, under a pseudonym that leads nowhere (--words" in out
    assert "stays  3 judgements they gave" in out
    assert "the frozen set" not in out
    assert "out of reach  whatever was copied before" in out
    assert f"erased: 2 parts of rater {name} (human)" in out
    assert "Lovelace" not in out
    with open_log(workspace) as database, database.read() as connection:
        last = size(connection)
        assert f"receipt: event {last}, " in out
        assert parts_of(connection, last) == {"why": {"words": "asked us to"}}
        assert len(current(connection)) == 6
    assert not in_files(workspace, "Lovelace")
    assert not in_files(workspace, "hurry")
    assert in_files(workspace, "for reason 2")
    assert main(["verify"]) == 0
    assert main(["verify", "pilot"]) == 0
    assert "2 parts of what was said were erased" in capsys.readouterr().out

    code, _, err = run("rater", "Ada Lovelace", *WHY, "--yes")
    assert (code, "there is no such rater here" in err) == (2, True)
    code, out, _ = run("rater", name[:10], *WHY, "--yes")
    assert "erased: 0 parts" in out
    assert f"receipt: event {last}, " in out
    assert events_in(workspace) == last


def test_words_and_verdicts_go_where_that_is_asked_for(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]], capsys: Said
) -> None:
    name = pseudonym(workspace, "Grace Hopper")
    _, out, _ = run("rater", name, *WHY, "--yes", "--words")
    assert "goes   3 texts they wrote" in out
    assert "erased: 4 parts" in out
    with open_log(workspace) as database, database.read() as connection:
        assert [row.rater for row in current(connection)].count(name) == 3
    _, out, _ = run("rater", name, *WHY, "--yes", "--verdicts")
    assert "goes   3 judgements they gave" in out
    (frozen,) = workspace.datasets("preferences")
    assert f"out of reach  the frozen set {frozen.folder.name}: 3 rows of it" in out
    assert f"left to you: {frozen.folder} was frozen before; freeze again" in out
    assert "texts they wrote" not in out
    with open_log(workspace) as database, database.read() as connection:
        assert name not in [row.rater for row in current(connection)]
    assert main(["verify"]) == 0
    capsys.readouterr()
    assert main(["freeze"]) == 0
    assert "3 erased" in capsys.readouterr().out


def test_a_prompts_words_are_found_and_go_with_the_answers_that_repeat_them(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]], capsys: Said
) -> None:
    _, out, _ = run("find", SECRET.upper())
    kinds = [line.split()[0] for line in out.splitlines()]
    assert kinds == ["prompt", "response", "response"]
    assert out.count(SECRET) == 3
    prompt = out.split()[1]

    code, out, _ = run("prompt", prompt[:8], *WHY, "--yes")
    assert code == 0
    assert f"prompt {prompt} (from " in out
    assert "goes   its words" in out
    assert "stays  2 responses to it, which may repeat it (--responses erases them)" in out
    assert "stays  2 judgements of 1 tasks that show it" in out
    assert ": 2 rows of it" in out
    assert in_files(workspace, SECRET)

    _, out, _ = run("prompt", prompt, *WHY, "--yes", "--responses")
    assert "its words were erased before" in out
    assert "goes   2 responses to it: their words" in out
    assert not in_files(workspace, SECRET)
    assert "nobody's words hold this" in run("find", SECRET)[1]
    assert main(["verify"]) == 0
    assert main(["verify", "pilot"]) == 0
    assert "2 more were erased in the log since it was frozen" in capsys.readouterr().out
    assert main(["freeze"]) == 0
    assert "2 a text of it was erased" in capsys.readouterr().out


def test_one_response_goes_alone(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    with open_log(workspace) as database, database.read() as connection:
        first, *rest = connection.execute(sa.select(responses.c.id)).scalars().all()
    code, out, _ = run("response", first, *WHY, "--yes")
    assert code == 0
    assert "erased: 1 parts of response" in out
    with open_log(workspace) as database, database.read() as connection:
        assert all(response_text(connection, one) for one in rest)
        assert None not in connection.execute(sa.select(prompts.c.digest)).scalars().all()


def test_a_reason_goes_by_the_number_of_its_event(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    _, out, _ = run("find", "reason 2")
    (what, seq, *_), _ = (line.split() for line in out.splitlines())
    assert what == "reason"
    code, out, _ = run("reason", seq, *WHY, "--yes")
    assert code == 0
    with open_log(workspace) as database, database.read() as connection:
        said = parts_of(connection, int(seq))
    assert said["rationale"] is None
    assert said["verdict"]["tiers"] == [0, 1]
    assert main(["verify"]) == 0


def test_nothing_is_erased_where_nobody_can_be_asked(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    before = events_in(workspace)
    code, out, err = run("rater", "Ada Lovelace", *WHY)
    assert code == 2
    assert "goes   1 parts of who they are" in out
    assert "there is nobody to ask" in err
    assert "--yes does it without asking" in err
    assert events_in(workspace) == before


@pytest.mark.parametrize(("typed", "gone"), [("no\n", False), ("\x04", False), ("erase\n", True)])
def test_a_terminal_asks_first(workspace: Workspace, *, typed: str, gone: bool) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = accord("erase", "rater", "Ada Lovelace", *WHY, cwd=workspace.root, typed=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "Type erase to go on" in done.stdout
    assert "(human): Ada Lovelace\n" in done.stdout
    assert ("nothing was erased" in done.stdout) is not gone
    assert (in_files(workspace, "Lovelace") == 0) is gone


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("rater", "Ada Lovelace", "--yes"), "an erasure needs a reason"),
        (("rater", "nobody", *WHY), "there is no such rater here"),
        (("prompt", "zz", *WHY), "there is no such prompt"),
        (("prompt", "", *WHY), "nothing was named"),
        (("response", "zz", *WHY), "there is no such response"),
        (("response", "zz", "--words", *WHY), "--words belongs to `accord erase rater`"),
        (("rater", "Ada Lovelace", "--responses", *WHY), "--responses belongs to"),
        (("reason", "first", *WHY), "named by the number of its event"),
        (("reason", "1", *WHY), "this event has no reason"),
        (("everything", "now"), "use one of rater, prompt"),
        (("rater",), "a word is missing"),
    ],
)
def test_what_cannot_be_erased_is_one_error(
    workspace: Workspace,
    run: Callable[..., tuple[int, str, str]],
    words: tuple[str, ...],
    what: str,
) -> None:
    before = events_in(workspace)
    code, _, err = run(*words)
    assert code == 2
    assert what in err
    assert events_in(workspace) == before


def test_sets_with_what_a_rater_wrote_are_told_of(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    name = pseudonym(workspace, "Ada Lovelace")
    with open_log(workspace) as database:
        (pilot,) = campaigns_of(database)
        with database.write() as connection:
            asked = add_prompt(connection, Prompt(conversation=Conversation.of("A haiku?")))
            texts = [
                Response(prompt_id=asked, text=text, stop=StopReason.STOP)
                for text in ("by Ada herself", "by nobody")
            ]
            ids = [add_response(connection, asked, texts[0], rater=name)]
            ids.append(add_response(connection, asked, texts[1]))
            about = add_task(connection, pilot, prompt=asked, responses=ids)
        say(database, pilot, about, pseudonym(workspace, "Grace Hopper"))
    assert main(["freeze", "--name", "later"]) == 0
    code, out, _ = run("rater", "Ada Lovelace", *WHY, "--yes", "--words")
    assert code == 0
    later = workspace.dataset("preferences", "later").folder
    assert f"the frozen set {later.name}: 1 rows of it" in out
    assert "pilot-preferences" not in out
    assert not in_files(workspace, "by Ada herself")
    assert in_files(workspace, "by nobody")


def campaigns_of(database: Database) -> tuple[Campaign, ...]:
    with database.read() as connection:
        return all_campaigns(connection)


def test_ids_that_begin_alike_are_listed(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    with open_log(workspace) as database, database.write() as connection:
        rows = connection.execute(sa.select(prompts)).all()
        for number, row in enumerate(rows):
            twin = {**row._mapping, "id": f"same{number}", "seq": number + 1, "digest": None}
            connection.execute(sa.insert(prompts), [twin])
    code, _, err = run("prompt", "same", *WHY)
    assert (code, "one of same0, same1, same2" in err) == (2, True)


def test_a_set_that_cannot_be_read_is_told_of(
    workspace: Workspace, run: Callable[..., tuple[int, str, str]]
) -> None:
    (frozen,) = workspace.datasets("preferences")
    (frozen.folder / "origins.parquet").write_text(canonical_json("no parquet"))
    code, out, _ = run("rater", "Ada Lovelace", *WHY, "--yes", "--verdicts")
    assert code == 0
    assert f"{frozen.folder.name}: it cannot be read" in out
