"""All adapters as one product: PEFT's own values and gradients, in every state of the stack."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora.layer import Linear as LoraLinear
from torch import Tensor, nn

from accord.models.joint import JointLinear, made_joint, stacked

X = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
NAMES = ("below", "above")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Linear(12, 9)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.first(x))


def net(*, joint: bool, dropout: float = 0.0) -> PeftModel:
    def config(rank: int) -> LoraConfig:
        made = LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules=["first"], lora_dropout=dropout
        )
        return made_joint(made) if joint else made

    model = PeftModel(Net(), config(3), adapter_name="below")
    model.add_adapter("above", config(2))
    layer(model).set_adapter(list(NAMES))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if ".lora_" in key:
                parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
                parameter.requires_grad_("above" in key)
    return model


def layer(model: PeftModel) -> LoraLinear:
    found = model.get_submodule("base_model.model.first")
    assert isinstance(found, LoraLinear)
    return found


def test_values_and_gradients_are_peft_s() -> None:
    joint, peft = net(joint=True), net(joint=False)
    assert isinstance(layer(joint), JointLinear)
    assert not isinstance(layer(peft), JointLinear)
    found, want = joint(X), peft(X)
    torch.testing.assert_close(found, want)
    (found**2).sum().backward()
    (want**2).sum().backward()
    grads = {key: p.grad for key, p in joint.named_parameters() if p.grad is not None}
    assert len(grads) == 2  # the upper adapter's two parts; the lower one is frozen
    for key, parameter in peft.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(grads.pop(key), parameter.grad)
    assert not grads


@pytest.mark.parametrize("state", ["disabled", "merged", "one", "none"])
def test_every_state_of_the_stack_is_peft_s(state: str) -> None:
    outputs = []
    for joint in (True, False):
        model = net(joint=joint)
        if state == "disabled":
            layer(model).enable_adapters(False)
        elif state == "merged":
            layer(model).merge()
        else:
            layer(model).set_adapter(["above"] if state == "one" else [])
        outputs.append(model(X))
    torch.testing.assert_close(*outputs)
    assert not torch.allclose(outputs[0], net(joint=True)(X)) or state == "merged"


def test_dropout_is_left_to_peft() -> None:
    outputs = []
    for joint in (True, False):
        model = net(joint=joint, dropout=0.5).train()
        torch.manual_seed(3)
        outputs.append(model(X))
    torch.testing.assert_close(*outputs)
    assert not torch.allclose(outputs[0], net(joint=True)(X))


def test_the_stack_is_scaled_and_then_rounded() -> None:
    made: Any = layer(net(joint=True))
    down, up = stacked(made, NAMES, torch.bfloat16)
    assert down.shape == (5, 12)
    assert up.shape == (9, 5)
    assert torch.equal(up[:, :3], (made.lora_B["below"].weight * 2.0).bfloat16())
    assert torch.equal(down[3:], made.lora_A["above"].weight.bfloat16())
