"""Runs, artifacts, releases and jobs.

The manifests in the folders are the truth about runs and artifacts: their rows can be built again.
Jobs alone are written so far; a workspace finds runs and artifacts by their folders.
"""

from __future__ import annotations

import sqlalchemy as sa

from accord.store.tables.columns import DIGEST, ID, METADATA, WORD, Json, Time, one_of

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("stage", ID, nullable=False),
    sa.Column("key", DIGEST, nullable=False, index=True, comment="lineage key"),
    sa.Column("state", WORD, nullable=False),
    sa.Column("started", Time, nullable=False),
    sa.Column("ended", Time),
    sa.Column("folder", sa.String(1000), nullable=False),
    sa.Column("settings", Json, nullable=False),
    sa.Column("machine", Json, nullable=False),
    one_of("state", "running", "done", "failed", "stopped"),
    sa.CheckConstraint("(state = 'running') = (ended IS NULL)", name="ended"),
)

artifacts = sa.Table(
    "artifacts",
    METADATA,
    sa.Column("id", ID, primary_key=True, comment="name and key, as the folder is called"),
    sa.Column("kind", ID, nullable=False),
    sa.Column("digest", DIGEST, nullable=False, index=True),
    sa.Column("made", Time, nullable=False),
    sa.Column("run", ID, sa.ForeignKey("runs.id"), comment="NULL: imported"),
    sa.Column("folder", sa.String(1000), nullable=False),
    sa.Column("manifest", Json, nullable=False),
    sa.Column("log_size", sa.BigInteger, comment="of the checkpoint that a frozen set stands on"),
)

artifact_inputs = sa.Table(
    "artifact_inputs",
    METADATA,
    sa.Column("artifact", ID, sa.ForeignKey("artifacts.id"), primary_key=True),
    sa.Column("name", ID, primary_key=True, comment="what the stage calls this input"),
    sa.Column("input", ID, sa.ForeignKey("artifacts.id"), nullable=False, index=True),
    sa.CheckConstraint("artifact <> input", name="input"),
    comment="lineage",
)

releases = sa.Table(
    "releases",
    METADATA,
    sa.Column("seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True),
    sa.Column("alias", ID, nullable=False, index=True),
    sa.Column("artifact", ID, sa.ForeignKey("artifacts.id"), nullable=False),
    sa.Column("gate", WORD, nullable=False),
    sa.Column("card", Json, nullable=False, comment="what the model card was made from"),
    one_of("gate", "pass", "fail", "inconclusive", "none"),
    comment="the newest row of an alias is what it stands for; a rollback is a new row",
)

jobs = sa.Table(
    "jobs",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("kind", ID, nullable=False),
    sa.Column("key", sa.String(200), unique=True, comment="asking twice makes one job"),
    sa.Column("arguments", Json, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("made", Time, nullable=False),
    sa.Column("worker", ID),
    sa.Column("fence", sa.BigInteger, nullable=False, comment="token of the last lease, from 0"),
    sa.Column("leased_until", Time),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("done", Time),
    sa.Column("result", Json),
    sa.Column("error", sa.Text),
    one_of("state", "queued", "leased", "done", "failed"),
    sa.CheckConstraint("(state = 'leased') = (leased_until IS NOT NULL)", name="leased"),
    sa.CheckConstraint("attempts >= 0 AND fence >= 0", name="counts"),
    sa.Index(None, "state", "kind", "priority"),
)
