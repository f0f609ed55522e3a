"""Baselines of reward models: by hand, and against scikit-learn on the same words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats import baselines
from accord.stats.ranking import pair_accuracy

WORDS = ("good", "bad", "film", "plot", "slow", "quick", "warm", "cold", "loud", "calm", "deep")


def pairs(seed: int, count: int) -> tuple[list[str], list[str], np.ndarray]:
    """Random texts; the label follows "good" and "warm" against "bad" and "slow", with noise."""
    rng = np.random.default_rng(seed)
    worth = {"good": 1.5, "warm": 1.0, "bad": -1.5, "slow": -1.0}

    def side() -> list[list[str]]:
        return [list(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(count)]

    first, second = side(), side()
    lead = np.array(
        [
            sum(worth.get(w, 0) for w in a) - sum(worth.get(w, 0) for w in b)
            for a, b in zip(first, second, strict=True)
        ]
    )
    label = (rng.random(count) < 1 / (1 + np.exp(-lead))).astype(float)
    return [" ".join(a) for a in first], [" ".join(b) for b in second], label


def test_longer_wins_by_hand() -> None:
    """Right, wrong, equal lengths, a tie left out: 1.5 / 3."""
    first, second = ["long one", "a", "abc", "xxxx"], ["short", "bb", "abd", "y"]
    assert baselines.longer_wins(first, second, [1.0, 1.0, 0.0, 0.5]) == pytest.approx(0.5)
    weighted = baselines.longer_wins(
        first, second, [1.0, 1.0, 0.0, 0.5], weight=[3.0, 1.0, 0.0, 1.0]
    )
    assert weighted == pytest.approx(0.75)


def test_one_word_by_hand() -> None:
    """Answers "up up" and "down", always the first better; penalty 1.

    Each row has length 1, so x_first - x_second = (-1, 1) in (down, up), and by symmetry
    c = (-c, c): minimise c^2 + ln(1 + e^-2c), c = 1 / (1 + e^2c) = .3374.
    """
    model = baselines.fit_tfidf(["up up"], ["Down!"], [1.0], least_answers=1)
    assert model.vocabulary == {"down": 0, "up": 1}
    c = model.coefficients[1]
    assert model.coefficients.tolist() == pytest.approx([-c, c], abs=1e-7)
    assert c == pytest.approx(1 / (1 + math.exp(2 * c)), abs=1e-6)
    assert c == pytest.approx(0.3374, abs=5e-5)
    assert model.idf.tolist() == pytest.approx([math.log(3 / 2) + 1] * 2)
    assert model.score(["up", "down", "up down", "what"]).tolist() == pytest.approx(
        [c, -c, 0, 0], abs=1e-7
    )


@pytest.mark.parametrize("penalty", [0.3, 1.0, 5.0])
def test_agrees_with_scikit_learn(penalty: float) -> None:
    """Same features and same coefficients as TfidfVectorizer and LogisticRegression without
    intercept; soft labels are there two weighted rows."""
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    text = pytest.importorskip("sklearn.feature_extraction.text")
    first, second, label = pairs(0, 150)
    label[:30] = np.random.default_rng(1).random(30)
    weight = np.random.default_rng(2).uniform(0.5, 2, size=150)
    ours = baselines.fit_tfidf(first, second, label, weight=weight, penalty=penalty)

    vectorizer = text.TfidfVectorizer(min_df=2).fit([*first, *second])
    assert dict(vectorizer.vocabulary_) == ours.vocabulary
    assert ours.idf == pytest.approx(vectorizer.idf_, rel=1e-12)
    features = vectorizer.transform(first) - vectorizer.transform(second)
    other = linear.LogisticRegression(fit_intercept=False, C=1 / penalty, tol=1e-10, max_iter=5000)
    other.fit(
        np.vstack([features.toarray()] * 2),
        np.repeat([1, 0], 150),
        sample_weight=np.concatenate([weight * label, weight * (1 - label)]),
    )
    assert ours.coefficients == pytest.approx(other.coef_[0], abs=1e-4)
    assert ours.score(first) - ours.score(second) == pytest.approx(
        other.decision_function(features.toarray()), abs=1e-4
    )


def test_the_gradient_vanishes_at_the_fit() -> None:
    first, second, label = pairs(3, 80)
    model = baselines.fit_tfidf(first, second, label)
    lead = model.score(first) - model.score(second)
    unit = np.eye(len(model.vocabulary))
    features = np.array(
        [
            baselines.TfidfBradleyTerry(
                vocabulary=model.vocabulary, idf=model.idf, coefficients=row
            ).score(first)
            - baselines.TfidfBradleyTerry(
                vocabulary=model.vocabulary, idf=model.idf, coefficients=row
            ).score(second)
            for row in unit
        ]
    )
    gradient = features @ (1 / (1 + np.exp(-lead)) - label) + model.coefficients
    assert np.abs(gradient).max() < 1e-5


def test_learns_words_and_not_length() -> None:
    first, second, label = pairs(4, 600)
    model = baselines.fit_tfidf(first[:400], second[:400], label[:400])
    lead = model.score(first[400:]) - model.score(second[400:])
    assert pair_accuracy(lead, label[400:]) > 0.7
    assert model.coefficients[model.vocabulary["good"]] > 0
    assert model.coefficients[model.vocabulary["bad"]] < 0


@given(st.integers(0, 100), st.lists(st.booleans(), min_size=20, max_size=20))
def test_which_side_is_first_does_not_count(seed: int, swap: list[bool]) -> None:
    first, second, label = pairs(seed, 20)
    here = baselines.fit_tfidf(first, second, label)
    sides = zip(first, second, swap, strict=True)
    left, right = zip(*[(b, a) if flip else (a, b) for a, b, flip in sides], strict=True)
    there = baselines.fit_tfidf(left, right, np.where(swap, 1 - label, label))
    assert there.coefficients == pytest.approx(here.coefficients, abs=1e-5)
    assert baselines.longer_wins(left, right, np.where(swap, 1 - label, label)) == pytest.approx(
        baselines.longer_wins(first, second, label)
    )


def test_a_text_in_capitals_and_rare_words() -> None:
    model = baselines.fit_tfidf(["Good GOOD once", "good"], ["bad", "bad"], [1, 1])
    assert sorted(model.vocabulary) == ["bad", "good"]
    assert model.score(["GOOD once"]) == pytest.approx(model.score(["good"]))


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="no word"):
        baselines.fit_tfidf(["a b"], ["c d"], [1.0])
    with pytest.raises(DataError, match="two answers, a label"):
        baselines.fit_tfidf(["word"], ["word", "word"], [1.0])
    for label, penalty in (([1.5], 1.0), ([1.0], 0.0)):
        with pytest.raises(DataError, match="penalty"):
            baselines.fit_tfidf(["word"], ["word"], label, penalty=penalty)
    with pytest.raises(DataError, match="two answers"):
        baselines.longer_wins(["a"], [], [1.0])
    with pytest.raises(DataError, match="not a tie"):
        baselines.longer_wins(["a"], ["bb"], [0.5])
