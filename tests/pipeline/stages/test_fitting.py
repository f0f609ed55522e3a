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
from accord.pipeline.stages.unusable import Why
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer

REASONS = (Why.TOO_LONG, Why.SAYS_STOP)
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
    """Numbers of the rows that are too long, and of those that say the stop token."""
    found = [[one.row for one in sieve.left_out if one.why is why] for why in REASONS]
    return found[0], found[1]


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
    tokens, kept = sieve.comparisons(rows)
    # One prompt and a shared response make one unit of the two that are kept.
    assert (len(tokens), tokens.pairs, kept) == (2 if place == "prompt" else 1, 2, [0, 3])
    assert left_out(sieve) == ([2], [1, 4])
    assert all(one.text == rows[one.row].prompt.messages[0].content[:80] for one in sieve.left_out)


def test_a_comparison_that_weighs_nothing(sieve: Sieve) -> None:
    asked = Conversation.of(SHORT)
    rows = [
        Comparison(prompt=asked, responses=("yes", "no"), tiers=(0, 1), weight=weight)
        for weight in (0.0, 2.0)
    ]
    tokens, kept = sieve.comparisons(rows)
    assert (len(tokens), kept) == (1, [1])
    assert sieve.counts() == {"weighs nothing": 1}


def test_a_comparison_about_one_criterion_is_about_nothing_else(template: ChatTemplate) -> None:
    """Whole answers beside one criterion: each reader has its own, and lists the others."""
    asked = Conversation.of(SHORT)
    rows = [
        Comparison(prompt=asked, responses=("yes", "no"), tiers=(0, 1), criterion=name)
        for name in ("safety", "", "wit", "safety")
    ]
    for criteria, own, others in (
        (("",), [1], {"safety": 2, "wit": 1}),
        (("wit", "safety"), [0, 2, 3], {"overall": 1}),
    ):
        sieve = Sieve(template, 30, criteria=criteria)
        tokens, kept = sieve.comparisons(rows)
        assert (tokens.pairs, kept, sieve.others) == (len(own), own, others)
        assert sieve.counts() == {Why.OTHER_CRITERION: 4 - len(own)}
        left = [n for n in range(4) if n not in own]
        assert [one.row for one in sieve.left_out] == left
        assert f"criteria that are not learned: {', '.join(others)}" in sieve.told()


def test_a_row_that_the_template_refuses_is_left_out_alone(template: ChatTemplate) -> None:
    """One odd conversation does not stop the stage."""
    strict = ChatTemplate(
        template.tokenizer,
        "{% for m in messages %}{% if loop.first and m['role'] != 'user' %}"
        "{{ raise_exception('begin with the user') }}{% endif %}"
        "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    )
    fine = Demonstration(conversation=Conversation.of(SHORT).answered(SHORT))
    odd = Demonstration(conversation=Conversation.of(SHORT, system="Be brief.").answered(SHORT))
    sieve = Sieve(strict, 60)
    assert len(list(sieve.demonstrations([odd, fine]))) == 1
    assert [(one.row, one.why) for one in sieve.left_out] == [(0, Why.REFUSED)]


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
