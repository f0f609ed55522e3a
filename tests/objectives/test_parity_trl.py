"""The same losses, gradients and figures as TRL 1.16.0 on the same tensors.

The recorded values are always checked. Where TRL is installed (extra `peers`) it also computes new
ones, and the record is made again and compared.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.objectives import advantage, kl, language, pairs, policy, preference, reward
from accord.objectives.loss import Loss

GOLDEN = Path(__file__).parents[1] / "golden"
PEER = "1.16.0"


def trl_is_here() -> bool:
    return importlib.util.find_spec("trl") is not None and importlib.metadata.version("trl") == PEER


needs_trl = pytest.mark.skipif(
    not trl_is_here(), reason=f"TRL {PEER} is not installed: pip install 'accord[peers]'"
)


def record_of(seed: int) -> dict[str, Any]:
    """TRL's values for one seed, computed in a process of its own: TRL patches what it imports."""
    done = subprocess.run(
        [sys.executable, str(GOLDEN / "make_trl_golden.py"), "--seed", str(seed)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def trained_logp(
    hidden: Tensor, weight: Tensor, ids: Tensor, trained: Tensor
) -> tuple[Tensor, Tensor]:
    """(log-probabilities of the tokens after the first, which of them are trained)."""
    logp = torch.log_softmax(hidden[:, :-1] @ weight.T, dim=-1)
    return logp.gather(-1, ids[:, 1:, None]).squeeze(-1), trained[:, 1:]


def sft(case: dict[str, Any], weight: Tensor) -> Loss:
    logp, trained = trained_logp(
        torch.tensor(case["hidden"]),
        weight,
        torch.tensor(case["ids"]),
        torch.tensor(case["trained"]),
    )
    return language.next_token(logp_M=logp[trained], global_tokens=case["global_tokens"])


def dpo(case: dict[str, Any], weight: Tensor) -> Loss:
    ids, trained = torch.tensor(case["ids"]), torch.tensor(case["trained"])

    def sums(hidden: str, output: Tensor) -> tuple[Tensor, ...]:
        logp, counts = trained_logp(torch.tensor(case[hidden]), output, ids, trained)
        return (logp * counts).sum(1).chunk(2)

    first, second = sums("hidden", weight)
    ref_first, ref_second = sums("ref_hidden", torch.tensor(case["ref_weight"]))
    label, ones = torch.ones_like(first), torch.ones_like(first)
    totals = pairs.totals(label_B=label, weight_B=ones)
    return preference.dpo(
        first_B=first,
        second_B=second,
        ref_first_B=ref_first,
        ref_second_B=ref_second,
        label_B=label,
        weight_B=ones,
        beta=case["beta"],
        global_weight=totals.weight,
        global_clear=totals.clear,
    )


def bradley_terry(case: dict[str, Any], weight: Tensor) -> Loss:
    first, second = (torch.tensor(case["hidden"]) @ weight.T).squeeze(-1).chunk(2)
    ones = torch.ones_like(first)
    totals = pairs.totals(label_B=ones, weight_B=ones)
    loss = reward.bradley_terry(
        first_B=first,
        second_B=second,
        label_B=ones,
        weight_B=ones,
        margin_B=torch.tensor(case["margins"]),
        global_weight=totals.weight,
        global_clear=totals.clear,
    )
    centred = reward.centring(
        first_B=first,
        second_B=second,
        weight_B=ones,
        coefficient=case["centring"],
        global_weight=totals.weight,
    )
    return Loss(loss.value + centred.value, loss.metrics)


CLIPS = {"clip-higher": {"clip_high": 0.28}, "dual clip": {"dual_clip": 1.35}}


def group(case: dict[str, Any], weight: Tensor, kind: str) -> Loss:
    """Advantages, ratio and KL of two groups of four answers, as the stages put them together."""
    ids, trained = torch.tensor(case["ids"]), torch.tensor(case["trained"])
    logp, mine = trained_logp(torch.tensor(case["hidden"]), weight, ids, trained)
    ref, _ = trained_logp(
        torch.tensor(case["ref_hidden"]), torch.tensor(case["ref_weight"]), ids, trained
    )
    lengths = mine.sum(1)
    tokens, longest = int(lengths.sum()), ids.shape[1] - 2
    old_M = torch.tensor(case["old_logp"])[mine[:, 1:]]  # of answers alone: a prompt has two tokens
    score = torch.tensor(case["scores"])
    if kind == "rloo":
        drift = torch.where(mine, kl.k1(logp.detach(), ref), 0.0)
        score = score - case["beta"] * drift.sum(1)
    ways = {"rloo": advantage.rloo, "constant": advantage.dr_grpo}
    gain = ways.get(kind, advantage.group_relative)(score_PK=score.view(-1, 4)).flatten()
    torch.testing.assert_close(gain, torch.tensor(case["advantages"]), rtol=1e-4, atol=1e-5)
    sizes = {"length_B": lengths, "global_answers": len(lengths), "global_tokens": tokens}
    if kind in ("answer", "gspo"):
        weight_M = policy.answer_weights(**sizes)
    elif kind in ("token", "cispo", *CLIPS):
        weight_M = torch.ones(tokens)
    else:  # RLOO's is a sum over tokens
        weight_M = policy.constant_weights(**sizes, longest=longest)
        weight_M = weight_M * longest if kind == "rloo" else weight_M
    logp_M, ref_M, gain_M = logp[mine], ref[mine], gain.repeat_interleave(lengths)
    about = {"weight_M": weight_M, "global_tokens": tokens}
    if kind == "rloo":
        loss = policy.reinforce(logp_M=logp_M, old_logp_M=old_M, advantage_M=gain_M, **about)
        # TRL's value is that of a ratio of 1, whatever the log-probabilities.
        return Loss(loss.value - loss.value.detach() - gain.mean(), loss.metrics)
    pair = {"logp_M": logp_M, "old_logp_M": old_M}
    if kind == "gspo":
        loss = policy.gspo(**pair, advantage_B=gain, clip=0.05, clip_high=0.1, **sizes)
    elif kind == "cispo":
        loss = policy.cispo(**pair, advantage_M=gain_M, bound=1.2, **about)
    else:
        clips = {"clip": 0.2, **CLIPS.get(kind, {})}
        loss = policy.clipped(**pair, advantage_M=gain_M, **clips, **about)
    price = kl.penalty(logp_M=logp_M, ref_logp_M=ref_M, estimator=kl.k3, **about)
    return Loss(loss.value + case["beta"] * price.value, loss.metrics)


OURS: dict[str, Callable[[dict[str, Any], Tensor], Loss]] = {
    "sft": sft,
    "dpo": dpo,
    "reward": bradley_terry,
    "grpo/answer": partial(group, kind="answer"),
    "grpo/token": partial(group, kind="token"),
    "grpo/constant": partial(group, kind="constant"),
    "rloo": partial(group, kind="rloo"),
    "clip-higher": partial(group, kind="clip-higher"),
    "dual clip": partial(group, kind="dual clip"),
    "gspo": partial(group, kind="gspo"),
    "cispo": partial(group, kind="cispo"),
}


def check(name: str, case: dict[str, Any]) -> None:
    weight = torch.tensor(case["weight"], requires_grad=True)
    loss = OURS.get(name, OURS.get(name.partition("/")[0]))(case, weight)
    (gradient,) = torch.autograd.grad(loss.value, weight)
    assert loss.value.item() == pytest.approx(case["loss"], rel=2e-6, abs=2e-7)
    torch.testing.assert_close(gradient, torch.tensor(case["gradient"]), rtol=2e-5, atol=2e-6)
    for figure in ("accuracy", "margin"):
        if figure in case:
            ours = loss.metrics[f"preference/{figure}"].item()
            assert ours == pytest.approx(case[figure], rel=1e-5, abs=1e-6)


RECORD: dict[str, Any] = json.loads((GOLDEN / "trl_1_16.json").read_text())


@pytest.mark.parametrize("name", RECORD["cases"])
def test_recorded_values(name: str) -> None:
    check(name, RECORD["cases"][name])


def test_centring_parity_with_trl() -> None:
    """The recorded case, of which the centring is a part that shows."""
    case = RECORD["cases"]["reward/centred"]
    check("reward/centred", case)
    plain = bradley_terry(case | {"centring": 0.0}, torch.tensor(case["weight"]))
    assert case["loss"] - plain.value.item() > 0.01


def test_the_record_tells_the_cases_apart() -> None:
    """A record of equal or vanishing losses would let a wrong sign or denominator pass."""
    # That of RLOO is the mean advantage, which is 0: its gradient is what is compared.
    losses = [case["loss"] for name, case in RECORD["cases"].items() if name != "rloo"]
    assert RECORD["versions"]["trl"] == PEER
    assert min(losses) > 0.01
    assert len({round(loss, 3) for loss in losses}) == len(losses)
    for case in RECORD["cases"].values():
        assert torch.tensor(case["gradient"]).abs().max() > 0.01


@needs_trl
def test_the_record_is_what_trl_computes() -> None:
    made = record_of(RECORD["seed"])
    for name, case in RECORD["cases"].items():
        for key, recorded in case.items():
            torch.testing.assert_close(
                torch.tensor(made["cases"][name][key], dtype=torch.float64),
                torch.tensor(recorded, dtype=torch.float64),
                rtol=1e-4,
                atol=1e-5,
            )


@needs_trl
def test_new_values() -> None:
    for name, case in record_of(seed=1000)["cases"].items():
        check(name, case)
