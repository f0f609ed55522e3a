"""How a reward model scores answers, while a policy trains and when policies are compared.

Shape letters:  B = rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from accord.core.errors import InvariantError, TemplateError
from accord.core.types import Conversation, Prompt
from accord.models.context import folder_context
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.unusable import Why
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized


@dataclass(frozen=True, slots=True)
class Reading:
    """How a reward model with a tokenizer of its own is told what a policy said: in words."""

    said: ChatTemplate
    """The policy's."""
    read: ChatTemplate
    """The reward model's."""
    limit: int
    """Most tokens that the reward model reads at once."""

    def row(self, prompt: Conversation, answer: Sequence[int]) -> Tokenized:
        """The reward model's tokens of a prompt and of an answer in the policy's.

        An answer ends where it says the reward model's stop token, and is cut where it finds no
        room: both as if the policy had stopped there.
        """
        text = self.said.answer_text(answer).partition(self.read.stop)[0]
        if text.strip():
            row = self.read.tokenize_answer(prompt, text)
        else:
            row = Tokenized.answered(self.read.prompt_ids(prompt), [self.read.stop_id])
        if len(row) > self.limit:
            row = Tokenized(row.ids[: self.limit - 1], row.mask[: self.limit - 1])
        return row.ended(self.read.stop_id)

    def refusal(self, prompt: Conversation) -> Why | None:
        """Why no answer to a prompt can be scored; None where answers can."""
        if any(self.read.stop in message.content for message in prompt.messages):
            return Why.SCORED_SAYS_STOP
        try:
            tokens = len(self.read.prompt_ids(prompt))
        except TemplateError:
            return Why.SCORED_REFUSED
        return Why.SCORED_TOO_LONG if tokens >= self.limit else None


def reading_of(roles: Roles) -> Reading | None:
    """How the reward model of a stage is told what the policy said; None where it reads tokens."""
    reader = roles.reader()
    if reader is roles:
        return None
    return Reading(roles.template, reader.template, folder_context(reader.base))


def scorer_of(
    roles: Roles, reward: Role, prompts: Sequence[Prompt], ids: Sequence[Sequence[int]]
) -> Scorer:
    """What scores answers of the policy to these prompts, whose tokens are `ids`.

    They are prompts that the reward model can read, as `fitting.asked_prompts` gives them.
    """
    tokens = roles.context.machine.micro_batch_tokens
    reading = reading_of(roles)
    if reading is None:
        return Scorer(reward, roles.template.stop_id, tokens)
    asked = {tuple(own): one.conversation for own, one in zip(ids, prompts, strict=True)}
    return Scorer(reward, reading.read.stop_id, tokens, reading, asked)


@dataclass(frozen=True, slots=True)
class Scorer:
    """A reward model that scores prompt + answer rows of the policy's tokens, in its own unit.

    Made by `scorer_of`, which knows whether the reward model reads those tokens or words.

    Answers that the limit cut are read as texts that end there: behind any other token the model
    was never asked for a score, and what it says there, high or low, is about nothing.
    """

    reward: Role
    stop: int
    """The stop token of what is read."""
    micro_batch_tokens: int
    reading: Reading | None = None
    """Where the reward model has a tokenizer of its own."""
    asked: Mapping[tuple[int, ...], Conversation] | None = None
    """What was asked, by the policy's tokens of it: for `reading`."""

    def __post_init__(self) -> None:
        if (self.reward.reads is None) != (self.reading is None) or (
            self.reading is not None and self.asked is None
        ):
            raise InvariantError(
                "a reward model with a tokenizer of its own needs the words of what was asked",
                do="make the scorer by accord.pipeline.stages.scoring.scorer_of",
            )

    @torch.no_grad()
    def __call__(self, rows: Sequence[Tokenized]) -> list[float]:
        """One score a row."""
        return [
            score for part in self._batches(rows) for score in self.reward.scores(part).tolist()
        ]

    @torch.no_grad()
    def each(self, rows: Sequence[Tokenized]) -> list[tuple[float, float]]:
        """(score, doubt) of each row: the doubt is the score's standard deviation, in its unit.

        Raises ModelError where the reward model knows no doubt.
        """
        found: list[tuple[float, float]] = []
        for part in self._batches(rows):
            score_B, doubt_B = self.reward.scores_and_doubts(part)
            found += zip(score_B.tolist(), doubt_B.tolist(), strict=True)
        return found

    def _batches(self, rows: Sequence[Tokenized]) -> Iterator[Ragged]:
        ended = [self._read(row).ended(self.stop) for row in rows]
        for group in micro_batches([len(row) for row in ended], self.micro_batch_tokens):
            yield Ragged.of([ended[i] for i in group], self.reward.backbone.machine.device)

    def _read(self, row: Tokenized) -> Tokenized:
        """A row in the reward model's own tokens."""
        if self.reading is None or self.asked is None:
            return row
        start = row.mask.index(True) if any(row.mask) else len(row)
        prompt = self.asked.get(row.ids[:start])
        if prompt is None:
            raise InvariantError("a row answers a prompt that the scorer was not told of")
        return self.reading.row(prompt, row.ids[start:])
