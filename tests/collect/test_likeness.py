"""Near-duplicates: the index finds what comparing everything with everything finds."""

from __future__ import annotations

import gzip
import json
import os
import random
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.likeness import ALIKE, Leaders, clusters, likeness, shingles, words

DATA = os.environ.get("ACCORD_DATA")


def by_brute_force(texts: list[str]) -> list[int]:
    """The definition, word for word: every text against every earlier leader."""
    sets = [shingles(text) for text in texts]
    leaders: list[int] = []
    found = []
    for place, said in enumerate(sets):
        alike = [(likeness(said, sets[one]), -one) for one in leaders]
        best = max(alike, default=(0.0, 0))
        if best[0] >= ALIKE - 1e-12:
            found.append(-best[1])
        else:
            leaders.append(place)
            found.append(place)
    return found


def variations(count: int, seed: int) -> list[str]:
    """Sentences over a small vocabulary, and copies of them with a few words changed."""
    rng = random.Random(seed)
    vocabulary = [f"w{i}" for i in range(60)]
    texts: list[str] = []
    while len(texts) < count:
        said = rng.choices(vocabulary, k=rng.randrange(2, 40))
        texts.append(" ".join(said))
        for _ in range(rng.randrange(4)):
            changed = list(said)
            for _ in range(rng.randrange(3)):
                changed[rng.randrange(len(changed))] = rng.choice(vocabulary)
            texts.append(" ".join(changed))
    rng.shuffle(texts)
    return texts[:count]


@pytest.mark.parametrize("seed", range(3))
def test_the_index_finds_what_brute_force_finds(seed: int) -> None:
    texts = variations(400, seed)
    found = clusters(texts)
    assert found == by_brute_force(texts)
    assert 50 < len(set(found)) < 350


def test_clusters_hold_what_is_alike() -> None:
    """Over all pairs: alike ones share a cluster, and those that share one are alike."""
    texts = variations(600, 5)
    sets = [shingles(text) for text in texts]
    found = clusters(texts)
    same = alike = both = 0
    for a, b in combinations(range(len(texts)), 2):
        near = likeness(sets[a], sets[b]) >= ALIKE
        alike += near
        same += found[a] == found[b]
        both += near and found[a] == found[b]
    # Members of a cluster are alike its leader; two members may be less alike each other.
    assert alike > 300
    assert both / alike > 0.85
    assert both / same > 0.85


@given(st.lists(st.text(alphabet="ab \u4e00\u4e8c\u3042.", max_size=14), max_size=25))
def test_any_texts_agree_with_brute_force(texts: list[str]) -> None:
    assert clusters(texts) == by_brute_force(texts)


def test_a_template_filled_in_many_ways_is_sorted_out() -> None:
    """Shingles that hundreds share, some of them alike and most of them just not."""
    rng = random.Random(1)
    texts = [
        " ".join(["write"] * (i % 3) + ["a story about the number", str(i), "for my two children"])
        + rng.choice([" please", " please and thank you very much indeed", ""])
        for i in range(300)
    ]
    texts += [text.upper() + "!" for text in texts[::7]]
    found = clusters(texts)
    assert found == by_brute_force(texts)
    assert 200 < len(set(found)) < 300


def test_words_are_folded_and_marks_do_not_count() -> None:
    assert words("The CAF\u00c9, it's \ufb01ne!") == ["the", "caf\u00e9", "it", "s", "fine"]
    assert words("\u4e00\u4e8c abc") == ["\u4e00", "\u4e8c", "abc"]
    assert shingles("One two, three FOUR.") == {"one two three", "two three four"}
    assert shingles("Hi!") == {"hi"}
    assert shingles("?!") == {"?!"}
    assert shingles("") == {""}


def test_likeness_by_hand() -> None:
    a, b = shingles("a b c d e"), shingles("a b c d f")
    assert likeness(a, b) == 2 / 4
    assert likeness(a, a) == 1
    assert likeness(a, shingles("x y z")) == 0


def test_the_most_alike_leader_is_found_and_the_earlier_of_two() -> None:
    leaders = Leaders()
    base = [f"w{i}" for i in range(30)]
    leaders.add("far", shingles(" ".join([*base[:-3], "x", "y", "z"])))
    leaders.add("near", shingles(" ".join([*base[:-1], "x"])))
    leaders.add("twin", shingles(" ".join([*base[:-1], "q"])))
    assert leaders.find(shingles(" ".join(base))) == "near"
    assert leaders.find(shingles("something else entirely")) is None
    assert len(leaders) == 3


def test_a_chain_of_small_changes_does_not_join_its_ends() -> None:
    chain = [" ".join(f"w{i}" for i in range(start, start + 30)) for start in range(0, 30, 2)]
    found = clusters(chain)
    assert found[0] != found[-1]
    assert likeness(shingles(chain[0]), shingles(chain[1])) >= ALIKE


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_real_questions_agree_with_brute_force() -> None:
    with gzip.open(Path(DATA or "") / "gsm8k" / "train.jsonl.gz", "rt") as file:
        questions = [str(json.loads(line)["question"]) for line in file][:1500]
    copies = [text.replace(" the ", " a ", 1).upper() for text in questions[::10]]
    texts = [*questions, *copies]
    found = clusters(texts)
    assert found == by_brute_force(texts)
    caught = sum(place < len(questions) for place in found[len(questions) :])
    assert caught > 0.9 * len(copies)
