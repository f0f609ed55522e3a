"""Erasure: words and names are gone, from the files too; that they were there stays provable."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from accord.core.errors import DataError, StoreError
from accord.store import database as database_module
from accord.store.database import Database, open_database
from accord.store.erasing import erase, erase_parts, erase_rater, parts_of_rater
from accord.store.event import Entry
from accord.store.judgements import Judgement, Verdict, current, submit
from accord.store.log import append, parts_of, size
from accord.store.registry import (
    conversation_of,
    guideline_text,
    publish_guideline,
    register_rater,
    response_text,
    set_rater_state,
)
from accord.store.tables import identities, payloads, prompts, raters, responses
from accord.store.verifying import verify_database


def test_a_part_is_gone_and_its_salt_with_it(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    history.fill(database, history.key_in(tmp_path))
    done = erase(database, 8, "rationale")
    assert done == history.EVENTS + 1
    with database.read() as connection:
        row = connection.execute(
            sa.select(payloads).where(payloads.c.seq == 8, payloads.c.name == "rationale")
        ).one()
        assert (row.salt, row.body) == (None, None)
        assert row.erased is not None
        said = parts_of(connection, 8)
    assert said["rationale"] is None
    assert said["verdict"]["tiers"] == [0, 1]
    assert erase(database, 8, "rationale") == done
    assert verify_database(database).ok


def test_erased_words_are_not_left_in_the_files(file_database: Database, tmp_path: Path) -> None:
    secret = "the-words-of-somebody"
    with file_database.write() as connection:
        for number in range(50):
            parts = {"text": f"{secret} {number} " * 50}
            append(connection, Entry(type="note.made", actor="system", subject="s", parts=parts))

    def left() -> int:
        return sum(path.read_bytes().count(secret.encode()) for path in tmp_path.glob("accord.db*"))

    assert left() > 50
    for seq in range(1, 51):
        erase(file_database, seq, "text")
    assert left() == 0


def test_a_rater_is_forgotten_but_what_they_chose_counts_on(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    first, second = history.fill(database, history.key_in(tmp_path))
    with database.read() as connection:
        before = [(row.seq, row.tiers) for row in current(connection)]
    # Judgements with odd numbers have a rationale, and are the second rater's.
    assert erase_rater(database, second) == 15
    assert erase_rater(database, second) == 0
    with database.read() as connection:
        assert [(row.seq, row.tiers) for row in current(connection)] == before
        state = sa.select(raters.c.state).where(raters.c.id == second)
        assert connection.execute(state).scalar_one() == "erased"
        kept = connection.execute(
            sa.select(identities.c.rater).where(identities.c.body.is_not(None))
        )
        assert kept.scalars().all() == [first]
        words = sa.select(payloads).where(
            payloads.c.name == "rationale", payloads.c.body.is_not(None)
        )
        assert connection.execute(words).all() == []
    assert verify_database(database).ok


def test_words_stay_where_the_name_alone_is_asked_for(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    _, second = history.fill(database, history.key_in(tmp_path))
    assert erase_rater(database, second, words=False, why="asked us to") == 1
    with database.read() as connection:
        left = parts_of_rater(connection, second)
        assert parts_of(connection, size(connection)) == {"why": {"words": "asked us to"}}
    assert (len(left.private), len(left.words)) == (0, 14)
    assert {name for _, name in left.verdicts} == {"verdict"}
    before = len(left.verdicts)
    assert erase_rater(database, second, words=False, verdicts=True) == before
    with database.read() as connection:
        assert len(parts_of_rater(connection, second).words) == 14
    assert verify_database(database).ok


def test_several_parts_go_together_or_not_at_all(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    history.fill(database, history.key_in(tmp_path))
    with pytest.raises(DataError, match="no such part"):
        erase_parts(database, [(8, "rationale"), (8, "words")])
    with database.read() as connection:
        assert size(connection) == history.EVENTS
        assert parts_of(connection, 8)["rationale"] is not None
    done = erase_parts(database, [(8, "rationale"), (10, "rationale")], why="asked us to")
    assert done == [history.EVENTS + 1, history.EVENTS + 2]
    with database.read() as connection:
        assert parts_of(connection, done[0]) == {"why": {"words": "asked us to"}}
    assert verify_database(database).ok


def test_reasons_about_an_erased_rater_go_and_the_decision_stays(database: Database) -> None:
    with database.write() as connection:
        rater = register_rater(connection, kind="human", identity={"name": "Ada"})
        set_rater_state(connection, rater, "quarantined", why={"words": "Ada told us so"})
        decided = size(connection)
    assert erase_rater(database, rater) == 2
    with database.read() as connection:
        assert parts_of(connection, decided) == {"state": "quarantined", "why": None}
    assert verify_database(database).ok


def test_what_an_erased_lead_decided_stays(database: Database) -> None:
    with database.write() as connection:
        lead = register_rater(connection, kind="human", role="lead", identity={"name": "Ada"})
        other = register_rater(connection, kind="human")
        publish_guideline(connection, "v1", "Prefer what is true.", actor=lead)
        set_rater_state(connection, other, "quarantined", actor=lead, why={"words": "I saw it"})
        set_rater_state(connection, other, "active", actor=lead)
    erase_rater(database, lead)
    with database.read() as connection:
        assert guideline_text(connection, "v1") == "Prefer what is true."
        said = sa.select(payloads.c.body).where(payloads.c.name == "state")
        states = connection.execute(said.order_by(payloads.c.seq)).scalars().all()
        assert states == ['"quarantined"', '"active"']
        words = sa.select(payloads).where(payloads.c.name == "why", payloads.c.body.is_not(None))
        assert connection.execute(words).all() == []


def test_an_erased_rater_judges_no_more(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    _, second = history.fill(database, history.key_in(tmp_path))
    erase_rater(database, second)
    said = Judgement(rater=second, responses=("a",), verdict=Verdict.ALL_BAD)
    with pytest.raises(DataError, match="registered"), database.write() as connection:
        submit(connection, said, key="late")


def test_a_reader_that_keeps_erased_words_alive_is_told_of(
    file_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    with open_database(file_database.place) as impatient:
        with impatient.write() as connection:
            append(connection, Entry(type="note.made", actor="system", parts={"text": "secret"}))
        with file_database.read() as reader:
            assert size(reader) == 1
            with pytest.raises(StoreError, match="still be found"):
                erase(impatient, 1, "text")
        assert erase(impatient, 1, "text") == 2


def test_verdicts_go_too_where_that_is_asked_for(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    first, second = history.fill(database, history.key_in(tmp_path))
    erase_rater(database, second, verdicts=True)
    with database.read() as connection:
        assert {row.rater for row in current(connection)} == {first}
    assert verify_database(database).ok


def test_texts_of_prompts_and_responses_can_go(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    history.fill(database, history.key_in(tmp_path))
    with database.read() as connection:
        prompt = connection.execute(sa.select(prompts)).one()
        response = connection.execute(sa.select(responses)).first()
        assert response is not None
        assert conversation_of(connection, prompt.id).messages[0].content == "Which is heavier?"
        assert response_text(connection, response.id).startswith("Answer")
    erase(database, prompt.seq, "text")
    erase(database, response.seq, "text")
    with database.read() as connection:
        assert connection.execute(sa.select(prompts.c.digest)).scalar_one() is None
        with pytest.raises(DataError, match="erased"):
            conversation_of(connection, prompt.id)
        with pytest.raises(DataError, match="erased"):
            response_text(connection, response.id)
    assert verify_database(database).ok


def test_what_is_not_there_cannot_be_erased(file_database: Database) -> None:
    with file_database.write() as connection:
        append(connection, Entry(type="note.made", actor="system", parts={"text": "x"}))
    with pytest.raises(DataError, match="no such part") as caught:
        erase(file_database, 1, "words")
    assert "name one of: text" in str(caught.value)
    with pytest.raises(DataError, match="no such event"):
        erase(file_database, 2, "text")
    with pytest.raises(DataError, match="no such rater"):
        erase_rater(file_database, "nobody")
    with file_database.read() as connection:
        assert size(connection) == 1
