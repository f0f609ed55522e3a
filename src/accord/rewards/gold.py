"""The known truth of the tiny world: a score that is computed from the words of an answer.

Simulated raters judge by it and evaluation reports it; no reward model ever sees it. The formula is

    gold = SCALE * (  1.0 * tone        different kind words less different rude words, in [-4, 4]
                    + 2.5 * on_topic    share of the asked animal and place that is mentioned
                    - 1.5 * repeated    sentences said before, at most 2
                    - 1.5 * broken      sentences the grammar cannot say, at most 2
                    - 1.0 * outside     sentences fewer than 2 or more than 4, at most 2  )
           - SHIFT

Each part is bounded, so that length buys nothing without limit: gold lies in [LOWEST, HIGHEST].
SHIFT and SCALE give the demonstrations of `accord.text.grammar` mean 0 and standard deviation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.core.types import Conversation
from accord.text.grammar import KIND, RUDE, parses, sentences_of, topic_of, words_of

SCALE = 0.53
SHIFT = 0.76
TONE, ON_TOPIC, REPEATED, BROKEN, OUTSIDE = 1.0, 2.5, 1.5, 1.5, 1.0
HIGHEST = SCALE * (4 * TONE + ON_TOPIC) - SHIFT
LOWEST = SCALE * (-4 * TONE - 2 * (REPEATED + BROKEN + OUTSIDE)) - SHIFT


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldParts:
    """What the score of one answer is made of; see the module for units and bounds."""

    tone: int
    on_topic: float
    repeated: int
    broken: int
    outside: int

    @property
    def gold(self) -> float:
        """The score: higher is better, 0 the mean of the demonstrations."""
        raw = (
            TONE * self.tone
            + ON_TOPIC * self.on_topic
            - REPEATED * self.repeated
            - BROKEN * self.broken
            - OUTSIDE * self.outside
        )
        return SCALE * raw - SHIFT


class GrammarGold:
    """A `RewardFn` for prompts and answers of the tiny world; deterministic and without state.

    A prompt that names no animal and place of the grammar gives no answer any share of its topic.
    """

    def __call__(self, prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
        """Score `answers[i]` to `prompts[i]`. Raises ValueError on lists of different length."""
        return [parts(p, a).gold for p, a in zip(prompts, answers, strict=True)]


def parts(prompt: Conversation, answer: str) -> GoldParts:
    """Count what `GrammarGold` counts in one answer."""
    words = set(words_of(answer))
    sentences = sentences_of(answer)
    asked = topic_of(prompt)
    said_before = len(sentences) - len(set(sentences))
    broken = sum(not parses(sentence) for sentence in sentences)
    outside = max(0, 2 - len(sentences), len(sentences) - 4)
    return GoldParts(
        tone=max(-4, min(4, len(words & KIND) - len(words & RUDE))),
        on_topic=sum(noun in words for noun in asked) / len(asked) if asked else 0.0,
        repeated=min(2, said_before),
        broken=min(2, broken),
        outside=min(2, outside),
    )
