"""What a reward model must beat: "the longer answer wins", and a linear model of word counts.

Both see the two answers of a pair and no prompt: a prompt that both share tells them nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, log_expit

from accord.core.errors import DataError
from accord.stats.ranking import pair_accuracy

WORD = re.compile(r"\b\w\w+\b")
"""Words of two letters or more."""


def longer_wins(
    first: Sequence[str],
    second: Sequence[str],
    label: ArrayLike,
    *,
    weight: ArrayLike | None = None,
) -> float:
    """Accuracy of calling the answer with more characters the better one.

    Equal lengths earn half a point; ties of the label are left out.
    Raises DataError for mixed lengths and where every label is a tie.
    """
    lengths = [np.array([len(text) for text in side], dtype=np.float64) for side in (first, second)]
    if lengths[0].shape != lengths[1].shape:
        raise DataError("every pair needs two answers", got=f"{len(first)} and {len(second)}")
    return pair_accuracy(lengths[0] - lengths[1], label, weight=weight)


@dataclass(frozen=True, kw_only=True, slots=True)
class TfidfBradleyTerry:
    """A fitted linear score of an answer's words."""

    vocabulary: dict[str, int]
    """Column of each word."""
    idf: NDArray[np.float64]
    """ln((1 + answers) / (1 + answers with the word)) + 1, a column each."""
    coefficients: NDArray[np.float64]
    """Score of a unit of each column."""

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """One score an answer; the difference of two is a log-odds of winning."""
        scores: NDArray[np.float64] = (
            _features(texts, self.vocabulary, self.idf) @ self.coefficients
        )
        return scores


def _words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text.lower()))


def _features(
    texts: Sequence[str], vocabulary: dict[str, int], idf: NDArray[np.float64]
) -> csr_matrix:
    """Counts times idf, each row scaled to length 1; unknown words are left out."""
    values: list[float] = []
    columns: list[int] = []
    ends = [0]
    for text in texts:
        known = {vocabulary[w]: n for w, n in _words(text).items() if w in vocabulary}
        row = [count * idf[column] for column, count in known.items()]
        length = math.sqrt(math.fsum(value * value for value in row))
        values.extend(value / length for value in row)
        columns.extend(known)
        ends.append(len(columns))
    return csr_matrix((values, columns, ends), shape=(len(texts), len(vocabulary)))


def fit_tfidf(
    first: Sequence[str],
    second: Sequence[str],
    label: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    penalty: float = 1.0,
    least_answers: int = 2,
) -> TfidfBradleyTerry:
    """Bradley-Terry on the difference of the two answers' tf-idf vectors.

    Minimises penalty / 2 |c|^2 + sum weight * (-p log sigmoid(d) - (1 - p) log sigmoid(-d)) with
    d = c . (x_first - x_second) and p the label, by L-BFGS; there is no intercept, as the order of
    a pair means nothing. Features are the usual smoothed tf-idf: raw counts times
    ln((1 + n) / (1 + df)) + 1, scaled to length 1; words in fewer than `least_answers` of the
    2 x pairs answers are dropped.
    Raises DataError for mixed lengths, labels outside [0, 1], a penalty that is not positive, and
    where no word is left.
    """
    labels = np.asarray(label, dtype=np.float64)
    weights = np.ones_like(labels) if weight is None else np.asarray(weight, dtype=np.float64)
    if not len(first) == len(second) == labels.size == weights.size:
        raise DataError(
            "every pair needs two answers, a label and a weight",
            got=f"{len(first)}, {len(second)}, {labels.size}, {weights.size}",
        )
    if not ((labels >= 0) & (labels <= 1)).all() or not penalty > 0:
        raise DataError("labels must lie in [0, 1] and the penalty be above 0", got=penalty)
    vocabulary, idf = _vocabulary([*first, *second], least_answers)
    features = _features(first, vocabulary, idf) - _features(second, vocabulary, idf)

    def objective(c: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        d = features @ c
        losses = -labels * log_expit(d) - (1 - labels) * log_expit(-d)
        gradient = features.T @ (weights * (expit(d) - labels)) + penalty * c
        return float(weights @ losses + penalty / 2 * (c @ c)), gradient

    start = np.zeros(len(vocabulary))
    options = {"maxiter": 1000, "ftol": 1e-14, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return TfidfBradleyTerry(vocabulary=vocabulary, idf=idf, coefficients=found.x)


def _vocabulary(
    texts: Sequence[str], least_answers: int
) -> tuple[dict[str, int], NDArray[np.float64]]:
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(_words(text).keys())
    kept = sorted(word for word, answers in seen.items() if answers >= least_answers)
    if not kept:
        raise DataError(
            "the word baseline found no word that enough answers share",
            got=f"{len(texts)} answers, {len(seen)} words",
            do="lower least_answers, or leave this baseline out for so little text",
        )
    answers = np.array([seen[word] for word in kept], dtype=np.float64)
    idf = np.log((1 + len(texts)) / (1 + answers)) + 1
    return {word: column for column, word in enumerate(kept)}, idf
