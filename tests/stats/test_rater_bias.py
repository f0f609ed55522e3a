"""Tests of raters' habits: by hand, against enumeration, false alarms under the null, and power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.stats import rater_bias
from accord.stats.rater_bias import Finding
from accord.stats.ratings import Floats, Ratings

NAN = math.nan


def test_benjamini_hochberg_by_hand() -> None:
    """.01 * 4, .03 * 4 / 2, .04 * 4 / 3, .5; the third caps the second: .0533."""
    found = rater_bias.benjamini_hochberg([0.03, 0.01, NAN, 0.5, 0.04])
    assert found == pytest.approx([0.16 / 3, 0.04, NAN, 0.5, 0.16 / 3], nan_ok=True)
    assert rater_bias.benjamini_hochberg([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    other = scipy.stats.false_discovery_control(p)
    assert rater_bias.benjamini_hochberg(p) == pytest.approx(other)


def test_position_by_hand() -> None:
    """8 of 9 for the first: p = 2 (9 + 1) / 2^9; the other rater has a tie alone."""
    one, other = rater_bias.position_bias(["a"] * 10 + ["b"], [1] * 8 + [0, 0.5, 0.5])
    assert (one.rater, one.n, one.p) == ("a", 9, pytest.approx(20 / 512))
    assert one.q == one.p
    assert one.interval.estimate == pytest.approx(8 / 9)
    assert one.interval.low == pytest.approx(0.5175, abs=5e-5)  # Clopper-Pearson of 8 in 9
    assert other.n == 0
    assert math.isnan(other.p)
    assert math.isnan(other.interval.estimate)


def test_consistency_by_hand() -> None:
    """2 of 4 against 4 of 4: P(at most 2 of the 6 consistent fall to a) = C(4, 2) / C(8, 2)."""
    before = [1, 1, 0, 0, 1, 1, 0, 0.5]
    after = [1, 0, 1, 0, 1, 1, 0, 0.5]
    one, other = rater_bias.self_consistency(["a"] * 4 + ["b"] * 4, before, after)
    assert (one.interval.estimate, other.interval.estimate) == (0.5, 1)
    assert one.p == pytest.approx(6 / 28)
    assert other.p == 1
    assert math.isnan(rater_bias.self_consistency(["a"], [1], [1])[0].p)


def test_drift_by_hand() -> None:
    """From 4 of 4 to 1 of 4, told out of order: Fisher's p of [[4, 0], [1, 3]] is 16/56 * ..."""
    agreed, when = [0, 0, 1, 0, 1, 1, 1, 1, 0.5], [9, 8, 7, 6, 1, 2, 3, 4, 5]
    (found,) = rater_bias.drift(["a"] * 9, agreed, when)
    assert found.n == 8
    assert found.interval.estimate == pytest.approx(-0.75)
    assert found.p == pytest.approx(2 * 4 / math.comb(8, 5))
    assert -1 < found.interval.low < -0.75 < found.interval.high < 0.3


def test_credit_by_hand() -> None:
    """Others agree 1, differ 0, split 1/2, nobody NaN."""
    votes = Ratings.of_table([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, NAN, NAN]])
    expected = [[1, 1, 1], [0, 0.5, 0.5], [0.5, 0.5, 0], [NAN, NAN, NAN]]
    assert np.array_equal(rater_bias.consensus_credit(votes), expected, equal_nan=True)


def by_enumeration(votes: Floats, column: int) -> float:
    """P(a rater's credit is as small) when each pair's votes are dealt out anew to its raters."""
    values = []
    for row in votes:
        cast = row[~np.isnan(row)]
        if not math.isnan(row[column]) and len(cast) > 1:
            mine = np.flatnonzero(~np.isnan(row)).tolist().index(column)
            values.append((cast, mine))

    def credit(cast: Floats, mine: int) -> float:
        others = np.delete(cast, mine)
        labels, counts = np.unique(others, return_counts=True)
        leaders = labels[counts == counts.max()]
        return 0.0 if cast[mine] not in leaders else 1.0 if len(leaders) == 1 else 0.5

    seen = sum(credit(cast, mine) for cast, mine in values)
    deals = product(*[[credit(cast, other) for other in range(len(cast))] for cast, _ in values])
    chances = [sum(deal) <= seen + 1e-9 for deal in deals]
    return float(np.mean(chances))


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=3, max_size=3), min_size=1, max_size=5
    )
)
def test_consensus_is_dealing_the_votes_anew(table: list[list[float]]) -> None:
    votes = Ratings.of_table(table, scale=[0, 1])
    for column, found in enumerate(rater_bias.consensus_agreement(votes)):
        if found.n:
            assert found.p == pytest.approx(by_enumeration(votes.values, column))
        else:
            assert math.isnan(found.p)


def test_trait_by_hand() -> None:
    """Three pairs; the first rater takes the longer each time, two others never.

    Two-sided: 2 * (1/3)^3. A pair of equal lengths and a tie are left out.
    """
    votes = Ratings.of_table([[1, 0, 0], [0, 1, 1], [1, 0, 0], [1, 0, 0], [0.5, 0, 1]])
    found = rater_bias.trait_bias(votes, [5, -7, 2, 0, 3])
    assert (found[0].n, found[0].p) == (3, pytest.approx(2 / 27))
    assert found[0].interval.estimate == pytest.approx(1)
    assert found[1].interval.estimate == pytest.approx((-0.5 * 3 + 0 - 1) / 4, abs=0.5)


def test_copying_by_hand() -> None:
    """The copy shares 3 of 3 errors and never errs elsewhere (6 pairs): p = max of
    P(3 of 3 | a third of the rest sides with them) and 1 / C(9, 3)."""
    wrong, right = [1, 1, 0, 0], [0, 0, 0, 0]
    votes = Ratings.of_table([wrong] * 3 + [right] * 6, raters=["copy", "source", "x", "y"])
    found = {finding.rater: finding for finding in rater_bias.copying(votes)}
    assert len(found) == 12
    pair = found["copy", "source"]
    assert (pair.n, pair.interval.estimate) == (3, 1)
    assert pair.p == pytest.approx(max((1 / 3) ** 3, 1 / math.comb(9, 3)))
    assert (found["copy", "x"].interval.estimate, found["copy", "x"].p) == (0, 1)


# ---- panels with planted raters ------------------------------------------------------------------

HONEST = ["honest"] * 12


@dataclass(frozen=True)
class Panel:
    """Votes in canonical order, what was shown first, which answer is longer."""

    votes: Ratings
    first_shown: NDArray[np.bool_]
    length: Floats

    def judged(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        items, raters = np.nonzero(~np.isnan(self.votes.values))
        return items, raters

    def position(self) -> tuple[Finding, ...]:
        items, raters = self.judged()
        vote = self.votes.values[items, raters]
        won = np.where(self.first_shown[items, raters], vote, 1 - vote)
        return rater_bias.position_bias(raters.tolist(), won)

    def drift(self) -> tuple[Finding, ...]:
        items, raters = self.judged()
        credit = rater_bias.consensus_credit(self.votes)[items, raters]
        return rater_bias.drift(raters.tolist(), credit, items)

    def trait(self) -> tuple[Finding, ...]:
        return rater_bias.trait_bias(self.votes, self.length)

    def consensus(self) -> tuple[Finding, ...]:
        return rater_bias.consensus_agreement(self.votes)


def panel(seed: int, kinds: Sequence[str], *, overlap: int, sharpness: float = 2.0) -> Panel:
    """60 judgements a rater on pairs whose quality gap is normal; length goes with quality by .5.

    An honest rater prefers the better with the Bradley-Terry probability: two of them agree on 70%
    (77% at sharpness 3).
    """
    rng, people = np.random.default_rng([seed, overlap]), len(kinds)
    items = people * 60 // overlap
    seat = np.zeros((items, people), bool)
    for item in range(items):
        load = seat.sum(axis=0) + 0.5 * rng.random(people)
        seat[item, np.argsort(load)[:overlap]] = True
    gap = rng.normal(size=items)
    length = 0.5 * gap + math.sqrt(0.75) * rng.normal(size=items)
    better = 1 / (1 + np.exp(-sharpness * gap))
    votes = (rng.random((items, people)) < better[:, None]).astype(np.float64)
    first = rng.random((items, people)) < 0.5
    niche = rng.random(items) < 0.35
    for column, kind in enumerate(kinds):
        own = votes[:, column]
        votes[:, column] = {
            "honest": own,
            "random": (rng.random(items) < 0.5).astype(float),
            "first": first[:, column].astype(float),
            "longest": (length > 0).astype(float),
            "inverted": np.where(rng.random(items) < 0.1, 1 - own, own),
            "minority": np.where(niche, rng.random(items) > better, own),
            "copycat": votes[:, (column + 1) % people],
            "tired": np.where(np.arange(items) < items / 2, own, rng.random(items) < 0.5),
        }[kind]
    table = np.where(seat, votes, NAN)
    return Panel(Ratings.of_table(table, scale=[0, 0.5, 1]), first, length)


def called(findings: Sequence[Finding], rater: int) -> bool:
    return any(finding.q < 0.05 for finding in findings if finding.rater == rater)


def test_false_alarms_under_the_null() -> None:
    """60 panels of honest raters: p < .05 in at most 5%, a panel with any call in about 5%."""
    chances: dict[str, list[float]] = {}
    calls: dict[str, list[bool]] = {}
    for seed in range(60):
        drawn = panel(seed, HONEST, overlap=3)
        for name in ("position", "trait", "consensus", "drift"):
            findings = getattr(drawn, name)()
            chances.setdefault(name, []).extend(finding.p for finding in findings)
            calls.setdefault(name, []).append(any(finding.q < 0.05 for finding in findings))
    for name, values in chances.items():
        assert 0.003 < np.mean(np.array(values) < 0.05) <= 0.05 + 3 * 0.0081, name
        assert np.mean(calls[name]) <= 0.05 + 3 * 0.028, name


def test_planted_raters_are_called() -> None:
    """One of 12 by 60 judgements at 5 votes a pair: always-first and longest nearly always."""
    power = {
        ("first", "position"): 0.95,
        ("longest", "trait"): 0.95,
        ("random", "consensus"): 0.7,
    }
    for (kind, question), least in power.items():
        found = [
            called(getattr(panel(seed, [kind, *HONEST[1:]], overlap=5), question)(), 0)
            for seed in range(40)
        ]
        assert np.mean(found) >= least, kind


ARCHETYPES = ["honest", "random", "first", "longest", "copycat", "inverted", "minority"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlap", "sharpness"),
    [
        (3, 2.0),
        pytest.param(3, 3.0, marks=pytest.mark.study),
        pytest.param(5, 2.0, marks=pytest.mark.study),
    ],
)
def test_table_of_power_and_false_alarms(overlap: int, sharpness: float) -> None:
    """200 panels a kind, one planted of 12; q over the position, length and consensus findings."""
    for kind in ARCHETYPES:
        kinds = [kind, *HONEST[1:]]
        hits: dict[str, list[bool]] = {}
        alarms, any_hit = [], []
        for seed in range(200):
            drawn = panel(seed, kinds, overlap=overlap, sharpness=sharpness)
            asked = {name: getattr(drawn, name)() for name in ("position", "trait", "consensus")}
            for name, findings in asked.items():
                hits.setdefault(name, []).append(called(findings, 0))
            pooled = rater_bias.together(f for findings in asked.values() for f in findings)
            blamed = {finding.rater for finding in pooled if finding.q < 0.05}
            any_hit.append(0 in blamed)
            alarms += [rater in blamed for rater in range(1, 12)]
        rates = {name: float(np.mean(values)) for name, values in hits.items()}
        print(overlap, sharpness, kind, rates, "any", np.mean(any_hit), "alarms", np.mean(alarms))
        assert np.mean(alarms) <= 0.05
        if kind in ("first", "longest"):
            assert np.mean(any_hit) >= 0.95
        if kind == "random" and (overlap, sharpness) != (3, 2.0):
            assert rates["consensus"] >= 0.7
        if kind == "honest":
            assert np.mean(any_hit) <= 0.05


@pytest.mark.slow
def test_power_of_repeats_drift_and_copying() -> None:
    """Self-consistency at 20 repeats, a rater tired by half of 120 judgements, a copy on 60 shared
    pairs with all 12 raters."""
    rng, repeats, drifts, copies, honest = np.random.default_rng(1), [], [], [], []
    raters = np.repeat(np.arange(12), 20)
    for seed in range(100):
        before = rng.integers(0, 2, size=240)
        same = np.where(raters == 0, rng.random(240) < 0.5, rng.random(240) < 0.85)
        found = rater_bias.self_consistency(
            raters.tolist(), before, np.where(same, before, 1 - before)
        )
        repeats.append(found[0].p < 0.05)
        long = panel(seed, ["tired", *HONEST[1:]], overlap=5, sharpness=3.0)
        drifts += [finding.p < 0.05 for finding in long.drift() if finding.rater == 0]
        shared = panel(seed, ["copycat", *HONEST[1:]], overlap=12)
        pairs = {f.rater: f for f in rater_bias.copying(shared.votes)}
        copies.append(pairs[0, 1].q < 0.05)
        honest += [f.q < 0.05 for pair, f in pairs.items() if not {0, 1} & set(pair)]
    print(f"repeats {np.mean(repeats)}, drift {np.mean(drifts)}, copies {np.mean(copies)}")
    assert np.mean(repeats) > 0.8
    assert np.mean(copies) > 0.8
    assert np.mean(drifts) > 0.3
    assert np.mean(honest) < 0.01


@pytest.mark.parametrize("accuracy", [[0.5] * 2 + [0.8] * 5, [0.8] * 7, [0.9] * 2 + [0.75] * 8])
def test_guessers_and_experts_are_not_called_copies(accuracy: list[float]) -> None:
    """Ten panels: two who guess err together often, two experts agree often."""
    alarms, calls = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, size=(300, 1))
        right = rng.random((300, len(accuracy))) < accuracy
        found = rater_bias.copying(
            Ratings.of_table(np.where(right, truth, 1 - truth), scale=[0, 1])
        )
        alarms += [finding.p < 0.05 for finding in found]
        calls.append(any(finding.q < 0.05 for finding in found))
    assert np.mean(alarms) <= 0.05
    assert np.mean(calls) <= 0.1


@pytest.mark.slow
def test_the_trait_interval_holds() -> None:
    """The excess of an honest rater among honest ones is 0: 95% +- 3 * .0063 of 1200."""
    held = [
        finding.interval.low <= 0 <= finding.interval.high
        for seed in range(100)
        for finding in panel(seed, HONEST, overlap=3).trait()
    ]
    assert 0.93 <= np.mean(held) <= 0.97


def test_bad_input_is_refused() -> None:
    votes = Ratings.of_table([[1, 0], [0, 1]])
    with pytest.raises(DataError, match="p-values"):
        rater_bias.benjamini_hochberg([1.5])
    with pytest.raises(DataError, match="rater and an outcome"):
        rater_bias.position_bias(["a"], [1, 0])
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        rater_bias.position_bias(["a"], [2])
    with pytest.raises(DataError, match="finite time"):
        rater_bias.drift(["a"], [1], [NAN])
    with pytest.raises(DataError, match="finite lead"):
        rater_bias.trait_bias(votes, [1])
    with pytest.raises(DataError, match=r"0, \.5 or 1"):
        rater_bias.trait_bias(Ratings.of_table([[1, 2]]), [1])
