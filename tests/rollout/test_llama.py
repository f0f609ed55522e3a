"""The fast decoder: joined weights without a second copy, and the same logits as the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from accord.models.role import Role
from accord.rollout.llama import LlamaDecoder, follows_pattern, product
from accord.rollout.plain import PlainDecoder
from tests.models.workshop import Folders, load, perturb, true_logits, with_adapters

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
KINDS = {
    "llama, 1 group": {"num_key_value_heads": 4},
    "llama, 2 groups": {},
    "llama, 4 groups": {"num_key_value_heads": 1},
    "llama, tied": {"tie_word_embeddings": True},
    "llama, biases": {"attention_bias": True, "mlp_bias": True},
    "llama, wide heads": {"head_dim": 16},
    "llama, long rope": {
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 1e4,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    },
    "mistral": {},
    "qwen2": {"use_sliding_window": False},
}


def folder(folder_of: Folders, kind: str) -> Path:
    return folder_of(kind.split(",", maxsplit=1)[0], **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_prefill_and_steps_give_the_models_logits(folder_of: Folders, kind: str) -> None:
    role = Role(with_adapters(folder(folder_of, kind), "sft", "ppo"), ("sft", "ppo"))
    assert follows_pattern(role)
    said = torch.randint(0, 90, (6, 5), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoder = LlamaDecoder(role)
        cache, logits = decoder.prefill(PROMPTS, 2, 6)
        got = [logits.repeat_interleave(2, 0)]
        got += [decoder.step(cache, said[:, t]) for t in range(5)]
    role.backbone.activate(role.adapters)
    for r in range(6):
        prompt = PROMPTS[r // 2]
        (want,) = true_logits(role.backbone, [(*prompt, *said[r].tolist())])
        ours = torch.stack([step[r] for step in got])
        torch.testing.assert_close(ours, want[len(prompt) - 1 :], atol=3e-5, rtol=1e-5)


def test_rows_that_leave_change_nothing_for_those_that_stay(folder_of: Folders) -> None:
    role = Role(load(folder_of("llama")))
    said = torch.randint(0, 90, (6, 4), generator=torch.Generator().manual_seed(0))
    stay = torch.tensor([1, 4, 5])
    decoder: Any
    for decoder in (LlamaDecoder(role), PlainDecoder(role)):
        with torch.no_grad():
            whole, _ = decoder.prefill(PROMPTS, 2, 6)
            cut, _ = decoder.prefill(PROMPTS, 2, 6)
            decoder.step(whole, said[:, 0])
            decoder.step(cut, said[:, 0])
            cut.keep(stay)
            for t in range(1, 4):
                one = decoder.step(whole, said[:, t])
                other = decoder.step(cut, said[stay, t])
                torch.testing.assert_close(other, one[stay], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_frozen_weights_are_joined_once_and_not_copied_again(tiny_folder: Path, dtype: str) -> None:
    backbone = load(tiny_folder, dtype)
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    before = {n: p.detach().clone() for n, p in backbone.model.named_parameters()}
    one, other = (LlamaDecoder(Role(backbone, ("sft",))) for _ in range(2))
    assert one.head.data_ptr() == other.head.data_ptr() == backbone.wide_head()[0].data_ptr()
    attention = backbone.model.get_submodule("model.layers.0.self_attn")
    query = attention.get_submodule("q_proj.base_layer").get_parameter("weight")
    for layer, again in zip(one.layers, other.layers, strict=True):
        for name in ("qkv", "out", "gate_up", "down"):
            ours, theirs = getattr(layer, name).weight, getattr(again, name).weight
            assert ours.data_ptr() == theirs.data_ptr()
            assert torch.equal(ours, theirs)
    assert one.layers[0].qkv.weight.data_ptr() == query.data_ptr()
    assert all(torch.equal(p, before[n]) for n, p in backbone.model.named_parameters())


def test_a_model_that_was_sampled_is_saved_as_it_was(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = load(tiny_folder)
    LlamaDecoder(Role(backbone))
    backbone.save_model(tmp_path, tokenizer_from=tiny_folder)
    again = load(tmp_path)
    for (name, one), (_, other) in zip(
        load(tiny_folder).model.named_parameters(), again.model.named_parameters(), strict=True
    ):
        assert torch.equal(one, other), name


def test_trained_weights_are_read_anew(tiny_folder: Path) -> None:
    backbone = load(tiny_folder, train_all=True)
    role = Role(backbone)
    LlamaDecoder(role)
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.mul_(1.1)
        _, ours = LlamaDecoder(role).prefill(PROMPTS, 1, 1)
    for row, prompt in enumerate(PROMPTS):
        (want,) = true_logits(backbone, [tuple(prompt)])
        torch.testing.assert_close(ours[row], want[-1], atol=1e-5, rtol=1e-5)


def test_adapters_of_a_product_add_up_and_stay_apart(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft", "ppo", "reward")
    backbone.activate(("sft", "ppo"))
    attention = backbone.model.get_submodule("model.layers.1.self_attn")
    layers = [attention.get_submodule(f"{name}_proj") for name in "qkv"]
    x = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        want = torch.cat([layer(x) for layer in layers], -1)
        bare = torch.cat([layer.get_submodule("base_layer")(x) for layer in layers], -1)
        torch.testing.assert_close(product(layers, ("sft", "ppo"), torch.float32)(x), want)
        torch.testing.assert_close(product(layers, (), torch.float32)(x), bare)
    assert not torch.allclose(want, bare)
    perturb(backbone, "sft", seed=5)
    with torch.no_grad():  # a product holds the weights of the moment it was made
        assert not torch.allclose(product(layers, ("sft", "ppo"), torch.float32)(x), want)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mistral", {"sliding_window": 4}),
        ("llama", {"hidden_act": "gelu"}),
        ("granite", {}),
        ("gpt2", {}),
    ],
)
def test_other_models_are_left_to_the_plain_decoder(
    folder_of: Folders, kind: str, settings: dict[str, object]
) -> None:
    assert not follows_pattern(Role(load(folder_of(kind, **settings))))
