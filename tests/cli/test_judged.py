"""`accord agreement` and `accord raters` on a small campaign in a workspace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from accord.cli.main import main
from accord.collect.campaign import CampaignSettings, campaign_called, open_campaign
from accord.collect.tasks import Purpose
from accord.collect.votes import load
from accord.store.database import open_database
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.log import parts_of, size
from accord.store.registry import register_rater
from tests.collect.ballots import Desk


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with six raters in a campaign `one`: five agree, the last takes what stands
    first."""
    folder = tmp_path_factory.mktemp("judged") / "ws"
    assert main(["init", str(folder)]) == 0
    with open_database(folder / "accord.db") as database, database.write() as connection:
        desk = Desk(connection, raters=6)
        for number in range(24):
            task = desk.task(f"Number {number}?")
            for rater in range(5):
                shown = (0, 1) if (number // 2 + rater) % 2 else (1, 0)
                rated = {"safety": (4, 2 + rater % 2)}
                desk.say(rater, task, (0, 1), ratings=rated, shown=shown, seconds=30)
            order = (0, 1) if number % 2 else (1, 0)
            desk.say(5, task, order, shown=order, seconds=2)
        gold = desk.task("Two and two?", purpose=Purpose.GOLD, gold=(0, 1))
        desk.say(0, gold, (0, 1))
        desk.say(1, gold, None)
    return folder, desk.raters


@pytest.fixture
def workspace(
    judged: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it, entered."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    folder = tmp_path / "ws"
    shutil.copytree(judged[0], folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def raters(judged: tuple[Path, list[str]], workspace: Path) -> list[str]:
    """Names of the six, with their workspace entered."""
    return judged[1]


def trust(rater: str) -> None:
    assert main(["raters", "--release", rater, "--why", "for this test"]) == 0


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def told_json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(told(capsys))


def test_agreement_has_its_counts(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Of 24 pairs half are unanimous, on the others 10 of 15 rater pairs agree."""
    trust(raters[5])
    told(capsys)
    assert main(["agreement", "--resamples", "1000"]) == 0
    text = told(capsys)
    assert "one: 146 judgements of 25 prompts by 6 raters; 145 orders (0 of them ties)" in text
    assert "raters: all   tasks: drawn at random" in text
    (percent,) = [
        line.split()
        for line in text.splitlines()
        if line.startswith("order ") and "percent" in line
    ]
    assert percent[2] == "0.83"
    assert percent[5:] == ["144", "24", "24", "6"]
    assert "and 0 of raters in quarantine" in text
    assert "fewer than 40 prompts" in text
    assert "safety" in text
    assert "no reward model can be right" in text
    assert "\x1b" not in text


def test_whom_the_rules_put_into_quarantine_agrees_with_nobody(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys)
    assert main(["agreement", "--resamples", "1000"]) == 0
    text = told(capsys)
    assert "and 24 of raters in quarantine" in text  # always what stands first
    percent = next(line.split() for line in text.splitlines() if line.startswith("order  "))
    assert percent[1:3] == ["percent", "1.00"]
    assert percent[5:] == ["120", "24", "24", "5"]


def test_agreement_as_json(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    trust(raters[5])
    told(capsys)
    assert main(["agreement", "one", "--json"]) == 0
    found = told_json(capsys)
    (group,) = found["agreement"]["groups"]
    percent = next(f for f in group["figures"] if f["coefficient"] == "percent")
    assert percent["interval"]["estimate"] == pytest.approx(0.5 + 0.5 * 10 / 15)
    assert found["agreement"]["counts"]["skips"] == 1


def test_raters_are_told_with_reasons(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys)
    assert main(["raters"]) == 0
    text = told(capsys)
    last = raters[5][:8]
    assert f"{last}: takes what stands first: 100% of 24" in text
    lines = text.splitlines()
    (line,) = [one for one in lines if one.startswith(last) and "human" in one]
    assert line.rstrip().endswith("quarantine")
    assert max(len(one.rstrip()) for one in lines[:7]) <= 100  # fits a terminal
    assert "no rater weighs more than 40.0%, 2 times an even share" in text
    assert main(["raters", "--json"]) == 0
    found = told_json(capsys)
    state = {one["rater"]: one["quarantined"] for one in found["trust"]}
    assert [state[name] for name in raters] == [False] * 5 + [True]
    assert {one["other"] for one in found["pairs"]} | {one["one"] for one in found["pairs"]} == set(
        raters
    )
    reports = {one["rater"]: one for one in found["raters"]}
    assert reports[raters[0]]["findings"]["gold"]["n"] == 1
    assert reports[raters[2]]["findings"]["gold"]["p"] is None


def test_one_rater_is_shown_with_intervals(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys)
    assert main(["raters", "--show", raters[5][:10]]) == 0
    text = told(capsys)
    assert text.startswith(f"{raters[5]} (human), in quarantine: 24 judgements, 0 skipped")
    (habit,) = [one for one in text.splitlines() if one.startswith("what stood first beats")]
    # Wilson's lower limit of 24 of 24: 24 / (24 + 1.96 ** 2).
    assert "1.00 [0.86, 1.00]" in habit
    assert main(["raters", "--show", raters[5], "--json"]) == 0
    assert told_json(capsys)["trust"]["quarantined"] is True


def test_a_preview_changes_nothing(
    raters: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys)
    assert main(["raters", "--without", raters[5]]) == 0
    text = told(capsys)
    assert f"without {raters[5]}: 24 judgements of work tasks go" in text
    assert "agree on 83.3% of pairs now, and on 100.0% then" in text
    assert main(["raters", "--without", raters[5], "--json"]) == 0
    assert told_json(capsys)["pairs"] == 24
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert "state" not in parts_of(connection, size(connection))


def test_quarantine_and_release_keep_their_reason(
    raters: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["raters", "--quarantine", raters[0], "--why", "a colleague's account"]) == 0
    told(capsys)
    assert main(["agreement", "--resamples", "1000"]) == 0
    # Hers, and those of the one whom the rules put there.
    assert "and 49 of raters in quarantine" in told(capsys)
    assert main(["raters", "--release", raters[0], "--why", "it was not"]) == 0
    assert told(capsys) == f"{raters[0]} is trusted: it was not\n"
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        said = parts_of(connection, size(connection))
    assert said == {"state": "active", "why": {"words": "it was not"}}


def test_programs_are_no_witnesses_against_people(
    raters: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seven programs that all say the opposite change nothing of what is said of people."""
    told(capsys)
    assert main(["raters", "--json"]) == 0
    before = told_json(capsys)
    with open_database(workspace / "accord.db") as database, database.write() as connection:
        one = campaign_called(connection, "one")
        asked = load(connection, one).of(Purpose.WORK)
        robots = [register_rater(connection, kind="synthetic") for _ in range(7)]
        for task, row in {row.task: row for row in asked.rows}.items():
            for robot in robots:
                said = Judgement(
                    rater=robot,
                    responses=row.responses,
                    verdict=Verdict.RANKING,
                    tiers=(1, 0),
                    task=task,
                )
                submit(connection, said, key=f"{robot} {task}")
    assert main(["raters", "--json"]) == 0
    assert told_json(capsys) == before
    assert main(["raters"]) == 0
    assert "168 judgements of synthetic raters are left out above" in told(capsys)
    assert main(["raters", "--kinds", "human, synthetic", "--json"]) == 0
    assert len(told_json(capsys)["raters"]) == 13
    assert main(["raters", "--kinds", "synthetic", "--json"]) == 0
    assert {one["kind"] for one in told_json(capsys)["raters"]} == {"synthetic"}
    assert main(["raters", "--without", robots[0], "--json"]) == 0
    assert told_json(capsys)["agreement_before"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["raters", "--quarantine", "nobody", "--why", "x"], "there is no such rater"),
        (["raters", "--quarantine", "RATER"], "needs a reason"),
        (["raters", "--kinds", "person"], "human, synthetic, rule, model"),
        (["raters", "--without", "nobody"], "there is no such rater here"),
        (["raters", "--without", "RATER", "--release", "RATER"], "one thing at a time"),
        (["agreement", "two"], "there is no such campaign"),
    ],
)
def test_one_error_says_what_to_do(
    raters: list[str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([raters[0] if word == "RATER" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_which_campaign_is_asked(
    raters: list[str], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_database(workspace / "accord.db") as database, database.write() as connection:
        open_campaign(connection, CampaignSettings(name="two", guideline="v1"))
    assert main(["raters"]) == 2
    assert "one, two" in capsys.readouterr().err
    assert main(["raters", "two"]) == 0
    assert told(capsys) == "two: nobody judged yet\n"
    assert main(["agreement", "two"]) == 0
    assert "0 judgements of 0 prompts by 0 raters" in told(capsys)


def test_no_campaign_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    assert main(["agreement"]) == 2
    assert "there is no campaign yet" in capsys.readouterr().err
