"""Comparisons as tokens: pairs, weights and labels by hand, and cuts between prompts only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.algorithms.comparisons import TokenComparisons
from accord.core.errors import InvariantError
from accord.core.types import Comparison, Conversation
from accord.objectives import reward
from accord.objectives.pairs import totals
from accord.text.tokenized import Tokenized
from tests.algorithms.loops import comparisons, judged_again, raw_comparisons, template


def tokenize(prompt: Conversation, answer: str) -> Tokenized:
    """One token for the prompt, one a letter of the answer, and a stop token."""
    ids = (100, *(ord(letter) for letter in answer), 1)
    return Tokenized(ids, (False, *(True,) * (len(ids) - 1)))


ASK = Conversation.of("?")
THREE = [
    Comparison(prompt=ASK, responses=("a", "bb"), tiers=(1, 0), weight=2.0, margin=0.5),
    Comparison(prompt=ASK, responses=("c", "d", "eee"), tiers=(0, 1, 0), weight=3.0),
    Comparison(prompt=ASK, responses=("f", "g"), tiers=(0, 1), label=0.2),
]


def test_pairs_by_hand() -> None:
    data = TokenComparisons.build(THREE, tokenize, max_tokens=10)
    assert (len(data), data.pairs, data.too_long) == (3, 5, [])
    assert data.first_P.tolist() == [1, 2, 2, 4, 5]
    assert data.second_P.tolist() == [0, 3, 4, 3, 6]
    assert data.label_P.tolist() == pytest.approx([1, 1, 0.5, 1, 0.2])
    # A prompt's weight is shared by its pairs.
    assert data.weight_P.tolist() == [2, 1, 1, 1, 1]
    assert data.margin_P.tolist() == [0.5, 0, 0, 0, 0]
    assert [data.tokens(i) for i in range(3)] == [3 + 4, 3 + 3 + 5, 3 + 3]


def test_a_batch_numbers_its_own_rows() -> None:
    data = TokenComparisons.build(THREE, tokenize, max_tokens=10)
    batch = data.batch([2, 0])
    said = ["".join(chr(i) for i in row.ids[1:-1]) for row in batch.rows]
    assert said == ["f", "g", "a", "bb"]
    assert batch.response_ids == [5, 6, 0, 1]
    assert (batch.first_B.tolist(), batch.second_B.tolist()) == ([0, 3], [1, 2])
    assert batch.label_B.tolist() == pytest.approx([0.2, 1])
    assert batch.weight_B.tolist() == [1, 2]
    assert batch.margin_B.tolist() == [0, 0.5]


def test_comparisons_of_several_criteria_share_a_unit_and_keep_apart() -> None:
    """Judgements of the same responses run each of them once, whatever they are about."""
    rows = [
        replace(THREE[0], criterion="kind"),
        replace(THREE[0], tiers=(0, 1)),
        replace(THREE[1], criterion="kind"),
    ]
    data = TokenComparisons.build(rows, tokenize, max_tokens=10, criteria=("", "kind"))
    assert (len(data), len(data.responses), data.criteria) == (2, 5, ("", "kind"))
    assert data.criterion_P.tolist() == [1, 0, 1, 1, 1]
    assert data.by_criterion == {"kind": 2, "": 1}
    batch = data.batch([1, 0])
    assert batch.criterion_B.tolist() == [1, 1, 1, 1, 0]
    assert data.rankings(batch).criterion_G.tolist() == [1, 1, 0]
    with pytest.raises(InvariantError, match=r"another criterion(.|\n)*kind"):
        TokenComparisons.build(rows, tokenize, max_tokens=10)


def test_a_comparison_may_be_drawn_twice_in_one_batch() -> None:
    """A batch larger than the data takes a second pass."""
    data = TokenComparisons.build(THREE, tokenize, max_tokens=10)
    twice, once = data.batch([0, 0]), data.batch([0])
    for batch in (twice, once):
        said = ["".join(chr(i) for i in batch.rows[p].ids[1:-1]) for p in batch.first_B.tolist()]
        assert set(said) == {"bb"}
    assert len(twice.first_B) == 2 * len(once.first_B)


def test_a_long_response_leaves_its_whole_comparison_out() -> None:
    data = TokenComparisons.build(THREE, tokenize, max_tokens=4)
    assert (len(data), data.pairs, data.too_long, data.kept) == (2, 2, [1], [0, 2])
    assert data.first_P.tolist() == [1, 2]
    assert data.weight_P.tolist() == [2, 1]
    nothing = TokenComparisons.build(THREE, tokenize, max_tokens=1)
    assert (len(nothing), nothing.too_long) == (0, [0, 1, 2])


@given(tokens=st.integers(1, 40), order=st.permutations(range(3)))
def test_cuts_never_part_a_prompt(tokens: int, order: list[int]) -> None:
    data = TokenComparisons.build(THREE, tokenize, max_tokens=10)
    whole = data.batch(order)
    parts = list(data.micro_batches(order, tokens))
    assert [i for part in parts for i in part.response_ids] == whole.response_ids
    for name in ("label_B", "weight_B", "margin_B"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    for part in parts:
        held = [data.tokens(c) for c in range(3) if len(part.rows)]
        assert sum(len(row.ids) for row in part.rows) <= max(tokens, *held)


def judgements() -> list[Comparison]:
    """Two raters of one task who disagree, another task, and a third rater of the first."""
    one = Comparison(prompt=ASK, responses=("a", "bb"), tiers=(0, 1), weight=0.5, inclusion=0.25)
    return [
        one,
        replace(one, tiers=(1, 0), weight=0.25, margin=0.5, rater="r"),
        Comparison(prompt=ASK, responses=("c", "d", "eee"), tiers=(0, 1, 0), weight=3.0),
        replace(one, tiers=(0, 0), inclusion=1.0),
    ]


def test_judgements_of_one_task_are_one_unit_by_hand() -> None:
    data = TokenComparisons.build(judgements(), tokenize, max_tokens=10)
    assert (len(data), data.pairs, data.kept) == (3, 6, [0, 1, 2, 3])
    assert data.first_P.tolist() == [0, 1, 2, 2, 4, 5]
    assert data.second_P.tolist() == [1, 0, 3, 4, 3, 6]
    assert data.label_P.tolist() == [1, 1, 1, 0.5, 1, 0.5]
    # .5 / .25 and .25 / .25; three pairs of weight 3; the third rater came after another task.
    assert data.weight_P.tolist() == [2, 1, 1, 1, 1, 0.5]
    assert data.margin_P.tolist() == [0, 0.5, 0, 0, 0, 0]
    batch = data.batch([0])
    assert [len(row.ids) for row in batch.rows] == [3, 4]
    assert (batch.first_B.tolist(), batch.second_B.tolist()) == ([0, 1], [1, 0])
    assert data.tokens(0) == 3 + 4


def test_places_are_of_judgements_not_of_units() -> None:
    rows = judgements()
    rows[1] = replace(rows[1], weight=0)
    data = TokenComparisons.build(rows, tokenize, max_tokens=10)
    assert (len(data), data.kept, data.weightless) == (3, [0, 2, 3], [1])
    rows[0] = replace(rows[0], weight=0)
    data = TokenComparisons.build(rows, tokenize, max_tokens=10)
    assert (len(data), data.kept, data.weightless) == (2, [2, 3], [0, 1])
    assert len(data.responses) == 5
    data = TokenComparisons.build(rows, tokenize, max_tokens=3)
    assert (len(data), data.too_long) == (0, [0, 1, 2, 3])


def test_one_prompt_and_a_shared_response_make_a_unit() -> None:
    row = judgements()[0]
    other = replace(row, prompt=Conversation.of("!"))
    swapped = replace(row, responses=row.responses[::-1], tiers=(1, 0))
    data = TokenComparisons.build([row, row, other, swapped, row], tokenize, max_tokens=10)
    assert (len(data), data.pairs, len(data.responses)) == (3, 5, 6)
    far = replace(row, responses=("x", "y"))
    data = TokenComparisons.build([row, far, row], tokenize, max_tokens=10)
    assert (len(data), data.pairs, len(data.responses)) == (3, 3, 6)


def test_every_pair_of_three_texts_is_one_unit_of_three_responses() -> None:
    asked = Conversation.of("?")
    rows = [
        Comparison(prompt=asked, responses=pair, tiers=(0, 1), label=label)
        for pair, label in ((("a", "b"), 0.9), (("c", "a"), 0.2), (("b", "c"), 0.7))
    ]
    data = TokenComparisons.build(rows, tokenize, max_tokens=10)
    assert (len(data), len(data.responses)) == (1, 3)
    said = ["".join(chr(i) for i in data.responses[r].ids[1:-1]) for r in range(3)]
    first = [said[i] for i in data.first_P]
    second = [said[i] for i in data.second_P]
    assert list(zip(first, second, strict=True)) == [row.responses for row in rows]
    assert data.label_P.tolist() == pytest.approx([0.9, 0.2, 0.7])
    assert data.weight_P.tolist() == [1, 1, 1]
    too_long = replace(rows[1], responses=("c" * 50, "a"))
    data = TokenComparisons.build([rows[0], too_long, rows[2]], tokenize, max_tokens=10)
    assert (len(data), len(data.responses), data.too_long, data.kept) == (1, 3, [1], [0, 2])


def test_a_response_that_stands_everywhere_does_not_make_one_unit_of_everything() -> None:
    asked = Conversation.of("?")
    rows = [
        Comparison(prompt=asked, responses=(f"{number}", "no"), tiers=(0, 1))
        for number in range(100)
    ]
    data = TokenComparisons.build(rows, tokenize, max_tokens=10)
    assert data.pairs == 100
    assert len(data) == 7
    assert max(len(data.batch([unit]).rows) for unit in range(len(data))) == 16
    same = TokenComparisons.build(rows[:1] * 100, tokenize, max_tokens=10)
    assert (len(same), len(same.responses), same.pairs) == (1, 2, 100)


def test_a_unit_computes_less_and_has_the_loss_and_gradient_of_its_judgements() -> None:
    """In float64, with a score for each text that learns by itself."""
    together, apart = judged_again(raw_comparisons(12))

    def learn(rows: list[Comparison]) -> tuple[int, float, dict[str, float]]:
        data = TokenComparisons.build(rows, tokenize, max_tokens=500)
        batch = data.batch(range(len(data)))
        texts = ["".join(chr(i) for i in row.ids[1:-1]) for row in batch.rows]
        known = sorted(set(texts))
        score = torch.linspace(-1, 1, len(known), dtype=torch.float64, requires_grad=True)
        score_R = score[[known.index(text) for text in texts]]
        weight, clear = totals(label_B=batch.label_B, weight_B=batch.weight_B)
        loss = reward.bradley_terry(
            first_B=score_R[batch.first_B],
            second_B=score_R[batch.second_B],
            label_B=batch.label_B.double(),
            weight_B=batch.weight_B.double(),
            margin_B=batch.margin_B.double(),
            global_weight=weight,
            global_clear=clear,
        )
        loss.value.backward()
        assert score.grad is not None
        return len(texts), loss.value.item(), dict(zip(known, score.grad.tolist(), strict=True))

    once, loss, gradient = learn(together)
    thrice, same_loss, same_gradient = learn(apart)
    assert thrice == 3 * once
    assert loss == pytest.approx(same_loss, rel=1e-12)
    assert gradient == pytest.approx(same_gradient, rel=1e-9, abs=1e-15)
    assert max(abs(value) for value in gradient.values()) > 1e-4


def test_answers_of_the_tiny_world_end_with_their_stop_token(tiny_folder: Path) -> None:
    data, raw = comparisons(tiny_folder, 8), raw_comparisons(8)
    assert len(data) == 8
    assert data.pairs == sum(len(list(row.pairs())) for row in raw)
    stop = template(tiny_folder).stop_id
    for i in range(len(data.responses)):
        row = data.responses[i]
        assert row.ids[-1] == stop
        assert row.mask[-1]
        assert not row.mask[0]
