"""A difference between two groups that are unlike in something else, as if they were alike in it.

Shape letters:  P = prompts;  S = values a prompt;  R = resamples;  K = terms of the line.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError
from accord.stats.intervals import Interval, expanded_tails

KNOTS = (0.25, 0.5, 0.75)
"""Quantiles of the trait at which the line may bend."""
RIDGE = 1e-6
"""Of the slopes, a value: what is not told apart gets the same."""

Floats = NDArray[np.float64]


def at_like_trait(
    before_PS: ArrayLike,
    after_PS: ArrayLike,
    *,
    trait_before_PS: ArrayLike,
    trait_after_PS: ArrayLike,
    level: float = 0.95,
    resamples: int = 4000,
    seed: int = 0,
) -> Interval:
    """Mean of `after` less what `before` has where its trait is that of `after`.

    Standardisation by regression: `before` is explained by its trait (an answer's length, say) with
    a line that may bend at the quartiles, and `after` is held against what that line says at its
    own traits; beyond the traits of `before` the line stays level (`share_met` says how many lie
    within). A trait that goes with the prompt is taken for the answer's: it is a comparison of like
    with like, not a proof that the trait is no cause. The interval is a bootstrap over prompts,
    which draws both groups together and fits the line again, its bends where they are, with the
    expanded percentiles of `intervals.bootstrap_mean`; `after` may have another number of values a
    prompt. Reproducible by `seed`.
    Raises DataError for fewer than two prompts, other numbers of them, a trait of another shape and
    numbers that are not finite.
    """
    before, after, had, has = (
        np.asarray(one, dtype=np.float64)
        for one in (before_PS, after_PS, trait_before_PS, trait_after_PS)
    )
    shapes = [one.shape for one in (before, had, after, has)]
    if before.ndim != 2 or shapes[0] != shapes[1] or shapes[2] != shapes[3]:
        raise DataError("every value needs its trait", got=shapes)
    if len(before) < 2 or len(before) != len(after):
        raise DataError("values of the same two prompts or more are compared", got=shapes)
    if not all(np.isfinite(one).all() for one in (before, after, had, has)):
        raise DataError("values and traits must be finite")
    if not 0 < level < 1 or resamples < 100:
        raise DataError("a level is inside (0, 1), resamples at least 100", got=(level, resamples))
    bent = _bends(had)
    known_PSK, asked_PSK = bent(had), bent(has)
    square_PKK = np.einsum("psk,psl->pkl", known_PSK, known_PSK)
    right_PK = np.einsum("psk,ps->pk", known_PSK, before)
    prompts, size = len(before), known_PSK.shape[-1]
    drawn = np.random.default_rng(seed).multinomial(
        prompts, np.full(prompts, 1 / prompts), size=resamples
    )
    weight_RP = np.vstack([np.ones(prompts), drawn])
    ridge = RIDGE * before.size * np.diag([0.0, *np.ones(size - 1)])
    square_RKK = (weight_RP @ square_PKK.reshape(prompts, -1)).reshape(-1, size, size) + ridge
    line_RK = np.linalg.solve(square_RKK, (weight_RP @ right_PK)[..., None])[..., 0]
    expected_R = ((weight_RP @ asked_PSK.mean(1)) * line_RK).sum(1)
    found_R = (weight_RP @ after.mean(1) - expected_R) / prompts
    low, high = np.quantile(found_R[1:], expanded_tails(prompts, level))
    return Interval(
        estimate=float(found_R[0]), low=float(low), high=float(high), level=level, clusters=prompts
    )


def share_met(trait_before_PS: ArrayLike, trait_after_PS: ArrayLike) -> float:
    """Share of the traits of `after` that lie among the middle 90% of those of `before`: where it
    is small, there is nothing like them to compare with."""
    had = np.asarray(trait_before_PS, dtype=np.float64)
    has = np.asarray(trait_after_PS, dtype=np.float64)
    low, high = np.quantile(had, [0.05, 0.95])
    return float(((low <= has) & (has <= high)).mean())


def _bends(trait: Floats) -> Callable[[Floats], Floats]:
    """What makes `[..., K]` of traits: 1, the trait, and how far it lies above each knot."""
    least, most = float(trait.min()), float(trait.max())
    knots = sorted({float(q) for q in np.quantile(trait, KNOTS)} - {least, most})
    width = (most - least) or 1.0

    def of(values: Floats) -> Floats:
        inside = np.clip(values, least, most)
        parts = [np.ones_like(inside)]
        parts += [np.maximum(inside - knot, 0.0) / width for knot in (least, *knots)]
        return np.stack(parts, axis=-1)

    return of
