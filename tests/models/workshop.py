"""Small models of many kinds, made once a session, and batches to run through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

from accord.core.machine import Machine
from accord.models.backbone import Backbone
from accord.models.bars import no_bars
from accord.models.machine import resolve
from accord.models.tiny import CONTEXT, ROLES, TEMPLATE, make_tiny
from accord.text.tokenized import Tokenized

VOCABULARY = 90
"""Of the models that `folder_of` makes: no multiple of the sampler's block."""

PLAIN: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.25,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
    "sliding_window": None,
}
GPT2: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "initializer_range": 0.25,
    "bos_token_id": None,
    "eos_token_id": 1,
}
MAMBA: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "state_size": 8,
    "initializer_range": 0.25,
}
CONFIGS: dict[str, dict[str, Any]] = {"gpt2": GPT2, "mamba": MAMBA}

Folders = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, not pretrained: its next token is almost evenly distributed."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    make_tiny(folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """`folder_of(model_type, **settings)`: a random model of that kind, with peaked predictions."""
    made: dict[str, Path] = {}

    def folder_of(kind: str, **settings: Any) -> Path:
        name = f"{kind} {sorted(settings.items())}"
        if name not in made:
            config = AutoConfig.for_model(kind, **(CONFIGS.get(kind, PLAIN) | settings))
            with torch.random.fork_rng(devices=[]), no_bars():
                torch.manual_seed(7)
                model = AutoModelForCausalLM.from_config(config)
                for key, parameter in model.named_parameters():
                    if key.endswith("bias"):  # transformers starts them at 0, where none is missed
                        nn.init.normal_(parameter, std=0.3)
                made[name] = tmp_path_factory.mktemp(kind) / "model"
                model.save_pretrained(made[name])
        return made[name]

    return folder_of


def make_other(folder: Path, *, seed: int) -> None:
    """A narrow model with a tokenizer of single bytes: it shares no id and no stop token."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[*ROLES, "<|over|>", "<|blank|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet(), reverse=True),
        show_progress=False,
    )
    tokenizer.train_from_iterator([], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"eos_token": "<|over|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    (folder / "chat_template.jinja").write_text(TEMPLATE.replace("<|end|>", "<|over|>"))
    sizes = {"vocab_size": tokenizer.get_vocab_size(), "max_position_embeddings": CONTEXT}
    config = AutoConfig.for_model("llama", **(PLAIN | sizes))
    with torch.random.fork_rng(devices=[]), no_bars():
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)


def machine(dtype: str = "float32") -> Machine:
    """This machine's processor in `dtype`, with micro-batches that cut small batches."""
    return replace(resolve(dtype, "cpu"), micro_batch_tokens=64)


def load(
    folder: Path, dtype: str = "float32", *, train_all: bool = False, wide: bool = False
) -> Backbone:
    """A backbone on the processor."""
    return Backbone.load(folder, machine=machine(dtype), train_all=train_all, wide=wide)


def with_adapters(folder: Path, *names: str, dtype: str = "float32", size: float = 0.1) -> Backbone:
    """A backbone with perturbed adapters, so that each of them changes what is computed."""
    backbone = load(folder, dtype)
    for number, name in enumerate(names):
        backbone.add_adapter(name, rank=4, alpha=8, seed=number)
        perturb(backbone, name, seed=number, size=size)
    return backbone


@torch.no_grad()
def perturb(backbone: Backbone, name: str, *, seed: int, size: float = 0.1) -> None:
    """Move an adapter away from the zero that it starts at."""
    generator = torch.Generator().manual_seed(seed)
    for key, parameter in backbone.adapter_parameters(name):
        if ".lora_B." in key:
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator))


def rows(seed: int, lengths: Iterable[int], *, vocabulary: int = VOCABULARY) -> list[Tokenized]:
    """Random token rows whose train masks start somewhere inside and end at the last token."""
    rng = np.random.default_rng(seed)
    made = []
    for length in lengths:
        start = int(rng.integers(0, max(1, length - 1)))
        ids = tuple(int(i) for i in rng.integers(0, vocabulary, length))
        made.append(Tokenized(ids, tuple(place >= start for place in range(length))))
    return made


def alike(seed: int, start: int, lengths: Iterable[int]) -> list[Tokenized]:
    """Random rows whose first `start` tokens are the same; `lengths` tokens follow, all trained."""
    (first,) = rows(seed, (start,))
    own = rows(seed + 1, lengths)
    # Exactly so many in common: what follows differs at once.
    heads = [(i % VOCABULARY,) for i in range(len(own))]
    return [
        Tokenized(first.ids + head + row.ids[1:], (False,) * start + (True,) * len(row))
        for head, row in zip(heads, own, strict=True)
    ]


def take_gradients(parameters: Iterable[tuple[str, nn.Parameter]]) -> dict[str, Tensor]:
    """Gradients by name, taken away from their parameters."""
    found = {}
    for name, parameter in parameters:
        if parameter.grad is not None:
            found[name], parameter.grad = parameter.grad, None
    return found


def furthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest difference of tensors of the same names, over the largest number among them."""
    assert one.keys() == other.keys()
    assert one
    largest = max(float(tensor.abs().max()) for tensor in one.values())
    assert largest > 0
    return max(float((one[n] - other[n]).abs().max()) for n in one) / largest


def true_logits(backbone: Backbone, ids: Iterable[tuple[int, ...]]) -> Iterator[Tensor]:
    """Transformers' own logits `[T, V]` of each sequence by itself."""
    for row in ids:
        with torch.no_grad():
            yield backbone.model(input_ids=torch.tensor([row]), use_cache=False).logits[0].float()
