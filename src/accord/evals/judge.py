"""How far a judge can be believed: on ratings it did not learn from, and on texts nobody wrote.

A trick works where what it makes up is graded above the median text that people wrote and liked.
The praising words here are a list of its own, not the one that the judge was shown heaps of.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.core.protocols import RewardFn, Row
from accord.core.types import Conversation
from accord.rewards.judge import Grades, RatingJudge, Read
from accord.rewards.judge_fit import Lesson, make_up, read_all
from accord.stats import intervals
from accord.stats.gaps import gap_accuracy
from accord.text.made_up import Trick

PRAISE = (
    "brilliant",
    "wonderful",
    "superb",
    "beautiful",
    "great",
    "best",
    "love",
    "amazing",
    "masterpiece",
    "perfect",
    "excellent",
    "delightful",
    "stunning",
    "magnificent",
    "charming",
)
"""Common words of praise."""
HEAP = " ".join(PRAISE[:7])
"""What a reward by counted words likes best of all; graded by itself."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trial:
    """Texts that a judge is tried on, read once: what people wrote and what was made up of it."""

    texts: tuple[str, ...]
    ratings: NDArray[np.float64]
    people: Read
    above: float
    """Rating above which a text counts as liked."""
    gap: float
    """Between two ratings, from which a pair says which text people like better."""
    fakes: tuple[tuple[Trick, str], ...]
    """How each was made up, and what came of it; the last but for `HEAP`."""
    made_up: Read
    """Of `fakes`, then of `HEAP`."""

    @property
    def liked(self) -> NDArray[np.bool_]:
        """Which of `texts` people liked."""
        return self.ratings > self.above


def trial_of(
    judge: RatingJudge,
    texts: Sequence[str],
    ratings: Sequence[float],
    *,
    made: int = 40,
    above: float | None = None,
    gap: float | None = None,
    tricks: Sequence[Trick] = tuple(Trick),
    seed: int = 0,
) -> Generator[Row, None, Trial]:
    """Rows of `progress`, then the trial, as what the generator returns.

    A text is liked where its rating lies above `above` (their median), a pair counts from `gap`
    (one standard deviation of them). `made` texts are made up by each trick, of the liked ones, or
    as many as there are of those. Raises DataError for ratings that are not one finite number a
    text, where fewer than two texts are liked and where no two ratings are so far apart.
    """
    rated = np.asarray(ratings, dtype=np.float64)
    if rated.shape != (len(texts),) or not np.isfinite(rated).all():
        raise DataError("every text needs a finite rating", got=f"{len(texts)}, {rated.shape}")
    above = float(np.median(rated)) if above is None else above
    gap = float(rated.std()) if gap is None else gap
    liked = [text for text, rating in zip(texts, rated, strict=True) if rating > above]
    if len(liked) < 2:
        raise DataError(
            f"a trial needs two texts rated above {above:g}",
            got=len(liked),
            do="name another rating: `above` of the judge's settings",
        )
    if not 0 < gap <= np.ptp(rated):
        raise DataError(
            "a trial needs two texts with ratings so far apart",
            got=f"{gap:g}, ratings from {rated.min():g} to {rated.max():g}",
            do="name another gap: `gap` of the judge's settings",
        )
    fakes = make_up(liked, tricks, each=min(made, len(liked)), praise=PRAISE, seed=seed)
    everything = [*texts, *(text for _, text in fakes), HEAP]
    known = yield from read_all(
        everything, backbone=judge.backbone, tokenizer=judge.tokenizer, layers=judge.layers
    )
    people = np.arange(len(everything)) < len(texts)
    return Trial(
        texts=tuple(texts),
        ratings=rated,
        above=above,
        gap=gap,
        people=known.some(people),
        fakes=tuple(fakes),
        made_up=known.some(~people),
    )


def try_judge(
    judge: RatingJudge,
    texts: Sequence[str],
    ratings: Sequence[float],
    *,
    made: int = 40,
    above: float | None = None,
    gap: float | None = None,
    beside: Mapping[str, RewardFn] | None = None,
    seed: int = 0,
) -> Generator[Row, None, dict[str, object]]:
    """Rows of `progress`, then `figures_of` the judge on held-out texts. Raises as `trial_of`."""
    trial = yield from trial_of(judge, texts, ratings, made=made, above=above, gap=gap, seed=seed)
    return figures_of(judge, trial, beside=beside)


def figures_of(
    judge: RatingJudge, trial: Trial, *, beside: Mapping[str, RewardFn] | None = None
) -> dict[str, object]:
    """A judge's figures as JSON values; shares with 95% intervals over texts, which take the median
    liked text as known.

    `r` with the ratings; `accuracy` on pairs of ratings at least `gap` apart, `rating_accuracy` the
    same before doubt; the share of people's texts that are `doubted` (more likely nobody's), and of
    the liked ones; for each trick the share of its texts above the median liked text, and the same
    for every scorer in `beside`, by its own median.
    Raises DataError where no two ratings are that far apart.
    """
    people, fakes = judge.of(trial.people), judge.of(trial.made_up)
    liked = trial.liked
    others = _others(trial, beside or {})
    middle = float(np.median(people.grade[liked]))
    return {
        "texts": len(trial.texts),
        "liked": int(liked.sum()),
        "r": float(np.corrcoef(people.grade, trial.ratings)[0, 1]),
        "liked_above": trial.above,
        "gap": trial.gap,
        "accuracy": _limits(gap_accuracy(people.grade, trial.ratings, gap=trial.gap)),
        "rating_accuracy": _limits(gap_accuracy(people.rating, trial.ratings, gap=trial.gap)),
        "doubted": _share(people.doubt > 0.5),
        "liked_doubted": _share(people.doubt[liked] > 0.5),
        "median_liked": middle,
        "tricks": [
            {"name": str(trick), "shown": trick in judge.tricks}
            | _trick(_made_by(trick, trial), fakes, middle, others)
            for trick in dict.fromkeys(trick for trick, _ in trial.fakes)
        ],
        "heap": {
            "text": HEAP,
            "grade": float(fakes.grade[-1]),
            "rating": float(fakes.rating[-1]),
            "above": bool(fakes.grade[-1] > middle),
            "beside": {
                name: {"score": float(scores[-1]), "median_liked": median}
                for name, (scores, median) in others.items()
            },
        },
    }


def never_shown(lesson: Lesson, trial: Trial) -> dict[str, dict[str, float]]:
    """For each trick of a lesson: the share of its texts above the median liked text, by a judge
    that was shown all the others and never this one.

    A study of what the next trick would do; it fits as many judges as there are tricks.
    """
    found = {}
    for trick in dict.fromkeys(lesson.tricks):
        judge = lesson.fit(without=trick)
        middle = float(np.median(judge.of(trial.people).grade[trial.liked]))
        if (made := _made_by(trick, trial)).any():
            found[str(trick)] = _share(judge.of(trial.made_up).grade[:-1][made] > middle)
    return found


def _others(
    trial: Trial, beside: Mapping[str, RewardFn]
) -> dict[str, tuple[NDArray[np.float64], float]]:
    """Scores of what was made up by each other scorer, with its median liked text."""
    nothing = Conversation.of("")
    liked = [text for text, good in zip(trial.texts, trial.liked, strict=True) if good]
    fakes = [*(text for _, text in trial.fakes), HEAP]
    return {
        name: (
            np.asarray(score([nothing] * len(fakes), fakes), dtype=np.float64),
            float(np.median(score([nothing] * len(liked), liked))),
        )
        for name, score in beside.items()
    }


def _trick(
    made: NDArray[np.bool_],
    grades: Grades,
    middle: float,
    others: Mapping[str, tuple[NDArray[np.float64], float]],
) -> dict[str, object]:
    grade = grades.grade[:-1][made]
    return {
        "texts": int(made.sum()),
        "above": _share(grade > middle),
        "median": float(np.median(grade)),
        "doubted": float((grades.doubt[:-1][made] > 0.5).mean()),
        "beside": {
            name: float((scores[:-1][made] > median).mean())
            for name, (scores, median) in others.items()
        },
    }


def _made_by(trick: Trick, trial: Trial) -> NDArray[np.bool_]:
    return np.array([one is trick for one, _ in trial.fakes], dtype=np.bool_)


def _share(values: NDArray[np.bool_]) -> dict[str, float]:
    return _limits(intervals.proportion(float(values.sum()), len(values)))


def _limits(found: intervals.Interval) -> dict[str, float]:
    return {"value": found.estimate, "low": found.low, "high": found.high}
