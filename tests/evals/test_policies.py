"""Means, paired changes and best-of-n of policies against values by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from accord.core.errors import DataError
from accord.evals.policies import AT_LENGTH, Answers, best_of, compare, summarise
from accord.stats import intervals

KL = np.array([[0.0, 0.2], [0.4, 0.6], [1.0, 0.8]])
SCORE = np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 6.0]])


def answers(**more: object) -> Answers:
    values = {"kl": KL, "length": KL * 10 + 5, "stopped": np.ones_like(KL), "score": SCORE}
    return Answers(**(values | more))  # type: ignore[arg-type]


def test_a_mean_is_over_prompts_with_students_interval() -> None:
    found = summarise(answers())
    assert set(found) == {"kl", "length", "stopped", "score"}
    means = [2.0, 2.0, 3.0]
    reach = stats.t.ppf(0.975, 2) * np.std(means, ddof=1) / math.sqrt(3)
    assert found["score"] == pytest.approx(
        {"value": 7 / 3, "low": 7 / 3 - reach, "high": 7 / 3 + reach}
    )
    assert found["kl"]["value"] == pytest.approx(0.5)
    assert found["length"]["value"] == pytest.approx(10.0)
    assert found["stopped"]["value"] == found["stopped"]["high"] == 1.0
    assert found["stopped"]["low"] == pytest.approx(intervals.proportion(3, 3).low)


def test_a_share_stays_in_its_range() -> None:
    """One answer of many was cut: 99.8 %, and no interval beyond 100 %."""
    stopped = np.ones((128, 4))
    stopped[0, 0] = 0
    flat = {name: np.zeros((128, 4)) for name in ("kl", "length", "score")}
    found = summarise(answers(stopped=stopped, **flat))["stopped"]
    assert found["value"] == pytest.approx(511 / 512)
    assert 0.98 < found["low"] < found["value"] < found["high"] <= 1
    alone = summarise(answers(stopped=stopped[:1], **{k: v[:1] for k, v in flat.items()}))
    assert 0 < alone["stopped"]["low"] < 0.75 < alone["stopped"]["high"] < 1


def test_more_answers_to_a_prompt_are_not_more_prompts() -> None:
    one = summarise(answers())["score"]
    many = answers(
        **{
            name: np.repeat(value, 8, axis=1)
            for name, value in {
                "kl": KL,
                "length": KL,
                "stopped": np.ones_like(KL),
                "score": SCORE,
            }.items()
        }
    )
    assert summarise(many)["score"] == pytest.approx(one)


def test_the_truth_is_compared_between_answers_of_like_length_too() -> None:
    """Whoever only picks the shorter of its answers gains, and not at like length."""
    rng = np.random.default_rng(0)
    length = rng.integers(5, 25, size=(200, 4)).astype(float)
    flat = {name: np.zeros((200, 4)) for name in ("kl", "stopped", "score")}
    before = answers(length=length, gold=-length / 10, **flat)
    short = np.sort(length, axis=1)[:, :2]
    flat = {name: np.zeros((200, 2)) for name in ("kl", "stopped", "score")}
    found = compare(before, answers(length=short, gold=-short / 10, **flat))
    assert found["gold"]["low"] > 0.3
    assert abs(found[AT_LENGTH]["value"]) < 0.03
    better = compare(before, answers(length=short, gold=0.5 - short / 10, **flat))
    assert better[AT_LENGTH]["low"] > 0.4
    none = compare(before, answers(length=short / 100, gold=-short / 10, **flat))
    assert AT_LENGTH not in none  # no old answer is so short
    alone = {name: value[:1] for name, value in before.measures().items()}
    assert AT_LENGTH not in compare(Answers(**alone), Answers(**alone))


def test_a_change_is_paired_by_prompt() -> None:
    before, after = answers(gold=SCORE), answers(score=SCORE + 0.5, kl=KL + 0.1)
    found = compare(before, after)
    assert set(found) == {"kl", "length", "stopped", "score"}  # gold was not measured after
    assert found["score"] == pytest.approx(
        {"value": 0.5, "low": 0.5, "high": 0.5, "detectable": 0.0}
    )
    assert found["kl"]["value"] == pytest.approx(0.1)
    uneven = answers(score=SCORE + np.array([[0.0], [0.0], [3.0]]))
    shift = compare(before, uneven)["score"]
    assert shift["value"] == pytest.approx(1.0)
    assert shift["low"] < 0 < shift["high"]


def test_best_of_n_is_the_mean_over_all_choices() -> None:
    rng = np.random.default_rng(0)
    shape = (3, 5)
    score, gold = rng.integers(0, 6, shape).astype(float), rng.normal(size=shape)
    measured = answers(
        kl=np.zeros(shape), length=np.ones(shape), stopped=np.ones(shape), score=score, gold=gold
    )
    rows = best_of(measured, (1, 2, 4, 5))
    assert [row["n"] for row in rows] == [1, 2, 4, 5]
    for row in rows:
        n = row["n"]
        proxies, truths = [], []
        for p in range(3):
            for chosen in itertools.combinations(range(5), n):
                top = max(score[p, i] for i in chosen)
                tied = [i for i in chosen if score[p, i] == top]
                proxies.append(top)
                truths.append(np.mean([gold[p, i] for i in tied]))
        assert row["levels"]["score"]["value"] == pytest.approx(np.mean(proxies))
        assert row["levels"]["gold"]["value"] == pytest.approx(np.mean(truths), abs=0.08)
        assert row["levels"]["gold"]["low"] < np.mean(truths) < row["levels"]["gold"]["high"]
        for name, own in (("score", score), ("gold", gold)):
            gained = row["levels"][name]["value"] - own.mean()
            assert row["changes"][name]["value"] == pytest.approx(gained)
        assert row["kl"] == pytest.approx(math.log(n) - (n - 1) / n)
    assert rows[0]["levels"]["score"]["value"] == pytest.approx(score.mean())
    assert rows[0]["levels"]["gold"]["value"] == pytest.approx(gold.mean())
    assert rows[0]["changes"]["gold"]["high"] == pytest.approx(0)
    assert rows[-1]["levels"]["score"]["value"] == pytest.approx(score.max(1).mean())
    by_prompt = score.max(1) - score.mean(1)
    paired = intervals.mean(by_prompt)
    assert rows[-1]["changes"]["score"]["low"] == pytest.approx(paired.low)


def test_without_a_score_there_is_no_best() -> None:
    assert best_of(answers(score=None), (1, 2)) == []
    alone = answers(
        kl=np.zeros((1, 2)),
        length=np.ones((1, 2)),
        stopped=np.ones((1, 2)),
        score=np.array([[1.0, 2.0]]),
    )
    assert best_of(alone, (1, 2)) == []
    assert "gold" not in best_of(answers(), (1, 2))[0]["levels"]


def test_more_than_was_sampled_is_refused() -> None:
    with pytest.raises(DataError, match="n <= samples"):
        best_of(answers(), (3,))


@pytest.mark.parametrize("name", ["length", "stopped", "score", "gold"])
def test_measures_of_other_answers_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} has another shape"):
        answers(**{name: np.zeros((3, 3))})


def test_the_best_of_four_is_a_policy_of_its_own() -> None:
    rng = np.random.default_rng(0)
    score, gold = rng.normal(size=(30, 6)), rng.normal(size=(30, 6))
    shapes = {name: rng.random((30, 6)) for name in ("kl", "length", "stopped")}
    start = Answers(**shapes, score=score, gold=gold, more={"vader": gold * 2})
    picked = start.picked(4)
    best = score[:, :4].argmax(1)
    rows = np.arange(30)
    assert picked.gold is not None
    assert picked.gold[:, 0].tolist() == gold[rows, best].tolist()
    assert picked.length[:, 0].tolist() == shapes["length"][rows, best].tolist()
    assert picked.more["vader"][:, 0].tolist() == (2 * gold[rows, best]).tolist()
    assert (picked.kl == math.log(4) - 3 / 4).all()
    assert start.picked(1).gold[:, 0].tolist() == gold[:, 0].tolist()  # type: ignore[index]
    for n in (0, 7):
        with pytest.raises(DataError, match="n answers a prompt"):
            start.picked(n)


def test_policies_with_other_numbers_of_answers_are_paired_by_prompt() -> None:
    alone = answers(**{n: v[:, :1] for n, v in answers().measures().items()})
    found = compare(answers(), alone)["score"]
    gains = SCORE[:, 0] - SCORE.mean(1)
    whole = intervals.mean(gains)
    assert (found["value"], found["low"], found["high"]) == (
        whole.estimate,
        whole.low,
        whole.high,
    )
    one = Answers(**{n: v[:1] for n, v in answers().measures().items()})
    other = Answers(**{n: v[:1, :1] for n, v in answers().measures().items()})
    with pytest.raises(DataError, match="other prompts"):
        compare(one, other)
    with pytest.raises(DataError, match="other prompts"):
        compare(answers(), one)


def test_the_detectable_change_is_found_four_times_in_five() -> None:
    """Where the true change is as large as is said, a test at 5% finds it with a power of .8."""
    rng = np.random.default_rng(1)
    nothing = np.zeros((400, 1))
    flat = dict.fromkeys(("kl", "length", "stopped"), nothing)
    noise = rng.normal(size=(2000, 400, 1))
    before = Answers(**flat, score=nothing)
    told = [compare(before, Answers(**flat, score=one))["score"] for one in noise[600:700]]
    least = np.mean([one["detectable"] for one in told])
    found = [
        compare(before, Answers(**flat, score=one + least))["score"]["low"] > 0
        for one in noise[:600]
    ]
    assert 0.73 < np.mean(found) < 0.87
