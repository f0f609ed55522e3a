"""What a stack of adapters on a backbone is used for: to give log-probabilities, scores or values.

Shape letters: N = real tokens; M = targets; B = sequences; D = hidden size; H = heads;
V = vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from accord.core.errors import ModelError
from accord.core.hashing import digest
from accord.models.backbone import Backbone
from accord.models.head import AnyHead, Doubt, save_head_files
from accord.models.head import CriterionHeads as CriterionHeads
from accord.models.head import Heads as Heads
from accord.models.head import ScalarHead as ScalarHead
from accord.models.head import Scale as Scale
from accord.models.head import load_head as load_head
from accord.models.logprobs import token_logprobs
from accord.models.ragged import Ragged
from accord.text.template import ChatTemplate


@dataclass(slots=True)
class Role:
    """A stack of adapters, bottom first, on a backbone, with a scalar head where it scores.

    `stack` is the digest of the weights a frozen role consists of; None while something in it
    trains. Roles on one backbone must be run one after the other, backward pass included.
    """

    backbone: Backbone
    adapters: tuple[str, ...] = ()
    head: AnyHead | None = None
    scale: Scale = field(default_factory=Scale)
    packing: bool = True
    stack: str | None = None
    doubt: Doubt | None = None
    """How unsure a frozen reward model is, where that was measured."""
    temperature: float = 1.0
    """What raw leads are divided by to be calibrated log-odds."""
    reads: ChatTemplate | None = None
    """Its own chat template where it scores words of a policy whose tokens it cannot read."""

    def hidden(self, batch: Ragged) -> Tensor:
        """Last hidden states `[N, D]`."""
        self.backbone.activate(self.adapters)
        return self.backbone.hidden(batch, packing=self.packing)

    def logprobs(
        self, batch: Ragged, *, temperature: float = 1.0, entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """`(logp_M, entropy_M)` of the batch's targets, in nats, at this temperature; the entropy
        is None unless asked for."""
        hidden_MD = self.hidden(batch)[batch.rows_M]
        weight_VD, bias_V = self.backbone.wide_head()
        return token_logprobs(
            hidden_MD,
            weight_VD,
            batch.targets_M,
            bias_V=bias_V,
            temperature=temperature,
            mixed=self.backbone.mixed,
            entropy=entropy,
        )

    def raw_scores(self, batch: Ragged) -> Tensor:
        """`[B]` head outputs at each sequence's last real token, before `scale`."""
        return cast(Tensor, self._head()(self.hidden(batch)[batch.last_rows_B]))

    def raw_scores_each(self, batch: Ragged) -> Tensor:
        """`[B, H]` the same of each head; their mean is what the model says."""
        return self._head().each(self.hidden(batch)[batch.last_rows_B])

    def raw_scores_by_criterion(self, batch: Ragged) -> Tensor:
        """`[B, H]` the same of each criterion's head, as it was trained: their leads are log-odds.

        Raises ModelError where the model knows no criteria.
        """
        head = self._head()
        if not isinstance(head, CriterionHeads):
            raise ModelError(
                "this reward model knows no criteria",
                do='train it with reward.criteria = ["helpfulness", "safety"], say',
            )
        return head.by_criterion(self.hidden(batch)[batch.last_rows_B])

    def scores(self, batch: Ragged) -> Tensor:
        """`[B]` scores in the model's unit."""
        return (self.raw_scores(batch) - self.scale.shift) / self.scale.scale

    @property
    def doubts(self) -> bool:
        """Whether it can say how unsure it is of a score."""
        return isinstance(self.head, Heads) or self.doubt is not None

    def scores_and_doubts(self, batch: Ragged) -> tuple[Tensor, Tensor]:
        """`[B]` scores and their standard deviations, both in the model's unit.

        Several heads and a posterior of each are a mixture of Gaussians: its variance is that
        between the heads and that within (Eschenhagen et al. 2021, arXiv:2111.03577).
        Raises ModelError where the model knows no doubt.
        """
        head = self._head()
        if not self.doubts:
            raise ModelError(
                "this reward model cannot say how unsure it is",
                do="train it with reward.heads = 4, or with reward.doubt_pairs = 2000",
            )
        hidden_BD = self.hidden(batch)[batch.last_rows_B]
        raw_BH = head.each(hidden_BD)
        variance_B = raw_BH.var(1, correction=0)
        if self.doubt is not None:
            variance_B = variance_B + self.doubt(hidden_BD).square()
        score_B = (raw_BH.mean(1) - self.scale.shift) / self.scale.scale
        return score_B, variance_B.sqrt() / self.scale.scale

    def values(self, batch: Ragged) -> Tensor:
        """`[M]` expected scores before each target token, in the reward model's unit."""
        raw_M: Tensor = self._head()(self.hidden(batch)[batch.rows_M])
        return (raw_M - self.scale.shift) / self.scale.scale

    def mean_head(self) -> ScalarHead:
        """The head, or one that says the mean, or the weighted sum, of several."""
        head = self._head()
        return head if isinstance(head, ScalarHead) else head.mean_head()

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that take gradients, in a fixed order."""
        full = not self.backbone.adapters
        ends = tuple(f".{adapter}.weight" for adapter in self.adapters)
        for name, parameter in self.backbone.model.named_parameters():
            if parameter.requires_grad and (full or name.endswith(ends)):
                yield name, parameter
        if self.head is not None:
            for name, parameter in self.head.named_parameters():
                if parameter.requires_grad:
                    yield f"head.{name}", parameter

    def _head(self) -> AnyHead:
        if self.head is None:
            raise ModelError("this role has no scalar head: it gives log-probabilities, not scores")
        return self.head


def stack_digest(backbone: str, adapters: tuple[str, ...]) -> str:
    """Digest of frozen weights: the base's and each adapter's, bottom first."""
    return digest([backbone, *adapters])


def save_head(role: Role, folder: Path) -> str:
    """Write head, scale and doubt; returns the head's digest."""
    return save_head_files(role._head(), role.scale, folder, role.doubt)
