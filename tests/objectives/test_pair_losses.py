"""Losses on pairs beside DPO's and IPO's: golden, by hand, as properties, by their gradients.

The golden input has log-ratios a = 1 and c = -.5, so that rewards are .1 and -.05 at beta .1 and
h = 1.5; 5 tokens against 8.
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

from accord.core.errors import InvariantError
from accord.objectives import pair_losses, preference, reference_free
from accord.objectives.loss import Loss
from tests.objectives.test_direct_family import (
    AGAINST,
    check_gradient,
    check_sides,
    drawn_pairs,
    labels,
    lead,
    loss_of,
    sigmoid,
    value_of,
)

soft = st.floats(0.05, 0.95)
rewards = st.floats(-30, 30)


def nll(x: float) -> float:
    """-log sigmoid(x)."""
    return math.log1p(math.exp(-x)) if x > -30 else -x


def at(a: float, c: float, label: float = 1.0) -> dict[str, list[float]]:
    """One pair with log-ratios `a` and `c`."""
    columns = {"first_B": [a - 40], "second_B": [c - 40], "label_B": [label]}
    return {**columns, "ref_first_B": [-40.0], "ref_second_B": [-40.0]}


def check_expectation(name: str, drawn: list[float], label: float) -> None:
    """A soft label mixes the losses of the two clear ones."""
    check_sides(name, drawn, label)
    sides = dict(zip(AGAINST[:4], ([one] for one in drawn[:4]), strict=True))
    first, second, mixed = (value_of(name, {**sides, "label_B": [p]}) for p in (1.0, 0.0, label))
    assert mixed == pytest.approx(label * first + (1 - label) * second, rel=1e-9, abs=1e-9)


def with_margin(objective: Callable[..., Loss], label: float, **settings: float) -> float:
    """The golden pair's loss with a margin of .3."""
    sides = {"first_B": -10.0, "second_B": -12.0, "label_B": label, "weight_B": 1.0}
    sides |= {"margin_B": 0.3}
    if objective in (preference.dpop, pair_losses.hinge):
        sides |= {"ref_first_B": -11.0, "ref_second_B": -11.5}
    else:
        sides |= {"first_tokens_B": 5.0, "second_tokens_B": 8.0}
    columns: dict[str, Any] = {n: torch.tensor([x], dtype=torch.float64) for n, x in sides.items()}
    whole = {"global_weight": 1.0, "global_clear": float(label != 0.5)}
    return objective(**columns, **settings, **whole).value.item()


# By hand -----------------------------------------------------------------------------------------


def test_hinge_by_hand() -> None:
    """1 - .15 = .85; turned over 1.15; a margin of .3 asks for more, and nothing of a tie."""
    assert value_of("hinge") == pytest.approx(0.85, abs=1e-12)
    mixed = value_of("hinge", {"label_B": [0.7]})
    assert mixed == pytest.approx(0.7 * 0.85 + 0.3 * 1.15, abs=1e-12)
    assert value_of("hinge", beta=1.0) == 0
    for label, by_hand in ((1.0, 1.15), (0.0, 1.45), (0.5, 1.0)):
        found = with_margin(pair_losses.hinge, label, beta=0.1)
        assert found == pytest.approx(by_hand, abs=1e-12)


def test_exo_by_hand() -> None:
    """q log(q / .999) + (1 - q) log((1 - q) / .001) with q = sigmoid(.15): 2.5055166."""
    q = sigmoid(0.15)
    by_hand = q * math.log(q / 0.999) + (1 - q) * math.log((1 - q) / 0.001)
    assert value_of("exo") == pytest.approx(by_hand, abs=1e-12)
    assert value_of("exo") == pytest.approx(2.5055166, abs=5e-8)
    t = 0.8 * 0.7 + 0.1  # smoothing .1 of a label of .7
    by_hand = q * math.log(q / t) + (1 - q) * math.log((1 - q) / (1 - t))
    assert value_of("exo", {"label_B": [0.7]}, smoothing=0.1) == pytest.approx(by_hand, abs=1e-12)


def test_nca_by_hand() -> None:
    """-ls(.1) - ls(-.1) / 2 - ls(.05) / 2 = 1.3508248."""
    by_hand = nll(0.1) + nll(-0.1) / 2 + nll(0.05) / 2
    assert value_of("nca") == pytest.approx(by_hand, abs=1e-12)
    assert value_of("nca") == pytest.approx(1.3508248, abs=5e-8)
    turned = nll(-0.05) + nll(-0.1) / 2 + nll(0.05) / 2
    assert value_of("nca", {"label_B": [0.0]}) == pytest.approx(turned, abs=1e-12)


def test_bco_by_hand() -> None:
    """-ls(.1) - ls(.05) = 1.3128563 unshifted; by the pair's shift, .025, twice -ls(.075)."""
    assert value_of("bco") == pytest.approx(nll(0.1) + nll(0.05), abs=1e-12)
    assert value_of("bco") == pytest.approx(1.3128563, abs=5e-8)
    assert value_of("bco", shift=0.025) == pytest.approx(2 * nll(0.075), abs=1e-12)
    turned = value_of("bco", {"label_B": [0.0]}, shift=0.025)
    assert turned == pytest.approx(2 * nll(-0.075), abs=1e-12)


def test_bco_by_hand_of_its_shift() -> None:
    """Weights 1 and 3: (.1 - .05) / 2 and (.4 + .2) / 2 give (.025 + .9) / 4."""
    columns = {"first_B": torch.tensor([0.1, 0.4]), "second_B": torch.tensor([-0.05, 0.2])}
    found = pair_losses.centre(**columns, weight_B=torch.tensor([1.0, 3.0]))
    assert found == pytest.approx(0.925 / 4, rel=1e-6)
    assert pair_losses.centre(**columns, weight_B=torch.zeros(2)) == 0
    with pytest.raises(InvariantError, match="finite"):
        value_of("bco", shift=math.nan)


def test_sppo_by_hand() -> None:
    """(1 - 5)^2 + (-.5 + 5)^2 = 36.25; a label of .7 has targets of 2 and -2: 1 + 2.25."""
    assert value_of("sppo") == pytest.approx(36.25, abs=1e-12)
    assert value_of("sppo", {"label_B": [0.7]}) == pytest.approx(3.25, abs=1e-12)


def test_apo_zero_by_hand() -> None:
    """1 - s(.1) + s(-.05) = .9625234."""
    assert value_of("apo_zero") == pytest.approx(1 - sigmoid(0.1) + sigmoid(-0.05), abs=1e-12)
    assert value_of("apo_zero") == pytest.approx(0.9625234, abs=5e-8)


def test_apo_down_by_hand() -> None:
    """s(.1) + 1 - s(.15) = .9875493; turned over s(-.05) + 1 - s(-.15)."""
    assert value_of("apo_down") == pytest.approx(sigmoid(0.1) + 1 - sigmoid(0.15), abs=1e-12)
    assert value_of("apo_down") == pytest.approx(0.9875493, abs=5e-8)
    turned = value_of("apo_down", {"label_B": [0.0]})
    assert turned == pytest.approx(sigmoid(-0.05) + 1 - sigmoid(-0.15), abs=1e-12)


def test_dpop_by_hand() -> None:
    """DPO's .6209570 as long as the better answer did not fall; at -11.2 it fell by .2 nats, which
    cost 10: -ls(.1 (.3 - 10)) = 1.2914188. Turned over, the second side fell by .5: it cost 25."""
    assert value_of("dpop") == pytest.approx(0.6209570, abs=5e-8)
    fallen = value_of("dpop", {"first_B": [-11.2]})
    assert fallen == pytest.approx(nll(-0.97), abs=1e-12)
    assert fallen == pytest.approx(1.2914188, abs=5e-8)
    assert value_of("dpop", {"label_B": [0.0]}) == pytest.approx(nll(-2.65), abs=1e-12)
    for label, by_hand in ((1.0, nll(-0.15)), (0.0, nll(-2.95))):
        found = with_margin(preference.dpop, label, beta=0.1, lam=50.0)
        assert found == pytest.approx(by_hand, abs=1e-12)


def test_nll_by_hand() -> None:
    """10 / 5 = 2 nats a token of the better answer, 12 / 8 = 1.5 of the other."""
    assert value_of("nll") == pytest.approx(2.0, abs=1e-12)
    assert value_of("nll", alpha=0.3) == pytest.approx(0.6, abs=1e-12)
    assert value_of("nll", {"label_B": [0.7]}) == pytest.approx(0.7 * 2 + 0.3 * 1.5, abs=1e-12)
    metrics = loss_of("nll", columns={"label_B": [0.3]}, alpha=0.3).metrics
    assert {n: x.item() for n, x in metrics.items()} == pytest.approx(
        {"preference/chosen_nll": 1.5}
    )


def test_cpo_by_hand() -> None:
    """-ls(.1 * 2) = .5981389, and 2 nats a token beside it; nothing is called a drift."""
    assert value_of("cpo") == pytest.approx(nll(0.2), abs=1e-12)
    assert value_of("cpo") == pytest.approx(0.5981389, abs=5e-8)
    loss = loss_of("cpo", alpha=0.5)
    assert loss.value.item() == pytest.approx(nll(0.2) + 1.0, abs=1e-12)
    assert {n: x.item() for n, x in loss.metrics.items()} == pytest.approx(
        {"preference/accuracy": 1, "preference/margin": 0.2, "preference/chosen_nll": 2.0}
    )
    smoothed = 0.9 * nll(0.2) + 0.1 * nll(-0.2)
    assert value_of("cpo", smoothing=0.1) == pytest.approx(smoothed, abs=1e-12)
    found = with_margin(reference_free.cpo, 1.0, beta=0.1, alpha=0.0, smoothing=0.0)
    assert found == pytest.approx(nll(-0.1), abs=1e-12)


def test_slic_by_hand() -> None:
    """1 - .1 * 2 = .8, beta times max(0, 10 - 2) nats; with the likelihood .8 + .5 * 2."""
    assert value_of("slic") == pytest.approx(0.8, abs=1e-12)
    assert value_of("slic", alpha=0.5) == pytest.approx(1.8, abs=1e-12)
    assert value_of("slic", {"label_B": [0.0]}, alpha=0.5) == pytest.approx(1.95, abs=1e-12)
    found = with_margin(reference_free.slic, 1.0, beta=0.1, alpha=0.0)
    assert found == pytest.approx(1.1, abs=1e-12)


# Properties --------------------------------------------------------------------------------------


@given(drawn_pairs, labels)
def test_hinge_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("hinge", drawn, label)


@given(st.floats(0.05, 2), rewards, st.floats(0, 9))
def test_hinge_property_asks_for_no_more_than_its_lead(beta: float, a: float, on: float) -> None:
    """0 from a lead of 1/beta on, whatever became of the better answer; 1 at the reference."""
    assert value_of("hinge", at(a, a - 1 / beta - on), beta=beta) == pytest.approx(0, abs=1e-9)
    assert value_of("hinge", at(a, a - 0.5 / beta), beta=beta) == pytest.approx(0.5, abs=1e-9)
    assert value_of("hinge", at(a, a), beta=beta) == pytest.approx(1, abs=1e-9)


@given(drawn_pairs, labels, st.floats(0.01, 0.4), st.floats(0.2, 5))
def test_exo_property_is_0_at_the_label(
    drawn: list[float], label: float, smoothing: float, off: float
) -> None:
    """Where the policy has the smoothed label as its own chance, as DPO has its least; above 0
    elsewhere."""
    check_sides("exo", drawn, label)
    t = (1 - smoothing) * label + smoothing * (1 - label)
    best = math.log(t / (1 - t)) / 0.1
    assert value_of("exo", at(best, 0, label), smoothing=smoothing) == pytest.approx(0, abs=1e-9)
    for moved in (best - off, best + off):
        assert value_of("exo", at(moved, 0, label), smoothing=smoothing) > 1e-6


@given(drawn_pairs, labels)
def test_nca_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("nca", drawn, label)


@given(soft, st.floats(-3, 3), st.floats(-3, 3))
def test_nca_property_rests_at_known_rewards(label: float, one: float, other: float) -> None:
    """At log(2p) and log(2 - 2p); 2 log 2 at the reference, which is where a tie rests."""
    best = at(10 * math.log(2 * label), 10 * math.log(2 - 2 * label), label)
    least = value_of("nca", best)
    moved = at(10 * (math.log(2 * label) + one), 10 * (math.log(2 - 2 * label) + other), label)
    assert value_of("nca", moved) >= least - 1e-12
    assert value_of("nca", at(0, 0, label)) == pytest.approx(2 * math.log(2))
    assert least <= 2 * math.log(2) + 1e-12


@given(drawn_pairs, labels)
def test_bco_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("bco", drawn, label)


@given(rewards, rewards, labels, st.floats(-2, 2), st.floats(-2, 2))
def test_bco_property_bounds_dpo_and_knows_differences_alone(
    a: float, c: float, label: float, shift: float, on: float
) -> None:
    """It is never below DPO's loss, whatever the shift; rewards that all move with the shift change
    nothing."""
    found = value_of("bco", at(a, c, label), shift=shift)
    assert found >= value_of("dpo", at(a, c, label)) - 1e-12
    moved = at(a + 10 * on, c + 10 * on, label)
    assert value_of("bco", moved, shift=shift + on) == pytest.approx(found, rel=1e-9)


@given(drawn_pairs, labels, st.floats(0.05, 2), rewards, rewards)
def test_sppo_property_is_squared_distance_to_the_targets(
    drawn: list[float], label: float, beta: float, one: float, other: float
) -> None:
    check_sides("sppo", drawn, label)
    goal = (label - 0.5) / beta
    moved = at(goal + one, other - goal, label)
    assert value_of("sppo", at(goal, -goal, label), beta=beta) == pytest.approx(0, abs=1e-18)
    assert value_of("sppo", moved, beta=beta) == pytest.approx(one**2 + other**2, rel=1e-6)


@given(drawn_pairs, labels)
def test_apo_zero_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("apo_zero", drawn, label)


@given(rewards, rewards, labels)
def test_apo_zero_property_is_bounded_and_ties_cost_1(a: float, c: float, label: float) -> None:
    assert 0 <= value_of("apo_zero", at(a, c, label)) <= 2
    assert value_of("apo_zero", at(a, c, 0.5)) == pytest.approx(1, abs=1e-12)
    assert value_of("apo_zero", at(a, a, label)) == pytest.approx(1, abs=1e-12)


@given(drawn_pairs, labels)
def test_apo_down_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("apo_down", drawn, label)


@given(rewards, rewards, labels, st.floats(0.1, 20))
def test_apo_down_property_prefers_both_lower(a: float, c: float, label: float, by: float) -> None:
    """At the same lead; and it is bounded."""
    high, low = (value_of("apo_down", at(a - x, c - x, label)) for x in (0.0, by))
    assert 0 <= low < high <= 2


@given(drawn_pairs, labels)
def test_dpop_property_label_is_an_expectation(drawn: list[float], label: float) -> None:
    check_expectation("dpop", drawn, label)


@given(st.floats(0, 20), rewards, st.floats(0, 60), st.floats(0.01, 9))
def test_dpop_property_fines_a_fall_and_nothing_else(
    a: float, c: float, lam: float, fall: float
) -> None:
    """DPO as long as the better answer is above the reference; below, as if the lead were less."""
    assert value_of("dpop", at(a, c), lam=lam) == pytest.approx(value_of("dpo", at(a, c)))
    assert value_of("dpop", at(-fall, c), lam=0.0) == pytest.approx(value_of("dpo", at(-fall, c)))
    fined = value_of("dpo", at(-fall - lam * fall, c))
    assert value_of("dpop", at(-fall, c), lam=lam) == pytest.approx(fined, rel=1e-9)


@given(drawn_pairs, labels, st.floats(0, 5))
def test_nll_property_label_is_an_expectation(
    drawn: list[float], label: float, alpha: float
) -> None:
    check_expectation("nll", drawn, label)
    sides = {"first_B": [drawn[0]], "second_B": [drawn[1]]}
    assert value_of("nll", sides, alpha=alpha) == pytest.approx(-alpha * drawn[0] / 5, abs=1e-12)


@given(drawn_pairs, labels, st.floats(0, 3), st.floats(-50, 0))
def test_cpo_property_is_dpo_where_the_reference_says_nothing(
    drawn: list[float], label: float, alpha: float, same: float
) -> None:
    check_sides("cpo", drawn, label)
    sides = {"first_B": [drawn[0]], "second_B": [drawn[1]], "label_B": [label]}
    alike = {"ref_first_B": [same], "ref_second_B": [same]}
    expected = value_of("dpo", {**sides, **alike}) + value_of("nll", sides, alpha=alpha)
    assert value_of("cpo", sides, alpha=alpha) == pytest.approx(expected, rel=1e-9)


@given(drawn_pairs, labels, st.floats(0, 3), st.floats(-50, 0))
def test_slic_property_is_a_hinge_where_the_reference_says_nothing(
    drawn: list[float], label: float, alpha: float, same: float
) -> None:
    check_sides("slic", drawn, label)
    sides = {"first_B": [drawn[0]], "second_B": [drawn[1]], "label_B": [label]}
    alike = {"ref_first_B": [same], "ref_second_B": [same]}
    expected = value_of("hinge", {**sides, **alike}) + value_of("nll", sides, alpha=alpha)
    assert value_of("slic", sides, alpha=alpha) == pytest.approx(expected, rel=1e-9, abs=1e-9)


# Gradients ---------------------------------------------------------------------------------------


def gain(c: dict[str, Tensor]) -> Tensor:
    """Reward of the first side at beta .1."""
    return 0.1 * (c["first_B"] - c["ref_first_B"])


def slope(x: Tensor) -> Tensor:
    """Of the sigmoid."""
    return torch.sigmoid(x) * torch.sigmoid(-x)


def hinged(lead_B: Tensor, label_B: Tensor) -> Tensor:
    return 0.1 * (-label_B * (lead_B < 1) + (1 - label_B) * (lead_B > -1))


def test_hinge_gradient() -> None:
    """-beta p below the margin, beta (1 - p) above the other one."""
    check_gradient("hinge", lambda c: hinged(0.1 * lead(c), c["label_B"]))


def test_exo_gradient() -> None:
    """beta q (1 - q) (beta h - logit t)."""

    def pull(c: dict[str, Tensor]) -> Tensor:
        logit = torch.logit(0.8 * c["label_B"] + 0.1)
        return 0.1 * slope(0.1 * lead(c)) * (0.1 * lead(c) - logit)

    check_gradient("exo", pull, smoothing=0.1)


def test_nca_gradient() -> None:
    """beta (sigmoid(r) / 2 - p sigmoid(-r))."""
    check_gradient(
        "nca",
        lambda c: 0.1 * (torch.sigmoid(gain(c)) / 2 - c["label_B"] * torch.sigmoid(-gain(c))),
    )


def test_bco_gradient() -> None:
    """beta (sigmoid(r - shift) - p)."""
    check_gradient("bco", lambda c: 0.1 * (torch.sigmoid(gain(c) - 0.4) - c["label_B"]), shift=0.4)


def test_sppo_gradient() -> None:
    """2 (d - (p - 1/2) / beta)."""
    check_gradient("sppo", lambda c: 2 * (10 * gain(c) - 10 * (c["label_B"] - 0.5)))


def test_apo_zero_gradient() -> None:
    """beta (1 - 2p) times the sigmoid's slope at r."""
    check_gradient("apo_zero", lambda c: 0.1 * (1 - 2 * c["label_B"]) * slope(gain(c)))


def test_apo_down_gradient() -> None:
    """beta (p slope(r) + (1 - 2p) slope(beta h)): 0 for a clear winner at the reference."""

    def pull(c: dict[str, Tensor]) -> Tensor:
        p = c["label_B"]
        return 0.1 * (p * slope(gain(c)) + (1 - 2 * p) * slope(0.1 * lead(c)))

    check_gradient("apo_down", pull)
    first = torch.tensor([-40.0], dtype=torch.float64, requires_grad=True)
    second = torch.tensor([-40.0], dtype=torch.float64, requires_grad=True)
    columns = {**at(0, 0), "first_B": first, "second_B": second}
    value = loss_of("apo_down", columns=columns).value
    to_first, to_second = torch.autograd.grad(value, (first, second))
    assert to_first.item() == pytest.approx(0, abs=1e-12)
    assert to_second.item() == pytest.approx(0.1 / 4, abs=1e-12)


def test_dpop_gradient() -> None:
    """-p beta (1 + lam where it fell) sigmoid(-s), and beta (1 - p) sigmoid(-s') for the other."""

    def pull(c: dict[str, Tensor]) -> Tensor:
        first = c["first_B"] - c["ref_first_B"]
        second = c["second_B"] - c["ref_second_B"]
        fall, other = (2 * torch.relu(-one) for one in (first, second))
        won, lost = 0.1 * (first - second - fall), 0.1 * (second - first - other)
        up = c["label_B"] * (1 + 2 * (first < 0)) * torch.sigmoid(-won)
        return 0.1 * ((1 - c["label_B"]) * torch.sigmoid(-lost) - up)

    check_gradient("dpop", pull, lam=2.0)


def test_nll_gradient() -> None:
    """-alpha p / tokens."""
    check_gradient("nll", lambda c: -0.3 * c["label_B"] / c["first_tokens_B"], alpha=0.3)


def test_cpo_gradient() -> None:
    """beta (sigmoid(beta (first - second)) - p) - alpha p / tokens."""

    def pull(c: dict[str, Tensor]) -> Tensor:
        chance = torch.sigmoid(0.1 * (c["first_B"] - c["second_B"]))
        return 0.1 * (chance - c["label_B"]) - 0.3 * c["label_B"] / c["first_tokens_B"]

    check_gradient("cpo", pull, alpha=0.3)


def test_slic_gradient() -> None:
    def pull(c: dict[str, Tensor]) -> Tensor:
        apart = hinged(0.1 * (c["first_B"] - c["second_B"]), c["label_B"])
        return apart - 0.3 * c["label_B"] / c["first_tokens_B"]

    check_gradient("slic", pull, alpha=0.3)
