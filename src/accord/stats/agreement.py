"""Agreement of raters beyond chance: percent, Cohen, Fleiss, Krippendorff and Gwet.

Every coefficient is 1 - D / E: D the disagreement seen, E the one that chance would give. They
differ in what chance means (the `Coefficient` docstrings say). 1 is perfect agreement, 0 what
chance gives; values below 0 are possible. Where every rating is the same value there is no chance
disagreement to compare with, and kappa and alpha are NaN, never 1.

Which one: Krippendorff's alpha takes any number of raters, holes and scales, and is the default.
Kappa and alpha fall towards 0 when one category is rare, however well raters agree on the rest; put
AC1 beside them there. Percent agreement forgives guessing. Ratings of 40 prompts say little: use
`agreement_intervals.agreement_interval`.

Shape letters:  R = resamples,  I = items,  Q = categories of the scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.stats.ratings import Floats, Ratings


class Coefficient(StrEnum):
    """What a coefficient asks, and when it misleads."""

    PERCENT = "percent"
    """How often do two raters say the same of an item? Mean over items of the share of agreeing
    rater pairs. Easy to read; two raters who always say "fine" agree perfectly."""
    COHEN = "cohen"
    """Do two named raters agree more than their own habits would (Cohen 1960)? Chance: each keeps
    the share of categories that he used. Misleads where one category is rare: kappa can be near 0
    at 95% agreement. Two raters only; all that are not the same count as equally wrong."""
    COHEN_LINEAR = "cohen-linear"
    """Cohen's kappa on a scale: disagreement counts by distance (Cohen 1968)."""
    COHEN_QUADRATIC = "cohen-quadratic"
    """Cohen's kappa on a scale: disagreement counts by squared distance (Cohen 1968)."""
    FLEISS = "fleiss"
    """Cohen's question for many raters who need not be the same for each item (Fleiss 1971).
    Chance: every rater has the categories' overall shares. Misleads where a category is rare."""
    ALPHA_NOMINAL = "alpha-nominal"
    """Could these labels replace each other (Krippendorff 2011)? Chance: any two ratings of all are
    drawn, without replacement, so few items need no other correction. Labels without order."""
    ALPHA_ORDINAL = "alpha-ordinal"
    """Alpha for ranks: the distance of two values is how many ratings lie between them."""
    ALPHA_INTERVAL = "alpha-interval"
    """Alpha for numbers: the distance of two values is their squared difference."""
    AC1 = "ac1"
    """Gwet's answer to kappa's fall under skew (Gwet 2008): chance agreement is rare where one
    category dominates. It stays high on skewed data, even where the rare category is never agreed
    on: look at that category itself too."""
    AC2_LINEAR = "ac2-linear"
    """AC1 on a scale (AC2, Gwet 2014): disagreement counts by distance."""
    AC2_QUADRATIC = "ac2-quadratic"
    """AC2 with disagreement by squared distance."""
    AC2_ORDINAL = "ac2-ordinal"
    """AC2 with Gwet's ordinal weights: steps between two values on the scale, whatever the numbers
    are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Ratings as they were drawn R times: how often each item, and each category of it."""

    drawn_RI: Floats
    """How often each item was drawn; all 1 for the data themselves."""
    counts: Floats
    """[R or 1, I, Q] raters who gave each category."""
    same: Floats
    """[R or 1, I] rater pairs to leave out: a rater with himself. Raters a rated item has, where
    each was drawn once."""
    codes: NDArray[np.intp]
    """[I, raters] place on the scale, -1 for a hole; for coefficients of named raters."""
    scale: Floats

    def total(self, per_item: Floats) -> Floats:
        """Sum over the drawn items: [R or 1, I, ...] becomes [R, ...]."""
        if per_item.shape[0] == 1:
            flat = self.drawn_RI @ per_item[0].reshape(per_item.shape[1], -1)
            return np.asarray(flat.reshape(-1, *per_item.shape[2:]))
        return np.asarray(np.einsum("ri,ri...->r...", self.drawn_RI, per_item))


Parts = tuple[Floats, Floats]
"""(D, E) of each resample; distances are scaled so that the largest is 1. E is 0 or NaN where the
coefficient is undefined."""


def sample_of(ratings: Ratings, drawn_RI: Floats | None = None) -> Sample:
    """All raters as they are, items as often as `drawn_RI` says (once by default)."""
    counts = ratings.counts()[None]
    return Sample(
        drawn_RI=np.ones((1, len(ratings.items))) if drawn_RI is None else drawn_RI,
        counts=counts,
        same=counts.sum(-1),
        codes=ratings.codes(),
        scale=np.array(ratings.scale),
    )


def agreement(ratings: Ratings, coefficient: Coefficient) -> float:
    """One coefficient of agreement; NaN where it is undefined.

    Undefined: alpha and kappa where all ratings are one value; AC1 and AC2 on a scale of one value.
    Items with one rating are left out (Gwet's and Fleiss's chance part counts them).
    Raises DataError where no item has two ratings, and for Cohen's kappa of other than two raters
    (choose two by `ratings.only`).
    """
    check(ratings, coefficient)
    found, expected = PARTS[coefficient](sample_of(ratings))
    return float(ratio(found, expected)[0])


def check(ratings: Ratings, coefficient: Coefficient) -> None:
    """Raises DataError where the ratings cannot answer the coefficient's question."""
    if coefficient in OF_TWO and len(ratings.raters) != 2:
        raise DataError(
            "Cohen's kappa is about two raters",
            got=f"{len(ratings.raters)} raters",
            do="choose two by `ratings.only(a, b)`, or use fleiss or an alpha",
        )
    if not ((~np.isnan(ratings.values)).sum(axis=1) > 1).any():
        raise DataError(
            "agreement needs an item that two raters rated",
            got=f"{len(ratings.items)} items, {len(ratings.raters)} raters",
            do="have some items rated twice",
        )


def ratio(found: Floats, expected: Floats) -> Floats:
    """1 - D / E, NaN where E is 0: what chance gives cannot be told."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 1e-12, 1 - found / expected, np.nan)


# ---- distances -----------------------------------------------------------------------------------


def distances(scale: Floats, power: float) -> Floats:
    """[Q, Q] |difference| ** power of two values, the largest 1; power 0 tells same from other."""
    gaps = np.abs(scale[:, None] - scale[None, :])
    return np.asarray((gaps > 0) * (gaps / max(gaps.max(), 1e-300)) ** power)


def ordinal_steps(scale: Floats) -> Floats:
    """[Q, Q] Gwet's ordinal distance C(|k - l| + 1, 2) / C(Q, 2) by places on the scale."""
    gaps = np.abs(np.subtract.outer(np.arange(len(scale)), np.arange(len(scale)))).astype(float)
    return np.asarray(gaps * (gaps + 1) / max(len(scale) * (len(scale) - 1), 1))


# ---- the coefficients ----------------------------------------------------------------------------


def _disagreeing(sample: Sample, distance: Floats) -> tuple[Floats, Floats]:
    """(mean distance of an item's rater pairs, whether it has a pair), both [R or 1, I]."""
    pairs = sample.counts.sum(-1) ** 2 - sample.same
    apart = ((sample.counts @ distance) * sample.counts).sum(-1)
    has_pair = pairs > 1e-9
    return np.where(has_pair, apart / np.where(has_pair, pairs, 1), 0.0), has_pair * 1.0


def _mean_disagreement(sample: Sample, distance: Floats) -> Floats:
    apart, has_pair = _disagreeing(sample, distance)
    with np.errstate(invalid="ignore"):
        return sample.total(apart) / sample.total(has_pair)


def _percent(sample: Sample) -> Parts:
    found = _mean_disagreement(sample, distances(sample.scale, 0))
    return found, np.ones_like(found)


def _shares(sample: Sample) -> Floats:
    """[R, Q] mean over rated items of the share of raters who gave each category."""
    raters = sample.counts.sum(-1, keepdims=True)
    per_item = sample.counts / np.maximum(raters, 1)
    with np.errstate(invalid="ignore"):
        return sample.total(per_item) / sample.total((raters > 0) * 1.0)


def _fleiss(sample: Sample) -> Parts:
    """Chance disagreement 1 - sum of squared shares (Fleiss 1971, eq. 4).

    With holes an item's share of agreeing pairs counts once however many raters it had.
    """
    shares = _shares(sample)
    return _mean_disagreement(sample, distances(sample.scale, 0)), 1 - np.square(shares).sum(-1)


def _gwet(distance_of: Callable[[Floats], Floats]) -> Callable[[Sample], Parts]:
    """Chance agreement sum(w) / (Q (Q - 1)) * sum p (1 - p), w = 1 - distance (Gwet 2014)."""

    def parts(sample: Sample) -> Parts:
        distance, width = distance_of(sample.scale), len(sample.scale)
        if width < 2:
            undefined = np.full(len(sample.drawn_RI), np.nan)
            return undefined, undefined
        shares = _shares(sample)
        guessing = (shares * (1 - shares)).sum(-1) / (width * (width - 1))
        return _mean_disagreement(sample, distance), 1 - (1 - distance).sum() * guessing

    return parts


def _cohen(power: float) -> Callable[[Sample], Parts]:
    """Chance: the two raters' own shares, over the items that both rated (Cohen 1968)."""

    def parts(sample: Sample) -> Parts:
        both = (sample.codes >= 0).all(axis=1)
        drawn, codes = sample.drawn_RI[:, both], sample.codes[both]
        distance, names = distances(sample.scale, power), np.arange(len(sample.scale))
        with np.errstate(invalid="ignore"):
            shares = [
                (drawn @ (codes[:, [side]] == names)) / drawn.sum(1, keepdims=True)
                for side in (0, 1)
            ]
            found = drawn @ distance[codes[:, 0], codes[:, 1]] / drawn.sum(1)
        return found, ((shares[0] @ distance) * shares[1]).sum(-1)

    return parts


def _alpha(places_of: Callable[[Floats, Floats], Floats] | None) -> Callable[[Sample], Parts]:
    """Krippendorff's alpha with squared distances of places on a line, or same against other.

    D = sum over items of (sum over pairs of distance) / (raters - 1) / ratings and E = the same
    over all pairs of ratings / (ratings - 1), items with one rating left out (Krippendorff 2011).
    His ordinal distance is the squared difference of mid-ranks (ratings below + half of those
    equal), so that one formula serves ordinal and interval scales.
    """

    def parts(sample: Sample) -> Parts:
        raters = sample.counts.sum(-1)
        pairs = raters**2 - sample.same
        weight = np.where(pairs > 1e-9, raters / np.where(pairs > 1e-9, pairs, 1), 0.0)
        counts = sample.counts * (pairs > 1e-9)[..., None]
        totals = sample.total(counts)
        ratings = totals.sum(-1)
        if places_of is None:
            apart = raters**2 - np.square(counts).sum(-1)
            seen = sample.total(apart * weight)
            possible = ratings**2 - np.square(totals).sum(-1)
        else:
            places = places_of(sample.scale, totals)
            first, second = (counts @ (places**p)[..., None] for p in (1, 2))
            apart = 2 * (raters * second[..., 0] - first[..., 0] ** 2)
            seen = (sample.drawn_RI * apart * weight).sum(-1)
            moments = [(totals * places**p).sum(-1) for p in (1, 2)]
            possible = 2 * (ratings * moments[1] - moments[0] ** 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return seen / ratings, possible / (ratings * (ratings - 1))

    return parts


def _values(scale: Floats, totals: Floats) -> Floats:
    """[R, Q] the scale itself from 0 to 1."""
    width = max(float(np.ptp(scale)), 1e-300)
    return np.broadcast_to((scale - scale[0]) / width, totals.shape)


def _mid_ranks(_scale: Floats, totals: Floats) -> Floats:
    """[R, Q] share of all ratings below a category, and half of those in it."""
    with np.errstate(invalid="ignore"):
        return np.asarray((np.cumsum(totals, -1) - totals / 2) / totals.sum(-1, keepdims=True))


OF_TWO = frozenset({Coefficient.COHEN, Coefficient.COHEN_LINEAR, Coefficient.COHEN_QUADRATIC})
"""Coefficients of two named raters."""

PARTS: Mapping[Coefficient, Callable[[Sample], Parts]] = MappingProxyType(
    {
        Coefficient.PERCENT: _percent,
        Coefficient.COHEN: _cohen(0),
        Coefficient.COHEN_LINEAR: _cohen(1),
        Coefficient.COHEN_QUADRATIC: _cohen(2),
        Coefficient.FLEISS: _fleiss,
        Coefficient.ALPHA_NOMINAL: _alpha(None),
        Coefficient.ALPHA_ORDINAL: _alpha(_mid_ranks),
        Coefficient.ALPHA_INTERVAL: _alpha(_values),
        Coefficient.AC1: _gwet(lambda scale: distances(scale, 0)),
        Coefficient.AC2_LINEAR: _gwet(lambda scale: distances(scale, 1)),
        Coefficient.AC2_QUADRATIC: _gwet(lambda scale: distances(scale, 2)),
        Coefficient.AC2_ORDINAL: _gwet(ordinal_steps),
    }
)
"""How each coefficient finds D and E."""
