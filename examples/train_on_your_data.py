"""Fine-tune a model on a file of conversations, then ask it something, without any pipeline.

`python examples/train_on_your_data.py FOLDER [FILE [MODEL]]`: FILE has one JSON object a line, with
`messages` or with `prompt` and `response`; MODEL is a folder in Hugging Face's format. Left out,
both are made: small, and not worth reading.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from accord.algorithms import imitation
from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.settings import OptimizerSettings
from accord.collect.importing import import_file
from accord.core.types import Conversation, Demonstration, SamplingSettings, Split
from accord.models.backbone import Backbone
from accord.models.machine import resolve
from accord.models.role import Role
from accord.models.tiny import make_tiny
from accord.rollout.engine import TorchSampler
from accord.store.datasets import Dataset
from accord.text import grammar
from accord.text.template import ChatTemplate
from accord.text.tokenized import TokenRows
from accord.text.tokenizer import TextTokenizer

BATCH, PASSES = 16, 2


def main(folder: Path, file: Path | None = None, model: Path | None = None) -> str:
    """Import, train an adapter, save it, and return the answer to one question."""
    file = file or write_talks(folder / "talks.jsonl")
    if model is None:
        make_tiny(model := folder / "tiny", seed=0)
    report = import_file(file, folder / "data")
    print(f"{report.rows} rows read, {report.rejected} of them unusable")
    template = ChatTemplate(TextTokenizer.load(model))
    data = Dataset(report.datasets[0].folder).rows(Split.TRAIN)
    talks = (row.conversation for row in data if isinstance(row, Demonstration))
    rows = TokenRows.build(template.tokenize(talk) for talk in talks)

    backbone = Backbone.load(model, machine=resolve())
    backbone.add_adapter("mine", rank=16, alpha=32, seed=0)
    policy, optimizer = Role(backbone, ("mine",)), OptimizerSettings(learning_rate=2e-3)
    for metrics in imitation.train(
        rows=rows,
        dev=None,
        policy=policy,
        state=fresh_state(policy.trained(), optimizer),
        optimizer=optimizer,
        batch_size=BATCH,
        steps=step_count(len(rows), BATCH, PASSES),
        seed=0,
        micro_batch_tokens=2048,
    ):
        print(f"loss {metrics['loss']:.3f}")
    backbone.save_adapter("mine", folder / "adapter")  # loads with PEFT

    question = template.prompt_ids(Conversation.of("Tell me about the fox."))
    sampler, settings = TorchSampler(policy, stop_ids=[template.stop_id]), SamplingSettings()
    [[answer]] = sampler.sample([question], n=1, settings=settings, seed=0)
    return template.answer_text(answer.tokens)


def write_talks(path: Path) -> Path:
    """A file such as you might have, made of the tiny world."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        for row in grammar.demonstrations(0, 64):
            asked, said = row.conversation.messages
            lines.write(json.dumps({"prompt": asked.content, "response": said.content}) + "\n")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("model", type=Path, nargs="?")
    print(main(**vars(parser.parse_args())))
