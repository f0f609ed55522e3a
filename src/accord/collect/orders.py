"""Orders for answers: the job that asks policies for answers to prompts, and which prompts wait.

What the answers become is in `candidates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign, CampaignState, campaign_called
from accord.collect.selection import MODELS_NEEDED, method_called
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.hashing import digest, plain
from accord.core.types import SamplingSettings
from accord.store.jobs import Job, JobState, enqueue, listed
from accord.store.tables import events, prompts
from accord.store.tables import tasks as task_table

SAMPLE = "sample"
"""Kind of the job."""
SAMPLED = "prompt.sampled"
"""Type of the event that says what came of one prompt in one job."""
_LOOK = 400
"""Values in one question to the database."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a job asks for."""

    campaign: str
    """Name."""
    prompts: tuple[str, ...]
    """Ids, in the order they are worked on."""
    policies: tuple[str, ...]
    """Names that the worker knows policies by: artifacts."""
    samples: int
    """Answers of each policy to each prompt."""
    settings: SamplingSettings
    seed: int
    tasks: int | None
    """How many of the prompts become tasks, picked by the campaign's selection; None: all that
    can be asked."""
    rewards: tuple[str, ...] = ()
    """Names that the worker knows reward models by, for selections that look at predictions."""


def request(
    connection: Connection,
    campaign: Campaign,
    prompts_asked: Sequence[str],
    policies: Sequence[str],
    *,
    samples: int,
    settings: SamplingSettings,
    seed: int = 0,
    tasks: int | None = None,
    rewards: Sequence[str] = (),
) -> str:
    """Ask for answers to prompts (ids) and tasks made of them; the job's id, inside `write`.

    The same request is the same job. Raises ConfigError where the policies cannot say as many
    answers as a task shows and where the selection looks at no rewards, or at those of more models,
    DataError for prompts that are not there, ConflictError for a closed campaign.
    """
    k = campaign.settings.responses
    if samples < 1 or samples * len(set(policies)) < k:
        raise ConfigError(
            "a task shows more responses than would be sampled",
            got=f"{samples} samples of {len(set(policies))} policies for {k} responses",
            do=f"ask for {k} samples at least, or name more policies",
        )
    if len(set(policies)) < len(policies) or len(set(prompts_asked)) < len(prompts_asked):
        raise ConfigError("a policy or a prompt is named twice")
    if tasks is not None and tasks < 1:
        raise ConfigError("a number of tasks is at least 1", got=tasks)
    if campaign_called(connection, campaign.settings.name).state is CampaignState.CLOSED:
        raise ConflictError("this campaign is closed", got=campaign.settings.name)
    method_called(campaign.settings.selection)
    _check_rewards(campaign, rewards, tasks)
    _check_there(connection, prompts_asked)
    order = Order(
        campaign=campaign.settings.name,
        prompts=tuple(prompts_asked),
        policies=tuple(policies),
        samples=samples,
        settings=settings,
        seed=seed,
        tasks=tasks,
        rewards=tuple(rewards),
    )
    arguments = plain(order)
    assert isinstance(arguments, dict)
    return enqueue(connection, SAMPLE, arguments, key=f"{SAMPLE}/{digest(arguments)}")


def order_of(job: Job) -> Order:
    """What a job asks for. Raises DataError for a job of another kind."""
    if job.kind != SAMPLE:
        raise DataError("this job does not sample", got=job.kind)
    values = dict(job.arguments)
    return Order(
        **values
        | {
            "prompts": tuple(values["prompts"]),
            "policies": tuple(values["policies"]),
            "rewards": tuple(values.get("rewards", ())),
            "settings": SamplingSettings(**values["settings"]),
        }
    )


def unfinished(connection: Connection, campaign: Campaign) -> list[tuple[Job, Order]]:
    """Jobs that sample for a campaign and are not done, failed ones included, the oldest first."""
    jobs = [(job, order_of(job)) for job in listed(connection, kinds=(SAMPLE,))]
    return [
        (job, order)
        for job, order in jobs
        if job.state is not JobState.DONE and order.campaign == campaign.settings.name
    ]


def unsampled(connection: Connection, campaign: Campaign) -> list[str]:
    """Prompts of the pool that no job of a campaign asks for and no task of it shows, by id."""
    taken = set(
        connection.execute(
            sa.select(task_table.c.prompt).where(task_table.c.campaign == campaign.id)
        ).scalars()
    )
    for job in listed(connection, kinds=(SAMPLE,)):
        order = order_of(job)
        if order.campaign != campaign.settings.name:
            continue
        if job.state is JobState.FAILED:
            taken.update(prompt for prompt, _ in delivered(connection, job, order.prompts))
        else:
            taken.update(order.prompts)
    there = sa.select(prompts.c.id).where(prompts.c.digest.is_not(None)).order_by(prompts.c.id)
    return [name for name in connection.execute(there).scalars() if name not in taken]


def key_of(job: Job, prompt: str) -> str:
    """Key of the event that says what came of one prompt in one job."""
    return f"{SAMPLE}/{job.id}/{prompt}"


def delivered(connection: Connection, job: Job, names: Sequence[str]) -> list[tuple[str, int]]:
    """(prompt, number of its event) for those of the named prompts that this job delivered."""
    found: list[tuple[str, int]] = []
    for start in range(0, len(names), _LOOK):
        keys = [key_of(job, name) for name in names[start : start + _LOOK]]
        rows = sa.select(events.c.subject, events.c.seq).where(events.c.key.in_(keys))
        found += [(row.subject, row.seq) for row in connection.execute(rows)]
    return found


def _check_rewards(campaign: Campaign, rewards: Sequence[str], tasks: int | None) -> None:
    if not rewards:
        return
    selection = campaign.settings.selection
    if selection not in MODELS_NEEDED or tasks is None:
        raise ConfigError(
            "rewards are predicted for picking tasks by them, which is not asked for",
            got=f"selection {selection}, {'all' if tasks is None else tasks} tasks",
            do=f"say how many tasks, in a campaign that selects by {' or '.join(MODELS_NEEDED)}",
        )
    if len(set(rewards)) < len(rewards):
        raise ConfigError("a reward model is named twice", got=", ".join(rewards))
    if len(rewards) < MODELS_NEEDED[selection]:
        raise ConfigError(
            f"selection by {selection} needs {MODELS_NEEDED[selection]} reward models at least",
            got=", ".join(rewards),
            do="train another with another seed (`accord reward --seed 1`) and name each",
        )


def _check_there(connection: Connection, names: Sequence[str]) -> None:
    if not names:
        raise DataError("there is no prompt to sample", do="`accord campaign prompts` adds some")
    for start in range(0, len(names), _LOOK):
        asked = list(names[start : start + _LOOK])
        known = set(
            connection.execute(sa.select(prompts.c.id).where(prompts.c.id.in_(asked))).scalars()
        )
        if missing := [name for name in asked if name not in known]:
            raise DataError("there is no such prompt", got=missing[0])
