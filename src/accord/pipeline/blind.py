"""Two policies before people, blind: pairs of their answers as tasks, and what people made of them.

Which policy said what is nowhere in the campaign's tasks; it is read from the evaluation again when
the judgements are counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from accord.collect.campaign import CampaignSettings, campaign_called, open_campaign
from accord.collect.formats import Unjudged
from accord.collect.ready import add_tasks
from accord.collect.sheet import RaterKind
from accord.collect.votes import load
from accord.core.errors import DataError
from accord.core.hashing import digest
from accord.core.types import Conversation, Message, Speaker
from accord.pipeline.artifact import Artifact
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.stats.intervals import share
from accord.store.registry import conversation_of, publish_guideline, response_text

TEXTS = "texts.jsonl"
"""What every policy said, in an evaluation's artifact."""
GUIDELINES = """\
Two answers to the same prompt, by two policies that you cannot tell apart. Put first the one that
you would rather have received; call equal what you cannot decide.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlindResult:
    """How often people put a policy's answer before another's, ties as half."""

    policy: str
    versus: str
    share: float
    low: float | None
    """Of an interval over prompts; None below two."""
    high: float | None
    judgements: int
    prompts: int
    ties: int
    raters: int


def blind_name(evaluation: Artifact, policy: str, versus: str) -> str:
    """The campaign's name: an evaluation that is made again asks afresh."""
    return f"{policy}-or-{versus}-{evaluation.key[:4]}"


def open_blind(
    workspace: Workspace, evaluation: Artifact, *, policy: str, versus: str, pairs: int
) -> str:
    """Make up to `pairs` tasks of first answers that differ, and give the campaign's name.

    Asked again it changes nothing. Raises DataError where the evaluation has no such policy.
    """
    name = blind_name(evaluation, policy, versus)
    settings = CampaignSettings(
        name=name,
        guideline=f"blind-{digest(GUIDELINES)[:6]}",
        overlap=1000,  # whoever comes is asked everything
        gold_share=0.0,
        repeat_share=0.0,
        adjudicate=False,
    )
    rows = []
    for number, (prompt, said) in enumerate(_said(evaluation), start=1):
        if policy not in said or versus not in said:
            known = ", ".join(said)
            raise DataError(
                "the evaluation has no such policy", got=f"{policy}, {versus}", do=known
            )
        # Drawn by the words alone, so that the place in a task says nothing.
        both = sorted((said[policy], said[versus]), key=lambda text: digest([name, text]))
        if both[0].strip() and both[1].strip() and both[0].strip() != both[1].strip():
            rows.append(
                Unjudged(row=number, prompt=prompt, responses=(both[0], both[1]), source="eval")
            )
    with open_workspace_database(workspace) as database:
        with database.write() as connection:
            publish_guideline(connection, settings.guideline, GUIDELINES, criteria=())
            campaign = open_campaign(connection, settings)
        add_tasks(database, campaign, rows[:pairs])
    return name


def blind_result(
    workspace: Workspace, evaluation: Artifact, *, policy: str, versus: str
) -> BlindResult | None:
    """What people said so far; None before the first. Skips say nothing."""
    said = {prompt.digest: by for prompt, by in _said(evaluation)}
    wins: list[float] = []
    prompts: list[str] = []
    who: Counter[str] = Counter()
    with open_workspace_database(workspace) as database, database.read() as connection:
        try:
            campaign = campaign_called(connection, blind_name(evaluation, policy, versus))
        except DataError:
            return None
        for vote in load(connection, campaign).rows:
            if vote.tiers is None or vote.kind is not RaterKind.HUMAN:
                continue
            prompt = conversation_of(connection, vote.prompt).digest
            texts = [response_text(connection, one) for one in vote.responses]
            place = texts.index(said[prompt][policy])
            mine, other = vote.tiers[place], vote.tiers[1 - place]
            wins.append(0.5 if mine == other else float(mine < other))
            prompts.append(prompt)
            who[vote.rater] += 1
    if not wins:
        return None
    several = len(set(prompts)) > 1
    found = share(wins, clusters=prompts) if several else None
    return BlindResult(
        policy=policy,
        versus=versus,
        share=sum(wins) / len(wins),
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        judgements=len(wins),
        prompts=len(set(prompts)),
        ties=wins.count(0.5),
        raters=len(who),
    )


def _said(evaluation: Artifact) -> Iterator[tuple[Conversation, Mapping[str, str]]]:
    """Each prompt with the first answer of every policy."""
    path = evaluation.folder / TEXTS
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                messages = tuple(Message(role=Speaker(r), content=c) for r, c in row["prompt"])
                yield Conversation(messages), {n: texts[0] for n, texts in row["answers"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the answers of an evaluation cannot be read", got=error, where=path
        ) from None
