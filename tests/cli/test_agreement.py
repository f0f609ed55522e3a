"""`accord agreement` and `accord raters`: what they say of the same few judgements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.pipeline.workspace import Workspace
from accord.store.database import open_database
from accord.store.judgements import Verdict
from accord.store.tables import tasks
from accord.store.verifying import verify_database
from tests.collect.judging import GOLD, campaign, rater, say, task

Said = pytest.CaptureFixture[str]


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Ada and Bea agree on nine of ten pairs; Cyd skips one and is wrong on what is known."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    with open_database(Workspace.open(tmp_path / "ws").database_place()) as database:
        pilot = campaign(database, "pilot")
        ada, bea, cyd = (rater(database) for _ in range(3))
        for number in range(10):
            about = task(database, pilot, f"question {number}")
            say(database, pilot, about, ada)
            say(database, pilot, about, bea, (0, 1) if number else (1, 0))
        say(database, pilot, about, cyd, None, verdict=Verdict.SKIP, reason="unclear")
        for number in range(6):
            known = task(database, pilot, f"known {number}", **GOLD)
            with database.read() as connection:
                right = connection.execute(
                    sa.select(tasks.c.gold).where(tasks.c.id == known)
                ).scalar_one()
            for by in (ada, bea):
                say(database, pilot, known, by, tuple(right))
            say(database, pilot, known, cyd, tuple(right[::-1]))
    return {"ada": ada, "bea": bea, "cyd": cyd}


def told(capsys: Said, *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out


def found(capsys: Said, *words: str) -> Any:
    return json.loads(told(capsys, *words, "--json"))


def test_agreement_counts_what_it_used_and_says_what_it_allows(
    people: dict[str, str], capsys: Said
) -> None:
    lines = told(capsys, "agreement").splitlines()
    counts = "39 judgements of 16 prompts by 3 raters; 38 orders (0 of them ties), 0 all bad"
    assert counts in lines[0]
    assert lines[1].startswith("figures are of the 21 on work tasks")
    assert "no two raters rated the same response for helpfulness, accuracy" in "\n".join(lines)
    percent = next(line for line in lines if "percent" in line)
    assert "0.90 [" in percent
    (ceiling,) = (line for line in lines if line.startswith("a model's ceiling"))
    assert "two raters agree on 0.90 [" in ceiling


def test_raters_are_shown_with_what_was_asked_of_them(people: dict[str, str], capsys: Said) -> None:
    shown = found(capsys, "raters")
    (cyd,) = (one for one in shown["raters"] if one["rater"] == people["cyd"])
    assert (cyd["judgements"], cyd["skips"]) == (7, 1)
    assert cyd["findings"]["gold"]["interval"]["estimate"] == 0
    lines = told(capsys, "raters", "pilot").splitlines()
    assert max(map(len, lines[:4])) <= 110  # fits a terminal
    line = {name: next(line for line in lines if people[name][:8] in line) for name in people}
    assert ("1.00 of 6" in line["ada"], "0.00 of 6" in line["cyd"]) == (True, True)
    assert ("quarantine" in line["ada"], "quarantine" in line["cyd"]) == (False, True)


def test_one_rater_is_shown_with_intervals(people: dict[str, str], capsys: Said) -> None:
    text = told(capsys, "raters", "--show", people["ada"][:6])
    assert text.startswith(f"{people['ada']} (human), trusted: 16 judgements, 0 skipped")
    (known,) = (line for line in text.splitlines() if line.startswith("known answers right"))
    # Wilson's lower limit of six of six: 6 / (6 + 1.96 ** 2).
    assert "1.00 [0.61, 1.00]" in known


def test_a_lead_decides_with_a_reason_and_the_log_keeps_it(
    people: dict[str, str], capsys: Said
) -> None:
    assert main(["raters", "--quarantine", people["cyd"]]) == 2
    assert "why" in capsys.readouterr().err
    text = told(capsys, "raters", "--quarantine", people["cyd"], "--why", "answers in two seconds")
    assert text == f"{people['cyd']} is in quarantine: answers in two seconds\n"
    assert "quarantine" in told(capsys, "raters")
    assert "and 7 of raters in quarantine" in told(capsys, "agreement")
    told(capsys, "raters", "--release", people["cyd"], "--why", "spoke with her")
    with open_database(Path("accord.db")) as database:
        assert verify_database(database).ok


def test_without_shows_what_would_change_and_changes_nothing(
    people: dict[str, str], capsys: Said
) -> None:
    text = told(capsys, "raters", "--without", people["bea"])
    assert text.startswith(f"without {people['bea']}: 10 judgements of work tasks go\n")
    assert "two raters agree on 90.0% of pairs now" in text
    preview = found(capsys, "raters", "--without", people["bea"])
    # One to one has no majority; without Bea's, Ada's vote is one.
    assert (preview["pairs"], len(preview["settled"]), preview["flipped"]) == (10, 1, [])
    assert "39 judgements" in told(capsys, "agreement")


def test_wrong_questions_are_refused(people: dict[str, str], capsys: Said) -> None:
    for words, reason in (
        (["agreement", "nobody"], "nobody"),
        (["agreement", "--resamples", "10"], "1000"),
        (["raters", "--without", "r-nobody"], "r-nobody"),
        (["raters", "--without", people["ada"], "--release", people["ada"]], "one thing at a time"),
    ):
        capsys.readouterr()
        assert main(words) == 2, words
        assert reason in capsys.readouterr().err
