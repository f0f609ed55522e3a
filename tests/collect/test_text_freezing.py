"""Freezing texts: every text is a row or has a reason, and the same state gives the same set."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign_log import Why
from accord.collect.comparing import excluded
from accord.collect.freezing import FreezeSettings, freeze
from accord.collect.frozen import is_frozen, verify_frozen
from accord.collect.text_freezing import freeze_texts
from accord.collect.text_frozen import text_origins, text_settings_of
from accord.collect.text_reckoning import TextFreezeSettings
from accord.collect.writing import replace_text
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.types import Speaker
from accord.store.database import Database
from accord.store.erasing import erase, erase_rater
from accord.store.exporting import export_log
from accord.store.manifest import DatasetKind
from accord.store.registry import TEXT, set_rater_state
from accord.store.tables import prompts, responses
from tests.collect.asking import made, somebody
from tests.collect.judging import key_in
from tests.collect.texting import (
    ACCEPT,
    REJECT,
    asked,
    frozen_texts,
    reviewed,
    rows,
    send,
    take,
    wrote,
)


def test_an_accepted_text_is_a_row_that_says_where_it_is_from(
    database: Database, tmp_path: Path
) -> None:
    campaign = asked(database, write=1, edit=1)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    for _ in range(2):
        lease = take(database, campaign, ada)
        send(database, campaign, lease, f"answer to {lease.prompt.messages[0].content}")
    seqs = [reviewed(database, campaign, bea, ACCEPT).seq for _ in range(2)]
    made = frozen_texts(database, campaign, tmp_path)
    assert made.manifest.kind is DatasetKind.DEMONSTRATIONS
    assert made.folder.name.startswith("set-demonstrations-")
    assert is_frozen(made.folder)
    for row, origin in zip(rows(made), text_origins(made.folder), strict=True):
        question, answer = row.conversation.messages
        assert answer.role is Speaker.ASSISTANT
        assert answer.content == f"answer to {question.content}"
        assert row.source == "human:texts"
        written = question.content.startswith("question")
        assert origin.made == ("demonstrate" if written else "edit")
        assert bool(origin.edits) is not written
        assert (origin.rater, origin.kind, origin.guideline) == (ada, "human", "v1")
        assert int(origin.reviews) in seqs
        assert (origin.root, origin.late) == (origin.task, False)
    assert made.counts == {
        "given": 2,
        "rows": 2,
        "tasks": 2,
        "late": 0,
        "reviews": 2,
        "kinds": {"human": 2},
        "made": {"demonstrate": 1, "edit": 1},
        "guidelines": {"v1": 2},
    }
    assert verify_frozen(made.folder, database).ok


def test_what_does_not_count_is_listed_with_its_reason(database: Database, tmp_path: Path) -> None:
    campaign = asked(database, write=8)
    people = ("ada", "bea", "spammer", "cyd")
    ada, bea, spammer, cyd = (somebody(database, campaign, name) for name in people)
    want: dict[int, Why] = {}
    kept = wrote(database, campaign, ada).seq
    reviewed(database, campaign, bea, ACCEPT)
    want[wrote(database, campaign, ada).seq] = Why.REJECTED
    reviewed(database, campaign, bea, REJECT)
    want[wrote(database, campaign, spammer).seq] = Why.QUARANTINED
    reviewed(database, campaign, bea, ACCEPT)
    want[wrote(database, campaign, ada).seq] = Why.NOT_REVIEWED
    reviewed(database, campaign, spammer, ACCEPT)
    gone = wrote(database, campaign, ada)
    want[gone.seq] = Why.ERASED
    reviewed(database, campaign, bea, ACCEPT)
    erase(database, gone.seq, TEXT)
    lost = wrote(database, campaign, ada)
    want[lost.seq] = Why.TEXT_ERASED
    reviewed(database, campaign, bea, ACCEPT)
    with database.read() as connection:
        prompt = connection.execute(
            sa.select(prompts.c.seq)
            .join(responses, responses.c.prompt == prompts.c.id)
            .where(responses.c.id == lost.response)
        ).scalar_one()
    erase(database, prompt, TEXT)
    want[wrote(database, campaign, cyd).seq] = Why.NAMED
    reviewed(database, campaign, bea, ACCEPT)
    older = wrote(database, campaign, ada)
    want[older.seq] = Why.REPLACED
    newer = replace_text(database, campaign, older.seq, "better", key="r", ui="test")
    want[newer.seq] = Why.NOT_REVIEWED
    with database.write() as connection:
        set_rater_state(connection, spammer, "quarantined")
    made = frozen_texts(database, campaign, tmp_path, without=(cyd,))
    assert {item.seq: item.why for item in excluded(made.folder)} == want
    assert [one.seq for one in text_origins(made.folder)] == [kept]
    assert made.counts["given"] == 1 + len(want)
    assert sum(made.excluded.values()) == len(want)
    assert text_settings_of(made.manifest).without == (cyd,)
    assert verify_frozen(made.folder, database).ok


def test_an_edit_of_what_was_erased_is_left_out(file_database: Database, tmp_path: Path) -> None:
    campaign = asked(file_database, write=1, edit=1)
    ada, bea = (somebody(file_database, campaign, name) for name in ("ada", "bea"))
    for _ in range(2):
        wrote(file_database, campaign, ada)
    for _ in range(2):
        reviewed(file_database, campaign, bea, ACCEPT)
    with file_database.read() as connection:
        draft = sa.select(responses.c.seq).where(responses.c.rater.is_(None))
        seq = connection.execute(draft).scalar_one()
    erase(file_database, seq, TEXT)
    made = frozen_texts(file_database, campaign, tmp_path)
    assert made.excluded == {Why.ORIGINAL_ERASED: 1}
    assert [one.made for one in text_origins(made.folder)] == ["demonstrate"]


def test_without_reviews_each_text_counts_at_once(file_database: Database, tmp_path: Path) -> None:
    campaign = asked(file_database, write=2, reviews=0)
    ada = somebody(file_database, campaign, "ada")
    first = wrote(file_database, campaign, ada)
    wrote(file_database, campaign, ada)
    replace_text(file_database, campaign, first.seq, "better", key="r", ui="test")
    made = frozen_texts(file_database, campaign, tmp_path)
    assert (made.manifest.rows, made.excluded) == (2, {Why.REPLACED: 1})
    assert {one.reviews for one in text_origins(made.folder)} == {""}
    assert verify_frozen(made.folder, file_database).ok


def test_the_same_state_gives_the_same_set(database: Database, tmp_path: Path) -> None:
    campaign = asked(database, write=5)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    for _ in range(3):
        wrote(database, campaign, ada)
        reviewed(database, campaign, bea, ACCEPT)
    one = frozen_texts(database, campaign, tmp_path, dev=0.4)
    # What is asked, leased and skipped meanwhile changes nothing.
    take(database, campaign, cyd)
    again = frozen_texts(database, campaign, tmp_path, dev=0.4)
    assert (again.folder, again.is_new) == (one.folder, False)
    (tmp_path / "other").mkdir()
    elsewhere = frozen_texts(database, campaign, tmp_path / "other", dev=0.4)
    assert elsewhere.manifest.digest == one.manifest.digest
    assert elsewhere.folder.name == one.folder.name
    wrote(database, campaign, ada)
    more = frozen_texts(database, campaign, tmp_path, dev=0.4)
    assert more.manifest.digest == one.manifest.digest
    assert more.folder != one.folder  # a text more is listed as not reviewed
    assert verify_frozen(one.folder, database).ok


def test_campaigns_are_frozen_as_what_they_ask_for(file_database: Database, tmp_path: Path) -> None:
    texts, pairs = asked(file_database), made(file_database)
    key = key_in(tmp_path)
    with pytest.raises(ConflictError, match="ask for comparisons"):
        freeze(file_database, texts, tmp_path, settings=FreezeSettings(name="x"), key=key)
    settings = TextFreezeSettings(name="x")
    with pytest.raises(ConflictError, match="ask for demonstrations"):
        freeze_texts(file_database, pairs, tmp_path, settings=settings, key=key)
    with pytest.raises(DataError, match="nobody has written yet"):
        frozen_texts(file_database, texts, tmp_path)
    with pytest.raises(ConfigError, match="not known"):
        frozen_texts(file_database, texts, tmp_path, without=("nobody",))
    assert not list((tmp_path / "artifacts").iterdir())


def test_what_was_erased_after_freezing_is_counted(file_database: Database, tmp_path: Path) -> None:
    campaign = asked(file_database, write=3)
    ada, bea, cyd = (somebody(file_database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(file_database, campaign, ada)
    by_cyd = reviewed(file_database, campaign, cyd, ACCEPT)
    gone = wrote(file_database, campaign, ada)
    reviewed(file_database, campaign, bea, ACCEPT)
    wrote(file_database, campaign, ada)
    reviewed(file_database, campaign, cyd, REJECT)
    made = frozen_texts(file_database, campaign, tmp_path)
    erase(file_database, gone.seq, TEXT)
    erase(file_database, by_cyd.seq, "verdict")
    erase_rater(file_database, cyd, verdicts=True)
    path = export_log(file_database, tmp_path / "log.jsonl", key=key_in(tmp_path)).path
    for source in (file_database, path):
        found = verify_frozen(made.folder, source)
        assert (found.faults, found.rows, found.erased_since) == ((), 0, 2)
