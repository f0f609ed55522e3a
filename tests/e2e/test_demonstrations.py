"""From what people write to what a model learns: the page typed as it stands, and `accord sft`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.core.types import Demonstration
from accord.pipeline.workspace import Workspace
from accord.store.datasets import Dataset
from tests.cli.workplace import rate
from tests.e2e.pages import block, type_all
from tests.e2e.small import make, manifest, run

SETTINGS = """\
recipe = "smollm2"
model = "model"
machine.precision = "float32"
stages = ["sft"]
[sft]
epochs = 1
batch_size = 4
adapter = { rank = 4 }
"""
PROMPTS = 12


def ask(path: Path) -> None:
    """Prompts to answer, and a few answers to make better."""
    rows: list[dict[str, str]] = [{"prompt": f"What is {n} and {n}?"} for n in range(PROMPTS - 2)]
    rows += [{"prompt": f"Name colour {n}.", "response": "Blu."} for n in range(2)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def typed() -> str:
    """Texts for all prompts, and what a pipe says of them."""
    return "".join(f"t\nThat is easy: number {n}.\n.\n\n" for n in range(PROMPTS))


@pytest.mark.slow
def test_the_eight_commands(tmp_path: Path) -> None:
    """In one shell, as a reader would; where people sit, two do."""
    ask(tmp_path / "ask.jsonl")
    commands = block("collecting-demonstrations.md", "sh").splitlines()
    assert len(commands) == 9  # making a workspace, and eight more
    (tmp_path / "ada").write_text(typed())
    (tmp_path / "bea").write_text("x1no\n\n" + "a\n\n" * (PROMPTS - 1) + "q")
    shown = type_all(
        commands,
        tmp_path,
        lambda rate: [f"{rate} --name {who} < ../{who}" for who in ("ada", "bea")],
    )
    assert f"{PROMPTS} rows: {PROMPTS} new work tasks" in shown
    assert f"texts {PROMPTS} written: {PROMPTS - 1} accepted, 1 rejected" in shown
    assert "2 rejections" in shown
    assert f"{PROMPTS - 1} demonstrations as 'voices'" in shown
    assert "each follows from a text in the log" in shown


@pytest.mark.slow
def test_what_people_wrote_is_what_sft_trains_on(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from accord.models.tiny import make_tiny

    folder = make(tmp_path / "ws", SETTINGS)
    make_tiny(folder / "model", seed=0)
    ask(folder / "ask.jsonl")
    run(folder, "campaign", "guidelines", "guidelines.md", "--version", "v1")
    run(folder, "campaign", "open", "voices", "--guideline", "v1", "--asks", "demonstrations")
    run(folder, "campaign", "tasks", "voices", "ask.jsonl")
    assert rate(folder, typed(), "--name", "Ada").returncode == 0
    assert rate(folder, "a\n\n" * (PROMPTS - 1) + "x1\n\nq", "--name", "Bea").returncode == 0
    run(folder, "freeze", "voices", "--dev", "0.3")
    run(folder, "sft")

    found = Workspace.open(folder).dataset("demonstrations", "voices")
    frozen = Dataset(found.folder)
    rows = [row for row in frozen.rows() if isinstance(row, Demonstration)]
    assert len(rows) == PROMPTS - 1
    assert all(row.conversation.messages[-1].content.startswith("That is easy") for row in rows)
    trained = manifest(folder, "sft")
    assert trained.inputs["demonstrations/voices"].digest == found.digest
    told = trained.figures["demonstrations_sets"]
    assert told == {"voices": f"{frozen.manifest.counts['train']} rows, by human raters"}
