"""What checks look at: one stage's model and data, each part read when a check first asks for it.

The parts are those that the stage itself would train with: the same rows through the same template,
the same roles, the same sampler. Loads no torch before a check needs the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accord.algorithms.settings import AdapterSettings
from accord.core.errors import DataError, TemplateError
from accord.core.protocols import Sampler
from accord.core.types import (
    Comparison,
    Completion,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    SamplingSettings,
    Speaker,
    Split,
)
from accord.pipeline.config import ALIGNED, DIRECT, REWARD_BASE
from accord.pipeline.doctor.check import NotThere
from accord.pipeline.stage import Artifact, StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.unusable import Why
from accord.store.datasets import Dataset
from accord.store.splits import Row
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer

if TYPE_CHECKING:  # these load torch
    from accord.models.role import Role
    from accord.pipeline.stages.roles import Roles

FAST_ROWS = 50_000
"""Rows of a split that the fast part reads; the command reads all."""
SAMPLE = 256
"""Rows that are drawn of those to be tokenised."""
SHOWN = 64
"""Of these, rows whose every token is looked at."""
READS = {"sft": "demonstrations", "top": "demonstrations"} | dict.fromkeys(
    ("reward", *DIRECT), "comparisons"
)
"""What a stage trains on; all others are asked prompts."""
PROMPTS, EACH, TOKENS = 6, 2, 24
"""Prompts that are asked to compare sampler and trainer, answers to each, and their longest."""
ANSWER = 32
"""Longest answer that the model is asked for where a stage does not sample, in tokens."""


@dataclass(frozen=True, slots=True)
class Example:
    """One training row: its words, its tokens, and what of it is meant to be trained."""

    prompt: Conversation | None
    """What the last answer answers; None where it answers nothing."""
    answer: str
    """The last answer."""
    turns: int
    """Assistant turns that are trained."""
    tokens: Tokenized


@dataclass(frozen=True, slots=True)
class Sieved:
    """What of a draw a stage cannot use."""

    counts: Mapping[Why, int]
    """How many, by reason."""
    rows: int
    """How many were drawn."""
    limit: int
    """Most tokens of a row."""
    told: str
    """The same in words."""


class Patient:
    """One stage as checks see it.

    `lacking` are inputs that the stage declares and nobody made yet, with the command that makes
    each. At most `most` rows of a split are read. `fetch` lets a base model that is gone from the
    cache be fetched again, as the stage itself would.
    """

    def __init__(
        self,
        context: StageContext,
        stage: str,
        *,
        lacking: Mapping[str, str] | None = None,
        most: int | None = FAST_ROWS,
        fetch: bool = False,
    ) -> None:
        self.context, self.stage, self.most, self.fetch = context, stage, most, fetch
        self.lacking = dict(lacking or {})
        self.own: Any = context.config.own
        """The stage's settings."""
        self.reads = READS.get(stage, "prompts")
        """What it trains on: demonstrations, comparisons or prompts."""

    def input(self, name: str) -> Artifact:
        """An input's artifact. Raises NotThere where nobody made it yet."""
        if name not in self.context.inputs:
            raise NotThere(
                f"there is no {name} yet", do=self.lacking.get(name, f"`accord run --to {name}`")
            )
        return self.context.input(name)

    @property
    def own_base(self) -> bool:
        """Whether this is a reward model that reads with a base and a tokenizer of its own."""
        return self.stage == "reward" and bool(self.own.model)

    @cached_property
    def base(self) -> Path:
        """The folder of the base model. Raises NotThere where it is not on this machine."""
        from accord.pipeline.stages.base import BASE_FILE, base_folder

        name = "pretrain" if "pretrain" in {*self.context.inputs, *self.lacking} else "base"
        artifact = self.input(name)
        if not self.fetch and not (artifact.folder / "model").is_dir():
            record = json.loads((artifact.folder / BASE_FILE).read_text())
            folder = artifact.folder.parents[1] / record["folder"]
            if not (folder / "config.json").is_file():
                raise NotThere(
                    "the base model is not on this machine any more",
                    got=record["model"],
                    do="any command that trains or samples fetches it again",
                )
        return base_folder(artifact)

    @cached_property
    def reader(self) -> Path:
        """The folder of the model that reads the rows: the base, or a reward model's own."""
        from accord.pipeline.stages.base import base_folder

        return base_folder(self.input(REWARD_BASE)) if self.own_base else self.base

    @cached_property
    def template(self) -> ChatTemplate:
        """The reader's chat template. Raises TemplateError where it cannot be trained with."""
        return ChatTemplate(TextTokenizer.load(self.reader))

    @cached_property
    def room(self) -> int:
        """Tokens that the model's positions were made for."""
        from accord.models.context import folder_context

        return folder_context(self.reader)

    @property
    def answer_tokens(self) -> int:
        """Longest answer that this stage asks of a policy."""
        return int(self.own.max_tokens) if self.reads == "prompts" else ANSWER

    @property
    def limit(self) -> int:
        """Most tokens of one of its rows."""
        if self.reads == "prompts":
            return self.room - self.answer_tokens - 1
        return min(int(self.own.max_tokens), self.room)

    def rows(self, split: Split) -> Iterator[Row]:
        """What the stage reads of one split, as far as `most`; nothing where that split is empty.

        Raises NotThere where an input that gives them is lacking.
        """
        for name in self.lacking:
            if "/" in name or name == "compare":
                self.input(name)
        return islice(self._read(split), self.most)

    def _read(self, split: Split) -> Iterator[Row]:
        context = self.context
        match self.reads:
            case "demonstrations":
                yield from data.demonstrations(context, split)
            case "comparisons":
                about = getattr(self.own, "about", ("",))
                yield from data.comparisons(context, split, criteria=about)
                yield from _feedback(context, split)
            case _ if split is not Split.TEST:  # test prompts judge releases, and are asked there
                try:
                    yield from data.prompts(context, held_out=split is not Split.TRAIN)
                except DataError:  # none of that split
                    return

    @cached_property
    def sample(self) -> list[Row]:
        """Training rows, drawn. Raises NotThere where there is none."""
        drawn = data.drawn(self.rows(Split.TRAIN), SAMPLE, seed=0)
        if not drawn:
            raise NotThere(f"there are no {self.reads} to train on", do="accord import FILE")
        return drawn

    @cached_property
    def examples(self) -> list[Example]:
        """Token rows as the stage would train on them, out of `sample`.

        Rows that a stage leaves out are left out. Raises NotThere where the stage has no rows of
        its own, TemplateError where the template refuses each of them.
        """
        if self.reads == "prompts":
            raise NotThere("this stage trains on answers that it samples, not on rows of a file")
        found: list[Example] = []
        refused: TemplateError | None = None
        for row in self.sample[:SHOWN]:
            try:
                found += [one for one in self._examples(row) if len(one.tokens) <= self.limit]
            except DataError:  # it says the stop token: another check's
                continue
            except TemplateError as error:
                refused = refused or error
        if not found:
            raise refused or NotThere("no row that was drawn can be trained on")
        return found

    def _examples(self, row: Row) -> Iterator[Example]:
        template = self.template
        match row:
            case Demonstration():
                said = row.conversation
                turns = sum(message.role is Speaker.ASSISTANT for message in said.messages)
                asked, answer = data.question_of(said), said.messages[-1].content
                yield Example(asked, answer, turns, template.tokenize(said))
            case Comparison() | Feedback():
                answers = row.responses if isinstance(row, Comparison) else (row.response,)
                for answer in answers:
                    tokens = template.tokenize_answer(row.prompt, answer)
                    yield Example(row.prompt, answer, 1, tokens)

    @cached_property
    def asked(self) -> list[tuple[Prompt, list[int]]]:
        """Prompts with their tokens that leave room for an answer: held-out ones where there are
        any, drawn. Raises NotThere where there is none."""
        from accord.pipeline.stages.fitting import Sieve

        self.rows(Split.TRAIN)  # says what is lacking
        sieve = Sieve(self.template, self.room - self.answer_tokens - 1, Split.DEV)
        for held_out in (True, False):
            try:
                found = data.prompts(self.context, held_out=held_out)
                drawn = data.drawn(islice(sieve.prompts(found), FAST_ROWS), SHOWN, seed=0)
            except DataError:
                continue
            if drawn:
                return drawn
        raise NotThere("there is no prompt to ask the model", do="accord import FILE")

    @cached_property
    def roles(self) -> Roles:
        """Loads the model and adapters of this stage."""
        from accord.pipeline.stages.roles import Roles

        self.base  # noqa: B018 - says first where there is none
        return Roles(self.context, trains_all=self.adapter.full)

    @property
    def adapter(self) -> AdapterSettings:
        """What the stage trains on top of its start."""
        found = getattr(self.own, "adapter", None)
        return found if isinstance(found, AdapterSettings) else AdapterSettings()

    @property
    def temperature(self) -> float:
        """At which the stage samples."""
        return float(getattr(self.own, "temperature", 1.0))

    @cached_property
    def reference(self) -> Role:
        """The frozen policy that training starts from. Raises NotThere where it is to be SFT's and
        SFT has not run."""
        if "sft" in self.lacking:
            self.input("sft")
        return self.roles.start()

    @cached_property
    def policy(self) -> Role:
        """The policy at step 0 of training: on top of the reference."""
        self.reference  # noqa: B018 - says first where there is none
        return self.roles.trainable("doctor", self.adapter, 0)

    @cached_property
    def sampler(self) -> Sampler:
        """The engine over `policy`, made once, as training makes it."""
        return self.roles.sampler(self.policy)

    def sampled(
        self, sampler: Sampler, prompts: int, *, n: int, tokens: int, temperature: float, seed: int
    ) -> tuple[list[Completion], list[Tokenized]]:
        """Answers of `sampler` to the first prompts, and their rows, each prompt's `n` together."""
        ids = [row for _, row in self.asked[:prompts]]
        settings = SamplingSettings(temperature=temperature, max_tokens=tokens)
        said = sampler.sample(ids, n=n, settings=settings, seed=seed)
        answers = [answer for group in said for answer in group]
        rows = [
            Tokenized.answered(row, one.tokens)
            for row, group in zip(ids, said, strict=True)
            for one in group
        ]
        return answers, rows

    @cached_property
    def first_answers(self) -> tuple[list[Completion], list[Tokenized]]:
        """A few answers of `policy` as it starts, at the stage's temperature, and their rows."""
        return self.few_answers(self.temperature)

    def few_answers(self, temperature: float) -> tuple[list[Completion], list[Tokenized]]:
        """A few answers of `policy` as it is now, and their rows."""
        tokens = min(self.answer_tokens, TOKENS)
        return self.sampled(
            self.sampler, PROMPTS, n=EACH, tokens=tokens, temperature=temperature, seed=3
        )

    @cached_property
    def start_answers(self) -> list[tuple[Prompt, str, Completion]]:
        """What the start policy answers at the stage's temperature, once a prompt."""
        sampler = self.roles.sampler(self.reference)
        said, _ = self.sampled(
            sampler,
            SHOWN,
            n=1,
            tokens=self.answer_tokens,
            temperature=self.temperature,
            seed=1,
        )
        texts = [self.template.answer_text(one.tokens) for one in said]
        return [
            (prompt, text, one)
            for (prompt, _), text, one in zip(self.asked, texts, said, strict=True)
        ]

    @cached_property
    def left_out(self) -> Sieved:
        """What of the drawn rows the stage cannot use."""
        from accord.pipeline.stages.fitting import Sieve

        sieve = Sieve(self.template, self.limit, criteria=getattr(self.own, "about", ("",)))
        rows = self.sample
        demonstrations = [row for row in rows if isinstance(row, Demonstration)]
        comparisons = [row for row in rows if isinstance(row, Comparison)]
        prompts = [row for row in rows if isinstance(row, Prompt)]
        feedback = [
            Demonstration(conversation=row.prompt.answered(row.response))
            for row in rows
            if isinstance(row, Feedback)
        ]
        list(sieve.demonstrations([*demonstrations, *feedback]))
        list(sieve.prompts(prompts))
        sieve.comparisons(comparisons)
        return Sieved(sieve.counts(), len(rows), self.limit, sieve.told())

    @property
    def starts(self) -> str:
        """The stage whose artifact the reference is; empty where it is the base."""
        return "sft" if "sft" in {*self.context.inputs, *self.lacking} else ""

    @property
    def aligns(self) -> bool:
        """Whether the stage holds its policy to a reference."""
        return self.stage in ALIGNED


def _feedback(context: StageContext, split: Split) -> Iterator[Feedback]:
    """Thumbs up and down, for stages that learn from those."""
    for name, artifact in context.inputs.items():
        if name.startswith("feedback/"):
            for row in Dataset(artifact.folder).rows(split):
                if isinstance(row, Feedback):
                    yield row
