"""A score made of rated responses: ridge regression on the frozen model's own hidden states.

What simulated raters go by where no truth is known: people's ratings of other texts. It sees no
trick (`accord.rewards.judge` does): whoever is optimised against it finds that out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from accord.core.hashing import digest
from accord.core.types import Conversation, RatedResponse
from accord.models.backbone import Backbone
from accord.models.reading import mean_states
from accord.stats.linear import fit_ridge
from accord.text.template import ChatTemplate

PENALTY = 1.0
"""Of the ridge regression: on film reviews .3 to 3 differ by less than .01 in correlation."""


class RatedScore:
    """A `RewardFn` in the unit of the ratings; what was read before is remembered."""

    def __init__(
        self, rows: Iterable[RatedResponse], *, backbone: Backbone, template: ChatTemplate
    ) -> None:
        """Fit on rated responses, which are read once. Raises DataError where there are none."""
        self._backbone, self._template = backbone, template
        self._layers = max(1, int(backbone.config.num_hidden_layers) // 2)
        known = list(rows)
        states = self._states([row.prompt for row in known], [row.response for row in known])
        self._linear = fit_ridge(states, [row.mean for row in known], penalty=PENALTY)
        self._seen: dict[tuple[str, str], float] = {}
        self.digest = digest([row.digest for row in known])
        """Of what it was made of."""

    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        """Score `answers[i]`, read with what `prompts[i]` opened it with."""
        asked = list(zip(prompts, answers, strict=True))
        names = [(prompt.digest, answer) for prompt, answer in asked]
        new = {n: one for n, one in zip(names, asked, strict=True) if n not in self._seen}
        if new:
            states = self._states(*map(list, zip(*new.values(), strict=True)))
            self._seen |= dict(zip(new, self._linear(states).tolist(), strict=True))
        return [self._seen[name] for name in names]

    def _states(
        self, prompts: Sequence[Conversation], answers: Sequence[str]
    ) -> NDArray[np.float32]:
        rows = [
            self._template.tokenize_answer(Conversation(prompt.asked), prompt.opening + answer)
            for prompt, answer in zip(prompts, answers, strict=True)
        ]
        return mean_states(self._backbone, rows, layers=self._layers)
