"""Rows that a stage can use: by length, and by whether they say the stop token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation, Demonstration, Prompt
from accord.models.tiny import make_tiny
from accord.pipeline.stages.data import question_of
from accord.pipeline.stages.fitting import Sieve
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

SHORT, STOP, LONG = "a fox", "not <|end|> yet", "a fox " * 40


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> ChatTemplate:
    """The tiny model's template; it ends a turn with <|end|>."""
    folder = tmp_path_factory.mktemp("model")
    make_tiny(folder, seed=0)
    return ChatTemplate(TextTokenizer.load(folder))


@pytest.fixture
def sieve(template: ChatTemplate) -> Sieve:
    return Sieve(template, 30)


def texts() -> Iterator[str]:
    yield from (SHORT, STOP, LONG, SHORT, STOP)


def left_out(sieve: Sieve) -> tuple[list[int], list[int]]:
    return sieve.too_long, sieve.says_stop


def test_the_template_knows_its_stop_token(template: ChatTemplate) -> None:
    assert template.stop == "<|end|>"
    assert template.tokenizer.encode(template.stop) == [template.stop_id]
    with pytest.raises(DataError, match="stop token"):
        template.tokenize_answer(Conversation.of(SHORT), STOP)


def test_demonstrations(sieve: Sieve) -> None:
    rows = (Demonstration(conversation=Conversation.of(SHORT).answered(text)) for text in texts())
    kept = list(sieve.demonstrations(rows))
    expected = sieve.template.tokenize(Conversation.of(SHORT).answered(SHORT))
    assert kept == [expected, expected]
    assert left_out(sieve) == ([2], [1, 4])


@pytest.mark.parametrize("place", ["prompt", "first", "second"])
def test_comparisons(sieve: Sieve, place: str) -> None:
    """The prompt and every response count, for the token and for the length."""
    rows = []
    for text in texts():
        words = {"prompt": SHORT, "first": "yes", "second": "no", place: text}
        rows.append(
            Comparison(
                prompt=Conversation.of(words["prompt"]),
                responses=(words["first"], words["second"]),
                tiers=(0, 1),
            )
        )
    assert list(sieve.comparisons(rows)) == [rows[0], rows[2], rows[3]]
    assert left_out(sieve) == ([], [1, 4])
    short = Sieve(sieve.template, 30)
    assert list(short.short_comparisons(rows)) == [rows[0], rows[3]]
    assert len(short.too_long) == 1


def test_prompts(sieve: Sieve) -> None:
    rows = [Prompt(conversation=Conversation.of(text)) for text in texts()]
    ids = sieve.template.prompt_ids(rows[0].conversation)
    assert list(sieve.prompts(rows)) == [(rows[0], ids), (rows[3], ids)]
    assert left_out(sieve) == ([2], [1, 4])


def test_a_row_as_long_as_the_limit_is_kept(template: ChatTemplate) -> None:
    prompt = Prompt(conversation=Conversation.of(LONG))
    tokens = len(template.prompt_ids(prompt.conversation))
    assert len(list(Sieve(template, tokens).prompts([prompt]))) == 1
    assert list(Sieve(template, tokens - 1).prompts([prompt])) == []


def test_what_a_conversation_asks() -> None:
    asked = Conversation.of(SHORT, system="Be brief.")
    assert question_of(asked.answered("Yes.")) == asked
    answer = asked.answered("Yes.").messages[-1]
    assert question_of(Conversation((answer,))) is None
    assert question_of(Conversation((*asked.messages, answer, answer))) is None
