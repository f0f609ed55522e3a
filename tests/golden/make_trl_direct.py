"""Writes `trl_direct_1_16.json`: TRL 1.16.0's direct alignment on small fixed tensors.

Run it in an environment with the extra `peers`:  python tests/golden/make_trl_direct.py OUT.json
It is `make_trl_golden.py` for direct alignment: TRL's own trainers around a Llama of random
weights, their loss and its gradient at the output weights, and what leads there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch
import transformers
import trl
from datasets import Dataset
from make_trl_golden import (
    LENGTH,
    ROWS,
    VOCABULARY,
    as_text,
    batch,
    causal,
    settings,
    states,
    tokenizer,
)
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

PAIRS = {"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}


def recorded(model: Any, loss: torch.Tensor, **more: Any) -> dict[str, Any]:
    """The loss, its gradient, the output weights and whatever else the case needs."""
    loss.backward()
    return {
        "weight": model.lm_head.weight.tolist(),
        "loss": loss.item(),
        "gradient": model.lm_head.weight.grad.tolist(),
        **more,
    }


def against(seed: int, folder: str, *losses: str, **given: Any) -> dict[str, Any]:
    """DPOTrainer with other losses, on pairs and a reference of other weights.

    With several losses, better answers have one length: TRL's likelihood is a mean over all tokens.
    """
    ids, attention, completion = batch(seed, 2 * ROWS)
    if len(losses) > 1:
        shortest = int(attention.sum(1).min())
        for part in (ids, attention, completion):
            part[:ROWS, shortest:] = 0
    model, reference = causal(seed), causal(seed + 1)
    trainer = trl.DPOTrainer(
        model=model,
        ref_model=reference,
        args=trl.DPOConfig(**settings(folder), loss_type=list(losses), **given),
        train_dataset=Dataset.from_dict(PAIRS),
        processing_class=tokenizer(),
    )
    inputs = {"input_ids": ids, "attention_mask": attention, "completion_mask": completion}
    return recorded(
        model,
        trainer.compute_loss(trainer.model, inputs),
        hidden=states(model, ids, attention).tolist(),
        ref_hidden=states(reference, ids, attention).tolist(),
        ref_weight=reference.lm_head.weight.tolist(),
        ids=ids.tolist(),
        trained=completion.bool().tolist(),
        **given,
    )


def kto(seed: int, folder: str, beta: float) -> dict[str, Any]:
    """KTOTrainer with two good and two bad answers, and four mismatched ones for the KL."""
    ids, attention, completion = batch(seed, ROWS)
    apart = batch(seed + 7, ROWS)
    labels = [True, False, True, False]
    model, reference = causal(seed), causal(seed + 1)
    rows = {"prompt": ["a"] * ROWS, "completion": ["b"] * ROWS, "label": labels}
    weights = {"desirable_weight": 1.25, "undesirable_weight": 0.75}
    trainer = trl.KTOTrainer(
        model=model,
        ref_model=reference,
        args=trl.KTOConfig(**settings(folder), beta=beta, **weights),
        train_dataset=Dataset.from_dict(rows),
        processing_class=tokenizer(),
    )
    names = ("input_ids", "attention_mask", "completion_mask")
    inputs = dict(zip(names, (ids, attention, completion), strict=True))
    inputs |= {f"KL_{name}": found for name, found in zip(names, apart, strict=True)}
    inputs["label"] = torch.tensor(labels)
    loss = trainer.compute_loss(trainer.model, inputs)
    return recorded(
        model,
        loss,
        hidden=states(model, ids, attention).tolist(),
        ref_hidden=states(reference, ids, attention).tolist(),
        ref_weight=reference.lm_head.weight.tolist(),
        ids=ids.tolist(),
        trained=completion.bool().tolist(),
        kl_hidden=states(model, *apart[:2]).tolist(),
        kl_ref_hidden=states(reference, *apart[:2]).tolist(),
        kl_ids=apart[0].tolist(),
        kl_trained=apart[2].bool().tolist(),
        kl=trainer._metrics["train"]["kl"][-1],
        label=labels,
        beta=beta,
        **weights,
    )


def alone(seed: int, folder: str, kind: str, **given: float) -> dict[str, Any]:
    """ORPOTrainer, or CPOTrainer with the loss `kind`.

    Prompts have one token, and better answers one length: TRL's ORPO takes the likelihood of the
    prompt with the answer's, and both take its mean over all tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, VOCABULARY, (2 * ROWS, LENGTH), generator=generator)
    lengths = torch.randint(4, LENGTH + 1, (2 * ROWS,), generator=generator)
    lengths[:ROWS], lengths[-1] = LENGTH - 1, LENGTH
    attention = (torch.arange(LENGTH) < lengths[:, None]).long()
    ids = ids * attention
    trained = attention * (torch.arange(LENGTH) >= 1)
    labels = ids.masked_fill(trained == 0, -100)
    model = causal(seed)
    known: dict[str, Any] = {**settings(folder), "max_length": LENGTH, **given}
    orpo = kind == "orpo"
    arguments = ORPOConfig(**known) if orpo else CPOConfig(**known, loss_type=kind)
    trainer = (ORPOTrainer if orpo else CPOTrainer)(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(PAIRS),
        processing_class=tokenizer(),
    )
    inputs = {}
    for side, here in (("chosen", slice(0, ROWS)), ("rejected", slice(ROWS, None))):
        inputs[f"{side}_input_ids"] = ids[here]
        inputs[f"{side}_attention_mask"] = attention[here]
        inputs[f"{side}_labels"] = labels[here]
    loss, _ = trainer.get_batch_loss_metrics(trainer.model, inputs, "train")
    return recorded(
        model,
        loss,
        hidden=states(model, ids, attention).tolist(),
        ids=ids.tolist(),
        trained=trained.bool().tolist(),
        **given,
    )


def record(seed: int) -> dict[str, Any]:
    """All cases, with the versions that made them."""
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Callable[[], dict[str, Any]]] = {
            "dpo": lambda: against(seed, folder, "sigmoid", beta=0.3),
            "rdpo": lambda: against(seed + 10, folder, "robust", beta=0.3, label_smoothing=0.1),
            "ipo_tokens": lambda: against(seed + 20, folder, "ipo", beta=0.4),
            "kto": lambda: kto(seed + 30, folder, 0.3),
            "orpo": lambda: alone(seed + 40, folder, "orpo", beta=0.2),
            "simpo": lambda: alone(
                seed + 50, folder, "simpo", beta=2.0, simpo_gamma=0.7, cpo_alpha=0.0
            ),
            "hinge": lambda: against(seed + 60, folder, "hinge", beta=0.3),
            "exo": lambda: against(seed + 70, folder, "exo_pair", beta=0.3, label_smoothing=0.05),
            "nca": lambda: against(seed + 80, folder, "nca_pair", beta=0.3),
            "bco": lambda: against(seed + 90, folder, "bco_pair", beta=0.3),
            "sppo": lambda: against(seed + 100, folder, "sppo_hard", beta=0.4),
            "apo_zero": lambda: against(seed + 110, folder, "apo_zero", beta=0.3),
            "apo_down": lambda: against(seed + 120, folder, "apo_down", beta=0.3),
            "nll": lambda: against(
                seed + 130, folder, "sigmoid", "sft", beta=0.3, loss_weights=[1.0, 0.6]
            ),
            "cpo": lambda: alone(
                seed + 140, folder, "sigmoid", beta=0.3, label_smoothing=0.1, cpo_alpha=0.6
            ),
            "slic": lambda: alone(seed + 150, folder, "hinge", beta=0.3, cpo_alpha=0.6),
        }
        cases = {name: make() for name, make in made.items()}
    versions = {"trl": trl.__version__, "transformers": transformers.__version__}
    return {"versions": versions | {"torch": torch.__version__}, "seed": seed, "cases": cases}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    text = as_text(record(arguments.seed))
    if arguments.out:
        arguments.out.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
