"""Ratings of items by raters, with holes: the one input of every statistic of agreement.

An item is whatever several raters judged: a response that got stars, or a pair of responses that
got votes. A vote on a pair must be stored by the pair's canonical order (by digest, say), never by
the order on the screen: what two raters saw on the left need not be the same response.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError

Floats = NDArray[np.float64]

MOST_CELLS = 50_000_000
"""Largest items x categories table that is counted: 400 MB."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ratings:
    """What each rater said of each item, on one scale of numbers.

    Make one by `of_rows` (judgements from a database) or `of_table` (a matrix).
    """

    values: Floats
    """[items, raters]; NaN where a rater did not judge an item."""
    items: tuple[Hashable, ...]
    """Name of each row."""
    raters: tuple[Hashable, ...]
    """Name of each column."""
    scale: tuple[float, ...]
    """Every value that a rater could give, ascending. Gwet's coefficients and smoothing depend on
    values that nobody gave; the others do not."""

    def __post_init__(self) -> None:
        shape = (len(self.items), len(self.raters))
        if self.values.shape != shape:
            raise DataError(
                "ratings need a row an item and a column a rater", got=self.values.shape
            )
        if np.isinf(self.values).any():
            raise DataError("a rating must be a finite number, or NaN where there is none")
        for kind, names in (("item", self.items), ("rater", self.raters)):
            if len(set(names)) != len(names):
                raise DataError(f"every {kind} must be named once")
        if list(self.scale) != sorted(set(self.scale)) or not np.isfinite(self.scale).all():
            raise DataError("a scale must be finite numbers in rising order", got=self.scale[:10])
        strange = set(np.unique(self.values[~np.isnan(self.values)])) - set(self.scale)
        if strange:
            raise DataError(
                "a rating is not on the scale",
                got=min(strange),
                do="name every value that a rater can give in `scale`, or leave it out",
            )

    @classmethod
    def of_table(
        cls,
        values: ArrayLike,
        *,
        items: Sequence[Hashable] | None = None,
        raters: Sequence[Hashable] | None = None,
        scale: Iterable[float] | None = None,
    ) -> Self:
        """Ratings from an [items, raters] matrix with NaN for holes; names are numbers from 0.

        `scale` is by default the values that occur.
        Raises DataError for other shapes, infinite numbers, repeated names and values off the
        scale.
        """
        table = np.array(values, dtype=np.float64)
        if table.ndim != 2:
            raise DataError("ratings need a table of items by raters", got=table.shape)
        table.flags.writeable = False
        seen = np.unique(table[np.isfinite(table)]) if scale is None else scale
        return cls(
            values=table,
            items=tuple(range(table.shape[0]) if items is None else items),
            raters=tuple(range(table.shape[1]) if raters is None else raters),
            scale=tuple(float(value) for value in seen),
        )

    @classmethod
    def of_rows(
        cls,
        rows: Iterable[tuple[Hashable, Hashable, float]],
        *,
        scale: Iterable[float] | None = None,
    ) -> Self:
        """Ratings from (item, rater, value) triples; items and raters in order of appearance.

        Raises DataError for a rater who rates an item twice (keep the judgement that supersedes the
        other; repeats belong to `rater_bias.self_consistency`), values that are not finite or off
        the scale.
        """
        cells: dict[tuple[Hashable, Hashable], float] = {}
        for item, rater, value in rows:
            if (item, rater) in cells:
                raise DataError(
                    "a rater rated an item twice",
                    got=f"item {item}, rater {rater}",
                    do="keep one rating of each item and rater",
                )
            if not np.isfinite(value):
                raise DataError(
                    "a rating must be a finite number", got=value, where=f"item {item}, {rater}"
                )
            cells[item, rater] = float(value)
        items = {item: row for row, item in enumerate(dict.fromkeys(key[0] for key in cells))}
        raters = {name: column for column, name in enumerate(dict.fromkeys(k[1] for k in cells))}
        table = np.full((len(items), len(raters)), np.nan)
        for (item, rater), value in cells.items():
            table[items[item], raters[rater]] = value
        return cls.of_table(table, items=tuple(items), raters=tuple(raters), scale=scale)

    def only(self, *raters: Hashable) -> Self:
        """The same items as rated by the named raters alone, in that order.

        Raises DataError for a rater who is not there.
        """
        place = {name: column for column, name in enumerate(self.raters)}
        missing = [name for name in raters if name not in place]
        if missing:
            raise DataError("there is no such rater", got=missing[0])
        columns = [place[name] for name in raters]
        return type(self)(
            values=self.values[:, columns], items=self.items, raters=raters, scale=self.scale
        )

    def codes(self) -> NDArray[np.intp]:
        """[items, raters] place of each rating on the scale; -1 where there is none."""
        found = np.searchsorted(np.array(self.scale), np.nan_to_num(self.values))
        return np.where(np.isnan(self.values), -1, found).astype(np.intp)

    def counts(self) -> Floats:
        """[items, categories] how many raters gave each value of the scale to each item.

        Raises DataError where that table would not fit into memory.
        """
        if len(self.items) * len(self.scale) > MOST_CELLS:
            raise DataError(
                "ratings have too many different values to count",
                got=f"{len(self.items)} items, {len(self.scale)} values",
                do="round the ratings to fewer steps",
            )
        codes, width = self.codes(), len(self.scale)
        row, column = np.nonzero(codes >= 0)
        cells = np.bincount(row * width + codes[row, column], minlength=len(self.items) * width)
        return cells.reshape(len(self.items), width).astype(np.float64)
