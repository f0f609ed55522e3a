"""Votes of a file as judgements: who said what, once, and the agreement that was published."""

from __future__ import annotations

import gzip
import json
import os
from itertools import combinations
from pathlib import Path

import pytest

from accord.collect import judged
from accord.collect.judged import (
    import_judgements,
    pair_ratings,
    published,
    published_names,
)
from accord.collect.quality import agreement as agreement_of
from accord.collect.quality import between_raters
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.stats.agreement import Coefficient, agreement
from accord.store.database import Database
from accord.store.erasing import erase_rater
from accord.store.judgements import current, withdraw
from accord.store.log import parts_of, size
from accord.store.registry import conversation_of, response_text, set_rater_state
from accord.store.tables import prompts, raters, responses
from accord.store.verifying import verify_database

DATA = os.environ.get("ACCORD_DATA")


def row(number: int, *votes: object, **extra: object) -> dict[str, object]:
    said = {f"annotator{place}": vote for place, vote in enumerate(votes, start=1)}
    texts = {"instruction": f"do {number % 2}", "response1": f"a {number}", "response2": ""}
    return texts | said | extra


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


GOOD = [row(0, 1, 2, 0, input="it"), row(1, 2, 2, 2), row(2, 0, 0, 1, source="elsewhere")]


def test_each_vote_becomes_a_judgement(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "votes.jsonl", [*GOOD, row(3, 1, 1), row(4, 1, 1, 3)])
    done = import_judgements(database, path)
    assert (done.name, done.rows, done.used, done.new) == ("votes", 5, 3, 9)
    assert [(bad.row, bad.column) for bad in done.rejected] == [
        (4, "annotator3"),
        (5, "annotator3"),
    ]
    with database.read() as connection:
        said = current(connection)
        assert [one.rater for one in said] == list(done.raters) * 3
        verdicts = [(one.verdict, one.tiers) for one in said]
        first, second, tie = ("ranking", [0, 1]), ("ranking", [1, 0]), ("tie", [0, 0])
        assert verdicts == [first, second, tie, second, second, second, tie, tie, first]
        assert {one.shown == [] and one.task is None for one in said} == {True}
        assert [response_text(connection, name) for name in said[3].responses] == ["a 1", ""]
        asked = connection.execute(prompts.select().order_by(prompts.c.seq)).all()
        assert [one.source for one in asked] == ["votes", "votes", "elsewhere"]
        assert [conversation_of(connection, one.id).messages[-1].content for one in asked] == [
            "do 0\n\nit",
            "do 1",
            "do 0",
        ]
        people = connection.execute(raters.select()).all()
        assert {person.kind for person in people} == {"human"}
        known = {person.id: parts_of(connection, person.seq)["identity"] for person in people}
        assert [known[rater]["name"] for rater in done.raters] == [
            "annotator1",
            "annotator2",
            "annotator3",
        ]
    assert verify_database(database).ok


def test_importing_twice_changes_nothing(database: Database, tmp_path: Path) -> None:
    first = import_judgements(database, write(tmp_path / "votes.jsonl", GOOD))
    with database.read() as connection:
        events = size(connection)
    again = import_judgements(database, tmp_path / "votes.jsonl")
    (tmp_path / "votes.json").write_text(json.dumps(GOOD))
    array = import_judgements(database, tmp_path / "votes.json")
    assert (again.used, again.new, array.used, array.new) == (3, 0, 3, 0)
    assert first.raters == again.raters == array.raters
    with database.read() as connection:
        assert size(connection) == events


def test_a_stopped_import_goes_on(
    file_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "BATCH_ROWS", 2)
    whole = judged._keep

    def stop(connection: object, one: judged._Row, *rest: object) -> int:
        if one.number == 4:
            raise KeyboardInterrupt
        return whole(connection, one, *rest)  # type: ignore[arg-type]

    path = write(tmp_path / "votes.jsonl", [row(number, 1, 1, 1) for number in range(7)])
    monkeypatch.setattr(judged, "_keep", stop)
    with pytest.raises(KeyboardInterrupt):
        import_judgements(file_database, path)
    with file_database.read() as connection:
        assert len(current(connection)) == 2 * 3  # the first batch, and nothing of the second
    monkeypatch.setattr(judged, "_keep", whole)
    assert import_judgements(file_database, path).new == 5 * 3
    with file_database.read() as connection:
        assert len(current(connection)) == 7 * 3
        assert len(connection.execute(responses.select()).all()) == 14


def test_other_votes_need_a_name_of_their_own(file_database: Database, tmp_path: Path) -> None:
    import_judgements(file_database, write(tmp_path / "votes.jsonl", GOOD))
    write(tmp_path / "votes.jsonl", [row(0, 2, 2, 2, input="it")])
    with pytest.raises(ConflictError, match="give this file a name of its own"):
        import_judgements(file_database, tmp_path / "votes.jsonl")
    assert import_judgements(file_database, tmp_path / "votes.jsonl", name="more").new == 3
    with file_database.read() as connection:
        assert len(connection.execute(raters.select()).all()) == 6
    with pytest.raises(ConfigError, match="name must be"):
        import_judgements(file_database, tmp_path / "votes.jsonl", name="a b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no row"),
        (b'{"prompt": "a"}\n' * 3, r"3 of the first 3 rows(.|\n)*row 1, instruction: is missing"),
        (gzip.compress(json.dumps(GOOD[1]).encode() * 9, mtime=0)[:-9], "cut off"),
    ],
)
def test_an_unusable_file_leaves_no_event(
    file_database: Database, tmp_path: Path, content: bytes, message: str
) -> None:
    name = "votes.jsonl.gz" if content[:2] == b"\x1f\x8b" else "votes.jsonl"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        import_judgements(file_database, tmp_path / name)
    with file_database.read() as connection:
        assert size(connection) == 0


def test_too_many_bad_rows_are_refused_before_anything_is_kept(
    file_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "MOST_REJECTED", 5)
    path = write(tmp_path / "votes.jsonl", [*GOOD, *[row(0, 9, 9, 9)] * 6, *GOOD])
    with pytest.raises(DataError, match="6 of the first 9 rows cannot be used"):
        import_judgements(file_database, path)
    with file_database.read() as connection:
        assert size(connection) == 0


@pytest.mark.parametrize("source", ["x" * 201, "a\x00b", 7])
def test_a_source_that_a_database_cannot_keep_costs_the_row(
    file_database: Database, tmp_path: Path, source: object
) -> None:
    path = write(tmp_path / "votes.jsonl", [GOOD[0], row(1, 1, 1, 1, source=source)])
    done = import_judgements(file_database, path)
    assert (done.used, [bad.column for bad in done.rejected]) == (1, ["source"])


def test_ratings_of_pairs_by_hand(file_database: Database, tmp_path: Path) -> None:
    done = import_judgements(file_database, write(tmp_path / "votes.jsonl", GOOD))
    with file_database.read() as connection:
        found = pair_ratings(connection, done.raters)
    assert found.raters == done.raters
    assert found.values.tolist() == [[1, -1, 0], [-1, -1, -1], [0, 0, 1]]


def test_what_is_published_under_a_name_by_hand(database: Database, tmp_path: Path) -> None:
    """Of three items: pairs of raters agree on one, one and one; kappa from the margins."""
    path = write(tmp_path / "votes.jsonl", GOOD)
    done = import_judgements(database, path, name="a_b")
    import_judgements(database, write(tmp_path / "votes.jsonl", [row(9, 1, 1, 1)]), name="aab")
    with database.read() as connection:
        assert published_names(connection) == ["a_b", "aab"]
        there = published(connection, "a_b")
        with pytest.raises(DataError, match="under this name") as caught:
            published(connection, "a")
    assert caught.value.do == "there are: a_b, aab"
    assert tuple(there.annotators) == done.raters
    assert list(there.annotators.values()) == ["annotator1", "annotator2", "annotator3"]
    assert len(there.votes.rows) == 9
    found = between_raters(there.votes, there.annotators, resamples=1000)
    assert [(pair.one, pair.other) for pair in found] == list(combinations(done.raters, 2))
    values = [[f.interval.estimate for f in pair.figures if f.interval] for pair in found]
    # Said: 1 2 0, 2 2 0, 0 2 1. By chance alike: (0 + 2 + 1) / 9 of the first two, and so on.
    assert values[0] == pytest.approx([2 / 3, (2 / 3 - 1 / 3) / (1 - 1 / 3)])
    assert values[1] == pytest.approx([1 / 3, 0])
    assert values[2] == pytest.approx([1 / 3, (1 / 3 - 1 / 3) / (1 - 1 / 3)])
    told = agreement_of(there.votes, resamples=1000)
    assert (told.counts.used, told.counts.ties, told.counts.prompts) == (9, 3, 3)
    (group,) = told.groups
    percent = next(one for one in group.figures if one.coefficient == "percent")
    assert percent.interval is not None
    assert percent.interval.estimate == pytest.approx((0 + 1 + 1 / 3) / 3)


def test_a_published_rater_in_quarantine_or_corrected_counts_as_such(
    file_database: Database, tmp_path: Path
) -> None:
    done = import_judgements(file_database, write(tmp_path / "votes.jsonl", GOOD))
    with file_database.write() as connection:
        set_rater_state(connection, done.raters[1], "quarantined")
        row = current(connection)[0]
        withdraw(connection, row.seq, rater=row.rater, key="back")
        there = published(connection, "votes")
    assert len(there.votes.rows) == 8
    (pair,) = between_raters(there.votes, there.annotators, resamples=1000)
    assert (pair.one, pair.other) == (done.raters[0], done.raters[2])
    assert pair.figures[0].items == 2
    assert agreement_of(there.votes, resamples=1000).counts.quarantined == 3


def test_quarantine_of_a_published_rater_outlasts_an_erasure(
    file_database: Database, tmp_path: Path
) -> None:
    done = import_judgements(file_database, write(tmp_path / "votes.jsonl", GOOD))
    with file_database.write() as connection:
        set_rater_state(connection, done.raters[1], "quarantined")
    erase_rater(file_database, done.raters[1], words=False)
    with file_database.read() as connection:
        there = published(connection, "votes")
    assert agreement_of(there.votes, resamples=1000).counts.quarantined == 3


@pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")
def test_the_published_kappas_come_out_of_the_store(file_database: Database) -> None:
    """Wang et al. 2023, arXiv:2306.05087, on the 644 rows of this part of their data."""
    done = import_judgements(file_database, Path(str(DATA), "pandalm/train.jsonl"), name="pandalm")
    assert (done.rows, done.used, done.rejected, done.new) == (644, 644, (), 1932)
    with file_database.read() as connection:
        ratings = pair_ratings(connection, done.raters)
    first, second, third = done.raters
    found = [
        agreement(ratings.only(*two), Coefficient.COHEN)
        for two in ((first, second), (first, third), (second, third))
    ]
    assert found == pytest.approx([0.8634, 0.8996, 0.8722], abs=5e-5)
