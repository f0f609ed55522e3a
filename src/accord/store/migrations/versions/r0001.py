"""The first tables, and triggers that keep the log as it was written."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

_KEPT = ("events", "checkpoints")
_ERASABLE = ("payloads", "identities")
_SAME = "NEW.seq = OLD.seq AND NEW.name = OLD.name AND NEW.body IS NULL AND OLD.body IS NOT NULL"
_PLPGSQL = """
CREATE FUNCTION accord_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""


def upgrade() -> None:
    """Make them."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
    name = secrets.token_hex(16)
    head = hashlib.sha256(f"accord log {name}".encode()).hexdigest()
    row = sa.text("INSERT INTO log (one, id, size, head) VALUES (1, :name, 0, :head)")
    op.execute(row.bindparams(name=name, head=head))
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for table in (*_KEPT, *_ERASABLE):
        actions = ["DELETE", "UPDATE"] if table in _KEPT else ["DELETE"]
        for action in actions:
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    for table in _ERASABLE:
        op.execute(
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} WHEN NOT ({_SAME})"
            f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _guard_postgresql() -> None:
    op.execute(_PLPGSQL)
    for table in (*_KEPT, *_ERASABLE):
        update = " OR UPDATE" if table in _KEPT else ""
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE DELETE{update} ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION accord_refuse()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION accord_refuse()"
        )
    for table in _ERASABLE:
        op.execute(
            f"CREATE TRIGGER {table}_erased_only BEFORE UPDATE ON {table}"
            f" FOR EACH ROW WHEN (NOT ({_SAME})) EXECUTE FUNCTION accord_refuse()"
        )
