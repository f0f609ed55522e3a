"""What loading proves about a model: that Accord computes the same numbers as the model itself.

Each check is a forward pass over a few tokens. A model that fails would train and sample without an
error, on wrong log-probabilities.

Shape letters: N = tokens of all sequences; D = hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from accord.core.errors import ModelError
from accord.models.ragged import LEAST, Ragged
from accord.text.tokenized import Tokenized

if TYPE_CHECKING:  # the backbone makes these checks itself
    from accord.models.backbone import Backbone

COMPANY = (5, 9)
"""Lengths of the sequences that are run together."""
ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 0.1}
"""Largest difference of a hidden state, over its norm, that counts as rounding; most states of each
part of a sequence must be within it. A sequence that sees another one, a pad or wrong positions is
several times that apart. Most, because a model may make a state huge, and which one by less than
rounding.
"""


@torch.no_grad()
def check_head(backbone: Backbone) -> None:
    """Prove that embeddings, decoder and head alone give the model's logits.

    Some models scale or cap their logits after the head, or read the token ids beside their
    embeddings; their log-probabilities would be silently wrong. Raises ModelError for those.
    """
    ids = torch.arange(1, 9, device=backbone.machine.device)[None] % backbone.head.out_features
    own = backbone.model(input_ids=ids, use_cache=False).logits.float()
    embedded = backbone.embed(ids).to(backbone.head.weight.dtype)  # as the model itself rounds them
    hidden = backbone.decoder(inputs_embeds=embedded, use_cache=False).last_hidden_state
    gap = (own - backbone.head(hidden).float()).abs().max().item()
    if not gap <= 1e-3 * own.abs().max().item():
        raise ModelError(
            "this model's logits are not its head's of its embedded tokens: Accord does not follow",
            got=f"{backbone.model.config.model_type}: difference {gap:.3g}",
            do="use a decoder whose logits are the head's (Llama, Qwen, Mistral ...)",
        )


@torch.no_grad()
def packs_right(backbone: Backbone) -> bool:
    """Whether sequences packed into one row have the hidden states that they have alone.

    With a start in common, which is then run once, and without. Raises ModelError where they have
    not even when padded.
    """
    own = [_spread(backbone, length) for length in COMPANY]
    start = _spread(backbone, LEAST)
    apart = _Company(backbone, own, COMPANY)
    alike = _Company(
        backbone, [start + ids for ids in own], [n for o in COMPANY for n in (LEAST, o)]
    )
    for side in ("right", "left"):
        if not apart.same(False, side):
            raise ModelError(
                "this model computes something else where sequences are padded",
                got=f"{backbone.model.config.model_type}, pads on the {side}",
                do="use a decoder that takes masks and positions (Llama, Qwen, GPT-2 ...)",
            )
    try:
        return apart.same(True, "none") and alike.same(True, "none")
    except (TypeError, ModelError):  # layers that cannot be told where a sequence ends
        return False


def _spread(backbone: Backbone, length: int) -> tuple[int, ...]:
    """Token ids all over the vocabulary: the first are often special ones, never seen in a row."""
    vocabulary = backbone.head.out_features
    return tuple(i * vocabulary // (length + 1) for i in range(1, length + 1))


class _Company:
    """Sequences to run together, and their states alone; `parts` are looked at one by one."""

    def __init__(
        self, backbone: Backbone, ids: Sequence[tuple[int, ...]], parts: Sequence[int]
    ) -> None:
        self.backbone, self.parts = backbone, list(parts)
        masked = [Tokenized(i, (False,) * len(i)) for i in ids]
        self.batch = Ragged.of(masked, backbone.machine.device)
        self.alone_ND = _alone(backbone, ids)

    def same(self, packing: bool, side: str) -> bool:
        """Whether most states of each part are, up to rounding, those of its sequence alone."""
        hidden_ND = self.backbone.hidden(self.batch, packing=packing, padding_side=side).float()
        # A state may be all zeros, where a token's embedding is: no division.
        bound_N = ROUNDING[self.backbone.dtype] * self.alone_ND.norm(dim=-1)
        near_N = (hidden_ND - self.alone_ND).norm(dim=-1) <= bound_N
        return all(2 * int(near.sum()) > len(near) for near in near_N.split(self.parts))


def _alone(backbone: Backbone, ids: Sequence[tuple[int, ...]]) -> Tensor:
    """Hidden states of each sequence by itself, without mask and positions, one after the other."""
    device = backbone.machine.device
    with torch.autocast(device, dtype=torch.bfloat16, enabled=backbone.mixed):
        parts = [
            backbone.decoder(
                inputs_embeds=backbone.embed(torch.tensor([row], device=device)),
                use_cache=False,
            ).last_hidden_state[0]
            for row in ids
        ]
    return torch.cat(parts).float()
