"""The libraries that Accord is measured beside: transformers' `generate` and TRL's trainers.

TRL is left out where it is not installed. Its rows are given in the order that Accord takes them,
and their tokens are compared with Accord's before anything is timed.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.trainer_callback import PrinterCallback

from accord.algorithms.settings import OptimizerSettings
from accord.models.bars import no_bars
from bench.measure import Lap, Peak, Runner, now, step_seconds
from bench.workloads import Setting

DEFAULTS, LEANER = "trl, defaults", "trl, bf16 without checkpointing"
"""TRL's own settings (gradient checkpointing among them), and the ones that are usually faster."""
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""What an adapter lies on: every linear layer below the head, as in Accord."""


def generators(
    setting: Setting, prompts: Sequence[Sequence[int]], n: int
) -> dict[str, Callable[[int], None]]:
    """transformers' `generate` with each kind of cache: called with the number of new tokens."""
    dtype = getattr(torch, setting.machine.dtype)
    with no_bars():
        model: Any = AutoModelForCausalLM.from_pretrained(setting.folder, dtype=dtype)
    model = model.to(setting.machine.device).eval()
    model.generation_config = GenerationConfig()  # the model's own may end answers early
    ids = torch.tensor(prompts, device=setting.machine.device)

    def with_cache(kind: str) -> Callable[[int], None]:
        def sample(new: int) -> None:
            config = GenerationConfig(
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=new,
                num_return_sequences=n,
                cache_implementation=kind,
                pad_token_id=0,
            )
            with torch.no_grad():
                out = model.generate(
                    ids, attention_mask=torch.ones_like(ids), generation_config=config
                )
            assert out.shape == (len(prompts) * n, ids.shape[1] + new), out.shape

        return sample

    return {f"transformers, {kind} cache": with_cache(kind) for kind in ("dynamic", "static")}


def trl_missing() -> str | None:
    """Why TRL is not measured, or None where it is."""
    if find_spec("trl") is None:
        return 'TRL is not installed: pip install "accord[peers]"'
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """One training run of TRL's."""

    kind: str
    """SFT, DPO or Reward: the trainer's name."""
    rows: list[dict[str, Any]]
    """In the order they are taken."""
    lengths: list[int]
    """Tokens that Accord makes of each row."""
    optimizer: OptimizerSettings
    more: Mapping[str, Any]
    """Arguments of this kind of trainer."""
    start: Callable[[Any], None] | None = None
    """Changes the model before the first step: its head, where Accord's is drawn otherwise."""


def trainers(setting: Setting, trained: Trained) -> dict[str, Runner]:
    """TRL's settings, or nothing where it is not installed."""
    if trl_missing() is not None:
        return {}
    import_module("trl")  # before memory is measured: its code is not the training's
    return {
        DEFAULTS: lambda: _lap(setting, trained, checkpointing=True),
        LEANER: lambda: _lap(setting, trained, checkpointing=False),
    }


def _lap(setting: Setting, trained: Trained, *, checkpointing: bool) -> Lap:
    memory = Peak()
    with _quiet(), TemporaryDirectory() as scratch:
        trainer = _trainer(setting, trained, checkpointing=checkpointing, scratch=scratch)
        found = [_length(row) for row in trainer.train_dataset]
        if found != trained.lengths:
            raise ValueError(f"TRL trains on other tokens: {found[:4]}, not {trained.lengths[:4]}")
        if trained.start is not None:
            trained.start(trainer.model)
        clock = _clock()
        trainer.add_callback(clock)
        trainer.train()
    return Lap(
        seconds={"step": step_seconds(clock.marks)},
        losses=tuple(clock.losses),
        gib=memory.gib(),
    )


def _trainer(setting: Setting, trained: Trained, *, checkpointing: bool, scratch: str) -> Any:
    trl, datasets = import_module("trl"), import_module("datasets")
    tokenizer = AutoTokenizer.from_pretrained(setting.folder)
    if tokenizer.pad_token in (None, tokenizer.eos_token) and tokenizer.unk_token is not None:
        tokenizer.pad_token = tokenizer.unk_token  # else the stop token is taken for a pad
    optimizer, sizes = trained.optimizer, setting.sizes
    dtype = "bfloat16" if setting.lora and not checkpointing else "float32"
    config = getattr(trl, f"{trained.kind}Config")(
        output_dir=scratch,
        per_device_train_batch_size=sizes.batch,
        max_steps=sizes.steps,
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=optimizer.max_grad_norm,
        adam_epsilon=optimizer.epsilon,
        train_sampling_strategy="sequential",
        use_cpu=setting.machine.device == "cpu",
        bf16=setting.machine.dtype == "bfloat16",
        gradient_checkpointing=checkpointing,
        model_init_kwargs={
            "dtype": dtype if setting.machine.dtype == "bfloat16" else "float32",
        },
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=setting.machine.device != "cpu",
        seed=setting.seed,
        **trained.more,
    )
    trainer = getattr(trl, f"{trained.kind}Trainer")(
        model=str(setting.folder),
        args=config,
        train_dataset=datasets.Dataset.from_list(trained.rows),
        processing_class=tokenizer,
        peft_config=_lora(trained.kind) if setting.lora else None,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _lora(kind: str) -> Any:
    from peft import LoraConfig

    task = "SEQ_CLS" if kind == "Reward" else "CAUSAL_LM"
    return LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules=list(LINEAR), task_type=task
    )


def _length(row: Mapping[str, Any]) -> int:
    """Tokens of a prepared row, whichever trainer's it is."""
    if "input_ids" in row:
        return len(row["input_ids"])
    answers = len(row["chosen_ids"]) + len(row["rejected_ids"])
    return answers + 2 * len(row.get("prompt_ids", ()))


def _clock() -> Any:
    """A callback that notes when the training began, when each step ended, and every loss."""

    class Clock(transformers.TrainerCallback):
        def __init__(self) -> None:
            self.marks: list[float] = []
            self.losses: list[float] = []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            self.marks.append(now())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.marks.append(now())

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if "loss" in more["logs"]:
                self.losses.append(float(more["logs"]["loss"]))

    return Clock()


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no advice of the peers' between our own lines."""
    import_module("datasets").disable_progress_bars()
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    logging.getLogger("trl").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with no_bars():
                yield
        finally:
            transformers.logging.set_verbosity(level)
