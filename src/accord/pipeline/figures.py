"""From the notes of the reward and eval stages to the values that a report is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.metrics import Better
from accord.evals.policies import AT_LENGTH, BestOf
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
from accord.evals.report.parts import Estimate, Heap, JudgeTrial, Trick, Truth
from accord.pipeline.arms import BEST, in_order, label

_MEASURES: dict[str, tuple[str, Measure, Better, str]] = {
    "score": (
        "score",
        Measure.PROXY,
        Better.UP,
        "Mean reward-model score of an answer: what training pushed up.",
    ),
    "gold": ("gold", Measure.GOLD, Better.UP, ""),
    AT_LENGTH: (
        "gold",
        Measure.GOLD_AT_LENGTH,
        Better.UP,
        "Its change against answers of like length: what their length does not account for.",
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
        "Different ones among so many pairs of neighbouring words: less where answers are alike.",
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


def judge_trial(note: Mapping[str, Any], *, trained_on: int | None = None) -> JudgeTrial | None:
    """The judge's figures on texts and tricks apart from its own; None where there are none."""
    if not note:
        return None
    heap = note.get("heap")
    return JudgeTrial(
        texts=note["texts"],
        liked=note["liked"],
        accuracy=estimate(note["accuracy"]),
        gap=note["gap"],
        r=note["r"],
        doubted=estimate(note["doubted"]),
        liked_doubted=estimate(note["liked_doubted"]),
        tricks=tuple(
            Trick(
                name=one["name"],
                texts=one["texts"],
                above=estimate(one["above"]),
                shown=one["shown"],
                beside=one.get("beside", {}),
            )
            for one in note.get("tricks", ())
        ),
        heap=None
        if heap is None
        else Heap(
            text=heap["text"],
            above=heap["above"],
            beside={
                name: one["score"] > one["median_liked"]
                for name, one in heap.get("beside", {}).items()
            },
        ),
        trained_on=trained_on,
    )


def estimate(note: Mapping[str, float]) -> Estimate:
    """A figure of a note."""
    return Estimate(value=note["value"], low=note.get("low"), high=note.get("high"))


def eval_figures(
    evaluation: Mapping[str, Any], truth: Truth | None = None
) -> tuple[EvalFigure, ...]:
    """Levels of every policy, paired changes, and best-of-n, out of the eval stage's note.

    `truth` says what the figures of gold are called, in which unit, and what they mean.
    """
    known = truth or Truth()
    before, n = evaluation["before"], evaluation["prompts"]
    levels = [
        _figure(name, policy, measured[name], known, n=n)
        for policy, measured in in_order(evaluation["policies"], before)
        for name in _MEASURES
        if name in measured
    ]
    changes = [
        _figure(name, policy, measured[name], known, n=n, versus=before)
        for policy, measured in in_order(evaluation["changes"], before)
        for name in _MEASURES
        if name in measured and name != "kl"
    ]
    duels = [
        _figure(name, policy, measured[name], known, n=n, versus=other)
        for policy, others in in_order(evaluation.get("duels", {}), before)
        for other, measured in others.items()
        for name in _JUDGED
        if name in measured
    ]
    rows = [
        row
        for row in evaluation["best_of"]
        if "levels" in row and f"{BEST}{row['n']}" not in evaluation["policies"]
    ]  # Notes made long ago have no levels; what is an arm of its own is not told twice.
    return (*levels, *changes, *duels, *_best_of(rows, before, known, n))


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
    name: str,
    policy: str,
    value: Mapping[str, float],
    truth: Truth,
    *,
    n: int,
    versus: str = "",
) -> EvalFigure:
    unit, measure, better, meaning = _MEASURES[name]
    if measure is Measure.GOLD:
        name, unit, meaning = truth.short, truth.unit, truth.meaning
    elif measure is Measure.GOLD_AT_LENGTH:
        name, unit = f"{truth.short} at like length", truth.unit
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
        detectable=value.get("detectable"),
    )


def _best_of(rows: Sequence[BestOf], policy: str, truth: Truth, n: int) -> Iterator[EvalFigure]:
    more = [row for row in rows if row["n"] > 1]
    for versus in ("", policy):
        for row in more:
            meaning = (
                f"No training: the best by score of {row['n']} answers, at a KL of at most "
                f"{row['kl']:.2f} nats."
            )
            measured = row["changes"] if versus else row["levels"]
            for name in (name for name in _MEASURES if name in measured):
                whole = _figure(name, policy, measured[name], truth, n=n, versus=versus)
                best = f"{BEST}{row['n']}"
                yield replace(
                    whole,
                    name=whole.name if versus else f"{whole.name}, {best} by score",
                    policy=best if versus else policy,
                    meaning=meaning,
                    measure=Measure.OTHER,
                )


def reward_calibration(
    audit: Mapping[str, Any],
    *,
    bayes_bound: float | None,
    human_ceiling: Mapping[str, float] | None = None,
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
        by_criterion=tuple(Slice(**one) for one in audit.get("by_criterion", ())),
        bayes_bound=bayes_bound,
        human_ceiling=None if human_ceiling is None else estimate(human_ceiling),
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


def _why(said: str) -> str:
    """How a prompt was chosen, as a heading."""
    policy, _, how = said.partition(" ")
    if how in ("gained most", "lost most"):
        return f"Where {label(policy)} {how}"
    return said[:1].upper() + said[1:]


def samples(path: Path) -> tuple[SamplePair, ...]:
    """The answers that the eval stage kept, side by side. Raises WorkspaceError where damaged."""
    try:
        shown = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            SamplePair(
                prompt=one["prompt"],
                answers=tuple(Answer(**answer) for answer in one["answers"]),
                why=_why(one.get("why", "")),
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
