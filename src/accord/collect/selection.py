"""Which candidates become tasks, with the probability that each had.

Two streams make n tasks of N candidates. One is a simple random sample: agreement and accuracy are
measured on it. The other is drawn by a method that looks: with probabilities that follow a size
which the method gives each candidate. Whatever is measured on both together is weighted by one over
the inclusion probability, which is known exactly and positive for every candidate:

    p_i   the method's probability: size over the sum of sizes, at most 1; the p_i sum to m
    pi_i = p_i + (1 - p_i) (n - m) / (N - m)

m candidates are drawn with probabilities p by the pivotal method (Deville and Tille 1998,
Biometrika 85(1), splitting), which meets them exactly. All candidates are put in random order, and
those that the method left out follow in that order until there are n. The first n - m of the order
are a simple random sample of all candidates; all of them are among the n.

Not here: learning the rewards. Their mean and deviation are the caller's numbers, from an ensemble
or a Laplace approximation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Protocol

import numpy as np

from accord.collect.tasks import RANDOM
from accord.core.errors import ConfigError, DataError

LEAST_RANDOM = 0.2
"""Smallest share of tasks that are drawn at random."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Score:
    """The reward of one response as somebody predicts it."""

    mean: float
    deviation: float = 0.0
    """Standard deviation over an ensemble or a posterior; 0 where there is one model alone."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.deviation) and self.deviation >= 0):
            raise DataError(
                "a score is finite, with a deviation of at least 0",
                got=f"{self.mean} +- {self.deviation}",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A task that could be asked: K responses to a prompt."""

    prompt: str
    """Id."""
    responses: tuple[str, ...]
    """Ids."""
    stratum: str | None = None
    cluster: str | None = None
    """Shared by near-duplicates; None: alone."""
    scores: tuple[Score, ...] | None = None
    """One a response, in their order; None where nobody predicted."""

    def __post_init__(self) -> None:
        if self.scores is not None and len(self.scores) != len(self.responses):
            raise DataError(
                "a candidate needs one score a response",
                got=f"{len(self.responses)} responses, {len(self.scores)} scores",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A candidate that becomes a task."""

    candidate: Candidate
    selected_by: str
    """`random` for the simple random sample, else the method's name: also where somebody took the
    place of a candidate that both streams had drawn."""
    inclusion: float
    """Probability that this candidate became a task at all, by whichever stream; in (0, 1]."""


def predicted(rewards: np.ndarray) -> tuple[Score, ...]:
    """Scores of the K responses of a candidate from `rewards` [models, K].

    A reward has no zero: what all responses of a candidate share is taken out of each model first.
    What is left is tied (of two, one rises as the other falls), and the methods take responses as
    independent, so the deviation is multiplied by sqrt(K / (K - 1)): that of the difference of two
    responses is then exact for K = 2, and right on average for more. One model has deviation 0.
    """
    models, k = rewards.shape
    own = rewards - rewards.mean(axis=1, keepdims=True)
    deviation = np.zeros(k)
    if models > 1:
        deviation = own.std(axis=0, ddof=1) * math.sqrt(k / (k - 1))
    return tuple(
        Score(mean=float(mean), deviation=float(spread))
        for mean, spread in zip(own.mean(axis=0), deviation, strict=True)
    )


class Selector(Protocol):
    """A method that looks at candidates. What it gives are sizes, never choices, so that every
    method's probabilities are known."""

    def __call__(self, candidates: Sequence[Candidate]) -> Sequence[float | None]:
        """A size for each, finite and at least 0: the method's probability is proportional to it.

        None where the candidate lacks what the method looks at: then only the random sample can
        bring it in.
        """
        ...


def uncertainty(candidates: Sequence[Candidate]) -> list[float | None]:
    """How much the ensemble disagrees: Var P(first better) over it, the mean over the pairs.

    P = sigmoid(difference of rewards), the difference normal with the two means and deviations,
    taken as independent; 0 where there is one model alone. This is the part of a vote's variance
    that more labels can remove. Votes near one half that every member agrees on are noise of
    raters, and are not looked for.
    """
    return [
        None if one.scores is None else _mean([_disagreement(a, b) for a, b in _pairs(one.scores)])
        for one in candidates
    ]


def gap(candidates: Sequence[Candidate]) -> list[float | None]:
    """The largest gap between two rewards that is plausible: difference of means plus one standard
    deviation of the difference, the largest over the pairs.

    Pairs with a large predicted gap gave the best data for the labels spent in arXiv:2603.09692
    (DeltaUCB and DRTS). There a judge model labels, and the pair is chosen within a prompt; that it
    holds for people, and for choosing among prompts, is not known.
    """
    return [
        None
        if one.scores is None
        else max(
            max(0.0, a.mean - b.mean + math.hypot(a.deviation, b.deviation))
            for a, b in permutations(one.scores, 2)
        )
        for one in candidates
    ]


def coverage(candidates: Sequence[Candidate]) -> list[float | None]:
    """Every stratum alike, within it every cluster of near-duplicates alike, within it every one.

    Candidates without a stratum are a stratum of their own.
    """
    clusters = [one.cluster or one.prompt for one in candidates]
    both = list(zip((one.stratum for one in candidates), clusters, strict=True))
    members = Counter(both)
    inside = Counter(stratum for stratum, _ in members)
    return [1 / (len(inside) * inside[place[0]] * members[place]) for place in both]


METHODS: Mapping[str, Selector | None] = {
    RANDOM: None,
    "uncertainty": uncertainty,
    "gap": gap,
    "coverage": coverage,
}
"""Every method by its name; `random` draws without looking."""


MODELS_NEEDED: Mapping[str, int] = {"uncertainty": 2, "gap": 1}
"""Methods that have nothing to look at without predicted rewards, and of how many models."""


def warning(method: str, models: int) -> str:
    """What speaks against a method with so many reward models, and what to do; empty for nothing.

    Measured by `bench.selection`, labels weighing one over their inclusion.
    """
    if method != "gap" or models != 1:
        return ""
    return (
        "picking by gap with one reward model cost 65 to 126 labels of 500 against random picks, in"
        " five of six circumstances where it was measured; name two reward models of different"
        " seeds (--reward), or ask in a campaign with --selection random"
    )


def method_called(name: str) -> Selector | None:
    """The method of this name. Raises ConfigError, listing all, where there is none."""
    if name not in METHODS:
        raise ConfigError("there is no such selection", got=name, do=f"use {', '.join(METHODS)}")
    return METHODS[name]


def select(
    candidates: Sequence[Candidate],
    n: int,
    *,
    method: str = RANDOM,
    random_share: float = LEAST_RANDOM,
    seed: int,
) -> list[Chosen]:
    """Draw `n` candidates, at least `random_share` of them by simple random sampling.

    The same candidates in any order and the same seed give the same choice. All are taken, with
    inclusion 1, where there are no more than `n`. Where the method has fewer candidates with a
    size above 0 than places, it takes them all and the random sample grows. Raises ConfigError for
    an unknown method or a share below .2, DataError where the method has nothing to look at.
    """
    selector = method_called(method)
    if not LEAST_RANDOM <= random_share <= 1:
        raise ConfigError(f"random_share lies in [{LEAST_RANDOM}, 1]", got=random_share)
    if n < 0:
        raise ConfigError("a number of tasks is at least 0", got=n)
    pool = sorted(candidates, key=lambda one: (one.prompt, one.responses))
    if len({(one.prompt, one.responses) for one in pool}) < len(pool):
        raise DataError("a candidate is there twice: its probability would be wrong")
    if n >= len(pool):
        return [Chosen(candidate=one, selected_by=RANDOM, inclusion=1.0) for one in pool]
    rng = np.random.default_rng([seed, 0x5E1EC7])
    p = np.zeros(len(pool))
    if selector is not None and (room := n - math.ceil(random_share * n - 1e-9)):
        sizes = _checked(selector(pool), pool, method)
        p = probabilities(sizes, min(room, int((sizes > 0).sum())))
    return _draw(pool, n, p, method, rng)


def inclusion(p: np.ndarray, n: int) -> np.ndarray:
    """pi_i of the module's formula, from the method's probabilities `p` (N) and n < N."""
    m = round(float(p.sum()))
    return np.asarray(p + (1 - p) * (n - m) / (len(p) - m))


def probabilities(sizes: np.ndarray, m: int) -> np.ndarray:
    """Probabilities (N) proportional to `sizes` (N, at least m above 0) that sum to m; at most 1.

    What would exceed 1 is taken surely, and the rest shares the other places.
    """
    p = np.zeros(len(sizes))
    if m == 0:
        return p
    sure = np.zeros(len(sizes), dtype=bool)
    while True:
        left = m - int(sure.sum())
        rest = np.where(sure, 0.0, sizes)
        total = rest.sum()
        p = np.where(sure, 1.0, rest * (left / total) if total > 0 else 0.0)
        over = (p >= 1) & ~sure
        if not over.any():
            return p
        sure |= over


def pivotal(p: np.ndarray, order: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Draw each i with probability exactly p[i], as many as they sum to (a whole number).

    Two at a time in `order`: one of them gets as much of both probabilities as it can hold, and is
    settled at 0 or 1; the other goes on with the rest.
    """
    left = p.astype(float).copy()
    small = 1e-9
    current: int | None = None
    for other in order:
        if left[other] < small or left[other] > 1 - small:
            continue
        if current is None:
            current = other
            continue
        a, b = left[current], left[other]
        if a + b < 1:
            keep, lose = (current, other) if rng.random() < a / (a + b) else (other, current)
            left[keep], left[lose] = a + b, 0.0
            current = keep
        else:
            first = rng.random() < (1 - b) / (2 - a - b)
            keep, lose = (current, other) if first else (other, current)
            left[keep], left[lose] = 1.0, a + b - 1
            current = lose
        if left[current] < small or left[current] > 1 - small:
            current = None
    # What is left of one is an error of rounding: the probabilities sum to a whole number.
    return np.flatnonzero(left > 0.5)


def _draw(
    pool: Sequence[Candidate], n: int, p: np.ndarray, method: str, rng: np.random.Generator
) -> list[Chosen]:
    pi = inclusion(p, n)
    # Neighbours in this order compete: near-duplicates first, then others of the same stratum.
    lots = rng.permutation(len(pool))
    place = {stratum: lots[i] for i, stratum in enumerate(sorted({_stratum(one) for one in pool}))}
    order = sorted(
        range(len(pool)),
        key=lambda i: (place[_stratum(pool[i])], pool[i].cluster or pool[i].prompt, lots[i]),
    )
    looked_for = {int(i) for i in pivotal(p, order, rng)}
    at_random = [int(i) for i in rng.permutation(len(pool))]
    sample = set(at_random[: n - round(float(p.sum()))])
    taken = looked_for | sample
    for i in at_random:
        if len(taken) >= n:
            break
        taken.add(i)
    return [
        Chosen(
            candidate=pool[i],
            selected_by=RANDOM if i in sample else method,
            inclusion=min(1.0, float(pi[i])),
        )
        for i in sorted(taken)
    ]


def _stratum(one: Candidate) -> str:
    return one.stratum or ""


def _checked(given: Sequence[float | None], pool: Sequence[Candidate], method: str) -> np.ndarray:
    sizes = np.array([0.0 if size is None else size for size in given])
    if len(sizes) != len(pool) or not np.isfinite(sizes).all() or (sizes < 0).any():
        raise DataError(
            "a selection gives each candidate a finite size of at least 0", where=method
        )
    if not sizes.any():
        scored = sum(one.scores is not None for one in pool)
        raise DataError(
            "this selection has nothing to choose by",
            got=f"{scored} of {len(pool)} candidates have scores, and none differs in them",
            where=method,
            do="give scores of an ensemble, or select by random or coverage",
        )
    return sizes


def _pairs(scores: Sequence[Score]) -> combinations[tuple[Score, Score]]:
    return combinations(scores, 2)


def _disagreement(a: Score, b: Score) -> float:
    """Var sigmoid(X), X normal, by Gauss-Hermite quadrature with 41 nodes."""
    spread = math.hypot(a.deviation, b.deviation)
    if not spread:
        return 0.0
    votes = 1 / (1 + np.exp(-np.clip(a.mean - b.mean + spread * _NODES, -700, 700)))
    mean = float(_WEIGHTS @ votes)
    return float(_WEIGHTS @ (votes - mean) ** 2)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
