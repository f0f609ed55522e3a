"""The reward model's loop under every objective, and with several heads on one trunk."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from accord.algorithms import reward_model, ties
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.reward_model import bootstrap, levels, raw_scores, train
from accord.algorithms.settings import OptimizerSettings, RewardConfig, RewardObjective
from accord.core.errors import ConfigError, DivergenceError, InvariantError
from accord.core.types import Comparison, Conversation
from accord.models.head import Heads, ScalarHead
from accord.models.ragged import Ragged
from accord.models.role import Role
from tests.algorithms.loops import (
    check_resume,
    close,
    comparisons,
    first_gradients,
    raw_comparisons,
    template,
)
from tests.algorithms.loops import reward_run as run
from tests.models.workshop import furthest, with_adapters

PLAIN = RewardConfig(batch_prompts=6, optimizer=OptimizerSettings(learning_rate=3e-3))
CONFIGS = {
    "rao-kupper": replace(PLAIN, objective="rao-kupper"),
    "davidson": replace(PLAIN, objective="davidson"),
    "plackett-luce": replace(PLAIN, objective="plackett-luce", centring=0.1),
    "three heads": replace(PLAIN, heads=3),
}


def scorer(folder: Path, heads: int = 1) -> Role:
    backbone = with_adapters(folder, "reward")
    size = backbone.hidden_size
    head = ScalarHead(size, seed=1) if heads == 1 else Heads(size, heads, seed=1)
    return Role(backbone, ("reward",), head)


def scores_of(model: Role, data: TokenComparisons) -> np.ndarray:
    return raw_scores([data.responses[i] for i in range(len(data.responses))], model, 10_000)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_cut_of_a_batch_changes_nothing(
    tiny_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, data = CONFIGS[name], comparisons(tiny_folder, 14)
    model = scorer(tiny_folder, config.heads)
    metrics, gradients = first_gradients(
        monkeypatch, reward_model, run(config, model, data, tokens=10)[1]
    )
    again, other = first_gradients(
        monkeypatch, reward_model, run(config, model, data, tokens=9999)[1]
    )
    close(again, metrics)
    assert furthest(other, gradients) < 2e-5


def test_whole_rankings_reach_the_loss(tiny_folder: Path) -> None:
    """By the mean over all orders that the tiers allow; a prompt's weight is shared by choices."""
    data, raw = comparisons(tiny_folder, 14), raw_comparisons(14)
    model = scorer(tiny_folder)
    config = replace(CONFIGS["plackett-luce"], centring=0.0)
    score, total, weight = scores_of(model, data), 0.0, 0.0
    starts = np.cumsum([0, *(len(row.responses) for row in raw)])
    best, told = 0.0, 0.0
    for number in batch_rows(14, 6, 0, 3):
        row, mine = raw[number], score[starts[number] : starts[number + 1]]
        sides = [(row.tiers, 1.0, row.margin)]
        if row.label is not None:
            sides = [((0, 1), row.label, row.margin), ((1, 0), 1 - row.label, -row.margin)]
        for tiers, share, margin in sides:
            own = row.weight * share / (len(tiers) - 1)
            total += own * _orders(mine, tiers, margin)
            weight += own
            if max(tiers) > 0:
                told += own
                best += own * float(tiers[int(mine.argmax())] == 0)
    row = next(run(config, model, data)[1])
    assert row["loss"] == pytest.approx(total / weight, rel=1e-5)
    assert row["preference/best_first"] == pytest.approx(best / told, rel=1e-5)


def _orders(score: np.ndarray, tiers: tuple[int, ...], margin: float) -> float:
    """Mean negative log-likelihood over the orders; what ranks below has the margin more."""
    found = []
    for order in permutations(range(len(tiers))):
        if any(tiers[a] > tiers[b] for a, b in pairwise(order)):
            continue
        nll = 0.0
        for place, one in enumerate(order):
            left = [score[i] + margin * (tiers[i] > tiers[one]) for i in order[place:]]
            nll += np.log(np.exp(left).sum()) - score[one]
        found.append(nll)
    return float(np.mean(found))


def test_rankings_of_pairs_are_the_pairs(tiny_folder: Path) -> None:
    """Where no comparison has more than two responses, both objectives are one."""
    rows = [row for row in raw_comparisons(18) if len(row.responses) == 2]
    data = TokenComparisons.build(rows, template(tiny_folder).tokenize_answer, max_tokens=500)
    model = scorer(tiny_folder)
    pairs = dict(next(run(PLAIN, model, data)[1]))
    config = replace(PLAIN, objective="plackett-luce")
    ranked = dict(next(run(config, scorer(tiny_folder), data)[1]))
    ranked.pop("preference/best_first")
    close(ranked, pairs)


@pytest.mark.parametrize("objective", ["rao-kupper", "davidson"])
def test_the_tie_parameter_starts_at_the_share_of_ties_and_learns(
    tiny_folder: Path, objective: RewardObjective
) -> None:
    data = comparisons(tiny_folder, 14)
    config = replace(PLAIN, objective=objective, batch_prompts=14)
    model = scorer(tiny_folder)
    assert model.head is not None
    model.head.say(0.0)
    state, rows = run(config, model, data, steps=3)
    before = ties.value(config, state)
    found = [dict(row) for row in rows]
    after = ties.value(config, state)
    assert before is not None
    assert after is not None
    assert found[0]["preference/tie"] == pytest.approx(float(before.detach()))
    tied = data.label_P == 0.5
    share = (data.weight_P[tied].sum() + 0.5 * data.weight_P.mean()) / (
        data.weight_P.sum() + data.weight_P.mean()
    )
    assert found[0]["preference/ties_expected"] == pytest.approx(share, rel=1e-4)
    assert found[0]["preference/ties"] == pytest.approx(
        float(data.weight_P[tied].sum() / data.weight_P.sum()), rel=1e-4
    )
    assert abs(float(after.detach()) - float(before.detach())) > 0.01
    assert "tie" in state.parameters


def test_a_given_tie_parameter_stays(tiny_folder: Path) -> None:
    data = comparisons(tiny_folder, 8)
    config = replace(CONFIGS["davidson"], tie=-0.4)
    state, rows = run(config, scorer(tiny_folder), data, steps=2)
    assert [row["preference/tie"] for row in rows] == pytest.approx([-0.4, -0.4])
    assert "tie" not in state.parameters


def test_a_state_without_the_tie_parameter_is_refused(tiny_folder: Path) -> None:
    data, model = comparisons(tiny_folder, 8), scorer(tiny_folder)
    state = fresh_state(model.trained(), PLAIN.optimizer)
    rows = train(
        CONFIGS["davidson"],
        data=data,
        model=model,
        state=state,
        steps=1,
        seed=3,
        micro_batch_tokens=200,
    )
    with pytest.raises(InvariantError, match="tie parameter"):
        next(rows)


@pytest.mark.parametrize("name", ["davidson", "three heads"])
def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path, name: str) -> None:
    data, config = comparisons(tiny_folder, 10), CONFIGS[name]
    check_resume(
        lambda: run(config, scorer(tiny_folder, config.heads), data, steps=3), tmp_path, stop=2
    )


def test_a_head_learns_from_its_own_sample_alone(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With draws of once, never and twice: the plain gradient, none, and twice the plain one."""
    data, model = comparisons(tiny_folder, 14), scorer(tiny_folder, 3)
    assert isinstance(model.head, Heads)
    for part in model.head.parts[1:]:
        part.load_state_dict(model.head.parts[0].state_dict())
    draws = torch.tensor([[1.0, 0.0, 2.0]]).expand(14, 3)
    monkeypatch.setattr(reward_model, "bootstrap", lambda *_: draws)
    _, gradients = first_gradients(
        monkeypatch, reward_model, run(CONFIGS["three heads"], model, data)[1]
    )
    once, never, twice = (gradients[f"head.parts.{h}.weight"] for h in range(3))
    assert once.abs().max() > 1e-4
    assert not never.any()
    torch.testing.assert_close(twice, 2 * once)


def test_heads_share_a_trunk_and_disagree(tiny_folder: Path) -> None:
    data, model = comparisons(tiny_folder, 10), scorer(tiny_folder, 3)
    _, rows = run(CONFIGS["three heads"], model, data, steps=3)
    found = [dict(row) for row in rows]
    assert all(row["preference/disagreement"] > 0 for row in found)
    batch = Ragged.of([data.responses[i] for i in range(6)])
    with torch.no_grad():
        each, mean = model.raw_scores_each(batch), model.raw_scores(batch)
    assert each.shape == (6, 3)
    torch.testing.assert_close(each.mean(1), mean)
    assert each.std(1).min() > 1e-4


def test_heads_are_brought_to_one_level(tiny_folder: Path) -> None:
    """The mean says what it said; every head says as much of the texts that were named."""
    data, model = comparisons(tiny_folder, 10), scorer(tiny_folder, 3)
    rows = [data.responses[i] for i in range(len(data.responses))]
    assert isinstance(model.head, Heads)
    before = raw_scores(rows, model, 10_000)
    at_first = levels(rows, model, 200)
    assert at_first.std() > 1e-3
    model.head.level(at_first)
    after = levels(rows, model, 10_000)
    torch.testing.assert_close(after, at_first.mean().expand(3), atol=1e-5, rtol=0)
    np.testing.assert_allclose(raw_scores(rows, model, 10_000), before, atol=1e-5)


def test_the_bootstrap_follows_from_its_seed() -> None:
    one = bootstrap(4000, 3, seed=5)
    assert torch.equal(one, bootstrap(4000, 3, seed=5))
    assert not torch.equal(one, bootstrap(4000, 3, seed=6))
    assert one.mean(0).tolist() == pytest.approx([1, 1, 1], abs=0.08)
    assert (one == 0).float().mean().item() == pytest.approx(math.exp(-1), abs=0.03)
    assert torch.equal(bootstrap(3, 1, seed=5), torch.ones(3, 1))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_score_that_is_no_number_stops_the_run(tiny_folder: Path, name: str) -> None:
    config = CONFIGS[name]
    model = scorer(tiny_folder, config.heads)
    assert model.head is not None
    with torch.no_grad():
        next(model.head.parameters()).fill_(math.nan)
    with pytest.raises(DivergenceError, match="no longer finite"):
        next(run(config, model, comparisons(tiny_folder, 8))[1])


def test_rankings_of_a_unit_by_hand(tiny_folder: Path) -> None:
    ask = Conversation.of("?")
    rows = [
        Comparison(prompt=ask, responses=("a", "b", "c"), tiers=(1, 0, 1), weight=3.0),
        Comparison(prompt=ask, responses=("c", "a"), tiers=(0, 1), label=0.25, margin=0.5),
        Comparison(prompt=Conversation.of("!"), responses=("d", "e"), tiers=(0, 0), label=0.5),
    ]
    data = TokenComparisons.build(rows, template(tiny_folder).tokenize_answer, max_tokens=500)
    ranked = data.rankings(data.batch([1, 0]))
    # Rows of the batch: d e of the second unit, then a b c of the first.
    assert ranked.row_GK.tolist() == [[0, 1, 0], [2, 3, 4], [4, 2, 0], [4, 2, 0]]
    assert ranked.tier_GK.tolist() == [[0, 0, -1], [1, 0, 1], [0, 1, -1], [1, 0, -1]]
    assert ranked.weight_G.tolist() == [1.0, 1.5, 0.25, 0.75]
    assert ranked.margin_G.tolist() == [0.0, 0.0, -0.5, 0.5]
    assert ranked.unit_G.tolist() == [0, 1, 1, 1]
    assert data.most_tied == 2


@pytest.mark.parametrize(
    "words",
    [
        {"tie": 0.3},
        {"objective": "rao-kupper", "tie": 0.0},
        {"objective": "davidson", "tie": math.nan},
        {"centring": -1.0},
        {"heads": 0},
    ],
)
def test_settings_that_mean_nothing_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RewardConfig(**words)  # type: ignore[arg-type]
