"""The tiny world cut down to seconds, and workspaces that run it through the command line."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from accord.pipeline.artifact import METRICS, Manifest, read_manifest
from tests.forked import accord, begin

STEPS = {"pretrain": 5, "sft": 6, "compare": 3, "reward": 6, "ppo": 5, "dpo": 6, "eval": 3}
"""Rows of each stage under `SETTINGS`, in the order in which they run."""
SETTINGS = """\
recipe = "tiny"
machine.checkpoint_every = 2
data.world = { documents = 60, demonstrations = 60 }
pretrain = { steps = 5, batch_rows = 4 }
sft = { epochs = 1, batch_size = 9 }
compare = { prompts = 130, samples = 2, max_tokens = 12 }
reward = { epochs = 0.4, batch_prompts = 8, scale_prompts = 8 }
dpo = { epochs = 0.4, batch_prompts = 8 }
eval = { prompts = 6, samples = 2, best_of = [1, 2], max_tokens = 12 }
[ppo]
steps = 5
batch_prompts = 4
max_tokens = 12
kl = { coefficient = 0.05, target = 1.0 }
"""
"""Every stage, too little to learn anything; the KL controller is on, so that its state counts."""
TIMED = {"seconds", "tokens_per_second", "peak_memory"}
"""Columns of a metric row that no two runs share."""
PATIENCE = 600
"""Seconds after which a run that should have come somewhere is given up."""


def make(folder: Path, settings: str = SETTINGS) -> Path:
    """A new workspace with these settings."""
    done = accord("init", folder, "--recipe", "tiny", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    (folder / "accord.toml").write_text(settings)
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`accord WORDS` in a workspace, which must succeed."""
    done = accord(*words, "--quiet", cwd=folder)
    assert done.returncode == 0, f"accord {' '.join(words)}: {done.stderr}"
    return done


def copy_before(stage: str, finished: Path, folder: Path) -> Path:
    """A workspace that has what `finished` made before `stage`, and nothing after."""
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("artifacts", "runs"))
    names = list(STEPS)
    for name in ("base", *names[: names.index(stage)]):
        made = artifact(finished, name)
        shutil.copytree(made, folder / "artifacts" / made.name)
    return folder


def killed(
    folder: Path, words: tuple[str, ...], *, stage: str, rows: int, of: int | None = None
) -> str:
    """`accord WORDS`, ended by SIGKILL as soon as `stage` has written `rows` metric rows (of `of`).

    Gives back the name of the run that was under way. Nothing of it may be among the artifacts.
    """
    with begin(*words, "--quiet", cwd=folder) as process:
        until = time.monotonic() + PATIENCE
        while lines(folder, stage) < rows and not process.ended() and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
        done = process.wait()
    assert done.returncode == -signal.SIGKILL, f"{stage} was over too soon: {done.stderr}"
    (under_way,) = (folder / "runs").glob(f"{stage}-*")
    assert rows <= lines(folder, stage) < (of or STEPS[stage])
    assert not (folder / "artifacts" / under_way.name).exists()
    return under_way.name


def lines(folder: Path, stage: str) -> int:
    """Metric rows that an unfinished run of `stage` has written."""
    return sum(path.read_bytes().count(b"\n") for path in folder.glob(f"runs/{stage}-*/{METRICS}"))


def artifact(folder: Path, stage: str) -> Path:
    """The one artifact of a stage."""
    (found,) = (folder / "artifacts").glob(f"{stage}-*")
    return found


def manifest(folder: Path, stage: str) -> Manifest:
    """What the one artifact of a stage says of itself."""
    return read_manifest(artifact(folder, stage))


def rows(folder: Path, stage: str) -> list[dict[str, Any]]:
    """The metric rows of a finished stage without their timed columns."""
    text = (artifact(folder, stage) / METRICS).read_text()
    parsed = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in row.items() if k not in TIMED} for row in parsed]
