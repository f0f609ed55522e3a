"""Settings of the tiny world cut down to seconds: every stage, too little to learn anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = """\
recipe = "tiny"
data.world = { documents = 60, demonstrations = 60 }
machine.checkpoint_every = 2
[pretrain]
steps = 4
batch_rows = 4
[sft]
epochs = 0.5
batch_size = 8
[compare]
prompts = 24
samples = 3
max_tokens = 12
[reward]
epochs = 0.5
scale_prompts = 8
[ppo]
steps = 2
batch_prompts = 4
max_tokens = 12
[dpo]
epochs = 0.5
[eval]
prompts = 6
samples = 2
best_of = [1, 2]
max_tokens = 12
"""


POWERS = "-dac_override,-dac_read_search,-fowner,-chown"
"""What lets root pass over rights."""


def powerless(*groups: int) -> list[str]:
    """What runs a program with the rights of its login alone, in these groups."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read anything, and setpriv is not there to change that")
    inside = f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups"
    return ["setpriv", f"--bounding-set={POWERS}", inside]


def environment() -> dict[str, str]:
    """This checkout's package, one thread, no bytecode left behind."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def accord(
    *words: str | Path, cwd: Path, inside: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, begun by the program `inside` if given."""
    return subprocess.run(
        [*inside, sys.executable, "-m", "accord.cli", *(str(word) for word in words)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
        timeout=1200,
    )
