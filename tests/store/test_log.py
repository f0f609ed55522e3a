"""The log: append-only, without holes, a submission counted once, all on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.core.errors import ConflictError, DataError, InvariantError
from accord.core.hashing import canonical_json
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database, open_database
from accord.store.event import Entry, Event, first_link, salted_digest
from accord.store.keys import SigningKey
from accord.store.log import append, event_at, find, parts_of, size
from accord.store.tables import events, log, payloads


def entry(number: int, **changes: object) -> Entry:
    values: dict[str, object] = {
        "type": "note.made",
        "actor": "system",
        "subject": f"note-{number}",
        "key": f"key-{number}",
        "parts": {"text": {"said": f"words {number}"}},
    }
    return Entry(**values | changes)  # type: ignore[arg-type]


def rows(database: Database) -> list[sa.Row[tuple[object, ...]]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(events).order_by(events.c.seq)))


def test_events_are_numbered_and_chained(database: Database) -> None:
    with database.read() as connection:
        name = connection.execute(sa.select(log.c.id)).scalar_one()
    for number in range(5):
        with database.write() as connection:
            append(connection, entry(number))
    previous = first_link(name)
    for number, row in enumerate(rows(database), start=1):
        event = Event.of(row._mapping)
        assert event.seq == number
        assert event.prev == previous
        assert event.hash == row.hash
        previous = event.hash
    with database.read() as connection:
        assert connection.execute(sa.select(log.c.head)).scalar_one() == previous
        assert size(connection) == 5


def test_names_are_made_by_chance_or_by_a_series_and_their_place(tmp_path: Path) -> None:
    def named(place: str, series: str, *, before: int = 0) -> list[str]:
        with open_database(tmp_path / place) as database:
            for number in range(before + 4):
                database.series = series if number >= before else ""
                with database.write() as connection:
                    append(connection, entry(number, subject=None))
            found = [row.subject for row in rows(database)]
        assert len(set(found)) == before + 4
        assert all(len(name) == 24 and int(name, 16) >= 0 for name in found)
        return found[before:]

    assert named("a.db", "round 0") == named("b.db", "round 0")
    assert not set(named("c.db", "round 0")) & set(named("d.db", "round 1"))
    assert not set(named("e.db", "")) & set(named("f.db", ""))
    # Another place in the log is another name: two series of one name never meet.
    assert not set(named("g.db", "round 0")[2:]) & set(named("h.db", "round 0", before=4))


def test_what_was_said_comes_back_and_the_log_has_only_its_salted_digest(
    database: Database,
) -> None:
    said = {"text": {"a": [1, 2.5, None, True, "\u00fc\u0000"]}, "verdict": [0, 1]}
    with database.write() as connection:
        event = append(connection, entry(1, parts=said)).event
        assert parts_of(connection, event.seq) == said
        stored = connection.execute(sa.select(payloads)).all()
    assert {row.name: salted_digest(row.salt, row.body) for row in stored} == event.payload
    assert len({row.salt for row in stored}) == 2


def test_the_same_submission_twice_is_one_event(database: Database) -> None:
    with database.write() as connection:
        first = append(connection, entry(1))
    with database.write() as connection:
        again = append(connection, entry(1))
        other = append(connection, entry(2))
    assert (first.new, again.new) == (True, False)
    assert again.event == first.event
    assert other.event.seq == 2


def test_a_newer_page_that_sends_it_again_finds_the_first(database: Database) -> None:
    with database.write() as connection:
        first = append(connection, entry(1, ui="1"))
        for ui in ("2", None):
            again = append(connection, entry(1, ui=ui))
            assert (again.new, again.event.hash) == (False, first.event.hash)
        assert again.event.ui == "1"
        with pytest.raises(ConflictError, match="this key"):
            append(connection, entry(1, ui="2", parts={"text": {"said": "other words"}}))
    assert len(rows(database)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": {"text": {"said": "other words"}}},
        {"parts": {}},
        {"parts": {"text": {"said": "words 1"}, "more": 1}},
        {"actor": "somebody"},
        {"subject": "other"},
        {"type": "note.changed"},
        {"order_seed": 3},
        {"guideline": "2"},
        {"policies": ("p",)},
        {"supersedes": 1},
    ],
)
def test_another_submission_under_the_same_key_is_refused(
    file_database: Database, changes: dict[str, object]
) -> None:
    with file_database.write() as connection:
        append(connection, entry(1))
    with pytest.raises(ConflictError, match="this key"), file_database.write() as connection:
        append(connection, entry(1, **changes))
    assert len(rows(file_database)) == 1


def test_without_a_key_every_entry_is_new(file_database: Database) -> None:
    with file_database.write() as connection:
        assert find(connection, entry(1, key=None)) is None
        assert [append(connection, entry(1, key=None)).event.seq for _ in range(3)] == [1, 2, 3]


def test_an_event_is_superseded_once(database: Database) -> None:
    with database.write() as connection:
        append(connection, entry(1))
        append(connection, entry(2, supersedes=1))
    with pytest.raises(ConflictError, match="corrected before"), database.write() as connection:
        append(connection, entry(3, supersedes=1))
    with pytest.raises(DataError, match="no such event"), database.write() as connection:
        append(connection, entry(3, supersedes=7))
    assert [row.supersedes for row in rows(database)] == [None, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET actor = 'me' WHERE seq = 1",
        "DELETE FROM events WHERE seq = 2",
        "UPDATE payloads SET body = '{}' WHERE seq = 1",
        "UPDATE payloads SET name = 'other', body = NULL, salt = NULL, erased = 'x' WHERE seq = 1",
        "DELETE FROM payloads",
        "DELETE FROM identities",
        "UPDATE checkpoints SET root = ''",
        "DELETE FROM checkpoints",
    ],
)
def test_the_database_refuses_to_change_what_happened(
    database: Database, tmp_path: Path, statement: str
) -> None:
    with database.write() as connection:
        append(connection, entry(1))
        append(connection, entry(2))
        parts = {"identity": {"name": "Ada"}}
        append(connection, entry(3, subject="rater", parts=parts))
        connection.execute(
            sa.text(
                "INSERT INTO raters (id, seq, kind, role, state, since)"
                " VALUES ('rater', 3, 'human', 'rater', 'new', '2026')"
            )
        )
        sign_checkpoint(connection, SigningKey.load_or_make(tmp_path / "key.pem"))
    before = rows(database)
    with pytest.raises(DataError) as caught, database.write() as connection:
        connection.execute(sa.text(statement))
    assert "append-only" in str(caught.value)
    assert rows(database) == before


def test_postgresql_refuses_to_empty_the_log(postgres_url: str) -> None:
    with open_database(postgres_url) as database:
        with database.write() as connection:
            append(connection, entry(1))
        with pytest.raises(DataError) as caught, database.write() as connection:
            connection.execute(sa.text("TRUNCATE events CASCADE"))
        assert "append-only" in str(caught.value)


def test_nothing_is_left_of_a_block_that_fails(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            append(connection, entry(1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.write() as connection:
        assert append(connection, entry(2)).event.seq == 1
    assert [row.subject for row in rows(database)] == ["note-2"]


def test_appending_needs_the_turn_to_write(database: Database) -> None:
    with pytest.raises(InvariantError, match="outside"), database.read() as connection:
        append(connection, entry(1))


def test_threads_that_submit_everything_twice_leave_no_hole_and_no_double(
    database: Database,
) -> None:
    def submit(number: int) -> int:
        with database.write() as connection:
            return append(connection, entry(number)).event.seq

    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(submit, [*range(30), *range(30)]))
    assert seqs[:30] == seqs[30:]
    assert sorted(seqs[:30]) == list(range(1, 31))
    found = [Event.of(row._mapping) for row in rows(database)]
    assert [event.prev for event in found[1:]] == [event.hash for event in found[:-1]]


def test_a_reader_sees_one_state(database: Database) -> None:
    with database.write() as connection:
        append(connection, entry(1))
    with database.read() as connection:
        assert size(connection) == 1
        with database.write() as writer:
            append(writer, entry(2))
        assert size(connection) == 1
    with database.read() as connection:
        assert size(connection) == 2


def test_an_event_that_is_not_there_is_a_data_error(file_database: Database) -> None:
    with pytest.raises(DataError, match="no such event"), file_database.read() as connection:
        event_at(connection, 1)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_values, st.text(min_size=1, max_size=10).filter(str.isprintable))
def test_any_value_comes_back(database: Database, value: object, subject: str) -> None:
    with database.write() as connection:
        made = append(connection, entry(0, key=None, subject=subject, parts={"any": value})).event
    with database.read() as connection:
        assert event_at(connection, made.seq) == made
        found = parts_of(connection, made.seq)["any"]
    assert canonical_json(found) == canonical_json(value)
