"""One on-policy round: a policy answers prompts, raters compare its answers, the set is frozen.

Everything goes the way that people's judgements go: a campaign in the workspace's database, the
worker that samples, leases, blind and shuffled sheets, the hash-chained log, `freeze`. The raters
are simulated, made of people's ratings of other texts, and called so wherever their words are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from accord.collect.campaign import CampaignSettings, campaign_called, open_campaign
from accord.collect.freezing import FreezeSettings, freeze
from accord.collect.labelling import enrol, label_in_turn
from accord.collect.orders import request, unfinished, unsampled
from accord.collect.persona import PersonSettings, Truth
from accord.collect.pool import add_prompts
from accord.collect.synthetic import SimulatedPerson
from accord.core.errors import WorkspaceError
from accord.core.hashing import digest, plain
from accord.core.machine import Machine
from accord.core.types import Conversation, Prompt, RatedResponse, SamplingSettings
from accord.pipeline.answering import below
from accord.pipeline.artifact import Artifact
from accord.pipeline.logbook import signing_key
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.worker import work
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.jobs import retry
from accord.store.registry import conversation_of, publish_guideline, response_text
from accord.store.tables import task_responses, tasks
from accord.telemetry.sink import Silent, Sink

if TYPE_CHECKING:
    from accord.rewards.rated import RatedScore

K = 4
"""Answers that a rater ranks at once."""
ASKED = "asked"
"""Note of a round's set: what was asked of which policy, and by which ratings; see `identity`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """What a round asks, and of whom."""

    name: str
    """What the frozen set is called; the campaign has the round's identity in its name, too."""
    prompts: tuple[Prompt, ...]
    people: Mapping[str, PersonSettings]
    """Simulated raters by name, without what they go by: that is made of the ratings."""
    guidelines: str
    """The text that raters follow."""
    overlap: int = 3
    """Raters a task."""
    max_tokens: int = 32
    seed: int = 0


def identity(asked: Round, *, policy: Artifact, ratings: Artifact) -> dict[str, object]:
    """All that a round's set follows from, as JSON values; another identity is another campaign."""
    return {
        "prompts": digest([prompt.conversation.digest for prompt in asked.prompts]),
        "people": plain(asked.people),
        "guidelines": digest(asked.guidelines),
        "responses": K,
        "overlap": asked.overlap,
        "max_tokens": asked.max_tokens,
        "seed": asked.seed,
        "policy": {"name": f"{policy.name}-{policy.key}", "digest": policy.digest},
        "ratings": {"name": ratings.name, "digest": ratings.digest},
    }


def take_round(
    workspace: Workspace,
    stages: Sequence[Stage],
    asked: Round,
    *,
    policy: Artifact,
    ratings: Artifact,
    machine: Callable[[], Machine],
    sink: Sink | None = None,
) -> None:
    """Bring the set `asked.name` up to date; what is there is kept, so that it may be stopped.

    `ratings`, a set of rated responses, is what the raters' taste is made of. Raises WorkspaceError
    where another run works here or an answer that was ordered is not there, and as the worker, the
    raters and `freeze` do.
    """
    told = sink or Silent()
    whole = identity(asked, policy=policy, ratings=ratings)
    name = f"{asked.name}-{digest(whole)[:8]}"
    if _taken(workspace, asked.name, name):
        return
    settings = CampaignSettings(
        name=name,
        guideline=f"simulated-{digest(asked.guidelines)[:6]}",
        responses=K,
        overlap=asked.overlap,
        gold_share=0.0,
        repeat_share=0.0,
        adjudicate=False,
        seed=asked.seed,
    )
    with workspace.lock(asked.name), open_workspace_database(workspace) as database:
        # Names decide who meets which task, in which order: the same seed, the same judgements.
        database.series = f"{asked.name} {asked.seed}"
        with database.write() as connection:
            publish_guideline(connection, settings.guideline, asked.guidelines, criteria=())
            campaign = open_campaign(connection, settings)
        orders = _order(database, asked, settings, policy)
        for order in orders:
            work(workspace, database, stages=stages, machine=machine, only=order, sink=told)
        _check_done(database, name)
        told.notice(f"{asked.name}: simulated raters rank the answers, as people would")
        taste = _taste(workspace, policy, ratings, machine())
        _read(database, taste, campaign.id)
        truth = Truth(
            name=f"rated_{taste.digest[:8]}", score=lambda prompt, text: taste([prompt], [text])[0]
        )
        enrolled = {}
        for person, own in asked.people.items():
            wants = replace(own, weights={truth.name: 1.0})
            rater = SimulatedPerson(settings=wants, truths=(truth,))
            enrolled[enrol(database, campaign, rater, person)] = rater
        label_in_turn(database, campaign, enrolled)
        made = freeze(
            database,
            campaign,
            workspace.artifacts,
            settings=FreezeSettings(name=asked.name, kinds=("synthetic",)),
            key=signing_key(workspace),
            notes={ASKED: whole},
        )
    workspace.point(asked.name, {made.manifest.kind: (made.folder, made.manifest.digest)})
    told.notice(f"{asked.name}: {made.manifest.rows} comparisons frozen")


def _taken(workspace: Workspace, name: str, campaign: str) -> bool:
    with suppress(WorkspaceError):
        notes = Dataset(workspace.dataset("preferences", name).folder).manifest.notes
        of = notes.get("campaign")
        return isinstance(of, Mapping) and of.get("name") == campaign
    return False


def _order(
    database: Database, asked: Round, settings: CampaignSettings, policy: Artifact
) -> list[str]:
    """Ask for answers that are not there yet; the jobs (ids) that are to be worked off.

    One that failed is queued anew: its cause may be gone, and what it delivered is kept.
    """
    added = add_prompts(database, asked.prompts)
    sampling = SamplingSettings(max_tokens=asked.max_tokens)
    with database.write() as connection:
        campaign = open_campaign(connection, settings)
        orders = [job.id for job, _ in unfinished(connection, campaign)]
        for order in orders:
            retry(connection, order)
        left = set(unsampled(connection, campaign))
        wanted = [prompt for prompt in added.ids if prompt in left]
        if wanted:
            policies = [f"{policy.name}-{policy.key}"]
            order = request(
                connection,
                campaign,
                wanted,
                policies,
                samples=K,
                settings=sampling,
                seed=asked.seed,
            )
            orders.append(order)
        return orders


def _check_done(database: Database, campaign: str) -> None:
    """Raise WorkspaceError unless every job of the campaign is done, whoever worked on it."""
    with database.read() as connection:
        left = unfinished(connection, campaign_called(connection, campaign))
    for job, _ in left:
        raise WorkspaceError(
            "the policy's answers could not be sampled",
            got=job.error or f"a job that is {job.state}",
            where=campaign,
            do="run the command again: what was sampled is kept",
        )


def _taste(
    workspace: Workspace, policy: Artifact, ratings: Artifact, machine: Machine
) -> RatedScore:
    from accord.pipeline.stages.roles import Roles
    from accord.rewards.rated import RatedScore

    stage = Stage(name="rate", kind="judgements", config=None, body=lambda _: iter(()))
    inputs = {**below(workspace, policy), policy.name: policy}
    context = StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine)
    roles = Roles(context)
    rows = [row for row in Dataset(ratings.folder).rows() if isinstance(row, RatedResponse)]
    return RatedScore(rows, backbone=roles.backbone(roles.base), template=roles.template)


def _read(database: Database, taste: RatedScore, campaign: str) -> None:
    """Score all answers of a campaign together, before raters ask for one after the other."""
    prompts: list[Conversation] = []
    answers: list[str] = []
    with database.read() as connection:
        found = (
            sa.select(tasks.c.prompt, task_responses.c.response)
            .join(task_responses, task_responses.c.task == tasks.c.id)
            .where(tasks.c.campaign == campaign)
            .order_by(tasks.c.seq, task_responses.c.place)
        )
        for prompt, response in connection.execute(found).all():
            prompts.append(conversation_of(connection, prompt))
            answers.append(response_text(connection, response))
    if prompts:
        taste(prompts, answers)
