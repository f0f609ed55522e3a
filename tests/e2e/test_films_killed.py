"""A film quickstart killed in its stages and rounds, and what `accord resume` makes of it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.core.types import Split
from accord.pipeline.artifact import read_manifest
from accord.pipeline.workspace import Workspace
from accord.recipes.films import MORE, ROUND
from accord.store.datasets import Dataset
from tests import forked
from tests.e2e.small import PATIENCE, lines

pytest.importorskip("torch")

from accord.cli import films as quickstart
from tests.e2e.test_films import SETTINGS, films

pytestmark = pytest.mark.slow


def made_up(words: list[str]) -> int:
    """`accord WORDS` on reviews that are made up, kept where it runs."""
    quickstart.FILMS = films(Path.cwd())
    return main(words)


def accord(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = forked.accord(*words, cwd=place, program=made_up)
    assert done.returncode == 0, done.stderr
    return done


def ended(place: Path, *words: str, when: Callable[[], bool], by: int) -> str:
    """`accord WORDS`, ended by a signal as soon as something is there; what it said."""
    with forked.begin(*words, cwd=place, program=made_up) as process:
        until = time.monotonic() + PATIENCE
        while not when() and not process.ended() and time.monotonic() < until:
            time.sleep(0.002)
        if not process.ended():
            process.send(by)
        done = process.wait()
    if by == signal.SIGKILL:
        assert done.returncode == -by, f"it was over too soon: {done.stderr}"
    return done.stderr


def frozen(folder: Path, name: str) -> Dataset:
    return Dataset(Workspace(folder).dataset("preferences", name).folder)


def inputs(folder: Path, stage: str) -> list[str]:
    (made,) = (folder / "artifacts").glob(f"{stage}-*")
    return [name for name in read_manifest(made).inputs if name.startswith("preferences/")]


def test_killed_anywhere_it_goes_on_to_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    Workspace.create(folder, "films").settings.write_text(SETTINGS)
    words = ("quickstart", "--all", "ws")
    resume = ("resume", "--workspace", "ws")
    kill = signal.SIGKILL
    ended(tmp_path, *words, when=lambda: lines(folder, "sft") > 0, by=kill)
    ended(tmp_path, *resume, when=(folder / "accord.db").exists, by=kill)
    assert not (folder / "data" / "round-1.json").exists()
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    told = accord(tmp_path, "run", "--to", "reward", "--workspace", "other").stderr
    assert "note: no imported set is called round-[1], as data.preferences has it" in told
    assert inputs(other, "reward") == ["preferences/films-pairs"]
    told = ended(
        tmp_path, *resume, when=(folder / "data" / "round-1.json").exists, by=signal.SIGINT
    )
    assert "accord resume" in told
    ended(tmp_path, *resume, when=lambda: lines(folder, "ppo") > 0, by=kill)
    done = accord(tmp_path, *resume)
    assert "accord rate" in done.stdout
    assert (folder / "report.html").is_file()
    prompts = Dataset(Workspace(folder).dataset("prompts", "films").folder)
    there = sum(1 for _ in prompts.rows(Split.TRAIN))
    for name, count in (("round-1", ROUND), ("round-2", min(MORE, there - ROUND))):
        asked = frozen(folder, name).manifest.notes
        assert 0.8 * count <= asked["counts"]["tasks"] <= count  # alike answers are no task
    assert inputs(folder, "reward") == ["preferences/films-pairs", "preferences/round-1"]
    assert inputs(folder, "dpo") == ["preferences/round-1", "preferences/round-2"]


def test_what_a_stopped_quickstart_tells_to_type_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "my ws"
    Workspace.create(folder, "films").settings.write_text(SETTINGS)
    told = ended(
        tmp_path,
        "quickstart",
        "--all",
        "my ws",
        when=lambda: lines(folder, "sft") > 0,
        by=signal.SIGINT,
    )
    assert "`accord resume --workspace 'my ws'` goes on" in told
