"""From the notes of the reward and eval stages to the values that a report is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.metrics import Better
from accord.evals.policies import BestOf
from accord.evals.report.data import (
    Answer,
    Bin,
    Calibration,
    EvalFigure,
    KLSpent,
    Measure,
    SamplePair,
    Slice,
)
from accord.pipeline.config import STAGES

_MEASURES: dict[str, tuple[str, Measure, Better, str]] = {
    "score": (
        "score",
        Measure.PROXY,
        Better.UP,
        "Mean reward-model score of an answer: what training pushed up.",
    ),
    "gold": (
        "gold",
        Measure.GOLD,
        Better.UP,
        "Mean known truth of an answer; the reward model never saw it.",
    ),
    "kl": (
        "nats",
        Measure.KL,
        Better.NEITHER,
        "Mean log(policy / reference) of an answer: the distance from the reference.",
    ),
    "length": (
        "tokens",
        Measure.OTHER,
        Better.NEITHER,
        "Mean length of an answer, stop token included.",
    ),
    "stopped": ("share", Measure.OTHER, Better.UP, "Answers that ended by the stop token."),
    "start_logp": (
        "nats",
        Measure.OTHER,
        Better.NEITHER,
        "Log-probability of a token under the base model: text that it finds very unlikely is odd.",
    ),
    "distinct": (
        "share",
        Measure.OTHER,
        Better.UP,
        "Different pairs of neighbouring words, of one answer a prompt; falls if they get alike.",
    ),
    "repeated": (
        "share",
        Measure.OTHER,
        Better.DOWN,
        "Runs of three words that the same answer said before.",
    ),
    "written": (
        "share",
        Measure.OTHER,
        Better.UP,
        "How probable the judge finds it that somebody wrote the text.",
    ),
    "vader": (
        "score",
        Measure.OTHER,
        Better.NEITHER,
        "Sentiment by the package vaderSentiment: a list of words, which a list of words fools.",
    ),
}


_JUDGED = ("score", "gold")
"""What policies are compared by, other than with the start."""


def eval_figures(evaluation: Mapping[str, Any]) -> tuple[EvalFigure, ...]:
    """Levels of every policy, paired changes, and best-of-n, out of the eval stage's note."""
    before, n = evaluation["before"], evaluation["prompts"]
    levels = [
        _figure(name, policy, measured[name], n=n)
        for policy, measured in in_order(evaluation["policies"], before)
        for name in _MEASURES
        if name in measured
    ]
    changes = [
        _figure(name, policy, measured[name], n=n, versus=before)
        for policy, measured in in_order(evaluation["changes"], before)
        for name in _MEASURES
        if name in measured and name != "kl"
    ]
    duels = [
        _figure(name, policy, measured[name], n=n, versus=other)
        for policy, others in in_order(evaluation.get("duels", {}), before)
        for other, measured in others.items()
        for name in _JUDGED
        if name in measured
    ]
    return (*levels, *changes, *duels, *_best_of(evaluation["best_of"], before, n))


def in_order(measured: Mapping[str, Any], before: str) -> list[tuple[str, Any]]:
    """What was measured of each policy: the start, baselines, then in the order of training."""
    names = (before, *(name for name in measured if name not in STAGES), *STAGES)
    return sorted(measured.items(), key=lambda item: names.index(item[0]))


def key_figures(figures: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The reward model's accuracy and what each policy changed, one line each."""
    audit = figures.get("reward", {}).get("audit")
    if audit:
        bound = figures.get("compare", {}).get("bayes_bound")
        best = f", best possible {bound:.1%}" if bound is not None else ""
        rules = "".join(f", {name} {value:.1%}" for name, value in audit["baselines"].items())
        yield f"reward model: held-out accuracy {audit['accuracy']:.1%}{best}{rules}"
    evaluation = figures.get("eval", {}).get("evaluation", {})
    if not evaluation:
        return
    for policy, changes in in_order(evaluation["changes"], evaluation["before"]):
        told = [
            f"{name} {one['value']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"
            for name in ("score", "gold")
            if (one := changes.get(name)) is not None
        ]
        drift = evaluation["policies"][policy]["kl"]["value"]
        told.append(f"KL {drift:.2f} nats")
        yield f"{policy} against {evaluation['before']}: {', '.join(told)}"


def _figure(
    name: str, policy: str, value: Mapping[str, float], *, n: int, versus: str = ""
) -> EvalFigure:
    unit, measure, better, meaning = _MEASURES[name]
    return EvalFigure(
        name=name,
        policy=policy,
        value=value["value"],
        low=value.get("low"),
        high=value.get("high"),
        unit=unit,
        meaning=meaning,
        versus=versus,
        measure=measure,
        better=better,
        n=n,
    )


def _best_of(rows: Sequence[BestOf], policy: str, n: int) -> Iterator[EvalFigure]:
    more = [row for row in rows if row["n"] > 1]
    for versus in ("", policy):
        for row in more:
            meaning = (
                f"No training: the best by score of {row['n']} answers, at a KL of at most "
                f"{row['kl']:.2f} nats."
            )
            measured = row["changes"] if versus else row["levels"]
            for name in (name for name in _MEASURES if name in measured):
                whole = _figure(name, policy, measured[name], n=n, versus=versus)
                best = f"best of {row['n']}"
                yield replace(
                    whole,
                    name=name if versus else f"{name}, {best} by score",
                    policy=best if versus else policy,
                    meaning=meaning,
                    measure=Measure.OTHER,
                )


def reward_calibration(
    audit: Mapping[str, Any], *, bayes_bound: float | None
) -> Calibration | None:
    """The reward model's audit; None where there was no pair to judge it by."""
    if not audit:
        return None
    interval, over = audit["interval"], audit.get("over_probe")
    return Calibration(
        bins=tuple(Bin(**one) for one in audit["bins"]),
        ece=audit["ece"],
        brier=audit["brier"],
        accuracy=audit["accuracy"],
        interval=None if interval is None else (interval[0], interval[1]),
        pairs=audit["pairs"],
        baselines=audit["baselines"],
        over_probe=None if over is None else (over["value"], over["low"], over["high"]),
        by_length_gap=tuple(Slice(**one) for one in audit["by_length_gap"]),
        by_source=tuple(Slice(**one) for one in audit["by_source"]),
        bayes_bound=bayes_bound,
        temperature=audit["temperature"],
    )


def kl_spent(
    evaluation: Mapping[str, Any], policy: str, *, budget: float | None, ended: bool
) -> KLSpent | None:
    """How far a policy went from its reference, on held-out prompts."""
    measured = evaluation["policies"].get(policy)
    if measured is None:
        return None
    return KLSpent(nats=measured["kl"]["value"], budget=budget, ended_by_budget=ended)


def samples(path: Path) -> tuple[SamplePair, ...]:
    """The answers that the eval stage kept, side by side. Raises WorkspaceError where damaged."""
    try:
        shown = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            SamplePair(
                prompt=one["prompt"],
                answers=tuple(Answer(**answer) for answer in one["answers"]),
            )
            for one in shown
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            "the kept answers of an evaluation cannot be read",
            got=str(error),
            where=path,
            do=f"delete {path.parent} and run again",
        ) from None
