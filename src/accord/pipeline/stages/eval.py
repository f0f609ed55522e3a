"""Held-out evaluation: every policy and baseline answers the same prompts, with intervals.

Shape letters:  P = prompts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import ConfigError
from accord.core.protocols import Row
from accord.core.types import Prompt
from accord.evals.policies import Answers, best_of, compare, summarise
from accord.pipeline.arms import BEST
from accord.pipeline.blind import ANSWERS, TEXTS, spoken
from accord.pipeline.config import ALIGNED, start_among
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.arms import COMPARED, Asked, arms, measure
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.measured import Measured, Measurements
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.watching import watched
from accord.stats.diversity import distinct, runs

SHOWN = 12
"""Prompts whose answers are kept for the report: the first ones, which chance drew."""
EXTREMES = 4
"""Further prompts that are kept: where the policy gained most, and as many where it lost most."""


def body(context: StageContext) -> Iterator[Row]:
    """Sample each policy on the held-out prompts and leave figures, intervals and answers."""
    config = context.config.own
    roles = Roles(context)
    prompts, ids = asked_prompts(
        context,
        roles,
        held_out=True,
        answer_tokens=config.max_tokens,
        at_most=config.prompts,
        seed=context.seed + config.seed,
    )
    others = config.arm_samples or config.samples
    if len(prompts) == 1 and others != config.samples:
        raise ConfigError(
            "one prompt's answers can be compared where every policy gives as many",
            got=f"eval.samples = {config.samples}, eval.arm_samples = {others}",
            do=f"set eval.arm_samples to {config.samples}, or import more prompts",
        )
    asked = Asked(
        prompts=prompts,
        ids=ids,
        reference=roles.start(),
        reward=roles.reward() if "reward" in context.inputs else None,
        watched=watched(context, roles),
    )
    before = start_among(context.inputs)
    listed = list(arms(context, roles, before))
    context.total(len(listed))
    state = Measurements()
    context.track(state)
    for arm in listed[state.step :]:
        state.arms[arm.name] = measure(context, roles, arm, asked)
        yield {"progress": state.step / len(listed)}
    measured = dict(state.arms)
    measured |= _picked(measured[before], config.best_of)
    figures = _figures(measured, before) | {
        "best_of": best_of(measured[before].answers, config.best_of),
        "before": before,
        "prompts": len(prompts),
        "prompts_seen_in_training": bool(context.notes.get("prompts_seen_in_training")),
        "samples": config.samples,
    }
    context.note("evaluation", figures)
    (context.output / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n")
    shown = _shown(prompts, measured, before)
    (context.output / ANSWERS).write_text(json.dumps(shown, indent=1) + "\n")
    with (context.output / TEXTS).open("w", encoding="utf-8") as file:
        for p, prompt in enumerate(prompts):
            said = {name: one.texts[p] for name, one in measured.items()}
            messages = [[m.role.value, m.content] for m in prompt.conversation.messages]
            file.write(json.dumps({"prompt": messages, "answers": said}) + "\n")


def _picked(start: Measured, sizes: tuple[int, ...]) -> dict[str, Measured]:
    """The best by score of all that the start policy said, as an arm; none without a score, and
    for one prompt alone: an interval takes two."""
    n = max(sizes, default=1)
    if n < 2 or start.answers.score is None or len(start.texts) < 2:
        return {}
    best_P = start.answers.score[:, :n].argmax(1)
    texts = [[said[best]] for said, best in zip(start.texts, best_P, strict=True)]
    return {f"{BEST}{n}": Measured(start.answers.picked(n), texts)}


def _figures(measured: Mapping[str, Measured], before: str) -> dict[str, object]:
    """Levels, changes from the start, and what was trained against each baseline."""
    trained = [name for name in measured if name in COMPARED]
    baselines = [name for name in measured if name not in (before, *trained)]
    answers = {name: one.answers for name, one in measured.items()}
    first = {name: [said[0] for said in one.texts] for name, one in measured.items()}
    # As many pairs of words of every policy: fewer words are no more varied for being fewer.
    pairs = min(runs(texts, 2) for texts in first.values())
    return {
        "policies": {
            name: summarise(one) | _distinct(first[name], pairs) for name, one in answers.items()
        },
        "changes": {
            name: compare(answers[before], one) for name, one in answers.items() if name != before
        },
        "duels": {
            name: {other: compare(answers[other], answers[name]) for other in baselines}
            for name in trained
        },
        "baselines": baselines,
    }


def _distinct(texts: list[str], pairs: int) -> dict[str, dict[str, float]]:
    """Distinct ones among so many pairs of words; nothing where there is none.

    No interval: resampling prompts would draw texts twice, which is what this counts.
    """
    return {"distinct": {"value": distinct(texts, 2, of=pairs)}} if pairs else {}


def _shown(
    prompts: list[Prompt], measured: Mapping[str, Measured], before: str
) -> list[dict[str, object]]:
    """The first answer of every policy to some prompts, with what was measured of it."""
    rows = [(p, "drawn by seed") for p in range(min(SHOWN, len(prompts)))]
    last = next((name for name in (*ALIGNED, "top") if name in measured), None)
    if last is not None:
        gain_P = _gain(measured[before].answers, measured[last].answers)
        order = [int(p) for p in gain_P.argsort() if p >= SHOWN]
        rows += [(p, f"{last} gained most") for p in reversed(order[-EXTREMES:])]
        rows += [(p, f"{last} lost most") for p in order[:EXTREMES] if p not in order[-EXTREMES:]]
    shown: list[dict[str, object]] = []
    for p, why in rows:
        answers = [
            {
                "policy": name,
                "text": one.texts[p][0],
                "score": _first(one.answers.score, p),
                "gold": _first(one.answers.gold, p),
                "stopped": bool(one.answers.stopped[p, 0]),
            }
            for name, one in measured.items()
        ]
        shown.append({"prompt": spoken(prompts[p].conversation), "why": why, "answers": answers})
    return shown


def _gain(before: Answers, after: Answers) -> NDArray[np.float64]:
    """By how much the first answer is better, by the truth where it is known, else by score."""
    old, new = (a.gold if a.gold is not None else a.score for a in (before, after))
    if old is None or new is None:
        return np.zeros(len(before.kl))
    gain: NDArray[np.float64] = new[:, 0] - old[:, 0]
    return gain


def _first(value: NDArray[np.float64] | None, p: int) -> float | None:
    return None if value is None else float(value[p, 0])
