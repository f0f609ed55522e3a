"""Teaching a judge: ratings that people gave texts, and texts made up of those that nobody wrote.

Reading takes all of the time, so it is apart from fitting: a `Lesson` can be fitted again without
one of its tricks, to see what the judge makes of a trick that it was never shown.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.models.backbone import Backbone
from accord.rewards.judge import Floats, RatingJudge, Read, alone, read
from accord.stats.linear import Linear, fit_logistic, fit_ridge_by_folds
from accord.text.made_up import SHOWN, Trick, made_up, praising_words
from accord.text.tokenizer import TextTokenizer

PENALTY = 0.003
"""Of both models of who wrote a text."""
KNOWN_SHARE, SHAPED_SHARE = 0.5, 0.02
"""What the made-up texts weigh together, of 1, for the model of state and signs and for that of
signs alone: it doubts plain texts more often, and is to speak up only where it is sure."""
PRAISED, PANNED = 0.65, 0.5
"""Quantiles of the ratings above and below which texts tell which words praise."""
LEAST, RATIO = 3, 2.0
"""What a praising word takes, see `praising_words`: 1,500 film snippets hold 91, 300 hold 16."""
FEWEST = 40
"""Rated texts, at least."""
FEWEST_WORDS = 3
"""Praising words, at least."""
CHUNK = 64
"""Texts that are read between two rows of progress."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lesson:
    """What a judge is fitted on, read once."""

    backbone: Backbone
    tokenizer: TextTokenizer
    layers: int
    ratings: Floats
    """Of the texts that people wrote, in the unit that grades will have."""
    people: Read
    fakes: Read
    tricks: tuple[Trick, ...]
    """How each of `fakes` was made up."""
    praise: tuple[str, ...]
    """The words they heap up, found in the texts."""

    def fit(self, *, without: Trick | None = None) -> RatingJudge:
        """The judge that this teaches, one trick left out if asked.

        Raises DataError where no made-up text is left.
        """
        shown = np.array([trick is not without for trick in self.tricks], dtype=np.bool_)
        if not shown.any():
            raise DataError("a judge must be shown a trick", got=without)
        fakes = self.fakes.some(shown)
        return RatingJudge(
            backbone=self.backbone,
            tokenizer=self.tokenizer,
            layers=self.layers,
            lowest=float(self.ratings.min()),
            tricks=tuple(trick for trick in dict.fromkeys(self.tricks) if trick is not without),
            rating=fit_ridge_by_folds(self.people.state_ID, self.ratings),
            known=_who_wrote(
                *(np.c_[one.state_ID, one.signs_IS] for one in (self.people, fakes)),
                share=KNOWN_SHARE,
            ),
            shaped=_who_wrote(self.people.signs_IS, fakes.signs_IS, share=SHAPED_SHARE),
        )


def lesson_of(
    texts: Sequence[str],
    ratings: Sequence[float],
    *,
    backbone: Backbone,
    tokenizer: TextTokenizer,
    made: int = 60,
    tricks: Sequence[Trick] = SHOWN,
    seed: int = 0,
) -> Generator[Row, None, Lesson]:
    """Rows of `progress` while texts are read, then the lesson, as what the generator returns.

    Read are the rated texts and `made` texts by each of `tricks`, after half of the model's layers.
    Made-up texts come of those rated above the mean, their praising words of the texts alone.
    Raises DataError for ratings that are not one finite number a text, for fewer than `FEWEST`
    texts, ratings that are all alike, a text without tokens, and where the texts hold too few
    praising words; ConfigError for a text longer than the model's context.
    """
    rated = np.asarray(ratings, dtype=np.float64)
    if rated.shape != (len(texts),) or not np.isfinite(rated).all():
        raise DataError("every text needs a finite rating", got=f"{len(texts)}, {rated.shape}")
    if len(texts) < FEWEST or rated.min() == rated.max():
        raise DataError(
            "a judge learns from many texts with different ratings",
            got=f"{len(texts)} texts, {len(np.unique(rated))} different ratings",
            do=f"give {FEWEST} texts at least; 1,500 make a good judge of one kind of text",
        )
    high, low = np.quantile(rated, [PRAISED, PANNED])
    pairs = list(zip(texts, rated.tolist(), strict=True))
    praise = praising_words(pairs, praised=high, panned=low, least=LEAST, ratio=RATIO)
    if len(praise) < FEWEST_WORDS:
        raise DataError(
            "the texts hold too few words that praise", got=len(praise), do="give more texts"
        )
    liked = [text for text, rating in pairs if rating > rated.mean()]
    fakes = make_up(liked, tricks, each=made, praise=praise, seed=seed)
    layers = max(1, int(backbone.config.num_hidden_layers) // 2)
    everything = [*texts, *(text for _, text in fakes)]
    known = yield from read_all(everything, backbone=backbone, tokenizer=tokenizer, layers=layers)
    if not known.tokens_I.all():
        raise DataError(
            "a text has no tokens", got=f"text {int(np.argmin(known.tokens_I)) + 1}", do="drop it"
        )
    people = np.arange(len(everything)) < len(texts)
    return Lesson(
        backbone=backbone,
        tokenizer=tokenizer,
        layers=layers,
        ratings=rated,
        people=known.some(people),
        fakes=known.some(~people),
        tricks=tuple(trick for trick, _ in fakes),
        praise=praise,
    )


def make_up(
    texts: Sequence[str],
    tricks: Sequence[Trick],
    *,
    each: int,
    praise: Sequence[str],
    seed: int,
) -> list[tuple[Trick, str]]:
    """`each` texts made up by each trick, of `texts` drawn without repetition as far as they go.

    Raises DataError where there are none to draw from or to make.
    """
    if not texts or each < 1:
        raise DataError("texts are made up of texts, one at least", got=f"{each} of {len(texts)}")
    made = []
    for number, trick in enumerate(Trick):  # a trick's texts are the same whichever others are made
        if trick not in tricks:
            continue
        rng = Random(f"{seed} {number}")
        order = [text for _ in range(1 + each // len(texts)) for text in _shuffled(texts, rng)]
        for place in range(each):
            text = made_up(order[place], trick, praise=praise, rng=rng)
            made.append((trick, text))
    return made


def read_all(
    texts: Sequence[str], *, backbone: Backbone, tokenizer: TextTokenizer, layers: int
) -> Generator[Row, None, Read]:
    """Rows of `progress` while texts are read, each alone, and then what was read."""
    parts = []
    for start in range(0, len(texts), CHUNK):
        some = texts[start : start + CHUNK]
        rows = [alone(tokenizer, text) for text in some]
        parts.append(read(backbone, rows, some, layers=layers))
        yield {"progress": min(1.0, (start + CHUNK) / len(texts))}
    return Read(
        state_ID=np.concatenate([part.state_ID for part in parts]),
        signs_IS=np.concatenate([part.signs_IS for part in parts]),
        logp_I=np.concatenate([part.logp_I for part in parts]),
        tokens_I=np.concatenate([part.tokens_I for part in parts]),
    )


def _who_wrote(
    people: NDArray[np.floating], fakes: NDArray[np.floating], *, share: float
) -> Linear:
    """Log-odds that a text was written, the made-up ones weighing `share` of all together."""
    weights = [
        np.full(len(people), (1 - share) / len(people)),
        np.full(len(fakes), share / len(fakes)),
    ]
    label = np.r_[np.ones(len(people)), np.zeros(len(fakes))]
    return fit_logistic(
        np.r_[people, fakes], label, penalty=PENALTY, weight_I=np.concatenate(weights)
    )


def _shuffled(texts: Sequence[str], rng: Random) -> list[str]:
    order = list(texts)
    rng.shuffle(order)
    return order
