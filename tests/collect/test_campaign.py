"""What a campaign asks for: settings that mean something, and campaigns opened before."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from accord.collect.campaign import CampaignSettings, all_campaigns, open_campaign
from accord.core.errors import ConfigError
from accord.store.database import Database
from accord.store.registry import publish_guideline
from accord.store.tables import campaigns

TEXTS: dict[str, Any] = {"name": "c", "guideline": "v1", "asks": "demonstrations"}


def test_what_is_usual_depends_on_what_is_asked() -> None:
    pairs, texts = CampaignSettings(name="c", guideline="v1"), CampaignSettings(**TEXTS)
    assert (pairs.responses, pairs.overlap, pairs.reviews) == (2, 3, 1)
    assert (texts.responses, texts.overlap, texts.reviews) == (1, 1, 1)
    assert CampaignSettings(name="c", guideline="v1", responses=2, overlap=3) == pairs


@pytest.mark.parametrize(
    "settings",
    [
        {"gold_share": 0.1},
        {"repeat_share": 0.0},
        {"repeat_after": 3},
        {"random_share": 0.5},
        {"selection": "coverage"},
        {"qualification_pass": 0.5},
        {"adjudicate": False},
        {"responses": 2},
        {"reviews": -1},
        {"asks": "comparisons", "reviews": 2},
        {"asks": "comparisons", "responses": 1},
    ],
)
def test_no_setting_does_nothing(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(name for name in settings if name != "asks")):
        CampaignSettings(**TEXTS | settings)


def test_a_campaign_opened_before_has_the_usual_settings(database: Database) -> None:
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        made = open_campaign(connection, CampaignSettings(name="c", guideline="v1"))
        row = connection.execute(sa.select(campaigns.c.settings)).scalar_one()
        older = {name: row[name] for name in row.keys() - {"asks", "reviews"}}
        assert len(older) == len(row) - 2
        connection.execute(sa.update(campaigns).values(settings=older))
    with database.read() as connection:
        assert all_campaigns(connection) == (made,)
