"""`accord freeze`: the judgements of a campaign become a data set that stages train on."""

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
from accord.collect.freezing import FreezeSettings, Frozen, freeze
from accord.collect.influence import rater_weights
from accord.collect.tasks import Purpose
from accord.collect.votes import load
from accord.core.disk import check_room
from accord.pipeline.logbook import open_log, signing_key


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
    """Freeze, point the name to the set, and say what became of every judgement."""
    about = "Make the judgements of a campaign a data set, with a checkpoint of the log."
    asked = parse(Freeze, words, command="freeze", about=about)
    workspace = find_workspace(options)
    with open_log(workspace) as database:
        with database.read() as connection:
            campaign = chosen_campaign(connection, asked.campaign)
        name = asked.name or re.sub(r"[^A-Za-z0-9._-]+", "-", campaign.settings.name).strip("-._")
        settings = FreezeSettings(
            name=name[:64],
            kinds=_words(asked.kinds),
            purposes=_words(asked.purposes),
            without=_words(asked.without),
            unit=asked.unit,
            dev=asked.dev,
            test=asked.test,
        )
        check_room(workspace.artifacts)
        made = freeze(
            database,
            campaign,
            workspace.artifacts,
            settings=settings,
            key=signing_key(workspace),
            weights=None if asked.even else partial(_weights, campaign, settings),
        )
    digest = made.manifest.digest
    stood = workspace.point(settings.name, {made.manifest.kind: (made.folder, digest)})
    print(told(made))
    before = stood.get(made.manifest.kind, digest)
    if before != digest:
        print(
            f"  the {made.manifest.kind} called {settings.name!r} before, {before[:16]}, ", end=""
        )
        print("are replaced; their folder stays")
    return 0


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
    manifest, counts = made.manifest, made.counts
    notes: dict[str, Any] = dict(manifest.notes)
    known = "" if made.is_new else " (known already)"
    splits = ", ".join(f"{n} {split}" for split, n in manifest.counts.items() if n)
    checkpoint, raters = notes["log"]["checkpoint"], notes["raters"]
    share, drawn = raters["largest_share"], notes["selection"]["random"]
    digest = f"{manifest.digest[:16]}{known}"
    lines = [
        f"{notes['campaign']['name']}: {counts['given']} judgements given",
        f"  {manifest.rows} {manifest.kind} as {manifest.source!r}: {splits}, digest {digest}",
        f"    {counts['tasks']} tasks, {drawn:.0%} drawn at random",
        f"    {raters['count']} raters, the largest has {share:.0%} of the weight",
    ]
    if counts["late"]:
        lines.append(f"    {counts['late']} of them late, kept")
    if made.excluded:
        lines.append(f"  {sum(made.excluded.values())} left out, listed in {made.folder.name}:")
        lines += [f"    {count} {why}" for why, count in made.excluded.items()]
    lines.append(
        f"  log: {notes['log']['events']} events, signed at {checkpoint['size']}"
        f" with key {checkpoint['key']}"
    )
    return "\n".join(lines)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
