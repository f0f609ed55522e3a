"""Which rows a stage can use: they fit the model's context and never say the stop token.

Only the template may print the stop token: a row that says it in its own text would teach to go on
behind the end. What is left out is counted in the manifest, listed in the artifact and told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.thumbs import Thumb, TokenThumbs, from_pairs
from accord.core.errors import DataError, TemplateError
from accord.core.types import (
    OVERALL,
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    Split,
)
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import Reading, reading_of
from accord.pipeline.stages.unusable import BY_SCORER, Why
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized

LIST = "left_out.jsonl"
"""File of an artifact that names every row the stage could not use."""
SHOWN = 80
"""Characters of such a row that are quoted."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One row that a stage could not use."""

    split: str
    row: int
    """Its number within the split, over all sets in order, from 0."""
    why: Why
    text: str
    """How it begins."""


@dataclass(slots=True)
class Sieve:
    """Lets usable rows of one split pass, in order, and remembers the others."""

    template: ChatTemplate
    limit: int
    """Most tokens of a row."""
    split: str = Split.TRAIN
    reading: Reading | None = None
    """Of prompts whose answers a reward model with a tokenizer of its own scores."""
    criteria: tuple[str, ...] = ("",)
    """What comparisons may be about; "" is the answer as a whole."""
    others: Counter[str] = field(default_factory=Counter)
    """How many comparisons are about something else, by its name."""
    left_out: list[LeftOut] = field(default_factory=list)

    def demonstrations(self, rows: Iterable[Demonstration]) -> Iterator[Tokenized]:
        """Tokens of each usable demonstration."""
        for number, row in enumerate(rows):
            if self._sayable(number, row.conversation):
                try:
                    tokens = self.template.tokenize(row.conversation)
                except TemplateError:
                    self._leave(number, Why.REFUSED, row.conversation)
                    continue
                if self._short(number, len(tokens), row.conversation):
                    yield tokens

    def prompts(self, rows: Iterable[Prompt]) -> Iterator[tuple[Prompt, list[int]]]:
        """Usable prompts with their tokens, the opened answer included."""
        for number, row in enumerate(rows):
            if self._sayable(number, row.conversation):
                try:
                    ids = self.template.prompt_ids(row.conversation)
                except TemplateError:
                    self._leave(number, Why.REFUSED, row.conversation)
                    continue
                if self._short(number, len(ids), row.conversation) and self._scorable(number, row):
                    yield row, ids

    def thumbs(self, rows: Iterable[Feedback]) -> Iterator[Thumb]:
        """Usable answers with a thumb up or down."""
        for number, row in enumerate(rows):
            if not self._sayable(number, row.prompt, row.response):
                continue
            if row.weight == 0:
                self._leave(number, Why.WEIGHTLESS, row.prompt)
                continue
            try:
                tokens = self.template.tokenize_answer(row.prompt, row.response)
            except TemplateError:
                self._leave(number, Why.REFUSED, row.prompt)
                continue
            if self._short(number, len(tokens), row.prompt):
                yield Thumb(tokens, float(row.good), row.weight)

    def comparisons(
        self, rows: Iterable[Comparison], *, strength_margin: float = 0.0
    ) -> tuple[TokenComparisons, list[int]]:
        """Tokens of the usable comparisons, and their numbers."""
        passed: list[int] = []
        beginnings: list[str] = []

        def sayable() -> Iterator[Comparison]:
            for number, row in enumerate(rows):
                if row.criterion not in self.criteria:
                    self.others[row.criterion or OVERALL] += 1
                    self._leave(number, Why.OTHER_CRITERION, row.prompt)
                elif self._sayable(number, row.prompt, *row.responses):
                    passed.append(number)
                    yield row

        made = TokenComparisons.build(
            sayable(),
            self.template.tokenize_answer,
            max_tokens=self.limit,
            strength_margin=strength_margin,
            criteria=self.criteria,
            on_left_out=lambda row: beginnings.append(_beginning(row.prompt)),
        )
        reasons = dict.fromkeys(made.too_long, Why.TOO_LONG)
        reasons |= dict.fromkeys(made.weightless, Why.WEIGHTLESS)
        for place, text in zip(sorted(reasons), beginnings, strict=True):
            self.left_out.append(LeftOut(str(self.split), passed[place], reasons[place], text))
        return made, [passed[place] for place in made.kept]

    def counts(self) -> dict[Why, int]:
        """How many rows were left out for each reason."""
        return _counts(self.left_out)

    def told(self) -> str:
        """The same in words."""
        if not self.left_out:
            return "none was left out"
        said = ", ".join(f"{count} {why}" for why, count in self.counts().items())
        told = f"left out: {said}; the limit is {self.limit} tokens, {self.template.stop} the stop"
        if self.others:
            told += f"; criteria that are not learned: {', '.join(sorted(self.others))}"
        if self.reading is None:
            return told
        limit, stop = self.reading.limit - 1, self.reading.read.stop
        return f"{told}, of the reward model {limit} and {stop}"

    def _sayable(self, number: int, conversation: Conversation, *texts: str) -> bool:
        said = (*(message.content for message in conversation.messages), *texts)
        if any(self.template.stop in text for text in said):
            self._leave(number, Why.SAYS_STOP, conversation)
            return False
        return True

    def _short(self, number: int, tokens: int, conversation: Conversation) -> bool:
        if tokens > self.limit:
            self._leave(number, Why.TOO_LONG, conversation)
            return False
        return True

    def _scorable(self, number: int, prompt: Prompt) -> bool:
        why = None if self.reading is None else self.reading.refusal(prompt.conversation)
        if why is not None:
            self._leave(number, why, prompt.conversation)
        return why is None

    def _leave(self, number: int, why: Why, conversation: Conversation) -> None:
        text = _beginning(conversation)
        self.left_out.append(LeftOut(str(self.split), number, why, text))


def _beginning(conversation: Conversation) -> str:
    return conversation.messages[0].content[:SHOWN]


def list_left_out(context: StageContext, *sieves: Sieve, of: str = "") -> None:
    """Write, count and tell what these sieves kept back; nothing where that is nothing.

    `of` names a second kind of rows of one stage: it gets a list and a count of its own.
    """
    rows = [row for sieve in sieves for row in sieve.left_out]
    if not rows:
        return
    counts = _counts(rows)
    context.note(f"{of}_left_out" if of else "left_out", counts)
    data.tell_others(context, sum((sieve.others for sieve in sieves), Counter()))
    text = "".join(json.dumps(asdict(row)) + "\n" for row in rows)
    listed = f"{of}_{LIST}" if of else LIST
    (context.output / listed).write_text(text, encoding="utf-8")
    said = ", ".join(f"{count} {why}" for why, count in counts.items())
    context.tell(f"rows left out: {said}; each is in the artifact's {listed}")


def _counts(rows: Sequence[LeftOut]) -> dict[Why, int]:
    found = Counter(row.why for row in rows)
    return {why: found[why] for why in Why if why in found}


@dataclass(frozen=True, slots=True)
class Compared:
    """Comparisons that can be trained on, and held-out ones with their texts."""

    train: TokenComparisons
    dev: TokenComparisons
    dev_rows: list[Comparison]
    """What the tokens in `dev` were made of, in the same order."""


def row_limit(roles: Roles, max_tokens: int) -> int:
    """Most tokens of a training row: the setting, or the model's context where that is less."""
    return min(max_tokens, roles.backbone(roles.base).context)


def compared(
    context: StageContext,
    roles: Roles,
    *,
    max_tokens: int,
    strength_margin: float = 0.0,
    criteria: tuple[str, ...] = ("",),
) -> Compared:
    """Training and held-out comparisons of these criteria as tokens; what is left out is listed.

    Both have the margins that `strength_margin` makes of strengths, so that a held-out loss is of
    the objective that was trained; how many there are is noted and told. Raises DataError where no
    training comparison is left, of a criterion or at all, or all of them are ties.
    """
    limit = row_limit(roles, max_tokens)
    known, held = (
        Sieve(roles.template, limit, split, criteria=criteria) for split in (Split.TRAIN, Split.DEV)
    )
    asked = data.comparisons(context, Split.TRAIN, criteria=None)
    train, _ = known.comparisons(asked, strength_margin=strength_margin)
    rows = list(data.comparisons(context, Split.DEV, criteria=None))
    dev, kept = held.comparisons(rows, strength_margin=strength_margin)
    context.note("train_comparisons", len(train.kept))
    context.note("train_units", len(train))
    list_left_out(context, known, held)
    if len(train) == 0:
        raise DataError(
            "no comparison can be trained on",
            got=known.told(),
            do="name what they are about in reward.criteria, and train a reward model"
            if set(known.counts()) == {Why.OTHER_CRITERION}
            else "import shorter comparisons, or raise max_tokens as far as the model's context",
        )
    _check_criteria(train, known)
    if (train.label_P == 0.5).all():
        raise DataError(
            "every training comparison is a tie: there is nothing to learn from them",
            got=f"{len(train.kept)} comparisons",
            do="import comparisons in which one answer is better",
        )
    if strength_margin:
        _tell_strengths(context, train)
    return Compared(train, dev, [rows[number] for number in kept])


def _check_criteria(train: TokenComparisons, known: Sieve) -> None:
    """Raise DataError for a criterion of which nothing can be learned; it names those there are."""
    for place, criterion in enumerate(train.criteria):
        label = train.label_P[train.criterion_P == place]
        if (label != 0.5).any() or len(train.criteria) == 1:
            continue
        there = known.others + Counter({n or OVERALL: c for n, c in train.by_criterion.items()})
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(there.items()))
        raise DataError(
            f"nothing can be learned about the criterion {criterion or OVERALL!r}: "
            + ("all its pairs are ties" if len(label) else "no training comparison is about it"),
            got=f"training comparisons about {listed}",
            where="reward.criteria",
            do="import comparisons about it, or name only criteria that there are",
        )


def _tell_strengths(context: StageContext, train: TokenComparisons) -> None:
    """Note and tell how many training comparisons have a margin by their strength."""
    counts = {str(strength): count for strength, count in sorted(train.by_strength.items())}
    context.note("strengths", counts)
    led = sum(count for strength, count in train.by_strength.items() if strength > 1)
    context.tell(
        f"{led} of {len(train.kept)} training comparisons have a margin by their strength"
        if led
        else "strength_margin changes nothing: no training comparison without a margin of its own "
        "has a strength of 2 or more"
    )


def thumbed(context: StageContext, roles: Roles, *, max_tokens: int) -> dict[Split, TokenThumbs]:
    """Training and held-out answers that were called good or bad; what is left out is listed.

    Of comparisons the better side is good and the worse one bad, or both are bad where all answers
    were called bad; other ties are left out. Pairs of either kind are counted and told. Raises
    DataError where no training answer is left.
    """
    limit = row_limit(roles, max_tokens)
    found: dict[Split, TokenThumbs] = {}
    sieves: list[Sieve] = []
    for split in (Split.TRAIN, Split.DEV):
        known, single = Sieve(roles.template, limit, split), Sieve(roles.template, limit, split)
        pairs, _ = known.comparisons(data.comparisons(context, split, criteria=None))
        units, ties, all_bad = from_pairs(pairs)
        units += [[one] for one in single.thumbs(data.feedback(context, split))]
        found[split] = TokenThumbs(units, max_tokens=limit)
        sieves += [known, single]
        if split is Split.TRAIN:
            context.note("train_comparisons", len(pairs.kept))
            context.note("train_answers", len(found[split].responses))
            context.note("train_units", len(units))
            context.note("ties_left_out", ties)
            if ties:
                context.tell(f"{ties} tied pairs are left out: a tie calls no answer good or bad")
            context.note("all_bad_pairs", all_bad)
            if all_bad:
                context.tell(f"{all_bad} pairs are of answers called all bad: both are undesirable")
    list_left_out(context, *sieves)
    if not len(found[Split.TRAIN]):
        raise DataError(
            "no answer can be trained on",
            got="; ".join(
                (
                    f"{context.notes['ties_left_out']} ties",
                    *(sieve.told() for sieve in sieves[:2] if sieve.left_out),
                )
            ),
            do="import thumbs, or comparisons in which one answer is better",
        )
    return found


def asked_prompts(
    context: StageContext,
    roles: Roles,
    *,
    held_out: bool,
    answer_tokens: int,
    at_most: int | None = None,
    seed: int = 0,
) -> tuple[list[Prompt], list[list[int]]]:
    """Prompts that leave room for an answer, with their tokens; what is left out is listed.

    Where the stage scores answers by a reward model with a tokenizer of its own, that can read them
    too. Of more than `at_most` as many are drawn, by `seed`. Raises DataError where none is left.
    """
    split = Split.DEV if held_out else Split.TRAIN
    # One token more: the stop token with which an answer that the limit cut is scored.
    limit = roles.backbone(roles.base).context - answer_tokens - 1
    sieve = Sieve(roles.template, limit, split, reading_of(roles))
    usable = sieve.prompts(data.prompts(context, held_out=held_out))
    kept: Sequence[tuple[Prompt, list[int]]] = (
        list(usable) if at_most is None else data.drawn(usable, at_most, seed=seed)
    )
    context.note("prompts", len(kept))
    list_left_out(context, sieve)
    if not kept:
        do = (
            f"import shorter prompts, or lower max_tokens = {answer_tokens}: prompt and answer "
            "share the model's context"
        )
        if not sieve.counts().keys().isdisjoint(BY_SCORER):
            do = f"set reward.model to one that can read them, and train it; or {do}"
        raise DataError("no prompt can be answered", got=sieve.told(), do=do)
    return [prompt for prompt, _ in kept], [ids for _, ids in kept]
