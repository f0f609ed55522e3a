"""Adapters on one base: what starts at zero, what trains, what is saved and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from accord.core.errors import ConfigError, ModelError
from accord.models import ragged
from accord.models.backbone import ADAPTER_FILE, Backbone, folder_digest
from accord.models.bars import no_bars
from accord.models.ragged import Ragged
from accord.models.role import Role
from tests.models.workshop import (
    Folders,
    alike,
    furthest,
    load,
    perturb,
    rows,
    take_gradients,
    with_adapters,
)

BATCH = Ragged.of(rows(3, (9, 4, 12)))


def hidden(backbone: Backbone, *names: str) -> Tensor:
    backbone.activate(names)
    with torch.no_grad():
        return backbone.hidden(BATCH)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_fresh_adapter_changes_no_bit(tiny_folder: Path, dtype: str) -> None:
    backbone = load(tiny_folder, dtype)
    bare = hidden(backbone)
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    perturb(backbone, "sft", seed=0)
    backbone.add_adapter("ppo", rank=4, alpha=8, seed=1)
    reference = hidden(backbone, "sft")
    assert torch.equal(hidden(backbone, "sft", "ppo"), reference)
    assert not torch.equal(reference, bare)
    assert torch.equal(hidden(backbone), bare)


def test_an_adapter_that_nobody_asked_for_takes_no_part(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = load(tiny_folder)
    bare = hidden(backbone)
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    perturb(backbone, "sft", seed=0)
    assert torch.equal(hidden(backbone), bare)
    backbone.save_adapter("sft", tmp_path)
    other = load(tiny_folder)
    hidden(other)
    other.load_adapter("sft", tmp_path)
    assert torch.equal(hidden(other), bare)


def test_adapters_train_in_float32_on_frozen_bfloat16_weights(tiny_folder: Path) -> None:
    backbone = load(tiny_folder, "bfloat16")
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    assert all(p.dtype is torch.float32 for _, p in backbone.adapter_parameters("sft"))
    frozen = [p for n, p in backbone.model.named_parameters() if ".lora_" not in n]
    assert all(p.dtype is torch.bfloat16 and not p.requires_grad for p in frozen)


def test_the_seed_sets_a_fresh_adapter(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        backbone.add_adapter(name, rank=4, alpha=8, seed=seed)
    a, b, c = (dict(enumerate(backbone.adapter_parameters(name))) for name in "abc")
    assert a.keys() == b.keys() == c.keys()
    assert all(torch.equal(a[i][1], b[i][1]) for i in a)
    assert not all(torch.equal(a[i][1], c[i][1]) for i in a)
    down = next(p for n, p in backbone.adapter_parameters("a") if "down_proj.lora_A" in n)
    assert float(down.detach().std()) == pytest.approx((3 * down.shape[1]) ** -0.5, rel=0.1)


def test_a_stack_adds_up_and_leaves_the_rest_out(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft", "ppo", "reward")
    stacked = hidden(backbone, "sft", "ppo")
    merged = load(tiny_folder)
    weights = dict(merged.model.named_parameters())
    with torch.no_grad():
        for name in ("sft", "ppo"):
            parts = dict(backbone.adapter_parameters(name))
            for key, down in parts.items():
                if ".lora_A." in key:
                    up = parts[key.replace(".lora_A.", ".lora_B.")]
                    target = key.partition(".lora_A.")[0] + ".weight"
                    weights[target] += 8 / 4 * up @ down
    torch.testing.assert_close(stacked, hidden(merged), atol=1e-5, rtol=1e-5)


def test_only_active_and_trained_adapters_take_gradients(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft", "ppo", "reward")
    backbone.train_adapter("sft", False)
    policy = Role(backbone, ("sft", "ppo"))
    names = [name for name, _ in policy.trained()]
    assert names
    assert all(".ppo." in name for name in names)
    policy.logprobs(BATCH)[0].sum().backward()
    touched = {n for n, p in backbone.model.named_parameters() if p.grad is not None}
    assert touched == set(names)
    assert all(p.grad.abs().max() > 0 for _, p in policy.trained() if p.grad is not None)
    # And after the other role has run, the first one still trains the same weights.
    hidden(backbone, "reward")
    assert [name for name, _ in policy.trained()] == names


def test_packing_and_padding_side_change_no_gradient(folder_of: Folders) -> None:
    backbone = with_adapters(folder_of("llama"), "sft", "ppo")
    role = Role(backbone, ("sft", "ppo"))
    backbone.activate(role.adapters)
    found = []
    pull = torch.randn(BATCH.tokens, 32, generator=torch.Generator().manual_seed(0))
    for packing, side in ((True, "right"), (False, "right"), (False, "left")):
        out = backbone.hidden(BATCH, packing=packing, padding_side=side)
        (out * pull).sum().backward()
        found.append(take_gradients(role.trained()))
    assert furthest(found[0], found[1]) < 1e-5
    assert furthest(found[0], found[2]) < 1e-5


def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ragged, "LEAST", 1 << 30)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "olmoe"])
def test_a_common_start_is_run_once_with_the_same_numbers_and_gradients(
    folder_of: Folders, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"num_experts": 4, "num_experts_per_tok": 2} if kind == "olmoe" else {}
    backbone = with_adapters(folder_of(kind, **few), "sft")
    batch = Ragged.of(alike(3, 10, (9, 1, 12, 4)))
    pull = torch.randn(batch.tokens, 32, generator=torch.Generator().manual_seed(0))
    ran: list[int] = []
    backbone.decoder.register_forward_pre_hook(
        lambda _, __, given: ran.append(given["inputs_embeds"].shape[:2].numel()), with_kwargs=True
    )

    def found(*, packing: bool) -> dict[str, Tensor]:
        backbone.activate(("sft",))
        out = backbone.hidden(batch, packing=packing)
        (out * pull).sum().backward()
        return {"hidden": out.detach()} | take_gradients(Role(backbone, ("sft",)).trained())

    shared, padded = found(packing=True), found(packing=False)
    unshared(monkeypatch)
    packed = found(packing=True)
    assert ran == [10 + 9 + 1 + 12 + 4, 4 * 22, batch.tokens]
    # Gradients are many times larger than states: each by itself.
    for other in (packed, padded):
        for name, tensor in shared.items():
            assert furthest({name: tensor}, {name: other[name]}) < 2e-5, name


def test_a_common_start_changes_no_bit_in_bfloat16_and_gradients_by_rounding(
    folder_of: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = with_adapters(folder_of("llama"), "sft", dtype="bfloat16")
    backbone.activate(("sft",))
    batch = Ragged.of(alike(3, 21, (9, 1, 12, 40)))
    pull = torch.randn(batch.tokens, 32, generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        last, inner = backbone.hidden_after(batch, 1)
        (last * pull).sum().backward()
        gradients = take_gradients(Role(backbone, ("sft",)).trained())
        found.append((last.detach(), inner.detach(), gradients))
        unshared(monkeypatch)
    (last, inner, gradients), (plain_last, plain_inner, plain) = found
    assert torch.equal(last, plain_last)
    assert torch.equal(inner, plain_inner)
    assert furthest(gradients, plain) < 0.03


def test_the_same_batch_twice_gives_the_same_gradients_to_the_bit(folder_of: Folders) -> None:
    backbone = with_adapters(folder_of("llama"), "sft")
    role, batch = Role(backbone, ("sft",)), Ragged.of(alike(3, 20, (9, 30, 12, 40, 25)))
    found = []
    for _ in range(3):
        role.logprobs(batch)[0].sum().backward()
        found.append(take_gradients(role.trained()))
    assert all(torch.equal(found[0][n], again[n]) for again in found[1:] for n in again)


def test_a_copied_adapter_is_a_second_one(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "reward")
    backbone.train_adapter("reward", False)
    backbone.copy_adapter("reward", "value")
    before = hidden(backbone, "reward")
    assert torch.equal(hidden(backbone, "value"), before)
    assert [n for n, _ in Role(backbone, ("value",)).trained()]
    assert not [n for n, _ in Role(backbone, ("reward",)).trained()]
    perturb(backbone, "value", seed=9)
    assert not torch.equal(hidden(backbone, "value"), before)
    assert torch.equal(hidden(backbone, "reward"), before)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_an_adapter_reads_back_to_the_bit_and_in_peft(
    folder_of: Folders, kind: str, tmp_path: Path
) -> None:
    folder = folder_of(kind)
    backbone = with_adapters(folder, "sft")
    digest = backbone.save_adapter("sft", tmp_path / "adapter")
    other = load(folder)
    assert other.load_adapter("again", tmp_path / "adapter") == digest
    assert torch.equal(hidden(other, "again"), hidden(backbone, "sft"))
    assert not [n for n, _ in Role(other, ("again",)).trained()]
    with no_bars():
        base = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.arange(1, 9)[None]
    backbone.activate(("sft",))
    with torch.no_grad():
        bare = base(ids).logits
        theirs = PeftModel.from_pretrained(base, str(tmp_path / "adapter"))(ids).logits
        torch.testing.assert_close(theirs, backbone.model(ids).logits)
        assert not torch.allclose(theirs, bare)


def test_saving_twice_writes_the_same_bytes(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft")
    for name in ("a", "b"):
        backbone.save_adapter("sft", tmp_path / name)
    for file in (ADAPTER_FILE, "adapter_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def _without(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(sorted(state.items())[1:])


def _cut(state: dict[str, Tensor]) -> dict[str, Tensor]:
    first = min(state)
    return state | {first: state[first][:, :3].contiguous()}


def _more(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state | {"stranger.lora_A.weight": torch.zeros(2, 2)}


@pytest.mark.parametrize("change", [_without, _cut, _more])
def test_an_adapter_with_other_weights_is_refused(
    tiny_folder: Path, tmp_path: Path, change: object
) -> None:
    backbone = with_adapters(tiny_folder, "sft")
    backbone.save_adapter("sft", tmp_path)
    assert callable(change)
    save_file(change(load_file(tmp_path / ADAPTER_FILE)), tmp_path / ADAPTER_FILE)
    with pytest.raises(ModelError, match="not those of its layers"):
        backbone.load_adapter("again", tmp_path)


def test_a_damaged_or_missing_adapter_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft")
    with pytest.raises(ModelError, match="cannot be read"):
        backbone.load_adapter("again", tmp_path / "nowhere")
    backbone.save_adapter("sft", tmp_path)
    whole = (tmp_path / ADAPTER_FILE).read_bytes()
    (tmp_path / ADAPTER_FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cannot be read"):
        backbone.load_adapter("again", tmp_path)
    (tmp_path / ADAPTER_FILE).write_bytes(whole)
    (tmp_path / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        backbone.load_adapter("again", tmp_path)


def test_an_adapter_of_another_base_is_refused(folder_of: Folders, tmp_path: Path) -> None:
    with_adapters(folder_of("llama"), "sft").save_adapter("sft", tmp_path)
    other = load(folder_of("llama", num_key_value_heads=1))
    with pytest.raises(ModelError, match="another base") as caught:
        other.load_adapter("sft", tmp_path)
    assert other.digest in str(caught.value)


def test_names_are_known_and_used_once(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    with pytest.raises(ModelError, match="no such adapter"):
        backbone.activate(("sft",))
    backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    with pytest.raises(ModelError, match="already there"):
        backbone.add_adapter("sft", rank=4, alpha=8, seed=0)
    with pytest.raises(ModelError, match="no such adapter"):
        backbone.activate(("sft", "ppo"))


def test_a_role_runs_under_its_own_adapters_whoever_ran_before(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "sft", "reward")
    policy, reward = Role(backbone, ("sft",)), Role(backbone, ("reward",))
    with torch.no_grad():
        one, other = policy.hidden(BATCH), reward.hidden(BATCH)
        assert not torch.equal(one, other)
        assert torch.equal(policy.hidden(BATCH), one)
        perturb(backbone, "sft", seed=77)  # an adapter that is added later changes nothing
        one = policy.hidden(BATCH)
        backbone.add_adapter("ppo", rank=4, alpha=8, seed=0)
        assert torch.equal(policy.hidden(BATCH), one)


def test_full_weights_train_in_float32_and_read_back(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = load(tiny_folder, "bfloat16", train_all=True)
    parameters = dict(backbone.model.named_parameters())
    assert all(p.dtype is torch.float32 and p.requires_grad for p in parameters.values())
    assert dict(Role(backbone).trained()).keys() == parameters.keys()
    with torch.no_grad():
        parameters["model.norm.weight"].mul_(1.5)
    backbone.save_model(tmp_path, tokenizer_from=tiny_folder)
    again = load(tmp_path, train_all=True)
    for name, weight in again.model.named_parameters():
        assert torch.equal(weight, parameters[name])
    assert again.digest == folder_digest(tmp_path) != backbone.digest
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (tmp_path / name).read_bytes() == (tiny_folder / name).read_bytes()


def test_weights_under_adapters_are_not_saved_as_a_model(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="under adapters"):
        with_adapters(tiny_folder, "sft").save_model(tmp_path, tokenizer_from=tiny_folder)


def test_a_folder_without_a_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere", tiny_folder / "config.json"):
        with pytest.raises(ModelError, match="holds no model") as caught:
            load(folder)
        assert str(folder) in str(caught.value)


def test_a_damaged_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)
    shutil.copy(tiny_folder / "model.safetensors", file)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)


def test_a_model_that_lacks_weights_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.mlp.up_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"(?s)lack weights.*layers\.1\.mlp\.up_proj"):
        load(folder)


def test_the_digest_names_weights_and_settings_alone(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    assert folder_digest(folder) == folder_digest(tiny_folder)
    (folder / "config.json").write_text("{}")
    assert folder_digest(folder) != folder_digest(tiny_folder)


def test_a_sequence_longer_than_the_context_is_refused(folder_of: Folders) -> None:
    backbone = load(folder_of("llama"))
    assert backbone.context == 64
    backbone.hidden(Ragged.of(rows(0, (64,))))
    with pytest.raises(ConfigError, match=r"(?s)context.*65 tokens"):
        backbone.hidden(Ragged.of(rows(0, (3, 65))))
