"""Features of responses: by hand."""

from __future__ import annotations

import pytest

from accord.collect.features import FEATURES, Values
from accord.collect.sheet import Sheet
from accord.core.types import Conversation


def values(name: str, *responses: str) -> Values:
    sheet = Sheet(task="t", prompt=Conversation.of("Why?"), responses=responses)
    return FEATURES[name](sheet)


@pytest.mark.parametrize(
    ("name", "responses", "expected"),
    [
        ("first", ("a", "b"), (1, 0)),
        ("first", ("a", "b", "c"), (1, 0.5, 0)),
        ("longer", ("abc", "d"), (1, 0)),
        ("longer", ("abc", "def"), (0.5, 0.5)),
        ("longer", ("a", "bbb", "bbb", "cccc"), (0, 0.5, 0.5, 1)),
        ("length", ("abc", "1234567", ""), (2, 3, 0)),
        ("brevity", ("abc", "1234567", ""), (-2, -3, 0)),
        ("exclamations", ("Yes! Yes!", "No."), (2, 0)),
        ("list_items", ("- a\n  * b\n3. c\n4) d", "a - b\n-c\n2.5"), (4, 0)),
    ],
)
def test_by_hand(name: str, responses: tuple[str, ...], expected: Values) -> None:
    assert values(name, *responses) == expected


def test_every_feature_is_tested_by_hand() -> None:
    marked = test_by_hand.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {name for name, _, _ in marked} == set(FEATURES)


def test_four_responses_by_place() -> None:
    assert values("first", "a", "b", "c", "d") == pytest.approx((1, 2 / 3, 1 / 3, 0))
