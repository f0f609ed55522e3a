"""Keys to tiers: by hand, and whatever is typed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.ballot import LETTERS, Ballot
from accord.core.errors import DataError
from accord.store.judgements import Verdict


@pytest.mark.parametrize(
    ("k", "keys", "tiers", "strength"),
    [
        (2, "ab", (0, 1), None),
        (2, "b", (1, 0), None),
        (2, "a=b", (0, 0), None),
        (2, "0", (0, 0), None),
        (2, "1", (0, 1), 4),
        (2, "3", (0, 1), 2),
        (2, "4", (0, 0), None),
        (2, "7", (1, 0), 4),
        (2, "15", (1, 0), 2),
        (3, "a c = b", (0, 1, 1), None),
        (3, "A > C > B", (0, 2, 1), None),
        (3, "c=a", (0, 1, 0), None),
        (3, "ca=", (1, 1, 0), None),
        (3, "cab3", (1, 2, 0), 3),
        (4, "d=b a=c", (1, 0, 1, 0), None),
        (4, "dba\x7fc", (3, 1, 2, 0), None),
        (4, "0", (0, 0, 0, 0), None),
    ],
)
def test_what_keys_mean(k: int, keys: str, tiers: tuple[int, ...], strength: int | None) -> None:
    said = Ballot(k=k).typed(keys).opinion()
    assert said.tiers == tiers
    assert said.strength == strength
    assert said.verdict is (Verdict.TIE if len(set(tiers)) == 1 else Verdict.RANKING)


def test_all_bad_keeps_an_order_that_was_typed() -> None:
    plain = Ballot(k=3).typed("x").opinion()
    assert (plain.verdict, plain.tiers) == (Verdict.ALL_BAD, None)
    ordered = Ballot(k=3).typed("bx ac").opinion()
    assert (ordered.verdict, ordered.tiers) == (Verdict.ALL_BAD, (1, 0, 2))
    for keys in ("x6", "6x"):
        scaled = Ballot(k=2).typed(keys).opinion()
        assert (scaled.verdict, scaled.tiers) == (Verdict.ALL_BAD, (1, 0))
    assert Ballot(k=2).typed("xxa").opinion().verdict is Verdict.RANKING


@pytest.mark.parametrize(
    ("k", "keys"), [(2, "c"), (2, "8"), (3, "5"), (3, "aa"), (3, "="), (3, "abc="), (2, "z")]
)
def test_a_key_without_meaning_is_refused(k: int, keys: str) -> None:
    before = Ballot(k=k).typed(keys[:-1])
    with pytest.raises(DataError):
        before.press(keys[-1])


@pytest.mark.parametrize(("k", "keys"), [(2, ""), (3, "a"), (4, "ab"), (4, "1")])
def test_an_order_that_lacks_letters_is_not_handed_in(k: int, keys: str) -> None:
    ballot = Ballot(k=k).typed(keys)
    assert ballot.missing
    with pytest.raises(DataError, match="not complete"):
        ballot.opinion()


@pytest.mark.parametrize(
    ("k", "keys", "told"),
    [
        (3, "ac=b", "A > C = B"),
        (2, "7", "B > A, strong"),
        (3, "a=", "A ="),
        (3, "x", "all bad"),
        (2, "", ""),
        (3, "03", "A = B = C"),
        (3, "b3", "B, clear"),
        (3, "2", "slight"),
        (4, "1x", "negligible; all bad"),
    ],
)
def test_it_says_what_was_typed(k: int, keys: str, told: str) -> None:
    assert Ballot(k=k).typed(keys).told() == told


@pytest.mark.parametrize(
    ("k", "keys", "told"),
    [
        (2, "b", "B > A"),
        (3, "ca", "C > A > B"),
        (3, "ca=", "C > A = B"),
        (3, "ca2", "C > A > B, slight"),
        (3, "c", "C"),
        (3, "x", "all bad"),
        (2, "0", "A = B"),
    ],
)
def test_a_letter_that_was_left_out_comes_last(k: int, keys: str, told: str) -> None:
    ballot = Ballot(k=k).typed(keys)
    assert ballot.whole().told() == told
    if not ballot.missing:
        assert ballot.whole().opinion() == ballot.opinion()


@pytest.mark.parametrize(
    ("keys", "begun"), [("", False), (" ", False), ("a", True), ("x", True), ("xx", False)]
)
def test_it_knows_whether_anything_was_typed(keys: str, begun: bool) -> None:
    assert Ballot(k=3).typed(keys).begun is begun
    assert Ballot(k=3).typed([*keys, *["\x7f"] * len(keys)]).begun is False


def test_a_strength_alone_is_something_typed() -> None:
    assert Ballot(k=3).typed("2").begun


@given(k=st.integers(2, 4), keys=st.text("abcdx=01234567 >\x7fzq", max_size=30))
def test_whatever_is_typed_gives_tiers_without_gaps_or_a_reason(k: int, keys: str) -> None:
    ballot = Ballot(k=k)
    for key in keys:
        try:
            ballot = ballot.press(key)
        except DataError:
            continue
    if ballot.missing:
        return
    said = ballot.opinion()
    if said.tiers is None:
        assert said.verdict is Verdict.ALL_BAD
        return
    assert sorted(set(said.tiers)) == list(range(max(said.tiers) + 1))
    order = [LETTERS.index(letter) for letter in ballot.told() if letter in LETTERS[:k]]
    ranks = [said.tiers[place] for place in order]
    assert ranks == sorted(ranks)


@given(k=st.integers(2, 4), keys=st.text("abcd0x=", max_size=8))
def test_backspace_takes_each_key_back(k: int, keys: str) -> None:
    ballots = [Ballot(k=k)]
    for key in keys:
        try:
            ballots.append(ballots[-1].press(key))
        except DataError:
            continue
    for before, after in pairwise(ballots):
        assert after.press("\x7f") == before
