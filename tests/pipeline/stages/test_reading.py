"""A reward model with a tokenizer of its own reads words, whatever tokens they were said in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import CriticStart
from accord.core.errors import InvariantError
from accord.core.types import Conversation, Prompt
from accord.models.role import Role, ScalarHead, Scale
from accord.pipeline.stages.fitting import Sieve
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import Reading, Scorer
from accord.pipeline.stages.unusable import Why
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized
from accord.text.tokenizer import TextTokenizer
from tests.models.workshop import make_other, with_adapters

ASK = Prompt(conversation=Conversation.of("Tell me about the fox."))
SAID = "The fox walks home <early>."


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> ChatTemplate:
    """A tokenizer of single bytes with other marks: no id means what it means to the tiny model."""
    folder = tmp_path_factory.mktemp("letters")
    make_other(folder, seed=0)
    return ChatTemplate(TextTokenizer.load(folder))


@pytest.fixture(scope="module")
def own(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ChatTemplate:
    """The tiny model's tokens: here the reward model's."""
    folder = tmp_path_factory.mktemp("own") / "model"
    shutil.copytree(tiny_folder, folder)
    return ChatTemplate(TextTokenizer.load(folder))


def scorer_of_words(folder: Path, said: ChatTemplate, own: ChatTemplate) -> Scorer:
    backbone = with_adapters(folder, "reward")
    head = ScalarHead(backbone.hidden_size, seed=1)
    reward = Role(backbone, ("reward",), head, Scale(0.1, 0.5), reads=own)
    asked = {tuple(said.prompt_ids(ASK.conversation)): ASK.conversation}
    return Scorer(reward, own.stop_id, 64, Reading(said, own, backbone.context), asked)


def answered(said: ChatTemplate, text: str) -> Tokenized:
    """A policy's row: its tokens of the prompt, of the words and of the end."""
    prompt = said.prompt_ids(ASK.conversation)
    return Tokenized.answered(prompt, [*said.tokenizer.encode(text), said.stop_id])


def test_the_same_words_get_the_same_score_from_any_tokenizer(
    tiny_folder: Path, letters: ChatTemplate, own: ChatTemplate
) -> None:
    """As the reward model scores them in tokens of its own; other words get another score."""
    from_letters = scorer_of_words(tiny_folder, letters, own)
    from_own = scorer_of_words(tiny_folder, own, own)
    backbone, head = from_own.reward.backbone, from_own.reward.head
    plain = Scorer(Role(backbone, ("reward",), head, Scale(0.1, 0.5)), own.stop_id, 64)
    row = own.tokenize_answer(ASK.conversation, SAID)
    assert answered(letters, SAID).ids != row.ids
    (expected,) = plain([row])
    for scorer, said in ((from_letters, letters), (from_own, own)):
        same, other = scorer([answered(said, SAID), answered(said, "No.")])
        assert same == pytest.approx(expected, abs=1e-6)
        assert abs(other - expected) > 1e-5


def test_what_a_policy_says_is_read_to_its_end(letters: ChatTemplate, own: ChatTemplate) -> None:
    reading = Reading(letters, own, 512)
    words = own.tokenize_answer(ASK.conversation, SAID)
    whole = answered(letters, SAID)
    start = whole.mask.index(True)
    assert reading.row(ASK.conversation, whole.ids[start:]) == words
    cut = whole.ids[start:-1]  # by the limit of the policy's tokens
    assert reading.row(ASK.conversation, cut) == words
    # Written out, the reward model's stop token ends an answer for it.
    more = letters.tokenizer.encode(f"{SAID}{own.stop} and more")
    assert reading.row(ASK.conversation, more) == words


def test_an_empty_answer_and_one_without_room_end_too(
    letters: ChatTemplate, own: ChatTemplate
) -> None:
    prompt = own.prompt_ids(ASK.conversation)
    reading = Reading(letters, own, len(prompt) + 4)
    empty = reading.row(ASK.conversation, [letters.stop_id])
    assert empty.ids == (*prompt, own.stop_id)
    long = reading.row(ASK.conversation, letters.tokenizer.encode(SAID))
    words = own.tokenize_answer(ASK.conversation, SAID)
    assert long.ids == (*words.ids[: len(prompt) + 3], own.stop_id)
    assert len(long) == len(prompt) + 4


def test_a_prompt_that_cannot_be_read_is_left_out_and_listed(
    letters: ChatTemplate, own: ChatTemplate
) -> None:
    """For each of the three reasons, by a sieve whose policy could answer all of them."""
    strict = ChatTemplate(
        own.tokenizer,
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
        "{% endif %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    )
    asked = [
        ASK,
        Prompt(conversation=Conversation.of(f"What is {own.stop}?")),
        Prompt(conversation=Conversation.of("Why?", system="Be brief.")),
        Prompt(conversation=Conversation.of("Tell me about the fox. " * 4)),
        Prompt(conversation=Conversation.of("Why?")),
    ]
    room = len(strict.prompt_ids(ASK.conversation)) + 1
    sieve = Sieve(letters, 512, reading=Reading(letters, strict, room))
    assert [row for row, _ in sieve.prompts(asked)] == [asked[0], asked[4]]
    assert [(one.row, one.why) for one in sieve.left_out] == [
        (1, Why.SCORED_SAYS_STOP),
        (2, Why.SCORED_REFUSED),
        (3, Why.SCORED_TOO_LONG),
    ]
    assert f"of the reward model {room - 1} and {own.stop}" in sieve.told()
    tighter = Sieve(letters, 512, reading=Reading(letters, strict, room - 1))
    assert [row for row, _ in tighter.prompts([ASK])] == []
    assert len(list(Sieve(letters, 512).prompts(asked))) == 5


def test_tokens_of_another_tokenizer_are_never_scored_as_they_are(
    tiny_folder: Path, letters: ChatTemplate, own: ChatTemplate
) -> None:
    scorer = scorer_of_words(tiny_folder, letters, own)
    with pytest.raises(InvariantError, match="scorer_of"):
        Scorer(scorer.reward, own.stop_id, 64)
    with pytest.raises(InvariantError, match="not told of"):
        scorer([Tokenized.answered([1, 2, 3], [4])])


def test_a_critic_cannot_start_as_a_model_on_another_base(
    tiny_folder: Path, letters: ChatTemplate, own: ChatTemplate
) -> None:
    reward = scorer_of_words(tiny_folder, letters, own).reward
    bare = object.__new__(Roles)
    with pytest.raises(InvariantError, match="base of its own"):
        bare.critic(reward, CriticStart.REWARD)
