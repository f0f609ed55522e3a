"""`accord campaign`: what is asked, of whom, by which guidelines; and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import tyro
from sqlalchemy import Connection

from accord.cli.commands import OPTIONS_HELP, Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.campaign import (
    EVERYBODY,
    Campaign,
    CampaignSettings,
    CampaignState,
    Membership,
    all_campaigns,
    campaign_called,
    join,
    open_campaign,
    set_campaign_state,
    set_membership,
)
from accord.collect.people import people_like, person, person_called
from accord.collect.selection import method_called
from accord.collect.sheet import CRITERIA
from accord.collect.standing import Standing, standing
from accord.collect.text_standing import TextStanding, text_standing
from accord.core.errors import ConfigError, ConflictError
from accord.pipeline.whereabouts import open_workspace_database
from accord.store.registry import publish_guideline

Words = Sequence[str]
SUMMARIES: Mapping[str, str] = {
    "guidelines": "Publish the text that raters follow, under a version of its own",
    "open": "Make a campaign that hands out tasks",
    "prompts": "Put prompts into the pool, and say what it holds",
    "sample": "Let policies answer prompts, and make tasks of the answers",
    "work": "Work off the jobs that `sample --queue` left",
    "tasks": "Make tasks of responses that are there, or prompts to answer",
    "rounds": "Show how people did in lessons, trial and calibration",
    "remarks": "List flags, reasons of skips and rejections, raters' own words",
    "status": "Show where the campaigns stand",
    "pause": "Hand out no tasks for now",
    "resume": "Hand out tasks again",
    "close": "End a campaign for good",
    "join": "Let a person rate",
    "profile": "Keep, or forget, what a person tells of themselves",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Guidelines:
    """Flags of `accord campaign guidelines`."""

    file: Annotated[Path, tyro.conf.Positional]
    """The text, as raters will read it."""
    version: str
    """What this text is called from now on; another text needs another version."""
    criteria: tuple[str, ...] = CRITERIA
    """What is rated from 1 to 5 beside the order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The campaign that is meant."""

    name: Annotated[str, tyro.conf.Positional]
    """The campaign."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Flags of `accord campaign status`."""

    name: Annotated[str, tyro.conf.Positional] = ""
    """One campaign; all by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """Flags of `accord campaign join`."""

    name: Annotated[str, tyro.conf.Positional]
    """The campaign."""
    rater: str
    """What the person is called; kept apart from what they say, which bears a pseudonym."""
    role: Literal["rater", "lead"] | None = None
    """A lead also decides where raters are split, and has no trial. By default what they are, and a
    rater where they are new."""
    new: bool = False
    """They are new, however much the name is like a known one."""
    why: str = ""
    """Let somebody in who failed the trial or was paused; the reason is kept in the log."""


def main(words: Words, options: Options) -> int:
    """Do what the first word says."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        if words:
            raise SystemExit(0)
        return 0
    name, *rest = words
    if name not in SUMMARIES:
        near = get_close_matches(name, SUMMARIES, n=1)
        raise ConfigError(
            "there is no such part of `accord campaign`",
            got=name,
            do=f"did you mean {near[0]}?" if near else f"use {', '.join(SUMMARIES)}",
        )
    return _parts()[name](rest, options)


def overview() -> str:
    """The help of `accord campaign`."""
    lines = [
        "Ask people to compare answers, or to write, edit and review them.",
        "",
        "usage: accord campaign PART [OPTIONS]; accord campaign PART --help explains it",
        "",
        *(f"  {name:<11} {summary}" for name, summary in SUMMARIES.items()),
    ]
    return "\n".join([*lines, "", OPTIONS_HELP])


def _parts() -> Mapping[str, Callable[[Words, Options], int]]:
    from accord.cli import campaign_tasks as making
    from accord.cli import remarks, rounds
    from accord.cli.profile import profile

    return {
        "guidelines": _guidelines,
        "open": _open,
        "prompts": making.prompts,
        "sample": making.sample,
        "work": making.work,
        "tasks": making.tasks,
        "status": _status,
        "pause": _setter("pause", CampaignState.PAUSED),
        "resume": _setter("resume", CampaignState.OPEN),
        "close": _setter("close", CampaignState.CLOSED),
        "join": _join,
        "rounds": rounds.main,
        "remarks": remarks.main,
        "profile": profile,
    }


def _guidelines(words: Words, options: Options) -> int:
    asked = parse(
        Guidelines, words, command="campaign guidelines", about=SUMMARIES["guidelines"] + "."
    )
    if len(set(asked.criteria)) < len(asked.criteria) or not all(asked.criteria):
        raise ConfigError("each criterion is named once", got=", ".join(asked.criteria))
    text = _read(asked.file)
    with (
        open_workspace_database(find_workspace(options)) as database,
        database.write() as connection,
    ):
        publish_guideline(connection, asked.version, text, criteria=asked.criteria)
    print(f"guidelines {asked.version}: {len(text.split())} words; {', '.join(asked.criteria)}")
    return 0


def _open(words: Words, options: Options) -> int:
    # The name stands alone, as in every other part.
    given = ["--name", *words] if words and not words[0].startswith("-") else list(words)
    about = f"{SUMMARIES['open']}.\nusage: accord campaign open NAME --guideline VERSION ..."
    asked = parse(CampaignSettings, given, command="campaign open", about=about)
    method_called(asked.selection)
    with (
        open_workspace_database(find_workspace(options)) as database,
        database.write() as connection,
    ):
        made = open_campaign(connection, asked)
    print(f"campaign {asked.name}: {made.state}, {shape(asked)}, guidelines {asked.guideline}")
    return 0


def _setter(part: str, state: CampaignState) -> Callable[[Words, Options], int]:
    def act(words: Words, options: Options) -> int:
        asked = parse(Named, words, command=f"campaign {part}", about=SUMMARIES[part] + ".")
        with (
            open_workspace_database(find_workspace(options)) as database,
            database.write() as connection,
        ):
            set_campaign_state(connection, campaign_called(connection, asked.name), state)
        print(f"campaign {asked.name}: {state}")
        return 0

    return act


def _join(words: Words, options: Options) -> int:
    asked = parse(Join, words, command="campaign join", about=SUMMARIES["join"] + ".")
    name = asked.rater.strip()
    if not name or not name.isprintable():
        raise ConfigError("a rater needs a name", got=repr(asked.rater), do='--rater "Ada"')
    with (
        open_workspace_database(find_workspace(options)) as database,
        database.write() as connection,
    ):
        campaign = campaign_called(connection, asked.name)
        if campaign.state is CampaignState.CLOSED:
            raise ConflictError("this campaign is closed, and takes nobody in", got=asked.name)
        rater = _person(connection, name, asked)
        stand = join(connection, campaign, rater)
        if stand in (Membership.FAILED, Membership.PAUSED) and asked.why.strip():
            stand, why = Membership.ACTIVE, {"words": asked.why.strip()}
            set_membership(connection, campaign, rater, stand, why=why)
    print(f"{rater}  {stand} in {asked.name}")
    if stand is Membership.FAILED:
        print('  too few of the qualification tasks were right; to let them work: --why "REASON"')
    return 0


def _person(connection: Connection, name: str, asked: Join) -> str:
    """The person of this name: known, or new where the name is like nobody's."""
    known = person_called(connection, name)
    if known is not None and asked.role is None:
        return known
    like = people_like(connection, name) if known is None and not asked.new else {}
    if like:
        raise ConfigError(
            "nobody has this name yet, and it is much like a known one",
            got=f"{name}; known: {', '.join(like)}",
            do=f"give --rater {next(iter(like))!r} if that is who is meant, or --new if not",
        )
    return person(connection, name, role=asked.role or "rater")


def _status(words: Words, options: Options) -> int:
    asked = parse(Status, words, command="campaign status", about=SUMMARIES["status"] + ".")
    with (
        open_workspace_database(find_workspace(options)) as database,
        database.read() as connection,
    ):
        if asked.name:
            found: tuple[Campaign, ...] = (campaign_called(connection, asked.name),)
        else:
            found = all_campaigns(connection)
        lines = [
            told(
                one,
                standing(connection, one),
                text_standing(connection, one) if one.settings.asks_texts else None,
            )
            for one in found
        ]
    print("\n".join(lines) or "there is no campaign; open one with `accord campaign open`")
    return 0


def shape(settings: CampaignSettings) -> str:
    """What a campaign asks for, in a few words."""
    if settings.asks_texts:
        texts, reviews = counted(settings.overlap, "text"), counted(settings.reviews, "review")
        return f"{texts} a prompt, {reviews} each"
    raters = "everybody is asked"
    if settings.overlap < EVERYBODY:
        raters = f"{counted(settings.overlap, 'rater')} each"
    return f"{settings.responses} responses a task, {raters}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the singular where it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def told(campaign: Campaign, now: Standing, texts: TextStanding | None = None) -> str:
    """A campaign's figures, one fact a line."""
    settings = campaign.settings
    asks = shape(settings)
    lines = [f"{settings.name}: {campaign.state}, guidelines {settings.guideline}, {asks}"]
    for purpose, states in now.tasks.items():
        lines.append(f"  tasks {purpose:<13} {_listed(states)}")
    if not now.tasks:
        lines.append("  tasks none yet")
    lines += _told_judgements(now, settings) if texts is None else _told_texts(now, texts)
    lines.append(f"  raters {_listed(now.raters) or 'none'}; tasks open on a screen {now.leases}")
    if now.tasks.get("adjudication", {}).get("open") and not now.leads:
        lines.append(
            "  nobody here is a lead, who alone decides where raters are split: "
            f"`accord campaign join {settings.name} --rater NAME --role lead`"
        )
    for job in now.jobs:
        why = f": {job.error.splitlines()[0]}" if job.error else ""
        lines.append(f"  job {job.id} {job.state}{why}")
    return "\n".join(lines)


def _told_texts(now: Standing, texts: TextStanding) -> list[str]:
    """What became of texts, and who wrote them."""
    unused = f", {texts.unused} erased or of somebody in quarantine" if texts.unused else ""
    skips = f", {now.judgements['skip']} skips" if now.judgements.get("skip") else ""
    became = f"{texts.accepted} accepted, {texts.rejected} rejected, {texts.waiting} waiting"
    lines = [
        f"  texts {texts.written} written: {became} for review{unused}{skips}",
        f"  {texts.to_write} still to write; {texts.given_up} prompts given up",
    ]
    for one in texts.authors:
        held = ", in quarantine" if one.quarantined else ""
        counts = f"{one.written} written, {one.accepted} accepted, {one.rejected} rejected"
        lines.append(f"    {one.rater}  {counts}{held}")
    return lines


def _told_judgements(now: Standing, settings: CampaignSettings) -> list[str]:
    said = sum(number for verdict, number in now.judgements.items() if verdict != "skip")
    late = f", {now.late} late" if now.late else ""
    skips = f", {now.judgements['skip']} skips" if now.judgements.get("skip") else ""
    verdicts = {verdict: n for verdict, n in now.judgements.items() if verdict != "skip"}
    lines = [f"  judgements {said} ({_listed(verdicts) or 'none'}){late}{skips}"]
    done = now.answered.get("human", 0)
    left = f", {max(0, now.wanted - done)} to go" if settings.overlap < EVERYBODY else ""
    programs = {kind: n for kind, n in now.answered.items() if kind != "human"}
    beside = f"; beside them {_listed(programs)}" if programs else ""
    lines.append(f"  work: {done} answers of people{left}{beside}")
    if now.unused:
        lines.append(
            f"    {now.unused} of them count nowhere: erased, taken back, or of somebody in "
            "quarantine; nobody is asked in their place"
        )
    return lines


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("the guidelines cannot be read", got=error.strerror, where=file) from None
    except UnicodeDecodeError:
        raise ConfigError("the guidelines are not UTF-8", where=file) from None
    if not text.strip():
        raise ConfigError("the guidelines are empty", where=file)
    return text
