"""Direct alignment against TRL 1.16.0 on the same tensors, and against float64 oracles.

The recorded values of TRL are always checked; where it is installed (extra `peers`) it also makes
the record again. What TRL does not have (conservative DPO, DPO-Positive, IPO on sums, BCO's shift,
soft labels of EXO and SPPO, distillation) is held against an oracle that is written here from the
paper, in plain float64 numbers.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.objectives import (
    distilled,
    feedback,
    pair_losses,
    pairs,
    preference,
    reference_free,
)
from accord.objectives.loss import Loss
from tests.objectives.test_parity_trl import GOLDEN, PEER, needs_trl, trained_logp

RECORD: dict[str, Any] = json.loads((GOLDEN / "trl_direct_1_16.json").read_text())
Case = dict[str, Any]


def sums(case: Case, weight: Tensor, *, of: str = "", part: str = "") -> tuple[Tensor, Tensor]:
    """Summed log-probabilities and numbers of the trained tokens of a case's rows."""
    ids, trained = (torch.tensor(case[f"{part}{name}"]) for name in ("ids", "trained"))
    hidden = torch.tensor(case[f"{part}{of}hidden"])
    logp, counts = trained_logp(hidden, weight, ids, trained)
    return (logp * counts).sum(1), counts.sum(1)


def columns(case: Case, weight: Tensor, *, against: bool, lengths: bool) -> dict[str, Any]:
    """What an objective on pairs is given; the first of a pair is better."""
    logp, tokens = sums(case, weight)
    first, second = logp.chunk(2)
    given: dict[str, Any] = {"first_B": first, "second_B": second}
    given |= {"label_B": torch.ones_like(first), "weight_B": torch.ones_like(first)}
    if against:
        ref, _ = sums(case, torch.tensor(case["ref_weight"]), of="ref_")
        given["ref_first_B"], given["ref_second_B"] = ref.chunk(2)
    if lengths:
        given["first_tokens_B"], given["second_tokens_B"] = tokens.to(logp.dtype).chunk(2)
    totals = pairs.totals(label_B=given["label_B"], weight_B=given["weight_B"])
    return given | {"global_weight": totals.weight, "global_clear": totals.clear}


def dpo(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=True, lengths=False)
    return preference.dpo(**given, beta=case["beta"])


def rdpo(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=True, lengths=False)
    return preference.rdpo(**given, beta=case["beta"], smoothing=case["label_smoothing"])


def ipo_tokens(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=True, lengths=True)
    return preference.ipo_tokens(**given, beta=case["beta"])


def kto(case: Case, weight: Tensor) -> Loss:
    ref_weight = torch.tensor(case["ref_weight"])
    logp, _ = sums(case, weight)
    ref, _ = sums(case, ref_weight, of="ref_")
    z0 = feedback.reference_point(
        logp_B=sums(case, weight, part="kl_")[0],
        ref_logp_B=sums(case, ref_weight, of="ref_", part="kl_")[0],
    )
    assert z0 == pytest.approx(case["kl"], rel=1e-5, abs=1e-6)
    label, ones = torch.tensor(case["label"]).float(), torch.ones(len(logp))
    whole = pairs.sides(label_B=label, weight_B=ones)
    return feedback.kto(
        logp_B=logp,
        ref_logp_B=ref,
        label_B=label,
        weight_B=ones,
        z0=z0,
        beta=case["beta"],
        desirable=case["desirable_weight"],
        undesirable=case["undesirable_weight"],
        global_weight=whole.weight,
        global_desirable=whole.desirable,
        global_undesirable=whole.undesirable,
    )


def orpo(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=False, lengths=True)
    return reference_free.orpo(**given, lam=case["beta"])


def simpo(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=False, lengths=True)
    return reference_free.simpo(**given, beta=case["beta"], gamma=case["simpo_gamma"])


def nll(case: Case, weight: Tensor) -> Loss:
    """DPO with the likelihood beside it."""
    given = columns(case, weight, against=False, lengths=True)
    likelihood = reference_free.nll(**given, alpha=case["loss_weights"][1])
    return Loss(dpo(case, weight).value + likelihood.value, likelihood.metrics)


def cpo(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=False, lengths=True)
    settings = {"beta": case["beta"], "alpha": case["cpo_alpha"]}
    return reference_free.cpo(**given, **settings, smoothing=case["label_smoothing"])


def slic(case: Case, weight: Tensor) -> Loss:
    given = columns(case, weight, against=False, lengths=True)
    return reference_free.slic(**given, beta=case["beta"], alpha=case["cpo_alpha"])


def paired(
    objective: Callable[..., Loss], smoothing: bool = False, **settings: float
) -> Callable[[Case, Tensor], Loss]:
    """A loss on pairs that has beta, and perhaps the case's smoothing."""

    def found(case: Case, weight: Tensor) -> Loss:
        given = columns(case, weight, against=True, lengths=False)
        more = {"smoothing": case["label_smoothing"]} if smoothing else {}
        return objective(**given, beta=case["beta"], **more, **settings)

    return found


OURS: dict[str, Callable[[Case, Tensor], Loss]] = {
    "dpo": dpo,
    "rdpo": rdpo,
    "ipo_tokens": ipo_tokens,
    "kto": kto,
    "orpo": orpo,
    "simpo": simpo,
    "hinge": paired(pair_losses.hinge),
    "exo": paired(pair_losses.exo, smoothing=True),
    "nca": paired(pair_losses.nca),
    "bco": paired(pair_losses.bco, shift=0.0),
    "sppo": paired(pair_losses.sppo),
    "apo_zero": paired(pair_losses.apo_zero),
    "apo_down": paired(pair_losses.apo_down),
    "nll": nll,
    "cpo": cpo,
    "slic": slic,
}


def check(name: str, case: Case) -> None:
    weight = torch.tensor(case["weight"], requires_grad=True)
    loss = OURS[name](case, weight)
    (gradient,) = torch.autograd.grad(loss.value, weight)
    assert loss.value.item() == pytest.approx(case["loss"], rel=5e-6)
    torch.testing.assert_close(gradient, torch.tensor(case["gradient"]), rtol=5e-5, atol=5e-6)


def test_dpo_parity() -> None:
    check("dpo", RECORD["cases"]["dpo"])


def test_rdpo_parity() -> None:
    check("rdpo", RECORD["cases"]["rdpo"])


def test_ipo_tokens_parity() -> None:
    check("ipo_tokens", RECORD["cases"]["ipo_tokens"])


def test_kto_parity() -> None:
    assert RECORD["cases"]["kto"]["kl"] > 0.1  # else its clamp would hide an estimate gone wrong
    check("kto", RECORD["cases"]["kto"])


def test_orpo_parity() -> None:
    check("orpo", RECORD["cases"]["orpo"])


def test_simpo_parity() -> None:
    check("simpo", RECORD["cases"]["simpo"])


def test_hinge_parity() -> None:
    check("hinge", RECORD["cases"]["hinge"])


def test_exo_parity() -> None:
    check("exo", RECORD["cases"]["exo"])


def test_nca_parity() -> None:
    check("nca", RECORD["cases"]["nca"])


def test_bco_parity() -> None:
    """Of `bco_pair`, which has no shift."""
    check("bco", RECORD["cases"]["bco"])


def test_sppo_parity() -> None:
    check("sppo", RECORD["cases"]["sppo"])


def test_apo_zero_parity() -> None:
    check("apo_zero", RECORD["cases"]["apo_zero"])


def test_apo_down_parity() -> None:
    check("apo_down", RECORD["cases"]["apo_down"])


def test_nll_parity() -> None:
    """Of `sigmoid` and `sft` together, better answers being of one length."""
    check("nll", RECORD["cases"]["nll"])


def test_cpo_parity() -> None:
    check("cpo", RECORD["cases"]["cpo"])


def test_slic_parity() -> None:
    check("slic", RECORD["cases"]["slic"])


def test_the_record_tells_the_cases_apart() -> None:
    losses = [case["loss"] for case in RECORD["cases"].values()]
    assert RECORD["versions"]["trl"] == PEER
    assert RECORD["cases"].keys() == OURS.keys()
    assert min(losses) > 0.01
    for case in RECORD["cases"].values():
        assert torch.tensor(case["gradient"]).abs().max() > 0.01


@needs_trl
@pytest.mark.slow
def test_new_values() -> None:
    """Of another seed, computed in a process of its own: TRL patches what it imports."""
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "make_trl_direct.py"), "--seed", "1000"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made = json.loads(done.stdout[done.stdout.index("{\n") :])
    for name, case in made["cases"].items():
        check(name, case)


def drawn() -> tuple[dict[str, Any], list[tuple[float, ...]]]:
    """Seven pairs as columns, and as rows of plain numbers for an oracle."""
    torch.manual_seed(11)
    names = ("first_B", "second_B", "ref_first_B", "ref_second_B")
    given: dict[str, Any] = {name: -30 * torch.rand(7).double() for name in names}
    given["label_B"] = torch.tensor([1.0, 0.0, 0.5, 0.8, 0.3, 1.0, 1.0]).double()
    given["weight_B"] = torch.tensor([1.0, 0.5, 2.0, 0.1, 1.0, 3.0, 1.0]).double()
    rows = list(zip(*(column.tolist() for column in given.values()), strict=True))
    totals = pairs.totals(label_B=given["label_B"], weight_B=given["weight_B"])
    shared = {"global_weight": totals.weight, "global_clear": totals.clear}
    return given | shared, rows


def mean(parts: list[tuple[float, float]]) -> float:
    """Of (weight, value)."""
    return math.fsum(w * x for w, x in parts) / math.fsum(w for w, _ in parts)


def test_cdpo_parity() -> None:
    """Oracle: each pair as two of DPO's, one the right way round and one turned over."""
    given, rows = drawn()
    parts = []
    for first, second, ref_first, ref_second, label, weight in rows:
        lead = 0.3 * ((first - ref_first) - (second - ref_second))
        for share, won in ((0.85, label), (0.15, 1 - label)):
            parts.append((weight * share * won, math.log1p(math.exp(-lead))))
            parts.append((weight * share * (1 - won), math.log1p(math.exp(lead))))
    found = preference.cdpo(**given, beta=0.3, smoothing=0.15).value.item()
    assert found == pytest.approx(mean(parts), rel=1e-12)


def test_ipo_parity() -> None:
    """Oracle: eq. 17 of the paper with a drawn label for each side, in the labels' shares."""
    given, rows = drawn()
    parts = []
    for first, second, ref_first, ref_second, label, weight in rows:
        ratio = (math.exp(first - ref_first), math.exp(second - ref_second))
        parts.append((weight * label, (math.log(ratio[0] / ratio[1]) - 1 / 0.6) ** 2))
        parts.append((weight * (1 - label), (math.log(ratio[1] / ratio[0]) - 1 / 0.6) ** 2))
    assert preference.ipo(**given, beta=0.3).value.item() == pytest.approx(mean(parts), rel=1e-10)


def test_dpop_parity() -> None:
    """Oracle: the paper's fine in ratios of probabilities, each side in turn the better one."""
    given, rows = drawn()
    parts = []
    for first, second, ref_first, ref_second, label, weight in rows:
        up, down = math.exp(first - ref_first), math.exp(second - ref_second)
        for share, won, lost in ((label, up, down), (1 - label, down, up)):
            fine = 4 * max(0.0, math.log(1 / won))
            chance = 1 / (1 + math.exp(-0.05 * (math.log(won / lost) - fine)))
            parts.append((weight * share, -math.log(chance)))
    assert any(first < ref_first for first, _, ref_first, *_ in rows)
    found = preference.dpop(**given, beta=0.05, lam=4.0).value.item()
    assert found == pytest.approx(mean(parts), rel=1e-9)


def test_bco_parity_of_the_shift() -> None:
    """Oracle: answers one by one, each good with its chance, else bad; the shift is half
    of the mean reward of good ones and half of that of bad ones."""
    given, rows = drawn()
    said = []
    for first, second, ref_first, ref_second, label, weight in rows:
        said.append((0.1 * (first - ref_first), label, weight))
        said.append((0.1 * (second - ref_second), 1 - label, weight))
    good = mean([(weight * chance, reward) for reward, chance, weight in said])
    bad = mean([(weight * (1 - chance), reward) for reward, chance, weight in said])
    shift = (good + bad) / 2
    first_B, second_B = (
        0.1 * (given[f"{side}_B"] - given[f"ref_{side}_B"]) for side in ("first", "second")
    )
    ours = pair_losses.centre(first_B=first_B, second_B=second_B, weight_B=given["weight_B"])
    assert ours == pytest.approx(shift, rel=1e-9)
    total = 0.0
    for reward, chance, weight in said:
        total += weight * chance * math.log1p(math.exp(shift - reward))
        total += weight * (1 - chance) * math.log1p(math.exp(reward - shift))
    expected = total / math.fsum(weight for *_, weight in rows)
    found = pair_losses.bco(**given, beta=0.1, shift=ours).value.item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_exo_parity_of_soft_labels() -> None:
    """Oracle: KL(policy's choice || label's), the policy choosing by (policy / reference)^beta."""
    given, rows = drawn()
    parts = []
    for first, second, ref_first, ref_second, label, weight in rows:
        worth = [math.exp(0.1 * (first - ref_first)), math.exp(0.1 * (second - ref_second))]
        said = [0.9 * label + 0.1 * (1 - label), 0.9 * (1 - label) + 0.1 * label]
        chosen = [one / sum(worth) for one in worth]
        parts.append((weight, sum(q * math.log(q / t) for q, t in zip(chosen, said, strict=True))))
    found = pair_losses.exo(**given, beta=0.1, smoothing=0.1).value.item()
    assert found == pytest.approx(mean(parts), rel=1e-9)


def test_sppo_parity_of_soft_labels() -> None:
    """Oracle: eq. 4.7, log-ratio against eta (chance - 1/2), for each of two answers."""
    given, rows = drawn()
    parts = []
    for first, second, ref_first, ref_second, label, weight in rows:
        one = (math.log(math.exp(first) / math.exp(ref_first)) - 20 * (label - 0.5)) ** 2
        other = (math.log(math.exp(second) / math.exp(ref_second)) - 20 * (0.5 - label)) ** 2
        parts.append((weight, one + other))
    found = pair_losses.sppo(**given, beta=0.05).value.item()
    assert found == pytest.approx(mean(parts), rel=1e-9)


def three_models() -> tuple[list[float], Tensor, dict[str, Any]]:
    """Values of distilling from three reward models by an oracle, their gaps, and the columns.

    Error and forward KL of each model, pair by pair.
    """
    given, rows = drawn()
    rewards = [[(0.5 + k) * math.sin(3 * i + k) for i in range(7)] for k in range(3)]
    values = []
    for reward in rewards:
        parts = []
        for (first, second, ref_first, ref_second, _, weight), gap in zip(
            rows, reward, strict=True
        ):
            implicit = 0.05 * math.log(math.exp(first - second) * math.exp(ref_second - ref_first))
            forward = ((ref_first - first) + (ref_second - second)) / 2
            parts.append((weight, (gap - implicit) ** 2 + 0.02 * forward))
        values.append(mean(parts))
    return values, torch.tensor(rewards, dtype=torch.float64).T, given


def test_distilled_parity() -> None:
    """Oracle: each model's squared error and forward KL."""
    values, gap_BK, given = three_models()
    for k, expected in enumerate(values):
        loss = distilled.distilled(**given, gap_B=gap_BK[:, k], beta=0.05, pessimism=0.02)
        assert loss.value.item() == pytest.approx(expected, rel=1e-10)


def test_member_parity() -> None:
    """Oracle: the least of the whole losses, forward KL and all."""
    values, gap_BK, given = three_models()
    lead = given["first_B"] - given["ref_first_B"] - given["second_B"] + given["ref_second_B"]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        found = distilled.member(
            lead_B=lead, gap_BK=gap_BK[:, order], weight_B=given["weight_B"], beta=0.05
        )
        assert order[found] == values.index(min(values))
