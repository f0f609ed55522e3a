"""Writes `trl_1_16.json`: what TRL 1.16.0's own trainers compute on small fixed tensors.

Run it in an environment with the extra `peers`:  python tests/golden/make_trl_golden.py OUT.json
With `--seed N` other tensors are made; without OUT the record goes to standard output.

Each case builds TRL's trainer around a Llama of random weights, calls the trainer's own
`compute_loss` on a padded batch, and records the loss, its gradient at the output weights, and the
tensors that lead there: the last hidden states and the output weights. The same loss and gradient
must come out of Accord's objectives on these tensors. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
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
from tokenizers import Tokenizer, models
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

VOCABULARY, HIDDEN, PAD = 11, 8, 0
ROWS, LENGTH = 4, 7


def tokenizer() -> PreTrainedTokenizerFast:
    """Single letters; TRL wants one to build a trainer, no text is ever encoded by it here."""
    words = {"<pad>": PAD, "<eos>": 1} | {chr(95 + i): i for i in range(2, VOCABULARY)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<eos>")),
        pad_token="<pad>",
        eos_token="<eos>",
    )


def config() -> LlamaConfig:
    """Two heads, one layer, nothing random at run time."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=1,
        tie_word_embeddings=False,
        initializer_range=0.6,
        num_labels=1,
    )


def causal(seed: int) -> LlamaForCausalLM:
    """A language model with random weights large enough that its losses differ."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(config())


def settings(folder: str) -> dict[str, Any]:
    """Arguments that every trainer needs on a processor without a hub or a logger."""
    return {
        "output_dir": folder,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": ROWS,
    }


def batch(seed: int, rows: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, attention mask, completion mask): right-padded rows, each with a prompt of 2 tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(2, VOCABULARY, (rows, LENGTH), generator=generator)
    lengths = torch.randint(4, LENGTH + 1, (rows,), generator=generator)
    lengths[0] = LENGTH
    attention = (torch.arange(LENGTH) < lengths[:, None]).long()
    completion = attention * (torch.arange(LENGTH) >= 2)
    return ids * attention, attention, completion


def states(model: Any, ids: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """Last hidden states."""
    with torch.no_grad():
        return model.model(input_ids=ids, attention_mask=attention).last_hidden_state


def sft(seed: int, folder: str, global_tokens: int | None) -> dict[str, Any]:
    """SFTTrainer; `global_tokens` is what the Trainer counts over accumulated micro-batches."""
    ids, attention, completion = batch(seed, ROWS)
    labels = ids.masked_fill(completion == 0, -100)
    model = causal(seed)
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(**settings(folder), loss_type="nll"),
        train_dataset=Dataset.from_dict({"input_ids": [[2, 3, 4]], "labels": [[2, 3, 4]]}),
        processing_class=tokenizer(),
    )
    inputs = {"input_ids": ids, "attention_mask": attention, "labels": labels}
    count = None if global_tokens is None else torch.tensor(global_tokens)
    loss = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=count)
    loss.backward()
    return {
        "hidden": states(model, ids, attention).tolist(),
        "ids": ids.tolist(),
        "trained": completion.bool().tolist(),
        "global_tokens": global_tokens or int(completion.sum()),
        "weight": model.lm_head.weight.tolist(),
        "loss": loss.item(),
        "gradient": model.lm_head.weight.grad.tolist(),
    }


def dpo(seed: int, folder: str, beta: float) -> dict[str, Any]:
    """DPOTrainer with the sigmoid loss and a reference of other weights."""
    ids, attention, completion = batch(seed, 2 * ROWS)
    model, reference = causal(seed), causal(seed + 1)
    trainer = trl.DPOTrainer(
        model=model,
        ref_model=reference,
        args=trl.DPOConfig(**settings(folder), beta=beta, loss_type="sigmoid"),
        train_dataset=Dataset.from_dict({"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}),
        processing_class=tokenizer(),
    )
    inputs = {"input_ids": ids, "attention_mask": attention, "completion_mask": completion}
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    figures = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    return {
        "hidden": states(model, ids, attention).tolist(),
        "ref_hidden": states(reference, ids, attention).tolist(),
        "ids": ids.tolist(),
        "trained": completion.bool().tolist(),
        "beta": beta,
        "weight": model.lm_head.weight.tolist(),
        "ref_weight": reference.lm_head.weight.tolist(),
        "loss": loss.item(),
        "gradient": model.lm_head.weight.grad.tolist(),
        "accuracy": figures["rewards/accuracies"],
        "margin": figures["rewards/margins"],
    }


def reward(
    seed: int, folder: str, margins: list[float] | None, centring: float | None = None
) -> dict[str, Any]:
    """RewardTrainer, with and without the dataset's margins and the centring of scores."""
    ids, attention, _ = batch(seed, 2 * ROWS)
    torch.manual_seed(seed)
    model = LlamaForSequenceClassification(config())
    trainer = trl.RewardTrainer(
        model=model,
        args=trl.RewardConfig(**settings(folder), center_rewards_coefficient=centring),
        train_dataset=Dataset.from_dict({"chosen": ["a"], "rejected": ["b"]}),
        processing_class=tokenizer(),
    )
    inputs = {"input_ids": ids, "attention_mask": attention}
    if margins is not None:
        inputs["margin"] = torch.tensor(margins)
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    figures = {name: values[-1] for name, values in trainer._metrics["train"].items()}
    last = states(model, ids, attention)[torch.arange(2 * ROWS), attention.sum(1) - 1]
    return {
        "hidden": last.tolist(),
        "weight": model.score.weight.tolist(),
        "margins": margins or [0.0] * ROWS,
        "centring": centring or 0.0,
        "loss": loss.item(),
        "gradient": model.score.weight.grad.tolist(),
        "accuracy": figures["accuracy"],
        "margin": figures["margin"],
    }


GROUP = 4
"""Answers a prompt of the group methods; there are two prompts."""


def group(seed: int, folder: str, kind: str, beta: float, **more: Any) -> dict[str, Any]:
    """GRPOTrainer or RLOOTrainer on two groups of fixed answers with fixed scores.

    The trainer's own code makes scores into advantages and asks model and reference for
    log-probabilities; only its sampling is replaced by the answers at hand. The old policy of GRPO
    is moved away from the new one, so that ratios are clipped. Its KL term is the paper's: TRL's
    default multiplies it by the ratio.
    """
    ids, attention, completion = batch(seed, 2 * GROUP)
    model, reference = causal(seed), causal(seed + 1)
    kept = Path(folder) / f"reference-{seed}"  # the trainers load their reference by name
    reference.save_pretrained(kept)
    model.config._name_or_path = str(kept)
    answers = [row[mask.bool()].tolist() for row, mask in zip(ids, completion, strict=True)]
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2 * GROUP, generator=generator)
    trainers = {
        "grpo": (trl.GRPOTrainer, trl.GRPOConfig),
        "rloo": (trl.RLOOTrainer, trl.RLOOConfig),
    }
    trainer_of, config_of = trainers[kind]
    trainer = trainer_of(
        model=model,
        reward_funcs=lambda prompts, completions, **_: scores.tolist(),
        args=config_of(
            **settings(folder) | {"num_generations": GROUP, "max_completion_length": LENGTH - 2},
            **more | {"beta": beta} | ({"use_bias_correction_kl": False} if kind == "grpo" else {}),
        ),
        train_dataset=Dataset.from_dict({"prompt": ["a"]}),
        processing_class=tokenizer(),
    )
    trainer.current_gradient_accumulation_steps = 1
    asked, texts = [row[:2].tolist() for row in ids], ["a"] * len(answers)
    told = (asked, answers, None, texts, None, {}, None, None)
    trainer._generate = lambda prompts: told if kind == "grpo" else (asked, answers, texts)
    inputs = trainer._generate_and_score_completions([{"prompt": "a"} for _ in answers])
    read = {"input_ids": ids, "attention_mask": attention, "logits_to_keep": LENGTH - 2}
    old = trainer._get_per_token_logps_and_entropies(model, **read)[0].detach()
    if kind == "grpo":
        old = old + 0.3 * torch.randn(old.shape, generator=generator)
        inputs["old_per_token_logps"] = old
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    return {
        "hidden": states(model, ids, attention).tolist(),
        "ref_hidden": states(reference, ids, attention).tolist(),
        "ids": ids.tolist(),
        "trained": completion.bool().tolist(),
        "weight": model.lm_head.weight.tolist(),
        "ref_weight": reference.lm_head.weight.tolist(),
        "old_logp": old.tolist(),
        "scores": scores.tolist(),
        "beta": beta,
        "advantages": inputs["advantages"].tolist(),
        "loss": loss.item(),
        "gradient": model.lm_head.weight.grad.tolist(),
    }


def record(seed: int) -> dict[str, Any]:
    """All cases, with the versions that made them."""
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Callable[[], dict[str, Any]]] = {
            "sft": lambda: sft(seed, folder, None),
            "sft/micro-batch of 100 tokens": lambda: sft(seed + 10, folder, 100),
            "dpo/beta .1": lambda: dpo(seed + 20, folder, 0.1),
            "dpo/beta .5": lambda: dpo(seed + 30, folder, 0.5),
            "reward": lambda: reward(seed + 40, folder, None),
            "reward/margin": lambda: reward(seed + 50, folder, [1.0, 0.0, 1 / 3, 2 / 3]),
            "reward/centred": lambda: reward(seed + 60, folder, None, 0.2),
            "grpo/answer": lambda: group(seed + 60, folder, "grpo", 0.4, loss_type="grpo"),
            "grpo/token": lambda: group(seed + 70, folder, "grpo", 0.2, loss_type="dapo"),
            "grpo/constant": lambda: group(
                seed + 80, folder, "grpo", 0.6, loss_type="dr_grpo", scale_rewards="none"
            ),
            "rloo": lambda: group(seed + 90, folder, "rloo", 0.2),
            "clip-higher": lambda: group(
                seed + 100, folder, "grpo", 0.2, loss_type="dapo", epsilon_high=0.28
            ),
            "dual clip": lambda: group(
                seed + 110, folder, "grpo", 0.3, loss_type="dapo", delta=1.35
            ),
            "gspo": lambda: group(
                seed + 120,
                folder,
                "grpo",
                0.4,
                loss_type="grpo",
                importance_sampling_level="sequence",
                epsilon=0.05,
                epsilon_high=0.1,
            ),
            "cispo": lambda: group(
                seed + 130, folder, "grpo", 0.5, loss_type="cispo", epsilon_high=1.2
            ),
        }
        cases = {name: make() for name, make in made.items()}
    versions = {"trl": trl.__version__, "transformers": transformers.__version__}
    return {"versions": versions | {"torch": torch.__version__}, "seed": seed, "cases": cases}


def as_text(made: dict[str, Any]) -> str:
    """JSON with a line a case and 9 significant digits, which hold a float32 exactly."""
    short = json.loads(json.dumps(made), parse_float=lambda digits: float(f"{float(digits):.9g}"))
    cases = ",\n".join(f"  {json.dumps(n)}: {json.dumps(c)}" for n, c in short["cases"].items())
    head = ",\n".join(f" {json.dumps(n)}: {json.dumps(short[n])}" for n in ("versions", "seed"))
    return "{\n" + head + ',\n "cases": {\n' + cases + "\n }\n}\n"


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
