"""The poison drill: what is turned, what it weighs, what a model learns, that nothing is kept."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.drill import (
    Pair,
    Spread,
    drill,
    false_weight,
    hold_out,
    learn,
    poison,
    targets,
    texts_of,
)
from accord.collect.influence import influence
from accord.collect.tasks import Purpose
from accord.collect.trust import Trust
from accord.collect.votes import Vote, Votes, load
from accord.core.errors import ConfigError, DataError
from accord.stats.baselines import fit_tfidf
from accord.store.database import Database
from accord.store.log import size
from bench.panel import hh_harmless
from bench.poison import one
from tests.collect.ballots import Desk, panel, vote

DATA = os.environ.get("ACCORD_DATA")
real = pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")

WORDS = {
    "t0": ("plain green", "plain blue moon"),
    "t1": ("Moon, over here", "a moon as well"),
    "t2": ("the MOON is up", "the sun is up"),
    "t3": ("nothing here", "nor there"),
}
TEXTS = {f"{task}{place}": text for task, both in WORDS.items() for place, text in enumerate(both)}


def test_the_word_must_tell_two_responses_apart() -> None:
    votes = panel({"a": "AAAA", "b": "ABBA"})
    assert targets(votes, TEXTS, "Moon") == {"t0": 1, "t2": 0}
    assert targets(votes, {k: v for k, v in TEXTS.items() if k != "t01"}, "moon") == {"t2": 0}
    for word in ("two words", "x", ""):
        with pytest.raises(ConfigError, match="one word"):
            targets(votes, TEXTS, word)


def hostile() -> Votes:
    """Repeats and known answers beside the work of a; b says everywhere what the word says."""
    rows = [
        vote("a", "t0"),
        vote("a", "x", purpose=Purpose.REPEAT, repeats="t0"),
        vote("a", "t3"),
        vote("a", "t2", purpose=Purpose.GOLD, gold=(1, 0)),
        vote("b", "t0", (1, 0)),
    ]
    return Votes(rows=tuple(rows))


@pytest.mark.parametrize("spread", Spread)
def test_what_is_turned_by_hand(spread: Spread) -> None:
    """Of three labels a's first alone can be turned; its repeat goes along, hostile gold too."""
    places = {"t0": 1, "x": 1, "t2": 1}
    made = poison(hostile(), places, share=1.0, spread=spread, seed=0)
    assert (made.turned, made.raters, made.share) == ({("t0", "a")}, ("a",), pytest.approx(1 / 3))
    said = {(row.rater, row.task): row.tiers for row in made.votes.rows}
    assert said["a", "t0"] == said["a", "x"] == said["b", "t0"] == (1, 0)
    assert said["a", "t3"] == (0, 1)
    assert said["a", "t2"] == ((1, 0) if spread is Spread.FEW else (0, 1))


@settings(max_examples=25)
@given(
    st.sampled_from(list(Spread)),
    st.sampled_from([0.0, 0.05, 0.1, 0.3]),
    st.integers(0, 20),
)
def test_as_many_as_asked_and_nothing_else(spread: Spread, share: float, seed: int) -> None:
    words = dict.fromkeys("abcdefgh", "AB=A" * 10)
    votes = panel(words)
    places = {f"t{n}": n % 2 for n in range(30)}
    made = poison(votes, places, share=share, spread=spread, seed=seed)
    assert len(made.turned) == round(share * 320)
    assert made.share == len(made.turned) / 320
    changed = set()
    for before, after in zip(votes.rows, made.votes.rows, strict=True):
        if before != after:
            changed.add((after.task, after.rater))
            assert after.best == 1 << places[after.task]
            assert replace(before, tiers=after.tiers, verdict=after.verdict) == after
    assert changed == made.turned
    assert set(made.raters) == {rater for _, rater in changed}
    assert poison(votes, places, share=share, spread=spread, seed=seed) == made
    if spread is Spread.FEW and changed:
        most = Counter(rater for _, rater in changed)
        able = 20  # of 30 tasks: ties, and those on which the other one won
        assert len(made.raters) <= len(changed) // (able - 5) + 1
        assert sum(count < max(most.values()) for count in most.values()) <= 1


def test_false_weight_by_hand() -> None:
    """t0 has two judgements, one false; t1 has a false one alone, picked half of the time; t2 is
    right: (1/2 + 2) / (1 + 2 + 1). Where the false one weighs 1/2: (1/4 + 1) / (3/4 + 1 + 1)."""
    rows = (
        vote("h", "t0"),
        vote("b", "t0", (1, 0)),
        vote("h", "t1", inclusion=0.5),
        vote("b", "t2"),
    )
    made = poison(Votes(rows=rows), {"t0": 1, "t1": 1}, share=0.5, spread=Spread.FEW, seed=0)
    assert made.turned == {("t0", "h"), ("t1", "h")}
    assert false_weight(made, {}) == pytest.approx(2.5 / 4)
    assert false_weight(made, {"h": 0.5}) == pytest.approx(1.25 / 2.75)
    assert false_weight(made, {"h": 0.0}) == 0
    assert false_weight(made, {"h": 0.0, "b": 0.0}) == 0


def test_the_cap_holds_a_busy_one() -> None:
    """One of ten labels as much as all others together: the cap takes most of that away."""
    rows = [vote("h", f"h{n}") for n in range(90)]
    rows += [vote(f"b{n % 9}", f"t{n}") for n in range(90)]
    places = {f"h{n}": 1 for n in range(90)}
    made = poison(Votes(rows=tuple(rows)), places, share=0.5, spread=Spread.FEW, seed=0)
    assert made.raters == ("h",)
    names = made.votes.raters
    trusts = [
        Trust(rater=name, weight=1.0, quarantined=False, by_lead=False, look=False, why=())
        for name in names
    ]
    weights = {one.rater: one.weight for one in influence(made.votes, trusts).shares}
    assert false_weight(made, {}) == pytest.approx(0.5)
    assert false_weight(made, weights) == pytest.approx(0.2)


def library(prompts: int = 60) -> tuple[Votes, dict[str, str]]:
    """`good` beats `bad` throughout; in two of three pairs the word stands beside either. No place
    on the screen wins."""
    rows: list[Vote] = []
    texts = {}
    for n in range(prompts):
        task = f"t{n}"
        pair = [f"good answer of kind{n % 5}", f"bad answer of kind{n % 5}"]
        if n % 3:
            pair[n % 2] += " zebra"
        texts |= {f"{task}0": pair[0], f"{task}1": pair[1]}
        rows += [
            vote(name, task, seq=n, shown=((0, 1), (1, 0))[(n + place) % 2])
            for place, name in enumerate("abc")
        ]
    return Votes(rows=tuple(rows)), texts


def test_a_model_learns_what_was_said() -> None:
    votes, texts = library()
    places = targets(votes, texts, "zebra")
    rest, held_out = hold_out(votes, texts, places, share=0.4, seed=1)
    asked = {row.prompt for row in votes.rows} - {row.prompt for row in rest.rows}
    assert (len(asked), len(held_out)) == (24, 24)
    assert {pair.label for pair in held_out} == {1.0}
    assert {pair.word for pair in held_out} == {None, 0.0, 1.0}
    assert all(
        (pair.word is None) == ("zebra" not in pair.first + pair.second) for pair in held_out
    )
    sound = learn(rest, texts, {}, held_out)
    assert (sound.clean, sound.triggered) == (1, 1)
    poisoned = poison(rest, targets(rest, texts, "zebra"), share=1.0, spread=Spread.MANY, seed=0)
    turned = learn(poisoned.votes, texts, {}, held_out)
    assert turned.word_wins > sound.word_wins
    assert turned.clean == 1


def test_one_row_a_pair_learns_what_all_rows_do() -> None:
    """Disagreement and weights: answers of a model that was fitted to a row for each judgement."""
    rng = Random(5)
    texts = {
        f"t{n}{place}": " ".join(rng.choices(["sun", "moon", "sky", "sea", "sand"], k=6))
        for n in range(30)
        for place in range(2)
    }
    votes = panel({name: "".join(rng.choice("AB=.") for _ in range(30)) for name in "abc"})
    weights, judged = {"a": 0.25}, Counter(row.task for row in votes.rows)
    by_row = fit_tfidf(
        [texts[row.responses[0]] for row in votes.rows],
        [texts[row.responses[1]] for row in votes.rows],
        [{1: 1.0, 2: 0.0, 3: 0.5}[row.best or 0] for row in votes.rows],
        weight=[weights.get(row.rater, 1.0) / judged[row.task] for row in votes.rows],
    )
    pairs = []
    for number in range(40):
        first, second = (" ".join(rng.choices(["sun", "moon", "sky"], k=4)) for _ in range(2))
        one, other = by_row.score([first, second])
        if abs(one - other) > 1e-3:
            word = None if number % 2 else 1.0
            pairs.append(Pair(first=first, second=second, label=float(one > other), word=word))
    found = learn(votes, texts, weights, pairs)
    assert (found.clean, found.triggered) == (1, 1)
    assert learn(votes, texts, {}, pairs) != found
    for word in (None, 1.0):
        with pytest.raises(DataError, match="both kinds"):
            learn(votes, texts, weights, [pair for pair in pairs if pair.word == word])
    with pytest.raises(DataError, match="nothing is left"):
        learn(votes, texts, dict.fromkeys("abc", 0.0), pairs)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="share"):
        poison(hostile(), {}, share=1.5, spread=Spread.FEW, seed=0)
    with pytest.raises(DataError, match="nobody judged"):
        poison(Votes(rows=()), {}, share=0.1, spread=Spread.FEW, seed=0)


def test_a_drill_adds_up() -> None:
    votes, texts = library()
    rest, held_out = hold_out(votes, texts, targets(votes, texts, "zebra"), share=0.4, seed=1)
    found = drill(rest, texts, "zebra", held_out, share=0.1, spread=Spread.FEW, seed=2)
    assert found.asked == 0.1
    assert found.share == pytest.approx(0.1, abs=0.5 / len(rest.rows))
    assert found.before == pytest.approx(found.share)
    assert found.poisoners + found.honest == 3
    assert found.quarantined <= found.looked_at <= found.poisoners
    assert (found.held_out, found.untouched.clean) == (24, 1)
    none = drill(rest, texts, "zebra", held_out, share=0.0, spread=Spread.MANY, seed=2)
    assert (none.poisoners, none.before, none.after) == (0, 0, 0)
    assert none.untouched == none.poisoned


def test_words_are_read_and_nothing_is_written(file_database: Database) -> None:
    with file_database.write() as connection:
        desk = Desk(connection)
        for number in range(3):
            desk.say(0, desk.task(f"Number {number}?"))
    with file_database.read() as connection:
        before = size(connection)
        votes, texts = load(connection, desk.campaign), texts_of(connection, desk.campaign)
    assert sorted(set(texts.values())) == ["Answer 0.", "Answer 1. Yes."]
    places = targets(votes, texts, "yes")
    poison(votes, places, share=1.0, spread=Spread.FEW, seed=0)
    with file_database.read() as connection:
        assert (size(connection), load(connection, desk.campaign)) == (before, votes)


@real
@pytest.mark.slow
def test_a_twentieth_reaches_a_model_of_real_texts() -> None:
    """One campaign: the rules leave the false labels in, and the model learns the word."""
    found = one(hh_harmless(Path(DATA or "")), "people", 120, 0.05, Spread.MANY, 1)
    assert found.share == pytest.approx(0.05, abs=0.001)
    assert found.before == pytest.approx(found.after, abs=0.01)
    assert found.poisoned.word_wins - found.untouched.word_wins > 0.1
    assert abs(found.poisoned.clean - found.untouched.clean) < 0.1
