"""Means, paired changes and best-of-n of policies against values by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from accord.core.errors import DataError
from accord.evals.policies import Answers, best_of, compare, summarise
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


def test_a_change_is_paired_by_prompt() -> None:
    before, after = answers(gold=SCORE), answers(score=SCORE + 0.5, kl=KL + 0.1)
    found = compare(before, after)
    assert set(found) == {"kl", "length", "stopped", "score"}  # gold was not measured after
    assert found["score"] == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})
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
