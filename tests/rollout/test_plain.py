"""The plain decoder: transformers' own logits for any kind of model, and a clear refusal."""

from __future__ import annotations

import pytest
import torch

from accord.core.errors import ModelError
from accord.models.role import Role
from accord.rollout.plain import PlainDecoder
from tests.models.workshop import Folders, load, true_logits, with_adapters

PROMPTS = [[5, 6, 7], [8, 9, 10, 11, 12, 13], [14]]
KINDS = {
    "llama": {},
    "gpt2": {},
    "mistral": {"sliding_window": 4},
    "gemma2": {"head_dim": 8, "sliding_window": 4, "final_logit_softcapping": None},
    "gptj": {"rotary_dim": 4},
}


@pytest.mark.parametrize("kind", KINDS)
def test_prefill_and_steps_give_the_models_logits(folder_of: Folders, kind: str) -> None:
    folder = folder_of(kind, **KINDS[kind])
    role = Role(with_adapters(folder, "sft", "ppo"), ("sft", "ppo"))
    said = torch.randint(0, 90, (6, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        decoder = PlainDecoder(role)
        cache, logits = decoder.prefill(PROMPTS, 2, 8)
        got = [logits.repeat_interleave(2, 0)]
        got += [decoder.step(cache, said[:, t]) for t in range(7)]
    for r in range(6):
        prompt = PROMPTS[r // 2]
        (want,) = true_logits(role.backbone, [(*prompt, *said[r].tolist())])
        ours = torch.stack([step[r] for step in got])
        torch.testing.assert_close(ours, want[len(prompt) - 1 :], atol=3e-5, rtol=1e-5)


def test_memory_that_cannot_be_shared_is_refused(folder_of: Folders) -> None:
    decoder = PlainDecoder(Role(load(folder_of("mamba"))))
    with torch.no_grad(), pytest.raises(ModelError, match=r"(?s)cannot be shared.*mamba"):
        decoder.prefill(PROMPTS, 2, 4)
