"""What was measured of each arm of an evaluation, kept while the others are measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from accord.evals.policies import Answers

_OWN = ("kl", "length", "stopped", "score", "gold")
"""Measures that answers have a field for."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One arm's answers and what was measured of them."""

    answers: Answers
    texts: list[list[str]]
    """`[P][S]`: what was said, without what the prompt opened the answer with."""


@dataclass(slots=True)
class Measurements:
    """The arms that are done, in their order; the state of an evaluation (`Checkpointable`)."""

    arms: dict[str, Measured] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Arms done so far."""
        return len(self.arms)

    def save(self, folder: Path) -> None:
        """Write every arm's numbers and texts."""
        for place, one in enumerate(self.arms.values()):
            whole = {name: np.ascontiguousarray(x) for name, x in one.answers.measures().items()}
            save_file(whole, folder / f"{place}.safetensors")
        texts = {name: one.texts for name, one in self.arms.items()}
        (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Take over what `save` wrote, to the bit."""
        texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
        for place, (name, said) in enumerate(texts.items()):
            found = load_file(folder / f"{place}.safetensors")
            own = {measure: found.pop(measure) for measure in _OWN if measure in found}
            self.arms[name] = Measured(Answers(**own, more=found), said)
