"""Hidden states of a frozen model, whatever adapters are on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from accord.core.errors import ConfigError, DataError
from accord.models.ragged import Ragged
from accord.models.reading import mean_states, states_and_logprobs
from accord.text.tokenized import Tokenized
from tests.models.workshop import Folders, load, perturb, rows, true_logits


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_states_are_those_that_transformers_gives(
    folder_of: Folders, kind: str, layers: int
) -> None:
    folder = folder_of(kind)
    backbone = load(folder)
    texts = [Tokenized(row.ids, (False, *row.mask[1:])) for row in rows(5, (9, 4, 12))]
    found = mean_states(backbone, texts, layers=layers)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for row, state in zip(texts, found, strict=True):
        with torch.no_grad():
            out = model(torch.tensor([row.ids]), output_hidden_states=True)
        mask = torch.tensor(row.mask)
        expected = out.hidden_states[layers][0][mask].mean(0)
        assert state == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_one_pass_gives_states_and_log_probabilities(folder_of: Folders, kind: str) -> None:
    folder = folder_of(kind)
    backbone = load(folder)
    texts = rows(5, (9, 40, 30, 12))
    states, known = states_and_logprobs(backbone, texts, layers=1)
    assert states == pytest.approx(mean_states(backbone, texts, layers=1), abs=1e-6)
    for row, found, logits in zip(
        texts, known, true_logits(backbone, [row.ids for row in texts]), strict=True
    ):
        logp = logits.log_softmax(-1)
        masked = [place for place in range(1, len(row)) if row.mask[place]]
        expected = [float(logp[place - 1, row.ids[place]]) for place in masked]
        assert found == pytest.approx(expected, abs=1e-4)


def test_adapters_take_no_part(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    texts = rows(3, (9, 4, 12))
    bare = mean_states(backbone, texts, layers=1)
    backbone.add_adapter("reward", rank=4, alpha=8, seed=0)
    perturb(backbone, "reward", seed=0)
    backbone.activate(("reward",))
    assert np.array_equal(mean_states(backbone, texts, layers=1), bare)


def test_the_last_hidden_states_are_the_usual_ones(tiny_folder: Path) -> None:
    backbone, batch = load(tiny_folder), Ragged.of(rows(3, (9, 4, 12)))
    with torch.no_grad():
        last, _ = backbone.hidden_after(batch, 1)
        assert torch.equal(last, backbone.hidden(batch))


def test_what_cannot_be_read_is_refused(tiny_folder: Path) -> None:
    backbone = load(tiny_folder)
    with pytest.raises(DataError, match="names no token"):
        mean_states(backbone, [Tokenized((1, 2), (False, False))], layers=1)
    with pytest.raises(DataError, match="behind its first"):
        states_and_logprobs(backbone, [Tokenized((1, 2), (True, False))], layers=1)
    with pytest.raises(ConfigError, match="fewer layers"):
        mean_states(backbone, rows(3, (4,)), layers=99)
