"""Reports to look at and to test with: a full run, runs with parts missing, and hostile text."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from accord.core.metrics import Better
from accord.evals.report.data import (
    Answer,
    Bin,
    Calibration,
    EvalFigure,
    KLSpent,
    Measure,
    ReportData,
    RunFacts,
    SamplePair,
    Slice,
    Source,
    StageReport,
)

HOSTILE = (
    "<script>document.title = 'owned'; fetch('http://127.0.0.1:9/x')</script>",
    "</p></article><img src=x onerror=\"document.title='owned'\"><svg onload=alert(1)>",
    "safe \u202e)gnp.exe( \u2066hidden\u2069 \u200b\ufeff end",
    "W" * 3_000,
    "",
    "{{ 7 * 7 }} {% raw %} &lt;b&gt; &amp; ]]> <!-- comment",
    "nul \x00 bell \x07 escape \x1b[31m surrogate \ud800 noncharacter \ufffe line\u2028end",
    "Z" + "\u0335\u0322\u0300\u0301" * 200,
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
    "</title></style><style>body{display:none}</style>",
)


def _rows(
    seed: int, steps: int, **curves: tuple[float, float, float]
) -> tuple[dict[str, float], ...]:
    """`steps` rows of curves that go from a to b with noise c; names have `__` for a slash."""
    noise = random.Random(seed)
    rows = []
    for step in range(steps):
        part = 1 - math.exp(-3.0 * step / max(steps - 1, 1))
        rows.append(
            {
                name.replace("__", "/"): start + (end - start) * part + noise.gauss(0, spread)
                for name, (start, end, spread) in curves.items()
            }
        )
    return tuple(rows)


def _machine(seed: int, rows: tuple[dict[str, float], ...]) -> tuple[dict[str, float], ...]:
    noise = random.Random(seed)
    for row in rows:
        row |= {
            "seconds": 0.4 + 0.05 * noise.random(),
            "tokens_per_second": 5_200 + noise.gauss(0, 180),
            "peak_memory": 0.61,
        }
    return rows


def _ppo_rows(steps: int = 40) -> tuple[dict[str, float], ...]:
    return _machine(
        5,
        _rows(
            5,
            steps,
            reward__score=(-0.05, 1.92, 0.09),
            reward__gold=(-0.1, 1.21, 0.12),
            reward__total=(-0.05, 1.61, 0.09),
            reward__spread=(1.0, 0.58, 0.03),
            kl__sequence=(0.0, 6.1, 0.12),
            kl__token=(0.0, 0.27, 0.006),
            kl__coefficient=(0.05, 0.05, 0.0),
            policy__entropy=(1.42, 0.87, 0.02),
            policy__loss=(-0.01, -0.03, 0.006),
            policy__ratio_max=(1.0, 1.6, 0.08),
            policy__clip_fraction=(0.0, 0.06, 0.006),
            value__clip_fraction=(0.0, 0.03, 0.004),
            policy__approx_kl=(0.0, 0.004, 0.0004),
            value__loss=(0.42, 0.11, 0.02),
            value__explained_variance=(-0.1, 0.71, 0.03),
            answer__length=(23.0, 25.5, 0.5),
            answer__stopped=(0.93, 0.995, 0.003),
            engine__gap_mean=(2e-6, 2e-6, 1e-7),
            engine__gap_max=(3e-5, 3e-5, 2e-6),
            loss=(0.05, -0.02, 0.01),
            grad_norm=(1.9, 0.8, 0.15),
            learning_rate=(3e-4, 3e-4, 0.0),
        ),
    )


def _sft_rows() -> tuple[dict[str, float], ...]:
    rows = _rows(
        2, 60, loss=(2.1, 0.92, 0.03), language__nll=(2.1, 0.92, 0.03), grad_norm=(2.2, 0.7, 0.1)
    )
    for index in range(9, 60, 10):
        rows[index]["language/dev_nll"] = 1.02 + 0.9 * math.exp(-index / 14)
    return _machine(2, rows)


def _reward_rows() -> tuple[dict[str, float], ...]:
    rows = _rows(
        3,
        50,
        loss=(0.69, 0.49, 0.02),
        preference__accuracy=(0.5, 0.79, 0.03),
        preference__margin=(0.0, 1.3, 0.08),
        grad_norm=(3.2, 1.4, 0.2),
    )
    for index in range(9, 50, 10):
        rows[index]["preference/dev_accuracy"] = 0.745 - 0.2 * math.exp(-index / 10)
        rows[index]["preference/dev_loss"] = 0.52 + 0.17 * math.exp(-index / 10)
    return _machine(3, rows)


def _digest(seed: str) -> str:
    return f"{random.Random(seed).getrandbits(256):064x}"


def _stage(
    name: str,
    kind: str,
    inputs: tuple[str, ...],
    rows: tuple[dict[str, float], ...],
    seconds: float,
    **config: object,
) -> StageReport:
    return StageReport(
        name=name,
        kind=kind,
        seconds=seconds,
        peak_memory_gib=0.45 + 0.03 * len(inputs),
        steps=len(rows),
        rows=rows,
        config={"seed": 0, **config},
        figures={"code": _digest(name)[:12], "trained_parameters": 812_544},
        key=_digest(name + "key")[:16],
        digest=_digest(name),
        inputs=inputs,
    )


def _stages() -> tuple[StageReport, ...]:
    optimizer = {"learning_rate": 3e-4, "warmup": 0.1, "betas": (0.9, 0.95), "weight_decay": 0.0}
    pretrain = _machine(1, _rows(1, 80, loss=(6.1, 1.3, 0.05), language__nll=(6.1, 1.3, 0.05)))
    compare = _rows(4, 12, progress=(0.08, 1.0, 0.0))
    dpo = _machine(
        6,
        _rows(
            6,
            40,
            loss=(0.693, 0.41, 0.02),
            preference__accuracy=(0.5, 0.84, 0.03),
            preference__margin=(0.0, 1.4, 0.1),
            preference__chosen_drift=(0.0, -1.7, 0.2),
            preference__rejected_drift=(0.0, -7.9, 0.3),
        ),
    )
    kl = {"coefficient": 0.05, "target": None, "horizon": 10_000, "budget": 8.0}
    return (
        _stage("pretrain", "base model", ("documents",), pretrain, 21.4, optimizer=optimizer),
        _stage(
            "sft",
            "policy",
            ("pretrain", "demonstrations"),
            _sft_rows(),
            11.8,
            optimizer=optimizer,
            adapter={"rank": 8, "alpha": 16},
        ),
        _stage("compare", "comparisons", ("sft", "prompts"), compare, 4.2, samples=4),
        _stage("reward", "reward model", ("sft", "compare"), _reward_rows(), 9.1, centre=True),
        _stage("ppo", "policy", ("sft", "reward", "prompts"), _ppo_rows(), 23.6, kl=kl, lam=0.95),
        _stage("dpo", "policy", ("sft", "compare"), dpo, 7.7, beta=0.1),
        _stage(
            "eval", "figures", ("sft", "ppo", "dpo", "reward", "prompts"), (), 5.2, best_of=(1, 4)
        ),
    )


def _level(
    name: str, policy: str, value: float, half: float, unit: str, **more: object
) -> EvalFigure:
    return EvalFigure(
        name=name,
        policy=policy,
        value=value,
        low=value - half,
        high=value + half,
        unit=unit,
        n=200,
        **{"meaning": "Mean over held-out prompts.", **more},  # type: ignore[arg-type]
    )


def _figures() -> tuple[EvalFigure, ...]:
    proxy = {
        "measure": Measure.PROXY,
        "better": Better.UP,
        "meaning": "Mean reward-model score of an answer. Training pushed this up.",
    }
    gold = {
        "measure": Measure.GOLD,
        "better": Better.UP,
        "meaning": "Mean known truth of an answer. The reward model never saw it.",
    }
    length = {"meaning": "Mean length of an answer, stop token included."}
    stopped = {"meaning": "Answers that ended by the stop token.", "better": Better.UP}
    values = (
        ("score", "score", 0.10, proxy, (0.02, 1.86, 1.02)),
        ("gold", "gold", 0.12, gold, (0.05, 1.17, 0.81)),
        ("length", "tokens", 0.6, length, (23.1, 25.6, 27.9)),
        ("stopped", "share", 0.02, stopped, (0.935, 0.975, 0.96)),
    )
    found = []
    for name, unit, half, more, (sft, ppo, dpo) in values:
        for policy, value in (("sft", sft), ("ppo", ppo), ("dpo", dpo)):
            found.append(_level(name, policy, value, half, unit, **more))
        for policy, value in (("ppo", ppo - sft), ("dpo", dpo - sft)):
            found.append(_level(name, policy, value, 0.9 * half, unit, versus="sft", **more))
    return tuple(found)


def _calibration() -> Calibration:
    bins = []
    for index in range(10):
        p = 0.04 + 0.92 * index / 9
        seen = min(max(0.5 + 0.86 * (p - 0.5) + 0.02 * math.sin(5 * index), 0.0), 1.0)
        bins.append(
            Bin(
                predicted=p,
                observed=seen,
                count=60 - 3 * abs(index - 4),
                low=max(seen - 0.11, 0.0),
                high=min(seen + 0.11, 1.0),
            )
        )
    return Calibration(
        bins=tuple(bins),
        ece=0.038,
        brier=0.178,
        accuracy=0.741,
        interval=(0.706, 0.774),
        pairs=588,
        baselines={"longer wins": 0.548, "TF-IDF words": 0.671, "linear probe": 0.702},
        over_probe=(0.039, -0.004, 0.082),
        by_length_gap=(
            Slice(
                name="better one +20 to +111 characters",
                pairs=301,
                accuracy=0.761,
                low=0.71,
                high=0.81,
            ),
            Slice(name="same length", pairs=48, accuracy=0.708, low=0.57, high=0.82),
            Slice(name="better one shorter", pairs=239, accuracy=0.724, low=0.66, high=0.78),
        ),
        by_source=(
            Slice(name="synthetic raters", pairs=588, accuracy=0.741, low=0.706, high=0.774),
        ),
        bayes_bound=0.803,
        temperature=1.12,
    )


_PROMPTS = (
    "the fox and the lake",
    "the old baker",
    "a storm at night",
    "the red boat",
    "the owl and the mouse",
    "a long road",
)


def _samples() -> tuple[SamplePair, ...]:
    return tuple(
        SamplePair(
            prompt=f"Tell me about {topic}.",
            answers=(
                Answer(
                    policy="sft",
                    text=f"{topic.capitalize()} was there. It was there. It was a stupid day and "
                    "it ran and it ran and it",
                    score=-0.31 + 0.1 * index,
                    gold=-0.8 + 0.2 * index,
                    stopped=index != 0,
                ),
                Answer(
                    policy="ppo",
                    text=f"The kind friend of {topic} smiled. Together they were gentle and calm.",
                    score=1.84 + 0.04 * index,
                    gold=1.25,
                ),
                Answer(
                    policy="dpo",
                    text=f"Let me tell you of {topic}. It was a warm day, and all were glad.",
                    score=1.06,
                    gold=0.75,
                ),
            ),
        )
        for index, topic in enumerate(_PROMPTS)
    )


def full() -> ReportData:
    """A finished run of the whole loop."""
    return ReportData(
        run=RunFacts(
            title="accord-quickstart",
            model="tiny",
            before="sft",
            after="ppo",
            started="2026-11-20T14:02:11Z",
            ended="2026-11-20T14:03:36Z",
            seed=0,
            version="0.1.0 (source 4be1c0a97d21)",
            machine={"device": "cpu", "dtype": "float32", "threads": "2", "torch": "2.13.0"},
        ),
        stages=_stages(),
        sources=(
            Source(
                name="documents", kind="text", digest=_digest("d"), note="4,000 documents, seed 0"
            ),
            Source(
                name="demonstrations", kind="demonstrations", digest=_digest("e"), note="2,000 rows"
            ),
            Source(
                name="prompts", kind="prompts", digest=_digest("p"), note="600 rows, 200 held out"
            ),
        ),
        samples=_samples(),
        samples_rule="The first 6 held-out prompts, not chosen by hand; one answer each, seed 0.",
        calibration=_calibration(),
        figures=_figures(),
        interval_rule="Intervals cover 95 %: bootstrap over 200 prompts, paired by prompt.",
        kl=KLSpent(nats=6.1, budget=8.0),
        not_shown=(
            "Whether people agree with the simulated raters: no human judged an answer.",
            "Safety: no harmful or adversarial prompt was tried.",
            "Other seeds: this is one run.",
        ),
    )


def without_policy() -> ReportData:
    """Only fine-tuning and a reward model: no PPO, no gold, no figures."""
    data = full()
    return replace(
        data,
        run=replace(data.run, after="", before=""),
        stages=data.stages[:4],
        figures=(),
        kl=None,
        samples=(),
    )


def without_gold() -> ReportData:
    """A user's own data: scores but no known truth and no bound."""
    data = full()
    calibration = data.calibration
    assert calibration is not None
    return replace(
        data,
        figures=tuple(f for f in data.figures if f.measure is not Measure.GOLD),
        stages=tuple(
            replace(
                stage,
                rows=tuple(
                    {name: value for name, value in row.items() if name != "reward/gold"}
                    for row in stage.rows
                ),
            )
            for stage in data.stages
        ),
        calibration=replace(calibration, bayes_bound=None, temperature=None),
        kl=KLSpent(nats=9.4, budget=8.0, ended_by_budget=True),
        samples=tuple(
            replace(pair, answers=tuple(replace(a, gold=None) for a in pair.answers))
            for pair in data.samples
        ),
    )


def exploited() -> ReportData:
    """The score rises while the truth falls."""
    data = full()
    figures = tuple(
        replace(f, value=-f.value, low=-f.high, high=-f.low)
        if f.measure is Measure.GOLD and f.versus and f.low is not None and f.high is not None
        else f
        for f in data.figures
    )
    return replace(data, figures=figures)


def nothing() -> ReportData:
    """A workspace in which nothing ran."""
    return ReportData(run=RunFacts(title="empty", model="tiny"))


def hostile() -> ReportData:
    """Every text that comes from outside tries to break the page."""
    data = full()
    first, *rest = data.stages
    samples = tuple(
        SamplePair(
            prompt=text,
            answers=(
                Answer(policy="sft", text=text),
                Answer(policy=text[:300], text=text, score=1.0),
            ),
        )
        for text in HOSTILE
    )
    bad = HOSTILE[1]
    odd = replace(
        first,
        name=bad,
        kind=bad,
        config={bad: HOSTILE[3], "nested": {"empty": {}, "list": [HOSTILE[2]]}},
        figures={HOSTILE[6]: HOSTILE[0]},
        inputs=(HOSTILE[3], HOSTILE[6]),
        rows=({"loss": 1.0, bad: 2.0}, {"loss": math.nan, bad: 1.0}, {"loss": math.inf, bad: 1.0}),
        steps=3,
    )
    return replace(
        data,
        run=replace(
            data.run,
            title=HOSTILE[9],
            model=HOSTILE[3],
            version=HOSTILE[0],
            machine={bad: HOSTILE[6]},
        ),
        stages=(odd, *rest),
        sources=(Source(name=HOSTILE[6], kind=bad, digest="d" * 64, note=HOSTILE[2]),),
        samples=samples,
        samples_rule=bad,
        interval_rule=bad,
        verdict=HOSTILE,
        not_shown=HOSTILE,
    )


def long_run(steps: int = 20_000) -> ReportData:
    """PPO over many steps: the page must stay small."""
    data = full()
    stages = tuple(
        replace(s, rows=_ppo_rows(steps), steps=steps) if s.name == "ppo" else s
        for s in data.stages
    )
    return replace(data, stages=stages)


ALL = (full, without_policy, without_gold, exploited, nothing, hostile)
