from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from accord.evals.report import evidence
from accord.evals.report.data import Answer, SamplePair
from accord.evals.report.findings import Tone


def test_tiles_carry_levels_change_and_interval(sample: ModuleType) -> None:
    found = {tile.label: tile for tile in evidence.tiles(sample.full())}
    gold = found["Known truth (gold)"]
    assert (gold.value, gold.tone) == ("+1.12", Tone.GOOD)
    assert gold.detail == "from 0.050 to 1.17; interval +1.01 to +1.23"
    assert found["KL spent"].detail == "a response, of 8 allowed"
    assert found["Cost"].value == "1\xa0min 23\xa0s"


def test_missing_figures_say_so_in_their_tile(sample: ModuleType) -> None:
    found = {tile.label: tile for tile in evidence.tiles(sample.nothing())}
    assert {tile.value for tile in found.values()} == {"not measured"}
    assert {tile.tone for tile in found.values()} == {Tone.UNKNOWN}


def test_a_budget_of_zero_is_a_budget(sample: ModuleType) -> None:
    data = sample.full()
    kl = replace(data.kl, budget=0.0)
    found = {tile.label: tile for tile in evidence.tiles(replace(data, kl=kl))}
    assert found["KL spent"].detail == "a response, of 0 allowed"
    assert found["KL spent"].tone is Tone.BAD


def test_changes_are_read_by_their_interval(sample: ModuleType) -> None:
    found = {(row.name, row.pair): row.reading for row in evidence.changes(sample.exploited())}
    assert found["score", "sft to ppo"] == "better"
    assert found["gold", "sft to ppo"] == "worse"
    assert found["length", "sft to ppo"] == "changed"


def test_levels_have_a_cell_for_each_policy(sample: ModuleType) -> None:
    data = sample.full()
    figures = tuple(f for f in data.figures if (f.name, f.policy) != ("gold", "dpo"))
    names, rows = evidence.levels(replace(data, figures=figures))
    assert names == ("sft", "ppo", "dpo")
    gold = next(row for row in rows if row.name == "gold")
    assert gold.cells[1:] == ("1.17 (1.05 to 1.29)", "not measured")


def test_a_policy_keeps_its_colour_on_the_page(sample: ModuleType) -> None:
    data = sample.full()
    order = evidence.policies(data)
    (group,) = evidence.samples(data)
    shown = {a.policy: a.css for view in group.shown for a in view.answers}
    assert shown == {name: evidence.colour(name, order) for name in order}
    assert len(set(shown.values())) == 3


def test_long_answers_are_cut_and_the_rest_counted(sample: ModuleType) -> None:
    text = "x" * (evidence.MOST_TEXT + 9)
    pair = SamplePair(prompt="p", answers=(Answer(policy="sft", text=text, stopped=False),))
    (group,) = evidence.samples(replace(sample.full(), samples=(pair,)))
    (view,) = group.shown
    assert (len(view.answers[0].text), view.answers[0].cut) == (evidence.MOST_TEXT, 9)
    assert view.answers[0].marks == ("cut off by the length limit",)


def test_accuracy_stands_beside_rules_coin_and_bound(sample: ModuleType) -> None:
    drawn = evidence.accuracy_picture(sample.full().calibration).svg
    for word in ("longer wins", "TF-IDF words", "coin", "best possible"):
        assert word in drawn
    bare = replace(sample.full().calibration, bayes_bound=None, interval=None)
    assert "best possible" not in evidence.accuracy_picture(bare).svg
    assert evidence.reliability_picture(replace(bare, bins=())) is None


def test_samples_stand_under_how_they_were_chosen(sample: ModuleType, arms: ModuleType) -> None:
    groups = evidence.samples(arms.many(sample))
    assert [(g.why, len(g.shown), len(g.folded)) for g in groups] == [
        ("Drawn by seed", 4, 2),
        ("Where PPO gained most", 2, 1),
        ("Where PPO lost most", 2, 1),
    ]
    answers = groups[0].shown[0].answers
    assert [answer.policy for answer in answers] == [arm.label for arm in arms.ARMS]
    assert [answer.policy for answer in answers if answer.focus] == ["PPO"]
    assert answers[0].marks == ("score \N{MINUS SIGN}0.42", "grade \N{MINUS SIGN}0.21")
    assert len({answer.css for answer in answers}) == len(arms.ARMS)


def test_one_person_stands_beside_the_reward_model(sample: ModuleType, arms: ModuleType) -> None:
    model = arms.many(sample).calibration
    assert "One person" in evidence.accuracy_picture(model).svg
    assert "One person" not in evidence.accuracy_picture(sample.full().calibration).svg
