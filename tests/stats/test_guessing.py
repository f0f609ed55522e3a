"""Who guesses: likelihoods by hand, what counts as an excuse, and what the fit may not do."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.guessing import LEAST_CHANCE, Pool, Told, Trials, excuse_of, guessing


def trials(right: int, wrong: int, chance: float = 0.5) -> Trials:
    hits = (True,) * right + (False,) * wrong
    return Trials(hits=hits, chances=(chance,) * len(hits))


def looks() -> Told:
    return Told(gold=trials(6, 0), repeats=trials(5, 1), excuse=4.0)


def test_likelihoods_by_hand() -> None:
    """Beta(.9 * 10, .1 * 10): P(right) = .9; P(right, wrong) = 9 * 1 / (10 * 11)."""
    one = trials(1, 1)
    assert one.guessed() == pytest.approx(2 * math.log(0.5))
    assert trials(1, 0).looked(0.9, 10) == pytest.approx(math.log(0.9))
    assert one.looked(0.9, 10) == pytest.approx(math.log(9 / 110))
    assert Trials().guessed() == Trials().looked(0.9, 10) == 0


def test_a_guess_is_never_impossible() -> None:
    assert trials(1, 0, chance=0).guessed() == pytest.approx(math.log(LEAST_CHANCE))


def test_one_rater_by_hand() -> None:
    """With a pool that nothing moves, odds are .3/.7 * .5^2 / (9 / 110) * exp(-.5)."""
    pool = Pool(gold=0.9, guessers=0.3, alike=10, weight=1e12)
    told = {"a": Told(gold=trials(1, 1), excuse=0.5)}
    odds = 0.3 / 0.7 * 0.25 / (9 / 110) * math.exp(-0.5)
    assert guessing(told, pool).chance["a"] == pytest.approx(odds / (1 + odds))


def test_a_rater_who_guesses_among_those_who_look() -> None:
    told = {f"r{n}": looks() for n in range(11)} | {
        "random": Told(gold=trials(3, 3), repeats=trials(3, 3))
    }
    found = guessing(told)
    assert found.chance["random"] > 0.9
    assert max(found.chance[f"r{n}"] for n in range(11)) < 0.01
    assert found.pool.gold > 0.92
    assert found.pool.guessers < 0.3


def test_nothing_known_is_the_share_of_guessers() -> None:
    found = guessing({"a": Told()})
    assert found.chance["a"] == pytest.approx(found.pool.guessers, abs=1e-6)
    assert guessing({}).chance == {}


def test_votes_of_others_never_accuse() -> None:
    """A negative excuse counts as none."""
    worse = guessing({"a": Told(gold=trials(2, 0), excuse=-50)})
    none = guessing({"a": Told(gold=trials(2, 0))})
    assert worse == none


def test_even_many_guessers_are_not_taken_for_the_pool() -> None:
    told = {f"g{n}": Told(gold=trials(6, 6), repeats=trials(6, 6)) for n in range(8)}
    found = guessing(told | {f"r{n}": looks() for n in range(4)})
    assert min(found.chance[f"g{n}"] for n in range(8)) > 0.9
    assert max(found.chance[f"r{n}"] for n in range(4)) < 0.1


@given(st.integers(0, 8), st.integers(0, 8), st.floats(0, 3))
def test_more_right_is_never_more_of_a_guess(right: int, wrong: int, excuse: float) -> None:
    others = {f"r{n}": looks() for n in range(5)}
    one = Told(gold=trials(right, wrong), excuse=excuse)
    better = replace(one, gold=trials(right + 1, wrong))
    chance = [guessing(others | {"a": told}).chance["a"] for told in (one, better)]
    assert chance[1] <= chance[0] + 1e-9


@given(st.permutations(["a", "b", "c", "d"]))
def test_order_of_raters_does_not_count(names: list[str]) -> None:
    told = {
        "a": looks(),
        "b": Told(gold=trials(2, 3)),
        "c": Told(repeats=trials(4, 0)),
        "d": Told(),
    }
    again = guessing({name: told[name] for name in names})
    assert again == guessing(told)


def test_an_excuse_by_hand() -> None:
    """Eight items, one other vote each, all the same as the rater's: known = (1 + .5) / 2 = .75
    against a habit of 1/2, with the largest share of .98; one nat off."""
    found = excuse_of("ABABABAB", ["A", "B"] * 4)
    assert found == pytest.approx(8 * math.log(0.98 * 0.75 + 0.02 * 0.5) - 8 * math.log(0.5) - 1)
    assert excuse_of("AB", ["A", "B"]) == 0
    assert excuse_of("ABABABAB", ["B", "A"] * 4) == 0
    assert excuse_of(["A", "B"], [[], []]) == 0
    assert excuse_of(["A", "A"], [["A"], ["A"]]) == 0
    assert excuse_of([], []) == 0


@given(st.lists(st.tuples(st.sampled_from("ABT"), st.lists(st.sampled_from("ABT"))), max_size=12))
def test_an_excuse_is_never_negative(rows: list[tuple[str, list[str]]]) -> None:
    assert excuse_of([one for one, _ in rows], [others for _, others in rows]) >= 0


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(DataError, match="chance of a guess"):
        Trials(hits=(True,), chances=())
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        Trials(hits=(True,), chances=(1.5,))
    with pytest.raises(DataError, match="shares"):
        guessing({}, Pool(gold=1.0))
