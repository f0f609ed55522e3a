"""TRL's own trainers read what is exported for them, and see the texts that were exported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accord.collect.exporting import export_dataset
from accord.core.types import Comparison, Conversation, Feedback
from accord.models.tiny import make_tiny
from accord.store.datasets import Row, write_dataset

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None,
        reason="TRL is not installed: pip install 'accord[peers]'",
    ),
]

PROGRAM = """
import json, sys
from pathlib import Path
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer

place, model, ending = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
tokenizer = AutoTokenizer.from_pretrained(model)
kind = "parquet" if ending == ".parquet" else "json"
quiet = dict(
    output_dir=str(place / "out"), report_to="none", use_cpu=True, bf16=False, disable_tqdm=True,
    max_steps=1, per_device_train_batch_size=4, max_length=None, save_strategy="no",
)

def rows(name):
    file = str(place / f"{name}{ending}")
    return load_dataset(kind, data_files=file, split="train", cache_dir=str(place / "cache"))

def texts(row, *names):
    return [tokenizer.decode(row[name]) for name in names]

causal = AutoModelForCausalLM.from_pretrained(model)
scorer = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1)
dpo = DPOTrainer(
    causal, args=DPOConfig(**quiet), train_dataset=rows("trl-paired"), processing_class=tokenizer
)
reward = RewardTrainer(
    scorer, args=RewardConfig(**quiet), train_dataset=rows("trl-margin"),
    processing_class=tokenizer,
)
kto = KTOTrainer(
    AutoModelForCausalLM.from_pretrained(model), args=KTOConfig(**quiet),
    train_dataset=rows("trl-unpaired"), processing_class=tokenizer,
)
found = {
    "dpo": [texts(r, "prompt_ids", "chosen_ids", "rejected_ids") for r in dpo.train_dataset],
    "reward": [texts(r, "chosen_ids", "rejected_ids") for r in reward.train_dataset],
    "margin": list(reward.train_dataset["margin"]),
    "kto": [texts(r, "prompt_ids", "completion_ids") for r in kto.train_dataset],
    "label": list(kto.train_dataset["label"]),
    "losses": [trainer.train().training_loss for trainer in (dpo, reward, kto)],
}
print(json.dumps(found))
"""


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_trl_trains_on_what_is_exported(tmp_path: Path, ending: str) -> None:
    make_tiny(tmp_path / "model", seed=0)
    asked = [Conversation.of(f"Tell me of the fox, {i}.", system="Be kind.") for i in range(8)]
    pairs: list[Row] = [
        Comparison(prompt=p, responses=(f"good {i}", f"bad {i}"), tiers=(0, 1), margin=float(i))
        for i, p in enumerate(asked)
    ]
    thumbs: list[Row] = [
        Feedback(prompt=p, response=f"said {i}", good=i % 2 == 0) for i, p in enumerate(asked)
    ]
    for kind, rows in (("preferences", pairs), ("feedback", thumbs)):
        write_dataset(tmp_path / kind, rows, kind=kind, source="s", dev=0.0)
    for shape in ("trl-paired", "trl-margin"):
        export_dataset(tmp_path / "preferences", tmp_path / f"{shape}{ending}", format=shape)
    export_dataset(tmp_path / "feedback", tmp_path / f"trl-unpaired{ending}", format="trl-unpaired")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(tmp_path / "model"), ending],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for i in range(8):
        prompt, chosen, rejected = found["dpo"][i]
        assert f"Tell me of the fox, {i}." in prompt
        assert "Be kind." in prompt
        assert (f"good {i}" in chosen, f"bad {i}" in rejected) == (True, True)
        assert f"good {i}" in found["reward"][i][0]
        assert f"bad {i}" in found["reward"][i][1]
        assert f"said {i}" in found["kto"][i][1]
    assert found["margin"] == [float(i) for i in range(8)]
    assert found["label"] == [i % 2 == 0 for i in range(8)]
    assert all(loss == loss and abs(loss) < 100 for loss in found["losses"])
