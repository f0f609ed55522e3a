"""Roles: log-probabilities, scores and values do not depend on how or with whom they are run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from accord.core.errors import ModelError
from accord.models.ragged import Ragged
from accord.models.role import Role, ScalarHead, Scale, load_head, save_head, stack_digest
from accord.text.tokenized import Tokenized
from tests.models.workshop import (
    Folders,
    furthest,
    load,
    rows,
    take_gradients,
    true_logits,
    with_adapters,
)

LENGTHS = (9, 4, 12, 1, 7)
ROWS = rows(3, LENGTHS)


def policy(folder: Path, **how: object) -> Role:
    return Role(with_adapters(folder, "sft"), ("sft",), **how)  # type: ignore[arg-type]


def scorer(folder: Path) -> Role:
    backbone = with_adapters(folder, "reward")
    return Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=1))


def everything(role: Role, batch: list[Tokenized]) -> dict[str, Tensor]:
    """All that a role can say of a batch, and the gradient of its sum."""
    ragged = Ragged.of(batch)
    out = {"logp": role.logprobs(ragged)[0]}
    if role.head is not None:
        out |= {"scores": role.scores(ragged), "values": role.values(ragged)}
    weighted = [(x * torch.linspace(1, 2, len(x))).sum() for x in out.values()]
    torch.stack(weighted).sum().backward()
    return {k: v.detach() for k, v in out.items()} | take_gradients(role.trained())


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_packing_changes_no_number_and_no_gradient(folder_of: Folders, kind: str) -> None:
    role = scorer(folder_of(kind))
    packed = everything(role, ROWS)
    padded = everything(replace(role, packing=False), ROWS)
    assert furthest(packed, padded) < 1e-5


def test_batch_composition_changes_no_number(folder_of: Folders) -> None:
    role = scorer(folder_of("llama"))
    with torch.no_grad():
        together = Ragged.of(ROWS)
        logp = role.logprobs(together)[0].split(list(together.counts))
        values = role.values(together).split(list(together.counts))
        scores = role.scores(together)
        for i, row in enumerate(ROWS):
            alone = Ragged.of([row])
            torch.testing.assert_close(role.logprobs(alone)[0], logp[i], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(role.values(alone), values[i], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(role.scores(alone)[0], scores[i], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_the_models_own_softmax(
    folder_of: Folders, temperature: float
) -> None:
    role = policy(folder_of("llama"))
    role.backbone.activate(role.adapters)
    want, want_entropy = [], []
    for row, logits in zip(ROWS, true_logits(role.backbone, [r.ids for r in ROWS]), strict=True):
        logp = (logits / temperature).log_softmax(-1)
        for t in range(1, len(row)):
            if row.mask[t]:
                want.append(logp[t - 1, row.ids[t]])
                want_entropy.append(-(logp[t - 1].exp() * logp[t - 1]).sum())
    logp, entropy = role.logprobs(Ragged.of(ROWS), temperature=temperature, entropy=True)
    torch.testing.assert_close(logp, torch.stack(want), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(entropy, torch.stack(want_entropy), atol=1e-5, rtol=1e-5)


def test_scores_read_the_last_token_and_values_the_one_before_each_target(
    folder_of: Folders,
) -> None:
    role = scorer(folder_of("llama"))
    role.scale = Scale(shift=0.5, scale=2.0)
    assert role.head is not None
    role.backbone.activate(role.adapters)
    scores, values = [], []
    with torch.no_grad():
        for row in ROWS:
            ids = torch.tensor([row.ids])
            hidden = role.backbone.decoder(input_ids=ids).last_hidden_state[0]
            raw = hidden @ role.head.weight + role.head.bias
            scores.append((raw[-1] - 0.5) / 2)
            values += [(raw[t - 1] - 0.5) / 2 for t in range(1, len(row)) if row.mask[t]]
        batch = Ragged.of(ROWS)
        torch.testing.assert_close(role.scores(batch), torch.stack(scores), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(role.values(batch), torch.stack(values), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(role.raw_scores(batch), role.scores(batch) * 2 + 0.5)


def test_a_new_head_is_small_and_set_by_its_seed() -> None:
    one, same, other = (ScalarHead(10_000, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert float(one.weight.detach().std()) == pytest.approx(10_001**-0.5, rel=0.03)
    assert one.bias.item() == 0


def test_the_head_computes_in_float32(tiny_folder: Path) -> None:
    backbone = load(tiny_folder, "bfloat16")
    role = Role(backbone, (), ScalarHead(backbone.hidden_size, seed=0))
    assert role.scores(Ragged.of(ROWS)).dtype is torch.float32
    assert role.logprobs(Ragged.of(ROWS))[0].dtype is torch.float32


def test_a_scorer_trains_its_adapter_and_its_head(folder_of: Folders) -> None:
    role = scorer(folder_of("llama"))
    names = [name for name, _ in role.trained()]
    assert names[-2:] == ["head.weight", "head.bias"]
    assert all(".reward." in name for name in names[:-2])
    found = everything(role, ROWS)
    assert found.keys() >= set(names)
    frozen = replace(role, head=ScalarHead(role.backbone.hidden_size, seed=0).requires_grad_(False))
    assert [name for name, _ in frozen.trained()] == names[:-2]


def test_a_role_without_a_head_scores_nothing(folder_of: Folders) -> None:
    role = policy(folder_of("llama"))
    for ask in (role.scores, role.values, role.raw_scores, lambda batch: save_head(role, Path())):
        with pytest.raises(ModelError, match="no scalar head"):
            ask(Ragged.of(ROWS))


def test_head_and_unit_read_back_to_the_bit(folder_of: Folders, tmp_path: Path) -> None:
    role = scorer(folder_of("llama"))
    role.scale = Scale(0.1, 3.0, "demonstrations", "samples")
    digest = save_head(role, tmp_path)
    head, scale = load_head(role.backbone.hidden_size, tmp_path)
    again = replace(role, head=head, scale=scale)
    assert scale == role.scale
    assert not any(parameter.requires_grad for parameter in head.parameters())
    with torch.no_grad():
        assert torch.equal(again.scores(Ragged.of(ROWS)), role.scores(Ragged.of(ROWS)))
    assert save_head(again, tmp_path) == digest


def test_a_missing_damaged_or_other_head_is_refused(folder_of: Folders, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_head(32, tmp_path)
    save_head(scorer(folder_of("llama")), tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_head(16, tmp_path)
    (tmp_path / "scale.json").write_text(json.dumps({"shift": 0.0, "size": 1.0}))
    with pytest.raises(ModelError, match="cannot be read"):
        load_head(32, tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_head(32, tmp_path)


def test_a_stack_is_named_by_base_and_adapters_in_their_order() -> None:
    names = {
        stack_digest(*parts)
        for parts in (("a", ()), ("a", ("x",)), ("a", ("x", "y")), ("a", ("y", "x")), ("b", ()))
    }
    assert len(names) == 5


def test_a_head_that_is_told_what_to_say_says_it_and_learns(tiny_folder: Path) -> None:
    backbone = with_adapters(tiny_folder, "reward")
    head = ScalarHead(backbone.hidden_size, seed=1)
    head.say(-1.5)
    critic = Role(backbone, ("reward",), head, Scale(shift=-1.5, scale=2.0))
    values = critic.values(Ragged.of(ROWS))
    torch.testing.assert_close(values, torch.zeros_like(values))
    values.sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.any()
