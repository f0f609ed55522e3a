"""Campaigns: what is asked, of whom, how often, by which guidelines; each change is an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.hashing import plain
from accord.store.event import Entry
from accord.store.log import append
from accord.store.registry import SYSTEM
from accord.store.tables import campaigns, guidelines, memberships, raters, tasks
from accord.store.tables.columns import width

TEXTS = "demonstrations"
"""What a campaign asks for in which people write and edit; a campaign asks for one thing."""
EVERYBODY = 1000
"""Overlap of a campaign that asks everything of everybody who comes."""
MEANT_FOR_TEXTS = frozenset(
    {
        "name",
        "guideline",
        "asks",
        "responses",
        "overlap",
        "reviews",
        "lease_seconds",
        "most_skips",
        "seed",
    }
)
"""Settings that mean something where texts are asked for; any other must be left as it is."""


LEADS = ("lead", "admin")
"""Roles that adjudicate, and know what is taught and asked in a trial."""


class CampaignState(StrEnum):
    """Whether tasks are handed out."""

    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


class Membership(StrEnum):
    """What a rater may do in a campaign."""

    TRIAL = "trial"
    """Qualification tasks only, until enough of them were right."""
    ACTIVE = "active"
    FAILED = "failed"
    """Too many qualification tasks were wrong; a lead may decide otherwise."""
    PAUSED = "paused"


@dataclass(frozen=True, kw_only=True, slots=True)
class CampaignSettings:
    """Everything that is decided before the first task. Checked when made."""

    name: str
    """What people call it; unique."""
    guideline: str
    """Version of the guidelines that raters follow; its criteria are asked."""
    asks: Literal["comparisons", "demonstrations"] = "comparisons"
    """What people are asked for: to compare answers, or to write answers and make given ones
    better."""
    responses: int = 0
    """K, how many responses a task shows: 2 to 4. 0, the usual: 2, or the 1 that is edited."""
    overlap: int = 0
    """Raters asked for each task; of demonstrations, people who write one for each prompt.
    0, the usual: 3, for agreement needs 2 and three raters find a random one among them; of
    demonstrations 1. 1000 asks everybody who comes."""
    reviews: int = 1
    """People who review each text before it counts, of demonstrations alone; 0: none."""
    gold_share: float = 0.05
    """Share of a rater's tasks that have a known answer, twice as large among the first 60, where
    nothing is known of them yet; in [0, .5], and so is what it comes to."""
    repeat_share: float = 0.05
    """Share of a rater's tasks that they judged before, shown in swapped order; in [0, .5], and
    doubled at first too."""
    repeat_after: int = 10
    """Judgements between a task and its repeat, at least."""
    random_share: float = 0.2
    """Share of tasks drawn at random, which agreement and accuracy are measured on; at least .2."""
    selection: str = "random"
    """What picks the other tasks: random, uncertainty, gap or coverage. As measured on simulated
    people against random, in labels of 500: uncertainty (two reward models or more) saved 81 where
    a rare kind of prompt counts as much as the rest, else no difference was shown; gap with several
    reward models showed none, and with one cost 65 to 126 in five of six circumstances; coverage
    saved 66 for the rare kind, and cost 75 to 105 in four of six."""
    lease_seconds: int = 900
    """How long a task stays with who opened it."""
    most_skips: int = 3
    """A task that so many raters skipped is withdrawn and shown to the lead; one that everybody is
    asked is not: a known answer, say."""
    qualification_pass: float = 0.8
    """Share of qualification tasks a new rater must get right. No qualification tasks: no trial."""
    adjudicate: bool = True
    """Whether a lead is asked where raters are split."""
    seed: int = 0
    """Of every draw that the campaign makes."""

    def __post_init__(self) -> None:
        for name, usual in (("responses", (2, 1)), ("overlap", (3, 1))):
            if getattr(self, name) == 0:
                object.__setattr__(self, name, usual[self.asks_texts])
        limits: Mapping[str, tuple[float, float]] = {
            "responses": (1, 1) if self.asks_texts else (2, 4),
            "overlap": (1, EVERYBODY),
            "reviews": (0, 100),
            "gold_share": (0, 0.5),
            "repeat_share": (0, 0.5),
            "repeat_after": (1, 10_000),
            "random_share": (0.2, 1),
            "lease_seconds": (1, 7 * 86_400),
            "most_skips": (1, 1000),
            "qualification_pass": (0, 1),
            "seed": (0, (1 << 63) - 1),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigError(
                    f"a campaign's {name} lies in [{low}, {high}]", got=getattr(self, name)
                )
        if not 0 < len(self.name) <= 200 or not self.name.isprintable():
            raise ConfigError("a campaign's name has 1 to 200 printable characters", got=self.name)
        for name in ("guideline", "selection"):
            text, most = getattr(self, name), width(campaigns.c[name])
            if not 0 < len(text) <= most or not text.isprintable():
                raise ConfigError(
                    f"a campaign's {name} has 1 to {most} printable characters", got=ascii(text)
                )
        for item in fields(self):
            idle = item.name not in MEANT_FOR_TEXTS if self.asks_texts else item.name == "reviews"
            if idle and getattr(self, item.name) != item.default:
                raise ConfigError(
                    f"{item.name} means nothing in a campaign that asks for {self.asks}",
                    got=getattr(self, item.name),
                    do="leave it out",
                )

    @property
    def asks_texts(self) -> bool:
        """Whether people write and edit, in place of comparing."""
        return self.asks == TEXTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """A campaign as the database has it."""

    id: str
    state: CampaignState
    settings: CampaignSettings
    criteria: tuple[str, ...]
    """What the guidelines ask to be rated beside the order."""


def check_asks(campaign: Campaign, *, texts: bool, do: str | None = None) -> None:
    """Raise ConflictError where a campaign does not ask for texts, or for comparisons."""
    if campaign.settings.asks_texts is not texts:
        raise ConflictError(
            f"this is for campaigns that ask for {TEXTS if texts else 'comparisons'}",
            got=f"{campaign.settings.name}, which asks for {campaign.settings.asks}",
            do=do,
        )


def open_campaign(
    connection: Connection, settings: CampaignSettings, *, actor: str = SYSTEM
) -> Campaign:
    """Make a campaign that hands out tasks. Inside `Database.write`.

    The same settings again give the same campaign. Raises ConflictError where the name is taken by
    other settings, ConfigError for guidelines that were not published.
    """
    known = connection.execute(sa.select(campaigns.c.id).where(campaigns.c.name == settings.name))
    if known.scalar_one_or_none() is not None:
        found = campaign_called(connection, settings.name)
        if found.settings == settings:
            return found
        raise ConflictError(
            "a campaign's settings never change",
            got=settings.name,
            do="close it and open another one under a new name",
        )
    version = sa.select(guidelines.c.version).where(guidelines.c.version == settings.guideline)
    if connection.execute(version).scalar_one_or_none() is None:
        raise ConfigError(
            "a campaign needs published guidelines",
            got=settings.guideline,
            do="publish them first: `accord campaign guidelines FILE --version NAME`",
        )
    parts = {"campaign": plain(settings)}
    event = append(connection, Entry(type="campaign.opened", actor=actor, parts=parts)).event
    columns = {column.name for column in campaigns.c}
    own = {f.name: getattr(settings, f.name) for f in fields(settings)}
    row: dict[str, Any] = {name: own[name] for name in own.keys() & columns}
    row["settings"] = {name: own[name] for name in own.keys() - columns}
    row |= {"id": event.subject, "seq": event.seq, "state": CampaignState.OPEN.value}
    connection.execute(sa.insert(campaigns), [row])
    return campaign_called(connection, settings.name)


def campaign_called(connection: Connection, name: str) -> Campaign:
    """The campaign of this name. Raises DataError, listing the others, where there is none."""
    row = connection.execute(sa.select(campaigns).where(campaigns.c.name == name)).one_or_none()
    if row is None:
        known = connection.execute(sa.select(campaigns.c.name).order_by(campaigns.c.seq)).scalars()
        raise DataError(
            "there is no such campaign",
            got=name,
            do=f"there are: {', '.join(known) or 'none; open one with `accord campaign open`'}",
        )
    return _campaign(connection, row)


def all_campaigns(connection: Connection) -> tuple[Campaign, ...]:
    """Every campaign, the oldest first."""
    rows = connection.execute(sa.select(campaigns).order_by(campaigns.c.seq)).all()
    return tuple(_campaign(connection, row) for row in rows)


def set_campaign_state(
    connection: Connection, campaign: Campaign, state: CampaignState, *, actor: str = SYSTEM
) -> None:
    """Open, pause or close it. Inside `Database.write`. Raises ConflictError for a closed one."""
    now = campaign_called(connection, campaign.settings.name).state
    if now is state:
        return
    if now is CampaignState.CLOSED:
        raise ConflictError(
            "a closed campaign stays closed",
            got=campaign.settings.name,
            do="open another one under a new name",
        )
    parts = {"state": state.value}
    entry = Entry(type="campaign.state_set", actor=actor, subject=campaign.id, parts=parts)
    append(connection, entry)
    changed = sa.update(campaigns).where(campaigns.c.id == campaign.id)
    connection.execute(changed.values(state=state.value))


def membership_of(connection: Connection, campaign: Campaign, rater: str) -> Membership | None:
    """What a rater may do in a campaign; None for one who never joined."""
    found = connection.execute(
        sa.select(memberships.c.state).where(
            memberships.c.campaign == campaign.id, memberships.c.rater == rater
        )
    ).scalar_one_or_none()
    return None if found is None else Membership(found)


def join(
    connection: Connection, campaign: Campaign, rater: str, *, actor: str = SYSTEM
) -> Membership:
    """Let a rater in: on trial where the campaign has qualification tasks. Inside `write`.

    A lead, who knows the answers, has no trial. Who joined before stays as they are. Raises
    DataError for a rater who is not registered.
    """
    known = membership_of(connection, campaign, rater)
    if known is not None:
        return known
    asked = sa.select(tasks.c.id).where(
        tasks.c.campaign == campaign.id,
        tasks.c.purpose == "qualification",
        tasks.c.state == "open",
    )
    role = sa.select(raters.c.role).where(raters.c.id == rater)
    leads = connection.execute(role).scalar_one_or_none() in LEADS
    on_trial = not leads and connection.execute(asked.limit(1)).scalar_one_or_none() is not None
    stand = Membership.TRIAL if on_trial else Membership.ACTIVE
    set_membership(connection, campaign, rater, stand, actor=actor)
    return stand


def set_membership(
    connection: Connection,
    campaign: Campaign,
    rater: str,
    state: Membership,
    *,
    actor: str = SYSTEM,
    why: Mapping[str, Any] | None = None,
) -> None:
    """Let a rater in, or say what they may do from now on. Inside `Database.write`.

    `why` is kept with the event. Raises DataError for a rater who is not registered.
    """
    if membership_of(connection, campaign, rater) is state:
        return
    known = sa.select(raters.c.id).where(raters.c.id == rater)
    if connection.execute(known).scalar_one_or_none() is None:
        raise DataError("there is no such rater", got=rater)
    parts = {"membership": {"campaign": campaign.id, "state": state.value, "why": plain(why or {})}}
    entry = Entry(type="membership.set", actor=actor, subject=rater, parts=parts)
    event = append(connection, entry).event
    here = (memberships.c.campaign == campaign.id) & (memberships.c.rater == rater)
    values = {"seq": event.seq, "state": state.value, "since": datetime.now(UTC)}
    if not connection.execute(sa.update(memberships).where(here).values(**values)).rowcount:
        row = {"campaign": campaign.id, "rater": rater, **values}
        connection.execute(sa.insert(memberships), [row])


def _campaign(connection: Connection, row: sa.Row[Any]) -> Campaign:
    asked = sa.select(guidelines.c.criteria).where(guidelines.c.version == row.guideline)
    values = row._asdict()
    # Settings that came after a campaign was opened have the values that they replaced.
    known = {f.name for f in fields(CampaignSettings)}
    own = {name: value for name, value in (values | row.settings).items() if name in known}
    return Campaign(
        id=row.id,
        state=CampaignState(row.state),
        settings=CampaignSettings(**own),
        criteria=tuple(connection.execute(asked).scalar_one()),
    )
