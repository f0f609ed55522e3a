"""Which rows a step takes, and how a gradient becomes a step."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from accord.algorithms.descent import add, batch_rows, descend, fresh_state, step_count, texts
from accord.algorithms.settings import OptimizerSettings, Schedule
from accord.core.errors import DataError, DivergenceError
from accord.models.state import TrainState
from accord.text.tokenized import Tokenized


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "steps"),
    [(10, 5, 1, 2), (10, 4, 1, 3), (10, 4, 2, 5), (3, 16, 1, 1), (10, 1, 0.01, 1), (10, 5, 0.3, 1)],
)
def test_step_counts_by_hand(rows: int, batch: int, epochs: float, steps: int) -> None:
    assert step_count(rows, batch, epochs) == steps


def test_nothing_to_train_on_is_an_error() -> None:
    with pytest.raises(DataError, match="nothing to train on"):
        step_count(0, 4, 1.0)


@given(rows=st.integers(1, 40), batch=st.integers(1, 50), seed=st.integers(0, 9))
def test_every_pass_takes_every_row_once(rows: int, batch: int, seed: int) -> None:
    steps = -(-3 * rows // batch)
    taken = [i for step in range(steps) for i in batch_rows(rows, batch, step, seed)]
    for epoch in range(3):
        assert Counter(taken[epoch * rows : (epoch + 1) * rows]) == Counter(range(rows))


def test_order_is_a_function_of_seed_and_step() -> None:
    one = [batch_rows(100, 10, step, 5) for step in range(20)]
    assert one == [batch_rows(100, 10, step, 5) for step in reversed(range(20))][::-1]
    assert one[:10] != [batch_rows(100, 10, step, 6) for step in range(10)]
    assert one[:10] != one[10:]


def state_of(settings: OptimizerSettings) -> TrainState:
    model = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    state = fresh_state(model.named_parameters(), settings)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    return state


def test_the_first_adamw_step_by_hand() -> None:
    settings = OptimizerSettings(
        learning_rate=0.1, schedule=Schedule.CONSTANT, warmup_share=0, weight_decay=0.5
    )
    state = state_of(settings)
    found = descend(state, settings, steps=4, batch=None)
    # Both moments are bias-corrected to the gradient: a step of the rate against its sign, after
    # decoupled decay of 1 - .1 * .5. Clipping to norm 1 does not change the sign.
    assert found == {"learning_rate": 0.1, "grad_norm": pytest.approx(5.0)}
    weight = state.parameters["weight"]
    assert weight.detach().tolist() == [pytest.approx([0.95 - 0.1] * 2, abs=1e-6)]
    assert weight.grad is None


@pytest.mark.parametrize(("limit", "length"), [(1.0, 1.0), (0.0, 5.0), (9.0, 5.0)])
def test_clipping(limit: float, length: float) -> None:
    settings = OptimizerSettings(max_grad_norm=limit, beta1=0.0)
    state = state_of(settings)
    descend(state, settings, steps=4, batch=None)
    (moments,) = state.optimizer.state.values()
    assert moments["exp_avg"].norm().item() == pytest.approx(length, rel=1e-4)


def test_the_rate_follows_step_and_schedule() -> None:
    settings = OptimizerSettings(
        learning_rate=1.0, schedule=Schedule.LINEAR, warmup_share=0.2, final_share=0.1
    )
    rates = []
    state = state_of(settings)
    for _ in range(10):
        state.parameters["weight"].grad = torch.ones(1, 2)
        rates.append(descend(state, settings, steps=10, batch=None)["learning_rate"])
        state.step += 1
    assert rates[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert rates[-1] == pytest.approx(0.1)
    assert rates[2:] == sorted(rates[2:], reverse=True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_changes_no_weight(bad: float) -> None:
    settings = OptimizerSettings()
    state = state_of(settings)
    state.parameters["weight"].grad = torch.tensor([[1.0, bad]])
    with pytest.raises(DivergenceError, match="no longer finite") as caught:
        descend(state, settings, steps=4, batch=[[1, 2]])
    assert caught.value.batch == [[1, 2]]
    assert state.parameters["weight"].detach().tolist() == [[1.0, 1.0]]


def test_parts_add_up_and_rows_become_lists() -> None:
    total = {"loss": 1.0}
    add(total, {"loss": torch.tensor(0.5), "preference/margin": torch.tensor(2.0)})
    assert total == {"loss": 1.5, "preference/margin": 2.0}
    assert texts([Tokenized((1, 2), (True, False))]) == [[1, 2]]
