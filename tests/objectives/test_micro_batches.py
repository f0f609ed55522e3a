"""However a batch is cut, the losses, gradients and metrics of its parts add up to its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.objectives import (
    distilled,
    feedback,
    kl,
    language,
    pair_losses,
    pairs,
    policy,
    preference,
    reference_free,
    reward,
    value,
)
from accord.objectives.loss import Loss

ITEMS = 12
Columns = Mapping[str, Tensor]


def columns(*names: str, seed: int) -> dict[str, Tensor]:
    """Random vectors of `ITEMS` float64 numbers; weights positive, labels with ties."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name in names:
        made[name] = torch.randn(ITEMS, generator=generator, dtype=torch.float64)
    if "label_B" in made:
        made["label_B"] = torch.tensor([1.0, 0.0, 0.5, 0.7, 0.2, 0.5] * 2, dtype=torch.float64)
        made["weight_B"] = made["weight_B"].abs()
    if "tier_GK" in made:
        tiers = [[0, 1, 2, 1], [1, 0, -1, -1], [0, 0, -1, -1], [2, 0, 1, -1]] * 3
        made["tier_GK"] = torch.tensor(tiers)
        made["score_GK"] = made["score_GK"][:, None] * torch.tensor([1.0, -0.4, 0.3, 2.0])
        made["weight_G"] = made["weight_G"].abs()
    for name in ("first_tokens_B", "second_tokens_B"):
        if name in made:
            made[name] = 1 + made[name].abs().round()
    if "first_tokens_B" in made:  # a mean log-probability is below 0
        made |= {name: -made[name].abs() - 1 for name in ("first_B", "second_B")}
    return made


def pair_totals(batch: Columns) -> dict[str, float]:
    totals = pairs.totals(label_B=batch["label_B"], weight_B=batch["weight_B"])
    return {"global_weight": totals.weight, "global_clear": totals.clear}


def next_token(batch: Columns, _whole: Columns) -> Loss:
    return language.next_token(logp_M=batch["logp_M"], global_tokens=ITEMS + 3)


def bradley_terry(batch: Columns, whole: Columns) -> Loss:
    return reward.bradley_terry(**batch, **pair_totals(whole))


TIE = torch.tensor(0.4, dtype=torch.float64)


def rao_kupper(batch: Columns, whole: Columns) -> Loss:
    return reward.rao_kupper(**batch, tie=TIE, **pair_totals(whole))


def davidson(batch: Columns, whole: Columns) -> Loss:
    return reward.davidson(**batch, tie=TIE, **pair_totals(whole))


def plackett_luce(batch: Columns, whole: Columns) -> Loss:
    told = (whole["tier_GK"] > 0).any(1)
    weight = whole["weight_G"]
    return reward.plackett_luce(
        **batch, global_weight=float(weight.sum()), global_clear=float(weight[told].sum())
    )


def centring(batch: Columns, whole: Columns) -> Loss:
    return reward.centring(
        first_B=batch["first_B"],
        second_B=batch["second_B"],
        weight_B=batch["weight_B"],
        coefficient=0.3,
        global_weight=pair_totals(whole)["global_weight"],
    )


def dpo(batch: Columns, whole: Columns) -> Loss:
    return preference.dpo(**batch, beta=0.6, **pair_totals(whole))


def cdpo(batch: Columns, whole: Columns) -> Loss:
    return preference.cdpo(**batch, beta=0.6, smoothing=0.1, **pair_totals(whole))


def rdpo(batch: Columns, whole: Columns) -> Loss:
    return preference.rdpo(**batch, beta=0.6, smoothing=0.1, **pair_totals(whole))


def dpop(batch: Columns, whole: Columns) -> Loss:
    return preference.dpop(**batch, beta=0.6, lam=5.0, **pair_totals(whole))


def ipo(batch: Columns, whole: Columns) -> Loss:
    return preference.ipo(**batch, beta=0.6, **pair_totals(whole))


def ipo_tokens(batch: Columns, whole: Columns) -> Loss:
    return preference.ipo_tokens(**batch, beta=0.6, **pair_totals(whole))


def orpo(batch: Columns, whole: Columns) -> Loss:
    return reference_free.orpo(**batch, lam=0.6, **pair_totals(whole))


def simpo(batch: Columns, whole: Columns) -> Loss:
    return reference_free.simpo(**batch, beta=2.0, gamma=0.6, **pair_totals(whole))


def nll(batch: Columns, whole: Columns) -> Loss:
    return reference_free.nll(**batch, alpha=0.6, **pair_totals(whole))


def cpo(batch: Columns, whole: Columns) -> Loss:
    return reference_free.cpo(**batch, beta=0.6, alpha=0.5, smoothing=0.1, **pair_totals(whole))


def slic(batch: Columns, whole: Columns) -> Loss:
    return reference_free.slic(**batch, beta=0.6, alpha=0.5, **pair_totals(whole))


def hinge(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.hinge(**batch, beta=0.6, **pair_totals(whole))


def exo(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.exo(**batch, beta=0.6, smoothing=0.1, **pair_totals(whole))


def nca(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.nca(**batch, beta=0.6, **pair_totals(whole))


def bco(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.bco(**batch, beta=0.6, shift=0.2, **pair_totals(whole))


def sppo(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.sppo(**batch, beta=0.6, **pair_totals(whole))


def apo_zero(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.apo_zero(**batch, beta=0.6, **pair_totals(whole))


def apo_down(batch: Columns, whole: Columns) -> Loss:
    return pair_losses.apo_down(**batch, beta=0.6, **pair_totals(whole))


def distil(batch: Columns, whole: Columns) -> Loss:
    return distilled.distilled(**batch, beta=0.6, pessimism=0.1, **pair_totals(whole))


def kto(batch: Columns, whole: Columns) -> Loss:
    counted = pairs.sides(label_B=whole["label_B"], weight_B=whole["weight_B"])
    return feedback.kto(
        **batch,
        z0=0.4,
        beta=0.6,
        desirable=1.2,
        undesirable=0.9,
        global_weight=counted.weight,
        global_desirable=counted.desirable,
        global_undesirable=counted.undesirable,
    )


def ppo_policy(batch: Columns, _whole: Columns) -> Loss:
    return policy.clipped(**batch, clip=0.2, global_tokens=ITEMS)


def dual_clip(batch: Columns, _whole: Columns) -> Loss:
    how = {"clip": 0.2, "clip_high": 0.3, "dual_clip": 1.5}
    return policy.clipped(**batch, **how, global_tokens=ITEMS)


def gspo(batch: Columns, _whole: Columns) -> Loss:
    """Items are whole answers, of one or two tokens: a ratio does not reach beyond its answer."""
    length_B = 1 + (batch["advantage_B"] > 0).long()
    first_M = torch.cat([torch.arange(int(n)) for n in length_B] or [length_B]) == 0
    spread_M = torch.where(first_M, 1.0, 0.3)
    return policy.gspo(
        logp_M=batch["logp_B"].repeat_interleave(length_B),
        old_logp_M=batch["old_logp_B"].repeat_interleave(length_B) * spread_M,
        advantage_B=batch["advantage_B"],
        length_B=length_B,
        clip=0.2,
        dual_clip=1.5,
        global_answers=ITEMS,
        global_tokens=2 * ITEMS,
    )


def cispo(batch: Columns, _whole: Columns) -> Loss:
    return policy.cispo(**batch, bound=1.5, global_tokens=ITEMS + 2)


def reinforce(batch: Columns, _whole: Columns) -> Loss:
    return policy.reinforce(**batch, global_tokens=ITEMS + 2)


def penalty(batch: Columns, _whole: Columns) -> Loss:
    return kl.penalty(**batch, estimator=kl.k3, global_tokens=ITEMS + 2)


def ppo_value(batch: Columns, _whole: Columns) -> Loss:
    return value.clipped(**batch, clip=0.2, global_tokens=ITEMS)


PAIR = ("label_B", "weight_B")
AGAINST = ("first_B", "second_B", "ref_first_B", "ref_second_B", *PAIR)
COUNTED = ("first_tokens_B", "second_tokens_B")
OBJECTIVES: dict[str, tuple[Callable[[Columns, Columns], Loss], tuple[str, ...], str]] = {
    "language.next_token": (next_token, ("logp_M",), "logp_M"),
    "reward.bradley_terry": (
        bradley_terry,
        ("first_B", "second_B", "margin_B", *PAIR),
        "first_B",
    ),
    "reward.rao_kupper": (rao_kupper, ("first_B", "second_B", "margin_B", *PAIR), "first_B"),
    "reward.davidson": (davidson, ("first_B", "second_B", "margin_B", *PAIR), "second_B"),
    "reward.plackett_luce": (
        plackett_luce,
        ("score_GK", "tier_GK", "weight_G", "margin_G", "first_margin_G"),
        "score_GK",
    ),
    "reward.centring": (centring, ("first_B", "second_B", *PAIR), "first_B"),
    "preference.dpo": (
        dpo,
        ("first_B", "second_B", "ref_first_B", "ref_second_B", *PAIR),
        "second_B",
    ),
    "preference.cdpo": (cdpo, (*AGAINST, "margin_B"), "first_B"),
    "preference.rdpo": (rdpo, (*AGAINST, "margin_B"), "first_B"),
    "preference.dpop": (dpop, (*AGAINST, "margin_B"), "first_B"),
    "preference.ipo": (ipo, AGAINST, "first_B"),
    "preference.ipo_tokens": (ipo_tokens, (*AGAINST, *COUNTED), "second_B"),
    "reference_free.orpo": (orpo, ("first_B", "second_B", *COUNTED, *PAIR), "first_B"),
    "reference_free.simpo": (simpo, ("first_B", "second_B", *COUNTED, *PAIR), "first_B"),
    "reference_free.nll": (nll, ("first_B", "second_B", *COUNTED, *PAIR), "first_B"),
    "reference_free.cpo": (cpo, ("first_B", "second_B", *COUNTED, *PAIR, "margin_B"), "first_B"),
    "reference_free.slic": (slic, ("first_B", "second_B", *COUNTED, *PAIR, "margin_B"), "first_B"),
    "pair_losses.hinge": (hinge, (*AGAINST, "margin_B"), "first_B"),
    "pair_losses.exo": (exo, AGAINST, "second_B"),
    "pair_losses.nca": (nca, AGAINST, "first_B"),
    "pair_losses.bco": (bco, AGAINST, "second_B"),
    "pair_losses.sppo": (sppo, AGAINST, "first_B"),
    "pair_losses.apo_zero": (apo_zero, AGAINST, "first_B"),
    "pair_losses.apo_down": (apo_down, AGAINST, "second_B"),
    "distilled.distilled": (distil, (*AGAINST, "gap_B"), "first_B"),
    "feedback.kto": (kto, ("logp_B", "ref_logp_B", *PAIR), "logp_B"),
    "policy.clipped": (
        ppo_policy,
        ("logp_M", "old_logp_M", "advantage_M", "weight_M"),
        "logp_M",
    ),
    "policy.clipped, dual": (dual_clip, ("logp_M", "old_logp_M", "advantage_M"), "logp_M"),
    "policy.gspo": (gspo, ("logp_B", "old_logp_B", "advantage_B"), "logp_B"),
    "policy.cispo": (cispo, ("logp_M", "old_logp_M", "advantage_M", "weight_M"), "logp_M"),
    "policy.reinforce": (
        reinforce,
        ("logp_M", "old_logp_M", "advantage_M", "weight_M"),
        "logp_M",
    ),
    "kl.penalty": (penalty, ("logp_M", "ref_logp_M", "weight_M"), "logp_M"),
    "value.clipped": (ppo_value, ("value_M", "old_value_M", "return_M"), "value_M"),
}


def run(name: str, seed: int, parts: list[list[int]]) -> tuple[float, Tensor, dict[str, float]]:
    """Summed loss, gradient at the trained column and summed metrics over the parts."""
    objective, names, trained = OBJECTIVES[name]
    whole = columns(*names, seed=seed)
    leaf = whole[trained].clone().requires_grad_()
    whole[trained] = leaf
    total, metrics = 0.0, {}
    for part in parts:
        loss = objective({key: column[part] for key, column in whole.items()}, whole)
        loss.value.backward()
        total += loss.value.item()
        for key, figure in loss.metrics.items():
            metrics[key] = metrics.get(key, 0.0) + figure.item()
    assert leaf.grad is not None
    return total, leaf.grad, metrics


@pytest.mark.parametrize("name", OBJECTIVES)
@given(owner=st.lists(st.integers(0, 4), min_size=ITEMS, max_size=ITEMS), seed=st.integers(0, 99))
def test_any_partition_adds_up(name: str, owner: list[int], seed: int) -> None:
    """`owner[i]` is the part that item i goes to; parts may be empty and their order is mixed."""
    parts = [[i for i in range(ITEMS) if owner[i] == k] for k in range(5)]
    once, once_gradient, once_metrics = run(name, seed, [list(range(ITEMS))])
    total, gradient, metrics = run(name, seed, parts)
    assert total == pytest.approx(once, abs=1e-12)
    assert torch.allclose(gradient, once_gradient, atol=1e-12)
    assert metrics == pytest.approx(once_metrics, abs=1e-12)
    assert len(metrics) > 0


def test_every_objective_is_here() -> None:
    """A new function that returns a Loss must join the table above."""
    modules = (
        distilled,
        feedback,
        kl,
        language,
        pair_losses,
        policy,
        preference,
        reference_free,
        reward,
        value,
    )
    found = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, item in vars(module).items()
        if getattr(item, "__annotations__", {}).get("return") == "Loss"
    }
    assert found == {name.partition(",")[0] for name in OBJECTIVES}
