"""A judge on trial: heaps of praise fool its ratings and must not fool its grades."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.core.errors import DataError
from accord.core.types import Conversation
from accord.evals.judge import HEAP, PRAISE, Trial, figures_of, never_shown, trial_of, try_judge
from accord.rewards.judge import RatingJudge
from accord.rewards.judge_fit import Lesson, lesson_of
from accord.text.made_up import SHOWN, Trick
from tests.models.workshop import tiny_folder as tiny_folder
from tests.rewards.opinions import finished, opinions, reader

HEAPS = (Trick.LISTED, Trick.REPEATED, Trick.TAILED, Trick.CHAINED)


@pytest.fixture(scope="module")
def lesson(tiny_folder: Path) -> Lesson:
    backbone, tokenizer = reader(tiny_folder)
    making = lesson_of(*opinions(240, seed=0), backbone=backbone, tokenizer=tokenizer, made=15)
    return finished(making)[0]


@pytest.fixture(scope="module")
def judge(lesson: Lesson) -> RatingJudge:
    return lesson.fit()


@pytest.fixture(scope="module")
def trial(judge: RatingJudge) -> Trial:
    return finished(trial_of(judge, *opinions(120, seed=1), made=15))[0]


def counted(prompts: Sequence[Conversation], answers: Sequence[str]) -> list[float]:
    """The reward that is easiest to please: praising words."""
    return [float(sum(word in PRAISE for word in text.lower().split())) for text in answers]


def test_heaps_fool_the_rating_and_not_the_grade(judge: RatingJudge, trial: Trial) -> None:
    grades = judge.of(trial.made_up)
    liked = judge.of(trial.people)
    heaps = np.array([*(trick in HEAPS for trick, _ in trial.fakes), True])
    fooled = grades.rating[heaps] > np.median(liked.rating[trial.liked])
    assert fooled.mean() > 0.3
    assert (grades.grade[heaps] > np.median(liked.grade[trial.liked])).mean() <= 0.05


def test_figures_by_hand(judge: RatingJudge, trial: Trial) -> None:
    found: Any = figures_of(judge, trial, beside={"counted": counted})
    assert json.loads(json.dumps(found)) == found
    people, fakes = judge.of(trial.people), judge.of(trial.made_up)
    assert found["texts"] == 120
    assert found["r"] == pytest.approx(np.corrcoef(people.grade, trial.ratings)[0, 1])
    assert found["accuracy"]["low"] < found["accuracy"]["value"] <= found["accuracy"]["high"]
    assert found["accuracy"]["value"] > 0.8
    assert found["doubted"]["value"] == (people.written < 0.5).mean()
    assert found["liked"] == sum(rating > np.median(trial.ratings) for rating in trial.ratings)
    middle = np.median(people.grade[trial.liked])
    assert found["median_liked"] == middle
    assert [row["name"] for row in found["tricks"]] == [str(trick) for trick in Trick]
    listed = next(row for row in found["tricks"] if row["name"] == "listed")
    assert listed["texts"] == 15
    assert listed["shown"]
    place = np.array([trick is Trick.LISTED for trick, _ in trial.fakes])
    assert listed["above"]["value"] == (fakes.grade[:-1][place] > middle).mean()
    assert listed["above"]["high"] > listed["above"]["value"]
    assert listed["median"] == np.median(fakes.grade[:-1][place])
    assert listed["beside"] == {"counted": 1.0}
    shown = {row["name"] for row in found["tricks"] if row["shown"]}
    assert shown == {str(trick) for trick in SHOWN}


def test_the_best_heap_is_graded_by_itself(judge: RatingJudge, trial: Trial) -> None:
    found: Any = figures_of(judge, trial, beside={"counted": counted})
    assert found["heap"]["text"] == HEAP == "brilliant wonderful superb beautiful great best love"
    assert found["heap"]["grade"] == pytest.approx(float(judge.grade([HEAP]).grade[0]), abs=1e-4)
    assert not found["heap"]["above"]
    assert found["heap"]["rating"] > found["median_liked"]
    assert found["heap"]["beside"]["counted"]["score"] == 7


def test_a_trial_is_the_same_under_the_same_seed(judge: RatingJudge) -> None:
    texts, ratings = opinions(40, seed=2)
    one, told = finished(try_judge(judge, texts, ratings, made=3))
    again, _ = finished(try_judge(judge, texts, ratings, made=3))
    assert one == again
    assert told[-1] == 1


def test_what_was_never_shown_is_tried_too(lesson: Lesson, trial: Trial) -> None:
    """A judge that was shown no list still grades them as one that was fitted without them."""
    found = never_shown(lesson, trial)
    assert list(found) == [str(trick) for trick in SHOWN]
    judge = lesson.fit(without=Trick.LISTED)
    middle = np.median(judge.of(trial.people).grade[trial.liked])
    place = [trick is Trick.LISTED for trick, _ in trial.fakes]
    above = judge.of(trial.made_up).grade[:-1][np.array(place)] > middle
    assert found["listed"]["value"] == above.mean()


def test_a_trial_needs_liked_texts(judge: RatingJudge) -> None:
    texts, ratings = opinions(40, seed=2)
    with pytest.raises(DataError, match="rated above"):
        finished(trial_of(judge, texts, [-1.0] * 40))
    with pytest.raises(DataError, match="so far apart"):
        finished(trial_of(judge, texts, ratings, gap=99.0))
    with pytest.raises(DataError, match="finite rating"):
        finished(trial_of(judge, texts, ratings[1:]))


def test_what_is_liked_and_far_apart_goes_by_the_scale_of_the_ratings(judge: RatingJudge) -> None:
    """The same texts rated from 0 to 1: the same are liked, and the same pairs count."""
    texts, ratings = opinions(40, seed=2)
    low, high = min(ratings), max(ratings)
    unit = [(rating - low) / (high - low) for rating in ratings]
    one, other = (finished(trial_of(judge, texts, r, made=2))[0] for r in (ratings, unit))
    assert (one.liked == other.liked).all()
    assert one.gap == pytest.approx(other.gap * (high - low))
    for name in ("liked", "accuracy"):
        assert figures_of(judge, one)[name] == figures_of(judge, other)[name]
    named = finished(trial_of(judge, texts, ratings, made=2, above=1.0, gap=0.5))[0]
    assert (named.above, named.gap) == (1.0, 0.5)
    assert named.liked.sum() == sum(rating > 1.0 for rating in ratings)
