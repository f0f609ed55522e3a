"""Film snippets: each in one part, whatever its label, and openings that are words of a text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.films import (
    DATA_SHA256,
    SHARES,
    FilmParts,
    film_archive,
    film_openings,
    film_parts,
    openings,
)
from accord.collect.rated import Rated
from accord.collect.rated_pairs import folded, gap_pairs, human_ceiling
from accord.core.errors import DataError
from tests.collect.samples import archive, said, texts

COUNT = 3000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive(tmp_path_factory.mktemp("films"), texts(COUNT), said(COUNT))


def by_part(parts: FilmParts) -> dict[str, list[str]]:
    return {name: [one.text for one in getattr(parts, name)] for name in SHARES}


def test_every_snippet_is_in_one_part_and_the_shares_are_met(small: Path) -> None:
    found = by_part(film_parts(small))
    everything = [text for part in found.values() for text in part]
    assert sorted(everything) == sorted(f"A film of {i} acts." for i in range(COUNT))
    assert sum(SHARES.values()) == pytest.approx(1)
    for name, share in SHARES.items():
        spread = (COUNT * share * (1 - share)) ** 0.5
        assert abs(len(found[name]) - COUNT * share) < 4 * spread, name


def test_the_seed_draws_other_parts_and_nothing_else_does(small: Path, tmp_path: Path) -> None:
    parts = film_parts(small)
    assert parts == film_parts(small)
    assert by_part(film_parts(small, seed=1)) != by_part(parts)
    other = "".join(f"{i}\t0\t0\t[{-(i % 5)}]\n" for i in range(0, COUNT, 2)).encode()
    fewer = "".join(f"{i}\t0\tA film of {i} acts.\n" for i in range(0, COUNT, 2)).encode()
    again = by_part(film_parts(archive(tmp_path, fewer, other)))
    for name, found in by_part(parts).items():
        assert set(again[name]) == {text for text in found if int(text.split()[3]) % 2 == 0}


def test_texts_alike_are_counted_and_in_one_part(tmp_path: Path) -> None:
    kinds = ["A fine film no. {}!", "a  FINE film, no. {}", "'A fine-film no {}...'"]
    words = "".join(
        f"{kind}{i}\t0\t{text.format(i)}\n" for i in range(40) for kind, text in enumerate(kinds)
    )
    numbers = "".join(f"{kind}{i}\t0\t0\t[1]\n" for i in range(40) for kind in range(3))
    parts = film_parts(archive(tmp_path, (words + "x\t0\n").encode(), numbers.encode()))
    assert parts.repeated == 80
    assert parts.rejected == 1
    where = {folded(t): set[str]() for found in by_part(parts).values() for t in found}
    for name, found in by_part(parts).items():
        for text in found:
            where[folded(text)].add(name)
    assert len(where) == 40
    assert all(len(names) == 1 for names in where.values())
    assert len(set().union(*where.values())) > 3


def test_other_data_are_refused_where_a_digest_is_asked_for(small: Path) -> None:
    parts = film_parts(small)
    assert film_parts(small, sha256=parts.data) == parts
    with pytest.raises(DataError, match="not the film snippets") as caught:
        film_parts(small, sha256=DATA_SHA256)
    assert parts.data in str(caught.value)
    assert caught.value.where == small


def test_openings_by_hand() -> None:
    found = [
        "Too short to open",
        "Just  enough, words -- for it",
        "just ENOUGH words for once",
        "... a roller coaster of a film",
        "It's a well-made film , and long",
    ]
    assert openings([Rated(text, (0,)) for text in found]) == [
        "Just  enough, words",
        "... a roller coaster",
        "It's a well-made",
    ]
    assert openings([Rated(found[1], (0,))], words=1) == ["Just"]


@given(st.lists(st.text(alphabet="aB3 .,'-\t", max_size=30).map(str.strip), max_size=8))
def test_an_opening_begins_a_text_at_a_words_end(found: list[str]) -> None:
    made = openings([Rated(text, (0,)) for text in found])
    assert len({folded(opening) for opening in made}) == len(made)
    for opening in made:
        assert opening == opening.strip()
        assert sum(any(c.isalnum() for c in word) for word in opening.split()) == 3
        begun = [text for text in found if text.startswith(opening)]
        assert any(text[len(opening)].isspace() for text in begun)


def test_no_text_of_training_begins_as_a_prompt_of_the_evaluation(tmp_path: Path) -> None:
    words = "".join(
        f"{i}\t0\t{'The FILM is' if i % 2 else 'the film, is'} number {i} of many.\n"
        if i % 3 == 0
        else f"{i}\t0\tOne {i % 300} and {i} more of it.\n"
        for i in range(600)
    )
    numbers = "".join(f"{i}\t0\t0\t[1]\n" for i in range(600))
    parts = film_parts(archive(tmp_path, words.encode(), numbers.encode()))
    found = film_openings(parts)
    begun = {folded(o) for o in openings((*parts.demonstrations, *parts.reward, *parts.raters))}
    shared = [o for o in openings(parts.evaluation) if folded(o) in begun]
    assert found.dropped == len(shared) > 1
    assert begun.isdisjoint(folded(opening) for opening in found.evaluation)
    training = {folded(opening) for opening in found.training}
    assert "thefilmis" in training
    assert training.isdisjoint(folded(opening) for opening in found.evaluation)
    assert len(found.evaluation) + len(shared) == len(openings(parts.evaluation)) > 10


@pytest.mark.slow
def test_the_real_snippets(tmp_path: Path) -> None:
    """Fetches 2.5 MB."""
    parts = film_parts(film_archive(tmp_path), sha256=DATA_SHA256)
    assert sum(len(getattr(parts, name)) for name in SHARES) == 10_605
    assert (parts.rejected, parts.repeated) == (0, 2)
    assert len(parts.reward) >= 4000
    assert len(parts.evaluation) >= 600
    found = film_openings(parts)
    assert len(found.evaluation) >= 600
    pairs = gap_pairs(parts.reward[::5], count=2000, seed=0)
    one = human_ceiling(parts.reward[::5], pairs)
    assert 0.93 < one.low < one.estimate < one.high < 0.96
    assert human_ceiling(parts.reward[::5], pairs, panel=5).low > one.high
