"""Memory and time of many pairs on their way to the reward model: `python bench/importing.py`.

Writes a seeded file, imports it, and reads it as the reward model's stage does, tokens and all; the
last two each in a process of its own, whose largest resident memory is printed. The words are those
of the tiny world, so that the tiny tokenizer, which is made on the spot, knows them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import tyro

from accord.text.grammar import ANIMALS, PLACES

WORDS = (*ANIMALS, *PLACES, "the", "a", "is", "very", "and", "near", "by", "in")
PROMPT, ANSWER = (10, 70), (10, 110)
"""Fewest and most words."""
MAX_TOKENS = 512

IMPORT = """
import json, sys
from pathlib import Path
from accord.collect.importing import import_file
from accord.telemetry.memory import peak_memory
start = peak_memory()
report = import_file(Path(sys.argv[1]), Path(sys.argv[2]), name="bench")
(made,) = report.datasets
print(json.dumps({
    "gib": peak_memory(), "at_start": start, "rows": report.rows, "rejected": report.rejected,
    "duplicates": report.duplicates, "folder": str(made.folder), "digest": made.manifest.digest,
}))
"""
READ = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from accord.models.machine import resolve
from accord.models.tiny import CONTEXT
from accord.pipeline.artifact import Artifact
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages.fitting import compared
from accord.store.datasets import Dataset
from accord.telemetry.memory import peak_memory
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

start = peak_memory()
folder, model, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
digest = Dataset(folder).manifest.digest
pairs = Artifact(
    name="preferences/bench", kind="preferences", key=digest[:16], folder=folder, digest=digest
)
stage = Stage(name="reward", kind="adapter", config=None, body=lambda context: iter(()))
context = StageContext(
    stage=stage, inputs={pairs.name: pairs}, output=Path(sys.argv[4]), machine=resolve("float32")
)
# Tokens need no weights: what the loader asks of the roles is template and length alone.
roles = SimpleNamespace(
    template=ChatTemplate(TextTokenizer.load(model)),
    base=model,
    backbone=lambda folder: SimpleNamespace(context=CONTEXT),
)
sets = compared(context, roles, max_tokens=most)
train = sets.train
print(json.dumps({
    "gib": peak_memory(), "at_start": start, "pairs": train.pairs, "dev": len(sets.dev),
    "tokens": len(train.responses.ids) + len(sets.dev.responses.ids),
}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is measured."""

    pairs: int = 500_000
    """Rows of the file."""
    seed: int = 0
    """Of the words."""
    folder: Path | None = None
    """Where the file and the data set go; by default a temporary folder."""


def main() -> None:
    """Write, import, read, print."""
    options = tyro.cli(Options, description=__doc__)
    with TemporaryDirectory(dir=options.folder) as name:
        place = Path(name)
        path = place / "pairs.jsonl"
        began = time.perf_counter()
        write(path, options.pairs, options.seed)
        size = path.stat().st_size
        print(
            f"{options.pairs:,} pairs, seed {options.seed}: {size / 2**20:,.0f} MiB of JSON Lines"
        )
        print(f"  written in {time.perf_counter() - began:.0f} s")
        done = run(IMPORT, path, place / "artifacts")
        print(told("imported", done) + f", {done['rejected']} rejected, digest {done['digest']}")
        _make_model(place / "model")
        read = run(READ, done["folder"], place / "model", MAX_TOKENS, place)
        print(
            told("read", read) + f", {read['pairs']:,} pairs to train on, {read['dev']:,} held out"
        )
        print(f"  {read['tokens']:,} tokens, 5 bytes each: {5 * read['tokens'] / 2**30:.2f} GiB")


def write(path: Path, pairs: int, seed: int) -> None:
    """A file of pairs with as many words as chats have."""
    random = Random(f"accord importing {seed}")

    def words(fewest: int, most: int) -> str:
        return " ".join(random.choices(WORDS, k=random.randint(fewest, most)))

    with path.open("w", encoding="utf-8") as file:
        for number in range(pairs):
            row = {
                "prompt": f"{number} {words(*PROMPT)}",
                "chosen": words(*ANSWER),
                "rejected": words(*ANSWER),
            }
            file.write(json.dumps(row) + "\n")


def run(program: str, *words: object) -> dict[str, object]:
    """What a process of its own prints, with its seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout) | {"seconds": time.perf_counter() - began}


def told(what: str, done: dict[str, object]) -> str:
    """The figures that both have."""
    return (
        f"{what}: {done['seconds']:.0f} s, peak {done['gib']:.2f} GiB "
        f"({done['at_start']:.2f} GiB before the first row)"
    )


def _make_model(folder: Path) -> None:
    from accord.models.tiny import make_tiny

    make_tiny(folder, seed=0)


if __name__ == "__main__":
    main()
