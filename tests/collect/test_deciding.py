"""Winners without a group: by hand, weights of selection, and against groups drawn at random."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from accord.collect.deciding import WithoutGroup, without_group
from accord.collect.votes import Votes
from accord.core.errors import ConfigError
from tests.collect.asked import answers, questions, votes_by
from tests.collect.ballots import vote

ASKED = questions()


def found(votes: Votes, told: dict[str, dict[str, str]], group: str = "law") -> WithoutGroup:
    return without_group(votes, told, ASKED, "field", group)


def by_hand() -> tuple[list[tuple[str, str, str]], dict[str, dict[str, str]]]:
    """Six of law, five of art; of each task who says what."""
    told = answers("field", law=6, art=5)
    said = []
    for task, law, art in (
        ("flips", "AAAAAA", "BBBBB"),
        ("stays", "AAAAAA", "AAAAA"),
        ("opens", "AAAAAA", "AABB."),
        (
            "ties",
            "AAAAAA",
            "=====",
        ),
        ("lost", "AAAAAA", "....."),
        ("none", "AAA...", "BBB.."),
    ):
        said += [(f"law{n}", task, letter) for n, letter in enumerate(law)]
        said += [(f"art{n}", task, letter) for n, letter in enumerate(art)]
    return said, told


def test_by_hand() -> None:
    """Of six tasks five have a winner, one of them by law alone; of the four others one flips, and
    two have no winner then."""
    said, told = by_hand()
    tiers = {"A": (0, 1), "B": (1, 0), "=": (0, 0)}
    rows = [vote(who, task, tiers[letter]) for who, task, letter in said if letter != "."]
    one = found(Votes(rows=tuple(rows)), told)
    assert (one.raters, one.others, one.pairs, one.prompts, one.lost) == (6, 5, 4, 4, 1)
    assert one.flipped is not None
    assert one.opened is not None
    assert (one.flipped.estimate, one.opened.estimate) == (0.25, 0.5)
    assert 0 <= one.flipped.low < 0.25 < one.flipped.high <= 1
    # The one that flips was asked four times as often as its share: it counts a fourth.
    picked = [
        replace(row, inclusion=0.8 if row.task == "flips" else 0.2, selected_by="gap")
        for row in rows
    ]
    weighed = found(Votes(rows=tuple(picked)), told)
    assert weighed.flipped is not None
    assert weighed.flipped.estimate == pytest.approx(round(0.25 / 3.25, 2))


def test_a_group_with_a_taste_of_its_own_flips_more_than_chance_and_another_does_not() -> None:
    told = answers("field", law=14, art=6)
    apart = {name: "A" if "law" in name else "B" for name in told}
    one = found(votes_by(apart, 40), told)
    assert one.flipped is not None
    assert one.by_chance is not None
    assert one.flipped.estimate > 0.9
    assert one.by_chance.estimate < 0.3
    assert one.p <= 0.01
    alike = {name: "AAB" if int(name[3:]) % 3 else "BBA" for name in told}
    same = found(votes_by(alike, 40, overlap=12), told)
    assert same.p > 0.05
    assert found(votes_by(alike, 40, overlap=12), told) == same


def test_more_than_two_responses_have_a_winner_a_pair() -> None:
    told = answers("field", law=5, art=5)
    rows = [
        vote(name, f"t{task}", (0, 1, 2) if "law" in name else (0, 2, 1), responses=("x", "y", "z"))
        for name in told
        for task in range(3)
    ]
    rows.append(vote("law0", "t3", (0, 1, 2)))
    one = found(Votes(rows=tuple(rows)), told)
    # Of the last pair five and five say the opposite: it has no winner. The fourth task is lost.
    assert (one.pairs, one.prompts, one.lost) == (6, 3, 3)
    assert one.flipped is not None
    assert one.flipped.estimate == 0


def test_what_cannot_be_told() -> None:
    told = answers("field", law=5, art=5)
    votes = votes_by(dict.fromkeys(told, "A"), 1, overlap=10)
    one = found(votes, told)
    assert (one.flipped, one.opened, one.by_chance) == (None, None, None)
    assert math.isnan(one.p)
    assert one.why == "needs two prompts with a winner"
    for group in ("trade", "nothing"):
        with pytest.raises(ConfigError, match="not shown"):
            found(votes, told, group)
    with pytest.raises(ConfigError, match="no such question"):
        without_group(votes, told, ASKED, "age", "30")


@pytest.mark.slow
def test_groups_that_are_none_are_rarely_called_different() -> None:
    """Twenty raters of three tastes, divided by lot: p is below .05 in at most one of twenty, but
    for the accidents of 300 divisions."""
    rng, called = random.Random(5), 0
    for seed in range(300):
        tastes = {f"r{n}": rng.choice(["AAB", "AB", "B"]) for n in range(20)}
        lot = rng.sample(sorted(tastes), 20)
        told = {name: {"field": "law" if n < 8 else "art"} for n, name in enumerate(lot)}
        called += found(votes_by(tastes, 24, seed=seed), told).p < 0.05
    assert called <= 300 * 0.05 + 2 * (300 * 0.05 * 0.95) ** 0.5
