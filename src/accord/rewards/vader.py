"""Sentiment of a text by vaderSentiment's word rules (Hutto and Gilbert 2014): a watched truth."""

from __future__ import annotations

from collections.abc import Sequence

from accord.core.errors import ConfigError
from accord.core.types import Conversation


class VaderScore:
    """A `RewardFn`: the compound score of each answer, from -1 (negative) to 1 (positive).

    Raises ConfigError when made without the package vaderSentiment.
    """

    def __init__(self) -> None:
        try:
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
        except ImportError:
            raise ConfigError(
                "the watched truth needs the package vaderSentiment",
                do='pip install "accord[quickstart]", or set gold = "none"',
            ) from None
        self._analyzer = SentimentIntensityAnalyzer()

    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        """Score `answers[i]`; prompts are not read. Raises ValueError on different lengths."""
        scored = zip(prompts, answers, strict=True)
        return [float(self._analyzer.polarity_scores(text)["compound"]) for _, text in scored]
