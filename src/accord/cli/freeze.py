"""`accord freeze`: what people said in a campaign becomes a data set that stages train on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import tyro
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.judged import chosen_campaign
from accord.cli.session import find_workspace
from accord.collect.campaign import Campaign
from accord.collect.campaign_log import Why
from accord.collect.freezing import FreezeSettings, Frozen, freeze
from accord.collect.influence import rater_weights
from accord.collect.tasks import Purpose
from accord.collect.text_freezing import freeze_texts
from accord.collect.text_reckoning import TextFreezeSettings
from accord.collect.votes import load
from accord.core.disk import check_room
from accord.core.errors import ConfigError
from accord.pipeline.logbook import open_log, signing_key
from accord.pipeline.workspace import Workspace
from accord.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Freeze:
    """Flags of `accord freeze`."""

    campaign: Annotated[str | None, tyro.conf.Positional] = None
    """Its name; not needed where there is one campaign."""
    name: str | None = None
    """What the set is called in accord.toml; by default the campaign's name. An earlier set of this
    name is replaced."""
    kinds: str = "human"
    """Kinds of raters whose judgements count, with commas: human, synthetic, rule, model."""
    purposes: str = "work,adjudication"
    """What the tasks were asked for; gold, repeat and qualification tasks check raters."""
    without: str = ""
    """Raters (pseudonyms, with commas) who are left out."""
    even: bool = False
    """Let everybody not in quarantine weigh the same, whatever `accord raters` says of them."""
    unit: Literal["prompt", "response"] = "prompt"
    """What never stands in two splits: a prompt, or a response where all share one prompt."""
    dev: float = 0.1
    """Share that is held out for figures during training and evaluation."""
    test: float = 0.0
    """Share that nothing here reads: for judging a release."""


def main(words: Sequence[str], options: Options) -> int:
    """Freeze, point the name to the set, and say what became of every judgement or text."""
    about = "Make what people said in a campaign a data set, with a checkpoint of the log."
    asked = parse(Freeze, words, command="freeze", about=about)
    workspace = find_workspace(options)
    with open_log(workspace) as database:
        with database.read() as connection:
            campaign = chosen_campaign(connection, asked.campaign)
        name = asked.name or re.sub(r"[^A-Za-z0-9._-]+", "-", campaign.settings.name).strip("-._")
        name = name[:64]
        check_room(workspace.artifacts)
        freezes = _texts if campaign.settings.asks_texts else _judgements
        made = freezes(database, campaign, workspace, asked, name)
    digest = made.manifest.digest
    stood = workspace.point(name, {made.manifest.kind: (made.folder, digest)})
    print(told_texts(made) if campaign.settings.asks_texts else told(made))
    before = stood.get(made.manifest.kind, digest)
    if before != digest:
        print(f"  the {made.manifest.kind} called {name!r} before, {before[:16]}, ", end="")
        print("are replaced; their folder stays")
    return 0


def _judgements(
    database: Database, campaign: Campaign, workspace: Workspace, asked: Freeze, name: str
) -> Frozen:
    settings = FreezeSettings(
        name=name,
        kinds=_words(asked.kinds),
        purposes=_words(asked.purposes),
        without=_words(asked.without),
        unit=asked.unit,
        dev=asked.dev,
        test=asked.test,
    )
    return freeze(
        database,
        campaign,
        workspace.artifacts,
        settings=settings,
        key=signing_key(workspace),
        weights=None if asked.even else partial(_weights, campaign, settings),
    )


def _texts(
    database: Database, campaign: Campaign, workspace: Workspace, asked: Freeze, name: str
) -> Frozen:
    """Freeze the accepted texts. Raises ConfigError for flags that mean nothing for them."""
    usual = Freeze()
    for flag in ("kinds", "purposes", "even", "unit"):
        if getattr(asked, flag) != getattr(usual, flag):
            raise ConfigError(
                f"--{flag} means nothing for texts",
                got=f"{campaign.settings.name}, which asks for {campaign.settings.asks}",
                do="leave it out",
            )
    settings = TextFreezeSettings(
        name=name, without=_words(asked.without), dev=asked.dev, test=asked.test
    )
    key = signing_key(workspace)
    return freeze_texts(database, campaign, workspace.artifacts, settings=settings, key=key)


def _weights(
    campaign: Campaign, settings: FreezeSettings, connection: Connection
) -> dict[str, float]:
    """What the rules and the cap give each rater, of those whose judgements can count."""
    votes = load(connection, campaign, lengths=True)
    return rater_weights(
        votes.only(lambda row: row.kind in settings.kinds and row.rater not in settings.without),
        purposes=[Purpose(word) for word in settings.purposes],
    )


def told(made: Frozen) -> str:
    """What became of the judgements, one fact a line."""
    counts = made.counts
    notes: dict[str, Any] = dict(made.manifest.notes)
    raters = notes["raters"]
    share, drawn = raters["largest_share"], notes["selection"]["random"]
    # What was erased no longer says which campaign it was of.
    perhaps = made.excluded.get(Why.PERHAPS_ERASED, 0)
    given = sum(made.excluded.values()) + made.manifest.rows - perhaps
    others = f"; {perhaps} erased ones may be of other campaigns with these guidelines"
    lines = [
        f"{notes['campaign']['name']}: {given} judgements given{others if perhaps else ''}",
        _set(made),
        f"    {counts['tasks']} tasks, {drawn:.0%} drawn at random",
        f"    {raters['count']} raters, the largest has {share:.0%} of the weight",
    ]
    return "\n".join(lines + _end(made))


def told_texts(made: Frozen) -> str:
    """What became of the texts, one fact a line."""
    counts = made.counts
    notes: dict[str, Any] = dict(made.manifest.notes)
    kinds, raters = notes["counts"]["made"], notes["raters"]
    written, edited = (kinds.get(kind, 0) for kind in ("demonstrate", "edit"))
    share = raters["largest_share"]
    lines = [
        f"{notes['campaign']['name']}: {counts['given']} texts handed in",
        _set(made),
        f"    {written} written, {edited} made better; {counts['reviews']} reviews",
        f"    {raters['count']} authors, the largest has {share:.0%} of the texts",
    ]
    return "\n".join(lines + _end(made))


def _set(made: Frozen) -> str:
    manifest = made.manifest
    known = "" if made.is_new else " (known already)"
    splits = ", ".join(f"{n} {split}" for split, n in manifest.counts.items() if n)
    digest = f"{manifest.digest[:16]}{known}"
    return f"  {manifest.rows} {manifest.kind} as {manifest.source!r}: {splits}, digest {digest}"


def _end(made: Frozen) -> list[str]:
    """What was late or left out, and the log."""
    notes: dict[str, Any] = dict(made.manifest.notes)
    checkpoint, counts, lines = notes["log"]["checkpoint"], made.counts, []
    if counts["late"]:
        lines.append(f"    {counts['late']} of them late, kept")
    if made.excluded:
        lines.append(f"  {sum(made.excluded.values())} left out, listed in {made.folder.name}:")
        lines += [f"    {count} {why}" for why, count in made.excluded.items()]
    lines.append(
        f"  log: {notes['log']['events']} events, signed at {checkpoint['size']}"
        f" with key {checkpoint['key']}"
    )
    return lines


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
