"""What happened, in order: events chained by hash, what they said, and signed checkpoints.

Triggers of the first migration refuse to change or delete events and checkpoints, and let a payload
change only from said to erased.
"""

from __future__ import annotations

import sqlalchemy as sa

from accord.store.tables.columns import DIGEST, ID, METADATA, Json, Time

log = sa.Table(
    "log",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(32), nullable=False, comment="random name of this log"),
    sa.Column("size", sa.BigInteger, nullable=False, comment="events so far"),
    sa.Column("head", DIGEST, nullable=False, comment="hash of the last event, or of no event"),
    sa.CheckConstraint("one = 1", name="one"),
    comment="one row: where the next event goes",
)

events = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, comment="1, 2, 3 ..."),
    sa.Column("version", sa.Integer, nullable=False, comment="form of the hashed text"),
    sa.Column("time", sa.String(27), nullable=False, comment="UTC, as hashed"),
    sa.Column("actor", ID, nullable=False, comment="pseudonym of who did it, or 'system'"),
    sa.Column("type", ID, nullable=False, comment="noun.verb"),
    sa.Column("subject", sa.String(200), nullable=False, comment="id of what it is about"),
    sa.Column("key", sa.String(200), unique=True, comment="idempotency key of the submission"),
    sa.Column("supersedes", sa.BigInteger, sa.ForeignKey("events.seq"), unique=True),
    sa.Column("guideline", ID, comment="version that the actor followed"),
    sa.Column("ui", ID, comment="version of the page or program that asked"),
    sa.Column("order_seed", sa.BigInteger, comment="made the order shown"),
    sa.Column("policies", Json, nullable=False, comment="digests of the policies concerned"),
    sa.Column("payload", Json, nullable=False, comment="name of a part: its salted digest"),
    sa.Column("prev", DIGEST, nullable=False, comment="hash of the event before"),
    sa.Column("hash", DIGEST, nullable=False, unique=True, comment="SHA-256 of all above"),
    sa.CheckConstraint("seq >= 1", name="seq"),
    sa.CheckConstraint("supersedes < seq", name="supersedes"),
    sa.CheckConstraint("order_seed >= 0", name="order_seed"),
    sa.Index(None, "subject"),
    sa.Index(None, "actor"),
    comment="append-only",
)

payloads = sa.Table(
    "payloads",
    METADATA,
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True, comment="which part: verdict, text ..."),
    sa.Column("salt", DIGEST, comment="32 random bytes"),
    sa.Column("body", sa.Text, comment="canonical JSON, as hashed"),
    sa.Column("erased", Time, comment="when salt and body were removed"),
    sa.CheckConstraint(
        "(body IS NULL) = (salt IS NULL) AND (body IS NULL) = (erased IS NOT NULL)", name="erased"
    ),
    comment="what events said; may be erased without breaking the chain",
)

checkpoints = sa.Table(
    "checkpoints",
    METADATA,
    sa.Column("size", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("root", DIGEST, nullable=False, comment="Merkle root over events 1 .. size"),
    sa.Column("head", DIGEST, nullable=False, comment="hash of event number size"),
    sa.Column("time", sa.String(27), nullable=False, comment="UTC, as signed"),
    sa.Column("public_key", sa.String(64), nullable=False, comment="raw Ed25519 key, hexadecimal"),
    sa.Column("signature", sa.String(128), nullable=False),
    sa.Column("leaves", Json, nullable=False, comment="hashes since the checkpoint before"),
    comment="append-only; leaves let a verifier name the event that was changed",
)
