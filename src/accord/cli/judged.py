"""What the commands about judgements share: the database, the campaign, figures as text."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum

from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.session import find_workspace
from accord.collect.campaign import Campaign, all_campaigns, campaign_called, check_asks
from accord.core.errors import DataError
from accord.pipeline.whereabouts import open_workspace_database
from accord.stats.intervals import Interval
from accord.store.database import Database

WIDE = 200
"""Columns of a table that goes to a file or a program."""
FEW_PROMPTS = 40
"""From so many on intervals were measured to hold the truth as often as they say."""
SHORT = 8
"""Letters of a rater's name that are shown, where they are enough."""


def open_judgements(options: Options) -> Database:
    """The database of the named or nearest workspace."""
    return open_workspace_database(find_workspace(options))


def chosen_campaign(connection: Connection, name: str | None) -> Campaign:
    """The named campaign, or the only one. Raises DataError where that is none or several."""
    if name is not None:
        return campaign_called(connection, name)
    known = all_campaigns(connection)
    if len(known) == 1:
        return known[0]
    names = ", ".join(campaign.settings.name for campaign in known)
    raise DataError(
        "which campaign is meant?" if known else "there is no campaign yet",
        got=names or None,
        do="name one" if known else "open one with `accord campaign open`",
    )


def compared_campaign(connection: Connection, name: str | None) -> Campaign:
    """As `chosen_campaign`, of those in which people compare.

    Raises ConflictError for one that asks for demonstrations.
    """
    campaign = chosen_campaign(connection, name)
    do = f"`accord campaign status {campaign.settings.name}` says what became of its texts"
    check_asks(campaign, texts=False, do=do)
    return campaign


def console() -> Console:
    """Where tables go: as wide as the terminal, or wide and plain where there is none."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE)


def table(*columns: str) -> Table:
    """An empty table in the style of all commands."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Each name's first letters, enough to tell it from the others."""
    length = SHORT
    while len({name[:length] for name in names}) < len(set(names)):
        length += 1
    return {name: name[:length] for name in names}


def only_one_with_prefix(given: str, names: Sequence[str]) -> str:
    """The one name that begins as given. Raises DataError where none or several do."""
    found = [name for name in names if name.startswith(given)] if given else []
    if given in names:
        return given
    if len(found) != 1:
        raise DataError(
            "there is no such rater here" if not found else "several raters' names begin so",
            got=given,
            do="`accord raters --names` lists them"
            if not found
            else f"one of {', '.join(found[:5])}",
        )
    return found[0]


def interval_text(interval: Interval | None, *, missing: str = "-") -> str:
    """`.82 [.75, .88]`, or `missing` where there is no estimate."""
    if interval is None or math.isnan(interval.estimate):
        return missing
    low, high = (_number(value) for value in (interval.low, interval.high))
    return f"{_number(interval.estimate)} [{low}, {high}]"


def print_json(value: object) -> None:
    """`value` as JSON, what is no number as null."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
