"""Domain values: checked when made, frozen, hashed by content."""

from __future__ import annotations

import dataclasses
import math
import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.core.types import (
    Comparison,
    Completion,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Pair,
    Prompt,
    RatedResponse,
    Response,
    SamplingSettings,
    Speaker,
    Split,
    StopReason,
)

texts = st.text(max_size=20)
words = texts.filter(str.strip)
ASK = Conversation.of("Which colour?")


@st.composite
def tiers(draw: st.DrawFn) -> tuple[int, ...]:
    raw = draw(st.lists(st.integers(0, 3), min_size=2, max_size=5))
    rank = {tier: place for place, tier in enumerate(sorted(set(raw)))}
    return tuple(rank[tier] for tier in raw)


def comparison(ranks: tuple[int, ...], **extra: object) -> Comparison:
    answers = tuple(f"answer {k}" for k in range(len(ranks)))
    return Comparison(prompt=ASK, responses=answers, tiers=ranks, **extra)  # type: ignore[arg-type]


def test_a_role_given_as_text_becomes_a_speaker() -> None:
    assert Message(role="user", content="x").role is Speaker.USER  # type: ignore[arg-type]


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="unknown role") as caught:
        Message(role="robot", content="x")  # type: ignore[arg-type]
    assert "'robot'" in str(caught.value)
    assert "system, user, assistant or, at the end of a prompt, opening" in str(caught.value)


def test_an_answer_goes_on_from_its_opening() -> None:
    prompt = Conversation.of("Which colour?", system="Short.", opening="Light ")
    assert prompt.awaits_answer
    assert prompt.opening == "Light "
    assert prompt.asked == Conversation.of("Which colour?", system="Short.").messages
    assert prompt.answered("blue").messages[-1] == Message(
        role=Speaker.ASSISTANT, content="Light blue"
    )
    assert ASK.opening == ""
    assert ASK.asked == ASK.messages
    assert prompt.digest != Conversation.of("Which colour?", system="Short.").digest


@pytest.mark.parametrize(
    "roles", [("opening",), ("user", "opening", "user"), ("user", "assistant")]
)
def test_an_opening_stands_last_and_follows_a_question(roles: tuple[str, ...]) -> None:
    said = [Message(role=Speaker(role), content="x") for role in roles]
    if roles[-1] == "assistant":
        said.append(Message(role=Speaker.OPENING, content="x"))
    with pytest.raises(DataError, match="an opening must be the last message"):
        Conversation(tuple(said))


def test_a_demonstration_has_its_answer() -> None:
    said = (*ASK.answered("Blue.").messages, Message(role=Speaker.USER, content="And?"))
    begun = Conversation((*said, Message(role=Speaker.OPENING, content="Re")))
    with pytest.raises(DataError, match="its answer is not there"):
        Demonstration(conversation=begun)


def test_a_rated_response_has_ratings() -> None:
    row = RatedResponse(prompt=ASK, response="Blue.", ratings=(1, 2, 4))
    assert row.mean == pytest.approx(7 / 3)
    for ratings in ((), (math.nan,)):
        with pytest.raises(DataError, match="at least one"):
            RatedResponse(prompt=ASK, response="Blue.", ratings=ratings)
    with pytest.raises(DataError, match="is empty"):
        RatedResponse(prompt=ASK, response=" ", ratings=(1.0,))


@pytest.mark.parametrize("content", [None, 3, ["x"]])
def test_content_must_be_text(content: object) -> None:
    with pytest.raises(DataError, match="must be text"):
        Message(role=Speaker.USER, content=content)  # type: ignore[arg-type]


@given(texts)
def test_text_is_kept_as_given(text: str) -> None:
    assert Conversation.of(text).messages[0].content == text


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(DataError, match="no message"):
        Conversation(())


def test_a_system_message_comes_first_or_not_at_all() -> None:
    system = Message(role=Speaker.SYSTEM, content="Be brief.")
    user = Message(role=Speaker.USER, content="Hi")
    assert Conversation.of("Hi", system="Be brief.").messages == (system, user)
    with pytest.raises(DataError, match="first of its conversation"):
        Conversation((user, system))


def test_an_empty_system_message_is_not_no_system_message() -> None:
    assert len(Conversation.of("Hi", system="").messages) == 2


@given(words, words)
def test_answering_adds_the_assistants_turn(question: str, answer: str) -> None:
    asked = Conversation.of(question)
    full = asked.answered(answer)
    assert asked.awaits_answer
    assert not full.awaits_answer
    assert full.messages == (*asked.messages, Message(role=Speaker.ASSISTANT, content=answer))
    with pytest.raises(DataError, match="does not wait"):
        full.answered("again")


@given(texts, texts)
def test_a_digest_is_of_roles_and_texts(one: str, other: str) -> None:
    a, b = Conversation.of(one), Conversation.of(other)
    assert (a.digest == b.digest) == (one == other)
    assert a.answered(other).digest != Conversation.of(one + other).digest


def test_a_digest_sees_the_role() -> None:
    user = Conversation((Message(role=Speaker.USER, content="x"),))
    system = Conversation((Message(role=Speaker.SYSTEM, content="x"),))
    assert user.digest != system.digest


def test_a_prompt_is_named_by_its_words_and_not_by_its_source() -> None:
    prompt = Prompt(conversation=ASK, source="a")
    assert prompt.id == Prompt(conversation=ASK, source="b").id == ASK.digest[:16]


def test_a_prompt_waits_for_an_answer() -> None:
    with pytest.raises(DataError, match="must end with a message of the user"):
        Prompt(conversation=ASK.answered("Blue."))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_p", math.nan),
        ("top_k", -1),
        ("max_tokens", 0),
    ],
)
def test_sampling_settings_out_of_bounds_are_refused(field: str, value: float) -> None:
    with pytest.raises(DataError, match=field):
        SamplingSettings(**{field: value})  # type: ignore[arg-type]


def test_greedy_and_untruncated_sampling_are_allowed() -> None:
    settings = SamplingSettings(temperature=0.0, top_p=1.0, top_k=0, max_tokens=1)
    assert settings.temperature == 0


def test_a_completion_has_one_log_probability_a_token() -> None:
    done = Completion(tokens=(5, 1), logprobs=(-0.5, -0.1), stop=StopReason.STOP)
    assert done.tokens == (5, 1)
    with pytest.raises(DataError, match="one log-probability a token"):
        Completion(tokens=(5, 1), logprobs=(-0.5,), stop=StopReason.STOP)
    with pytest.raises(DataError, match="no token"):
        Completion(tokens=(), logprobs=(), stop=StopReason.LENGTH)


def test_a_response_is_named_by_everything_it_holds() -> None:
    base = Response(prompt_id="p", text="Blue.", stop=StopReason.STOP)
    changed = [
        dataclasses.replace(base, prompt_id="q"),
        dataclasses.replace(base, text="Red."),
        dataclasses.replace(base, stop=StopReason.LENGTH),
        dataclasses.replace(base, policy="0" * 64),
        dataclasses.replace(base, settings=SamplingSettings()),
        dataclasses.replace(base, tokens=(1,)),
    ]
    assert len({response.digest for response in (base, *changed)}) == 7


def test_a_demonstration_has_something_to_imitate() -> None:
    assert Demonstration(conversation=ASK.answered("Blue.")).digest
    with pytest.raises(DataError, match="no assistant message"):
        Demonstration(conversation=ASK)


@pytest.mark.parametrize("empty", ["", " ", "\n\t"])
def test_empty_responses_are_refused(empty: str) -> None:
    with pytest.raises(DataError, match="empty response"):
        Demonstration(conversation=ASK.answered(empty))
    with pytest.raises(DataError, match="empty response"):
        Comparison(prompt=ASK, responses=("Blue.", empty), tiers=(0, 1))
    with pytest.raises(DataError, match="empty response"):
        Feedback(prompt=ASK, response=empty, good=True)


def test_feedback_is_a_thumb_on_one_response() -> None:
    up = Feedback(prompt=ASK, response="Blue.", good=True)
    changed = [
        dataclasses.replace(up, good=False),
        dataclasses.replace(up, response="Red."),
        dataclasses.replace(up, weight=0.5),
        dataclasses.replace(up, source="s"),
        dataclasses.replace(up, prompt=Conversation.of("Else?")),
    ]
    assert len({thumb.digest for thumb in (up, *changed)}) == 6
    with pytest.raises(DataError, match="wait for an answer"):
        Feedback(prompt=ASK.answered("Blue."), response="Blue.", good=True)
    with pytest.raises(DataError, match=r"thumb(.|\n)*got:   1"):
        Feedback(prompt=ASK, response="Blue.", good=1)  # type: ignore[arg-type]
    for weight in (-1.0, math.nan, math.inf):
        with pytest.raises(DataError, match="weight must be finite"):
            Feedback(prompt=ASK, response="Blue.", good=True, weight=weight)


@pytest.mark.parametrize("tier", [2, 10**12, 10**400])
def test_a_tier_of_any_size_is_refused_and_not_counted_up_to(tier: int) -> None:
    with pytest.raises(DataError, match="without gaps"):
        comparison((0, tier))


@given(tiers())
def test_pairs_are_all_pairs_with_the_better_first(ranks: tuple[int, ...]) -> None:
    pairs = list(comparison(ranks).pairs())
    sides = {frozenset((pair.first, pair.second)) for pair in pairs}
    assert sides == {frozenset(two) for two in combinations(range(len(ranks)), 2)}
    assert len(pairs) == len(sides)
    for pair in pairs:
        lead = ranks[pair.second] - ranks[pair.first]
        assert lead >= 0
        assert pair.label == (1.0 if lead else 0.5)


def test_pairs_by_hand() -> None:
    found = list(comparison((1, 0, 1)).pairs())
    assert found == [
        Pair(first=1, second=0, label=1.0),
        Pair(first=0, second=2, label=0.5),
        Pair(first=1, second=2, label=1.0),
    ]


@given(st.floats(0, 1))
def test_a_soft_label_stands_for_the_tiers(label: float) -> None:
    found = list(comparison((1, 0), label=label).pairs())
    assert found == [Pair(first=0, second=1, label=label)]


@pytest.mark.parametrize("ranks", [(0, 2), (1, 2), (0, -1), (1, 1)])
def test_tiers_count_from_zero_without_gaps(ranks: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="without gaps"):
        comparison(ranks)


def test_a_comparison_has_two_responses_and_a_tier_for_each() -> None:
    with pytest.raises(DataError, match="needs two responses"):
        comparison((0,))
    with pytest.raises(DataError, match="one tier a response"):
        Comparison(prompt=ASK, responses=("a", "b", "c"), tiers=(0, 1))


def test_a_comparisons_prompt_waits_for_an_answer() -> None:
    with pytest.raises(DataError, match="must wait"):
        Comparison(prompt=ASK.answered("Blue."), responses=("a", "b"), tiers=(0, 1))


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("field", ["weight", "margin"])
def test_weight_and_margin_are_finite_and_not_negative(field: str, value: float) -> None:
    with pytest.raises(DataError, match=field):
        comparison((0, 1), **{field: value})
    assert getattr(comparison((0, 1), **{field: 0.0}), field) == 0


@pytest.mark.parametrize(
    ("ranks", "label"), [((0, 1), -0.1), ((0, 1), 1.1), ((0, 1), math.nan), ((0, 1, 2), 0.5)]
)
def test_a_soft_label_is_a_probability_for_two_responses(
    ranks: tuple[int, ...], label: float
) -> None:
    with pytest.raises(DataError, match="soft label"):
        comparison(ranks, label=label)


def test_a_comparison_is_named_by_everything_it_holds() -> None:
    base = comparison((0, 1))
    changed = [
        comparison((1, 0)),
        comparison((0, 0)),
        comparison((0, 1), weight=2.0),
        comparison((0, 1), margin=1.0),
        comparison((0, 1), label=1.0),
        comparison((0, 1), source="x"),
        comparison((0, 1), strength=2),
        comparison((0, 1), inclusion=0.5),
        comparison((0, 1), rater="r"),
        comparison((0, 1), all_bad=True),
        comparison((0, 1), criterion="safety"),
    ]
    assert len({c.digest for c in (base, *changed)}) == 12


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("strength", value) for value in (0, 5, -1, 2.0, True)),
        *(("inclusion", value) for value in (0.0, -0.1, 1.01, math.nan, math.inf)),
        *(("all_bad", value) for value in (None, 0, "no")),
        *(("criterion", value) for value in (None, 1, "overall")),
    ],
)
def test_how_a_comparison_was_judged_is_checked(field: str, value: object) -> None:
    with pytest.raises(DataError, match=field if field == "all_bad" else field[:8]):
        comparison((0, 1), **{field: value})


def test_what_was_seldom_picked_counts_for_more() -> None:
    assert comparison((0, 1)).training_weight == 1
    assert comparison((0, 1), weight=0.5, inclusion=0.2).training_weight == 2.5
    assert comparison((0, 1), weight=0.0, inclusion=0.2).training_weight == 0
    with pytest.raises(DataError, match="must be finite"):
        comparison((0, 1), weight=1e308, inclusion=1e-3)


def test_weights_over_inclusion_estimate_the_whole() -> None:
    """Horvitz-Thompson: however unevenly rows are picked, the weighted sum is right on average."""
    rng = random.Random(5)
    values = [rng.random() for _ in range(400)]
    chance = [0.1 + 0.8 * value for value in values]  # large ones are picked more often
    total, plain = [], []
    for _ in range(300):
        picked = [n for n in range(400) if rng.random() < chance[n]]
        rows = [(values[n], comparison((0, 1), inclusion=chance[n])) for n in picked]
        weight = sum(row.training_weight for _, row in rows)
        total.append(sum(value * row.training_weight for value, row in rows) / weight)
        plain.append(sum(value for value, _ in rows) / len(rows))
    mean = sum(values) / 400
    assert sum(total) / 300 == pytest.approx(mean, abs=0.005)
    assert sum(plain) / 300 > mean + 0.05


@pytest.mark.parametrize(
    "value",
    [
        ASK,
        ASK.messages[0],
        Prompt(conversation=ASK),
        SamplingSettings(),
        comparison((0, 1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_cannot_be_changed(value: object) -> None:
    name = dataclasses.fields(value)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)


def test_splits_and_stop_reasons_are_written_as_words() -> None:
    assert [str(split) for split in Split] == ["train", "dev", "test"]
    assert [str(reason) for reason in StopReason] == ["stop", "length"]
