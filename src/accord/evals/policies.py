"""What policies are worth on held-out prompts: means, paired changes and best-of-n, with intervals.

Shape letters: P = prompts; S = samples a prompt. Prompts, not answers, are the independent unit:
every interval is over prompts. Where there is one prompt alone its answers are the unit, and the
figures say nothing about another prompt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from accord.core.errors import DataError
from accord.stats import best_of as sampled
from accord.stats import intervals
from accord.stats.standardised import at_like_trait, share_met

DETECTABLE = float(ndtri(0.975) + ndtri(0.8))
"""Standard errors of the least change that is found with a power of .8 at 5%, two-sided: 2.80."""
AT_LENGTH = "gold_at_length"
"""Name of the change of the truth that is left between answers of like length."""
MET = 0.8
"""Share of the new answers that must have a length at which the old ones are no exception."""
SHARES = ("stopped",)
"""Measures that are yes or no for each answer."""


class BestOf(TypedDict):
    """What picking the best of n by score is worth, each a mean over prompts with its interval."""

    n: int
    kl: float
    """Most KL to the policy that was sampled, nats."""
    levels: dict[str, dict[str, float]]
    """Score and, where known, gold of the answer that was picked."""
    changes: dict[str, dict[str, float]]
    """The same less the policy's own mean on the same prompt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What was measured of one policy's answers, each `[P, S]`."""

    kl: NDArray[np.float64]
    """log(policy / reference) of the answer, nats: its mean estimates KL(policy || reference)."""
    length: NDArray[np.float64]
    """Tokens, stop token included."""
    stopped: NDArray[np.float64]
    """1 where the answer ended by the stop token."""
    score: NDArray[np.float64] | None = None
    """The proxy: the reward model's score."""
    gold: NDArray[np.float64] | None = None
    """The truth, where it is known."""
    more: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Whatever else was measured, by name."""

    def __post_init__(self) -> None:
        for name, value in self.measures().items():
            if value.shape != self.kl.shape:
                raise DataError(
                    f"{name} has another shape", got=f"{value.shape}, kl {self.kl.shape}"
                )

    def measures(self) -> dict[str, NDArray[np.float64]]:
        """Everything that was measured, by name."""
        known = {"kl": self.kl, "length": self.length, "stopped": self.stopped}
        if self.score is not None:
            known["score"] = self.score
        if self.gold is not None:
            known["gold"] = self.gold
        return known | dict(self.more)

    def picked(self, n: int) -> Answers:
        """The best by score of the first `n` answers to each prompt, the first of equals, as a
        policy of its own; its KL is the most that it can be (`stats.best_of.kl_bound`).

        Raises DataError where there is no score or there are fewer answers.
        """
        if self.score is None or not 1 <= n <= self.score.shape[1]:
            raise DataError("best of n needs a score and n answers a prompt", got=n)
        best_P1 = self.score[:, :n].argmax(1)[:, None]
        picked = {
            name: np.take_along_axis(value, best_P1, 1) for name, value in self.measures().items()
        }
        kl = np.full(best_P1.shape, sampled.kl_bound(n))
        return Answers(
            kl=kl,
            length=picked["length"],
            stopped=picked["stopped"],
            score=picked["score"],
            gold=picked.get("gold"),
            more={name: picked[name] for name in self.more},
        )


def summarise(answers: Answers) -> dict[str, dict[str, float]]:
    """Mean of every measure with its 95% interval over prompts."""
    return {
        name: _share(value) if name in SHARES else _interval(value)
        for name, value in answers.measures().items()
    }


def compare(before: Answers, after: Answers) -> dict[str, dict[str, float]]:
    """Mean change of every measure on the same prompts, with its paired 95% interval.

    Where the truth is known, `AT_LENGTH` is its change against answers of like length, unless there
    are too few of them (`MET`). Prompts may have other numbers of answers before and after; a
    single prompt, whose answers are the unit, may not. Raises DataError for that and for other
    numbers of prompts.
    """
    old, new = before.measures(), after.measures()
    if len(before.kl) != len(after.kl) or (
        len(before.kl) == 1 and before.kl.shape != after.kl.shape
    ):
        raise DataError(
            "answers to other prompts cannot be compared",
            got=f"shapes {before.kl.shape} and {after.kl.shape}",
        )
    if len(before.kl) == 1:
        return {name: _change(new[name][0] - old[name][0]) for name in new if name in old}
    changes = {name: _change(new[name].mean(1) - old[name].mean(1)) for name in new if name in old}
    met = share_met(before.length, after.length) >= MET
    if before.gold is not None and after.gold is not None and met:
        found = at_like_trait(
            before.gold, after.gold, trait_before_PS=before.length, trait_after_PS=after.length
        )
        changes[AT_LENGTH] = {"value": found.estimate, "low": found.low, "high": found.high}
    return changes


def best_of(answers: Answers, sizes: Sequence[int]) -> list[BestOf]:
    """Score and truth of the best of n by score, with the KL it costs at most.

    Empty where there is no score, and for one prompt alone: an interval takes two.
    """
    if answers.score is None or len(answers.kl) < 2:
        return []
    rows = []
    for n in sizes:
        row = BestOf(n=n, kl=sampled.kl_bound(n), levels={}, changes={})
        for name in ("score", "gold"):
            if (value_PS := answers.measures().get(name)) is not None:
                pairs = zip(answers.score, value_PS, strict=True)
                best_P = np.array([sampled.best_of(proxy, worth, n) for proxy, worth in pairs])
                row["levels"][name] = _interval(best_P[:, None])
                row["changes"][name] = _interval((best_P - value_PS.mean(1))[:, None])
        rows.append(row)
    return rows


def _share(value_PS: NDArray[np.float64]) -> dict[str, float]:
    """Of yes-or-no values: the interval stays between 0 and 1."""
    prompt_PS = np.broadcast_to(np.arange(len(value_PS))[:, None], value_PS.shape)
    found = intervals.share(
        value_PS.ravel(), clusters=prompt_PS.ravel() if len(value_PS) > 1 else None
    )
    return {"value": found.estimate, "low": found.low, "high": found.high}


def _change(value: NDArray[np.float64]) -> dict[str, float]:
    """With the least true change that a test at 5% finds 4 times in 5 on as many draws of the same
    spread (Bloom 1995, doi.org/10.1177/0193841X9501900504)."""
    found = intervals.mean(value)
    least = DETECTABLE * float(value.std(ddof=1)) / math.sqrt(len(value))
    return {"value": found.estimate, "low": found.low, "high": found.high, "detectable": least}


def _interval(value_PS: NDArray[np.float64]) -> dict[str, float]:
    found = intervals.mean(value_PS.mean(1) if len(value_PS) > 1 else value_PS[0])
    return {"value": found.estimate, "low": found.low, "high": found.high}
