"""Objectives on pairs beside DPO: golden, by hand, as properties, by their gradients.

The golden input has log-ratios 1 and -.5, so h = 1.5; 5 tokens against 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import distilled, pair_losses, pairs, preference, reference_free
from accord.objectives.loss import Loss

logps = st.floats(-60, -0.5)
labels = st.floats(0, 1)
AGAINST = ("first_B", "second_B", "ref_first_B", "ref_second_B", "label_B", "weight_B")
LENGTHS = ("first_B", "second_B", "first_tokens_B", "second_tokens_B", "label_B", "weight_B")
GOLDEN: dict[str, list[float]] = {
    "first_B": [-10.0],
    "second_B": [-12.0],
    "ref_first_B": [-11.0],
    "ref_second_B": [-11.5],
    "first_tokens_B": [5.0],
    "second_tokens_B": [8.0],
    "label_B": [1.0],
    "weight_B": [1.0],
    "gap_B": [0.4],
}
OBJECTIVES: dict[str, tuple[Callable[..., Loss], tuple[str, ...], dict[str, float]]] = {
    "dpo": (preference.dpo, AGAINST, {"beta": 0.1}),
    "cdpo": (preference.cdpo, AGAINST, {"beta": 0.1, "smoothing": 0.1}),
    "rdpo": (preference.rdpo, AGAINST, {"beta": 0.1, "smoothing": 0.1}),
    "dpop": (preference.dpop, AGAINST, {"beta": 0.1, "lam": 50.0}),
    "ipo": (preference.ipo, AGAINST, {"beta": 0.1}),
    "ipo_tokens": (
        preference.ipo_tokens,
        (*AGAINST, "first_tokens_B", "second_tokens_B"),
        {"beta": 0.1},
    ),
    "orpo": (reference_free.orpo, LENGTHS, {"lam": 0.1}),
    "simpo": (reference_free.simpo, LENGTHS, {"beta": 2.0, "gamma": 1.0}),
    "nll": (reference_free.nll, LENGTHS, {"alpha": 1.0}),
    "cpo": (reference_free.cpo, LENGTHS, {"beta": 0.1, "alpha": 0.0, "smoothing": 0.0}),
    "slic": (reference_free.slic, LENGTHS, {"beta": 0.1, "alpha": 0.0}),
    "distilled": (distilled.distilled, (*AGAINST, "gap_B"), {"beta": 0.1, "pessimism": 0.0}),
    "hinge": (pair_losses.hinge, AGAINST, {"beta": 0.1}),
    "exo": (pair_losses.exo, AGAINST, {"beta": 0.1, "smoothing": 1e-3}),
    "nca": (pair_losses.nca, AGAINST, {"beta": 0.1}),
    "bco": (pair_losses.bco, AGAINST, {"beta": 0.1, "shift": 0.0}),
    "sppo": (pair_losses.sppo, AGAINST, {"beta": 0.1}),
    "apo_zero": (pair_losses.apo_zero, AGAINST, {"beta": 0.1}),
    "apo_down": (pair_losses.apo_down, AGAINST, {"beta": 0.1}),
}
PAIRED = [name for name in OBJECTIVES if name != "dpo"]


def loss_of(name: str, *, columns: dict[str, Any] | None = None, **settings: float) -> Loss:
    """Loss of one whole batch in float64; what is not given is the golden input."""
    objective, names, usual = OBJECTIVES[name]
    given = {**GOLDEN, **(columns or {})}
    rows = max(len(column) for column in given.values())
    made: dict[str, Any] = {}
    for column in names:
        values = given[column]
        if not isinstance(values, Tensor):
            full = values if len(values) == rows else list(values) * rows
            values = torch.tensor(full, dtype=torch.float64)
        made[column] = values
    totals = pairs.totals(label_B=made["label_B"], weight_B=made["weight_B"])
    return objective(
        **made, **{**usual, **settings}, global_weight=totals.weight, global_clear=totals.clear
    )


def value_of(name: str, columns: dict[str, Any] | None = None, **settings: float) -> float:
    return loss_of(name, columns=columns, **settings).value.item()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


# By hand -----------------------------------------------------------------------------------------


def test_cdpo_by_hand() -> None:
    """.9 log(1 + e^-.15) + .1 log(1 + e^.15) = .6359570."""
    by_hand = 0.9 * math.log(1 + math.exp(-0.15)) + 0.1 * math.log(1 + math.exp(0.15))
    assert value_of("cdpo") == pytest.approx(by_hand, abs=1e-12)
    assert value_of("cdpo") == pytest.approx(0.6359570, abs=5e-8)


def test_rdpo_by_hand() -> None:
    """(.9 log(1 + e^-.15) - .1 log(1 + e^.15)) / .8 = .6022070."""
    by_hand = (0.9 * math.log(1 + math.exp(-0.15)) - 0.1 * math.log(1 + math.exp(0.15))) / 0.8
    assert value_of("rdpo") == pytest.approx(by_hand, abs=1e-12)
    assert value_of("rdpo") == pytest.approx(0.6022070, abs=5e-8)


def test_ipo_by_hand() -> None:
    """(1.5 - 5)^2 = 12.25; with P(first better) .7: .7 * 12.25 + .3 * 6.5^2."""
    assert value_of("ipo") == pytest.approx(12.25, abs=1e-12)
    soft = value_of("ipo", {"label_B": [0.7]})
    assert soft == pytest.approx(0.7 * 12.25 + 0.3 * 42.25, abs=1e-12)


def test_ipo_tokens_by_hand() -> None:
    """(1/5 + .5/8 - 5)^2 = 22.443906; drifts stay sums."""
    loss = loss_of("ipo_tokens")
    assert loss.value.item() == pytest.approx((0.2 + 0.0625 - 5) ** 2, abs=1e-12)
    assert loss.value.item() == pytest.approx(22.443906, abs=5e-7)
    assert loss.metrics["preference/margin"].item() == pytest.approx(0.02625)
    assert loss.metrics["preference/chosen_drift"].item() == pytest.approx(1.0)


def test_orpo_by_hand() -> None:
    """2 - .1 log sigmoid(logit(e^-2) - logit(e^-1.5)) = 2.1042058."""
    odds = [math.exp(m) / (1 - math.exp(m)) for m in (-2.0, -1.5)]
    by_hand = 2 - 0.1 * math.log(sigmoid(math.log(odds[0]) - math.log(odds[1])))
    loss = loss_of("orpo")
    assert loss.value.item() == pytest.approx(by_hand, abs=1e-12)
    assert loss.value.item() == pytest.approx(2.1042058, abs=5e-8)
    assert loss.metrics["preference/chosen_nll"].item() == pytest.approx(2.0)
    assert loss.metrics["preference/accuracy"].item() == 0


def test_simpo_by_hand() -> None:
    """-log sigmoid(2 * -2 - 2 * -1.5 - 1) = -log sigmoid(-2) = 2.1269280."""
    loss = loss_of("simpo")
    assert loss.value.item() == pytest.approx(math.log(1 + math.exp(2)), abs=1e-12)
    assert loss.value.item() == pytest.approx(2.1269280, abs=5e-8)
    assert loss.metrics["preference/margin"].item() == pytest.approx(-1.0)
    assert loss.metrics["preference/chosen_nll"].item() == pytest.approx(2.0)


def test_distilled_by_hand() -> None:
    """(.15 - .4)^2 = .0625; with pessimism .2 less .2 * (1 - .5) / 2 = .05."""
    loss = loss_of("distilled")
    assert loss.value.item() == pytest.approx(0.0625, abs=1e-12)
    assert value_of("distilled", pessimism=0.2) == pytest.approx(0.0125, abs=1e-12)
    assert loss.metrics["preference/reward_margin"].item() == pytest.approx(0.4)
    assert loss.metrics["preference/margin"].item() == pytest.approx(0.15)
    weighed = {"gap_B": [0.4, 1.15], "weight_B": [3.0, 1.0]}
    assert value_of("distilled", weighed) == pytest.approx((3 * 0.0625 + 1.0) / 4, abs=1e-12)


def test_member_by_hand() -> None:
    """Squared errors summed over the batch: 1 + 4, .25 + 9, 4 + 0: the third is the nearest."""
    found = distilled.member(
        lead_B=torch.tensor([10.0, 20.0]),
        gap_BK=torch.tensor([[2.0, 0.5, 3.0], [0.0, -1.0, 2.0]]),
        weight_B=torch.ones(2),
        beta=0.1,
    )
    assert found == 2
    heavy = torch.tensor([9.0, 0.1])  # 9.4, 3.15, 36: the first pair weighs most
    gaps = torch.tensor([[2.0, 0.5, 3.0], [0.0, -1.0, 2.0]])
    lead = torch.tensor([10.0, 20.0])
    assert distilled.member(lead_B=lead, gap_BK=gaps, weight_B=heavy, beta=0.1) == 1


# Properties --------------------------------------------------------------------------------------


def check_sides(name: str, drawn: list[float], label: float) -> None:
    """Swapping the sides and the label changes nothing."""
    a, b, c, d, gap = drawn
    here = {"first_B": [a], "second_B": [b], "ref_first_B": [c], "ref_second_B": [d]}
    there = {"first_B": [b], "second_B": [a], "ref_first_B": [d], "ref_second_B": [c]}
    here |= {"label_B": [label], "gap_B": [gap]}
    there |= {"label_B": [1 - label], "gap_B": [-gap]}
    there |= {"first_tokens_B": [8.0], "second_tokens_B": [5.0]}
    assert value_of(name, there) == pytest.approx(value_of(name, here), rel=1e-9, abs=1e-9)


drawn_pairs = st.lists(logps, min_size=5, max_size=5)


@given(drawn_pairs, labels)
def test_cdpo_property_is_dpo_on_smoothed_labels(drawn: list[float], label: float) -> None:
    check_sides("cdpo", drawn, label)
    sides = dict(zip(AGAINST[:4], ([one] for one in drawn[:4]), strict=True))
    smoothed = {**sides, "label_B": [0.8 * label + 0.1]}
    mine = value_of("cdpo", {**sides, "label_B": [label]})
    assert mine == pytest.approx(value_of("dpo", smoothed), rel=1e-9)
    assert value_of("cdpo", sides, smoothing=0.0) == pytest.approx(value_of("dpo", sides))


@given(drawn_pairs, labels, st.floats(0, 0.45))
def test_rdpo_property_is_unbiased(drawn: list[float], label: float, wrong: float) -> None:
    """Over labels turned over with this probability its mean is DPO's value on the true ones."""
    check_sides("rdpo", drawn, label)
    sides = dict(zip(AGAINST[:4], ([one] for one in drawn[:4]), strict=True))
    true, turned = (
        value_of("rdpo", {**sides, "label_B": [one]}, smoothing=wrong) for one in (label, 1 - label)
    )
    expected = value_of("dpo", {**sides, "label_B": [label]})
    assert (1 - wrong) * true + wrong * turned == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(drawn_pairs, labels, st.floats(0.05, 2))
def test_ipo_property_is_a_bounded_lead(drawn: list[float], label: float, beta: float) -> None:
    """(h - (2p - 1)/(2 beta))^2 plus what h does not change: least at that lead."""
    check_sides("ipo", drawn, label)
    lead = (2 * label - 1) / (2 * beta)

    def at(h: float) -> float:
        sides = {"first_B": [h], "second_B": [0.0], "ref_first_B": [0.0], "ref_second_B": [0.0]}
        return value_of("ipo", {**sides, "label_B": [label]}, beta=beta)

    assert at(lead + 1.5) - at(lead) == pytest.approx(2.25, rel=1e-6)
    assert at(lead - 0.5) - at(lead) == pytest.approx(0.25, rel=1e-6)


def test_ipo_property_closed_form() -> None:
    """All pairs of four answers with exact labels: pi_ref exp(P(y beats another) / beta) / Z."""
    torch.manual_seed(0)
    ref = torch.log_softmax(torch.randn(4, dtype=torch.float64), 0)
    win = torch.sigmoid(torch.randn(4, 4, dtype=torch.float64))
    win = (win + 1 - win.T) / 2  # a label and its mirror image add to 1, a tie with oneself
    first, second = (i.flatten() for i in torch.meshgrid(*[torch.arange(4)] * 2, indexing="ij"))
    logits = ref.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logp = torch.log_softmax(logits, 0)
        columns = {"first_B": logp[first], "second_B": logp[second]}
        columns |= {"ref_first_B": ref[first], "ref_second_B": ref[second]}
        columns |= {"label_B": win[first, second], "weight_B": torch.ones(16).double()}
        value = loss_of("ipo", columns=columns, beta=0.5).value
        value.backward()
        return value

    optimiser.step(closure)
    closed = torch.log_softmax(ref + win.mean(1) / 0.5, 0)
    assert torch.allclose(torch.log_softmax(logits, 0), closed, atol=1e-5)


@given(drawn_pairs, labels, st.integers(1, 40))
def test_ipo_tokens_property_of_one_token_is_ipo(
    drawn: list[float], label: float, tokens: int
) -> None:
    check_sides("ipo_tokens", drawn, label)
    sides = dict(zip(AGAINST[:4], ([one] for one in drawn[:4]), strict=True))
    alike = {"first_tokens_B": [float(tokens)], "second_tokens_B": [float(tokens)]}
    mine = value_of("ipo_tokens", {**sides, **alike, "label_B": [label]})
    shrunk = {name: [column[0] / tokens] for name, column in sides.items()}
    assert mine == pytest.approx(value_of("ipo", {**shrunk, "label_B": [label]}), rel=1e-9)


@given(drawn_pairs, labels)
def test_orpo_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_sides("orpo", drawn, label)
    sides = {"first_B": [drawn[0]], "second_B": [drawn[1]]}
    first, second = (value_of("orpo", {**sides, "label_B": [one]}) for one in (1.0, 0.0))
    mixed = label * first + (1 - label) * second
    assert value_of("orpo", {**sides, "label_B": [label]}) == pytest.approx(mixed, rel=1e-9)


def test_orpo_property_a_certain_answer_has_finite_odds() -> None:
    assert math.isfinite(value_of("orpo", {"first_B": [0.0], "second_B": [-1e4]}))
    assert math.isfinite(value_of("orpo", {"first_B": [-1e4], "second_B": [0.0]}))


@given(drawn_pairs, labels, st.floats(0, 3))
def test_simpo_property_label_is_an_expectation(
    drawn: list[float], label: float, gamma: float
) -> None:
    check_sides("simpo", drawn, label)
    sides = {"first_B": [drawn[0]], "second_B": [drawn[1]]}
    first, second = (
        value_of("simpo", {**sides, "label_B": [one]}, gamma=gamma) for one in (1.0, 0.0)
    )
    mixed = label * first + (1 - label) * second
    found = value_of("simpo", {**sides, "label_B": [label]}, gamma=gamma)
    assert found == pytest.approx(mixed, rel=1e-9)


@given(st.floats(-5, 5), st.floats(0.05, 2), labels)
def test_distilled_property_is_0_at_the_reward(gap: float, beta: float, label: float) -> None:
    """A policy pi_ref exp(reward / beta) / Z has no error, whatever the label says."""
    check_sides("distilled", [-3.0, -4.0, -5.0, -4.5, gap], label)
    at = {"first_B": [gap / beta - 5], "second_B": [-5.0]}
    at |= {"ref_first_B": [-5.0], "ref_second_B": [-5.0], "gap_B": [gap], "label_B": [label]}
    assert value_of("distilled", at, beta=beta) == pytest.approx(0, abs=1e-9)


def test_distilled_property_pessimism_prefers_the_reference() -> None:
    """Of two policies with the same lead, the one that moved the answers less far down."""
    near = {"first_B": [-10.0], "second_B": [-14.0]}
    far = {"first_B": [-20.0], "second_B": [-24.0]}
    assert value_of("distilled", near) == pytest.approx(value_of("distilled", far))
    assert value_of("distilled", near, pessimism=0.1) < value_of("distilled", far, pessimism=0.1)


@given(st.integers(0, 3), st.floats(0.05, 2), st.floats(0.01, 3))
def test_member_property_an_exact_one_is_found(exact: int, beta: float, off: float) -> None:
    """The one whose gaps the policy has, wherever it stands; of equal ones the first."""
    lead = torch.tensor([3.0, -7.0, 0.5]).double()
    gap = torch.stack([beta * lead + (0 if k == exact else off + k) for k in range(4)], dim=1)
    given = {"lead_B": lead, "weight_B": torch.ones(3).double(), "beta": beta}
    assert distilled.member(gap_BK=gap, **given) == exact
    assert distilled.member(gap_BK=gap[:, [exact] * 3], **given) == 0


def test_member_gradient_none_flows_through() -> None:
    """It is a number: the loss of the chosen one alone has a gradient."""
    lead = torch.tensor([3.0], requires_grad=True)
    gap, weight = torch.tensor([[0.1, 0.4]]), torch.ones(1)
    found = distilled.member(lead_B=lead, gap_BK=gap, weight_B=weight, beta=0.1)
    assert type(found) is int


@pytest.mark.parametrize("name", PAIRED)
def test_a_tie_pulls_neither_side_up(name: str) -> None:
    """Of two answers alike, a tie (for distillation: no gap) leaves the lead where it is."""
    first = torch.tensor([-7.0], dtype=torch.float64, requires_grad=True)
    second = torch.tensor([-7.0], dtype=torch.float64, requires_grad=True)
    columns = {"first_B": first, "second_B": second, "label_B": [0.5], "gap_B": [0.0]}
    columns |= {"ref_first_B": [-7.0], "ref_second_B": [-7.0]}
    columns |= {"first_tokens_B": [4.0], "second_tokens_B": [4.0]}
    loss = loss_of(name, columns=columns)
    assert loss.metrics == {}
    to_first, to_second = torch.autograd.grad(loss.value, (first, second))
    assert to_first.item() == pytest.approx(to_second.item(), abs=1e-12)


# Gradients ---------------------------------------------------------------------------------------


def check_gradient(name: str, slope: Callable[[dict[str, Tensor]], Tensor], **more: float) -> None:
    """Finite differences, and the closed form dL/d(first) of what `slope` gives a pair."""
    torch.manual_seed(3)
    columns: dict[str, Any] = {n: -20 * torch.rand(5).double() - 1 for n in AGAINST[:4]}
    columns["first_tokens_B"] = torch.tensor([3.0, 5.0, 1.0, 9.0, 4.0]).double()
    columns["second_tokens_B"] = torch.tensor([6.0, 2.0, 8.0, 1.0, 7.0]).double()
    columns["label_B"] = torch.tensor([1.0, 0.0, 0.3, 0.5, 0.9]).double()
    columns["weight_B"] = torch.tensor([1.0, 2.0, 0.5, 1.5, 0.25]).double()
    columns["gap_B"] = torch.randn(5).double()
    leaves = [columns[n].requires_grad_() for n in ("first_B", "second_B")]

    def value(first: Tensor, second: Tensor) -> Tensor:
        moved = {**columns, "first_B": first, "second_B": second}
        return loss_of(name, columns=moved, **more).value

    assert torch.autograd.gradcheck(value, leaves)
    (to_first,) = torch.autograd.grad(value(*leaves), leaves[:1])
    closed = columns["weight_B"] * slope(columns) / columns["weight_B"].sum()
    assert torch.allclose(to_first, closed, atol=1e-10)


def lead(c: dict[str, Tensor]) -> Tensor:
    return c["first_B"] - c["ref_first_B"] - c["second_B"] + c["ref_second_B"]


def test_cdpo_gradient() -> None:
    """beta (sigmoid(beta h) - q), q the smoothed label."""
    check_gradient(
        "cdpo", lambda c: 0.1 * (torch.sigmoid(0.1 * lead(c)) - (0.8 * c["label_B"] + 0.1))
    )


def test_rdpo_gradient() -> None:
    """beta (sigmoid(beta h) - q), q = (p - e) / (1 - 2e): below 0 and above 1 for clear labels."""
    check_gradient(
        "rdpo", lambda c: 0.1 * (torch.sigmoid(0.1 * lead(c)) - (c["label_B"] - 0.1) / 0.8)
    )


def test_ipo_gradient() -> None:
    """2 (h - (2p - 1) / (2 beta))."""
    check_gradient("ipo", lambda c: 2 * (lead(c) - (2 * c["label_B"] - 1) / 0.2))


def test_ipo_tokens_gradient() -> None:
    def slope(c: dict[str, Tensor]) -> Tensor:
        first = (c["first_B"] - c["ref_first_B"]) / c["first_tokens_B"]
        second = (c["second_B"] - c["ref_second_B"]) / c["second_tokens_B"]
        return 2 * (first - second - (2 * c["label_B"] - 1) / 0.2) / c["first_tokens_B"]

    check_gradient("ipo_tokens", slope)


def test_orpo_gradient() -> None:
    """(-p + lam (sigmoid(s) - p) / (1 - exp(m))) / tokens, for d(log-odds)/dm = 1 / (1 - e^m)."""

    def slope(c: dict[str, Tensor]) -> Tensor:
        first, second = (c[f"{s}_B"] / c[f"{s}_tokens_B"] for s in ("first", "second"))
        odds = [m - torch.log1p(-torch.exp(m)) for m in (first, second)]
        pull = 0.1 * (torch.sigmoid(odds[0] - odds[1]) - c["label_B"]) / (1 - torch.exp(first))
        return (pull - c["label_B"]) / c["first_tokens_B"]

    check_gradient("orpo", slope)


def test_simpo_gradient() -> None:
    """beta (-p sigmoid(gamma - s) + (1 - p) sigmoid(gamma + s)) / tokens."""

    def slope(c: dict[str, Tensor]) -> Tensor:
        s = 2 * (c["first_B"] / c["first_tokens_B"] - c["second_B"] / c["second_tokens_B"])
        p = c["label_B"]
        up, down = p * torch.sigmoid(1 - s), (1 - p) * torch.sigmoid(1 + s)
        return 2 * (down - up) / c["first_tokens_B"]

    check_gradient("simpo", slope)


def test_distilled_gradient() -> None:
    """2 beta (beta h - gap) - pessimism / 2."""
    check_gradient("distilled", lambda c: 0.2 * (0.1 * lead(c) - c["gap_B"]) - 0.15, pessimism=0.3)


def test_distilled_gradient_stops_at_the_reward() -> None:
    gap = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    assert not loss_of("distilled", columns={"gap_B": gap}).value.requires_grad


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("cdpo", {"smoothing": 0.5}),
        ("rdpo", {"smoothing": -0.1}),
        ("rdpo", {"smoothing": math.nan}),
        ("ipo", {"beta": 0.0}),
        ("ipo_tokens", {"beta": math.inf}),
        ("orpo", {"lam": -0.1}),
        ("simpo", {"beta": -1.0}),
        ("simpo", {"gamma": math.nan}),
        ("distilled", {"beta": 0.0}),
        ("distilled", {"pessimism": -1.0}),
        ("dpop", {"lam": -1.0}),
        ("dpop", {"lam": math.inf}),
        ("dpop", {"beta": 0.0}),
        ("nll", {"alpha": -0.1}),
        ("nll", {"alpha": math.nan}),
        ("cpo", {"smoothing": 0.5}),
        ("cpo", {"alpha": -1.0}),
        ("slic", {"beta": 0.0}),
        ("hinge", {"beta": math.nan}),
        ("exo", {"smoothing": 0.0}),
        ("exo", {"smoothing": 0.5}),
        ("nca", {"beta": -1.0}),
        ("bco", {"beta": 0.0}),
        ("sppo", {"beta": 0.0}),
        ("apo_zero", {"beta": 0.0}),
        ("apo_down", {"beta": math.inf}),
    ],
)
def test_settings_out_of_bounds_are_refused(name: str, setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        loss_of(name, **setting)


@pytest.mark.parametrize("name", PAIRED)
def test_what_has_no_weight_or_mixed_shapes_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="global_weight"):
        loss_of(name, columns={"weight_B": [0.0]})
    mixed: dict[str, Any] = {name: torch.tensor(column) for name, column in GOLDEN.items()}
    mixed["second_B"] = torch.tensor([-1.0, -2.0])
    with pytest.raises(InvariantError, match="shapes"):
        loss_of(name, columns=mixed)
