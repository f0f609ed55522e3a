"""All weights trained in bfloat16, no adapter anywhere: training starts at its reference."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.e2e.small import artifact, make, run

pytest.importorskip("torch")
SMALL = """\
recipe = "tiny"
machine.precision = "bfloat16"
data.world = { documents = 60, demonstrations = 60 }
pretrain = { steps = 5, batch_rows = 4 }
sft = { epochs = 1, batch_size = 9, adapter = { rank = 0 } }
compare = { prompts = 60, samples = 2, max_tokens = 12 }
reward = { epochs = 0.4, scale_prompts = 8, adapter = { rank = 0 } }
ppo = { steps = 2, batch_prompts = 4, max_tokens = 12, adapter = { rank = 0 } }
dpo = { epochs = 0.4, adapter = { rank = 0 } }
eval = { prompts = 6, samples = 2, best_of = [1, 2], max_tokens = 12 }
"""


def first_row(folder: Path, stage: str) -> dict[str, float]:
    """Metrics of a stage's first step."""
    lines = (artifact(folder, stage) / "metrics.jsonl").read_text().splitlines()
    row: dict[str, float] = json.loads(lines[0])
    return row


@pytest.mark.slow
def test_policy_and_reference_start_equal(tmp_path: Path) -> None:
    """A reference rounded to bfloat16 beside float32 weights began DPO at .674 on SmolLM2."""
    folder = make(tmp_path / "work", SMALL)
    run(folder, "run")
    assert first_row(folder, "dpo")["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first_row(folder, "ppo")["kl/sequence"] == pytest.approx(0, abs=1e-4)
