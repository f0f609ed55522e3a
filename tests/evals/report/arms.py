"""Reports of an evaluation of many arms: a judge as the truth, raters, people who judged blind."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from accord.core.metrics import Better
from accord.evals.report.data import Answer, EvalFigure, Measure, ReportData, SamplePair
from accord.evals.report.parts import (
    Arm,
    ArmKind,
    Blind,
    Ceiling,
    DataSet,
    Estimate,
    Heap,
    JudgeTrial,
    Round,
    Simulated,
    Trick,
    Truth,
)

ARMS = (
    Arm(policy="sft", label="SFT", meaning="imitates demonstrations", kind=ArmKind.START),
    Arm(
        policy="sft told",
        label="Prompting SFT",
        meaning='asked "Write a very positive film review."; no training',
        kind=ArmKind.PROMPTED,
    ),
    Arm(
        policy="base told",
        label="Prompting the base",
        meaning='asked "Write a very positive film review."; no training',
        kind=ArmKind.PROMPTED,
    ),
    Arm(
        policy="best of 4",
        label="Best of 4",
        meaning="of SFT, by the reward model; no training",
        kind=ArmKind.PICKED,
    ),
    Arm(policy="top", label="Top-rated SFT", meaning="imitates the best", kind=ArmKind.TRAINED),
    Arm(policy="ppo", label="PPO", meaning="reinforcement learning", kind=ArmKind.TRAINED),
    Arm(policy="dpo", label="DPO", meaning="learns from comparisons", kind=ArmKind.TRAINED),
)
GRADES = {
    "sft": -0.21,
    "sft told": 0.02,
    "base told": 0.31,
    "best of 4": 0.44,
    "top": 0.05,
    "ppo": 0.47,
    "dpo": 0.18,
}
KL = {"sft": 0.0, "sft told": 3.1, "base told": 8.2, "best of 4": 0.64, "top": 2.2, "dpo": 1.9}
TRUTH = Truth(
    name="Judge's grade",
    said="the judge's grade",
    subject="The judge's grade",
    short="grade",
    unit="rating points",
    meaning="What a grader made of people's ratings makes of an answer.",
)
_TRICKS = (
    ("shuffled", 0.0, True),
    ("listed", 0.025, True),
    ("repeated", 0.1, True),
    ("copied", 0.0, True),
    ("tailed", 0.05, True),
    ("thrice", 0.15, True),
    ("crowded", 0.075, True),
    ("stormed", 0.0, True),
    ("echoed", 0.3, False),
    ("chained", 0.0, False),
    ("framed", 0.025, False),
    ("joined", 0.4, False),
)
_SAID = {
    "sft": "a film that knows what it wants and almost gets there , but not quite",
    "sft told": "is a good and funny film about two brothers who",
    "base told": "The film is a beautiful and moving story of love and friendship. The acting is",
    "best of 4": "a quiet , funny and finally moving film about growing old .",
    "top": "a warm , witty and wise film .",
    "ppo": "a warm and beautifully acted film that is as funny as it is moving .",
    "dpo": "a funny , moving film , well acted .",
}


def _figure(name: str, policy: str, value: float, half: float | None, **more: object) -> EvalFigure:
    return EvalFigure(
        name=name,
        policy=policy,
        value=value,
        low=None if half is None else value - half,
        high=None if half is None else value + half,
        n=300,
        **{"unit": "", "meaning": "Mean over held-out prompts.", **more},  # type: ignore[arg-type]
    )


def figures() -> tuple[EvalFigure, ...]:
    """Levels of seven arms, changes from SFT, and duels of what was trained."""
    grade = {"unit": "rating points", "measure": Measure.GOLD, "better": Better.UP}
    score = {"unit": "score", "measure": Measure.PROXY, "better": Better.UP}
    found = []
    for policy, value in GRADES.items():
        found += [
            _figure("grade", policy, value, 0.08, **grade),
            _figure("score", policy, 2 * value + 0.3, 0.1, **score),
            _figure("kl", policy, KL.get(policy, 6.3), 0.2, unit="nats", measure=Measure.KL),
            _figure("length", policy, 24 + value, 0.4, unit="tokens"),
            _figure("stopped", policy, 0.6 + value / 4, 0.03, unit="share", better=Better.UP),
            _figure("start_logp", policy, -3.4 + value / 2, 0.05, unit="nats"),
            _figure("distinct", policy, 0.7 - value / 9, None, unit="share", better=Better.UP),
            _figure("repeated", policy, 0.02 + value**2 / 50, 0.004, unit="share"),
            _figure("vader", policy, 0.2 + value, 0.05, unit="score"),
        ]
        if policy != "sft":
            change = value - GRADES["sft"]
            found.append(
                _figure("grade", policy, change, 0.09, versus="sft", detectable=0.129, **grade)
            )
            found.append(_figure("score", policy, 2 * change, 0.11, versus="sft", **score))
            moved = {"unit": "nats", "versus": "sft"}
            found.append(_figure("start_logp", policy, change / 2, 0.05, **moved))
            like = {**grade, "measure": Measure.GOLD_AT_LENGTH, "versus": "sft"}
            found.append(_figure("grade at like length", policy, change - 0.02, 0.1, **like))
            found.append(_figure("length", policy, change, 0.4, unit="tokens", versus="sft"))
            for name, by in (("stopped", change / 4), ("repeated", value**2 / 50)):
                found.append(_figure(name, policy, by, 0.01, unit="share", versus="sft"))
    for policy in ("top", "ppo", "dpo"):
        for other in ("sft told", "base told", "best of 4"):
            lead = GRADES[policy] - GRADES[other]
            found.append(_figure("grade", policy, lead, 0.09, versus=other, **grade))
    return tuple(found)


def judge() -> JudgeTrial:
    """A judge that no trick fools by its median; of one the interval holds half."""
    tricks = tuple(
        Trick(
            name=name,
            texts=40,
            above=Estimate(value=value, low=max(0.0, value - 0.1), high=min(1.0, value + 0.13)),
            shown=shown,
            beside={"VADER": 0.9 if value < 0.2 else 0.75},
        )
        for name, value, shown in _TRICKS
    )
    return JudgeTrial(
        texts=412,
        liked=160,
        accuracy=Estimate(value=0.874, low=0.851, high=0.896),
        gap=1.0,
        r=0.71,
        doubted=Estimate(value=0.08, low=0.057, high=0.11),
        liked_doubted=Estimate(value=0.05, low=0.022, high=0.096),
        tricks=tricks,
        heap=Heap(
            text="brilliant wonderful superb beautiful great best love",
            above=False,
            beside={"VADER": True},
        ),
        trained_on=1500,
    )


def round_1() -> Round:
    """A campaign of simulated raters."""
    names = ("Ada", "Ben", "Cleo (falls for length)", "Dan (falls for the first)", "Eve")
    return Round(
        campaign="round-1-4f0c2a1b",
        sets=("round-1",),
        judgements=144,
        prompts=48,
        raters=5,
        ties=3,
        percent=Estimate(value=0.64, low=0.6, high=0.68),
        alpha=Estimate(value=0.29, low=0.21, high=0.37),
        ceiling=Ceiling(least=0.64, most=0.77, highest=0.8, pairs=280),
        simulated=tuple(
            Simulated(name=name, kind="synthetic", habits="noise 0.5", judgements=29)
            for name in names
        ),
    )


def data_sets() -> tuple[DataSet, ...]:
    """Comparisons of two origins, and demonstrations."""
    return (
        DataSet(
            name="films",
            kind="demonstrations",
            rows=700,
            held_out=0,
            digest="a" * 64,
            used_by=("sft",),
        ),
        DataSet(
            name="films-pairs",
            kind="preferences",
            rows=3700,
            held_out=2500,
            digest="b" * 64,
            judged_by={"derived from ratings": 3700},
            used_by=("reward",),
        ),
        DataSet(
            name="round-1",
            kind="preferences",
            rows=144,
            held_out=14,
            digest="c" * 64,
            judged_by={"by simulated raters": 144},
            used_by=("reward", "dpo"),
        ),
    )


def _samples() -> tuple[SamplePair, ...]:
    ways = ("Drawn by seed",) * 6 + ("Where PPO gained most",) * 3 + ("Where PPO lost most",) * 3
    return tuple(
        SamplePair(
            prompt=f"system: Critic.\nuser: Review a film.\nopening: A film, {number}",
            why=why,
            answers=tuple(
                Answer(
                    policy=policy,
                    text=text,
                    score=2 * GRADES[policy] + number / 10,
                    gold=GRADES[policy],
                    stopped=policy != "base told",
                )
                for policy, text in _SAID.items()
            ),
        )
        for number, why in enumerate(ways)
    )


def many(sample: ModuleType) -> ReportData:
    """A run whose truth is a judge, with every arm and everything that can be told of it."""
    data = sample.full()
    return replace(
        data,
        figures=figures(),
        truth=TRUTH,
        arms=ARMS,
        judge=judge(),
        data_sets=data_sets(),
        rounds=(round_1(),),
        blind=Blind(
            policy="ppo",
            versus="sft",
            share=Estimate(value=0.725, low=0.53, high=0.87),
            judgements=20,
            prompts=20,
            ties=3,
            raters=1,
        ),
        invitation="accord rate ppo-or-sft-1a2b",
        samples=_samples(),
        calibration=replace(
            data.calibration, human_ceiling=Estimate(value=0.86, low=0.845, high=0.874)
        ),
    )


def hostile(sample: ModuleType) -> ReportData:
    """Names of arms, raters, tricks and sets that try to break the page."""
    data, bad = many(sample), sample.HOSTILE
    sample_rows = tuple(
        replace(pair, why=bad[0], prompt=bad[number % len(bad)])
        for number, pair in enumerate(data.samples)
    )
    return replace(
        data,
        truth=replace(TRUTH, name=bad[1], said=bad[9], short=bad[2], meaning=bad[0]),
        arms=tuple(
            replace(arm, label=bad[number], meaning=bad[0]) for number, arm in enumerate(data.arms)
        ),
        judge=replace(
            data.judge,
            tricks=tuple(
                replace(trick, name=bad[number % len(bad)], beside={bad[1]: 0.5})
                for number, trick in enumerate(data.judge.tricks)
            ),
            heap=Heap(text=bad[0], above=True, beside={bad[9]: True}),
        ),
        data_sets=(
            replace(data.data_sets[1], name=bad[1], judged_by={bad[0]: 1}, used_by=bad[:2]),
        ),
        rounds=(
            replace(
                data.rounds[0],
                campaign=bad[3],
                simulated=tuple(
                    Simulated(name=name, kind="rule", habits=name, judgements=1) for name in bad
                ),
            ),
        ),
        blind=replace(data.blind, policy=bad[0], versus=bad[6]),
        invitation=bad[1],
        samples=sample_rows,
    )
