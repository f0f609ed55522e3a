"""Checkpoints and receipts: signed once, checked offline, bound to one log and one key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from accord.core.errors import DataError, InvariantError
from accord.store.checkpoints import all_checkpoints, receipt, sign_checkpoint
from accord.store.database import Database
from accord.store.event import Entry
from accord.store.keys import SigningKey
from accord.store.log import append


def note(number: int) -> Entry:
    return Entry(type="note.made", actor="system", subject=f"note-{number}")


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.load_or_make(tmp_path / "key.pem")


def test_a_size_is_signed_once_by_one_key(
    database: Database, key: SigningKey, tmp_path: Path
) -> None:
    other = SigningKey.load_or_make(tmp_path / "other.pem")
    with database.write() as connection:
        for number in range(5):
            append(connection, note(number))
        first = sign_checkpoint(connection, key)
        assert sign_checkpoint(connection, key) == first
        second = sign_checkpoint(connection, other)
        append(connection, note(5))
        third = sign_checkpoint(connection, key)
    with database.read() as connection:
        found = all_checkpoints(connection)
    assert {c.signature for c in found} == {first.signature, second.signature, third.signature}
    assert [c.size for c in found] == [5, 5, 6]
    assert found[-1] == third
    assert first.signed_by(key.public)
    assert not first.signed_by(other.public)
    assert not replace(first, size=4).signed_by(key.public)
    assert not replace(first, log="0" * 32).signed_by(key.public)
    assert not replace(first, signature="no").signed_by(key.public)


def test_every_event_has_a_receipt_that_holds_offline(database: Database, key: SigningKey) -> None:
    with database.write() as connection:
        for number in range(11):
            append(connection, note(number))
        sign_checkpoint(connection, key)
        append(connection, note(11))
        receipts = [receipt(connection, seq) for seq in range(1, 12)]
    for number, kept in enumerate(receipts, start=1):
        assert kept.holds(key.public)
        assert not replace(kept, seq=number % 11 + 1).holds(key.public)
        assert not replace(kept, hash="0" * 64).holds(key.public)
        assert not replace(kept, proof=kept.proof[1:]).holds(key.public)
        assert not replace(kept, hash="no").holds(key.public)
        forged = replace(kept.checkpoint, root="0" * 64)
        assert not replace(kept, checkpoint=forged).holds(key.public)


def test_there_is_no_receipt_before_a_checkpoint(database: Database, key: SigningKey) -> None:
    with database.write() as connection:
        append(connection, note(1))
        with pytest.raises(DataError, match="no checkpoint"):
            receipt(connection, 1)
        sign_checkpoint(connection, key)
        append(connection, note(2))
        assert receipt(connection, 1).holds(key.public)
        for seq in (0, 2, 3):
            with pytest.raises(DataError, match="no checkpoint"):
                receipt(connection, seq)


def test_an_empty_log_is_not_signed(file_database: Database, key: SigningKey) -> None:
    with pytest.raises(DataError, match="nothing to sign"), file_database.write() as connection:
        sign_checkpoint(connection, key)


def test_signing_needs_the_turn_to_write(file_database: Database, key: SigningKey) -> None:
    with pytest.raises(InvariantError, match="outside"), file_database.read() as connection:
        sign_checkpoint(connection, key)
