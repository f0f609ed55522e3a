"""What judgements are about: raters, guidelines, prompts and responses, each put in by one event.

All work inside `Database.write`. Texts and identities are parts of the event, so that they can be
proved while they are kept, and erased.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import ConflictError, DataError
from accord.core.hashing import digest, plain
from accord.core.types import Conversation, Message, Prompt, Response, Speaker
from accord.store.event import Entry
from accord.store.log import Appended, append
from accord.store.tables import guidelines, payloads, prompts, raters, responses
from accord.store.tables.columns import check_fits

SYSTEM = "system"
TEXT = "text"
"""Name of the part that holds a prompt's, response's or guideline's words."""
RESPONSE_ADDED, ABOUT = "response.added", "about"
"""Type of the event that keeps a response, and its part that says where the text came from."""
GUIDELINE_PUBLISHED = "guideline.published"
STATE_SET, STATE, WHY = "rater.state_set", "state", "why"
"""Type of the event that changes a rater's state, and its two parts."""


def register_rater(
    connection: Connection,
    *,
    kind: str,
    role: str = "rater",
    identity: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] | None = None,
    definition: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> str:
    """Make a pseudonym for somebody who judges and return it.

    `kind` is human, synthetic, rule or model; `identity` says who it is (name, address), `profile`
    what a person chose to tell of themselves, both kept apart; `definition` says what a rater that
    is no person does, seed included. The same `key` again returns the first pseudonym; it stays in
    the log for ever, so nothing about a person may be in it.
    """
    said = {"identity": identity, "profile": profile, "definition": definition}
    parts = {part: dict(body) for part, body in said.items() if body is not None}
    parts["rater"] = {"kind": kind, "role": role}
    done = append(connection, Entry(type="rater.registered", actor=SYSTEM, parts=parts, key=key))
    name = done.event.subject
    if not done.new:
        return name
    row = {"id": name, "seq": done.event.seq, "kind": kind, "role": role, "state": "new"}
    connection.execute(sa.insert(raters), [row | {"since": datetime.now(UTC)}])
    return name


def all_raters(connection: Connection) -> list[str]:
    """Names of all raters, oldest first."""
    return list(connection.execute(sa.select(raters.c.id).order_by(raters.c.seq)).scalars())


def guideline_text(connection: Connection, version: str) -> str:
    """The words of the guidelines of this version. Raises DataError where there are none."""
    body = connection.execute(
        sa.select(payloads.c.body)
        .join(guidelines, guidelines.c.seq == payloads.c.seq)
        .where(guidelines.c.version == version, payloads.c.name == TEXT)
    ).scalar_one_or_none()
    if body is None:
        raise DataError("there are no such guidelines", got=version)
    return str(json.loads(body))


def set_rater_state(
    connection: Connection,
    rater: str,
    state: str,
    *,
    actor: str = SYSTEM,
    why: Mapping[str, Any] | None = None,
) -> None:
    """Make a rater new, active, quarantined or left; `why` is kept with the event.

    Raises DataError for an unknown one.
    """
    row = connection.execute(sa.select(raters).where(raters.c.id == rater)).one_or_none()
    if row is None:
        raise DataError("there is no such rater", got=rater)
    if row.state == state:
        return
    parts: dict[str, Any] = {STATE: state}
    if why is not None:
        parts[WHY] = plain(why)
    append(connection, Entry(type=STATE_SET, actor=actor, subject=rater, parts=parts))
    changed = sa.update(raters).where(raters.c.id == rater)
    connection.execute(changed.values(state=state, since=datetime.now(UTC)))


def publish_guideline(
    connection: Connection,
    version: str,
    text: str,
    *,
    criteria: Sequence[str] = ("helpfulness", "accuracy", "safety", "coherence"),
    actor: str = SYSTEM,
) -> None:
    """Keep the text that raters follow under a version that never changes.

    Raises ConflictError where the version has another text or other criteria, DataError for a
    version that is empty, not printable or longer than 64 characters.
    """
    check_fits(guidelines.c.version, version, "a version of the guidelines")
    if not version or not version.isprintable():
        raise DataError("a version of the guidelines is printable text", got=ascii(version))
    row = connection.execute(
        sa.select(guidelines).where(guidelines.c.version == version)
    ).one_or_none()
    if row is not None:
        if row.digest == digest(text) and row.criteria == list(criteria):
            return
        raise ConflictError(
            "a version of the guidelines never changes",
            got=version,
            do="publish the new text under a new version",
        )
    parts = {TEXT: text, "criteria": list(criteria)}
    entry = Entry(type=GUIDELINE_PUBLISHED, actor=actor, subject=version, parts=parts)
    made = {"version": version, "seq": append(connection, entry).event.seq, "digest": digest(text)}
    connection.execute(sa.insert(guidelines), [made | {"criteria": list(criteria)}])


def add_prompt(
    connection: Connection,
    prompt: Prompt,
    *,
    stratum: str | None = None,
    cluster: str | None = None,
) -> str:
    """Keep a prompt and return its id; the same conversation again returns the first one's.

    Raises DataError for a source of more than 200 characters, and a stratum or cluster of more
    than 64.
    """
    check_fits(prompts.c.source, prompt.source, "a prompt's source")
    check_fits(prompts.c.stratum, stratum, "a stratum")
    check_fits(prompts.c.cluster, cluster, "a cluster")
    words = prompt.conversation.digest
    same = sa.select(prompts.c.id).where(prompts.c.digest == words)
    if (known := connection.execute(same).scalar_one_or_none()) is not None:
        return str(known)
    parts = {TEXT: plain(prompt.conversation.messages), "source": prompt.source}
    done = append(connection, Entry(type="prompt.added", actor=SYSTEM, parts=parts))
    name = done.event.subject
    row = {"id": name, "seq": done.event.seq, "digest": words, "source": prompt.source}
    connection.execute(sa.insert(prompts), [row | {"stratum": stratum, "cluster": cluster}])
    return name


def add_response(
    connection: Connection,
    prompt: str,
    response: Response,
    *,
    rater: str | None = None,
    edits: str | None = None,
    key: str | None = None,
) -> str:
    """Keep a response to the prompt with the id `prompt`, and return its id.

    `rater` wrote it, or edited the response `edits`; otherwise `response.policy` said it. Its own
    prompt id and token ids are not kept. The same `key` again returns the first id.
    """
    done = keep_response(connection, prompt, response, rater=rater, edits=edits, key=key)
    return done.event.subject


def keep_response(
    connection: Connection,
    prompt: str,
    response: Response,
    *,
    rater: str | None = None,
    edits: str | None = None,
    key: str | None = None,
    supersedes: int | None = None,
    guideline: str | None = None,
    ui: str | None = None,
    made: Mapping[str, Any] | None = None,
) -> Appended:
    """As `add_response`, with the event that keeps it; its subject is the response's id.

    `made` says how a person came to write it, beside what is said of every response; `supersedes`
    is the number of the event of the text that it replaces. Raises ConflictError for another
    response under `key` and for a text that was replaced before.
    """
    settings = plain(response.settings) if response.settings is not None else None
    about = {"prompt": prompt, "stop": response.stop.value, "settings": settings, "edits": edits}
    entry = Entry(
        type=RESPONSE_ADDED,
        actor=rater or SYSTEM,
        parts={TEXT: response.text, ABOUT: {**about, **(made or {})}},
        policies=(response.policy,) if response.policy else (),
        key=key,
        supersedes=supersedes,
        guideline=guideline,
        ui=ui,
    )
    done = append(connection, entry)
    if not done.new:
        return done
    row = {
        "id": done.event.subject,
        "seq": done.event.seq,
        "prompt": prompt,
        "digest": digest(response.text),
        "policy": response.policy or None,
        "rater": rater,
        "edits": edits,
        "settings": settings,
        "stop": response.stop.value,
        "tokens": len(response.tokens) or None,
    }
    connection.execute(sa.insert(responses), [row])
    return done


def conversation_of(connection: Connection, prompt: str) -> Conversation:
    """The words of a prompt. Raises DataError where there is none or they were erased."""
    return _conversation(_text(connection, prompts, prompt))


def conversation_in(body: str) -> Conversation:
    """The conversation that a payload's body holds."""
    return _conversation(json.loads(body))


def _conversation(said: list[dict[str, str]]) -> Conversation:
    return Conversation(
        tuple(Message(role=Speaker(item["role"]), content=item["content"]) for item in said)
    )


def response_text(connection: Connection, response: str) -> str:
    """The words of a response. Raises DataError where there is none or they were erased."""
    return str(_text(connection, responses, response))


def _text(connection: Connection, table: sa.Table, name: str) -> Any:
    found = connection.execute(
        sa.select(payloads.c.body)
        .join(table, table.c.seq == payloads.c.seq)
        .where(table.c.id == name, payloads.c.name == TEXT)
    ).one_or_none()
    if found is None:
        raise DataError(f"there is none of this id in {table.name}", got=name)
    if found.body is None:
        raise DataError("these words were erased", got=name, where=table.name)
    return json.loads(found.body)
