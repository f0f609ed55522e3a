"""Seams between floors. Each has a fake in the tests and a real one on an upper floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from accord.core.types import Completion, Conversation, Response, SamplingSettings

Row = Mapping[str, float]
"""One step's metrics: declared names (`accord.core.metrics`) to finite numbers."""


class Tokenizer(Protocol):
    """Text to token ids and back. Special tokens are never added behind the caller's back."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class Sampler(Protocol):
    """Anything that continues token sequences: the embedded engine, a server, a fake.

    Returns `n` completions for each prompt, in the order of the prompts. The same arguments give
    the same completions.
    """

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]: ...


class Responder(Protocol):
    """Anything that answers conversations in words: judges and remote servers need no tokens."""

    def respond(
        self, conversations: Sequence[Conversation], *, settings: SamplingSettings, seed: int
    ) -> list[Response]: ...


class RewardFn(Protocol):
    """Scores answers, one finite number each, higher is better.

    `prompts[i]` was answered by `answers[i]`.
    """

    def __call__(
        self, prompts: Sequence[Conversation], answers: Sequence[str]
    ) -> Sequence[float]: ...


class Checkpointable(Protocol):
    """All that a training loop remembers between two steps, as one value."""

    @property
    def step(self) -> int:
        """Steps done so far."""

    def save(self, folder: Path) -> None: ...
    def load(self, folder: Path) -> None: ...
