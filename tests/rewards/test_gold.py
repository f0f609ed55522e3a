"""The known truth: by hand, its bounds, and the scale it promises."""

from __future__ import annotations

from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.protocols import RewardFn
from accord.core.types import Conversation
from accord.rewards.gold import HIGHEST, LOWEST, GoldParts, GrammarGold, parts
from accord.text import grammar

PROMPT = Conversation.of("Tell me about the fox and the lake.")


def gold(answer: str, prompt: Conversation = PROMPT) -> float:
    score: RewardFn = GrammarGold()
    return score([prompt], [answer])[0]


@pytest.mark.parametrize(
    ("answer", "tone", "on_topic", "repeated", "broken", "outside", "expected"),
    [
        # .53 * raw - .76
        ("The fox runs by the lake. The fox is small.", 0, 1.0, 0, 0, 0, 0.565),
        ("The kind fox runs by the lake. The fox helps the hen.", 2, 1.0, 0, 0, 0, 1.625),
        ("The bad fox runs by the lake. The fox bites the hen.", -2, 1.0, 0, 0, 0, -0.495),
        ("The hen runs by the pond. The hen is small.", 0, 0.0, 0, 0, 0, -0.76),
        ("The fox is small. The fox is small. The fox is small.", 0, 0.5, 2, 0, 0, -1.6875),
        ("The fox runs by the lake. Fox the small is.", 0, 1.0, 0, 1, 0, -0.23),
        ("The fox runs by the lake.", 0, 1.0, 0, 0, 1, 0.035),
        ("The fox runs by the lake. The kind", 1, 1.0, 0, 1, 0, 0.3),
        ("The kind fox is kind. The fox is very kind.", 1, 0.5, 0, 0, 0, 0.4325),
        ("", 0, 0.0, 0, 0, 2, -1.82),
    ],
)
def test_by_hand(
    answer: str,
    tone: int,
    on_topic: float,
    repeated: int,
    broken: int,
    outside: int,
    expected: float,
) -> None:
    assert parts(PROMPT, answer) == GoldParts(
        tone=tone, on_topic=on_topic, repeated=repeated, broken=broken, outside=outside
    )
    assert gold(answer) == pytest.approx(expected)


def test_the_best_and_the_worst_reach_the_bounds() -> None:
    best = "The kind fox thanks the good hen. The warm fox runs by the lake."
    assert gold(best) == pytest.approx(HIGHEST)
    worst = " ".join(["dumb foul lazy mean."] * 6)
    assert gold(worst) == pytest.approx(LOWEST)


@given(
    words=st.lists(st.sampled_from([*grammar.lexicon(), ".", "?"]), max_size=300),
    capital=st.booleans(),
)
def test_no_answer_leaves_the_bounds(words: list[str], capital: bool) -> None:
    text = " ".join(words).replace(" .", ".")
    assert LOWEST <= gold(text.title() if capital else text) <= HIGHEST


@given(text=st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert LOWEST <= gold(text) <= HIGHEST


def test_length_does_not_pay() -> None:
    two = "The kind fox helps the hen. The good fox runs by the lake."
    more = " ".join(f"The {word} fox loves the lake." for word in sorted(grammar.KIND))
    assert gold(f"{two} {more}") <= gold(two)


def test_the_demonstrations_have_mean_0_and_deviation_1() -> None:
    rows = grammar.demonstrations(11, 4000)
    prompts = [Conversation(row.conversation.messages[:1]) for row in rows]
    scores = GrammarGold()(prompts, [row.conversation.messages[1].content for row in rows])
    assert abs(mean(scores)) < 0.08
    assert abs(pstdev(scores) - 1) < 0.08
    by_style = {
        style: mean(s for s, r in zip(scores, rows, strict=True) if r.source == f"grammar:{style}")
        for style in grammar.Style
    }
    assert max(by_style, key=lambda style: by_style[style]) is grammar.Style.KIND
    assert by_style[grammar.Style.KIND] > by_style[grammar.Style.PLAIN] + 0.5
    assert max(v for s, v in by_style.items() if s not in ("kind", "plain")) < -0.3


def test_a_prompt_about_nothing_known_gives_no_topic() -> None:
    assert parts(Conversation.of("Hello."), "The fox runs by the lake.").on_topic == 0


def test_the_same_answer_scores_by_its_own_prompt() -> None:
    other = Conversation.of("Tell me about the hen and the pond.")
    answer = "The fox runs by the lake. The fox is small."
    here, there = GrammarGold()([PROMPT, other], [answer, answer])
    assert here - there == pytest.approx(0.53 * 2.5)


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        GrammarGold()([PROMPT], [])
