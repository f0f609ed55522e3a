"""Heads of criteria: each learns its own comparisons, and the score is their weighted sum."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from accord.algorithms import reward_model
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.direct import raw_heads
from accord.algorithms.doubt import last_states
from accord.algorithms.reward_model import (
    leads,
    raw_by_criterion,
    raw_scores,
    scale_of,
    standardised,
    weighed_leads,
)
from accord.algorithms.settings import OptimizerSettings, RewardConfig
from accord.core.errors import ConfigError, DataError, ModelError
from accord.core.types import Comparison
from accord.models.head import CRITERIA_FILE, Criterion, CriterionHeads, ScalarHead, load_head
from accord.models.ragged import Ragged
from accord.models.role import Role, Scale, save_head
from tests.algorithms.loops import close, first_gradients, raw_comparisons, template
from tests.algorithms.loops import reward_run as run
from tests.models.workshop import furthest, with_adapters

NAMES = ("kind", "brief")
PLAIN = RewardConfig(
    batch_prompts=6, criteria=NAMES, optimizer=OptimizerSettings(learning_rate=1e-2)
)
CONFIGS = {
    "bradley-terry": replace(PLAIN, centring=0.1),
    "rao-kupper": replace(PLAIN, objective="rao-kupper"),
    "davidson": replace(PLAIN, objective="davidson"),
    "plackett-luce": replace(PLAIN, objective="plackett-luce"),
}


def scorer(folder: Path, criteria: Sequence[Criterion] = tuple(map(Criterion, NAMES))) -> Role:
    backbone = with_adapters(folder, "reward")
    return Role(backbone, ("reward",), CriterionHeads(backbone.hidden_size, criteria, seed=1))


def tokens_of(
    folder: Path, rows: Sequence[Comparison], names: Sequence[str] = NAMES
) -> TokenComparisons:
    chat = template(folder)
    return TokenComparisons.build(rows, chat.tokenize_answer, max_tokens=500, criteria=names)


def several(count: int) -> list[Comparison]:
    """Pairs and groups with ties, margins and soft labels; every third prompt is judged for both
    criteria, the others for one."""
    rows = []
    for number, row in enumerate(raw_comparisons(count)):
        for place, name in enumerate(NAMES):
            if number % 3 in (place, 2):
                rows.append(replace(row, criterion=name, weight=row.weight + place))
    return rows


def contrary(count: int, *, first: str = "kind") -> list[Comparison]:
    """What the one criterion prefers of each pair the other one does not."""
    rows = [row for row in raw_comparisons(3 * count) if len(row.responses) == 2][:count]
    plain = [replace(row, tiers=(0, 1), label=None, margin=0.0, weight=1.0) for row in rows]
    return [
        replace(row, criterion=name, tiers=(0, 1) if name == first else (1, 0))
        for row in plain
        for name in NAMES
    ]


def every(data: TokenComparisons) -> list[object]:
    return [data.responses[i] for i in range(len(data.responses))]


def weigh(model: Role, data: TokenComparisons, *weights: float) -> None:
    """Standardise the heads over all responses, and give them these weights."""
    head = model.head
    assert isinstance(head, CriterionHeads)
    named = [replace(one, weight=w) for one, w in zip(head.criteria, weights, strict=True)]
    head.measured(standardised(named, raw_by_criterion(every(data), model, 10_000)))


def test_criteria_by_hand_learn_contrary_labels_each_its_own(tiny_folder: Path) -> None:
    data, model = tokens_of(tiny_folder, contrary(4)), scorer(tiny_folder)
    assert (len(data), data.pairs) == (4, 8)
    rows = [dict(row) for row in run(PLAIN, model, data, steps=20)[1]]
    assert rows[-1]["preference/accuracy"] == 1.0
    assert (leads(data, model, 10_000) > 0).all()
    kind = data.criterion_P == NAMES.index("kind")
    raw_RH = raw_by_criterion(every(data), model, 10_000)
    unit_RH = (raw_RH - raw_RH.mean(0)) / raw_RH.std(0)
    for weights, side in (((1.0, -1.0), kind), ((1.0, 0.0), kind), ((0.0, 2.0), ~kind)):
        weigh(model, data, *weights)
        score_R = raw_scores(every(data), model, 10_000)
        np.testing.assert_allclose(score_R, unit_RH @ np.array(weights), atol=1e-4)
        lead_P = weighed_leads(data, model, 10_000)
        # A pair lists its better response first, so that the other criterion's lead is below 0.
        assert ((lead_P > 0) == side).all()
    assert (leads(data, model, 10_000) > 0).all()  # what a head was trained to say has no weight


def test_criteria_by_hand_share_one_denominator(tiny_folder: Path) -> None:
    """The weighted mean over all pairs of the batch, each under its own head."""
    rows = several(6)
    data, model = tokens_of(tiny_folder, rows), scorer(tiny_folder)
    raw_RH = raw_by_criterion(every(data), model, 10_000)
    of_P = data.criterion_P
    lead_P = raw_RH[data.first_P, of_P] - raw_RH[data.second_P, of_P]
    lead_P -= data.margin_P * (data.label_P != 0.5)
    right_P = data.label_P * np.log(expit(lead_P)) + (1 - data.label_P) * np.log(expit(-lead_P))
    total = sum(row.weight for row in rows)
    assert data.weight_P.sum() == pytest.approx(total)
    row = next(run(PLAIN, model, data)[1])
    assert row["loss"] == pytest.approx(-(data.weight_P * right_P).sum() / total, rel=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_criteria_property_the_cut_of_a_batch_changes_nothing(
    tiny_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = tokens_of(tiny_folder, several(9)), scorer(tiny_folder)
    metrics, gradients = first_gradients(
        monkeypatch, reward_model, run(CONFIGS[name], model, data, tokens=10)[1]
    )
    again, other = first_gradients(
        monkeypatch, reward_model, run(CONFIGS[name], model, data, tokens=9999)[1]
    )
    close(again, metrics)
    assert furthest(other, gradients) < 2e-5
    assert all(gradients[f"head.parts.{place}.weight"].any() for place in range(2))


@pytest.mark.parametrize("objective", ["bradley-terry", "plackett-luce"])
def test_criteria_property_their_order_changes_nothing(tiny_folder: Path, objective: str) -> None:
    config = replace(PLAIN, objective=objective, optimizer=OptimizerSettings(learning_rate=1e-3))
    found = []
    for names in (NAMES, NAMES[::-1]):
        criteria = [Criterion(name, {"kind": 2.0, "brief": -0.5}[name]) for name in names]
        data, model = tokens_of(tiny_folder, several(9), names), scorer(tiny_folder, criteria)
        list(run(config, model, data, steps=3)[1])
        weigh(model, data, *(one.weight for one in criteria))
        found.append(raw_scores(every(data), model, 10_000))
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_criteria_property_weight_0_leaves_the_score_of_the_other(tiny_folder: Path) -> None:
    data, model = tokens_of(tiny_folder, several(6)), scorer(tiny_folder)
    assert isinstance(model.head, CriterionHeads)
    alone = replace(model, head=model.head.parts[1])
    rows = every(data)
    weigh(model, data, 0.0, 3.0)
    found = []
    for role in (model, alone):
        raw = raw_scores(rows, role, 10_000)
        role.scale = scale_of(raw[:3], raw, shift_from="a", scale_from="b")
        with torch.no_grad():
            found.append(role.scores(Ragged.of(rows)))
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=0)


def test_criteria_gradient_of_a_pair_is_its_own_heads(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sum w (s(d) - p) (h_first - h_second) / sum w` for the one, nothing for the other."""
    rows = [replace(row, criterion="brief", margin=0.0) for row in raw_comparisons(6)]
    data, model = tokens_of(tiny_folder, rows), scorer(tiny_folder)
    state_RD = last_states(every(data), model, 10_000).double().numpy()
    apart_PD = state_RD[data.first_P] - state_RD[data.second_P]
    slope_P = data.weight_P * (expit(leads(data, model, 10_000)) - data.label_P)
    _, gradients = first_gradients(monkeypatch, reward_model, run(PLAIN, model, data)[1])
    own, other = (gradients[f"head.parts.{NAMES.index(n)}.weight"] for n in ("brief", "kind"))
    want = slope_P @ apart_PD / data.weight_P.sum()
    np.testing.assert_allclose(own.numpy(), want, atol=1e-6)
    assert np.abs(want).max() > 1e-3
    assert not other.any()


def test_criteria_read_back_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    data, model = tokens_of(tiny_folder, several(6)), scorer(tiny_folder)
    weigh(model, data, 1 / 3, -0.7)
    model.scale = Scale(0.3, 2.0, "a", "b")
    saved = save_head(model, tmp_path)
    head, scale = load_head(model.backbone.hidden_size, tmp_path)
    again = replace(model, head=head, scale=scale)
    batch = Ragged.of(every(data))
    with torch.no_grad():
        assert torch.equal(again.scores(batch), model.scores(batch))
        by = again.raw_scores_by_criterion(batch)
        assert torch.equal(by, model.raw_scores_by_criterion(batch))
        # What distilled DPO learns from is the sum, as one opinion; a critic starts as it.
        assert torch.equal(raw_heads(again, every(data)), model.raw_scores(batch)[:, None])
        critic = replace(again, head=again.mean_head())
        torch.testing.assert_close(critic.scores(batch), model.scores(batch), atol=1e-5, rtol=0)
    assert isinstance(head, CriterionHeads)
    assert not any(parameter.requires_grad for parameter in head.parameters())
    assert save_head(again, tmp_path) == saved
    told = json.loads((tmp_path / CRITERIA_FILE).read_text())
    assert [(one["name"], one["weight"]) for one in told] == [("kind", 1 / 3), ("brief", -0.7)]
    assert not again.doubts
    with pytest.raises(ModelError, match="how unsure"):
        again.scores_and_doubts(batch)
    (tmp_path / CRITERIA_FILE).write_text(json.dumps(told[:1]))
    with pytest.raises(ModelError, match="cannot be read"):
        load_head(model.backbone.hidden_size, tmp_path)


def test_a_model_without_criteria_has_no_head_for_one(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "reward")
    role = Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=0))
    data = tokens_of(tiny_folder, several(3))
    with pytest.raises(ModelError, match=r"knows no criteria(.|\n)*reward.criteria"):
        role.raw_scores_by_criterion(Ragged.of(every(data)))


def test_a_criterion_of_which_all_answers_have_the_same_is_refused() -> None:
    raw_RH = np.array([[0.1, 3.0], [0.2, 3.0], [0.4, 3.0]])
    with pytest.raises(DataError, match="the same score of brief"):
        standardised([Criterion("kind"), Criterion("brief")], raw_RH)


def test_settings_name_what_each_head_learns() -> None:
    config = RewardConfig(criteria=("safety", "overall"), criteria_weights=(2.0, -1.0))
    assert config.about == ("safety", "")
    assert config.weighed == (("safety", 2.0), ("overall", -1.0))
    assert replace(config, criteria_weights=()).weighed == (("safety", 1.0), ("overall", 1.0))
    assert (RewardConfig().about, RewardConfig().weighed) == (("",), ())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"criteria": ("a", "a")}, "different names"),
        ({"criteria": ("a", "")}, "different names"),
        ({"criteria": ("a", "b"), "criteria_weights": (1.0,)}, "1 weights, 2 criteria"),
        ({"criteria_weights": (1.0,)}, "1 weights, 0 criteria"),
        ({"criteria": ("a", "b"), "criteria_weights": (0.0, 0.0)}, "counts"),
        ({"criteria": ("a",), "criteria_weights": (float("nan"),)}, "finite"),
        ({"criteria": ("a",), "heads": 3}, "no doubt"),
        ({"criteria": ("a",), "doubt_pairs": 30}, "no doubt"),
    ],
)
def test_criteria_that_mean_nothing_are_refused(words: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        RewardConfig(**words)  # type: ignore[arg-type]
