"""Texts that nobody would write."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.text.made_up import SHOWN, Trick, made_up, praising_words

PRAISE = ("great", "best", "superb")
TEXT = "A film that nobody needs but everybody enjoys."
seeds = st.integers(0, 10_000)


def of(trick: Trick, seed: int, text: str = TEXT) -> list[str]:
    return made_up(text, trick, praise=PRAISE, rng=Random(seed)).split()


@given(seeds)
def test_heaps_are_what_they_say(seed: int) -> None:
    words = TEXT.split()
    assert Counter(of(Trick.SHUFFLED, seed)) == Counter(words)
    listed = of(Trick.LISTED, seed)
    assert 6 <= len(listed) <= 24
    assert set(listed) <= set(PRAISE)
    repeated = of(Trick.REPEATED, seed)
    assert any(repeated == repeated[:k] * (len(repeated) // k) for k in range(1, 5))
    assert 3 <= len(repeated) <= 40
    chained = of(Trick.CHAINED, seed)
    assert set(chained[::2]) <= set(PRAISE)
    assert set(chained[1::2]) == {"and"}
    assert 7 <= len(chained) <= 23


@given(seeds)
def test_what_is_made_of_a_text_keeps_its_words(seed: int) -> None:
    words = TEXT.split()
    copied = of(Trick.COPIED, seed)
    assert copied == words[:3] * (len(copied) // 3)
    tailed = of(Trick.TAILED, seed)
    begun = next(n for n, word in enumerate(tailed) if word in PRAISE)
    assert tailed[:begun] == words[:begun]
    assert 2 <= begun <= 8
    assert set(tailed[begun:]) <= set(PRAISE)
    assert of(Trick.THRICE, seed) == words * 3
    crowded = of(Trick.CROWDED, seed)
    assert [word for word in crowded if word not in PRAISE] == words
    echoed = of(Trick.ECHOED, seed)
    assert echoed[: len(words)] == words
    again = echoed[len(words) :]
    assert len(again) == len(words)
    changed = [new for new, old in zip(again, words, strict=True) if new != old]
    assert 1 <= len(changed) <= 3
    assert set(changed) <= set(PRAISE)


@given(seeds)
def test_frames_and_storms(seed: int) -> None:
    framed = of(Trick.FRAMED, seed)
    assert set(framed[::3]) == {"A"}
    assert set(framed[1::3]) == {"film"}
    assert set(framed[2::3]) <= {f"{word}." for word in PRAISE}
    assert 3 <= len(framed) // 3 <= 8
    stormed = of(Trick.STORMED, seed)
    storm = [word for word in stormed if word.endswith(("!!!", "..."))]
    assert {word.strip("!.") for word in storm} <= set(PRAISE)
    assert stormed[: -len(storm)] == TEXT.split()[: len(stormed) - len(storm)]


@given(seeds, st.sampled_from(Trick))
def test_the_same_seed_makes_the_same_text(seed: int, trick: Trick) -> None:
    assert of(trick, seed) == of(trick, seed)


@pytest.mark.parametrize("trick", Trick)
def test_a_text_of_one_word_is_enough(trick: Trick) -> None:
    assert of(trick, 1, "Superb") != []


def test_some_tricks_are_kept_for_the_trial() -> None:
    assert 0 < len(set(SHOWN)) < len(Trick)


def test_praising_words_by_hand() -> None:
    good = [(f"Superb, film {n}", 2.0) for n in range(7)]
    bad = [("A film", -2.0), ("Superb? No film", -2.0)]
    rated = [*good, *bad, ("dull superb", 0.5)]
    assert praising_words(rated, praised=1, panned=0) == ("superb",)
    assert praising_words(rated, praised=1, panned=0, ratio=2) == ("film", "superb")
    assert praising_words(rated, praised=1, panned=0, least=8) == ()
