"""How far a reward model can be believed on held-out comparisons, beside simple baselines.

Shape letters:  P = pairs of the held-out comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from accord.core.errors import DataError
from accord.core.types import OVERALL, Comparison
from accord.stats import baselines, calibration, intervals, ranking

BASELINE_COMPARISONS = 20_000
"""Training comparisons that the word baseline is fitted on, at most."""
PROBE = "linear probe"
"""What the baseline of the frozen model's own states is called."""
LEAST_PAIRS = 50
"""Held-out pairs without ties that a temperature is fitted on, at least: fewer say next to nothing
of it, and of a handful that are all right it would make certainty."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Quantiles of the length gap between which accuracy is shown."""


class _Pairs:
    """Pairs of comparisons as texts, in the order in which `Comparison.pairs` gives them."""

    def __init__(self, comparisons: Iterable[Comparison]) -> None:
        self.first: list[str] = []
        self.second: list[str] = []
        prompts: list[str] = []
        asked: dict[tuple[str, tuple[str, ...]], str] = {}
        asked_of: list[str] = []
        self.sources: list[str] = []
        about: list[str] = []
        label: list[float] = []
        weight: list[float] = []
        for comparison in comparisons:
            prompt = comparison.prompt.digest
            number = asked.setdefault((prompt, comparison.responses), str(len(asked)))
            listed = list(comparison.pairs())
            for pair in listed:
                self.first.append(comparison.responses[pair.first])
                self.second.append(comparison.responses[pair.second])
                prompts.append(prompt)
                asked_of.append(number)
                self.sources.append(comparison.source.partition(":")[0] or "unnamed")
                about.append(comparison.criterion)
                label.append(pair.label)
                weight.append(comparison.training_weight / len(listed))
        self.criteria = np.array(about, dtype=object)
        self.label = np.array(label)
        self.weight = np.array(weight)
        # Where everybody answered one prompt, what was asked about is what was drawn: several
        # judgements of the same responses are one draw.
        self.clusters = np.array(prompts if len(set(prompts)) > 1 else asked_of)
        self.members = self._shared(prompts, asked_of)

    def _shared(self, prompts: list[str], asked_of: list[str]) -> NDArray[np.intp] | None:
        """Two numbers a pair, of its responses, where responses of one prompt stand in several
        comparisons: then they are what was drawn, and not the comparisons. Else None."""
        if len(set(prompts)) > 1:
            return None
        number: dict[str, int] = {}
        texts = zip(self.first, self.second, strict=True)
        pairs = [tuple(number.setdefault(t, len(number)) for t in pair) for pair in texts]
        met: dict[int, set[str]] = {}
        for pair, asked in zip(pairs, asked_of, strict=True):
            for one in pair:
                met.setdefault(one, set()).add(asked)
        several = any(len(asked) > 1 for asked in met.values())
        return np.array(pairs, dtype=np.intp) if several else None


@dataclass(frozen=True, slots=True)
class _Judged:
    """Pairs that are no ties: whether the model was right, what they weigh, what was drawn."""

    credit: NDArray[np.float64]
    weight: NDArray[np.float64]
    clusters: NDArray[np.str_]
    members: NDArray[np.intp] | None = None
    """The responses of each pair, where those are what was drawn."""

    def only(self, inside: NDArray[np.bool_]) -> _Judged:
        """Some of them."""
        members = None if self.members is None else self.members[inside]
        return _Judged(self.credit[inside], self.weight[inside], self.clusters[inside], members)

    @property
    def accuracy(self) -> float:
        """Weighted share of them that the model has right."""
        return float(np.average(self.credit, weights=self.weight))

    @property
    def interval(self) -> list[float] | None:
        """Limits of the accuracy; None where one thing was drawn alone."""
        if len(set(self.clusters)) < 2:
            return None
        if self.members is not None and (self.weight == self.weight[0]).all():
            of_pairs = intervals.bootstrap_pairs(self.credit, self.members)
            return [max(0.0, of_pairs.low), min(1.0, of_pairs.high)]
        # Only relations count; equal weights are none, so that nothing is rounded.
        equal = (self.weight == self.weight[0]).all()
        weight = None if equal else self.weight
        found = intervals.share(self.credit, clusters=self.clusters, weight=weight)
        return [found.low, found.high]


def audit(
    known: Iterable[Comparison],
    held: Iterable[Comparison],
    lead_P: NDArray[np.float64],
    *,
    probe_P: NDArray[np.float64] | None = None,
) -> dict[str, object]:
    """Accuracy, calibration and baselines as JSON values; {} where every held-out pair is a tie.

    What is learned of comparisons about a criterion, baselines too, is held against those about it.
    Accuracies weigh a pair as training does: what was picked on purpose, or judged by many, does
    not count for more. Calibration counts every pair once. Pairs that weigh nothing are left out.
    `lead_P` are raw score differences, first less second, of the pairs of `held` in their order;
    `known` are the training comparisons, which fit the word baseline; `probe_P` are the leads of a
    linear probe of the frozen model on the same pairs. Intervals are over prompts, or over sets of
    responses where all have the same prompt.
    Raises DataError where leads and pairs differ in number.
    """
    pairs = _Pairs(held)
    if any(len(pairs.label) != len(one) for one in (lead_P, probe_P) if one is not None):
        raise DataError("the audit needs one lead a pair", got=f"{len(lead_P)}, {len(pairs.label)}")
    credit, decided = ranking.pair_credit(lead_P, pairs.label)
    clear = decided & (pairs.weight > 0)
    if not clear.any():
        return {}
    members = None if pairs.members is None else pairs.members[clear]
    judged = _Judged(credit[clear[decided]], pairs.weight[clear], pairs.clusters[clear], members)
    return {
        "pairs": int(clear.sum()),
        "ties": int((~decided).sum()),
        "accuracy": judged.accuracy,
        "interval": judged.interval,
        "baselines": _baselines(known, pairs) | _probe(pairs, probe_P),
        "over_probe": None if probe_P is None else _over(pairs, judged, clear, probe_P),
        "by_length_gap": _by_length_gap(pairs, judged, clear),
        "by_source": [
            _slice(name, judged.only(inside))
            for name in sorted(set(pairs.sources))
            if (inside := np.array(pairs.sources)[clear] == name).any()
        ],
        "by_criterion": [
            _slice(name or OVERALL, judged.only(inside))
            for name in sorted(set(pairs.criteria) if any(pairs.criteria) else ())
            if (inside := pairs.criteria[clear] == name).any()
        ],
        **_calibration(lead_P[clear], pairs.label[clear]),
    }


def fit_temperature(held: Iterable[Comparison], lead_P: NDArray[np.float64]) -> dict[str, object]:
    """The temperature of raw leads, and the ECE before and after it, as JSON values.

    `temperature` is fitted on all pairs of `held` that are no ties (Guo et al. 2017,
    arXiv:1706.04599); it is 1, and `fitted` false, where they are fewer than `LEAST_PAIRS` or no
    finite one fits. `ece_after` is measured on pairs that their own temperature was not fitted on:
    every second prompt, and then the others.
    Raises DataError where leads and pairs differ in number.
    """
    pairs = _Pairs(held)
    if len(pairs.label) != len(lead_P):
        raise DataError("a temperature needs one lead a pair", got=f"{len(lead_P)} leads")
    clear = (pairs.label != 0.5) & (pairs.weight > 0)
    lead, label = lead_P[clear], pairs.label[clear]
    order: dict[str, int] = {}
    half = np.array([order.setdefault(c, len(order)) % 2 for c in pairs.clusters[clear]])
    found: dict[str, object] = {"temperature": 1.0, "fitted": False, "pairs": len(label)}
    if len(label) < LEAST_PAIRS or len(order) < 2:
        return found
    value = calibration.temperature(lead, label)
    if value in calibration.TEMPERATURE_BOUNDS:
        return found
    cooled = lead.copy()
    for one in (0, 1):
        other = calibration.temperature(lead[half != one], label[half != one])
        cooled[half == one] /= other
    before, after = (
        calibration.ece(*calibration.favourites(expit(one), label)) for one in (lead, cooled)
    )
    return found | {
        "temperature": value,
        "fitted": True,
        "ece_before": before,
        "ece_after": after,
    }


def _calibration(lead: NDArray[np.float64], label: NDArray[np.float64]) -> dict[str, object]:
    """Of the favourite's side, so that the order in which a pair is listed does not count."""
    said, happened = calibration.favourites(expit(lead), label)
    table = calibration.reliability(said, happened)
    return {
        "ece": calibration.ece(said, happened),
        "brier": calibration.brier(expit(lead), label),
        "temperature": calibration.temperature(lead, label),
        "bins": [
            {"predicted": b.probability, "observed": b.outcome, "count": b.count} for b in table
        ],
    }


def _baselines(known: Iterable[Comparison], pairs: _Pairs) -> dict[str, float]:
    found = {
        "longer wins": baselines.longer_wins(
            pairs.first, pairs.second, pairs.label, weight=pairs.weight
        )
    }
    train = list(islice(known, BASELINE_COMPARISONS))
    lead = np.zeros(len(pairs.label))
    for name in set(pairs.criteria):
        own = _Pairs(row for row in train if row.criterion == name)
        try:
            words = baselines.fit_tfidf(own.first, own.second, own.label)
        except DataError:  # too little text to share a word: there is no such baseline then
            return found
        inside = np.flatnonzero(pairs.criteria == name)
        first, second = ([texts[i] for i in inside] for texts in (pairs.first, pairs.second))
        lead[inside] = words.score(first) - words.score(second)
    return found | {
        "TF-IDF Bradley-Terry": ranking.pair_accuracy(lead, pairs.label, weight=pairs.weight)
    }


def _probe(pairs: _Pairs, probe_P: NDArray[np.float64] | None) -> dict[str, float]:
    if probe_P is None:
        return {}
    return {PROBE: ranking.pair_accuracy(probe_P, pairs.label, weight=pairs.weight)}


def _over(
    pairs: _Pairs, judged: _Judged, clear: NDArray[np.bool_], probe_P: NDArray[np.float64]
) -> dict[str, float] | None:
    """Accuracy of the model less that of the probe, on the same pairs."""
    credit, decided = ranking.pair_credit(probe_P, pairs.label)
    if len(set(judged.clusters)) < 2:
        return None
    other = credit[clear[decided]]
    if judged.members is not None and (judged.weight == judged.weight[0]).all():
        found = intervals.mean_of_pairs(judged.credit - other, judged.members)
    else:
        found = intervals.paired_difference(
            judged.credit, other, clusters=judged.clusters, weight=judged.weight
        )
    return {"value": found.estimate, "low": found.low, "high": found.high}


def _by_length_gap(
    pairs: _Pairs, judged: _Judged, clear: NDArray[np.bool_]
) -> list[dict[str, object]]:
    """By how many characters the better answer is longer than the worse."""
    gap = np.array([len(a) - len(b) for a, b in zip(pairs.first, pairs.second, strict=True)])
    gap = (gap * np.sign(pairs.label - 0.5))[clear]
    edges = np.unique(np.quantile(gap, SHARES))
    found = []
    for low, high in pairwise(edges):
        inside = (gap >= low) & ((gap < high) | (high == edges[-1]) & (gap <= high))
        if inside.any():
            name = f"better one {low:+.0f} to {high:+.0f} characters"
            found.append(_slice(name, judged.only(inside)))
    return found


def _slice(name: str, judged: _Judged) -> dict[str, object]:
    low, high = judged.interval or (None, None)
    return {
        "name": name,
        "pairs": len(judged.credit),
        "accuracy": judged.accuracy,
        "low": low,
        "high": high,
    }
