"""Every objective in the one loop of direct alignment: cut batches, resume, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from accord.algorithms import direct
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.direct import Known, answer_logprobs, raw_heads, read_once, train
from accord.algorithms.settings import (
    DirectConfig,
    DistilledConfig,
    DPOConfig,
    IPOConfig,
    KTOConfig,
    OptimizerSettings,
    ORPOConfig,
    PairLoss,
    SimPOConfig,
)
from accord.algorithms.thumbs import TokenThumbs, balanced, from_pairs
from accord.core.errors import ConfigError, DivergenceError, ModelError
from accord.models.role import Role, ScalarHead
from tests.algorithms.loops import Run, check_resume, comparisons, first_gradients
from tests.models.workshop import Folders, furthest, load, perturb, with_adapters

RATE = OptimizerSettings(learning_rate=2e-3)
SHARED: dict[str, Any] = {"batch_prompts": 6, "optimizer": RATE}
CONFIGS: dict[str, DirectConfig] = {
    "dpo": DPOConfig(beta=0.3, **SHARED),
    "cdpo": DPOConfig(beta=0.3, smoothing=0.1, **SHARED),
    "rdpo": DPOConfig(beta=0.3, smoothing=0.1, robust=True, **SHARED),
    "dpop": DPOConfig(beta=0.3, dpop=5.0, **SHARED),
    "nll": DPOConfig(beta=0.3, nll=0.5, **SHARED),
    "cpo": DPOConfig(beta=0.3, reference_free=True, nll=0.5, **SHARED),
    "slic": DPOConfig(beta=0.3, reference_free=True, nll=0.5, loss=PairLoss.HINGE, **SHARED),
    "hinge": DPOConfig(beta=0.3, loss=PairLoss.HINGE, **SHARED),
    "exo": DPOConfig(beta=0.3, loss=PairLoss.EXO, smoothing=0.01, **SHARED),
    "nca": DPOConfig(beta=0.3, loss=PairLoss.NCA, **SHARED),
    "bco": DPOConfig(beta=0.3, loss=PairLoss.BCO, **SHARED),
    "sppo": DPOConfig(beta=0.3, loss=PairLoss.SPPO, **SHARED),
    "apo_zero": DPOConfig(beta=0.3, loss=PairLoss.APO_ZERO, **SHARED),
    "apo_down": DPOConfig(beta=0.3, loss=PairLoss.APO_DOWN, **SHARED),
    "ipo": IPOConfig(beta=0.3, **SHARED),
    "ipo_tokens": IPOConfig(beta=0.3, per_token=True, **SHARED),
    "kto": KTOConfig(beta=0.3, **SHARED),
    "orpo": ORPOConfig(**SHARED),
    "simpo": SimPOConfig(**SHARED),
    "distilled": DistilledConfig(beta=0.3, **SHARED),
    "distilled, pessimistic": DistilledConfig(beta=0.3, pessimism=0.05, **SHARED),
}


def roles(folder: Path, *, moved: bool = True) -> tuple[Role, Role]:
    """Policy and reference; `moved` where the policy has left the reference."""
    backbone = with_adapters(folder, "sft")
    backbone.train_adapter("sft", False)
    backbone.add_adapter("aligned", rank=4, alpha=8, seed=1)
    if moved:
        perturb(backbone, "aligned", seed=1, size=0.02)
    return Role(backbone, ("sft", "aligned")), Role(backbone, ("sft",))


def thumbs(data: TokenComparisons, *, max_tokens: int = 500) -> TokenThumbs:
    """The same judgements as good and bad answers."""
    return TokenThumbs(from_pairs(data)[0], max_tokens=max_tokens)


def scores(data: Any) -> Known:
    """Three made-up reward models."""
    generator = torch.Generator().manual_seed(5)
    return Known(rewards=torch.randn(len(data.responses), 3, generator=generator))


def run(
    folder: Path,
    name: str,
    *,
    pair: tuple[Role, Role] | None = None,
    units: int = 14,
    dev: int = 0,
    steps: int = 1,
    tokens: int = 200,
    **more: Any,
) -> Run:
    config = replace(CONFIGS[name], **more)
    policy, reference = pair or roles(folder)
    sets: list[Any] = [
        comparisons(folder, count, seed=8 * n) for n, count in enumerate((units, dev))
    ]
    if isinstance(config, KTOConfig):
        sets = [thumbs(one) for one in sets]
    state = fresh_state(policy.trained(), config.optimizer)
    rows = train(
        config,
        data=sets[0],
        dev=sets[1],
        policy=policy,
        reference=reference,
        state=state,
        steps=steps,
        seed=3,
        micro_batch_tokens=tokens,
        known=scores(sets[0]),
        dev_known=scores(sets[1]),
    )
    return state, rows


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_but_the_batch_changes_loss_and_gradient(
    tiny_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is cut, in whatever order, the reference known or not: KTO's reference point and
    the member of a pessimistic distillation are the batch's too."""
    pair = roles(tiny_folder)
    metrics, gradients = first_gradients(monkeypatch, direct, run(tiny_folder, name, pair=pair)[1])
    assert max(float(slope.abs().max()) for slope in gradients.values()) > 1e-6

    def same(tokens: int, **more: Any) -> None:
        rows = run(tiny_folder, name, pair=pair, tokens=tokens, **more)[1]
        again, other = first_gradients(monkeypatch, direct, rows)
        assert again == pytest.approx(metrics, rel=1e-4, abs=2e-5)
        assert furthest(other, gradients) < 1e-4

    same(10)
    more = {"cache_reference": False} if hasattr(CONFIGS[name], "cache_reference") else {}
    same(9999, **more)
    if name != "kto":  # whose rotation is of the batch's order
        monkeypatch.setattr(direct, "batch_rows", lambda *a: batch_rows(*a)[::-1])
        same(200)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_learns(tiny_folder: Path, name: str) -> None:
    pair = roles(tiny_folder, moved=False)
    found = list(run(tiny_folder, name, pair=pair, units=6, dev=4, steps=6)[1])
    assert found[-1]["loss"] < found[0]["loss"]
    if not name.startswith("distilled"):
        assert found[-1]["preference/margin"] > found[0]["preference/margin"]
    assert math.isfinite(found[-1]["preference/dev_loss"])
    assert ("preference/dev_accuracy" in found[-1]) == (name != "kto")


@pytest.mark.parametrize("name", ["kto", "orpo", "bco", "distilled, pessimistic"])
def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    def make() -> Run:
        pair = roles(tiny_folder, moved=False)
        return run(tiny_folder, name, pair=pair, units=10, dev=4, steps=3)

    check_resume(make, tmp_path, stop=1)


def test_distillation_makes_the_implicit_reward_the_explicit_one(tiny_folder: Path) -> None:
    """Of one reward model its leads are learned, whatever the labels say."""
    state, rows = run(
        tiny_folder, "distilled", pair=roles(tiny_folder, moved=False), units=2, steps=16
    )
    found = list(rows)
    assert found[-1]["loss"] < 0.5 * found[0]["loss"]
    gap = abs(found[-1]["preference/margin"] - found[-1]["preference/reward_margin"])
    assert gap < abs(found[0]["preference/margin"] - found[0]["preference/reward_margin"])
    assert state.step == 16


def test_kto_answer_by_answer(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole step again from the paper, one answer at a time, its reference point too."""
    pair = roles(tiny_folder)
    metrics, _ = first_gradients(monkeypatch, direct, run(tiny_folder, "kto", pair=pair)[1])
    data = thumbs(comparisons(tiny_folder, 14))
    weights = balanced(KTOConfig(), data)
    assert weights.desirable is not None
    assert weights.undesirable is not None
    chosen = batch_rows(len(data), 6, 0, 3)

    def drift(row: Any) -> float:
        with torch.no_grad():
            policy, reference = (float(answer_logprobs(role, [row])) for role in pair)
        return policy - reference

    apart = [drift(row) for row in data.mismatched(chosen)]
    z0 = max(0.0, sum(apart) / len(apart))
    batch = data.batch(chosen)
    total = 0.0
    for row, label, weight in zip(batch.rows, batch.label_B, batch.weight_B, strict=True):
        lead = 0.3 * (drift(row) - z0)
        good = weights.desirable / (1 + math.exp(lead))
        bad = weights.undesirable / (1 + math.exp(-lead))
        total += float(weight) * (float(label) * good + (1 - float(label)) * bad)
    assert metrics["preference/kl"] == pytest.approx(z0, rel=1e-3, abs=1e-4)
    assert metrics["loss"] == pytest.approx(total / float(batch.weight_B.sum()), rel=1e-4)


def test_a_reference_of_another_vocabulary_is_refused(
    tiny_folder: Path, folder_of: Folders
) -> None:
    policy, _ = roles(tiny_folder)
    stranger = Role(load(folder_of("llama")))
    with pytest.raises(ModelError, match="another vocabulary"):
        next(run(tiny_folder, "ipo", pair=(policy, stranger))[1])


def test_distillation_without_scores_is_refused(tiny_folder: Path) -> None:
    data, (policy, reference) = comparisons(tiny_folder, 4), roles(tiny_folder)
    rows = train(
        CONFIGS["distilled"],
        data=data,
        dev=data,
        policy=policy,
        reference=reference,
        state=fresh_state(policy.trained(), RATE),
        steps=1,
        seed=0,
        micro_batch_tokens=200,
        known=scores(data),
    )
    with pytest.raises(ConfigError, match="reward model"):
        next(rows)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_finite_number_stops_the_run(tiny_folder: Path, bad: float) -> None:
    """With the rows that it was given to, before anything was trained on it."""
    backbone = with_adapters(tiny_folder, "reward")
    head = ScalarHead(backbone.hidden_size, seed=1)
    reward = Role(backbone, ("reward",), head)
    data = comparisons(tiny_folder, 4)
    rows = [data.responses[i] for i in range(4)]
    assert read_once(raw_heads, reward, rows, 100).shape == (4, 1)
    with torch.no_grad():
        head.bias.fill_(bad)
    with pytest.raises(DivergenceError, match="not finite") as caught:
        read_once(raw_heads, reward, rows, 100)
    assert isinstance(caught.value.batch, list)
    assert caught.value.batch[0] == [int(token) for token in rows[0].ids]


Make = Callable[[], DirectConfig]


@pytest.mark.parametrize(
    "make",
    [
        lambda: DPOConfig(robust=True),
        lambda: DPOConfig(smoothing=0.5),
        lambda: DPOConfig(margin=-1),
        lambda: IPOConfig(beta=0),
        lambda: KTOConfig(batch_prompts=1),
        lambda: KTOConfig(desirable=0.0),
        lambda: ORPOConfig(lam=-0.1),
        lambda: SimPOConfig(gamma=-1),
        lambda: DistilledConfig(pessimism=-0.1),
    ],
)
def test_settings_out_of_bounds_are_refused(make: Make) -> None:
    with pytest.raises(ConfigError):
        make()
