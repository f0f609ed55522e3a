"""What loading proves: which kinds of models run packed, padded, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from accord.core.errors import ModelError
from accord.models import soundness
from accord.models.backbone import Backbone
from accord.models.ragged import Folded, Ragged
from tests.models.workshop import Folders, load, machine, rows, true_logits

PACKED = {
    "llama": {},
    "llama, one key head": {"num_key_value_heads": 1},
    "qwen2": {"use_sliding_window": False},
    "mistral": {},
    "granite": {"attention_multiplier": 0.1, "embedding_multiplier": 3.0},
    "gpt2": {},  # absolute positions
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
}
PADDED = {
    "mistral": {"sliding_window": 4},
    "gemma2": {"head_dim": 8, "sliding_window": 4, "final_logit_softcapping": None},
    "gpt_oss": {"head_dim": 8, "sliding_window": 4, "num_local_experts": 4},  # attention sinks
    "nemotron": {},  # its layers do not pass on where sequences end
    "gptj": {"rotary_dim": 4},  # computes attention by itself
}
CASES = [(name, settings, True) for name, settings in PACKED.items()]
CASES += [(name, settings, False) for name, settings in PADDED.items()]


@pytest.mark.parametrize(("name", "settings", "packs"), CASES)
def test_every_way_to_run_a_batch_gives_transformers_logits(
    folder_of: Folders,
    name: str,
    settings: dict[str, object],
    packs: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "accord"):
        backbone = load(folder_of(name.split(",", maxsplit=1)[0], **settings))
    assert backbone.packs is packs
    assert ("runs padded" in caplog.text) is not packs
    batch = rows(0, (7, 13, 1, 3, 20))
    want = torch.cat(list(true_logits(backbone, [row.ids for row in batch])))
    ragged = Ragged.of(batch)
    for packing, side in ((True, "right"), (False, "right"), (False, "left")):
        with torch.no_grad():
            hidden = backbone.hidden(ragged, packing=packing, padding_side=side)
        torch.testing.assert_close(backbone.head(hidden), want, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("granite", {"logits_scaling": 8.0}),
        ("gemma2", {"head_dim": 8, "sliding_window": 4, "final_logit_softcapping": 5.0}),
        ("cohere", {}),
    ],
)
def test_a_model_that_changes_its_logits_is_refused(
    folder_of: Folders, kind: str, settings: dict[str, object]
) -> None:
    with pytest.raises(ModelError, match="logits are not its head's") as caught:
        load(folder_of(kind, **settings))
    assert kind in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_that_needs_more_than_embeddings_is_refused(
    folder_of: Folders, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Backbone.embed
    monkeypatch.setattr(Backbone, "embed", lambda self, ids: 1.1 * real(self, ids.flip(-1)))
    with pytest.raises(ModelError, match="embedded tokens"):
        load(folder_of("llama"), dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_packing_that_lets_sequences_see_each_other_is_not_used(
    folder_of: Folders, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Backbone._packed

    def leaky(self: Backbone, batch: Ragged) -> Tensor:
        joined = Ragged(
            batch.ids_N, batch.positions_N, (batch.tokens,), batch.rows_M, batch.targets_M, ()
        )
        return real(self, joined)

    monkeypatch.setattr(Backbone, "_packed", leaky)
    assert not load(folder_of("llama"), dtype).packs


def _restarted(folded: Folded) -> Folded:
    """Positions of what follows a common start that begin anew."""
    own = torch.cat([torch.arange(n) for n in folded.lengths])
    return replace(folded, positions_R=torch.cat((folded.positions_R[: folded.prefix], own)))


def _miscut(folded: Folded) -> Folded:
    """Sequences that end where others do."""
    return replace(folded, lengths=folded.lengths[::-1])


def _misplaced(folded: Folded) -> Folded:
    """States handed to the wrong tokens of what is each one's own."""
    own = folded.rows_N >= folded.prefix
    rows = folded.rows_N.clone()
    rows[own] = rows[own].flip(0)
    return replace(folded, rows_N=rows)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("spoilt", [_restarted, _miscut, _misplaced])
def test_a_common_start_that_changes_states_is_not_used(
    folder_of: Folders,
    dtype: str,
    spoilt: Callable[[Folded], Folded],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = load(folder_of("llama"), dtype)
    assert soundness.packs_right(backbone)
    real = Folded.of

    def wrong(batch: Ragged) -> Folded:
        folded = real(batch)
        return spoilt(folded) if folded.prefix else folded

    monkeypatch.setattr(Folded, "of", wrong)
    assert not soundness.packs_right(backbone)


def test_a_token_whose_embedding_is_zero_is_no_fault(folder_of: Folders) -> None:
    """The pad token's row is zero in a fresh model, and so is its state where it comes first."""
    backbone = load(folder_of("llama", vocab_size=8))
    assert not backbone.embed(torch.tensor([0])).any()
    assert soundness.packs_right(backbone)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_model_that_ignores_pads_is_refused(
    folder_of: Folders, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load(folder_of("llama"))
    real = Ragged.padded

    def unmasked(self: Ragged, wanted: str = "right") -> tuple[Tensor, Tensor, Tensor]:
        ids, positions, mask = real(self, wanted)
        # Left pads that are attended to, or positions that count right ones.
        return (ids, positions + (wanted == side) * mask.cumsum(-1), mask)

    monkeypatch.setattr(Ragged, "padded", unmasked)
    with pytest.raises(ModelError, match=f"(?s)padded.*{side}"):
        soundness.packs_right(backbone)


def test_bfloat16_models_pass(folder_of: Folders) -> None:
    for train_all in (False, True):
        backbone = Backbone.load(
            folder_of("llama"), machine=machine("bfloat16"), train_all=train_all
        )
        assert backbone.packs
