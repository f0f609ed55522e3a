"""What a loop remembers: saved and read back to the bit, and what does not fit is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from accord.core.errors import WorkspaceError
from accord.models.state import TrainState


def fresh(seed: int = 0) -> tuple[nn.Module, TrainState]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 1))
    state = TrainState.of(
        model.named_parameters(), betas=(0.9, 0.99), epsilon=1e-8, weight_decay=0.1
    )
    return model, state


def step(model: nn.Module, state: TrainState) -> None:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(state.step))
    model(x).square().mean().backward()
    for group in state.optimizer.param_groups:
        group["lr"] = 0.01 / (1 + state.step)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.step += 1


def same(one: TrainState, other: TrainState) -> bool:
    return all(torch.equal(p, other.parameters[n]) for n, p in one.parameters.items())


def test_a_run_that_was_stopped_goes_on_to_the_bit(tmp_path: Path) -> None:
    model, state = fresh()
    for _ in range(3):
        step(model, state)
    state.numbers["kl/coefficient"] = 0.1 + 0.2
    state.save(tmp_path)
    other_model, other = fresh(seed=1)
    step(other_model, other)  # whatever it has done is forgotten
    other.keep()
    other.load(tmp_path)
    assert same(state, other)
    assert (other.step, other.numbers, other.kept) == (3, {"kl/coefficient": 0.1 + 0.2}, {})
    for _ in range(4):
        step(model, state)
        step(other_model, other)
    assert same(state, other)
    assert state.step == other.step == 7


def test_moments_matter(tmp_path: Path) -> None:
    model, state = fresh()
    for _ in range(3):
        step(model, state)
    state.save(tmp_path)
    tensors = load_file(tmp_path / "state.safetensors")
    save_file(
        {k: t for k, t in tensors.items() if k.startswith("parameter:")},
        tmp_path / "state.safetensors",
    )
    other_model, other = fresh(seed=1)
    other.load(tmp_path)
    step(model, state)
    step(other_model, other)
    assert not same(state, other)


def test_weights_that_were_kept_come_back(tmp_path: Path) -> None:
    model, state = fresh()
    state.restore_kept()  # nothing was kept: nothing changes
    step(model, state)
    state.keep()
    kept = {n: p.detach().clone() for n, p in state.parameters.items()}
    step(model, state)
    assert not all(torch.equal(p, kept[n]) for n, p in state.parameters.items())
    state.save(tmp_path)
    other_model, other = fresh(seed=1)
    other.load(tmp_path)
    assert same(state, other)
    other.restore_kept()
    assert all(torch.equal(p, kept[n]) for n, p in other.parameters.items())
    assert next(iter(other_model.parameters())) is next(iter(other.parameters.values()))


def test_decay_acts_on_matrices_alone() -> None:
    _, state = fresh()
    names = {id(p): n for n, p in state.parameters.items()}
    groups = {
        group["weight_decay"]: {names[id(p)] for p in group["params"]}
        for group in state.optimizer.param_groups
    }
    assert groups == {
        0.1: {"0.weight", "2.weight"},
        0.0: {"0.bias", "1.weight", "1.bias", "2.bias"},
    }


def test_a_missing_or_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    _, state = fresh()
    with pytest.raises(WorkspaceError, match="cannot be read"):
        state.load(tmp_path)
    state.save(tmp_path)
    for text in ("{", "[]", '{"step": 3}', '{"step": null, "numbers": {}}'):
        (tmp_path / "state.json").write_text(text)
        with pytest.raises(WorkspaceError, match="cannot be read"):
            state.load(tmp_path)
    state.save(tmp_path)
    file = tmp_path / "state.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(WorkspaceError, match="cannot be read"):
        state.load(tmp_path)


@pytest.mark.parametrize("change", ["missing", "more", "shape"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, change: str) -> None:
    _, state = fresh()
    state.save(tmp_path)
    file = tmp_path / "state.safetensors"
    tensors = load_file(file)
    match change:
        case "missing":
            del tensors["parameter:0.bias"]
        case "more":
            tensors["parameter:3.bias"] = torch.zeros(1)
        case _:  # a shape that would broadcast
            tensors["parameter:0.bias"] = torch.zeros(1)
    save_file(tensors, file)
    _, other = fresh(seed=1)
    _, untouched = fresh(seed=1)
    with pytest.raises(WorkspaceError, match="not what this stage trains"):
        other.load(tmp_path)
    assert same(other, untouched)


def test_the_file_holds_no_pickle(tmp_path: Path) -> None:
    model, state = fresh()
    step(model, state)
    state.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"state.safetensors", "state.json"}
    assert json.loads((tmp_path / "state.json").read_text()) == {"step": 1, "numbers": {}}
    assert load_file(tmp_path / "state.safetensors").keys() >= {"exp_avg:0.weight", "step:0.weight"}


def test_frozen_weights_answer_and_the_present_ones_come_back(tmp_path: Path) -> None:
    model, state = fresh()
    with state.frozen_weights():  # nothing is frozen: nothing changes
        assert same(state, fresh()[1])
    step(model, state)
    state.freeze()
    frozen = {n: p.detach().clone() for n, p in state.parameters.items()}
    step(model, state)
    present = {n: p.detach().clone() for n, p in state.parameters.items()}
    state.save(tmp_path)
    _, other = fresh(seed=1)
    other.load(tmp_path)
    with suppress(KeyError), other.frozen_weights():
        assert all(torch.equal(p, frozen[n]) for n, p in other.parameters.items())
        raise KeyError  # whatever happens inside
    assert all(torch.equal(p, present[n]) for n, p in other.parameters.items())
    other.keep()
    other.restore_kept()  # those that answer are those that a budget was measured on
    assert all(torch.equal(p, frozen[n]) for n, p in other.parameters.items())
    _, clean = fresh()
    clean.freeze()
    clean.save(tmp_path)
    other.load(tmp_path)
    assert all(torch.equal(t, clean.frozen[n]) for n, t in other.frozen.items())
