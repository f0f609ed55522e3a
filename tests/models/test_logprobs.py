"""Log-probabilities by pieces against the whole softmax, values and gradients, and their memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from accord.core.errors import DataError
from accord.models import logprobs
from accord.models.logprobs import logits, token_logprobs

D, V = 6, 97


def problem(
    targets: int, *, bias: bool = False, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    torch.manual_seed(targets)
    hidden = torch.randn(targets, D).to(dtype).requires_grad_()
    weight = torch.randn(V, D).to(dtype).requires_grad_()
    bias_V = torch.randn(V).to(dtype).requires_grad_() if bias else None
    return hidden, weight, torch.randint(0, V, (targets,)), bias_V


def whole(
    hidden: Tensor, weight: Tensor, target: Tensor, bias: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]:
    logp = (F.linear(hidden, weight, bias).float() / temperature).log_softmax(-1)
    return logp[torch.arange(len(target)), target], -(logp.exp() * logp).sum(-1)


@pytest.mark.parametrize("targets", [1, 5, 11])
@pytest.mark.parametrize("piece", [1, 10, 96, 97, 200])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_pieces_give_values_and_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
    targets: int,
    piece: int,
    temperature: float,
    bias: bool,
    frozen: bool,
) -> None:
    """A frozen head's gradient is taken in the forward pass, a trained one's behind it."""
    monkeypatch.setattr(logprobs, "PIECE", piece)
    hidden, weight, target, bias_V = problem(targets, bias=bias)
    inputs = [tensor for tensor in (hidden, weight, bias_V) if tensor is not None]
    if frozen:
        for tensor in inputs[1:]:
            tensor.requires_grad_(False)
        inputs = inputs[:1]
    logp, entropy = token_logprobs(
        hidden, weight, target, bias_V=bias_V, temperature=temperature, entropy=True
    )
    want, want_entropy = whole(hidden, weight, target, bias_V, temperature)
    torch.testing.assert_close(logp, want)
    torch.testing.assert_close(entropy, want_entropy.detach())
    assert not entropy.requires_grad
    pull = torch.randn(targets)
    got = torch.autograd.grad(logp, inputs, pull)
    for ours, theirs in zip(got, torch.autograd.grad(want, inputs, pull), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_gradients_the_values_are_the_same() -> None:
    hidden, weight, target, _ = problem(9)
    with torch.no_grad():
        logp, entropy = token_logprobs(hidden, weight, target, entropy=True)
        alone, nothing = token_logprobs(hidden, weight, target)
    assert torch.equal(alone, logp)
    assert nothing is None
    assert not logp.requires_grad
    torch.testing.assert_close((logp, entropy), whole(hidden, weight, target, None, 1.0))


def test_logits_and_softmax_are_float32_whatever_the_weights_are() -> None:
    hidden, weight, target, _ = problem(9, dtype=torch.bfloat16)
    logp, entropy = token_logprobs(hidden, weight, target)
    assert entropy is None
    assert logp.dtype == torch.float32
    torch.testing.assert_close(logp, whole(hidden.float(), weight.float(), target, None, 1.0)[0])


def test_mixed_rounds_factors_but_not_sums_and_leaves_the_switch_alone() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(64, 256) * 4, torch.randn(512, 256)
    before = torch.backends.mkldnn.matmul.fp32_precision
    found = logits(hidden, weight, None, mixed=True)
    assert torch.backends.mkldnn.matmul.fp32_precision == before
    rounded = hidden.bfloat16().double() @ weight.bfloat16().double().T
    exact = hidden.double() @ weight.double().T
    # A processor without bfloat16 products keeps the factors: closer to exact, never further off.
    gap = torch.minimum((found - rounded).abs(), (found - exact).abs())
    assert gap.max() < 1e-3 < (found.bfloat16() - rounded).abs().max()


@pytest.mark.parametrize("sure", [0.0, 0.1, 0.2, 0.3])
def test_a_gradient_from_rounded_factors_is_near_however_sure_the_head_is(sure: float) -> None:
    """Weights that bfloat16 does not hold; the target's chance is next to nothing up to .9999."""
    torch.manual_seed(3)
    hidden, weight, target = 0.1 * torch.randn(8, 64), torch.randn(512, 64), torch.arange(8)
    hidden = (hidden + sure * weight[target]).requires_grad_()
    logp, _ = token_logprobs(hidden, weight, target, mixed=True)
    (found,) = torch.autograd.grad(logp.sum(), hidden)
    chance = (hidden.bfloat16().double() @ weight.bfloat16().double().T).softmax(-1)
    want = weight.double()[target] - chance @ weight.double()
    assert (found - want).norm() < 0.02 * want.norm()


@pytest.mark.parametrize("wrong", [-1, -100, V])
def test_a_target_that_is_no_word_is_refused(wrong: int) -> None:
    hidden, weight, target, _ = problem(3)
    target[1] = wrong
    with pytest.raises(DataError, match="no word"):
        token_logprobs(hidden, weight, target)


def test_nothing_to_predict_has_a_gradient_of_zero() -> None:
    hidden, weight, target, _ = problem(0)
    logp, entropy = token_logprobs(hidden, weight, target)
    assert logp.shape == (0,)
    assert entropy is None
    logp.sum().backward()
    assert hidden.grad is not None


class Largest(TorchDispatchMode):
    """Remembers how many numbers the largest tensor made inside holds."""

    seen = 0

    def __torch_dispatch__(
        self, func: Callable[..., object], types: object, args: object = (), kwargs: object = None
    ) -> object:
        out = func(*args, **(kwargs or {}))  # type: ignore[misc, dict-item]
        for item in out if isinstance(out, tuple | list) else [out]:
            if isinstance(item, Tensor):
                self.seen = max(self.seen, item.numel())
        return out


def test_no_matrix_of_all_targets_and_the_vocabulary_is_ever_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logprobs, "PIECE", 8)
    hidden, weight, target, _ = problem(64)
    with Largest() as plainly:
        whole(hidden, weight, target, None, 1.0)[0].sum().backward()
    assert plainly.seen == 64 * V
    with Largest() as forward:
        logp, _ = token_logprobs(hidden, weight, target)
    with Largest() as backward:
        logp.sum().backward()
    # The backward pass makes the gradient of the weights and no more.
    assert (forward.seen, backward.seen) == (max(64 * 8, 64 * D), V * D)
    assert V * D < 64 * V


def test_logits_are_not_kept_for_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logprobs, "PIECE", 8)
    hidden, weight, target, _ = problem(64)

    def kept(run: Callable[[], object]) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            alive = run()
        assert alive is not None
        return max(sizes, default=0)

    assert kept(lambda: whole(hidden, weight, target, None, 1.0)) >= 64 * V
    assert kept(lambda: token_logprobs(hidden, weight, target)) < 64 * 16
