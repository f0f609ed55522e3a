"""Two policies before people, blind: pairs of their answers as tasks, and what people made of them.

Which policy said what is nowhere in the campaign's tasks; it is read from the evaluation again when
the judgements are counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from accord.collect.campaign import (
    EVERYBODY,
    CampaignSettings,
    campaign_called,
    open_campaign,
)
from accord.collect.formats import Unjudged
from accord.collect.ready import add_tasks
from accord.collect.sheet import RaterKind
from accord.collect.trust import believed
from accord.collect.votes import load
from accord.core.errors import DataError
from accord.core.hashing import digest
from accord.core.types import Conversation, Message, Speaker
from accord.pipeline.artifact import Artifact
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.stats.intervals import share
from accord.store.judgements import Verdict
from accord.store.registry import conversation_of, publish_guideline, response_text

TEXTS = "texts.jsonl"
"""What every policy said, in an evaluation's artifact."""
ANSWERS = "answers.json"
"""What of it the report shows."""
GUIDELINES = """\
Two answers to the same prompt, by two policies that you cannot tell apart. Put first the one that
you would rather have received; call equal what you cannot decide.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BlindResult:
    """How often people put a policy's answer before another's, ties as half.

    Without a judgement that counts, `share` is 0.5.
    """

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
    passed_over: int = 0
    """Judgements that count nowhere: their prompt or texts are not what the evaluation has."""
    distrusted: int = 0
    """Judgements that count nowhere: of raters in quarantine, by a lead or the rules."""
    neither: int = 0
    """Judgements that call both answers bad and put neither first."""


def blind_name(evaluation: Artifact, policy: str, versus: str) -> str:
    """The campaign's name: an evaluation that came out different asks afresh."""
    return f"{policy}-or-{versus}-{evaluation.digest[:8]}"


def open_blind(
    workspace: Workspace, evaluation: Artifact, *, policy: str, versus: str, pairs: int
) -> str:
    """Make up to `pairs` tasks of first answers that differ, and give the campaign's name.

    What the report shows with the policies' names is taken last: whoever read it would not be
    blind. Asked again it changes nothing. Raises DataError where the evaluation has no such policy.
    """
    name = blind_name(evaluation, policy, versus)
    settings = CampaignSettings(
        name=name,
        guideline=f"blind-{digest(GUIDELINES)[:6]}",
        overlap=EVERYBODY,
        gold_share=0.0,
        repeat_share=0.0,
        adjudicate=False,
    )
    seen = _shown(evaluation)
    rows, known_rows = list[Unjudged](), list[Unjudged]()
    for number, (prompt, said) in enumerate(_said(evaluation), start=1):
        if policy not in said or versus not in said:
            known = ", ".join(said)
            raise DataError(
                "the evaluation has no such policy", got=f"{policy}, {versus}", do=known
            )
        # Drawn by the words alone, so that the place in a task says nothing.
        both = sorted((said[policy], said[versus]), key=lambda text: digest([name, text]))
        if both[0].strip() and both[1].strip() and both[0].strip() != both[1].strip():
            pair = Unjudged(row=number, prompt=prompt, responses=(both[0], both[1]), source="eval")
            (known_rows if spoken(prompt) in seen else rows).append(pair)
    with open_workspace_database(workspace) as database:
        with database.write() as connection:
            publish_guideline(connection, settings.guideline, GUIDELINES, criteria=())
            campaign = open_campaign(connection, settings)
        add_tasks(database, campaign, [*rows, *known_rows][:pairs])
    return name


def blind_result(
    workspace: Workspace, evaluation: Artifact, *, policy: str, versus: str
) -> BlindResult | None:
    """What people said so far; None before the first. Skips say nothing.

    Counted apart are judgements of texts that the evaluation has not, those of raters in
    quarantine, and those that call both answers bad.
    """
    said = {prompt.digest: by for prompt, by in _said(evaluation)}
    wins: list[float] = []
    prompts: list[str] = []
    who: Counter[str] = Counter()
    passed_over = distrusted = neither = 0
    with open_workspace_database(workspace) as database, database.read() as connection:
        try:
            campaign = campaign_called(connection, blind_name(evaluation, policy, versus))
        except DataError:
            return None
        votes = load(connection, campaign)
        trusted = {vote.rater for vote in believed(votes).trusted().rows}
        for vote in votes.rows:
            if vote.kind is not RaterKind.HUMAN or vote.verdict is Verdict.SKIP:
                continue
            if vote.rater not in trusted:
                distrusted += 1
                continue
            if vote.tiers is None:
                neither += 1
                continue
            prompt = conversation_of(connection, vote.prompt).digest
            texts = [response_text(connection, one) for one in vote.responses]
            by = said.get(prompt, {})
            if sorted(texts) != sorted(by[name] for name in (policy, versus) if name in by):
                passed_over += 1
                continue
            place = texts.index(by[policy])
            mine, other = vote.tiers[place], vote.tiers[1 - place]
            wins.append(0.5 if mine == other else float(mine < other))
            prompts.append(prompt)
            who[vote.rater] += 1
    if not (wins or passed_over or distrusted or neither):
        return None
    several = len(set(prompts)) > 1
    found = share(wins, clusters=prompts) if several else None
    return BlindResult(
        policy=policy,
        versus=versus,
        share=sum(wins) / len(wins) if wins else 0.5,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        judgements=len(wins),
        prompts=len(set(prompts)),
        ties=wins.count(0.5),
        raters=len(who),
        passed_over=passed_over,
        distrusted=distrusted,
        neither=neither,
    )


def spoken(conversation: Conversation) -> str:
    """A conversation as the report has it."""
    return "\n".join(f"{m.role}: {m.content}" for m in conversation.messages)


def _shown(evaluation: Artifact) -> frozenset[str]:
    """Prompts whose answers stand in the report."""
    path = evaluation.folder / ANSWERS
    if not path.is_file():
        return frozenset()
    try:
        return frozenset(row["prompt"] for row in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the samples of an evaluation cannot be read", got=error, where=path
        ) from None


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
