"""Raters other than people through the real store: leases, blind order, acknowledged answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.collect.archetypes import Copycat, always_first, answers_of, longest, random_rater
from accord.collect.assigning import next_task
from accord.collect.campaign import (
    Campaign,
    CampaignSettings,
    CampaignState,
    Membership,
    open_campaign,
    set_campaign_state,
    set_membership,
)
from accord.collect.labelling import UI, enrol, label, label_in_turn
from accord.collect.persona import PersonSettings, Truth
from accord.collect.rules import RuleRater, load_rule
from accord.collect.sheet import Opinion, RaterKind, Sheet
from accord.collect.synthetic import SimulatedPerson
from accord.collect.tasks import Purpose, add_task
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.database import Database
from accord.store.judgements import current
from accord.store.log import parts_of
from accord.store.registry import (
    add_prompt,
    add_response,
    publish_guideline,
    register_rater,
    response_text,
)
from accord.store.tables import assignments, raters

TASKS = 6


def worth(_: Conversation, response: str) -> float:
    return float(response.split()[1])


WORTH = Truth(name="worth", score=worth)
HONEST = SimulatedPerson(
    settings=PersonSettings(
        weights={"worth": 1}, temperature=0, criteria={"helpfulness": "worth"}, bias={"first": 0.1}
    ),
    truths=(WORTH,),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Other:
    """A rater of any kind that says one thing."""

    kind: RaterKind
    says: Opinion

    @property
    def definition(self) -> Mapping[str, Any]:
        return {"kind": self.kind.value}

    def judge(self, sheet: Sheet) -> Opinion:
        return self.says


def campaign_of(database: Database, *, tasks: int = TASKS, **settings: Any) -> Campaign:
    """A campaign of tasks whose responses say themselves what they are worth."""
    how = {"name": "first", "guideline": "v1", "overlap": 2, "gold_share": 0, "repeat_share": 0}
    chosen = CampaignSettings(**(how | settings))
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is worth more.")
        campaign = open_campaign(connection, chosen)
        for n in range(tasks):
            add_work(connection, campaign, n)
    return campaign


def add_work(connection: sa.Connection, campaign: Campaign, n: int, **more: Any) -> str:
    asked = Prompt(conversation=Conversation.of(f"Question {n}?"))
    prompt = add_prompt(connection, asked)
    ids = [
        add_response(
            connection,
            prompt,
            Response(prompt_id=asked.id, text=f"worth {k} of {n}", stop=StopReason.STOP),
        )
        for k in range(campaign.settings.responses)
    ]
    return add_task(connection, campaign, prompt=prompt, responses=ids, **more)


def judged(database: Database) -> Sequence[sa.Row[Any]]:
    with database.read() as connection:
        return current(connection)


def states(database: Database) -> Counter[str]:
    with database.read() as connection:
        return Counter(connection.execute(sa.select(assignments.c.state)).scalars())


def test_a_person_answers_every_task_and_what_they_say_is_kept(database: Database) -> None:
    campaign = campaign_of(database, responses=3)
    rater = enrol(database, campaign, HONEST, "Ada")
    counted: list[int] = []
    done = label(database, campaign, rater, HONEST, progress=counted.append)
    assert (done.judgements, done.ties, done.skips, done.stand) == (6, 0, 0, Membership.ACTIVE)
    assert counted == [1, 2, 3, 4, 5, 6]
    rows = judged(database)
    with database.read() as connection:
        for row in rows:
            values = [
                worth(Conversation.of("?"), response_text(connection, r)) for r in row.responses
            ]
            assert row.tiers == [2 - value for value in values]
            assert row.ratings["helpfulness"] == [min(5, 3 + value) for value in values]
            assert row.ui == UI
            assert row.rater == rater
            assert row.seconds > 0
    assert len({tuple(row.shown) for row in rows}) > 1
    assert label(database, campaign, rater, HONEST).judgements == 0


def test_kind_and_definition_are_stored_and_the_name_apart(database: Database) -> None:
    campaign = campaign_of(database, tasks=0)
    rater = enrol(database, campaign, HONEST, "Ada")
    with database.read() as connection:
        row = connection.execute(sa.select(raters).where(raters.c.id == rater)).one()
        said = parts_of(connection, row.seq)
    assert row.kind == RaterKind.SYNTHETIC
    assert said["identity"] == {"name": "Ada"}
    assert SimulatedPerson.of(said["definition"], (WORTH,)) == HONEST


def test_the_same_definition_is_the_same_rater(database: Database) -> None:
    campaign = campaign_of(database, tasks=0)
    first = enrol(database, campaign, longest(), "Ada")
    assert enrol(database, campaign, longest(), "Grace") == first
    assert enrol(database, campaign, longest(seed=1), "Ada") != first
    with database.write() as connection:
        set_membership(connection, campaign, first, Membership.PAUSED)
    enrol(database, campaign, longest(), "Ada")
    with pytest.raises(ConflictError, match="gets no tasks"):
        label(database, campaign, first, longest())


def test_most_stops_and_a_second_call_goes_on(database: Database) -> None:
    campaign = campaign_of(database)
    rater = enrol(database, campaign, longest(), "Ada")
    assert label(database, campaign, rater, longest(), most=4).judgements == 4
    assert label(database, campaign, rater, longest(), most=0).judgements == 0
    assert label(database, campaign, rater, longest(), most=4).judgements == 2
    assert len(judged(database)) == TASKS


def test_several_raters_share_the_tasks(database: Database) -> None:
    campaign = campaign_of(database)
    crowd = [random_rater(seed=n) for n in range(4)]
    enrolled = {enrol(database, campaign, one, f"r{n}"): one for n, one in enumerate(crowd)}
    done = label_in_turn(database, campaign, enrolled)
    given = [one.judgements for one in done.values()]
    assert sum(given) == 2 * TASKS
    # In each of the first two rounds there is a task for everybody, whatever the draws.
    assert min(given) >= 2
    by_task = Counter(row.task for row in judged(database))
    assert set(by_task.values()) == {2}


def test_a_copycat_says_what_the_database_says(database: Database) -> None:
    campaign = campaign_of(database, tasks=12, responses=3)
    known = enrol(database, campaign, always_first(), "Ada")
    copycat = Copycat(of=known, said=answers_of(database, known), otherwise=longest())
    copying = enrol(database, campaign, copycat, "Echo")
    label(database, campaign, known, always_first(), most=9)
    label(database, campaign, copying, copycat)
    by_task: dict[str, dict[str, Any]] = {}
    for row in judged(database):
        by_task.setdefault(row.task, {})[row.rater] = row
    both = [said for said in by_task.values() if len(said) == 2]
    assert len(both) == 9
    assert len(by_task) == 12
    assert all(said[known].tiers == said[copying].tiers for said in both)
    # Copied by response: the two saw different orders.
    assert any(said[known].shown != said[copying].shown for said in both)


def counting(answers: int, then: Callable[[], None]) -> RuleRater:
    """A rule that does `then` after so many answers; its first response is the best."""
    left = [answers]

    def score(_: Conversation, responses: Sequence[str]) -> Sequence[float] | None:
        if not left[0]:
            then()
        left[0] -= 1
        return [-place for place, _ in enumerate(responses)]

    return RuleRater(name="tests:score", sha256="0" * 64, score=score)


def test_a_rule_that_fails_names_the_task_and_what_was_said_stays(
    database: Database, tmp_path: Path
) -> None:
    campaign = campaign_of(database)
    file = tmp_path / "rules.py"
    file.write_text(
        "def score(prompt, responses):\n"
        "    number = prompt.messages[-1].content.split()[1]\n"
        "    return None if number == '1?' else [1 / (3 - int(number[0])) for _ in responses]\n"
    )
    rule = load_rule(f"{file}:score")
    rater = enrol(database, campaign, rule, "rule")
    with pytest.raises(DataError, match="ZeroDivisionError") as caught:
        label(database, campaign, rater, rule)
    kept = len(judged(database))
    assert kept < TASKS
    held = states(database)
    assert held["released"] == 1
    assert held["leased"] == 0
    with database.read() as connection:
        given_back = connection.execute(
            sa.select(assignments.c.task).where(assignments.c.state == "released")
        ).scalar_one()
    assert given_back in str(caught.value.where)
    # What the rule cannot judge, it can skip: as another rater, since its source is another.
    mended = file.read_text().replace("'1?'", "'1?' or number == '3?'")
    file.write_text(mended)
    other = load_rule(f"{file}:score")
    with pytest.raises(ConflictError, match="not what was enrolled"):
        label(database, campaign, rater, other)
    done = label(database, campaign, enrol(database, campaign, other, "rule"), other)
    assert (done.judgements, done.ties, done.skips) == (6, 4, 2)
    assert len(judged(database)) == kept + TASKS


@pytest.mark.parametrize(
    ("cause", "told"), [(KeyboardInterrupt, KeyboardInterrupt), (ValueError, DataError)]
)
def test_a_call_that_stops_keeps_what_was_said_and_a_second_goes_on(
    database: Database, cause: type[BaseException], told: type[BaseException]
) -> None:
    campaign = campaign_of(database)

    def stop() -> None:
        raise cause

    stopped, whole = counting(3, stop), counting(-1, stop)
    rater = enrol(database, campaign, stopped, "rule")
    with pytest.raises(told):
        label(database, campaign, rater, stopped)
    assert len(judged(database)) == 3
    assert label(database, campaign, rater, whole).judgements == 3
    assert states(database) == {"submitted": TASKS}


def test_a_task_that_a_killed_call_left_open_is_answered_first(database: Database) -> None:
    campaign = campaign_of(database)
    rater = enrol(database, campaign, longest(), "Ada")
    left = next_task(database, campaign, rater)
    assert left is not None
    assert label(database, campaign, rater, longest(), most=1).judgements == 1
    assert [row.task for row in judged(database)] == [left.task]


def test_an_opinion_that_does_not_fit_names_the_task(database: Database) -> None:
    odd = Other(kind=RaterKind.MODEL, says=Opinion.ranked((0, 1, 2, 3)))
    campaign = campaign_of(database)
    rater = enrol(database, campaign, odd, "odd")
    with pytest.raises(DataError, match=r"task [0-9a-f]+"):
        label(database, campaign, rater, odd)
    assert states(database) == {"released": 1}


def test_qualification_is_for_every_kind_of_rater(database: Database) -> None:
    campaign = campaign_of(database, tasks=3)
    with database.write() as connection:
        for n in range(10, 15):
            purpose = Purpose.QUALIFICATION
            add_work(connection, campaign, n, purpose=purpose, gold=(1, 0))
    wrong = SimulatedPerson(
        settings=PersonSettings(weights={"worth": -1}, temperature=0), truths=(WORTH,)
    )
    enrolled = {
        enrol(database, campaign, one, name): one for name, one in (("A", HONEST), ("B", wrong))
    }
    good, bad = label_in_turn(database, campaign, enrolled).values()
    assert (good.judgements, good.stand) == (8, Membership.ACTIVE)
    assert (bad.judgements, bad.stand) == (5, Membership.FAILED)
    # A second time nobody has work, and one of them may have none: no error.
    again = label_in_turn(database, campaign, enrolled)
    assert [one.judgements for one in again.values()] == [0, 0]


def test_a_campaign_that_closes_meanwhile_ends_the_work(database: Database) -> None:
    campaign = campaign_of(database)

    def close() -> None:
        with database.write() as connection:
            set_campaign_state(connection, campaign, CampaignState.CLOSED)

    rule = counting(2, close)
    rater = enrol(database, campaign, rule, "rule")
    assert label(database, campaign, rater, rule).judgements == 3
    with pytest.raises(ConflictError, match="hands out no tasks"):
        label(database, campaign, rater, rule)


def test_nobody_is_enrolled_or_heard_under_a_wrong_name(file_database: Database) -> None:
    campaign = campaign_of(file_database)

    person = Other(kind=RaterKind.HUMAN, says=Opinion.skipped("asleep"))
    with pytest.raises(ConfigError, match="judges on a page"):
        enrol(file_database, campaign, person, "Ada")
    with file_database.write() as connection:
        human = register_rater(connection, kind="human")
    with pytest.raises(ConflictError, match="not what was enrolled"):
        label(file_database, campaign, human, longest())
    rater = enrol(file_database, campaign, longest(), "Ada")
    with pytest.raises(ConflictError, match="not what was enrolled"):
        label(file_database, campaign, rater, always_first())
    with pytest.raises(DataError, match="no such rater"):
        label(file_database, campaign, "nobody", longest())
    assert judged(file_database) == []


def test_a_person_to_whom_all_is_the_same_does_not_enrol(file_database: Database) -> None:
    """A taste, a bias, or never looking is something; a rating of a criterion orders nothing."""
    campaign = campaign_of(file_database)
    some: list[dict[str, Any]] = [{"bias": {"first": 1}}, {"lapse": 1}, {"weights": {"length": -1}}]
    none: list[dict[str, Any]] = [{}, {"lapse": 0.9}, {"weights": {"length": 0}}, {"fatigue": 1}]
    for settings in some:
        somebody = SimulatedPerson(settings=PersonSettings(**settings))
        assert enrol(file_database, campaign, somebody, "Ada")
    for settings in none:
        nobody = SimulatedPerson(settings=PersonSettings(**settings))
        with pytest.raises(ConfigError, match="which answer is better"):
            enrol(file_database, campaign, nobody, "nobody")
