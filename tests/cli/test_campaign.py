"""`accord campaign` without a model: from guidelines to tasks, and every mistake one message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import (
    CampaignSettings,
    Membership,
    campaign_called,
    set_membership,
)
from accord.collect.people import person_called
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.core.errors import ConflictError
from accord.core.machine import Machine
from accord.pipeline.artifact import Manifest
from accord.store.database import open_database
from accord.store.log import parts_of, size
from accord.store.tables import prompts, tasks
from tests.cli.small import environment
from tests.collect.asking import ask, somebody


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with guidelines and an open campaign, entered."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    assert main(["campaign", "guidelines", "guidelines.md", "--version", "v1"]) == 0
    assert main(["campaign", "open", "pilot", "--guideline", "v1"]) == 0
    return tmp_path / "ws"


def write_rows(path: Path, rows: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def asks(count: int) -> list[dict[str, object]]:
    return [{"prompt": f"What about number {i}?", "source": f"s{i % 2}"} for i in range(count)]


def pairs(count: int) -> list[dict[str, object]]:
    return [
        {"prompt": f"Colour {i}?", "chosen": f"Blue {i}.", "rejected": "No."} for i in range(count)
    ]


def last(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_help_names_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["campaign", "--help"])
    assert caught.value.code == 0
    told = last(capsys)
    for part in ("guidelines", "open", "sample", "tasks", "join", "close"):
        assert f"\n  {part} " in told
    assert main(["campaign"]) == 0
    with pytest.raises(SystemExit):
        main(["campaign", "sample", "--help"])
    assert "accord campaign sample" in last(capsys)


def test_open_takes_every_setting(workspace: Path) -> None:
    words = "--guideline v1 --responses 3 --overlap 5 --selection coverage --random-share 0.5"
    assert main(["campaign", "open", "wide", *words.split(), "--no-adjudicate"]) == 0
    assert main(["campaign", "open", "wide", *words.split(), "--no-adjudicate"]) == 0
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        found = campaign_called(connection, "wide").settings
    assert found == CampaignSettings(
        name="wide",
        guideline="v1",
        responses=3,
        overlap=5,
        selection="coverage",
        random_share=0.5,
        adjudicate=False,
    )


def test_prompts_come_from_a_file_and_from_a_set(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*asks(40), {"prompt": "Mail ada@y.example?"}, {"prompt": ""}, {"prompt": "Why?"}]
    file = write_rows(workspace / "asks.jsonl", rows)
    assert main(["campaign", "prompts", "pilot", file, "--target", "s0", "0.5"]) == 0
    told = last(capsys)
    assert "43 rows: 42 new, 0 known already" in told
    assert "row 42, prompt: is empty" in told
    assert "personal data in 1 rows (1 e-mail): 41" in told
    assert "s0                   20 prompts (48%, wanted 50%), 0 asked" in told
    assert "not measured: language" in told
    assert main(["import", file, "--name", "asks", "--test", "0.3"]) == 0
    capsys.readouterr()
    assert main(["campaign", "prompts", "pilot", "asks", "--stratum", "mine"]) == 0
    told = last(capsys)
    assert " 0 new, " in told
    assert "left out: the test split" in told
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        strata = set(connection.execute(sa.select(prompts.c.stratum)).scalars())
    assert strata == {"s0", "s1", "asks.jsonl"}


def test_who_asks_everybody_names_no_number_of_raters(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["campaign", "open", "all", "--guideline", "v1", "--overlap", "1000"]) == 0
    file = write_rows(workspace / "pairs.jsonl", pairs(9))
    assert main(["campaign", "tasks", "all", file]) == 0
    assert main(["campaign", "status"]) == 0
    told = last(capsys)
    assert "all: open, guidelines v1, 2 responses a task, everybody is asked\n" in told
    assert "pilot: open, guidelines v1, 2 responses a task, 3 raters each\n" in told
    assert "  work: 0 answers of people\n" in told


def test_tasks_come_from_comparisons(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_rows(workspace / "pairs.jsonl", [*pairs(9), {"prompt": "Hi", "chosen": "x"}])
    assert main(["campaign", "tasks", "pilot", file]) == 0
    told = last(capsys)
    assert "10 rows: 9 new work tasks, 0 known already" in told
    assert "row 10" in told
    gold = write_rows(workspace / "gold.jsonl", pairs(3))
    assert main(["campaign", "tasks", "pilot", gold, "--gold"]) == 0
    assert main(["campaign", "tasks", "pilot", gold, "--qualification"]) == 0
    assert main(["import", file, "--name", "pairs"]) == 0
    assert main(["campaign", "tasks", "pilot", "pairs"]) == 0
    assert "0 new work tasks, 9 known already" in last(capsys)
    assert main(["campaign", "status"]) == 0
    told = last(capsys)
    for line in ("pilot: open", "tasks work          9 open", "tasks gold          3 open"):
        assert line in told
    assert "tasks qualification 3 open" in told
    assert "work: 0 answers of people, 27 to go" in told
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tasks)).scalar_one() == 15


def test_somebody_who_failed_the_trial_is_let_in_with_a_reason(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    join = ["campaign", "join", "pilot", "--rater", "Bob"]
    assert main(join) == 0
    rater = last(capsys).splitlines()[-1].split()[0]
    with open_database(workspace / "accord.db") as database:
        with database.write() as connection:
            campaign = campaign_called(connection, "pilot")
            set_membership(connection, campaign, rater, Membership.FAILED)
        with pytest.raises(ConflictError, match=r"(?s)too few.*campaign join pilot.*--why"):
            next_task(database, campaign, rater)
        assert main(join) == 0
        assert "--why" in capsys.readouterr().out
        assert main([*join, "--why", "one wrong key"]) == 0
        assert "active in pilot" in capsys.readouterr().out
        next_task(database, campaign, rater)
        with database.read() as connection:
            said = parts_of(connection, size(connection))["membership"]
    assert (said["state"], said["why"]) == ("active", {"words": "one wrong key"})


def test_people_join_under_a_pseudonym(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["campaign", "join", "pilot", "--rater", "Ada Lovelace"]) == 0
    first = capsys.readouterr().out.splitlines()[-1]
    assert main(["campaign", "join", "pilot", "--rater", " Ada Lovelace "]) == 0
    assert last(capsys).strip() == first
    assert first.endswith("active in pilot")
    assert "Ada" not in first
    assert main(["campaign", "join", "pilot", "--rater", "Grace", "--role", "lead"]) == 0
    file = write_rows(workspace / "pairs.jsonl", pairs(3))
    assert main(["campaign", "tasks", "pilot", file, "--qualification"]) == 0
    capsys.readouterr()
    assert main(["campaign", "join", "pilot", "--rater", "Mary"]) == 0
    assert "trial in pilot" in last(capsys)
    assert main(["campaign", "status", "pilot"]) == 0
    assert "raters 2 active, 1 trial" in last(capsys)
    assert main(["campaign", "join", "pilot", "--rater", "Grace", "--role", "rater"]) == 2
    assert "registered with another role" in capsys.readouterr().err
    assert main(["campaign", "join", "pilot", "--rater", "Grace"]) == 0


def test_states_change_and_a_closed_campaign_stays_closed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, state in (("pause", "paused"), ("resume", "open"), ("close", "closed")):
        assert main(["campaign", part, "pilot"]) == 0
        assert last(capsys).splitlines()[-1] == f"campaign pilot: {state}"
    assert main(["campaign", "resume", "pilot"]) == 2
    assert "stays closed" in capsys.readouterr().err
    file = write_rows(workspace / "pairs.jsonl", pairs(3))
    assert main(["campaign", "tasks", "pilot", file]) == 2
    assert "closed campaign takes no tasks" in capsys.readouterr().err


def test_a_file_of_which_nothing_can_be_used_is_a_failure(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": "Why?", "responses": ["one", "two", "three"]}]
    assert main(["campaign", "tasks", "pilot", write_rows(workspace / "three.jsonl", rows)]) == 2
    assert "has 3 responses" in last(capsys)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["stats"], "did you mean status?"),
        (["zzz"], "use guidelines, open"),
        (["status", "ghost"], "there are: pilot"),
        (["open", "other", "--guideline", "v9"], "published guidelines"),
        (["open", "pilot", "--guideline", "v1", "--overlap", "2"], "settings never change"),
        (["open", "other", "--guideline", "v1", "--selection", "best"], "no such selection"),
        (["guidelines", "none.md", "--version", "v2"], "cannot be read"),
        (["guidelines", "accord.toml", "--version", "v1"], "never changes"),
        (["prompts", "pilot", "none.jsonl"], "no such file"),
        (["prompts", "pilot", "none"], "no imported set"),
        (
            ["tasks", "pilot", "none", "--gold", "--qualification"],
            "a task is asked for one purpose",
        ),
        (["sample", "pilot", "--policy", "sft"], "accord run"),
        (["sample", "pilot", "--policy", "reward"], "this is no policy"),
        (["join", "pilot", "--rater", " "], "needs a name"),
    ],
)
def test_mistakes_are_one_message_and_change_nothing(
    workspace: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        before = size(connection)
    assert main(["campaign", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("error: ")
    assert "Traceback" not in err
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert size(connection) == before


def test_a_selection_by_reward_is_refused_before_anything_is_sampled(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["campaign", "open", "keen", "--guideline", "v1", "--selection", "gap"]) == 0
    words = ["campaign", "sample", "keen", "--policy", "sft", "--tasks", "5"]
    assert main(words) == 2
    assert "there is no reward yet" in capsys.readouterr().err
    assert main([*words, "--reward", "ppo"]) == 2
    assert "this is no reward model" in capsys.readouterr().err
    assert main([*words, "--reward", "reward-0123456789abcdef"]) == 2
    assert "there is no such artifact" in capsys.readouterr().err


def finished(workspace: Path, stage: str, kind: str, number: int) -> str:
    """A finished stage without files, for what only looks at its name."""
    key = f"{number:016x}"
    made = Manifest(
        name=stage,
        kind=kind,
        key=key,
        code="test",
        seed=number,
        config={},
        inputs={},
        machine=Machine(
            device="cpu", dtype="float32", threads=1, micro_batch_tokens=1, torch="", cpu=""
        ),
        files={},
    )
    folder = workspace / "artifacts" / f"{stage}-{key}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(made.to_json())
    return folder.name


def test_picking_by_gap_with_one_model_is_warned_of(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = finished(workspace, "sft", "policy", 1)
    rewards = [finished(workspace, "reward", "rewards", number) for number in (2, 3)]
    assert main(["campaign", "open", "keen", "--guideline", "v1", "--selection", "gap"]) == 0
    file = write_rows(workspace / "asks.jsonl", asks(6))
    assert main(["campaign", "prompts", "keen", file]) == 0
    words = ["campaign", "sample", "--policy", policy, "--queue", "--prompts", "3"]

    def warned(*more: str) -> str:
        capsys.readouterr()
        assert main([*words, *more]) == 0
        return "".join(
            line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")
        )

    one = warned("keen", "--tasks", "2", "--reward", rewards[0])
    for said in ("with one reward model", "65 to 126 labels of 500", "--reward", "random"):
        assert said in one
    assert not warned("keen", "--tasks", "2", "--reward", *rewards)
    assert not warned("pilot", "--tasks", "2")


def test_the_page_has_the_figure_that_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "active-selection.md").read_text()
    assert "costs 65 to 126 labels of 500 in five of the six circumstances" in " ".join(
        page.split()
    )
    for part in ("open", "sample"):
        with pytest.raises(SystemExit):
            main(["campaign", part, "--help"])
        told = " ".join(last(capsys).replace("\u2502", " ").split())
        assert "65 to 126" in told


def test_campaigns_load_no_torch(workspace: Path) -> None:
    write_rows(workspace / "pairs.jsonl", pairs(3))
    program = (
        "import json, sys; from accord.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    code = main(['campaign', *words])\n"
        "    print([n for n in ('torch', 'transformers') if n in sys.modules], code)"
    )
    asked = (["status"], ["tasks", "pilot", "pairs.jsonl"], ["work"])
    told = subprocess.check_output(
        [sys.executable, "-c", program, json.dumps(asked)],
        env=environment(),
        cwd=workspace,
        text=True,
    )
    assert told.endswith("[] 0\n")
    assert told.splitlines().count("[] 0") == len(asked)


def lessons(folder: Path) -> str:
    rows: list[dict[str, object]] = [
        {
            "prompt": f"question {n}",
            "responses": [f"good {n}", f"bad {n}"],
            "tiers": [0, 1],
            "explanation": f"because of {n}",
        }
        for n in range(2)
    ]
    return write_rows(folder / "lessons.jsonl", rows)


def test_rounds_tell_who_did_what_and_where_people_differ(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["campaign", "rounds", "pilot"]) == 0
    assert "there are no lessons, no trial and no round" in capsys.readouterr().out
    assert main(["campaign", "tasks", "pilot", lessons(workspace), "--lesson"]) == 0
    assert "2 rows: 2 new lesson tasks" in capsys.readouterr().out
    rows: list[dict[str, object]] = [
        {"prompt": f"why {n}?", "responses": [f"so {n}", f"not \x1b[31m{n}"]} for n in range(3)
    ]
    asked = write_rows(workspace / "asked.jsonl", rows)
    assert main(["campaign", "tasks", "pilot", asked, "--calibration", "first"]) == 0
    assert "3 new calibration tasks" in capsys.readouterr().out
    with open_database(workspace / "accord.db") as database:
        with database.read() as connection:
            pilot = campaign_called(connection, "pilot")
        for name, best in (("ada", 0), ("bob", 0), ("cyd", 1)):
            rater = somebody(database, pilot, name)
            while (lease := next_task(database, pilot, rater)) is not None:
                said = lease.sheet.responses.index(max(lease.sheet.responses))
                first = said if best else 1 - said
                opinion = Opinion.ranked([0 if place == first else 1 for place in range(2)])
                answer(database, pilot, lease, opinion, key=uuid4().hex, ui="test")
    assert main(["campaign", "rounds"]) == 0
    shown = capsys.readouterr().out
    assert "pilot: lessons, 2 tasks" in shown
    assert "pilot: calibration first, 3 tasks, guidelines v1" in shown
    assert "3 people have done all of them" in shown
    assert "people differ on 3 tasks; most on:" in shown
    assert "2 said" in shown
    assert "\x1b" not in shown
    assert main(["campaign", "rounds", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rounds"][0]["figures"][0]["interval"]["estimate"] == pytest.approx(1 / 3)
    assert {pupil["answered"] for pupil in told["taught"]["pilot"][0]["pupils"]} == {2}


@pytest.mark.parametrize(
    "words", [["--show", "-1"], ["--level", "2"], ["--level", "0"], ["pilot", "pilot"]]
)
def test_rounds_refuse_what_cannot_be(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["campaign", "rounds", *words]) == 2
    told = capsys.readouterr().err
    assert "got:" in told
    assert "do:" in told


def test_rounds_of_two_campaigns_are_compared(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "new.md").write_text("Prefer the shorter answer.")
    assert main(["campaign", "guidelines", "new.md", "--version", "v2"]) == 0
    assert main(["campaign", "open", "pilot-2", "--guideline", "v2"]) == 0
    rows: list[dict[str, object]] = [
        {"prompt": f"why {n}?", "responses": [f"so {n}", f"not {n}"]} for n in range(4)
    ]
    asked = write_rows(workspace / "asked.jsonl", rows)
    for name in ("pilot", "pilot-2"):
        assert main(["campaign", "tasks", name, asked, "--calibration", "first"]) == 0
        with open_database(workspace / "accord.db") as database:
            with database.read() as connection:
                campaign = campaign_called(connection, name)
            for number, who in enumerate(("ada", "bob")):
                rater = somebody(database, campaign, who)
                while (lease := next_task(database, campaign, rater)) is not None:
                    shown = lease.sheet.responses
                    odd = number and name == "pilot" and shown[0][-1] in "02"
                    first = shown.index(min(shown) if odd else max(shown))
                    opinion = Opinion.ranked([0 if place == first else 1 for place in range(2)])
                    answer(database, campaign, lease, opinion, key=uuid4().hex, ui="test")
    capsys.readouterr()
    assert main(["campaign", "rounds", "pilot", "pilot-2", "--json"]) == 0
    (percent, *_) = json.loads(capsys.readouterr().out)["changes"]
    assert (percent["before"], percent["after"]) == ("pilot: first", "pilot-2: first")
    assert percent["difference"]["estimate"] == pytest.approx(0.5)
    assert main(["campaign", "rounds", "pilot", "pilot-2"]) == 0
    assert "from one round to the next" in capsys.readouterr().out


def test_a_task_is_asked_for_one_purpose(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = lessons(workspace)
    assert main(["campaign", "tasks", "pilot", file, "--lesson", "--gold"]) == 2
    assert "--gold, --lesson" in capsys.readouterr().err
    assert main(["campaign", "tasks", "pilot", file, "--gold"]) == 2
    assert "which nothing but a lesson shows" in capsys.readouterr().out


def test_a_slip_of_the_finger_makes_nobody(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    join = ["campaign", "join", "pilot", "--rater"]
    assert main([*join, "Lena"]) == 0
    assert main([*join, "Lenna", "--role", "lead"]) == 2
    assert "known: Lena" in capsys.readouterr().err
    assert main([*join, "Lenna", "--new"]) == 0
    assert main(["campaign", "close", "pilot"]) == 0
    assert main([*join, "Grace"]) == 2
    assert "closed, and takes nobody in" in capsys.readouterr().err


def test_a_lead_has_no_trial_and_is_missed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_rows(workspace / "pairs.jsonl", pairs(2))
    assert main(["campaign", "tasks", "pilot", file, "--qualification"]) == 0
    assert main(["campaign", "tasks", "pilot", lessons(workspace), "--lesson"]) == 0
    with open_database(workspace / "accord.db") as database:
        with database.read() as connection:
            pilot = campaign_called(connection, "pilot")
        ask(database, pilot, "who is right?", purpose=Purpose.ADJUDICATION, overlap=1)
    capsys.readouterr()
    assert main(["campaign", "status", "pilot"]) == 0
    assert "nobody here is a lead" in capsys.readouterr().out
    assert main(["campaign", "join", "pilot", "--rater", "Lena", "--role", "lead"]) == 0
    assert last(capsys).strip().endswith("active in pilot")
    assert main(["campaign", "status", "pilot"]) == 0
    assert "nobody here is a lead" not in capsys.readouterr().out
    with open_database(workspace / "accord.db") as database:
        with database.read() as connection:
            lena = person_called(connection, "Lena")
        assert lena is not None
        lease = next_task(database, pilot, lena)
        assert lease is not None
        assert lease.sheet.prompt.messages[-1].content == "who is right?"
