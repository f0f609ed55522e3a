"""Raters, guidelines, prompts and responses: put in once, named without saying what they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from accord.core.errors import ConflictError, DataError
from accord.core.types import Conversation, Prompt, Response, SamplingSettings, StopReason
from accord.store.database import Database
from accord.store.log import parts_of, size
from accord.store.registry import (
    add_prompt,
    add_response,
    conversation_of,
    publish_guideline,
    register_rater,
    response_text,
    set_rater_state,
)
from accord.store.tables import guidelines, identities, prompts, raters, responses

QUESTION = Prompt(conversation=Conversation.of("Why?", system="Be brief."), source="here")


def test_a_rater_has_a_pseudonym_and_an_identity_apart(database: Database) -> None:
    identity = {"name": "Ada Lovelace", "mail": "ada@example.org"}
    with database.write() as connection:
        name = register_rater(connection, kind="human", identity=identity, key="form-1")
        assert register_rater(connection, kind="human", identity=identity, key="form-1") == name
        with pytest.raises(ConflictError):
            register_rater(connection, kind="human", identity={"name": "Eve"}, key="form-1")
        row = connection.execute(sa.select(raters)).one()
        about = connection.execute(sa.select(identities)).one()
        said = parts_of(connection, row.seq)
    assert (row.id, row.kind, row.role, row.state) == (name, "human", "rater", "new")
    assert (about.rater, about.name) == (name, "identity")
    assert said["identity"] == identity
    assert "Ada" not in str(row)


@pytest.mark.parametrize("kind", ["synthetic", "rule", "model"])
def test_raters_that_are_no_people_keep_their_definition(
    file_database: Database, kind: str
) -> None:
    with file_database.write() as connection:
        register_rater(connection, kind=kind, definition={"temperature": 0.5, "seed": 3})
        assert parts_of(connection, 1)["definition"] == {"temperature": 0.5, "seed": 3}
        assert connection.execute(sa.select(identities)).all() == []


def test_an_unknown_kind_or_state_is_refused(database: Database) -> None:
    with pytest.raises(DataError), database.write() as connection:
        register_rater(connection, kind="ghost")
    with database.write() as connection:
        name = register_rater(connection, kind="human")
    with pytest.raises(DataError), database.write() as connection:
        set_rater_state(connection, name, "ghost")
    with pytest.raises(DataError, match="no such rater"), database.write() as connection:
        set_rater_state(connection, "nobody", "active")
    with database.read() as connection:
        assert size(connection) == 1


def test_a_state_is_an_event_and_setting_it_again_is_none(database: Database) -> None:
    with database.write() as connection:
        name = register_rater(connection, kind="human")
        for _ in range(2):
            set_rater_state(connection, name, "quarantined", actor="lead")
        assert size(connection) == 2
        assert connection.execute(sa.select(raters.c.state)).scalar_one() == "quarantined"


def test_a_version_of_the_guidelines_never_changes(database: Database) -> None:
    with database.write() as connection:
        for _ in range(2):
            publish_guideline(connection, "1", "Be kind.")
        for text, criteria in (("Be cruel.", None), ("Be kind.", ("wit",))):
            more = {} if criteria is None else {"criteria": criteria}
            with pytest.raises(ConflictError, match="never changes"):
                publish_guideline(connection, "1", text, **more)
        publish_guideline(connection, "2", "Be kinder.", criteria=("kindness",))
        rows = connection.execute(sa.select(guidelines).order_by(guidelines.c.version)).all()
    assert [row.criteria for row in rows] == [
        ["helpfulness", "accuracy", "safety", "coherence"],
        ["kindness"],
    ]


def test_the_same_words_are_one_prompt(database: Database) -> None:
    with database.write() as connection:
        first = add_prompt(connection, QUESTION, stratum="short", cluster="c1")
        assert add_prompt(connection, QUESTION) == first
        other = add_prompt(connection, Prompt(conversation=Conversation.of("Why?")))
        assert other != first
        assert conversation_of(connection, first) == QUESTION.conversation
        row = connection.execute(sa.select(prompts).where(prompts.c.id == first)).one()
    assert (row.source, row.stratum, row.cluster) == ("here", "short", "c1")
    assert QUESTION.id not in first


def test_a_response_keeps_who_said_it_and_how(database: Database) -> None:
    sampled = Response(
        prompt_id="",
        text="Because \u00fc\u0000.",
        stop=StopReason.LENGTH,
        policy="p1",
        settings=SamplingSettings(temperature=0.7),
        tokens=(1, 2, 3),
    )
    edited = Response(prompt_id="", text="Because.", stop=StopReason.STOP)
    with database.write() as connection:
        rater = register_rater(connection, kind="human")
        prompt = add_prompt(connection, QUESTION)
        first = add_response(connection, prompt, sampled, key="job-1/0")
        assert add_response(connection, prompt, sampled, key="job-1/0") == first
        second = add_response(connection, prompt, edited, rater=rater, edits=first)
        assert response_text(connection, first) == sampled.text
        rows = {row.id: row for row in connection.execute(sa.select(responses))}
    assert (rows[first].policy, rows[first].stop, rows[first].tokens) == ("p1", "length", 3)
    assert rows[first].settings["temperature"] == 0.7
    assert (rows[second].policy, rows[second].rater, rows[second].edits) == (None, rater, first)


def test_a_response_needs_its_prompt(database: Database) -> None:
    said = Response(prompt_id="", text="a", stop=StopReason.STOP)
    with pytest.raises(DataError), database.write() as connection:
        add_response(connection, "nowhere", said)
    with pytest.raises(DataError, match="none of this id"), database.read() as connection:
        response_text(connection, "nowhere")
