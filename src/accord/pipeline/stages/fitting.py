"""Which rows a stage can use: they fit the model's context and never say the stop token.

Only the template may print the stop token: a row that says it in its own text would teach to go on
behind the end. What is left out is counted, and the stages note it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NoReturn

from accord.algorithms.comparisons import TokenComparisons
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation, Demonstration, Prompt, Split
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized


@dataclass(slots=True)
class Sieve:
    """Lets usable rows pass, in order, and remembers the numbers of the others, from 0."""

    template: ChatTemplate
    limit: int
    """Most tokens of a row."""
    too_long: list[int] = field(default_factory=list)
    """Rows of more tokens."""
    says_stop: list[int] = field(default_factory=list)
    """Rows that say the stop token in their own text."""

    def demonstrations(self, rows: Iterable[Demonstration]) -> Iterator[Tokenized]:
        """Tokens of each usable demonstration."""
        for number, row in enumerate(rows):
            if self._sayable(number, row.conversation):
                tokens = self.template.tokenize(row.conversation)
                if self._short(number, len(tokens)):
                    yield tokens

    def comparisons(self, rows: Iterable[Comparison]) -> Iterator[Comparison]:
        """Comparisons that never say the stop token, whatever their length."""
        for number, row in enumerate(rows):
            if self._sayable(number, row.prompt, *row.responses):
                yield row

    def short_comparisons(self, rows: Iterable[Comparison]) -> Iterator[Comparison]:
        """Usable comparisons: no response exceeds the limit, its prompt included."""
        for number, row in enumerate(self.comparisons(rows)):
            lengths = [len(self.template.tokenize_answer(row.prompt, r)) for r in row.responses]
            if self._short(number, max(lengths)):
                yield row

    def prompts(self, rows: Iterable[Prompt]) -> Iterator[tuple[Prompt, list[int]]]:
        """Usable prompts with their tokens, the opened answer included."""
        for number, row in enumerate(rows):
            if self._sayable(number, row.conversation):
                ids = self.template.prompt_ids(row.conversation)
                if self._short(number, len(ids)):
                    yield row, ids

    def refuse_all(self, what: str, do: str) -> NoReturn:
        """Raise the DataError of a stage that has no row left."""
        too_long, says_stop = len(self.too_long), len(self.says_stop)
        raise DataError(what, got=_counts(too_long, says_stop, self), do=do)

    def _sayable(self, number: int, conversation: Conversation, *texts: str) -> bool:
        said = (*(message.content for message in conversation.messages), *texts)
        if any(self.template.stop in text for text in said):
            self.says_stop.append(number)
            return False
        return True

    def _short(self, number: int, tokens: int) -> bool:
        if tokens > self.limit:
            self.too_long.append(number)
            return False
        return True


def _counts(too_long: int, says_stop: int, sieve: Sieve) -> str:
    return (
        f"{too_long} are longer than {sieve.limit} tokens, "
        f"{says_stop} say the stop token {sieve.template.stop}"
    )


def row_limit(roles: Roles, max_tokens: int) -> int:
    """Most tokens of a training row: the setting, or the model's context where that is less."""
    return min(max_tokens, roles.backbone(roles.base).context)


def token_comparisons(
    context: StageContext, roles: Roles, *, max_tokens: int
) -> tuple[TokenComparisons, TokenComparisons]:
    """Training and held-out comparisons as tokens; what is left out is noted.

    Raises DataError where no training comparison is left.
    """
    sieve = Sieve(roles.template, row_limit(roles, max_tokens))
    train, dev = (
        TokenComparisons.build(
            sieve.comparisons(data.comparisons(context, split)),
            roles.template.tokenize_answer,
            max_tokens=sieve.limit,
        )
        for split in (Split.TRAIN, Split.DEV)
    )
    context.note("train_comparisons", len(train))
    context.note("too_long", train.too_long + dev.too_long)
    context.note("says_stop", len(sieve.says_stop))
    if len(train) == 0:
        raise DataError(
            "no comparison can be trained on",
            got=_counts(train.too_long + dev.too_long, len(sieve.says_stop), sieve),
            do="import shorter comparisons, or raise max_tokens as far as the model's context",
        )
    return train, dev


def asked_prompts(
    context: StageContext,
    roles: Roles,
    *,
    held_out: bool,
    answer_tokens: int,
    at_most: int | None = None,
) -> tuple[list[Prompt], list[list[int]]]:
    """Prompts that leave room for an answer, with their tokens; what is left out is noted.

    Raises DataError where none is left.
    """
    sieve = Sieve(roles.template, roles.backbone(roles.base).context - answer_tokens)
    found = data.prompts(context, held_out=held_out)
    kept = list(islice(sieve.prompts(found), at_most))
    context.note("prompts", len(kept))
    context.note("prompts_too_long", len(sieve.too_long))
    context.note("prompts_that_say_stop", len(sieve.says_stop))
    if not kept:
        sieve.refuse_all(
            "no prompt can be answered",
            f"import shorter prompts, or lower max_tokens = {answer_tokens}: prompt and answer "
            f"share the model's context",
        )
    return [prompt for prompt, _ in kept], [ids for _, ids in kept]
