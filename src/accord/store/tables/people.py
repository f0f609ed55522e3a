"""Who judges, who they are (apart, to be guarded and erased alone), and by which rules."""

from __future__ import annotations

import sqlalchemy as sa

from accord.store.tables.columns import DIGEST, ID, METADATA, WORD, Json, Time, one_of

raters = sa.Table(
    "raters",
    METADATA,
    sa.Column("id", ID, primary_key=True, comment="pseudonym: says nothing about who it is"),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("role", WORD, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("since", Time, nullable=False, comment="of the state"),
    one_of("kind", "human", "synthetic", "rule", "model"),
    one_of("role", "rater", "lead", "admin"),
    one_of("state", "new", "active", "quarantined", "left", "erased"),
)

identities = sa.Table(
    "identities",
    METADATA,
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True, comment="identity or profile"),
    # Deferred: the event comes before the rater that it registers.
    sa.Column(
        "rater",
        ID,
        sa.ForeignKey("raters.id", deferrable=True, initially="DEFERRED"),
        nullable=False,
        index=True,
    ),
    sa.Column("salt", DIGEST, comment="32 random bytes"),
    sa.Column("body", sa.Text, comment="canonical JSON, as hashed"),
    sa.Column("erased", Time, comment="when salt and body were removed"),
    one_of("name", "identity", "profile"),
    sa.CheckConstraint(
        "(body IS NULL) = (salt IS NULL) AND (body IS NULL) = (erased IS NOT NULL)", name="erased"
    ),
    comment="payloads about a person: a table of their own, never exported",
)

guidelines = sa.Table(
    "guidelines",
    METADATA,
    sa.Column("version", ID, primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column(
        "digest", DIGEST, nullable=False, comment="of the text, which is the event's payload"
    ),
    sa.Column("criteria", Json, nullable=False, comment="names of what is rated beside the order"),
    comment="the text that raters follow; a version never changes",
)
