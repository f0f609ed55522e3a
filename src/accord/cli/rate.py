"""`accord rate`: judge blind answers in the terminal, or write and review them; through leases."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.dialogue import Dialogue
from accord.cli.drafts import Drafts
from accord.cli.flags import parse
from accord.cli.keys import pressed_keys
from accord.cli.session import find_workspace
from accord.cli.sitting import Sitting
from accord.cli.text_sitting import TextSitting
from accord.collect.assigning import count_judged
from accord.collect.campaign import Campaign, CampaignState, all_campaigns, campaign_called, join
from accord.collect.people import people_like, person, person_called
from accord.core.errors import ConfigError, ConflictError
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.database import Database

NEW, END = "n", "q"
"""Keys of whoever is new, and of whoever would rather begin again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Flags of `accord rate`."""

    campaign: Annotated[str, tyro.conf.Positional] = ""
    """Which campaign; needed where several are open."""
    name: str = ""
    """Who you are; by default the name you logged in with. Kept apart from what you say.
    A name that nobody has yet makes a new rater. Where it is much like a known one
    (case, accents, one letter) you are asked first, or refused without a terminal."""
    new: bool = False
    """You are new, however much your name is like a known one: nothing is asked."""
    most: int = 0
    """Stop after so many tasks; 0 goes on while there are any."""


def main(words: Sequence[str], options: Options) -> int:
    """Ask for tasks and take answers until there are none, or the rater has had enough."""
    about = (
        "Judge blind answers, one task after another. The order shown is random and stored.\n"
        "Where a campaign asks for demonstrations: write answers, make given ones better, and "
        "review what others wrote."
    )
    asked = parse(Rate, words, command="rate", about=about)
    if asked.most < 0:
        raise ConfigError("--most counts tasks", got=asked.most, do="use 0 for no limit")
    workspace = find_workspace(options)
    with open_workspace_database(workspace) as database, pressed_keys() as keys:
        campaign = _campaign(database, asked.campaign)
        dialogue = Dialogue(Console(file=sys.stdout, highlight=False), keys)
        try:
            name = _who(database, campaign, asked, dialogue)
            if name is not None:
                _sit(workspace, database, campaign, name, dialogue, most=asked.most)
                return 0
        except KeyboardInterrupt:  # a sitting that has begun sees to it itself
            pass
        dialogue.say("ended; nothing was judged", style="")
    return 0


def _sit(
    workspace: Workspace,
    database: Database,
    campaign: Campaign,
    name: str,
    dialogue: Dialogue,
    *,
    most: int,
) -> None:
    """One sitting of the person of this name, from who they are to what they did."""
    with database.write() as connection:
        known = person_called(connection, name)
        rater = known or person(connection, name)
        join(connection, campaign, rater)
        judged = count_judged(connection, campaign, rater)
    did = "done" if campaign.settings.asks_texts else "judged"
    before = f"{judged} {did} here before" if known else f"new, nothing {did} before"
    dialogue.say(f"{campaign.settings.name}: you are {name}, {before}", style="bold")
    sitting: Sitting | TextSitting
    if campaign.settings.asks_texts:
        drafts = Drafts(workspace, rater)
        sitting = TextSitting(database, campaign, rater, dialogue, drafts)
    else:
        sitting = Sitting(database, campaign, rater, dialogue)
    try:
        sitting.work(most=most)
    except BaseException:
        if sitting.begun:
            dialogue.say(sitting.summary(), style="")
        raise
    dialogue.say(sitting.summary(), style="")


def _campaign(database: Database, name: str) -> Campaign:
    with database.read() as connection:
        if name:
            campaign = campaign_called(connection, name)
            if campaign.state is not CampaignState.OPEN:
                # Before anybody is registered.
                raise ConflictError("this campaign hands out no tasks", got=campaign.state)
            return campaign
        open_ones = [c for c in all_campaigns(connection) if c.state is CampaignState.OPEN]
    if len(open_ones) == 1:
        return open_ones[0]
    names = ", ".join(c.settings.name for c in open_ones)
    raise ConfigError(
        "no campaign is open" if not open_ones else "several campaigns are open",
        got=names or None,
        do="open one with `accord campaign open`" if not open_ones else "name one of them",
    )


def _who(database: Database, campaign: Campaign, asked: Rate, dialogue: Dialogue) -> str | None:
    """The name to sit under; None where somebody who was asked would rather end it.

    Raises ConfigError for a name that is much like a known one where nobody can be asked, and for
    one that is said to be new and is not.
    """
    name = asked.name.strip() if asked.name else getpass.getuser()
    with database.read() as connection:
        if person_called(connection, name) is not None:
            if asked.new:
                raise ConfigError(
                    "somebody of this name is no new rater",
                    got=name,
                    do="leave --new out if that is you, or give a fuller name",
                )
            return name
        if asked.new:
            return name
        like = _like(connection, campaign, name)
    if not like:
        return name
    if not dialogue.keys.live:
        raise ConfigError(
            "nobody has this name yet, and it is much like a known one",
            got=f"{name}; known: {', '.join(like)}",
            do=f"give --name {next(iter(like))!r} if that is you, or --new if it is not",
        )
    return _chosen(name, like, dialogue)


def _like(connection: Connection, campaign: Campaign, name: str) -> Mapping[str, int]:
    """Known names that may be meant, and what each judged here."""
    return {
        known: count_judged(connection, campaign, rater)
        for known, rater in people_like(connection, name).items()
    }


def _chosen(name: str, like: Mapping[str, int], dialogue: Dialogue) -> str | None:
    """Ask which of the known names, or whether a new rater, is meant."""
    told = [f"{known}, {judged} judged here" for known, judged in like.items()]
    new = f"no, {name} is somebody new"
    if len(like) == 1:
        question, keys = f"{name} is new here. Are you {told[0]}?", {"y": "yes"}
    else:
        question = f"{name} is new here. Are you one of these?"
        keys = {str(number): one for number, one in enumerate(told[:9], start=1)}
    key = dialogue.choice(question, keys | {NEW: new, END: "end"})
    if key is None or key == END:
        return None
    return name if key == NEW else list(like)[list(keys).index(key)]
