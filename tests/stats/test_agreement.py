"""Coefficients of agreement: published values, other libraries, by hand, and what never counts."""

from __future__ import annotations

import json
import math
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.agreement import OF_TWO, Coefficient, agreement
from accord.stats.ratings import Floats, Ratings

NAN = math.nan
DATA = os.environ.get("ACCORD_DATA")

FLEISS_1971 = """
0 0 0 6 0, 0 3 0 0 3, 0 1 4 0 1, 0 0 0 0 6, 0 3 0 3 0, 2 0 4 0 0, 0 0 4 0 2, 2 0 3 1 0, 2 0 0 4 0,
0 0 0 0 6, 1 0 0 5 0, 1 1 0 4 0, 0 3 3 0 0, 1 0 0 5 0, 0 2 0 3 1, 0 0 5 0 1, 3 0 0 1 2, 5 1 0 0 0,
0 2 0 4 0, 1 0 2 0 3, 0 0 0 0 6, 0 1 0 5 0, 0 2 0 1 3, 2 0 0 4 0, 1 0 0 4 1, 0 5 0 1 0, 4 0 0 0 2,
0 2 0 4 0, 1 0 5 0 0, 0 0 0 0 6"""
"""Psychiatrists who gave each of five diagnoses to each of 30 patients (Fleiss 1971, table 1)."""

FOUR_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]
"""Krippendorff 2011, "Computing Krippendorff's alpha-reliability", example C; a row an observer.
Gwet's R package irrCAC ships the same as `cac.raw4raters`."""


def fleiss_1971() -> Ratings:
    """Each row's diagnoses in turn: who said which is not known, and does not count."""
    rows = [[int(n) for n in row.split()] for row in FLEISS_1971.strip().split(",")]
    return Ratings.of_table([np.repeat([1, 2, 3, 4, 5], row) for row in rows])


def contingency(table: list[list[int]]) -> Ratings:
    """Two raters from a table of counts: rows the first, columns the second."""
    pairs = [
        (a, b) for a, row in enumerate(table, 1) for b, n in enumerate(row, 1) for _ in range(n)
    ]
    return Ratings.of_table(pairs)


def test_fleiss_1971() -> None:
    assert agreement(fleiss_1971(), Coefficient.FLEISS) == pytest.approx(0.4302445, abs=5e-8)


@pytest.mark.parametrize(
    ("coefficient", "published"),
    [
        (Coefficient.ALPHA_NOMINAL, 0.743),
        (Coefficient.ALPHA_ORDINAL, 0.815),
        (Coefficient.ALPHA_INTERVAL, 0.849),
    ],
)
def test_krippendorff_2011(coefficient: Coefficient, published: float) -> None:
    found = agreement(Ratings.of_table(np.transpose(FOUR_OBSERVERS)), coefficient)
    assert found == pytest.approx(published, abs=5e-4)


@pytest.mark.parametrize(
    ("coefficient", "published"),
    [
        (Coefficient.PERCENT, 0.8181818),
        (Coefficient.AC1, 0.77544),
        (Coefficient.AC2_QUADRATIC, 0.91400),
        (Coefficient.FLEISS, 0.76117),
        (Coefficient.ALPHA_NOMINAL, 0.74342),
        (Coefficient.ALPHA_INTERVAL, 0.84911),
    ],
)
def test_gwets_own_package(coefficient: Coefficient, published: float) -> None:
    """Printed in the vignettes "overview" and "weighting" of irrCAC 1.0 for `cac.raw4raters`."""
    found = agreement(Ratings.of_table(np.transpose(FOUR_OBSERVERS)), coefficient)
    assert found == pytest.approx(published, abs=1e-5)


@pytest.mark.parametrize(
    ("coefficient", "published"),
    [
        (Coefficient.PERCENT, 0.89),
        (Coefficient.COHEN, 0.7964094),
        (Coefficient.COHEN_QUADRATIC, 0.8921569),
        (Coefficient.AC1, 0.8493305),
        (Coefficient.AC2_QUADRATIC, 0.9402369),
        (Coefficient.ALPHA_NOMINAL, 0.7972585),
    ],
)
def test_gwets_two_abstractors(coefficient: Coefficient, published: float) -> None:
    """Printed in the same vignettes for `cont3x3abstractors`."""
    found = agreement(contingency([[13, 0, 0], [0, 20, 7], [0, 4, 56]]), coefficient)
    assert found == pytest.approx(published, abs=5e-8)


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_pandalm_kappas() -> None:
    """The three annotators of PandaLM's 644 rows."""
    lines = Path(str(DATA), "pandalm/train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 644
    ratings = Ratings.of_rows(
        (row["idx"], rater, row[f"annotator{rater}"]) for row in rows for rater in (1, 2, 3)
    )
    found = [agreement(ratings.only(a, b), Coefficient.COHEN) for a, b in ((1, 2), (1, 3), (2, 3))]
    assert found == pytest.approx([0.8634, 0.8996, 0.8722], abs=5e-5)


# ---- by hand -------------------------------------------------------------------------------------

TWO = [[1, 1], [1, 1], [1, 2], [2, 2]]
"""Two raters, four items: agreement 3/4; shares of category 1 are 3/4 and 2/4."""


@pytest.mark.parametrize(
    ("coefficient", "value"),
    [
        (Coefficient.PERCENT, 3 / 4),
        (Coefficient.COHEN, (3 / 4 - 1 / 2) / (1 / 2)),  # chance 3/4 * 2/4 + 1/4 * 2/4
        (Coefficient.FLEISS, 1 - (1 / 4) / (1 - 34 / 64)),  # shares 5/8, 3/8
        (Coefficient.ALPHA_NOMINAL, 1 - (1 / 4) / (30 / 56)),  # 2 * 5 * 3 unequal of 8 * 7
        (Coefficient.AC1, 1 - (1 / 4) / (1 - 30 / 64)),  # chance 2 p (1 - p) = 30/64
    ],
)
def test_two_raters_by_hand(coefficient: Coefficient, value: float) -> None:
    assert agreement(Ratings.of_table(TWO), coefficient) == pytest.approx(value)


def test_distances_by_hand() -> None:
    """Two items (1, 3), (2, 2) on 1 .. 3. Shares first .5 .5 0, second 0 .5 .5.

    Linear: D = (1 + 0) / 2; E = mean |a - b| / 2 over {1, 2} x {2, 3} = (1 + 2 + 0 + 1) / 8 = 1/2.
    Quadratic: D = 1/2, E = (1 + 4 + 0 + 1) / 16 = 3/8. AC2 linear: weights 1, 1/2, 0, their sum 5,
    shares 1/4 1/2 1/4: chance agreement 5 / 6 * (3/16 + 1/4 + 3/16) = 25/48.
    """
    ratings = Ratings.of_table([[1, 3], [2, 2]])
    assert agreement(ratings, Coefficient.COHEN_LINEAR) == pytest.approx(0)
    assert agreement(ratings, Coefficient.COHEN_QUADRATIC) == pytest.approx(1 - (1 / 2) / (3 / 8))
    assert agreement(ratings, Coefficient.AC2_LINEAR) == pytest.approx(1 - (1 / 2) / (23 / 48))
    assert agreement(ratings, Coefficient.AC2_ORDINAL) == pytest.approx(
        1 - (1 / 2) / (1 - (3 + 4 * 2 / 3) / 6 * 5 / 8)
    )


def test_skew_sinks_kappa_and_not_ac1() -> None:
    """95 of 100 items agreed on, but the rare category never."""
    ratings = contingency([[95, 2], [3, 0]])
    assert agreement(ratings, Coefficient.PERCENT) == pytest.approx(0.95)
    assert agreement(ratings, Coefficient.COHEN) < 0
    assert agreement(ratings, Coefficient.ALPHA_NOMINAL) < 0
    assert agreement(ratings, Coefficient.AC1) > 0.94


def alpha_by_pairs(values: Floats, ordinal: bool) -> float:
    """Krippendorff's alpha straight from its definition, over every pair of ratings."""
    units = [[v for v in row if not math.isnan(v)] for row in values]
    units = [unit for unit in units if len(unit) > 1]
    all_values = [v for unit in units for v in unit]

    def distance(a: float, b: float) -> float:
        if not ordinal:
            return (a - b) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(1 for v in all_values if low <= v <= high)
        ends = sum(1 for v in all_values if v == low) + sum(1 for v in all_values if v == high)
        return 0.0 if a == b else (between - ends / 2) ** 2

    n = len(all_values)
    seen = sum(
        2 * sum(distance(a, b) for a, b in combinations(unit, 2)) / (len(unit) - 1)
        for unit in units
    )
    possible = 2 * sum(distance(a, b) for a, b in combinations(all_values, 2))
    return 1 - (n - 1) * seen / possible if possible else NAN


cell = st.sampled_from([1.0, 2.0, 3.0, 5.0, NAN])
tables = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(cell, min_size=raters, max_size=raters), min_size=2, max_size=8
    )
)


def usable(table: list[list[float]]) -> Ratings:
    """Ratings with an item that two raters rated, and two values in such items."""
    values = np.array(table)
    paired = values[(~np.isnan(values)).sum(1) > 1]
    assume(len(np.unique(paired[~np.isnan(paired)])) > 1)
    return Ratings.of_table(values, scale=[1, 2, 3, 5])


@given(tables)
def test_alpha_is_its_definition(table: list[list[float]]) -> None:
    ratings = usable(table)
    for coefficient, ordinal in ((Coefficient.ALPHA_INTERVAL, 0), (Coefficient.ALPHA_ORDINAL, 1)):
        assert agreement(ratings, coefficient) == pytest.approx(
            alpha_by_pairs(ratings.values, bool(ordinal)), abs=1e-9
        )


# ---- other libraries -----------------------------------------------------------------------------


def random_ratings(seed: int, raters: int, holes: float) -> Floats:
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, size=(60, 1))
    values = np.clip(truth + rng.integers(-1, 2, size=(60, raters)), 1, 5).astype(np.float64)
    values[rng.random(values.shape) < holes] = NAN
    return values


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distance", ["nominal", "ordinal", "interval"])
def test_alpha_agrees_with_evalica(seed: int, distance: str) -> None:
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    values = random_ratings(seed, 5, 0.3)
    other = evalica.alpha(pandas.DataFrame(values.T), distance=distance).alpha
    found = agreement(Ratings.of_table(values), Coefficient(f"alpha-{distance}"))
    assert found == pytest.approx(other, abs=1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_kappas_agree_with_statsmodels(seed: int) -> None:
    other = pytest.importorskip(
        "statsmodels.stats.inter_rater", reason="statsmodels is not installed"
    )
    pair = random_ratings(seed, 2, 0)
    table, _bins = other.to_table(pair.astype(int))
    for coefficient, weights in (
        ("cohen", None),
        ("cohen-linear", "linear"),
        ("cohen-quadratic", "quadratic"),
    ):
        kappa = other.cohens_kappa(table, wt=weights, return_results=False)
        found = agreement(Ratings.of_table(pair), Coefficient(coefficient))
        assert found == pytest.approx(kappa, abs=1e-8)
    many = random_ratings(seed, 6, 0)
    counts, _categories = other.aggregate_raters(many.astype(int))
    assert agreement(Ratings.of_table(many), Coefficient.FLEISS) == pytest.approx(
        other.fleiss_kappa(counts), abs=1e-8
    )


@pytest.mark.parametrize("seed", range(3))
def test_cohen_agrees_with_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    pair = random_ratings(seed, 2, 0)
    for coefficient, weights in (("cohen", None), ("cohen-linear", "linear")):
        other = metrics.cohen_kappa_score(pair[:, 0], pair[:, 1], weights=weights)
        found = agreement(Ratings.of_table(pair), Coefficient(coefficient))
        assert found == pytest.approx(other, abs=1e-8)


# ---- what never counts ---------------------------------------------------------------------------

FOR_MANY = [c for c in Coefficient if c not in OF_TWO]
NAMES_DO_NOT_COUNT = [
    Coefficient.PERCENT,
    Coefficient.FLEISS,
    Coefficient.ALPHA_NOMINAL,
    Coefficient.AC1,
]


def same(first: float, second: float) -> bool:
    return first == pytest.approx(second, abs=1e-9, nan_ok=True)


@given(tables, st.integers(0, 1000))
def test_order_of_items_and_raters_does_not_count(table: list[list[float]], seed: int) -> None:
    ratings, rng = usable(table), np.random.default_rng(seed)
    mixed = rng.permutation(rng.permutation(ratings.values, axis=0), axis=1)
    other = Ratings.of_table(mixed, scale=ratings.scale)
    for coefficient in FOR_MANY:
        assert same(agreement(ratings, coefficient), agreement(other, coefficient))


@given(tables, st.permutations([1.0, 2.0, 3.0, 5.0]))
def test_names_of_categories_do_not_count(table: list[list[float]], names: list[float]) -> None:
    ratings = usable(table)
    renamed = dict(zip(ratings.scale, names, strict=True))
    values = [[renamed.get(v, NAN) for v in row] for row in ratings.values.tolist()]
    other = Ratings.of_table(values, scale=ratings.scale)
    for coefficient in NAMES_DO_NOT_COUNT:
        assert same(agreement(ratings, coefficient), agreement(other, coefficient))


@given(tables, st.floats(-3, 3), st.floats(0.1, 10))
def test_unit_of_an_interval_scale_does_not_count(
    table: list[list[float]], shift: float, unit: float
) -> None:
    ratings = usable(table)
    other = Ratings.of_table(ratings.values * unit + shift)
    for name in (Coefficient.ALPHA_INTERVAL, Coefficient.ALPHA_ORDINAL):
        assert same(agreement(ratings, name), agreement(other, name))


@given(tables)
def test_two_copies_of_the_data_agree_as_much(table: list[list[float]]) -> None:
    """Alpha apart, which corrects for few ratings: its copies fall short of it."""
    ratings = usable(table)
    twice = Ratings.of_table(np.tile(ratings.values, (2, 1)), scale=ratings.scale)
    for coefficient in FOR_MANY:
        once, again = agreement(ratings, coefficient), agreement(twice, coefficient)
        assert again <= once + 1e-9 if "alpha" in coefficient else same(once, again)


@given(st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=2, max_size=9), st.integers(2, 4))
def test_perfect_agreement_is_1(column: list[float], raters: int) -> None:
    assume(len(set(column)) > 1)
    ratings = Ratings.of_table(np.tile(np.array(column)[:, None], raters))
    for coefficient in FOR_MANY:
        assert agreement(ratings, coefficient) == pytest.approx(1)
    for coefficient in OF_TWO:
        assert agreement(ratings.only(0, 1), coefficient) == pytest.approx(1)


def test_guessing_is_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    ratings = Ratings.of_table(rng.choice(4, size=(20_000, 3)))
    for coefficient in FOR_MANY[1:]:
        assert agreement(ratings, coefficient) == pytest.approx(0, abs=0.015)


def test_items_with_one_rating_say_nothing_of_alpha() -> None:
    alone = np.vstack([TWO, [[3, NAN]]])
    for name in (Coefficient.ALPHA_NOMINAL, Coefficient.ALPHA_ORDINAL, Coefficient.ALPHA_INTERVAL):
        assert same(
            agreement(Ratings.of_table(alone), name), agreement(Ratings.of_table(TWO), name)
        )


# ---- undefined -----------------------------------------------------------------------------------


def test_one_category_alone_is_undefined() -> None:
    ratings = Ratings.of_table([[2, 2], [2, 2]])
    for coefficient in Coefficient:
        found = agreement(ratings, coefficient)
        assert math.isnan(found) != (coefficient is Coefficient.PERCENT)
    known = Ratings.of_table([[2, 2], [2, 2]], scale=[1, 2])
    assert agreement(known, Coefficient.AC1) == 1
    assert math.isnan(agreement(known, Coefficient.ALPHA_NOMINAL))


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="two raters rated"):
        agreement(Ratings.of_table([[1, NAN], [NAN, 2]]), Coefficient.PERCENT)
    with pytest.raises(DataError, match="two raters rated"):
        agreement(Ratings.of_rows([]), Coefficient.ALPHA_NOMINAL)
    with pytest.raises(DataError, match="about two raters"):
        agreement(Ratings.of_table([[1, 2, 1]]), Coefficient.COHEN)
