"""One's own rows of every shape and a model folder, from import to report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.small import artifact, make, manifest, run
from tests.forked import accord

pytest.importorskip("torch")
SETTINGS = """\
recipe = "smollm2"
model = "model"
machine.precision = "float32"
sft = { epochs = 1, batch_size = 16, adapter = { rank = 4 } }
reward = { epochs = 1, batch_prompts = 16, scale_prompts = 8, adapter = { rank = 4 } }
ppo = { steps = 2, batch_prompts = 4, max_tokens = 8, adapter = { rank = 4 } }
dpo = { epochs = 1, batch_prompts = 16, adapter = { rank = 4 } }
eval = { prompts = 4, samples = 2, best_of = [1, 2], max_tokens = 8 }
"""
Row = dict[str, object]
STOP = "<|end|>"
LONG = "A very long tale. " * 60
"""Alone more tokens than the tiny model's context of 512."""


def user(text: str) -> Row:
    return {"role": "user", "content": text}


def said(text: str) -> Row:
    return {"role": "assistant", "content": text}


def conversations() -> Iterator[Row]:
    """Two rounds each; then one row that no stage can use for each reason that there is."""
    for i in range(30):
        first = [user(f"Count to {i}."), said(f"I can count to {i}.")]
        yield {"messages": [*first, user("Go on."), said(f"After {i} comes {i + 1}.")]}
    yield {"messages": [user("What ends a turn?"), said(f"It is {STOP}, always.")]}
    yield {"messages": [user("Tell me a tale."), said(LONG)]}
    yield {"messages": [user("Say nothing."), said(" ")]}


def answers() -> Iterator[Row]:
    for i in range(30):
        yield {"prompt": f"Name animal {i}.", "response": f"Animal {i} is the fox."}


def pairs() -> Iterator[Row]:
    for i in range(40):
        yield {"prompt": f"Name colour {i}.", "chosen": "Blue, I think.", "rejected": f"No, {i}."}
    for text in (f"Is it {STOP}?", LONG):
        yield {"prompt": text, "chosen": "It is.", "rejected": "It is not."}


def rankings() -> Iterator[Row]:
    for i in range(20):
        tellings = [f"The fox runs {i} miles.", "A fox runs.", "Fox."]
        yield {"prompt": f"Tell tale {i}.", "responses": tellings, "tiers": [0, 1, 1]}


FILES = {
    "talks": conversations,
    "answers": answers,
    "pairs": pairs,
    "rankings": rankings,
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a model folder in it, everything imported, all stages run."""
    from accord.models.tiny import make_tiny

    folder = make(tmp_path_factory.mktemp("own") / "ws", SETTINGS)
    make_tiny(folder / "model", seed=0)
    for name, lines in FILES.items():
        path = folder.parent / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in lines()))
        run(folder, "import", str(path), "--dev", "0.3")
    run(folder, "run")
    return folder


def test_every_shape_is_read_and_what_is_not_is_listed(workspace: Path) -> None:
    pointers = {path.stem: json.loads(path.read_text()) for path in (workspace / "data").iterdir()}
    assert {name: list(kinds) for name, kinds in pointers.items()} == {
        "talks": ["demonstrations"],
        "answers": ["demonstrations"],
        "pairs": ["preferences"],
        "rankings": ["preferences"],
    }
    (listing,) = (workspace / "artifacts").glob("*/rejected.jsonl")
    (entry,) = map(json.loads, listing.read_text().splitlines())
    assert entry["row"] == 33
    assert "empty" in entry["why"]


def test_rows_that_no_stage_can_use_are_counted_and_the_rest_is_used(workspace: Path) -> None:
    """One row says the stop token and one exceeds the context, in each kind of set."""
    sft = manifest(workspace, "sft").figures
    assert sft["train_rows"] + sft["dev_rows"] == 60
    for stage in ("sft", "reward", "dpo"):
        figures = manifest(workspace, stage).figures
        assert figures["left_out"] == {"says the stop token": 1, "too long": 1}, stage
        listed = (artifact(workspace, stage) / "left_out.jsonl").read_text().splitlines()
        assert {json.loads(line)["why"] for line in listed} == set(figures["left_out"])
        if stage != "sft":
            assert 30 < figures["train_comparisons"] < 60
    asked = [manifest(workspace, stage).figures for stage in ("ppo", "eval")]
    assert asked[0]["prompts"] > 20
    assert asked[1]["prompts"] == 4


def test_ranked_answers_become_pairs_and_ties_do_not_count(workspace: Path) -> None:
    figures = manifest(workspace, "reward").figures
    assert figures["train_pairs"] > figures["train_comparisons"]
    assert figures["audit"]["ties"] > 0
    assert figures["shift_from"] == "demonstrations"
    assert {"longer wins", "TF-IDF Bradley-Terry", "linear probe"} == set(
        figures["audit"]["baselines"]
    )


def test_status_says_done(workspace: Path) -> None:
    told = run(workspace, "status").stdout
    for stage in ("base", "sft", "reward", "ppo", "dpo", "eval"):
        assert re.search(rf"^{stage} +done", told, re.MULTILINE), told
    for kind, name in (("demonstrations", "talks"), ("preferences", "rankings")):
        assert f"{kind}/{name}" in told


def test_sample_answers_and_refuses_the_stop_token(workspace: Path) -> None:
    done = accord("sample", "Name a colour.", "--max-tokens", "8", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    refused = accord("sample", f"What is {STOP}?", cwd=workspace)
    assert refused.returncode == 2
    assert "stop token" in refused.stderr
    assert refused.stdout == ""


def test_report_names_the_data_and_shows_the_answers(workspace: Path) -> None:
    done = run(workspace, "report")
    page = Path(done.stdout.strip()).read_text(encoding="utf-8")
    for words in ("talks", "rankings", "Name colour", manifest(workspace, "dpo").key):
        assert words in page, words


def test_one_prompt_for_everything(tmp_path: Path) -> None:
    """Many answers to one question: the score's unit comes from many samples of it."""
    from accord.models.tiny import make_tiny

    settings = f'{SETTINGS}stages = ["sft", "reward", "ppo", "eval"]\n'
    folder = make(tmp_path / "ws", settings)
    make_tiny(folder / "model", seed=0)
    answered = [{"prompt": "Say a word.", "response": f"Word {i}."} for i in range(20)]
    compared = [
        {"prompt": "Say a word.", "chosen": f"Word {i}.", "rejected": f"No {i}."} for i in range(40)
    ]
    for name, rows, unit in (("answered", answered, "prompt"), ("compared", compared, "response")):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run(folder, "import", str(path), "--dev", "0.3", "--unit", unit)
    run(folder, "run")
    figures = manifest(folder, "reward").figures
    assert figures["scale_from"] == "samples of the reference policy"
    assert figures["scale"] > 0
    assert manifest(folder, "eval").figures["evaluation"]["best_of"] == []

    asked = ("sample", "Say a word.", "--max-tokens", "8")
    assert "ppo-" in run(folder, *asked).stderr
    run(folder, "sft", "--epochs", "0.5")
    told = run(folder, *asked).stderr
    assert "sft-" in told, "a policy made by hand later is the one that answers"
    assert "ppo-" in run(folder, *asked, "--stage", "ppo").stderr


def test_a_copied_workspace_is_up_to_date_and_reads_its_own_model(
    workspace: Path, tmp_path: Path
) -> None:
    """Other times of files, another place: nothing is made again."""
    from accord.pipeline.stages.base import base_folder
    from accord.pipeline.workspace import Workspace

    folder = tmp_path / "copy"
    shutil.copytree(workspace, folder, copy_function=shutil.copyfile)
    told = run(folder, "run").stdout
    assert "built" not in told
    assert told.count("kept") == 6
    base = Workspace.open(folder).artifact("base", manifest(folder, "base").key)
    assert base is not None
    assert base_folder(base) == folder / "model"
