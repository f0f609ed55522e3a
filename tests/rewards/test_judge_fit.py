"""What a judge learns, and what it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accord.core.errors import DataError
from accord.rewards.judge_fit import lesson_of, make_up
from accord.text.made_up import SHOWN, Trick
from tests.rewards.opinions import BAD, GOOD, finished, opinions, reader


def test_it_rates_as_people_do_and_tells_how_far_it_is(tiny_folder: Path) -> None:
    backbone, tokenizer = reader(tiny_folder)
    making = lesson_of(*opinions(240, seed=0), backbone=backbone, tokenizer=tokenizer, made=12)
    lesson, told = finished(making)
    judge = lesson.fit()
    assert told == sorted(told)
    assert told[-1] == 1
    texts, ratings = opinions(60, seed=1)
    found = judge.grade(texts)
    assert np.corrcoef(found.grade, ratings)[0, 1] > 0.8
    assert (found.doubt < 0.5).mean() > 0.9
    assert judge.lowest == min(opinions(240, seed=0)[1])


def test_the_same_seed_teaches_the_same(tiny_folder: Path) -> None:
    backbone, tokenizer = reader(tiny_folder)
    texts, ratings = opinions(120, seed=0)

    def grades(seed: int) -> np.ndarray:
        lesson, _ = finished(
            lesson_of(texts, ratings, backbone=backbone, tokenizer=tokenizer, made=4, seed=seed)
        )
        return lesson.fit().grade(texts[:9]).grade

    assert np.array_equal(grades(0), grades(0))
    assert not np.array_equal(grades(0), grades(1))


def test_a_lesson_can_leave_out_a_trick(tiny_folder: Path) -> None:
    backbone, tokenizer = reader(tiny_folder)
    lesson, _ = finished(
        lesson_of(*opinions(120, seed=0), backbone=backbone, tokenizer=tokenizer, made=5)
    )
    assert len(lesson.tricks) == 5 * len(SHOWN) == len(lesson.fakes.tokens_I)
    assert set(lesson.praise) <= {*GOOD, *BAD}
    assert len(set(lesson.praise) & set(GOOD)) >= 5
    without = lesson.fit(without=Trick.LISTED)
    assert without.tricks == tuple(trick for trick in SHOWN if trick is not Trick.LISTED)
    whole = lesson.fit()
    assert whole.tricks == SHOWN
    assert not np.array_equal(whole.shaped.weights_D, without.shaped.weights_D)
    assert np.array_equal(whole.rating.weights_D, without.rating.weights_D)


def test_a_tricks_texts_do_not_depend_on_the_others() -> None:
    texts, _ = opinions(6, seed=0)
    every = make_up(texts, tuple(Trick), each=9, praise=GOOD, seed=3)
    assert [trick for trick, _ in every] == [trick for trick in Trick for _ in range(9)]
    alone = make_up(texts, [Trick.TAILED], each=9, praise=GOOD, seed=3)
    assert alone == [one for one in every if one[0] is Trick.TAILED]
    thrice = [text for trick, text in every if trick is Trick.THRICE]
    assert {text[: len(text) // 3] for text in thrice} == set(texts)
    joined = [text for trick, text in every if trick is Trick.CHAINED]
    assert all(text not in {f"{one} {one}" for one in texts} for text in joined)
    with pytest.raises(DataError, match="one at least"):
        make_up([], SHOWN, each=1, praise=GOOD, seed=0)


def test_what_teaches_nothing_is_refused(tiny_folder: Path) -> None:
    backbone, tokenizer = reader(tiny_folder)
    texts, ratings = opinions(120, seed=0)

    def fit(texts: list[str], ratings: list[float]) -> None:
        finished(lesson_of(texts, ratings, backbone=backbone, tokenizer=tokenizer, made=1))

    with pytest.raises(DataError, match="finite rating"):
        fit(texts, ratings[1:])
    with pytest.raises(DataError, match="finite rating"):
        fit(texts, [float("nan"), *ratings[1:]])
    with pytest.raises(DataError, match="many texts"):
        fit(texts[:30], ratings[:30])
    with pytest.raises(DataError, match="many texts"):
        fit(texts, [1.0] * 120)
    with pytest.raises(DataError, match="too few words"):
        fit(["It goes on."] * 120, ratings)
    with pytest.raises(DataError, match="no tokens"):
        fit([*texts, ""], [*ratings, 0.0])
    lesson, _ = finished(
        lesson_of(
            texts, ratings, backbone=backbone, tokenizer=tokenizer, made=2, tricks=[Trick.LISTED]
        )
    )
    with pytest.raises(DataError, match="shown a trick"):
        lesson.fit(without=Trick.LISTED)
