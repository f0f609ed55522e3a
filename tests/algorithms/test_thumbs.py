"""Good and bad answers as tokens: from comparisons, mismatched, balanced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import KTOConfig
from accord.algorithms.thumbs import Thumb, TokenThumbs, balanced, from_pairs
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation
from accord.text.tokenized import Tokenized
from tests.algorithms.loops import template


def answer(
    prompt: Sequence[int], said: Sequence[int], label: float = 1.0, weight: float = 1.0
) -> Thumb:
    return Thumb(Tokenized.answered(prompt, said), label, weight)


def data_of(*units: list[Thumb], max_tokens: int = 100) -> TokenThumbs:
    return TokenThumbs(units, max_tokens=max_tokens)


ROWS = (
    [answer([1, 2], [10, 0])],
    [answer([3], [11, 12, 0], 0.0), answer([3], [13, 0])],
    [answer([4, 5, 6], [14, 0], 0.0)],
)


def ids(rows: list[Tokenized]) -> list[tuple[int, ...]]:
    return [row.ids for row in rows]


def test_mismatched_answers_are_rotated_by_one_prompt() -> None:
    """Each prompt with the answers of the next, in a circle, masked as they were."""
    data = data_of(*ROWS)
    found = data.mismatched([0, 1, 2])
    assert ids(found) == [(1, 2, 11, 12, 0), (1, 2, 13, 0), (3, 14, 0), (4, 5, 6, 10, 0)]
    assert found[0].mask == (False, False, True, True, True)
    assert ids(data.mismatched([2, 0])) == [(4, 5, 6, 10, 0), (1, 2, 14, 0)]


def test_no_answer_is_mismatched_with_its_own_prompt() -> None:
    """A unit that is drawn twice, another one with the same prompt, an odd batch."""
    again = [answer([1, 2], [15, 0])]
    data = data_of(*ROWS, again)
    assert ids(data.mismatched([0, 0, 2])) == [
        (1, 2, 14, 0),
        (1, 2, 14, 0),
        (4, 5, 6, 10, 0),
    ]
    assert ids(data.mismatched([0, 3, 2])) == [(1, 2, 14, 0), (1, 2, 14, 0), (4, 5, 6, 10, 0)]
    assert data.mismatched([1]) == []
    assert data.mismatched([1, 1]) == []


def test_one_prompt_for_everything_rotates_its_answers() -> None:
    data = data_of([answer([1], [10, 0])], [answer([1], [11, 0])], [answer([1], [12, 0])])
    assert ids(data.mismatched([0, 1, 2])) == [(1, 11, 0), (1, 12, 0), (1, 10, 0)]


def test_a_mismatched_row_over_the_limit_is_left_out() -> None:
    data = data_of(*ROWS, max_tokens=4)
    assert ids(data.mismatched([0, 1, 2])) == [(1, 2, 13, 0), (3, 14, 0)]


def test_a_batch_is_cut_between_units() -> None:
    data = data_of(*ROWS)
    assert (len(data), data.desirable, data.undesirable) == (3, 2.0, 2.0)
    whole = data.batch([2, 1])
    assert whole.response_ids == [3, 1, 2]
    assert whole.label_B.tolist() == [0, 0, 1]
    parts = list(data.micro_batches([2, 1, 0], 6))
    assert [part.response_ids for part in parts] == [[3], [1, 2], [0]]


OTHER = Conversation.of("Which else?")


def comparison(tiers: tuple[int, ...], **more: float) -> Comparison:
    answers = tuple(f"answer {number}" for number in range(len(tiers)))
    return Comparison(
        prompt=Conversation.of("Which?"),
        responses=answers,
        tiers=tiers,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("row", "labels", "weights", "ties"),
    [
        (comparison((0, 1), weight=3.0), [1, 0], [1.5, 1.5], 0),
        (comparison((1, 0), inclusion=0.5), [0, 1], [1, 1], 0),
        (comparison((0, 1), label=0.7), [0.7, 0.3], [0.5, 0.5], 0),
        (comparison((0, 1, 2)), [1, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], 0),
        (comparison((0, 1, 1)), [1, 0, 0], [1 / 3, 1 / 6, 1 / 6], 1),
        (comparison((0, 0)), [], [], 1),
    ],
)
def test_comparisons_as_good_and_bad_answers(
    tiny_folder: Path, row: Comparison, labels: list[float], weights: list[float], ties: int
) -> None:
    """Each side of a pair has half of its weight; a tie calls neither good."""
    pairs = TokenComparisons.build([row], template(tiny_folder).tokenize_answer, max_tokens=500)
    units, found, all_bad = from_pairs(pairs)
    assert (found, all_bad) == (ties, 0)
    told = [one for unit in units for one in unit]
    assert [one.label for one in told] == pytest.approx(labels, abs=1e-6)
    assert [one.weight for one in told] == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "labels", "weights", "ties", "bad"),
    [
        ([comparison((0, 1), weight=3.0, all_bad=True)], [0, 0], [1.5, 1.5], 0, 1),
        ([comparison((0, 0), all_bad=True)], [0, 0], [0.5, 0.5], 0, 1),
        ([comparison((0, 1), label=0.5, all_bad=True)], [0, 0], [0.5, 0.5], 0, 1),
        ([comparison((0, 1), label=0.7, all_bad=True)], [0, 0], [0.5, 0.5], 0, 1),
        ([comparison((0, 1, 1), all_bad=True)], [0, 0, 0], [1 / 3, 1 / 3, 1 / 3], 0, 3),
        # Another rater called the first one good, a third saw no difference.
        (
            [
                comparison((0, 1), weight=1.0, all_bad=True),
                comparison((0, 1), weight=3.0),
                comparison((0, 0)),
            ],
            [0.75, 0],
            [2, 2],
            1,
            1,
        ),
    ],
)
def test_answers_that_are_all_bad_are_undesirable_by_hand(
    tiny_folder: Path,
    rows: list[Comparison],
    labels: list[float],
    weights: list[float],
    ties: int,
    bad: int,
) -> None:
    """Both sides of a pair, whichever is the better; the weight of a comparison stays its own."""
    pairs = TokenComparisons.build(rows, template(tiny_folder).tokenize_answer, max_tokens=500)
    assert int(pairs.all_bad_P.sum()) == bad
    units, found, all_bad = from_pairs(pairs)
    assert (found, all_bad) == (ties, bad)
    told = [one for unit in units for one in unit]
    assert [one.label for one in told] == pytest.approx(labels, abs=1e-6)
    assert [one.weight for one in told] == pytest.approx(weights, abs=1e-6)


def test_a_pair_knows_whether_its_answers_were_all_bad(tiny_folder: Path) -> None:
    """In the order of the batch; to objectives of pairs the order of bad answers is as any."""
    rows = [comparison((0, 1, 2)), replace(comparison((1, 0), all_bad=True), prompt=OTHER)]
    tokenize = template(tiny_folder).tokenize_answer
    data = TokenComparisons.build(rows, tokenize, max_tokens=500)
    assert data.batch([1, 0]).all_bad_B.tolist() == [True, False, False, False]
    assert data.batch([1]).label_B.tolist() == [1.0]


@pytest.mark.parametrize(
    ("good", "bad", "desirable", "undesirable"),
    [(1, 1, 1, 1), (4, 3, 1, 1), (8, 3, 1, 2), (1, 4, 4, 1)],
)
def test_weights_bring_the_sides_into_the_papers_bounds(
    good: int, bad: int, desirable: float, undesirable: float
) -> None:
    units = [[answer([1], [2], float(i < good))] for i in range(good + bad)]
    data = data_of(*units)
    found = balanced(KTOConfig(), data)
    assert found.desirable == pytest.approx(desirable)
    assert found.undesirable == pytest.approx(undesirable)
    assert found.desirable is not None
    assert found.undesirable is not None
    ratio = found.desirable * good / (found.undesirable * bad)
    assert 1 - 1e-9 <= ratio <= 4 / 3 + 1e-9
    own = balanced(KTOConfig(desirable=0.5, undesirable=2.0), data)
    assert (own.desirable, own.undesirable) == (0.5, 2.0)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_thumbs_in_one_direction_alone_are_refused(label: float) -> None:
    data = data_of([answer([1], [2], label)], [answer([3], [4], label)])
    with pytest.raises(DataError, match=r"good and answers that were called bad[\s\S]*import both"):
        balanced(KTOConfig(), data)


def test_nothing_is_lost_between_the_arrays() -> None:
    data = data_of(*ROWS)
    assert len(data.responses) == 4
    assert torch.equal(data.batch([0]).weight_B, torch.ones(1))
