"""A workspace with a campaign in which somebody rates, and what was judged there."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.campaign import CampaignState, all_campaigns, set_campaign_state
from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.registry import response_text
from tests.collect.asking import made
from tests.forked import accord


def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, entered; its database has no campaign."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    monkeypatch.chdir(folder)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(folder / "ws")
    return folder / "ws"


def opened(workspace: Path, **settings: object) -> None:
    """The campaign `pilot`; `settings` as `made` has them."""
    with open_database(workspace / "accord.db") as database:
        made(database, **settings)


def set_state(workspace: Path, state: CampaignState) -> None:
    """Pause it, say."""
    with open_database(workspace / "accord.db") as database, database.write() as connection:
        (campaign,) = all_campaigns(connection)
        set_campaign_state(connection, campaign, state)


def rate(workspace: Path, typed: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """`accord rate` with lines from a pipe."""
    return accord("rate", *flags, cwd=workspace, typed=typed)


def rows(workspace: Path) -> Sequence[sa.Row[Any]]:
    """Judgements that count, oldest first."""
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        return list(current(connection))


def judged(workspace: Path) -> list[tuple[str, list[int] | None]]:
    """Verdict and tiers by the answers' own numbers, oldest first."""
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        found = []
        for row in current(connection):
            texts = [response_text(connection, one) for one in row.responses]
            if row.tiers is None:
                found.append((row.verdict, None))
                continue
            by_number = dict(zip((text[-1] for text in texts), row.tiers, strict=True))
            found.append((row.verdict, [by_number[n] for n in sorted(by_number)]))
    return found
