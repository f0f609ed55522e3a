"""From a request to tasks: every answer counted, nothing made twice, probabilities kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from accord.collect import candidates
from accord.collect.campaign import Campaign
from accord.collect.candidates import Sampled, conclude, deliver, remaining
from accord.collect.orders import SAMPLE, SAMPLED, order_of, request
from accord.collect.pool import add_prompts
from accord.collect.selection import Score
from accord.collect.tasks import add_task
from accord.core.errors import ConflictError, DataError
from accord.core.types import Conversation, Prompt, Response, SamplingSettings, StopReason
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.jobs import Job, JobState, claim, job_called
from accord.store.tables import events, responses, task_responses, tasks
from tests.collect.asking import made

SETTINGS = SamplingSettings(temperature=0.7, max_tokens=12)
NEW, OLD = "a" * 64, "b" * 64


def pool(database: Database, count: int, *, strata: int = 1) -> list[str]:
    ids: list[str] = []
    for stratum in range(strata):
        rows = [
            Prompt(conversation=Conversation.of(f"What about {stratum} and {i}?"))
            for i in range(count // strata)
        ]
        ids += add_prompts(database, rows, stratum=f"s{stratum}").ids
    return ids


def ordered(database: Database, campaign: Campaign, prompts: Sequence[str], **more: Any) -> Job:
    """A job that was asked for and is held."""
    values: dict[str, Any] = {"policies": ["sft-1"], "samples": 2, "settings": SETTINGS}
    values |= more
    with database.write() as connection:
        name = request(connection, campaign, prompts, values.pop("policies"), **values)
    job = claim(database, (SAMPLE,), "w", 600, only=name)
    assert job is not None
    return job


def said(text: str, policy: str = NEW) -> Response:
    return Response(
        prompt_id="",
        text=text,
        stop=StopReason.STOP,
        policy=policy,
        settings=SETTINGS,
        tokens=(1, 2, 3),
    )


def answered(prompts: Sequence[str], k: int = 2) -> dict[str, list[Response]]:
    return {p: [said(f"{p} said number {i}") for i in range(k)] for p in prompts}


def asked(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(tasks)).all())


def shown(database: Database) -> Mapping[str, list[Any]]:
    """Responses of each task."""
    found: dict[str, list[Any]] = {}
    with database.read() as connection:
        rows = connection.execute(
            sa.select(task_responses.c.task, responses).join(
                responses, responses.c.id == task_responses.c.response
            )
        )
        for row in rows:
            found.setdefault(row.task, []).append(row)
    return found


def test_a_request_becomes_tasks(database: Database) -> None:
    campaign = made(database, tasks=0)
    ids = pool(database, 5)
    job = ordered(database, campaign, ids, seed=3)
    order = order_of(job)
    assert (order.prompts, order.policies, order.samples) == (tuple(ids), ("sft-1",), 2)
    assert (order.settings, order.seed, order.tasks) == (SETTINGS, 3, None)
    assert deliver(database, job, answered(ids[:2])) == 2
    with database.read() as connection:
        assert remaining(connection, job) == ids[2:]
    with pytest.raises(ConflictError, match="3 are left"):
        conclude(database, job)
    assert deliver(database, job, answered(ids[2:])) == 3
    result = conclude(database, job)
    assert result == Sampled(prompts=5, askable=5, answers=10, tasks=5)
    with database.read() as connection:
        ended = job_called(connection, job.id)
    assert (ended.state, ended.result["tasks"]) == (JobState.DONE, 5)
    assert {(row.prompt, row.inclusion, row.selected_by) for row in asked(database)} == {
        (name, 1.0, "random") for name in ids
    }
    for rows in shown(database).values():
        assert [(row.policy, row.tokens, row.stop) for row in rows] == [(NEW, 3, "stop")] * 2
        assert rows[0].settings == {
            "max_tokens": 12,
            "temperature": 0.7,
            "top_k": 0,
            "top_p": 1.0,
        }


def test_delivering_twice_makes_nothing_twice(database: Database) -> None:
    campaign = made(database, tasks=0)
    ids = pool(database, 3)
    job = ordered(database, campaign, ids)
    deliver(database, job, answered(ids[:2]))
    # Sampled anew after a crash, with other words: what was delivered stays.
    other = {p: [said("other"), said("words")] for p in ids}
    assert deliver(database, job, other) == 1
    assert deliver(database, job, other) == 0
    assert conclude(database, job).tasks == 3
    with database.read() as connection:
        count = Counter(connection.execute(sa.select(events.c.type)).scalars())
    assert (count[SAMPLED], count["response.added"], count["task.added"]) == (3, 6, 3)


def test_a_worker_that_lost_its_job_writes_nothing(database: Database) -> None:
    campaign = made(database, tasks=0)
    ids = pool(database, 2)
    slow = ordered(database, campaign, ids)
    with database.write() as connection:
        late = {"fence": slow.fence + 1}
        connection.execute(sa.text("UPDATE jobs SET fence = :fence"), late)
    with pytest.raises(ConflictError, match="no longer held"):
        deliver(database, slow, answered(ids))
    heir = replace(slow, fence=slow.fence + 1)
    deliver(database, heir, answered(ids))
    with pytest.raises(ConflictError, match="no longer held"):
        conclude(database, slow)
    assert conclude(database, heir).tasks == 2


def test_answers_that_say_nothing_new_are_counted(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    a, b, c, d = pool(file_database, 4)
    long = "one two three four five six seven eight nine ten eleven twelve"
    job = ordered(file_database, campaign, [a, b, c, d], samples=4)
    deliver(
        file_database,
        job,
        {
            a: [said("Yes."), said("Yes."), said("No."), said("  ")],
            b: [said("Same."), said("Same."), said("Same."), said("\n")],
            c: [],
            d: [said(long), said(long + " thirteen"), said("else"), said("other")],
        },
    )
    assert conclude(file_database, job) == Sampled(
        prompts=4,
        askable=2,
        not_askable=2,
        unanswered=1,
        answers=12,
        empty=2,
        merged=3,
        alike=1,
        tasks=2,
    )
    assert {row.prompt for row in asked(file_database)} == {a, d}


def test_two_policies_meet_in_every_task(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    ids = pool(file_database, 12)
    job = ordered(file_database, campaign, ids, policies=["sft-1", "ppo-1"], samples=3)
    answers = {
        p: [said(f"{i} by {policy[0]}", policy) for policy in (NEW, OLD) for i in range(3)]
        for p in ids
    }
    deliver(file_database, job, answers)
    conclude(file_database, job)
    for rows in shown(file_database).values():
        assert {row.policy for row in rows} == {NEW, OLD}


def test_of_three_responses_the_odd_one_is_either_policys(file_database: Database) -> None:
    campaign = made(file_database, tasks=0, k=3)
    ids = pool(file_database, 40)
    job = ordered(file_database, campaign, ids, policies=["sft-1", "ppo-1"], samples=3)
    answers = {
        p: [said(f"{i} by {policy[0]}", policy) for policy in (NEW, OLD) for i in range(3)]
        for p in ids
    }
    deliver(file_database, job, answers)
    new = Counter(sum(row.policy == NEW for row in rows) for rows in shown(file_database).values())
    assert set(new) == {1, 2}
    assert 8 <= new[1] <= 32


def test_a_text_that_both_policies_say_is_shown_once(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    (one,) = pool(file_database, 1)
    job = ordered(file_database, campaign, [one], policies=["sft-1", "ppo-1"])
    both = [said("Same.", NEW), said("Same.", OLD), said("Else.", OLD), said("Same.", NEW)]
    deliver(file_database, job, {one: both})
    result = conclude(file_database, job)
    assert (result.shared, result.merged, result.tasks) == (1, 1, 1)
    (rows,) = shown(file_database).values()
    assert len({row.digest for row in rows}) == 2
    with file_database.read() as connection:
        kept = connection.execute(sa.select(sa.func.count()).select_from(responses)).scalar_one()
    assert kept == 3


def test_the_campaigns_selection_picks_among_what_can_be_asked(database: Database) -> None:
    campaign = made(database, tasks=0, selection="coverage", random_share=0.25)
    ids = pool(database, 40, strata=2)
    job = ordered(database, campaign, ids, tasks=8)
    deliver(database, job, answered(ids[:30]))
    assert asked(database) == []
    deliver(database, job, {p: [said("Same."), said("Same.")] for p in ids[30:]})
    result = conclude(database, job)
    assert (result.askable, result.not_askable, result.tasks) == (30, 10, 8)
    rows = asked(database)
    assert Counter(row.selected_by for row in rows) == {"random": 2, "coverage": 6}
    # Twenty of the first stratum and ten of the second: the second is picked twice as often.
    inclusion = {row.prompt: row.inclusion for row in rows}
    first = {value for name, value in inclusion.items() if name in ids[:20]}
    second = {value for name, value in inclusion.items() if name in ids[20:]}
    assert len(first) == len(second) == 1
    pi = {p: p_m + (1 - p_m) * 2 / 24 for p, p_m in (("first", 3 / 20), ("second", 3 / 10))}
    assert first.pop() == pytest.approx(pi["first"])
    assert second.pop() == pytest.approx(pi["second"])


def test_a_selection_by_reward_takes_the_callers_scores(file_database: Database) -> None:
    campaign = made(file_database, tasks=0, selection="gap")
    ids = pool(file_database, 20)
    job = ordered(file_database, campaign, ids, tasks=5)
    deliver(file_database, job, answered(ids))
    with pytest.raises(DataError, match="nothing to choose by"):
        conclude(file_database, job)
    with file_database.read() as connection:
        rows = connection.execute(sa.select(responses)).all()
    # One prompt has a gap, the others have none: it is taken surely.
    scores = {row.id: Score(0.0) for row in rows}
    wide = [row.id for row in rows if row.prompt == ids[7]]
    scores[wide[0]] = Score(3.0)
    conclude(file_database, job, scores=scores)
    found = {row.prompt: row.inclusion for row in asked(file_database)}
    assert len(found) == 5
    assert found[ids[7]] == 1.0


def test_an_interrupted_conclusion_goes_on(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    ids = pool(file_database, 10)
    job = ordered(file_database, campaign, ids, tasks=6)
    deliver(file_database, job, answered(ids))
    conclude(file_database, job)
    before = {row.id for row in asked(file_database)}
    with file_database.write() as connection:
        connection.execute(
            sa.text("UPDATE jobs SET state = 'leased', leased_until = made, result = NULL")
        )
    assert conclude(file_database, job).tasks == 6
    assert {row.id for row in asked(file_database)} == before


def test_what_was_picked_before_a_kill_is_what_is_asked_after(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = made(database, tasks=0, selection="gap")
    ids = pool(database, 12)
    job = ordered(database, campaign, ids, tasks=4)
    deliver(database, job, answered(ids))
    monkeypatch.setattr(candidates, "BATCH", 1)
    calls = iter(range(3))

    def dies(*args: Any, **more: Any) -> str:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return add_task(*args, **more)

    scores = scored(database, wide=ids[:6])
    with monkeypatch.context() as patch:
        patch.setattr(candidates, "add_task", dies)
        with pytest.raises(KeyboardInterrupt):
            conclude(database, job, scores=scores)
    begun = {(row.prompt, row.inclusion) for row in asked(database)}
    assert len(begun) == 3
    # Whoever goes on predicts something else: the first pick stands, or more would be asked.
    assert conclude(database, job, scores=scored(database, wide=ids[6:])).tasks == 4
    after = {(row.prompt, row.inclusion) for row in asked(database)}
    assert begun < after
    assert len(after) == 4


def scored(database: Database, *, wide: Sequence[str]) -> dict[str, Score]:
    """Rewards that lie far apart for the prompts in `wide`."""
    with database.read() as connection:
        rows = connection.execute(sa.select(responses).order_by(responses.c.digest)).all()
    return {
        row.id: Score((9.0 if row.prompt in wide else 0.1) * (n % 2)) for n, row in enumerate(rows)
    }


def test_answers_erased_before_the_conclusion_make_no_task(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    ids = pool(file_database, 4)
    job = ordered(file_database, campaign, ids, tasks=4)
    deliver(file_database, job, answered(ids))
    with file_database.read() as connection:
        chosen = sa.select(responses.c.seq).where(responses.c.prompt == ids[0]).limit(1)
        seq = connection.execute(chosen).scalar_one()
    erase(file_database, seq, "text")
    assert conclude(file_database, job).tasks == 3
    assert {row.prompt for row in asked(file_database)} == set(ids[1:])


def test_answers_that_nobody_asked_for_are_refused(file_database: Database) -> None:
    campaign = made(file_database, tasks=0, k=3)
    ids = pool(file_database, 2)
    job = ordered(file_database, campaign, ids, samples=3)
    with pytest.raises(DataError, match="does not ask for"):
        deliver(file_database, job, {"ghost": []})
    with pytest.raises(DataError, match="digest of the policy"):
        deliver(file_database, job, {ids[0]: [said("x", "")]})
