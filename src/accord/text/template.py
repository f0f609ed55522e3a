"""Conversations to tokens: what a chat template prints, and which of its tokens are trained.

The mask covers every assistant turn with its stop token. It comes from the template's own
`{% generation %}` blocks where it has them, else from rendering turn by turn, checked against the
whole rendering. A block that leaves out the stop token right after it is widened by it: this is the
one departure from transformers' assistant mask. Nothing is masked by id, so a pad token that equals
the stop token does no harm.

Words: the *lead* is what the template prints between the generation prompt and the answer, the
*tail* what it prints between the answer and the stop token; both are empty in most templates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from accord.core.errors import DataError, TemplateError
from accord.core.hashing import digest
from accord.core.types import Conversation, Message, Speaker
from accord.text.rendering import NOW, Renderer, Span
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer

_QUESTION, _ANSWER = "Name a colour", "Vermilion"
_SHOWN = 120
"""Characters of a text that an error shows."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """How the template frames an answer, learnt from a probe."""

    lead: str
    tail: str
    stop: str


class ChatTemplate:
    """A tokenizer's chat template, or `source` in its place.

    Raises TemplateError where there is none, where it cannot be run, where it does not end an
    assistant turn with one special token, or where it ends it twice.
    """

    def __init__(self, tokenizer: TextTokenizer, source: str | None = None) -> None:
        text = tokenizer.chat_template if source is None else source
        if text is None:
            raise TemplateError(
                "the tokenizer has no chat template",
                do="add chat_template.jinja to the model folder, or start from a chat model",
            )
        self.tokenizer = tokenizer
        self.source = text
        self._renderer = Renderer(text, tokenizer.special)
        self._turn = self._probe()
        self.stop = self._turn.stop
        """The token that ends an assistant turn, as text."""
        self.stop_id = tokenizer.marks[self._turn.stop]
        """Id of the token that ends an assistant turn."""

    @cached_property
    def digest(self) -> str:
        """Content hash over the template, the tokenizer and the date that templates are told."""
        return digest([self.source, self.tokenizer.digest, NOW.isoformat()])

    def render(self, conversation: Conversation, generation_prompt: bool = False) -> str:
        """The text of `conversation`; with `generation_prompt` an assistant turn is opened, and
        begun where the conversation has an opening.

        Raises TemplateError where the template refuses the conversation.
        """
        text = self._text(conversation.asked, generation_prompt=generation_prompt)
        begun = self._turn.lead + conversation.opening if conversation.opening else ""
        return text + begun if generation_prompt else text

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        """Tokens that a sampler continues: the conversation and an opened assistant turn, with the
        conversation's opening where it has one.

        Raises DataError where the conversation does not wait for an answer or says a stop token.
        """
        if not conversation.awaits_answer:
            raise DataError(
                "a prompt must wait for an answer",
                got=conversation.messages[-1].content[:60],
                do="leave out the last assistant message",
            )
        self._refuse_stop_inside(conversation)
        ids = self.tokenizer.encode(self.render(conversation, generation_prompt=True))
        self._refuse_doubled_start(ids)
        return ids

    def tokenize(self, conversation: Conversation) -> Tokenized:
        """All tokens of `conversation`; the mask covers every assistant turn and its stop token.

        Raises TemplateError where the template rewrites earlier turns or leaves one untrained, and
        DataError where a message says a stop token.
        """
        if conversation.opening:
            raise DataError(
                "a conversation that ends with an opening has no answer to train on",
                got=conversation.opening[:60],
            )
        self._refuse_stop_inside(conversation)
        text, blocks = self._renderer.render(conversation.messages, generation_prompt=False)
        turns = sum(message.role is Speaker.ASSISTANT for message in conversation.messages)
        if blocks:
            spans = [self._with_stop(text, block) for block in blocks if block[0] < block[1]]
        else:
            spans = list(self._spans_by_turn(conversation, text))
        trained = sum(text.count(self._turn.stop, start, end) for start, end in spans)
        if trained != turns:
            raise TemplateError(
                "the template's generation blocks do not train each assistant turn's stop token",
                got=f"{turns} assistant turns, {trained} stop tokens inside blocks",
                do="put every assistant message and its stop token into {% generation %} blocks",
            )
        return self._masked(text, spans)

    def tokenize_answer(self, prompt: Conversation, answer: str) -> Tokenized:
        """`prompt_ids(prompt)` and then the answer, which alone is masked in; what the prompt
        opened it with is not.

        The ids end at the stop token: what the template prints after it is cut, as a sampler would
        never see it. Raises like `tokenize`.
        """
        conversation = prompt.answered(answer)
        self._refuse_stop_inside(conversation)
        text = self.render(conversation)
        start, end = self._span(prompt.asked, text)
        if prompt.opening:
            opened = self.render(prompt, generation_prompt=True)
            if not text.startswith(opened):
                raise self._rewritten(opened, text)
            start = len(opened)
        return self._masked(text[:end], [(start, end)])

    def answer_text(self, ids: Sequence[int]) -> str:
        """The words of a sampled answer: up to its stop token, special tokens left out."""
        said = list(ids)
        if self.stop_id in said:
            said = said[: said.index(self.stop_id)]
        text = self.tokenizer.decode(said)
        return text.removeprefix(self._turn.lead).removesuffix(self._turn.tail)

    def _text(self, messages: Sequence[Message], *, generation_prompt: bool) -> str:
        return self._renderer.render(messages, generation_prompt=generation_prompt)[0]

    def _probe(self) -> _Turn:
        """Render one question and answer and see how the answer begins and ends."""
        question = Conversation.of(_QUESTION)
        opened = self._text(question.messages, generation_prompt=True)
        whole = self._text(question.answered(_ANSWER).messages, generation_prompt=False)
        if not whole.startswith(opened):
            raise self._rewritten(opened, whole)
        at = whole.find(_ANSWER, len(opened))
        if at < 0:
            raise TemplateError(
                "the chat template does not print the assistant's message", got=_shown(whole)
            )
        lead, after = whole[len(opened) : at], whole[at + len(_ANSWER) :]
        if any(mark in lead for mark in self.tokenizer.marks):
            raise TemplateError(
                "the chat template does not open the assistant's turn for a sampler",
                got=f"before the answer it prints {lead!r}",
                do="print that where add_generation_prompt is true",
            )
        found = [(after.find(mark), -len(mark), mark) for mark in self.tokenizer.marks]
        ends = sorted(candidate for candidate in found if candidate[0] >= 0)
        if not ends:
            raise TemplateError(
                "the chat template does not end the assistant's turn with a stop token",
                got=f"after the answer it prints {after!r}, which holds no special token",
                do="print the tokenizer's eos_token after every assistant message",
            )
        place, _, stop = ends[0]
        if after[place + len(stop) :].startswith(stop):
            raise TemplateError(
                "the chat template ends the assistant's turn twice",
                got=repr(after),
                do="print the stop token once",
            )
        return _Turn(lead=lead, tail=after[:place], stop=stop)

    def _spans_by_turn(self, conversation: Conversation, text: str) -> Iterator[Span]:
        messages = conversation.messages
        for index, message in enumerate(messages):
            if message.role is not Speaker.ASSISTANT:
                continue
            if index == 0:
                raise TemplateError(
                    "an assistant turn without a turn before it needs generation blocks",
                    got=message.content[:60],
                    do="begin the conversation with a system or user message",
                )
            start, end = self._span(messages[:index], text)
            alone = self._text(messages[: index + 1], generation_prompt=False)
            if not alone.startswith(text[:end]):
                raise self._rewritten(alone, text)
            yield start, end

    def _span(self, before: Sequence[Message], text: str) -> Span:
        """Where the answer to `before` stands in `text`: from the opened turn to the stop token."""
        opened = self._text(before, generation_prompt=True)
        if not text.startswith(opened):
            raise self._rewritten(opened, text)
        at = text.find(self._turn.stop, len(opened))
        if at < 0:
            raise TemplateError(
                "the chat template leaves an assistant turn without its stop token",
                got=_shown(text[len(opened) :]),
                do=f"print {self._turn.stop} after every assistant message, not only the last",
            )
        return len(opened), at + len(self._turn.stop)

    def _with_stop(self, text: str, block: Span) -> Span:
        start, end = block
        gap = text[end : text.find(self._turn.stop, end)]
        if self._turn.stop in text[start:end] or gap.strip() or self._turn.stop not in text[end:]:
            return block
        return start, end + len(gap) + len(self._turn.stop)

    def _masked(self, text: str, spans: Sequence[Span]) -> Tokenized:
        """Tokens of `text`, true inside `spans`, with a token boundary at each span's ends."""
        cuts = sorted({0, len(text), *(place for span in spans for place in span)})
        starts = {start for start, _ in spans}
        pieces = [text[start:end] for start, end in pairwise(cuts)]
        ids = self._pieces(pieces)
        self._refuse_doubled_start([token for piece in ids for token in piece])
        return Tokenized(
            tuple(token for piece in ids for token in piece),
            tuple(start in starts for start, piece in zip(cuts, ids, strict=False) for _ in piece),
        )

    def _pieces(self, pieces: Sequence[str]) -> list[list[int]]:
        """Tokens of each piece, such that every prefix reads as a sampler would have met it.

        Mostly the tokens of the whole text, cut. Where a token would reach across a border (the
        header ends in a line break and the answer begins with one), the pieces are encoded apart.
        """
        prefixes = [self.tokenizer.encode(text) for text in accumulate(pieces)]
        whole = prefixes[-1] if prefixes else []
        if all(whole[: len(prefix)] == prefix for prefix in prefixes):
            ends = [0, *map(len, prefixes)]
            return [whole[start:end] for start, end in pairwise(ends)]
        apart = [prefixes[0], *(self._continuation(piece) for piece in pieces[1:])]
        joined = self.tokenizer.decode([t for piece in apart for t in piece], keep_special=True)
        expected = self.tokenizer.decode(whole, keep_special=True)
        if joined != expected:
            raise self._rewritten(expected, joined)
        return apart

    def _continuation(self, piece: str) -> list[int]:
        """Tokens of `piece` in the middle of a text, without the blank that some add at a start."""
        mark = self._turn.stop
        return self.tokenizer.encode(mark + piece)[len(self.tokenizer.encode(mark)) :]

    def _refuse_stop_inside(self, conversation: Conversation) -> None:
        for index, message in enumerate(conversation.messages):
            if self._turn.stop in message.content:
                raise DataError(
                    "a message says the stop token in its own text",
                    got=_shown(message.content),
                    where=f"message {index + 1} of {len(conversation.messages)}",
                    do=f"take {self._turn.stop} out of the text: the template prints it",
                )

    def _refuse_doubled_start(self, ids: Sequence[int]) -> None:
        start = self.tokenizer.special.get("bos_token")
        if start is None or start == self._turn.stop:
            return
        if list(ids[:2]) == [self.tokenizer.marks.get(start)] * 2:
            raise TemplateError(
                "a conversation begins with two BOS tokens",
                got=f"{start}{start}",
                do="print bos_token once, and take it out of the messages",
            )

    def _rewritten(self, expected: str, got: str) -> TemplateError:
        """The refusal of a template that prints a turn differently once others follow."""
        ours, theirs = self.tokenizer.encode(expected), self.tokenizer.encode(got)
        pairs = zip(ours, theirs, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        before = self.tokenizer.decode(ours[:at], keep_special=True)
        there = len(before) if expected.startswith(before) and got.startswith(before) else 0
        return TemplateError(
            "the chat template rewrites earlier text once more turns follow",
            got=(
                f"token {at} differs\n"
                f"    turn by turn: {_shown(expected[there:])}\n"
                f"    all at once:  {_shown(got[there:])}"
            ),
            do="use a template that prints a turn the same way wherever it stands, "
            "or train on the last turn alone",
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
