"""What raters together say of each pair: by majority, and by believing some more than others.

A label with its probabilities, never a truth: where raters have several tastes, a majority is the
larger one, and Dawid-Skene the larger one with more confidence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accord.collect.tasks import Purpose
from accord.collect.votes import WORK, Table, Votes
from accord.stats.raters import Form, dawid_skene, majority
from accord.stats.ratings import Floats

CHOICES = (0.0, 0.5, 1.0)
"""The higher place is better, a tie, the lower place is better: order of every triple here."""
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What raters say of one pair of places of one task."""

    task: str
    prompt: str
    one: int
    """Lower canonical place."""
    other: int
    votes: int
    shares: Triple
    """Of the votes."""
    majority: float | None
    """1: `one` is better, 0: `other`, .5: a tie; None where several lead."""
    one_coin: Triple
    """Posterior of Dawid-Skene with one number a rater."""
    full: Triple
    """Posterior of Dawid-Skene with a table a rater: for many judgements of each."""
    decided: float | None
    """What a lead said of the pair; None where nobody was asked."""

    @property
    def believed(self) -> float:
        """The likeliest choice by one-coin Dawid-Skene."""
        return CHOICES[int(np.argmax(self.one_coin))]


def consensus(votes: Votes) -> tuple[Label, ...]:
    """Labels of every pair of every work task that somebody ordered, raters in quarantine left
    out."""
    used = votes.trusted()
    work = used.of(*WORK)
    if not any(row.best is not None for row in work.rows):
        return ()
    table = work.pairs()
    counts = table.ratings.counts()
    total = counts.sum(axis=1)
    led = majority(table.ratings).label
    coin = dawid_skene(table.ratings, form=Form.ONE_COIN).posterior
    full = dawid_skene(table.ratings, form=Form.FULL).posterior
    decided = _decided(used)
    labels = []
    for row, (task, one, other) in enumerate(_items(table)):
        labels.append(
            Label(
                task=task,
                prompt=table.prompts[row],
                one=one,
                other=other,
                votes=int(total[row]),
                shares=_triple(counts[row] / total[row]),
                majority=None if math.isnan(led[row]) else float(led[row]),
                one_coin=_triple(coin[row]),
                full=_triple(full[row]),
                decided=decided.get((task, one, other)),
            )
        )
    return tuple(labels)


def _items(table: Table) -> list[tuple[str, int, int]]:
    return [(str(i[0]), int(i[1]), int(i[2])) for i in table.ratings.items if isinstance(i, tuple)]


def _triple(values: Floats) -> Triple:
    low, tie, high = (float(value) for value in values)
    return low, tie, high


def _decided(votes: Votes) -> dict[tuple[str, int, int], float]:
    """The newest word of a lead on each pair of the task that was adjudicated."""
    found: dict[tuple[str, int, int], float] = {}
    for row in votes.of(Purpose.ADJUDICATION).rows:
        if row.repeats is None or row.best is None or row.tiers is None:
            continue
        for other in range(len(row.tiers)):
            for one in range(other):
                gap = row.tiers[other] - row.tiers[one]
                found[row.repeats, one, other] = float(1 + np.sign(gap)) / 2
    return found
