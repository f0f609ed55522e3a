"""Prompts, responses, campaigns, tasks, leases, and what was judged.

Texts are payloads of the event in `seq`, so that they are hashed and erased in one place.
"""

from __future__ import annotations

import sqlalchemy as sa

from accord.store.tables.columns import DIGEST, ID, METADATA, WORD, Json, Time, one_of

VERDICTS = ("ranking", "tie", "all_bad", "skip", "withdrawn", "erased")
SHAPES = (
    "(verdict = 'ranking' AND tiers IS NOT NULL)"
    " OR (verdict = 'tie' AND tiers IS NOT NULL AND strength IS NULL)"
    " OR verdict = 'all_bad'"
    " OR (verdict = 'skip' AND tiers IS NULL AND strength IS NULL AND reason IS NOT NULL)"
    " OR (verdict IN ('withdrawn', 'erased') AND tiers IS NULL AND strength IS NULL)"
)

prompts = sa.Table(
    "prompts",
    METADATA,
    sa.Column(
        "id", ID, primary_key=True, comment="random: the log keeps it after the text is gone"
    ),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("digest", DIGEST, unique=True, comment="of the conversation; NULL once erased"),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("stratum", ID, comment="group that coverage is counted by"),
    sa.Column("cluster", ID, index=True, comment="shared by near-duplicates"),
)

responses = sa.Table(
    "responses",
    METADATA,
    sa.Column("id", ID, primary_key=True, comment="random"),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("prompt", ID, sa.ForeignKey("prompts.id"), nullable=False, index=True),
    sa.Column("digest", DIGEST, index=True, comment="of the text; NULL once erased"),
    sa.Column(
        "policy", DIGEST, comment="digest of the weights that said it; NULL: a person wrote it"
    ),
    sa.Column("rater", ID, sa.ForeignKey("raters.id"), comment="who wrote or edited it"),
    sa.Column("edits", ID, sa.ForeignKey("responses.id"), comment="the response that was edited"),
    sa.Column("settings", Json, comment="how it was sampled, seed included"),
    sa.Column("stop", WORD, nullable=False),
    sa.Column("tokens", sa.Integer, comment="length, where known"),
    one_of("stop", "stop", "length"),
    sa.CheckConstraint("policy IS NULL OR rater IS NULL", name="author"),
)

campaigns = sa.Table(
    "campaigns",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("state", WORD, nullable=False),
    sa.Column("guideline", ID, sa.ForeignKey("guidelines.version"), nullable=False),
    sa.Column("responses", sa.Integer, nullable=False, comment="K: how many a task shows"),
    sa.Column("overlap", sa.Integer, nullable=False, comment="raters asked for a task by default"),
    sa.Column(
        "selection", WORD, nullable=False, comment="what picks tasks beside the random share"
    ),
    sa.Column("random_share", sa.Float, nullable=False, comment="of tasks drawn at random"),
    sa.Column("gold_share", sa.Float, nullable=False, comment="of items with a known answer"),
    sa.Column("repeat_share", sa.Float, nullable=False, comment="of items asked again, swapped"),
    sa.Column("lease_seconds", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("settings", Json, nullable=False, comment="what only the campaign's own code reads"),
    one_of("state", "draft", "open", "paused", "closed"),
    sa.CheckConstraint("responses BETWEEN 1 AND 4", name="responses"),
    sa.CheckConstraint("overlap >= 1", name="overlap"),
    sa.CheckConstraint("random_share BETWEEN 0.2 AND 1", name="random_share"),
    sa.CheckConstraint("gold_share BETWEEN 0 AND 1", name="gold_share"),
    sa.CheckConstraint("repeat_share BETWEEN 0 AND 1", name="repeat_share"),
    sa.CheckConstraint("lease_seconds > 0", name="lease_seconds"),
)

tasks = sa.Table(
    "tasks",
    METADATA,
    sa.Column("id", ID, primary_key=True, comment="random, so that its order is no order"),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("campaign", ID, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("prompt", ID, sa.ForeignKey("prompts.id"), nullable=False, index=True),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("purpose", WORD, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("made", Time, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, comment="higher is served first"),
    sa.Column("overlap", sa.Integer, nullable=False, comment="judgements wanted"),
    sa.Column("fence", sa.BigInteger, nullable=False, comment="last fencing token given, from 0"),
    sa.Column("selected_by", WORD, nullable=False, comment="random, or the selection's name"),
    sa.Column("inclusion", sa.Float, nullable=False, comment="probability of having been picked"),
    sa.Column("gold", Json, comment="the known answer"),
    sa.Column("round", ID, comment="of calibration or qualification"),
    sa.Column("repeats", ID, sa.ForeignKey("tasks.id"), comment="the task asked again, swapped"),
    sa.Column("for_rater", ID, sa.ForeignKey("raters.id"), comment="only this one may take it"),
    one_of("kind", "compare", "demonstrate", "edit", "review"),
    one_of(
        "purpose",
        "work",
        "gold",
        "repeat",
        "lesson",
        "qualification",
        "calibration",
        "adjudication",
    ),
    one_of("state", "open", "done", "withdrawn"),
    sa.CheckConstraint("overlap >= 1", name="overlap"),
    sa.CheckConstraint("fence >= 0", name="fence"),
    sa.CheckConstraint("inclusion > 0 AND inclusion <= 1", name="inclusion"),
    sa.CheckConstraint("purpose <> 'gold' OR gold IS NOT NULL", name="gold"),
    sa.CheckConstraint("purpose <> 'repeat' OR repeats IS NOT NULL", name="repeats"),
    sa.Index(None, "campaign", "state", "purpose", "priority", "id"),
)

task_responses = sa.Table(
    "task_responses",
    METADATA,
    sa.Column("task", ID, sa.ForeignKey("tasks.id"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("response", ID, sa.ForeignKey("responses.id"), nullable=False, index=True),
    sa.UniqueConstraint("task", "response"),
    sa.CheckConstraint("place BETWEEN 0 AND 3", name="place"),
    comment="place is the canonical order that tiers count by, never the order on a screen",
)

memberships = sa.Table(
    "memberships",
    METADATA,
    sa.Column("campaign", ID, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("rater", ID, sa.ForeignKey("raters.id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), nullable=False, unique=True),
    sa.Column("state", WORD, nullable=False),
    sa.Column("since", Time, nullable=False, comment="of the state"),
    one_of("state", "trial", "active", "failed", "paused"),
    comment="who works in a campaign; trial: only its qualification tasks so far",
)

assignments = sa.Table(
    "assignments",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("task", ID, sa.ForeignKey("tasks.id"), nullable=False),
    sa.Column("rater", ID, sa.ForeignKey("raters.id"), nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False, comment="token of this lease; grows by task"),
    sa.Column("leased", Time, nullable=False),
    sa.Column("leased_until", Time, nullable=False),
    sa.Column("order_seed", sa.BigInteger, nullable=False),
    sa.Column("shown", Json, nullable=False, comment="places in the order on the screen"),
    one_of("state", "leased", "submitted", "late", "skipped", "released", "expired"),
    sa.CheckConstraint("fence >= 1", name="fence"),
    sa.CheckConstraint("order_seed >= 0", name="order_seed"),
    sa.UniqueConstraint("task", "rater"),
    sa.UniqueConstraint("task", "fence"),
    sa.Index(None, "rater", "state"),
    sa.Index(None, "state", "leased_until"),
    comment="a lease that a rater takes again keeps its row and gets a higher token",
)

judgements = sa.Table(
    "judgements",
    METADATA,
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("judgement", ID, nullable=False, index=True, comment="id that corrections share"),
    sa.Column("rater", ID, sa.ForeignKey("raters.id"), nullable=False, index=True),
    sa.Column("task", ID, sa.ForeignKey("tasks.id"), index=True),
    sa.Column("assignment", ID, sa.ForeignKey("assignments.id"), index=True),
    sa.Column("verdict", WORD, nullable=False),
    sa.Column("tiers", Json, comment="tier of each place, 0 the best"),
    sa.Column("strength", sa.Integer, comment="1 negligible .. 4 strong, of the top gap"),
    sa.Column("ratings", Json, comment="criterion: rating of each place"),
    sa.Column("flags", Json, comment="pairs of place (null: the whole task) and reason"),
    sa.Column("reason", sa.String(200), comment="of a skip"),
    sa.Column("responses", Json, comment="ids by place"),
    sa.Column("shown", Json, comment="places in the order on the screen"),
    sa.Column("order_seed", sa.BigInteger),
    sa.Column("guideline", ID, sa.ForeignKey("guidelines.version")),
    sa.Column("ui", ID),
    sa.Column("opened", sa.String(27), comment="UTC: when the task was shown"),
    sa.Column("time", sa.String(27), nullable=False, comment="UTC: when it was accepted"),
    sa.Column("seconds", sa.Float, comment="active time"),
    sa.Column("late", sa.Boolean, comment="the lease had run out"),
    sa.Column("supersedes", sa.BigInteger, sa.ForeignKey("judgements.seq"), unique=True),
    sa.Column("superseded_by", sa.BigInteger, sa.ForeignKey("judgements.seq"), unique=True),
    one_of("verdict", *VERDICTS),
    sa.CheckConstraint(SHAPES, name="shape"),
    sa.CheckConstraint("strength BETWEEN 1 AND 4", name="strength"),
    sa.CheckConstraint("seconds >= 0", name="seconds"),
    sa.CheckConstraint("supersedes < seq", name="supersedes"),
    sa.CheckConstraint("superseded_by > seq", name="superseded_by"),
    comment="what the log's events come to; the log is the truth",
)
