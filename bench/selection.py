"""Does picking what to ask beat asking at random, at the same number of labels?

    ACCORD_DATA=... python -m bench.selection --out bench/results/selection.json

Simulated people with a known truth label real pairs (`choosing.py`), five rounds; between rounds a
reward model is fitted again: Bradley-Terry on TF-IDF directions with a normal prior, and an
ensemble of MEMBERS, each fitted to labels drawn anew (Poisson) and to a prior of its own. The
product's own selection picks (`accord.collect.selection`), a fifth of each round at random; the
first round of methods that need predictions is random. A round picks among prompts that no earlier
round saw, as `accord campaign sample` does, so that inclusion probabilities are exact.

Every method runs twice: labels weigh one over their inclusion probability, as in the product's
training, or all the same. What is told is held-out accuracy against the truth, and regret: what is
lost by taking the model's favourite of two, in standard deviations of the gap between two. All
methods of a seed share truth, batches, people's labels and held-out pairs; differences are taken
seed by seed, from the mean of REPEATS random draws. The arms were set up on seeds below 1,000; the
table uses seeds from 1,000,000.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from scipy.special import expit

from accord.collect.selection import (
    LEAST_RANDOM,
    MODELS_NEEDED,
    Candidate,
    Score,
    predicted,
    select,
    uncertainty,
)
from accord.collect.tasks import RANDOM
from accord.stats.intervals import mean
from accord.stats.rater_bias import benjamini_hochberg
from bench.choosing import ARMS, HH, PANDALM, Arm, Drawn, draw, read_texts
from bench.gains import p_value, saved

FIRST_SEED = 1_000_000
MEMBERS = 10
PRIOR = 2.0
"""Standard deviation of a typical pair's log-odds before any label."""
STEPS = 12
"""Newton's; the gradient is below 1e-6 after six."""
ALONE = "gap, one model"
"""`gap` with the fitted model's rewards and no ensemble: what one reward model allows."""
TOP = "uncertainty, top only"
"""What has the largest sizes, surely; nothing is known of the probabilities. Not in the product."""
METHODS = ("uncertainty", "gap", ALONE, "coverage")
ALL = (*((name, w) for name in METHODS for w in (True, False)), (TOP, False))
"""Method, and whether labels weigh one over inclusion."""
REPEATS = 5
FIGURES = ("accuracy", "regret")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is run."""

    seeds: int = 100
    seed: int = FIRST_SEED
    arms: tuple[str, ...] = tuple(arm.name for arm in ARMS)
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pairs that were asked, and the probability that each had."""

    pairs: np.ndarray
    inclusion: np.ndarray

    def weight(self, weighted: bool) -> np.ndarray:
        """One over inclusion with mean 1, or all 1."""
        raw = 1 / self.inclusion if weighted else np.ones(len(self.pairs))
        return np.asarray(raw / raw.mean())


def main(options: Options) -> None:
    """Run every arm, print a table, and keep it."""
    folder = os.environ.get("ACCORD_DATA")
    if not folder:
        sys.exit("ACCORD_DATA, the folder of real data, is not set")
    texts = read_texts(Path(folder))
    known = {arm.name: arm for arm in ARMS}
    rows = []
    for name in options.arms:
        began = time.perf_counter()
        runs = [study(draw(texts, known[name], options.seed + k)) for k in range(options.seeds)]
        rows.append(told_arm(known[name], runs, options.seed))
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    called(rows)
    print("\n".join(line for row in rows for line in told(row)))
    body = {"pairs": len(texts.prompts), "arms": rows}
    if options.out is not None:
        options.out.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


# ---- one seed ------------------------------------------------------------------------------------


def study(drawn: Drawn) -> dict[str, np.ndarray]:
    """All methods on one seed: name to [rounds, 2], accuracy and regret after each round.

    `random` goes on for as many rounds again: what more labels would have given. `ceiling` is a
    model that was told the exact odds of every pair that could be asked.
    """
    found = {_called(name, w): campaign(drawn, name, weighted=w) for name, w in ALL}
    found[RANDOM] = np.mean([at_random(drawn, k) for k in range(REPEATS)], axis=0)
    asked = np.concatenate(drawn.batches)
    x, odds = _apart(drawn.x[asked]), expit(drawn.gap[asked] / drawn.arm.people.temperature)
    best = fit(x, odds, np.ones(len(asked)), np.zeros((1, x.shape[1])), _penalty(drawn))[0]
    found["ceiling"] = np.array([judged(drawn, best)])
    return found


def _called(method: str, weighted: bool) -> str:
    return method if weighted or method == TOP else f"{method} (unweighted)"


def campaign(drawn: Drawn, method: str, *, weighted: bool) -> np.ndarray:
    """[rounds, 2] accuracy and regret on held-out pairs after each round of labels."""
    asked = Labelled(np.zeros(0, dtype=int), np.zeros(0))
    weights = np.zeros((0, drawn.x.shape[2]))
    found = []
    for number, batch in enumerate(drawn.batches):
        asked = _ask(drawn, method, asked, batch, number, weights)
        ensemble = method in {"uncertainty", "gap", TOP}
        best, weights = _fitted(drawn, asked, weighted, ensemble=ensemble)
        if method == ALONE:
            weights = best[None]
        found.append(judged(drawn, best))
    return np.array(found)


def _ask(
    drawn: Drawn,
    method: str,
    asked: Labelled,
    batch: np.ndarray,
    number: int,
    weights: np.ndarray,
) -> Labelled:
    """What was asked before and what this round picks among `batch`."""
    by = {ALONE: "gap", TOP: "uncertainty"}.get(method, method)
    if by in MODELS_NEEDED and not len(weights):
        by = RANDOM  # the first round: nobody predicted yet
    looked: Sequence[tuple[Score, ...] | None] = [None] * len(batch)
    if by in MODELS_NEEDED:
        rewards = np.einsum("nkd,md->nmk", drawn.x[batch], weights)
        looked = [predicted(one) for one in rewards]
    candidates = [
        Candidate(
            prompt=str(i),
            responses=(f"{i}a", f"{i}b"),
            stratum=str(drawn.source[i]),
            scores=scores,
        )
        for i, scores in zip(batch, looked, strict=True)
    ]
    if method == TOP and len(weights):
        return _top(drawn, asked, batch, candidates, number)
    chosen = select(candidates, drawn.arm.labels, method=by, seed=drawn.seed * 100 + number)
    return Labelled(
        np.concatenate([asked.pairs, [int(one.candidate.prompt) for one in chosen]]),
        np.concatenate([asked.inclusion, [one.inclusion for one in chosen]]),
    )


def _top(
    drawn: Drawn,
    asked: Labelled,
    batch: np.ndarray,
    candidates: Sequence[Candidate],
    number: int,
) -> Labelled:
    """The largest uncertainties, beside the share that the product draws at random."""
    room = drawn.arm.labels - round(LEAST_RANDOM * drawn.arm.labels)
    order = np.argsort([-(size or 0.0) for size in uncertainty(candidates)], kind="stable")
    rng = np.random.default_rng([drawn.seed, number, 0x70B])
    rest = rng.choice(order[room:], size=drawn.arm.labels - room, replace=False)
    taken = batch[np.concatenate([order[:room], rest])]
    return Labelled(
        np.concatenate([asked.pairs, taken]),
        np.concatenate([asked.inclusion, np.ones(len(taken))]),
    )


def at_random(drawn: Drawn, repeat: int) -> np.ndarray:
    """[2 x rounds, 2]: random picks of each batch, then of all that is left, as many a step."""
    rng = np.random.default_rng([drawn.seed, repeat, 0xA11])
    n, first, left = drawn.arm.labels, [], []
    for batch in drawn.batches:
        order = rng.permutation(batch)
        first.append(order[:n])
        left.append(order[n:])
    asked = np.concatenate([*first, rng.permutation(np.concatenate(left))])
    found = []
    for number in range(1, 2 * len(drawn.batches) + 1):
        some = asked[: number * n]
        best, _ = _fitted(drawn, Labelled(some, np.ones(len(some))), False, ensemble=False)
        found.append(judged(drawn, best))
    return np.array(found)


def judged(drawn: Drawn, w: np.ndarray) -> tuple[float, float]:
    """Accuracy and regret on held-out pairs whose responses are not worth the same.

    Where one kind is rare, the mean of the two kinds. A pair that the model holds equal is half
    right.
    """
    lead, gap = _apart(drawn.x[drawn.held]) @ w, drawn.gap[drawn.held]
    right = np.where(lead == 0, 0.5, (lead > 0) == (gap > 0))
    lost = np.abs(gap) * (1 - right)
    sets = [gap != 0]
    if drawn.arm.rare:
        sets = [(gap != 0) & (drawn.source[drawn.held] == kind) for kind in (HH, PANDALM)]
    return (
        float(np.mean([right[one].mean() for one in sets])),
        float(np.mean([lost[one].mean() for one in sets])),
    )


# ---- the model -----------------------------------------------------------------------------------


def _fitted(
    drawn: Drawn, asked: Labelled, weighted: bool, *, ensemble: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [columns] of the model and [members, columns] of an ensemble (none: one row)."""
    x, label = _apart(drawn.x[asked.pairs]), drawn.label[asked.pairs]
    weight, penalty = asked.weight(weighted), _penalty(drawn)
    members = MEMBERS if ensemble else 0
    rng = np.random.default_rng([drawn.seed, len(asked.pairs)])
    again = rng.poisson(1.0, size=(members, len(weight)))
    centres = rng.normal(size=(members, x.shape[1])) / np.sqrt(penalty)
    fits = fit(
        x,
        label,
        np.concatenate([weight[None], weight * again]),
        np.concatenate([np.zeros((1, x.shape[1])), centres]),
        penalty,
    )
    return fits[0], fits[1:]


def fit(
    x: np.ndarray, label: np.ndarray, weight: np.ndarray, centre: np.ndarray, penalty: float
) -> np.ndarray:
    """[models, columns] coefficients of Bradley-Terry, each by Newton's method from its centre 0.

    Minimises penalty / 2 |w - centre|^2 + sum weight (log(1 + exp(d)) - label d), d = x w, for
    `x` [pairs, columns], `label` [pairs], `weight` [models, pairs] or [pairs], `centre` [models,
    columns].
    """
    models, columns = centre.shape
    weight = np.broadcast_to(weight, (models, len(label)))
    w = np.zeros((models, columns))
    for _ in range(STEPS):
        p = expit(w @ x.T)
        gradient = (weight * (p - label)) @ x + penalty * (w - centre)
        if np.abs(gradient).max() < 1e-8:
            break
        bend = weight * p * (1 - p)
        hessian = np.stack([(x * one[:, None]).T @ x for one in bend]) + penalty * np.eye(columns)
        w = w - np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
    return w


def _penalty(drawn: Drawn) -> float:
    """One over the prior's variance: a typical pair's log-odds then have deviation `PRIOR`."""
    return float((_apart(drawn.x) ** 2).sum(axis=1).mean() / PRIOR**2)


def _apart(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[:, 0] - x[:, 1])


# ---- all seeds -----------------------------------------------------------------------------------


def told_arm(arm: Arm, runs: Sequence[Mapping[str, np.ndarray]], seed: int) -> dict[str, Any]:
    """Curves with intervals over seeds, and what each method gains over random, seed by seed."""
    every = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    random = every[RANDOM]
    steps = random.shape[1] // 2
    methods: dict[str, dict[str, Any]] = {RANDOM: _curves(random)}
    for name in (_called(method, weighted) for method, weighted in ALL):
        gain = every[name] - random[:, :steps]
        methods[name] = {
            **_curves(every[name]),
            "gain": _curves(gain),
            "p": {figure: p_value(gain[:, -1, k]) for k, figure in enumerate(FIGURES)},
            "labels_saved": saved(
                every[name][:, -1, 0],
                random[:, :, 0],
                each=arm.labels,
                spent=arm.labels * steps,
            ),
        }
    return {
        "arm": arm.name,
        "seeds": [seed, seed + len(runs) - 1],
        "misspecified": arm.misspecified,
        "labels": [arm.labels * (step + 1) for step in range(steps)],
        "ceiling": _interval(every["ceiling"][:, 0, 0]),
        "methods": methods,
    }


def _curves(values: np.ndarray) -> dict[str, list[list[float]]]:
    """Each figure after each step, from [seeds, steps, figures]."""
    return {
        figure: [_interval(values[:, step, k]) for step in range(values.shape[1])]
        for k, figure in enumerate(FIGURES)
    }


def called(rows: Sequence[Mapping[str, Any]]) -> None:
    """Put a q (Benjamini and Hochberg 1995, over all comparisons of a figure) and a word beside
    each comparison: `helps`, `hurts`, or `no difference shown` at q above .05."""
    for figure in FIGURES:
        places = [one for row in rows for name, one in row["methods"].items() if name != RANDOM]
        q = benjamini_hochberg([one["p"][figure] for one in places])
        for one, value in zip(places, q, strict=True):
            better = one["gain"][figure][-1][0] * (1 if figure == "accuracy" else -1) > 0
            word = "helps" if better else "hurts"
            one.setdefault("q", {})[figure] = round(float(value), 5)
            one.setdefault("verdict", {})[figure] = word if value <= 0.05 else "no difference shown"


def _interval(values: np.ndarray) -> list[float]:
    """Mean over seeds with Student's 95% interval."""
    if len(values) < 2:
        return [float(values.mean())] * 3
    found = mean(values)
    return [round(v, 5) for v in (found.estimate, found.low, found.high)]


def told(row: Mapping[str, Any]) -> list[str]:
    """One arm as lines."""
    random, last = row["methods"][RANDOM], len(row["labels"]) - 1
    accuracy, regret = _short(random["accuracy"][last]), _short(random["regret"][last])
    lines = [f"{row['arm']}: {row['labels'][last]} labels; random {accuracy}, regret {regret}"]
    lines.append(f"  best of this model: accuracy {_short(row['ceiling'])}")
    for name, one in row["methods"].items():
        if name == RANDOM:
            continue
        gain, lost = one["gain"]["accuracy"][-1], one["gain"]["regret"][-1]
        few = "{:+.0f} [{:+.0f}, {:+.0f}]".format(*one["labels_saved"])
        lines.append(
            f"  {name:<28} accuracy {_signed(gain)}  regret {_signed(lost)}  labels {few}  "
            f"{one['verdict']['accuracy']}"
        )
    return lines


def _short(values: Sequence[float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)


def _signed(values: Sequence[float]) -> str:
    return "{:+.4f} [{:+.4f}, {:+.4f}]".format(*values)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
