"""Intervals: by hand, against scipy and statsmodels, and by how often they hold the truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.stats import intervals
from accord.stats.intervals import Interval

REPEATS = 1000
"""Simulated studies: a true coverage of .95 is seen within .95 +- 3 * .0069."""


def near_95(held: NDArray[np.bool_], *, least: float = 0.92, most: float = 0.98) -> None:
    """Asserts the share of intervals that hold the truth."""
    assert len(held) == REPEATS
    assert least <= held.mean() <= most


def test_mean_by_hand() -> None:
    """1, 2, 3, 6: mean 3, s = sqrt(14 / 3), s / sqrt 4 = 1.0801, t(3) = 3.1824: 3 +- 3.4374."""
    found = intervals.mean([1.0, 2.0, 3.0, 6.0])
    assert found.estimate == 3
    assert found.high - 3 == pytest.approx(3.4374, abs=1e-4)
    assert 3 - found.low == pytest.approx(3.4374, abs=1e-4)
    assert (found.level, found.clusters) == (0.95, 4)


def test_clusters_by_hand() -> None:
    """a: 1, 3; b: 5. Mean 3, residual sums -2 and 2, variance 2/1 * 8 / 9, t(1) = 12.7062."""
    found = intervals.mean([1.0, 5.0, 3.0], clusters=["a", "b", "a"])
    assert found.estimate == 3
    assert found.high - 3 == pytest.approx(12.7062 * 4 / 3, rel=1e-5)
    assert found.clusters == 2


def test_mean_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=17)
    low, high = scipy.stats.t.interval(0.9, df=16, loc=values.mean(), scale=scipy.stats.sem(values))
    found = intervals.mean(values, level=0.9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_clusters_agree_with_statsmodels() -> None:
    """Recorded from statsmodels 0.15.0: least squares on a constant, covariance by cluster.

    `OLS(values, ones).fit(cov_type="cluster", use_t=True, cov_kwds={"groups": clusters,
    "df_correction": True}).conf_int()`
    """
    values = [1.2, 0.7, -0.4, 2.5, 1.9, -1.1, 0.3, 0.8, 3.0, -0.6, 1.4, 0.9]
    clusters = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4]
    found = intervals.mean(values, clusters=clusters)
    assert (found.low, found.high) == pytest.approx((0.02437117, 1.7422955), abs=5e-8)


def test_clusters_of_one_are_no_clusters() -> None:
    values = [0.1, 0.7, -0.3, 2.0]
    assert intervals.mean(values, clusters=range(4)) == intervals.mean(values)


@pytest.mark.parametrize("method", [intervals.mean, intervals.bootstrap_mean])
def test_repeating_every_value_adds_no_certainty(method: Callable[..., Interval]) -> None:
    """Ten copies of each answer of a prompt are still one prompt."""
    values = np.random.default_rng(2).normal(size=30)
    once = method(values)
    again = method(np.repeat(values, 10), clusters=np.repeat(np.arange(30), 10))
    assert (again.low, again.high) == pytest.approx((once.low, once.high), rel=1e-9)
    careless = method(np.repeat(values, 10))
    assert careless.high - careless.low < 0.5 * (once.high - once.low)


@given(
    st.lists(st.tuples(st.floats(-10, 10), st.integers(0, 3)), min_size=4, max_size=20),
    st.floats(-5, 5),
    st.floats(0.1, 4),
)
def test_moves_with_the_data_and_not_with_its_order(
    rows: list[tuple[float, int]], shift: float, scale: float
) -> None:
    rows += [(0.0, 0), (1.0, 1)]
    values, clusters = (np.array(column) for column in zip(*rows, strict=True))
    found = intervals.mean(values, clusters=clusters)
    assert found.low <= found.estimate <= found.high
    order = np.argsort(clusters * 1000 + values, kind="stable")
    mixed = intervals.mean(scale * values[order] + shift, clusters=clusters[order] + 7)
    assert mixed.low == pytest.approx(scale * found.low + shift, abs=1e-8)
    assert mixed.high == pytest.approx(scale * found.high + shift, abs=1e-8)


def drawn(rng: np.random.Generator, prompts: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Answers in prompts of uneven size with a strong prompt effect; the true mean is 0."""
    sizes = rng.integers(1, 6, size=prompts)
    clusters = np.repeat(np.arange(prompts), sizes)
    return rng.normal(size=prompts)[clusters] + rng.normal(size=len(clusters)), clusters


@pytest.mark.parametrize("prompts", [8, 40])
def test_coverage_of_the_clustered_mean(prompts: int) -> None:
    rng = np.random.default_rng(3)
    held = []
    for _ in range(REPEATS):
        values, clusters = drawn(rng, prompts)
        found = intervals.mean(values, clusters=clusters)
        held.append(found.low <= 0 <= found.high)
    near_95(np.array(held), least=0.92 if prompts == 40 else 0.90)


def test_ignoring_clusters_would_not_cover() -> None:
    """The test above can fail: the same data without its clusters holds the truth too rarely."""
    rng = np.random.default_rng(3)
    held = []
    for _ in range(REPEATS):
        values, _clusters = drawn(rng, 40)
        found = intervals.mean(values)
        held.append(found.low <= 0 <= found.high)
    assert np.mean(held) < 0.90


@pytest.mark.parametrize("prompts", [8, 40])
def test_coverage_of_the_cluster_bootstrap(prompts: int) -> None:
    rng = np.random.default_rng(4)
    held = []
    for seed in range(REPEATS):
        values, clusters = drawn(rng, prompts)
        found = intervals.bootstrap_mean(values, clusters=clusters, resamples=1000, seed=seed)
        held.append(found.low <= 0 <= found.high)
    near_95(np.array(held), least=0.92 if prompts == 40 else 0.90)


@pytest.mark.parametrize("method", [intervals.mean, intervals.bootstrap_mean])
def test_coverage_of_pair_accuracy(method: Callable[..., Interval]) -> None:
    """Yes-or-no values with probabilities that differ by prompt: 40 prompts of 6 pairs, mean .7."""
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(40), 6)
    extra = {"resamples": 1000} if method is intervals.bootstrap_mean else {}
    held = []
    for _ in range(REPEATS):
        chance = rng.beta(3.5, 1.5, size=40)[clusters]
        values = rng.random(len(clusters)) < chance
        found = method(values.astype(float), clusters=clusters, **extra)
        held.append(found.low <= 0.7 <= found.high)
    near_95(np.array(held))


def test_coverage_of_the_bootstrap_on_skewed_values() -> None:
    """Exponential prompt means, 40 prompts: skew costs some coverage, not more than 4 points."""
    rng = np.random.default_rng(6)
    held = []
    for seed in range(REPEATS):
        found = intervals.bootstrap_mean(rng.exponential(size=40), resamples=1000, seed=seed)
        held.append(found.low <= 1 <= found.high)
    near_95(np.array(held), least=0.91)


def test_bootstrap_is_reproducible_and_stays_in_range() -> None:
    values = np.random.default_rng(7).random(25)
    once, again = (intervals.bootstrap_mean(values, seed=3) for _ in range(2))
    assert once == again
    assert once != intervals.bootstrap_mean(values, seed=4)
    extreme = intervals.bootstrap_mean([0.0, 0.0, 1.0], level=0.999)
    assert (extreme.low, extreme.high) == (0, 1)


def test_bootstrap_of_equal_values_has_no_width() -> None:
    """Each resample's mean is over its own number of values, however uneven its clusters."""
    found = intervals.bootstrap_mean([5.0] * 6, clusters=[0, 0, 0, 1, 1, 2])
    assert (found.low, found.high) == (5, 5)


def test_bootstrap_agrees_with_the_t_interval_on_many_normal_values() -> None:
    values = np.random.default_rng(8).normal(size=2000)
    one, other = intervals.mean(values), intervals.bootstrap_mean(values)
    assert one.low == pytest.approx(other.low, abs=0.003)
    assert one.high == pytest.approx(other.high, abs=0.003)


def test_bootstrap_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn in pieces or at once: the same interval."""
    values = np.random.default_rng(9).normal(size=50)
    whole = intervals.bootstrap_mean(values, resamples=2000)
    monkeypatch.setattr(intervals, "CHUNK", 700)
    assert intervals.bootstrap_mean(values, resamples=2000) == whole


def test_paired_difference_by_hand() -> None:
    """Differences 1, 2, 3: mean 2, s = 1, t(2) = 4.3027: 2 +- 2.4842."""
    found = intervals.paired_difference([11.0, 22.0, 33.0], [10.0, 20.0, 30.0])
    assert found.estimate == 2
    assert found.high - 2 == pytest.approx(2.4842, abs=1e-4)
    swapped = intervals.paired_difference([10.0, 20.0, 30.0], [11.0, 22.0, 33.0])
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_paired_difference_takes_clusters() -> None:
    rng = np.random.default_rng(10)
    first, second, clusters = rng.normal(size=12), rng.normal(size=12), np.arange(12) // 3
    found = intervals.paired_difference(first, second, clusters=clusters)
    assert found == intervals.mean(first - second, clusters=clusters)


@given(st.integers(0, 10_000))
def test_a_weighted_mean_is_that_of_the_values_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, times = rng.normal(size=9), rng.integers(1, 5, size=9)
    clusters = [0, 0, 1, 1, 2, 2, 3, 3, 4]
    weighed = intervals.mean(values, clusters=clusters, weight=times.astype(float))
    repeated = intervals.mean(np.repeat(values, times), clusters=np.repeat(clusters, times))
    assert (weighed.estimate, weighed.low, weighed.high) == pytest.approx(
        (repeated.estimate, repeated.low, repeated.high)
    )
    zero = np.zeros(9)
    assert intervals.paired_difference(
        values, zero, clusters=clusters, weight=times.astype(float)
    ).low == pytest.approx(weighed.low)
    with pytest.raises(DataError, match="weight above 0"):
        intervals.mean(values, weight=zero)


def test_unpaired_difference_by_hand() -> None:
    """.75 [.65, .83] minus .5 [.38, .62]: .25 -+ the roots of .1^2 + .12^2 and .08^2 + .12^2."""
    one = Interval(estimate=0.75, low=0.65, high=0.83, level=0.95, clusters=50)
    other = Interval(estimate=0.5, low=0.38, high=0.62, level=0.95, clusters=40)
    found = intervals.unpaired_difference(one, other)
    assert (found.estimate, found.clusters) == (0.25, 40)
    assert found.low == pytest.approx(0.25 - math.sqrt(0.1**2 + 0.12**2))
    assert found.high == pytest.approx(0.25 + math.sqrt(0.08**2 + 0.12**2))
    swapped = intervals.unpaired_difference(other, one)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    with pytest.raises(DataError, match="one level"):
        intervals.unpaired_difference(one, intervals.proportion(3, 9, level=0.9))


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.8, 0.6), (0.95, 0.7)])
def test_coverage_of_an_unpaired_difference(first: float, second: float) -> None:
    """Exact, over all outcomes of 40 and 60 draws."""
    sizes, truths = (40, 60), (first, second)
    chances = [
        scipy.stats.binom.pmf(range(n + 1), n, p) for n, p in zip(sizes, truths, strict=True)
    ]
    alone = [[intervals.proportion(k, n) for k in range(n + 1)] for n in sizes]
    held = math.fsum(
        float(p * q)
        for p, one in zip(chances[0], alone[0], strict=True)
        for q, other in zip(chances[1], alone[1], strict=True)
        if intervals.unpaired_difference(one, other).low
        <= first - second
        <= intervals.unpaired_difference(one, other).high
    )
    assert 0.94 <= held <= 0.97


def test_wilson_by_hand() -> None:
    """8 of 10: centre (.8 + 3.8415 / 20) / 1.38415 = .71674; 95% interval (.4902, .9433)."""
    found = intervals.proportion(8, 10)
    assert found.estimate == 0.8
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize(("successes", "total"), [(0, 5), (1, 7), (30, 40), (5, 5)])
def test_wilson_agrees_with_scipy(successes: int, total: int) -> None:
    other = scipy.stats.binomtest(successes, total).proportion_ci(0.9, method="wilson")
    found = intervals.proportion(successes, total, level=0.9)
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=1e-12)


@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_wilson_stays_inside(total: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, total))
    found = intervals.proportion(successes, total, level=level)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.high - found.low > 0
    mirror = intervals.proportion(total - successes, total, level=level)
    assert mirror.low == pytest.approx(1 - found.high, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_coverage_of_wilson(share: float) -> None:
    """Exact, over all outcomes of 60 draws."""
    chances = scipy.stats.binom.pmf(range(61), 60, share)
    found = [intervals.proportion(k, 60) for k in range(61)]
    held = math.fsum(c for c, i in zip(chances, found, strict=True) if i.low <= share <= i.high)
    assert 0.93 <= held <= 0.98


def test_a_share_by_hand() -> None:
    """Means .5, 1, 1, 1 of two values each: p = .875, sum e^2 = .75, variance 4/3 * .75 / 64 =
    1/64, n = .109375 * 64 * (1.95996 / 3.18245)^2 = 2.65509."""
    found = intervals.share([0, 1, 1, 1, 1, 1, 1, 1], clusters=[0, 0, 1, 1, 2, 2, 3, 3])
    assert found.estimate == 0.875
    n, z2 = 2.65509, 3.841459
    centre = (0.875 + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (0.109375 / n + z2 / (4 * n * n))) / (1 + z2 / n)
    assert (found.low, found.high) == pytest.approx((centre - reach, centre + reach), abs=1e-5)
    assert found.clusters == 4
    assert type(found.low) is type(found.high) is float


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_at_its_end_has_a_length(value: float) -> None:
    """Each cluster counts once: whether its answers say the same again is not known."""
    found = intervals.share([value] * 60, clusters=np.arange(60) // 4)
    assert found == intervals.proportion(15 * value, 15)
    assert 0.1 < found.high - found.low < 0.3


def test_a_weighted_share_is_that_of_the_values_repeated() -> None:
    """Whole weights inside clusters of their own are repeats of the value."""
    values, weight = [0.0, 1.0, 1.0, 0.5, 1.0, 0.0], [1, 3, 2, 1, 4, 2]
    again = [v for v, n in zip(values, weight, strict=True) for _ in range(n)]
    labels = [i for i, n in enumerate(weight) for _ in range(n)]
    found = intervals.share(values, weight=weight)
    whole = intervals.share(again, clusters=labels)
    assert found.estimate == pytest.approx(whole.estimate) == pytest.approx(sum(again) / 13)
    assert found.low <= whole.low + 1e-12
    assert found.high >= whole.high - 1e-12
    assert found.clusters == 6
    even = intervals.share(values, weight=[0.1] * 6)
    plain = intervals.share(values)
    assert (even.low, even.high) == pytest.approx((plain.low, plain.high))
    with pytest.raises(DataError, match="above 0"):
        intervals.share(values, weight=[1, 1, 1, 1, 1, 0])


def test_coverage_of_a_weighted_share() -> None:
    """Hard items are picked surely, easy ones with .2: the truth is the share among all."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        hard = rng.random(60) < 0.5
        weight = np.where(hard, 1.0, 5.0)
        right = rng.random(60) < np.where(hard, 0.5, 0.85)
        found = intervals.share(right.astype(float), weight=weight)
        held += found.low <= (0.5 + 5 * 0.85) / 6 <= found.high
    assert 0.92 <= held / 400 <= 0.99


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)), min_size=2))
def test_a_share_stays_inside(rows: list[tuple[float, int]]) -> None:
    values, clusters = zip(*rows, (0.0, 6), (1.0, 7), strict=True)
    found = intervals.share(values, clusters=clusters)
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert found.low < found.high
    mirror = intervals.share([1 - value for value in values], clusters=clusters)
    assert (mirror.low, mirror.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


@pytest.mark.parametrize("prompts", [16, 128])
@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98, 0.995])
@pytest.mark.parametrize("alike", [0.0, 0.3, 0.9])
def test_coverage_of_a_clustered_share(prompts: int, truth: float, alike: float) -> None:
    """Four answers a prompt, more or less alike."""
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(prompts), 4)
    held = []
    for _ in range(REPEATS):
        chance = np.full(prompts, truth)
        if alike:
            weight = (1 - alike) / alike
            chance = rng.beta(truth * weight, (1 - truth) * weight, size=prompts)
        values = (rng.random(4 * prompts) < chance[clusters]).astype(float)
        found = intervals.share(values, clusters=clusters)
        held.append(found.low <= truth <= found.high)
    near_95(np.array(held), most=0.995)


def test_students_interval_would_not_cover_a_share_near_one() -> None:
    """The test above can fail: `mean` on the same kind of data holds the truth too rarely."""
    rng = np.random.default_rng(12)
    clusters = np.repeat(np.arange(16), 4)
    held = []
    for _ in range(REPEATS):
        values = (rng.random(64) < 0.98).astype(float)
        found = intervals.mean(values, clusters=clusters)
        held.append(found.low <= 0.98 <= found.high)
    assert np.mean(held) < 0.80


def test_one_draw_has_no_interval() -> None:
    for method in (intervals.mean, intervals.bootstrap_mean, intervals.share):
        with pytest.raises(DataError, match="two independent draws"):
            method([1.0])
        with pytest.raises(DataError, match="two independent draws"):
            method([1.0, 0.0, 0.5], clusters=["p", "p", "p"])


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="one cluster a value"):
        intervals.mean([1.0, 2.0], clusters=["a"])
    with pytest.raises(DataError, match="finite"):
        intervals.mean([1.0, math.nan])
    with pytest.raises(DataError, match="flat"):
        intervals.mean([[1.0, 2.0]])
    with pytest.raises(DataError, match="values in"):
        intervals.share([0.0, 1.5])
    with pytest.raises(DataError, match="level"):
        intervals.mean([1.0, 2.0], level=95)
    with pytest.raises(DataError, match="1000 resamples"):
        intervals.bootstrap_mean([1.0, 2.0], resamples=100)
    with pytest.raises(DataError, match="same items"):
        intervals.paired_difference([1.0, 2.0], [1.0])
    for successes, total in ((1, 0), (-1, 3), (4, 3)):
        with pytest.raises(DataError, match="successes"):
            intervals.proportion(successes, total)
