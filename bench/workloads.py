"""The fixed work that is measured: sizes, and data made from a seed.

Words are drawn evenly from a short list. What a model thinks of them does not matter here: neither
the time of a step nor the memory it takes depends on sense.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from accord.core.machine import Machine
from accord.core.types import Comparison, Conversation, Demonstration
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

_COMMON = """
the of and to a in is that it was for on are as with they be at this have from or had by not but
what all were when we there can an your which their said if do will each about how up out them then
she many some so these would other into has more her two like him see time could no make than first
been its who now people my made over did down only way find use may water long little very after
words called just where most know get through back much before go good new write our used me man too
any day same right look think also around another came come work three word must because does part
even place well such here take why things help put years different away again off went old number
"""
WORDS = _COMMON.split()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much work a workload is. The defaults are the published benchmark."""

    batches: tuple[int, ...] = (32, 64)
    """Rows that are decoded at once, one measurement each."""
    prompt_tokens: int = 64
    new_tokens: int = 33
    shared_prompts: int = 8
    shared_tokens: int = 256
    """Prompt length where each prompt is answered several times."""
    shared_samples: int = 8
    shared_new: int = 32
    rows: int = 64
    """Conversations or pairs."""
    batch: int = 8
    """Conversations or pairs an optimiser step."""
    user_words: tuple[int, int] = (5, 40)
    answer_words: tuple[int, int] = (20, 120)
    steps: int = 8

    def quick(self) -> Sizes:
        """Sizes that show only that everything runs."""
        return replace(
            self,
            batches=(4,),
            prompt_tokens=16,
            new_tokens=9,
            shared_prompts=2,
            shared_tokens=32,
            shared_samples=2,
            shared_new=8,
            rows=8,
            batch=2,
            user_words=(3, 8),
            answer_words=(5, 20),
            steps=3,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What all contestants of a run share."""

    folder: Path
    """The model, in transformers' format."""
    machine: Machine
    sizes: Sizes
    lora: bool
    """Train adapters of rank 16 on every linear layer instead of all weights."""
    seed: int = 0


def template(setting: Setting) -> ChatTemplate:
    """The model's chat template."""
    return ChatTemplate(TextTokenizer.load(setting.folder))


def prompts(setting: Setting, count: int, length: int) -> list[list[int]]:
    """`count` prompts of exactly `length` tokens, ordinary ones of the model's vocabulary."""
    vocabulary = TextTokenizer.load(setting.folder).vocab_size
    rng = np.random.default_rng((setting.seed, count, length))
    tokens = rng.integers(vocabulary // 2, vocabulary, size=(count, length))
    return [[int(token) for token in row] for row in tokens]


def demonstrations(setting: Setting) -> list[Demonstration]:
    """Conversations of one question and one answer."""
    rng = np.random.default_rng((setting.seed, 1))
    sizes = setting.sizes
    return [
        Demonstration(
            conversation=Conversation.of(_text(rng, sizes.user_words)).answered(
                _text(rng, sizes.answer_words)
            )
        )
        for _ in range(sizes.rows)
    ]


def comparisons(setting: Setting) -> list[Comparison]:
    """Pairs: a question and two answers, the first preferred."""
    rng = np.random.default_rng((setting.seed, 2))
    sizes = setting.sizes
    return [
        Comparison(
            prompt=Conversation.of(_text(rng, sizes.user_words)),
            responses=(_text(rng, sizes.answer_words), _text(rng, sizes.answer_words)),
            tiers=(0, 1),
        )
        for _ in range(sizes.rows)
    ]


def _text(rng: np.random.Generator, words: tuple[int, int]) -> str:
    count = int(rng.integers(words[0], words[1], endpoint=True))
    return " ".join(WORDS[i] for i in rng.integers(len(WORDS), size=count))
