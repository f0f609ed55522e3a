"""Candidates for tasks: a job asks policies for answers, and what they say becomes tasks.

`orders.request` makes the job. Whoever works on it (a worker with models, which this floor has not)
calls `remaining` for the prompts that wait, `deliver` with the answers to some of them, as often as
it takes, and `conclude` at the end. A prompt is delivered in one transaction with all that follows
from it, and once for each job: a worker that is killed anywhere and started again makes nothing
twice.

Several policies share a task: its responses are dealt by turns, the policies in an order drawn for
each prompt, each policy's answers in an order drawn too. So two policies, the last one beside the
new one say, have one response each of two and meet in every task. Texts that are the same are shown
once. Where fewer distinct texts than the campaign shows were said, the prompt is not asked, and
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign, campaign_called
from accord.collect.likeness import ALIKE, likeness, shingles
from accord.collect.orders import SAMPLED, Order, delivered, key_of, order_of
from accord.collect.ready import task_about
from accord.collect.selection import Candidate, Score, select
from accord.collect.tasks import Purpose, add_task
from accord.collect.text_tasks import add_writing
from accord.core.errors import ConflictError, DataError
from accord.core.hashing import digest
from accord.core.types import Response
from accord.store.database import Database
from accord.store.event import Entry
from accord.store.jobs import Job, check_held, complete
from accord.store.log import append, parts_of
from accord.store.registry import SYSTEM, add_response
from accord.store.tables import events, prompts, responses

PICKED = "tasks.picked"
"""Type of the event that says which tasks a job makes, with which probability each."""
_PART, _PICK = "sampled", "picked"
BATCH = 100
"""Tasks in one writing transaction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """What a job came to so far: `prompts` = `askable` + `not_askable`."""

    prompts: int = 0
    """Prompts that were delivered."""
    askable: int = 0
    not_askable: int = 0
    """Prompts with fewer distinct texts than a task shows, those without any answer included."""
    unanswered: int = 0
    """Prompts that no policy answered: too long for it, or erased since."""
    answers: int = 0
    empty: int = 0
    """Answers without a word; they are not kept."""
    merged: int = 0
    """Answers with the text of an earlier one of the same policy; they are kept once."""
    shared: int = 0
    """Texts that several policies said: kept for each, shown once."""
    alike: int = 0
    """Distinct texts that are near-duplicates of an earlier one to the same prompt; they count."""
    tasks: int = 0


def remaining(connection: Connection, job: Job) -> list[str]:
    """Prompts of a job that wait for their answers, in the job's order."""
    wanted = order_of(job).prompts
    done = {prompt for prompt, _ in delivered(connection, job, wanted)}
    return [prompt for prompt in wanted if prompt not in done]


def deliver(database: Database, job: Job, answers: Mapping[str, Sequence[Response]]) -> int:
    """Keep what the policies said to some prompts, all or nothing; how many of them were new.

    `answers` has every answer of every policy to a prompt (id), none where it could not be asked.
    Where the job asks for all prompts, their tasks are made with it. Raises ConflictError where
    somebody else holds the job, DataError for a prompt it does not ask for and for an answer
    without the digest of its policy.
    """
    order = order_of(job)
    strange = answers.keys() - set(order.prompts)
    if strange:
        raise DataError("this job does not ask for that prompt", got=min(strange), where=job.id)
    new = 0
    with database.write() as connection:
        check_held(connection, job)
        campaign = campaign_called(connection, order.campaign)
        known = {prompt for prompt, _ in delivered(connection, job, list(answers))}
        for prompt, said in answers.items():
            if prompt in known:
                continue
            new += 1
            found = _keep(connection, campaign, order, prompt, said)
            _record(connection, job, prompt, found, said)
            if order.tasks is None and found["shown"] is not None:
                _ask(connection, campaign, prompt=prompt, responses=found["shown"])
    return new


def conclude(database: Database, job: Job, *, scores: Mapping[str, Score] | None = None) -> Sampled:
    """Make the tasks that the campaign's selection picks, and end the job.

    `scores` predicts rewards by response id, for selections that need them. What was picked is put
    into the log first: an attempt after a kill goes on with that. The inclusion probability of a
    task is that of its prompt; its responses were dealt at random. A pick whose responses were
    erased since makes no task, and nothing takes its place. Raises ConflictError where somebody
    else holds the job or prompts are left, DataError where the selection has nothing to choose by.
    """
    order = order_of(job)
    with database.read() as connection:
        left = len(remaining(connection, job))
        campaign = campaign_called(connection, order.campaign)
    if left:
        raise ConflictError("not all prompts of this job were delivered", got=f"{left} are left")
    if order.tasks is not None:
        picked = _picked(database, campaign, job, order.tasks, scores or {})
        for start in range(0, len(picked), BATCH):
            with database.write() as connection:
                check_held(connection, job)
                for one in picked[start : start + BATCH]:
                    shown = one["responses"]
                    if _erased(connection, shown):
                        continue
                    if task_about(connection, campaign, shown, Purpose.WORK) is None:
                        _ask(connection, campaign, **one)
    with database.write() as connection:
        result = sampled(connection, job)
        complete(connection, job, asdict(result))
    return result


def shown_of(connection: Connection, job: Job) -> dict[str, list[str]]:
    """Prompts (ids) of a job that can be asked, with the responses (ids) that a task would show."""
    return {p: list(part["shown"]) for p, part in _recorded(connection, job) if part["shown"]}


def sampled(connection: Connection, job: Job) -> Sampled:
    """What a job came to so far, from the log."""
    order = order_of(job)
    campaign = campaign_called(connection, order.campaign)
    total: Counter[str] = Counter()
    for _, part in _recorded(connection, job):
        shown = part.pop("shown")
        total.update({"prompts": 1, "askable": shown is not None, "not_askable": shown is None})
        total.update({name: part[name] for name in Sampled.__slots__ if name in part})
        if shown is not None:
            total["tasks"] += task_about(connection, campaign, shown, Purpose.WORK) is not None
    return Sampled(**total)


# ---- one prompt ----------------------------------------------------------------------------------


def _keep(
    connection: Connection,
    campaign: Campaign,
    order: Order,
    prompt: str,
    said: Sequence[Response],
) -> dict[str, Any]:
    """Put the answers into the store; what is shown of them, and the counts."""
    if any(not response.policy for response in said):
        raise DataError("an answer needs the digest of the policy that said it", where=prompt)
    full = [response for response in said if response.text.strip()]
    first = {(response.policy, response.text): response for response in reversed(full)}
    kept: dict[str, list[tuple[str, str]]] = {}
    for (policy, text), response in sorted(first.items(), key=lambda item: item[0]):
        name = add_response(connection, prompt, response)
        kept.setdefault(policy, []).append((name, text))
    texts = sorted({text for _, text in first})
    sets = [shingles(text) for text in texts]
    alike = sum(
        any(likeness(sets[i], sets[j]) >= ALIKE for j in range(i)) for i in range(len(sets))
    )
    rng = Random(digest([order.seed, prompt, "deal"]))
    return {
        "shown": _dealt(rng, kept, campaign.settings.responses),
        "unanswered": int(not said),
        "answers": len(said),
        "empty": len(said) - len(full),
        "merged": len(full) - len(first),
        "shared": len(first) - len(texts),
        "alike": alike,
    }


def _ask(
    connection: Connection,
    campaign: Campaign,
    *,
    prompt: str,
    responses: Sequence[str],
    **picked: Any,
) -> None:
    """A task of what was said: to be compared, or to be made better."""
    if campaign.settings.asks_texts:
        add_writing(connection, campaign, prompt=prompt, edits=responses[0], **picked)
    else:
        add_task(connection, campaign, prompt=prompt, responses=responses, **picked)


def _dealt(rng: Random, kept: Mapping[str, Sequence[tuple[str, str]]], k: int) -> list[str] | None:
    """K responses with different texts, by turns from each policy; None where there are fewer."""
    hands = [list(kept[policy]) for policy in sorted(kept)]
    rng.shuffle(hands)
    for hand in hands:
        rng.shuffle(hand)
    shown: list[str] = []
    seen: set[str] = set()
    while len(shown) < k and any(hands):
        for hand in hands:
            while hand and hand[-1][1] in seen:
                hand.pop()
            if hand and len(shown) < k:
                name, text = hand.pop()
                shown.append(name)
                seen.add(text)
    return shown if len(shown) == k else None


def _record(
    connection: Connection,
    job: Job,
    prompt: str,
    found: Mapping[str, Any],
    said: Sequence[Response],
) -> None:
    append(
        connection,
        Entry(
            type=SAMPLED,
            actor=SYSTEM,
            subject=prompt,
            key=key_of(job, prompt),
            parts={_PART: {"job": job.id, **found}},
            policies=tuple(sorted({response.policy for response in said})),
        ),
    )


# ---- the choice ----------------------------------------------------------------------------------


def _picked(
    database: Database, campaign: Campaign, job: Job, n: int, scores: Mapping[str, Score]
) -> list[dict[str, Any]]:
    """What to ask, as arguments of `add_task`: drawn once for a job, whatever changes meanwhile."""
    key = key_of(job, "picked")
    with database.read() as connection:
        known = connection.execute(sa.select(events.c.seq).where(events.c.key == key))
        if (seq := known.scalar_one_or_none()) is not None:
            return list(parts_of(connection, seq)[_PICK])
        candidates = _candidates(connection, job, scores)
    seed = digest([campaign.settings.seed, order_of(job).seed, "select"])
    chosen = select(
        candidates,
        n,
        method=campaign.settings.selection,
        random_share=campaign.settings.random_share,
        seed=int(seed[:15], 16),
    )
    picked = [
        {
            "prompt": one.candidate.prompt,
            "responses": list(one.candidate.responses),
            "selected_by": one.selected_by,
            "inclusion": one.inclusion,
        }
        for one in chosen
    ]
    with database.write() as connection:
        check_held(connection, job)
        entry = Entry(type=PICKED, actor=SYSTEM, subject=job.id, key=key, parts={_PICK: picked})
        append(connection, entry)
    return picked


# ---- reading -------------------------------------------------------------------------------------


def _recorded(connection: Connection, job: Job) -> list[tuple[str, dict[str, Any]]]:
    """(prompt, what was recorded) for the prompts of a job that were delivered."""
    done = delivered(connection, job, order_of(job).prompts)
    return [(prompt, dict(parts_of(connection, seq)[_PART])) for prompt, seq in done]


def _erased(connection: Connection, names: Sequence[str]) -> bool:
    gone = sa.select(responses.c.id).where(responses.c.id.in_(names), responses.c.digest.is_(None))
    return connection.execute(gone.limit(1)).scalar_one_or_none() is not None


def _candidates(connection: Connection, job: Job, scores: Mapping[str, Score]) -> list[Candidate]:
    about = {
        row.id: row
        for row in connection.execute(sa.select(prompts.c.id, prompts.c.stratum, prompts.c.cluster))
    }
    return [
        Candidate(
            prompt=prompt,
            responses=tuple(names),
            stratum=about[prompt].stratum,
            cluster=about[prompt].cluster,
            scores=tuple(scores[name] for name in names) if set(names) <= scores.keys() else None,
        )
        for prompt, names in shown_of(connection, job).items()
    ]
