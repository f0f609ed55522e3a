"""Parts of `accord campaign` that make tasks: prompts, sampled answers, ready comparisons."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import Session, find_workspace, open_session
from accord.collect.campaign import Campaign, CampaignState, campaign_called
from accord.collect.candidates import Sampled
from accord.collect.importing import MOST_LISTED, read_rows
from accord.collect.orders import Order, request, unfinished, unsampled
from accord.collect.pool import Added, PoolReport, add_prompts, mark_near_duplicates, pool_report
from accord.collect.ready import Made, add_tasks
from accord.collect.records import Rejected
from accord.collect.selection import MODELS_NEEDED, warning
from accord.collect.tasks import Purpose
from accord.core.errors import ConfigError, ConflictError
from accord.core.types import SamplingSettings, Split
from accord.pipeline.answering import find_policy
from accord.pipeline.predicting import REWARD, find_reward
from accord.pipeline.stage import Artifact
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.worker import work as work_off
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.jobs import Job, JobState
from accord.telemetry.terminal import terminal


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompts:
    """Flags of `accord campaign prompts`."""

    name: Annotated[str, tyro.conf.Positional]
    """The campaign whose asked prompts are counted; the pool serves all campaigns."""
    source: Annotated[str, tyro.conf.Positional]
    """A file (JSON lines, Parquet), or the name of an imported set of prompts."""
    stratum: str | None = None
    """Group of these prompts, which coverage is counted by, in 64 characters at most; by default
    each row's source is."""
    target: dict[str, float] | None = None
    """Share of the pool that each stratum should have, as pairs: chat 0.5 code 0.3."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Flags of `accord campaign sample`."""

    name: Annotated[str, tyro.conf.Positional]
    """The campaign."""
    policy: tuple[str, ...]
    """Who answers: stages (sft, ppo) or artifacts (ppo-0123456789abcdef). Two policies meet in
    every task."""
    samples: int = 4
    """Answers of each policy to each prompt; different texts among them become a task."""
    prompts: int | None = None
    """How many prompts to draw at random from those not asked yet; all by default."""
    tasks: int | None = None
    """How many of these prompts become tasks, picked by the campaign's selection; else all."""
    reward: tuple[str, ...] = ()
    """Reward models that uncertainty and gap look at: `reward` (the default, for gap) or artifacts
    (reward-0123456789abcdef). Uncertainty needs two or more, trained with different seeds. Gap with
    one alone was measured to cost labels against random (65 to 126 of 500), and with several to
    make no difference."""
    temperature: float = 1.0
    """0 takes the most probable token each time."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""
    max_tokens: int = 128
    """Longest answer, in tokens."""
    seed: int = 0
    """Draws the prompts and the answers."""
    queue: bool = False
    """Leave the work to `accord campaign work`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Flags of `accord campaign work`."""

    wait: bool = False
    """Wait for more jobs where none is left, until stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    """Flags of `accord campaign tasks`."""

    name: Annotated[str, tyro.conf.Positional]
    """The campaign."""
    source: Annotated[str, tyro.conf.Positional]
    """A file with `prompt` and `responses` (and `tiers`, where the answer is known), or of other
    comparisons, or the name of an imported set of preferences. Where the campaign asks for
    demonstrations: with `prompt`, to be answered, or `prompt` and `response`, to be made better; or
    the name of an imported set of prompts or demonstrations."""
    gold: bool = False
    """The rows' order is the known answer: every rater may get such a task, unannounced."""
    qualification: bool = False
    """The rows' order is the known answer: asked before a rater works."""
    lesson: bool = False
    """The rows' order is the known answer, told once a rater gave their own, with the row's
    `explanation`; asked before everything else, in the order of the file."""
    calibration: str | None = None
    """Name of a round in which everybody is asked the same, to see how far they agree."""


def prompts(words: Sequence[str], options: Options) -> int:
    """Put prompts into the pool and print what became of them and what the pool holds."""
    about = "Put prompts into the pool, and say what it holds."
    asked = parse(Prompts, words, command="campaign prompts", about=about)
    workspace = find_workspace(options)
    with open_workspace_database(workspace) as database:
        with database.read() as connection:
            campaign = campaign_called(connection, asked.name)
        rows, left_out = _rows(workspace, "prompts", asked.source)
        added = add_prompts(database, rows, stratum=asked.stratum, by_source=asked.stratum is None)
        mark_near_duplicates(database)
        with database.read() as connection:
            report = pool_report(connection, campaign=campaign, targets=asked.target)
    print(told_added(added, left_out))
    print(told_pool(report, asked.name))
    return 0


def sample(words: Sequence[str], options: Options) -> int:
    """Ask for answers, and work the job off unless it is queued."""
    about = "Let policies answer prompts, and make tasks of the answers."
    asked = parse(Sample, words, command="campaign sample", about=about)
    session = open_session(options)
    with open_workspace_database(session.workspace) as database:
        with database.read() as connection:
            campaign = campaign_called(connection, asked.name)
        job = _job(session, database, campaign, asked)
        against = warning(campaign.settings.selection, len(asked.reward) or 1)
        if asked.tasks is not None and against:
            print(f"warning: {against}", file=sys.stderr)
        if asked.queue:
            print(f"job {job} waits; `accord campaign work` does it")
            return 0
        return _work(session, database, only=job)


def work(words: Sequence[str], options: Options) -> int:
    """Do the jobs that wait."""
    about = "Work off the jobs that `sample --queue` left."
    asked = parse(Work, words, command="campaign work", about=about)
    session = open_session(options)
    with open_workspace_database(session.workspace) as database:
        return _work(session, database, once=not asked.wait)


def tasks(words: Sequence[str], options: Options) -> int:
    """Make tasks of responses that are there and print what became of every row."""
    about = "Make tasks of responses that are there."
    asked = parse(Tasks, words, command="campaign tasks", about=about)
    purpose = _purpose(asked)
    workspace = find_workspace(options)
    with open_workspace_database(workspace) as database:
        with database.read() as connection:
            campaign = campaign_called(connection, asked.name)
        if campaign.state is CampaignState.CLOSED:
            raise ConflictError(
                "a closed campaign takes no tasks",
                got=asked.name,
                do="open another one under a new name",
            )
        kind = _kind(workspace, campaign, asked.source)
        rows, left_out = _rows(workspace, kind, asked.source)
        made = add_tasks(database, campaign, rows, purpose=purpose, calibration=asked.calibration)
    print(told_made(made, purpose, left_out))
    return 0 if made.tasks or made.known else 2


def _purpose(asked: Tasks) -> Purpose:
    wanted = {
        Purpose.GOLD: asked.gold,
        Purpose.QUALIFICATION: asked.qualification,
        Purpose.LESSON: asked.lesson,
        Purpose.CALIBRATION: asked.calibration is not None,
    }
    named = [purpose for purpose, given in wanted.items() if given]
    if len(named) > 1:
        raise ConfigError(
            "a task is asked for one purpose",
            got=", ".join(f"--{purpose}" for purpose in named),
            do="run the command once for each",
        )
    return named[0] if named else Purpose.WORK


def told_added(added: Added, left_out: int) -> str:
    """What became of prompts, one fact a line."""
    lines = [f"{added.rows} rows: {added.new} new, {added.known} known already"]
    lines += _left_out(left_out) + _rejected(added.rejected)
    if added.personal.rows:
        kinds = ", ".join(f"{n} {kind}" for kind, n in added.personal.counts.items())
        rows = sorted({one.row for one in added.personal.first})[:MOST_LISTED]
        more = " ..." if added.personal.rows > len(rows) else ""
        places = ", ".join(map(str, rows))
        lines.append(f"  personal data in {added.personal.rows} rows ({kinds}): {places}{more}")
    return "\n".join(lines)


def told_pool(report: PoolReport, campaign: str) -> str:
    """What a pool holds, one fact a line."""
    middle = report.lengths.get(0.5, 0)
    asked = f"{report.asked} asked in {campaign}, {report.not_asked} not"
    near = f"{report.near_duplicates}, of them {report.same_words} word for word"
    lines = [
        f"pool: {report.prompts} prompts, {asked}; median {middle} words",
        f"  near-duplicates {near}",
    ]
    for one in report.strata:
        target = "" if one.target is None else f", wanted {one.target:.0%}"
        share = f"{one.share:.0%}{target}"
        lines.append(f"  {one.stratum:<20} {one.prompts} prompts ({share}), {one.asked} asked")
    lines.append(f"  not measured: {', '.join(report.not_measured)}")
    return "\n".join(lines)


def told_made(made: Made, purpose: Purpose, left_out: int) -> str:
    """What became of comparisons, one fact a line."""
    lines = [f"{made.rows} rows: {made.tasks} new {purpose} tasks, {made.known} known already"]
    return "\n".join(lines + _left_out(left_out) + _rejected(made.rejected))


def told_sampled(result: Sampled) -> str:
    """What a job came to, one fact a line."""
    few = f"{result.not_askable} with too few different answers"
    again = f"{result.merged} said before, {result.alike} nearly so"
    return (
        f"{result.prompts} prompts: {result.tasks} tasks, {few}, {result.unanswered} of them too "
        f"long or erased\n  {result.answers} answers: {result.empty} empty, {again}, "
        f"{result.shared} said by several policies"
    )


def _job(session: Session, database: Database, campaign: Campaign, asked: Sample) -> str:
    """The job that is asked for: one that was begun with the same settings, or a new one."""
    stages = session.plan().stages
    wanted = asked.reward
    if asked.tasks is not None and campaign.settings.selection in MODELS_NEEDED:
        wanted = wanted or (REWARD,)
    rewards = [_name(find_reward(session.workspace, stages, one)) for one in wanted]
    policies = [_name(find_policy(session.workspace, stages, one)) for one in asked.policy]
    settings = SamplingSettings(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        max_tokens=asked.max_tokens,
    )
    if asked.prompts is not None and asked.prompts < 1:
        raise ConfigError("--prompts must be at least 1", got=asked.prompts)
    with database.write() as connection:
        chosen: Sequence[str] | None = None
        for job, order in unfinished(connection, campaign):
            if _same(order, asked, policies, rewards, settings):
                print(f"job {job.id} goes on", file=sys.stderr)
                chosen = order.prompts
                break
        if chosen is None:
            chosen = unsampled(connection, campaign)
            if asked.prompts is not None and asked.prompts < len(chosen):
                chosen = sorted(Random(asked.seed).sample(chosen, asked.prompts))
        return request(
            connection,
            campaign,
            chosen,
            policies,
            samples=asked.samples,
            settings=settings,
            seed=asked.seed,
            tasks=asked.tasks,
            rewards=rewards,
        )


def _name(artifact: Artifact) -> str:
    return f"{artifact.name}-{artifact.key}"


def _same(
    order: Order,
    asked: Sample,
    policies: Sequence[str],
    rewards: Sequence[str],
    settings: SamplingSettings,
) -> bool:
    return (
        list(order.policies) == list(policies)
        and list(order.rewards) == list(rewards)
        and order.settings == settings
        and (order.samples, order.seed, order.tasks) == (asked.samples, asked.seed, asked.tasks)
        and (asked.prompts is None or len(order.prompts) <= asked.prompts)
    )


def _work(
    session: Session, database: Database, *, only: str | None = None, once: bool = True
) -> int:
    with terminal(sys.stderr, quiet=session.options.quiet) as sink:
        ended = work_off(
            session.workspace,
            database,
            stages=session.plan().stages,
            machine=session.machine(),
            once=once,
            only=only,
            sink=sink,
        )
    for job in ended:
        print(_told_job(job))
    return 0 if all(job.state is JobState.DONE for job in ended) else 2


def _told_job(job: Job) -> str:
    if job.state is JobState.DONE and isinstance(job.result, Mapping):
        return told_sampled(Sampled(**job.result))
    return f"job {job.id} {job.state}: {job.error or 'no reason given'}"


def _rows(workspace: Workspace, kind: str, source: str) -> tuple[Iterable[object], int]:
    """Rows of a file or an imported set, and how many are left out: those for judging a release."""
    if Path(source).is_file():
        return read_rows(Path(source)), 0
    if "/" in source or "." in source:
        raise ConfigError("there is no such file", got=source)
    found = Dataset(workspace.dataset(kind, source).folder)
    kept = (row for split in (Split.TRAIN, Split.DEV) for row in found.rows(split))
    return kept, found.count(Split.TEST)


def _kind(workspace: Workspace, campaign: Campaign, source: str) -> str:
    """What kind of imported set is meant."""
    if not campaign.settings.asks_texts:
        return "preferences"
    known = workspace.kinds(source) if not Path(source).is_file() else ()
    return "demonstrations" if "prompts" not in known and "demonstrations" in known else "prompts"


def _left_out(count: int) -> list[str]:
    return [f"  {count} left out: the test split, for judging a release"] if count else []


def _rejected(rejected: Sequence[Rejected]) -> list[str]:
    if not rejected:
        return []
    more = len(rejected) - MOST_LISTED
    lines = [f"  {len(rejected)} left out:", *(f"    {one}" for one in rejected[:MOST_LISTED])]
    return lines + ([f"    and {more} more"] if more > 0 else [])
