"""What stages of direct alignment read, keep and refuse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import (
    AdapterSettings,
    DirectConfig,
    DPOConfig,
    IPOConfig,
    KTOConfig,
)
from accord.core.errors import ConfigError, DataError
from accord.core.machine import Machine
from accord.core.types import Comparison, Conversation, Feedback
from accord.models.machine import resolve
from accord.models.tiny import make_tiny
from accord.pipeline.artifact import Artifact
from accord.pipeline.config import DIRECT, PipelineConfig
from accord.pipeline.plan import possible
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages import KINDS, StageConfig, build, direct
from accord.pipeline.workspace import Workspace
from accord.store.datasets import write_dataset

MACHINE: Machine = replace(resolve("float32", "cpu"), micro_batch_tokens=300)
SMALL: dict[str, Any] = {"batch_prompts": 4, "adapter": AdapterSettings(rank=2)}


def pair(number: int, **more: Any) -> Comparison:
    asked = Conversation.of(f"Name fox {number}.")
    return Comparison(prompt=asked, responses=("A fox.", "No."), tiers=(0, 1), **more)


def thumb(number: int, *, good: bool, text: str = "It is a fox.") -> Feedback:
    return Feedback(prompt=Conversation.of(f"Is {number} a fox?"), response=text, good=good)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model as a stage leaves it."""
    folder = tmp_path_factory.mktemp("base")
    make_tiny(folder / "model", seed=0)
    return Artifact(name="base", kind="model", key="0" * 16, folder=folder, digest="base")


def run(
    folder: Path,
    base: Artifact,
    config: DirectConfig,
    *,
    name: str,
    machine: Machine = MACHINE,
    **sets: Iterable[Comparison | Feedback],
) -> tuple[StageContext, list[dict[str, float]], list[str]]:
    """One stage over these sets, with what it said."""
    inputs = {"base": base}
    for kind, rows in sets.items():
        place = folder / kind
        if not place.exists():
            write_dataset(place, rows, kind=kind, source="test", dev=0.0)
        inputs[f"{kind}/own"] = Artifact(
            name=f"{kind}/own", kind=kind, key="1" * 16, folder=place, digest=kind
        )
    stage = Stage(
        name=name,
        kind="policy",
        config=StageConfig(own=config),
        body=lambda context: iter(()),
        inputs=tuple(inputs),
    )
    told: list[str] = []
    output = folder / f"output-{len(list(folder.iterdir()))}"
    output.mkdir()
    context = StageContext(
        stage=stage,
        inputs=inputs,
        output=output,
        machine=machine,
        cache=folder / "cache",
        on_notice=told.append,
    )
    rows = [dict(row) for row in direct.body(context, name=name)]
    return context, rows, told


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache").iterdir()}


def weights(context: StageContext) -> bytes:
    return (context.output / "adapter" / "adapter_model.safetensors").read_bytes()


def test_the_reference_is_read_once_for_all_stages(tmp_path: Path, base: Artifact) -> None:
    """The same bits with and without; another machine or other rows are not the same."""
    rows = [pair(i) for i in range(8)]
    first = run(tmp_path, base, DPOConfig(**SMALL), name="dpo", preferences=rows)
    (file,) = kept(tmp_path)
    assert file.startswith("reference-")
    assert any("is read once" in text for text in first[2])
    again = run(tmp_path, base, DPOConfig(**SMALL), name="dpo", preferences=rows)
    assert any("was read before" in text for text in again[2])
    assert again[1] == first[1]
    assert weights(again[0]) == weights(first[0])
    other = run(tmp_path, base, IPOConfig(seed=4, **SMALL), name="ipo", preferences=rows)
    assert any("was read before" in text for text in other[2])
    assert kept(tmp_path) == {file}
    elsewhere = replace(MACHINE, micro_batch_tokens=60)
    run(tmp_path, base, DPOConfig(**SMALL), name="dpo", machine=elsewhere, preferences=rows)
    assert len(kept(tmp_path)) == 2
    run(tmp_path, base, DPOConfig(epochs=0.5, **SMALL), name="dpo", preferences=rows)
    assert len(kept(tmp_path)) == 3


def test_kto_learns_from_comparisons_and_thumbs(tmp_path: Path, base: Artifact) -> None:
    """Ties are left out, counted and told; what cannot be used is listed."""
    pairs = [*(pair(i) for i in range(5)), pair(5, label=0.5), pair(6, label=0.7)]
    thumbs = [thumb(i, good=i % 3 == 0) for i in range(7)]
    thumbs += [thumb(8, good=True, text="so <|end|> is it")]
    context, rows, told = run(
        tmp_path, base, KTOConfig(**SMALL), name="kto", preferences=pairs, feedback=thumbs
    )
    assert len(rows) == 4  # 6 prompts with pairs and 7 with thumbs, 4 a step
    assert context.notes["ties_left_out"] == 1
    assert context.notes["train_units"] == 13
    assert context.notes["train_answers"] == 2 * 6 + 7
    assert context.notes["left_out"] == {"says the stop token": 1}
    assert any("1 tied pairs are left out" in text for text in told)
    desirable: Any = context.notes["desirable"]
    assert desirable["answers"] == pytest.approx(6 / 2 + 3)
    assert all(row["preference/kl"] >= 0 for row in rows)


def test_weights_out_of_the_papers_bounds_are_told(tmp_path: Path, base: Artifact) -> None:
    config = KTOConfig(desirable=3.0, **SMALL)
    _, _, told = run(tmp_path, base, config, name="kto", preferences=[pair(i) for i in range(4)])
    assert not any("over undesirable weight" in text for text in told)  # the other side follows
    config = KTOConfig(desirable=3.0, undesirable=1.0, **SMALL)
    _, _, told = run(tmp_path, base, config, name="kto", preferences=[pair(i) for i in range(4)])
    assert any("over undesirable weight is 3.00" in text for text in told)


def test_thumbs_in_one_direction_are_refused(tmp_path: Path, base: Artifact) -> None:
    with pytest.raises(DataError, match="called good and answers that were called bad"):
        run(
            tmp_path,
            base,
            KTOConfig(**SMALL),
            name="kto",
            feedback=[thumb(i, good=True) for i in range(4)],
        )


@pytest.mark.parametrize("name", ["ipo", "kto", "orpo"])
def test_all_ties_are_refused(tmp_path: Path, base: Artifact, name: str) -> None:
    config: DirectConfig = getattr(PipelineConfig(), name)
    with pytest.raises(DataError, match="tie"):
        run(tmp_path, base, config, name=name, preferences=[pair(i, label=0.5) for i in range(4)])


def workspace_with(folder: Path, *kinds: str) -> Workspace:
    """A workspace with sets of these kinds."""
    workspace = Workspace.create(folder, "smollm2")
    rows: dict[str, list[Any]] = {
        "preferences": [pair(i) for i in range(4)],
        "feedback": [thumb(i, good=i % 2 == 0) for i in range(4)],
    }
    for kind in kinds:
        place = workspace.artifacts / f"own-{kind}"
        manifest = write_dataset(place, rows[kind], kind=kind, source="test")
        workspace.point(f"own-{kind}", {kind: (place, manifest.digest)})
    return workspace


@pytest.mark.parametrize(
    ("kinds", "learn_from", "inputs"),
    [
        (("preferences",), "all", ["preferences/own-preferences"]),
        (("feedback",), "all", ["feedback/own-feedback"]),
        (
            ("preferences", "feedback"),
            "all",
            ["preferences/own-preferences", "feedback/own-feedback"],
        ),
        (("preferences", "feedback"), "feedback", ["feedback/own-feedback"]),
        (("preferences", "feedback"), "comparisons", ["preferences/own-preferences"]),
    ],
)
def test_what_kto_reads(
    tmp_path: Path, kinds: tuple[str, ...], learn_from: Any, inputs: list[str]
) -> None:
    workspace = workspace_with(tmp_path / "ws", *kinds)
    config = PipelineConfig(stages=("kto", "eval"), kto=KTOConfig(learn_from=learn_from))
    _, kto, evaluation = build(config, workspace)
    assert list(kto.inputs) == ["base", *inputs]
    assert {"kto", *inputs} <= set(evaluation.inputs)


def test_what_a_stage_lacks_is_said(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "preferences")
    with pytest.raises(ConfigError, match="distilled needs stage reward"):
        build(PipelineConfig(stages=("distilled",)), workspace)
    with pytest.raises(ConfigError, match="no feedback"):
        build(PipelineConfig(stages=("kto",), kto=KTOConfig(learn_from="feedback")), workspace)
    (tmp_path / "empty").mkdir()
    empty = workspace_with(tmp_path / "empty" / "ws")
    waiting = possible(PipelineConfig(stages=DIRECT), empty).waiting
    assert set(waiting) == set(DIRECT)


def test_every_stage_has_its_place(tmp_path: Path) -> None:
    workspace = workspace_with(tmp_path / "ws", "preferences")
    stages = build(PipelineConfig(stages=("reward", *DIRECT)), workspace)
    assert [stage.name for stage in stages] == ["base", "reward", *DIRECT]
    assert stages[-1].inputs[:2] == ("base", "reward")
    assert {KINDS[name] for name in DIRECT} == {"policy"}
