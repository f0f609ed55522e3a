"""Every example runs as its docstring says, from an empty folder, and does what it shows."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

from accord.collect.importing import import_file, read_rows
from accord.core.types import Comparison
from tests.collect.samples import archive, texts
from tests.collect.samples import said as ratings
from tests.forked import accord

ROOT = Path(__file__).resolve().parents[2]


def said(example: str, folder: Path, *words: str) -> list[str]:
    """What an example prints, run by a user who stands in `folder`."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            str(ROOT / "examples" / example),
            *words,
            str(folder / "work"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def figures(lines: list[str], pattern: str) -> list[float]:
    """The number that `pattern` finds, line by line."""
    return [float(found.group(1)) for line in lines if (found := re.match(pattern, line))]


def run_alone(words: list[str]) -> int:
    """The program that the word names, without any words of its own."""
    sys.argv[:] = words
    runpy.run_path(words[0], run_name="__main__")
    return 0


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_without_its_words_an_example_says_which(path: Path, tmp_path: Path) -> None:
    """One usage line and exit 2, as a wrong command line of `accord` has."""
    done = accord(path, cwd=tmp_path, program=run_alone)
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: {path.name} ")
    assert "Traceback" not in done.stderr


def test_train_on_your_data(tmp_path: Path) -> None:
    lines = said("train_on_your_data.py", tmp_path)
    assert lines[0] == "64 rows read, 0 of them unusable"
    losses = figures(lines, r"loss ([\d.]+)")
    assert losses[-1] < 0.9 * losses[0]
    assert (tmp_path / "work" / "adapter" / "adapter_model.safetensors").is_file()


def test_movie_reviews(tmp_path: Path) -> None:
    """On a small archive with the form of the real one, whose texts are not copied here."""
    lines = said("movie_reviews.py", tmp_path, str(archive(tmp_path, texts(1100), ratings(1100))))
    assert lines == ["1100 snippets read, 0 of them unusable"]
    made = [(tmp_path / "work" / f"{name}.jsonl") for name in ("demonstrations", "comparisons")]
    reports = [
        import_file(path, tmp_path / "artifacts", unit=unit)
        for path, unit in zip(made, ("prompt", "response"), strict=True)
    ]
    assert [(report.rows, report.rejected) for report in reports] == [(1000, 0), (50, 0)]
    rows = [row for row in read_rows(made[1]) if isinstance(row, Comparison)]
    assert {row.source for row in rows} == {"derived from vaderSentiment ratings"}
    shown = {row.conversation.messages[-1].content for row in read_rows(made[0])}
    assert not shown & {text for row in rows for text in row.responses}


@pytest.mark.slow
def test_reward_and_dpo(tmp_path: Path) -> None:
    lines = said("reward_and_dpo.py", tmp_path)
    losses = figures(lines, r"reward model: loss ([\d.]+)")
    margins = figures(lines, r"dpo: .* margin (-?[\d.]+)")
    assert fmean(losses[-4:]) < fmean(losses[:4])
    assert fmean(margins[-4:]) > fmean(margins[:4])
    assert re.match(r"held-out accuracy: reward model 0\.\d\d, dpo 0\.\d\d", lines[-1])


@pytest.mark.slow
def test_ppo_loop(tmp_path: Path) -> None:
    rewards = figures(said("ppo_loop.py", tmp_path), r"reward (-?[\d.]+)")
    assert len(rewards) == 20
    assert fmean(rewards[-4:]) > fmean(rewards[:4]) + 0.2
