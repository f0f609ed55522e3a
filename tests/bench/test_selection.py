"""The study of picking: its model, its labels and its sums, each against something worked out
otherwise."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from accord.collect.persona import PersonSettings
from accord.core.types import Conversation
from bench import choosing
from bench.choosing import ARMS, FEATURES, HH, PANDALM, STYLE, Arm, Drawn, Texts, draw, read_texts
from bench.gains import labels_to, p_value, saved
from bench.selection import (
    METHODS,
    Labelled,
    at_random,
    called,
    campaign,
    fit,
    judged,
    study,
    told,
    told_arm,
)
from bench.selection_chart import chart, gains, worth
from tests.rules.source import ROOT

DATA = os.environ.get("ACCORD_DATA")
CAREFUL = PersonSettings(weights={"worth": 1.0}, temperature=0.5)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Texts:
    """300 pairs of made-up words, a fifth of the second kind; small batches."""
    monkeypatch.setattr(choosing, "HELD_OUT", 60)
    monkeypatch.setattr(choosing, "BATCH", 40)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 2, FEATURES)) * np.linspace(0.3, 0.05, FEATURES)
    return Texts(
        prompts=tuple(Conversation.of(f"Question {i}?") for i in range(300)),
        responses=tuple((f"one {i}", f"other {i}") for i in range(300)),
        source=np.array([PANDALM if i % 5 == 0 else HH for i in range(300)]),
        features=features,
        sentiment=np.round(rng.normal(size=(300, 2)), 1),
    )


def arm(**more: object) -> Arm:
    return replace(ARMS[0], labels=10, **more)  # type: ignore[arg-type]


# ---- the model -----------------------------------------------------------------------------------


def test_a_fit_is_the_minimum_that_a_general_optimiser_finds() -> None:
    rng = np.random.default_rng(1)
    x, label = rng.normal(size=(50, 4)), rng.choice([0.0, 0.5, 1.0], 50)
    weight, centre = rng.exponential(size=(3, 50)), rng.normal(size=(3, 4))
    found = fit(x, label, weight, centre, 0.7)
    for k in range(3):

        def loss(w: np.ndarray, k: int = k) -> float:
            d = x @ w
            nll = weight[k] @ (np.logaddexp(0, d) - label * d)
            return float(nll + 0.35 * ((w - centre[k]) ** 2).sum())

        best = minimize(loss, np.zeros(4), tol=1e-12)
        assert found[k] == pytest.approx(best.x, abs=1e-4)
        assert loss(found[k]) <= best.fun + 1e-9


def test_weights_count_a_label_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    x, label = rng.normal(size=(9, 2)), np.array([1.0, 0, 0.5] * 3)
    times = np.arange(9) % 3
    again = np.repeat(np.arange(9), times)
    one = fit(x, label, times.astype(float), np.zeros((1, 2)), 1.0)
    other = fit(x[again], label[again], np.ones(len(again)), np.zeros((1, 2)), 1.0)
    assert one == pytest.approx(other, abs=1e-9)


def test_weights_are_one_over_inclusion_with_mean_1() -> None:
    some = Labelled(np.array([3, 4]), np.array([0.2, 0.6]))
    assert some.weight(True) == pytest.approx([1.5, 0.5])
    assert some.weight(False) == pytest.approx([1, 1])


def held(gap: list[float], x: list[float], *, rare: bool = False, few: int = 0) -> Drawn:
    n = len(gap)
    return Drawn(
        arm=arm(rare=rare),
        x=np.array([[[v], [0.0]] for v in x]),
        gap=np.array(gap),
        label=np.full(n, np.nan),
        source=np.array([PANDALM] * few + [HH] * (n - few)),
        batches=(),
        held=np.arange(n),
        seed=0,
    )


def test_accuracy_and_regret_by_hand() -> None:
    # Right; wrong by 2; held equal by the model: half right, half of 4 lost; a tie of the truth.
    accuracy, regret = judged(held([1, -2, 4, 0], [3, 1, 0, 5]), np.array([1.0]))
    assert accuracy == pytest.approx(1.5 / 3)
    assert regret == pytest.approx((0 + 2 + 2) / 3)


def test_where_one_kind_is_rare_both_kinds_count_alike() -> None:
    drawn = held([1, 1, 1, -3], [1, 1, 1, 1], rare=True, few=1)
    accuracy, regret = judged(drawn, np.array([1.0]))
    assert accuracy == pytest.approx((1 + 2 / 3) / 2)
    assert regret == pytest.approx((0 + 1) / 2)


# ---- people and pairs ----------------------------------------------------------------------------


def test_people_prefer_what_is_worth_more_as_often_as_they_should(texts: Texts) -> None:
    rights, expected = [], []
    for seed in range(12):
        drawn = draw(texts, arm(people=CAREFUL), seed)
        asked = np.concatenate(drawn.batches)
        rights += [float((drawn.gap[i] > 0) == (drawn.label[i] == 1)) for i in asked]
        expected += [expit(abs(drawn.gap[i]) / 0.5) for i in asked]
    assert len(rights) == 12 * 5 * 40
    assert np.mean(rights) == pytest.approx(np.mean(expected), abs=4 * 0.4 / np.sqrt(len(rights)))


def test_exact_people_are_always_right_and_blurred_ones_tie_close_pairs(texts: Texts) -> None:
    exact = draw(texts, arm(people=replace(CAREFUL, temperature=0)), 3)
    asked = np.concatenate(exact.batches)
    assert (exact.label[asked] == (exact.gap[asked] > 0)).all()
    blurred = draw(texts, arm(people=replace(CAREFUL, temperature=0, grain=1)), 3)
    ties = blurred.label[asked] == 0.5
    assert 0.1 < ties.mean() < 0.9
    assert np.abs(blurred.gap[asked][ties]).max() < 1
    assert np.abs(blurred.gap[asked][~ties]).mean() > 1


def test_no_pair_is_asked_twice_or_held_out_as_well(texts: Texts) -> None:
    drawn = draw(texts, arm(), 4)
    every = np.concatenate([*drawn.batches, drawn.held])
    assert len(set(every.tolist())) == len(every) == 5 * 40 + 60
    assert np.isnan(drawn.label[drawn.held]).all()


def test_a_rare_kind_is_a_tenth_of_each_batch_and_half_of_what_is_held_out(texts: Texts) -> None:
    drawn = draw(texts, arm(rare=True, truth="by kind"), 4)
    assert (drawn.source[drawn.held] == PANDALM).mean() == 0.5
    for batch in drawn.batches:
        assert (drawn.source[batch] == PANDALM).mean() == pytest.approx(0.1)
    own = drawn.x[..., FEATURES:]
    assert (own[drawn.source == HH] == 0).all()
    assert (own[drawn.source == PANDALM] == drawn.x[drawn.source == PANDALM, :, :FEATURES]).all()


def test_the_model_can_say_what_is_linear_and_cannot_say_what_is_bent(texts: Texts) -> None:
    rng = np.random.default_rng(0)
    left = []
    for want in (choosing.linear, choosing.bent):
        worth = want(texts, rng).ravel()
        seen = np.column_stack([texts.features.reshape(-1, FEATURES), np.ones(600)])
        fitted = seen @ np.linalg.lstsq(seen, worth, rcond=None)[0]
        left.append(float((worth - fitted).var() / worth.var()))
    assert left[0] < 1e-20
    assert 0.3 < left[1] < 0.7  # half of it, but for what clipping takes


def test_directions_hold_what_texts_share() -> None:
    said = ["red fish swim", "red fish swim", "blue birds fly"] * 5
    found = choosing.directions(said, 2)
    assert found.shape == (15, 2)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    assert apart[0, 1] == pytest.approx(0, abs=1e-9)
    assert apart[0, 2] == pytest.approx(np.sqrt(2), abs=1e-9)  # rows of length 1 at right angles


# ---- campaigns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["random", *METHODS])
@pytest.mark.parametrize("weighted", [True, False])
def test_a_campaign_asks_what_it_may_and_is_the_same_again(
    texts: Texts, method: str, weighted: bool
) -> None:
    drawn = draw(texts, arm(), 5)
    found = campaign(drawn, method, weighted=weighted)
    assert found.shape == (5, 2)
    assert (found[:, 0] > 0.4).all()
    assert (campaign(drawn, method, weighted=weighted) == found).all()


def test_labels_teach(texts: Texts) -> None:
    drawn = draw(texts, arm(), 6)
    curve = np.mean([at_random(drawn, k) for k in range(5)], axis=0)
    assert curve.shape == (10, 2)
    assert curve[-1, 0] > curve[0, 0] + 0.03
    assert curve[-1, 1] < curve[0, 1]


def test_an_arm_is_told_with_every_comparison(texts: Texts) -> None:
    one = arm()
    row = told_arm(one, [study(draw(texts, one, seed)) for seed in (1, 2, 3)], 1)
    called([row])
    assert row["labels"] == [10, 20, 30, 40, 50]
    assert row["seeds"] == [1, 3]
    found = row["methods"]["gap"]
    # A gain is the method's mean less random's: the same seeds are in both.
    both = zip(found["accuracy"], row["methods"]["random"]["accuracy"][:5], strict=True)
    means = [a[0] - b[0] for a, b in both]
    assert [g[0] for g in found["gain"]["accuracy"]] == pytest.approx(means, abs=3e-5)
    assert len(told(row)) == 2 + len(row["methods"]) - 1
    drawing = ElementTree.fromstring(chart([row]))
    words = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert "as assumed" in words
    assert len(list(drawing.iter("{http://www.w3.org/2000/svg}circle"))) == 2 * 3 * 5


def test_a_verdict_allows_for_the_number_of_comparisons() -> None:
    def compared(gain: float, p: float) -> dict[str, object]:
        figures = ("accuracy", "regret")
        return {"gain": {f: [[gain, 0, 0]] for f in figures}, "p": dict.fromkeys(figures, p)}

    # Of 20 at .03 alone none stands; a clear one does, and its sign says which way.
    chance = {f"m{k}": compared(0.01, 0.03 if k == 0 else 0.9) for k in range(20)}
    clear = {"good": compared(0.01, 1e-6), "bad": compared(-0.01, 1e-6)}
    row = {"methods": {"random": {}, **chance, **clear}}
    called([row])
    verdicts = {n: m["verdict"] for n, m in row["methods"].items() if n != "random"}
    assert verdicts["m0"]["accuracy"] == "no difference shown"
    assert verdicts["good"] == {"accuracy": "helps", "regret": "hurts"}
    assert verdicts["bad"] == {"accuracy": "hurts", "regret": "helps"}


def test_labels_to_reach_an_accuracy_by_hand() -> None:
    curve = np.array([0.6, 0.7, 0.65, 0.8])
    assert labels_to(0.65, curve, 100) == pytest.approx(150)
    assert labels_to(0.75, curve, 100) == pytest.approx(300 + 100 * 0.1 / 0.15)
    assert labels_to(0.5, curve, 100) == 100
    assert labels_to(0.9, curve, 100) == 400


def test_labels_saved_by_hand_and_with_an_interval_that_holds_them() -> None:
    random = np.tile([0.6, 0.7, 0.8, 0.9], (4, 1))
    spread = np.array([-0.01, 0.01, 0.02, -0.02])
    estimate, low, high = saved(0.75 + spread, random, each=10, spent=20)
    assert estimate == 5  # as good as 25 random labels, with 20
    assert 3 <= low < 5 < high <= 7


def test_a_p_value_of_no_difference_is_1() -> None:
    assert p_value(np.zeros(5)) == 1
    assert p_value(np.full(5, 0.1)) == 0
    assert p_value(np.array([0.1, 0.12, 0.09, 0.11])) < 1e-3
    assert p_value(np.array([0.1, -0.12, 0.09, -0.11])) > 0.5


def test_the_page_shows_what_was_kept() -> None:
    kept = json.loads((ROOT / "bench/results/selection.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/active-selection.md").read_text(encoding="utf-8")
    for table in (gains(kept["arms"]), worth(kept["arms"])):
        assert f"\n\n{table}\n\n" in page
    drawn = (ROOT / "docs/active-selection.svg").read_text(encoding="utf-8")
    assert drawn == chart(kept["arms"])
    assert "(active-selection.svg)" in page


def compared(gain: list[float], verdict: str, saved: list[float]) -> dict[str, object]:
    figures = ("accuracy", "regret")
    return {
        "gain": {"accuracy": [[0.0] * 3, gain], "regret": [[0.0] * 3, [-0.02, 0, 0]]},
        "labels_saved": saved,
        "verdict": dict.fromkeys(figures, verdict),
    }


def test_tables_by_hand() -> None:
    plain = compared([0.001, -0.01, 0.012], "no difference shown", [3.0, -9.0, 11.0])
    ways = ("", " (unweighted)")
    names = [name + way for name in METHODS for way in ways]
    methods = {
        "random": {"accuracy": [[0.7], [0.8123]]},
        **dict.fromkeys(names, plain),
        "uncertainty, top only": compared([0.02, 0.01, 0.03], "helps", [60.0, 30.0, 100.0]),
        "gap": compared([-0.0203, -0.03, -0.01], "hurts", [-40.0, -50.0, -9.6]),
    }
    row = {"arm": "here", "labels": [50, 100], "methods": methods}
    same, bad = "+0.1 (-1.0 to +1.2)", "**-2.0 (-3.0 to -1.0)**"
    assert gains([row]).splitlines()[2:] == [
        f"| here | 100 | 81.2% | by inclusion | {same} | {bad} | {same} | {same} |  |",
        f"|  |  |  | alike | {same} | {same} | {same} | {same} | **+2.0 (+1.0 to +3.0)** |",
    ]
    assert worth([row]).splitlines()[2:] == [
        "| here | gap | -2.0 | -0.020 | -40 of 100 (-50 to -10) |",
        "| here | uncertainty, top only | +2.0 | -0.020 | +60 of 100 (+30 to +100 or more) |",
    ]


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_real_texts_are_seen_in_features_of_one_scale() -> None:
    pytest.importorskip("vaderSentiment")
    assert DATA is not None
    found = read_texts(Path(DATA))
    assert len(found.prompts) == 2520
    assert found.features.shape == (2520, 2, 40 + len(STYLE))
    apart = found.features[:, 0] - found.features[:, 1]
    assert (apart**2).sum(axis=1).mean() == pytest.approx(1)
