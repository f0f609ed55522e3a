"""Which rows ask for a text, and what policies say that people make better."""

from __future__ import annotations

import pytest

from accord.collect.candidates import conclude, deliver
from accord.collect.formats import Unjudged
from accord.collect.orders import request
from accord.collect.ready import add_tasks
from accord.collect.records import Unusable
from accord.collect.tasks import Purpose, TaskKind
from accord.collect.text_leases import next_text
from accord.collect.text_tasks import asked_for
from accord.core.errors import ConfigError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    Response,
    SamplingSettings,
    StopReason,
)
from accord.store.database import Database
from accord.store.jobs import claim
from accord.store.registry import add_prompt
from tests.collect.asking import somebody
from tests.collect.texting import asked, take, wrote

ASKED = Conversation.of("why?")


def unjudged(*responses: str) -> Unjudged:
    return Unjudged(row=1, prompt=ASKED, responses=responses, source="s")


def test_a_prompt_is_answered_and_an_answer_made_better() -> None:
    prompt = Prompt(conversation=ASKED, source="s")
    assert asked_for(prompt) == (prompt, None)
    shown = Demonstration(conversation=ASKED.answered("so"), source="s")
    assert asked_for(shown) == (prompt, "so")
    assert asked_for(unjudged("so")) == (prompt, "so")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (unjudged("a", "b"), "has 2 responses"),
        (Comparison(prompt=ASKED, responses=("a", "b"), tiers=(0, 1)), "has 2 responses"),
        (Feedback(prompt=ASKED, response="a", good=True), "is a feedback"),
    ],
)
def test_other_rows_ask_for_no_text(row: object, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        asked_for(row)


def test_the_same_rows_make_nothing_and_others_beside_them_do(database: Database) -> None:
    campaign = asked(database, write=1, edit=1)
    again = [Prompt(conversation=Conversation.of("question 0"), source="test")]
    made = add_tasks(database, campaign, again)
    assert (made.tasks, made.known) == (0, 1)
    # An answer to the same prompt is another thing to ask for.
    other = Unjudged(row=1, prompt=again[0].conversation, responses=("so",), source="s")
    assert add_tasks(database, campaign, [other]).tasks == 1
    assert add_tasks(database, campaign, [other, unjudged("a", "b")]).known == 1
    with pytest.raises(ConfigError, match="no known answer"):
        add_tasks(database, campaign, [other], purpose=Purpose.GOLD)


def test_what_a_policy_says_is_made_better(database: Database) -> None:
    campaign = asked(database, write=0)
    with database.write() as connection:
        prompt = add_prompt(connection, Prompt(conversation=ASKED, source="s"))
        request(
            connection,
            campaign,
            [prompt],
            ["sft-0123"],
            samples=1,
            settings=SamplingSettings(),
        )
    job = claim(database, ("sample",), "w", 600)
    assert job is not None
    said = Response(prompt_id=prompt, text="Because.", stop=StopReason.STOP, policy="p")
    for _ in range(2):
        deliver(database, job, {prompt: [said]})
    assert conclude(database, job).tasks == 1
    ada = somebody(database, campaign, "ada")
    lease = take(database, campaign, ada)
    assert (lease.kind, lease.text) == (TaskKind.EDIT, "Because.")
    wrote(database, campaign, ada)
    assert next_text(database, campaign, ada) is None
