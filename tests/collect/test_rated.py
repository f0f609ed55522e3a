"""Rated texts: read whole or refused, and comparisons that are derived and say so."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.importing import import_rows
from accord.collect.rated import (
    DERIVED,
    INNER,
    Part,
    Rated,
    RatedReader,
    data_digest,
    derived_comparisons,
    rated_snippets,
    shuffled,
    soft_label,
)
from accord.collect.records import Rejected
from accord.core.errors import ConfigError, DataError
from accord.core.hashing import file_digest
from accord.core.types import Comparison, Conversation
from accord.store.datasets import Dataset, write_dataset
from accord.store.splits import Splitter, Unit
from tests.collect.samples import archive, packed, said, texts

PROMPT = Conversation.of("Write one sentence of a film review.")
WHOLE = Splitter(unit=Unit.RESPONSE, dev=0.0)
ratings = st.lists(st.integers(-4, 4), min_size=1, max_size=8)


@pytest.mark.parametrize("part", Part)
def test_texts_and_ratings_are_brought_together(tmp_path: Path, part: Part) -> None:
    rows = list(rated_snippets(archive(tmp_path, texts(20), said(20), part), part))
    assert rows == [Rated(f"A film of {i} acts.", (i % 9 - 4, 0, 4)) for i in range(20)]


def test_what_does_not_fit_is_rejected_with_its_row(tmp_path: Path) -> None:
    words = (
        b"1\t0\tgood\n\n2\t0\n3\t0\t \n4\t0\tlost\n5\t0\ttwice\n6\t0\tnone\n7\t0\todd\n8\t0\thalf"
    )
    numbers = (
        b"1\t0\t0\t[1, 2]\n2\t0\t0\t[1]\n3\t0\t0\t[1]\n5\t0\t0\t[1]\n5\t0\t0\t[2]\n"
        b"6\t0\t0\t[]\n7\t0\t0\t[5]\n8\t0\t0\t[0.5]\n9\t0\t0\t[1]\n"
    )
    good, *bad = rated_snippets(archive(tmp_path, words, numbers))
    assert good == Rated("good", (1, 2))
    assert [str(one) for one in bad] == [
        "row 2: must be an id, a mean and a text between tabs",
        "row 3, text: is empty",
        "row 4, ratings: has no ratings: '4'",
        "row 5, ratings: has ratings twice under its id: '5'",
        "row 6, ratings: is no list of numbers",
        "row 7, ratings: are whole numbers from -4 to 4",
        "row 8, ratings: are whole numbers from -4 to 4",
        "row 9, text: has ratings and no text: '9'",
    ]


BROKEN: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "no archive": lambda: b"nonsense" * 100,
    "cut": lambda: packed({"a": bytes(range(256)) * 100})[:-200],
    "another": lambda: packed({"setup.py": b""}),
    "a folder in its place": lambda: packed({"hutto_ICWSM_2014.tar.gz": b"nonsense"}),
    "not UTF-8": lambda: packed(
        {f"{Part.MOVIES}_GroundTruth.txt": b"\xff", f"{Part.MOVIES}_anonDataRatings.txt": b""}
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_another_archive_is_one_clear_error(tmp_path: Path, case: str) -> None:
    path = tmp_path / "f.tar.gz"
    path.write_bytes(BROKEN[case]())
    with pytest.raises(DataError, match=r"f\.tar\.gz"):
        list(rated_snippets(path))
    with pytest.raises(DataError, match="No such file"):
        list(rated_snippets(tmp_path / "gone.tar.gz"))


def test_the_digest_is_that_of_the_data_in_either_archive(tmp_path: Path) -> None:
    whole = archive(tmp_path, texts(3), said(3))
    with tarfile.open(whole) as files:
        inner = files.extractfile(f"vaderSentiment-3.3.2/additional_resources/{INNER}")
        assert inner is not None
        (tmp_path / "inner.tar.gz").write_bytes(inner.read())
    known = file_digest(tmp_path / "inner.tar.gz")
    assert data_digest(whole) == data_digest(tmp_path / "inner.tar.gz") == known
    (tmp_path / "f.tar.gz").write_bytes(b"nonsense")
    for name in ("f.tar.gz", "gone.tar.gz"):
        with pytest.raises(DataError, match=name):
            data_digest(tmp_path / name)


@settings(max_examples=100)
@given(data=st.data())
def test_damage_is_named_or_costs_its_rows(data: st.DataObject) -> None:
    words, numbers = texts(8), said(8)
    which = data.draw(st.sampled_from(["texts", "ratings", "archive"]))
    pieces = st.binary(max_size=6) | st.sampled_from(
        [b"", b"\n", b"\t", b"[", b"NaN", b"1e999", b"9" * 400, b"\xff", b"null", b"1\t0\tx\n"]
    )

    def harmed(content: bytes) -> bytes:
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 30)))
        return content[:start] + data.draw(pieces) + content[end:]

    if which == "texts":
        words = harmed(words)
    elif which == "ratings":
        numbers = harmed(numbers)
    with tempfile.TemporaryDirectory() as place:
        path = archive(Path(place), words, numbers)
        if which == "archive":
            path.write_bytes(harmed(path.read_bytes()))
        try:
            rows = list(rated_snippets(path))
        except DataError:
            return
    lines = [line for line in words.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert len(rows) >= len(lines)
    unknown = [r for r in rows if isinstance(r, Rejected) and "no text" in r.why]
    assert len(rows) - len(unknown) == len(lines)


def test_a_label_by_hand() -> None:
    # 2 beats 1 and 0 of (1, 0, 3); 1 ties once and wins once: (2 + 1.5) / 6
    assert soft_label([2, 1], [1, 0, 3]) == pytest.approx(3.5 / 6)
    assert soft_label([1], [1]) == 0.5
    with pytest.raises(DataError, match="without ratings"):
        soft_label([], [1])


@given(ratings, ratings)
def test_a_label_is_a_probability_and_turns_round(first: list[int], second: list[int]) -> None:
    label = soft_label(first, second)
    above = sum(a > b for a, b in product(first, second))
    equal = sum(a == b for a, b in product(first, second))
    assert label == pytest.approx((above + equal / 2) / len(first) / len(second))
    assert 0 <= label <= 1
    assert soft_label(second, first) == pytest.approx(1 - label)


@given(st.lists(st.builds(Rated, st.sampled_from("abcdefgh"), ratings.map(tuple)), min_size=2))
def test_each_text_stands_in_one_comparison(rated: list[Rated]) -> None:
    rows = shuffled(rated, seed=3)
    assert sorted(rows, key=repr) == sorted(rated, key=repr)
    assert rows == shuffled(reversed(rated), seed=3)
    made = list(derived_comparisons(rows, prompt=PROMPT))
    same = sum(a.text == b.text for a, b in zip(rows[::2], rows[1::2], strict=False))
    assert len(made) == len(rated) // 2 - same
    for comparison in made:
        assert comparison.label is not None
        assert comparison.source == DERIVED == "derived from vaderSentiment ratings"
        lead = comparison.tiers[1] - comparison.tiers[0]
        assert lead == (comparison.label > 0.5) - (comparison.label < 0.5)


def test_another_seed_draws_other_pairs() -> None:
    rated = [Rated(f"text {i}", (i % 5,)) for i in range(100)]
    assert shuffled(rated, seed=1) != shuffled(rated, seed=2)
    with pytest.raises(ConfigError, match="two texts at least"):
        list(derived_comparisons(rated[:1], prompt=PROMPT))


def test_derived_comparisons_are_split_by_response(tmp_path: Path) -> None:
    rows = shuffled((Rated(f"text {i}", (i % 5, 1)) for i in range(200)), seed=0)
    made = derived_comparisons(rows, prompt=PROMPT)
    manifest = write_dataset(
        tmp_path / "d", made, kind="preferences", source="movies", unit="response", dev=0.3
    )
    assert manifest.rows + manifest.split_across == 100
    assert manifest.counts["train"] > manifest.counts["dev"] > 0
    Dataset(tmp_path / "d").verify()


def test_every_text_is_in_a_comparison_or_listed(tmp_path: Path) -> None:
    """9 texts: one broken, two the same that may meet, and one left over where the rest is odd."""
    words = texts(7) + b"\n90\t0\tThe same.\n91\t0\tThe same.\n92\t0\n"
    numbers = said(7) + b"\n90\t0\t0\t[1]\n91\t0\t0\t[1]\n"
    file = archive(tmp_path, words, numbers)
    met = set()
    for seed in range(40):
        reader = RatedReader(file, prompt=PROMPT, splitter=WHOLE, seed=seed)
        rows = list(reader)
        made = [row for row in rows if isinstance(row, Comparison)]
        left = [row for row in rows if isinstance(row, Rejected)]
        assert 2 * len(made) + len(left) == 10 == reader.formats["vader-ratings"]
        assert reader.joined == len(made)
        assert len({row.row for row in left}) == len(left)
        used = [text for row in made for text in row.responses]
        assert used.count("The same.") <= 2
        met.add(tuple(sorted(row.why.split()[0] for row in left)))
    assert met == {("is", "must"), ("is", "must", "was", "was")}


def test_derived_comparisons_are_imported_by_response(tmp_path: Path) -> None:
    file = archive(tmp_path, texts(60), said(60))
    splitter = Splitter(unit=Unit.RESPONSE, dev=0.2)
    reports = [
        import_rows(
            RatedReader(file, prompt=PROMPT, splitter=splitter),
            tmp_path / "to",
            name="films",
            splitter=splitter,
        )
        for _ in range(2)
    ]
    (made,), (again,) = (report.datasets for report in reports)
    assert (made.is_new, again.is_new) == (True, False)
    assert made.manifest.digest == again.manifest.digest
    assert reports[0].rows == 60
    assert reports[0].joined == made.manifest.rows
    assert made.manifest.split_across == 0
    assert 2 * made.manifest.rows + reports[0].rejected == 60
    assert 2 <= made.manifest.counts["dev"] <= 12
    assert {row.source for row in Dataset(made.folder).rows()} == {DERIVED}
    with pytest.raises(ConfigError, match="split by response"):
        RatedReader(file, prompt=PROMPT, splitter=Splitter())
