"""What stages of direct alignment read, keep and refuse."""

from __future__ import annotations

import math
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
    OptimizerSettings,
    PairLoss,
    RewardConfig,
)
from accord.core.errors import ConfigError, DataError
from accord.core.machine import Machine
from accord.core.types import Comparison, Conversation, Feedback
from accord.models.machine import resolve
from accord.models.tiny import make_tiny
from accord.pipeline.artifact import Artifact
from accord.pipeline.config import DIRECT, PipelineConfig
from accord.pipeline.plan import possible
from accord.pipeline.stage import Body, Stage, StageContext
from accord.pipeline.stages import KINDS, StageConfig, build, direct, reward
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
    config: DirectConfig | RewardConfig,
    *,
    name: str,
    body: Body | None = None,
    machine: Machine = MACHINE,
    dev: float = 0.0,
    **sets: Iterable[Comparison | Feedback],
) -> tuple[StageContext, list[dict[str, float]], list[str]]:
    """One stage over these sets, with what it said."""
    folder.mkdir(exist_ok=True)
    inputs = {"base": base}
    for kind, rows in sets.items():
        place = folder / kind
        if not place.exists():
            write_dataset(place, rows, kind=kind, source="test", dev=dev)
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
    begun = direct.body(context, name=name) if body is None else body(context)
    rows = [dict(row) for row in begun]
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


def test_strengths_are_margins_in_training_and_held_out(tmp_path: Path, base: Artifact) -> None:
    """At the reference a pair with margin m costs ln(1 + e^m); strengths 4, 3, 2, 1 have 1, 2/3,
    1/3, 0 of the setting, an own margin stays, and how many there are is noted and told."""
    costs = [math.log1p(math.exp(m)) for m in (1, 2 / 3, 1 / 3, 0, 2, 0)]
    rows = [pair(i, strength=4 - i) for i in range(4)]
    rows += [pair(4, strength=4, margin=2.0), pair(5)]
    still = OptimizerSettings(learning_rate=1e-12)
    config = DPOConfig(**SMALL | {"batch_prompts": 6}, strength_margin=1.0, optimizer=still)
    context, found, told = run(tmp_path / "a", base, config, name="dpo", preferences=rows)
    assert found[0]["loss"] == pytest.approx(sum(costs) / 6, abs=1e-4)
    assert context.notes["strengths"] == {"1": 1, "2": 1, "3": 1, "4": 1}
    assert any("3 of 6 training comparisons have a margin" in text for text in told)
    strong = [pair(i, strength=4) for i in range(8)]
    _, found, _ = run(tmp_path / "b", base, config, name="dpo", dev=0.5, preferences=strong)
    assert found[-1]["preference/dev_loss"] == pytest.approx(costs[0], abs=1e-4)
    plain = [pair(i, strength=1) for i in range(6)]
    _, _, told = run(tmp_path / "c", base, config, name="dpo", preferences=plain)
    assert any("strength_margin changes nothing" in text for text in told)


def test_without_a_reference_none_is_read(tmp_path: Path, base: Artifact) -> None:
    """CPO is not held to anything that a reference said, and its likelihood is shown."""
    config = DPOConfig(reference_free=True, nll=1.0, **SMALL)
    _, found, told = run(tmp_path, base, config, name="dpo", preferences=[pair(0), pair(1)])
    assert not (tmp_path / "cache").exists()
    assert not any("every response" in text for text in told)
    assert found[0]["preference/chosen_nll"] > 0
    assert "preference/chosen_drift" not in found[0]


@pytest.mark.parametrize(
    ("config", "reads"),
    [
        (DPOConfig(**SMALL), True),
        (DPOConfig(loss=PairLoss.HINGE, **SMALL), True),
        (DPOConfig(loss=PairLoss.NCA, **SMALL), False),
        (IPOConfig(**SMALL), False),
    ],
)
def test_margins_that_are_not_read_are_told(
    tmp_path: Path, base: Artifact, config: DirectConfig, reads: bool
) -> None:
    rows = [pair(0, margin=0.5), pair(1), pair(2, margin=1.0)]
    _, _, told = run(tmp_path, base, config, name="dpo", preferences=rows)
    assert any("2 training pairs have a margin, which" in text for text in told) != reads


@pytest.mark.parametrize("objective", ["bradley-terry", "plackett-luce"])
def test_strengths_are_margins_of_a_reward_model(
    tmp_path: Path, base: Artifact, objective: Any
) -> None:
    """The same lead d costs ln(1 + e^-d) without the setting and ln(1 + e^(m - d)) with it."""
    shared: dict[str, Any] = {"adapter": AdapterSettings(rank=2), "scale_prompts": 2}
    losses = []
    for most in (0.0, 3.0):
        config = RewardConfig(objective=objective, strength_margin=most, **shared)
        context, found, _ = run(
            tmp_path,
            base,
            config,
            name="reward",
            body=reward.body,
            preferences=[pair(0, strength=3)],
        )
        losses.append(found[0]["loss"])
    assert context.notes["strengths"] == {"3": 1}
    lead = -math.log(math.expm1(losses[0]))
    assert losses[1] == pytest.approx(math.log1p(math.exp(2 - lead)), rel=1e-5)


@pytest.mark.parametrize("config", [DPOConfig(**SMALL), KTOConfig(**SMALL)], ids=["dpo", "kto"])
def test_what_is_about_one_criterion_moves_no_policy(
    tmp_path: Path, base: Artifact, config: DPOConfig | KTOConfig
) -> None:
    """The rows of the whole answer, alone and between others that say the contrary."""
    name = type(config).__name__.removesuffix("Config").lower()
    rows = [pair(i) for i in range(4)]
    thumbs = [thumb(i, good=i > 0) for i in range(2)]
    sets = {"feedback": thumbs} if name == "kto" else {}
    alone, _, _ = run(tmp_path / "a", base, config, name=name, preferences=rows, **sets)
    mixed = [one for row in rows for one in (replace(row, tiers=(1, 0), criterion="wit"), row)]
    beside, _, told = run(tmp_path / "b", base, config, name=name, preferences=mixed, **sets)
    assert weights(beside) == weights(alone)
    assert beside.notes["left_out"] == {"about a criterion that is not learned": 4}
    assert beside.notes["other_criteria"] == {"wit": 4}
    assert any("comparisons about wit (4) are not used here" in text for text in told)
    with pytest.raises(
        DataError, match=r"criteria that are not learned: wit(.|\n)*reward.criteria"
    ):
        run(tmp_path / "c", base, DPOConfig(**SMALL), name="dpo", preferences=mixed[::2])


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


def test_answers_that_are_all_bad_are_counted_and_none_of_them_is_good(
    tmp_path: Path, base: Artifact
) -> None:
    """A tie of them too; they enter the balance, so that good ones weigh twice here. Alone they are
    refused."""
    pairs = [pair(i) for i in range(4)]
    bad = [pair(4, all_bad=True), pair(5, label=0.5, all_bad=True)]
    context, found, told = run(
        tmp_path / "a", base, KTOConfig(**SMALL), name="kto", preferences=[*pairs, *bad]
    )
    assert (context.notes["all_bad_pairs"], context.notes["ties_left_out"]) == (2, 0)
    assert any("2 pairs are of answers called all bad" in text for text in told)
    # Each side of a pair weighs half of it.
    assert context.notes["desirable"] == {"answers": pytest.approx(2), "weight": pytest.approx(2)}
    assert context.notes["undesirable"] == {"answers": pytest.approx(4), "weight": 1.0}
    assert len(found) == 2
    with pytest.raises(DataError, match="called good and answers that were called bad"):
        run(tmp_path / "b", base, KTOConfig(**SMALL), name="kto", preferences=bad)


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
