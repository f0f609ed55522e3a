"""Answers of a real policy become tasks: sampled, killed on the way, and the same in the end."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import campaign_called, join
from accord.collect.people import person
from accord.collect.sheet import Opinion
from accord.store.database import open_database
from accord.store.jobs import JobState
from accord.store.tables import events, jobs, prompts, responses, tasks
from tests.cli.small import accord
from tests.e2e.small import make, run
from tests.forked import begin

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
PROMPTS = 150
LONG = "Tell me more. " * 400
"""More tokens than the tiny model's context holds."""
SAMPLE = ("campaign", "sample", "pilot", "--policy", "sft", "pretrain", "--samples", "2")
MORE = ("--max-tokens", "12", "--prompts", str(PROMPTS))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a tiny policy, a campaign and a pool."""
    folder = make(tmp_path_factory.mktemp("campaign") / "ws")
    run(folder, "run", "--to", "sft")
    rows = [{"prompt": f"Tell me about number {i}."} for i in range(PROMPTS - 1)]
    (folder / "asks.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, {"prompt": LONG}])
    )
    run(folder, "campaign", "guidelines", "guidelines.md", "--version", "v1")
    run(folder, "campaign", "open", "pilot", "--guideline", "v1", "--overlap", "1")
    run(folder, "campaign", "prompts", "pilot", "asks.jsonl")
    return folder


def found(folder: Path) -> tuple[list[tuple[str, str, str]], int, int]:
    """(prompt, policy, text) by digest of every response, tasks, and prompts sampled."""
    with open_database(folder / "accord.db") as database, database.read() as connection:
        said = connection.execute(
            sa.select(prompts.c.digest, responses.c.policy, responses.c.digest).join(
                prompts, prompts.c.id == responses.c.prompt
            )
        )
        rows = sorted((row[0], row[1], row[2]) for row in said)
        count = sa.select(sa.func.count())
        made = connection.execute(count.select_from(tasks)).scalar_one()
        done = connection.execute(count.where(events.c.type == "prompt.sampled")).scalar_one()
    return rows, made, done


def soon(folder: Path) -> None:
    """Let the lease of a killed worker, which is waited for, end in 3 seconds and not in 60."""
    until = datetime.now(UTC) + timedelta(seconds=3)
    with open_database(folder / "accord.db") as database, database.write() as connection:
        held = sa.update(jobs).where(jobs.c.state == JobState.LEASED)
        assert connection.execute(held.values(leased_until=until)).rowcount == 1


def test_a_killed_sampling_goes_on_and_says_the_same(trained: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(trained, whole)
    by_itself = accord(*SAMPLE, *MORE, "--quiet", cwd=whole)
    assert by_itself.returncode == 0, by_itself.stderr
    told = by_itself.stdout
    assert f"{PROMPTS} prompts: " in told
    assert "1 of them too long or erased" in told
    expected = found(whole)
    assert expected[2] == PROMPTS
    assert len({policy for _, policy, _ in expected[0]}) == 2
    assert expected[1] > 0.9 * PROMPTS

    killed = tmp_path / "killed"
    shutil.copytree(trained, killed)
    with begin(*SAMPLE, *MORE, "--quiet", cwd=killed) as process:
        until = time.monotonic() + 300
        while not (seen := found(killed)[2]):
            assert not process.ended(), process.wait().stderr
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()
    assert 0 < seen < PROMPTS
    soon(killed)
    again = run(killed, *SAMPLE, *MORE)
    assert "goes on" in again.stderr
    assert found(killed) == expected


def test_a_queued_job_is_worked_off_and_judged(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "queued"
    shutil.copytree(trained, folder)
    words = (*SAMPLE, "--max-tokens", "12", "--prompts", "8", "--tasks", "5")
    assert "waits" in run(folder, *words, "--queue").stdout
    (line,) = [one for one in run(folder, "campaign", "status").stdout.splitlines() if "job" in one]
    assert line.endswith(" queued")
    assert "8 prompts: 5 tasks" in run(folder, "campaign", "work").stdout
    with open_database(folder / "accord.db") as database:
        with database.write() as connection:
            campaign = campaign_called(connection, "pilot")
            rater = person(connection, "Ada")
            join(connection, campaign, rater)
        given = 0
        while (lease := next_task(database, campaign, rater)) is not None:
            answer(database, campaign, lease, Opinion.ranked((0, 1)), key=f"k{given}", ui="test")
            given += 1
        with database.read() as connection:
            inclusion = set(connection.execute(sa.select(tasks.c.inclusion)).scalars())
    assert given >= 5
    assert len(inclusion) == 1
    assert "5 done" in run(folder, "campaign", "status", "pilot").stdout
