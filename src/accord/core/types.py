"""The nouns of the domain: frozen values, checked when made, with a digest of their content.

Shape words: K responses to one prompt; tiers[k] is the rank of response k, 0 the best, equal
ranks a tie.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from accord.core.conversation import Conversation as Conversation
from accord.core.conversation import Message as Message
from accord.core.conversation import Speaker as Speaker
from accord.core.errors import DataError
from accord.core.hashing import digest

OVERALL = "overall"
"""What comparisons without a criterion are called where criteria are named."""


class StopReason(StrEnum):
    """Why a response ended."""

    STOP = "stop"
    """The model said its stop token."""
    LENGTH = "length"
    """The token budget was used up."""


class Split(StrEnum):
    """Which part of a data set a row belongs to; decided by its prompt, never by its label."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A conversation that waits for an answer, with where it came from."""

    conversation: Conversation
    source: str = ""

    def __post_init__(self) -> None:
        if not self.conversation.awaits_answer:
            raise DataError(
                "a prompt must end with a message of the user's or the system's, or an opening",
                got=self.conversation.messages[-1].content[:60],
                do="move the last assistant message into the response",
            )

    @property
    def id(self) -> str:
        """First 16 digits of the conversation's digest: the same words, the same id."""
        return self.conversation.digest[:16]


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingSettings:
    """How answers are drawn. All of it shapes the distribution that log-probabilities are of."""

    temperature: float = 1.0
    """Divides the logits; 0 means greedy. Unit: none. RL samples at 1 (Ziegler et al. 2019)."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this; 1 keeps all."""
    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise DataError("temperature must be finite and at least 0", got=self.temperature)
        if not 0 < self.top_p <= 1:
            raise DataError("top_p must lie in (0, 1]", got=self.top_p)
        if self.top_k < 0:
            raise DataError("top_k must be at least 0", got=self.top_k)
        if self.max_tokens < 1:
            raise DataError("max_tokens must be at least 1", got=self.max_tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One sampled answer inside training: tokens with the log-probabilities they were drawn with.

    `logprobs` are natural logarithms under the sampling distribution (temperature and truncation
    applied), one per token, the stop token included.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    stop: StopReason

    def __post_init__(self) -> None:
        if not self.tokens:
            raise DataError("a completion has no token")
        if len(self.tokens) != len(self.logprobs):
            raise DataError(
                "a completion needs one log-probability a token",
                got=f"{len(self.tokens)} tokens, {len(self.logprobs)} log-probabilities",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One answer to a prompt as people and reports see it."""

    prompt_id: str
    text: str
    stop: StopReason
    policy: str = ""
    """Digest of the stack of weights that said it; empty for text written by people."""
    settings: SamplingSettings | None = None
    """How it was sampled; None for text written by people."""
    tokens: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """Content hash over every field."""
        return digest(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Demonstration:
    """A conversation whose assistant messages are worth imitating."""

    conversation: Conversation
    source: str = ""

    def __post_init__(self) -> None:
        said = [m for m in self.conversation.messages if m.role is Speaker.ASSISTANT]
        if not said:
            raise DataError("a demonstration has no assistant message")
        if any(not m.content.strip() for m in said):
            raise DataError("a demonstration has an empty response", do="drop the row or fill it")
        if self.conversation.opening:
            raise DataError(
                "a demonstration ends with an opening: its answer is not there",
                got=self.conversation.opening[:60],
            )

    @property
    def digest(self) -> str:
        """Content hash over every field."""
        return digest(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """One response to a prompt with a thumb up or down."""

    prompt: Conversation
    response: str
    good: bool
    """Whether the thumb is up."""
    weight: float = 1.0
    """Weight of the row in the loss; at least 0."""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.prompt.awaits_answer:
            raise DataError("the prompt of a feedback must wait for an answer")
        if not self.response.strip():
            raise DataError("a feedback has an empty response", do="drop the row or fill it")
        if not isinstance(self.good, bool):
            raise DataError("a thumb is up (true) or down (false)", got=repr(self.good)[:80])
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise DataError("a weight must be finite and at least 0", got=self.weight)

    @property
    def digest(self) -> str:
        """Content hash over every field."""
        return digest(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class RatedResponse:
    """One response to a prompt with the ratings that people gave it, each alone on one scale."""

    prompt: Conversation
    response: str
    ratings: tuple[float, ...]
    """In the unit of their scale; higher is better."""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.prompt.awaits_answer:
            raise DataError("the prompt of a rated response must wait for an answer")
        if not self.response.strip():
            raise DataError("a rated response is empty", do="drop the row or fill it")
        if not self.ratings or not all(math.isfinite(one) for one in self.ratings):
            raise DataError("ratings are finite numbers, at least one", got=list(self.ratings))

    @property
    def mean(self) -> float:
        """Mean of the ratings."""
        return math.fsum(self.ratings) / len(self.ratings)

    @property
    def digest(self) -> str:
        """Content hash over every field."""
        return digest(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two responses of one comparison: how probable it is that the first is the better one."""

    first: int
    second: int
    label: float
    """P(first better) in [0, 1]: 1 a clear win, .5 a tie."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """K responses to one prompt in tiers: the training view of one judgement or of several.

    `label` replaces the tiers by a soft label for K = 2: P(first better) in [0, 1].
    """

    prompt: Conversation
    responses: tuple[str, ...]
    tiers: tuple[int, ...]
    weight: float = 1.0
    """Weight of the whole comparison in the loss; at least 0."""
    margin: float = 0.0
    """By how much the winner's score should lead (Llama 2's margin), in score units."""
    label: float | None = None
    source: str = ""
    strength: int | None = None
    """How far the first is ahead: 1 negligible, 2 slight, 3 clear, 4 strong; None: not said."""
    inclusion: float = 1.0
    """Probability with which these responses were picked to be judged, in (0, 1]."""
    rater: str = ""
    """Pseudonym of who judged; empty where it is not known or they were several."""
    all_bad: bool = False
    """Whether none of the responses is acceptable, whatever the tiers say of them."""
    criterion: str = ""
    """What the tiers are about: helpfulness, safety, ...; empty: the answer as a whole."""

    def __post_init__(self) -> None:
        if not self.prompt.awaits_answer:
            raise DataError("a comparison's prompt must wait for an answer")
        if len(self.responses) < 2:
            raise DataError("a comparison needs two responses", got=len(self.responses))
        if len(self.responses) != len(self.tiers):
            raise DataError(
                "a comparison needs one tier a response",
                got=f"{len(self.responses)} responses, {len(self.tiers)} tiers",
            )
        if any(not text.strip() for text in self.responses):
            raise DataError("a comparison has an empty response", do="drop the row or fill it")
        if set(self.tiers) != set(range(len(set(self.tiers)))):
            raise DataError(
                "tiers must count 0, 1, 2 ... without gaps, 0 the best", got=list(self.tiers)
            )
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise DataError("a weight must be finite and at least 0", got=self.weight)
        if not (math.isfinite(self.margin) and self.margin >= 0):
            raise DataError("a margin must be finite and at least 0", got=self.margin)
        if self.label is not None and (len(self.responses) != 2 or not 0 <= self.label <= 1):
            raise DataError(
                "a soft label belongs to two responses and lies in [0, 1]",
                got=f"{self.label} for {len(self.responses)} responses",
            )
        self._check_how_it_was_judged()

    def _check_how_it_was_judged(self) -> None:
        if self.strength not in (None, 1, 2, 3, 4) or isinstance(self.strength, bool | float):
            raise DataError("a strength is 1, 2, 3 or 4", got=self.strength)
        if not 0 < self.inclusion <= 1:
            raise DataError("an inclusion probability lies in (0, 1]", got=self.inclusion)
        if not math.isfinite(self.training_weight):
            raise DataError(
                "a weight over its inclusion probability must be finite",
                got=f"{self.weight} / {self.inclusion}",
            )
        if not isinstance(self.all_bad, bool):
            raise DataError("all_bad is true or false", got=self.all_bad)
        named = isinstance(self.criterion, str)
        if not named or self.criterion == OVERALL:
            raise DataError(
                "a criterion is a name, and empty where a comparison is about the whole answer",
                got=self.criterion,
            )

    @property
    def digest(self) -> str:
        """Content hash over every field."""
        return digest(self)

    @property
    def training_weight(self) -> float:
        """What the loss weighs this by: `weight / inclusion`.

        A weighted sum divided by the sum of such weights estimates the mean over everything that
        could have been picked (Horvitz and Thompson 1952; the ratio form is Hajek 1971). The loss
        divides batch by batch, so that it is that estimate up to the spread of a batch's weight.
        """
        return self.weight / self.inclusion

    def pairs(self) -> Iterator[Pair]:
        """Every pair of responses, the better first; a tie has label .5.

        All K (K - 1) / 2 pairs of a prompt belong in one optimiser step and share its weight
        (Ouyang et al. 2022, arXiv:2203.02155, section 3.5).
        """
        if self.label is not None:
            yield Pair(first=0, second=1, label=self.label)
            return
        for i, j in combinations(range(len(self.responses)), 2):
            first, second = (i, j) if self.tiers[i] <= self.tiers[j] else (j, i)
            tied = self.tiers[i] == self.tiers[j]
            yield Pair(first=first, second=second, label=0.5 if tied else 1.0)
